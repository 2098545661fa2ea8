//! How many packets a second something is done about: so many are answered, so that who floods us cannot make us flood
//! another, and of so many somebody who watches is told.
//!
//! A token bucket without tokens: all that is kept is when the next packet would be on time, were they sent at the
//! limited rate (the generic cell rate algorithm, ITU-T I.371 annex A, as virtual scheduling). It lets through what a
//! bucket of the same rate and depth lets through, and needs neither division nor fractions of tokens.

const SECOND_NS: u64 = 1_000_000_000;

/// A rate, and how much at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Rate {
    /// The time that one packet takes at this rate.
    pub interval_ns: u64,
    /// The time that a burst takes: how far ahead of time a packet may be.
    pub burst_ns: u64,
}

impl Rate {
    /// So many packets a second, up to `burst` of them at once. With 0 of either, none ever.
    ///
    /// A bucket that every CPU has for itself lets through its rate on each of them.
    #[must_use]
    pub const fn per_second(packets: u32, burst: u32) -> Self {
        if packets == 0 {
            return Self {
                interval_ns: u64::MAX,
                burst_ns: 0,
            };
        }
        // Rounded up, so that it is never more than was asked for. `u64::from` is not const.
        let interval_ns = SECOND_NS.div_ceil(packets as u64);
        Self {
            interval_ns,
            burst_ns: interval_ns * burst as u64,
        }
    }
}

/// The state of one bucket. Full when it is all zero, as an element of a BPF map is at first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Bucket {
    /// When what has been let through would have been sent, at the limited rate.
    pub busy_until_ns: u64,
}

impl Bucket {
    /// Whether a packet may be sent now.
    #[inline(always)]
    #[must_use]
    pub const fn has_room(self, rate: Rate, now_ns: u64) -> bool {
        self.after_one_more(rate, now_ns) <= now_ns.saturating_add(rate.burst_ns)
    }

    /// When one packet more, sent now, would have been sent at the limited rate.
    #[inline(always)]
    const fn after_one_more(self, rate: Rate, now_ns: u64) -> u64 {
        // A bucket that has been idle is full, and no more than full.
        let from = if self.busy_until_ns > now_ns {
            self.busy_until_ns
        } else {
            now_ns
        };
        from.saturating_add(rate.interval_ns)
    }

    /// Whether a packet may be sent now, which it then counts as.
    ///
    /// For a bucket that one CPU has for itself: two that share one may both be let through for one token.
    #[inline(always)]
    pub const fn take(&mut self, rate: Rate, now_ns: u64) -> bool {
        let has_room = self.has_room(rate, now_ns);
        if has_room {
            self.busy_until_ns = self.after_one_more(rate, now_ns);
        }
        has_room
    }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use proptest::prelude::*;

    use super::*;

    /// How many of `count` packets, one every `gap`, are let through from `start` on.
    fn passed(bucket: &mut Bucket, rate: Rate, start: u64, gap: u64, count: u64) -> u64 {
        let times = (0..count).map(|number| start + number * gap);
        times.map(|now| u64::from(bucket.take(rate, now))).sum()
    }

    #[test]
    fn a_burst_then_the_rate() {
        let rate = Rate::per_second(100, 5);
        let mut bucket = Bucket::default();
        let now = 7 * SECOND_NS;
        assert_eq!(passed(&mut bucket, rate, now, 0, 1000), 5, "all at once");
        // A million in ten seconds: a hundred a second, the first of them after one interval.
        let in_ten_seconds = passed(&mut bucket, rate, now, 10_000, 1_000_001);
        assert_eq!(in_ten_seconds, 1000, "a flood");
        let later = now + 3600 * SECOND_NS;
        assert_eq!(
            passed(&mut bucket, rate, later, 0, 1000),
            5,
            "all at once, an hour later"
        );
        let slower = passed(&mut bucket, rate, later + SECOND_NS, 10_000_000, 500);
        assert_eq!(slower, 500, "at the rate");
    }

    #[test]
    fn the_first_packets_after_boot_find_it_full() {
        let mut bucket = Bucket::default();
        assert_eq!(passed(&mut bucket, Rate::per_second(1, 3), 0, 0, 9), 3);
    }

    #[test]
    fn nothing_is_none() {
        for (rate, burst) in [(0, 0), (0, 9), (9, 0)] {
            let mut bucket = Bucket::default();
            let rate = Rate::per_second(rate, burst);
            assert_eq!(passed(&mut bucket, rate, SECOND_NS, SECOND_NS, 100), 0);
        }
    }

    #[test]
    fn the_end_of_time_is_no_overflow() {
        let mut bucket = Bucket {
            busy_until_ns: u64::MAX,
        };
        assert!(!bucket.take(Rate::per_second(1, 1), 0));
        let _ = bucket.take(Rate::per_second(1, u32::MAX), u64::MAX);
        let _ = Bucket::default().take(Rate::per_second(u32::MAX, u32::MAX), u64::MAX);
    }

    proptest! {
        /// The same as a bucket with tokens, in fractions that are exact.
        #[test]
        #[cfg_attr(miri, ignore = "takes Miri minutes")]
        fn it_is_a_token_bucket(
            packets in 1..100_000_u32,
            burst in 0..100_u32,
            gaps in prop::collection::vec(0..3_000_000_u64, 1..200),
        ) {
            let rate = Rate::per_second(packets, burst);
            let mut bucket = Bucket::default();
            let (mut now, mut tokens) = (SECOND_NS, rate.burst_ns);
            for gap in gaps {
                now += gap;
                tokens = rate.burst_ns.min(tokens + gap);
                let is_enough = tokens >= rate.interval_ns;
                if is_enough {
                    tokens -= rate.interval_ns;
                }
                prop_assert_eq!(bucket.has_room(rate, now), is_enough);
                prop_assert_eq!(bucket.take(rate, now), is_enough);
            }
        }
    }
}
