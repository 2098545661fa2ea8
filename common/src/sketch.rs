//! How many distinct sources there were, in a kilobyte: a `HyperLogLog` (Flajolet, Fusy, Gandouet, Meunier, 2007).
//!
//! A hash of the address chooses one of [`REGISTERS`] registers, and another part of it gives a rank: how many zeros it
//! starts with, and one. A register keeps the highest rank that it has seen. The kernel program only does that; what
//! the registers say is computed where there are floating-point numbers. The standard error is 1.04/√1024 = 3.25 %.
//!
//! Addresses are counted as they are: a host of many IPv6 addresses counts as many.

use crate::address::Address;

/// How many registers a sketch has. A power of two, so that a mask bounds an index.
pub const REGISTERS: usize = 1024;

const MASK: u64 = 1023;
const _: () = assert!(MASK + 1 == REGISTERS as u64);

/// The standard error of an estimate, as a share of it.
pub const STANDARD_ERROR: f64 = 1.04 / 32.0;
const _: () = assert!(32 * 32 == REGISTERS);

/// The highest rank: of 32 bits that are all zero. Only of 2³² sources a register would it be reached.
pub const HIGHEST: u8 = 33;

/// What one address leaves in a sketch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    register: usize,
    rank: u8,
}

impl Mark {
    /// The mark of an address.
    #[inline(always)]
    #[must_use]
    #[allow(
        clippy::cast_possible_truncation,
        reason = "the mask and the shift have cut off all that does not fit"
    )]
    pub const fn of(address: Address) -> Self {
        let hash = address.hash();
        let upper = (hash >> 32) as u32;
        Self {
            register: (hash & MASK) as usize,
            rank: upper.leading_zeros() as u8 + 1,
        }
    }

    /// The register that it belongs in, below [`REGISTERS`].
    #[inline(always)]
    #[must_use]
    pub const fn register(self) -> usize {
        self.register
    }

    /// The least that the register has to be, from 1 to 33.
    #[inline(always)]
    #[must_use]
    pub const fn rank(self) -> u8 {
        self.rank
    }

    /// Whether a register is less than that. Mostly it is not: then nothing need be written, and the cache line stays
    /// shared.
    #[inline(always)]
    #[must_use]
    pub const fn is_new_to(self, register: u8) -> bool {
        register < self.rank
    }
}

/// The registers: the value of a BPF map. Empty when all zero, as an element of an array map is at first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Sketch {
    registers: [u8; REGISTERS],
}

impl Sketch {
    /// Of no sources.
    pub const EMPTY: Self = Self::new([0; REGISTERS]);

    /// The sketch of these registers.
    #[must_use]
    pub const fn new(registers: [u8; REGISTERS]) -> Self {
        Self { registers }
    }

    /// Notes a source.
    pub fn note(&mut self, mark: Mark) {
        if let Some(register) = self.registers.get_mut(mark.register)
            && mark.is_new_to(*register)
        {
            *register = mark.rank;
        }
    }

    /// Adds the sources of another sketch: those in both count once.
    pub fn merge(&mut self, other: &Self) {
        for (ours, theirs) in self.registers.iter_mut().zip(other.registers) {
            *ours = theirs.max(*ours);
        }
    }

    /// How many distinct sources there were, about.
    ///
    /// Ertl's improved estimator (New cardinality estimation algorithms for `HyperLogLog` sketches, 2017, algorithm 6),
    /// which is right from none on, where the original one wants a table of corrections. Without what it does about
    /// registers at the highest rank, for there are no such numbers of sources.
    #[cfg(not(target_arch = "bpf"))]
    #[must_use]
    pub fn estimate(&self) -> f64 {
        // 1 / (2 ln 2).
        const ALPHA: f64 = 0.721_347_520_444_481_7;
        const COUNT: f64 = 1024.0;
        let registers_of = |rank| {
            let found = self.registers.iter().filter(|register| **register == rank);
            // One by one, for a count of up to 1024 as a float is exact.
            found.fold(0.0, |count, _| count + 1.0)
        };
        let harmonic = (1..=HIGHEST)
            .rev()
            .fold(0.0, |sum, rank| 0.5 * (sum + registers_of(rank)));
        let empty = COUNT * sigma(registers_of(0) / COUNT);
        ALPHA * COUNT * COUNT / (harmonic + empty)
    }
}

/// x + Σ x^(2^k) 2^(k-1) from k = 1 on: what the registers that are still empty weigh.
#[cfg(not(target_arch = "bpf"))]
fn sigma(share: f64) -> f64 {
    if share >= 1.0 {
        return f64::INFINITY;
    }
    let (mut power, mut weight, mut sum) = (share, 1.0, share);
    // The power is squared at every step: of a share of 1023/1024 it is 0 after 20 of them.
    for _ in 0..32 {
        power *= power;
        sum += power * weight;
        weight += weight;
    }
    sum
}

#[cfg(test)]
mod tests {
    use core::net::Ipv6Addr;

    use super::*;

    const COUNTS: [u32; 11] = [
        10, 20, 50, 100, 300, 1000, 3000, 10_000, 30_000, 100_000, 1_000_000,
    ];

    /// A name, and the address of a number.
    type Kind = (&'static str, fn(u32) -> Address);

    /// Sources that are numbered in ways that real ones are.
    const KINDS: [Kind; 6] = [
        ("IPv4, one behind the other", |number| {
            Address::ipv4((0x0a00_0000 + number).to_be_bytes())
        }),
        ("IPv4, one of each /24", |number| {
            Address::ipv4((number << 8 | 1).to_be_bytes())
        }),
        ("IPv4, all over", |number| {
            Address::ipv4(number.wrapping_mul(0x9e37_79b1).to_be_bytes())
        }),
        ("IPv6, one behind the other", |number| {
            v6(0x2400_3200_0000_0000, number.into())
        }),
        ("IPv6, one of each /64", |number| {
            v6(0x2400_3200_0000_0000 + u64::from(number), 1)
        }),
        ("IPv6, of one maker", |number| {
            v6(
                0x2400_3200_0000_0001,
                0x0200_5eff_fe00_0000 + u64::from(number),
            )
        }),
    ];

    fn v6(prefix: u64, interface: u64) -> Address {
        let address = Ipv6Addr::from_bits(u128::from(prefix) << 64 | u128::from(interface));
        Address::ipv6(address.octets())
    }

    /// Three standard errors are 9.75 %: of a thousand sets of sources two are farther off, none of these.
    #[test]
    #[cfg_attr(miri, ignore = "takes Miri minutes")]
    fn the_estimate_is_within_a_tenth() {
        for (name, address) in KINDS {
            let mut sketch = Sketch::EMPTY;
            let mut noted = 0;
            for count in COUNTS {
                (noted..count).for_each(|number| sketch.note(Mark::of(address(number))));
                noted = count;
                let error = sketch.estimate() / f64::from(count) - 1.0;
                assert!(error.abs() < 0.1, "{name}: {count} are off by {error:+.3}");
            }
        }
    }

    #[test]
    fn none_is_none_and_the_same_again_is_one() {
        let mut sketch = Sketch::EMPTY;
        assert!(sketch.estimate().abs() < f64::EPSILON);
        for _ in 0..1000 {
            sketch.note(Mark::of(Address::ipv4([192, 0, 2, 1])));
        }
        assert!(
            (sketch.estimate() - 1.0).abs() < 0.01,
            "{}",
            sketch.estimate()
        );
    }

    #[test]
    fn merged_is_as_if_noted_together() {
        let [mut left, mut right, mut both] = [Sketch::EMPTY; 3];
        for number in 0..300_u32 {
            let mark = Mark::of(Address::ipv4(number.to_be_bytes()));
            both.note(mark);
            if number < 200 {
                left.note(mark);
            }
            if number >= 100 {
                right.note(mark);
            }
        }
        left.merge(&right);
        assert_eq!(left, both);
    }

    #[test]
    fn marks_are_within_bounds() {
        for (_, address) in KINDS {
            for number in 0..1000 {
                let mark = Mark::of(address(number));
                assert!(mark.register() < REGISTERS && (1..=HIGHEST).contains(&mark.rank()));
            }
        }
    }

    /// Whatever stands in the registers, the estimate is a number.
    #[test]
    fn any_registers_have_an_estimate() {
        for register in 0..=u8::MAX {
            let estimate = Sketch::new([register; REGISTERS]).estimate();
            assert!(estimate >= 0.0, "{register}: {estimate}");
        }
    }
}
