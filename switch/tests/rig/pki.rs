//! Authorities and certificates of a test, and both ends of TLS with them.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    PublicKeyData,
};
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, RootCertStore, ServerConfig, SupportedProtocolVersion};

/// One authority.
pub(crate) struct Authority {
    name: String,
    issuer: Issuer<'static, KeyPair>,
    certificate: CertificateDer<'static>,
    pem: String,
}

/// A certificate and its key.
pub(crate) struct Identity {
    name: String,
    certificate: CertificateDer<'static>,
    pem: String,
    key: KeyPair,
}

impl Authority {
    pub(crate) fn new(name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().unwrap();
        let signed = params.self_signed(&key).unwrap();
        let (certificate, pem) = (signed.der().clone(), signed.pem());
        Self { name: name.to_owned(), issuer: Issuer::new(params, key), certificate, pem }
    }

    /// For a peer that connects.
    pub(crate) fn client(&self, name: &str) -> Identity {
        self.issue(name, ExtendedKeyUsagePurpose::ClientAuth)
    }

    /// For one that listens.
    pub(crate) fn server(&self, name: &str) -> Identity {
        self.issue(name, ExtendedKeyUsagePurpose::ServerAuth)
    }

    /// For a client that has a key already.
    pub(crate) fn sign_again(&self, identity: &Identity) -> Identity {
        let key = KeyPair::from_pem(&identity.key.serialize_pem()).unwrap();
        self.sign(&identity.name, ExtendedKeyUsagePurpose::ClientAuth, key)
    }

    fn issue(&self, name: &str, usage: ExtendedKeyUsagePurpose) -> Identity {
        self.sign(name, usage, KeyPair::generate().unwrap())
    }

    fn sign(&self, name: &str, usage: ExtendedKeyUsagePurpose, key: KeyPair) -> Identity {
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.extended_key_usages.push(usage);
        let signed = params.signed_by(&key, &self.issuer).unwrap();
        let (certificate, pem) = (signed.der().clone(), signed.pem());
        Identity { name: name.to_owned(), certificate, pem, key }
    }

    /// The file with its certificate.
    pub(crate) fn write(&self, folder: &Path) -> PathBuf {
        let path = folder.join(format!("{}.pem", self.name));
        fs::write(&path, &self.pem).unwrap();
        path
    }

    /// A peer that trusts this authority, with a certificate to show or without.
    pub(crate) fn client_config(&self, identity: Option<&Identity>) -> Arc<ClientConfig> {
        self.client_config_of(identity, rustls::ALL_VERSIONS)
    }

    pub(crate) fn client_config_of(
        &self,
        identity: Option<&Identity>,
        versions: &[&'static SupportedProtocolVersion],
    ) -> Arc<ClientConfig> {
        let builder = ClientConfig::builder_with_provider(default_provider().into())
            .with_protocol_versions(versions)
            .unwrap()
            .with_root_certificates(self.roots());
        Arc::new(match identity {
            Some(shown) => builder.with_client_auth_cert(shown.chain(), shown.key()).unwrap(),
            None => builder.with_no_client_auth(),
        })
    }

    /// A processor that shows a certificate, and demands one of this authority.
    pub(crate) fn server_config(&self, shown: &Identity) -> Arc<ServerConfig> {
        let provider = Arc::new(default_provider());
        let roots = Arc::new(self.roots());
        let verifier = WebPkiClientVerifier::builder_with_provider(roots, Arc::clone(&provider));
        let builder =
            ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let builder = builder.unwrap().with_client_cert_verifier(verifier.build().unwrap());
        Arc::new(builder.with_single_cert(shown.chain(), shown.key()).unwrap())
    }

    fn roots(&self) -> RootCertStore {
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate.clone()).unwrap();
        roots
    }
}

impl Identity {
    /// The lines of a configuration that name its files, which are made.
    pub(crate) fn write(&self, folder: &Path) -> String {
        let [certificate, key] =
            ["crt", "key"].map(|kind| folder.join(format!("{}.{kind}", self.name)));
        fs::write(&certificate, &self.pem).unwrap();
        fs::write(&key, self.key.serialize_pem()).unwrap();
        fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
        format!("certificate = {certificate:?}\nkey = {key:?}\n")
    }

    /// Its key, as a link pins it.
    pub(crate) fn pin(&self) -> String {
        let hash = digest(&SHA256, &self.key.subject_public_key_info());
        let digits: Vec<String> = hash.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        format!("sha256:{}", digits.concat())
    }

    fn chain(&self) -> Vec<CertificateDer<'static>> {
        vec![self.certificate.clone()]
    }

    fn key(&self) -> PrivateKeyDer<'static> {
        PrivateKeyDer::try_from(self.key.serialize_der()).unwrap()
    }
}
