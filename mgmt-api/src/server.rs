//! Starting and stopping: database, keys, link and feed, then the two listeners.
//!
//! Invariant: the listeners close before the link, so that requests under way still get their
//! answers.

use core::time::Duration;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::net::TcpListener;
use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;
use tracing_subscriber::EnvFilter;

use crate::app::{self, App};
use crate::audit::{Audit, Entry};
use crate::auth::admin_token::AdminToken;
use crate::config::Config;
use crate::store::{History, Store};
use crate::switch_link::SwitchLink;
use crate::tls::{self, Listener};
use crate::vault::Vault;
use crate::{audit, callout, clock, event_feed, mail, metrics, notices, pki, routes, sandbox};

/// Between two sweeps of old idempotency keys, and of the recorder's histograms.
const SWEEP_INTERVAL: Duration = Duration::from_secs(60);

/// Certificates are warned of so long before their end.
const WARNED_BEFORE_MS: i64 = 30 * 86_400_000;

/// Files that are open beside connections.
const FILES_RESERVED: usize = 512;

/// Connections that read the history.
const READERS_MAX: u32 = 4;

/// A server whose listeners are bound.
pub struct Server {
    app: Arc<App>,
    secure: Listener,
    public: Listener,
    background: TaskTracker,
    background_stop: DropGuard,
}

/// Binds, logs and serves until `shutdown`, then drains.
pub async fn serve(config: Config, shutdown: CancellationToken) -> anyhow::Result<()> {
    let server = Server::bind(config).await?;
    server.run(shutdown).await;
    Ok(())
}

/// Brings the database's schema up to date.
pub async fn migrate(config: &Config) -> anyhow::Result<()> {
    let store = Store::open(&config.database).await.context("database")?;
    store.migrate().await.context("migrations")?;
    store.close().await;
    let history = History::open(&config.history_url(), 1).await.context("history")?;
    history.migrate().await.context("migrations of the history")?;
    history.close().await;
    Ok(())
}

/// Refuses a certificate from now on.
pub async fn revoke(config: &Config, certificate: &Path) -> anyhow::Result<()> {
    let key = pki::spki_sha256_of_file(certificate)?;
    let store = Store::open(&config.database).await.context("database")?;
    let entry = Entry::at_the_command_line("ca revoke", &format!("certificate/{}", app::hex(&key)));
    audit::write_one(config, &store, entry).await?;
    let now = clock::now_millis();
    let mut known = store.revoke_certificate(&key, now).await.context("database")?;
    for processor in &config.processors {
        // Another's file need not be readable for that.
        if pki::spki_sha256_of_file(&processor.certificate).is_ok_and(|other| other == key) {
            store.revoke_processor(&key, now).await.context("database")?;
            known = true;
        }
    }
    store.close().await;
    anyhow::ensure!(known, "the certificate was never let in");
    Ok(())
}

/// Checks the audit log; gives back its last entry's number and hash.
pub async fn verify_audit(config: &Config) -> anyhow::Result<(i64, String)> {
    let vault = Vault::open(&config.keys)?;
    let store = Store::open(&config.database).await.context("database")?;
    let (last, hash) = audit::verify(&store, &vault).await.context("audit log")?;
    store.close().await;
    Ok((last, app::hex(&hash)))
}

/// Raises the process's own bound on open files as far as it is let, so that as many connections as
/// are allowed do not meet it first.
fn raise_files_bound(connections: usize) -> anyhow::Result<()> {
    let wanted = u64::try_from(connections + FILES_RESERVED)?;
    let bound = getrlimit(Resource::Nofile);
    let allowed = bound.maximum.map_or(wanted, |hard| hard.min(wanted));
    if bound.current.is_some_and(|soft| soft < allowed) {
        let raised = Rlimit { current: Some(allowed), maximum: bound.maximum };
        setrlimit(Resource::Nofile, raised).context("the bound on open files")?;
    }
    if allowed < wanted {
        let files = allowed;
        tracing::warn!(files, "fewer files may be open than connections are allowed");
    }
    Ok(())
}

/// Opens every file that the configuration names, without changing any.
pub fn check(config: &Config) -> anyhow::Result<()> {
    config.check()?;
    Vault::open(&config.keys)?;
    AdminToken::open(&config.admin_token)?;
    let secure = &config.secure;
    tls::acceptor(&secure.certificate, &secure.key, Some(&secure.client_ca))?;
    if let (Some(certificate), Some(key)) = (&config.public.certificate, &config.public.key) {
        tls::acceptor(certificate, key, None)?;
    }
    for client in &config.clients {
        pki::spki_sha256_of_file(&client.certificate)?;
    }
    if let Some(mail) = &config.mail {
        mail::Mailer::open(mail)?;
    }
    notices::Client::open(config)?;
    for processor in &config.processors {
        pki::spki_sha256_of_file(&processor.certificate)?;
    }
    Ok(())
}

/// Installs the process's log: to standard error, filtered by `filter`, as JSON if asked for.
pub fn install_logs(filter: &str, json: bool) -> anyhow::Result<()> {
    let filter = EnvFilter::try_new(filter).context("log")?;
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let installed = if json { builder.json().try_init() } else { builder.try_init() };
    installed.map_err(|error| anyhow::anyhow!("log: {error}"))
}

impl Server {
    /// Opens everything and binds both listeners; the switch need not be there yet.
    pub async fn bind(config: Config) -> anyhow::Result<Self> {
        let vault = Vault::open(&config.keys)?;
        Self::bind_with(config, vault).await
    }

    /// The same with a vault that is open already.
    pub async fn bind_with(config: Config, vault: Vault) -> anyhow::Result<Self> {
        config.check()?;
        raise_files_bound(2 * config.limits.connections_max)?;
        metrics::handle();
        migrate(&config).await?;
        let store = Store::open(&config.database).await.context("database")?;
        let history = History::open(&config.history_url(), READERS_MAX).await.context("history")?;
        sandbox::seed(&config, &store, &vault).await?;

        let (link, link_task) = SwitchLink::new(&config.switch);
        let vault = Arc::new(vault);
        let (audit, audit_writer) = Audit::new(store.clone(), Arc::clone(&vault));
        let app = Arc::new(App::new(config, (store, history), link, (vault, audit))?);
        let (secure_router, public_router) = routes::routers(&app);
        let config = &app.config;
        let secure = &config.secure;
        let acceptor = tls::acceptor(&secure.certificate, &secure.key, Some(&secure.client_ca))?;
        let secure = Listener {
            name: "secure",
            socket: TcpListener::bind(secure.listen).await.context("secure.listen")?,
            tls: Some(acceptor),
            router: secure_router,
        };
        let public = &config.public;
        let acceptor = match (&public.certificate, &public.key) {
            (Some(certificate), Some(key)) => Some(tls::acceptor(certificate, key, None)?),
            (None, _) | (_, None) => None,
        };
        let public = Listener {
            name: "public",
            socket: TcpListener::bind(public.listen).await.context("public.listen")?,
            tls: acceptor,
            router: public_router,
        };

        let (background, stop) = (TaskTracker::new(), CancellationToken::new());
        background.spawn(link_task.run(stop.clone()));
        background.spawn(audit_writer.run(stop.clone()));
        let feed = event_feed::start(config, Arc::clone(&app.vault), stop.clone())
            .context("event feed")?;
        background.spawn(async { drop(feed.await) });
        background.spawn(sandbox::announce(Arc::clone(&app), stop.clone()));
        background.spawn(sandbox::follow_clock(Arc::clone(&app), stop.clone()));
        background.spawn(sweep(Arc::clone(&app), stop.clone()));
        background.spawn(app::import::run(Arc::clone(&app), stop.clone()));
        background.spawn(mail::run(Arc::clone(&app), stop.clone()));
        background.spawn(notices::run(Arc::clone(&app), stop.clone()));
        background.spawn(callout::run(Arc::clone(&app), stop.clone()));
        background.spawn(app::watch_balances::run(Arc::clone(&app), stop.clone()));
        background.spawn(app::charge_fees::run(Arc::clone(&app), stop.clone()));
        background.spawn(app::issue_later::run(Arc::clone(&app), stop.clone()));
        background.spawn(app::decide_verification::run(Arc::clone(&app), stop.clone()));
        Ok(Self { app, secure, public, background, background_stop: stop.drop_guard() })
    }

    /// Where the listener with client certificates is.
    pub fn secure_address(&self) -> anyhow::Result<SocketAddr> {
        Ok(self.secure.socket.local_addr()?)
    }

    /// Where the other listener is.
    pub fn public_address(&self) -> anyhow::Result<SocketAddr> {
        Ok(self.public.socket.local_addr()?)
    }

    /// Serves until `shutdown`, then drains.
    pub async fn run(self, shutdown: CancellationToken) {
        for (name, socket) in [("secure", &self.secure.socket), ("public", &self.public.socket)] {
            match socket.local_addr() {
                Ok(address) => tracing::info!(%address, "{name} listener"),
                Err(error) => tracing::warn!(%error, "{name} listener"),
            }
        }
        let limits = &self.app.config.limits;
        tokio::join!(
            tls::serve(self.secure, limits, shutdown.clone()),
            tls::serve(self.public, limits, shutdown),
        );
        drop(self.background_stop);
        self.background.close();
        self.background.wait().await;
        self.app.store.close().await;
        self.app.history.close().await;
        tracing::info!("stopped");
    }
}

async fn sweep(app: Arc<App>, stop: CancellationToken) {
    let mut ticks = interval(SWEEP_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _now = ticks.tick() => {}
        }
        metrics::handle().run_upkeep();
        app.rates.sweep(Instant::now());
        warn_of_ending_certificates(&app).await;
        for (what, swept) in [
            ("idempotency keys", app.sweep_idempotency_keys().await),
            ("sessions", app.sweep_sessions().await),
            ("e-mails that left", mail::sweep(&app).await),
            ("warnings of certificates that end", app.warn_of_certificates().await),
            ("notices of long ago", notices::sweep(&app).await),
            ("postings of years gone by", app.sweep_postings().await),
            ("transactions of years gone by", app.sweep_history().await),
            ("images and people past their retention", app.sweep_retention().await),
        ] {
            match swept {
                Ok(dropped) => tracing::debug!(dropped, "{what} swept"),
                Err(error) => tracing::warn!(code = error.code.title(), "sweep of {what} failed"),
            }
        }
    }
}

/// Certificates that end soon are counted, and said once a sweep.
async fn warn_of_ending_certificates(app: &App) {
    let before = clock::now_millis() + WARNED_BEFORE_MS;
    match app.store.count_ending_certificates(before).await {
        Ok(count) => {
            metrics::set_ending_certificates(count);
            if count > 0 {
                tracing::warn!(count, "certificates of partners end within 30 days");
            }
        }
        Err(error) => tracing::warn!(%error, "certificates were not looked at"),
    }
}
