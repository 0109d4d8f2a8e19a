//! The codec under random bytes: messages of every dialect, frames, elements within fields, dialect
//! files. No panic, no hang, no growth.
//!
//! `FUZZ_EXECUTIONS` asks for more (in release; 10^8 take some minutes), `FUZZ_SEED` for another
//! start. Each execution has a seed of its own, which a failure names; `FUZZ_SEED=that
//! FUZZ_EXECUTIONS=1` runs it first. `FUZZ_CORPUS=1` adds the first input found for each new outcome
//! to `fixtures/corpus/`, which is replayed at every run.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise, and says how to come there again"
)]

#[path = "fuzz/corpus.rs"]
mod corpus;
#[path = "fuzz/mutation.rs"]
mod mutation;
#[path = "fuzz/targets.rs"]
mod targets;

use std::collections::HashSet;
use std::fs;
use std::mem::{Discriminant, discriminant};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use corpus::{Corpus, Edit, edited, edits, framed, listed, unwritten, written};
use mutation::{Random, mutate};
use shared::iso8583::{Dialect, FormatError, FramingError, Rule};
use targets::{Elements, FRAMINGS, Link, framing_name};

/// In a debug build, some seconds.
const EXECUTIONS: u64 = 100_000;
/// A dialect file takes as long as a thousand messages.
const DIALECT_EVERY: u64 = 2_000;
const INPUT_MAX: usize = 2_048;
/// What nine tenths of the executions may add to what the process has resident.
const GROWTH_KIB_MAX: u64 = 16 * 1024;

struct Fuzzer {
    links: Vec<Link>,
    /// For each link, messages to begin with.
    seeds: Vec<Vec<Vec<u8>>>,
    dialects: Vec<String>,
    input: Vec<u8>,
}

/// What became of an input, quickly: whether it is worth a look at the corpus.
#[derive(PartialEq, Eq, Hash)]
enum Seen {
    /// The link, and the kind of element with the rule that it broke.
    Message(usize, Option<(u8, Discriminant<Rule>)>),
    /// The framing, frames, and what refused the rest.
    Frames(usize, u8, Option<Discriminant<FramingError>>),
    Elements([Elements; 2]),
    /// The dialect, and what is wrong with it.
    Dialect(usize, String),
}

/// One execution: what became of its input, and how the corpus tells of it.
struct Executed {
    seen: Seen,
    target: &'static str,
    subject: String,
    outcome: String,
    input: String,
}

#[test]
fn random_bytes_are_read_or_refused() {
    let mut fuzzer = Fuzzer::new();
    let executions = asked("FUZZ_EXECUTIONS").unwrap_or(EXECUTIONS);
    let first = asked("FUZZ_SEED").unwrap_or(20_261_124);
    println!("{executions} executions from seed {first}");
    let mut found = Corpus::load();
    let known = found.len();
    let mut seen = HashSet::new();
    let mut resident_early = 0;
    for (place, seed) in (0..executions).map(|n| (n, first.wrapping_add(n))) {
        if place == executions / 10 {
            resident_early = resident_kib();
        }
        let run = AssertUnwindSafe(|| fuzzer.execute(seed, &seen));
        match catch_unwind(run) {
            Ok(None) => {}
            Ok(Some(new)) => {
                found.add(new.target, &new.subject, new.outcome, new.input);
                seen.insert(new.seen);
            }
            Err(panic) => {
                eprintln!("FUZZ_SEED={seed} FUZZ_EXECUTIONS=1, input {}", hex(&fuzzer.input));
                std::panic::resume_unwind(panic);
            }
        }
    }
    println!("{} outcomes, {known} of them known", found.len());
    assert!(resident_kib() <= resident_early + GROWTH_KIB_MAX, "it grows");
    if asked("FUZZ_CORPUS").is_some() {
        found.store();
    }
}

#[test]
fn the_corpus_still_has_its_outcomes() {
    let mut fuzzer = Fuzzer::new();
    let corpus = Corpus::load();
    for (target, least) in [("messages", 150), ("frames", 100), ("elements", 8), ("dialects", 30)] {
        assert!(corpus.of(target).len() >= least, "the corpus of {target} is there");
    }
    for (dialect, outcome, input) in corpus.of("messages") {
        let link = fuzzer.links.iter_mut().find(|link| link.dialect.name() == dialect).unwrap();
        let found = message_told(link.message(&unhex(input)).err().map(kind_of));
        assert_eq!(found, outcome, "{dialect} {input}");
    }
    let framings: Vec<_> = (0..FRAMINGS).map(framing_name).collect();
    for (framing, outcome, input) in corpus.of("frames") {
        let choice = framings.iter().position(|name| name == framing).unwrap();
        assert_eq!(framed(targets::frames(&unhex(input), choice)), outcome, "{framing} {input}");
    }
    for (_, outcome, input) in corpus.of("elements") {
        assert_eq!(listed(targets::elements(&unhex(input))), outcome, "{input}");
    }
    for (dialect, outcome, input) in corpus.of("dialects") {
        let of = fuzzer.links.iter().position(|link| link.dialect.name() == dialect).unwrap();
        let text = edited(&fuzzer.dialects[of], &unwritten(input));
        assert_eq!(dialect_told(&text, &fuzzer.seeds[of][0]), outcome, "{dialect} {input}");
    }
    for seeds in fuzzer.seeds {
        for frame in seeds {
            targets::elements(&frame);
            for choice in 0..FRAMINGS {
                targets::frames(&frame, choice);
            }
        }
    }
}

impl Fuzzer {
    fn new() -> Self {
        let names = ["iso87-ascii", "iso87-bcd", "iso93-ascii", "iso2003-ascii", "iso87-ebcdic"];
        let dialects = names.map(|name| read(&format!("dialects/{name}.toml")));
        let compile = |text: &String| &*Box::leak(Box::new(Dialect::parse(text).unwrap()));
        let mut links: Vec<Link> = dialects.iter().map(|text| Link::new(compile(text))).collect();
        let mut seeds = vec![Vec::new(); links.len()];
        for path in files("golden", "hex") {
            let frame = unhex(&fs::read_to_string(path).unwrap());
            let of = links.iter_mut().position(|link| link.message(&frame).is_ok());
            seeds[of.unwrap()].push(frame);
        }
        for (dialect, _, input) in Corpus::load().of("messages") {
            let of = links.iter().position(|link| link.dialect.name() == dialect);
            seeds[of.unwrap()].push(unhex(input));
        }
        assert!(seeds.iter().all(|seeds| seeds.len() >= 3), "each dialect has golden messages");
        Self { links, seeds, dialects: dialects.to_vec(), input: Vec::new() }
    }

    /// One input of one target, made from the seed alone; told where its outcome is none of `seen`.
    fn execute(&mut self, seed: u64, seen: &HashSet<Seen>) -> Option<Executed> {
        let mut random = Random(seed.wrapping_mul(0xD134_2543_DE82_EF95));
        let of = random.below(self.links.len());
        let seeds = &self.seeds[of];
        let other = random.one_of::<Vec<u8>>(seeds);
        if seed.is_multiple_of(DIALECT_EVERY) {
            let other = random.one_of::<String>(&self.dialects);
            let changes = edits(&self.dialects[of], other, &mut random);
            return self.execute_dialect(of, &changes, seen);
        }
        self.input.clear();
        self.input.extend_from_slice(random.one_of::<Vec<u8>>(seeds));
        mutate(&mut self.input, other, &mut random);
        self.input.truncate(INPUT_MAX);
        match random.below(8) {
            0 => {
                let choice = random.below(FRAMINGS);
                let found = targets::frames(&self.input, choice);
                let seen_as =
                    Seen::Frames(choice, found.0, found.1.map(|error| discriminant(&error)));
                (!seen.contains(&seen_as)).then(|| Executed {
                    seen: seen_as,
                    target: "frames",
                    subject: framing_name(choice),
                    outcome: framed(found),
                    input: hex(&self.input),
                })
            }
            1 => {
                let bytes = &self.input[random.below(self.input.len())..];
                let found = targets::elements(bytes);
                (!seen.contains(&Seen::Elements(found))).then(|| Executed {
                    seen: Seen::Elements(found),
                    target: "elements",
                    subject: "elements".to_owned(),
                    outcome: listed(found),
                    input: hex(bytes),
                })
            }
            _ => {
                let link = &mut self.links[of];
                let found = link.message(&self.input).err().map(kind_of);
                let seen_as = Seen::Message(of, found.map(|(of, rule)| (of, discriminant(&rule))));
                (!seen.contains(&seen_as)).then(|| Executed {
                    seen: seen_as,
                    target: "messages",
                    subject: link.dialect.name().to_owned(),
                    outcome: message_told(found),
                    input: hex(&self.input),
                })
            }
        }
    }

    fn execute_dialect(
        &mut self,
        of: usize,
        changes: &[Edit],
        seen: &HashSet<Seen>,
    ) -> Option<Executed> {
        let text = edited(&self.dialects[of], changes);
        self.input = text.clone().into_bytes();
        let outcome = dialect_told(&text, &self.seeds[of][0]);
        let seen_as = Seen::Dialect(of, outcome.clone());
        (!seen.contains(&seen_as)).then(|| Executed {
            seen: seen_as,
            target: "dialects",
            subject: self.links[of].dialect.name().to_owned(),
            outcome,
            input: written(changes),
        })
    }
}

fn message_told(error: Option<(u8, Rule)>) -> String {
    match error {
        None => "read".to_owned(),
        Some((0, rule)) => format!("message type: {rule}"),
        Some((1, rule)) => format!("bit map: {rule}"),
        Some((2, rule)) => format!("field up to 64: {rule}"),
        Some((_, rule)) => format!("field above 64: {rule}"),
    }
}

fn dialect_told(text: &str, frame: &[u8]) -> String {
    let error = targets::dialect(text, frame);
    error.map_or("compiles".to_owned(), |error| told(&error.to_string()))
}

/// The first line of what an error says, without the numbers and names that differ from case to
/// case.
fn told(error: &str) -> String {
    let mut quoted = false;
    let kept = error.lines().next().unwrap_or_default().chars().filter(|character| {
        quoted ^= *character == '`';
        !quoted && !character.is_ascii_digit() && *character != '\t'
    });
    kept.collect()
}

/// The kind of element that an error is about, and the rule that was broken.
fn kind_of(error: FormatError) -> (u8, Rule) {
    (if error.field > 64 { 65 } else { error.field.min(2) }, error.rule)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02X}")).collect()
}

fn unhex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
    let byte = |pair: &[u8]| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap();
    digits.chunks(2).map(byte).collect()
}

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures")
}

fn read(name: &str) -> String {
    fs::read_to_string(fixtures().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn files(folder: &str, extension: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(fixtures().join(folder)).unwrap();
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|found| found == extension));
    paths.sort();
    paths
}

/// What the process has resident; 0 where the system does not tell.
fn resident_kib() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let number = line.and_then(|line| line.split_whitespace().next());
    number.map_or(0, |number| number.parse().unwrap())
}

#[expect(clippy::disallowed_methods, reason = "how long a test runs is asked for from outside")]
fn asked(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}
