//! Rows of the requirements that no other test here is about, each through real TLS and HTTP.

use axum::http::StatusCode;
use reqwest::Method;
use reqwest::multipart::{Form, Part};
use serde_json::{Value, json};
use shared::action_code::Reason;
use shared::command::{Command, MessageClass};
use shared::credential::CredentialResult;
use shared::lock_code::TABLE;
use shared::pan::Pan;

use crate::fees::payment;
use crate::quick_start::{FORM_TEXTS, JPEG};
use crate::world::{World, on_each, send, text};

/// A card's path.
fn of_card(customer: &str, card: &Value) -> String {
    format!("/secure/customers/{customer}/cards/{}", text(card, "id"))
}

/// Requirements #23, #24: a program keeps its leading zeros, a number lies in its BIN and checks.
#[tokio::test(flavor = "multi_thread")]
async fn a_program_keeps_its_zeros_and_its_numbers_check() {
    on_each(async |world| {
        let customer = world.customer().await;
        let balance = world.balance(&customer, "EUR").await;
        let mut numbers = Vec::new();
        for _card in 0..8 {
            let card = world.card(&customer, &balance, "0019167984").await;
            let shown = world.get(&of_card(&customer, &card)).await.json();
            assert_eq!(shown["configId"], "0019167984");
            let number = text(&card, "pan");
            let pan = Pan::parse(number.as_bytes()).unwrap();
            assert!(number.len() == 16 && number.starts_with("99999984"), "{number}");
            assert!(pan.has_valid_check_digit(), "{number}");
            numbers.push(number);
        }
        numbers.sort_unstable();
        numbers.dedup();
        assert_eq!(numbers.len(), 8, "none is given twice");
        let without = json!({ "balanceId": balance, "configId": "19167984" });
        let path = format!("/secure/customers/{customer}/cards/virtual/async");
        world.post(&path, &without).await.expect_error(404, "CONFIG_NOT_FOUND");
    })
    .await;
}

/// Requirement #28: currency, what is booked, held, available; open, then gone.
#[tokio::test(flavor = "multi_thread")]
async fn a_balance_says_what_is_booked_held_and_available() {
    on_each(async |world| {
        let customer = world.customer().await;
        let balance = world.balance(&customer, "EUR").await;
        world.top_up(&customer, &balance, 10_000).await;
        world.card(&customer, &balance, "0019167984").await;
        let request = payment(world.newest_token(), 1, 2_500, MessageClass::Authorization);
        assert_eq!(world.peer.message(Command::Authorize(request)).reason, Reason::Approved);
        let path = format!("/secure/customers/{customer}/balances/{balance}");
        let shown = world.get(&path).await.json();
        for (member, value) in [
            ("currency", json!("EUR")),
            ("amount", json!(10_000)),
            ("held", json!(2_500)),
            ("available", json!(7_500)),
            ("state", json!("OPEN")),
        ] {
            assert_eq!(shown[member], value, "{member}");
        }
        let empty = world.balance(&customer, "PLN").await;
        let path = format!("/secure/customers/{customer}/balances/{empty}");
        assert_eq!(send(world.secure(Method::DELETE, &path)).await.status, 204);
        world.get(&path).await.expect_error(404, "BALANCE_NOT_FOUND");
    })
    .await;
}

/// Requirements #69, #72: four kinds of document, ten reasons of a rejection.
#[tokio::test(flavor = "multi_thread")]
async fn each_document_is_taken_and_each_reason_of_a_rejection_told() {
    on_each(async |world| {
        let form = |document: &'static str| {
            let texts = FORM_TEXTS.iter().filter(|(name, _)| *name != "documentType");
            let form = texts.fold(Form::new(), |form, (name, value)| form.text(*name, *value));
            let image = || Part::bytes(JPEG).file_name("x.jpg");
            let images = ["imageFace", "imageFront", "imageBack"];
            let form = images.into_iter().fold(form, |form, name| form.part(name, image()));
            form.text("documentType", document)
        };
        for document in DOCUMENTS {
            let customer = world.unchecked().await;
            world.register(&customer, form(document)).await;
        }
        let customer = world.unchecked().await;
        let path = format!("/secure/customers/{customer}/register");
        let got = send(world.secure(Method::POST, &path).multipart(form("library card"))).await;
        got.expect_error(422, "INVALID_CUSTOMER_DATA");

        for reason in REASONS {
            let customer = world.unchecked().await;
            let check = world.register(&customer, form(DOCUMENTS[0])).await;
            let path = format!("/admin/verifications/{check}/reject");
            let body = json!({ "reason": reason });
            assert_eq!(world.admin(Method::POST, &path, Some(&body)).await.status, 204);
            let path = format!("/secure/customers/{customer}/verification");
            let told = world.get(&path).await.json();
            assert_eq!((&told["status"], &told["reason"]), (&json!("REJECTED"), &json!(reason)));
        }
        let check = world.verification().await;
        let path = format!("/admin/verifications/{check}/reject");
        let body = json!({ "reason": "NO_SUCH_REASON" });
        let got = world.admin(Method::POST, &path, Some(&body)).await;
        got.expect_error(400, "INVALID_REQUEST");
    })
    .await;
}

const DOCUMENTS: [&str; 4] = ["passport", "identityCard", "drivingLicence", "residenceCard"];
const REASONS: [&str; 10] = [
    "INVALID_CUSTOMER_DATA",
    "DOCUMENT_UNREADABLE",
    "DOCUMENT_EXPIRED",
    "DOCUMENT_NOT_SUPPORTED",
    "FACE_MISMATCH",
    "UNDERAGE",
    "SANCTIONED",
    "DUPLICATE_CUSTOMER",
    "FRAUD_SUSPECTED",
    "OTHER",
];

/// Requirements #97, #187: each of the eight locks declines from its answer on, four for ever.
#[tokio::test(flavor = "multi_thread")]
async fn each_of_the_eight_locks_declines_and_four_are_for_ever() {
    on_each(async |world| {
        let customer = world.customer().await;
        let balance = world.balance(&customer, "EUR").await;
        world.top_up(&customer, &balance, 10_000).await;
        let mut for_ever = 0;
        for (stan, row) in (1..).zip(TABLE) {
            let card = of_card(&customer, &world.card(&customer, &balance, "0019167984").await);
            let token = world.newest_token();
            let reason = json!({ "reason": row.code.number() });
            assert_eq!(world.post(&format!("{card}/lock"), &reason).await.status, 204);
            let request = payment(token, stan, 100, MessageClass::Authorization);
            let decision = world.peer.message(Command::Authorize(request));
            assert_eq!(decision.reason, Reason::of_lock(row.code));
            assert_eq!(decision.reason.action_code(), row.action);
            let lifted = send(world.secure(Method::POST, &format!("{card}/unlock"))).await;
            assert_eq!(lifted.status, if row.reversible { 204 } else { 409 });
            for_ever += usize::from(!row.reversible);
        }
        assert_eq!(for_ever, 4);
    })
    .await;
}

/// What a payment with the newest card and a wrong PIN is told.
fn pay_with_wrong_pin(world: &World, stan: u64) -> Reason {
    let mut request = payment(world.newest_token(), stan, 100, MessageClass::Authorization);
    request.credentials.pin = CredentialResult::Bad;
    world.peer.message(Command::Authorize(request)).reason
}

/// Requirement #103.
#[tokio::test(flavor = "multi_thread")]
async fn the_third_wrong_pin_is_seen_as_lock_six() {
    on_each(async |world| {
        let customer = world.customer().await;
        let balance = world.balance(&customer, "EUR").await;
        world.top_up(&customer, &balance, 10_000).await;
        let card = of_card(&customer, &world.card(&customer, &balance, "0019167984").await);
        let token = world.newest_token();
        for stan in 1..=2 {
            assert_eq!(pay_with_wrong_pin(world, stan), Reason::InvalidPin);
            assert_eq!(world.get(&card).await.json()["lock"], Value::Null);
        }
        assert_eq!(pay_with_wrong_pin(world, 3), Reason::PinTriesExceeded);
        let shown = world.get(&card).await.json();
        assert_eq!((&shown["lock"], &shown["lockedBy"]), (&json!(6), &json!("SWITCH")));
        assert_eq!(send(world.secure(Method::POST, &format!("{card}/unlock"))).await.status, 204);
        let request = payment(token, 4, 100, MessageClass::Authorization);
        assert_eq!(world.peer.message(Command::Authorize(request)).reason, Reason::Approved);
    })
    .await;
}

/// Requirement #99: the tries begin anew behind lock 6, and behind no other.
#[tokio::test(flavor = "multi_thread")]
async fn lifting_lock_six_lets_pins_be_tried_anew() {
    on_each(async |world| {
        let customer = world.customer().await;
        let balance = world.balance(&customer, "EUR").await;
        world.top_up(&customer, &balance, 10_000).await;
        let card = of_card(&customer, &world.card(&customer, &balance, "0019167984").await);
        let lift = async || {
            let got = send(world.secure(Method::POST, &format!("{card}/unlock"))).await;
            assert_eq!(got.status, 204, "{got:?}");
        };
        let tries = [Reason::InvalidPin, Reason::InvalidPin, Reason::PinTriesExceeded];
        for stan in [0, 10] {
            let told = [1, 2, 3].map(|after| pay_with_wrong_pin(world, stan + after));
            assert_eq!(told, tries);
            assert_eq!(world.get(&card).await.json()["lock"], 6);
            lift().await;
        }
        assert_eq!(pay_with_wrong_pin(world, 21), tries[0]);
        for ((stan, lock), told) in [(22, 3), (23, 7)].into_iter().zip(&tries[1..]) {
            let reason = json!({ "reason": lock });
            assert_eq!(world.post(&format!("{card}/lock"), &reason).await.status, 204);
            lift().await;
            assert_eq!(pay_with_wrong_pin(world, stan), *told, "lock {lock} was lifted");
        }
    })
    .await;
}

/// Requirements #168, #170: nothing where a program has no fee; at once or by invoice, by region.
#[tokio::test(flavor = "multi_thread")]
async fn a_fee_is_nobodys_the_holders_or_the_partners_by_region() {
    on_each(async |world| {
        for (region, fixed, settlement) in
            [("DOMESTIC", 10, "INSTANT"), ("INTRA", 20, "INSTANT"), ("INTER", 30, "INVOICE")]
        {
            let fee = json!({ "kind": "POS", "fixed": fixed, "region": region,
                "homeCountry": "PL", "settlement": settlement });
            world.fee(&fee).await;
        }
        let customer = world.customer().await;
        let fees = world.balance(&customer, "EUR").await;
        world.top_up(&customer, &fees, 10_000).await;
        world.card(&customer, &fees, "0019167984").await;
        let (poland, germany, japan) = (616, 276, 392);
        let mut held = 0;
        for (stan, country, fee) in [(1, poland, 10), (2, germany, 20), (3, japan, 0)] {
            let mut request =
                payment(world.newest_token(), stan, 1_000, MessageClass::Authorization);
            request.acceptance.country = country;
            assert_eq!(world.peer.message(Command::Authorize(request)).reason, Reason::Approved);
            held += 1_000 + fee;
            let path = format!("/secure/customers/{customer}/balances/{fees}");
            assert_eq!(world.get(&path).await.json()["held"], held, "{country}");
        }
        // A program of its own without one: what its partner takes, it takes outside.
        let none = world.balance(&customer, "PLN").await;
        let path = format!("/secure/customers/{customer}/balances/{none}");
        let money = json!({ "amount": 5_000, "currency": "PLN" });
        world.post(&format!("{path}/topup"), &money).await.expect(StatusCode::CREATED);
        world.card(&customer, &none, "0019167990").await;
        let mut request = payment(world.newest_token(), 4, 1_000, MessageClass::Authorization);
        request.transaction.currency = shared::money::Currency(985);
        assert_eq!(world.peer.message(Command::Authorize(request)).reason, Reason::Approved);
        assert_eq!(world.get(&path).await.json()["held"], 1_000);
    })
    .await;
}

/// Requirements #180 to #183: each kind of art is taken as it must be, and refused otherwise.
#[tokio::test(flavor = "multi_thread")]
async fn each_kind_of_art_is_taken_as_it_must_be_alone() {
    on_each(async |world| {
        let put = async |kind: &str, media_type: &str, content: Vec<u8>| {
            let url = world.public_url(&format!("/admin/programs/0019167984/art/{kind}"));
            let request = world.nobody.put(url).bearer_auth(&world.admin_token);
            send(request.header("Content-Type", media_type).body(content)).await
        };
        for (kind, width, height) in [
            ("mdes-card", 1_536, 969),
            ("mdes-logo", 1_372, 293),
            ("mdes-icon", 100, 100),
            ("3ds-logo", 129, 60),
            ("physical-preview", 856, 540),
        ] {
            assert_eq!(put(kind, "image/png", white(width, height)).await.status, 200, "{kind}");
            let other = put(kind, "image/png", white(width - 1, height + 50)).await;
            other.expect_error(422, "INVALID_ART");
            assert_eq!(other.json()["errors"][0]["field"], "WRONG_SIZE", "{kind}");
        }
        let pdf = put("physical-print", "application/pdf", b"%PDF-1.4 and no more".to_vec()).await;
        pdf.expect_error(422, "INVALID_ART");
        let vector = br#"<svg xmlns="http://www.w3.org/2000/svg" width="1536" height="969"/>"#;
        let taken = put("mdes-card-vector", "image/svg+xml", vector.to_vec()).await;
        assert_eq!(taken.status, 200, "{taken:?}");
        let with_script =
            br#"<svg xmlns="http://www.w3.org/2000/svg" width="1536" height="969"><script/></svg>"#;
        let refused = put("mdes-card-vector", "image/svg+xml", with_script.to_vec()).await;
        refused.expect_error(422, "INVALID_ART");
    })
    .await;
}

fn white(width: u32, height: u32) -> Vec<u8> {
    let mut out = Vec::new();
    let mut encoder = png::Encoder::new(&mut out, width, height);
    encoder.set_color(png::ColorType::Rgba);
    encoder.set_depth(png::BitDepth::Eight);
    let mut writer = encoder.write_header().unwrap();
    writer.write_image_data(&[255; 4].repeat((width * height) as usize)).unwrap();
    writer.finish().unwrap();
    out
}
