//! Every metric: its name, its sentence, and the one place where it moves.
//!
//! Invariant: labels are from closed lists (route templates, kinds), never from a request.

use core::time::Duration;
use std::sync::LazyLock;

use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use shared::ids::Sequence;

const REQUESTS: &str = "mgmt_requests_total";
const REQUEST_SECONDS: &str = "mgmt_request_duration_seconds";
const IDEMPOTENCY_HITS: &str = "mgmt_idempotency_hits_total";
const LINK_UP: &str = "mgmt_switch_link_up";
const EVENTS: &str = "mgmt_events_total";
const EVENT_GAPS: &str = "mgmt_event_gaps_total";
const EVENT_CURSOR: &str = "mgmt_event_cursor";
const HISTORY_CURSOR: &str = "mgmt_history_cursor";
const NOTICES: &str = "mgmt_notices_total";
const QUESTIONS: &str = "mgmt_partner_questions_total";
const QUESTION_SECONDS: &str = "mgmt_partner_question_duration_seconds";
const PARTNER_CALLS: &str = "mgmt_partner_calls_waiting";
const ENDING_CERTIFICATES: &str = "mgmt_certificates_ending";
const MAILS: &str = "mgmt_mails_total";
const REFUSED_CONNECTIONS: &str = "mgmt_connections_refused_total";

/// Upper bounds of the duration histogram, seconds.
const SECONDS: [f64; 12] =
    [0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0];

static HANDLE: LazyLock<PrometheusHandle> = LazyLock::new(|| {
    let recorder = PrometheusBuilder::new()
        .set_buckets(&SECONDS)
        .expect("the list of buckets is not empty")
        .build_recorder();
    let handle = recorder.handle();
    // A program that embeds this server may have a recorder of its own: then that one counts.
    if metrics::set_global_recorder(recorder).is_ok() {
        describe();
    }
    handle
});

/// The process's recorder; the first call installs it.
pub fn handle() -> &'static PrometheusHandle {
    &HANDLE
}

fn describe() {
    metrics::describe_counter!(REQUESTS, "Requests answered, by route and status.");
    metrics::describe_histogram!(REQUEST_SECONDS, "From a request's header to its answer.");
    metrics::describe_counter!(IDEMPOTENCY_HITS, "Requests answered from their idempotency key.");
    metrics::describe_gauge!(LINK_UP, "1 while the switch answers on the control link.");
    metrics::describe_counter!(EVENTS, "Journal records read from the switch, by kind.");
    metrics::describe_counter!(EVENT_GAPS, "Times that the event feed missed a sequence.");
    metrics::describe_counter!(EVENT_CURSOR, "Last journal sequence that is done with.");
    metrics::describe_counter!(HISTORY_CURSOR, "Last journal sequence in the history.");
    metrics::describe_gauge!(ENDING_CERTIFICATES, "Certificates that end within 30 days.");
    metrics::describe_counter!(NOTICES, "Notices tried at endpoints, by what came of it.");
    metrics::describe_counter!(QUESTIONS, "Questions to partners, by what became of them.");
    metrics::describe_histogram!(QUESTION_SECONDS, "From a question to its partner's answer.");
    metrics::describe_gauge!(PARTNER_CALLS, "Calls that partners have not taken yet.");
    metrics::describe_counter!(MAILS, "E-mails tried, by what came of it.");
    metrics::describe_counter!(REFUSED_CONNECTIONS, "Connections closed at the cap, by listener.");
}

/// A notice was tried.
pub fn count_notice(state: &'static str) {
    metrics::counter!(NOTICES, "state" => state).increment(1);
}

/// A partner was asked.
pub fn count_partner_question(answer: &'static str, took: Duration) {
    metrics::counter!(QUESTIONS, "answer" => answer).increment(1);
    metrics::histogram!(QUESTION_SECONDS).record(took);
}

/// So many calls wait for partners to take them.
pub fn set_partner_calls(count: i64) {
    metrics::gauge!(PARTNER_CALLS).set(u32::try_from(count).unwrap_or(u32::MAX));
}

/// An e-mail was tried.
pub fn count_mail(state: &'static str) {
    metrics::counter!(MAILS, "state" => state).increment(1);
}

/// A request was answered.
pub fn count_request(route: &str, status: u16, took: Duration) {
    let route = route.to_owned();
    metrics::counter!(REQUESTS, "route" => route.clone(), "status" => status.to_string())
        .increment(1);
    metrics::histogram!(REQUEST_SECONDS, "route" => route).record(took);
}

/// A request was answered from its idempotency key.
pub fn count_idempotency_hit() {
    metrics::counter!(IDEMPOTENCY_HITS).increment(1);
}

/// The control link came up or went down.
pub fn set_link_up(up: bool) {
    metrics::gauge!(LINK_UP).set(if up { 1.0 } else { 0.0 });
}

/// An event was read.
pub fn count_event(kind: &'static str) {
    metrics::counter!(EVENTS, "kind" => kind).increment(1);
}

/// An event was missing.
pub fn count_event_gap() {
    metrics::counter!(EVENT_GAPS).increment(1);
}

/// The event cursor moved.
pub fn set_event_cursor(sequence: Sequence) {
    metrics::counter!(EVENT_CURSOR).absolute(sequence.0);
}

/// The history's cursor moved.
pub fn set_history_cursor(sequence: i64) {
    metrics::counter!(HISTORY_CURSOR).absolute(sequence.unsigned_abs());
}

/// A connection was closed at the cap.
pub fn count_refused_connection(listener: &'static str) {
    metrics::counter!(REFUSED_CONNECTIONS, "listener" => listener).increment(1);
}

/// So many certificates end soon.
pub fn set_ending_certificates(count: i64) {
    metrics::gauge!(ENDING_CERTIFICATES).set(u32::try_from(count).unwrap_or(u32::MAX));
}
