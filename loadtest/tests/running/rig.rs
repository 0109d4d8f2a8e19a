//! A sandbox in a process of its own, for tests that drive it from outside.
//!
//! Invariant: every sandbox that is started here is stopped here, whatever the test finds.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use loadtest::description::Description;
use loadtest::fixtures::player::Player;
use loadtest::rest::Rest;
use rustix::process::{Pid, Signal, kill_process};

pub(crate) const SANDBOX: &str = env!("CARGO_BIN_EXE_sandbox");
pub(crate) const DEADLINE: Duration = Duration::from_secs(120);

/// A running sandbox that serves only.
pub(crate) struct Running {
    child: Child,
    pub(crate) folder: PathBuf,
    pub(crate) description: Description,
}

impl Running {
    pub(crate) async fn start(folder: &Path) -> anyhow::Result<Self> {
        Self::start_with(folder, &[]).await
    }

    pub(crate) async fn start_with(folder: &Path, more: &[&str]) -> anyhow::Result<Self> {
        let mut child = Command::new(SANDBOX)
            .args(more)
            .args(["--ephemeral", "--no-demo", "--json", "--data"])
            .arg(folder)
            .stdout(Stdio::null())
            .spawn()?;
        match described(&mut child, folder, |_any| true).await {
            Ok(description) => Ok(Self { child, folder: folder.to_owned(), description }),
            Err(error) => {
                child.kill().ok();
                Err(error)
            }
        }
    }

    /// Until another process has taken the place of one that was killed.
    pub(crate) async fn refresh(&mut self) -> anyhow::Result<()> {
        let before = (self.description.switch_pid, self.description.mgmt_pid);
        let wanted = |now: &Description| (now.switch_pid, now.mgmt_pid) != before;
        self.description = described(&mut self.child, &self.folder, wanted).await?;
        Ok(())
    }

    pub(crate) async fn player(&self) -> anyhow::Result<Player> {
        Player::connect(&self.folder, &self.description, None).await
    }

    pub(crate) fn journal(&self) -> PathBuf {
        self.folder.join(&self.description.journal)
    }

    pub(crate) fn demo(&self) -> anyhow::Result<Arc<Rest>> {
        Ok(Arc::new(Rest::demo(&self.folder, &self.description)?))
    }

    pub(crate) fn signal(&self, pid: u32, signal: Signal) -> anyhow::Result<()> {
        let pid = Pid::from_raw(pid.cast_signed()).context("no pid")?;
        Ok(kill_process(pid, signal)?)
    }

    /// Asks it to stop; it must drain, take its description away and exit with 0.
    pub(crate) fn stop(mut self) -> anyhow::Result<()> {
        self.signal(self.child.id(), Signal::TERM)?;
        let status = self.child.wait()?;
        ensure!(status.success(), "{status}");
        ensure!(!self.folder.join("sandbox.json").exists(), "sandbox.json is still there");
        Ok(())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Its servers end with it.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// Until `sandbox.json` is there and as wanted.
async fn described(
    child: &mut Child,
    folder: &Path,
    wanted: impl Fn(&Description) -> bool,
) -> anyhow::Result<Description> {
    let deadline = Instant::now() + DEADLINE;
    loop {
        if let Ok(found) = Description::read(folder)
            && wanted(&found)
        {
            return Ok(found);
        }
        if let Some(status) = child.try_wait()? {
            bail!("the sandbox ended: {status}");
        }
        ensure!(Instant::now() < deadline, "no sandbox.json in time");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
