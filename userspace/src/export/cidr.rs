//! A list of prefixes, one a line, IPv4 before IPv6; comments begin with `#`.
//!
//! It can be read back by geodrop itself, as `file:LIST` of `deny`.

use std::io::{self, Write};

use super::{Export, LeftOut, head};

/// Writes the sources that drop of packets that come under no rule for ports.
///
/// # Errors
///
/// Those of the output.
pub fn write(output: &mut impl Write, export: &Export<'_>, left_out: &[LeftOut]) -> io::Result<()> {
    head(output, export, left_out)?;
    let sources = export.blocklist.all();
    for prefix in sources.ipv4_prefixes() {
        writeln!(output, "{prefix}")?;
    }
    for prefix in sources.ipv6_prefixes() {
        writeln!(output, "{prefix}")?;
    }
    Ok(())
}
