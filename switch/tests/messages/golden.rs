//! Whole frames, written by hand from the tables of the dialects: what comes in and, byte for byte,
//! what goes out. The codec of the tests has no part in it.

use std::io::{Read, Write};
use std::net::TcpStream;

use super::served;
use crate::rig::WAIT;

/// Spaces mean nothing.
fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> = hex.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    digits.chunks(2).map(byte).collect()
}

fn joined(parts: &[&[u8]]) -> Vec<u8> {
    parts.concat()
}

/// Purchases of 25.00 EUR. The first message here is command 23, and each is sent twice.
fn frames() -> [(&'static str, Vec<u8>, Vec<u8>); 5] {
    [ascii_1987(), bcd_1987(), ascii_1993(), ascii_2003(), ebcdic_1987()]
}

fn ascii_1987() -> (&'static str, Vec<u8>, Vec<u8>) {
    let fields = b"169999990000000014000000000000002500031409265300000106990001GOLDEN000001";
    let place = b"TERM0001MERCHANT0000001978";
    let asked = joined(&[b"\0\x6E0100\x72\x20\x00\x01\x08\xC0\x80\x00", fields, place]);
    let approved = b"\0\x760110\x72\x20\x00\x01\x0E\xC0\x80\x00";
    ("ascii-87", asked, joined(&[approved, fields, b"00002300", place]))
}

fn bcd_1987() -> (&'static str, Vec<u8>, Vec<u8>) {
    let fields = "16 9999990000000022 000000 000000002500 0314092653 000001 06 990001
                  474F4C44454E303030303032";
    let place = "5445524D30303031 4D45524348414E5430303030303031 0978";
    let asked = format!("004D 0100 7220000108C08000 {fields} {place}");
    // DE38 000025 and DE39 00 are text.
    let code = "303030303235 3030";
    let approved = format!("0055 0110 722000010EC08000 {fields} {code} {place}");
    ("bcd-87", bytes(&asked), bytes(&approved))
}

fn ascii_1993() -> (&'static str, Vec<u8>, Vec<u8>) {
    let fields = b"169999990000000030000000000000002500031409265300000126031411265306990001";
    let place = b"TERM0001MERCHANT0000001978";
    let asked = b"\0\x7A1100\x72\x30\x00\x01\x08\xC0\x80\x00";
    let asked = joined(&[asked, fields, b"GOLDEN000003", place]);
    let approved = b"\0\x831110\x72\x30\x00\x01\x0E\xC0\x80\x00";
    ("ascii-93", asked, joined(&[approved, fields, b"GOLDEN000003000027000", place]))
}

fn ascii_2003() -> (&'static str, Vec<u8>, Vec<u8>) {
    let fields =
        b"16999999000000004800000000000000250003140926530000000000012026031411265306990001";
    let place = b"TERM0001MERCHANT0000001978";
    let asked = b"\0\x822100\x72\x30\x00\x01\x08\xC0\x80\x00";
    let asked = joined(&[asked, fields, b"GOLDEN000004", place]);
    let approved = b"\0\x8C2110\x72\x30\x00\x01\x0E\xC0\x80\x00";
    ("ascii-2003", asked, joined(&[approved, fields, b"GOLDEN0000040000290000", place]))
}

/// Code page 037: digits F0 to F9, letters C1 to E9; bit maps in hexadecimal digits.
fn ebcdic_1987() -> (&'static str, Vec<u8>, Vec<u8>) {
    let fields = "F1F6F9F9F9F9F9F9F0F0F0F0F0F0F0F0F5F5 F0F0F0F0F0F0 F0F0F0F0F0F0F0F0F2F5F0F0
                  F0F3F1F4F0F9F2F6F5F3 F0F0F0F0F0F1 F0F6F9F9F0F0F0F1 C7D6D3C4C5D5F0F0F0F0F0F5";
    let place = "E3C5D9D4F0F0F0F1 D4C5D9C3C8C1D5E3F0F0F0F0F0F0F1 F9F7F8";
    let asked = format!("0076 F0F1F0F0 F7F2F2F0F0F0F0F1F0F8C3F0F8F0F0F0 {fields} {place}");
    let code = "F0F0F0F0F3F1 F0F0";
    let approved =
        format!("007E F0F1F1F0 F7F2F2F0F0F0F0F1F0C5C3F0F8F0F0F0 {fields} {code} {place}");
    ("ebcdic-87", bytes(&asked), bytes(&approved))
}

#[test]
fn a_purchase_is_answered_byte_for_byte() {
    let (home, running) = served("", "");
    assert_eq!(home.verify().1.0, 22);
    for (link, asked, approved) in frames() {
        let mut stream = TcpStream::connect(running.address_of(link)).unwrap();
        stream.set_read_timeout(Some(WAIT)).unwrap();
        // Twice: a repeat is answered with the same bytes.
        for _ in 0..2 {
            stream.write_all(&asked).unwrap();
            let mut answer = vec![0; approved.len()];
            stream.read_exact(&mut answer).unwrap();
            assert_eq!(answer, approved, "{link}: {}", answer.escape_ascii());
        }
    }
    running.stop();
}
