//! The ranges of one family, as columns.
//!
//! | bytes | what |
//! |---|---|
//! | 4 | how many ranges there are: n |
//! | 4 | how many countries there are: m |
//! | 2 m | the countries, in order of their codes |
//! | n | of each range, the place of its country among them |
//! | n | of each range, the tag of its gap: how many addresses lie between the range before and this one |
//! | n | of each range, the tag of its length: how many addresses it has; 0 stands for the whole of IPv6 |
//! | … | of each range, what the tags of its gap and its length leave open |
//!
//! Nearly all gaps are zero, and most lengths are a power of two or a few of them, so a number is written as
//! an odd number shifted to the left. Its tag is, for
//!
//! - 0 … 127: that power of two;
//! - 128 … 254: an odd number greater than one, shifted by the tag less 128. The odd number, halved and
//!   rounded down, stands in the last column: seven bits a byte, the lowest first, the highest bit of a byte
//!   set where more follow (LEB128);
//! - 255: zero.
//!
//! Columns of one kind of thing are what zstd packs best, and a gap and a length that cannot be negative
//! leave no way to write ranges that are unsorted or overlap.

use std::io;

use super::SnapshotError;
use crate::{
    geoip::{Country, Located},
    range::{Address, Labelled, Range},
};

const SHIFTED: u8 = 128;
const ZERO: u8 = 255;

/// Writes the columns of sorted, disjoint ranges.
pub(super) fn encode<A: Address>(ranges: &[Located<A>]) -> Result<Vec<u8>, SnapshotError> {
    let mut countries: Vec<Country> = ranges.iter().map(|located| located.label).collect();
    countries.sort_unstable();
    countries.dedup();

    let (mut gaps, mut lengths, mut odds) = (Vec::new(), Vec::new(), Vec::new());
    let mut next = 0;
    for Labelled { range, .. } in ranges {
        let after_last = range.last().number().wrapping_add(1);
        gaps.push(write_number(
            range.first().number().wrapping_sub(next),
            &mut odds,
        ));
        lengths.push(write_number(
            after_last.wrapping_sub(range.first().number()),
            &mut odds,
        ));
        next = after_last;
    }

    let count = |count: usize| {
        u32::try_from(count)
            .map(u32::to_le_bytes)
            .map_err(io::Error::other)
    };
    let mut columns = Vec::new();
    columns.extend(count(ranges.len())?);
    columns.extend(count(countries.len())?);
    columns.extend(countries.iter().flat_map(|country| country.code()));
    for located in ranges {
        // There are fewer countries than a byte can tell apart, as `Country::COUNT` says, and each is there.
        const { assert!(Country::COUNT <= 256) };
        let place = countries.partition_point(|country| *country < located.label);
        columns.push(u8::try_from(place).unwrap_or(u8::MAX));
    }
    columns.extend(gaps);
    columns.extend(lengths);
    columns.extend(odds);
    Ok(columns)
}

/// Reads the columns: sorted, disjoint ranges, or an error.
pub(super) fn decode<A: Address>(columns: &[u8]) -> Result<Vec<Located<A>>, SnapshotError> {
    let (count, columns) = split_count(columns)?;
    let (country_count, columns) = split_count(columns)?;
    let (codes, columns) = split(columns, country_count.saturating_mul(2))?;
    let countries = codes
        .as_chunks()
        .0
        .iter()
        .map(|code| Country::from_code(*code).ok_or(SnapshotError::Malformed("a country is none")))
        .collect::<Result<Vec<_>, _>>()?;
    let (places, columns) = split(columns, count)?;
    let (gaps, columns) = split(columns, count)?;
    let (lengths, mut odds) = split(columns, count)?;

    let mut ranges = Vec::with_capacity(count);
    // The number of the address after the last range; none after the last address of all.
    let mut next = Some(0_u128);
    for ((&place, &gap), &length) in places.iter().zip(gaps).zip(lengths) {
        let range = (|| {
            let first = next?.checked_add(read_number(gap, &mut odds)?)?;
            let last = first.checked_add(read_number(length, &mut odds)?.wrapping_sub(1))?;
            next = last.checked_add(1);
            Range::new(A::from_number(first)?, A::from_number(last)?).ok()
        })()
        .ok_or(SnapshotError::Malformed("a range is none"))?;
        let country = countries
            .get(usize::from(place))
            .ok_or(SnapshotError::Malformed("a country is missing"))?;
        ranges.push(Labelled::new(range, *country));
    }
    if odds.is_empty() {
        Ok(ranges)
    } else {
        Err(SnapshotError::Malformed(
            "its columns go on behind their end",
        ))
    }
}

fn split_count(columns: &[u8]) -> Result<(usize, &[u8]), SnapshotError> {
    let (count, rest) = columns.split_first_chunk().ok_or(SHORT)?;
    Ok((
        usize::try_from(u32::from_le_bytes(*count)).unwrap_or(usize::MAX),
        rest,
    ))
}

fn split(columns: &[u8], length: usize) -> Result<(&[u8], &[u8]), SnapshotError> {
    columns.split_at_checked(length).ok_or(SHORT)
}

const SHORT: SnapshotError = SnapshotError::Malformed("its columns are too short");

/// Writes a number: gives its tag, and adds to `odds` what the tag leaves open.
fn write_number(number: u128, odds: &mut Vec<u8>) -> u8 {
    if number == 0 {
        return ZERO;
    }
    #[allow(
        clippy::cast_possible_truncation,
        reason = "at most 127, as the number is not zero"
    )]
    let shift = number.trailing_zeros() as u8;
    let mut half = number >> shift >> 1;
    if half == 0 {
        return shift;
    }
    while half > 0x7f {
        odds.push(half.to_le_bytes()[0] | 0x80);
        half >>= 7;
    }
    odds.push(half.to_le_bytes()[0]);
    SHIFTED + shift
}

/// Reads a number that [`write_number`] wrote; `None` when no number is written so.
fn read_number(tag: u8, odds: &mut &[u8]) -> Option<u128> {
    match tag {
        ZERO => Some(0),
        ..SHIFTED => Some(1 << tag),
        _ => {
            let mut half = 0_u128;
            for place in (0..u128::BITS).step_by(7) {
                let (byte, rest) = odds.split_first()?;
                *odds = rest;
                half |= u128::from(byte & 0x7f) << place;
                if byte & 0x80 == 0 {
                    let shift = u32::from(tag - SHIFTED) + 1;
                    let fits = half.leading_zeros() >= shift;
                    return fits.then(|| (half << 1 | 1) << (shift - 1));
                }
            }
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn numbers_are_short_where_they_are_common() {
        let written = |number| {
            let mut odds = Vec::new();
            let tag = write_number(number, &mut odds);
            (tag, odds)
        };
        assert_eq!(written(0), (255, vec![]));
        assert_eq!(written(1), (0, vec![]));
        assert_eq!(written(256), (8, vec![]));
        assert_eq!(written(768), (128 + 8, vec![1]));
        assert_eq!(written(1 << 127), (127, vec![]));
        assert_eq!(written(0x1_01), (128, vec![0x80, 1]));
    }

    #[test]
    fn a_number_that_does_not_fit_is_none() {
        assert_eq!(read_number(128, &mut [].as_slice()), None);
        assert_eq!(read_number(128, &mut [0x80; 19].as_slice()), None);
        assert_eq!(read_number(128 + 126, &mut [2].as_slice()), None);
        assert_eq!(read_number(128 + 126, &mut [1].as_slice()), Some(3 << 126));
    }

    proptest! {
        #[test]
        fn any_number_is_read_as_it_was_written(number: u128, shift in 0_u32..128) {
            for number in [number, number >> shift, number << shift] {
                let mut odds = Vec::new();
                let tag = write_number(number, &mut odds);
                let mut odds = odds.as_slice();
                prop_assert_eq!(read_number(tag, &mut odds), Some(number));
                prop_assert!(odds.is_empty());
            }
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..64), count in 0_u32..6) {
            let _: Result<Vec<Located<std::net::Ipv6Addr>>, _> = decode(&bytes);
            let plausible = [&count.to_le_bytes()[..], &[1, 0, 0, 0], b"CN", &bytes].concat();
            if let Ok(ranges) = decode::<std::net::Ipv4Addr>(&plausible) {
                prop_assert!(ranges.is_sorted_by(|one, next| one.range.last() < next.range.first()));
            }
        }
    }
}
