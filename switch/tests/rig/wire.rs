//! The processor's side of a link: messages by field, and a client that sends and reads them.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;

use rustls::{ClientConfig, ClientConnection, ServerConfig, ServerConnection, StreamOwned};
use shared::iso8583::{Dialect, Layout, Mti, TEXT_MAX, encode, parse};
use tokio::net::TcpSocket;

use super::WAIT;

/// A message by field.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Message {
    pub(crate) mti: String,
    pub(crate) fields: BTreeMap<u8, Vec<u8>>,
}

/// Fields as text: the cards here are nobody's.
impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ", self.mti)?;
        let text = |(field, bytes): (&u8, &Vec<u8>)| (*field, bytes.escape_ascii().to_string());
        f.debug_map().entries(self.fields.iter().map(text)).finish()
    }
}

impl Message {
    pub(crate) fn new(mti: &str, fields: &[(u8, &str)]) -> Self {
        let fields = fields.iter().map(|(field, text)| (*field, text.as_bytes().to_vec()));
        Self { mti: mti.to_owned(), fields: fields.collect() }
    }

    pub(crate) fn with(mut self, field: u8, text: &str) -> Self {
        self.fields.insert(field, text.as_bytes().to_vec());
        self
    }

    pub(crate) fn without(mut self, field: u8) -> Self {
        self.fields.remove(&field);
        self
    }

    pub(crate) fn typed(mut self, mti: &str) -> Self {
        mti.clone_into(&mut self.mti);
        self
    }

    /// The content of a field as text; empty where it is absent.
    pub(crate) fn text(&self, field: u8) -> &str {
        self.fields.get(&field).map_or("", |bytes| std::str::from_utf8(bytes).unwrap())
    }

    /// In the dialect of most tests.
    pub(crate) fn body(&self) -> Vec<u8> {
        self.body_in(Dialect::iso87_ascii())
    }

    pub(crate) fn body_in(&self, dialect: &Dialect) -> Vec<u8> {
        let mti = Mti::from_ascii(self.mti.as_bytes().try_into().unwrap()).unwrap();
        let fields: Vec<(u8, &[u8])> = self.fields.iter().map(|(n, v)| (*n, &v[..])).collect();
        let mut out = Vec::new();
        encode(dialect, mti, &fields, &mut out).unwrap();
        out
    }

    pub(crate) fn frame(&self) -> Vec<u8> {
        framed(&self.body())
    }

    pub(crate) fn parse(body: &[u8]) -> Self {
        Self::parse_in(Dialect::iso87_ascii(), body)
    }

    /// What it says, in ASCII whatever the dialect; raw bytes as they are.
    pub(crate) fn parse_in(dialect: &Dialect, body: &[u8]) -> Self {
        let mut layout = Layout::new();
        let message = parse(dialect, body, &mut layout).unwrap();
        let content = |(field, raw): (u8, &[u8])| {
            let mut scratch = [0; TEXT_MAX];
            (field, message.text(field, &mut scratch).unwrap_or(raw).to_vec())
        };
        let fields = message.fields().map(content).collect();
        Self { mti: message.mti().to_string(), fields }
    }
}

/// Behind its length.
pub(crate) fn framed(body: &[u8]) -> Vec<u8> {
    let mut frame = u16::try_from(body.len()).unwrap().to_be_bytes().to_vec();
    frame.extend_from_slice(body);
    frame
}

/// A purchase in EUR; `stan` alone makes its key.
pub(crate) fn purchase(pan: &str, stan: u32, amount: u64) -> Message {
    Message::new(
        "0100",
        &[
            (2, pan),
            (3, "000000"),
            (4, &format!("{amount:012}")),
            (7, "0314092653"),
            (11, &format!("{stan:06}")),
            (18, "5411"),
            (22, "051"),
            (32, "990001"),
            (37, &format!("{stan:012}")),
            (41, "TERM0001"),
            (42, "MERCHANT0000001"),
            (49, "978"),
        ],
    )
}

/// The reversal of `original`, under a key of its own.
pub(crate) fn reversal(mti: &str, stan: u32, original: &Message) -> Message {
    let named = format!(
        "{}{}{}{:011}{:011}",
        original.mti,
        original.text(11),
        original.text(7),
        original.text(32).parse::<u64>().unwrap(),
        0
    );
    original.clone().typed(mti).with(11, &format!("{stan:06}")).with(90, &named)
}

/// One connection of a processor.
pub(crate) struct Client {
    dialect: &'static Dialect,
    socket: TcpStream,
    bytes: Box<dyn Bytes>,
    input: Vec<u8>,
    at: usize,
}

/// The socket itself, or TLS over it.
trait Bytes: Read + Write + Send {}
impl<T: Read + Write + Send> Bytes for T {}

/// A processor that the switch connects to.
pub(crate) struct Processor {
    listener: TcpListener,
}

impl Processor {
    /// On a free port.
    pub(crate) fn listen() -> Self {
        Self::listen_again(SocketAddr::from(([127, 0, 0, 1], 0)))
    }

    /// Where one listened before.
    pub(crate) fn listen_again(address: SocketAddr) -> Self {
        Self { listener: TcpListener::bind(address).unwrap() }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.listener.local_addr().unwrap()
    }

    /// The next connection of the switch.
    pub(crate) fn accept(&self) -> Client {
        Client::plain(self.accept_socket())
    }

    /// The next connection, if its handshake succeeds.
    pub(crate) fn accept_tls(&self, config: &Arc<ServerConfig>) -> std::io::Result<Client> {
        let session = ServerConnection::new(Arc::clone(config)).unwrap();
        let (socket, mut own) = Client::both(self.accept_socket());
        let mut session = session;
        while session.is_handshaking() {
            session.complete_io(&mut own)?;
        }
        Ok(Client::on(socket, StreamOwned::new(session, own)))
    }

    fn accept_socket(&self) -> TcpStream {
        self.listener.accept().unwrap().0
    }
}

impl Client {
    pub(crate) fn connect(address: SocketAddr) -> Self {
        Self::plain(TcpStream::connect(address).unwrap())
    }

    /// Over TLS, to a switch whose certificate is for `switch.example`. That the switch refuses our
    /// own certificate may show at the handshake or at the first answer.
    pub(crate) fn connect_tls(
        address: SocketAddr,
        config: &Arc<ClientConfig>,
    ) -> std::io::Result<Self> {
        let name = "switch.example".try_into().unwrap();
        let mut session = ClientConnection::new(Arc::clone(config), name).unwrap();
        let (socket, mut own) = Self::both(TcpStream::connect(address)?);
        while session.is_handshaking() {
            session.complete_io(&mut own)?;
        }
        Ok(Self::on(socket, StreamOwned::new(session, own)))
    }

    fn plain(socket: TcpStream) -> Self {
        let (socket, own) = Self::both(socket);
        Self::on(socket, own)
    }

    fn both(socket: TcpStream) -> (TcpStream, TcpStream) {
        socket.set_nodelay(true).unwrap();
        socket.set_read_timeout(Some(WAIT)).unwrap();
        socket.set_write_timeout(Some(WAIT)).unwrap();
        let own = socket.try_clone().unwrap();
        (socket, own)
    }

    fn on(socket: TcpStream, bytes: impl Bytes + 'static) -> Self {
        let dialect = Dialect::iso87_ascii();
        Self { dialect, socket, bytes: Box::new(bytes), input: Vec::new(), at: 0 }
    }

    /// The same connection, in another dialect.
    pub(crate) fn speaking(self, dialect: &'static Dialect) -> Self {
        Self { dialect, ..self }
    }

    pub(crate) fn stream(&self) -> &TcpStream {
        &self.socket
    }

    /// False where the peer has gone.
    pub(crate) fn send(&mut self, bytes: &[u8]) -> bool {
        self.bytes.write_all(bytes).and_then(|()| self.bytes.flush()).is_ok()
    }

    /// The next message; `None` where the peer has closed.
    pub(crate) fn receive(&mut self) -> Option<Message> {
        self.receive_body().map(|body| Message::parse_in(self.dialect, &body))
    }

    pub(crate) fn receive_body(&mut self) -> Option<Vec<u8>> {
        loop {
            let rest = &self.input[self.at..];
            if let Some((header, rest)) = rest.split_first_chunk() {
                let length = usize::from(u16::from_be_bytes(*header));
                if let Some(body) = rest.get(..length) {
                    let body = body.to_vec();
                    self.at += 2 + length;
                    return Some(body);
                }
            }
            self.input.drain(..self.at);
            self.at = 0;
            let mut bytes = [0; 16 * 1024];
            match self.bytes.read(&mut bytes) {
                Ok(0) => return None,
                Ok(read) => self.input.extend_from_slice(&bytes[..read]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => panic!("no answer came"),
                Err(_reset) => return None,
            }
        }
    }

    pub(crate) fn ask(&mut self, message: &Message) -> Message {
        let frame = framed(&message.body_in(self.dialect));
        assert!(self.send(&frame), "the switch has closed the connection");
        self.receive().expect("an answer comes")
    }

    /// Nothing more is sent, and whatever comes is taken.
    pub(crate) fn finish(&self) {
        self.socket.shutdown(Shutdown::Write).unwrap();
    }

    pub(crate) fn hang_up(self) {
        // The peer may have gone already.
        self.socket.shutdown(Shutdown::Both).ok();
    }

    /// As a process that dies with input unread.
    pub(crate) fn reset(self) {
        drop(self.bytes);
        let socket = TcpSocket::from_std_stream(self.socket);
        socket.set_zero_linger().unwrap();
    }
}
