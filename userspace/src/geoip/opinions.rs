//! What several sources say of an address, where each of them is heard.

use std::{collections::BTreeSet, net::IpAddr, slice};

use ipnet::IpNet;

use super::{Country, GeoData, Merge, Reading, Regions};

/// What one source or several say of addresses, each of which counts.
///
/// Mostly there is one: a single source, or several of which the first decides that knows an address. Where any source may
/// speak against an address ([`Merge::Any`]) there is one for each.
#[derive(Clone, Copy, Debug)]
pub struct Opinions<'a>(Held<'a>);

#[derive(Clone, Copy, Debug)]
enum Held<'a> {
    One(&'a Regions),
    Each(&'a [Reading]),
}

impl<'a> Opinions<'a> {
    /// All of them, in the order of the sources.
    pub fn iter(self) -> impl Iterator<Item = &'a Regions> {
        let (one, each) = match self.0 {
            Held::One(one) => (slice::from_ref(one), [].as_slice()),
            Held::Each(each) => ([].as_slice(), each),
        };
        one.iter()
            .chain(each.iter().map(|reading| &reading.regions))
    }

    /// What each says of an address that knows it: its country, and the largest prefix around it that lies inside the range
    /// of the source.
    pub fn lookup(self, address: IpAddr) -> impl Iterator<Item = (Country, IpNet)> {
        self.iter()
            .filter_map(move |regions| regions.lookup(address))
    }

    /// The countries that any of them knows.
    #[must_use]
    pub fn countries(self) -> BTreeSet<Country> {
        self.iter().flat_map(Regions::countries).collect()
    }
}

impl<'a> From<&'a Regions> for Opinions<'a> {
    fn from(regions: &'a Regions) -> Self {
        Self(Held::One(regions))
    }
}

impl<'a> From<&'a GeoData> for Opinions<'a> {
    fn from(data: &'a GeoData) -> Self {
        match data.merge {
            Merge::First => Self(Held::One(&data.regions)),
            Merge::Any => Self(Held::Each(&data.readings)),
        }
    }
}
