//! `sandbox.json`: where everything of a running sandbox is. Source: surface 1.
//!
//! Invariant: written to a temporary name and renamed, so that whoever sees the file sees all of it;
//! paths in it are relative to its folder.

use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::Context;
use serde::{Deserialize, Serialize};

/// The file's name.
pub const FILE: &str = "sandbox.json";

/// All of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Description {
    /// Where processors connect.
    pub iso8583: Vec<Link>,
    /// /secure and /lifecycle, with client certificates.
    pub secure: String,
    /// /admin and what needs no identity.
    pub public: String,
    /// The switch's metrics.
    pub metrics: String,
    /// The simulated partner that keeps the money of one program's holders.
    pub partner_mock: String,
    /// The authority's certificate.
    pub ca: PathBuf,
    /// The newcomer's certificate.
    pub client_cert: PathBuf,
    /// Its key.
    pub client_key: PathBuf,
    /// The certificate that the sandbox itself and the load generator use.
    pub demo_cert: PathBuf,
    /// Its key.
    pub demo_key: PathBuf,
    /// The RSA key that answers to it are encrypted to.
    pub demo_response_key: PathBuf,
    /// Header `Issuer-Code`.
    pub issuer_code: String,
    /// Header `Application-Id`.
    pub application_id: String,
    /// For /admin.
    pub admin_token: String,
    /// Where operators work.
    pub panel: String,
    /// Who may sign in there.
    pub operator: String,
    /// With what.
    pub operator_password: String,
    /// `durable` or `write-behind`.
    pub mode: String,
    /// Process of the switch.
    pub switch_pid: u32,
    /// Process of the management API.
    pub mgmt_pid: u32,
    /// Configuration of the switch.
    pub switch_config: PathBuf,
    /// Configuration of the management API.
    pub mgmt_config: PathBuf,
    /// The journal's folder.
    pub journal: PathBuf,
}

/// One link.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    /// Its name.
    pub link: String,
    /// Where the switch listens.
    pub address: SocketAddr,
    /// What is spoken.
    pub dialect: String,
}

impl Description {
    /// Reads it from the sandbox's folder.
    pub fn read(folder: &Path) -> anyhow::Result<Self> {
        let path = folder.join(FILE);
        let text = std::fs::read(&path)
            .with_context(|| format!("{}: is the sandbox running?", path.display()))?;
        serde_json::from_slice(&text).with_context(|| format!("{}", path.display()))
    }

    /// Puts it into the sandbox's folder.
    pub fn write(&self, folder: &Path) -> anyhow::Result<()> {
        let temporary = folder.join(format!("{FILE}.new"));
        let mut file = std::fs::File::create(&temporary)?;
        file.write_all(serde_json::to_string_pretty(self)?.as_bytes())?;
        file.sync_all()?;
        std::fs::rename(&temporary, folder.join(FILE))?;
        Ok(())
    }

    /// Takes it away; nothing there is no error.
    pub fn remove(folder: &Path) -> anyhow::Result<()> {
        match std::fs::remove_file(folder.join(FILE)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// A link by name; the first one where none is given.
    pub fn link(&self, name: Option<&str>) -> anyhow::Result<&Link> {
        let wanted = |link: &&Link| name.is_none_or(|name| link.link == name);
        self.iso8583.iter().find(wanted).with_context(|| match name {
            Some(name) => format!("sandbox.json names no link {name}"),
            None => "sandbox.json names no link".to_owned(),
        })
    }

    /// The switch's configuration.
    pub fn switch_config(&self, folder: &Path) -> anyhow::Result<switch::config::Config> {
        switch::config::Config::load(&folder.join(&self.switch_config))
    }

    /// A link as the switch's configuration has it; the first one where none is named.
    pub fn configured_link(
        &self,
        folder: &Path,
        name: Option<&str>,
    ) -> anyhow::Result<switch::config::Link> {
        let name = &self.link(name)?.link;
        let links = self.switch_config(folder)?.links;
        let found = links.into_iter().find(|link| link.name == *name);
        found.with_context(|| format!("the switch's configuration has no link {name}"))
    }
}
