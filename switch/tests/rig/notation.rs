//! How each dialect writes what a test means: types, numbers, times, references to other messages.
//!
//! Written from the tables of the standard's editions and not from the switch's code.

use std::sync::LazyLock;

use shared::iso8583::Dialect;
use shared::iso8583::mti::Version;

use super::{Client, Message, Running, purchase};

/// An operator's own dialect.
const EBCDIC: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../fixtures/dialects/iso87-ebcdic.toml");

/// The dialect of one link.
#[derive(Clone, Copy)]
pub(crate) struct Notation {
    /// The link's name.
    pub(crate) link: &'static str,
    pub(crate) dialect: &'static Dialect,
    /// What the link's configuration calls it.
    pub(crate) named: &'static str,
}

/// How the card's number came to the terminal.
#[derive(Clone, Copy)]
pub(crate) enum Entry {
    Chip,
    Stripe,
    Keyed,
    Ecommerce,
}

impl Notation {
    /// One of each.
    pub(crate) fn all() -> [Self; 5] {
        static CUSTOM: LazyLock<Dialect> =
            LazyLock::new(|| Dialect::parse(&std::fs::read_to_string(EBCDIC).unwrap()).unwrap());
        let built_in = |name| Dialect::built_in(name).unwrap();
        [
            ("ascii-87", built_in("iso87-ascii"), "iso87-ascii"),
            ("bcd-87", built_in("iso87-bcd"), "iso87-bcd"),
            ("ascii-93", built_in("iso93-ascii"), "iso93-ascii"),
            ("ascii-2003", built_in("iso2003-ascii"), "iso2003-ascii"),
            ("ebcdic-87", &CUSTOM, EBCDIC),
        ]
        .map(|(link, dialect, named)| Self { link, dialect, named })
    }

    /// The configuration of a link for each, with `more` lines.
    pub(crate) fn links(more: &str) -> String {
        let section = |(id, notation): (u16, Self)| {
            format!(
                "[[links]]\nname = {:?}\nid = {id}\naddress = \"127.0.0.1:0\"\ndialect = {:?}\n{more}\n",
                notation.link, notation.named
            )
        };
        (1..).zip(Self::all()).map(section).collect()
    }

    pub(crate) fn connect(&self, running: &Running) -> Client {
        Client::connect(running.address_of(self.link)).speaking(self.dialect)
    }

    /// What stands in the column of its edition: 1987, 1993, 2003.
    pub(crate) fn of<T>(&self, [first, second, third]: [T; 3]) -> T {
        match self.dialect.version() {
            Version::V1987 => first,
            Version::V1993 => second,
            Version::V2003 => third,
        }
    }

    /// A type of the 1987 edition in its own.
    pub(crate) fn mti(&self, mti: &str) -> String {
        format!("{}{}", self.of(["0", "1", "2"]), &mti[1..])
    }

    /// DE11.
    pub(crate) fn stan(&self, stan: u32) -> String {
        let width = self.of([6, 6, 12]);
        format!("{stan:0width$}")
    }

    /// A purchase, or what its type makes of it.
    pub(crate) fn request(&self, mti: &str, pan: &str, stan: u32, amount: u64) -> Message {
        let usual = purchase(pan, stan, amount).typed(&self.mti(mti)).with(11, &self.stan(stan));
        let time = self.of(["112653", "260314112653", "20260314112653"]);
        match self.of([false, true, true]) {
            false => usual.with(12, time).with(13, "0314"),
            true => self.entered(usual.without(18).with(26, "5411").with(12, time), Entry::Chip),
        }
    }

    /// DE22.
    pub(crate) fn entered(&self, message: Message, entry: Entry) -> Message {
        let (short, long) = match entry {
            Entry::Chip => ("051", "21010151123C"),
            Entry::Stripe => ("901", "21010121123C"),
            Entry::Keyed => ("011", "21010161123C"),
            Entry::Ecommerce => ("811", "21015011123C"),
        };
        message.with(22, self.of([short, long, long]))
    }

    /// The message, naming its original.
    pub(crate) fn naming(&self, message: Message, original: &Message) -> Message {
        let text = |field| original.text(field);
        let acquirer: u64 = text(32).parse().unwrap();
        let (mti, stan) = (&original.mti, text(11));
        match self.dialect.version() {
            Version::V1987 => {
                message.with(90, &format!("{mti}{stan}{}{acquirer:011}{:011}", text(7), 0))
            }
            Version::V1993 => message.with(56, &format!("{mti}{stan}{}06{acquirer}", text(12))),
            Version::V2003 => message.with(56, &format!("{mti}{stan}{}{acquirer:011}", text(12))),
        }
    }

    /// The message, naming type and number of its original and nothing else.
    pub(crate) fn half_naming(&self, message: Message, original: &Message) -> Message {
        let zeros = "0".repeat(self.of([32, 12, 14]));
        let named = format!("{}{}{zeros}", original.mti, original.text(11));
        message.with(self.of([90, 56, 56]), &named)
    }

    /// The reversal of `original`, under a key of its own.
    pub(crate) fn reversal(&self, mti: &str, stan: u32, original: &Message) -> Message {
        let own = original.clone().typed(&self.mti(mti)).with(11, &self.stan(stan));
        self.naming(own, original)
    }

    /// A reversal that leaves `left` of the transaction amount.
    pub(crate) fn partial(&self, reversal: Message, left: u64) -> Message {
        match self.of([true, false, false]) {
            true => reversal.with(95, &format!("{left:012}{:030}", 0)),
            false => {
                let first = format!("{}{:012}", reversal.text(4), 0);
                reversal.with(30, &first).with(4, &format!("{left:012}"))
            }
        }
    }

    /// A network management message: code of 1987, code of later editions.
    pub(crate) fn network(&self, mti: &str, stan: u32, codes: [&str; 2]) -> Message {
        let message = Message::new(&self.mti(mti), &[(7, "0314092653"), (11, &self.stan(stan))]);
        message.with(self.of([70, 24, 24]), self.of([codes[0], codes[1], codes[1]]))
    }
}

/// DE48 made of tags and values.
pub(crate) fn private(elements: &[(&str, &str)]) -> String {
    elements.iter().map(|(tag, value)| format!("{tag}{:02}{value}", value.len())).collect()
}
