//! The wire codec against `iso8583_rs`, a codec by other people: both read every golden message to
//! the same fields, and both write these fields as the golden bytes.
//!
//! Invariant: the peer's table is generated from our dialect, so that no second definition can hide
//! a disagreement. Excluded from the comparison: nothing. Messages that are broken are not
//! compared, since the peer panics on many of them.
//!
//! The peer takes its table from the file that the environment variable `SPEC_FILE` names, once a
//! process. So the test runs itself a second time with the variable set.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, anyhow, ensure};
use iso8583_rs::iso8583::IsoError;
use iso8583_rs::iso8583::iso_spec::{self, IsoMsg, Spec};
use shared::iso8583::field::{Content, Length};
use shared::iso8583::{Dialect, Layout, Message, encode, parse};

const SPEC_FILE: &str = "SPEC_FILE";

#[test]
fn an_outside_codec_agrees_on_every_golden_message() -> anyhow::Result<()> {
    let messages = golden_messages()?;
    assert!(messages.len() >= 20, "the golden messages are there");
    let done = format!("agreed on {} messages", messages.len());
    if std::env::var_os(SPEC_FILE).is_some() {
        messages.iter().try_for_each(|(name, wire)| compare(wire).context(name.clone()))?;
        println!("{done}");
        return Ok(());
    }
    let folder = tempfile::tempdir()?;
    let spec = folder.path().join("iso87-ascii.yaml");
    fs::write(&spec, peer_spec(Dialect::iso87_ascii(), &messages)?)?;
    let output = Command::new(std::env::current_exe()?)
        .args(["--exact", "an_outside_codec_agrees_on_every_golden_message", "--nocapture"])
        .env(SPEC_FILE, &spec)
        .output()?;
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.contains(&done), "{said}");
    Ok(())
}

fn compare(wire: &[u8]) -> anyhow::Result<()> {
    let dialect = Dialect::iso87_ascii();
    let spec = iso_spec::spec("");
    let mut layout = Layout::new();
    let ours = parse(dialect, wire, &mut layout)?;
    let theirs = spec.parse(&mut wire.to_vec()).map_err(|error| anyhow!("{error}"))?;
    compare_fields(dialect, &ours, &theirs)?;
    ensure!(written_by_peer(spec, dialect, &ours)? == wire, "the peer writes other bytes");
    let fields: Vec<(u8, &[u8])> = ours.fields().collect();
    let mut written = Vec::new();
    encode(dialect, ours.mti(), &fields, &mut written)?;
    ensure!(written == wire, "we write other bytes");
    Ok(())
}

fn compare_fields(dialect: &Dialect, ours: &Message<'_>, theirs: &IsoMsg) -> anyhow::Result<()> {
    let mti = theirs.get_field_value(&"message_type".to_owned()).map_err(peer_error)?;
    ensure!(mti == ours.mti().to_string(), "the peer reads message type {mti}");
    for number in 2..=128 {
        ensure!(theirs.bmp.is_on(number.into()) == ours.has(number), "presence of field {number}");
        if let Some(bytes) = ours.bytes(number) {
            let value = theirs.bmp_child_value(number.into()).map_err(peer_error)?;
            let expected = peer_text(dialect, number, bytes)?;
            ensure!(value == expected, "the peer reads field {number} as {value}");
        }
    }
    Ok(())
}

fn written_by_peer(
    spec: &'static Spec,
    dialect: &Dialect,
    message: &Message<'_>,
) -> anyhow::Result<Vec<u8>> {
    let mti = message.mti().to_string();
    let segment = spec.get_message_from_header(&mti).map_err(peer_error)?;
    let mut theirs = iso_spec::new_msg(spec, segment);
    theirs.set("message_type", &mti).map_err(peer_error)?;
    for (number, bytes) in message.fields() {
        let value = peer_text(dialect, number, bytes)?;
        theirs.set_on(number.into(), &value).map_err(peer_error)?;
    }
    theirs.assemble().map_err(peer_error)
}

fn peer_error(error: IsoError) -> anyhow::Error {
    anyhow!(error.msg)
}

/// The peer takes and gives binary content as hex, everything else as text.
fn peer_text(dialect: &Dialect, number: u8, bytes: &[u8]) -> anyhow::Result<String> {
    let field = dialect.field(number).context("no such field")?;
    if field.content == Content::Binary {
        return Ok(bytes.iter().fold(String::new(), |hex, byte| format!("{hex}{byte:02x}")));
    }
    Ok(String::from_utf8(bytes.to_vec())?)
}

/// Our dialect as the peer's YAML. A message type is known to it if it is among the selectors.
fn peer_spec(dialect: &Dialect, messages: &BTreeMap<String, Vec<u8>>) -> anyhow::Result<String> {
    let mti = "{ name: message_type, id: 1, type: Fixed, len: 4, data_encoding: ASCII }";
    let mut yaml = format!("name: {}\nid: 1\nheader_fields:\n  - {mti}\n", dialect.name());
    yaml += "messages:\n  - name: any\n    id: 1\n    selector:\n";
    let types: BTreeSet<&[u8; 4]> =
        messages.values().filter_map(|wire| wire.first_chunk()).collect();
    for mti in types {
        writeln!(yaml, "      - \"{}\"", str::from_utf8(mti)?)?;
    }
    writeln!(yaml, "    fields:\n      - {mti}")?;
    yaml += "      - name: bitmap\n        id: 2\n        type: Bitmapped\n        len: 0\n";
    yaml += "        data_encoding: BINARY\n        children:\n";
    for field in dialect.fields() {
        let number = field.number;
        let encoding = if field.content == Content::Binary { "BINARY" } else { "ASCII" };
        let (kind, len) = match field.length {
            Length::Fixed(length) => ("Fixed", length),
            Length::Ll(_) | Length::Lll(_) => ("Variable", field.length.prefix_len()),
        };
        writeln!(
            yaml,
            "          - {{ name: field_{number}, id: {number}, position: {number}, type: {kind}, \
             len: {len}, len_encoding: ASCII, data_encoding: {encoding} }}",
        )?;
    }
    Ok(yaml)
}

/// Names and bytes of `fixtures/golden/*.hex`.
fn golden_messages() -> anyhow::Result<BTreeMap<String, Vec<u8>>> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../fixtures/golden");
    let mut messages = BTreeMap::new();
    for file in fs::read_dir(folder)? {
        let path = file?.path();
        if path.extension().is_some_and(|extension| extension == "hex") {
            let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            messages.insert(name, from_hex(&fs::read_to_string(&path)?)?);
        }
    }
    Ok(messages)
}

fn from_hex(text: &str) -> anyhow::Result<Vec<u8>> {
    let digits: Vec<char> = text.split_whitespace().flat_map(str::chars).collect();
    let pairs = digits.chunks(2).map(|pair| pair.iter().collect::<String>());
    pairs.map(|pair| Ok(u8::from_str_radix(&pair, 16)?)).collect()
}
