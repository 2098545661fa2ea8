//! Metrics as text.
//!
//! There are two formats, and readers that know one of them only: `OpenMetrics`, and Prometheus's own before it, which is
//! what the textfile collector of `node_exporter` reads. They differ here in how counters are described, and in the end.

use std::fmt;

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet},
    metrics::MetricType,
    registry::Registry,
};

use super::{
    Sample, Snapshot, Value,
    families::{FAMILIES, Family, Kind},
};

/// How metrics are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// `OpenMetrics` 1.0.
    OpenMetrics,
    /// What Prometheus had before, version 0.0.4.
    Prometheus,
}

impl Format {
    /// What HTTP calls it.
    #[must_use]
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
        }
    }

    /// The one to answer with to who says that it accepts this.
    #[must_use]
    pub fn accepted(accept: &str) -> Self {
        if accept.contains("application/openmetrics-text") {
            Self::OpenMetrics
        } else {
            Self::Prometheus
        }
    }
}

/// All metrics.
///
/// # Errors
///
/// Never: nothing that is written into a text refuses. It is what the encoder's own signature says.
pub fn write(snapshot: Snapshot, format: Format) -> Result<String, fmt::Error> {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(snapshot));
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, &registry)?;
    Ok(match format {
        Format::OpenMetrics => text,
        Format::Prometheus => classic(&text),
    })
}

impl Collector for Snapshot {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        for family in FAMILIES {
            let samples = family.samples(self);
            if samples.is_empty() {
                continue;
            }
            let kind = match family.kind {
                Kind::Counter => MetricType::Counter,
                Kind::Gauge => MetricType::Gauge,
            };
            let mut metric = encoder.encode_descriptor(family.name(), family.help, None, kind)?;
            for Sample { labels, value } in samples {
                if family.labels.is_empty() {
                    encode(&mut metric, family.kind, value)?;
                } else {
                    let names = family.labels.iter().copied();
                    let labels: Vec<_> = names.zip(labels).collect();
                    encode(&mut metric.encode_family(&labels)?, family.kind, value)?;
                }
            }
        }
        Ok(())
    }
}

fn encode(metric: &mut MetricEncoder<'_>, kind: Kind, value: Value) -> fmt::Result {
    match (kind, value) {
        (Kind::Counter, Value::Whole(value)) => {
            metric.encode_counter::<NoLabelSet, u64, u64>(&value, None)
        }
        (Kind::Counter, Value::Real(value)) => {
            metric.encode_counter::<NoLabelSet, f64, u64>(&value, None)
        }
        (Kind::Gauge, Value::Whole(value)) => metric.encode_gauge(&value),
        (Kind::Gauge, Value::Real(value)) => metric.encode_gauge(&value),
    }
}

/// The same in Prometheus's own format: it describes a counter by the name of its samples, and has no mark at the end.
fn classic(text: &str) -> String {
    let mut classic = String::with_capacity(text.len());
    for line in text.lines().filter(|line| *line != "# EOF") {
        match described_counter(line) {
            Some((keyword, family, rest)) => {
                classic.push_str(keyword);
                classic.push_str(&family.sample_name());
                classic.push_str(rest);
            }
            None => classic.push_str(line),
        }
        classic.push('\n');
    }
    classic
}

/// The counter that a line describes, and what is before and behind its name.
fn described_counter(line: &str) -> Option<(&'static str, &'static Family, &str)> {
    let keyword = ["# HELP ", "# TYPE "]
        .into_iter()
        .find(|keyword| line.starts_with(keyword))?;
    let rest = &line[keyword.len()..];
    let name = rest.split(' ').next()?;
    let family = FAMILIES
        .iter()
        .find(|family| family.kind == Kind::Counter && family.name() == name)?;
    Some((keyword, family, &rest[name.len()..]))
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::{
        Counter,
        datapath::{
            about::{About, GeoipSource},
            counters::Counters,
            status::{Running, Status},
        },
        geoip::Country,
        metrics::Work,
        running::running,
    };

    fn snapshot() -> Snapshot {
        let running = running();
        let running = Running {
            about: About {
                version: "1.2.3".to_owned(),
                since: "1970-01-01T00:00:01.5Z".parse().ok(),
                geoip: vec![GeoipSource {
                    source: "a \"b\"\n\\c".to_owned(),
                    date: "1970-01-02".parse().ok(),
                }],
                ..running.about
            },
            counters: Counters {
                passed: Counter {
                    packets: u64::MAX,
                    bytes: 0,
                },
                countries: [(
                    Country::CHINA,
                    Counter {
                        packets: 7,
                        bytes: 420,
                    },
                )]
                .into(),
                ..Counters::default()
            },
            ..running
        };
        Snapshot {
            status: Status {
                running: vec![running],
                warnings: Vec::new(),
            },
            warnings: 2,
            now: Timestamp::UNIX_EPOCH,
            work: Some(Work {
                interfaces: vec!["eth0".to_owned(), "eth1".to_owned()],
                failed: 1,
                ..Work::default()
            }),
        }
    }

    #[test]
    fn open_metrics_describe_a_counter_without_its_ending_and_end_with_a_mark() {
        let text = write(snapshot(), Format::OpenMetrics).unwrap();
        for lines in [
            "# TYPE geodrop_packets counter\n\
             geodrop_packets_total{interface=\"eth0\",verdict=\"pass\",reason=\"other\",country=\"\"} 18446744073709551615\n",
            "\ngeodrop_packets_total{interface=\"eth0\",verdict=\"drop\",reason=\"country\",country=\"CN\"} 7\n\
             geodrop_packets_total{interface=\"eth0\",verdict=\"drop\",reason=\"country\",country=\"HK\"} 0\n",
            "\ngeodrop_up{interface=\"eth0\"} 1\ngeodrop_up{interface=\"eth1\"} 0\n",
            "\ngeodrop_generation_timestamp_seconds{interface=\"eth0\"} 1.5\n",
            "\ngeodrop_data_timestamp_seconds{source=\"a \\\"b\\\"\\n\\\\c\"} 86400.0\n",
            "\ngeodrop_warnings 2\n",
            "\ngeodrop_reloads_total{result=\"success\"} 0\ngeodrop_reloads_total{result=\"failure\"} 1\n",
            "\ngeodrop_filter_info{interface=\"eth0\",hook=\"xdp\",mode=\"native\",engine=\"multibit\",version=\"1.2.3\"} 1\n",
        ] {
            assert!(text.contains(lines), "{lines} is not in {text}");
        }
        assert!(text.ends_with("} 1\n# EOF\n"), "{text}");
        assert!(!text.contains("geodrop_program_runs"), "what nobody knows");
    }

    #[test]
    fn the_format_before_describes_a_counter_by_the_name_of_its_samples() {
        let openmetrics = write(snapshot(), Format::OpenMetrics).unwrap();
        let text = write(snapshot(), Format::Prometheus).unwrap();
        assert!(
            text.contains("# TYPE geodrop_packets_total counter\n"),
            "{text}"
        );
        assert!(text.contains("# HELP geodrop_bytes_total Bytes "), "{text}");
        assert!(text.contains("# TYPE geodrop_up gauge\n"), "{text}");
        assert!(!text.contains("# EOF"), "{text}");
        let samples = |text: &str| -> Vec<String> {
            let lines = text.lines().filter(|line| !line.starts_with('#'));
            lines.map(str::to_owned).collect()
        };
        assert_eq!(samples(&text), samples(&openmetrics));
    }

    #[test]
    fn who_scrapes_says_which_format_it_reads() {
        for (accept, format) in [
            ("", Format::Prometheus),
            ("*/*", Format::Prometheus),
            (
                "text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
                Format::Prometheus,
            ),
            (
                "application/openmetrics-text;version=1.0.0,text/plain;q=0.5",
                Format::OpenMetrics,
            ),
        ] {
            assert_eq!(Format::accepted(accept), format, "{accept}");
        }
    }
}
