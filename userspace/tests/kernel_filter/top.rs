//! `geodrop top` in a terminal: what it shows, what keys do, and that the terminal is afterwards as it was before.

use std::{
    fs,
    net::Ipv4Addr,
    process::Command,
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use super::{
    host::{BLOCKED, HOOKS, Host, OTHER},
    policy::{CHINA, File},
};

/// What a test waits for at most: far more than it takes.
const PATIENCE: Duration = Duration::from_secs(20);

/// What begins red text: a colour of 256, of which the second is red.
const RED: &str = "\u{1b}[38;5;1m";

const ENFORCE: &[&str] = &["attach", "-i", "server", "--block", "CN,HK"];

/// A shell on the host, in a terminal of 80 columns and 24 lines. It ends when this is dropped.
pub(crate) struct Terminal<'a> {
    host: &'a Host,
    /// Where the server of this terminal, and of no other, listens.
    directory: TempDir,
}

impl<'a> Terminal<'a> {
    pub(crate) fn open(host: &'a Host) -> Self {
        let terminal = Self {
            host,
            directory: tempfile::tempdir().unwrap(),
        };
        let shell = ["new-session", "-d", "-x", "80", "-y", "24", "sh"];
        terminal.tmux(&[&["-f", "/dev/null"], &shell as &[_]].concat());
        terminal.await_screen("a prompt", |screen| !screen.trim().is_empty());
        terminal.enter("echo what was before");
        terminal.await_line("what was before");
        terminal
    }

    fn command(&self) -> Command {
        let mut command = Command::new("tmux");
        let socket = self.directory.path().join("socket");
        command.arg("-u").arg("-S").arg(socket);
        command
    }

    /// What tmux(1) prints.
    fn tmux(&self, arguments: &[&str]) -> String {
        let mut command = self.command();
        command
            .args(arguments)
            .env_remove("TMUX")
            .env_remove("NO_COLOR")
            .envs([("LC_ALL", "C.UTF-8"), ("TERM", "xterm-256color")]);
        let output = self.host.veth.server.run(|| command.output());
        let output = output.unwrap().expect("tmux is there");
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {error}");
        String::from_utf8(output.stdout).unwrap()
    }

    fn screen(&self) -> String {
        self.tmux(&["capture-pane", "-p"])
    }

    /// Presses keys, as tmux names them.
    fn press(&self, keys: &[&str]) {
        self.tmux(&[&["send-keys"], keys].concat());
    }

    /// Types a command, with what stands for it before it.
    fn enter_with(&self, before: &str, command: &str) {
        self.press(&["-l", &format!("{before} {command}")]);
        self.press(&["Enter"]);
    }

    pub(crate) fn enter(&self, command: &str) {
        self.enter_with("", command);
    }

    /// Starts `geodrop top`, after which the shell says how it ended.
    fn start(&self, environment: &str, arguments: &str) {
        let program = env!("CARGO_BIN_EXE_geodrop");
        let pins = self.host.pins.display();
        let command = format!("{program} top --pin-root {pins} {arguments}; echo \"status=$?\"");
        self.enter_with(environment, &command);
    }

    /// Waits until the screen is as it should be; returns it.
    fn await_screen(&self, what: &str, is_so: impl Fn(&str) -> bool) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let screen = self.screen();
            if is_so(&screen) {
                return screen;
            }
            assert!(Instant::now() < deadline, "{what} never comes:\n{screen}");
            thread::sleep(Duration::from_millis(50));
        }
    }

    /// Waits until the screen has this text.
    pub(crate) fn await_text(&self, text: &str) -> String {
        self.await_screen(text, |screen| screen.contains(text))
    }

    /// Waits until the screen has this line.
    fn await_line(&self, line: &str) -> String {
        self.await_screen(line, |screen| screen.lines().any(|one| one == line))
    }

    /// Waits until a row of the screen begins like this; returns what follows in it.
    pub(crate) fn await_row(&self, name: &str) -> Vec<String> {
        let row = |screen: &str| {
            let mut lines = screen.lines();
            let rest = lines.find_map(|line| line.trim_start().strip_prefix(name))?;
            Some(rest.split_whitespace().map(str::to_owned).collect())
        };
        let screen = self.await_screen(name, |screen| row(screen).is_some());
        row(&screen).unwrap()
    }

    /// Asserts that the shell goes on where it was, as nothing had been.
    fn assert_restored(&self, status: i32) {
        let screen = self.await_line(&format!("status={status}"));
        assert!(screen.contains("what was before"), "{screen}");
        assert!(!screen.contains("packets/s"), "{screen}");
        let flags = "#{alternate_on} #{cursor_flag}";
        assert_eq!(self.tmux(&["display-message", "-p", flags]).trim(), "0 1");
        self.enter("clear; stty -a | tr ';' '\\n'");
        let modes = self.await_text(" icanon ");
        assert!(
            modes.contains(" echo ") && !modes.contains("-icanon"),
            "{modes}"
        );
        self.enter("clear; echo what was before");
        self.await_line("what was before");
    }

    /// Starts `geodrop top`, and ends it by a signal once it has drawn.
    pub(crate) fn interrupt(&self, arguments: &str, signal: Signal) {
        self.start("", arguments);
        self.await_text("q quit");
        let on = self.tmux(&["display-message", "-p", "#{alternate_on}"]);
        assert_eq!(on.trim(), "1");
        kill_process(self.process(), signal).unwrap();
        self.assert_restored(0);
    }

    /// The process that runs in the shell.
    fn process(&self) -> Pid {
        let shell = self.tmux(&["display-message", "-p", "#{pane_pid}"]);
        let shell = shell.trim();
        let children = fs::read_to_string(format!("/proc/{shell}/task/{shell}/children"));
        Pid::from_raw(children.unwrap().trim().parse().unwrap()).unwrap()
    }
}

impl Drop for Terminal<'_> {
    fn drop(&mut self) {
        // Also when the test has failed.
        let _ = self.command().arg("kill-server").output();
    }
}

#[test]
fn what_was_sent_is_on_the_screen_and_keys_choose_what_else() {
    for hook in HOOKS {
        let host = Host::at(hook);
        host.succeed(ENFORCE);
        let terminal = Terminal::open(&host);
        terminal.start("", "--interval 200ms");
        terminal.await_text("enforced: blocks CN HK");
        for _ in 0..5 {
            assert!(!host.admits(BLOCKED));
        }
        assert!(!host.admits("143.89.1.1"));
        assert!(host.admits(OTHER));
        let total = |name: &str, expected: &str| {
            let deadline = Instant::now() + PATIENCE;
            // Packets and bits a second, and packets in all.
            while terminal.await_row(name)[2] != expected {
                assert!(Instant::now() < deadline, "{}", terminal.screen());
            }
        };
        total("CN China", "5");
        total("HK Hong Kong", "1");
        terminal.await_row("CN   1.0.1.1");
        terminal.await_row("HK   143.89.1.1");
        terminal.await_text("udp/9");

        terminal.press(&["/", "h", "k", "Enter"]);
        terminal.await_screen("a filter", |screen| !screen.contains("China"));
        terminal.await_text("filter HK");
        terminal.press(&["/", "Escape"]);
        terminal.await_text("CN China");
        terminal.press(&["?"]);
        terminal.await_text("any key goes back");
        terminal.press(&["q"]);
        terminal.await_text("CN China");
        terminal.press(&["+"]);
        terminal.await_text("+- 250ms");

        let coloured = terminal.tmux(&["capture-pane", "-p", "-e"]);
        assert!(coloured.contains(RED), "{coloured}");
        terminal.press(&["q"]);
        terminal.assert_restored(0);
    }
}

#[test]
fn a_signal_or_another_key_that_ends_it_leaves_the_terminal_as_it_was() {
    let host = Host::new();
    host.succeed(ENFORCE);
    let terminal = Terminal::open(&host);
    for signal in [Signal::TERM, Signal::HUP, Signal::INT] {
        terminal.interrupt("", signal);
    }
    for key in ["C-c", "Escape"] {
        terminal.start("", "");
        terminal.await_text("q quit");
        terminal.press(&[key]);
        terminal.assert_restored(0);
    }
}

#[test]
fn filters_come_go_and_are_replaced_meanwhile() {
    let host = Host::new();
    let terminal = Terminal::open(&host);
    terminal.start("", "--interval 200ms");
    terminal.await_text("No filter is attached");
    host.succeed(ENFORCE);
    terminal.await_text("generation 1");
    host.succeed(&[
        "attach",
        "-i",
        "server",
        "--only",
        "DE",
        "--monitor",
        "--count",
        "all",
    ]);
    terminal.await_text("generation 2");
    terminal.await_text("monitor, drops nothing: only DE");
    assert!(host.admits(OTHER));
    terminal.await_row("US United States");
    terminal.await_text("would block");
    host.succeed(&["detach", "--all"]);
    terminal.await_text("No filter is attached");
    host.succeed(ENFORCE);
    terminal.await_text("enforced: blocks CN HK");
    terminal.press(&["q"]);
    terminal.assert_restored(0);
}

#[test]
fn a_reload_that_failed_is_shown_until_one_succeeds() {
    let host = Host::new();
    let file = File::new(CHINA);
    let _run = host.run(&["--config", file.path()]);
    let terminal = Terminal::open(&host);
    terminal.start("", "--interval 200ms");
    let calm = terminal.await_text("enforced: blocks CN");
    assert!(!calm.contains("warning"), "{calm}");
    file.write("block = [\"XX\"]");
    host.fail(1, &["reload"]);
    terminal.await_text("warning: server: the last reload failed at ");
    file.write(CHINA);
    host.succeed(&["reload"]);
    terminal.await_screen("an end of the warning", |screen| {
        screen.contains("generation 2") && !screen.contains("warning")
    });
    terminal.press(&["q"]);
    terminal.assert_restored(0);
}

#[test]
fn while_somebody_else_watches_all_but_sources_and_ports_is_shown() {
    let host = Host::new();
    host.succeed(ENFORCE);
    let mut watch = host.start_until("watching server", &["watch", "--json"]);
    let terminal = Terminal::open(&host);
    terminal.start("", "--interval 200ms");
    terminal.await_text("sources and ports are not known");
    assert!(!host.admits(BLOCKED));
    terminal.await_row("CN China");
    watch.signal(Signal::INT);
    assert_eq!(watch.wait().0, Some(0));
    terminal.await_text("top ports");
    assert!(!host.admits(BLOCKED));
    terminal.await_row("CN   1.0.1.1");
    // It is the one that watches now, and does no more when it has ended.
    let said = host.fail(1, &["watch"]);
    assert!(
        said.contains("watches the filter on server already"),
        "{said}"
    );
    terminal.press(&["q"]);
    terminal.assert_restored(0);
    host.succeed(&["watch", "--for", "1s"]);
}

#[test]
fn under_a_flood_who_sends_it_and_where_to_is_estimated() {
    let host = Host::new();
    host.succeed(ENFORCE);
    let terminal = Terminal::open(&host);
    terminal.start("", "--interval 500ms --rate 50");
    terminal.await_text("enforced: blocks CN HK");
    let source: Ipv4Addr = BLOCKED.parse().unwrap();
    let load = host.under_load(&[source], 1, || {
        // Many more than are looked at: what was seen stands for all.
        let rate = |row: Vec<String>, column: usize| row[column].contains(['k', 'M']);
        terminal.await_screen("thousands a second", |_| {
            rate(terminal.await_row("CN   1.0.1.1"), 0) && rate(terminal.await_row("CN China"), 0)
        });
        let ports = terminal.screen();
        assert!(ports.contains("100%"), "{ports}");
    });
    assert_eq!(load.received, 0);
    terminal.press(&["q"]);
    terminal.assert_restored(0);
}

#[test]
fn it_fits_into_the_terminal_and_needs_no_colours() {
    let host = Host::new();
    host.succeed(ENFORCE);
    let terminal = Terminal::open(&host);
    terminal.start("NO_COLOR=1 LC_ALL=C", "");
    terminal.await_text("enforced: blocks CN HK");
    let screen = terminal.tmux(&["capture-pane", "-p", "-e"]);
    assert!(!screen.contains("38;5;"), "{screen}");
    assert!(screen.is_ascii(), "{screen}");
    terminal.tmux(&["resize-window", "-x", "50", "-y", "10"]);
    terminal.await_text("top needs 60 columns and 14 lines");
    terminal.tmux(&["resize-window", "-x", "120", "-y", "40"]);
    let wide = terminal.await_text("enforced: blocks CN HK");
    let foot = wide.lines().position(|line| line.contains("q quit"));
    assert_eq!(foot, Some(39), "{wide}");
    terminal.press(&["q"]);
    terminal.await_line("status=0");
}

#[test]
fn what_cannot_be_drawn_on_is_refused_with_what_to_use_instead() {
    let host = Host::new();
    let said = host.fail(2, &["top"]);
    assert!(said.contains("`geodrop status --json`"), "{said}");
    let terminal = Terminal::open(&host);
    terminal.start("TERM=dumb", "");
    let screen = terminal.await_line("status=2");
    assert!(screen.contains("TERM calls `dumb`"), "{screen}");
    terminal.start("", "-i nothing");
    let screen = terminal.await_line("status=1");
    assert!(screen.contains("nothing"), "{screen}");
}
