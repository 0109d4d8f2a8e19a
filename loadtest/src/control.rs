//! The control socket of a running sandbox, for changes that REST has no route for.
//!
//! Invariant: a change that is refused is an error; one that is carried out is durable.

use std::fs::File;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};

use anyhow::Context;
use mgmt_api::config::SwitchLinkConfig;
use mgmt_api::switch_link::SwitchLink;
use shared::command::Change;
use shared::ids::CommandId;
use tokio_util::sync::{CancellationToken, DropGuard};

/// A connection, made at the first change.
pub struct Control {
    link: SwitchLink,
    /// Keeps the folder's descriptor, through which the socket has a short path.
    _folder: File,
    _stop: DropGuard,
}

impl Control {
    /// Of the socket at `path`. Takes a runtime: the connection is kept by a task.
    pub fn open(path: &Path) -> anyhow::Result<Self> {
        let parent = path.parent().context("a socket stands in a folder")?;
        let folder = File::open(parent).with_context(|| format!("{}", parent.display()))?;
        let name = path.file_name().context("a socket has a name")?;
        let short = PathBuf::from(format!("/proc/self/fd/{}", folder.as_raw_fd()));
        let config = SwitchLinkConfig { socket: short.join(name), ..SwitchLinkConfig::default() };
        let (link, task) = SwitchLink::new(&config);
        let stop = CancellationToken::new();
        tokio::spawn(task.run(stop.clone()));
        Ok(Self { link, _folder: folder, _stop: stop.drop_guard() })
    }

    /// Asks for a change under an id of its own.
    pub async fn change(&self, change: Change) -> anyhow::Result<()> {
        let id = CommandId(uuid::Uuid::new_v4().as_u128());
        let outcome = self.link.change(id, change).await?;
        outcome.result.context("the switch refuses the change")
    }
}
