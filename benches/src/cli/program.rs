//! `geodrop-bench program`: what a packet costs, by its way through the filter and by what the filter does.

use std::{
    net::{Ipv4Addr, Ipv6Addr},
    time::Duration,
};

use anyhow::ensure;
use geodrop::{
    datapath::interface::Interface,
    geoip::Regions,
    policy::{Policy, Ruleset, Verdict, explain},
    testbed::{
        Generator, Namespace, Veth,
        generator::{Frames, Limit},
        veth,
    },
};
use geodrop_bench::{
    family::Family,
    filters::{Filters, Place, Setting},
    measure::{Effort, Rounds},
    path::{Path, Sent},
    privilege::Privilege,
    program::{Case, Report, Row},
    traffic::Traffic,
};

use super::progress::{Progress, times};

/// How much is measured of a packet.
const PATH: Effort = Effort {
    turn: Duration::from_millis(20),
    least_runs: 1 << 16,
    parts: 1,
    time: Duration::from_secs(6),
    least_rounds: 9,
    most_rounds: 31,
};

/// How much is measured of a flood.
const FLOOD: Effort = Effort {
    turn: Duration::from_millis(150),
    least_runs: 1 << 18,
    parts: 1,
    time: Duration::from_secs(10),
    least_rounds: 9,
    most_rounds: 31,
};

/// From how many addresses a flood comes.
const SOURCES: u32 = 1 << 16;

/// The packets of `--quick`.
const QUICK: [Path; 3] = [Path::Blocked, Path::Reply, Path::Allowed];

/// The settings that a filter has without `CAP_PERFMON`.
const WITHOUT_PERFMON: [Setting; 3] = [Setting::Reference, Setting::Addresses, Setting::Monitor];

/// The settings for what is never answered: what is would be another packet after the first run.
const REJECT: [Setting; 3] = [Setting::Reference, Setting::Addresses, Setting::Reject];

/// How long it is expected to take to load the filters of a place.
const LOADING: Duration = Duration::from_secs(2);

/// What is measured.
pub(super) struct Plan {
    paths: &'static [Path],
}

impl Plan {
    pub(super) const fn of(quick: bool) -> Self {
        Self {
            paths: if quick { &QUICK } else { &Path::ALL },
        }
    }

    /// How long all of it is expected to take.
    pub(super) fn expected(&self) -> Duration {
        let each = 2 * self.paths.len() + 1 + Sent::ALL.len();
        2 * (times(PATH.time, each) + FLOOD.time + 2 * LOADING)
    }

    /// Measures the level, case by case, until it is done or something is in the way: what was found until then is in the
    /// report.
    pub(super) fn measure(
        &self,
        regions: &Regions,
        progress: &Progress,
        report: &mut Report,
    ) -> anyhow::Result<()> {
        for privilege in Privilege::ALL {
            let namespace = Namespace::new()?;
            let loopback = namespace.run(|| Interface::by_name("lo"))??;
            let place = Place {
                namespace: &namespace,
                interface: &loopback,
                native: false,
            };
            let mut measure = |settings, paths| {
                let filters = || {
                    progress.begin("loading filters", LOADING)?;
                    Filters::load(settings, regions, privilege, place)
                };
                measure_paths(
                    settings,
                    paths,
                    filters()?,
                    privilege,
                    progress,
                    &mut report.paths,
                )
            };
            match privilege {
                Privilege::Full => {
                    measure(&Setting::PATHS, self.paths)?;
                    measure(&REJECT, &[Path::Reset])?;
                    measure_egress(regions, place, progress, &mut report.egress)?;
                }
                Privilege::WithoutPerfmon => measure(&WITHOUT_PERFMON, self.paths)?,
            }
        }
        measure_flood::<Ipv4Addr>(regions, progress, &mut report.floods)?;
        measure_flood::<Ipv6Addr>(regions, progress, &mut report.floods)
    }
}

fn measure_paths(
    settings: &[Setting],
    paths: &[Path],
    mut filters: Filters<'_>,
    privilege: Privilege,
    progress: &Progress,
    rows: &mut Vec<Row>,
) -> anyhow::Result<()> {
    for (family, is_ipv6) in [(Ipv4Addr::NAME, false), (Ipv6Addr::NAME, true)] {
        for path in paths {
            let case = Case {
                family,
                packet: path.name(),
                perfmon: privilege == Privilege::Full,
            };
            progress.begin(format_args!("{family} {}", case.packet), PATH.time)?;
            let frame = path.frame(is_ipv6, &filters)?;
            for &setting in settings {
                let passes = filters.passes(setting, &frame)?;
                ensure!(
                    passes == path.passes(setting),
                    "{family} {}, {}: {}",
                    case.packet,
                    setting.name(),
                    if passes { "passes" } else { "does not pass" }
                );
            }
            let rounds = Rounds::measure(&PATH, settings, &[], |setting, runs| {
                progress.go_on()?;
                filters.time(setting, &frame, runs)
            })?;
            rows.extend(Row::of(
                case,
                settings,
                1,
                |setting| path.passes(setting),
                &rounds,
            ));
        }
    }
    Ok(())
}

fn measure_egress(
    regions: &Regions,
    place: Place<'_>,
    progress: &Progress,
    rows: &mut Vec<Row>,
) -> anyhow::Result<()> {
    let settings = [Setting::Reference, Setting::Replies];
    let filters = Filters::load(&settings, regions, Privilege::Full, place)?;
    for (family, is_ipv6) in [(Ipv4Addr::NAME, false), (Ipv6Addr::NAME, true)] {
        for sent in Sent::ALL {
            let case = Case {
                family,
                packet: sent.name(),
                perfmon: true,
            };
            progress.begin(format_args!("{family} {}", case.packet), PATH.time)?;
            let frame = sent.frame(is_ipv6)?;
            let rounds = Rounds::measure(&PATH, &settings, &[], |setting, runs| {
                progress.go_on()?;
                filters.time_egress(setting, &frame, runs)
            })?;
            rows.extend(Row::of(case, &settings, 0, |_| true, &rounds));
        }
    }
    Ok(())
}

fn measure_flood<A: Family>(
    regions: &Regions,
    progress: &Progress,
    rows: &mut Vec<Row>,
) -> anyhow::Result<()> {
    let case = Case {
        family: A::NAME,
        packet: "flood, UDP",
        perfmon: true,
    };
    progress.begin(format_args!("{} {}", case.family, case.packet), FLOOD.time)?;
    let veth = Veth::new(veth::Settings::default())?;
    let place = Place {
        namespace: &veth.server.namespace,
        interface: &veth.server.interface,
        native: true,
    };
    let policy = Policy::default();
    let ruleset = Ruleset::new(&policy, regions);
    let mut sources = Traffic::OverRanges.addresses(A::ranges(&ruleset), &[], SOURCES);
    // Some ranges are in no blocked country: special-purpose ones, which pass.
    sources.retain(|&source| explain(&policy, regions, source.into()).verdict == Verdict::Drop);
    let generator = Generator::load(
        &veth.client,
        &sources,
        Frames {
            renewed: true,
            ..Frames::default()
        },
    )?;
    let mut filters = Filters::load(&Setting::FLOOD, regions, Privilege::Full, place)?;
    let rounds = Rounds::measure(&FLOOD, &Setting::FLOOD, &[], |setting, frames| {
        progress.go_on()?;
        filters.attach(setting)?;
        let _watch = filters.watch(setting)?;
        let limit = Limit {
            frames,
            time: Duration::MAX,
        };
        Ok::<_, anyhow::Error>(generator.run(limit)?.time)
    })?;
    for setting in Setting::FLOOD {
        let passed = filters.passed(setting)?;
        ensure!(passed == 0, "{}: {passed} packets passed", setting.name());
    }
    rows.extend(Row::of(case, &Setting::FLOOD, 1, |_| false, &rounds));
    Ok(())
}
