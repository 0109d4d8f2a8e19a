//! The demonstration: the four requests of the quick start, a top-up, one message for each kind of
//! decision, and a burst of load.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use serde_json::json;

use crate::description::Description;
use crate::drive::Pace;
use crate::fixtures::player::{Played, Player};
use crate::fixtures::{self, Fixtures};
use crate::report::Report;
use crate::rest::Rest;
use crate::run::{self, Options};

/// The program of the quick start. Source: requirements #186.
const PROGRAM: &str = "0019167984";
const TOP_UP: i64 = 100_000;
/// A picture of one grey pixel.
const IMAGE: &[u8] = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x01\x00\x00\x00\x01\x08\x00\
    \x00\x00\x00\x3a\x7e\x9b\x55\x00\x00\x00\nIDATx\x9cch\x00\x00\x00\x82\x00\x81\x77\xcd\x72\xb6\
    \x00\x00\x00\x00IEND\xaeB\x60\x82";

/// What came of it.
pub(super) struct Shown {
    /// The quick start's own card: last four digits.
    pub(super) last_four: String,
    /// One for each kind of decision.
    pub(super) decisions: Vec<Played>,
    /// The burst.
    pub(super) burst: Report,
}

impl Shown {
    /// Whether every answer was the expected one.
    pub(super) fn agrees(&self) -> bool {
        self.decisions.iter().all(Played::agrees) && self.burst.mismatches == 0
    }
}

/// All of it.
pub(super) async fn run(
    folder: &Path,
    description: &Description,
    rest: &Arc<Rest>,
) -> anyhow::Result<Shown> {
    let journal = folder.join(&description.journal);
    let mut player = Player::connect(folder, description, None).await?;
    let last_four = quick_start(rest, &mut player).await.context("the quick start")?;
    let first = r#"{"card": "quick-start", "program": "0019167984"}
        {"kind": "quick start", "mti": "0100", "card": "quick-start", "set": {"4": "000000001050"}, "expect": {"39": "00", "reason": "APPROVED"}}"#;
    let mut decisions = player.play(&Fixtures::parse(first)?, &journal).await?;
    for link in &description.iso8583 {
        let mut player = Player::connect(folder, description, Some(&link.link)).await?;
        for text in fixtures::ALL {
            let fixtures = Fixtures::parse(text)?;
            player.issue(rest, &fixtures.cards).await?;
            decisions.extend(player.play(&fixtures, &journal).await?);
        }
    }
    let burst = burst(folder).await.context("the burst")?;
    Ok(Shown { last_four, decisions, burst })
}

/// User, identity check, balance, card; then money.
async fn quick_start(rest: &Rest, player: &mut Player) -> anyhow::Result<String> {
    let number = fastrand::u32(100_000..1_000_000);
    let customer = rest
        .add_customer(&json!({
            "firstName": "Ada",
            "lastName": "Example",
            "phone": format!("48511{number}"),
            "email": format!("ada.{number}@example.com"),
            "birthDate": "1990-01-01",
            "wPIN": "1234",
            "state": "VERIFIED",
            "kyc": "SUCCESS",
        }))
        .await?;
    let form = [
        ("firstName", "Ada"),
        ("lastName", "Example"),
        ("street", "Prosta"),
        ("pesel", "90010112349"),
        ("number", "1"),
        ("city", "Lublin"),
        ("birthDate", "1990-01-01"),
        ("postCode", "20-128"),
        ("identityCardNo", "ABC123456"),
        ("apartment", "2"),
        ("documentType", "passport"),
        ("country", "PL"),
        ("documentExpirationDate", "2035-01-30"),
        ("nationality", "polish"),
    ];
    let form: Vec<_> = form.iter().map(|(name, text)| (*name, (*text).to_owned())).collect();
    rest.register(&customer, &form, IMAGE).await?;
    let balance = rest.open_balance(&customer, "EUR").await?;
    let card = rest.issue_card(&customer, &balance, PROGRAM).await?;
    rest.top_up(&customer, &balance, TOP_UP, "EUR").await?;
    let last_four = String::from_utf8_lossy(&card.pan.last_four()).into_owned();
    player.know("quick-start", card);
    Ok(last_four)
}

/// Two seconds at a modest rate, for the latency that a newcomer's machine shows.
async fn burst(folder: &Path) -> anyhow::Result<Report> {
    let seed = fastrand::u64(..);
    let options = Options {
        sandbox: folder.to_owned(),
        pace: Pace::Open { rate: 2_000, seed },
        connections: 4,
        duration: Duration::from_secs(2),
        seed,
        cards: 16,
        program: run::PROGRAM.to_owned(),
        link: None,
        track: false,
        reconnect: false,
        answers: None,
    };
    let prepared = run::prepare(options).await?;
    let sending = tokio::task::spawn_blocking(move || {
        let sent = prepared.send();
        (prepared, sent)
    });
    let (prepared, sent) = sending.await?;
    prepared.check(sent?).await
}
