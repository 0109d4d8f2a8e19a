//! Nothing at rest tells a card number: after a thousand cards and their traffic, every file, log
//! and metric is searched for every number in every form it could have, for what the cards have in
//! place of a CVC2, and for PINs that were right and wrong.

#![expect(clippy::indexing_slicing, reason = "bytes are searched place by place, within bounds")]

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::ensure;
use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use loadtest::drive::Pace;
use loadtest::fixtures::Fixtures;
use loadtest::fixtures::player::Played;
use loadtest::run::{Options, PROGRAM, prepare};
use loadtest::sandbox::child::CANARY;
use serde_json::json;

use super::{Running, play};

const CARDS: usize = 1_000;
/// PINs as long as they may be, so that none stands anywhere by chance: the right one, a wrong one.
const PINS: [&str; 2] = ["739182645917", "285071943628"];
/// Bytes of each form that are compared at once; the shortest form, a PIN's packed BCD, has as many.
const HEAD: usize = 6;

/// Every form of every number, by its first bytes.
struct Needles {
    by_head: HashMap<[u8; HEAD], Vec<Vec<u8>>>,
    /// Which two bytes begin one at all.
    begins: Vec<bool>,
}

impl Needles {
    fn of<'a>(numbers: impl Iterator<Item = &'a [u8]>) -> Self {
        let mut needles = Self { by_head: HashMap::new(), begins: vec![false; 1 << 16] };
        for number in numbers {
            for form in forms(number) {
                needles.begins[place(&form)] = true;
                let head = form.first_chunk().copied().unwrap_or_default();
                needles.by_head.entry(head).or_default().push(form);
            }
        }
        needles
    }

    /// Where one of them is.
    fn find(&self, bytes: &[u8]) -> Option<usize> {
        let at = |place: usize| {
            let rest = &bytes[place..];
            let forms = rest.first_chunk().and_then(|head| self.by_head.get(head));
            forms.is_some_and(|forms| forms.iter().any(|form| rest.starts_with(form)))
        };
        (0..bytes.len().saturating_sub(HEAD - 1))
            .find(|start| self.begins[place(&bytes[*start..])] && at(*start))
    }
}

fn place(bytes: &[u8]) -> usize {
    usize::from(u16::from_be_bytes([bytes[0], bytes[1]]))
}

/// Text, packed BCD, hexadecimal in both cases, base64 at each of the three alignments.
fn forms(number: &[u8]) -> Vec<Vec<u8>> {
    let packed =
        number.chunks(2).map(|pair| pair.iter().fold(0, |byte, digit| byte << 4 | digit & 15));
    let hex = number.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let mut forms =
        vec![number.to_vec(), packed.collect(), hex.to_uppercase().into_bytes(), hex.into_bytes()];
    for before in 0..3 {
        let text = STANDARD_NO_PAD.encode([&vec![0; before][..], number].concat());
        // Characters that hold bits of the neighbours too are cut off.
        let first = (before * 8).div_ceil(6);
        let last = (before + number.len()) * 8 / 6;
        forms.push(text.as_bytes()[first..last].to_vec());
    }
    forms
}

fn files(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let (path, kind) = (entry.path(), entry.file_type()?);
        if kind.is_dir() {
            found.extend(files(&path)?);
        } else if kind.is_file() {
            found.push(path);
        }
    }
    Ok(found)
}

#[test]
fn the_search_finds_a_number_in_every_form() {
    let number = b"9999998512345678";
    let needles = Needles::of(std::iter::once(&number[..]));
    for before in 0..6 {
        let noise = vec![b'9'; before];
        let text = [&noise, &number[..], b"1"].concat();
        for hidden in [text.clone(), STANDARD_NO_PAD.encode(&text).into_bytes()] {
            assert!(needles.find(&hidden).is_some(), "{before}");
        }
    }
    for form in forms(number) {
        assert!(needles.find(&form).is_some());
    }
    assert!(needles.find(b"9999998512345679 and nothing else").is_none());
}

#[tokio::test]
async fn no_card_number_and_no_cvc2_is_in_any_file_log_or_metric() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let running = Running::start_with(folder.path(), &["--canary"]).await?;
    let prepared = prepare(Options {
        sandbox: folder.path().to_owned(),
        pace: Pace::Closed { window: 16 },
        connections: 2,
        duration: Duration::from_secs(1),
        seed: 1,
        cards: CARDS,
        program: PROGRAM.to_owned(),
        link: None,
        track: true,
        reconnect: false,
        answers: Some(folder.path().join("answers.tsv")),
    })
    .await?;
    let sent = prepared.send()?;
    let report = prepared.check(sent).await?;
    assert_eq!((report.mismatches, report.details), (0, Vec::new()));

    // Messages that break the format go into logs more easily than others.
    let number = String::from_utf8_lossy(prepared.wallets()[0].card.pan.expose()).into_owned();
    let broken = format!(
        r#"{{"kind": "no currency", "mti": "0100", "set": {{"2": "{number}", "4": "000000000001", "43": "{number}                        ", "49": null}}, "expect": {{"39": "30", "44": "049", "reason": "FORMAT_ERROR"}}}}"#
    );
    let mut player = running.player().await?;
    let played = play(&running, &mut player, "none", &broken).await?;
    assert!(played[0].agrees(), "{played:?}");

    let [right, wrong] = PINS;
    let payments = [("right", right, "00", "APPROVED"), ("wrong", wrong, "55", "INVALID_PIN")];
    let payments = payments.map(|(kind, pin, code, reason)| {
        json!({ "kind": kind, "mti": "0100", "card": "pinned", "pin": pin,
            "set": { "4": "000000000100" }, "expect": { "39": code, "reason": reason } })
        .to_string()
    });
    let card = json!({ "card": "pinned", "program": PROGRAM, "topUp": 10_000, "pin": right });
    let lines = [card.to_string(), payments.join("\n")].join("\n");
    let fixtures = Fixtures::parse(&lines)?;
    player.issue(&running.demo()?, &fixtures.cards).await?;
    let played = player.play(&fixtures, &running.journal()).await?;
    assert!(played.iter().all(Played::agrees) && played.len() == 2, "{played:?}");

    let numbers = prepared.wallets().iter().map(|wallet| wallet.card.pan.expose());
    assert!(prepared.wallets().iter().all(|wallet| *wallet.card.cvc2 == CANARY));
    let needles = Needles::of(numbers.chain([CANARY.as_bytes()]).chain(PINS.map(str::as_bytes)));
    let mut searched = 0;
    for path in files(folder.path())? {
        let mut bytes = std::fs::read(&path)?;
        // Segments are made of zeros in advance.
        bytes.truncate(bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1));
        searched += bytes.len();
        ensure!(
            needles.find(&bytes).is_none(),
            "{} has a card number, a CVC2 or a PIN",
            path.display()
        );
        let names_keys = path.ends_with("keys.toml");
        let text = String::from_utf8_lossy(&bytes).to_ascii_lowercase();
        let cvc2 = text.contains("cvc2");
        ensure!(names_keys || !cvc2, "{} tells of a CVC2", path.display());
    }
    assert!(searched > 1 << 20, "the journal and the database were searched");
    for page in
        [running.description.metrics.clone(), format!("{}/metrics", running.description.public)]
    {
        let text = reqwest::get(&page).await?.text().await?;
        assert!(text.contains("# TYPE"), "{page}");
        ensure!(needles.find(text.as_bytes()).is_none(), "{page} has a card number");
    }
    running.stop()
}
