//! The sandbox: everything a newcomer needs, started by one command. Source: surface 1 and 2.
//!
//! | order | file |
//! |---|---|
//! | make keys, certificates and configurations, or find them | `folder` |
//! | start both servers and keep them running | `servers`, `child` |
//! | put up the partner's money | `partner_money` |
//! | quick start, fixtures, a burst of load | `demo` |
//! | say what came of it, and where everything is | `summary` |
//!
//! Invariants: `sandbox.json` is there only while everything is ready; a server that dies is started
//! again on the same addresses with the same data; none outlives the sandbox.

pub mod child;
mod demo;
mod folder;
mod partner_money;
mod servers;
mod summary;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;
use switch::config::Mode;
use tokio::signal::unix::{SignalKind, signal};

use crate::description::Description;
use crate::rest::Rest;
use folder::Folder;
use servers::Servers;

/// Starts on other free ports before giving up.
const START_ATTEMPTS: u32 = 3;

/// What to start.
#[derive(Clone, Debug)]
pub struct Options {
    /// The folder; `None` takes a temporary one, which is removed at the end.
    pub data: Option<PathBuf>,
    /// Free ports instead of the usual ones.
    pub ephemeral: bool,
    /// When an answer may leave.
    pub mode: Mode,
    /// Stop after the demonstration.
    pub once: bool,
    /// Serve only.
    pub demo: bool,
    /// The summary as JSON, and nothing else on standard output.
    pub json: bool,
    /// [`child::CANARY`] in place of every CVC2.
    pub canary: bool,
    /// This program, which the servers are started with.
    pub program: PathBuf,
}

/// Starts everything, shows it, serves until a signal; whether every answer was the expected one.
/// Runs on the program's first thread: the servers end with the thread that started them.
pub async fn run(options: Options) -> anyhow::Result<bool> {
    let (mut terminate, mut interrupt) =
        (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let temporary = match options.data {
        None => Some(tempfile::tempdir().context("a temporary folder")?),
        Some(_) => None,
    };
    let path = match (&options.data, &temporary) {
        (Some(path), _) => path.clone(),
        (None, Some(temporary)) => temporary.path().to_owned(),
        (None, None) => anyhow::bail!("no folder"),
    };
    let started = tokio::select! {
        started = start(&path, &options) => started?,
        _ = terminate.recv() => return Ok(true),
        _ = interrupt.recv() => return Ok(true),
    };
    let (folder, mut servers, description) = started;
    let outcome = tokio::select! {
        outcome = serve(&folder, &mut servers, &description, &options) => outcome,
        _ = terminate.recv() => Ok(true),
        _ = interrupt.recv() => Ok(true),
    };
    Description::remove(folder.path())?;
    servers.stop().await?;
    if let Some(temporary) = temporary {
        temporary.close()?;
    }
    outcome
}

/// Makes the folder and starts both servers in it, and the simulated partner. A free port may be taken by somebody else before
/// it is used: then others are tried.
async fn start(path: &Path, options: &Options) -> anyhow::Result<(Folder, Servers, Description)> {
    let mut attempts = if options.ephemeral { START_ATTEMPTS } else { 1 };
    loop {
        let folder = Folder::make(path, options.ephemeral, options.mode)?;
        let error = match Servers::start(&folder, options).await {
            Ok(mut servers) => match servers.ready(&folder).await {
                Ok(description) => return Ok((folder, servers, description)),
                Err(error) => {
                    // What it was stopped for is told already.
                    servers.stop().await.ok();
                    error
                }
            },
            Err(error) => error,
        };
        attempts -= 1;
        if attempts == 0 {
            return Err(error);
        }
    }
}

/// From ready servers to the end of the demonstration, or for ever; whether every answer was the
/// expected one.
async fn serve(
    folder: &Folder,
    servers: &mut Servers,
    description: &Description,
    options: &Options,
) -> anyhow::Result<bool> {
    let rest = Arc::new(Rest::demo(folder.path(), description)?);
    partner_money::put_up(&rest, folder.path()).await?;
    folder.add_operator().await?;
    description.write(folder.path())?;
    let mut supervised = std::pin::pin!(servers.supervise(folder));
    let agreed = if options.demo {
        tokio::select! {
            agreed = show(folder, description, &rest, options) => agreed?,
            failed = &mut supervised => failed.map(|()| false)?,
        }
    } else {
        true
    };
    if options.once {
        return Ok(agreed);
    }
    if !options.json {
        say(&summary::addresses(folder.path(), description))?;
    }
    supervised.await.map(|()| agreed)
}

async fn show(
    folder: &Folder,
    description: &Description,
    rest: &Arc<Rest>,
    options: &Options,
) -> anyhow::Result<bool> {
    let shown = demo::run(folder.path(), description, rest).await?;
    say(&if options.json { summary::json(&shown)? } else { summary::text(&shown) })?;
    Ok(shown.agrees())
}

fn say(text: &str) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{text}")?;
    Ok(out.flush()?)
}

/// The path as a shell takes it from anywhere.
fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_unknown| path.to_owned())
}
