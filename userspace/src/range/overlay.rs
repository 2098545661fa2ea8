//! One list of ranges laid over another.

use super::{Address, Labelled, Range};

/// Lays one list over another: an address gets its label of `top` if it has one there, else that of `base`.
///
/// Both lists must be sorted and disjoint; so is what comes out. Linear in the two lengths.
#[must_use]
pub fn overlay<A: Address, T: Copy>(
    base: &[Labelled<A, T>],
    top: &[Labelled<A, T>],
) -> Vec<Labelled<A, T>> {
    let mut both = without(base, top);
    both.extend_from_slice(top);
    // A stable sort merges two sorted runs in linear time.
    both.sort_by_key(|entry| entry.range.first);
    both
}

/// What is left of `base` outside of the ranges of `holes`.
fn without<A: Address, T: Copy>(
    base: &[Labelled<A, T>],
    holes: &[Labelled<A, T>],
) -> Vec<Labelled<A, T>> {
    let mut left = Vec::with_capacity(base.len() + holes.len());
    let mut holes = holes;
    for &Labelled { range, label } in base {
        // A hole that ends before this range touches no later one either.
        while let [hole, later @ ..] = holes
            && hole.range.last < range.first
        {
            holes = later;
        }
        let mut start = Some(range.first);
        for hole in holes
            .iter()
            .take_while(|hole| hole.range.first <= range.last)
        {
            push_if_any(&mut left, start, hole.range.first.predecessor(), label);
            start = hole.range.last.successor();
        }
        push_if_any(&mut left, start, Some(range.last), label);
    }
    left
}

/// Adds the range from `first` to `last`, if there are such addresses and they come in this order.
fn push_if_any<A: Address, T>(
    ranges: &mut Vec<Labelled<A, T>>,
    first: Option<A>,
    last: Option<A>,
    label: T,
) {
    if let (Some(first), Some(last)) = (first, last)
        && let Ok(range) = Range::new(first, last)
    {
        ranges.push(Labelled::new(range, label));
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use proptest::prelude::*;

    use super::*;
    use crate::range::{find, flatten};

    /// Any sorted, disjoint list of 64 addresses at either end of the address space.
    fn any_list(offset: u32) -> impl Strategy<Value = Vec<Labelled<Ipv4Addr, u8>>> {
        prop::collection::vec((0_u32..64, 0_u32..64, any::<u8>()), 0..16).prop_map(move |ranges| {
            let labelled = ranges.into_iter().map(|(a, b, label)| {
                let first = Ipv4Addr::from_bits(offset + a.min(b));
                let last = Ipv4Addr::from_bits(offset + a.max(b));
                Labelled::new(Range::new(first, last).unwrap(), label)
            });
            flatten(labelled.collect())
        })
    }

    proptest! {
        #[test]
        fn the_top_wins_and_the_base_shows_through(
            (offset, base, top) in prop_oneof![Just(0), Just(u32::MAX - 63)]
                .prop_flat_map(|offset| (Just(offset), any_list(offset), any_list(offset))),
        ) {
            let both = overlay(&base, &top);
            prop_assert!(both.windows(2).all(|pair| pair[0].range.last < pair[1].range.first));
            for address in (0..64).map(|address| Ipv4Addr::from_bits(offset + address)) {
                let label = |list| find(list, address).map(|entry: &Labelled<_, u8>| entry.label);
                prop_assert_eq!(label(&both), label(&top).or(label(&base)));
            }
        }
    }
}
