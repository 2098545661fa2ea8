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

use super::progress::Progress;

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

/// Measures the level.
pub(super) fn measure(quick: bool, regions: &Regions) -> anyhow::Result<Report> {
    let paths: &[Path] = if quick { &QUICK } else { &Path::ALL };
    let mut report = Report::default();
    let progress = Progress::new(2 * (2 * paths.len() + 1 + Sent::ALL.len() + 1))?;
    measure_all(paths, regions, &progress, &mut report).map_err(|error| progress.explain(error))?;
    progress.finish();
    Ok(report)
}

fn measure_all(
    paths: &[Path],
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
        let measure = |paths| match privilege {
            Privilege::Full => {
                measure_paths(&Setting::PATHS, paths, regions, privilege, place, progress)
            }
            Privilege::WithoutPerfmon => {
                measure_paths(&WITHOUT_PERFMON, paths, regions, privilege, place, progress)
            }
        };
        report.paths.extend(measure(paths)?);
        if privilege == Privilege::Full {
            let rows = measure_paths(&REJECT, &[Path::Reset], regions, privilege, place, progress);
            report.paths.extend(rows?);
            report.egress = measure_egress(regions, place, progress)?;
        }
    }
    report
        .floods
        .extend(measure_flood::<Ipv4Addr>(regions, progress)?);
    report
        .floods
        .extend(measure_flood::<Ipv6Addr>(regions, progress)?);
    Ok(())
}

fn measure_paths(
    settings: &[Setting],
    paths: &[Path],
    regions: &Regions,
    privilege: Privilege,
    place: Place<'_>,
    progress: &Progress,
) -> anyhow::Result<Vec<Row>> {
    let mut filters = Filters::load(settings, regions, privilege, place)?;
    let mut rows = Vec::new();
    for (family, is_ipv6) in [(Ipv4Addr::NAME, false), (Ipv6Addr::NAME, true)] {
        for path in paths {
            let case = Case {
                family,
                packet: path.name(),
                perfmon: privilege == Privilege::Full,
            };
            progress.begin(format!("{family} {}", case.packet))?;
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
                filters.time(setting, &frame, runs)
            })?;
            rows.extend(Row::of(
                case,
                settings,
                1,
                |setting| path.passes(setting),
                &rounds,
            ));
            progress.end();
        }
    }
    Ok(rows)
}

fn measure_egress(
    regions: &Regions,
    place: Place<'_>,
    progress: &Progress,
) -> anyhow::Result<Vec<Row>> {
    let settings = [Setting::Reference, Setting::Replies];
    let filters = Filters::load(&settings, regions, Privilege::Full, place)?;
    let mut rows = Vec::new();
    for (family, is_ipv6) in [(Ipv4Addr::NAME, false), (Ipv6Addr::NAME, true)] {
        for sent in Sent::ALL {
            let case = Case {
                family,
                packet: sent.name(),
                perfmon: true,
            };
            progress.begin(format!("{family} {}", case.packet))?;
            let frame = sent.frame(is_ipv6)?;
            let rounds = Rounds::measure(&PATH, &settings, &[], |setting, runs| {
                filters.time_egress(setting, &frame, runs)
            })?;
            rows.extend(Row::of(case, &settings, 0, |_| true, &rounds));
            progress.end();
        }
    }
    Ok(rows)
}

fn measure_flood<A: Family>(regions: &Regions, progress: &Progress) -> anyhow::Result<Vec<Row>> {
    let case = Case {
        family: A::NAME,
        packet: "flood, UDP",
        perfmon: true,
    };
    progress.begin(format!("{} {}", case.family, case.packet))?;
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
        filters.attach(setting)?;
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
    progress.end();
    Ok(Row::of(case, &Setting::FLOOD, 1, |_| false, &rounds))
}
