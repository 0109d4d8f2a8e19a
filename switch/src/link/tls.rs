//! TLS of a link: its files, its handshake, and which certificates a peer may show.
//!
//! Invariants: TLS 1.2 at least; a peer that must show a certificate and shows none, or one that is
//! not of the link's authority or names, never gets to its first message; a handshake has a
//! deadline and a place that newer ones may take, and its mathematics run beside the thread that decides. Source: security 4.1, 4.6.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use aws_lc_rs::digest::{SHA256, digest};
use rustls::client::WebPkiServerVerifier;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, DnsName, PrivateKeyDer, ServerName};
use rustls::server::WebPkiClientVerifier;
use rustls::{
    ClientConfig, ClientConnection, Connection, RootCertStore, ServerConfig, ServerConnection,
};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};
use zeroize::Zeroizing;

use super::stream::{Socket, Stream, TlsStream};
use crate::config::{Direction, Link, TlsFiles};

/// What a pinned key begins with.
const PIN: &str = "sha256:";
/// Bytes of a key file at most.
const KEY_BYTES_MAX: u64 = 64 * 1024;

/// A link's TLS, ready for handshakes.
pub struct Tls {
    side: Side,
    /// Any, where empty.
    peers: Vec<PeerName>,
    deadline: Duration,
    under_way: UnderWay,
}

/// Handshakes that are not done, oldest first; single-threaded, as their link is.
#[derive(Default)]
struct UnderWay {
    max: usize,
    started: Cell<u64>,
    waiting: RefCell<VecDeque<(u64, CancellationToken)>>,
}

/// One handshake's place among them.
struct Place<'a> {
    among: &'a UnderWay,
    number: u64,
    pushed_out: CancellationToken,
}

enum Side {
    Server(Arc<ServerConfig>),
    Client(Arc<ClientConfig>, ServerName<'static>),
}

/// What a peer's certificate may be known by.
#[derive(Debug, PartialEq, Eq)]
enum PeerName {
    /// A subject alternative name, in lower case.
    Dns(String),
    /// The SHA-256 of its public key, SPKI.
    Key([u8; 32]),
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum HandshakeError {
    /// As many as may be under way began after it.
    #[error("newer handshakes took its place")]
    PushedOut,
    /// The peer was too slow.
    #[error("the handshake took too long")]
    TooSlow,
    /// What it showed or spoke was not acceptable, or it said so of us.
    #[error(transparent)]
    Tls(#[from] rustls::Error),
    /// Its certificate is sound, and not one of the link's peers.
    #[error("the peer's certificate is none of peer_names")]
    OtherPeer,
    /// The socket failed.
    #[error(transparent)]
    Socket(#[from] io::Error),
}

impl Tls {
    /// Reads the link's files; `None` for a link of plain TCP.
    ///
    /// # Errors
    /// Names the link and the file.
    pub fn load(link: &Link) -> anyhow::Result<Option<Self>> {
        let Some(files) = &link.tls else { return Ok(None) };
        let loaded = Self::read(link, files);
        loaded.map(Some).with_context(|| format!("link {}: tls", link.name))
    }

    fn read(link: &Link, files: &TlsFiles) -> anyhow::Result<Self> {
        // Peers that never finish theirs must leave room for those that have.
        let handshakes_max = match link.direction {
            Direction::Listen => files.handshakes_max.min(link.connections_max.div_ceil(2)),
            Direction::Connect => link.connections,
        };
        let peers = files.peer_names.iter().map(|name| PeerName::parse(name));
        Ok(Self {
            side: match link.direction {
                Direction::Listen => Side::Server(server(files)?),
                Direction::Connect => {
                    let name = match &files.server_name {
                        Some(name) => ServerName::try_from(name.clone())
                            .with_context(|| format!("server_name = {name:?}"))?,
                        None => ServerName::from(link.address.ip()),
                    };
                    Side::Client(client(files)?, name)
                }
            },
            peers: peers.collect::<anyhow::Result<_>>()?,
            deadline: Duration::from_millis(files.handshake_deadline_ms),
            under_way: UnderWay { max: handshakes_max, ..UnderWay::default() },
        })
    }

    /// Makes a TLS stream of a socket, within the deadline.
    ///
    /// # Errors
    /// Then the socket is closed.
    pub async fn handshake(&self, socket: TcpStream) -> Result<Stream, HandshakeError> {
        let session = match &self.side {
            Side::Server(config) => ServerConnection::new(Arc::clone(config))?.into(),
            Side::Client(config, name) => {
                ClientConnection::new(Arc::clone(config), name.clone())?.into()
            }
        };
        let place = self.under_way.enter();
        let session = tokio::select! {
            shaken = tokio::time::timeout(self.deadline, shake(&socket, session)) => {
                shaken.or(Err(HandshakeError::TooSlow))??
            }
            () = place.pushed_out.cancelled() => return Err(HandshakeError::PushedOut),
        };
        drop(place);
        if !self.is_peer(&session) {
            return Err(HandshakeError::OtherPeer);
        }
        Ok(Stream::Tls(Box::new(TlsStream::new(socket, session))))
    }

    fn is_peer(&self, session: &Connection) -> bool {
        let shown = session.peer_certificates().and_then(<[_]>::first);
        self.peers.is_empty()
            || shown.is_some_and(|shown| self.peers.iter().any(|peer| peer.is_of(shown)))
    }
}

impl UnderWay {
    /// Takes a place. Where there is none left the oldest one goes: a peer that means it needs its
    /// own for a moment only, and must not wait for those that never finish.
    fn enter(&self) -> Place<'_> {
        let mut waiting = self.waiting.borrow_mut();
        if waiting.len() >= self.max
            && let Some((_, oldest)) = waiting.pop_front()
        {
            oldest.cancel();
        }
        let (number, pushed_out) = (self.started.get(), CancellationToken::new());
        self.started.set(number.wrapping_add(1));
        waiting.push_back((number, pushed_out.clone()));
        Place { among: self, number, pushed_out }
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.among.waiting.borrow_mut().retain(|(number, _)| *number != self.number);
    }
}

impl PeerName {
    fn parse(text: &str) -> anyhow::Result<Self> {
        let what = || format!("peer_names: {text:?}");
        let Some(digits) = text.strip_prefix(PIN) else {
            DnsName::try_from(text).with_context(what)?;
            return Ok(Self::Dns(text.to_ascii_lowercase()));
        };
        let mut key = [0; 32];
        let pairs = digits.as_bytes().chunks(2);
        ensure!(pairs.len() == key.len(), "{}: a SHA-256 has 64 digits", what());
        for (byte, pair) in key.iter_mut().zip(pairs) {
            let [high, low] = pair else { bail!("{}: a SHA-256 has 64 digits", what()) };
            let digit = |digit: u8| char::from(digit).to_digit(16);
            let value = digit(*high).zip(digit(*low)).map(|(high, low)| high * 16 + low);
            let value = value.with_context(|| format!("{}: not hexadecimal", what()))?;
            *byte = u8::try_from(value)?;
        }
        Ok(Self::Key(key))
    }

    /// A certificate that cannot be read is nobody's.
    fn is_of(&self, certificate: &CertificateDer<'_>) -> bool {
        let Ok((_, certificate)) = X509Certificate::from_der(certificate) else { return false };
        match self {
            Self::Key(key) => {
                digest(&SHA256, certificate.public_key().raw).as_ref() == key.as_slice()
            }
            Self::Dns(name) => {
                let names = certificate.subject_alternative_name().ok().flatten();
                names.is_some_and(|names| {
                    names.value.general_names.iter().any(|shown| {
                        matches!(shown, GeneralName::DNSName(shown) if shown.eq_ignore_ascii_case(name))
                    })
                })
            }
        }
    }
}

/// Our side of a link that listens.
fn server(files: &TlsFiles) -> anyhow::Result<Arc<ServerConfig>> {
    let provider = Arc::new(default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()?;
    let builder = match &files.client_ca {
        None => builder.with_no_client_auth(),
        Some(path) => {
            let verifier = WebPkiClientVerifier::builder_with_provider(roots(path)?, provider);
            let verifier = verifier.build().with_context(|| format!("{}", path.display()))?;
            builder.with_client_cert_verifier(verifier)
        }
    };
    let (chain, key, what) = identity(files)?.context("a link that listens needs a certificate")?;
    Ok(Arc::new(builder.with_single_cert(chain, key).context(what)?))
}

/// Our side of a link that connects.
fn client(files: &TlsFiles) -> anyhow::Result<Arc<ClientConfig>> {
    let provider = Arc::new(default_provider());
    let path = files.server_ca.as_ref().context("a link that connects needs server_ca")?;
    let verifier = WebPkiServerVerifier::builder_with_provider(roots(path)?, Arc::clone(&provider))
        .build()
        .with_context(|| format!("{}", path.display()))?;
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_webpki_verifier(verifier);
    Ok(Arc::new(match identity(files)? {
        Some((chain, key, what)) => builder.with_client_auth_cert(chain, key).context(what)?,
        None => builder.with_no_client_auth(),
    }))
}

/// Our certificates, our key, and both files' names for an error.
type Identity = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>, String);

fn identity(files: &TlsFiles) -> anyhow::Result<Option<Identity>> {
    let (Some(certificate), Some(key)) = (&files.certificate, &files.key) else { return Ok(None) };
    let what = format!("{} with {}", certificate.display(), key.display());
    Ok(Some((certificates(certificate)?, private_key(key)?, what)))
}

fn roots(path: &Path) -> anyhow::Result<Arc<RootCertStore>> {
    let mut roots = RootCertStore::empty();
    for authority in certificates(path)? {
        roots.add(authority).with_context(|| format!("{}", path.display()))?;
    }
    Ok(Arc::new(roots))
}

fn certificates(path: &Path) -> anyhow::Result<Vec<CertificateDer<'static>>> {
    let what = || format!("{}", path.display());
    let found: Result<Vec<_>, _> =
        CertificateDer::pem_file_iter(path).with_context(what)?.collect();
    let found = found.with_context(what)?;
    ensure!(!found.is_empty(), "{} holds no certificate", path.display());
    Ok(found)
}

fn private_key(path: &Path) -> anyhow::Result<PrivateKeyDer<'static>> {
    let what = || format!("{}", path.display());
    let mut file = std::fs::File::open(path).with_context(what)?;
    let metadata = file.metadata().with_context(what)?;
    ensure!(
        metadata.permissions().mode() & 0o077 == 0,
        "{} may be read by others: run chmod 600 on it",
        path.display()
    );
    ensure!(metadata.len() <= KEY_BYTES_MAX, "{} is too large", path.display());
    let mut pem = Zeroizing::new(Vec::new());
    file.read_to_end(&mut pem).with_context(what)?;
    PrivateKeyDer::from_pem_slice(&pem).with_context(what)
}

/// Until both sides are done with it.
async fn shake(socket: &TcpStream, mut session: Connection) -> Result<Connection, HandshakeError> {
    loop {
        while session.wants_write() {
            match session.write_tls(&mut Socket(socket)) {
                Ok(0) => return Err(io::Error::from(ErrorKind::WriteZero).into()),
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => socket.writable().await?,
                Err(error) => return Err(error.into()),
            }
        }
        if !session.is_handshaking() {
            return Ok(session);
        }
        socket.readable().await?;
        match session.read_tls(&mut Socket(socket)) {
            Ok(0) => return Err(io::Error::from(ErrorKind::UnexpectedEof).into()),
            Ok(_) => session = process(socket, session).await?,
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// Signatures and key exchanges take as long as many decisions: another thread does them.
async fn process(socket: &TcpStream, session: Connection) -> Result<Connection, HandshakeError> {
    let processed = tokio::task::spawn_blocking(move || {
        let mut session = session;
        let outcome = session.process_new_packets().map(drop);
        (session, outcome)
    });
    let (mut session, outcome) = processed.await.map_err(io::Error::other)?;
    if let Err(error) = outcome {
        // The peer is told why, where it still listens.
        session.write_tls(&mut Socket(socket)).ok();
        return Err(error.into());
    }
    Ok(session)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_is_named_by_a_dns_name_or_by_the_hash_of_its_key() {
        let key = format!("sha256:{}{}", "0f".repeat(16), "A0".repeat(16));
        let mut expected = [0x0f; 32];
        expected[16..].fill(0xa0);
        assert_eq!(PeerName::parse(&key).unwrap(), PeerName::Key(expected));
        let name = PeerName::parse("Peer.Processor.example").unwrap();
        assert_eq!(name, PeerName::Dns("peer.processor.example".to_owned()));
        for wrong in ["", "sha256:", "sha256:00", &"sha256:0g".repeat(32), "a b", "sha1:00"] {
            let said = PeerName::parse(wrong).unwrap_err().to_string();
            assert!(said.contains(&format!("{wrong:?}")), "{said}");
        }
        let letters = format!("sha256:{}", "0g".repeat(32));
        assert!(PeerName::parse(&letters).unwrap_err().to_string().contains("hexadecimal"));
    }
}
