//! The configuration: one TOML file, every key with an environment override (`MGMT__SECURE__LISTEN`).
//!
//! Invariants: an unknown key is an error; every key has a default that runs in the sandbox; paths
//! are relative to the file's folder; secrets are never in the file, only the paths to them.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use figment::Figment;
use figment::providers::{Env, Format, Toml};
use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use shared::limits::CARDS_A_BALANCE_MAX;

/// Prefix of environment variables that override keys; `__` goes one table down.
pub const ENVIRONMENT_PREFIX: &str = "MGMT__";

/// How strict the server is. Source: requirements #21.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Profile {
    /// The seed's samples work as printed; the sandbox programs are there.
    #[default]
    Sandbox,
    /// Production: identity data is checked, phone and e-mail are unique at a partner, keys are
    /// registered.
    Strict,
}

/// All that can be configured.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// How strict the server is.
    pub profile: Profile,
    /// The value that the header `Issuer-Code` must have; also a name of [`Config::issuer_partner`].
    pub issuer_code: String,
    /// The value that the header `Application-Id` must have.
    pub application_id: String,
    /// The value that the header `Collection` must have.
    pub collection: String,
    /// The partner that the issuer code stands for, and whose the sandbox programs are.
    pub issuer_partner: u32,
    /// `sqlite://FILE` or `postgres://..`.
    pub database: String,
    /// The same for what happened to money, which is made of the switch's records and can be made
    /// again; without, the file `history.db` beside a `sqlite://` database, or the same
    /// `postgres://` database.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub history: Option<String>,
    /// Days for which transactions and statements are kept, at least 400.
    pub history_days: u16,
    /// The key file of `shared::key_file`, readable by its owner only.
    pub keys: PathBuf,
    /// Our RSA key that requests are encrypted to (PKCS#8 PEM); made at the first start.
    pub jwe_key: PathBuf,
    /// The key before it, which still opens what callers encrypt to it: to change keys, name the
    /// present file here, another as `jwe_key`, restart; take it out when all have changed over.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jwe_key_before: Option<PathBuf>,
    /// The admin token, readable by its owner only.
    pub admin_token: PathBuf,
    /// The authority's folder, where certificate requests of partners are signed here; none are
    /// without.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca: Option<PathBuf>,
    /// The key that batches of orders are encrypted to for the bureau (SPKI PEM); no batches
    /// without.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bureau_key: Option<PathBuf>,
    /// Days for which images of decided identity checks, the data of customers who went (names,
    /// forms, addresses, card numbers) and the numbers of removed cards are kept. Source:
    /// requirements #68, #104.
    pub retention_days: u16,
    /// Where the simulated partner listens that keeps the money of one sandbox program's holders;
    /// in the sandbox profile only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sandbox_partner: Option<String>,
    /// The switch's link (`iso87-ascii`) where payments of /sandbox are sent; in the sandbox
    /// profile only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sandbox_iso8583: Option<SocketAddr>,
    /// Whether a partner balance is reloaded by two operators alone. Source: requirements #87.
    pub reloads_by_two: bool,
    /// What is logged, as `tracing` filters.
    pub log: String,
    /// The listener with client certificates: /secure and /lifecycle.
    pub secure: SecureListener,
    /// The listener without: /admin, public keys, health, metrics.
    pub public: PublicListener,
    /// The control link.
    pub switch: SwitchLinkConfig,
    /// Where e-mails go; none are sent without.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mail: Option<MailConfig>,
    /// How partners' endpoints are told of what happens.
    pub notices: NoticesConfig,
    /// Sessions of cardholders and operators.
    pub sessions: Sessions,
    /// Every bound.
    pub limits: Limits,
    /// The partners' certificates.
    pub clients: Vec<ClientConfig>,
    /// The certificates of networks and acquirers, which may lock cards.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub processors: Vec<ProcessorConfig>,
}

/// The listener with client certificates.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SecureListener {
    /// Where to listen; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Our certificate chain, PEM.
    pub certificate: PathBuf,
    /// Its key, PKCS#8 PEM.
    pub key: PathBuf,
    /// The authority that client certificates must come from, PEM.
    pub client_ca: PathBuf,
}

/// The listener without client certificates.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PublicListener {
    /// Where to listen; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Our certificate chain, PEM; plain HTTP without, which only the sandbox profile allows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificate: Option<PathBuf>,
    /// Its key, PKCS#8 PEM.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<PathBuf>,
}

/// The control link to the switch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SwitchLinkConfig {
    /// The switch's Unix socket.
    pub socket: PathBuf,
    /// How long a request waits for the switch's durable answer before it gets a 503.
    pub deadline_ms: u64,
    /// Requests under way at most; more wait, within their deadline.
    pub in_flight_max: usize,
}

/// Sessions of cardholders and operators. Source: requirements #38, #39.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Sessions {
    /// From a session's last use to its end.
    pub idle_seconds: u32,
    /// From a session's begin to its end, however much it is used.
    pub age_seconds_max: u32,
    /// For so long after the wallet PIN a card's full data may be seen.
    pub step_up_seconds: u32,
    /// How long a pairing code is good for.
    pub pairing_seconds: u32,
    /// Wrong wallet PINs in a row after which the partner must set another; wrong passwords in a
    /// row after which an operator waits; tries at a pairing code.
    pub failures_max: u8,
    /// How long an operator waits.
    pub block_seconds: u32,
}

/// Every bound.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Open connections a listener.
    pub connections_max: usize,
    /// Requests under way, both listeners together.
    pub requests_max: usize,
    /// The same from one address.
    pub requests_per_address_max: usize,
    /// Multipart requests under way.
    pub uploads_max: usize,
    /// Multipart requests that wait for their turn; more are refused.
    pub uploads_waiting_max: usize,
    /// From accept to the end of the TLS handshake.
    pub handshake_timeout_ms: u64,
    /// From a connection's first byte to the end of a request's header.
    pub header_timeout_ms: u64,
    /// From a request's header to the end of its JSON body.
    pub body_timeout_ms: u64,
    /// From a request's header to its answer.
    pub request_timeout_ms: u64,
    /// Bytes of a JSON body.
    pub json_bytes_max: usize,
    /// Bytes of a multipart body.
    pub multipart_bytes_max: usize,
    /// Bytes of one image.
    pub image_bytes_max: usize,
    /// From the signal to stop to the end of the requests under way.
    pub drain_timeout_ms: u64,
    /// Idempotency keys kept for one caller.
    pub idempotency_keys_max: u64,
    /// How long an idempotency key is kept.
    pub idempotency_hours: u64,
    /// RSA and password operations under way.
    pub crypto_max: usize,
    /// Requests of one caller a second; twice as many at once.
    pub requests_per_second: u32,
    /// The same where body or answer are encrypted.
    pub encrypted_per_second: u32,
    /// Log-ins and pairings from one address a second.
    pub log_ins_per_second: u32,
    /// Open balances of one customer. Source: requirements #26.
    pub balances_per_customer_max: u32,
    /// Cards of one balance that were not removed, 64 at most. Source: requirements #26.
    pub cards_per_balance_max: u32,
}

/// A partner's certificate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClientConfig {
    /// The certificate, PEM; only its public key counts.
    pub certificate: PathBuf,
    /// Whose it is.
    pub partner: u32,
    /// The key that answers to this client are encrypted to (SPKI PEM). In the sandbox profile
    /// the first one that the client presents is taken where none is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub response_key: Option<PathBuf>,
    /// Networks that it may connect from, like `10.1.0.0/16`; from anywhere where there is none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub networks: Vec<IpNet>,
}

/// How partners' endpoints are told of what happens.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct NoticesConfig {
    /// The authority that endpoints' certificates come from, PEM; the public ones without.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca: Option<PathBuf>,
}

/// The server that takes e-mails.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MailConfig {
    /// Its name, as its certificate says it.
    pub host: String,
    /// Its port: 587 with STARTTLS, 465 with TLS.
    pub port: u16,
    /// How the connection is protected.
    #[serde(default)]
    pub security: MailSecurity,
    /// The authority that its certificate comes from, PEM; the public ones without.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca: Option<PathBuf>,
    /// The sender.
    pub from: String,
    /// Name to log in with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// File with its password, readable by its owner only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<PathBuf>,
}

/// How a connection to a mail server is protected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MailSecurity {
    /// By STARTTLS, which the server must have.
    #[default]
    StartTls,
    /// By TLS from the first byte.
    Tls,
    /// Not at all, which only the sandbox profile allows.
    None,
}

/// A network's or an acquirer's client. Source: requirements #102.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProcessorConfig {
    /// Its number, as paths name it.
    pub id: u32,
    /// The certificate, PEM; only its public key counts.
    pub certificate: PathBuf,
    /// Networks that it may connect from; from anywhere where there is none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub networks: Vec<IpNet>,
}

impl ClientConfig {
    /// The networks as SQL keeps them.
    #[must_use]
    pub fn networks_text(&self) -> String {
        self.networks.iter().map(IpNet::to_string).collect::<Vec<_>>().join(",")
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            profile: Profile::Sandbox,
            issuer_code: "sandbox".into(),
            application_id: "SBX-APP-ID".into(),
            collection: "lifecycle".into(),
            issuer_partner: 1,
            database: "sqlite://mgmt.db".into(),
            history: None,
            history_days: 10 * 365,
            keys: "keys.toml".into(),
            jwe_key: "pki/jwe.key".into(),
            jwe_key_before: None,
            admin_token: "admin.token".into(),
            ca: None,
            bureau_key: None,
            retention_days: 5 * 365,
            sandbox_partner: None,
            sandbox_iso8583: None,
            reloads_by_two: false,
            log: "info".into(),
            secure: SecureListener::default(),
            public: PublicListener::default(),
            switch: SwitchLinkConfig::default(),
            notices: NoticesConfig::default(),
            sessions: Sessions::default(),
            limits: Limits::default(),
            clients: Vec::new(),
            processors: Vec::new(),
            mail: None,
        }
    }
}

impl Default for SecureListener {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8443)),
            certificate: "pki/server.crt".into(),
            key: "pki/server.key".into(),
            client_ca: "pki/ca.pem".into(),
        }
    }
}

impl Default for PublicListener {
    fn default() -> Self {
        Self { listen: SocketAddr::from(([127, 0, 0, 1], 8080)), certificate: None, key: None }
    }
}

impl Default for SwitchLinkConfig {
    fn default() -> Self {
        Self { socket: "switch/control.sock".into(), deadline_ms: 5_000, in_flight_max: 256 }
    }
}

impl Default for Sessions {
    fn default() -> Self {
        Self {
            idle_seconds: 600,
            age_seconds_max: 12 * 3_600,
            step_up_seconds: 120,
            pairing_seconds: 600,
            failures_max: 5,
            block_seconds: 900,
        }
    }
}

impl Sessions {
    pub(crate) fn idle_ms(&self) -> i64 {
        i64::from(self.idle_seconds) * 1_000
    }

    pub(crate) fn age_ms(&self) -> i64 {
        i64::from(self.age_seconds_max) * 1_000
    }

    pub(crate) fn step_up_ms(&self) -> i64 {
        i64::from(self.step_up_seconds) * 1_000
    }

    pub(crate) fn pairing_ms(&self) -> i64 {
        i64::from(self.pairing_seconds) * 1_000
    }

    pub(crate) fn block_ms(&self) -> i64 {
        i64::from(self.block_seconds) * 1_000
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections_max: 4_096,
            requests_max: 512,
            requests_per_address_max: 384,
            uploads_max: 4,
            uploads_waiting_max: 32,
            handshake_timeout_ms: 5_000,
            header_timeout_ms: 5_000,
            body_timeout_ms: 5_000,
            request_timeout_ms: 30_000,
            json_bytes_max: 64 * 1024,
            multipart_bytes_max: 32 * 1024 * 1024,
            image_bytes_max: 10 * 1024 * 1024,
            drain_timeout_ms: 10_000,
            idempotency_keys_max: 200_000,
            idempotency_hours: 72,
            crypto_max: 2,
            requests_per_second: 10_000,
            encrypted_per_second: 1_000,
            log_ins_per_second: 100,
            balances_per_customer_max: 1_000,
            cards_per_balance_max: CARDS_A_BALANCE_MAX,
        }
    }
}

impl Config {
    /// Reads the file and the environment; paths come back resolved against the file's folder.
    pub fn load(path: &Path) -> anyhow::Result<Self> {
        let config: Self = Figment::new()
            .merge(Toml::file_exact(path))
            .merge(Env::prefixed(ENVIRONMENT_PREFIX).split("__"))
            .extract()
            .map_err(|error| anyhow::anyhow!("configuration {}: {error}", path.display()))?;
        let config = config.resolved(path.parent().unwrap_or(Path::new("")));
        config.check()?;
        Ok(config)
    }

    /// The text of a file that [`Config::load`] reads.
    pub fn to_toml(&self) -> anyhow::Result<String> {
        Ok(toml::to_string_pretty(self)?)
    }

    /// The same with every relative path put under `folder`.
    #[must_use]
    pub fn resolved(mut self, folder: &Path) -> Self {
        let paths = [
            &mut self.keys,
            &mut self.jwe_key,
            &mut self.admin_token,
            &mut self.secure.certificate,
            &mut self.secure.key,
            &mut self.secure.client_ca,
            &mut self.switch.socket,
        ];
        let optional = self.public.certificate.iter_mut().chain(self.public.key.iter_mut());
        let optional = optional.chain(self.bureau_key.iter_mut()).chain(self.ca.iter_mut());
        let optional = optional.chain(self.jwe_key_before.iter_mut());
        let of_clients = self.clients.iter_mut().flat_map(|client| {
            core::iter::once(&mut client.certificate).chain(client.response_key.iter_mut())
        });
        let of_processors = self.processors.iter_mut().map(|processor| &mut processor.certificate);
        let of_mail = self.mail.iter_mut();
        let of_mail = of_mail.flat_map(|mail| mail.ca.iter_mut().chain(mail.password.iter_mut()));
        let of_notices = self.notices.ca.iter_mut();
        let of_clients = of_clients.chain(of_processors).chain(of_mail).chain(of_notices);
        for path in paths.into_iter().chain(optional).chain(of_clients) {
            *path = folder.join(&*path);
        }
        if let Some(file) = self.database.strip_prefix("sqlite://") {
            self.database = format!("sqlite://{}", folder.join(file).display());
        }
        if let Some(history) = &mut self.history
            && let Some(file) = history.strip_prefix("sqlite://")
        {
            *history = format!("sqlite://{}", folder.join(file).display());
        }
        self
    }

    /// Where what happened to money is kept.
    #[must_use]
    pub fn history_url(&self) -> String {
        match (&self.history, self.database.strip_prefix("sqlite://")) {
            (Some(url), _) => url.clone(),
            (None, Some(file)) => {
                format!("sqlite://{}", Path::new(file).with_file_name("history.db").display())
            }
            (None, None) => self.database.clone(),
        }
    }

    /// What no type can hold.
    pub fn check(&self) -> anyhow::Result<()> {
        let plain = self.public.certificate.is_none() || self.public.key.is_none();
        anyhow::ensure!(
            !plain || self.profile == Profile::Sandbox,
            "public.certificate and public.key: needed outside the sandbox profile"
        );
        let plain_mail = self.mail.as_ref().is_some_and(|it| it.security == MailSecurity::None);
        anyhow::ensure!(
            !plain_mail || self.profile == Profile::Sandbox,
            "mail.security: none only in the sandbox profile"
        );
        anyhow::ensure!(
            self.sandbox_partner.is_none() || self.profile == Profile::Sandbox,
            "sandbox_partner: only in the sandbox profile"
        );
        anyhow::ensure!(
            self.sandbox_iso8583.is_none() || self.profile == Profile::Sandbox,
            "sandbox_iso8583: only in the sandbox profile"
        );
        for (name, url) in [("database", &self.database), ("history", &self.history_url())] {
            anyhow::ensure!(
                url.starts_with("sqlite://") || url.starts_with("postgres://"),
                "{name}: expected sqlite://FILE or postgres://.."
            );
        }
        anyhow::ensure!(self.history_days >= 400, "history_days: at least 400, as holds may last");
        anyhow::ensure!(
            self.limits.idempotency_hours >= 72,
            "limits.idempotency_hours: at least 72"
        );
        anyhow::ensure!(
            self.switch.deadline_ms < self.limits.request_timeout_ms,
            "switch.deadline_ms: must be below limits.request_timeout_ms"
        );
        anyhow::ensure!(
            (1..=CARDS_A_BALANCE_MAX).contains(&self.limits.cards_per_balance_max),
            "limits.cards_per_balance_max: 1 to {CARDS_A_BALANCE_MAX}"
        );
        anyhow::ensure!(
            self.limits.balances_per_customer_max > 0,
            "limits.balances_per_customer_max: at least 1"
        );
        let bounds = [
            self.switch.in_flight_max,
            self.limits.connections_max,
            self.limits.requests_max,
            self.limits.requests_per_address_max,
            self.limits.uploads_max,
            self.limits.crypto_max,
        ];
        anyhow::ensure!(!bounds.contains(&0), "a bound must be 1 at least");
        anyhow::ensure!(self.sessions.failures_max > 0, "sessions.failures_max: at least 1");
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("mgmt.toml");
        let mut config = Config::default();
        config.clients.push(ClientConfig {
            certificate: "pki/partner.crt".into(),
            partner: 1,
            response_key: None,
            networks: vec!["10.1.0.0/16".parse().unwrap()],
        });
        std::fs::write(&path, config.to_toml().unwrap()).unwrap();
        assert_eq!(Config::load(&path).unwrap(), config.resolved(folder.path()));
    }

    #[test]
    fn an_unknown_key_is_refused_by_name_and_an_empty_file_runs() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("mgmt.toml");
        std::fs::write(&path, "[secure]\nlissten = \"127.0.0.1:1\"\n").unwrap();
        assert!(Config::load(&path).unwrap_err().to_string().contains("lissten"));
        std::fs::write(&path, "").unwrap();
        assert_eq!(Config::load(&path).unwrap(), Config::default().resolved(folder.path()));
    }

    #[test]
    fn plain_http_is_for_the_sandbox_only() {
        let config = Config { profile: Profile::Strict, ..Config::default() };
        assert!(config.check().unwrap_err().to_string().contains("public.certificate"));
    }
}
