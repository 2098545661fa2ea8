//! `geodrop run` as a pod of the DaemonSet: its arguments, its capabilities, and a ConfigMap that changes as the kubelet
//! changes it.

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
};

use super::{
    host::{BLOCKED, Host, OTHER, assert_eventually},
    policy::{AMERICA, CHINA},
    service,
};

fn manifest(file: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../packaging/kubernetes");
    fs::read_to_string(path.join(file)).unwrap()
}

/// The list that the DaemonSet gives to a key, which is on one line.
fn list(key: &str) -> Vec<String> {
    let manifest = manifest("daemonset.yaml");
    let line = manifest.lines().find_map(|line| {
        let value = line.trim().strip_prefix(key)?.strip_prefix(": [")?;
        value.strip_suffix(']')
    });
    let words = line.unwrap_or_else(|| panic!("the DaemonSet has no {key}"));
    words
        .split(", ")
        .map(|word| word.trim_matches('"').to_owned())
        .collect()
}

/// A volume of a ConfigMap: links lead to its files through a link to the directory of their present version.
struct Volume(tempfile::TempDir);

impl Volume {
    fn new(policy: &str) -> Self {
        let volume = Self(tempfile::tempdir().unwrap());
        volume.change(policy);
        symlink("..data/policy.toml", volume.path()).unwrap();
        volume
    }

    fn path(&self) -> PathBuf {
        self.0.path().join("policy.toml")
    }

    fn change(&self, policy: &str) {
        let version = tempfile::tempdir_in(self.0.path()).unwrap().keep();
        fs::write(version.join("policy.toml"), policy).unwrap();
        let new = self.0.path().join("..data_tmp");
        symlink(version.file_name().unwrap(), &new).unwrap();
        fs::rename(new, self.0.path().join("..data")).unwrap();
    }
}

#[test]
fn a_config_map_that_changes_comes_into_force() {
    let host = Host::new();
    let volume = Volume::new(&format!("interfaces = [\"server\"]\n{CHINA}"));
    let path = volume.path();
    let arguments = list("args");
    assert_eq!(arguments[0], "run");
    let arguments = arguments[1..].iter().map(|word| match word.as_str() {
        "/etc/geodrop/policy.toml" => path.to_str().unwrap(),
        word => word,
    });
    let _run = host.run_with(&arguments.collect::<Vec<_>>());
    assert!(!host.admits(BLOCKED));
    let probe = list("command");
    assert_eq!(probe[0], "/usr/bin/geodrop");
    host.succeed(&probe[1..].iter().map(String::as_str).collect::<Vec<_>>());

    volume.change(&format!("interfaces = [\"server\"]\n{AMERICA}"));
    assert_eventually(|| host.filter()["generation"] == 2);
    assert!(host.admits(BLOCKED));
    assert!(!host.admits(OTHER));
}

#[test]
fn the_image_runs_what_the_pod_runs() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../packaging/Containerfile");
    let file = fs::read_to_string(path).unwrap();
    let command = file.lines().find_map(|line| line.strip_prefix("CMD "));
    let words: Vec<String> = serde_json::from_str(command.unwrap()).unwrap();
    assert_eq!(words, list("args"));
}

#[test]
fn a_pod_has_the_capabilities_of_the_unit() {
    let added = list("add").into_iter().map(|name| format!("CAP_{name}"));
    assert_eq!(
        added.collect::<Vec<_>>(),
        service::unit("CapabilityBoundingSet")
    );
    assert_eq!(list("drop"), ["ALL"]);
}

#[test]
fn the_policy_of_the_config_map_is_in_order_and_drops_nothing() {
    let host = Host::new();
    let manifest = manifest("policy.yaml");
    let policy = manifest.split("policy.toml: |\n").nth(1).unwrap();
    let volume = Volume::new(&policy.replace("\n    ", "\n"));
    let said = host.bare(&["check", "--config", volume.path().to_str().unwrap()]);
    assert!(said.contains("nothing is dropped"), "{said}");
}
