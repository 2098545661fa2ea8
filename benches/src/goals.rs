//! What the default engine is to reach.

use std::time::Duration;

use crate::{
    measure::Estimate,
    tables::{Countries, Table},
    traffic::Traffic,
};

/// How many times less a lookup is to cost than in the kernel's trie.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Goal {
    /// At least so many times.
    pub target: f64,
    /// If it can be done, so many times.
    pub aim: f64,
}

impl Goal {
    /// The goal of a row; `None` where there is none.
    #[must_use]
    pub fn of(family: &str, table: Table, traffic: Traffic) -> Option<Self> {
        let Table::Countries(countries) = table else {
            return None;
        };
        #[allow(
            clippy::match_same_arms,
            reason = "a line for each row, as the goals are told, and so some are the same"
        )]
        let (target, aim) = match (family, countries, traffic) {
            ("ipv4", Countries::China, Traffic::Uniform) => (15.0, 20.0),
            ("ipv4", Countries::China, Traffic::OverRanges) => (25.0, 40.0),
            ("ipv4", Countries::World, Traffic::Uniform) => (20.0, 30.0),
            ("ipv4", Countries::World, Traffic::OverRanges) => (40.0, 65.0),
            ("ipv6", Countries::China, Traffic::Uniform) => (5.0, 8.0),
            ("ipv6", Countries::China, Traffic::OverRanges) => (15.0, 25.0),
            ("ipv6", Countries::World, Traffic::Uniform) => (5.0, 8.0),
            ("ipv6", Countries::World, Traffic::OverRanges) => (25.0, 40.0),
            _ => return None,
        };
        Some(Self { target, aim })
    }

    /// Whether a ratio reaches the target: the lower end of its interval does.
    #[must_use]
    pub fn is_met(&self, ratio: &Estimate) -> bool {
        ratio.low >= self.target
    }
}

/// How many rows have a goal.
pub const ROWS: usize = 8;

/// What the geometric mean of the rows that have a goal is to be at least.
pub const GEOMETRIC_MEAN: f64 = 20.0;

/// How much memory of the kernel the tables of both families may take; `None` where there is no goal.
#[must_use]
pub const fn memory(countries: Countries) -> Option<u64> {
    match countries {
        Countries::China => Some(2 << 20),
        Countries::World => Some(24 << 20),
        Countries::Own => None,
    }
}

/// How long it may take from the ranges of both families to tables in the kernel; `None` where there is no goal.
#[must_use]
pub const fn ready(countries: Countries) -> Option<Duration> {
    match countries {
        Countries::China => Some(Duration::from_millis(10)),
        Countries::World => Some(Duration::from_millis(150)),
        Countries::Own => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn eight_rows_have_a_goal() {
        let mut goals = 0;
        for family in ["ipv4", "ipv6"] {
            for table in Table::ALL {
                for traffic in Traffic::ALL {
                    if let Some(goal) = Goal::of(family, table, traffic) {
                        assert!(goal.target < goal.aim);
                        goals += 1;
                    }
                }
            }
        }
        assert_eq!(goals, 8);
    }

    #[test]
    fn a_goal_is_met_when_the_lower_end_of_the_interval_reaches_it() {
        let goal = Goal {
            target: 15.0,
            aim: 20.0,
        };
        for (low, median, met) in [
            (15.0, 15.1, true),
            (14.99, 22.0, false),
            (3.0, 4.0, false),
            (21.0, 22.0, true),
        ] {
            let ratio = Estimate {
                median,
                low,
                high: 30.0,
            };
            assert_eq!(goal.is_met(&ratio), met, "{ratio}");
        }
    }
}
