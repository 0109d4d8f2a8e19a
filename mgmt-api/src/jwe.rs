//! Bodies encrypted as compact JWE: a strict wrapper around josekit.
//!
//! josekit alone takes `zip` bombs, one-byte tags and unknown `crit` headers, so that every part is
//! checked here before it sees a token. Invariants: RSA-OAEP-256 or RSA-OAEP with A256GCM and
//! nothing else; every failure to open is one error; keys are parsed once. Source: security 4.4.

use std::path::Path;
use std::sync::{Arc, OnceLock};

use anyhow::Context;
use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der};
use aws_lc_rs::rsa::{KeySize, PrivateDecryptingKey, PublicKey as RsaPublicKey};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use dashmap::DashMap;
use josekit::jwe::alg::rsaes::{RsaesJweAlgorithm, RsaesJweDecrypter, RsaesJweEncrypter};
use josekit::jwe::{JweContext, JweHeader};
use serde::Deserialize;
use tokio::sync::Semaphore;
use x509_parser::prelude::FromDer;
use x509_parser::x509::SubjectPublicKeyInfo;
use zeroize::Zeroizing;

use crate::error::{Code, Error};
use crate::{pki, secret_file};

/// Bytes of a token at most: a JSON body in base64 and the other parts.
const TOKEN_BYTES_MAX: usize = 96 * 1024;
/// Characters of the `Public-Key` header at most: an RSA-4096 PEM in base64.
const PUBLIC_KEY_CHARS_MAX: usize = 2_048;
/// Bytes of the initialisation vector.
const IV_BYTES: usize = 12;
/// Bytes of the authentication tag.
const TAG_BYTES: usize = 16;
/// Parsed response keys kept.
const RESPONSE_KEYS_MAX: usize = 4_096;
const CONTENT_ENCRYPTION: &str = "A256GCM";

/// The header that we take: these members and no other.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    alg: Algorithm,
    enc: String,
    kid: Option<String>,
}

/// How the key of a token is encrypted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub enum Algorithm {
    /// With SHA-256.
    #[default]
    #[serde(rename = "RSA-OAEP-256")]
    RsaOaep256,
    /// With SHA-1.
    #[serde(rename = "RSA-OAEP")]
    RsaOaep,
}

impl Algorithm {
    /// Its name in JWE; `None` for any other.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "RSA-OAEP-256" => Some(Self::RsaOaep256),
            "RSA-OAEP" => Some(Self::RsaOaep),
            _ => None,
        }
    }
}

/// A caller's public key, to which answers are encrypted.
#[derive(Clone)]
pub struct ResponseKey {
    /// SHA-256 of the public key info.
    pub thumbprint: [u8; 32],
    encrypters: Arc<Encrypters>,
    algorithm: Algorithm,
}

/// A caller's key, prepared.
struct Encrypters {
    oaep_256: RsaesJweEncrypter,
    oaep: RsaesJweEncrypter,
}

impl ResponseKey {
    /// The same key, used with this algorithm.
    #[must_use]
    pub fn with(self, algorithm: Algorithm) -> Self {
        Self { algorithm, ..self }
    }

    /// Whether it is used with RSA-OAEP.
    #[must_use]
    pub fn is_with_sha1(&self) -> bool {
        self.algorithm == Algorithm::RsaOaep
    }
}

/// A key of ours.
struct OwnKey {
    oaep_256: RsaesJweDecrypter,
    oaep: RsaesJweDecrypter,
    modulus_bytes: usize,
    public_pem: String,
    kid: String,
}

/// A key pair that is given away.
pub struct SamplePair {
    /// PKCS#8.
    pub private_pem: Zeroizing<String>,
    /// As a `Public-Key` header has it.
    pub public_key: String,
}

/// Our keys, and the callers' that were seen.
pub struct Jwe {
    context: JweContext,
    current: OwnKey,
    /// Opens what was encrypted to the key before this one, while callers change over.
    before: Option<OwnKey>,
    response_keys: DashMap<[u8; 32], Arc<Encrypters>>,
    sample: OnceLock<SamplePair>,
    permits: Arc<Semaphore>,
}

impl Jwe {
    /// Reads our keys, making an RSA-2048 one where there is no current one; `permits` bounds the
    /// RSA work under way.
    pub fn open(
        current: &Path,
        before: Option<&Path>,
        permits: Arc<Semaphore>,
    ) -> anyhow::Result<Self> {
        if !current.exists() {
            secret_file::create_if_absent(current, new_private_pem()?.as_bytes())?;
        }
        let mut context = JweContext::new();
        context.remove_compression("DEF");
        for other in ["A128CBC-HS256", "A192CBC-HS384", "A256CBC-HS512", "A128GCM", "A192GCM"] {
            context.remove_content_encryption(other);
        }
        Ok(Self {
            context,
            current: OwnKey::read(current)?,
            before: before.map(OwnKey::read).transpose()?,
            response_keys: DashMap::new(),
            sample: OnceLock::new(),
            permits,
        })
    }

    /// Base64 of our public key's PEM, as the seed's clients take it.
    #[must_use]
    pub fn public_key(&self) -> String {
        STANDARD.encode(&self.current.public_pem)
    }

    /// The name of that key.
    #[must_use]
    pub fn kid(&self) -> &str {
        &self.current.kid
    }

    /// The pair that is given away, drawn when it is first asked for.
    pub async fn sample_pair(self: &Arc<Self>) -> Result<&SamplePair, Error> {
        if self.sample.get().is_none() {
            let pair = self.blocking(|| {
                let drawn = new_private_pem().and_then(|pem| Ok((OwnKey::from_pem(&pem)?, pem)));
                let (key, private_pem) = drawn.map_err(|error| Error::internal("jwe", &error))?;
                Ok(SamplePair { private_pem, public_key: STANDARD.encode(key.public_pem) })
            });
            // Whoever is first: the others' pairs are forgotten.
            self.sample.set(pair.await?).ok();
        }
        self.sample.get().ok_or_else(|| Error::internal("jwe", &"no pair"))
    }

    /// Reads a `Public-Key` header: base64 of a PEM or DER public key. Source: requirements #52.
    pub fn response_key(&self, header: &str) -> Result<ResponseKey, Error> {
        let invalid = || Error::from(Code::InvalidPublicKey);
        if header.len() > PUBLIC_KEY_CHARS_MAX {
            return Err(invalid());
        }
        let bytes = STANDARD.decode(header.trim()).map_err(|_not_base64| invalid())?;
        let der = public_key_der(&bytes).ok_or_else(invalid)?;
        let thumbprint = pki::sha256(&der);
        let known = self.response_keys.get(&thumbprint).map(|known| Arc::clone(&known));
        let prepared = |algorithm: RsaesJweAlgorithm| {
            algorithm.encrypter_from_der(&der).map_err(|_unusable| invalid())
        };
        let encrypters = match known {
            Some(encrypters) => encrypters,
            None => Arc::new(Encrypters {
                oaep_256: prepared(RsaesJweAlgorithm::RsaOaep256)?,
                oaep: prepared(RsaesJweAlgorithm::RsaOaep)?,
            }),
        };
        Ok(ResponseKey { thumbprint, encrypters, algorithm: Algorithm::default() })
    }

    /// Reads a key file, PEM.
    pub fn key_of_file(&self, path: &Path) -> anyhow::Result<ResponseKey> {
        let pem = std::fs::read(path).with_context(|| format!("reading {}", path.display()))?;
        self.response_key(&STANDARD.encode(pem))
            .map_err(|_unusable| anyhow::anyhow!("{}: not an RSA public key", path.display()))
    }

    /// Keeps a key that is registered to its caller, so that it is parsed once.
    pub fn keep(&self, key: &ResponseKey) {
        if self.response_keys.len() < RESPONSE_KEYS_MAX {
            self.response_keys.insert(key.thumbprint, Arc::clone(&key.encrypters));
        }
    }

    /// Opens a token off the async workers.
    pub async fn open_token(self: &Arc<Self>, token: String) -> Result<Zeroizing<Vec<u8>>, Error> {
        let jwe = Arc::clone(self);
        self.blocking(move || jwe.decrypt(&token)).await
    }

    /// Encrypts `plain` to `key` off the async workers; a compact token.
    pub async fn seal(
        self: &Arc<Self>,
        key: &ResponseKey,
        plain: Zeroizing<Vec<u8>>,
    ) -> Result<String, Error> {
        let (jwe, key) = (Arc::clone(self), key.clone());
        self.blocking(move || jwe.encrypt(&key, &plain)).await
    }

    /// Encrypts `plain` to `key`; the JSON body around the token.
    pub async fn seal_body(
        self: &Arc<Self>,
        key: &ResponseKey,
        plain: Zeroizing<Vec<u8>>,
    ) -> Result<Vec<u8>, Error> {
        let payload = self.seal(key, plain).await?;
        Ok(serde_json::to_vec(&serde_json::json!({ "payload": payload }))?)
    }

    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let permit = Arc::clone(&self.permits).acquire_owned().await;
        let permit = permit.map_err(|closed| Error::internal("jwe", &closed))?;
        let task = tokio::task::spawn_blocking(move || {
            let done = work();
            drop(permit);
            done
        });
        task.await.map_err(|panicked| Error::internal("jwe", &panicked))?
    }

    fn encrypt(&self, key: &ResponseKey, plain: &[u8]) -> Result<String, Error> {
        let mut header = JweHeader::new();
        header.set_content_encryption(CONTENT_ENCRYPTION);
        let encrypter = match key.algorithm {
            Algorithm::RsaOaep256 => &key.encrypters.oaep_256,
            Algorithm::RsaOaep => &key.encrypters.oaep,
        };
        // josekit's errors may carry a backtrace: they are not printed.
        self.context
            .serialize_compact(plain, &header, encrypter)
            .map_err(|_unprintable| Error::internal("jwe", &"the answer does not encrypt"))
    }

    fn decrypt(&self, token: &str) -> Result<Zeroizing<Vec<u8>>, Error> {
        self.try_decrypt(token).ok_or_else(|| Code::CantDecryptPayload.into())
    }

    fn try_decrypt(&self, token: &str) -> Option<Zeroizing<Vec<u8>>> {
        if token.len() > TOKEN_BYTES_MAX {
            return None;
        }
        let parts: Vec<&str> = token.split('.').collect();
        let [header, key, iv, ciphertext, tag] = *parts.as_slice() else { return None };
        let decoded = |part: &str| URL_SAFE_NO_PAD.decode(part).ok();
        let key_bytes = decoded(key)?.len();
        if decoded(iv)?.len() != IV_BYTES || decoded(tag)?.len() != TAG_BYTES {
            return None;
        }
        decoded(ciphertext)?;
        let header: Header = serde_json::from_slice(&decoded(header)?).ok()?;
        if header.enc != CONTENT_ENCRYPTION {
            return None;
        }
        let named = |own: &&OwnKey| {
            own.modulus_bytes == key_bytes && header.kid.as_ref().is_none_or(|kid| *kid == own.kid)
        };
        // Without a name it may be to either.
        let keys = [Some(&self.current), self.before.as_ref()].into_iter().flatten();
        keys.filter(named).find_map(|own| {
            let decrypter = match header.alg {
                Algorithm::RsaOaep256 => &own.oaep_256,
                Algorithm::RsaOaep => &own.oaep,
            };
            let (plain, _header) = self.context.deserialize_compact(token, decrypter).ok()?;
            Some(Zeroizing::new(plain))
        })
    }
}

impl OwnKey {
    fn read(path: &Path) -> anyhow::Result<Self> {
        let text = secret_file::read(path)?;
        Self::from_pem(&text).with_context(|| format!("JWE key {}", path.display()))
    }

    fn from_pem(text: &str) -> anyhow::Result<Self> {
        let (_rest, private) = x509_parser::pem::parse_x509_pem(text.as_bytes())?;
        let private = Zeroizing::new(private.contents);
        let key = PrivateDecryptingKey::from_pkcs8(&private)?;
        let public: PublicKeyX509Der<'_> = key.public_key().as_der()?;
        let public = public.as_ref();
        Ok(Self {
            oaep_256: RsaesJweAlgorithm::RsaOaep256.decrypter_from_pem(text)?,
            oaep: RsaesJweAlgorithm::RsaOaep.decrypter_from_pem(text)?,
            modulus_bytes: key.key_size_bytes(),
            public_pem: pem("PUBLIC KEY", public),
            kid: URL_SAFE_NO_PAD.encode(pki::sha256(public)),
        })
    }
}

/// A new RSA-2048 key, PKCS#8.
fn new_private_pem() -> anyhow::Result<Zeroizing<String>> {
    let key = PrivateDecryptingKey::generate(KeySize::Rsa2048)?;
    let der: Pkcs8V1Der<'_> = key.as_der()?;
    Ok(Zeroizing::new(pem("PRIVATE KEY", der.as_ref())))
}

/// The public key info of an acceptable RSA key, from PEM or DER, PKCS#1 or SPKI.
fn public_key_der(bytes: &[u8]) -> Option<Vec<u8>> {
    let der = if bytes.starts_with(b"-----") {
        let (_rest, pem) = x509_parser::pem::parse_x509_pem(bytes).ok()?;
        matches!(pem.label.as_str(), "PUBLIC KEY" | "RSA PUBLIC KEY").then_some(pem.contents)?
    } else {
        bytes.to_vec()
    };
    // Written again it must be what came, so that nothing trails behind it.
    let key = RsaPublicKey::from_der(&der).ok()?;
    let info: PublicKeyX509Der<'_> = key.as_der().ok()?;
    if der != info.as_ref() && der != key.as_ref() {
        return None;
    }
    let (_rest, parsed) = SubjectPublicKeyInfo::from_der(info.as_ref()).ok()?;
    pki::acceptable_rsa_bits(&parsed)?;
    Some(info.as_ref().to_vec())
}

/// PEM with lines of 64 characters.
fn pem(label: &str, der: &[u8]) -> String {
    let body = Zeroizing::new(STANDARD.encode(der));
    let mut text = format!("-----BEGIN {label}-----\n");
    let mut rest = body.as_str();
    while let Some((line, behind)) = rest.split_at_checked(64) {
        text.push_str(line);
        text.push('\n');
        rest = behind;
    }
    if !rest.is_empty() {
        text.push_str(rest);
        text.push('\n');
    }
    text.push_str(&format!("-----END {label}-----\n"));
    text
}

#[cfg(test)]
#[path = "jwe/tests.rs"]
mod tests;
