//! Two lists of ranges side by side.

use super::{Address, Labelled, Range};

/// What two lists say of the same addresses: the ranges in which neither changes what it says, in order. Addresses that
/// neither speaks of are left out.
///
/// Both lists must be sorted and disjoint; so is what comes out. Linear in the two lengths.
pub fn align<A: Address, T: Copy, U: Copy>(
    mut one: &[Labelled<A, T>],
    mut other: &[Labelled<A, U>],
) -> impl Iterator<Item = Labelled<A, (Option<T>, Option<U>)>> {
    let mut place = Some(A::MIN);
    std::iter::from_fn(move || {
        loop {
            let first = place?;
            one = from(one, first);
            other = from(other, first);
            let (label, change) = at(one, first);
            let (label_of_other, change_of_other) = at(other, first);
            // Where one of them changes what it says: behind the end of this range.
            let change = match (change, change_of_other) {
                (Some(one), Some(other)) => Some(one.min(other)),
                (one, other) => one.or(other),
            };
            place = change;
            if label.is_none() && label_of_other.is_none() {
                continue;
            }
            let last = change.and_then(A::predecessor).unwrap_or(A::MAX);
            let label = (label, label_of_other);
            return Some(Labelled::new(Range { first, last }, label));
        }
    })
}

/// The ranges that do not end before an address.
fn from<A: Address, T>(mut list: &[Labelled<A, T>], address: A) -> &[Labelled<A, T>] {
    while let [entry, later @ ..] = list
        && entry.range.last < address
    {
        list = later;
    }
    list
}

/// What a list says of an address, and where it says something else next, if anywhere.
fn at<A: Address, T: Copy>(list: &[Labelled<A, T>], address: A) -> (Option<T>, Option<A>) {
    match list.first() {
        None => (None, None),
        Some(entry) if entry.range.first <= address => {
            (Some(entry.label), entry.range.last.successor())
        }
        Some(entry) => (None, Some(entry.range.first)),
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use proptest::prelude::*;

    use super::*;
    use crate::range::{find, flatten};

    type List = Vec<Labelled<Ipv4Addr, u8>>;

    /// Any sorted, disjoint list of 64 addresses at either end of the address space.
    fn any_list(offset: u32) -> impl Strategy<Value = List> {
        prop::collection::vec((0_u32..64, 0_u32..64, any::<u8>()), 0..16).prop_map(move |ranges| {
            let labelled = ranges.into_iter().map(|(a, b, label)| {
                let first = Ipv4Addr::from_bits(offset + a.min(b));
                let last = Ipv4Addr::from_bits(offset + a.max(b));
                Labelled::new(Range::new(first, last).unwrap(), label)
            });
            flatten(labelled.collect())
        })
    }

    #[test]
    fn nothing_beside_nothing_is_nothing() {
        let nothing: List = Vec::new();
        assert_eq!(align(&nothing, &nothing).count(), 0);
        let all = vec![Labelled::new(Range::<Ipv4Addr>::ALL, 7)];
        let pieces: Vec<_> = align(&all, &nothing).collect();
        assert_eq!(pieces, [Labelled::new(Range::ALL, (Some(7), None))]);
    }

    proptest! {
        #[test]
        fn each_address_has_what_both_lists_say_of_it(
            (offset, one, other) in prop_oneof![Just(0), Just(u32::MAX - 63)]
                .prop_flat_map(|offset| (Just(offset), any_list(offset), any_list(offset))),
        ) {
            let both: Vec<_> = align(&one, &other).collect();
            prop_assert!(both.windows(2).all(|pair| pair[0].range.last < pair[1].range.first));
            for address in (0..64).map(|address| Ipv4Addr::from_bits(offset + address)) {
                let label = |list: &List| find(list, address).map(|entry| entry.label);
                let truth = (label(&one), label(&other));
                let found = find(&both, address).map_or((None, None), |entry| entry.label);
                prop_assert_eq!(found, truth);
            }
        }
    }
}
