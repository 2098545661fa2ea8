//! `--running`: what filters that run make of addresses, beside what policy and data say.

use std::{net::IpAddr, path::Path};

use geodrop::{
    datapath::{
        interface::Interface,
        pins::Root,
        replica::{Answer, Cause, Replica},
    },
    geoip::{Country, GeoData},
    policy::{Policy, Protocol, Verdict, explain_port},
    testbed::{Probe, probe::Transport},
};
use serde::Serialize;

use super::super::{options, warn, words};

/// Filters that run, and can be asked.
pub(super) struct Filters(Vec<Filter>);

struct Filter {
    interface: Interface,
    replica: Replica,
    /// What it is compared with, if there is anything.
    policy: Option<Policy>,
}

/// What a filter makes of an address.
#[derive(Debug, Serialize)]
pub(super) struct Finding {
    interface: String,
    verdict: Verdict,
    /// False if it passes all the same: the filter only counts.
    enforced: bool,
    /// Null if nothing is against it.
    reason: Option<&'static str>,
    /// Null if the reason is another one.
    country: Option<Country>,
    /// Which of `[[rules]]` is against it, from 1 on; null for all else.
    rule: Option<u8>,
    /// Whether policy and data say the same; null if there is no policy to compare with.
    agrees: Option<bool>,
}

impl Filters {
    /// Those on these interfaces; of none, all.
    pub(super) fn open(root: &Root, interfaces: &[String]) -> anyhow::Result<Self> {
        let interfaces = options::filtered(root, interfaces)?.into_iter();
        let filters = interfaces.map(|interface| {
            Ok(Filter {
                replica: Replica::of(root, &interface)?,
                interface,
                policy: None,
            })
        });
        filters.collect::<anyhow::Result<_>>().map(Self)
    }

    /// The configuration that they were made from; `None` if they were made from several, or by flags alone.
    pub(super) fn configuration(&self) -> Option<&Path> {
        let all = self.0.iter();
        let mut all = all.map(|filter| filter.replica.about.config.as_deref());
        let first = all.next()??;
        all.all(|other| other == Some(first)).then_some(first)
    }

    /// Says what policy each is to be compared with.
    pub(super) fn compare_with(&mut self, policy_of: impl Fn(&Interface) -> Policy) {
        for filter in &mut self.0 {
            filter.policy = Some(policy_of(&filter.interface));
        }
    }

    /// Asks each of them about what an address sends to a port, or else to none. What disagrees with policy and data is told on
    /// standard error.
    pub(super) fn ask(
        &mut self,
        ip: IpAddr,
        port: Option<(Protocol, u16)>,
        data: &GeoData,
    ) -> anyhow::Result<Vec<Finding>> {
        let frame = probe(ip, port).to_frame()?;
        let filters = self.0.iter_mut();
        let findings = filters.map(|filter| {
            let answer = filter.replica.judge(ip, &frame)?;
            let expected = filter.policy.as_ref();
            let expected = expected.map(|policy| explain_port(policy, data, ip, port).verdict);
            if let Some(expected) = expected
                && expected != answer.verdict
            {
                warn(filter.disagreement(ip, answer, expected));
            }
            Ok(Finding::of(&filter.interface, answer, expected))
        });
        findings.collect()
    }
}

/// What begins something from an address, so that it is no reply.
fn probe(source: IpAddr, port: Option<(Protocol, u16)>) -> Probe {
    let (transport, port) = match port {
        Some((Protocol::Tcp, port)) => (Transport::TcpSyn, Some(port)),
        Some((Protocol::Udp, port)) => (Transport::Udp, Some(port)),
        None => (Transport::EchoRequest, None),
    };
    let probe = Probe::new(0, source, transport);
    Probe {
        port: port.unwrap_or(probe.port),
        ..probe
    }
}

impl Finding {
    fn of(interface: &Interface, answer: Answer, expected: Option<Verdict>) -> Self {
        let (country, reason, rule) = match answer.cause {
            Cause::Policy { origin, rule } => {
                let (country, reason) = words::origin(origin);
                (country, Some(reason), rule)
            }
            Cause::Exception => (None, Some("exception"), None),
            Cause::Malformed => (None, Some("malformed"), None),
            Cause::Lapsed => (None, Some("trial-over"), None),
            Cause::Nothing => (None, None, None),
        };
        Self {
            interface: interface.name.clone(),
            verdict: answer.verdict,
            enforced: answer.enforced,
            reason,
            country,
            rule,
            agrees: expected.map(|expected| expected == answer.verdict),
        }
    }

    /// Whether policy and data say something else.
    pub(super) fn disagrees(&self) -> bool {
        self.agrees == Some(false)
    }

    /// Its verdict, its reason and its country, as cells for people.
    pub(super) fn cells(&self) -> [String; 3] {
        let would = if self.enforced { "" } else { "would " };
        let reason = match (self.reason, self.rule) {
            (None, _) => String::new(),
            (Some(reason), None) => format!(": {reason}"),
            (Some(reason), Some(rule)) => format!(": {reason}, rule {rule}"),
        };
        [
            format!("{would}{}", self.verdict),
            format!("on {}{reason}", self.interface),
            super::named(self.country),
        ]
    }
}

impl Filter {
    /// What it does otherwise than policy and data say, and what that may come of.
    fn disagreement(&self, ip: IpAddr, answer: Answer, expected: Verdict) -> String {
        let name = &self.interface.name;
        let cause = match (answer.cause, answer.verdict) {
            (Cause::Exception, verdict) => {
                let verb = match verdict {
                    Verdict::Pass => "allow",
                    Verdict::Drop | Verdict::Reject => "deny",
                };
                format!(
                    "that was decided while it runs; `geodrop {verb} --remove {ip} -i {name}` takes it back"
                )
            }
            (Cause::Lapsed, _) => {
                "nobody confirmed its trial, and there was no filter before, so all passes; attach it anew".to_owned()
            }
            _ => {
                let since = self.replica.about.since;
                let since = since.map_or_else(String::new, |since| format!(" at {since:.0}"));
                format!(
                    "policy or data were changed since it was made{since}, or it was made from others; `geodrop reload` or \
                     `geodrop attach` puts these in force"
                )
            }
        };
        format!(
            "{name}: the verdict on {ip} is {}, and by policy and data it would be {expected}: {cause}",
            answer.verdict
        )
    }
}
