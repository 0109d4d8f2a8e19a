//! The switch: ISO 8583 authorizations decided in memory, written to a journal, answered.
//!
//! # The path of one authorization
//! 1. [`server`] accepts a connection of a [`link`], from whom and as many as the link allows; or
//!    [`link::dial`] opens it.
//! 2. [`link::connection`] reads all there is and cuts it into frames; [`session`] parses each in
//!    place.
//! 3. [`intake`] turns the message into a command: the card number becomes a token here.
//! 4. [`engine`] stamps the time and lets [`shared::ledger`] decide and apply, inline, at once.
//! 5. [`journal`] takes command, effects and decision; its thread writes and syncs groups.
//! 6. [`outbox`] holds the answer until its record is durable (or written, in write-behind).
//! 7. [`shard`] wakes the connection when the journal got further; it writes all open answers at
//!    once.
//!
//! Beside it: [`control`] (the management API's lane), [`recovery`] (from the journal back to the
//! state), [`metrics`], [`config`], [`clock`].
//!
//! Invariants: one thread owns the state and every connection; no lock is taken and nothing waits
//! between reading a message and its decision; an answer never precedes its record.

pub mod clock;
pub mod config;
pub mod control;
pub mod decode;
pub mod engine;
pub mod explain;
pub mod intake;
pub mod journal;
pub mod link;
pub mod metrics;
pub mod outbox;
pub mod questions;
pub mod recovery;
pub mod reply_fields;
pub mod retell;
pub mod server;
pub mod session;
pub mod shard;

use std::rc::Rc;
use std::time::Duration;

use anyhow::Context;
use rustix::process::{Resource, Rlimit};
use shared::credential::KeyProvider;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{error, info, warn};

use clock::AheadFile;
use config::{Config, Direction};
use engine::Engine;
use link::tls::Tls;
use link::{Link, LinkRules, dial};
use metrics::Metrics;
use server::Door;
use shard::Shard;

/// After a stop is asked for, connections have this long to take their answers; then they end.
const DRAIN: Duration = Duration::from_secs(10);
/// How often holds past their lifetime are looked for.
const EXPIRY_TICK: Duration = Duration::from_millis(100);
/// Files that are open besides connections: the journal's, the metrics port's connections.
const FILES_RESERVED: usize = 64;

/// Recovers, serves until SIGTERM or SIGINT, drains, closes the journal. An error is a start that
/// was refused, or a journal that failed: then no further answer has left.
pub fn serve(config: &Config) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let tasks = tokio::task::LocalSet::new();
    let served = tasks.block_on(&runtime, run(config));
    drop(tasks);
    runtime.shutdown_timeout(Duration::from_secs(1));
    served
}

/// Ends the process on any panic, in any thread: recovery is replay, and a half-done step must not
/// be served from. The one that explains has no part in any step.
pub fn abort_on_panic() {
    let report = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        report(panic);
        if std::thread::current().name() != Some(retell::THREAD) {
            std::process::abort();
        }
    }));
}

/// Logs as JSON lines on standard error, at `info` and above.
pub fn log_to_stderr() {
    tracing_subscriber::fmt()
        .json()
        .with_max_level(tracing::Level::INFO)
        .with_writer(std::io::stderr)
        .init();
}

async fn run(config: &Config) -> anyhow::Result<()> {
    let (engine, lock) = start_engine(config)?;
    let stop_asked = stop_asked()?;
    let shard = Shard::new(engine, Metrics::default(), CancellationToken::new());
    let sessions = TaskTracker::new();
    let servers = TaskTracker::new();
    start_servers(config, &shard, &sessions, &servers).await?;
    info!("ready");
    tokio::select! {
        () = stop_asked => {}
        _ended = shard.follow_journal() => {
            // Connections close with the process: nothing that is not durable leaves.
            error!("the journal failed: stopping at once");
            anyhow::bail!("the journal failed");
        }
    }
    info!("draining");
    shard.draining.cancel();
    servers.close();
    sessions.close();
    let drained = async {
        servers.wait().await;
        sessions.wait().await;
    };
    let cut = async {
        tokio::time::sleep(DRAIN).await;
        warn!("connections did not drain in time: they end as they are");
        shard.cut.cancel();
        std::future::pending::<()>().await;
    };
    tokio::select! {
        () = drained => {}
        () = cut => {}
        _ended = shard.follow_journal() => anyhow::bail!("the journal failed"),
    }
    let last = close(shard).await?;
    drop(lock);
    info!(last = last.0, "closed");
    Ok(())
}

/// Until SIGTERM or SIGINT. From this call on they do not end the process by themselves.
fn stop_asked() -> std::io::Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

async fn close(shard: Rc<Shard>) -> anyhow::Result<shared::ids::Sequence> {
    let engine = shard.into_engine().context("a connection still holds the engine")?;
    Ok(tokio::task::spawn_blocking(move || engine.close()).await??)
}

fn start_engine(config: &Config) -> anyhow::Result<(Engine, std::fs::File)> {
    let journal = &config.journal;
    let started = std::time::Instant::now();
    let mut recovered = recovery::recover(&journal.directory)?;
    info!(
        records = recovered.tail.sequence.0,
        torn_bytes = recovered.torn,
        epoch = recovered.tail.epoch,
        milliseconds = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
        "recovered"
    );
    recovered.ledger.reserve_transactions(journal.transactions_reserved);
    let options = journal::Options {
        directory: journal.directory.clone(),
        segment_bytes: journal.segment_bytes,
        unsynced_records_max: journal.unsynced_records_max,
        unsynced_amount_max: journal.unsynced_amount_max,
    };
    let appender = journal::Appender::start(options, recovered.tail).context("the journal")?;
    let engine = Engine::new(recovered.ledger, appender, journal.mode);
    let engine = if config.control.clock_may_advance {
        engine.with_clock_ahead(AheadFile::beside(&journal.directory))?
    } else {
        engine
    };
    Ok((engine, recovered.lock))
}

async fn start_servers(
    config: &Config,
    shard: &Rc<Shard>,
    sessions: &TaskTracker,
    servers: &TaskTracker,
) -> anyhow::Result<()> {
    let share = connections_share(config)?;
    let (token_key, keys) = config.keys()?;
    let keys: Rc<dyn KeyProvider> = Rc::new(keys);
    for link in &config.links {
        let rules = LinkRules::new(link, token_key.clone(), Rc::clone(&keys))?;
        start_link(link, rules, share, (shard, sessions, servers)).await?;
    }
    servers.spawn_local(let_holds_expire(Rc::clone(shard)));
    let socket = &config.control.socket;
    let listener = control::listen(socket).with_context(|| format!("{}", socket.display()))?;
    servers.spawn_local(control::serve(
        listener,
        Rc::clone(shard),
        config.journal.directory.clone(),
        config.control.clone(),
        sessions.clone(),
    ));
    let address = config.metrics.address;
    let listener = tokio::net::TcpListener::bind(address)
        .await
        .with_context(|| format!("metrics: {address}"))?;
    info!(address = %listener.local_addr()?, "metrics");
    let (shard, cut) = (Rc::clone(shard), shard.cut.clone());
    servers.spawn_local(cut.run_until_cancelled_owned(metrics::serve(listener, shard)));
    Ok(())
}

/// Listens on a link's address, or begins to keep its connections.
async fn start_link(
    link: &config::Link,
    rules: LinkRules,
    share: usize,
    (shard, sessions, servers): (&Rc<Shard>, &TaskTracker, &TaskTracker),
) -> anyhow::Result<()> {
    let tls = Tls::load(link)?.map(Rc::new);
    let metrics = shard.metrics.link(&link.name);
    let shared = Link::new(rules, metrics);
    let connections_max = link.connections_most().min(share);
    match link.direction {
        Direction::Listen => {
            let listener = tokio::net::TcpListener::bind(link.address)
                .await
                .with_context(|| format!("link {}: {}", link.name, link.address))?;
            info!(link = link.name, address = %listener.local_addr()?, "listening");
            let door = Door { allow: link.allow_list()?, tls, connections_max };
            let shard = Rc::clone(shard);
            servers.spawn_local(server::serve(listener, shared, shard, door, sessions.clone()));
        }
        Direction::Connect => {
            info!(link = link.name, peer = %link.address, "connecting");
            for _ in 0..connections_max {
                let (shared, shard, tls) = (Rc::clone(&shared), Rc::clone(shard), tls.clone());
                sessions.spawn_local(dial::keep(shared, shard, dial::Target::of(link), tls));
            }
        }
    }
    Ok(())
}

/// Ends holds whose time is over, a few at a time, so that no message waits for many of them.
async fn let_holds_expire(shard: Rc<Shard>) {
    let mut ticks = tokio::time::interval(EXPIRY_TICK);
    loop {
        let stopping = shard.draining.is_cancelled();
        if stopping && (shard.engine().open_questions() == 0 || shard.cut.is_cancelled()) {
            return;
        }
        tokio::select! {
            _ = ticks.tick() => {}
            () = shard.draining.cancelled(), if !stopping => {}
        }
        while shard.engine().has_room(shard.progress()) {
            let more = shard.engine().expire();
            shard.submit();
            if !more {
                break;
            }
            tokio::task::yield_now().await;
        }
    }
}

/// How many connections a link may have at most, so that the journal never runs out of files:
/// raises the process's own bound as far as it is let, and divides what is still too little.
fn connections_share(config: &Config) -> anyhow::Result<usize> {
    // A control connection may follow the journal's events.
    let reserved = FILES_RESERVED + 2 * config.control.connections_max + config.links.len();
    let links: usize = config.links.iter().map(config::Link::connections_most).sum();
    let bound = rustix::process::getrlimit(Resource::Nofile);
    let as_asked = u64::try_from(reserved + links)?;
    let allowed = bound.maximum.map_or(as_asked, |hard| hard.min(as_asked));
    if bound.current.is_some_and(|soft| soft < allowed) {
        let raised = Rlimit { current: Some(allowed), maximum: bound.maximum };
        rustix::process::setrlimit(Resource::Nofile, raised).context("the bound on open files")?;
    }
    if allowed >= as_asked {
        return Ok(usize::MAX);
    }
    let share = usize::try_from(allowed)?.saturating_sub(reserved) / config.links.len().max(1);
    anyhow::ensure!(share > 0, "the process may open {allowed} files: too few to serve");
    warn!(share, files = allowed, "fewer connections than configured: too few files may be open");
    Ok(share)
}
