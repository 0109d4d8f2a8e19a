//! The audit log: who asked for what and why, before it is done, and what came of it.
//!
//! Invariants: whatever changes something or shows a card's full data is written down, durably,
//! before its handler runs; entries are chained by a keyed hash, so that none can be changed, left
//! out or put between without the key; no card number stands in it. Source: security 4.1 (PCI DSS
//! 10.2 to 10.5), requirements #179.

use core::time::Duration;
use std::sync::Arc;

use anyhow::Context;
use axum::http::request::Parts;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::call::{Call, Exchange, header};
use crate::clock;
use crate::config::Config;
use crate::error::{Code, Error, Result};
use crate::iban;
use crate::store::{AuditRow, Store, StoreError};
use crate::tls::Peer;
use crate::vault::Vault;

/// Entries that wait to be written.
const WAITING_MAX: usize = 1_024;
/// Entries written at once.
const BATCH_MAX: usize = 256;
/// What came of a request is written so much later at most.
const NOTE_DELAY: Duration = Duration::from_millis(20);
/// Entries read at once for a check.
const READ_MAX: i64 = 1_000;
/// Characters of a reason.
const REASON_CHARS_MAX: usize = 256;
/// The header that says why.
const REASON_HEADER: &str = "x-audit-reason";
/// As many digits in a row may be a card number.
const DIGITS_MAX: usize = 12;

/// Where entries are handed in.
pub struct Audit {
    entries: mpsc::Sender<Waiting>,
}

/// What is written of a request.
#[derive(Clone)]
pub struct Entry {
    caller: String,
    route: String,
    target: String,
    request_id: String,
    reason: Option<String>,
    status: Option<u16>,
}

struct Waiting {
    entry: Entry,
    written: Option<oneshot::Sender<()>>,
}

/// The task that writes.
pub struct Writer {
    entries: mpsc::Receiver<Waiting>,
    store: Store,
    vault: Arc<Vault>,
    /// The last entry that is known to be the last.
    last: Option<(i64, Vec<u8>)>,
}

/// Why a log is not whole.
#[derive(Debug, thiserror::Error)]
pub enum Broken {
    /// The database did not answer.
    #[error("database: {0}")]
    Store(#[from] StoreError),
    /// An entry was changed, or one before it was.
    #[error("entry {0} does not follow from the one before")]
    Entry(i64),
}

impl Entry {
    /// What a request asks for.
    #[must_use]
    pub fn asked(route: &str, call: Option<&Call>, parts: &Parts) -> Self {
        let exchange = parts.extensions.get::<Exchange>().cloned().unwrap_or_default();
        let caller = call.map_or_else(
            || {
                let address = parts.extensions.get::<Peer>().and_then(|peer| peer.address);
                address.map_or_else(|| "unknown".to_owned(), |address| format!("address:{address}"))
            },
            |call| call.caller.name(),
        );
        let reason = header(&parts.headers, REASON_HEADER);
        Self {
            caller,
            route: route.to_owned(),
            target: masked(&exchange.path),
            request_id: without_long_numbers(&exchange.request_id),
            reason: reason.map(|text| {
                without_long_numbers(&text.chars().take(REASON_CHARS_MAX).collect::<String>())
            }),
            status: None,
        }
    }

    /// What is done at the command line, by whoever may read the keys.
    #[must_use]
    pub fn at_the_command_line(command: &str, target: &str) -> Self {
        let user = rustix::process::getuid().as_raw();
        Self::without_request(format!("command-line:{user}"), command, target)
    }

    /// What the program does by itself.
    #[must_use]
    pub fn by_itself(part: &str, does: &str, target: &str) -> Self {
        Self::without_request(format!("system:{part}"), does, target)
    }

    fn without_request(caller: String, route: &str, target: &str) -> Self {
        Self {
            caller,
            route: route.to_owned(),
            target: masked(target),
            request_id: Uuid::now_v7().to_string(),
            reason: None,
            status: None,
        }
    }

    /// The same with what came of it.
    #[must_use]
    pub fn answered(self, status: u16) -> Self {
        Self { status: Some(status), reason: None, ..self }
    }
}

impl Audit {
    /// Where entries are handed in, and the task that writes them.
    #[must_use]
    pub fn new(store: Store, vault: Arc<Vault>) -> (Self, Writer) {
        let (sender, entries) = mpsc::channel(WAITING_MAX);
        (Self { entries: sender }, Writer { entries, store, vault, last: None })
    }

    /// Writes an entry; it is durable then.
    pub async fn write(&self, entry: Entry) -> Result<()> {
        let (sender, written) = oneshot::channel();
        let waiting = Waiting { entry, written: Some(sender) };
        self.entries.send(waiting).await.map_err(|_gone| Error::from(Code::InternalError))?;
        written.await.map_err(|_not_written| Code::InternalError.into())
    }

    /// Writes an entry soon.
    pub async fn note(&self, entry: Entry) {
        if self.entries.send(Waiting { entry, written: None }).await.is_err() {
            tracing::warn!("an audit entry came after the log was closed");
        }
    }
}

impl Writer {
    /// Writes until `stop`, and what has come by then.
    pub async fn run(mut self, stop: CancellationToken) {
        loop {
            let mut waiting = Vec::with_capacity(BATCH_MAX);
            tokio::select! {
                count = self.entries.recv_many(&mut waiting, BATCH_MAX) => {
                    if count == 0 {
                        return;
                    }
                }
                () = stop.cancelled(), if self.entries.is_empty() => return,
            }
            // What nobody waits for goes with the next that somebody does.
            let nobody_waits = waiting.iter().all(|waiting| waiting.written.is_none());
            if nobody_waits && !stop.is_cancelled() {
                let more = self.entries.recv_many(&mut waiting, BATCH_MAX);
                timeout(NOTE_DELAY, more).await.ok();
            }
            if let Err(error) = self.append(&waiting).await {
                // Whoever waits is told by the dropped senders, and acts on nothing.
                tracing::error!(%error, "audit entries were not written");
                continue;
            }
            for waiting in waiting {
                if let Some(written) = waiting.written {
                    // Who gave up waiting needs no answer.
                    written.send(()).ok();
                }
            }
        }
    }

    async fn append(&mut self, waiting: &[Waiting]) -> core::result::Result<(), StoreError> {
        loop {
            let last = match self.last.take() {
                Some(last) => last,
                None => {
                    let row = self.store.last_audit().await?;
                    row.map_or((0, Vec::new()), |row| (row.sequence, row.chain_hash))
                }
            };
            let rows = self.chain(waiting, last);
            // Another server on the same database may have been faster: once more behind it.
            if self.store.append_audit(&rows).await? {
                let last = rows.into_iter().next_back();
                self.last = last.map(|row| (row.sequence, row.chain_hash));
                return Ok(());
            }
        }
    }

    fn chain(&self, waiting: &[Waiting], mut last: (i64, Vec<u8>)) -> Vec<AuditRow> {
        let mut rows = Vec::with_capacity(waiting.len());
        for Waiting { entry, .. } in waiting {
            let mut row = AuditRow {
                sequence: last.0 + 1,
                at_ms: clock::now_millis(),
                caller: entry.caller.clone(),
                route: entry.route.clone(),
                target: entry.target.clone(),
                request_id: entry.request_id.clone(),
                reason: entry.reason.clone(),
                status: entry.status.map(i64::from),
                chain_hash: Vec::new(),
            };
            row.chain_hash = chained(&self.vault, &last.1, &row);
            last = (row.sequence, row.chain_hash.clone());
            rows.push(row);
        }
        rows
    }
}

/// Writes one entry beside the servers that may run.
pub async fn write_one(config: &Config, store: &Store, entry: Entry) -> anyhow::Result<()> {
    let vault = Arc::new(Vault::open(&config.keys)?);
    let (_audit, mut writer) = Audit::new(store.clone(), vault);
    writer.append(&[Waiting { entry, written: None }]).await.context("audit log")
}

/// Checks every entry; gives back the number of the last one and its hash.
pub async fn verify(store: &Store, vault: &Vault) -> core::result::Result<(i64, Vec<u8>), Broken> {
    let mut last = (0, Vec::new());
    loop {
        let rows = store.audit(last.0, READ_MAX).await?;
        if rows.is_empty() {
            return Ok(last);
        }
        for row in rows {
            if row.sequence != last.0 + 1 || row.chain_hash != chained(vault, &last.1, &row) {
                return Err(Broken::Entry(last.0 + 1));
            }
            last = (row.sequence, row.chain_hash);
        }
    }
}

fn chained(vault: &Vault, before: &[u8], row: &AuditRow) -> Vec<u8> {
    let parts: [&[u8]; 10] = [
        b"audit v1",
        before,
        &row.sequence.to_be_bytes(),
        &row.at_ms.to_be_bytes(),
        row.caller.as_bytes(),
        row.route.as_bytes(),
        row.target.as_bytes(),
        row.request_id.as_bytes(),
        &optional(row.reason.as_deref().map(str::as_bytes)),
        &optional(row.status.map(i64::to_be_bytes).as_ref().map(<[u8; 8]>::as_slice)),
    ];
    vault.fingerprint(&parts).to_vec()
}

/// Bytes that tell nothing from an empty text.
fn optional(value: Option<&[u8]>) -> Vec<u8> {
    value.map_or_else(Vec::new, |value| [b"=", value].concat())
}

/// The path with IBANs and long numbers masked: whoever reads the log has not asked for them. The
/// hash that names a certificate stays as it is.
fn masked(path: &str) -> String {
    let mut before = "";
    let parts = path.split('/').map(|part| {
        // A number that is mistyped or written in another way is none of a reader's business either.
        let is_iban = before == "bank-accounts" && part != "full" || iban::is_valid(part);
        before = part;
        let is_hash = part.len() == 64 && part.bytes().all(|byte| byte.is_ascii_hexdigit());
        match is_iban {
            true => iban::masked(part),
            false if is_hash => part.to_owned(),
            false => without_long_numbers(part),
        }
    });
    parts.collect::<Vec<_>>().join("/")
}

/// The text with stars in place of what may be a card number: as many digits in a row, however
/// they are spaced.
fn without_long_numbers(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut run = String::new();
    let close = |run: &mut String, out: &mut String| {
        let digits = run.chars().filter(char::is_ascii_digit).count();
        if digits > DIGITS_MAX {
            out.push('*')
        } else {
            out.push_str(run)
        }
        run.clear();
    };
    for letter in text.chars() {
        let joins = !run.is_empty() && matches!(letter, ' ' | '.');
        if letter.is_ascii_digit() || joins {
            run.push(letter);
        } else {
            close(&mut run, &mut out);
            out.push(letter);
        }
    }
    close(&mut run, &mut out);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_iban_is_written_masked() {
        let path = "/secure/bank-accounts/NL91ABNA0417164300";
        assert_eq!(masked(path), "/secure/bank-accounts/NL91**********4300");
        let credits = "/secure/bank-accounts/nl91ABNA0417164300/credits";
        assert_eq!(masked(credits), "/secure/bank-accounts/nl91**********4300/credits");
        let encoded = "/secure/bank-accounts/%4EL91ABNA0417164300/credits";
        assert_eq!(masked(encoded), "/secure/bank-accounts/%4EL************4300/credits");
        let full = "/admin/customers/1/balances/2/bank-accounts/full";
        assert_eq!(masked(full), full);
        assert_eq!(masked("/secure/keys"), "/secure/keys");
        let hash =
            format!("/admin/certificates/{}", "a9999998412345678b".repeat(4)[..64].to_owned());
        assert_eq!(masked(&hash), hash);
        assert_eq!(masked("/x/9999998412345678/9999998412345678"), "/x/*/*");
    }

    #[test]
    fn what_may_be_a_card_number_is_not_written() {
        for (text, written) in [
            (
                "/secure/customers/100001/cards/357001/full",
                "/secure/customers/100001/cards/357001/full",
            ),
            ("/secure/customers/9999998412345678/x", "/secure/customers/*/x"),
            ("card 9999 9984 1234 5678 was", "card *was"),
            ("019a0000-0000-7000-8000-000000000001", "019a0000-0000-7000-8000-000000000001"),
            ("123456789012", "123456789012"),
            ("1234567890123", "*"),
        ] {
            assert_eq!(without_long_numbers(text), written);
        }
    }
}
