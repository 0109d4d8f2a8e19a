//! An answer as bytes: what is sent, and what an idempotency key gives back.
//!
//! Invariant: a stored answer is sent again exactly, with one header more.

use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::error::Result;

/// Marks an answer that was given before. Source: requirements 3.
pub const IDEMPOTENCY_HIT: HeaderName = HeaderName::from_static("idempotency-hit");

/// Status, headers and body.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// Names and values.
    pub headers: Vec<(String, String)>,
    /// Exact bytes.
    pub body: Vec<u8>,
    /// They are encrypted already.
    #[serde(default)]
    pub is_encrypted: bool,
}

/// Marks a response whose body is encrypted already.
#[derive(Clone, Copy)]
pub struct IsEncrypted;

impl Answer {
    /// 200 with a JSON body.
    pub fn ok(body: &impl Serialize) -> Result<Self> {
        Self::json(StatusCode::OK, body)
    }

    /// 201 with a JSON body.
    pub fn created(body: &impl Serialize) -> Result<Self> {
        Self::json(StatusCode::CREATED, body)
    }

    /// 202 with a JSON body.
    pub fn accepted(body: &impl Serialize) -> Result<Self> {
        Self::json(StatusCode::ACCEPTED, body)
    }

    /// 204.
    #[must_use]
    pub fn no_content() -> Self {
        Self {
            status: StatusCode::NO_CONTENT.as_u16(),
            headers: Vec::new(),
            body: Vec::new(),
            is_encrypted: false,
        }
    }

    /// The body taken out, to be encrypted.
    #[must_use]
    pub fn take_body(&mut self) -> Zeroizing<Vec<u8>> {
        Zeroizing::new(core::mem::take(&mut self.body))
    }

    /// The same as a repeated answer.
    #[must_use]
    pub fn into_hit(self) -> Response {
        let mut response = self.into_response();
        response.headers_mut().insert(IDEMPOTENCY_HIT, HeaderValue::from_static("true"));
        response
    }

    /// Any status with a JSON body.
    pub fn json(status: StatusCode, body: &impl Serialize) -> Result<Self> {
        Ok(Self {
            status: status.as_u16(),
            headers: vec![(header::CONTENT_TYPE.to_string(), "application/json".to_owned())],
            body: serde_json::to_vec(body)?,
            is_encrypted: false,
        })
    }
}

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        let mut response = Response::new(Body::from(self.body));
        *response.status_mut() =
            StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        if self.is_encrypted {
            response.extensions_mut().insert(IsEncrypted);
        }
        for (name, value) in self.headers {
            if let (Ok(name), Ok(value)) =
                (name.parse::<HeaderName>(), HeaderValue::from_str(&value))
            {
                response.headers_mut().insert(name, value);
            }
        }
        response
    }
}
