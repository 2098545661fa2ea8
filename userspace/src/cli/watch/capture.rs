//! Packets as a capture: pcapng (draft-ietf-opsawg-pcapng), which Wireshark opens.

use std::{
    borrow::Cow,
    fs::File,
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::Context as _;
use geodrop::datapath::{interface::Interface, watch::Event};
use pcap_file::{
    DataLink, Endianness, PcapError,
    pcapng::{
        PcapNgBlock, PcapNgWriter,
        blocks::{
            enhanced_packet::{EnhancedPacketBlock, EnhancedPacketOption},
            interface_description::{InterfaceDescriptionBlock, InterfaceDescriptionOption},
            section_header::{SectionHeaderBlock, SectionHeaderOption},
        },
    },
};

use super::{output::why, text::verdict};

/// Times are in units of ten to the minus so much seconds: the writer writes nanoseconds, whatever is said of them.
const NANOSECONDS: u8 = 9;

/// A capture under way.
pub(super) struct Capture {
    path: PathBuf,
    writer: PcapNgWriter<Shared>,
    /// The indices of the interfaces that it has packets of, in the order in which it has them.
    interfaces: Vec<u32>,
}

/// What is written to: the writer of the format lets nobody else reach it.
type Shared = BufWriter<Box<dyn Write>>;

impl Capture {
    /// One in a new file, or in place of what is there; `-` is standard output.
    pub(super) fn at(path: &Path) -> anyhow::Result<Self> {
        let to: Box<dyn Write> = if path == Path::new("-") {
            Box::new(io::stdout())
        } else {
            let file = File::create(path).with_context(|| {
                format!(
                    "making the capture {}; name a file that can be made",
                    path.display()
                )
            })?;
            Box::new(file)
        };
        let section = SectionHeaderBlock {
            endianness: Endianness::native(),
            options: vec![SectionHeaderOption::UserApplication(
                concat!("geodrop ", env!("CARGO_PKG_VERSION")).into(),
            )],
            ..SectionHeaderBlock::default()
        };
        let writer = PcapNgWriter::with_section_header(BufWriter::new(to), section);
        Ok(Self {
            writer: writer.map_err(|error| failed(path, error))?,
            path: path.to_owned(),
            interfaces: Vec::new(),
        })
    }

    /// Adds a packet.
    pub(super) fn add(&mut self, interface: &Interface, event: &Event) -> anyhow::Result<()> {
        let number = self.number(interface)?;
        let comment = format!("geodrop: {}, {}", verdict(event), why(event));
        let since = event.time.duration_since(jiff::Timestamp::UNIX_EPOCH);
        self.write(EnhancedPacketBlock {
            interface_id: number,
            timestamp: Duration::try_from(since).unwrap_or_default(),
            original_len: event.length,
            data: Cow::Borrowed(&event.bytes),
            options: vec![EnhancedPacketOption::Comment(comment.into())],
        })
    }

    /// Hands on what was added.
    pub(super) fn flush(&mut self) -> anyhow::Result<()> {
        let flushed = self.writer.get_mut().flush();
        flushed.map_err(|error| failed(&self.path, PcapError::IoError(error)))
    }

    /// The number of an interface, which the first packet of one says more of.
    fn number(&mut self, interface: &Interface) -> anyhow::Result<u32> {
        let mut known = self.interfaces.iter();
        if let Some(place) = known.position(|index| *index == interface.index) {
            return Ok(u32::try_from(place)?);
        }
        self.write(InterfaceDescriptionBlock {
            linktype: DataLink::ETHERNET,
            snaplen: u32::try_from(Event::MOST_BYTES)?,
            options: vec![
                InterfaceDescriptionOption::IfName(interface.name.clone().into()),
                InterfaceDescriptionOption::IfTsResol(NANOSECONDS),
            ],
        })?;
        self.interfaces.push(interface.index);
        Ok(u32::try_from(self.interfaces.len() - 1)?)
    }

    fn write<'a>(&mut self, block: impl PcapNgBlock<'a>) -> anyhow::Result<()> {
        let written = self.writer.write_pcapng_block(block);
        written.map(drop).map_err(|error| failed(&self.path, error))
    }
}

fn failed(path: &Path, error: PcapError) -> anyhow::Error {
    let error = match error {
        // That nobody reads any more has to be seen as what it is.
        PcapError::IoError(error) => anyhow::Error::from(error),
        error => error.into(),
    };
    error.context(format!("writing the capture {}", path.display()))
}
