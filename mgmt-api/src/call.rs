//! Who asks, and under which conditions: what every use case knows of its request.
//!
//! Invariant: a call exists only after its caller was authenticated.

use axum::http::HeaderMap;
use axum::http::request::Parts;
use shared::ids::PartnerId;

use crate::error::{Code, Error, Result};
use crate::jwe::ResponseKey;

/// Characters of an idempotency key.
const KEY_CHARS: core::ops::RangeInclusive<usize> = 1..=128;
/// Both spellings of the header. Source: requirements #63.
const KEY_HEADERS: [&str; 2] = ["x-idempotency-key", "idempotency-key"];

/// Request id and address; put into each request by the outermost layer.
#[derive(Clone, Debug, Default)]
pub struct Exchange {
    /// What `X-Request-Id` and `traceId` carry.
    pub request_id: String,
    /// The path as asked for.
    pub path: String,
}

/// Who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Caller {
    /// A partner with its certificate.
    Partner(PartnerId),
    /// An operator with the admin token.
    Admin,
}

impl Caller {
    /// The caller's name where idempotency keys are kept.
    #[must_use]
    pub fn name(self) -> String {
        match self {
            Self::Partner(id) => format!("partner:{id}"),
            Self::Admin => "admin".to_owned(),
        }
    }
}

/// An authenticated request.
pub struct Call {
    /// Who asks.
    pub caller: Caller,
    /// Method and path.
    pub route: String,
    /// Request id and address.
    pub exchange: Exchange,
    /// The idempotency key, if one was sent.
    pub key: Option<String>,
    /// The body is a JWE to our key.
    pub encrypted_request: bool,
    /// The answer must be a JWE to this key.
    pub response_key: Option<ResponseKey>,
}

impl Call {
    /// The call of `caller`, without encryption.
    pub fn new(caller: Caller, parts: &Parts) -> Result<Self> {
        let exchange = parts.extensions.get::<Exchange>().cloned().unwrap_or_default();
        Ok(Self {
            caller,
            route: format!("{} {}", parts.method, parts.uri.path()),
            exchange,
            key: idempotency_key(&parts.headers)?,
            encrypted_request: false,
            response_key: None,
        })
    }
}

/// A header's text, where it has one.
#[must_use]
pub fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>> {
    let invalid = || Error::from(Code::InvalidIdempotencyKey);
    let mut found: Option<String> = None;
    for name in KEY_HEADERS {
        for value in headers.get_all(name) {
            let key = value.to_str().map_err(|_not_ascii| invalid())?;
            if !KEY_CHARS.contains(&key.len()) || found.as_deref().is_some_and(|one| one != key) {
                return Err(invalid());
            }
            found = Some(key.to_owned());
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key_of(headers: &[(&'static str, &'static str)]) -> Option<Option<String>> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, value.parse().unwrap());
        }
        idempotency_key(&map).ok()
    }

    #[test]
    fn either_header_gives_the_key_and_both_must_agree() {
        assert_eq!(key_of(&[]), Some(None));
        assert_eq!(key_of(&[("x-idempotency-key", "a")]), Some(Some("a".into())));
        assert_eq!(key_of(&[("idempotency-key", "a")]), Some(Some("a".into())));
        let both = [("idempotency-key", "a"), ("x-idempotency-key", "a")];
        assert_eq!(key_of(&both), Some(Some("a".into())));
        assert_eq!(key_of(&[("idempotency-key", "a"), ("x-idempotency-key", "b")]), None);
        assert_eq!(key_of(&[("idempotency-key", "")]), None);
    }
}
