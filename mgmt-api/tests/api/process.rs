//! The program as it is shipped: its commands, its environment, its signals.

use std::path::Path;
use std::process::{ExitStatus, Output, Stdio};
use std::sync::{Arc, Mutex};

use mgmt_api::Config;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, Command};

use crate::channels::PASSWORD;
use crate::world::{on_each, plain_wallet, send};

const PROGRAM: &str = env!("CARGO_BIN_EXE_mgmt-api");

/// `mgmt-api serve`, running.
pub(crate) struct Process {
    pub(crate) secure: String,
    pub(crate) public: String,
    child: Child,
    log: Arc<Mutex<Vec<String>>>,
}

impl Process {
    pub(crate) async fn start(config: &Config, file: &Path) -> Self {
        std::fs::write(file, config.to_toml().unwrap()).unwrap();
        let mut command = Command::new(PROGRAM);
        command.arg("serve").arg("--config").arg(file).kill_on_drop(true);
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let mut log = BufReader::new(child.stderr.take().unwrap()).lines();
        let (mut secure, mut public) = (None, None);
        while secure.is_none() || public.is_none() {
            let line = log.next_line().await.unwrap().expect("it serves");
            let entry: Value = serde_json::from_str(&line).unwrap();
            let address = || entry["fields"]["address"].as_str().map(str::to_owned);
            match entry["fields"]["message"].as_str() {
                Some("secure listener") => secure = address(),
                Some("public listener") => public = address(),
                Some(_) | None => {}
            }
        }
        // What is logged later is read too, so that the program never waits for us.
        let kept = Arc::new(Mutex::new(Vec::new()));
        let keeping = Arc::clone(&kept);
        tokio::spawn(async move {
            while let Ok(Some(line)) = log.next_line().await {
                keeping.lock().unwrap().push(line);
            }
        });
        Self { secure: secure.unwrap(), public: public.unwrap(), child, log: kept }
    }

    pub(crate) fn signal(&self, name: &str) {
        let id = self.child.id().unwrap().to_string();
        let sent = std::process::Command::new("kill").arg(format!("-{name}")).arg(id).status();
        assert!(sent.unwrap().success());
    }

    /// Memory that it has at the moment, MiB.
    pub(crate) fn resident_mib(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id().unwrap()));
        let status = status.unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() / 1_024
    }

    /// What was logged since the listeners were there.
    pub(crate) fn log(&self) -> Vec<String> {
        self.log.lock().unwrap().clone()
    }

    pub(crate) async fn exit_status(mut self) -> ExitStatus {
        self.child.wait().await.unwrap()
    }
}

async fn run(arguments: &[&str], environment: &[(&str, &str)], folder: &Path) -> Output {
    let mut command = Command::new(PROGRAM);
    command.args(arguments).envs(environment.iter().copied()).current_dir(folder);
    command.output().await.unwrap()
}

fn said(output: &Output) -> String {
    let both = [output.stdout.as_slice(), &output.stderr].concat();
    String::from_utf8(both).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_commands_make_a_folder_that_serves() {
    let folder = tempfile::tempdir().unwrap();
    let run = async |arguments: &[&str]| run(arguments, &[], folder.path()).await;
    assert!(run(&["ca", "init"]).await.status.success());
    assert!(run(&["key", "generate"]).await.status.success());
    assert!(!run(&["key", "generate"]).await.status.success(), "never written over");
    mgmt_api::auth::admin_token::generate_if_absent(&folder.path().join("admin.token")).unwrap();
    std::fs::write(folder.path().join("mgmt.toml"), "").unwrap();
    let checked = run(&["config", "check"]).await;
    assert!(checked.status.success(), "{}", said(&checked));
    assert!(run(&["migrate"]).await.status.success());
    assert!(folder.path().join("mgmt.db").exists());
    assert_eq!(run(&["serve", "--nonsense"]).await.status.code(), Some(2));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_environment_overrides_and_unknown_keys_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let run = async |environment: &[(&str, &str)]| {
        run(&["config", "check"], environment, folder.path()).await
    };
    std::fs::write(folder.path().join("mgmt.toml"), "").unwrap();
    let output = run(&[("MGMT__KEYS", "other.toml")]).await;
    assert_eq!(output.status.code(), Some(1));
    assert!(said(&output).contains("other.toml"), "{}", said(&output));
    let output = run(&[("MGMT__SECURE__LISTEN", "nowhere")]).await;
    assert!(said(&output).to_lowercase().contains("secure.listen"), "{}", said(&output));
    let output = run(&[("MGMT__SECURE__NONSENSE", "1")]).await;
    assert!(said(&output).to_lowercase().contains("nonsense"), "{}", said(&output));
}

#[tokio::test(flavor = "multi_thread")]
async fn openssl_requests_are_signed_and_get_in() {
    on_each(async |world| {
        let folder = world.folder.path().to_path_buf();
        let at = |name: &str| folder.join(name).display().to_string();
        let mut openssl = Command::new("openssl");
        openssl.args([
            "req",
            "-new",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-subj",
            "/CN=V-Acme/O=Acme",
        ]);
        openssl.args(["-addext", "basicConstraints=critical,CA:TRUE"]);
        openssl.args(["-keyout", &at("acme.key"), "-out", &at("acme.csr")]);
        assert!(openssl.output().await.unwrap().status.success());
        let (pki, csr, crt) = (at("pki"), at("acme.csr"), at("acme.crt"));
        let sign = ["ca", "sign", "--dir", &pki, "--csr", &csr, "--out", &crt, "--name", "acme"];
        let output = run(&sign, &[], world.folder.path()).await;
        assert!(output.status.success(), "{}", said(&output));
        let mut openssl = Command::new("openssl");
        openssl.args(["x509", "-in", &crt, "-noout", "-text"]);
        let text = said(&openssl.output().await.unwrap());
        assert!(text.contains("CA:FALSE") && text.contains("TLS Web Client Authentication"));

        world.stop_server().await;
        world.config.clients.push(mgmt_api::config::ClientConfig {
            certificate: world.path("acme.crt"),
            partner: 3,
            response_key: None,
            networks: Vec::new(),
        });
        world.start_process().await;
        let mut curl = Command::new("curl");
        curl.args(["--silent", "--cacert", &at("pki/ca.pem"), "--cert", &at("acme.crt")]);
        curl.args(["--key", &at("acme.key")]);
        curl.arg(world.secure_url("/secure/customers/1/balances"));
        let body = said(&curl.output().await.unwrap());
        assert!(body.contains("USER_NOT_FOUND"), "{body}");
        world.stop_server().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn operators_certificates_and_the_log_are_looked_after_from_the_command_line() {
    on_each(async |world| {
        let file = world.path("mgmt.toml");
        std::fs::write(&file, world.config.to_toml().unwrap()).unwrap();
        let file = file.display().to_string();
        let add = ["user", "add", "--config", &file, "--roles", "MANAGER", "ann"];
        let mut adding = Command::new(PROGRAM);
        adding.args(add).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut adding = adding.spawn().unwrap();
        let password = format!("{PASSWORD}\n");
        adding.stdin.take().unwrap().write_all(password.as_bytes()).await.unwrap();
        let added = adding.wait_with_output().await.unwrap();
        assert!(added.status.success(), "{}", said(&added));
        let log_in = async || {
            let body = json!({ "name": "ann", "password": PASSWORD });
            world.post_public("/admin/sessions", &body).await.status
        };
        assert_eq!(log_in().await, 201);
        let run = async |arguments: &[&str]| run(arguments, &[], world.folder.path()).await;
        let out = run(&["user", "disable", "--config", &file, "ann"]).await;
        assert!(out.status.success(), "{}", said(&out));
        assert_eq!(log_in().await, 401);

        let stranger = world.path("pki/stranger.crt").display().to_string();
        let revoke = ["ca", "revoke", "--config", &file, "--certificate", &stranger];
        let out = run(&revoke).await;
        assert!(out.status.success(), "{}", said(&out));
        let refused = send(world.wallet(&world.stranger, &plain_wallet())).await;
        refused.expect_error(401, "CLIENT_CERTIFICATE_UNKNOWN");

        let out = run(&["audit", "verify", "--config", &file]).await;
        assert!(out.status.success(), "{}", said(&out));
        for what in ["user add", "user disable", "ca revoke"] {
            let path = "/admin/audit?limit=50";
            let page = world.admin(Method::GET, path, None).await.json();
            let items = page["items"].as_array().unwrap();
            assert!(items.iter().any(|item| item["route"] == what), "{what}");
        }
        world.database.execute("UPDATE audit_log SET caller = 'x' WHERE sequence = 1").await;
        assert!(!run(&["audit", "verify", "--config", &file]).await.status.success());
    })
    .await;
}
