//! What each command that tells of packets has seen of them: the same, to the packet.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{
    host::{Host, assert_eventually},
    machine::Machine,
    metrics,
    top::Terminal,
};

/// Packets by country; those that passed under an empty name.
pub(crate) type Counts = BTreeMap<String, u64>;

/// What is sent, from two countries that are blocked and one that is not.
const SENT: [(&str, &str, u64); 3] = [
    ("1.0.1.1", "CN", 200),
    ("143.89.1.1", "HK", 70),
    ("8.8.8.8", "", 30),
];

/// Counts by their countries.
fn counts(of: impl IntoIterator<Item = (&'static str, u64)>) -> Counts {
    let counts = of.into_iter();
    counts
        .map(|(code, count)| (code.to_owned(), count))
        .collect()
}

/// What `geodrop status` of a machine has counted on a host.
pub(crate) fn counted(host: &Host, machine: &Machine) -> Counts {
    let status = ["geodrop", "status", "--json"];
    let status = host.veth.server.run(|| machine.succeed(&status)).unwrap();
    let status: Value = serde_json::from_str(&status).unwrap();
    let filter = &status["interfaces"][0];
    let countries = filter["counters"].as_object().unwrap().iter();
    countries
        .map(|(code, counter)| (code.as_str(), counter))
        .chain([("", &filter["passed"])])
        .map(|(code, counter)| (code.to_owned(), counter["packets"].as_u64().unwrap()))
        .collect()
}

/// What metrics say of the same countries.
pub(crate) fn scraped(host: &Host, counts: &Counts) -> Counts {
    let samples = metrics::scrape(host);
    let packets = |code: &str| match code {
        "" => metrics::packets(&samples, "pass", "other", ""),
        code => metrics::packets(&samples, "drop", "country", code),
    };
    let codes = counts.keys();
    codes.map(|code| (code.clone(), packets(code))).collect()
}

/// Sends packets to a host, on which the filter of a machine is new, and asserts that all have seen the same of them.
pub(crate) fn assert_seen_alike(host: &Host, machine: &Machine) {
    let watching = ["geodrop", "watch", "--json", "--rate", "100000"];
    let mut watch = host.spawn_until("watching server", machine.command(&watching));
    let terminal = Terminal::open(host);
    terminal.enter(&machine.line("geodrop top --interval 200ms"));
    terminal.await_text("enforced: blocks CN HK MO");

    for (source, _, count) in SENT {
        host.send_from(source, count);
    }
    let sent = counts(SENT.map(|(_, code, count)| (code, count)));
    assert_eventually(|| counted(host, machine) == sent);
    assert_eq!(scraped(host, &sent), sent);

    let mut watched = counts([("", sent[""])]);
    for _ in 0..sent["CN"] + sent["HK"] {
        let event: Value = serde_json::from_str(&watch.line()).unwrap();
        assert_eq!(event["verdict"], "drop");
        *watched
            .entry(event["country"].as_str().unwrap().to_owned())
            .or_default() += 1;
    }
    assert_eq!(watched, sent);
    watch.kill();

    // Packets and bits a second, and packets in all.
    for (row, code) in [("CN China", "CN"), ("HK Hong Kong", "HK")] {
        assert_eventually(|| terminal.await_row(row)[2] == sent[code].to_string());
    }
}
