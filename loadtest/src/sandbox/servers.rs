//! Both servers as processes: started, watched, started again, stopped.
//!
//! Invariant: a server is started again only while nobody asked to stop, and `sandbox.json` names
//! the process that serves now.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context, bail};
use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep, timeout};
use tokio_util::task::AbortOnDropHandle;

use super::Options;
use super::folder::{Folder, MGMT_CONFIG, PARTNER_FILE, SWITCH_CONFIG};
use crate::description::Description;
use crate::partner;

/// A server must be ready within this time.
const READY_WITHIN: Duration = Duration::from_secs(120);
/// Between two looks at a server that is not ready yet.
const READY_INTERVAL: Duration = Duration::from_millis(20);
/// A server must stop within this time.
const STOP_WITHIN: Duration = Duration::from_secs(20);
/// Before a server that died is started again.
const RESTART_PAUSE: Duration = Duration::from_millis(200);
/// Bytes of a log that are shown when a server does not start.
const LOG_TAIL: u64 = 2_000;

/// One server process.
struct Server {
    name: &'static str,
    command: &'static str,
    config: &'static str,
    folder: PathBuf,
    program: PathBuf,
    child: Child,
}

/// Both, and the simulated partner beside them, which ends with the sandbox.
pub(super) struct Servers {
    switch: Server,
    mgmt: Server,
    _partner: AbortOnDropHandle<()>,
}

impl Server {
    fn start(
        name: &'static str,
        (command, config): (&'static str, &'static str),
        folder: &Path,
        program: &Path,
    ) -> anyhow::Result<Self> {
        let (folder, program) = (folder.to_owned(), program.to_owned());
        let child = spawn(name, (command, config), &folder, &program)?;
        Ok(Self { name, command, config, folder, program, child })
    }

    fn pid(&self) -> u32 {
        self.child.id().unwrap_or_default()
    }

    /// Until it says that it is ready.
    async fn ready(&mut self, health: SocketAddr) -> anyhow::Result<()> {
        let deadline = Instant::now() + READY_WITHIN;
        while !is_ready(health).await {
            if let Some(status) = self.child.try_wait()? {
                bail!("the {} did not start: {status}\n{}", self.name, self.log_tail()?);
            }
            if Instant::now() > deadline {
                bail!("the {} is not ready in time\n{}", self.name, self.log_tail()?);
            }
            sleep(READY_INTERVAL).await;
        }
        Ok(())
    }

    /// Starts it again.
    async fn restart(&mut self) -> anyhow::Result<()> {
        sleep(RESTART_PAUSE).await;
        let what = (self.command, self.config);
        self.child = spawn(self.name, what, &self.folder, &self.program)?;
        Ok(())
    }

    /// Asks it to drain and waits; ends it by force where it does not.
    async fn stop(&mut self) -> anyhow::Result<()> {
        let pid = i32::try_from(self.pid()).ok().and_then(Pid::from_raw);
        let Some(pid) = pid else { return Ok(()) };
        // It may have ended by itself.
        kill_process(pid, Signal::TERM).ok();
        match timeout(STOP_WITHIN, self.child.wait()).await {
            Ok(status) => {
                let status = status?;
                let drained = status.success();
                anyhow::ensure!(drained, "the {} did not drain: {status}", self.name);
                Ok(())
            }
            Err(_late) => {
                self.child.kill().await?;
                bail!("the {} did not stop in time", self.name)
            }
        }
    }

    fn log_tail(&self) -> anyhow::Result<String> {
        let mut file = File::open(log_path(&self.folder, self.name))?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(LOG_TAIL)))?;
        let mut tail = Vec::new();
        file.read_to_end(&mut tail)?;
        Ok(String::from_utf8_lossy(&tail).into_owned())
    }
}

impl Servers {
    /// Starts both; they find each other in any order.
    pub(super) async fn start(folder: &Folder, options: &Options) -> anyhow::Result<Self> {
        let (path, program) = (folder.path(), &options.program);
        let partner = start_partner(folder).await.context("the simulated partner")?;
        let mgmt = if options.canary { "serve-mgmt-canary" } else { "serve-mgmt" };
        Ok(Self {
            switch: Server::start("switch", ("serve-switch", SWITCH_CONFIG), path, program)?,
            mgmt: Server::start("mgmt-api", (mgmt, MGMT_CONFIG), path, program)?,
            _partner: partner,
        })
    }

    /// Until both are ready.
    pub(super) async fn ready(&mut self, folder: &Folder) -> anyhow::Result<Description> {
        self.switch.ready(folder.switch_health()).await?;
        self.mgmt.ready(folder.mgmt_health()).await?;
        Ok(folder.description(self.switch.pid(), self.mgmt.pid()))
    }

    /// Starts a server again whenever one dies, for ever.
    pub(super) async fn supervise(&mut self, folder: &Folder) -> anyhow::Result<()> {
        loop {
            let (server, status) = self.next_death().await?;
            note(
                folder.path(),
                &format!("the {} ended, {status}: starting it again", server.name),
            )?;
            Description::remove(folder.path())?;
            server.restart().await?;
            self.ready(folder).await?.write(folder.path())?;
        }
    }

    async fn next_death(&mut self) -> anyhow::Result<(&mut Server, ExitStatus)> {
        tokio::select! {
            status = self.switch.child.wait() => Ok((&mut self.switch, status?)),
            status = self.mgmt.child.wait() => Ok((&mut self.mgmt, status?)),
        }
    }

    /// Stops both, the one that asks first.
    pub(super) async fn stop(&mut self) -> anyhow::Result<()> {
        let mgmt = self.mgmt.stop().await;
        let switch = self.switch.stop().await;
        mgmt.and(switch)
    }
}

/// Starts the simulated partner, which finds its balances again in the folder.
async fn start_partner(folder: &Folder) -> anyhow::Result<AbortOnDropHandle<()>> {
    let address = folder.partner_address();
    let listener = TcpListener::bind(address).await.with_context(|| format!("{address}"))?;
    let file = Some(folder.path().join(PARTNER_FILE));
    let (path, options) =
        (folder.path().to_owned(), partner::Options { file, ..Default::default() });
    let serving = async move {
        if let Err(error) = partner::serve(listener, options).await {
            // There is nobody else to tell.
            note(&path, &format!("the simulated partner ended: {error:#}")).ok();
        }
    };
    Ok(AbortOnDropHandle::new(tokio::spawn(serving)))
}

/// Starts this program as a server, in the folder, so that its socket's path is short; in a process
/// group of its own, so that Ctrl-C reaches the sandbox alone.
fn spawn(
    name: &str,
    (command, config): (&str, &str),
    folder: &Path,
    program: &Path,
) -> anyhow::Result<Child> {
    let log = OpenOptions::new().create(true).append(true).open(log_path(folder, name))?;
    Command::new(program)
        .args([command, "--config", config, "--parent", &std::process::id().to_string()])
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .process_group(0)
        .spawn()
        .with_context(|| format!("starting the {name}"))
}

fn log_path(folder: &Path, name: &str) -> PathBuf {
    folder.join("logs").join(format!("{name}.log"))
}

/// A line in the sandbox's own log.
fn note(folder: &Path, text: &str) -> anyhow::Result<()> {
    use std::io::Write;
    let path = log_path(folder, "sandbox");
    let mut file = OpenOptions::new().create(true).append(true).open(path)?;
    Ok(writeln!(file, "{} {text}", time::OffsetDateTime::now_utc())?)
}

/// Whether `GET /readyz` is answered with 200.
async fn is_ready(address: SocketAddr) -> bool {
    let asked = async {
        let mut stream = TcpStream::connect(address).await?;
        let request = format!("GET /readyz HTTP/1.0\r\nHost: {address}\r\n\r\n");
        stream.write_all(request.as_bytes()).await?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await?;
        Ok::<_, std::io::Error>(answer)
    };
    let answer = timeout(Duration::from_secs(5), asked).await;
    let status = |answer: &[u8]| answer.split(|byte| *byte == b' ').nth(1) == Some(&b"200"[..]);
    matches!(answer, Ok(Ok(answer)) if status(&answer))
}
