//! The codec under random bytes: messages of every dialect, frames, elements within fields, dialect
//! files. No panic, no hang, no growth.
//!
//! `FUZZ_EXECUTIONS` asks for more (in release; 10^8 take some minutes), `FUZZ_SEED` for another
//! start. Each execution has a seed of its own, which a failure names; `FUZZ_SEED=that
//! FUZZ_EXECUTIONS=1` runs it first. `FUZZ_CORPUS=1` adds the first message found for each new
//! outcome to `fixtures/corpus/messages.txt`, which is replayed at every run.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise, and says how to come there again"
)]

#[path = "fuzz/mutation.rs"]
mod mutation;
#[path = "fuzz/targets.rs"]
mod targets;

use std::collections::BTreeMap;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use mutation::{Random, mutate};
use shared::iso8583::{Dialect, FormatError, Rule};
use targets::Link;

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

/// What became of a message: dialect, and what was said of it.
type Outcome = (String, String);
/// The same, quickly: the link, and the kind of element with the rule that it broke.
type Seen = (usize, Option<(u8, Rule)>);

#[test]
fn random_bytes_are_read_or_refused() {
    let mut fuzzer = Fuzzer::new();
    let executions = asked("FUZZ_EXECUTIONS").unwrap_or(EXECUTIONS);
    let first = asked("FUZZ_SEED").unwrap_or(20_261_124);
    println!("{executions} executions from seed {first}");
    let mut found = corpus();
    let known = found.len();
    let mut seen = Vec::new();
    let mut resident_early = 0;
    for (place, seed) in (0..executions).map(|n| (n, first.wrapping_add(n))) {
        if place == executions / 10 {
            resident_early = resident_kib();
        }
        let run = AssertUnwindSafe(|| fuzzer.execute(seed));
        match catch_unwind(run) {
            Ok(Some(outcome)) if !seen.contains(&outcome) => {
                seen.push(outcome);
                let (of, error) = outcome;
                let key = (fuzzer.links[of].dialect.name().to_owned(), told(error));
                found.entry(key).or_insert_with(|| fuzzer.input.clone());
            }
            Ok(_) => {}
            Err(panic) => {
                eprintln!("FUZZ_SEED={seed} FUZZ_EXECUTIONS=1, input {}", hex(&fuzzer.input));
                std::panic::resume_unwind(panic);
            }
        }
    }
    println!("{} outcomes, {known} of them known", found.len());
    assert!(resident_kib() <= resident_early + GROWTH_KIB_MAX, "it grows");
    if asked("FUZZ_CORPUS").is_some() {
        write_corpus(&found);
    }
}

#[test]
fn the_corpus_still_has_its_outcomes() {
    let mut fuzzer = Fuzzer::new();
    let corpus = corpus();
    assert!(corpus.len() >= 50, "the corpus is there");
    for ((dialect, outcome), frame) in &corpus {
        let link = fuzzer.links.iter_mut().find(|link| link.dialect.name() == dialect).unwrap();
        assert_eq!(
            told(link.message(frame).err().map(kind_of)),
            *outcome,
            "{dialect} {}",
            hex(frame)
        );
    }
    for seeds in fuzzer.seeds {
        for frame in seeds {
            targets::elements(&frame);
            (0..28).for_each(|choice| targets::frames(&frame, choice));
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
        for ((dialect, _), frame) in corpus() {
            let of = links.iter().position(|link| link.dialect.name() == dialect);
            seeds[of.unwrap()].push(frame);
        }
        assert!(seeds.iter().all(|seeds| seeds.len() >= 3), "each dialect has golden messages");
        Self { links, seeds, dialects: dialects.to_vec(), input: Vec::new() }
    }

    /// One input of one target, made from the seed alone.
    fn execute(&mut self, seed: u64) -> Option<Seen> {
        let mut random = Random(seed.wrapping_mul(0xD134_2543_DE82_EF95));
        let of = random.below(self.links.len());
        let seeds = &self.seeds[of];
        let other = random.one_of::<Vec<u8>>(seeds);
        self.input.clear();
        self.input.extend_from_slice(random.one_of::<Vec<u8>>(seeds));
        if seed.is_multiple_of(DIALECT_EVERY) {
            let frame = std::mem::take(&mut self.input);
            let (text, other) = (random.one_of(&self.dialects), random.one_of(&self.dialects));
            self.input = line_mutated(text, other, &mut random);
            targets::dialect(&String::from_utf8_lossy(&self.input), &frame);
            return None;
        }
        mutate(&mut self.input, other, &mut random);
        self.input.truncate(INPUT_MAX);
        match random.below(8) {
            0 => {
                let choice = random.below(28);
                targets::frames(&self.input, choice);
                None
            }
            1 => {
                let from = random.below(self.input.len());
                targets::elements(&self.input[from..]);
                None
            }
            _ => {
                let link = &mut self.links[of];
                Some((of, link.message(&self.input).err().map(kind_of)))
            }
        }
    }
}

/// A dialect file with some lines changed, dropped or taken from another.
fn line_mutated(text: &str, other: &str, random: &mut Random) -> Vec<u8> {
    let mut lines: Vec<Vec<u8>> = text.lines().map(|line| line.as_bytes().to_vec()).collect();
    let others: Vec<&str> = other.lines().collect();
    for _ in 0..1 + random.below(3) {
        let (at, other) = (random.below(lines.len()), random.one_of(&others).as_bytes());
        match random.below(4) {
            0 => {
                lines.remove(at);
            }
            1 => lines.insert(at, other.to_vec()),
            _ => mutate(&mut lines[at], other, random),
        }
    }
    lines.join(&b'\n')
}

fn told(error: Option<(u8, Rule)>) -> String {
    match error {
        None => "read".to_owned(),
        Some((0, rule)) => format!("message type: {rule}"),
        Some((1, rule)) => format!("bit map: {rule}"),
        Some((2, rule)) => format!("field up to 64: {rule}"),
        Some((_, rule)) => format!("field above 64: {rule}"),
    }
}

/// The kind of element that an error is about, and the rule that was broken.
fn kind_of(error: FormatError) -> (u8, Rule) {
    (if error.field > 64 { 65 } else { error.field.min(2) }, error.rule)
}

/// Lines of dialect, outcome and message as hex, tabs between them.
fn corpus() -> BTreeMap<Outcome, Vec<u8>> {
    let text = read("corpus/messages.txt");
    text.lines()
        .map(|line| {
            let parts: Vec<&str> = line.split('\t').collect();
            ((parts[0].to_owned(), parts[1].to_owned()), unhex(parts[2]))
        })
        .collect()
}

fn write_corpus(found: &BTreeMap<Outcome, Vec<u8>>) {
    let lines = found
        .iter()
        .map(|((dialect, outcome), frame)| format!("{dialect}\t{outcome}\t{}\n", hex(frame)));
    fs::write(fixtures().join("corpus/messages.txt"), lines.collect::<String>()).unwrap();
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
