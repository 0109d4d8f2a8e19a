//! A real switch process with its folder; it never outlives its test.

use std::cell::Cell;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use shared::ids::Sequence;
use tempfile::TempDir;

use super::plastic::key_file;
use super::{Client, Control};

/// Nothing takes this long unless it never comes.
pub(crate) const WAIT: Duration = Duration::from_secs(60);

const BINARY: &str = env!("CARGO_BIN_EXE_switch");

/// A switch's folder: configuration, keys, journal.
pub(crate) struct Home {
    folder: TempDir,
    /// A test has damaged the journal itself.
    damaged: Cell<bool>,
}

/// A process that serves.
pub(crate) struct Running {
    child: Child,
    log: Arc<Log>,
    pub(crate) link: SocketAddr,
    pub(crate) metrics: SocketAddr,
    socket: PathBuf,
}

/// What a process wrote to standard error.
#[derive(Default)]
struct Log {
    lines: Mutex<(Vec<String>, bool)>,
    more: Condvar,
}

impl Home {
    /// Small segments, free ports; `journal` and `link` are lines of their sections.
    pub(crate) fn new(journal: &str, link: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let home = Self { folder, damaged: Cell::new(false) };
        fs::write(home.path("keys.toml"), key_file().render().as_str()).unwrap();
        home.configure(journal, link);
        home
    }

    pub(crate) fn configure(&self, journal: &str, link: &str) {
        self.configure_links(
            journal,
            &format!("[[links]]\nname = \"net\"\naddress = \"127.0.0.1:0\"\n{link}\n"),
        );
    }

    /// With all of the links' sections.
    pub(crate) fn configure_links(&self, journal: &str, links: &str) {
        let segment =
            if journal.contains("segment_bytes") { "" } else { "segment_bytes = 262144\n" };
        let text = format!(
            "[journal]\n{segment}transactions_reserved = 1024\n{journal}\n\
             [metrics]\naddress = \"127.0.0.1:0\"\n\
             {links}"
        );
        fs::write(self.path("switch.toml"), text).unwrap();
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn journal(&self) -> PathBuf {
        self.path("journal")
    }

    /// The command that serves from here.
    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(BINARY);
        command.arg("serve").arg("--config").arg(self.path("switch.toml"));
        command
    }

    /// Serves; panics with what it said where it does not come up.
    pub(crate) fn start(&self) -> Running {
        self.start_by(self.command())
    }

    /// Serves by a command that wraps [`Self::command`].
    pub(crate) fn start_by(&self, command: Command) -> Running {
        self.try_start(command).unwrap_or_else(|log| panic!("it did not come up:\n{log}"))
    }

    /// The log, where it ends before it serves.
    pub(crate) fn try_start(&self, mut command: Command) -> Result<Running, String> {
        let spawned = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = spawned.spawn().unwrap();
        let log = Arc::new(Log::default());
        let (stderr, filled) = (child.stderr.take().unwrap(), Arc::clone(&log));
        std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                filled.lines.lock().unwrap().0.push(line);
                filled.more.notify_all();
            }
            filled.lines.lock().unwrap().1 = true;
            filled.more.notify_all();
        });
        let nowhere = SocketAddr::from(([127, 0, 0, 1], 0));
        let socket = self.path("control.sock");
        let mut running = Running { child, log, link: nowhere, metrics: nowhere, socket };
        if !running.log.wait_for("ready") {
            running.child.wait().unwrap();
            return Err(running.log.text());
        }
        running.link = running.log.address("listening", None).unwrap_or(nowhere);
        running.metrics = running.log.address("metrics", None).unwrap();
        Ok(running)
    }

    /// From now on the journal need not be sound.
    pub(crate) fn expect_damage(&self) {
        self.damaged.set(true);
    }

    /// What `switch verify` prints of the journal: outcome, last sequence, state hash.
    pub(crate) fn verify(&self) -> (String, Sequence, String) {
        let output = run(&["verify", "--json", "--journal", self.journal().to_str().unwrap()]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        let text = |name: &str| report[name].as_str().unwrap().to_owned();
        let last = Sequence(report["lastSequence"].as_u64().unwrap());
        (text("outcome"), last, text("stateHash"))
    }
}

/// Whatever a test did, its journal decides the same once more.
impl Drop for Home {
    fn drop(&mut self) {
        let served = self.journal().is_dir() && !self.damaged.get();
        if served && !std::thread::panicking() {
            let (outcome, ..) = self.verify();
            assert!(outcome == "clean" || outcome.starts_with("torn tail"), "{outcome}");
        }
    }
}

/// Runs the binary to its end.
pub(crate) fn run(arguments: &[&str]) -> Output {
    Command::new(BINARY).args(arguments).output().unwrap()
}

/// The same, with this on standard input.
pub(crate) fn feed(arguments: &[&str], input: &str) -> Output {
    let mut command = Command::new(BINARY);
    let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = piped.args(arguments).spawn().unwrap();
    // One that reads nothing may have ended.
    child.stdin.take().unwrap().write_all(input.as_bytes()).ok();
    child.wait_with_output().unwrap()
}

impl Running {
    pub(crate) fn connect(&self) -> Client {
        Client::connect(self.link)
    }

    /// Where a link listens.
    pub(crate) fn address_of(&self, link: &str) -> SocketAddr {
        self.log.address("listening", Some(link)).unwrap()
    }

    pub(crate) fn control(&self) -> Control {
        Control::connect(&self.socket)
    }

    pub(crate) fn socket(&self) -> &Path {
        &self.socket
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// kill -9.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// SIGTERM.
    pub(crate) fn ask_to_stop(&self) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    }

    /// Waits for its end: status and log.
    pub(crate) fn ended(mut self) -> (ExitStatus, String) {
        self.log.wait_for("\u{0}");
        (self.child.wait().unwrap(), self.log.text())
    }

    /// SIGTERM, and a clean end.
    pub(crate) fn stop(self) {
        self.ask_to_stop();
        let (status, log) = self.ended();
        assert!(status.success(), "{status}, signal {:?}\n{log}", status.signal());
    }

    /// Whether the process runs on and no thread has panicked.
    pub(crate) fn is_well(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none() && !self.log.text().contains("panicked")
    }

    /// Status line and body of an HTTP page.
    pub(crate) fn page(&self, path: &str) -> (String, String) {
        self.try_page(path).expect("the switch answers")
    }

    /// The same, or nothing of a switch that has ended.
    fn try_page(&self, path: &str) -> Option<(String, String)> {
        let mut stream = TcpStream::connect(self.metrics).ok()?;
        stream.set_read_timeout(Some(WAIT)).ok()?;
        let request = format!("GET {path} HTTP/1.1\r\nHost: switch\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).ok()?;
        let mut text = String::new();
        stream.read_to_string(&mut text).ok()?;
        let (head, body) = text.split_once("\r\n\r\n")?;
        Some((head.lines().next()?.to_owned(), body.to_owned()))
    }

    /// The sum of a metric over its labels.
    pub(crate) fn metric(&self, name: &str) -> f64 {
        self.try_metric(name).expect("the switch answers")
    }

    /// The same, or nothing of a switch that has ended.
    pub(crate) fn try_metric(&self, name: &str) -> Option<f64> {
        let (_, body) = self.try_page("/metrics")?;
        let lines = body.lines().filter(|line| {
            line.strip_prefix(name).is_some_and(|rest| rest.starts_with([' ', '{']))
        });
        Some(lines.map(|line| line.rsplit_once(' ').unwrap().1.parse::<f64>().unwrap()).sum())
    }

    /// A link's metric, as soon as it is this.
    pub(crate) fn wait_for_metric(&self, name: &str, link: &str, value: u32) {
        let line = format!("{name}{{link=\"{link}\"}} {value}");
        let deadline = std::time::Instant::now() + WAIT;
        loop {
            let (_, page) = self.page("/metrics");
            if page.lines().any(|found| found == line) {
                return;
            }
            assert!(std::time::Instant::now() < deadline, "no {line} in {page}");
        }
    }

    /// Resident memory, in KiB.
    pub(crate) fn resident_kib(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

impl Log {
    /// Until a line has this message; false where the process ends before.
    fn wait_for(&self, message: &str) -> bool {
        let mut lines = self.lines.lock().unwrap();
        loop {
            if lines.0.iter().any(|line| field_of(line, "message").as_deref() == Some(message)) {
                return true;
            }
            if lines.1 {
                return false;
            }
            let (next, timeout) = self.more.wait_timeout(lines, WAIT).unwrap();
            assert!(!timeout.timed_out(), "no {message:?} within {WAIT:?}: {:?}", next.0);
            lines = next;
        }
    }

    /// The address in the first line with this message, and of this link.
    fn address(&self, message: &str, link: Option<&str>) -> Option<SocketAddr> {
        let lines = self.lines.lock().unwrap();
        let is_it = |line: &&String| {
            field_of(line, "message").as_deref() == Some(message)
                && (link.is_none() || field_of(line, "link").as_deref() == link)
        };
        let line = lines.0.iter().find(is_it)?;
        Some(field_of(line, "address").unwrap().parse().unwrap())
    }

    fn text(&self) -> String {
        self.lines.lock().unwrap().0.join("\n")
    }
}

/// A field of a log line that is a text.
fn field_of(line: &str, name: &str) -> Option<String> {
    let line: serde_json::Value = serde_json::from_str(line).ok()?;
    line["fields"][name].as_str().map(str::to_owned)
}
