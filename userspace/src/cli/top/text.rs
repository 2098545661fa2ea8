//! Numbers and histories in few characters.

use geodrop::top::Series;

use super::super::table::NOTHING;

/// A number in five characters at most: `0.4`, `12`, `999`, `1.2k`, `81.5M`, `120G`.
pub(super) fn scaled(number: f64) -> String {
    let mut units = ["", "k", "M", "G", "T", "P"].into_iter();
    let mut unit = units.next().unwrap_or_default();
    let mut number = number;
    // What would be rounded to 1000 is one of the next unit.
    while number >= 999.5 {
        let Some(next) = units.next() else { break };
        unit = next;
        number /= 1000.0;
    }
    let is_fine = if unit.is_empty() { 9.95 } else { 99.95 };
    if number > 0.0 && number < is_fine {
        format!("{number:.1}{unit}")
    } else {
        format!("{number:.0}{unit}")
    }
}

/// A number in as many characters as there are, exactly if it fits.
#[expect(
    clippy::cast_precision_loss,
    reason = "what does not fit is told to three digits"
)]
pub(super) fn exact(number: u64, width: usize) -> String {
    let text = number.to_string();
    if text.len() <= width {
        text
    } else {
        scaled(number as f64)
    }
}

/// A share in percent.
pub(super) fn percent(share: f64) -> String {
    // It is a share of nothing.
    if !share.is_finite() {
        return NOTHING.to_owned();
    }
    match share * 100.0 {
        little if little > 0.0 && little < 1.0 => "<1%".to_owned(),
        percent => format!("{percent:.0}%"),
    }
}

/// Packets a second over time in one line, the latest to the right: from the lowest of the symbols, which is for nothing at all,
/// to the highest.
pub(super) fn history(series: &Series, width: usize, symbols: &[char; 9]) -> String {
    let rates = series.rates.iter().map(|rate| rate.packets);
    let shown: Vec<f64> = rates.rev().take(width).collect();
    let most = shown.iter().copied().fold(0.0, f64::max);
    let lines = shown.iter().rev().map(|rate| symbols[level(*rate, most)]);
    let before = width - shown.len();
    std::iter::repeat_n(' ', before).chain(lines).collect()
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the ratio is between 0 and 1"
)]
fn level(rate: f64, most: f64) -> usize {
    // What is little is more than nothing.
    if rate > 0.0 {
        ((rate / most * 8.0).ceil() as usize).clamp(1, 8)
    } else {
        0
    }
}

/// The text, or as much of it as fits.
pub(super) fn cut(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    let kept = text.chars().take(width.saturating_sub(2));
    kept.chain("..".chars()).take(width).collect()
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use geodrop::{Counter, datapath::counters::Counters, top::Traffic};
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn numbers_have_the_unit_that_makes_them_short() {
        for (number, text) in [
            (0.0, "0"),
            (0.04, "0.0"),
            (0.44, "0.4"),
            (9.94, "9.9"),
            (9.96, "10"),
            (999.4, "999"),
            (999.6, "1.0k"),
            (12_345.0, "12.3k"),
            (99_960.0, "100k"),
            (999_999.0, "1.0M"),
            (6.2e9, "6.2G"),
            (1e30, "1000000000000000P"),
        ] {
            assert_eq!(scaled(number), text);
        }
        assert_eq!(exact(1_234_567, 7), "1234567");
        assert_eq!(exact(1_234_567, 6), "1.2M");
        assert_eq!(percent(0.816), "82%");
        assert_eq!(
            (percent(0.001), percent(0.0)),
            ("<1%".to_owned(), "0%".to_owned())
        );
        assert_eq!(percent(f64::NAN), "-");
    }

    proptest! {
        #[test]
        fn what_is_possible_has_five_characters_at_most(number in 0.0..9.9e17_f64) {
            prop_assert!(scaled(number).len() <= 5, "{}", scaled(number));
        }
    }

    #[test]
    fn a_history_ends_with_the_latest() {
        let passed = |packets| Counters {
            passed: Counter { packets, bytes: 0 },
            ..Counters::default()
        };
        let start = Instant::now();
        let mut traffic = Traffic::begin(start, &passed(0));
        let symbols = [' ', '1', '2', '3', '4', '5', '6', '7', '8'];
        assert_eq!(history(&traffic.passed, 3, &symbols), "   ");
        let mut sum = 0;
        for (second, packets) in (1..).zip([800, 0, 1, 400]) {
            sum += packets;
            traffic.sample(start + Duration::from_secs(second), &passed(sum));
        }
        assert_eq!(history(&traffic.passed, 6, &symbols), "  8 14");
        // The highest is the highest of what is shown.
        assert_eq!(history(&traffic.passed, 2, &symbols), "18");
        assert_eq!(history(&traffic.passed, 0, &symbols), "");
    }

    #[test]
    fn what_does_not_fit_is_cut() {
        assert_eq!(cut("CN China", 8), "CN China");
        assert_eq!(cut("CN China", 7), "CN Ch..");
        assert_eq!(cut("CN China", 1), ".");
        assert_eq!(cut("CN China", 0), "");
    }
}
