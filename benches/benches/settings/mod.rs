//! How criterion measures here, for all benches.

use std::time::Duration;

use criterion::Criterion;

/// Criterion with few samples, and with these times in milliseconds; the command line wins.
pub(crate) fn criterion(warm_up: u64, measurement: u64) -> Criterion {
    Criterion::default()
        .sample_size(10)
        // A tenth of criterion's own number: otherwise it would resample for longer than it measures.
        .nresamples(10_000)
        .warm_up_time(Duration::from_millis(warm_up))
        .measurement_time(Duration::from_millis(measurement))
        .configure_from_args()
}
