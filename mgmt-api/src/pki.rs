//! The development authority: its certificate, a server's, a partner's, and signing requests.
//!
//! Invariant: of a certificate request only the public key is taken; subject, use, lifetime and
//! serial are ours, so that no request can make an authority. Source: requirements #47.

use std::path::{Path, PathBuf};

use anyhow::Context;
use aws_lc_rs::digest;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, DistinguishedName,
    DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose, PublicKeyData,
    SanType, SerialNumber,
};
use thiserror::Error;
use time::{Duration, OffsetDateTime};
use x509_parser::certificate::X509Certificate;
use x509_parser::certification_request::X509CertificationRequest;
use x509_parser::prelude::FromDer;
use x509_parser::public_key::PublicKey;
use x509_parser::x509::{AttributeTypeAndValue, SubjectPublicKeyInfo};
use zeroize::Zeroizing;

use crate::{secret_file, vault};

/// Days of the authority itself.
const AUTHORITY_DAYS: i64 = 3_650;
/// Days of a certificate at most.
pub const LEAF_DAYS_MAX: u16 = 825;
/// Bits of an RSA modulus.
const RSA_BITS: core::ops::RangeInclusive<usize> = 2_048..=4_096;
/// The only public exponent taken.
const RSA_EXPONENT: [u8; 3] = [1, 0, 1];

/// Where the files of a development authority are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Files {
    /// The authority's certificate.
    pub ca: PathBuf,
    /// The authority's key.
    pub ca_key: PathBuf,
    /// The server's certificate, for 127.0.0.1, ::1 and localhost.
    pub server: PathBuf,
    /// The server's key.
    pub server_key: PathBuf,
    /// The partner's certificate.
    pub partner: PathBuf,
    /// The partner's key, PKCS#8, not encrypted.
    pub partner_key: PathBuf,
}

/// Why a certificate request was not signed.
#[derive(Debug, Error)]
pub enum RequestError {
    /// Not a request, a bad signature, or an extension that is not known.
    #[error("the certificate request is not usable: {0}")]
    Unusable(String),
    /// An RSA key outside 2048 to 4096 bits or with another exponent than 65537.
    #[error("the RSA key must have 2048 to 4096 bits and the exponent 65537")]
    WeakKey,
    /// It does not have what a partner's request must have.
    #[error("the certificate request {0}")]
    Profile(&'static str),
    /// The authority's own files.
    #[error("the authority cannot sign: {0}")]
    Authority(#[from] anyhow::Error),
}

/// Makes the authority, a server certificate and a partner certificate in `folder`; files that are
/// there are kept.
pub fn init(folder: &Path) -> anyhow::Result<Files> {
    let files = Files {
        ca: folder.join("ca.pem"),
        ca_key: folder.join("ca.key"),
        server: folder.join("server.crt"),
        server_key: folder.join("server.key"),
        partner: folder.join("partner.crt"),
        partner_key: folder.join("partner.key"),
    };
    if !files.ca.exists() {
        let key = KeyPair::generate()?;
        let certificate = authority_params()?.self_signed(&key)?;
        secret_file::create(&files.ca_key, key.serialize_pem().as_bytes())?;
        write_public(&files.ca, &certificate.pem())?;
    }
    if !files.server.exists() {
        issue(&files, &server_params()?, &files.server, &files.server_key)?;
    }
    if !files.partner.exists() {
        let params = client_params("partner-1", LEAF_DAYS_MAX)?;
        issue(&files, &params, &files.partner, &files.partner_key)?;
    }
    Ok(files)
}

/// Makes a key and a client certificate named `name` beside the authority's files.
pub fn issue_client(folder: &Path, name: &str) -> anyhow::Result<(PathBuf, PathBuf)> {
    let files = init(folder)?;
    let certificate = folder.join(format!("{name}.crt"));
    let key = folder.join(format!("{name}.key"));
    issue(&files, &client_params(name, LEAF_DAYS_MAX)?, &certificate, &key)?;
    Ok((certificate, key))
}

/// What is known of a certificate.
pub struct Leaf {
    /// SHA-256 of its public key info.
    pub spki_sha256: [u8; 32],
    /// Its common name.
    pub name: String,
    /// Its serial number, hexadecimal.
    pub serial: String,
    /// Its end.
    pub not_after_ms: i64,
}

/// Reads the first certificate of a PEM text.
pub fn leaf(text: &str) -> Result<Leaf, RequestError> {
    let unusable = |error: &dyn core::fmt::Display| RequestError::Unusable(error.to_string());
    let (_rest, pem) =
        x509_parser::pem::parse_x509_pem(text.as_bytes()).map_err(|error| unusable(&error))?;
    let (_rest, parsed) =
        X509Certificate::from_der(&pem.contents).map_err(|error| unusable(&error))?;
    let name = parsed.subject().iter_common_name().next();
    Ok(Leaf {
        spki_sha256: sha256(parsed.public_key().raw),
        name: name.and_then(|name| name.as_str().ok()).unwrap_or_default().to_owned(),
        serial: parsed.tbs_certificate.serial.to_str_radix(16),
        not_after_ms: parsed.validity().not_after.timestamp().saturating_mul(1_000),
    })
}

/// The e-mail address in a request's subject.
#[must_use]
pub fn email_of(request: &str) -> Option<String> {
    let (_rest, pem) = x509_parser::pem::parse_x509_pem(request.as_bytes()).ok()?;
    let (_rest, parsed) = X509CertificationRequest::from_der(&pem.contents).ok()?;
    let email = parsed.certification_request_info.subject.iter_email().next()?;
    email.as_str().ok().map(str::to_owned)
}

/// What a partner's request must have: an RSA key, and a subject of CN, O, OU (a UUID), L, ST, C
/// and an e-mail address, without commas. Source: requirements #47.
fn check_profile(request: &X509CertificationRequest<'_>) -> Result<(), RequestError> {
    let info = &request.certification_request_info;
    let subject = &info.subject;
    let refused = |what| Err(RequestError::Profile(what));
    if !matches!(info.subject_pki.parsed(), Ok(PublicKey::RSA(_))) {
        return refused("must have an RSA key");
    }
    let text = |found: Option<&AttributeTypeAndValue<'_>>| {
        found.and_then(|part| part.as_str().ok()).unwrap_or_default().to_owned()
    };
    let unit = text(subject.iter_organizational_unit().next());
    let country = text(subject.iter_country().next());
    let others = [
        text(subject.iter_common_name().next()),
        text(subject.iter_organization().next()),
        text(subject.iter_locality().next()),
        text(subject.iter_state_or_province().next()),
        text(subject.iter_email().next()),
    ];
    if others.iter().any(String::is_empty) {
        return refused("must name CN, O, OU, L, ST, C and emailAddress");
    }
    if others.iter().chain([&unit]).any(|part| part.contains(',')) {
        return refused("must not have a comma in its subject");
    }
    if uuid::Uuid::parse_str(&unit).is_err() {
        return refused("must have the corporate id, a UUID, as its OU");
    }
    if country.len() != 2 || !country.bytes().all(|byte| byte.is_ascii_uppercase()) {
        return refused("must have two capital letters as its C");
    }
    Ok(())
}

/// A new key (PKCS#8 PEM) and the request for a client certificate of it (PEM), named `name`.
pub fn client_request(name: &str) -> anyhow::Result<(Zeroizing<String>, String)> {
    let key = KeyPair::generate()?;
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    let request = params.serialize_request(&key)?;
    Ok((Zeroizing::new(key.serialize_pem()), request.pem()?))
}

/// SHA-256 of the public key info of a private key (PKCS#8 PEM), as certificates have it.
pub fn spki_sha256_of_key(key: &str) -> anyhow::Result<[u8; 32]> {
    Ok(sha256(&KeyPair::from_pem(key)?.subject_public_key_info()))
}

/// Signs a certificate request (PEM) for client authentication, named `name`, for `days` days;
/// with `is_strict` it must have what a partner's request must have.
pub fn sign_request(
    folder: &Path,
    request: &str,
    name: &str,
    days: u16,
    is_strict: bool,
) -> Result<String, RequestError> {
    let (_rest, pem) = x509_parser::pem::parse_x509_pem(request.as_bytes())
        .map_err(|error| RequestError::Unusable(error.to_string()))?;
    let (_rest, parsed) = X509CertificationRequest::from_der(&pem.contents)
        .map_err(|error| RequestError::Unusable(error.to_string()))?;
    check_key(&parsed.certification_request_info.subject_pki)?;
    if is_strict {
        check_profile(&parsed)?;
    }
    let der = pem.contents.clone().into();
    let mut csr = CertificateSigningRequestParams::from_der(&der)
        .map_err(|error| RequestError::Unusable(error.to_string()))?;
    csr.params = client_params(name, days.min(LEAF_DAYS_MAX))?;
    let issuer = issuer(&folder.join("ca.pem"), &folder.join("ca.key"))?;
    let certificate = csr.signed_by(&issuer).map_err(anyhow::Error::from)?;
    Ok(certificate.pem())
}

/// SHA-256 of a certificate's public key info: what a client is known by.
#[must_use]
pub fn spki_sha256(certificate: &[u8]) -> Option<[u8; 32]> {
    let (_rest, parsed) = X509Certificate::from_der(certificate).ok()?;
    Some(sha256(parsed.public_key().raw))
}

/// The same of the first certificate of a PEM file.
pub fn spki_sha256_of_file(path: &Path) -> anyhow::Result<[u8; 32]> {
    let what = || format!("certificate {}", path.display());
    let text = std::fs::read(path).with_context(what)?;
    let (_rest, pem) = x509_parser::pem::parse_x509_pem(&text).with_context(what)?;
    spki_sha256(&pem.contents).with_context(what)
}

/// Modulus bits of an RSA key with the exponent 65537 and 2048 to 4096 bits; `None` for any other.
#[must_use]
pub fn acceptable_rsa_bits(key: &SubjectPublicKeyInfo<'_>) -> Option<usize> {
    let Ok(PublicKey::RSA(rsa)) = key.parsed() else { return None };
    let modulus = without_leading_zeros(rsa.modulus);
    let unused = modulus.first()?.leading_zeros();
    let bits = (modulus.len() * 8).checked_sub(usize::try_from(unused).ok()?)?;
    let exponent = without_leading_zeros(rsa.exponent);
    (RSA_BITS.contains(&bits) && exponent == RSA_EXPONENT).then_some(bits)
}

/// SHA-256.
#[must_use]
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut out = [0; 32];
    for (to, from) in out.iter_mut().zip(digest::digest(&digest::SHA256, bytes).as_ref()) {
        *to = *from;
    }
    out
}

fn without_leading_zeros(mut number: &[u8]) -> &[u8] {
    while let [0, rest @ ..] = number {
        number = rest;
    }
    number
}

fn check_key(key: &SubjectPublicKeyInfo<'_>) -> Result<(), RequestError> {
    match key.parsed() {
        Ok(PublicKey::RSA(_)) if acceptable_rsa_bits(key).is_none() => Err(RequestError::WeakKey),
        Ok(_) => Ok(()),
        Err(error) => Err(RequestError::Unusable(error.to_string())),
    }
}

fn issue(
    files: &Files,
    params: &CertificateParams,
    certificate: &Path,
    key: &Path,
) -> anyhow::Result<()> {
    let pair = KeyPair::generate()?;
    let issuer = issuer(&files.ca, &files.ca_key)?;
    let signed = params.signed_by(&pair, &issuer)?;
    secret_file::create(key, pair.serialize_pem().as_bytes())?;
    write_public(certificate, &signed.pem())
}

fn issuer(certificate: &Path, key: &Path) -> anyhow::Result<Issuer<'static, KeyPair>> {
    let pair = KeyPair::from_pem(&secret_file::read(key)?)?;
    let text = std::fs::read_to_string(certificate)
        .with_context(|| format!("reading {}", certificate.display()))?;
    Ok(Issuer::from_ca_cert_pem(&text, pair)?)
}

fn authority_params() -> anyhow::Result<CertificateParams> {
    let mut params = leaf_params("Pointsman development CA", AUTHORITY_DAYS)?;
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    Ok(params)
}

fn server_params() -> anyhow::Result<CertificateParams> {
    let mut params = leaf_params("localhost", i64::from(LEAF_DAYS_MAX))?;
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.subject_alt_names = vec![
        SanType::DnsName("localhost".try_into()?),
        SanType::IpAddress([127, 0, 0, 1].into()),
        SanType::IpAddress(std::net::Ipv6Addr::LOCALHOST.into()),
    ];
    Ok(params)
}

fn client_params(name: &str, days: u16) -> anyhow::Result<CertificateParams> {
    let mut params = leaf_params(name, i64::from(days))?;
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    Ok(params)
}

fn leaf_params(name: &str, days: i64) -> anyhow::Result<CertificateParams> {
    let mut serial = [0; 16];
    vault::draw(&mut serial)?;
    serial = (u128::from_be_bytes(serial) >> 1).to_be_bytes();
    let mut subject = DistinguishedName::new();
    subject.push(DnType::CommonName, name);
    let now = OffsetDateTime::now_utc();
    let mut params = CertificateParams::default();
    params.distinguished_name = subject;
    params.serial_number = Some(SerialNumber::from_slice(&serial));
    params.not_before = now - Duration::minutes(5);
    params.not_after = now + Duration::days(days);
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.use_authority_key_identifier_extension = true;
    Ok(params)
}

fn write_public(path: &Path, text: &str) -> anyhow::Result<()> {
    std::fs::write(path, text).with_context(|| format!("writing {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(pem: &str) -> x509_parser::pem::Pem {
        x509_parser::pem::parse_x509_pem(pem.as_bytes()).unwrap().1
    }

    #[test]
    fn a_request_for_an_authority_gets_an_ordinary_client_certificate() {
        let folder = tempfile::tempdir().unwrap();
        init(folder.path()).unwrap();
        let key = KeyPair::generate().unwrap();
        let mut asked = CertificateParams::new(vec!["evil.example".to_owned()]).unwrap();
        asked.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        asked.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        asked.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let request = asked.serialize_request(&key).unwrap().pem().unwrap();

        let signed = parsed(&sign_request(folder.path(), &request, "acme", 9_999, false).unwrap());
        let certificate = signed.parse_x509().unwrap();
        let constraints = certificate.basic_constraints().unwrap().unwrap();
        assert!(!constraints.value.ca);
        let usage = certificate.key_usage().unwrap().unwrap().value;
        assert!(usage.digital_signature() && !usage.key_cert_sign());
        let extended = certificate.extended_key_usage().unwrap().unwrap().value;
        assert!(extended.client_auth && !extended.server_auth && !extended.any);
        assert!(certificate.subject_alternative_name().unwrap().is_none());
        assert_eq!(certificate.subject().to_string(), "CN=acme");
        let days = certificate.validity().not_after.timestamp() - clock_seconds();
        assert!(days <= i64::from(LEAF_DAYS_MAX) * 86_400);
        assert_eq!(spki_sha256(&signed.contents), Some(sha256(certificate.public_key().raw)));
    }

    fn clock_seconds() -> i64 {
        OffsetDateTime::now_utc().unix_timestamp()
    }

    #[test]
    fn what_is_not_a_request_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        init(folder.path()).unwrap();
        for bad in [
            "",
            "hello",
            "-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n",
        ] {
            let error = sign_request(folder.path(), bad, "acme", 1, false).unwrap_err();
            assert!(matches!(error, RequestError::Unusable(_)), "{bad}");
        }
    }

    #[test]
    fn a_second_start_keeps_the_files() {
        let folder = tempfile::tempdir().unwrap();
        let files = init(folder.path()).unwrap();
        let before = std::fs::read(&files.ca).unwrap();
        assert_eq!(init(folder.path()).unwrap(), files);
        assert_eq!(std::fs::read(&files.ca).unwrap(), before);
    }
}
