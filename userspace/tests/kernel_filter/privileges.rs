//! A filter by a process that may do no more than it takes: `CAP_BPF` and `CAP_NET_ADMIN`.

use std::{
    fs::{self, Permissions},
    os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown},
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use super::{
    host::{BLOCKED, HOOKS, Host, OTHER, assert_eventually},
    policy::{AMERICA, CHINA, File},
};
use geodrop::{
    datapath::generation::{Generation, Plan},
    geoip::Regions,
    policy::{Policy, Ruleset},
    table::Engine,
};
use rustix::thread::{CapabilitySet, CapabilitySets, capabilities, set_capabilities};
use rustix::{
    mount::{MountFlags, UnmountFlags, mount, unmount},
    process::Signal,
};

/// All that root has, but what lets it read the kernel's memory.
const BOUNDS: &str = "-perfmon,-sys_admin";

#[test]
fn a_filter_needs_neither_perfmon_nor_sys_admin() {
    let [xdp, tcx] = HOOKS;
    for (hook, engine) in [
        (xdp, "multibit"),
        (xdp, "lpm"),
        (tcx, "multibit"),
        (tcx, "lpm"),
    ] {
        let host = Host::at(hook);
        let attach = ["attach", "-i", "server", "--engine", engine];
        host.succeed_with(BOUNDS, &attach);
        assert!(!host.admits(BLOCKED));
        assert!(!host.admits("2400:3200::1"));
        assert!(host.admits(OTHER));
        assert!(host.admits("2001:4860:4860::8888"));

        let status: serde_json::Value =
            serde_json::from_str(&host.succeed_with(BOUNDS, &["status", "--json"])).unwrap();
        assert_eq!(status["interfaces"][0]["engine"], engine);
        assert_eq!(status["interfaces"][0]["counters"]["CN"]["packets"], 2);

        let said = host.succeed_with(BOUNDS, &[&attach[..], &["--block", "US"]].concat());
        assert!(said.contains("replaced the filter"), "{said}");
        assert!(host.admits(BLOCKED));
        assert!(!host.admits(OTHER));

        host.succeed_with(BOUNDS, &["detach", "-i", "server"]);
        host.assert_free();
    }
}

#[test]
fn two_capabilities_are_all_that_it_takes() {
    for hook in HOOKS {
        let host = Host::at(hook);
        let bounds = "-all,+bpf,+net_admin";
        host.succeed_with(bounds, &["attach", "-i", "server"]);
        assert!(!host.admits(BLOCKED));
        host.succeed_with(bounds, &["detach", "--all"]);
        host.assert_free();
    }
}

#[test]
fn each_capability_that_is_missing_is_named() {
    let host = Host::new();
    for (bounds, missing) in [
        ("-bpf,-sys_admin", "needs CAP_BPF, which"),
        ("-net_admin", "needs CAP_NET_ADMIN, which"),
    ] {
        let output = host.output_with(bounds, &["attach", "-i", "server"]);
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains(missing), "{said}");
    }
    host.assert_free();
}

/// Only this thread loses the capabilities, and it ends with the test.
#[test]
fn the_program_for_older_kernels_says_that_it_takes_perfmon() {
    let sets = capabilities(None).unwrap();
    let effective = sets
        .effective
        .difference(CapabilitySet::PERFMON | CapabilitySet::SYS_ADMIN);
    set_capabilities(None, CapabilitySets { effective, ..sets }).unwrap();
    let ruleset = Ruleset::new(&Policy::default(), &Regions::default());
    let plan = Plan::by_address(&ruleset, Engine::default());
    let error = Generation::load_without_frags(plan)
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("needs CAP_PERFMON (as kernels before 5.18 do), which"),
        "{error}"
    );
    assert!(Generation::load(plan).unwrap().frags());
}

/// A user without any rights, who has a bpf file system and these capabilities.
struct User {
    host: Host,
    capabilities: &'static str,
    // After the host, whose filter is pinned there.
    _pins: BpfFileSystem,
}

const NOBODY: u32 = 65534;

/// A bpf file system of the user's own.
struct BpfFileSystem(tempfile::TempDir);

impl BpfFileSystem {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        // Others may pass through.
        fs::set_permissions(directory.path(), Permissions::from_mode(0o755)).unwrap();
        let place = directory.path().join("bpf");
        fs::create_dir(&place).unwrap();
        mount(
            "bpf",
            &place,
            "bpf",
            MountFlags::empty(),
            Some(c"mode=0700"),
        )
        .unwrap();
        let mounted = Self(directory);
        chown(mounted.place(), Some(NOBODY), Some(NOBODY)).unwrap();
        mounted
    }

    fn place(&self) -> PathBuf {
        self.0.path().join("bpf")
    }
}

impl Drop for BpfFileSystem {
    fn drop(&mut self) {
        let _ = unmount(self.place(), UnmountFlags::DETACH);
    }
}

impl User {
    fn with(capabilities: &'static str) -> Self {
        let pins = BpfFileSystem::new();
        let mut host = Host::new();
        host.pins = pins.place().join("geodrop");
        Self {
            host,
            capabilities,
            _pins: pins,
        }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("setpriv");
        command
            .args(["--reuid", "65534", "--regid", "65534", "--clear-groups"])
            .args(["--no-new-privs", "--bounding-set", self.capabilities])
            .args(["--inh-caps", self.capabilities])
            .args(["--ambient-caps", self.capabilities])
            .arg(env!("CARGO_BIN_EXE_geodrop"))
            .args(arguments)
            .arg("--pin-root")
            .arg(&self.host.pins);
        command
    }

    fn output(&self, arguments: &[&str]) -> Output {
        let mut command = self.command(arguments);
        let server = &self.host.veth.server;
        server.run(|| command.output()).unwrap().unwrap()
    }

    /// Runs the command, which must succeed; returns what it printed, and what it said on standard error.
    fn succeed(&self, arguments: &[&str]) -> (String, String) {
        let output = self.output(arguments);
        let [printed, said] =
            [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap());
        assert!(output.status.success(), "{arguments:?}: {said}");
        (printed, said)
    }

    fn status(&self) -> serde_json::Value {
        let (printed, _) = self.succeed(&["status", "--json"]);
        serde_json::from_str(&printed).unwrap()
    }

    /// All that is done with a filter that stands alone.
    fn lives_with_a_filter(&self) -> String {
        let Self { host, .. } = self;
        let attach = ["attach", "-i", "server", "--force"];
        let (_, said) = self.succeed(&attach);
        assert!(!said.contains("looking for whom"), "{said}");
        assert_eq!(fs::metadata(&host.pins).unwrap().uid(), NOBODY);
        assert!(!host.admits(BLOCKED));
        assert!(host.admits(OTHER));
        assert_eq!(
            self.status()["interfaces"][0]["counters"]["CN"]["packets"],
            1
        );

        self.succeed(&["allow", BLOCKED]);
        assert!(host.admits(BLOCKED));
        self.succeed(&["allow", "--remove", BLOCKED]);
        self.succeed(&["deny", OTHER, "--force"]);
        assert!(!host.admits(OTHER));
        self.succeed(&["deny", "--remove", OTHER]);

        self.succeed(&[&attach[..], &["--block", "US", "--confirm", "5m"]].concat());
        assert!(!host.admits(OTHER));
        self.succeed(&["confirm"]);
        assert!(self.status()["interfaces"][0]["trial"].is_null());
        self.succeed(&[&attach[..], &["--confirm", "2s"]].concat());
        std::thread::sleep(std::time::Duration::from_secs(2));
        assert!(!host.admits(OTHER));

        self.succeed(&["detach", "-i", "server"]);
        host.assert_free();
        said
    }

    /// All that a run does.
    fn runs(&self) {
        let Self { host, .. } = self;
        let policy = File::new(CHINA);
        readable(policy.path());
        let mut command = self.command(&[
            "run",
            "-i",
            "server",
            "--config",
            policy.path(),
            "--force",
            "--interval",
            "0",
        ]);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut run = host.spawn(command);
        let line = run.line();
        assert!(
            line.starts_with("server: blocking"),
            "{line}{}",
            run.wait().1
        );
        assert!(!host.admits(BLOCKED));

        policy.write(AMERICA);
        self.succeed(&["reload", "--confirm", "5m", "--force"]);
        assert!(!host.admits(OTHER));
        self.succeed(&["confirm"]);
        policy.write(CHINA);
        run.signal(Signal::HUP);
        assert_eventually(|| host.admits(OTHER));
        run.signal(Signal::INT);
        let (status, said) = run.wait();
        assert_eq!(status, Some(0), "{said}");
        host.assert_free();
    }
}

/// Lets others read a file, and pass through its directory.
fn readable(path: &str) {
    let directory = Path::new(path).parent().unwrap();
    fs::set_permissions(directory, Permissions::from_mode(0o755)).unwrap();
    fs::set_permissions(path, Permissions::from_mode(0o644)).unwrap();
}

#[test]
fn a_user_with_three_capabilities_does_all_that_root_does() {
    let user = User::with("-all,+bpf,+net_admin,+perfmon");
    let said = user.lives_with_a_filter();
    assert!(!said.contains("CAP_PERFMON"), "{said}");
    user.runs();
}

#[test]
fn a_user_without_perfmon_does_all_that_root_does_and_is_told_that_it_is_slower() {
    let user = User::with("-all,+bpf,+net_admin");
    let said = user.lives_with_a_filter();
    assert!(said.contains("without CAP_PERFMON"), "{said}");
    user.runs();
}

#[test]
fn a_user_who_may_not_pin_is_told_where() {
    let user = User::with("-all,+bpf,+net_admin,+perfmon");
    chown(user.host.pins.parent().unwrap(), Some(0), Some(0)).unwrap();
    let output = user.output(&["attach", "-i", "server", "--force"]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(said.contains("--pin-root"), "{said}");
    assert_eq!(user.host.attached(), None);
}
