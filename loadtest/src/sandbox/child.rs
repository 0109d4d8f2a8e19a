//! What a server process does: the same program started again with a hidden sub-command.
//!
//! Invariant: a server never outlives the sandbox, however that ends: the kernel asks it to stop
//! when its parent is gone.

use std::path::Path;

use rustix::process::{Signal, getppid, set_parent_process_death_signal};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use zeroize::Zeroizing;

/// Serves the switch until SIGTERM.
pub fn serve_switch(config: &Path, parent: u32) -> anyhow::Result<()> {
    switch::abort_on_panic();
    end_with(parent)?;
    switch::log_to_stderr();
    switch::serve(&switch::config::Config::load(config)?)
}

/// What a card has in place of its CVC2 where leaks are searched for: three digits are everywhere.
pub const CANARY: &str = "CVC2-canary-7XQZ";

/// Serves the management API until SIGTERM; with [`CANARY`] in place of every CVC2 where asked.
pub fn serve_mgmt(config: &Path, parent: u32, canary: bool) -> anyhow::Result<()> {
    end_with(parent)?;
    let config = mgmt_api::Config::load(config)?;
    let mut vault = mgmt_api::vault::Vault::open(&config.keys)?;
    if canary {
        vault = vault
            .printing(|_keys, _pan, _expiry, _generation| Ok(Zeroizing::new(CANARY.to_owned())));
    }
    mgmt_api::install_logs(&config.log, true)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let (mut terminate, mut interrupt) =
            (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        let shutdown = CancellationToken::new();
        let asked = shutdown.clone();
        tokio::spawn(async move {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            asked.cancel();
        });
        mgmt_api::Server::bind_with(config, vault).await?.run(shutdown).await;
        Ok(())
    })
}

/// Ends this process when its parent does; at once if that has happened already.
fn end_with(parent: u32) -> anyhow::Result<()> {
    set_parent_process_death_signal(Some(Signal::TERM))?;
    let now = getppid().map(|pid| pid.as_raw_nonzero().get().unsigned_abs());
    anyhow::ensure!(now == Some(parent), "the sandbox is gone");
    Ok(())
}
