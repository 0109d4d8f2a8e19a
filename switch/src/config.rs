//! Configuration: one TOML file, every key overridable as `SWITCH__SECTION__KEY`. Unknown keys are
//! refused; what is left out has a default that runs. The only reader of the environment.

mod link;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::Context;
use figment::Figment;
use figment::providers::{Env, Format, Serialized, Toml};
use serde::{Deserialize, Serialize};
use shared::credential::software::SoftwareKeys;
use shared::key_file::KeyFile;
use shared::pan::TokenKey;

use crate::journal::segment;
use crate::link::tls::Tls;

pub use self::link::{Direction, KeepAlive, Link, NetworkCodeTable, SignOn, TlsFiles, Unsigned};

/// Everything.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Where and how commands are written down.
    pub journal: Journal,
    /// Where the keys are.
    pub keys: Keys,
    /// Where the management API connects.
    pub control: Control,
    /// Where metrics and health are served.
    pub metrics: Metrics,
    /// Where processors connect.
    pub links: Vec<Link>,
}

/// The journal.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Journal {
    /// The folder, relative to the configuration file.
    pub directory: PathBuf,
    /// When an answer may leave.
    pub mode: Mode,
    /// Bytes of a segment file.
    pub segment_bytes: u64,
    /// Write-behind: records that a power cut may take, at most.
    pub unsynced_records_max: u64,
    /// Write-behind: approved money that a power cut may take at most, minor units per currency.
    pub unsynced_amount_max: i64,
    /// Transactions that memory is set aside for at start.
    pub transactions_reserved: usize,
}

/// When an answer may leave. Source: durability 2.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// When its record is synced.
    Durable,
    /// An authorization's answer when the kernel has its record; every other when it is synced.
    WriteBehind,
}

/// The keys.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Keys {
    /// The key file, readable by its owner only.
    pub file: PathBuf,
}

/// The control link.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Control {
    /// The Unix socket.
    pub socket: PathBuf,
    /// Connections at once.
    pub connections_max: usize,
    /// Records up to this number of the journal are explained over the link; for that the state
    /// before one is built beside the state in use. 0 explains none.
    pub explained_max: u64,
    /// The clock may be let run ahead over the link, to see holds and cards end; it never runs
    /// back. For sandboxes alone.
    pub clock_may_advance: bool,
}

/// Metrics and health.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Metrics {
    /// Plain HTTP; keep it on an inner network.
    pub address: SocketAddr,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            journal: Journal::default(),
            keys: Keys::default(),
            control: Control::default(),
            metrics: Metrics::default(),
            links: vec![Link::default()],
        }
    }
}

impl Default for Journal {
    fn default() -> Self {
        Self {
            directory: "journal".into(),
            mode: Mode::Durable,
            segment_bytes: 64 << 20,
            unsynced_records_max: 10_000,
            unsynced_amount_max: 100_000_000,
            transactions_reserved: 1 << 20,
        }
    }
}

impl Default for Keys {
    fn default() -> Self {
        Self { file: "keys.toml".into() }
    }
}

impl Default for Control {
    fn default() -> Self {
        Self {
            socket: "control.sock".into(),
            connections_max: 16,
            explained_max: 2_000_000,
            clock_may_advance: false,
        }
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self { address: SocketAddr::from(([127, 0, 0, 1], 8585)) }
    }
}

impl Config {
    /// Reads `file` and the environment. Paths in it are relative to its folder.
    pub fn load(file: &Path) -> anyhow::Result<Self> {
        anyhow::ensure!(file.is_file(), "{}: no such configuration file", file.display());
        let mut config: Self = Figment::from(Serialized::defaults(Self::default()))
            .merge(Toml::file_exact(file))
            .merge(Env::prefixed("SWITCH__").split("__"))
            .extract()
            .with_context(|| format!("in {}", file.display()))?;
        let folder = file.parent().unwrap_or(Path::new("."));
        for path in
            [&mut config.journal.directory, &mut config.keys.file, &mut config.control.socket]
        {
            *path = folder.join(&*path);
        }
        config.links.iter_mut().for_each(|link| link.resolve(folder));
        config.check()?;
        Ok(config)
    }

    /// What the types cannot say.
    pub fn check(&self) -> anyhow::Result<()> {
        anyhow::ensure!(!self.links.is_empty(), "links: there is none");
        anyhow::ensure!(
            self.journal.segment_bytes >= segment::BYTES_MIN
                && self.journal.segment_bytes.is_multiple_of(segment::BLOCK_BYTES as u64),
            "journal.segment_bytes: at least {}, and a multiple of {}",
            segment::BYTES_MIN,
            segment::BLOCK_BYTES
        );
        anyhow::ensure!(self.control.connections_max > 0, "control.connections_max");
        for (place, link) in self.links.iter().enumerate() {
            link.check()?;
            let mut others = self.links.iter().take(place);
            let twice = others.clone().any(|other| other.id == link.id);
            anyhow::ensure!(!twice, "links: the id {} stands there twice", link.id);
            let twice = others.any(|other| other.name == link.name);
            anyhow::ensure!(!twice, "links: the name {:?} stands there twice", link.name);
        }
        Ok(())
    }

    /// Reads every file that a start will need, and says which one would stop it.
    pub fn check_files(&self) -> anyhow::Result<()> {
        self.keys()?;
        self.links.iter().try_for_each(|link| Tls::load(link).map(drop))
    }

    /// The key that makes card numbers into tokens, and what verifies credentials.
    pub fn keys(&self) -> anyhow::Result<(TokenKey, SoftwareKeys)> {
        let file = &self.keys.file;
        let text = zeroize::Zeroizing::new(
            std::fs::read_to_string(file).with_context(|| format!("{}", file.display()))?,
        );
        let keys = KeyFile::parse(&text).with_context(|| format!("in {}", file.display()))?;
        Ok((TokenKey::new(&keys.pan_token), SoftwareKeys::new(&keys)))
    }
}
