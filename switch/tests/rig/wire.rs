//! The processor's side of a link: messages by field, and a client that sends and reads them.

use std::collections::BTreeMap;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};

use shared::iso8583::{Dialect, Layout, Mti, encode, parse};

use super::WAIT;

/// A message by field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Message {
    pub(crate) mti: String,
    pub(crate) fields: BTreeMap<u8, Vec<u8>>,
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

    pub(crate) fn body(&self) -> Vec<u8> {
        let mti = Mti::from_ascii(self.mti.as_bytes().try_into().unwrap()).unwrap();
        let fields: Vec<(u8, &[u8])> = self.fields.iter().map(|(n, v)| (*n, &v[..])).collect();
        let mut out = Vec::new();
        encode(Dialect::iso87_ascii(), mti, &fields, &mut out).unwrap();
        out
    }

    pub(crate) fn frame(&self) -> Vec<u8> {
        framed(&self.body())
    }

    pub(crate) fn parse(body: &[u8]) -> Self {
        let mut layout = Layout::new();
        let message = parse(Dialect::iso87_ascii(), body, &mut layout).unwrap();
        let fields = message.fields().map(|(field, value)| (field, value.to_vec())).collect();
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
    stream: TcpStream,
    input: Vec<u8>,
    at: usize,
}

impl Client {
    pub(crate) fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(WAIT)).unwrap();
        stream.set_write_timeout(Some(WAIT)).unwrap();
        Self { stream, input: Vec::new(), at: 0 }
    }

    pub(crate) fn stream(&self) -> &TcpStream {
        &self.stream
    }

    /// False where the peer has gone.
    pub(crate) fn send(&mut self, bytes: &[u8]) -> bool {
        self.stream.write_all(bytes).is_ok()
    }

    /// The next message; `None` where the peer has closed.
    pub(crate) fn receive(&mut self) -> Option<Message> {
        self.receive_body().map(|body| Message::parse(&body))
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
            match self.stream.read(&mut bytes) {
                Ok(0) => return None,
                Ok(read) => self.input.extend_from_slice(&bytes[..read]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => panic!("no answer came"),
                Err(_reset) => return None,
            }
        }
    }

    pub(crate) fn ask(&mut self, message: &Message) -> Message {
        assert!(self.send(&message.frame()), "the switch has closed the connection");
        self.receive().expect("an answer comes")
    }

    pub(crate) fn hang_up(self) {
        // The peer may have gone already.
        self.stream.shutdown(Shutdown::Both).ok();
    }
}
