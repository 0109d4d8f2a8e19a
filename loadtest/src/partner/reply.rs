//! What the partner answers: nothing, JSON, or a problem with title and detail.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::{Value, json};

use super::bank::{Answer, Refusal};
use super::transaction::Invalid;

/// Status and body.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Reply {
    status: StatusCode,
    body: Option<Value>,
}

impl Reply {
    /// 204.
    pub(super) fn done() -> Self {
        Self { status: StatusCode::NO_CONTENT, body: None }
    }

    /// 200 with a body.
    pub(super) fn shown(body: &impl Serialize) -> Self {
        match serde_json::to_value(body) {
            Ok(body) => Self { status: StatusCode::OK, body: Some(body) },
            Err(error) => {
                Self::problem(StatusCode::INTERNAL_SERVER_ERROR, "NOT_SHOWN", &error.to_string())
            }
        }
    }

    /// An error as the seed prints it.
    pub(super) fn problem(status: StatusCode, title: &str, detail: &str) -> Self {
        Self { status, body: Some(json!({ "title": title, "detail": detail })) }
    }

    /// 400, naming what is wrong.
    pub(super) fn invalid(why: &str) -> Self {
        Self::problem(StatusCode::BAD_REQUEST, "INVALID_REQUEST", why)
    }
}

impl From<Refusal> for Reply {
    fn from(refusal: Refusal) -> Self {
        let (status, title, detail) = refusal.words();
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        Self::problem(status, title, detail)
    }
}

impl From<Answer> for Reply {
    fn from(answer: Answer) -> Self {
        match answer {
            Ok(()) => Self::done(),
            Err(refusal) => refusal.into(),
        }
    }
}

impl From<Invalid> for Reply {
    fn from(Invalid(why): Invalid) -> Self {
        Self::invalid(&why)
    }
}

impl IntoResponse for Reply {
    fn into_response(self) -> Response {
        match self.body {
            None => self.status.into_response(),
            Some(body) => (self.status, Json(body)).into_response(),
        }
    }
}
