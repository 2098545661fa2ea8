//! Ways of looking an address up in userspace: ours, and well-known crates on the same data.
//!
//! The crates get the entries of the kernel's trie, the fewest prefixes that say what the ranges say, and answer with
//! the class. What they are not made for is not held against them: `maxminddb` decodes a value of a file that may
//! hold anything, and `ip_network_table` and `prefix-trie` can be changed at any time.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use geodrop::{
    Class,
    policy::Classified,
    range::find,
    table::{lpm::Entry, multibit::Image},
};
use geodrop_bench::family::Family;
use ip_network::IpNetwork;
use ip_network_table::IpNetworkTable;
use mmdb_writer::{IpVersion, Ipv4Aliasing, Value, Writer};

/// What a table is made of.
#[derive(Clone, Copy)]
pub(crate) struct Data<'a, A> {
    /// Sorted, disjoint ranges.
    pub(crate) ranges: &'a [Classified<A>],
    /// The fewest prefixes that say the same.
    pub(crate) entries: &'a [Entry<A>],
}

/// Looks many addresses up and gives the sum of their classes' numbers, so that nothing is left out.
pub(crate) type Lookups<'a, A> = Box<dyn Fn(&[A]) -> u64 + 'a>;

/// A way of looking addresses up.
pub(crate) struct Peer<A> {
    /// Its name: an engine's, or a crate's.
    pub(crate) name: &'static str,
    /// The most entries that it is given.
    pub(crate) most_entries: usize,
    /// Makes its table.
    pub(crate) build: for<'a> fn(Data<'a, A>) -> Lookups<'a, A>,
}

/// The crate `poptrie` goes through all of its nodes for each prefix that is inserted: 100,000 of them take it minutes.
const POPTRIE: usize = 20_000;

/// All ways; the first is the plainest, and what the others are checked against.
pub(crate) fn all<A: Bits>() -> Vec<Peer<A>> {
    vec![
        Peer {
            name: "binary search",
            most_entries: usize::MAX,
            build: |data| {
                sum(move |address| {
                    find(data.ranges, address).map_or(0, |found| found.label.number())
                })
            },
        },
        Peer {
            name: "multibit",
            most_entries: usize::MAX,
            build: |data| {
                let image: Image<A> = A::image(data.ranges).expect("a table within bounds");
                sum(move |address| A::class(&image, address).number())
            },
        },
        Peer {
            name: "prefix-trie",
            most_entries: usize::MAX,
            build: prefix_trie,
        },
        Peer {
            name: "ip_network_table",
            most_entries: usize::MAX,
            build: ip_network_table,
        },
        Peer {
            name: "poptrie",
            most_entries: POPTRIE,
            build: poptrie,
        },
        Peer {
            name: "maxminddb",
            most_entries: usize::MAX,
            build: maxminddb,
        },
    ]
}

/// A family in the types that crates know it by.
pub(crate) trait Bits: Family {
    /// An address as a number.
    type Number: poptrie::Address;
    /// A prefix: its network and its length.
    type Key: prefix_trie::Prefix + poptrie::Prefix<ADDRESS = Self::Number> + Copy;
    /// The family in a database of MaxMind's format.
    const VERSION: IpVersion;

    /// The address as a number.
    fn number_of(self) -> Self::Number;

    /// The prefix of a network.
    fn key(self, length: u8) -> Self::Key;
}

impl Bits for Ipv4Addr {
    type Number = u32;
    type Key = (u32, u8);
    const VERSION: IpVersion = IpVersion::V4;

    fn number_of(self) -> u32 {
        self.to_bits()
    }

    fn key(self, length: u8) -> (u32, u8) {
        (self.to_bits(), length)
    }
}

impl Bits for Ipv6Addr {
    type Number = u128;
    type Key = (u128, u8);
    const VERSION: IpVersion = IpVersion::V6;

    fn number_of(self) -> u128 {
        self.to_bits()
    }

    fn key(self, length: u8) -> (u128, u8) {
        (self.to_bits(), length)
    }
}

fn sum<'a, A: Family>(class: impl Fn(A) -> u16 + 'a) -> Lookups<'a, A> {
    Box::new(move |addresses| {
        addresses
            .iter()
            .map(|&address| u64::from(class(address)))
            .sum()
    })
}

/// The class of an entry, if one was found.
fn class_or_default(class: Option<&Class>) -> u16 {
    class.map_or(0, |class| class.number())
}

fn prefix_trie<A: Bits>(data: Data<'_, A>) -> Lookups<'_, A> {
    let table: prefix_trie::PrefixMap<A::Key, Class> = data
        .entries
        .iter()
        .map(|entry| {
            (
                entry.prefix.network().key(entry.prefix.length()),
                entry.class,
            )
        })
        .collect();
    sum(move |address: A| {
        let found = table.get_lpm(&address.key(A::WIDTH));
        class_or_default(found.map(|(_, class)| class))
    })
}

fn ip_network_table<A: Bits>(data: Data<'_, A>) -> Lookups<'_, A> {
    let mut table = IpNetworkTable::new();
    for Entry { prefix, class } in data.entries {
        let network: IpAddr = prefix.network().into();
        let network = IpNetwork::new(network, prefix.length()).expect("a network has no host bits");
        table.insert(network, *class);
    }
    sum(move |address: A| {
        let address: IpAddr = address.into();
        class_or_default(table.longest_match(address).map(|(_, class)| class))
    })
}

fn poptrie<A: Bits>(data: Data<'_, A>) -> Lookups<'_, A> {
    let mut table = poptrie::Poptrie::<A::Key, Class>::new();
    for Entry { prefix, class } in data.entries {
        table.insert(prefix.network().key(prefix.length()), *class);
    }
    sum(move |address: A| class_or_default(table.lookup(address.number_of())))
}

fn maxminddb<A: Bits>(data: Data<'_, A>) -> Lookups<'_, A> {
    let mut writer = Writer::builder("classes")
        .ip_version(A::VERSION)
        // An IPv6 address that carries an IPv4 address is one like any other here.
        .ipv4_aliasing(Ipv4Aliasing::Disabled)
        .build();
    // Entries come in the order of a walk, each before those inside of it, and the last one counts.
    for Entry { prefix, class } in data.entries {
        let prefix: ipnet::IpNet = (*prefix).into();
        writer
            .insert_value(prefix, Value::from(class.number()))
            .expect("a prefix of this family");
    }
    let file = writer.to_bytes().expect("a file");
    let reader = maxminddb::Reader::from_source(file).expect("a whole file");
    sum(move |address: A| {
        let address: IpAddr = address.into();
        let found = reader.lookup(address).expect("an address of this family");
        found.decode().expect("a number").unwrap_or(0)
    })
}
