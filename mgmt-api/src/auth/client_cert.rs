//! Partners by their certificate: the SHA-256 of its public key stands in SQL.
//!
//! Invariant: a missing, unknown or revoked certificate is a 401 of our own. Source: security 4.6.

use axum::http::request::Parts;
use shared::ids::PartnerId;

use super::encryption::{Keyring, Place};
use crate::app::App;
use crate::call::{Caller, Client, header};
use crate::error::{Code, Result};
use crate::tls::Peer;

/// The partner of the connection's certificate.
pub(super) async fn partner(app: &App, parts: &Parts) -> Result<(Caller, Keyring)> {
    let peer = parts.extensions.get::<Peer>().copied().unwrap_or_default();
    let spki = peer.key.ok_or(Code::ClientCertificateRequired)?;
    let client = app.store.client(&spki).await?.ok_or(Code::ClientCertificateUnknown)?;
    if !client.admits(peer.address) {
        return Err(Code::AddressForbidden.into());
    }
    let partner = PartnerId(u32::try_from(client.partner_id).unwrap_or_default());
    let keyring =
        Keyring { place: Place::Certificate(spki), registered: client.response_key_sha256 };
    Ok((Caller::Partner(Client { partner, certificate: spki }), keyring))
}

/// The headers that /lifecycle requires. Source: requirements #61.
pub(super) fn check_lifecycle_headers(app: &App, parts: &Parts) -> Result<()> {
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
    Ok(())
}
