//! A processor in small, for the sandbox: sends one message over a link and reads the answer.
//!
//! Invariant: a message that is sent again under the same numbers is a repeat to the switch, and
//! has one effect.

use core::time::Duration;
use std::collections::BTreeMap;
use std::net::SocketAddr;

use shared::iso8583::{Content, Dialect, Layout, Mti, TEXT_MAX, encode, parse};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use zeroize::Zeroizing;

use crate::error::{Code, Error, Result};

/// An answer must come within this time.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);
/// DE32: an acquirer that does not exist.
const ACQUIRER: &str = "900001";
/// Zeros behind the replacement amount of DE95.
const NO_MORE: &str = "000000000000000000000000000000";

/// A message's fields in the 1987 edition, by number.
pub(crate) type Fields = BTreeMap<u8, Zeroizing<Vec<u8>>>;

/// The numbers that tell a message from others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Numbers {
    /// Its type.
    pub(crate) mti: &'static str,
    /// DE11.
    pub(crate) stan: u32,
    /// DE7, `MMDDhhmmss`.
    pub(crate) sent: String,
}

/// What came back.
pub(crate) struct Reply {
    /// Its type.
    pub(crate) mti: String,
    /// DE39.
    pub(crate) code: String,
    /// DE38.
    pub(crate) approval: Option<String>,
}

/// The fields that a message of these numbers has of itself.
pub(crate) fn begin(numbers: &Numbers) -> Fields {
    let mut fields = Fields::new();
    let (day, time) = numbers.sent.split_at(4);
    put(&mut fields, 7, &numbers.sent);
    put(&mut fields, 11, &format!("{:06}", numbers.stan));
    put(&mut fields, 12, time);
    put(&mut fields, 13, day);
    put(&mut fields, 32, ACQUIRER);
    fields
}

/// Says a field.
pub(crate) fn put(fields: &mut Fields, number: u8, content: &str) {
    fields.insert(number, Zeroizing::new(content.as_bytes().to_vec()));
}

/// DE90: names the message that this one is about.
pub(crate) fn name_original(fields: &mut Fields, original: &Numbers) {
    let Numbers { mti, stan, sent } = original;
    put(fields, 90, &format!("{mti}{stan:06}{sent}{ACQUIRER:0>11}{:011}", 0));
}

/// DE95: what shall be left of an amount.
pub(crate) fn leave(fields: &mut Fields, amount: i64) {
    put(fields, 95, &format!("{amount:012}{NO_MORE}"));
}

/// Sends a message and waits for its answer.
pub(crate) async fn exchange(address: SocketAddr, mti: &str, fields: &Fields) -> Result<Reply> {
    let dialect = Dialect::iso87_ascii();
    let digits = mti.as_bytes().first_chunk().and_then(|digits| Mti::from_ascii(*digits));
    let mti = digits.ok_or_else(|| Error::internal("simulator", &"no message type"))?;
    let given: Vec<(u8, &[u8])> =
        fields.iter().map(|(number, content)| (*number, content.as_slice())).collect();
    let mut body = Zeroizing::new(Vec::new());
    encode(dialect, mti, &given, &mut body)
        .map_err(|error| Error::internal("simulator", &error))?;
    let answer = timeout(ANSWER_WITHIN, over_the_wire(address, &body)).await;
    let answer = answer.map_err(|_elapsed| Error::from(Code::SwitchUnavailable))?;
    let answer = answer.map_err(|error| {
        tracing::warn!(%error, "the link of the sandbox");
        Error::from(Code::SwitchUnavailable)
    })?;
    let mut layout = Layout::new();
    let reply = parse(dialect, &answer, &mut layout)
        .map_err(|error| Error::internal("simulator", &error))?;
    let text = |number: u8| {
        let is_text = dialect.field(number).is_some_and(|field| field.content != Content::Binary);
        let mut scratch = [0; TEXT_MAX];
        let text = is_text.then(|| reply.text(number, &mut scratch)).flatten();
        text.map(|text| String::from_utf8_lossy(text).into_owned())
    };
    Ok(Reply {
        mti: reply.mti().to_string(),
        code: text(39).unwrap_or_default(),
        approval: text(38),
    })
}

/// The answer has the card's number again.
async fn over_the_wire(address: SocketAddr, body: &[u8]) -> std::io::Result<Zeroizing<Vec<u8>>> {
    let length = u16::try_from(body.len()).map_err(std::io::Error::other)?;
    let mut stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let frame = Zeroizing::new([&length.to_be_bytes()[..], body].concat());
    stream.write_all(&frame).await?;
    loop {
        // A frame without a body keeps a connection alive.
        let length = stream.read_u16().await?;
        if length > 0 {
            let mut answer = Zeroizing::new(vec![0; usize::from(length)]);
            stream.read_exact(&mut answer).await?;
            return Ok(answer);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_about_another_names_it_as_the_switch_knows_it() {
        let first = Numbers { mti: "0100", stan: 42, sent: "0314092653".to_owned() };
        let second = Numbers { mti: "0420", stan: 43, sent: "0314092700".to_owned() };
        let mut fields = begin(&second);
        name_original(&mut fields, &first);
        leave(&mut fields, 1_000);
        for (number, content) in [
            (7, "0314092700"),
            (11, "000043"),
            (12, "092700"),
            (13, "0314"),
            (32, "900001"),
            (90, "010000004203140926530000090000100000000000"),
            (95, "000000001000000000000000000000000000000000"),
        ] {
            assert_eq!(fields[&number].as_slice(), content.as_bytes(), "{number}");
        }
    }
}
