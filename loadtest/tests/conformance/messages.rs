//! Messages to compare: golden ones, and generated ones of any fields with any content that their
//! definitions allow.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, ensure};
use shared::iso8583::{Content, Dialect, FieldSpec, Layout, Length, Mti, TEXT_MAX, encode, parse};

/// Types as first sendings of the 1987 edition.
pub(crate) const TYPES: [&[u8; 4]; 7] =
    [b"0100", b"0110", b"0200", b"0220", b"0420", b"0800", b"0810"];
/// One of so many messages may have its variable fields as long as they get.
const LONG_EVERY: u32 = 50;
const USUAL_LENGTH_MAX: u16 = 40;

/// A message: what it says, in ASCII and raw bytes, and as we write it.
pub(crate) struct Message {
    pub(crate) mti: String,
    pub(crate) fields: Vec<(u8, Vec<u8>)>,
    pub(crate) wire: Vec<u8>,
}

/// Makes messages of a dialect, the same ones every time.
pub(crate) struct Generator<'a> {
    dialect: &'a Dialect,
    fields: Vec<&'a FieldSpec>,
    random: fastrand::Rng,
}

impl<'a> Generator<'a> {
    /// Of the fields that the peer knows.
    pub(crate) fn new(dialect: &'a Dialect, knows: impl Fn(&FieldSpec) -> bool) -> Self {
        let known = |spec: &&FieldSpec| ![1, 65].contains(&spec.number) && knows(spec);
        let fields = dialect.fields().iter().filter(known).collect();
        Self { dialect, fields, random: fastrand::Rng::with_seed(20_261_124) }
    }

    pub(crate) fn message(&mut self) -> anyhow::Result<Message> {
        let version = self.dialect.version();
        let digits = self.random.choice(TYPES).context("there are types")?;
        let mti = Mti::from_ascii(*digits).context("a type")?.in_version(version);
        let wanted = self.random.usize(1..=24);
        let long = self.random.u32(0..LONG_EVERY) == 0;
        let mut specs: Vec<&FieldSpec> =
            self.random.choose_multiple(self.fields.iter().copied(), wanted);
        specs.sort_by_key(|spec| spec.number);
        let fields: Vec<(u8, Vec<u8>)> =
            specs.into_iter().map(|spec| (spec.number, self.value(spec, long))).collect();
        let mut wire = Vec::new();
        let borrowed: Vec<(u8, &[u8])> =
            fields.iter().map(|(number, value)| (*number, value.as_slice())).collect();
        encode(self.dialect, mti, &borrowed, &mut wire)?;
        Ok(Message { mti: mti.to_string(), fields, wire })
    }

    fn value(&mut self, spec: &FieldSpec, long: bool) -> Vec<u8> {
        let length = match spec.length {
            Length::Fixed(length) => length,
            // An empty field is one that none of the peers has for digits.
            Length::Ll(max) | Length::Lll(max) if long => self.random.u16(1..=max),
            Length::Ll(max) | Length::Lll(max) => self.random.u16(1..=max.min(USUAL_LENGTH_MAX)),
        };
        (0..length).map(|at| self.character(spec.content, at)).collect()
    }

    /// `[`, `]` and `^` are not used: EBCDIC code pages differ in them, and `iso8583_rs` has another
    /// than ours. Golden messages have them, for `pyiso8583`. Nor is the letter D in tracks, which
    /// is read as the separator where two digits share a byte.
    fn character(&mut self, content: Content, at: u16) -> u8 {
        let random = &mut self.random;
        match content {
            Content::Digits => random.u8(b'0'..=b'9'),
            Content::SignedDigits if at == 0 => *random.choice(b"CD").unwrap_or(&b'C'),
            Content::SignedDigits => random.u8(b'0'..=b'9'),
            Content::Letters => u8::try_from(random.alphabetic()).unwrap_or(b'A'),
            Content::LettersDigits => u8::try_from(random.alphanumeric()).unwrap_or(b'A'),
            Content::LettersDigitsSpace => match random.u8(0..8) {
                0 => b' ',
                _ => u8::try_from(random.alphanumeric()).unwrap_or(b'A'),
            },
            Content::Printable => loop {
                let character = random.u8(0x20..=0x7E);
                if !b"[]^".contains(&character) {
                    break character;
                }
            },
            Content::Track => random.u8(0x30..=0x3F),
            Content::Binary => random.u8(..),
        }
    }
}

/// The golden messages of a dialect, as one with these settings writes them.
pub(crate) fn golden(name: &str, dialect: &Dialect) -> anyhow::Result<Vec<Message>> {
    let original = Dialect::parse(&dialect_text(name)?)?;
    let mut messages = Vec::new();
    let mut layout = Layout::new();
    for file in fs::read_dir(fixtures().join("golden"))? {
        let path = file?.path();
        let described: toml::Table = match path.extension().and_then(|end| end.to_str()) {
            Some("toml") => fs::read_to_string(&path)?.parse()?,
            _ => continue,
        };
        if described.get("dialect").and_then(toml::Value::as_str) != Some(name) {
            continue;
        }
        let frame = from_hex(&fs::read_to_string(path.with_extension("hex"))?)?;
        let read = parse(&original, &frame, &mut layout)?;
        let mut scratch = [0; TEXT_MAX];
        let fields: Vec<(u8, Vec<u8>)> = read
            .fields()
            .map(|(number, raw)| (number, read.text(number, &mut scratch).unwrap_or(raw).to_vec()))
            .collect();
        let borrowed: Vec<(u8, &[u8])> =
            fields.iter().map(|(number, value)| (*number, value.as_slice())).collect();
        let mut wire = Vec::new();
        encode(dialect, read.mti(), &borrowed, &mut wire)?;
        messages.push(Message { mti: read.mti().to_string(), fields, wire });
    }
    ensure!(messages.len() >= 4, "the golden messages of {name} are there");
    Ok(messages)
}

pub(crate) fn dialect_text(name: &str) -> anyhow::Result<String> {
    Ok(fs::read_to_string(fixtures().join("dialects").join(name).with_extension("toml"))?)
}

fn fixtures() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../fixtures")
}

fn from_hex(text: &str) -> anyhow::Result<Vec<u8>> {
    let digits: Vec<char> = text.split_whitespace().flat_map(str::chars).collect();
    let pairs = digits.chunks(2).map(|pair| pair.iter().collect::<String>());
    pairs.map(|pair| Ok(u8::from_str_radix(&pair, 16)?)).collect()
}
