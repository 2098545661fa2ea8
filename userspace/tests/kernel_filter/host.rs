//! A host to try the command on: an interface in a network namespace, pins of its own, and a wire to it.

use std::{
    io::{BufRead as _, BufReader, Read as _},
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, Output, Stdio},
    sync::atomic::{AtomicBool, AtomicU32, Ordering},
    thread,
    time::{Duration, Instant},
};

use aya::programs::{ProgramInfo, SchedClassifier, TcAttachType};
use geodrop::{
    datapath::{
        Hook,
        interface::{Attached, Interface},
        pins::Root,
        status::Status,
    },
    range::Address,
    testbed::{
        Generator, Probe, Veth, Wire,
        generator::{Frames, Limit},
        probe::Transport,
        veth::Settings,
    },
};
use rustix::process::{Pid, Signal, kill_process};

/// What a test waits for at most: far more than it takes.
const PATIENCE: Duration = Duration::from_secs(20);

/// An address in China, and one elsewhere, by the built-in data.
pub(crate) const BLOCKED: &str = "1.0.1.1";
pub(crate) const OTHER: &str = "8.8.8.8";

/// Where a filter may be.
pub(crate) const HOOKS: [Hook; 2] = [Hook::Xdp, Hook::Tcx];

/// A host with one interface, `server`, to which frames can be sent.
pub(crate) struct Host {
    hook: Hook,
    pub(crate) veth: Veth,
    pub(crate) pins: PathBuf,
    wire: Wire,
}

impl Host {
    pub(crate) fn new() -> Self {
        Self::at(Hook::Xdp)
    }

    /// One whose filters are at this hook, if nothing else is said.
    pub(crate) fn at(hook: Hook) -> Self {
        let mut host = Self::with(Settings::default());
        host.hook = hook;
        host
    }

    pub(crate) fn with(settings: Settings) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let pins = format!("/sys/fs/bpf/geodrop-test-{}-{number}", std::process::id());
        let veth = Veth::new(settings).expect("kernel tests make network namespaces: run as root");
        let wire = Wire::open(&veth).unwrap();
        Self {
            hook: Hook::Xdp,
            veth,
            pins: pins.into(),
            wire,
        }
    }

    /// Takes the interface away.
    pub(crate) fn unplug(&self) {
        self.veth.unplug().unwrap();
    }

    /// Gives the host another interface of the same name, after [`Self::unplug`].
    pub(crate) fn plug_in(&mut self) {
        self.veth.plug_in(Settings::default()).unwrap();
        self.wire = Wire::open(&self.veth).unwrap();
    }

    /// Runs `ip` on the host, which must succeed.
    pub(crate) fn ip(&self, arguments: &[&str]) {
        let mut command = Command::new("ip");
        command.args(arguments);
        let status = self.veth.server.run(|| command.status()).unwrap().unwrap();
        assert!(status.success(), "ip {arguments:?}");
    }

    /// Sets the interface down.
    pub(crate) fn set_down(&self) {
        self.ip(&["link", "set", "server", "down"]);
        // The kernel tells the wire's socket, once.
        assert!(self.wire.receive().is_err());
    }

    /// Waits until a filter is on the interface.
    pub(crate) fn await_filter(&self) {
        let deadline = Instant::now() + PATIENCE;
        while self.attached().is_none() {
            assert!(Instant::now() < deadline, "no filter comes");
        }
    }

    /// The command, to be run in the host's namespace: by [`Host::output`], [`Host::start`] or [`Host::spawn`].
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_geodrop"));
        command.args(arguments).arg("--pin-root").arg(&self.pins);
        if puts_in_force(arguments) {
            command.arg("--force");
        }
        command.args(self.hook_of(arguments));
        command
    }

    /// What these arguments leave to be said of the hook.
    fn hook_of(&self, arguments: &[&str]) -> &'static [&'static str] {
        let attaches = matches!(arguments.first(), Some(&("run" | "attach")));
        match self.hook {
            Hook::Tcx if attaches => &["--hook", "tcx"],
            Hook::Tcx | Hook::Xdp => &[],
        }
    }

    /// Runs the command on the host.
    pub(crate) fn output(&self, arguments: &[&str]) -> Output {
        let mut command = self.command(arguments);
        self.veth.server.run(|| command.output()).unwrap().unwrap()
    }

    /// Runs the command on the host, which must succeed; returns what it printed.
    pub(crate) fn succeed(&self, arguments: &[&str]) -> String {
        let output = self.output(arguments);
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {error}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// Runs the command on the host with no capabilities but those in these bounds, as setpriv(1) takes them.
    pub(crate) fn output_with(&self, bounds: &str, arguments: &[&str]) -> Output {
        let mut command = Command::new("setpriv");
        command
            .args(["--bounding-set", bounds, "--inh-caps", bounds])
            .arg(env!("CARGO_BIN_EXE_geodrop"))
            .args(arguments)
            .arg("--pin-root")
            .arg(&self.pins);
        if puts_in_force(arguments) {
            command.arg("--force");
        }
        command.args(self.hook_of(arguments));
        self.veth.server.run(|| command.output()).unwrap().unwrap()
    }

    /// The same, and it must succeed; returns what it printed.
    pub(crate) fn succeed_with(&self, bounds: &str, arguments: &[&str]) -> String {
        let output = self.output_with(bounds, arguments);
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(
            output.status.success(),
            "{arguments:?} with {bounds}: {error}"
        );
        String::from_utf8(output.stdout).unwrap()
    }

    /// Runs the command on the host, with the lock-out guard on; returns its exit status and what it said.
    pub(crate) fn guarded(&self, arguments: &[&str]) -> (Option<i32>, String) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_geodrop"));
        command.args(arguments).arg("--pin-root").arg(&self.pins);
        let output = self.veth.server.run(|| command.output()).unwrap().unwrap();
        let error = String::from_utf8(output.stderr).unwrap();
        (output.status.code(), error)
    }

    /// Runs the command on the host, which must fail with this status; returns what it said.
    pub(crate) fn fail(&self, status: i32, arguments: &[&str]) -> String {
        let output = self.output(arguments);
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(status), "{arguments:?}: {error}");
        error
    }

    /// Starts `geodrop run` on the host, and waits until the filter is attached.
    pub(crate) fn run(&self, arguments: &[&str]) -> Run {
        self.run_with(&[&["-i", "server"], arguments].concat())
    }

    /// The same, with what these arguments say of interfaces.
    pub(crate) fn run_with(&self, arguments: &[&str]) -> Run {
        self.run_guarded(&[arguments, &["--force"]].concat())
    }

    /// The same, with the lock-out guard on.
    pub(crate) fn run_guarded(&self, arguments: &[&str]) -> Run {
        let all = [&["run"], arguments].concat();
        let mut command = Command::new(env!("CARGO_BIN_EXE_geodrop"));
        command.args(&all).arg("--pin-root").arg(&self.pins);
        command.args(self.hook_of(&all));
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = self.veth.server.run(|| command.spawn()).unwrap().unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        output.read_line(&mut line).unwrap();
        if !line.starts_with("server: ") {
            let mut error = String::new();
            child
                .stderr
                .take()
                .unwrap()
                .read_to_string(&mut error)
                .unwrap();
            panic!("{all:?} printed {line:?} and said {error:?}");
        }
        Run {
            child,
            output: Some(output),
        }
    }

    /// Starts the command on the host, and waits for nothing.
    pub(crate) fn start(&self, arguments: &[&str]) -> Run {
        let mut command = self.command(arguments);
        command.stdout(Stdio::null()).stderr(Stdio::piped());
        let child = self.veth.server.run(|| command.spawn()).unwrap().unwrap();
        Run {
            child,
            output: None,
        }
    }

    /// Starts a command whose output is piped, and waits for nothing.
    pub(crate) fn spawn(&self, mut command: Command) -> Run {
        let mut child = self.veth.server.run(|| command.spawn()).unwrap().unwrap();
        let output = child.stdout.take().map(BufReader::new);
        Run { child, output }
    }

    /// Runs a verb that knows no pins, which must succeed; returns what it printed.
    pub(crate) fn bare(&self, arguments: &[&str]) -> String {
        let mut command = Command::new(env!("CARGO_BIN_EXE_geodrop"));
        command.args(arguments);
        let output = self.veth.server.run(|| command.output()).unwrap().unwrap();
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {error}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// Starts `geodrop run` on the host, and waits until it says on standard error that an interface is not there.
    pub(crate) fn run_without(&self, interface: &str, arguments: &[&str]) -> Run {
        self.run_until(&format!("{interface} is not there"), arguments)
    }

    /// Starts `geodrop run` on the host, and waits until it says something on standard error that begins like this.
    pub(crate) fn run_until(&self, said: &str, arguments: &[&str]) -> Run {
        self.start_until(said, &[&["run"], arguments].concat())
    }

    /// Starts the command on the host, and waits until it says something on standard error that begins like this.
    pub(crate) fn start_until(&self, said: &str, arguments: &[&str]) -> Run {
        self.spawn_until(said, self.command(arguments))
    }

    /// The same of a command of this program, however it is called.
    pub(crate) fn spawn_until(&self, said: &str, mut command: Command) -> Run {
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut run = self.spawn(command);
        let mut error = BufReader::new(run.child.stderr.take().unwrap());
        let expected = format!("geodrop: {said}");
        let mut line = String::new();
        while !line.starts_with(&expected) {
            line.clear();
            let length = error.read_line(&mut line).unwrap();
            assert!(length > 0, "it does not say `{said}`");
        }
        run.child.stderr = Some(error.into_inner());
        run
    }

    /// Sends a frame to the host, as it is.
    pub(crate) fn send(&self, frame: &[u8]) {
        self.wire.send(frame).unwrap();
    }

    /// Sends packets from an address to the host, and waits for nothing: for who receives others at the same time, which
    /// [`Host::admits`] would take for them.
    #[cfg(feature = "metrics")]
    pub(crate) fn send_from(&self, source: &str, count: u64) {
        let probe = Probe::new(1, source.parse().unwrap(), Transport::Udp);
        let frame = probe.to_frame().unwrap();
        for _ in 0..count {
            self.send(&frame);
        }
    }

    /// What `status --json` prints.
    pub(crate) fn status(&self) -> serde_json::Value {
        serde_json::from_str(&self.succeed(&["status", "--json"])).unwrap()
    }

    /// The only filter that `status --json` shows.
    pub(crate) fn filter(&self) -> serde_json::Value {
        let status = self.status();
        let [filter] = status["interfaces"].as_array().unwrap().as_slice() else {
            panic!("not one filter: {status}");
        };
        filter.clone()
    }

    /// Sends a packet from an address to the host; returns whether the network stack received it.
    pub(crate) fn admits(&self, source: &str) -> bool {
        let probe = Probe::new(1, source.parse().unwrap(), Transport::Udp);
        let root = Root::new(&self.pins);
        let dropped = || {
            let status = self.veth.server.run(|| Status::read(&root)).unwrap();
            let running = status.unwrap().running.into_iter();
            let enforcing = running.filter(|running| !running.about.monitor);
            enforcing.map(|running| running.counters.dropped()).sum()
        };
        let before: (u64, u64) = (self.received(), dropped());
        self.wire.send(&probe.to_frame().unwrap()).unwrap();
        let deadline = Instant::now() + PATIENCE;
        loop {
            if self.received() > before.0 {
                return true;
            }
            if dropped() > before.1 {
                return false;
            }
            assert!(Instant::now() < deadline, "the packet is lost");
        }
    }

    /// Sends frames from these addresses by turns, as fast as they go, while `work` is called so many times. From each address
    /// come equally many.
    pub(crate) fn under_load<A: Address>(
        &self,
        sources: &[A],
        calls: usize,
        mut work: impl FnMut(),
    ) -> Load {
        let generator = Generator::load(&self.veth.client, sources, Frames::default()).unwrap();
        let limit = Limit {
            frames: (sources.len() << 18) as u64,
            time: PATIENCE,
        };
        let done = AtomicBool::new(false);
        let before = self.received();
        let sent = thread::scope(|scope| {
            let burst = scope.spawn(|| {
                let mut sent = 0;
                while !done.load(Ordering::Relaxed) {
                    let frames = generator.run(limit).unwrap().frames;
                    assert_eq!(frames, limit.frames, "the machine is too slow");
                    sent += frames;
                }
                sent
            });
            // Also if the work fails.
            let end = Done(&done);
            for _ in 0..calls {
                work();
            }
            drop(end);
            burst.join().unwrap()
        });
        Load {
            sent,
            received: self.received() - before,
        }
    }

    /// How many IP packets the network stack behind the filter has received.
    fn received(&self) -> u64 {
        let read = |file| std::fs::read_to_string(file).unwrap();
        let [snmp, snmp6] = self
            .veth
            .server
            .run(|| ["/proc/thread-self/net/snmp", "/proc/thread-self/net/snmp6"].map(read))
            .unwrap();
        // A line of names, and one of numbers.
        let mut lines = snmp.lines().filter(|line| line.starts_with("Ip:"));
        let [names, numbers] = [(); 2].map(|()| lines.next().unwrap().split_whitespace());
        let ipv4 = names.zip(numbers).find(|(name, _)| *name == "InReceives");
        // A line of each name and its number.
        let ipv6 = snmp6
            .lines()
            .find_map(|line| line.strip_prefix("Ip6InReceives"));
        let number = |text: &str| text.trim().parse::<u64>().unwrap();
        number(ipv4.unwrap().1) + number(ipv6.unwrap())
    }

    /// The programs at the hook tcx of the host's interface, in their order, by their ids.
    pub(crate) fn chain(&self) -> Vec<u32> {
        let index = self.veth.server.interface.index;
        let query = || {
            // It may have gone, or got another name.
            let interface = Interface::by_index(index).unwrap()?;
            let ingress = TcAttachType::Ingress;
            let (_, programs) = SchedClassifier::query_tcx(&interface.name, ingress).unwrap();
            Some(programs.iter().map(ProgramInfo::id).collect())
        };
        self.veth.server.run(query).unwrap().unwrap_or_default()
    }

    /// The XDP program on the host's interface.
    pub(crate) fn attached(&self) -> Option<Attached> {
        let server = &self.veth.server;
        server.run(|| server.interface.xdp()).unwrap().unwrap()
    }

    /// Waits until no program is attached: the kernel lets go of a link whose last pin went in the background.
    pub(crate) fn await_no_program(&self) {
        let deadline = Instant::now() + PATIENCE;
        while self.attached().is_some() || !self.chain().is_empty() {
            assert!(Instant::now() < deadline, "the program is still attached");
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// Asserts that no program is attached and nothing is pinned.
    pub(crate) fn assert_free(&self) {
        assert_eq!(self.attached(), None);
        assert_eq!(self.chain(), Vec::<u32>::new());
        assert!(!self.pins.exists(), "{:?} is left", files_below(&self.pins));
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        // Also when the test has failed. That it succeeds is what `assert_free` is for.
        self.output(&["detach", "--all"]);
        let _ = std::fs::remove_dir_all(&self.pins);
    }
}

/// Whether the lock-out guard looks at what these arguments ask for. Whose session the tests run in, and which name server
/// the machine has, is to make no difference.
fn puts_in_force(arguments: &[&str]) -> bool {
    matches!(arguments.first(), Some(&("run" | "attach" | "reload")))
}

fn files_below(directory: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(directory) else {
        return Vec::new();
    };
    entries
        .flatten()
        .map(|entry| entry.path())
        .flat_map(|path| [files_below(&path), vec![path]].concat())
        .collect()
}

/// Asserts that something comes to hold.
#[track_caller]
pub(crate) fn assert_eventually(holds: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < deadline, "it never comes to hold");
        thread::sleep(Duration::from_millis(50));
    }
}

/// What became of a load.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Load {
    /// How many frames were sent.
    pub(crate) sent: u64,
    /// How many packets the network stack behind the filter received.
    pub(crate) received: u64,
}

/// Says that the work is done when it is dropped.
pub(crate) struct Done<'a>(pub(crate) &'a AtomicBool);

impl Drop for Done<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// A `geodrop run`, or another command, under way. Killed when dropped.
pub(crate) struct Run {
    child: Child,
    output: Option<BufReader<ChildStdout>>,
}

impl Run {
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let id = Pid::from_child(&self.child);
        kill_process(id, signal).unwrap();
    }

    /// The next line that it prints.
    pub(crate) fn line(&mut self) -> String {
        let mut line = String::new();
        self.output.as_mut().unwrap().read_line(&mut line).unwrap();
        line
    }

    /// Closes the pipe that it prints to.
    pub(crate) fn close_output(&mut self) {
        self.output = None;
    }

    /// Waits until it ends; returns its exit status and what it said on standard error.
    pub(crate) fn wait(&mut self) -> (Option<i32>, String) {
        let deadline = Instant::now() + PATIENCE;
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(Instant::now() < deadline, "`geodrop run` does not end");
            thread::sleep(Duration::from_millis(10));
        };
        let mut error = String::new();
        if let Some(mut stderr) = self.child.stderr.take() {
            stderr.read_to_string(&mut error).unwrap();
        }
        (status.code(), error)
    }

    /// Ends it as `kill -9` does.
    pub(crate) fn kill(&mut self) {
        self.signal(Signal::KILL);
        self.wait();
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
