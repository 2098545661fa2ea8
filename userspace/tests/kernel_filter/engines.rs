//! The same filter, whatever the engine of its tables.

use super::host::{BLOCKED, Host, OTHER};

/// The names by which the command knows them.
const ENGINES: [&str; 2] = ["multibit", "lpm"];

#[test]
fn every_engine_filters_and_status_says_which_it_is() {
    let mut memory = Vec::new();
    for engine in ENGINES {
        let host = Host::new();
        host.succeed(&["attach", "-i", "server", "--engine", engine]);
        assert!(!host.admits(BLOCKED));
        assert!(!host.admits("2400:3200::1"));
        assert!(host.admits(OTHER));
        assert!(host.admits("2001:4860:4860::8888"));
        let filter = host.filter();
        assert_eq!(filter["engine"], engine);
        assert_eq!(filter["counters"]["CN"]["packets"], 2);
        memory.push(filter["memory_bytes"].as_u64().unwrap());
        assert!(
            host.succeed(&["status"])
                .contains(&format!("engine {engine}"))
        );
        host.succeed(&["detach", "-i", "server"]);
        host.assert_free();
    }
    // Of each engine its own tables are counted, and no other's.
    assert_ne!(memory[0], memory[1]);
    assert!(
        memory
            .iter()
            .all(|bytes| (200_000..4 << 20).contains(bytes)),
        "{memory:?}"
    );
}

#[test]
fn auto_is_the_fastest() {
    let host = Host::new();
    host.succeed(&["attach", "-i", "server", "--engine", "auto"]);
    assert_eq!(host.filter()["engine"], "multibit");
}

#[test]
fn an_engine_that_there_is_none_of() {
    let host = Host::new();
    let said = host.fail(2, &["attach", "-i", "server", "--engine", "bloom"]);
    assert!(said.contains("auto, multibit, lpm"), "{said}");
    host.assert_free();
}

#[test]
fn a_filter_of_one_engine_replaces_one_of_the_other() {
    let host = Host::new();
    for (generation, engine) in (1_u64..).zip(["lpm", "multibit", "lpm"]) {
        host.succeed(&["attach", "-i", "server", "--engine", engine]);
        assert!(!host.admits(BLOCKED));
        let filter = host.filter();
        assert_eq!(filter["engine"], engine);
        assert_eq!(filter["generation"], generation);
        assert_eq!(filter["counters"]["CN"]["packets"], generation);
    }
}

#[test]
fn several_interfaces_share_the_tables_of_every_engine() {
    for engine in ENGINES {
        let host = Host::new();
        host.succeed(&["attach", "-i", "server", "lo", "--engine", engine]);
        assert!(!host.admits(BLOCKED));
        let status = host.status();
        let filters = status["interfaces"].as_array().unwrap();
        assert_eq!(filters.len(), 2);
        for filter in filters {
            assert_eq!(filter["engine"], engine);
        }
        // The second interface's filter stands on its own when the first one's is gone.
        host.succeed(&["detach", "-i", "lo"]);
        assert!(!host.admits(BLOCKED));
    }
}

#[test]
fn a_run_takes_an_engine() {
    let host = Host::new();
    let _run = host.run(&["--engine", "lpm"]);
    assert!(!host.admits(BLOCKED));
    assert_eq!(host.filter()["engine"], "lpm");
}
