//! A filter that is made up, for tests of what is told of filters.

use geodrop::{
    datapath::{
        Hook,
        about::{About, GeoipSource},
        counters::Counters,
        interface::{Interface, Mode},
        status::Running,
    },
    geoip::Country,
};

/// One that has seen no packet, and of which nothing is wrong.
pub(crate) fn running() -> Running {
    Running {
        interface: Interface {
            name: "eth0".to_owned(),
            index: 2,
        },
        hook: Hook::Xdp,
        mode: Some(Mode::Native),
        program: 7,
        generation: 3,
        about: About {
            engine: "multibit".to_owned(),
            block: vec![Country::CHINA, Country::HONG_KONG],
            geoip: vec![GeoipSource {
                source: "builtin".to_owned(),
                date: "2026-06-17".parse().ok(),
            }],
            ..About::default()
        },
        memory: 12 << 20,
        counters: Counters::default(),
        trial: None,
        failure: None,
        exceptions: Vec::new(),
        owner: None,
        missed: None,
        runs: None,
    }
}
