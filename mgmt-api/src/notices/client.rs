//! HTTP to partners' endpoints: signed, without redirects, and outside the sandbox over TLS and to
//! public addresses alone. Source: requirements #48, #161, section 3 (Standard Webhooks).
//!
//! Invariant: whoever sets an endpoint cannot have anything in our own network asked.

use core::time::Duration;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;

use anyhow::Context;
use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use dashmap::DashMap;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::header::{ACCEPT, CONTENT_TYPE};
use reqwest::redirect::Policy;
use reqwest::{Certificate, ClientBuilder, Identity, Method, Url};
use serde::Deserialize;
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::config::{Config, Profile};
use crate::error::{Code, Error, Result};
use crate::{clock, pki};

/// A partner has so long to answer.
const TIMEOUT: Duration = Duration::from_secs(10);
/// And so long to take the connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// Characters of an endpoint's address at most.
const URL_CHARS_MAX: usize = 512;

/// Bytes of a partner's answer that are read at most.
const ANSWER_BYTES_MAX: usize = 16 * 1024;
/// Clients with a certificate of their own that are kept at most.
const CLIENTS_MAX: usize = 1_000;

/// Sends notices.
pub(crate) struct Client {
    ca: Option<Certificate>,
    strict: bool,
    /// For endpoints without a certificate.
    bare: reqwest::Client,
    /// For the others, with the hash of the certificate.
    known: DashMap<Uuid, ([u8; 32], reqwest::Client)>,
    /// Keys of partners, by endpoint.
    partner_keys: DashMap<Uuid, String>,
}

/// Our client certificate at an endpoint, and its key, PEM.
pub(crate) struct OwnIdentity<'a> {
    pub(crate) certificate: &'a str,
    pub(crate) key: Zeroizing<String>,
}

/// Something on its way to a partner.
pub(crate) struct Outgoing<'a> {
    pub(crate) method: Method,
    /// What is put behind the endpoint's address.
    pub(crate) path: &'a str,
    /// Its idempotency key.
    pub(crate) key: Uuid,
    pub(crate) body: Option<Vec<u8>>,
    /// The whole of it may take so long; without, as long as a notice.
    pub(crate) timeout: Option<Duration>,
}

/// What became of something that was sent.
#[derive(Debug)]
pub(crate) enum Sent {
    /// An answer came.
    Answered { status: u16, body: Vec<u8> },
    /// No byte left.
    Not,
    /// It left, and no answer came, or none that can be read.
    InDoubt,
}

/// Whom something is for.
pub(crate) struct Recipient<'a> {
    pub(super) endpoint: Uuid,
    pub(super) url: &'a str,
    pub(super) identity: Option<OwnIdentity<'a>>,
    /// What it is signed with.
    pub(super) keys: Vec<Vec<u8>>,
    /// Our public key, where the body is encrypted to the partner's.
    pub(super) encrypted_for: Option<String>,
}

/// What `GET …/public-key` answers. Source: requirements #59.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PublicKey {
    public_key: String,
}

/// Resolves names to public addresses alone.
struct PublicOnly;

impl Resolve for PublicOnly {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let public: Vec<SocketAddr> = found.filter(|address| is_public(address.ip())).collect();
            if public.is_empty() {
                return Err("the name has no public address".into());
            }
            Ok(Box::new(public.into_iter()) as Addrs)
        })
    }
}

impl Client {
    /// Reads what the configuration names.
    pub(crate) fn open(config: &Config) -> anyhow::Result<Self> {
        let strict = config.profile == Profile::Strict;
        let ca = config.notices.ca.as_deref().map(read).transpose()?;
        let ca = ca.map(|pem| Certificate::from_pem(&pem)).transpose().context("notices.ca")?;
        let bare = builder(strict, ca.as_ref()).build().context("notices")?;
        let (known, partner_keys) = (DashMap::new(), DashMap::new());
        Ok(Self { ca, strict, bare, known, partner_keys })
    }

    /// Sends something, signed with each of the keys; what became of it.
    pub(crate) async fn send(&self, to: &Recipient<'_>, what: Outgoing<'_>) -> Result<Sent> {
        // What was allowed once may be so no more.
        if check_url(to.url, self.strict).is_err() {
            return Ok(Sent::Not);
        }
        let Outgoing { method, path, key, body, timeout } = what;
        let (key, seconds) = (key.to_string(), clock::machine_seconds());
        let content = body.as_deref().unwrap_or_default();
        let signed = [format!("{key}.{seconds}.").as_bytes(), content].concat();
        let signatures: Vec<_> = to.keys.iter().map(|key| signature(key, &signed)).collect();
        let mut request = self
            .http(to)?
            .request(method, format!("{}{path}", to.url.trim_end_matches('/')))
            .header(CONTENT_TYPE, "application/json")
            .header(ACCEPT, "application/json")
            .header("X-Idempotency-Key", &key)
            .header("webhook-id", &key)
            .header("webhook-timestamp", seconds.to_string())
            .header("webhook-signature", signatures.join(" "));
        if let Some(timeout) = timeout {
            request = request.timeout(timeout);
        }
        if let Some(own) = &to.encrypted_for {
            request = request.header("Encrypted-Request", "true").header("Public-Key", own);
        }
        if let Some(body) = body {
            request = request.body(body);
        }
        let mut answer = match request.send().await.map_err(reqwest::Error::without_url) {
            Ok(answer) => answer,
            Err(error) => {
                tracing::debug!(%error, "an endpoint did not answer");
                let never = error.is_connect() || error.is_builder();
                return Ok(if never { Sent::Not } else { Sent::InDoubt });
            }
        };
        let status = answer.status().as_u16();
        Ok(match bounded(&mut answer).await {
            Some(body) => Sent::Answered { status, body },
            // Of a yes, nothing needs to be read.
            None if status == 204 => Sent::Answered { status, body: Vec::new() },
            None => Sent::InDoubt,
        })
    }

    /// The partner's public key, from its own server; asked for again after [`Client::forget_key`].
    pub(super) async fn partner_key(&self, of: &Recipient<'_>) -> Result<String> {
        if let Some(known) = self.partner_keys.get(&of.endpoint) {
            return Ok(known.clone());
        }
        check_url(of.url, self.strict)?;
        let url = format!("{}/public-key", of.url.trim_end_matches('/'));
        let request = self.http(of)?.get(url).header(CONTENT_TYPE, "application/json");
        let invalid = || Error::from(Code::InvalidPublicKey);
        let mut answer = answered(request.send().await).ok_or_else(invalid)?;
        let bytes = bounded(&mut answer).await.ok_or_else(invalid)?;
        let said: PublicKey = serde_json::from_slice(&bytes).map_err(|_other| invalid())?;
        if self.partner_keys.len() >= CLIENTS_MAX {
            self.partner_keys.clear();
        }
        self.partner_keys.insert(of.endpoint, said.public_key.clone());
        Ok(said.public_key)
    }

    /// A partner may have another key by now.
    pub(super) fn forget_key(&self, endpoint: Uuid) {
        self.partner_keys.remove(&endpoint);
    }

    /// An endpoint is gone, or elsewhere.
    pub(crate) fn forget(&self, endpoint: Uuid) {
        self.partner_keys.remove(&endpoint);
        self.known.remove(&endpoint);
    }

    /// The client that shows our certificate at an endpoint.
    fn http(&self, to: &Recipient<'_>) -> Result<reqwest::Client> {
        let Some(identity) = &to.identity else { return Ok(self.bare.clone()) };
        let hash = pki::sha256(identity.certificate.as_bytes());
        if let Some(known) = self.known.get(&to.endpoint).filter(|known| known.0 == hash) {
            return Ok(known.1.clone());
        }
        let unusable = |error| Error::internal("notices", &error);
        let pem = Zeroizing::new([identity.certificate, &identity.key].join("\n"));
        let identity = Identity::from_pem(pem.as_bytes()).map_err(unusable)?;
        let built = builder(self.strict, self.ca.as_ref()).identity(identity).build();
        let client = built.map_err(unusable)?;
        if self.known.len() >= CLIENTS_MAX {
            self.known.clear();
        }
        self.known.insert(to.endpoint, (hash, client.clone()));
        Ok(client)
    }
}

fn builder(strict: bool, ca: Option<&Certificate>) -> ClientBuilder {
    let builder = reqwest::Client::builder()
        .redirect(Policy::none())
        .timeout(TIMEOUT)
        .connect_timeout(CONNECT_TIMEOUT)
        .https_only(strict)
        .no_proxy()
        .user_agent("pointsman");
    let builder = if strict { builder.dns_resolver(PublicOnly) } else { builder };
    match ca {
        Some(ca) => builder.tls_certs_only([ca.clone()]),
        None => builder,
    }
}

/// All of an answer's body; none where it breaks off or is too long.
async fn bounded(answer: &mut reqwest::Response) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    while let Some(chunk) = answered(answer.chunk().await)? {
        bytes.extend_from_slice(&chunk);
        if bytes.len() > ANSWER_BYTES_MAX {
            return None;
        }
    }
    Some(bytes)
}

/// What came back, if anything did.
fn answered<T>(sent: reqwest::Result<T>) -> Option<T> {
    // The error's text has the address in it.
    let sent = sent.map_err(reqwest::Error::without_url);
    sent.inspect_err(|error| tracing::debug!(%error, "an endpoint did not answer")).ok()
}

/// `v1,` and the base64 of HMAC-SHA256.
fn signature(key: &[u8], signed: &[u8]) -> String {
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), signed);
    format!("v1,{}", STANDARD.encode(tag.as_ref()))
}

/// Whether notices can be sent to an address.
pub(crate) fn check_url(text: &str, strict: bool) -> Result<()> {
    let fault = |message| Err(Error::fault(Code::InvalidRequest, "url", message));
    let Some(url) = Url::parse(text).ok().filter(|_| text.len() <= URL_CHARS_MAX) else {
        return fault("must be an address like https://api.example.com");
    };
    let plain_too = !strict && url.scheme() == "http";
    if url.scheme() != "https" && !plain_too {
        return fault("must begin with https://");
    }
    let bare = url.username().is_empty() && url.password().is_none();
    if !bare || url.query().is_some() || url.fragment().is_some() {
        return fault("must have no user, query or fragment");
    }
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    let inner = host.parse::<IpAddr>().is_ok_and(|address| !is_public(address));
    if host.is_empty() || strict && inner {
        return fault("must be a public address");
    }
    Ok(())
}

/// Whether an address is one of the public network.
fn is_public(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(v4) => {
            let [a, b, ..] = v4.octets();
            let shared = a == 100 && (64..128).contains(&b);
            let tests = a == 198 && (b == 18 || b == 19);
            let protocols = v4.octets().starts_with(&[192, 0, 0]);
            !(v4.is_private()
                || v4.is_loopback()
                || v4.is_link_local()
                || v4.is_multicast()
                || v4.is_documentation()
                || shared
                || tests
                || protocols
                || a == 0
                || a >= 240)
        }
        IpAddr::V6(v6) => {
            let [first, second, ..] = v6.segments();
            // 2000::/3 is what is given out; of it, not what leads to other nets or is for texts.
            first & 0xE000 == 0x2000
                && first != 0x2002
                && !(first == 0x2001 && (second < 0x0200 || second == 0x0DB8))
                && first != 0x3FFF
        }
    }
}

fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    std::fs::read(path).with_context(|| format!("notices: {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_public_addresses_are_public() {
        for text in ["8.8.8.8", "100.63.0.1", "2a00:1450::1", "198.20.0.1"] {
            assert!(is_public(text.parse().unwrap()), "{text}");
        }
        for text in [
            "127.0.0.1",
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "0.0.0.0",
            "192.0.0.8",
            "192.0.2.1",
            "198.18.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "::1",
            "::",
            "::ffff:10.0.0.1",
            "fe80::1",
            "fd00::1",
            "ff02::1",
            "64:ff9b::a00:1",
            "2002:a00:1::",
            "2001::1",
            "2001:db8::1",
        ] {
            assert!(!is_public(text.parse().unwrap()), "{text}");
        }
    }

    #[test]
    fn an_address_is_https_and_bare_and_public_outside_the_sandbox() {
        for (url, sandbox, strict) in [
            ("https://api.example.com", true, true),
            ("https://api.example.com:8443/base/", true, true),
            ("http://127.0.0.1:9000", true, false),
            ("https://127.0.0.1", true, false),
            ("https://[::1]", true, false),
            ("https://8.8.8.8", true, true),
            ("ftp://api.example.com", false, false),
            ("https://user@api.example.com", false, false),
            ("https://api.example.com/?a=b", false, false),
            ("https://api.example.com/#a", false, false),
            ("api.example.com", false, false),
            ("", false, false),
        ] {
            assert_eq!(check_url(url, false).is_ok(), sandbox, "{url}");
            assert_eq!(check_url(url, true).is_ok(), strict, "{url}");
        }
        assert!(check_url(&format!("https://a.example/{}", "a".repeat(600)), false).is_err());
    }

    #[test]
    fn a_signature_is_that_of_the_standards_example() {
        // Standard Webhooks, "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".
        let key = STANDARD.decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let signed = br#"msg_p5jXN8AQM9LWM0D4loKWxJek.1614265330.{"test": 2432232314}"#;
        assert_eq!(signature(&key, signed), "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }
}
