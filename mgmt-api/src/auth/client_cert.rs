//! Partners by their certificate: the SHA-256 of its public key stands in SQL.
//!
//! Invariant: a missing, unknown or revoked certificate is a 401 of our own. Source: security 4.6.

use std::net::IpAddr;

use axum::http::request::Parts;
use ipnet::IpNet;
use shared::ids::PartnerId;

use super::encryption::{Keyring, Place};
use crate::app::App;
use crate::call::{Caller, Client, header};
use crate::config::ProcessorConfig;
use crate::error::{Code, Result};
use crate::pki;
use crate::tls::Peer;

/// The partner of the connection's certificate, and what it may call its issuer.
pub(super) async fn partner(app: &App, parts: &Parts) -> Result<(Client, Keyring, Option<String>)> {
    let peer = parts.extensions.get::<Peer>().copied().unwrap_or_default();
    let spki = peer.key.ok_or(Code::ClientCertificateRequired)?;
    let client = app.store.client(&spki).await?.ok_or(Code::ClientCertificateUnknown)?;
    if !client.admits(peer.address) {
        return Err(Code::AddressForbidden.into());
    }
    let partner = PartnerId(u32::try_from(client.partner_id).unwrap_or_default());
    let keyring =
        Keyring { place: Place::Certificate(spki), registered: client.response_key_sha256 };
    Ok((Client { partner, certificate: spki }, keyring, client.issuer_code))
}

/// A network's or an acquirer's client.
pub(crate) struct Processor {
    id: u32,
    spki: [u8; 32],
    networks: Vec<IpNet>,
}

impl Processor {
    /// Reads its certificate.
    pub(crate) fn open(config: &ProcessorConfig) -> anyhow::Result<Self> {
        let spki = pki::spki_sha256_of_file(&config.certificate)?;
        Ok(Self { id: config.id, spki, networks: config.networks.clone() })
    }

    /// Whether it has a certificate of this key.
    pub(crate) fn has(&self, spki_sha256: &[u8; 32]) -> bool {
        self.spki == *spki_sha256
    }

    /// Whether it has this number.
    pub(crate) fn is(&self, id: u32) -> bool {
        self.id == id
    }

    fn admits(&self, address: Option<IpAddr>) -> bool {
        let admits = |network: &IpNet| address.is_some_and(|address| network.contains(&address));
        self.networks.is_empty() || self.networks.iter().any(admits)
    }
}

/// The processor of the connection's certificate. Its answers carry nothing, so that no key for
/// them is asked for.
pub(super) async fn processor(app: &App, parts: &Parts) -> Result<(Caller, Keyring)> {
    let peer = parts.extensions.get::<Peer>().copied().unwrap_or_default();
    let spki = peer.key.ok_or(Code::ClientCertificateRequired)?;
    let known = app.processors.iter().find(|processor| processor.has(&spki));
    let known = known.ok_or(Code::ClientCertificateUnknown)?;
    if app.store.is_processor_revoked(&spki).await? {
        return Err(Code::ClientCertificateUnknown.into());
    }
    if !known.admits(peer.address) {
        return Err(Code::AddressForbidden.into());
    }
    let keyring = Keyring { place: Place::Unneeded, registered: None };
    Ok((Caller::Processor(known.id), keyring))
}

/// The headers that /lifecycle requires: the issuer's code is the installation's or the partner's
/// `own`, the application the installation's or one of the partner's programs'. Source:
/// requirements #61.
pub(super) async fn check_lifecycle_headers(
    app: &App,
    parts: &Parts,
    partner: PartnerId,
    own: Option<&str>,
) -> Result<()> {
    let given = |name| header(&parts.headers, name).ok_or(Code::MissingHeader);
    let (issuer, application) = (given("issuer-code")?, given("application-id")?);
    let collection = given("collection")?;
    let config = &app.config;
    let is_known = (issuer == config.issuer_code || own == Some(issuer))
        && collection == config.collection
        && (application == config.application_id
            || app.store.has_application(i64::from(partner.0), application).await?);
    if is_known { Ok(()) } else { Err(Code::Forbidden.into()) }
}
