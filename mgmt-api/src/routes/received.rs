//! A JSON body: bounded, typed, without unknown members, decrypted where the caller encrypted it.
//!
//! Invariant: what is wrong with a body is said without repeating any of it.

use core::time::Duration;
use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::header::CONTENT_TYPE;
use axum::http::request::Parts;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::time::timeout;
use zeroize::Zeroizing;

use crate::app::{
    App, ArtFile, ArtPath, Asked, BalancePath, BankAccountPath, Body, CardPath, CardTokenPath,
    CertificatePath, EndpointPath, FeePath, ImagePath, ImportFile, ImportPath, Nothing,
    OperationPath, Optional, OrderPath, PartnerBalancePath, PartnerPath, ProcessorPath,
    ProgramPath, ReloadPath, Report, TransactionPath, VerificationPath,
};
use crate::call::{self, Call};
use crate::error::{Code, Error, Result};
use crate::idempotency::ContentHash;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Encrypted {
    payload: String,
}

impl<T: DeserializeOwned> FromRequest<Arc<App>> for Body<T> {
    type Rejection = Error;

    async fn from_request(request: Request, app: &Arc<App>) -> Result<Self> {
        Received::read(request, app).await?.typed(app).await
    }
}

impl<T: DeserializeOwned + Default> FromRequest<Arc<App>> for Optional<T> {
    type Rejection = Error;

    async fn from_request(request: Request, app: &Arc<App>) -> Result<Self> {
        let received = Received::read(request, app).await?;
        if received.bytes.is_empty() {
            let hash = ContentHash(app.vault.fingerprint(&[]));
            return Ok(Self(Body { content: T::default(), hash }));
        }
        received.typed(app).await.map(Self)
    }
}

/// A body as it came.
struct Received {
    bytes: Bytes,
    is_json: bool,
    is_encrypted: bool,
}

impl Received {
    async fn read(request: Request, app: &Arc<App>) -> Result<Self> {
        let content_type = call::header(request.headers(), CONTENT_TYPE.as_str());
        let is_json = content_type.is_some_and(is_json);
        let call = request.extensions().get::<Call>();
        let is_encrypted = call.is_some_and(|call| call.encrypted_request);
        Ok(Self { bytes: read_bytes(request, app).await?, is_json, is_encrypted })
    }

    async fn typed<T: DeserializeOwned>(self, app: &App) -> Result<Body<T>> {
        if !self.is_json {
            return Err(Code::UnsupportedMediaType.into());
        }
        if !self.is_encrypted {
            return read(app, &self.bytes, Code::InvalidRequest);
        }
        let encrypted: Encrypted = serde_json::from_slice(&self.bytes)
            .map_err(|_other_shape| Error::from(Code::InvalidPayload))?;
        let plain = app.jwe.open_token(encrypted.payload).await?;
        read(app, &plain, Code::InvalidPayload)
    }
}

impl FromRequest<Arc<App>> for Nothing {
    type Rejection = Error;

    async fn from_request(request: Request, app: &Arc<App>) -> Result<Self> {
        let bytes = read_bytes(request, app).await?;
        let text = bytes.trim_ascii();
        if text.is_empty() || text == b"{}" {
            return Ok(Self(ContentHash(app.vault.fingerprint(&[]))));
        }
        Err(Error::fault(Code::InvalidRequest, "body", "must be empty"))
    }
}

impl<T: DeserializeOwned> FromRequestParts<Arc<App>> for Asked<T> {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self> {
        match Query::from_request_parts(parts, app).await {
            Ok(Query(asked)) => Ok(Self(asked)),
            Err(_other) => {
                let message = "has a member that is unknown or of another type";
                Err(Error::fault(Code::InvalidRequest, "query", message))
            }
        }
    }
}

/// What a path names; a name that is not text names nothing.
macro_rules! paths {
    ($($path:ty),*) => {$(
        impl FromRequestParts<Arc<App>> for $path {
            type Rejection = Error;

            async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self> {
                match Path::from_request_parts(parts, app).await {
                    Ok(Path(named)) => Ok(named),
                    Err(_other) => Err(Code::RouteNotFound.into()),
                }
            }
        }
    )*};
}

paths!(
    ArtPath,
    BalancePath,
    BankAccountPath,
    CardPath,
    CardTokenPath,
    CertificatePath,
    ImagePath,
    ImportPath,
    OrderPath,
    OperationPath,
    ProgramPath,
    FeePath,
    VerificationPath,
    PartnerPath,
    PartnerBalancePath,
    ProcessorPath,
    EndpointPath,
    ReloadPath,
    TransactionPath
);

impl FromRequest<Arc<App>> for Report {
    type Rejection = Error;

    async fn from_request(request: Request, app: &Arc<App>) -> Result<Self> {
        let content_type = call::header(request.headers(), CONTENT_TYPE.as_str());
        if !content_type.is_some_and(|text| media_type(text).eq_ignore_ascii_case("text/csv")) {
            return Err(Code::UnsupportedMediaType.into());
        }
        let bytes = read_bytes(request, app).await?;
        let hash = ContentHash(app.vault.fingerprint(&[&bytes]));
        Ok(Self { text: bytes.to_vec(), hash })
    }
}

impl FromRequest<Arc<App>> for ImportFile {
    type Rejection = Error;

    async fn from_request(request: Request, app: &Arc<App>) -> Result<Self> {
        let content_type = call::header(request.headers(), CONTENT_TYPE.as_str());
        let is_csv = match media_type(content_type.unwrap_or_default()) {
            "text/csv" => true,
            "application/x-ndjson" | "application/jsonl" => false,
            _ => return Err(Code::UnsupportedMediaType.into()),
        };
        let bytes = read_bytes(request, app).await?;
        let hash = ContentHash(app.vault.fingerprint(&[&bytes]));
        Ok(Self { is_csv, content: bytes.to_vec(), hash })
    }
}

impl FromRequest<Arc<App>> for ArtFile {
    type Rejection = Error;

    async fn from_request(request: Request, app: &Arc<App>) -> Result<Self> {
        let content_type = call::header(request.headers(), CONTENT_TYPE.as_str());
        let media_type = media_type(content_type.unwrap_or_default()).to_ascii_lowercase();
        let bytes = read_bytes(request, app).await?;
        let hash = ContentHash(app.vault.fingerprint(&[media_type.as_bytes(), &bytes]));
        Ok(Self { media_type, content: bytes.to_vec(), hash })
    }
}

/// A body as it came, bounded in size and time.
pub(super) async fn read_bytes(request: Request, app: &Arc<App>) -> Result<Bytes> {
    let deadline = Duration::from_millis(app.config.limits.body_timeout_ms);
    let read = timeout(deadline, Bytes::from_request(request, app)).await;
    let read = read.map_err(|_elapsed| Error::from(Code::RequestTimeout))?;
    read.map_err(|rejection| match rejection.status().as_u16() {
        413 => Error::from(Code::BodyTooLarge),
        _ => Error::from(Code::InvalidRequest),
    })
}

fn is_json(content_type: &str) -> bool {
    media_type(content_type).eq_ignore_ascii_case("application/json")
}

fn media_type(content_type: &str) -> &str {
    content_type.split(';').next().unwrap_or_default().trim()
}

fn read<T: DeserializeOwned>(app: &App, bytes: &[u8], code: Code) -> Result<Body<T>> {
    let content = serde_json::from_slice(bytes).map_err(|error| {
        let message = match error.classify() {
            serde_json::error::Category::Data => {
                "has a member that is unknown, missing or of another type"
            }
            serde_json::error::Category::Syntax
            | serde_json::error::Category::Eof
            | serde_json::error::Category::Io => "is not JSON",
        };
        Error::fault(code, "body", message)
    })?;
    let value: Value = serde_json::from_slice(bytes)?;
    let mut text = Zeroizing::new(Vec::with_capacity(bytes.len()));
    put_canonical(&value, &mut text)?;
    Ok(Body { content, hash: ContentHash(app.vault.fingerprint(&[&text])) })
}

/// The same text for bodies that differ in spaces and in the order of members only.
fn put_canonical(value: &Value, out: &mut Vec<u8>) -> Result<()> {
    match value {
        Value::Object(members) => {
            let mut members: Vec<_> = members.iter().collect();
            members.sort_unstable_by_key(|(name, _value)| *name);
            out.push(b'{');
            for (name, value) in members {
                serde_json::to_writer(&mut *out, name)?;
                out.push(b':');
                put_canonical(value, out)?;
                out.push(b',');
            }
            out.push(b'}');
        }
        Value::Array(items) => {
            out.push(b'[');
            for item in items {
                put_canonical(item, out)?;
                out.push(b',');
            }
            out.push(b']');
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
            serde_json::to_writer(&mut *out, value)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn canonical(text: &str) -> Vec<u8> {
        let mut out = Vec::new();
        put_canonical(&serde_json::from_str(text).unwrap(), &mut out).unwrap();
        out
    }

    #[test]
    fn order_and_spaces_make_no_other_body() {
        let one = canonical(r#"{"a": 1, "b": {"d": [1, 2], "c": null}}"#);
        assert_eq!(one, canonical(r#"{"b":{"c":null,"d":[1,2]},"a":1}"#));
        for other in [r#"{"a":1}"#, r#"{"a":1,"b":{"d":[2,1],"c":null}}"#, r#"["a",1]"#] {
            assert_ne!(one, canonical(other), "{other}");
        }
    }

    #[test]
    fn only_json_is_json() {
        assert!(is_json("application/json") && is_json("Application/JSON; charset=utf-8"));
        assert!(!is_json("text/plain") && !is_json("application/jsonx") && !is_json(""));
    }
}
