//! The kernel objects, embedded: one file to copy to a server.

use aya::include_bytes_aligned;

/// The filter.
pub(super) static FILTER: &[u8] = include_bytes_aligned!(concat!(env!("OUT_DIR"), "/filter"));

/// The filter's program for kernels that know packets of several buffers.
pub(super) const FILTER_FRAGS: &str = "geodrop_frags";

/// The filter's program for kernels that do not.
pub(super) const FILTER_PLAIN: &str = "geodrop";

/// The generator of frames, for demo, tests and benches.
pub static GENERATOR: &[u8] = include_bytes_aligned!(concat!(env!("OUT_DIR"), "/generator"));

/// The programs that measure lookups.
pub static LOOKUP_BENCH: &[u8] = include_bytes_aligned!(concat!(env!("OUT_DIR"), "/lookup_bench"));
