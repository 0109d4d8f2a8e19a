//! Partners by their certificate: the SHA-256 of its public key stands in SQL.
//!
//! Invariants: a missing, unknown or revoked certificate is a 401 of our own; the key that answers
//! are encrypted to belongs to the certificate, so that a stolen session cannot bring its own.
//! Source: security 4.4.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::HeaderMap;
use axum::http::request::Parts;
use shared::ids::PartnerId;

use crate::app::App;
use crate::call::{Call, Caller, header};
use crate::config::Profile;
use crate::error::{Code, Error, Result};
use crate::jwe::ResponseKey;
use crate::store::ClientRow;
use crate::tls::PeerKey;

/// A call by a partner.
pub struct SecureCall {
    /// Who.
    pub partner: PartnerId,
    /// The rest.
    pub call: Call,
}

/// A call by a partner with the headers that /lifecycle requires. Source: requirements #61.
pub struct LifecycleCall(pub SecureCall);

impl FromRequestParts<Arc<App>> for SecureCall {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self> {
        let peer = parts.extensions.get::<PeerKey>().copied().unwrap_or(PeerKey(None));
        let spki = peer.0.ok_or(Code::ClientCertificateRequired)?;
        let client = app.store.client(&spki).await?.ok_or(Code::ClientCertificateUnknown)?;
        let partner = PartnerId(u32::try_from(client.partner_id).unwrap_or_default());
        let mut call = Call::new(Caller::Partner(partner), parts)?;
        call.encrypted_request = flag(&parts.headers, "encrypted-request")?;
        // Encrypt-Response is in the seed's text, Encrypted-Response in its sample: #53.
        let encrypted_response = flag(&parts.headers, "encrypt-response")?
            || flag(&parts.headers, "encrypted-response")?;
        if call.encrypted_request || encrypted_response {
            call.response_key = Some(response_key(app, &parts.headers, &spki, &client).await?);
        }
        Ok(Self { partner, call })
    }
}

impl FromRequestParts<Arc<App>> for LifecycleCall {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self> {
        let call = SecureCall::from_request_parts(parts, app).await?;
        let config = &app.config;
        for (name, expected) in [
            ("issuer-code", &config.issuer_code),
            ("application-id", &config.application_id),
            ("collection", &config.collection),
        ] {
            let value = header(&parts.headers, name).ok_or(Code::MissingHeader)?;
            if value != expected {
                return Err(Code::Forbidden.into());
            }
        }
        Ok(Self(call))
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

/// The key in `Public-Key` if it is the one registered for this certificate; in the sandbox the
/// first one is registered. Source: surface 2.
async fn response_key(
    app: &App,
    headers: &HeaderMap,
    spki: &[u8; 32],
    client: &ClientRow,
) -> Result<ResponseKey> {
    let text = header(headers, "public-key").ok_or(Code::InvalidPublicKey)?;
    let key = app.jwe.response_key(text)?;
    let mut registered = client.response_key_sha256.clone();
    if registered.is_none() && app.config.profile == Profile::Sandbox {
        app.store.register_response_key(spki, &key.thumbprint).await?;
        registered = app.store.client(spki).await?.and_then(|client| client.response_key_sha256);
    }
    if registered.as_deref() != Some(&key.thumbprint) {
        return Err(Code::InvalidPublicKey.into());
    }
    app.jwe.keep(&key);
    Ok(key)
}
