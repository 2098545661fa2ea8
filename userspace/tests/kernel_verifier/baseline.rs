//! Figures of programs: written, read and compared.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

/// By how many percent the processed instructions of a program may differ.
pub(super) const TOLERANCE: u64 = 2;

/// What renews the baseline.
pub(super) const UPDATE: &str = "GEODROP_UPDATE_BASELINE";

/// What the verifier says of a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Figures {
    /// The instructions that it processed: on every way through the program, until two ways were alike.
    pub(super) processed: u64,
    /// The instructions that are left of it when the kernel has translated it, without those that nothing leads to.
    pub(super) translated: u64,
}

impl Figures {
    const NAMES: &str = "processed translated";

    /// Whether this is more, or less, work than it was.
    fn is_other_than(self, before: Self) -> bool {
        let [least, most] = [100 - TOLERANCE, 100 + TOLERANCE].map(|part| before.processed * part);
        !(least..=most).contains(&(self.processed * 100))
    }
}

/// As the baseline has them.
impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, " {:>7} {:>7}", self.processed, self.translated)
    }
}

/// The figures by object, setting and program, and what they hold for.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Baseline {
    pub(super) made_by: String,
    pub(super) programs: BTreeMap<String, Figures>,
}

impl Baseline {
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut lines = text.lines().filter(|line| !line.starts_with('#'));
        let made_by = lines.next()?.to_owned();
        let programs = lines.map(|line| {
            let mut words = line.split_whitespace();
            let name = words.by_ref().take(3).collect::<Vec<_>>().join(" ");
            let numbers: Vec<u64> = words.map(|word| word.parse().ok()).collect::<Option<_>>()?;
            let &[processed, translated] = numbers.as_slice() else {
                return None;
            };
            let figures = Figures {
                processed,
                translated,
            };
            Some((name, figures))
        });
        Some(Self {
            made_by,
            programs: programs.collect::<Option<_>>()?,
        })
    }
}

impl fmt::Display for Baseline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "# What the verifier makes of each program. Renewed, not written:"
        )?;
        writeln!(f, "# {UPDATE}=1 cargo test --test kernel_verifier")?;
        writeln!(f, "{}", self.made_by)?;
        writeln!(f, "# object setting program: {}", Figures::NAMES)?;
        self.programs
            .iter()
            .try_for_each(|(name, figures)| writeln!(f, "{name:<44}{figures}"))
    }
}

/// All programs that are not what they were, before and now, and whether any differs by more than it may.
pub(super) fn compare(before: &Baseline, now: &Baseline) -> (String, bool) {
    let mut lines = format!(
        "then: {}\nnow:  {}\n{:<44}      then ({names})\n{:<44}      now\n",
        before.made_by,
        now.made_by,
        "",
        "",
        names = Figures::NAMES,
    );
    let mut failed = false;
    let names = before.programs.keys().chain(now.programs.keys());
    for name in names.collect::<BTreeSet<_>>() {
        let [then, now] = [before, now].map(|side| side.programs.get(name));
        if then == now {
            continue;
        }
        let shown = |figures: Option<&Figures>| {
            figures.map_or_else(|| " no such program".to_owned(), ToString::to_string)
        };
        failed |= then
            .zip(now)
            .is_none_or(|(then, now)| now.is_other_than(*then));
        lines.extend([
            format!("{name:<44}{}\n", shown(then)),
            format!("{:<44}{}\n", "", shown(now)),
        ]);
    }
    (lines, failed)
}

#[test]
fn a_baseline_is_read_as_it_was_written_and_differences_are_found() {
    let baseline = |processed| Baseline {
        made_by: "Linux 6".to_owned(),
        programs: [(
            "a b c".to_owned(),
            Figures {
                processed,
                translated: 50,
            },
        )]
        .into(),
    };
    assert_eq!(
        Baseline::parse(&baseline(200).to_string()),
        Some(baseline(200))
    );
    for (processed, fails) in [(195, true), (196, false), (204, false), (205, true)] {
        assert_eq!(compare(&baseline(200), &baseline(processed)).1, fails);
    }
}
