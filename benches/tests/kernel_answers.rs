//! The programs that are measured look up what they should: a fast wrong answer would be no figure.

#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot load a program has failed"
)]

use std::net::{Ipv4Addr, Ipv6Addr};

use geodrop::{
    Class,
    range::{Prefix, find},
};
use geodrop_bench::{
    basis::Basis,
    built::ENGINES,
    family::Family,
    kernel::{Lookups, Program, Tables},
    measure::stay_on_this_cpu,
    privilege::Privilege,
    tables::{Countries, Table, real_prefixes},
    traffic::Traffic,
};

/// `XDP_DROP` and `XDP_PASS` of `include/uapi/linux/bpf.h`.
const XDP_DROP: u32 = 1;
const XDP_PASS: u32 = 2;

const ADDRESSES: u32 = 1 << 12;

fn check_all<A: Family>(basis: &Basis) {
    let real = real_prefixes::<A>(basis.regions());
    for table in [
        Table::Countries(Countries::China),
        Table::Countries(Countries::World),
        Table::TenThousand,
    ] {
        check(basis, table, &real);
    }
}

fn check<A: Family>(basis: &Basis, table: Table, real: &[Prefix<A>]) {
    let ranges = table.ranges(basis, real);
    let tables = Tables::new(&ranges).unwrap();
    for privilege in Privilege::ALL {
        let mut lookups = Lookups::load(&tables, ADDRESSES, privilege).unwrap();
        for traffic in Traffic::ALL {
            let addresses = traffic.addresses(&ranges, real, ADDRESSES);
            lookups.look_up(&addresses).unwrap();
            for engine in ENGINES {
                for &address in &addresses {
                    // The plain oracle: a search in the ranges.
                    let class = find(&ranges, address).map_or(Class::DEFAULT, |found| found.label);
                    let expected = if class.number().is_multiple_of(2) {
                        XDP_PASS
                    } else {
                        XDP_DROP
                    };
                    assert_eq!(
                        lookups.action(Program::Lookup(engine)).unwrap(),
                        expected,
                        "{engine} {privilege:?} {}: {address}: {class:?}",
                        table.name(),
                    );
                }
            }
        }
    }
}

#[test]
fn every_engine_gives_each_address_its_class_with_and_without_perfmon() {
    stay_on_this_cpu().unwrap();
    let basis = Basis::builtin().unwrap();
    check_all::<Ipv4Addr>(&basis);
    check_all::<Ipv6Addr>(&basis);
}

/// The figures without `CAP_PERFMON` would be those with it, were what is loaded the same.
#[test]
fn without_perfmon_the_verifier_masks_what_is_read() {
    let basis = Basis::builtin().unwrap();
    let table = Table::Countries(Countries::China);
    let ranges = table.ranges::<Ipv4Addr>(&basis, &[]);
    let tables = Tables::new(&ranges).unwrap();
    let size = |privilege| {
        let lookups = Lookups::load(&tables, ADDRESSES, privilege).unwrap();
        Program::ALL.map(|program| lookups.translated_size(program).unwrap())
    };
    let (masked, plain) = (size(Privilege::WithoutPerfmon), size(Privilege::Full));
    for (program, (masked, plain)) in Program::ALL.into_iter().zip(masked.into_iter().zip(plain)) {
        assert!(masked > plain, "{program:?}: {masked} {plain}");
    }
}
