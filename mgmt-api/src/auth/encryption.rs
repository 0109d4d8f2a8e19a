//! What a request's headers say of encryption, and the key that its answer is encrypted to.
//!
//! Invariant: the key in `Public-Key` counts only where it is the one registered for the caller's
//! certificate or session, so that a stolen session cannot bring its own. Source: security 4.4.

use axum::body::{Body, to_bytes};
use axum::http::HeaderMap;
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use zeroize::Zeroizing;

use crate::answer::IsEncrypted;
use crate::app::App;
use crate::call::{Call, SessionToken, header};
use crate::config::Profile;
use crate::error::{Code, Error, Result};
use crate::jwe::{Algorithm, ResponseKey};

/// Where a caller's key is registered, and which one is.
pub(super) struct Keyring {
    pub(super) place: Place,
    pub(super) registered: Option<Vec<u8>>,
}

/// Where a key is registered.
pub(super) enum Place {
    /// With the certificate of this public key hash.
    Certificate([u8; 32]),
    /// With a session.
    Session(SessionToken),
    /// Nowhere.
    Nowhere,
    /// Its answers have no body.
    Unneeded,
}

/// Reads the headers into the call. Source: requirements #53.
pub(super) async fn read(
    app: &App,
    call: &mut Call,
    keyring: &Keyring,
    headers: &HeaderMap,
) -> Result<()> {
    call.encrypted_request = flag(headers, "encrypted-request")?;
    // Encrypt-Response is in the seed's text, Encrypted-Response in its sample.
    let encrypted_response =
        flag(headers, "encrypt-response")? || flag(headers, "encrypted-response")?;
    let algorithm = algorithm(headers)?;
    let has_answers = !matches!(keyring.place, Place::Unneeded);
    if has_answers && (call.encrypted_request || encrypted_response) {
        let key = response_key(app, headers, keyring).await?;
        call.response_key = Some(key.with(algorithm));
    }
    Ok(())
}

/// Encrypts a JSON answer that its handler has left plain. Source: requirements #55, #56.
pub(crate) async fn answered(app: &App, key: ResponseKey, response: Response) -> Response {
    let is_done = response.extensions().get::<IsEncrypted>().is_some();
    let is_json = header(response.headers(), CONTENT_TYPE.as_str()) == Some("application/json");
    if is_done || !is_json || !response.status().is_success() {
        return response;
    }
    let (mut parts, body) = response.into_parts();
    let sealed = async {
        let plain = to_bytes(body, usize::MAX).await;
        let plain = plain.map_err(|error| Error::internal("answer", &error))?;
        app.jwe.seal_body(&key, Zeroizing::new(plain.into())).await
    };
    match sealed.await {
        Ok(body) => {
            parts.headers.remove(CONTENT_LENGTH);
            Response::from_parts(parts, Body::from(body))
        }
        Err(error) => error.into_response(),
    }
}

/// How the caller wants the key of its answers encrypted: as the seed prints it, if it says nothing.
/// Source: requirements #51.
fn algorithm(headers: &HeaderMap) -> Result<Algorithm> {
    const NAME: &str = "encryption-algorithm";
    match header(headers, NAME) {
        None if !headers.contains_key(NAME) => Ok(Algorithm::default()),
        named => named.and_then(Algorithm::named).ok_or_else(|| {
            Error::fault(Code::InvalidRequest, NAME, "must be RSA-OAEP-256 or RSA-OAEP")
        }),
    }
}

fn flag(headers: &HeaderMap, name: &'static str) -> Result<bool> {
    match header(headers, name) {
        None if !headers.contains_key(name) => Ok(false),
        Some(value) if value.eq_ignore_ascii_case("false") => Ok(false),
        Some(value) if value.eq_ignore_ascii_case("true") => Ok(true),
        Some(_) | None => Err(Error::fault(Code::InvalidRequest, name, "must be true or false")),
    }
}

/// The key in `Public-Key` if it is the registered one; in the sandbox the first one is
/// registered. Source: surface 2.
async fn response_key(app: &App, headers: &HeaderMap, keyring: &Keyring) -> Result<ResponseKey> {
    let text = header(headers, "public-key").ok_or(Code::InvalidPublicKey)?;
    let key = app.jwe.response_key(text)?;
    let mut registered = keyring.registered.clone();
    if registered.is_none() && app.config.profile == Profile::Sandbox {
        registered = register_first(app, &keyring.place, &key.thumbprint).await?;
    }
    if registered.as_deref() != Some(&key.thumbprint) {
        return Err(Code::InvalidPublicKey.into());
    }
    app.jwe.keep(&key);
    Ok(key)
}

async fn register_first(app: &App, place: &Place, key: &[u8; 32]) -> Result<Option<Vec<u8>>> {
    Ok(match place {
        Place::Certificate(spki) => {
            app.store.register_response_key(spki, key).await?;
            app.store.client(spki).await?.and_then(|client| client.response_key_sha256)
        }
        Place::Session(SessionToken(token)) => {
            app.store.register_session_key(token, key).await?;
            app.store.session(token).await?.and_then(|session| session.response_key_sha256)
        }
        Place::Nowhere | Place::Unneeded => None,
    })
}
