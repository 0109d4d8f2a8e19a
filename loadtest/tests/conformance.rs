//! The wire codec against codecs by other people: `iso8583_rs` and `iso8583-codec` here,
//! `pyiso8583` from a file of messages that is written here. Each reads what we write to the same
//! fields, and writes the same bytes from them.
//!
//! Invariant: each peer's table is generated from our dialect, so that no second definition can hide
//! a disagreement. What a peer does otherwise than we by its design is left out of its messages, and
//! listed with the reason in its file; nothing else is. Broken messages are not compared, since
//! `iso8583_rs` panics on many of them.
//!
//! `CONFORMANCE_MESSAGES` asks for more messages; `CONFORMANCE_FILE` names a file to write messages
//! to for `fixtures/clients/check_golden.py --messages`.

#![expect(clippy::disallowed_methods, reason = "how long a test runs is asked for from outside")]

#[path = "conformance/iso8583_codec.rs"]
mod iso8583_codec_peer;
#[path = "conformance/iso8583_rs.rs"]
mod iso8583_rs_peer;
#[path = "conformance/messages.rs"]
mod messages;

use std::io::{BufWriter, Write};
use std::path::PathBuf;
use std::process::Command;
use std::{env, fs};

use anyhow::{Context, ensure};
use messages::{Generator, Message, dialect_text};
use shared::iso8583::Dialect;

/// Messages for all peers and dialects together, unless the environment says otherwise.
const MESSAGES: u64 = 4_000;
/// `pyiso8583` knows two bit maps.
const PYTHON_FIELD_MAX: u8 = 128;

/// A dialect as a peer can have it: our own, or with these settings in place of others.
struct Variant {
    dialect: &'static str,
    settings: &'static [(&'static str, &'static str)],
}

const fn own(dialect: &'static str) -> Variant {
    Variant { dialect, settings: &[] }
}

impl Variant {
    fn compile(&self) -> anyhow::Result<Dialect> {
        let mut text = dialect_text(self.dialect)?;
        for (from, to) in self.settings {
            ensure!(text.contains(from), "{from} is in {}", self.dialect);
            text = text.replacen(from, to, 1);
        }
        Ok(Dialect::parse(&text)?)
    }
}

const FOR_ISO8583_RS: [Variant; 5] = [
    own("iso87-ascii"),
    own("iso87-bcd"),
    own("iso93-ascii"),
    own("iso2003-ascii"),
    // It has no bit maps in hex digits.
    Variant { dialect: "iso87-ebcdic", settings: &[(r#"bitmap = "hex""#, r#"bitmap = "binary""#)] },
];

const FOR_ISO8583_CODEC: [Variant; 4] = [
    own("iso87-ascii"),
    // It has no message type in BCD, fills odd digits behind them, and an odd length prefix too.
    Variant {
        dialect: "iso87-bcd",
        settings: &[
            (r#"mti = "bcd""#, r#"mti = "ascii""#),
            (r#"length = "bcd""#, r#"length = "ascii""#),
            (
                r#"fixed = "left-0", variable = "left-0""#,
                r#"fixed = "right-0", variable = "right-0""#,
            ),
        ],
    },
    own("iso93-ascii"),
    own("iso2003-ascii"),
];

const FOR_PYISO8583: [Variant; 5] = [
    own("iso87-ascii"),
    own("iso87-bcd"),
    own("iso93-ascii"),
    own("iso2003-ascii"),
    own("iso87-ebcdic"),
];

#[test]
fn iso8583_rs_agrees() -> anyhow::Result<()> {
    if let Some(place) = env::var_os(iso8583_rs_peer::VARIANT) {
        let place: usize = place.to_string_lossy().parse()?;
        let variant = FOR_ISO8583_RS.get(place).context("such a variant")?;
        let dialect = variant.compile()?;
        let golden = messages::golden(variant.dialect, &dialect)?;
        let count = per_variant(FOR_ISO8583_RS.len());
        let compared = iso8583_rs_peer::compare_all(&dialect, &golden, count)?;
        println!("{}: agreed on {compared} messages", dialect.name());
        return Ok(());
    }
    let folder = tempfile::tempdir()?;
    for (place, variant) in FOR_ISO8583_RS.iter().enumerate() {
        let dialect = variant.compile()?;
        let spec = folder.path().join(format!("{}.yaml", dialect.name()));
        fs::write(&spec, iso8583_rs_peer::spec(&dialect)?)?;
        let output = Command::new(env::current_exe()?)
            .args(["--exact", "iso8583_rs_agrees", "--nocapture"])
            .env(iso8583_rs_peer::SPEC_FILE, &spec)
            .env(iso8583_rs_peer::VARIANT, place.to_string())
            .output()?;
        let said =
            String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
        let done = said.lines().find(|line| line.contains(": agreed on "));
        ensure!(output.status.success() && done.is_some(), "{said}");
        println!("iso8583_rs, {}", done.unwrap_or_default());
    }
    Ok(())
}

#[test]
fn iso8583_codec_agrees() -> anyhow::Result<()> {
    for variant in &FOR_ISO8583_CODEC {
        let dialect = variant.compile()?;
        let golden = messages::golden(variant.dialect, &dialect)?;
        let count = per_variant(FOR_ISO8583_CODEC.len());
        let compared = iso8583_codec_peer::compare_all(&dialect, &golden, count)?;
        println!("iso8583-codec, {}: agreed on {compared} messages", dialect.name());
    }
    Ok(())
}

#[test]
fn messages_are_written_for_pyiso8583() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let asked = env::var_os("CONFORMANCE_FILE").map(PathBuf::from);
    let path = asked.unwrap_or_else(|| folder.path().join("messages"));
    let mut file = BufWriter::new(fs::File::create(&path)?);
    for variant in &FOR_PYISO8583 {
        let dialect = variant.compile()?;
        let mut generator = Generator::new(&dialect, |spec| spec.number <= PYTHON_FIELD_MAX);
        for _ in 0..per_variant(FOR_PYISO8583.len()) {
            writeln!(file, "{}", line(&dialect, &generator.message()?))?;
        }
    }
    file.flush()?;
    ensure!(fs::metadata(&path)?.len() > 0, "messages were written");
    Ok(())
}

/// As `check_golden.py` reads it.
fn line(dialect: &Dialect, message: &Message) -> String {
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02X}")).collect::<String>();
    let fields = message.fields.iter().map(|(number, value)| format!(" {number}={}", hex(value)));
    let fields: String = fields.collect();
    format!("{} {}{fields} {}", dialect.name(), message.mti, hex(&message.wire))
}

/// Each peer has a third of the messages, each of its dialects an even share of that.
fn per_variant(variants: usize) -> u64 {
    let asked = env::var("CONFORMANCE_MESSAGES").ok().and_then(|text| text.parse().ok());
    asked.unwrap_or(MESSAGES).div_ceil(3 * u64::try_from(variants).unwrap_or(1))
}
