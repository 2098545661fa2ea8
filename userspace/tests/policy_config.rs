//! The policy file: what is read of it, and what is said of what is wrong.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot have what it needs has failed"
)]

use std::{collections::BTreeSet, fs, path::Path};

use geodrop::{
    geoip::{Country, CountryBy, Merge, Origin, Reconciliation},
    policy::{
        Count, CountryRule, Policy, PortRule, Ports, Protocol, Refusal, Replies, Unknown,
        config::{self, Configuration, Engine, Hook, MOST_RULES, MetricsSettings, Mode},
    },
};
use proptest::prelude::*;

fn read(text: &str) -> Configuration {
    config::parse("policy.toml", text, Path::new("")).unwrap_or_else(|error| panic!("{error}"))
}

fn policy(text: &str) -> Policy {
    read(text).settings.policy()
}

fn refused(text: &str) -> String {
    match config::parse("policy.toml", text, Path::new("/nowhere")) {
        Ok(configuration) => panic!("{text}: {configuration:?}"),
        Err(error) => error.to_string(),
    }
}

fn warnings(text: &str) -> Vec<String> {
    let warnings = read(text).warnings;
    warnings.iter().map(ToString::to_string).collect()
}

fn countries(codes: &str) -> BTreeSet<Country> {
    let codes = codes.split_ascii_whitespace();
    codes.map(|code| code.parse().unwrap()).collect()
}

fn block(codes: &str) -> CountryRule {
    CountryRule::Block(countries(codes))
}

fn only(codes: &str) -> CountryRule {
    CountryRule::Only(countries(codes))
}

#[test]
fn a_key_is_a_part_of_the_policy() {
    let default = Policy::default;
    let net = |text: &str| text.parse().unwrap();
    let cases: Vec<(&str, Policy)> = vec![
        ("", default()),
        (
            "block = ['cn', \"RU\"]",
            Policy {
                countries: block("CN RU"),
                ..default()
            },
        ),
        (
            "only = ['US']",
            Policy {
                countries: only("US"),
                ..default()
            },
        ),
        (
            "block = []",
            Policy {
                countries: block(""),
                ..default()
            },
        ),
        (
            "allow = ['192.0.2.0/24', '2001:db8::1']\ndeny = ['198.51.100.7']",
            Policy {
                allow: vec![net("192.0.2.0/24"), net("2001:db8::1/128")],
                deny: vec![net("198.51.100.7/32")],
                ..default()
            },
        ),
        (
            "unknown = 'block'",
            Policy {
                unknown: Some(Unknown::Block),
                ..default()
            },
        ),
        (
            "monitor = true",
            Policy {
                monitor: true,
                ..default()
            },
        ),
        (
            "effective_from = '2024-07-09T00:00:00+08:00'",
            Policy {
                effective_from: Some("2024-07-08T16:00:00Z".parse().unwrap()),
                ..default()
            },
        ),
        (
            "effective_from = 2024-07-09T00:00:00+08:00",
            Policy {
                effective_from: Some("2024-07-08T16:00:00Z".parse().unwrap()),
                ..default()
            },
        ),
        (
            "replies = 'drop'\naction = 'reject'\ncount = 'all'",
            Policy {
                replies: Replies::Drop,
                refusal: Refusal::Reject,
                count: Count::All,
                ..default()
            },
        ),
        (
            // Who speaks of ports only does not get the default for all others.
            "[[rules]]\nports = ['tcp/22', 'UDP/53-54']\nonly = ['DE']",
            Policy {
                countries: block(""),
                rules: vec![PortRule {
                    ports: vec![
                        Ports {
                            protocol: Protocol::Tcp,
                            numbers: 22..=22,
                        },
                        Ports {
                            protocol: Protocol::Udp,
                            numbers: 53..=54,
                        },
                    ],
                    countries: only("DE"),
                }],
                ..default()
            },
        ),
    ];
    for (text, expected) in cases {
        assert_eq!(policy(text), expected, "{text}");
        assert_eq!(warnings(text), <[String; 0]>::default(), "{text}");
    }
}

#[test]
fn groups_stand_wherever_codes_do() {
    let text = "
        only = ['eu', 'Benelux', 'US', 'oceania']
        [groups]
        NEIGHBOURS = ['DK', 'benelux']
        benelux = ['BE', 'NL', 'LU']
        [[rules]]
        ports = ['tcp/22']
        block = ['neighbours']
    ";
    let configuration = read(text);
    let policy = configuration.settings.policy();
    let CountryRule::Only(admitted) = &policy.countries else {
        panic!("{policy:?}");
    };
    assert_eq!(admitted.len(), 27 + 1 + 29);
    assert_eq!(policy.rules[0].countries, block("DK BE NL LU"));
    // Only what was written by code must be in the data.
    let named: BTreeSet<_> = configuration
        .settings
        .country_rules()
        .flat_map(|rule| rule.named.iter().map(|named| named.value))
        .collect();
    assert_eq!(named, countries("BE NL LU US DK"));
}

#[test]
fn what_is_no_policy_is_read_beside_it() {
    let configuration = read(
        "
        interfaces = ['eth0', 'eth0', 'eth1']
        engine = 'lpm'
        hook = 'tcx'
        mode = 'generic'
        metrics = '[::1]:9469'
        metrics_file = 'geodrop.prom'
        [geoip]
        sources = ['builtin']
        merge = 'any'
        country = 'registered'
    ",
    );
    assert_eq!(configuration.interfaces, ["eth0", "eth1"]);
    assert_eq!(configuration.engine, Some(Engine::Lpm));
    assert_eq!(configuration.hook, Some(Hook::Tcx));
    assert_eq!(configuration.mode, Some(Mode::Generic));
    let metrics = MetricsSettings {
        address: Some("[::1]:9469".parse().unwrap()),
        file: Some("geodrop.prom".into()),
    };
    assert_eq!(configuration.metrics, metrics);
    assert_eq!(configuration.geoip.sources, Some(vec![Origin::Builtin]));
    let reconciliation = Reconciliation {
        merge: Merge::Any,
        country: CountryBy::Registered,
    };
    assert_eq!(configuration.geoip.reconciliation(), reconciliation);
}

#[test]
fn an_interfaces_own_keys_win_whole() {
    let configuration = read(
        "
        interfaces = ['eth0']
        block = ['CN']
        allow = ['192.0.2.0/24', '198.51.100.0/24']
        monitor = true
        [[rules]]
        ports = ['tcp/22']
        only = ['DE']
        [[interface]]
        name = 'eth1'
        only = ['US']
        allow = ['203.0.113.0/24']
        [[interface.rules]]
        ports = ['tcp/80']
        block = []
        [[interface]]
        name = 'eth0'
        monitor = false
    ",
    );
    assert_eq!(configuration.interfaces, ["eth0", "eth1"]);
    let eth0 = configuration.settings_of("eth0").policy();
    assert_eq!((eth0.countries, eth0.allow.len()), (block("CN"), 2));
    assert_eq!(
        (eth0.rules[0].countries.clone(), eth0.monitor),
        (only("DE"), false)
    );
    let eth1 = configuration.settings_of("eth1").policy();
    assert_eq!(eth1.countries, only("US"));
    assert_eq!(eth1.allow, ["203.0.113.0/24".parse().unwrap()]);
    assert_eq!((eth1.rules.len(), eth1.monitor), (1, true));
    assert_eq!(eth1.rules[0].ports[0].numbers, 80..=80);
    assert!(configuration.settings_of("eth2").policy().monitor);
}

/// Each case: a configuration, and all that is said of it.
const REFUSED: &[(&str, &str)] = &[
    (
        "block = [\"CN\", \"UK\"]",
        r#"
policy.toml:1:16: `UK` is neither a country code (ISO 3166-1 alpha-2) nor a group
   |
 1 | block = ["CN", "UK"]
   |                ^^^^
   = help: United Kingdom of Great Britain and Northern Ireland is GB"#,
    ),
    (
        "# 中文\n\tmode = \"nativ\" # 中文",
        r#"
policy.toml:2:9: `nativ` is no value of `mode`
   |
 2 | 	mode = "nativ" # 中文
   | 	       ^^^^^^^
   = help: did you mean "native"?"#,
    ),
    (
        "block = [\"CN\"]\r\nmontior = true\r\n",
        r"
policy.toml:2:1: there is no key `montior` at the top level
   |
 2 | montior = true
   | ^^^^^^^
   = help: did you mean `monitor`?",
    ),
    (
        "block = [\"CN\"]\nonly = [\"asai\"]",
        r#"
policy.toml:2:1: `block` and `only` exclude each other
   |
 2 | only = ["asai"]
   | ^^^^
   = help: keep `block` to admit all but some countries, or `only` to admit no others

policy.toml:2:9: `asai` is neither a country code (ISO 3166-1 alpha-2) nor a group
   |
 2 | only = ["asai"]
   |         ^^^^^^
   = help: did you mean the group ASIA?

2 errors"#,
    ),
    (
        "effective_from = 2024-07-09T00:00:00",
        r"
policy.toml:1:18: `2024-07-09T00:00:00` does not say in which time zone
   |
 1 | effective_from = 2024-07-09T00:00:00
   |                  ^^^^^^^^^^^^^^^^^^^
   = help: add the offset from UTC: 2024-07-09T00:00:00+08:00 for Beijing's time, 2024-07-09T00:00:00Z for UTC",
    ),
    (
        "[[rules]]\nports = [443, \"tcp/ssh\"]\nonly = [\"DE\"]",
        r#"
policy.toml:2:10: `443` does not say of which protocol
   |
 2 | ports = [443, "tcp/ssh"]
   |          ^^^
   = help: write "tcp/443", "udp/443", or both

policy.toml:2:15: `tcp/ssh` names no ports
   |
 2 | ports = [443, "tcp/ssh"]
   |               ^^^^^^^^^
   = help: write the protocol, then a port or a range of ports: tcp/22, udp/53, tcp/8000-8100

2 errors"#,
    ),
    (
        "deny = [\"1.2.3.4/24\"]",
        r#"
policy.toml:1:9: `1.2.3.4/24` has bits set beyond the prefix length
   |
 1 | deny = ["1.2.3.4/24"]
   |         ^^^^^^^^^^^^
   = help: write 1.2.3.0/24 if you mean the whole prefix, or 1.2.3.4 if you mean that address"#,
    ),
    (
        "[groups]\nONE = [\"two\"]\nTWO = [\"DE\", \"one\"]",
        r#"
policy.toml:3:14: the group ONE would be in itself
   |
 3 | TWO = ["DE", "one"]
   |              ^^^^^
   = help: take ONE or TWO out of the other"#,
    ),
    (
        "monitor = true\nmode = \"auto",
        r#"
policy.toml:2:13: invalid basic string, expected `"`
   |
 2 | mode = "auto
   |             ^
   = help: mend it: this is no TOML; a line is key = value, texts stand in quotes, lists in brackets"#,
    ),
];

#[test]
fn what_is_wrong_is_shown_with_its_line_and_a_remedy() {
    for (text, expected) in REFUSED {
        assert_eq!(refused(text).trim_end(), expected.trim(), "{text}");
    }
}

#[test]
fn what_is_wrong_is_told_all_at_once() {
    let errors =
        refused("block = ['UK']\nmodus = 'auto'\nmonitor = 'yes'\n[geoip]\nsources = []\n");
    for line in [
        "policy.toml:1:10",
        "policy.toml:2:1",
        "policy.toml:3:11",
        "policy.toml:5:11",
        "4 errors",
    ] {
        assert!(errors.contains(line), "{line}: {errors}");
    }
}

#[test]
fn many_errors_are_cut_short() {
    let errors = refused(&format!("deny = [{}]", "'x', ".repeat(1000)));
    assert!(
        errors.ends_with("1000 errors, of which the first 20 are shown"),
        "{errors}"
    );
    // And the one long line they are on is cut so that the place is seen.
    assert!(errors.lines().all(|line| line.len() < 130), "{errors}");
}

#[test]
fn likely_slips_get_advice() {
    for (text, advice) in [
        ("block = ['asai']", "did you mean the group ASIA?"),
        ("block = ['china']", "China is CN"),
        ("effective-from = 1", "did you mean `effective_from`?"),
        ("rule = 1", "did you mean `rules`?"),
        ("ports = ['tcp/22']", "it belongs below [[rules]]"),
        ("sources = ['builtin']", "it belongs below [geoip]"),
        ("interface = 'eth0'", "write interfaces = [\"eth0\"]"),
        (
            "interfaces = 'eth0'",
            "write it in brackets: interfaces = [\"eth0\"]",
        ),
        ("interfaces = ['a b']", "as `ip link` shows it"),
        ("[geoip]\nmonitor = true", "at the top level"),
        ("[groups]\nmonitor = true", "above the first [table]"),
        (
            "[[rules]]\nports=['tcp/1']\nblock=[]\nallow=[]",
            "at the top level",
        ),
        ("[[interface]]\nname='a'\nmode='auto'", "at the top level"),
        ("[[interface]]\nmonitor=true", "write name = \"eth1\" in it"),
        (
            "[[interface]]\nname='a'\n[[interface]]\nname='a'",
            "join the two tables",
        ),
        ("[interface]\nname='a'", "write [[interface]]"),
        ("rules = ['x']", "write [[rules]]"),
        ("geoip = 'x'", "write [geoip]"),
        ("[groups]\nX = 'DE'", "write it in brackets: X = [\"DE\"]"),
        (
            "[groups]\nEU = ['DE']",
            "there is a group of that name already",
        ),
        (
            "[groups]\nxy = ['DE']\nX-Y = []\n'' = []",
            "made of letters",
        ),
        (
            "[groups]\nab-c = []\nAB-C = []",
            "there is a group of that name already",
        ),
        ("unknown = 'drop'", "write \"pass\" or \"block\""),
        ("replies = 'pas'", "did you mean \"pass\"?"),
        ("monitor = 'true'", "write it without quotes"),
        ("block = [CN]", "mend it"),
        ("monitor = true\nmonitor = false", "keep one of them"),
        (
            "[[rules]]\nports = 'tcp/22'\nblock=[]",
            "write it in brackets: ports = [\"tcp/22\"]",
        ),
        ("[[rules]]\nports = []\nblock=[]", "no port at all"),
        (
            "[[rules]]\nports = [1.5]\nblock=[]",
            "a number with a fraction",
        ),
        ("[[rules]]\nports = ['tcp/22']", "block = [] blocks none"),
        ("[[rules]]\nblock = []", "for which ports"),
        (
            "deny = ['file:none.txt']",
            "/nowhere/none.txt cannot be read",
        ),
        (
            "[geoip]\nsources = ['none.csv']",
            "/nowhere/none.csv cannot be read",
        ),
        (
            "[geoip]\nsources = ['CN=none.txt']",
            "/nowhere/none.txt cannot be read",
        ),
        (
            "[geoip]\nsources = ['UK=none.txt']",
            "a file of such a name is written ./UK=none.txt",
        ),
        ("[geoip]\nmerge = 'all'", "any"),
    ] {
        let error = refused(text);
        assert!(error.contains(advice), "{text}\n{error}");
    }
}

#[test]
fn groups_in_groups_end() {
    let chain: Vec<_> = (0..100)
        .map(|number| format!("G{number:03} = ['G{:03}']\n", number + 1))
        .collect();
    let chain = chain.concat();
    let errors = refused(&format!("[groups]\n{chain}G100 = ['DE']"));
    assert!(errors.contains("more than 32 deep"), "{errors}");
}

#[test]
fn rules_have_an_end() {
    let rules = |count: usize| -> String {
        let rules =
            (1..=count).map(|port| format!("[[rules]]\nports = ['tcp/{port}']\nblock = ['CN']\n"));
        rules.collect::<Vec<_>>().concat()
    };
    assert_eq!(policy(&rules(MOST_RULES)).rules.len(), MOST_RULES);
    let errors = refused(&rules(MOST_RULES + 3));
    assert!(
        errors.starts_with("policy.toml:88:1: there are more than 29 rules"),
        "{errors}"
    );
    assert_eq!(errors.matches("policy.toml:").count(), 1, "{errors}");
}

#[test]
fn a_second_look_is_asked_for() {
    for (text, expected) in [
        (
            "allow = ['192.0.2.0/24']\ndeny = ['198.51.100.0/24', '192.0.2.0/24']",
            "
policy.toml:2:28: 192.0.2.0/24 is on `allow` and on `deny`, and passes
   |
 2 | deny = ['198.51.100.0/24', '192.0.2.0/24']
   |                            ^^^^^^^^^^^^^^
   = help: take it off one of them; it is allowed at policy.toml:1:10",
        ),
        (
            "deny = ['192.0.2.1', '192.0.2.2', '192.0.2.1/32', '192.0.2.2']",
            "
policy.toml:1:35: 192.0.2.1/32 is on `deny` twice, and so is one more
   |
 1 | deny = ['192.0.2.1', '192.0.2.2', '192.0.2.1/32', '192.0.2.2']
   |                                   ^^^^^^^^^^^^^^
   = help: take one off; the first is at policy.toml:1:9",
        ),
        (
            "[[rules]]\nports = ['tcp/1-99', 'tcp/100-200']\nblock = []\n\
             [[rules]]\nports = ['tcp/90-110', 'tcp/1']\nblock = ['CN']",
            "
policy.toml:4:1: the rule decides nothing: earlier rules name all its ports
   |
 4 | [[rules]]
   | ^^^^^^^^^
   = help: take it away, or put it before them; the first rule that names a port decides",
        ),
        (
            "allow = ['192.0.2.0/24']\n[[interface]]\nname = 'eth1'\ndeny = ['192.0.2.0/24']",
            "
policy.toml:4:9: 192.0.2.0/24 is on `allow` and on `deny`, and passes
   |
 4 | deny = ['192.0.2.0/24']
   |         ^^^^^^^^^^^^^^
   = help: take it off one of them; it is allowed at policy.toml:1:10",
        ),
    ] {
        assert_eq!(warnings(text), [expected.trim_start()], "{text}");
    }
}

#[test]
fn prefixes_come_from_files_too() {
    let directory = tempfile::tempdir().unwrap();
    let parse = |text: &str| config::parse("policy.toml", text, directory.path());
    let office = directory.path().join("office.txt");
    fs::write(
        &office,
        "# the office\r\n192.0.2.0/24 # Berlin\r\n\r\n  2001:db8::/32",
    )
    .unwrap();
    let text = "allow = ['file:office.txt', '198.51.100.7']";
    let allow = parse(text).unwrap().settings.policy().allow;
    let texts: Vec<_> = allow.iter().map(ToString::to_string).collect();
    assert_eq!(texts, ["192.0.2.0/24", "2001:db8::/32", "198.51.100.7/32"]);

    fs::write(&office, "192.0.2.0/24\n\n  192.0.2.7/24 # Bonn\nnowhere\n").unwrap();
    let errors = parse(text).unwrap_err().to_string();
    let path = office.display();
    assert_eq!(
        errors,
        format!(
            "{path}:3:3: `192.0.2.7/24` has bits set beyond the prefix length
   |
 3 |   192.0.2.7/24 # Bonn
   |   ^^^^^^^^^^^^
   = help: write 192.0.2.0/24 if you mean the whole prefix, or 192.0.2.7 if you mean that address

{path}:4:1: `nowhere` is not a prefix and not an address
   |
 4 | nowhere
   | ^^^^^^^
   = help: write a prefix like 192.0.2.0/24 or 2001:db8::/32, or an address

2 errors"
        )
    );

    fs::write(&office, "# nobody\n").unwrap();
    let warnings = parse(text).unwrap().warnings;
    assert!(
        warnings[0]
            .message
            .ends_with("office.txt has no prefix in it")
    );
    fs::write(&office, [0xff, 0xfe, b'\n']).unwrap();
    assert!(parse(text).unwrap_err().to_string().contains("UTF-8"));
}

#[test]
fn metrics_are_served_at_an_address_with_a_port() {
    for text in [
        "metrics = 'localhost:9469'",
        "metrics = '127.0.0.1'",
        "metrics = 9469",
    ] {
        let said = refused(text);
        assert!(said.contains("127.0.0.1:9469"), "{said}");
    }
    let said = refused("[geoip]\nmetrics = '127.0.0.1:9469'\n");
    assert!(said.contains("at the top level"), "{said}");
}

#[test]
fn every_example_is_in_order() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples");
    let mut names = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path
            .extension()
            .is_some_and(|extension| extension == "toml")
        {
            let configuration = config::read(&path).unwrap_or_else(|error| panic!("{error}"));
            assert_eq!(configuration.warnings, []);
            assert!(!configuration.interfaces.is_empty(), "{}", path.display());
            names.push(path.file_name().unwrap().to_str().unwrap().to_owned());
        }
    }
    names.sort();
    assert_eq!(
        names,
        [
            "only-my-country.toml",
            "openai-2024.toml",
            "sanctions.toml",
            "ssh-and-web.toml"
        ]
    );
}

/// Pieces that configurations are made of, right and wrong.
fn piece() -> impl Strategy<Value = String> {
    prop_oneof![
        prop::sample::select(vec![
            "block",
            "only",
            "allow",
            "deny",
            "unknown",
            "monitor",
            "effective_from",
            "replies",
            "action",
            "count",
            "interfaces",
            "engine",
            "hook",
            "mode",
            "metrics",
            "\"127.0.0.1:9469\"",
            "name",
            "ports",
            "sources",
            " = ",
            "[",
            "]",
            "[[",
            "]]",
            ", ",
            "\n",
            "[geoip]\n",
            "[groups]\n",
            "[[rules]]\n",
            "[[interface]]\n",
            "[[interface.rules]]\n",
            "\"CN\"",
            "\"eu\"",
            "\"G\"",
            "\nG = [\"H\"]",
            "\nH = [\"G\"]",
            "\"192.0.2.0/24\"",
            "\"tcp/22\"",
            "\"tcp/9-1\"",
            "22",
            "true",
            "2024-07-09",
            "2024-07-09T00:00:00",
            "2024-07-09T00:00:00+08:00",
            "{",
            "}",
            "'''",
            "\"\"\"",
            "#",
            ".",
        ])
        .prop_map(str::to_owned),
        "\\PC{0,5}",
        any::<char>().prop_map(String::from),
    ]
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(pieces in prop::collection::vec(piece(), 0..60)) {
        let text = pieces.concat();
        if let Err(error) = config::parse("policy.toml", &text, Path::new("/nowhere")) {
            prop_assert!(error.to_string().contains("policy.toml:"));
        }
    }

    #[test]
    fn no_value_makes_it_panic(
        key in prop::sample::select(vec![
            "block", "only", "allow", "deny", "unknown", "monitor", "effective_from", "replies", "rules", "geoip",
            "groups", "interface", "interfaces", "groups.x", "geoip.sources", "interface.name",
        ]),
        value in prop_oneof![
            "\\PC{0,20}", "\"[a-zA-Z0-9/:.-]{0,12}\"", "\\[(\"[a-zA-Z0-9/:.-]{0,8}\",? ?|[0-9]{1,3},?){0,4}\\]",
            "\\{[a-z]{1,5} = [0-9]\\}", "[0-9T:.Z+-]{1,25}",
        ],
    ) {
        let _ = config::parse("policy.toml", &format!("{key} = {value}"), Path::new("/nowhere"))
            .map_err(|error| error.to_string());
    }
}
