//! Millions of frames a second, from many sources.
//!
//! A BPF program writes the next source address into a frame and redirects it out of the pair's client end;
//! `BPF_PROG_TEST_RUN` with live frames runs it over and over. Frames are made and received on the same CPU,
//! one batch after the other: what is measured is what one core does, the generator's share included.

use std::{
    io,
    time::{Duration, Instant},
};

use aya::{
    Ebpf, EbpfLoader, Pod, TestRun as _, TestRunAttrs, TestRunOptions,
    maps::{Array, MapData},
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

/// The room for a frame in the generator's map.
const LONGEST_FRAME: usize = 128;

/// Frames in the first system call, from whose time the size of the next ones follows. Each call costs some
/// 30 ms, in which the kernel makes a pool of pages and takes it apart again: calls should be few.
const FIRST_CHUNK: u32 = 1 << 16;
/// The fewest frames in a later call.
const LEAST_CHUNK: u128 = 1 << 14;
/// The most frames in a call: a few seconds of work.
const MOST_CHUNK: u128 = 1 << 22;

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
        // Exact up to 2^53 frames, which take decades.
        #[allow(clippy::cast_precision_loss)]
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
}

impl<'a> Generator<'a> {
    /// Loads a generator of UDP frames at this end, from these sources, one after the other and over again.
    ///
    /// Where their number is no power of two, the first ones come twice in a round.
    ///
    /// # Errors
    ///
    /// [`TestbedError::Sources`] when there are none or more than [`MOST_SOURCES`]; and when the kernel
    /// refuses the program.
    pub fn load<A: Address>(end: &'a End, sources: &[A]) -> Result<Self, TestbedError> {
        Self::load_with(end, sources, false)
    }

    /// The same for a receiving end that may turn frames into others, as a filter does that answers them: each is written anew
    /// as a whole, which takes some nanoseconds more.
    ///
    /// # Errors
    ///
    /// The same.
    pub fn load_renewing<A: Address>(end: &'a End, sources: &[A]) -> Result<Self, TestbedError> {
        Self::load_with(end, sources, true)
    }

    fn load_with<A: Address>(
        end: &'a End,
        sources: &[A],
        renews: bool,
    ) -> Result<Self, TestbedError> {
        let given = sources.len();
        let first = match sources {
            [first, ..] if given <= MOST_SOURCES => (*first).into(),
            _ => return Err(TestbedError::Sources { given }),
        };
        // At most 2^20.
        #[allow(clippy::cast_possible_truncation)]
        let slots = given.next_power_of_two() as u32;
        let version: u8 = if A::WIDTH == 32 { 4 } else { 6 };

        let frame = Probe::new(0, first, Transport::Udp).to_frame()?;
        let length = if renews { frame.len() } else { 0 };
        let failed = "loading";
        let mut ebpf = EbpfLoader::new()
            .override_global("SOURCE_MASK", &(slots - 1), true)
            .override_global("IP_VERSION", &version, true)
            .override_global("INTERFACE", &end.interface.index, true)
            .override_global("FRAME_LENGTH", &u32::try_from(length).unwrap_or(0), true)
            .map_max_entries("SOURCES", slots)
            .load(object::GENERATOR)
            .map_err(TestbedError::generator(failed))?;
        fill(&mut ebpf, slots, sources)?;
        let mut whole = [0; LONGEST_FRAME];
        for (place, byte) in whole.iter_mut().zip(&frame) {
            *place = *byte;
        }
        map_mut::<[u8; LONGEST_FRAME]>(&mut ebpf, "FRAME")?
            .set(0, whole, 0)
            .map_err(TestbedError::generator(FILLING))?;
        program_mut(&mut ebpf)?
            .load()
            .map_err(TestbedError::generator(failed))?;
        Ok(Self { end, ebpf, frame })
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
                chunk = chunk_of(limit.time.saturating_sub(start.elapsed()), each);
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
fn chunk_of(time: Duration, each: Duration) -> u32 {
    let frames = time.as_nanos() / each.as_nanos().max(1);
    // At most 2^22.
    #[allow(clippy::cast_possible_truncation)]
    let chunk = frames.clamp(LEAST_CHUNK, MOST_CHUNK) as u32;
    chunk
}

/// Fills the map of sources, all of its slots.
fn fill<A: Address>(ebpf: &mut Ebpf, slots: u32, sources: &[A]) -> Result<(), TestbedError> {
    let mut array = map_mut::<[u8; 16]>(ebpf, "SOURCES")?;
    for (slot, source) in (0..slots).zip(sources.iter().cycle()) {
        let octets = source.octets();
        let mut value = [0; 16];
        // An address has 4 or 16 octets.
        for (place, octet) in value.iter_mut().zip(octets.as_ref()) {
            *place = *octet;
        }
        array
            .set(slot, value, 0)
            .map_err(TestbedError::generator(FILLING))?;
    }
    Ok(())
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
    use super::*;

    #[test]
    fn a_chunk_fills_the_time_that_is_left() {
        let chunk = |time, each| chunk_of(Duration::from_millis(time), Duration::from_nanos(each));
        assert_eq!(chunk(500, 500), 1_000_000);
        assert_eq!(chunk(0, 500), 1 << 14);
        assert_eq!(chunk(60_000, 500), 1 << 22);
        assert_eq!(chunk(1, 0), 1_000_000);
    }
}
