//! Each request with an idempotency key acts once and gets one answer.
//!
//! Order: the intent (what was drawn: ids, command ids) is stored first, then acted on, then the
//! answer's exact bytes are stored, then sent. A crash between any two leaves an intent that the
//! next request with the key resumes under the same command ids, which the switch applies once.
//! Invariants: the same key with another request is refused; two at once never run; an error that
//! may pass is not remembered. Source: requirements #63.

use core::future::Future;

use axum::response::{IntoResponse, Response};
use dashmap::DashMap;
use serde::Serialize;
use serde::de::DeserializeOwned;
use zeroize::Zeroizing;

use crate::answer::Answer;
use crate::app::App;
use crate::call::Call;
use crate::error::{Code, Error, Result};
use crate::jwe::ResponseKey;
use crate::store::{KeyRow, NewKey};
use crate::vault::Purpose;
use crate::{clock, metrics};

/// Keyed hash of a request's content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ContentHash(pub [u8; 32]);

/// Keys whose requests are under way here, and how many each caller has.
#[derive(Default)]
pub struct Keys {
    under_way: DashMap<[u8; 32], ()>,
    kept: DashMap<String, u64>,
}

/// A key is under way as long as this lives.
struct UnderWay<'a> {
    keys: &'a Keys,
    scope: [u8; 32],
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.keys.under_way.remove(&self.scope);
    }
}

impl Keys {
    fn enter(&self, scope: [u8; 32]) -> Option<UnderWay<'_>> {
        let before = self.under_way.insert(scope, ());
        before.is_none().then_some(UnderWay { keys: self, scope })
    }
}

impl App {
    /// Carries a request out at most once. `draw` checks what must hold and draws ids; it runs
    /// once a key, and its error is not remembered: nothing has happened yet. `carry_out` may run
    /// again with what was drawn, after a crash or a 503.
    pub(crate) async fn once<P, D, C>(
        &self,
        call: &Call,
        content: ContentHash,
        draw: impl FnOnce() -> D,
        carry_out: impl FnOnce(P) -> C,
    ) -> Result<Response>
    where
        P: Serialize + DeserializeOwned,
        D: Future<Output = Result<P>>,
        C: Future<Output = Result<Answer>>,
    {
        let Some(scope) = self.key_scope(call) else {
            let plan = draw().await?;
            let answer = carry_out(plan).await?;
            return Ok(self.sealed(call, answer).await?.into_response());
        };
        let caller = call.caller.name();
        let _under_way = self.keys.enter(scope).ok_or(Code::IdempotencyKeyInUse)?;
        let fingerprint = self.request_fingerprint(call, content);

        let row = match self.store.idempotency_key(&scope).await? {
            Some(row) => row,
            None => {
                self.check_key_bound(&caller).await?;
                let plan = draw().await?;
                self.store_intent(scope, &caller, fingerprint, &plan).await?
            }
        };
        if row.fingerprint != fingerprint {
            return Err(Code::IdempotencyKeyReused.into());
        }
        if let Some(sealed) = row.answer_sealed {
            metrics::count_idempotency_hit();
            return Ok(self.opened::<Answer>(&scope, &sealed)?.into_hit());
        }
        let plan = self.opened(&scope, &row.plan_sealed)?;
        let answer = match carry_out(plan).await {
            Ok(answer) => self.sealed(call, answer).await?,
            Err(error) if error.is_passing() => return Err(error),
            Err(error) => refusal(&error, call),
        };
        self.store_first_answer(scope, answer).await
    }

    /// Whether the call's key was answered before: its answer is given again.
    pub(crate) async fn was_answered(&self, call: &Call) -> Result<bool> {
        let Some(scope) = self.key_scope(call) else { return Ok(false) };
        let row = self.store.idempotency_key(&scope).await?;
        Ok(row.is_some_and(|row| row.answer_sealed.is_some()))
    }

    /// What a call's key stands for: it is its caller's and its route's alone.
    fn key_scope(&self, call: &Call) -> Option<[u8; 32]> {
        let (key, caller) = (call.key.as_ref()?, call.caller.name());
        let parts = [b"scope".as_slice(), caller.as_bytes(), call.route.as_bytes(), key.as_bytes()];
        Some(self.vault.fingerprint(&parts))
    }

    /// Drops keys past their retention.
    pub(crate) async fn sweep_idempotency_keys(&self) -> Result<u64> {
        let hours = i64::try_from(self.config.limits.idempotency_hours).unwrap_or(i64::MAX);
        let before = clock::now_millis().saturating_sub(hours.saturating_mul(3_600_000));
        let dropped = self.store.drop_idempotency_keys(before).await?;
        self.keys.kept.clear();
        Ok(dropped)
    }

    fn request_fingerprint(&self, call: &Call, content: ContentHash) -> [u8; 32] {
        let key = call.response_key.as_ref().map(|key| key.thumbprint).unwrap_or_default();
        let request = [b"request", call.route.as_bytes(), &content.0, &key];
        match call.response_key.as_ref().is_some_and(ResponseKey::is_with_sha1) {
            true => self.vault.fingerprint(&[&request[..], &[b"RSA-OAEP"]].concat()),
            false => self.vault.fingerprint(&request),
        }
    }

    async fn check_key_bound(&self, caller: &str) -> Result<()> {
        let known = self.keys.kept.get(caller).map(|kept| *kept);
        let kept = match known {
            Some(kept) => kept,
            None => {
                let counted = self.store.count_idempotency_keys(caller).await?;
                let counted = u64::try_from(counted).unwrap_or_default();
                *self.keys.kept.entry(caller.to_owned()).or_insert(counted)
            }
        };
        if kept >= self.config.limits.idempotency_keys_max {
            return Err(Code::TooManyIdempotencyKeys.into());
        }
        Ok(())
    }

    async fn store_intent<P: Serialize>(
        &self,
        scope: [u8; 32],
        caller: &str,
        fingerprint: [u8; 32],
        plan: &P,
    ) -> Result<KeyRow> {
        let plain = Zeroizing::new(serde_json::to_vec(plan)?);
        let plan_sealed = self.vault.seal(Purpose::Idempotency, &scope, &plain)?;
        let new = NewKey {
            scope: &scope,
            caller,
            fingerprint: &fingerprint,
            plan_sealed: &plan_sealed,
            created_at_ms: clock::now_millis(),
        };
        if self.store.insert_idempotency_key(&new).await? {
            self.keys.kept.entry(caller.to_owned()).and_modify(|kept| *kept += 1);
            let fingerprint = fingerprint.to_vec();
            return Ok(KeyRow { fingerprint, plan_sealed, answer_sealed: None });
        }
        // Another server on the same database was faster: its intent counts.
        let row = self.store.idempotency_key(&scope).await?;
        row.ok_or_else(|| Error::internal("idempotency", &"an intent is gone"))
    }

    async fn store_first_answer(&self, scope: [u8; 32], answer: Answer) -> Result<Response> {
        let plain = Zeroizing::new(serde_json::to_vec(&answer)?);
        let sealed = self.vault.seal(Purpose::Idempotency, &scope, &plain)?;
        if self.store.store_answer(&scope, &sealed).await? {
            return Ok(answer.into_response());
        }
        let row = self.store.idempotency_key(&scope).await?;
        match row.and_then(|row| row.answer_sealed) {
            Some(first) => Ok(self.opened::<Answer>(&scope, &first)?.into_hit()),
            None => Err(Error::internal("idempotency", &"an answer is gone")),
        }
    }

    fn opened<T: DeserializeOwned>(&self, scope: &[u8; 32], sealed: &[u8]) -> Result<T> {
        let plain = self.vault.unseal(Purpose::Idempotency, scope, sealed)?;
        Ok(serde_json::from_slice(&plain)?)
    }

    /// A successful answer is encrypted before it is kept, so that a repeat gets the same token; what
    /// is not kept is encrypted at the door. Source: requirements #56.
    async fn sealed(&self, call: &Call, mut answer: Answer) -> Result<Answer> {
        let Some(key) = &call.response_key else { return Ok(answer) };
        if answer.body.is_empty() || answer.status >= 300 {
            return Ok(answer);
        }
        answer.body = self.jwe.seal_body(key, answer.take_body()).await?;
        answer.is_encrypted = true;
        Ok(answer)
    }
}

fn refusal(error: &Error, call: &Call) -> Answer {
    Answer {
        status: error.code.status(),
        headers: error.headers(),
        body: error.body(&call.exchange.path, &call.exchange.request_id),
        is_encrypted: false,
    }
}
