//! A machine to install the package on: a copy of this one's files, which is gone with the test.

use std::{
    env, fs,
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
};

use super::host::Host;

/// Makes the package with this revision, in a directory of its own.
pub(crate) fn package(revision: u32, directory: &Path) -> PathBuf {
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
pub(crate) struct Machine {
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
    pub(crate) fn new(pins: &Path) -> Self {
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
    pub(crate) fn command(&self, words: &[&str]) -> Command {
        let mut command = self.enter();
        command
            .arg("chroot")
            .arg(self.directory.path().join("root"))
            .args(words)
            .env("DEBIAN_FRONTEND", "noninteractive")
            .stdin(Stdio::null());
        command
    }

    /// The same for a shell on this machine.
    pub(crate) fn line(&self, words: &str) -> String {
        let root = self.directory.path().join("root");
        let (keeper, root) = (self.keeper.id(), root.display());
        format!("nsenter --mount --target {keeper} chroot {root} {words}")
    }

    /// Runs a program of the copy.
    fn output(&self, words: &[&str]) -> Output {
        self.command(words).output().unwrap()
    }

    /// The same, and it must succeed; returns what it printed.
    pub(crate) fn succeed(&self, words: &[&str]) -> String {
        let output = self.output(words);
        assert_success(&output);
        String::from_utf8(output.stdout).unwrap()
    }

    /// A file of the copy, to be read and written from here.
    pub(crate) fn path(&self, file: &str) -> PathBuf {
        let root = format!("/proc/{}/root", self.keeper.id());
        let copy = format!("{root}{}/root{file}", self.directory.path().display());
        copy.into()
    }

    /// Installs a package, or upgrades to it.
    pub(crate) fn install(&self, package: &Path) {
        let name = "/geodrop.deb";
        fs::copy(package, self.path(name)).unwrap();
        self.succeed(&["dpkg", "--force-unsafe-io", "--install", name]);
        fs::remove_file(self.path(name)).unwrap();
    }

    /// What is there and not on this machine, but for the package manager's own notes.
    pub(crate) fn new_files(&self) -> Vec<String> {
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
    pub(crate) fn has_user(&self) -> bool {
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
pub(crate) struct Pins(pub(crate) PathBuf);

impl Pins {
    /// One beside those of the host, which are in it from then on.
    pub(crate) fn of(host: &mut Host) -> Self {
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
