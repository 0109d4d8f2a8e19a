//! Configuration: one TOML file, every key overridable as `SWITCH__SECTION__KEY`. Unknown keys are
//! refused; what is left out has a default that runs. The only reader of environment and files.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::Context;
use figment::Figment;
use figment::providers::{Env, Format, Serialized, Toml};
use serde::{Deserialize, Serialize};
use shared::action_code::ResponseCodes;
use shared::iso8583::Dialect;
use shared::key_file::KeyFile;
use shared::pan::TokenKey;

use crate::journal::segment;

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
}

/// Metrics and health.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Metrics {
    /// Plain HTTP; keep it on an inner network.
    pub address: SocketAddr,
}

/// One link to a processor.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Link {
    /// For logs and metrics.
    pub name: String,
    /// Part of every message key; never given to another link.
    pub id: u16,
    /// Where we listen.
    pub address: SocketAddr,
    /// The dialect's name.
    pub dialect: String,
    /// Whether messages are refused before a sign-on.
    pub sign_on_required: bool,
    /// Connections at once.
    pub connections_max: usize,
    /// Bytes of a message at most.
    pub frame_bytes_max: u16,
    /// A frame that has begun must be whole within this time.
    pub frame_deadline_ms: u64,
    /// A peer must take its answers within this time.
    pub write_deadline_ms: u64,
    /// An answer later than this after its request is not sent, and its approval is voided.
    pub reply_deadline_ms: u64,
    /// Unreadable frames after which a connection is closed.
    pub unreadable_frames_max: u32,
    /// DE39 by reason, where it differs from the default table.
    pub response_codes: BTreeMap<String, String>,
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
        Self { socket: "control.sock".into(), connections_max: 16 }
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self { address: SocketAddr::from(([127, 0, 0, 1], 8585)) }
    }
}

impl Default for Link {
    fn default() -> Self {
        Self {
            name: "processor-87".into(),
            id: 1,
            address: SocketAddr::from(([127, 0, 0, 1], 8583)),
            dialect: "iso87-ascii".into(),
            sign_on_required: false,
            connections_max: 4096,
            frame_bytes_max: 4096,
            frame_deadline_ms: 2_000,
            write_deadline_ms: 5_000,
            reply_deadline_ms: 8_000,
            unreadable_frames_max: 16,
            response_codes: BTreeMap::new(),
        }
    }
}

impl Link {
    /// The wire codes with this link's own ones.
    pub fn codes(&self) -> anyhow::Result<ResponseCodes> {
        let mut codes = ResponseCodes::default();
        for (reason, code) in &self.response_codes {
            anyhow::ensure!(
                codes.replace(reason, code),
                "link {}: response_codes.{reason} = {code:?}: no such reason, or not two letters or digits",
                self.name
            );
        }
        Ok(codes)
    }

    /// The dialect that it names.
    pub fn dialect(&self) -> anyhow::Result<&'static Dialect> {
        let built_in = Dialect::iso87_ascii();
        anyhow::ensure!(
            self.dialect == built_in.name(),
            "link {}: dialect {:?} is not known; there is {}",
            self.name,
            self.dialect,
            built_in.name()
        );
        Ok(built_in)
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
        for (place, link) in self.links.iter().enumerate() {
            link.codes()?;
            link.dialect()?;
            anyhow::ensure!(link.frame_bytes_max >= 128, "link {}: frame_bytes_max", link.name);
            anyhow::ensure!(link.connections_max > 0, "link {}: connections_max", link.name);
            let twice = self.links.iter().take(place).any(|other| other.id == link.id);
            anyhow::ensure!(!twice, "links: the id {} stands there twice", link.id);
        }
        Ok(())
    }

    /// The key that makes card numbers into tokens.
    pub fn token_key(&self) -> anyhow::Result<TokenKey> {
        let file = &self.keys.file;
        let text = zeroize::Zeroizing::new(
            std::fs::read_to_string(file).with_context(|| format!("{}", file.display()))?,
        );
        let keys = KeyFile::parse(&text).with_context(|| format!("in {}", file.display()))?;
        Ok(TokenKey::new(&keys.pan_token))
    }
}
