//! One line of a table, taken apart: verb, names, and values behind `=`.

use std::collections::BTreeMap;

use shared::card::YearMonth;
use shared::money::{Currency, Money};

/// One line in front of its arrow.
pub(super) struct Line {
    pub(super) left: String,
    pub(super) verb: String,
    names: Vec<String>,
    values: BTreeMap<String, String>,
}

impl Line {
    pub(super) fn parse(text: &str) -> Self {
        let left = text.split("->").next().unwrap_or_default();
        let mut words = left.split_whitespace();
        let verb = words.next().unwrap_or_default().to_owned();
        let (mut names, mut values) = (Vec::new(), BTreeMap::new());
        for word in words {
            match word.split_once('=') {
                Some((name, value)) => drop(values.insert(name.to_owned(), value.to_owned())),
                None => names.push(word.to_owned()),
            }
        }
        let left = left.split_whitespace().collect::<Vec<_>>().join(" ");
        Self { left, verb, names, values }
    }

    /// Panics where a word was not understood, so that a slip of the pen never weakens a table.
    pub(super) fn understands(&self, names: &[&str], values: &[&str]) {
        for name in &self.names {
            assert!(names.contains(&name.as_str()), "{name}? {}", self.left);
        }
        for value in self.values.keys() {
            assert!(values.contains(&value.as_str()), "{value}=? {}", self.left);
        }
    }

    pub(super) fn names(&self) -> &[String] {
        &self.names
    }

    pub(super) fn name(&self, place: usize) -> &str {
        self.names.get(place).unwrap_or_else(|| panic!("a word is missing: {}", self.left))
    }

    pub(super) fn has(&self, flag: &str) -> bool {
        self.names.iter().any(|name| name == flag)
    }

    pub(super) fn text<'a>(&'a self, name: &str, otherwise: &'a str) -> &'a str {
        self.values.get(name).map_or(otherwise, String::as_str)
    }

    pub(super) fn maybe<T: std::str::FromStr>(&self, name: &str) -> Option<T> {
        let read = |text: &String| match text.parse() {
            Ok(value) => value,
            Err(_) => panic!("{name} is not a number: {}", self.left),
        };
        self.values.get(name).map(read)
    }

    pub(super) fn number<T: std::str::FromStr>(&self, name: &str) -> T {
        self.maybe(name).unwrap_or_else(|| panic!("{name} is missing: {}", self.left))
    }

    pub(super) fn named<T: std::str::FromStr>(&self) -> T {
        match self.name(0).parse() {
            Ok(value) => value,
            Err(_) => panic!("the first word is a number: {}", self.left),
        }
    }

    /// What is listed with commas.
    pub(super) fn list(&self, name: &str) -> Vec<&str> {
        self.values.get(name).map_or(Vec::new(), |text| text.split(',').collect())
    }

    /// `A 500 EUR`.
    pub(super) fn money(&self) -> Money {
        Money::new(self.name(1).parse().unwrap(), currency(self.name(2)))
    }

    /// Letters padded with spaces.
    pub(super) fn padded<const N: usize>(&self, name: &str, otherwise: &str) -> [u8; N] {
        padded(self.text(name, otherwise))
    }

    pub(super) fn expiry(&self) -> Option<YearMonth> {
        self.maybe("expiry").map(|yymm| YearMonth::from_yymm(yymm).unwrap())
    }
}

pub(super) fn padded<const N: usize>(text: &str) -> [u8; N] {
    let mut letters = [b' '; N];
    for (to, from) in letters.iter_mut().zip(text.bytes()) {
        *to = from;
    }
    letters
}

pub(super) fn currency(code: &str) -> Currency {
    Currency::from_alpha(code).unwrap_or_else(|| panic!("no such currency: {code}"))
}

pub(super) fn id_of(name: &str) -> u128 {
    name.bytes().fold(0, |id, byte| id << 8 | u128::from(byte))
}
