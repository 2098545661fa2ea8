//! Who loads a filter: what a process may do decides which of the programs it gets.

use std::thread;

use geodrop::datapath::generation::{Generation, Plan};
use rustix::thread::{CapabilitySet, CapabilitySets, capabilities, set_capabilities};

/// A process that loads filters.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Loader {
    /// One that may do all.
    Root,
    /// One that lacks `CAP_PERFMON`.
    WithoutPerfmon,
}

/// Each of some things, with each loader.
pub(crate) fn with_each<T: Copy>(
    things: impl IntoIterator<Item = T>,
) -> impl Iterator<Item = (T, Loader)> {
    let loaders = [Loader::Root, Loader::WithoutPerfmon];
    things
        .into_iter()
        .flat_map(move |thing| loaders.map(|loader| (thing, loader)))
}

impl Loader {
    /// Loads a filter.
    pub(crate) fn load(self, plan: Plan<'_>) -> Generation {
        let load = || Generation::load(plan).expect("loading the filter needs root");
        match self {
            Self::Root => load(),
            // Only that thread loses the capability, and it ends here.
            Self::WithoutPerfmon => thread::scope(|scope| {
                let thread = scope.spawn(|| {
                    drop_perfmon();
                    load()
                });
                thread.join().expect("the thread has said why")
            }),
        }
    }
}

/// Takes `CAP_PERFMON` from this thread.
fn drop_perfmon() {
    let sets = capabilities(None).unwrap();
    let effective = sets
        .effective
        .difference(CapabilitySet::PERFMON | CapabilitySet::SYS_ADMIN);
    set_capabilities(None, CapabilitySets { effective, ..sets }).unwrap();
}
