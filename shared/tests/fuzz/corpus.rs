//! What fuzzing has found, one input for each outcome of each target: `fixtures/corpus/*.txt`, lines
//! of subject, outcome and input with tabs between them, sorted.

use std::collections::BTreeMap;
use std::fs;

use super::{fixtures, read, told};
use crate::mutation::{Random, mutate};
use crate::targets::{Elements, Framed};

/// The files, by target.
const TARGETS: [&str; 4] = ["dialects", "elements", "frames", "messages"];

/// Inputs by target, subject and outcome. The subject is a dialect or a framing.
#[derive(Default)]
pub(crate) struct Corpus(BTreeMap<(&'static str, String, String), String>);

impl Corpus {
    pub(crate) fn load() -> Self {
        let mut corpus = Self::default();
        for target in TARGETS {
            let text = read(&format!("corpus/{target}.txt"));
            for line in text.lines() {
                let parts: Vec<&str> = line.split('\t').collect();
                corpus.add(target, parts[0], parts[1].to_owned(), parts[2].to_owned());
            }
        }
        corpus
    }

    /// Keeps the first input of each outcome.
    pub(crate) fn add(
        &mut self,
        target: &'static str,
        subject: &str,
        outcome: String,
        input: String,
    ) {
        self.0.entry((target, subject.to_owned(), outcome)).or_insert(input);
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// Subject, outcome and input of each entry of a target.
    pub(crate) fn of(&self, target: &str) -> Vec<(&str, &str, &str)> {
        let entries = self.0.iter().filter(|((of, ..), _)| *of == target);
        entries.map(|((_, subject, outcome), input)| (&**subject, &**outcome, &**input)).collect()
    }

    pub(crate) fn store(&self) {
        for target in TARGETS {
            let entries = self.of(target).into_iter();
            let lines =
                entries.map(|(subject, outcome, input)| format!("{subject}\t{outcome}\t{input}\n"));
            let path = fixtures().join(format!("corpus/{target}.txt"));
            fs::write(path, lines.collect::<String>()).unwrap();
        }
    }
}

/// One change of a text: a line in place of another, in front of it, or none in its place.
#[derive(Clone, Debug)]
pub(crate) enum Edit {
    Replace(usize, Vec<u8>),
    Insert(usize, Vec<u8>),
    Remove(usize),
}

/// Changes for a dialect file, with lines of another.
pub(crate) fn edits(text: &str, other: &str, random: &mut Random) -> Vec<Edit> {
    let lines: Vec<&str> = text.lines().collect();
    let others: Vec<&str> = other.lines().collect();
    let count = 1 + random.below(3);
    let edit = |_| {
        let (at, other) = (random.below(lines.len()), random.one_of(&others).as_bytes());
        match random.below(4) {
            0 => Edit::Remove(at),
            1 => Edit::Insert(at, other.to_vec()),
            _ => {
                let mut line = lines[at].as_bytes().to_vec();
                mutate(&mut line, other, random);
                Edit::Replace(at, line)
            }
        }
    };
    (0..count).map(edit).collect()
}

/// A text with its lines changed, one change behind the other.
pub(crate) fn edited(text: &str, edits: &[Edit]) -> String {
    let mut lines: Vec<Vec<u8>> = text.lines().map(|line| line.as_bytes().to_vec()).collect();
    for edit in edits {
        match edit {
            Edit::Replace(at, line) if *at < lines.len() => lines[*at].clone_from(line),
            Edit::Insert(at, line) if *at <= lines.len() => lines.insert(*at, line.clone()),
            Edit::Remove(at) if *at < lines.len() => drop(lines.remove(*at)),
            Edit::Replace(..) | Edit::Insert(..) | Edit::Remove(_) => {}
        }
    }
    String::from_utf8_lossy(&lines.join(&b'\n')).into_owned()
}

/// Changes as one word: `=12:hex` replaces line 12, counted from 0, `+12:hex` comes in front of it,
/// `-12` removes it; commas between them.
pub(crate) fn written(edits: &[Edit]) -> String {
    let one = |edit: &Edit| match edit {
        Edit::Replace(at, line) => format!("={at}:{}", super::hex(line)),
        Edit::Insert(at, line) => format!("+{at}:{}", super::hex(line)),
        Edit::Remove(at) => format!("-{at}"),
    };
    edits.iter().map(one).collect::<Vec<_>>().join(",")
}

/// The changes of [`written`].
pub(crate) fn unwritten(word: &str) -> Vec<Edit> {
    let one = |edit: &str| {
        let (sign, rest) = edit.split_at(1);
        let (at, line) = rest.split_once(':').unwrap_or((rest, ""));
        let (at, line) = (at.parse().unwrap(), super::unhex(line));
        match sign {
            "=" => Edit::Replace(at, line),
            "+" => Edit::Insert(at, line),
            _ => Edit::Remove(at),
        }
    };
    word.split(',').map(one).collect()
}

/// The outcome of frames.
pub(crate) fn framed((count, error): Framed) -> String {
    let rest = error.map_or("the rest waits".to_owned(), |error| told(&error.to_string()));
    format!("{}; {rest}", counted(count))
}

/// The outcome of elements.
pub(crate) fn listed([plain, ber]: [Elements; 2]) -> String {
    let one = |(count, whole)| {
        format!("{}{}", counted(count), if whole { "" } else { ", then bytes that are none" })
    };
    format!("subelements: {}; BER: {}", one(plain), one(ber))
}

fn counted(count: u8) -> &'static str {
    match count {
        0 => "none",
        1 => "one",
        _ => "more",
    }
}
