//! What a filter makes of a frame, whichever hook it is for.

use aya::programs::TestRunOptions;
use geodrop::datapath::{Hook, generation::Generation};

/// Whether the program of a filter lets a frame pass.
pub(crate) fn admits(generation: &Generation, frame: &[u8]) -> bool {
    let options = TestRunOptions {
        data_in: Some(frame),
        ..TestRunOptions::default()
    };
    let answer = generation.test_run(options).expect("a test run");
    // `XDP_DROP` and `XDP_PASS` of `include/uapi/linux/bpf.h`, `TC_ACT_SHOT` and `TC_ACT_UNSPEC` of `pkt_cls.h`.
    match (generation.hook(), answer.return_value.cast_signed()) {
        (Hook::Xdp, 1) | (Hook::Tcx, 2) => false,
        (Hook::Xdp, 2) | (Hook::Tcx, -1) => true,
        (hook, other) => panic!("{other} is no verdict at {hook:?}"),
    }
}
