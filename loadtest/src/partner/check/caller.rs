//! One request and its answer, and what all answers together show.
//!
//! Invariant: an answer is read up to a bound and within a time; each is looked at for the rules
//! about error bodies and time, whatever else it is asked for.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use reqwest::{Certificate, Client, Identity, Method, Url, redirect};
use serde_json::Value;
use uuid::Uuid;

use super::{Miss, Options, Verdict};

/// No answer is waited for longer.
const TIMEOUT: Duration = Duration::from_secs(15);
/// Bytes of an answer.
const BODY_BYTES_MAX: usize = 4 * 1_024 * 1_024;
/// Characters of an answer that are shown.
const SHOWN_CHARS: usize = 120;
/// Bad error bodies that are kept to be shown.
const COMPLAINTS_MAX: usize = 3;

/// A request that can be repeated exactly.
#[derive(Clone, Debug)]
pub(super) struct Request {
    method: Method,
    path: Vec<String>,
    key: Uuid,
    body: Option<Value>,
}

/// What came back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Answer {
    /// HTTP status.
    pub(super) status: u16,
    /// Its body.
    pub(super) body: Vec<u8>,
}

/// The implementation that is checked.
pub(super) struct Caller {
    http: Client,
    url: Url,
    seen: Mutex<Seen>,
}

/// What all answers together show.
#[derive(Debug, Default)]
struct Seen {
    answers: u32,
    errors: u32,
    /// Errors without title or detail.
    bad: u32,
    complaints: Vec<String>,
    slowest: Option<(Duration, String)>,
}

impl Request {
    /// A request under a new key.
    pub(super) fn new(method: Method, path: &[&str], body: Option<Value>) -> Self {
        let path = path.iter().map(|part| (*part).to_owned()).collect();
        Self { method, path, key: Uuid::new_v4(), body }
    }

    fn place(&self) -> String {
        format!("{} /{}", self.method, self.path.join("/"))
    }
}

impl Answer {
    /// The body, where it is JSON.
    pub(super) fn json(&self) -> Result<Value, Miss> {
        serde_json::from_slice(&self.body)
            .map_err(|error| Miss::Broken(format!("expected JSON, got {self}: {error}")))
    }

    /// Whether it has this status.
    pub(super) fn expect(&self, status: u16) -> Result<(), Miss> {
        if self.status == status {
            Ok(())
        } else {
            Err(Miss::Broken(format!("expected {status}, got {self}")))
        }
    }

    /// Whether it is the answer that came the first time.
    pub(super) fn expect_same(&self, first: &Self) -> Result<(), Miss> {
        if self == first {
            Ok(())
        } else {
            Err(Miss::Broken(format!("expected {first} as the first time, got {self}")))
        }
    }

    /// Whether it is this error.
    pub(super) fn expect_error(&self, status: u16, title: &str) -> Verdict {
        let body = serde_json::from_slice::<Value>(&self.body).unwrap_or_default();
        let found = body.get("title").and_then(Value::as_str);
        if self.status == status && found == Some(title) {
            Ok(format!("{status} {title}"))
        } else {
            Err(Miss::Broken(format!("expected {status} {title}, got {self}")))
        }
    }
}

impl std::fmt::Display for Answer {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let body = String::from_utf8_lossy(&self.body);
        write!(out, "{}", self.status)?;
        if body.is_empty() {
            return Ok(());
        }
        // What a terminal would obey is not for it.
        let plain = |char: char| if char.is_control() { ' ' } else { char };
        let shown: String = body.chars().take(SHOWN_CHARS).map(plain).collect();
        let rest = if body.chars().count() > SHOWN_CHARS { "..." } else { "" };
        write!(out, " {shown}{rest}")
    }
}

impl Caller {
    /// A client with the identity and the authority of the options.
    pub(super) fn new(options: &Options) -> anyhow::Result<Self> {
        let mut builder =
            Client::builder().timeout(TIMEOUT).redirect(redirect::Policy::none()).no_proxy();
        if let Some(identity) = &options.identity {
            builder = builder.identity(Identity::from_pem(identity)?);
        }
        if let Some(ca) = &options.ca {
            let authorities = Certificate::from_pem_bundle(ca)?;
            anyhow::ensure!(!authorities.is_empty(), "no certificate is in the authority's file");
            builder = builder.tls_certs_only(authorities);
        }
        anyhow::ensure!(!options.url.cannot_be_a_base(), "{}: no address", options.url);
        Ok(Self { http: builder.build()?, url: options.url.clone(), seen: Mutex::default() })
    }

    /// Sends it; no answer is a broken rule.
    pub(super) async fn send(&self, request: &Request) -> Result<Answer, Miss> {
        let begun = Instant::now();
        let answer = self.exchange(request).await.map_err(|error| {
            Miss::Broken(format!("expected an answer to {}, got {error:#}", request.place()))
        });
        self.look_at(request, answer.as_ref().ok(), begun.elapsed());
        answer
    }

    async fn exchange(&self, request: &Request) -> anyhow::Result<Answer> {
        let mut url = self.url.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(&request.path);
        }
        let mut builder = self
            .http
            .request(request.method.clone(), url)
            .header("Accept", "application/json")
            .header("X-Idempotency-Key", request.key.to_string());
        if let Some(body) = &request.body {
            builder = builder.json(body);
        }
        let mut answer = builder.send().await?;
        let (status, mut body) = (answer.status().as_u16(), Vec::new());
        while let Some(chunk) = answer.chunk().await? {
            anyhow::ensure!(body.len() + chunk.len() <= BODY_BYTES_MAX, "a body without end");
            body.extend_from_slice(&chunk);
        }
        Ok(Answer { status, body })
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn look_at(&self, request: &Request, answer: Option<&Answer>, took: Duration) {
        let mut seen = self.seen();
        if seen.slowest.as_ref().is_none_or(|(slowest, _)| took > *slowest) {
            seen.slowest = Some((took, request.place()));
        }
        let Some(answer) = answer else { return };
        seen.answers += 1;
        if answer.status < 400 {
            return;
        }
        seen.errors += 1;
        let body = serde_json::from_slice::<Value>(&answer.body).unwrap_or_default();
        if !["title", "detail"].iter().all(|name| body.get(name).is_some_and(Value::is_string)) {
            seen.bad += 1;
            if seen.complaints.len() < COMPLAINTS_MAX {
                seen.complaints.push(format!("{answer} to {}", request.place()));
            }
        }
    }

    /// Whether all errors had title and detail.
    pub(super) fn error_bodies(&self) -> Verdict {
        let Seen { errors, bad, complaints, .. } = &*self.seen();
        match (*errors, *bad) {
            (0, _) => Err(Miss::Blocked("no error was seen".to_owned())),
            (errors, 0) => Ok(format!("{errors} errors")),
            (errors, bad) => Err(Miss::Broken(format!(
                "expected title and detail in all of {errors} errors, {bad} lack them: {}",
                complaints.join("; ")
            ))),
        }
    }

    /// Whether no answer took longer.
    pub(super) fn in_time(&self, max: Duration) -> Verdict {
        let Seen { answers, slowest, .. } = &*self.seen();
        match slowest {
            None => Err(Miss::Blocked("nothing was asked".to_owned())),
            Some(_) if *answers == 0 => Err(Miss::Blocked("nothing was answered".to_owned())),
            Some((took, place)) if *took > max => {
                Err(Miss::Broken(format!("expected each within {max:?}, got {took:?} for {place}")))
            }
            Some((took, place)) => Ok(format!("{answers} answers, {took:?} for {place} at most")),
        }
    }
}
