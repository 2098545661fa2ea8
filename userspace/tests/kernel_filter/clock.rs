//! A filter that is in force from an instant on, while somebody sets the wall clock.

use std::time::Duration;

use geodrop::{
    datapath::{
        EgressChoice, ModeChoice,
        about::About,
        clock::Clocks,
        filter::{self, Filter, Order, Request},
        generation::Plan,
        pins::Root,
    },
    geoip,
    policy::{Policy, Ruleset},
    table::Engine,
};
use jiff::Timestamp;

use super::host::{BLOCKED, Host};

const HOUR: Duration = Duration::from_hours(1);

/// A filter that is in force from this instant on.
fn attach(host: &Host, instant: Timestamp) -> Filter {
    let data = geoip::builtin().unwrap();
    let ruleset = Ruleset::new(&Policy::default(), &data.regions);
    let request = Request {
        plan: Plan {
            effective_from: Some(instant),
            ..Plan::by_address(&ruleset, Engine::default())
        },
        mode: ModeChoice::Auto,
        egress: EgressChoice::Auto,
        about: About {
            effective_from: Some(instant),
            ..About::default()
        },
        trial: None,
    };
    let interfaces = [host.veth.server.interface.clone()];
    let order = Order {
        interfaces: &interfaces,
        request,
    };
    let root = Root::new(&host.pins);
    let attached = host
        .veth
        .server
        .run(|| filter::attach(&root, &[order], &[]));
    attached.unwrap().unwrap().pop().unwrap()
}

/// The clocks as they would be if the wall clock were so far ahead of what it is.
fn ahead(time: Duration) -> Clocks {
    let clocks = Clocks::read();
    Clocks {
        wall: clocks.wall + time,
        ..clocks
    }
}

#[test]
fn a_filter_follows_the_wall_clock_when_it_is_set() {
    let host = Host::new();
    let filter = attach(&host, Timestamp::now() + HOUR);
    assert!(host.admits(BLOCKED));
    assert!(!filter.correct_deadline(Clocks::read()).unwrap());

    assert!(filter.correct_deadline(ahead(HOUR / 2)).unwrap());
    assert!(host.admits(BLOCKED));
    assert!(filter.correct_deadline(ahead(2 * HOUR)).unwrap());
    assert!(!host.admits(BLOCKED));
    assert!(!filter.correct_deadline(ahead(2 * HOUR)).unwrap());

    // Back to before the instant, which really is ahead then.
    assert!(filter.correct_deadline(Clocks::read()).unwrap());
    assert!(host.admits(BLOCKED));
    assert!(!filter.correct_deadline(Clocks::read()).unwrap());
}

#[test]
fn what_the_kernel_has_found_passed_stays_in_force_while_time_goes_on() {
    let host = Host::new();
    let instant = Timestamp::now() + Duration::from_secs(2);
    let filter = attach(&host, instant);
    while Timestamp::now() < instant {
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(!host.admits(BLOCKED));
    assert!(!filter.correct_deadline(Clocks::read()).unwrap());
    assert!(!host.admits(BLOCKED));
}

#[test]
fn what_was_in_force_from_the_beginning_stays_so() {
    let host = Host::new();
    let filter = attach(&host, Timestamp::now() - HOUR);
    let clocks = Clocks::read();
    let before = Clocks {
        wall: clocks.wall - 2 * HOUR,
        ..clocks
    };
    assert!(!filter.correct_deadline(before).unwrap());
    assert!(!host.admits(BLOCKED));
}
