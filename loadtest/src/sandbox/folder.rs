//! The sandbox's folder: keys, certificates, configurations, and where the servers put their data.
//!
//! Invariants: what is secret is made once, with mode 0600, and kept; configurations are written at
//! every start, since ports and mode may differ.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use anyhow::Context;
use mgmt_api::auth::admin_token;
use mgmt_api::auth::role::Roles;
use mgmt_api::config::{ClientConfig, ProcessorConfig};
use mgmt_api::operators;
use mgmt_api::{pki, vault};
use switch::config::Mode;

use crate::description::{self, Description};
use crate::rest::ResponseKey;

/// The switch's configuration file.
pub(super) const SWITCH_CONFIG: &str = "switch.toml";
/// The management API's configuration file.
pub(super) const MGMT_CONFIG: &str = "mgmt.toml";
/// Name, id, port and dialect of each link. Source: surface 1.
const LINKS: [(&str, u16, u16, &str); 4] = [
    ("processor-87", 1, 8583, "iso87-ascii"),
    ("processor-93", 2, 8593, "iso93-ascii"),
    ("processor-2003", 3, 8603, "iso2003-ascii"),
    ("processor-bcd", 4, 8613, "iso87-bcd"),
];
const JOURNAL: &str = "switch/journal";
const SOCKET: &str = "switch/control.sock";
const KEYS: &str = "keys.toml";
const ADMIN_TOKEN: &str = "admin.token";
const DEMO: &str = "demo";
/// A network that may lock cards, and its number.
const PROCESSOR: &str = "processor";
const PROCESSOR_ID: u32 = 1;
const DEMO_RESPONSE_KEY: &str = "pki/demo-jwe.key";
/// Where the simulated partner listens. Source: surface 1.
const PARTNER_PORT: u16 = 8090;
/// What it has done.
pub(super) const PARTNER_FILE: &str = "partner.jsonl";
/// Small, so that the first start need not write much.
const SEGMENT_BYTES: u64 = 16 << 20;
/// Who may sign in at the panel.
const OPERATOR: &str = "sandbox";
const OPERATOR_PASSWORD: &str = "operator.password";
/// The partner that the sandbox's certificates stand for.
pub(super) const PARTNER: u32 = 1;

/// A folder with everything in it that the servers need.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    switch: switch::config::Config,
    mgmt: mgmt_api::Config,
    partner: SocketAddr,
    admin_token: String,
    operator_password: String,
    mode: Mode,
}

impl Folder {
    /// Makes what is missing and takes a stale description away.
    pub(super) fn make(path: &Path, ephemeral: bool, mode: Mode) -> anyhow::Result<Self> {
        let mut folders = std::fs::DirBuilder::new();
        folders.recursive(true).mode(0o700);
        for folder in ["", "logs", "switch", "pki"] {
            let folder = path.join(folder);
            folders.create(&folder).with_context(|| format!("{}", folder.display()))?;
        }
        Description::remove(path)?;
        let files = pki::init(&path.join("pki"))?;
        if !path.join("pki").join(format!("{DEMO}.crt")).exists() {
            pki::issue_client(&path.join("pki"), DEMO)?;
        }
        if !path.join("pki").join(format!("{PROCESSOR}.crt")).exists() {
            pki::issue_client(&path.join("pki"), PROCESSOR)?;
        }
        ResponseKey::open(&path.join(DEMO_RESPONSE_KEY))?;
        vault::generate_keys_if_absent(&path.join(KEYS))?;
        let admin_token = admin_token::generate_if_absent(&path.join(ADMIN_TOKEN))?.to_string();
        let operator_password =
            admin_token::generate_if_absent(&path.join(OPERATOR_PASSWORD))?.to_string();
        let mut folder = Self {
            path: path.to_owned(),
            switch: switch_config(mode),
            mgmt: mgmt_config(&files, path),
            partner: SocketAddr::from((Ipv4Addr::LOCALHOST, PARTNER_PORT)),
            admin_token,
            operator_password,
            mode,
        };
        if ephemeral {
            folder.take_free_ports()?;
        }
        folder.mgmt.sandbox_partner = Some(format!("http://{}", folder.partner));
        folder.mgmt.sandbox_iso8583 = folder.switch.links.first().map(|link| link.address);
        let text = toml::to_string_pretty(&folder.switch)?;
        std::fs::write(path.join(SWITCH_CONFIG), text)?;
        std::fs::write(path.join(MGMT_CONFIG), folder.mgmt.to_toml()?)?;
        Ok(folder)
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Where the switch says whether it is ready.
    pub(super) fn switch_health(&self) -> SocketAddr {
        self.switch.metrics.address
    }

    /// Where the management API says whether it is ready.
    pub(super) fn mgmt_health(&self) -> SocketAddr {
        self.mgmt.public.listen
    }

    /// Where the simulated partner listens.
    pub(super) fn partner_address(&self) -> SocketAddr {
        self.partner
    }

    /// What `sandbox.json` says.
    pub(super) fn description(&self, switch_pid: u32, mgmt_pid: u32) -> Description {
        let link = |link: &switch::config::Link| description::Link {
            link: link.name.clone(),
            address: link.address,
            dialect: link.dialect.clone(),
        };
        Description {
            iso8583: self.switch.links.iter().map(link).collect(),
            secure: format!("https://{}", self.mgmt.secure.listen),
            public: format!("http://{}", self.mgmt.public.listen),
            metrics: format!("http://{}/metrics", self.switch.metrics.address),
            partner_mock: format!("http://{}", self.partner),
            ca: "pki/ca.pem".into(),
            client_cert: "pki/partner.crt".into(),
            client_key: "pki/partner.key".into(),
            demo_cert: format!("pki/{DEMO}.crt").into(),
            demo_key: format!("pki/{DEMO}.key").into(),
            demo_response_key: DEMO_RESPONSE_KEY.into(),
            issuer_code: self.mgmt.issuer_code.clone(),
            application_id: self.mgmt.application_id.clone(),
            admin_token: self.admin_token.clone(),
            panel: format!("http://{}/panel", self.mgmt.public.listen),
            operator: OPERATOR.to_owned(),
            operator_password: self.operator_password.clone(),
            mode: match self.mode {
                Mode::Durable => "durable".to_owned(),
                Mode::WriteBehind => "write-behind".to_owned(),
            },
            switch_pid,
            mgmt_pid,
            switch_config: SWITCH_CONFIG.into(),
            mgmt_config: MGMT_CONFIG.into(),
            journal: JOURNAL.into(),
        }
    }

    /// Lets an operator with every role into the panel.
    pub(super) async fn add_operator(&self) -> anyhow::Result<()> {
        let config = mgmt_api::Config::load(&self.path.join(MGMT_CONFIG))?;
        let password = self.operator_password.as_str();
        let wish = operators::Wish { name: OPERATOR, password, roles: Roles::ALL, partner: None };
        operators::add(&config, &wish).await
    }

    /// All at once, so that none is given out twice.
    fn take_free_ports(&mut self) -> anyhow::Result<()> {
        let link = self.switch.links.iter_mut().map(|link| &mut link.address);
        let others = [
            &mut self.switch.metrics.address,
            &mut self.mgmt.secure.listen,
            &mut self.mgmt.public.listen,
            &mut self.partner,
        ];
        let mut listeners = Vec::new();
        for address in link.chain(others) {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
            *address = listener.local_addr()?;
            listeners.push(listener);
        }
        Ok(())
    }
}

fn switch_config(mode: Mode) -> switch::config::Config {
    let mut config = switch::config::Config::default();
    config.journal.directory = JOURNAL.into();
    config.journal.mode = mode;
    config.journal.segment_bytes = SEGMENT_BYTES;
    config.keys.file = KEYS.into();
    config.control.socket = SOCKET.into();
    config.control.clock_may_advance = true;
    config.links = LINKS
        .iter()
        .map(|(name, id, port, dialect)| switch::config::Link {
            name: (*name).to_owned(),
            id: *id,
            address: SocketAddr::from((Ipv4Addr::LOCALHOST, *port)),
            dialect: (*dialect).to_owned(),
            lock_outside: true,
            ..switch::config::Link::default()
        })
        .collect();
    config
}

fn mgmt_config(files: &pki::Files, folder: &Path) -> mgmt_api::Config {
    let relative = |path: &Path| path.strip_prefix(folder).unwrap_or(path).to_owned();
    let client = |certificate: PathBuf| ClientConfig {
        certificate,
        partner: PARTNER,
        response_key: None,
        networks: Vec::new(),
    };
    let mut config = mgmt_api::Config {
        issuer_partner: PARTNER,
        keys: KEYS.into(),
        admin_token: ADMIN_TOKEN.into(),
        clients: vec![
            client(relative(&files.partner)),
            client(PathBuf::from(format!("pki/{DEMO}.crt"))),
        ],
        processors: vec![ProcessorConfig {
            id: PROCESSOR_ID,
            certificate: PathBuf::from(format!("pki/{PROCESSOR}.crt")),
            networks: Vec::new(),
        }],
        ..mgmt_api::Config::default()
    };
    config.switch.socket = SOCKET.into();
    config
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_second_start_keeps_every_secret_and_reads_the_configurations() {
        let folder = tempfile::tempdir().unwrap();
        let secrets = [
            KEYS,
            ADMIN_TOKEN,
            OPERATOR_PASSWORD,
            DEMO_RESPONSE_KEY,
            "pki/demo.key",
            "pki/partner.key",
            "pki/processor.key",
        ];
        let read = || secrets.map(|name| std::fs::read(folder.path().join(name)).unwrap());
        Folder::make(folder.path(), true, Mode::Durable).unwrap();
        let first = read();
        let again = Folder::make(folder.path(), true, Mode::WriteBehind).unwrap();
        assert!(first == read());
        for name in secrets {
            let mode = std::fs::metadata(folder.path().join(name)).unwrap().permissions().mode();
            assert_eq!(mode & 0o077, 0, "{name}");
        }
        let loaded = switch::config::Config::load(&folder.path().join(SWITCH_CONFIG)).unwrap();
        assert_eq!(loaded.journal.mode, Mode::WriteBehind);
        assert_eq!(loaded.journal.directory, folder.path().join(JOURNAL));
        let loaded = mgmt_api::Config::load(&folder.path().join(MGMT_CONFIG)).unwrap();
        assert_eq!((loaded.clients.len(), loaded.processors.len()), (2, 1));
        assert_eq!(loaded.public.listen, again.mgmt_health());
    }
}
