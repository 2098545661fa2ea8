//! Screens as they are drawn of traffic that is made up.
//!
//! A screen that is meant to change: `INSTA_UPDATE=always cargo test --bin geodrop top::`, and look at what changed.

use std::{
    net::{IpAddr, Ipv4Addr},
    time::{Duration, Instant},
};

use etherparse::PacketBuilder;
use geodrop::{
    Counter,
    datapath::{
        Hook,
        about::About,
        counters::Counters,
        interface::Interface,
        report::Origin,
        status::{Running, Status},
        trial::Trial,
        watch::Event,
    },
    geoip::Country,
    policy::Verdict,
    top::Top,
};
use jiff::Timestamp;
use ratatui::{Terminal, backend::TestBackend, style::Color};

use super::{
    super::running,
    choices::{Choices, Keys},
    looks::Looks,
    screen::{View, draw},
};

/// The indexes of the interfaces that have filters.
pub(super) const FIRST: u32 = 2;
pub(super) const SECOND: u32 = 3;

const COLOURED: Looks = Looks::new(true, true);
const PLAIN: Looks = Looks::new(false, false);

fn country(code: &str) -> Country {
    code.parse().unwrap()
}

fn now() -> Timestamp {
    "2026-11-23T12:00:00Z".parse().unwrap()
}

fn running(index: u32, name: &str, counters: Counters) -> Running {
    let running = running::running();
    Running {
        interface: Interface {
            name: name.to_owned(),
            index,
        },
        generation: 4,
        about: About {
            since: Some("2026-11-21T08:30:00Z".parse().unwrap()),
            block: ["CN", "HK", "MO"].map(country).into(),
            ..running.about
        },
        counters,
        ..running
    }
}

fn counter(packets: u64) -> Counter {
    Counter {
        packets,
        bytes: packets * 60,
    }
}

/// What was counted by a second.
fn counters(second: u64) -> Counters {
    // What comes in waves.
    let wave: u64 = (0..second).map(|at| 2_000 * (at % 9)).sum();
    Counters {
        passed: counter(2_900 * second),
        denied: counter(7 * second),
        countries: [
            (country("CN"), counter(12_345 * second + wave)),
            (country("HK"), counter(900 * second)),
            (country("MO"), counter(3)),
        ]
        .into(),
        ..Counters::default()
    }
}

/// A packet from this address to a port.
fn event(source: IpAddr, origin: Origin, port: u16) -> Event {
    let ip = match source {
        IpAddr::V4(address) => PacketBuilder::ethernet2([2; 6], [4; 6]).ipv4(
            address.octets(),
            Ipv4Addr::new(192, 0, 2, 1).octets(),
            64,
        ),
        IpAddr::V6(address) => {
            PacketBuilder::ethernet2([2; 6], [4; 6]).ipv6(address.octets(), [1; 16], 64)
        }
    };
    let mut bytes = Vec::new();
    ip.tcp(40_000, port, 1, 1).write(&mut bytes, b"").unwrap();
    Event {
        time: now(),
        verdict: Verdict::Drop,
        enforced: true,
        origin: Some(origin),
        rule: None,
        length: 60,
        bytes,
    }
}

/// Traffic of a while, changed before each look.
fn traffic_of(change: impl Fn(&mut Running)) -> Top {
    let mut top = Top::default();
    let start = Instant::now();
    for second in 0..20 {
        let mut first = running(FIRST, "eth0", counters(second));
        change(&mut first);
        let running = vec![first, running(SECOND, "eth1", Counters::default())];
        let status = Status {
            running,
            warnings: Vec::new(),
        };
        top.sample(start + Duration::from_secs(second), status);
    }
    let china = Origin::Country(Country::CHINA);
    let events = [
        (["1.0.1.1", "1.0.1.1", "1.0.1.7"], china, 22),
        (
            [
                "2400:3200:1600:1234:5678:9abc:def0:1234",
                "1.0.1.1",
                "1.0.1.1",
            ],
            china,
            443,
        ),
        (["198.51.100.9", "1.0.1.1", "1.0.1.7"], Origin::Denied, 22),
    ];
    let events: Vec<_> = events
        .into_iter()
        .flat_map(|(sources, origin, port)| {
            sources.map(|source| event(source.parse().unwrap(), origin, port))
        })
        .collect();
    let estimates = &mut top.filters[0].estimates;
    estimates.add(Duration::from_secs(1), &events, 13_000);
    top
}

/// Traffic of a while.
pub(super) fn traffic() -> Top {
    traffic_of(|_| {})
}

fn choices() -> Choices {
    Choices::new(Duration::from_secs(1))
}

/// The screen, so many columns wide and lines high.
fn drawn(size: (u16, u16), looks: Looks, top: &Top, choices: &Choices) -> TestBackend {
    let mut terminal = Terminal::new(TestBackend::new(size.0, size.1)).unwrap();
    let view = View {
        top,
        choices,
        looks,
        now: now(),
    };
    terminal.draw(|frame| draw(frame, &view)).unwrap();
    terminal.backend().clone()
}

const USUAL: (u16, u16) = (80, 24);

#[test]
fn a_usual_terminal_with_colours_and_without() {
    let (top, choices) = (traffic(), choices());
    let coloured = drawn(USUAL, COLOURED, &top, &choices);
    insta::assert_snapshot!("usual", coloured);
    // With the places where colours and weights change.
    insta::assert_debug_snapshot!("usual_colours", coloured.buffer());
    let plain = drawn(USUAL, PLAIN, &top, &choices);
    insta::assert_snapshot!("plain", plain);
    let mut cells = plain.buffer().content().iter();
    assert!(cells.all(|cell| {
        (cell.fg, cell.bg) == (Color::Reset, Color::Reset) && cell.symbol().is_ascii()
    }));
    // Colours say nothing by themselves.
    let same = drawn(USUAL, Looks::new(false, true), &top, &choices);
    assert_eq!(same.to_string(), coloured.to_string());
}

#[test]
fn larger_ones_show_more_and_smaller_ones_less() {
    let (top, choices) = (traffic(), choices());
    insta::assert_snapshot!("large", drawn((130, 40), PLAIN, &top, &choices));
    insta::assert_snapshot!("small", drawn((60, 14), PLAIN, &top, &choices));
    insta::assert_snapshot!("too_small", drawn((40, 10), PLAIN, &top, &choices));
}

#[test]
fn no_size_is_too_small_to_say_something_or_too_large() {
    let everything = traffic_of(count_all);
    for keys in [Keys::Choose, Keys::Help] {
        let choices = Choices { keys, ..choices() };
        for top in [&everything, &Top::default()] {
            for width in (0..60).step_by(7).chain([59, 60, 61, 80, 140]) {
                for height in [0, 1, 13, 14, 15, 60] {
                    drawn((width, height), COLOURED, top, &choices);
                }
            }
        }
    }
}

#[test]
fn without_a_filter_it_says_what_attaches_one() {
    let mut top = Top::default();
    insta::assert_snapshot!("no_filter", drawn(USUAL, PLAIN, &top, &choices()));
    top.warnings.push("something is left".to_owned());
    let warned = drawn(USUAL, PLAIN, &top, &choices()).to_string();
    assert!(warned.contains("warning: something is left"), "{warned}");
}

/// As under `count = "all"`.
fn count_all(running: &mut Running) {
    let passed = std::mem::take(&mut running.counters.passed);
    let half = Counter {
        packets: passed.packets / 2,
        bytes: passed.bytes / 2,
    };
    running.counters.admitted = [(country("US"), half), (country("CN"), counter(1))].into();
    running.counters.replies = half;
}

#[test]
fn what_passes_is_shown_by_country_if_it_is_counted_so() {
    let top = traffic_of(count_all);
    insta::assert_snapshot!("count_all", drawn(USUAL, PLAIN, &top, &choices()));
}

#[test]
fn what_only_counts_says_so() {
    let top = traffic_of(|running| running.about.monitor = true);
    insta::assert_snapshot!("monitor", drawn(USUAL, PLAIN, &top, &choices()));

    let head = |change: fn(&mut Running)| {
        let screen = drawn(USUAL, PLAIN, &traffic_of(change), &choices());
        screen.to_string()
    };
    let ahead = head(|running| {
        running.about.effective_from = Some("2026-12-01T00:00:00Z".parse().unwrap());
    });
    assert!(
        ahead.contains("counts until 2026-12-01T00:00:00Z") && ahead.contains("would block  "),
        "{ahead}"
    );
    let past = head(|running| {
        running.about.effective_from = Some("2026-11-01T00:00:00Z".parse().unwrap());
    });
    assert!(past.contains(" enforced: blocks CN HK MO"), "{past}");
    let tried = head(|running| running.trial = Some(trial(Some(42), Some(3))));
    assert!(
        tried.contains(" enforced, on trial for 42s: blocks"),
        "{tried}"
    );
    let over = head(|running| running.trial = Some(trial(None, None)));
    assert!(
        over.contains("nobody confirmed it, all passes") && over.contains("would block"),
        "{over}"
    );
    let only = head(|running| {
        running.about.only = std::mem::take(&mut running.about.block);
        running.hook = Hook::Tcx;
        running.mode = None;
    });
    assert!(
        only.contains("enforced: only CN HK MO") && only.contains("  tcx  "),
        "{only}"
    );
}

fn trial(left: Option<u64>, before: Option<u64>) -> Trial {
    Trial {
        left: left.map(Duration::from_secs),
        before,
        attended: false,
    }
}

#[test]
fn choices_are_shown() {
    let mut top = traffic();
    top.warnings
        .push("the filter on eth7 cannot be read".to_owned());
    let choices = Choices {
        sort: super::countries::Column::Name,
        reversed: true,
        filter: "CN,H".to_owned(),
        paused: true,
        ..choices()
    };
    insta::assert_snapshot!("chosen", drawn(USUAL, PLAIN, &top, &choices));
    let typing = Choices {
        keys: Keys::Filter,
        ..choices.clone()
    };
    let typing = drawn(USUAL, PLAIN, &top, &typing).to_string();
    assert!(typing.contains("begin with: CN,H_"), "{typing}");
    let help = Choices {
        keys: Keys::Help,
        ..choices.clone()
    };
    insta::assert_snapshot!("help", drawn(USUAL, PLAIN, &top, &help));
    let other = Choices {
        interface: Some(SECOND),
        ..choices
    };
    let other = drawn(USUAL, PLAIN, &top, &other).to_string();
    assert!(
        other.contains("eth1 (2 of 2)") && other.contains("none lately"),
        "{other}"
    );
}

#[test]
fn rows_that_there_is_no_room_for_are_counted_and_can_be_scrolled_to() {
    let codes = ["AD", "AE", "AF", "AG", "AL", "AM", "AO", "AR", "AT", "AU"];
    let top = traffic_of(|running| {
        for (packets, code) in (10..).zip(codes) {
            running
                .counters
                .countries
                .insert(country(code), counter(packets));
        }
    });
    let mut choices = Choices {
        sort: super::countries::Column::Total,
        ..choices()
    };
    let screen = drawn(USUAL, PLAIN, &top, &choices).to_string();
    assert!(
        screen.contains("5 more below") && !screen.contains("AD Andorra"),
        "{screen}"
    );
    choices.scroll = 12;
    let screen = drawn(USUAL, PLAIN, &top, &choices).to_string();
    assert!(
        screen.contains("AD Andorra") && !screen.contains("more below"),
        "{screen}"
    );
}

#[test]
fn why_sources_are_not_known_is_said() {
    let mut top = traffic();
    let why = "process 7 (geodrop) watches the filter on eth0 already, and one can at a time";
    top.filters[0].unsampled = Some(why.to_owned());
    insta::assert_snapshot!("unsampled", drawn(USUAL, PLAIN, &top, &choices()));
}

#[test]
fn sources_that_are_too_many_are_not_made_up() {
    let mut top = traffic();
    let estimates = &mut top.filters[0].estimates;
    let china = Origin::Country(Country::CHINA);
    let events: Vec<_> = (0..20_000_u32)
        .map(|number| event(Ipv4Addr::from(0x0100_0100 + number).into(), china, 22))
        .collect();
    estimates.add(Duration::from_mins(5), &events, 0);
    let screen = drawn(USUAL, PLAIN, &top, &choices()).to_string();
    assert!(screen.contains("none of them stands out"), "{screen}");
    assert!(screen.contains("tcp/22"), "{screen}");
}
