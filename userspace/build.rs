//! Builds the kernel objects, which the library embeds from `OUT_DIR`: the binary is one file to copy to a server.

use std::process::ExitCode;

fn main() -> ExitCode {
    geodrop_toolchain::build_script::run()
}
