//! One link to a processor, as the file says it: which way it is connected, who may be at the other
//! end, what it speaks.
//!
//! Invariant: what is refused here names the link and the key; a setting that would have no effect
//! on a link of its direction is refused too.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use serde::{Deserialize, Serialize};
use shared::action_code::{FAILING_FIELD, Reason, ResponseCodes, ResponseData};
use shared::iso8583::mti::Version;
use shared::iso8583::{Dialect, FramingKind, HeaderKind};

use crate::intake::AdviceCode;
use crate::intake::markers::{MarkerTable, Markers};
use crate::link::allow::AllowList;
use crate::link::network_codes::{NetworkCodes, NetworkMeaning};
use crate::session::write_network;

/// The longest answer that we write ourselves fits: an echo of all its fields with amounts.
const FRAME_BYTES_MIN: u16 = 512;

/// One link to a processor.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Link {
    /// For logs and metrics; no two links share it.
    pub name: String,
    /// Part of every message key; never given to another link.
    pub id: u16,
    /// Who opens the connections.
    pub direction: Direction,
    /// Where we listen, or where the peer does.
    pub address: SocketAddr,
    /// Listening: the networks that peers may connect from, as `10.0.0.0/8`; any, where empty.
    pub allow: Vec<String>,
    /// A built-in dialect's name, or a dialect file (`.toml`) relative to the configuration file.
    pub dialect: String,
    /// How the length in front of each message is written.
    pub framing: FramingKind,
    /// What stands between length and message.
    pub header: HeaderKind,
    /// Signs in fields that each network uses its own way, where they are not those of the sandbox.
    pub markers: MarkerTable,
    /// What DE39 of an advice says.
    pub advice_code: AdviceCode,
    /// Whether DE7 and DE12 are rewritten on the way, so that only their day is part of a message's
    /// key.
    pub volatile_time: bool,
    /// Whether the network may lock cards by file actions (03xx).
    pub lock_outside: bool,
    /// Whether messages are served before a sign-on.
    pub sign_on: SignOn,
    /// What a message before the sign-on gets.
    pub unsigned: Unsigned,
    /// Listening: connections at once, those still in their TLS handshake among them.
    pub connections_max: usize,
    /// Connecting: connections that are kept open.
    pub connections: usize,
    /// Connecting: a connection must be there within this time.
    pub connect_deadline_ms: u64,
    /// Connecting: the first pause before another try; it doubles each time.
    pub reconnect_pause_ms_min: u64,
    /// Connecting: the longest pause before another try.
    pub reconnect_pause_ms_max: u64,
    /// What is sent on a connection on which nothing came for a while.
    pub keep_alive: KeepAlive,
    /// How long that while is.
    pub keep_alive_interval_ms: u64,
    /// Bytes of a message at most.
    pub frame_bytes_max: u16,
    /// A frame that has begun must be whole within this time.
    pub frame_deadline_ms: u64,
    /// A peer must take its answers within this time.
    pub write_deadline_ms: u64,
    /// An answer later than this after its request is not sent, and its approval is voided.
    pub reply_deadline_ms: u64,
    /// Unreadable frames in a row after which a connection is closed.
    pub unreadable_frames_max: u32,
    /// DE39 by reason, where it differs from the default table.
    pub response_codes: BTreeMap<String, String>,
    /// Additional response data (DE44) by reason, where it differs from the default: a format error
    /// says `{field}`, the number of the failing field, and nothing else says anything.
    pub response_data: BTreeMap<String, String>,
    /// The field that it stands in: 44, in the 2003 edition 18, if absent.
    pub response_data_field: Option<u8>,
    /// Network management codes, where they differ from those of the dialect's edition.
    pub network_codes: NetworkCodeTable,
    /// TLS; plain TCP without.
    pub tls: Option<TlsFiles>,
}

/// Who opens the connections of a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Direction {
    /// The peer.
    Listen,
    /// We, again and again.
    Connect,
}

/// Whether a link's messages are served before a sign-on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SignOn {
    /// They are.
    None,
    /// They are not: the peer signs on, or, where we connect, we do.
    Required,
}

/// What a message before the sign-on gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Unsigned {
    /// The answer that we are inoperative (91, 907, 9107).
    Refuse,
    /// No answer; it is counted.
    Drop,
}

/// What is sent on a silent connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum KeepAlive {
    /// Nothing.
    None,
    /// An echo request; a peer that does not answer it in the link's reply deadline is gone.
    Echo,
    /// An empty frame; nothing comes back.
    EmptyFrame,
}

/// Network management codes that replace those of the dialect's edition.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct NetworkCodeTable {
    /// The field that they stand in.
    pub field: Option<u8>,
    /// The peer begins to send.
    pub sign_on: Option<String>,
    /// The peer sends no more.
    pub sign_off: Option<String>,
    /// Are you there?
    pub echo: Option<String>,
    /// A new key comes.
    pub key_change: Option<String>,
    /// The business day changes.
    pub cut_over: Option<String>,
}

/// The files and names of a link's TLS. Paths are relative to the configuration file.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TlsFiles {
    /// Our certificate and those between it and its authority, PEM. Connecting: only where the peer
    /// asks for one.
    pub certificate: Option<PathBuf>,
    /// Its private key, PEM, readable by its owner only.
    pub key: Option<PathBuf>,
    /// Listening: a certificate of this authority is demanded of every peer, PEM.
    pub client_ca: Option<PathBuf>,
    /// Connecting: the authority of the peer's certificate, PEM.
    pub server_ca: Option<PathBuf>,
    /// Connecting: the name or IP address in the peer's certificate; that of `address`, if absent.
    pub server_name: Option<String>,
    /// Certificates that a peer may show: a DNS name among its subject alternative names, or
    /// `sha256:` and the hexadecimal SHA-256 of its public key (SPKI); any, where empty.
    pub peer_names: Vec<String>,
    /// A handshake must be done within this time.
    pub handshake_deadline_ms: u64,
    /// Listening: handshakes at once, and never more than half of the connections; the oldest
    /// gives way to a new one.
    pub handshakes_max: usize,
}

impl Default for Link {
    fn default() -> Self {
        Self {
            name: "processor-87".into(),
            id: 1,
            direction: Direction::Listen,
            address: SocketAddr::from(([127, 0, 0, 1], 8583)),
            allow: Vec::new(),
            dialect: "iso87-ascii".into(),
            framing: FramingKind::default(),
            header: HeaderKind::default(),
            markers: MarkerTable::default(),
            advice_code: AdviceCode::Outcome,
            volatile_time: false,
            lock_outside: false,
            sign_on: SignOn::None,
            unsigned: Unsigned::Refuse,
            connections_max: 4096,
            connections: 1,
            connect_deadline_ms: 5_000,
            reconnect_pause_ms_min: 200,
            reconnect_pause_ms_max: 30_000,
            keep_alive: KeepAlive::None,
            keep_alive_interval_ms: 30_000,
            frame_bytes_max: 4096,
            frame_deadline_ms: 2_000,
            write_deadline_ms: 5_000,
            reply_deadline_ms: 8_000,
            unreadable_frames_max: 16,
            response_codes: BTreeMap::new(),
            response_data: BTreeMap::new(),
            response_data_field: None,
            network_codes: NetworkCodeTable::default(),
            tls: None,
        }
    }
}

impl Default for TlsFiles {
    fn default() -> Self {
        Self {
            certificate: None,
            key: None,
            client_ca: None,
            server_ca: None,
            server_name: None,
            peer_names: Vec::new(),
            handshake_deadline_ms: 5_000,
            handshakes_max: 32,
        }
    }
}

impl Link {
    /// The wire codes of an edition with this link's own ones.
    pub fn codes(&self, edition: Version) -> anyhow::Result<ResponseCodes> {
        let mut codes = ResponseCodes::of(edition);
        for (reason, code) in &self.response_codes {
            ensure!(
                codes.replace(reason, code),
                "link {}: response_codes.{reason} = {code:?}: no such reason, or not as many letters or digits as the edition has",
                self.name
            );
        }
        Ok(codes)
    }

    /// The additional response data with this link's own.
    pub fn data(&self, dialect: &Dialect) -> anyhow::Result<ResponseData> {
        let mut data = ResponseData::of(dialect.version());
        data.field = self.response_data_field.unwrap_or(data.field);
        let named = |key: &str| format!("link {}: {key}", self.name);
        let taken = [4, 6, 38, 39, 54].contains(&data.field);
        let spec = dialect.field(data.field).filter(|_| !taken);
        let spec = spec.with_context(|| named("response_data_field"))?;
        for (reason, text) in &self.response_data {
            ensure!(data.replace(reason, text), named(&format!("response_data.{reason}")));
        }
        for reason in Reason::ALL {
            let text = match *reason == Reason::FormatError {
                true => data.text(*reason).replace(FAILING_FIELD, "000"),
                false => data.text(*reason).to_owned(),
            };
            let fits = !spec.length.is_fixed() && text.len() <= usize::from(spec.length.max());
            let allowed = (0..).zip(text.bytes()).all(|(at, byte)| spec.content.allows(byte, at));
            ensure!(
                text.is_empty() || fits && allowed,
                "link {}: response_data.{}: field {} of {} takes up to {} characters of class {}",
                self.name,
                reason.table_key(),
                data.field,
                dialect.name(),
                spec.length.max(),
                spec.content.abbreviation()
            );
        }
        Ok(data)
    }

    /// The signs in private fields.
    pub fn markers(&self, dialect: &Dialect) -> anyhow::Result<Markers> {
        let markers = Markers::of(dialect.version()).replaced(&self.markers);
        markers.check(dialect).map_err(|name| {
            anyhow::anyhow!(
                "link {}: markers.{name}: a tag has two digits, a value at least one character, the field is one of text, and no card data is journaled",
                self.name
            )
        })?;
        Ok(markers)
    }

    /// The network management codes of the dialect's edition with this link's own ones.
    pub fn network_codes(&self, edition: Version) -> anyhow::Result<NetworkCodes> {
        let table = &self.network_codes;
        let own = [
            (NetworkMeaning::SignOn, &table.sign_on),
            (NetworkMeaning::SignOff, &table.sign_off),
            (NetworkMeaning::Echo, &table.echo),
            (NetworkMeaning::KeyChange, &table.key_change),
            (NetworkMeaning::CutOver, &table.cut_over),
        ];
        let own = own.into_iter().filter_map(|(meaning, code)| Some((meaning, code.as_deref()?)));
        NetworkCodes::of(edition)
            .replaced(table.field, own)
            .with_context(|| format!("link {}: network_codes", self.name))
    }

    /// The dialect that it names. One from a file lives as long as the process, as links do.
    pub fn dialect(&self) -> anyhow::Result<&'static Dialect> {
        if let Some(built_in) = Dialect::built_in(&self.dialect) {
            return Ok(built_in);
        }
        let file = Path::new(&self.dialect);
        ensure!(
            file.extension().is_some_and(|extension| extension == "toml"),
            "link {}: dialect {:?} is neither a .toml file nor one of {}",
            self.name,
            self.dialect,
            Dialect::BUILT_IN_NAMES.join(", ")
        );
        let named = || format!("link {}: dialect {}", self.name, file.display());
        let text = std::fs::read_to_string(file).with_context(named)?;
        let dialect = Dialect::parse(&text).with_context(named)?;
        Ok(Box::leak(Box::new(dialect)))
    }

    /// The networks that peers may connect from.
    pub fn allow_list(&self) -> anyhow::Result<AllowList> {
        AllowList::parse(&self.allow).with_context(|| format!("link {}: allow", self.name))
    }

    /// Connections at once, whichever way they are opened.
    #[must_use]
    pub fn connections_most(&self) -> usize {
        match self.direction {
            Direction::Listen => self.connections_max,
            Direction::Connect => self.connections,
        }
    }

    /// Makes its paths those of `folder`.
    pub(super) fn resolve(&mut self, folder: &Path) {
        if self.dialect.ends_with(".toml") {
            self.dialect = folder.join(&self.dialect).to_string_lossy().into_owned();
        }
        if let Some(tls) = &mut self.tls {
            let paths =
                [&mut tls.certificate, &mut tls.key, &mut tls.client_ca, &mut tls.server_ca];
            for path in paths.into_iter().flatten() {
                *path = folder.join(&*path);
            }
        }
    }

    /// Every DE39 of the link is one that its dialect can write.
    fn check_codes(&self, dialect: &Dialect) -> anyhow::Result<()> {
        let codes = self.codes(dialect.version())?;
        let spec = dialect.field(39).with_context(|| format!("link {}: no field 39", self.name))?;
        for reason in Reason::ALL {
            let code = codes.code(*reason);
            let written = code.as_bytes();
            let allowed = written.len() == usize::from(spec.length.max())
                && (0..).zip(written).all(|(place, byte)| spec.content.allows(*byte, place));
            ensure!(
                allowed,
                "link {}: response_codes.{}: field 39 of {} takes {} characters of class {}",
                self.name,
                reason.table_key(),
                dialect.name(),
                spec.length.max(),
                spec.content.abbreviation()
            );
        }
        Ok(())
    }

    /// Every network management message that we may have to send is one that the dialect can
    /// write.
    fn check_network_codes(&self, dialect: &Dialect) -> anyhow::Result<()> {
        let codes = self.network_codes(dialect.version())?;
        for meaning in [NetworkMeaning::SignOn, NetworkMeaning::Echo] {
            let code = codes.code(meaning);
            write_network(dialect, (codes.field(), &code), 1, &mut Vec::new())
                .with_context(|| format!("link {}: network_codes", self.name))?;
        }
        Ok(())
    }

    /// What the types cannot say.
    pub(super) fn check(&self) -> anyhow::Result<()> {
        let dialect = self.dialect()?;
        self.check_codes(dialect)?;
        self.data(dialect)?;
        self.markers(dialect)?;
        self.check_network_codes(dialect)?;
        self.allow_list()?;
        let named = |key: &'static str| format!("link {}: {key}", self.name);
        ensure!(self.frame_bytes_max >= FRAME_BYTES_MIN, named("frame_bytes_max"));
        for (key, value) in [
            ("frame_deadline_ms", self.frame_deadline_ms),
            ("write_deadline_ms", self.write_deadline_ms),
            ("reply_deadline_ms", self.reply_deadline_ms),
        ] {
            ensure!(value > 0, named(key));
        }
        ensure!(self.connections_max > 0, named("connections_max"));
        ensure!(self.connections > 0, named("connections"));
        ensure!(self.keep_alive_interval_ms > 0, named("keep_alive_interval_ms"));
        ensure!(self.connect_deadline_ms > 0, named("connect_deadline_ms"));
        ensure!(
            (1..=self.reconnect_pause_ms_max).contains(&self.reconnect_pause_ms_min),
            "{}: at least 1, and not above reconnect_pause_ms_max",
            named("reconnect_pause_ms_min")
        );
        ensure!(
            self.direction == Direction::Listen || self.allow.is_empty(),
            "{}: of a link that listens only",
            named("allow")
        );
        self.tls
            .as_ref()
            .map_or(Ok(()), |tls| tls.check(self.direction))
            .with_context(|| named("tls"))
    }
}

impl TlsFiles {
    fn check(&self, direction: Direction) -> anyhow::Result<()> {
        ensure!(
            self.certificate.is_some() == self.key.is_some(),
            "certificate and key: one needs the other"
        );
        ensure!(self.handshake_deadline_ms > 0, "handshake_deadline_ms");
        ensure!(self.handshakes_max > 0, "handshakes_max");
        match direction {
            Direction::Listen => {
                ensure!(self.certificate.is_some(), "certificate: a link that listens needs one");
                ensure!(self.server_ca.is_none(), "server_ca: of a link that connects only");
                ensure!(self.server_name.is_none(), "server_name: of a link that connects only");
                ensure!(
                    self.peer_names.is_empty() || self.client_ca.is_some(),
                    "peer_names: without client_ca no peer shows a certificate"
                );
            }
            Direction::Connect => {
                ensure!(self.server_ca.is_some(), "server_ca: a link that connects needs one");
                ensure!(self.client_ca.is_none(), "client_ca: of a link that listens only");
            }
        }
        Ok(())
    }
}
