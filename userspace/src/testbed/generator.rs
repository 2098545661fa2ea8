//! Millions of frames a second, from many sources.
//!
//! A BPF program writes the next source address into a frame and redirects it out of the pair's client end;
//! `BPF_PROG_TEST_RUN` with live frames runs it over and over. Frames are made and received on the same CPU,
//! one batch after the other: what is measured is what one core does, the generator's share included.

use std::{
    io,
    net::IpAddr,
    time::{Duration, Instant},
};

use aya::{
    Ebpf, EbpfLoader, Pod, TestRun as _, TestRunAttrs, TestRunOptions,
    maps::{Array, MapData, PerCpuArray},
    programs::{ProgramError, Xdp},
    sys::SyscallError,
};
use rustix::thread::{CpuSet, sched_getcpu, sched_setaffinity};

use super::{
    error::TestbedError,
    probe::{Probe, Transport},
    veth::End,
};
use crate::{datapath::object, range::Address};

/// The most source addresses that a generator takes.
pub const MOST_SOURCES: usize = 1 << 20;

/// Frames that the kernel makes, sends and lets be received before it makes the next. A veth end queues 256.
const BATCH: u32 = 64;

/// The room in the generator's map for a frame that is written anew.
const RENEWED_FRAME: usize = 128;

/// Frames in the first system call, from whose time the size of the next ones follows. Each call costs some
/// 30 ms, in which the kernel makes a pool of pages and takes it apart again: calls should be few.
const FIRST_CHUNK: u32 = 1 << 16;
/// The fewest frames in a later call.
const LEAST_CHUNK: u128 = 1 << 14;
/// The most frames in a call: a few seconds of work.
const MOST_CHUNK: u128 = 1 << 22;
/// The same where most of them are not due: they are made in vain.
const MOST_PACED_CHUNK: u128 = 1 << 25;

/// The shortest frame of Ethernet, and the longest that carries 1500 bytes; without the four bytes of the checksum that no
/// virtual interface has.
pub const SHORTEST: u16 = 60;
/// See [`SHORTEST`].
pub const LONGEST: u16 = 1514;

/// A mix of lengths as it is often met, the "simple IMIX": of twelve frames seven are short ones, four carry 576 bytes and
/// one carries 1500.
pub const IMIX: [u16; 12] = [
    SHORTEST, 590, SHORTEST, SHORTEST, 590, SHORTEST, LONGEST, SHORTEST, 590, SHORTEST, 590,
    SHORTEST,
];

/// How frames are made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Frames<'a> {
    /// How many bytes they have from the Ethernet header on, one after the other and over again; none for those of a
    /// [`Probe`] without padding. Several lengths are for IPv4 only.
    pub lengths: &'a [u16],
    /// For a receiving end that may turn frames into others, as a filter does that answers them: each is written anew as a
    /// whole, which takes some nanoseconds more. Only for frames of 128 bytes and less.
    pub renewed: bool,
    /// They are made and go nowhere: what that takes is the generator's own share.
    pub dropped: bool,
    /// How much time is between two frames, at least; none for frames as fast as they go. A core that waits for the next one is
    /// busy, and the frames that a [`Burst`] has are turns at which one may have been due: [`Generator::sent`] counts those that were.
    pub interval: Duration,
}

/// When a burst ends: at whichever is reached first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// After so many frames, exactly.
    pub frames: u64,
    /// After about so much time on the clock.
    pub time: Duration,
}

/// What was sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Burst {
    /// How many frames.
    pub frames: u64,
    /// In how much time: the kernel's own measure of sending and receiving, without what it takes to begin.
    pub time: Duration,
}

impl Burst {
    /// Frames a second.
    #[must_use]
    pub fn rate(&self) -> f64 {
        #[allow(
            clippy::cast_precision_loss,
            reason = "exact up to 2^53 frames, which take decades"
        )]
        let frames = self.frames as f64;
        frames / self.time.as_secs_f64()
    }
}

/// Sends frames out of the client's end of a pair.
///
/// # Minimum kernel version
///
/// 5.18.
#[derive(Debug)]
pub struct Generator<'a> {
    end: &'a End,
    ebpf: Ebpf,
    frame: Vec<u8>,
    most_chunk: u128,
}

impl<'a> Generator<'a> {
    /// Loads a generator of UDP frames at this end, from these sources, one after the other and over again.
    ///
    /// Where their number is no power of two, the first ones come twice in a round. The checksums of IPv4 headers are right,
    /// and its datagrams have none; those of IPv6 datagrams are right for the first source only.
    ///
    /// # Errors
    ///
    /// [`TestbedError::Sources`] when there are none or more than [`MOST_SOURCES`]; [`TestbedError::Lengths`] when
    /// there cannot be such frames; and when the kernel refuses the program.
    pub fn load<A: Address>(
        end: &'a End,
        sources: &[A],
        frames: Frames<'_>,
    ) -> Result<Self, TestbedError> {
        let given = sources.len();
        let first = match sources {
            [first, ..] if given <= MOST_SOURCES => (*first).into(),
            _ => return Err(TestbedError::Sources { given }),
        };
        let version: u8 = if A::WIDTH == 32 { 4 } else { 6 };
        let is_mixed = frames
            .lengths
            .iter()
            .any(|length| *length != frames.lengths[0]);
        let in_a_slot = if version == 4 && !is_mixed {
            SLOT / 4
        } else {
            1
        };
        let numbers = given.next_power_of_two().max(in_a_slot);
        #[allow(clippy::cast_possible_truncation, reason = "at most 2^20")]
        let (slots, mask) = ((numbers / in_a_slot) as u32, numbers as u32 - 1);

        let frame = longest_frame(first, frames.lengths)?;
        if is_mixed && version == 6 || frames.renewed && (is_mixed || frame.len() > RENEWED_FRAME) {
            return Err(TestbedError::Lengths);
        }
        let length = if frames.renewed { frame.len() } else { 0 };
        let interface = if frames.dropped {
            0
        } else {
            end.interface.index
        };
        let interval = u64::try_from(frames.interval.as_nanos()).unwrap_or(u64::MAX);
        let failed = "loading";
        let mut ebpf = EbpfLoader::new()
            .override_global("SOURCE_MASK", &mask, true)
            .override_global("HEADER_SUM", &header_sum(&frame), true)
            .override_global("IP_VERSION", &version, true)
            .override_global("MIXED", &u8::from(is_mixed), true)
            .override_global("INTERFACE", &interface, true)
            .override_global("INTERVAL", &interval, true)
            .override_global("FRAME_LENGTH", &u32::try_from(length).unwrap_or(0), true)
            .map_max_entries("SOURCES", slots)
            .load(object::GENERATOR)
            .map_err(TestbedError::generator(failed))?;
        let mut array = map_mut::<[u8; SLOT]>(&mut ebpf, "SOURCES")?;
        let lengths = frames.lengths.iter().cycle();
        let mut lengths = lengths.map(|length| usize::from(*length));
        let mut sources = sources.iter().cycle();
        for number in 0..slots {
            let slot = if in_a_slot > 1 {
                several(sources.by_ref().take(in_a_slot))
            } else {
                let length = lengths.next().unwrap_or(frame.len());
                let source = sources.by_ref().take(1);
                source.fold([0; SLOT], |_, source| slot(&frame, *source, length))
            };
            array
                .set(number, slot, 0)
                .map_err(TestbedError::generator(FILLING))?;
        }
        let mut whole = [0; RENEWED_FRAME];
        for (place, byte) in whole.iter_mut().zip(&frame) {
            *place = *byte;
        }
        map_mut::<[u8; RENEWED_FRAME]>(&mut ebpf, "FRAME")?
            .set(0, whole, 0)
            .map_err(TestbedError::generator(FILLING))?;
        program_mut(&mut ebpf)?
            .load()
            .map_err(TestbedError::generator(failed))?;
        Ok(Self {
            end,
            ebpf,
            frame,
            most_chunk: if interval == 0 {
                MOST_CHUNK
            } else {
                MOST_PACED_CHUNK
            },
        })
    }

    /// How many frames were made so far, on all cores; it begins anew at 2^32 of a core.
    ///
    /// # Errors
    ///
    /// When the kernel does not say.
    pub fn sent(&self) -> Result<u64, TestbedError> {
        let reading = "reading the maps of";
        let map = self
            .ebpf
            .map("RUNS")
            .ok_or(Missing("map `RUNS`"))
            .map_err(TestbedError::generator(reading))?;
        let runs = PerCpuArray::<_, u32>::try_from(map).and_then(|runs| runs.get(&0, 0));
        let runs = runs.map_err(TestbedError::generator(reading))?;
        Ok(runs.iter().map(|runs| u64::from(*runs)).sum())
    }

    /// Sends frames until a limit is reached, from one core. When it returns, all of them have been received or
    /// dropped by a filter; only a machine so busy that it puts receiving off may lose some.
    ///
    /// # Errors
    ///
    /// [`TestbedError::NoLiveFrames`] on kernels before 5.18; and when the kernel refuses, or a signal comes.
    pub fn run(&self, limit: Limit) -> Result<Burst, TestbedError> {
        let program = program(&self.ebpf)?;
        // The kernel looks the interface up in the namespace of whoever asks.
        self.end.run(|| {
            stay_on_this_core().map_err(TestbedError::generator("keeping to one core with"))?;
            let start = Instant::now();
            let mut burst = Burst::default();
            let mut chunk = FIRST_CHUNK;
            while burst.frames < limit.frames && start.elapsed() < limit.time {
                let left = limit.frames - burst.frames;
                let repeat = u32::try_from(left).map_or(chunk, |left| left.min(chunk));
                let options = TestRunOptions {
                    data_in: Some(&self.frame),
                    repeat,
                    attrs: TestRunAttrs::new().xdp_live_frames(BATCH),
                    ..TestRunOptions::default()
                };
                let each = program.test_run(options).map_err(refused)?.duration;
                burst.frames += u64::from(repeat);
                burst.time += each * repeat;
                let left = limit.time.saturating_sub(start.elapsed());
                chunk = chunk_of(left, each, self.most_chunk);
            }
            Ok(burst)
        })?
    }
}

/// Keeps this thread on the core that it is on.
///
/// Frames are received on the core that sent the first of them. Were the rest sent from another one while that
/// is busy, the receiving end's queue would overflow, and frames be lost.
fn stay_on_this_core() -> io::Result<()> {
    let mut this = CpuSet::new();
    this.set(sched_getcpu());
    Ok(sched_setaffinity(None, &this)?)
}

/// How many frames take so much time, if each one takes so much.
fn chunk_of(time: Duration, each: Duration, most: u128) -> u32 {
    let frames = time.as_nanos() / each.as_nanos().max(1);
    u32::try_from(frames.clamp(LEAST_CHUNK, most)).unwrap_or(u32::MAX)
}

/// A frame from a source of the longest of some lengths, of which none is a frame without padding.
fn longest_frame(source: IpAddr, lengths: &[u16]) -> Result<Vec<u8>, TestbedError> {
    let probe = Probe::new(0, source, Transport::Udp);
    let least = probe.to_frame()?.len();
    let least_asked = lengths.iter().copied().min().map_or(least, usize::from);
    if least_asked < least {
        return Err(TestbedError::Lengths);
    }
    let longest = lengths.iter().copied().max().map_or(least, usize::from);
    let probe = Probe {
        padding: longest - least,
        ..probe
    };
    let mut frame = probe.to_frame()?;
    if source.is_ipv4() {
        // No checksum (RFC 768): it would be another one for each source.
        frame[UDP + 6..UDP + 8].fill(0);
    }
    Ok(frame)
}

/// Where the IP header stands in a frame, and the UDP header after one of IPv4.
const IP: usize = 14;
const UDP: usize = IP + 20;

/// How large an element of the generator's map of sources is.
const SLOT: usize = 16;

/// What of a frame differs for a source and a length, as the kernel program wants it.
fn slot<A: Address>(frame: &[u8], source: A, length: usize) -> [u8; SLOT] {
    let mut slot = [0; SLOT];
    let octets = source.octets();
    let octets = octets.as_ref();
    if A::WIDTH != 32 {
        // An IPv6 address has 16 octets.
        for (place, octet) in slot.iter_mut().zip(octets) {
            *place = *octet;
        }
        return slot;
    }
    // No frame is longer than 2^16 bytes.
    let bytes = |number: usize| u16::try_from(number).unwrap_or(u16::MAX);
    let total = bytes(length - IP).to_be_bytes();
    let mut header = [0; UDP - IP];
    header.copy_from_slice(&frame[IP..UDP]);
    header[2..4].copy_from_slice(&total);
    header[10..12].fill(0);
    header[12..16].copy_from_slice(octets);
    slot[0..2].copy_from_slice(&checksum(&header).to_be_bytes());
    slot[2..6].copy_from_slice(octets);
    slot[6..8].copy_from_slice(&total);
    slot[8..10].copy_from_slice(&bytes(length - UDP).to_be_bytes());
    slot[14..16].copy_from_slice(&bytes(frame.len() - length).to_ne_bytes());
    slot
}

/// The octets of several IPv4 addresses, one after the other.
fn several<'a, A: Address>(sources: impl Iterator<Item = &'a A>) -> [u8; SLOT] {
    let mut slot = [0; SLOT];
    for (place, source) in slot.chunks_exact_mut(4).zip(sources) {
        for (place, octet) in place.iter_mut().zip(source.octets().as_ref()) {
            *place = *octet;
        }
    }
    slot
}

/// The sum of the words of a frame's IPv4 header, but for its checksum and its source address, in the machine's order. Of IPv6 it
/// is of no use.
fn header_sum(frame: &[u8]) -> u32 {
    let words = frame[IP..UDP].chunks_exact(2).enumerate();
    words
        .filter(|(place, _)| !matches!(place, 5..=7))
        .map(|(_, pair)| u32::from(u16::from_ne_bytes([pair[0], pair[1]])))
        .sum()
}

/// The checksum of an IPv4 header whose own place for it is zero (RFC 1071).
fn checksum(header: &[u8]) -> u16 {
    let sum: u32 = header
        .chunks_exact(2)
        .map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]])))
        .sum();
    let folded = (sum & 0xffff) + (sum >> 16);
    #[allow(
        clippy::cast_possible_truncation,
        reason = "twenty bytes add up to less than 2^20, so folding twice leaves 16 bits"
    )]
    let folded = (folded + (folded >> 16)) as u16;
    !folded
}

const FILLING: &str = "filling the maps of";

/// An array of the generator's.
fn map_mut<'a, V: Pod>(
    ebpf: &'a mut Ebpf,
    name: &'static str,
) -> Result<Array<&'a mut MapData, V>, TestbedError> {
    ebpf.map_mut(name)
        .ok_or(Missing(name))
        .map_err(TestbedError::generator(FILLING))
        .and_then(|map| map.try_into().map_err(TestbedError::generator(FILLING)))
}

const PROGRAM: &str = "generate";

fn program(ebpf: &Ebpf) -> Result<&Xdp, TestbedError> {
    ebpf.program(PROGRAM)
        .and_then(|program| program.try_into().ok())
        .ok_or(Missing("program `generate`"))
        .map_err(TestbedError::generator("finding"))
}

fn program_mut(ebpf: &mut Ebpf) -> Result<&mut Xdp, TestbedError> {
    ebpf.program_mut(PROGRAM)
        .and_then(|program| program.try_into().ok())
        .ok_or(Missing("program `generate`"))
        .map_err(TestbedError::generator("finding"))
}

/// The built-in kernel object lacks something.
#[derive(Debug, thiserror::Error)]
#[error("the built-in kernel object has no {0}; build geodrop anew")]
struct Missing(&'static str);

/// What a refused test run means.
fn refused(error: ProgramError) -> TestbedError {
    match error {
        // Kernels that know no live frames know no flags for XDP test runs at all.
        ProgramError::SyscallError(SyscallError { io_error, .. })
            if io_error.raw_os_error() == Some(libc::EINVAL) =>
        {
            TestbedError::NoLiveFrames
        }
        error => TestbedError::generator("running")(error),
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    #[test]
    fn what_differs_between_frames_makes_whole_frames() {
        let first = Ipv4Addr::new(1, 0, 1, 1);
        let source = Ipv4Addr::new(223, 255, 7, 9);
        let longest = longest_frame(first.into(), &IMIX).unwrap();
        assert_eq!(longest.len(), usize::from(LONGEST));
        for length in IMIX.map(usize::from) {
            let slot = slot(&longest, source, length);
            let mut frame = longest.clone();
            frame[IP + 10..IP + 16].copy_from_slice(&slot[..6]);
            frame[IP + 2..IP + 4].copy_from_slice(&slot[6..8]);
            frame[UDP + 4..UDP + 6].copy_from_slice(&slot[8..10]);
            frame.truncate(longest.len() - usize::from(u16::from_ne_bytes([slot[14], slot[15]])));
            let expected = longest_frame(source.into(), &[length.try_into().unwrap()]).unwrap();
            assert_eq!(frame, expected, "{length}");
        }
    }

    #[test]
    fn frames_too_short_for_their_headers_are_refused() {
        let error = longest_frame(Ipv4Addr::LOCALHOST.into(), &[LONGEST, 45]).unwrap_err();
        assert!(matches!(error, TestbedError::Lengths), "{error}");
    }

    #[test]
    fn a_chunk_fills_the_time_that_is_left() {
        let chunk = |time, each| {
            chunk_of(
                Duration::from_millis(time),
                Duration::from_nanos(each),
                MOST_CHUNK,
            )
        };
        assert_eq!(chunk(500, 500), 1_000_000);
        assert_eq!(chunk(0, 500), 1 << 14);
        assert_eq!(chunk(60_000, 500), 1 << 22);
        assert_eq!(chunk(1, 0), 1_000_000);
    }
}
