//! Every engine in the kernel gives each address the class that the ranges give it: at every boundary of the real
//! data, and at half a million random addresses of each family.
//!
//! `kernel_data.rs` tries verdicts, with frames; here it is the classes, all of them told apart.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot load a program has failed"
)]

use std::net::{Ipv4Addr, Ipv6Addr};

use aya::{
    Ebpf, EbpfLoader, Pod, include_bytes_aligned,
    maps::{Array, Map, MapData},
    programs::{TestRun as _, TestRunOptions, Xdp},
};
use geodrop::{
    Class,
    datapath::{fill, image, object},
    geoip,
    policy::{Classified, CountryRule, Policy, Ruleset},
    range::{Address, Labelled, Range, boundaries, find, join_adjacent},
    table::{Engine, lpm, multibit},
};

/// The programs that write down what they find.
static LOOKUP_TEST: &[u8] = include_bytes_aligned!(concat!(env!("OUT_DIR"), "/lookup_test"));

/// How many addresses stand in an element of the programs' arrays.
const PAGE: usize = 1024;

/// Random addresses of a family.
const RANDOM: usize = 500_000;

/// `XDP_PASS` of `include/uapi/linux/bpf.h`.
const XDP_PASS: u32 = 2;

/// The shortest frame that the kernel takes. Nobody reads it.
const FRAME: [u8; 14] = [0; 14];

/// What is different between the families.
trait Family: Address {
    /// Its name in the names of programs; in capitals, of maps.
    const NAME: &'static str;
    /// A page of addresses as the programs read them.
    type Page: Pod;

    fn page(addresses: &[Self]) -> Self::Page;
    fn image(ranges: &[Classified<Self>]) -> multibit::Image<Self>;
}

impl Family for Ipv4Addr {
    const NAME: &'static str = "ipv4";
    type Page = [u32; PAGE];

    fn page(addresses: &[Self]) -> Self::Page {
        let mut page = [0; PAGE];
        for (address, place) in addresses.iter().zip(&mut page) {
            *place = address.to_bits().to_be();
        }
        page
    }

    fn image(ranges: &[Classified<Self>]) -> multibit::Image<Self> {
        multibit::ipv4(ranges).unwrap()
    }
}

impl Family for Ipv6Addr {
    const NAME: &'static str = "ipv6";
    type Page = [u128; PAGE];

    fn page(addresses: &[Self]) -> Self::Page {
        let mut page = [0; PAGE];
        for (address, place) in addresses.iter().zip(&mut page) {
            *place = address.to_bits().to_be();
        }
        page
    }

    fn image(ranges: &[Classified<Self>]) -> multibit::Image<Self> {
        multibit::ipv6(ranges).unwrap()
    }
}

/// The addresses at which something changes, with their neighbours; and random ones, half of them uniform over the
/// address space, half over the ranges.
fn addresses<A: Address>(ranges: &[Classified<A>]) -> Vec<A> {
    let mut addresses: Vec<_> = boundaries(ranges).collect();
    addresses.sort_unstable();
    addresses.dedup();

    let mut random = fastrand::Rng::with_seed(1);
    for number in 0..RANDOM {
        let (first, last) = if number % 2 == 0 {
            (A::MIN, A::MAX)
        } else {
            let range = ranges[random.usize(..ranges.len())].range;
            (range.first(), range.last())
        };
        let number = random.u128(first.number()..=last.number());
        addresses.push(A::from_number(number).unwrap());
    }
    addresses
}

fn map<'a>(ebpf: &'a Ebpf, name: &str) -> &'a MapData {
    match ebpf.map(name) {
        Some(Map::Array(data) | Map::LpmTrie(data)) => data,
        other => panic!("{name} is {other:?}"),
    }
}

/// The maps of a table of one family, laid out for these engines, with room for so many pages of addresses.
fn load<A: Family>(ranges: &[Classified<A>], engines: &[Engine], pages: usize) -> Ebpf {
    let pages = u32::try_from(pages).unwrap();
    let name = A::NAME.to_uppercase();
    let (images, words) = (format!("{name}_IMAGE"), format!("{name}_WORDS"));
    let entries = if engines.contains(&Engine::Lpm) {
        lpm::prefixes(ranges)
    } else {
        Vec::new()
    };
    let table = A::image(ranges);
    let object = object::with_value_sizes(LOOKUP_TEST, &[(&images, table.bytes().len())]).unwrap();
    let ebpf = EbpfLoader::new()
        .override_global(&words, &u32::try_from(table.words().len()).unwrap(), true)
        .override_global(&format!("{name}_CELL_BITS"), &table.cell_bits(), true)
        .map_max_entries(&name, fill::capacity(entries.len()))
        .map_max_entries(&format!("{name}_ADDRESSES"), pages)
        .map_max_entries("FOUND", pages)
        .load(&object)
        .expect("loading maps needs root");
    fill::trie(&name, map(&ebpf, &name), &entries).unwrap();
    image::fill(&images, map(&ebpf, &images), &table).unwrap();
    ebpf
}

/// What an engine finds, address by address.
fn look_up<A: Family>(ebpf: &mut Ebpf, engine: Engine, count: usize) -> Vec<u16> {
    let mut runs: Array<_, u32> = ebpf.map_mut("RUNS").unwrap().try_into().unwrap();
    runs.set(0, 0, 0).unwrap();
    let symbol = format!("{engine}_{}", A::NAME);
    let program: &mut Xdp = ebpf.program_mut(&symbol).unwrap().try_into().unwrap();
    program.load().unwrap();
    let options = TestRunOptions {
        data_in: Some(&FRAME),
        repeat: u32::try_from(count).unwrap(),
        ..TestRunOptions::default()
    };
    assert_eq!(program.test_run(options).unwrap().return_value, XDP_PASS);

    let runs: Array<_, u32> = ebpf.map("RUNS").unwrap().try_into().unwrap();
    assert_eq!(runs.get(&0, 0).unwrap() as usize, count);
    let found: Array<_, [u16; PAGE]> = ebpf.map("FOUND").unwrap().try_into().unwrap();
    let pages = (0..found.len()).flat_map(|page| found.get(&page, 0).unwrap());
    pages.take(count).collect()
}

fn check<A: Family>(ranges: &[Classified<A>], engines: &[Engine]) {
    let addresses = addresses(ranges);
    let mut ebpf = load(ranges, engines, addresses.len().div_ceil(PAGE));
    let pages = ebpf.map_mut(&format!("{}_ADDRESSES", A::NAME.to_uppercase()));
    let mut pages: Array<_, A::Page> = pages.unwrap().try_into().unwrap();
    for (index, page) in (0..).zip(addresses.chunks(PAGE)) {
        pages.set(index, A::page(page), 0).unwrap();
    }
    for &engine in engines {
        let found = look_up::<A>(&mut ebpf, engine, addresses.len());
        for (&address, found) in addresses.iter().zip(found) {
            // The plain oracle: a search in the ranges.
            let said = find(ranges, address).map_or(Class::DEFAULT, |classified| classified.label);
            assert_eq!(found, said.number(), "{engine}: {address}");
        }
    }
}

fn check_both_families(policy: &Policy, least: usize) {
    let ruleset = Ruleset::new(policy, &geoip::builtin().unwrap().regions);
    let ranges = ruleset.ipv4().len() + ruleset.ipv6().len();
    assert!(ranges > least, "{ranges} ranges are not the real data");
    let engines = [Engine::Lpm, Engine::Multibit];
    check(ruleset.ipv4(), &engines);
    check(ruleset.ipv6(), &engines);
}

#[test]
fn every_engine_classes_china_hong_kong_and_macao_as_the_ranges_do() {
    check_both_families(&Policy::default(), 10_000);
}

#[test]
fn every_engine_classes_the_world_with_its_countries_told_apart_as_the_ranges_do() {
    let policy = Policy {
        countries: CountryRule::Only([].into()),
        ..Policy::default()
    };
    check_both_families(&policy, 400_000);
}

/// Ranges that cover the whole address space, each a number of prefixes of `bits` bits.
fn random_ranges<A: Address>(count: usize, bits: u8) -> Vec<Classified<A>> {
    let mut random = fastrand::Rng::with_seed(2);
    let hosts = A::MAX.number() >> bits;
    let mut firsts: Vec<u128> = (0..count)
        .map(|_| random.u128(..=A::MAX.number()) & !hosts)
        .chain([0])
        .collect();
    firsts.sort_unstable();
    firsts.dedup();
    let lasts = firsts.iter().skip(1).map(|next| next - 1);
    let address = |number| A::from_number(number).unwrap();
    let mut ranges: Vec<_> = firsts
        .iter()
        .zip(lasts.chain([A::MAX.number()]))
        .map(|(&first, last)| {
            let range = Range::new(address(first), address(last)).unwrap();
            Labelled::new(range, Class::new(random.u16(1..512)).unwrap())
        })
        .collect();
    join_adjacent(&mut ranges);
    ranges
}

#[test]
fn a_table_with_more_leaves_than_16_bits_count_is_looked_up_in_as_well() {
    // Prefixes, so many, would fill the kernel's trie for minutes.
    let engines = [Engine::Multibit];
    let ranges = random_ranges::<Ipv4Addr>(700_000, 32);
    assert_eq!(Ipv4Addr::image(&ranges).cell_bits(), 32);
    check(&ranges, &engines);
    let ranges = random_ranges::<Ipv6Addr>(300_000, 64);
    assert_eq!(Ipv6Addr::image(&ranges).cell_bits(), 32);
    check(&ranges, &engines);
}
