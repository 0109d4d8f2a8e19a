//! Every metric by name with its sentence, and the small HTTP server for metrics and health.
//!
//! Invariant: counting on the path is one atomic addition; names and handles are made once, here.

mod link;
mod listener;

use std::rc::Rc;
use std::time::Duration;

use axum::Router;
use axum::http::StatusCode;
use axum::routing::get;
use metrics::{Counter, Gauge, counter, describe_counter, describe_gauge, gauge};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle, PrometheusRecorder};
use shared::action_code::Reason;
use tokio::sync::{mpsc, oneshot};

pub use self::link::LinkMetrics;
use self::listener::Bounded;
use crate::journal::Progress;
use crate::shard::Shard;

/// A scrape that the engine does not answer within this time gets 503.
const SCRAPE_TIMEOUT: Duration = Duration::from_secs(5);
/// Scrapes waiting for the engine.
const SCRAPES_QUEUED_MAX: usize = 8;
/// Without a command for this long, the state hash is taken anew at a scrape.
const IDLE: Duration = Duration::from_millis(200);

/// Handles of all metrics.
pub struct Metrics {
    recorder: Rc<PrometheusRecorder>,
    render: PrometheusHandle,
    answered: Vec<Counter>,
    refused: Counter,
    unreadable: Counter,
    ignored: Counter,
    voided: Counter,
    changes: Counter,
    durable: Gauge,
    last: Gauge,
    cards: Gauge,
    transactions: Gauge,
}

impl Default for Metrics {
    fn default() -> Self {
        let recorder = Rc::new(PrometheusBuilder::new().build_recorder());
        metrics::with_local_recorder(&*recorder, || Self::register(Rc::clone(&recorder)))
    }
}

impl Metrics {
    fn register(recorder: Rc<PrometheusRecorder>) -> Self {
        describe_counter!("switch_answers_total", "Messages answered, by reason and action code");
        describe_counter!("switch_refused_total", "Messages that broke the dialect's format");
        describe_counter!("switch_unreadable_total", "Frames too broken to be answered");
        describe_counter!("switch_ignored_total", "Messages of a type that takes no answer");
        describe_counter!("switch_voided_total", "Approvals taken back: their answer never left");
        describe_counter!("switch_changes_total", "Changes asked for over the control link");
        LinkMetrics::describe();
        describe_gauge!("switch_durable_sequence", "The last record known to be on disk");
        describe_gauge!("switch_last_sequence", "The last command applied");
        describe_gauge!("switch_cards", "Cards known");
        describe_gauge!("switch_transactions", "Open holds and answers kept for repeats");
        let answered = |reason: &Reason| {
            let code = reason.action_code().to_string();
            counter!("switch_answers_total", "reason" => reason.table_key(), "code" => code)
        };
        Self {
            render: recorder.handle(),
            recorder,
            answered: Reason::ALL.iter().map(answered).collect(),
            refused: counter!("switch_refused_total"),
            unreadable: counter!("switch_unreadable_total"),
            ignored: counter!("switch_ignored_total"),
            voided: counter!("switch_voided_total"),
            changes: counter!("switch_changes_total"),
            durable: gauge!("switch_durable_sequence"),
            last: gauge!("switch_last_sequence"),
            cards: gauge!("switch_cards"),
            transactions: gauge!("switch_transactions"),
        }
    }

    /// Those of a link.
    #[must_use]
    pub fn link(&self, name: &str) -> LinkMetrics {
        metrics::with_local_recorder(&*self.recorder, || LinkMetrics::register(name))
    }

    /// A message was answered.
    pub fn answered(&self, reason: Reason) {
        if let Some(counter) = self.answered.get(usize::from(reason.number())) {
            counter.increment(1);
        }
    }

    /// A message broke the format and was told so.
    pub fn refused(&self) {
        self.refused.increment(1);
    }

    /// A frame could not even be answered.
    pub fn unreadable(&self) {
        self.unreadable.increment(1);
    }

    /// A message takes no answer.
    pub fn ignored(&self) {
        self.ignored.increment(1);
    }

    /// An approval was taken back because its answer never left.
    pub fn voided(&self) {
        self.voided.increment(1);
    }

    /// A change was asked for.
    pub fn changed(&self) {
        self.changes.increment(1);
    }

    /// The journal got further.
    pub fn journal_progress(&self, progress: Progress) {
        self.durable.set(gauge_of(progress.durable.0));
    }

    /// The page, with what only the engine knows.
    fn page(&self, shard: &Shard, idle: bool) -> String {
        let mut engine = shard.engine();
        let (cards, transactions) = engine.sizes();
        self.last.set(gauge_of(engine.last().0));
        self.cards.set(gauge_of(cards as u64));
        self.transactions.set(gauge_of(transactions as u64));
        let (sequence, hash) = engine.state_hash(idle);
        drop(engine);
        self.render.run_upkeep();
        let page = self.render.render();
        format!(
            "{page}# HELP switch_state_hash_sequence The command behind which switch_state_hash was taken\n\
             # TYPE switch_state_hash_sequence gauge\nswitch_state_hash_sequence {sequence}\n\
             # HELP switch_state_hash The hash of the whole state, taken while no command comes\n\
             # TYPE switch_state_hash gauge\nswitch_state_hash{{lastSequence=\"{sequence}\",stateHash=\"{hash:032x}\"}} 1\n"
        )
    }
}

/// Counts stay far below the integers that a float cannot tell apart.
#[expect(clippy::cast_precision_loss, reason = "Prometheus knows floats only")]
fn gauge_of(count: u64) -> f64 {
    count as f64
}

/// A scrape's way to the engine's thread and back.
type Scrape = oneshot::Sender<String>;

/// Serves /metrics, /livez and /readyz until the drain begins.
pub async fn serve(listener: tokio::net::TcpListener, shard: Rc<Shard>) {
    let (ask, asked) = mpsc::channel::<Scrape>(SCRAPES_QUEUED_MAX);
    let progress = shard.watch();
    let draining = shard.draining.clone();
    let ready = move || {
        let ready = !draining.is_cancelled() && !progress.borrow().failed;
        async move { if ready { (StatusCode::OK, "ok\n") } else { NOT_READY } }
    };
    let page = move || scrape(ask.clone());
    let app = Router::new()
        .route("/metrics", get(page))
        .route("/livez", get(async || "ok\n"))
        .route("/readyz", get(ready));
    let stop = shard.draining.clone();
    let served =
        axum::serve(Bounded::new(listener), app).with_graceful_shutdown(stop.cancelled_owned());
    tokio::select! {
        ended = served.into_future() => {
            if let Err(error) = ended {
                tracing::warn!(%error, "the metrics server ended");
            }
        }
        () = answer_scrapes(asked, &shard) => {}
    }
}

const NOT_READY: (StatusCode, &str) = (StatusCode::SERVICE_UNAVAILABLE, "not ready\n");

async fn scrape(ask: mpsc::Sender<Scrape>) -> (StatusCode, String) {
    let (send, receive) = oneshot::channel();
    let page = async {
        ask.send(send).await.ok()?;
        receive.await.ok()
    };
    match tokio::time::timeout(SCRAPE_TIMEOUT, page).await {
        Ok(Some(page)) => (StatusCode::OK, page),
        Ok(None) | Err(_) => (StatusCode::SERVICE_UNAVAILABLE, String::new()),
    }
}

/// Answers on the engine's thread. The state hash takes time proportional to the state, so it is
/// taken only when no command came for a moment.
async fn answer_scrapes(mut asked: mpsc::Receiver<Scrape>, shard: &Shard) {
    while let Some(answer) = asked.recv().await {
        let before = shard.engine().last();
        tokio::time::sleep(IDLE).await;
        let idle = shard.engine().last() == before;
        // A scrape that has gone away needs no answer.
        answer.send(shard.metrics.page(shard, idle)).ok();
    }
}
