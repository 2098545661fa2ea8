//! A table's image on its way into the kernel: written whole, frozen, read back. Needs root.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot have what it needs has failed"
)]

use std::net::Ipv4Addr;

use aya::{
    Ebpf, EbpfLoader,
    maps::{Map, MapData},
};
use geodrop::{
    Class,
    datapath::{image, object},
    range::{Labelled, Range},
    table::multibit::{self, Image},
};

const MAP: &str = "IPV4_IMAGE";

/// The image of a table in which one address is of a class.
fn image(address: Ipv4Addr) -> Image<Ipv4Addr> {
    let range = Range::new(address, address).unwrap();
    multibit::ipv4(&[Labelled::new(range, Class::new(1).unwrap())]).unwrap()
}

/// The maps of a kernel object, one of which is so large.
fn load(bytes: usize) -> Ebpf {
    object::load(
        &mut EbpfLoader::new(),
        object::LOOKUP_BENCH,
        &[(MAP, bytes)],
    )
    .expect("loading maps needs root")
}

fn map<'a>(ebpf: &'a Ebpf, name: &str) -> &'a MapData {
    match ebpf.map(name) {
        Some(Map::Array(data)) => data,
        other => panic!("{name} is {other:?}"),
    }
}

#[test]
fn a_map_is_as_large_as_its_image_and_no_other_changes() {
    for bytes in [4, 300_000, 5 << 20] {
        let ebpf = load(bytes);
        let size = |name| map(&ebpf, name).info().unwrap().value_size() as usize;
        assert_eq!(size(MAP), bytes);
        assert_eq!(size("IPV4_ADDRESSES"), 4);
        assert_eq!(size("IPV6_ADDRESSES"), 16);
    }
}

#[test]
fn an_image_is_written_once() {
    let image = image(Ipv4Addr::new(192, 0, 2, 1));
    let ebpf = load(image.bytes().len());
    image::fill(MAP, map(&ebpf, MAP), &image).unwrap();
    // It is frozen: nobody changes it any more.
    let error = image::fill(MAP, map(&ebpf, MAP), &image)
        .unwrap_err()
        .to_string();
    assert!(
        error.starts_with("filling table IPV4_IMAGE (") && error.contains("not permitted"),
        "{error}"
    );
}

#[test]
fn an_image_goes_into_no_map_of_another_size() {
    let image = image(Ipv4Addr::new(192, 0, 2, 1));
    let bytes = image.bytes().len();
    for other in [bytes - 8, bytes + 8] {
        let ebpf = load(other);
        let error = image::fill(MAP, map(&ebpf, MAP), &image)
            .unwrap_err()
            .to_string();
        assert!(error.contains("of another size"), "{error}");
    }
}

#[test]
fn a_table_that_is_not_the_one_that_was_put_in_is_found_out() {
    let [one, other] = [1, 2].map(|last| image(Ipv4Addr::new(192, 0, 2, last)));
    let ebpf = load(one.bytes().len());
    image::fill(MAP, map(&ebpf, MAP), &one).unwrap();
    image::verify(MAP, map(&ebpf, MAP), &one).unwrap();
    let error = image::verify(MAP, map(&ebpf, MAP), &other)
        .unwrap_err()
        .to_string();
    assert!(
        error.starts_with("table IPV4_IMAGE is not what was put in"),
        "{error}"
    );

    // One that nothing was put in.
    let empty = load(one.bytes().len());
    let error = image::verify(MAP, map(&empty, MAP), &one)
        .unwrap_err()
        .to_string();
    assert!(error.contains("not laid out"), "{error}");
}

#[test]
fn an_image_that_is_too_large_for_the_kernel_is_a_reason_for_another_engine() {
    // No kernel takes an element of 2 GiB; those before 6.0 say the same of more than 4 MiB.
    let error = object::load(
        &mut EbpfLoader::new(),
        object::LOOKUP_BENCH,
        &[(MAP, 1 << 31)],
    )
    .unwrap_err();
    assert!(error.is_of_engine(), "{error}");
    let error = error.to_string();
    assert!(
        error.contains("IPV4_IMAGE of 2147483648 bytes") && error.contains("`--engine lpm`"),
        "{error}"
    );
}

#[test]
fn a_map_that_an_object_does_not_have_is_an_error() {
    let error = object::with_value_sizes(object::LOOKUP_BENCH, &[("NO_MAP", 4)])
        .unwrap_err()
        .to_string();
    assert!(error.contains("has no map NO_MAP"), "{error}");
}
