//! The package of Debian on a host: installed, upgraded while packets come, removed and purged.
//!
//! It is installed on a copy of this machine's files, which is gone with the test, and holds the program that the other tests
//! run, or that of `GEODROP_PREBUILT`, which is how `cargo xtask dist --check` tries what is handed out. The unit's own command
//! line is run there, with this test as its manager.

use std::{
    cell::RefCell,
    env, fs,
    io::{BufRead as _, BufReader},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
};

use rustix::process::Signal;

use super::{
    hitless::{SOURCES, assert_hitless},
    host::{BLOCKED, Host, Run},
    policy::CHINA,
    service,
};

/// Where the package has the policy.
const POLICY: &str = "/etc/geodrop/policy.toml";

/// Where fetched data is.
const STATE: &str = "/var/lib/geodrop";

/// Makes the package with this revision, in a directory of its own.
fn package(revision: u32, directory: &Path) -> PathBuf {
    let output = directory.join(revision.to_string());
    let program = Path::new(env!("CARGO_BIN_EXE_geodrop"));
    let tested = program.parent().unwrap().to_path_buf();
    let prebuilt = env::var_os("GEODROP_PREBUILT").map_or(tested, PathBuf::from);
    let mut command = Command::new(env!("CARGO"));
    command
        .args(["run", "--quiet", "--package", "xtask", "--", "dist"])
        .args(["geodrop", "--format", "deb", "--prebuilt"])
        .arg(prebuilt)
        .args(["--revision", &revision.to_string(), "--output"])
        .arg(&output);
    assert_success(&command.output().unwrap());
    let files = fs::read_dir(&output).unwrap();
    files
        .map(|file| file.unwrap().path())
        .find(|path| path.extension().is_some_and(|extension| extension == "deb"))
        .expect("there is a package")
}

fn assert_success(output: &Output) {
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
}

/// A copy of this machine's files, in a mount namespace of its own: what is changed there is not changed here.
struct Machine {
    /// Lives in that namespace, and so keeps it.
    keeper: Child,
    /// Where the copy is there.
    directory: tempfile::TempDir,
}

/// Mounts the copy at `$1/root`, what is changed at `$1/upper`, with the pins of `$2`; and lives on.
const KEEPER: &str = "set -e
mount -t tmpfs tmpfs \"$1\"
mkdir \"$1/upper\" \"$1/work\" \"$1/root\"
mount -t overlay overlay -o \"lowerdir=/,upperdir=$1/upper,workdir=$1/work\" \"$1/root\"
mount -t proc proc \"$1/root/proc\"
mount -t sysfs sysfs \"$1/root/sys\"
mount --bind \"$2\" \"$1/root/sys/fs/bpf\"
mount --rbind /dev \"$1/root/dev\"
echo ready
exec cat";

/// Names what is in the copy and not on this machine.
const NEW: &str = "cd \"$1/upper\"
find . -mindepth 1 ! -type c | while read -r file; do
    test -e \"/$file\" || test -L \"/$file\" || echo \"$file\"
done";

impl Machine {
    /// One whose bpf file system is this directory of ours.
    fn new(pins: &Path) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut keeper = Command::new("unshare");
        keeper
            .args(["--mount", "sh", "-c", KEEPER, "sh"])
            .arg(directory.path())
            .arg(pins)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut keeper = keeper.spawn().unwrap();
        let mut line = String::new();
        let mut output = BufReader::new(keeper.stdout.take().unwrap());
        output.read_line(&mut line).unwrap();
        assert_eq!(line, "ready\n", "mounting the copy has failed");
        Self { keeper, directory }
    }

    /// The keeper's namespace as seen from here.
    fn enter(&self) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["--mount", "--target", &self.keeper.id().to_string()]);
        command
    }

    /// A program of the copy, to be run there.
    fn command(&self, words: &[&str]) -> Command {
        let mut command = self.enter();
        command
            .arg("chroot")
            .arg(self.directory.path().join("root"))
            .args(words)
            .env("DEBIAN_FRONTEND", "noninteractive")
            .stdin(Stdio::null());
        command
    }

    /// Runs a program of the copy.
    fn output(&self, words: &[&str]) -> Output {
        self.command(words).output().unwrap()
    }

    /// The same, and it must succeed; returns what it printed.
    fn succeed(&self, words: &[&str]) -> String {
        let output = self.output(words);
        assert_success(&output);
        String::from_utf8(output.stdout).unwrap()
    }

    /// A file of the copy, to be read and written from here.
    fn path(&self, file: &str) -> PathBuf {
        let root = format!("/proc/{}/root", self.keeper.id());
        let copy = format!("{root}{}/root{file}", self.directory.path().display());
        copy.into()
    }

    /// Installs a package, or upgrades to it.
    fn install(&self, package: &Path) {
        let name = "/geodrop.deb";
        fs::copy(package, self.path(name)).unwrap();
        self.succeed(&["dpkg", "--force-unsafe-io", "--install", name]);
        fs::remove_file(self.path(name)).unwrap();
    }

    /// What is there and not on this machine, but for the package manager's own notes.
    fn new_files(&self) -> Vec<String> {
        let mut list = self.enter();
        let list = list
            .args(["sh", "-c", NEW, "sh"])
            .arg(self.directory.path());
        let output = list.output().unwrap();
        assert_success(&output);
        let files = String::from_utf8(output.stdout).unwrap();
        let notes = ["./var/lib/dpkg/", "./var/log/", "./var/cache/"];
        files
            .lines()
            .filter(|file| !notes.iter().any(|note| file.starts_with(note)))
            .map(str::to_owned)
            .collect()
    }

    /// Whether there is the user that fetches data.
    fn has_user(&self) -> bool {
        self.output(&["getent", "passwd", "geodrop-update"])
            .status
            .success()
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        let _ = self.keeper.kill();
        let _ = self.keeper.wait();
    }
}

/// A directory of the bpf file system, for a machine to have as its own.
struct Pins(PathBuf);

impl Pins {
    /// One beside those of the host, which are in it from then on.
    fn of(host: &mut Host) -> Self {
        // The first filter mounts the file system where it is missing.
        host.succeed(&["attach", "-i", "server", "--monitor"]);
        host.succeed(&["detach", "--all"]);
        let directory = host.pins.clone();
        fs::create_dir(&directory).unwrap();
        host.pins = directory.join("geodrop");
        Self(directory)
    }
}

impl Drop for Pins {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Starts what the unit starts, and waits until the filter is in force.
fn start(host: &Host, machine: &Machine) -> Run {
    let mut words = service::bounded();
    words.extend(service::unit("ExecStart"));
    // Whose session the tests run in is to make no difference.
    words.push("--force".to_owned());
    let words: Vec<_> = words.iter().map(String::as_str).collect();
    let mut command = machine.command(&words);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut run = host.spawn(command);
    let line = run.line();
    assert!(line.starts_with("server: "), "{line:?}: {:?}", run.wait());
    run
}

#[test]
fn a_package_from_its_installation_to_its_purge() {
    let packages = tempfile::tempdir().unwrap();
    let [first, second] = [1, 2].map(|revision| package(revision, packages.path()));
    let mut host = Host::new();
    let pins = Pins::of(&mut host);
    let machine = Machine::new(&pins.0);

    machine.install(&first);
    assert!(machine.has_user());
    let version = machine.succeed(&["geodrop", "--version"]);
    assert_eq!(version, format!("geodrop {}\n", env!("CARGO_PKG_VERSION")));
    for file in [
        "man/man8/geodrop-run.8.gz",
        "man/man7/geodrop-policy.7.gz",
        "bash-completion/completions/geodrop",
        "zsh/vendor-completions/_geodrop",
        "fish/vendor_completions.d/geodrop.fish",
        "doc/geodrop/copyright",
    ] {
        let path = machine.path(&format!("/usr/share/{file}"));
        assert!(path.is_file(), "{file}");
    }
    let mode = fs::metadata(machine.path(POLICY)).unwrap().permissions();
    assert_eq!(mode.mode() & 0o777, 0o600);
    // Nothing is done that nobody asked for.
    let new = machine.new_files();
    assert!(new.contains(&"./usr/bin/geodrop".to_owned()), "{new:?}");
    assert!(
        !new.iter().any(|file| file.starts_with("./etc/systemd/")),
        "{new:?}"
    );
    assert_eq!(host.attached(), None);
    machine.succeed(&["geodrop", "check", "--config", POLICY]);

    let policy = format!("interfaces = [\"server\"]\n{CHINA}");
    fs::write(machine.path(POLICY), &policy).unwrap();
    let run = RefCell::new(start(&host, &machine));
    assert_hitless(&host, &SOURCES, 1, |_| {
        machine.install(&second);
        // As `systemctl try-restart` does.
        run.borrow().signal(Signal::TERM);
        assert_eq!(run.borrow_mut().wait().0, Some(0));
        run.replace(start(&host, &machine));
    });
    assert!(!host.admits(BLOCKED));
    let installed =
        machine.succeed(&["dpkg-query", "--show", "--showformat=${Version}", "geodrop"]);
    assert!(installed.ends_with("-2"), "{installed}");
    assert_eq!(fs::read_to_string(machine.path(POLICY)).unwrap(), policy);

    machine.succeed(&["dpkg", "--remove", "geodrop"]);
    // What somebody took off stays off, says the unit.
    assert_eq!(run.borrow_mut().wait().0, Some(3));
    host.await_no_program();
    host.assert_free();
    assert_eq!(fs::read_to_string(machine.path(POLICY)).unwrap(), policy);

    let data = machine.path(STATE).join("rir");
    fs::create_dir_all(&data).unwrap();
    fs::write(data.join("current"), "").unwrap();
    machine.succeed(&["dpkg", "--purge", "geodrop"]);
    assert!(!machine.has_user());
    assert_eq!(machine.new_files(), Vec::<String>::new());
}
