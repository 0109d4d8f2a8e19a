//! A server with its files, its peer and its clients, on one database.

use std::panic::Location;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Duration;

use axum::http::{HeaderMap, StatusCode};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use josekit::jwe::alg::rsaes::RsaesJweAlgorithm;
use josekit::jwk::alg::rsa::RsaKeyPair;
use mgmt_api::auth::admin_token;
use mgmt_api::config::{ClientConfig, Config, ProcessorConfig};
use mgmt_api::store::History;
use mgmt_api::{Server, pki, vault};
use reqwest::{Certificate, Client, ClientBuilder, Identity, Method, RequestBuilder};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio::time::{interval, timeout};
use tokio_util::sync::CancellationToken;

use crate::database::{self, Database};
use crate::peer::Peer;
use crate::process::Process;

/// How long a test's server waits for the switch.
pub(crate) const DEADLINE_MS: u64 = 1_500;

/// Number of the card network.
pub(crate) const NETWORK: u32 = 7;

/// Made once: RSA keys are slow to draw.
static JWE_KEY: OnceLock<String> = OnceLock::new();
static CALLER_KEY: OnceLock<RsaKeyPair> = OnceLock::new();

pub(crate) struct World {
    pub(crate) peer: Peer,
    pub(crate) database: Database,
    pub(crate) folder: TempDir,
    pub(crate) config: Config,
    pub(crate) admin_token: String,
    pub(crate) partner: Client,
    pub(crate) stranger: Client,
    /// A card network's.
    pub(crate) network: Client,
    pub(crate) nobody: Client,
    server: Option<Running>,
}

struct Running {
    secure: String,
    public: String,
    host: Host,
}

enum Host {
    Task(CancellationToken, JoinHandle<()>),
    Process(Box<Process>),
}

/// An answer that was read whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Got {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) bytes: Vec<u8>,
}

impl Got {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.bytes).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    pub(crate) fn title(&self) -> String {
        self.json()["title"].as_str().unwrap_or_default().to_owned()
    }

    /// Fails unless it is an error of this form.
    #[track_caller]
    pub(crate) fn expect_error(&self, status: u16, title: &str) {
        assert_eq!((self.status, self.title().as_str()), (status, title), "{:?}", self.json());
        assert_eq!(self.headers["content-type"], "application/problem+json");
        let body = self.json();
        assert_eq!(body["status"], status);
        assert_eq!(body["code"], title);
        assert_eq!(body["traceId"], self.headers["x-request-id"].to_str().unwrap());
        assert!(!body["detail"].as_str().unwrap().is_empty());
    }

    #[track_caller]
    pub(crate) fn expect(&self, status: StatusCode) -> Value {
        assert_eq!(self.status, status.as_u16(), "{}", String::from_utf8_lossy(&self.bytes));
        if self.bytes.is_empty() { Value::Null } else { self.json() }
    }
}

/// Waits for `holds`, for 15 seconds at most.
#[track_caller]
pub(crate) fn until(holds: impl AsyncFn() -> bool) -> impl Future<Output = ()> {
    let at = Location::caller();
    async move {
        let mut ticks = interval(Duration::from_millis(10));
        let waiting = async {
            while !holds().await {
                ticks.tick().await;
            }
        };
        let in_time = timeout(Duration::from_secs(15), waiting).await;
        assert!(in_time.is_ok(), "what {at} waits for does not come");
    }
}

/// Runs a test on each database.
pub(crate) async fn on_each(test: impl AsyncFn(&mut World)) {
    for database in database::each().await {
        let mut world = Box::pin(World::new(database)).await;
        test(&mut world).await;
        world.stop_server().await;
    }
}

impl World {
    pub(crate) async fn new(database: Database) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let files = pki::init(&at("pki")).unwrap();
        let (stranger, stranger_key) = pki::issue_client(&at("pki"), "stranger").unwrap();
        let (network, network_key) = pki::issue_client(&at("pki"), "network").unwrap();
        vault::generate_keys(&at("keys.toml")).unwrap();
        let token = admin_token::generate_if_absent(&at("admin.token")).unwrap();
        let key = JWE_KEY.get_or_init(|| {
            let pair = RsaesJweAlgorithm::RsaOaep256.generate_key_pair(2048).unwrap();
            String::from_utf8(pair.to_pem_private_key()).unwrap()
        });
        mgmt_api::secret_file::create(&at("pki/jwe.key"), key.as_bytes()).unwrap();

        let mut config = Config { database: database.url.clone(), ..Config::default() };
        config.secure.listen = "127.0.0.1:0".parse().unwrap();
        config.public.listen = "127.0.0.1:0".parse().unwrap();
        config.switch.deadline_ms = DEADLINE_MS;
        config.switch.socket = "control.sock".into();
        let client = |certificate: &Path, partner| ClientConfig {
            certificate: certificate.to_path_buf(),
            partner,
            response_key: None,
            networks: Vec::new(),
        };
        config.clients = vec![client(&files.partner, 1), client(&stranger, 2)];
        let (id, certificate, networks) = (NETWORK, network.clone(), Vec::new());
        config.processors = vec![ProcessorConfig { id, certificate, networks }];
        let mut config = config.resolved(folder.path());
        config.database.clone_from(&database.url);
        config.public.certificate = Some(config.secure.certificate.clone());
        config.public.key = Some(config.secure.key.clone());
        let mut world = Self {
            peer: Peer::start(config.switch.socket.clone()),
            partner: client_with(&files.ca, Some((&files.partner, &files.partner_key))),
            stranger: client_with(&files.ca, Some((&stranger, &stranger_key))),
            network: client_with(&files.ca, Some((&network, &network_key))),
            nobody: client_with(&files.ca, None),
            admin_token: token.to_string(),
            database,
            folder,
            config,
            server: None,
        };
        world.start_server().await;
        world
    }

    pub(crate) async fn start_server(&mut self) {
        let server = Box::pin(Server::bind(self.config.clone())).await.unwrap();
        let secure = format!("https://{}", server.secure_address().unwrap());
        let public = format!("{}://{}", self.public_scheme(), server.public_address().unwrap());
        let stop = CancellationToken::new();
        let task = tokio::spawn(server.run(stop.clone()));
        self.server = Some(Running { secure, public, host: Host::Task(stop, task) });
        self.until_ready().await;
    }

    /// The same server as the program that is shipped, in a process of its own.
    pub(crate) async fn start_process(&mut self) {
        let process = Process::start(&self.config, &self.path("mgmt.toml")).await;
        self.server = Some(Running {
            secure: format!("https://{}", process.secure),
            public: format!("{}://{}", self.public_scheme(), process.public),
            host: Host::Process(Box::new(process)),
        });
        self.until_ready().await;
    }

    /// TLS, unless a test does without.
    fn public_scheme(&self) -> &'static str {
        if self.config.public.certificate.is_some() { "https" } else { "http" }
    }

    /// Begins the drain of the server that runs.
    pub(crate) fn begin_stop(&self) {
        match &self.server.as_ref().unwrap().host {
            Host::Task(stop, _task) => stop.cancel(),
            Host::Process(process) => process.signal("TERM"),
        }
    }

    pub(crate) async fn stop_server(&mut self) {
        if self.server.is_some() {
            self.begin_stop();
        }
        match self.server.take().map(|server| server.host) {
            None => {}
            Some(Host::Task(_stop, task)) => task.await.unwrap(),
            Some(Host::Process(process)) => assert!(process.exit_status().await.success()),
        }
    }

    /// What the process has logged.
    pub(crate) fn log(&self) -> Vec<String> {
        match &self.server.as_ref().unwrap().host {
            Host::Task(..) => panic!("the server is not a process"),
            Host::Process(process) => process.log(),
        }
    }

    /// Memory of the process, MiB.
    pub(crate) fn resident_mib(&self) -> u64 {
        match &self.server.as_ref().unwrap().host {
            Host::Task(..) => panic!("the server is not a process"),
            Host::Process(process) => process.resident_mib(),
        }
    }

    /// Ends the process at once: nothing that is under way is finished.
    pub(crate) async fn kill_process(&mut self) {
        let Some(Running { host: Host::Process(process), .. }) = self.server.take() else {
            panic!("the server is not a process");
        };
        process.signal("KILL");
        assert!(!process.exit_status().await.success());
    }

    /// Waits until all that the switch did is in the history.
    #[track_caller]
    pub(crate) fn until_history(&self) -> impl Future<Output = ()> {
        let last = i64::try_from(self.peer.last_sequence()).unwrap();
        let url = self.config.history_url();
        until(async move || {
            let history = History::open(&url, 1).await.unwrap();
            let cursor = history.cursor().await.unwrap();
            history.close().await;
            cursor.sequence >= last
        })
    }

    pub(crate) async fn until_ready(&self) {
        until(async || self.get_public("/readyz").await.status == 200).await;
    }

    pub(crate) fn secure_url(&self, path: &str) -> String {
        format!("{}{path}", self.server.as_ref().unwrap().secure)
    }

    pub(crate) fn public_url(&self, path: &str) -> String {
        format!("{}{path}", self.server.as_ref().unwrap().public)
    }

    pub(crate) fn secure(&self, method: Method, path: &str) -> RequestBuilder {
        self.partner.request(method, self.secure_url(path))
    }

    pub(crate) async fn get(&self, path: &str) -> Got {
        send(self.secure(Method::GET, path)).await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Got {
        send(self.secure(Method::POST, path).json(body)).await
    }

    pub(crate) async fn get_public(&self, path: &str) -> Got {
        send(self.nobody.get(self.public_url(path))).await
    }

    pub(crate) async fn admin(&self, method: Method, path: &str, body: Option<&Value>) -> Got {
        let request = self.nobody.request(method, self.public_url(path));
        let request = request.bearer_auth(&self.admin_token);
        send(match body {
            Some(body) => request.json(body),
            None => request,
        })
        .await
    }

    pub(crate) fn wallet(&self, client: &Client, body: &Value) -> RequestBuilder {
        client
            .post(self.secure_url("/lifecycle/v1/wallet"))
            .header("Issuer-Code", "sandbox")
            .header("Application-Id", "SBX-APP-ID")
            .header("Collection", "lifecycle")
            .json(body)
    }

    /// A verified customer.
    pub(crate) async fn customer(&self) -> String {
        let got = send(self.wallet(&self.partner, &plain_wallet())).await;
        text(&got.expect(StatusCode::CREATED), "customerId")
    }

    pub(crate) async fn balance(&self, customer: &str, currency: &str) -> String {
        let path = format!("/secure/customers/{customer}/balances");
        let got = self.post(&path, &json!({ "currency": currency })).await;
        text(&got.expect(StatusCode::CREATED), "balanceId")
    }

    pub(crate) fn virtual_card(
        &self,
        customer: &str,
        balance: &str,
        config: &str,
    ) -> RequestBuilder {
        self.secure(Method::POST, &format!("/secure/customers/{customer}/cards/virtual"))
            .header("Encrypted-Response", "true")
            .header("Public-Key", public_key())
            .json(&json!({ "balanceId": balance, "configId": config }))
    }

    pub(crate) async fn card(&self, customer: &str, balance: &str, config: &str) -> Value {
        let got = send(self.virtual_card(customer, balance, config)).await;
        decrypted(&got.expect(StatusCode::CREATED))
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

pub(crate) fn plain_wallet() -> Value {
    json!({ "firstName": "Ada", "lastName": "Nowak", "phone": "48123456789",
        "email": "ada@example.com", "state": "VERIFIED", "kyc": "SUCCESS" })
}

pub(crate) async fn send(request: RequestBuilder) -> Got {
    let response = request.send().await.unwrap();
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    Got { status, headers, bytes: response.bytes().await.unwrap().to_vec() }
}

pub(crate) fn text(value: &Value, member: &str) -> String {
    value[member].as_str().unwrap_or_else(|| panic!("no text {member} in {value}")).to_owned()
}

pub(crate) fn caller_key() -> &'static RsaKeyPair {
    CALLER_KEY.get_or_init(|| RsaesJweAlgorithm::RsaOaep256.generate_key_pair(2048).unwrap())
}

/// The caller's `Public-Key` header.
pub(crate) fn public_key() -> String {
    STANDARD.encode(caller_key().to_pem_public_key())
}

/// Opens `{"payload": ..}` with the caller's key.
pub(crate) fn decrypted(body: &Value) -> Value {
    let token = text(body, "payload");
    let key = caller_key().to_pem_private_key();
    let decrypter = RsaesJweAlgorithm::RsaOaep256.decrypter_from_pem(key).unwrap();
    let (plain, _header) = josekit::jwe::deserialize_compact(&token, &decrypter).unwrap();
    serde_json::from_slice(&plain).unwrap()
}

/// A client that trusts this authority alone.
pub(crate) fn trusting(ca: &Path) -> ClientBuilder {
    let ca = Certificate::from_pem(&std::fs::read(ca).unwrap()).unwrap();
    Client::builder().tls_certs_only([ca])
}

pub(crate) fn client_with(ca: &Path, identity: Option<(&Path, &Path)>) -> Client {
    let mut builder = trusting(ca);
    if let Some((certificate, key)) = identity {
        let mut pem = std::fs::read(certificate).unwrap();
        pem.extend(std::fs::read(key).unwrap());
        builder = builder.identity(Identity::from_pem(&pem).unwrap());
    }
    builder.build().unwrap()
}
