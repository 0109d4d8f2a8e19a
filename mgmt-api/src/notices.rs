//! What partners are told: written down as it happens, delivered over HTTP until it is taken.
//! Source: requirements #73, #156 to #161.
//!
//! Invariants: a notice is in SQL before it is sent, and stays until it was taken or tried as often
//! as it is; each try has the same body and the same key; notices of one subject come in order; each
//! try is written down before it is made; no address and no body is logged.

mod body;
mod client;

use core::time::Duration;
use std::collections::HashMap;
use std::sync::Arc;

use reqwest::Method;
use serde::Serialize;
use shared::ids::Timestamp;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;
use zeroize::Zeroizing;

use self::body::Letter;
use self::client::OwnIdentity;
pub(crate) use self::client::{Client, Outgoing, Recipient, Sent, check_url};
use crate::app::{App, public_id};
use crate::callout::is_taken;
use crate::error::{Error, Result};
use crate::store::{
    DeliveryRow, EndpointRow, NewNotice, TransactionRow, TryEnd, VerificationToTell,
};
use crate::vault::{Purpose, Vault, VaultError};
use crate::{clock, metrics};

/// Kinds of notices.
pub(crate) const TRANSACTION: &str = "transaction";
pub(crate) const VERIFICATION: &str = "verification";
pub(crate) const PING: &str = "ping";
/// Calls to a partner that keeps its holders' money: made until they are taken.
pub(crate) const BALANCE: &str = "balance";
/// Of one-time passwords.
pub(crate) const OTP: &str = "otp";
/// Of cards that were issued in the background, or could not be, and of plastic that was made.
pub(crate) const CARD: &str = "card";
/// Of the partner's own balances that run low.
pub(crate) const LOW_BALANCE: &str = "lowBalance";
/// Kinds that an endpoint may ask for; a ping comes to each.
pub(crate) const KINDS: [&str; 6] = [TRANSACTION, VERIFICATION, BALANCE, OTP, CARD, LOW_BALANCE];

/// Between two looks where nothing is to be done.
const PAUSE: Duration = Duration::from_millis(100);
/// Between two looks at identity checks.
const VERIFICATIONS_PAUSE: Duration = Duration::from_millis(500);
/// Tries under way at one endpoint at most.
const TRIES_MAX: usize = 16;
/// After each failure, milliseconds until the next try; behind the last one there is none.
/// Source: requirements #161.
const RETRIES_MS: [i64; 5] = [1_000, 5_000, 30_000, 120_000, 600_000];
/// Behind the last of these, a call is made again each time after so long.
const CALL_PAUSE_MS: i64 = 600_000;
/// Until a notice is made again that could not be made here.
const OWN_PAUSE_MS: i64 = 5_000;
/// A try that has not come back is made again after so long.
const LOST_AFTER_MS: i64 = 30_000;
/// Notices are kept for so long, delivered or not.
const KEPT_MS: i64 = 30 * 86_400_000;
/// Identity checks told of in one go.
const BATCH_MAX: i64 = 64;

/// What an identity check came to, as the seed prints it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct VerificationNotice {
    verification_id: Uuid,
    user_id: String,
    email: String,
    first_name: String,
    last_name: String,
    status: String,
    reason: Option<String>,
}

/// A notice's id, which is its idempotency key too.
pub(crate) fn id_of(number: i64, at_ms: i64) -> Uuid {
    public_id(number, at_ms, None)
}

/// What a partner is told of a transaction after a record: how it stood then.
pub(crate) fn of_transaction(
    vault: &Vault,
    (partner, sequence, at_ms): (i64, i64, i64),
    row: &TransactionRow,
) -> Result<NewNotice, VaultError> {
    let origin = format!("transaction {} at {sequence}", row.id);
    let content = serde_json::to_vec(row).unwrap_or_default();
    let subject = match row.card_id {
        Some(card) => format!("card {card}"),
        None => format!("balance {}", row.balance),
    };
    News { origin, partner, kind: TRANSACTION, subject, at_ms }.saying(vault, &content)
}

/// What happened, and whom it is told.
pub(crate) struct News {
    /// What makes the notice, once.
    pub(crate) origin: String,
    pub(crate) partner: i64,
    pub(crate) kind: &'static str,
    /// What it comes in order with.
    pub(crate) subject: String,
    pub(crate) at_ms: i64,
}

impl News {
    /// The notice, to be sent at once.
    pub(crate) fn saying(self, vault: &Vault, content: &[u8]) -> Result<NewNotice, VaultError> {
        let Self { origin, partner, kind, subject, at_ms } = self;
        let row = format!("notice {origin}");
        let content_sealed = vault.seal(Purpose::PersonalData, row.as_bytes(), content)?;
        Ok(NewNotice { origin, partner, kind, subject, content_sealed, at_ms, not_before_ms: 0 })
    }
}

/// Writes down and delivers until `stop`.
pub(crate) async fn run(app: Arc<App>, stop: CancellationToken) {
    let mut tries = Tries::default();
    let mut tell_at = Instant::now();
    let work = async {
        loop {
            if Instant::now() >= tell_at {
                if let Err(error) = app.tell_verifications().await {
                    tracing::warn!(code = error.code.title(), "identity checks are not told of");
                }
                tell_at = Instant::now() + VERIFICATIONS_PAUSE;
            }
            match tries.start(&app).await {
                Ok(0) => tries.wait().await,
                Ok(_some) => {}
                Err(error) => {
                    tracing::warn!(code = error.code.title(), "notices wait");
                    sleep(PAUSE).await;
                }
            }
        }
    };
    tokio::select! {
        () = stop.cancelled() => {}
        () = work => {}
    }
}

/// Forgets what happened long ago.
pub(crate) async fn sweep(app: &App) -> Result<u64> {
    // Two that were written at once may wait for each other.
    app.store.release_waiting().await?;
    let now = clock::now_millis();
    metrics::set_partner_calls(app.store.count_pending(BALANCE, now).await?);
    Ok(app.store.drop_notices(now - KEPT_MS).await?)
}

/// What an answer to a try means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Means {
    /// A notice is given up in the end.
    Notice,
    /// A call is made until it is taken.
    Call,
    /// The status of a transaction is not: one that the partner does not know.
    Status,
    /// What is to go is gone.
    Removal,
}

impl Means {
    fn of(kind: &str, method: &Method) -> Self {
        match (kind == BALANCE, method) {
            (false, _) => Self::Notice,
            (true, &Method::PUT) => Self::Status,
            (true, &Method::DELETE) => Self::Removal,
            (true, _) => Self::Call,
        }
    }

    /// What becomes of what was tried `tried` times before, and how long until the next try.
    fn state(self, status: Option<u16>, tried: usize) -> (&'static str, i64) {
        let gone = status == Some(404);
        let later = RETRIES_MS.get(tried).copied();
        match (self, later) {
            (_, _) if status.is_some_and(is_taken) => ("DELIVERED", 0),
            (Self::Removal, _) if gone => ("DELIVERED", 0),
            (Self::Removal, _) if status == Some(403) => {
                tracing::error!("a partner does not let go of a balance");
                ("FAILED", 0)
            }
            (Self::Status, _) if gone => {
                tracing::error!("a partner does not know a transaction that it agreed to");
                ("FAILED", 0)
            }
            (_, Some(pause)) => ("PENDING", pause),
            (Self::Notice, None) => ("FAILED", 0),
            (Self::Call | Self::Status | Self::Removal, None) => ("PENDING", CALL_PAUSE_MS),
        }
    }
}

/// Tries under way.
#[derive(Default)]
struct Tries {
    running: JoinSet<Uuid>,
    at: HashMap<Uuid, usize>,
}

impl Tries {
    /// Begins what is to be tried now, as far as each endpoint may have more under way; how much
    /// that was.
    async fn start(&mut self, app: &Arc<App>) -> Result<usize> {
        while let Some(ended) = self.running.try_join_next() {
            self.end(ended);
        }
        let now = clock::now_millis();
        let mut started = 0;
        for id in app.store.endpoints_due(now).await? {
            let under_way = self.at.get(&id).copied().unwrap_or_default();
            let room = i64::try_from(TRIES_MAX.saturating_sub(under_way)).unwrap_or_default();
            let Some(endpoint) = app.store.endpoint(id).await?.filter(|_| room > 0) else {
                continue;
            };
            let endpoint = Arc::new(endpoint);
            for row in app.store.deliveries_due(id, now, room).await? {
                let until = clock::now_millis() + LOST_AFTER_MS;
                if app.store.claim_delivery(&row, until).await? {
                    let (app, endpoint) = (Arc::clone(app), Arc::clone(&endpoint));
                    *self.at.entry(id).or_default() += 1;
                    // A place is given back also where a try ends badly.
                    let tried = tokio::spawn(async move {
                        app.try_delivery(&endpoint, &row).await;
                    });
                    self.running.spawn(async move { tried.await.map_or(id, |()| id) });
                    started += 1;
                }
            }
        }
        Ok(started)
    }

    /// Until a try ends, or for a pause.
    async fn wait(&mut self) {
        let ended = async {
            match self.running.join_next().await {
                Some(ended) => ended,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            ended = ended => self.end(ended),
            () = sleep(PAUSE) => {}
        }
    }

    fn end(&mut self, ended: core::result::Result<Uuid, tokio::task::JoinError>) {
        match ended {
            Ok(id) => {
                if let Some(under_way) = self.at.get_mut(&id) {
                    *under_way = under_way.saturating_sub(1);
                }
            }
            // Whose it was is not known: all counts begin anew when none is under way.
            Err(error) => tracing::error!(%error, "a try at an endpoint ended badly"),
        }
        if self.running.is_empty() {
            self.at.clear();
        }
    }
}

impl App {
    /// Makes one try and writes down what came of it.
    async fn try_delivery(&self, endpoint: &EndpointRow, row: &DeliveryRow) {
        let now = clock::now_millis;
        let end = match self.send_notice(endpoint, row.notice).await {
            // It is not the partner's: it counts as no try.
            Err(error) => {
                tracing::warn!(code = error.code.title(), "a notice was not made");
                let (attempts, next_at_ms) = (row.attempts, now() + OWN_PAUSE_MS);
                TryEnd { state: "PENDING", status: None, attempts, next_at_ms }
            }
            Ok((means, status)) => {
                let tried = usize::try_from(row.attempts).unwrap_or(usize::MAX);
                let (state, pause) = means.state(status, tried);
                // Not all at once after an endpoint was away.
                let spread = row.notice.rem_euclid(101) * pause / 1_000;
                let next_at_ms = if pause > 0 { now() + pause + spread } else { 0 };
                let (status, attempts) = (status.map(i64::from), row.attempts + 1);
                TryEnd { state, status, attempts, next_at_ms }
            }
        };
        metrics::count_notice(end.state);
        if let Err(error) = self.store.end_try(row, &end).await {
            tracing::warn!(%error, "what came of a try was not written down");
        }
    }

    /// What was answered, if anything was.
    async fn send_notice(
        &self,
        endpoint: &EndpointRow,
        number: i64,
    ) -> Result<(Means, Option<u16>)> {
        let missing = || Error::internal("notices", &"a notice is gone");
        let notice = self.store.notice(number).await?.ok_or_else(missing)?;
        let Letter { key, method, path, body } = self.letter(&notice).await?;
        let means = Means::of(&notice.kind, &method);
        let Some((recipient, body)) = self.addressed(endpoint, body).await? else {
            // It is the partner's not to have a key.
            return Ok((means, None));
        };
        let outgoing = Outgoing { method, path: &path, key, body, timeout: None };
        let status = match self.notifier.send(&recipient, outgoing).await? {
            Sent::Answered { status, .. } => Some(status),
            Sent::Not | Sent::InDoubt => None,
        };
        if endpoint.encrypts == 1 && !status.is_some_and(is_taken) {
            // It may be the key. Source: requirements #59.
            self.notifier.forget_key(endpoint.id);
        }
        Ok((means, status))
    }

    /// Whom something at an endpoint is for, and its body as it is sent there; none where it is to
    /// be encrypted and the partner has no key.
    pub(crate) async fn addressed<'a>(
        &self,
        endpoint: &'a EndpointRow,
        mut body: Option<Vec<u8>>,
    ) -> Result<Option<(Recipient<'a>, Option<Vec<u8>>)>> {
        let keys = [Some(&endpoint.key_sealed), endpoint.key_before_sealed.as_ref()];
        let keys = keys.into_iter().flatten();
        let keys = keys.map(|sealed| self.endpoint_key(endpoint.id, sealed));
        let identity = match (&endpoint.client_certificate, &endpoint.client_key_sealed) {
            (Some(certificate), Some(sealed)) => {
                let key = Zeroizing::new(self.endpoint_key(endpoint.id, sealed)?);
                let key = Zeroizing::new(String::from_utf8_lossy(&key).into_owned());
                Some(OwnIdentity { certificate, key })
            }
            (None, _) | (_, None) => None,
        };
        let mut recipient = Recipient {
            endpoint: endpoint.id,
            url: &endpoint.url,
            identity,
            keys: keys.collect::<Result<_>>()?,
            encrypted_for: None,
        };
        if let Some(clear) = body.take_if(|_| endpoint.encrypts == 1) {
            let key = self.notifier.partner_key(&recipient).await;
            let Ok(key) = key.and_then(|key| self.jwe.response_key(&key)) else {
                self.notifier.forget_key(endpoint.id);
                return Ok(None);
            };
            body = Some(self.jwe.seal_body(&key, Zeroizing::new(clear)).await?);
            recipient.encrypted_for = Some(self.jwe.public_key());
        }
        Ok(Some((recipient, body)))
    }

    /// Writes down the states of identity checks that were not told yet.
    async fn tell_verifications(&self) -> Result<()> {
        let checks = self.store.verifications_to_tell(BATCH_MAX).await?;
        if checks.is_empty() {
            return Ok(());
        }
        let wanted = self.store.partners_told_of(VERIFICATION).await?;
        for check in checks {
            if wanted.contains(&check.partner_id)
                && let Err(error) = self.tell_verification(&check).await
            {
                // Others are told all the same.
                let (id, code) = (check.id, error.code.title());
                tracing::warn!(%id, code, "an identity check is not told of yet");
                continue;
            }
            self.store.verification_told(check.id, &check.status).await?;
        }
        Ok(())
    }

    async fn tell_verification(&self, check: &VerificationToTell) -> Result<()> {
        let mut notices = Vec::new();
        if check.told.is_none() && check.status != "IN_PROGRESS" {
            notices.push(self.verification_notice(check, "IN_PROGRESS").await?);
        }
        notices.push(self.verification_notice(check, &check.status).await?);
        Ok(self.store.insert_notices(&notices, None, None).await?)
    }

    async fn verification_notice(
        &self,
        check: &VerificationToTell,
        status: &str,
    ) -> Result<NewNotice> {
        let profile = self.known_profile(check.customer_id).await?;
        let decided = status != "IN_PROGRESS";
        let content = serde_json::to_vec(&VerificationNotice {
            verification_id: check.id,
            user_id: check.customer_id.to_string(),
            email: profile.email.clone(),
            first_name: profile.first_name.clone(),
            last_name: profile.last_name.clone(),
            status: status.to_owned(),
            reason: check.reason.clone().filter(|_| decided),
        })?;
        let origin = format!("verification {} {status}", check.id);
        let at_ms = check.decided_at_ms.filter(|_| decided).unwrap_or(check.created_at_ms);
        let subject = format!("customer {}", check.customer_id);
        let partner = check.partner_id;
        let news = News { origin, partner, kind: VERIFICATION, subject, at_ms };
        Ok(news.saying(&self.vault, &content)?)
    }

    /// The key that notices to an endpoint are signed with.
    pub(crate) fn endpoint_key(&self, id: Uuid, sealed: &[u8]) -> Result<Vec<u8>> {
        let row = endpoint_row_name(id);
        Ok(self.vault.unseal(Purpose::PersonalData, row.as_bytes(), sealed)?.to_vec())
    }
}

/// What an endpoint's keys are sealed for.
pub(crate) fn endpoint_row_name(id: Uuid) -> String {
    format!("endpoint {id}")
}

/// An instant as notices say it.
fn date(at_ms: i64) -> String {
    clock::rfc3339(Timestamp(u64::try_from(at_ms).unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_notice_is_given_up_and_a_call_is_not() {
        let cases = [
            (Means::Notice, Some(204), 0, "DELIVERED"),
            (Means::Notice, Some(500), 4, "PENDING"),
            (Means::Notice, Some(500), 5, "FAILED"),
            (Means::Call, Some(200), 0, "DELIVERED"),
            (Means::Call, Some(422), 9_000, "PENDING"),
            (Means::Call, Some(404), 0, "PENDING"),
            (Means::Call, None, 9_000, "PENDING"),
            (Means::Status, Some(404), 0, "FAILED"),
            (Means::Status, Some(500), 9_000, "PENDING"),
            (Means::Removal, Some(404), 0, "DELIVERED"),
            (Means::Removal, Some(403), 0, "FAILED"),
            (Means::Removal, Some(503), 9_000, "PENDING"),
        ];
        for (means, status, tried, state) in cases {
            let (became, pause) = means.state(status, tried);
            assert_eq!(became, state, "{means:?} {status:?} {tried}");
            assert_eq!(pause > 0, state == "PENDING");
        }
        assert_eq!(Means::of(BALANCE, &Method::PUT), Means::Status);
        assert_eq!(Means::of(BALANCE, &Method::DELETE), Means::Removal);
        assert_eq!(Means::of(BALANCE, &Method::POST), Means::Call);
        assert_eq!(Means::of(TRANSACTION, &Method::POST), Means::Notice);
    }
}
