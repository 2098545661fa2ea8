//! What a pinned map has to be for a generation to take it over.
//!
//! aya takes a map that is pinned where a program's is to be, whatever it is; one that another version left may have
//! another layout.

use std::path::Path;

use aya::maps::{MapData, MapType};
use geodrop_common::{
    Counter,
    control::{Exception, ExceptionKey, MOST_EXCEPTIONS},
    counter,
    flow::{self, FlowKey, FlowState},
    rate_limit::Bucket,
    report::{MOST_DESTINATIONS, SKETCHES},
    sketch::Sketch,
    watch::{EVENTS, Missed, Watch},
};

use super::{
    error::DatapathError,
    pins::{Place, remove_pin},
    sys,
};

/// A map's layout.
#[derive(Clone, Copy, Debug)]
pub(super) struct Layout {
    kind: MapType,
    /// The sizes of a key and of a value, in bytes.
    key: usize,
    value: usize,
    entries: u32,
}

impl Layout {
    pub(super) const COUNTERS: Self = Self {
        kind: MapType::PerCpuArray,
        key: size_of::<u32>(),
        value: size_of::<Counter>(),
        entries: counter::CAPACITY,
    };
    pub(super) const EXCEPTIONS: Self = Self {
        kind: MapType::Hash,
        key: size_of::<ExceptionKey>(),
        value: size_of::<Exception>(),
        entries: MOST_EXCEPTIONS,
    };
    const FLOWS: Self = Self {
        kind: MapType::LruHash,
        key: size_of::<FlowKey>(),
        value: size_of::<FlowState>(),
        entries: flow::MOST_FLOWS,
    };
    const CONTACTED: Self = Self {
        kind: MapType::Array,
        key: size_of::<u32>(),
        value: size_of::<u64>(),
        entries: flow::CONTACTED,
    };
    pub(super) const WATCH: Self = Self {
        kind: MapType::Array,
        key: size_of::<u32>(),
        value: size_of::<Watch>(),
        entries: 1,
    };
    pub(super) const WATCH_BUCKET: Self = Self {
        kind: MapType::Array,
        key: size_of::<u32>(),
        value: size_of::<Bucket>(),
        entries: 1,
    };
    pub(super) const WATCH_EVENTS: Self = Self {
        kind: MapType::RingBuf,
        key: 0,
        value: 0,
        entries: EVENTS,
    };
    pub(super) const WATCH_MISSED: Self = Self {
        kind: MapType::PerCpuArray,
        key: size_of::<u32>(),
        value: size_of::<Missed>(),
        entries: 1,
    };
    pub(super) const REPORT_SOURCES: Self = Self {
        kind: MapType::Array,
        key: size_of::<u32>(),
        value: size_of::<Sketch>(),
        entries: SKETCHES,
    };
    pub(super) const REPORT_PORTS: Self = Self {
        kind: MapType::LruHash,
        key: size_of::<u32>(),
        value: size_of::<Counter>(),
        entries: MOST_DESTINATIONS,
    };

    /// Opens the map that is pinned at `path`.
    ///
    /// # Errors
    ///
    /// When there is none, or it has another layout.
    pub(super) fn open(self, path: &Path) -> Result<MapData, DatapathError> {
        let fd = sys::object::open_pin(path).map_err(DatapathError::pin("opening", path))?;
        let failed = || DatapathError::map(path.display().to_string());
        let map = MapData::from_fd(fd).map_err(failed())?;
        let info = map.info().map_err(failed())?;
        let ours = info.map_type().ok() == Some(self.kind)
            && info.key_size() as usize == self.key
            && info.value_size() as usize == self.value
            && info.max_entries() == self.entries;
        if ours {
            return Ok(map);
        }
        let other = "it has another layout: another version of geodrop made it";
        Err(DatapathError::pin("opening", path)(std::io::Error::other(
            other,
        )))
    }
}

/// Removes what is pinned at a place with another layout than a new generation takes over.
pub(super) fn discard_foreign(place: &Place) -> Result<(), DatapathError> {
    let watch = place.watch();
    for (layout, path) in [
        (Layout::WATCH, watch.cell),
        (Layout::WATCH_BUCKET, watch.bucket),
        (Layout::WATCH_EVENTS, watch.events),
        (Layout::WATCH_MISSED, watch.missed),
        (Layout::COUNTERS, place.counters()),
        (Layout::EXCEPTIONS, place.exceptions()),
        (Layout::FLOWS, place.flows()),
        (Layout::CONTACTED, place.contacted()),
    ] {
        if path.exists() && layout.open(&path).is_err() {
            remove_pin(&path)?;
        }
    }
    Ok(())
}
