//! Each way to mark where a message ends, and each header in front of it, on a link of its own: the
//! bytes are made and read here by hand.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use crate::rig::{Home, Issuer, Message, Running, WAIT, pan, purchase};

/// How a link frames.
struct Kind {
    framing: &'static str,
    header: &'static str,
    /// In front of a request, and as it must come back.
    headers: (&'static [u8], &'static [u8]),
    /// Bytes of length, and what they are for so many bytes behind them.
    length: fn(u16) -> Vec<u8>,
    /// So many bytes behind them.
    count: fn(&[u8]) -> usize,
}

const TPDU: (&[u8], &[u8]) = (&[0x60, 0x00, 0x03, 0x12, 0x34], &[0x60, 0x12, 0x34, 0x00, 0x03]);
const ISO: (&[u8], &[u8]) = (b"ISO026000075", b"ISO026000075");

fn big_endian(bytes: &[u8]) -> usize {
    bytes.iter().fold(0, |sum, byte| sum * 256 + usize::from(*byte))
}

fn kinds() -> Vec<Kind> {
    let plain = |framing, length, count| Kind {
        framing,
        header: "none",
        headers: (b"", b""),
        length,
        count,
    };
    let two: fn(u16) -> Vec<u8> = |length| length.to_be_bytes().to_vec();
    let ascii: fn(u16) -> Vec<u8> = |length| format!("{length:04}").into_bytes();
    let digits: fn(&[u8]) -> usize = |bytes| std::str::from_utf8(bytes).unwrap().parse().unwrap();
    vec![
        plain("binary-2", two, big_endian),
        plain(
            "binary-2-inclusive",
            |length| (length + 2).to_be_bytes().to_vec(),
            |bytes| big_endian(bytes) - 2,
        ),
        plain(
            "binary-2-little-endian",
            |length| length.to_le_bytes().to_vec(),
            |bytes| usize::from(bytes[0]) + 256 * usize::from(bytes[1]),
        ),
        plain(
            "bcd-2",
            |length| {
                let digit = |place: u16| u8::try_from(length / place % 10).unwrap();
                vec![digit(1000) << 4 | digit(100), digit(10) << 4 | digit(1)]
            },
            |bytes| {
                bytes.iter().fold(0, |sum, byte| {
                    sum * 100 + usize::from(byte >> 4) * 10 + usize::from(byte & 15)
                })
            },
        ),
        plain("ascii-4", ascii, digits),
        plain("binary-4", |length| u32::from(length).to_be_bytes().to_vec(), big_endian),
        plain(
            "vmlh",
            |length| [&length.to_be_bytes()[..], &[0, 0]].concat(),
            |bytes| big_endian(&bytes[..2]),
        ),
        Kind { header: "tpdu", headers: TPDU, ..plain("binary-2", two, big_endian) },
        Kind { header: "iso", headers: ISO, ..plain("ascii-4", ascii, digits) },
    ]
}

/// BASE I: 22 bytes, of which the fourth and fifth count header and message, and two stations of
/// three bytes each are exchanged in the answer.
fn base_1(length: usize, to: [u8; 3], from: [u8; 3]) -> Vec<u8> {
    let length = u16::try_from(22 + length).unwrap().to_be_bytes();
    let rest = [0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88, 0x99, 0xAA, 0xBB];
    [&[22, 1, 2][..], &length, &to, &from, &rest].concat()
}

fn served(sections: &str) -> (Home, Running) {
    let home = Home::new("", "");
    home.configure_links("", sections);
    let running = home.start();
    let mut control = running.control();
    Issuer::found(&mut control).issue(&mut control, Issuer::NO_COLLATERAL, 1, 1_000_000);
    (home, running)
}

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(WAIT)).unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

fn take(stream: &mut TcpStream, count: usize) -> Vec<u8> {
    let mut bytes = vec![0; count];
    stream.read_exact(&mut bytes).unwrap();
    bytes
}

#[test]
fn every_framing_is_read_and_answered_in_kind() {
    let section = |(id, kind): (u16, &Kind)| {
        format!(
            "[[links]]\nname = \"link{id}\"\nid = {id}\naddress = \"127.0.0.1:0\"\n\
             framing = {:?}\nheader = {:?}\n",
            kind.framing, kind.header
        )
    };
    let kinds = kinds();
    let sections: String = (1..).zip(&kinds).map(section).collect();
    let (_home, running) = served(&sections);
    for (id, kind) in (1..).zip(&kinds) {
        let mut stream = connect(running.address_of(&format!("link{id}")));
        let frame = |stan| {
            let body = purchase(&pan(1), stan, 1).body();
            let length = u16::try_from(kind.headers.0.len() + body.len()).unwrap();
            [&(kind.length)(length)[..], kind.headers.0, &body].concat()
        };
        // Nothing, one byte after the other, and two at once.
        stream.write_all(&(kind.length)(0)).unwrap();
        for byte in frame(1) {
            stream.write_all(&[byte]).unwrap();
        }
        stream.write_all(&[frame(2), (kind.length)(0), frame(3)].concat()).unwrap();
        for stan in 1..=3 {
            let length = take(&mut stream, (kind.length)(0).len());
            let inside = take(&mut stream, (kind.count)(&length));
            let (header, body) = inside.split_at(kind.headers.1.len());
            assert_eq!(header, kind.headers.1, "{} {}", kind.framing, kind.header);
            let answer = Message::parse(body);
            assert_eq!((answer.text(11), answer.text(39)), (&*format!("{stan:06}"), "00"));
        }
    }
    running.stop();
}

#[test]
fn stations_and_length_of_a_base_1_header_are_those_of_the_answer() {
    let section = "[[links]]\nname = \"net\"\naddress = \"127.0.0.1:0\"\nframing = \"vmlh\"\n\
                   header = \"base1\"\n";
    let (_home, running) = served(section);
    let mut stream = connect(running.link);
    let body = purchase(&pan(1), 1, 1).body();
    let length = u16::try_from(22 + body.len()).unwrap().to_be_bytes();
    let header = base_1(body.len(), [1, 2, 3], [7, 8, 9]);
    // A message about the session itself comes first, and is none of ours.
    stream.write_all(&[0, 3, 0, 0x20, 1, 2, 3]).unwrap();
    stream.write_all(&[&length[..], &[0, 0], &header, &body].concat()).unwrap();
    let length = take(&mut stream, 4);
    let inside = take(&mut stream, big_endian(&length[..2]));
    let (header, body) = inside.split_at(22);
    assert_eq!(header, base_1(body.len(), [7, 8, 9], [1, 2, 3]));
    assert_eq!(Message::parse(body).text(39), "00");
    running.stop();
}

#[test]
fn a_frame_that_its_link_does_not_allow_ends_the_connection_and_no_other() {
    let sections = [
        ("one", 1, "framing = \"ascii-4\""),
        ("two", 2, "framing = \"bcd-2\""),
        ("three", 3, "framing = \"binary-2-inclusive\""),
        ("four", 4, "framing = \"binary-4\""),
        ("five", 5, "header = \"iso\""),
        ("six", 6, "header = \"tpdu\""),
    ];
    let section = |(name, id, more): (&str, u16, &str)| {
        format!("[[links]]\nname = {name:?}\nid = {id}\naddress = \"127.0.0.1:0\"\n{more}\n")
    };
    let (_home, running) = served(&sections.map(section).concat());
    for (link, bytes) in [
        ("one", &b"00x1"[..]),
        ("two", &[0x0A, 0x00]),
        ("three", &[0, 1]),
        ("four", &[0, 1, 0, 0]),
        ("five", &[0, 14, b'I', b'S', b'X', 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
        ("six", &[0, 4, 0x60, 1, 2, 3]),
    ] {
        let mut stream = connect(running.address_of(link));
        stream.write_all(bytes).unwrap();
        let mut rest = Vec::new();
        // Closed, orderly or not; and nothing was answered.
        stream.read_to_end(&mut rest).ok();
        assert!(rest.is_empty(), "{link}");
    }
    assert_eq!(running.metric("switch_answers_total"), 0.0);
    running.stop();
}
