//! CVV, CVC2 and PIN: verified before anything is held, counted once, locked at the bound.

use shared::card::YearMonth;
use shared::command::Change;
use shared::control::{CardView, Query, View};
use shared::iso8583::Dialect;
use shared::lock_code::{LockCode, LockSource};

use super::{
    APPROVED, Code, FORMAT, Line, MONEY, TAKEN_BACK, for_every_dialect, in_every_dialect, served,
};
use crate::rig::{Client, Entry, Home, Issuer, Medium, Message, Plastic, pan, private, wrong};

const EXPIRED: Code = ["54", "101", "1001"];
const BAD_CVV: Code = ["82", "100", "1045"];
const BAD_PIN: Code = ["55", "117", "1017"];
const TOO_MANY: Code = ["75", "106", "1006"];
const PIN: &str = "4711";

/// A purchase of 100, read from the card in this way.
fn read(line: &mut Line, entry: Entry) -> Message {
    let request = line.request("0100", 100);
    line.notation.entered(request, entry)
}

/// It is declined and holds nothing, or approved and taken back.
fn check(line: &mut Line, request: &Message, code: Code) {
    line.expect(request, code);
    if code == APPROVED {
        let back = line.reversal("0420", request);
        line.expect(&back.without(35).without(45).without(48).without(52), TAKEN_BACK);
    }
    assert_eq!(line.funds(), (MONEY, 0));
}

#[test]
fn the_value_on_a_track_is_that_of_its_medium_or_the_payment_is_declined() {
    in_every_dialect("", |line| {
        let plastic = Plastic::of(line.card);
        for (entry, medium, other) in [
            (Entry::Stripe, Medium::Stripe, Medium::Chip),
            (Entry::Chip, Medium::Chip, Medium::Stripe),
        ] {
            let tracks = [
                (35, plastic.track_2(medium), plastic.track_2(other)),
                (45, plastic.track_1(medium), plastic.track_1(other)),
            ];
            for (field, right, others) in tracks {
                let request = read(line, entry).with(field, &right);
                check(line, &request, APPROVED);
                for bad in [wrong(&right), others] {
                    let request = read(line, entry).with(field, &bad);
                    check(line, &request, BAD_CVV);
                }
            }
            // Two tracks, and one of them is wrong.
            let both = read(line, entry).with(35, &plastic.track_2(medium));
            let both = both.with(45, &wrong(&plastic.track_1(medium)));
            check(line, &both, BAD_CVV);
        }
        let stolen = Plastic::of(line.card + 1).track_2(Medium::Stripe);
        let request = read(line, Entry::Stripe).with(35, &stolen);
        check(line, &request, BAD_CVV);
    });
}

#[test]
fn a_track_that_is_none_is_a_format_error_of_its_field() {
    in_every_dialect("", |line| {
        let track_2 = Plastic::of(line.card).track_2(Medium::Stripe);
        let no_separator = track_2.replace('=', "");
        let no_month = track_2.replace("=9912", "=9913");
        for (field, bad) in [(35, &*no_separator), (35, &no_month), (35, "="), (45, "B^^")] {
            let request = read(line, Entry::Stripe).with(field, bad);
            let answer = line.expect(&request, FORMAT);
            assert!(
                answer.text(line.notation.of([44, 44, 18])).starts_with(&format!("{field:03}"))
            );
        }
        // One that ends before its values asks for nothing to be verified.
        let short = track_2.split_at(track_2.len() - 8).0;
        let request = read(line, Entry::Stripe).with(35, short);
        check(line, &request, APPROVED);
    });
}

#[test]
fn the_printed_value_is_verified_and_only_the_newest_one_is_right() {
    in_every_dialect("", |line| {
        let plastic = Plastic::of(line.card);
        let said = |line: &mut Line, value: &str, code| {
            let request = read(line, Entry::Ecommerce).with(14, "9912");
            check(line, &request.with(48, &private(&[("61", "1"), ("92", value)])), code);
        };
        let (first, second) = (plastic.cvc2(0), plastic.cvc2(1));
        said(line, &first, APPROVED);
        for bad in [&*wrong(&first), &second, "12", "1234", "ABC", ""] {
            said(line, bad, BAD_CVV);
        }
        let card = line.card_id();
        line.change(Change::ResetCvv2 { card, generation: 1 });
        said(line, &first, BAD_CVV);
        said(line, &second, APPROVED);
        // An element that is not whole is not there.
        let request = read(line, Entry::Keyed).with(14, "9912").with(48, "920312");
        check(line, &request, APPROVED);
    });
}

fn card(line: &mut Line) -> CardView {
    let card = line.card_id();
    match line.control.query(Query::Card(card)) {
        Some(View::Card(view)) => view,
        other => panic!("{other:?}"),
    }
}

/// A purchase of 100 with a PIN typed in.
fn typed_in(line: &mut Line, pin: &str) -> Message {
    let mut request = read(line, Entry::Chip);
    request.fields.insert(52, Plastic::of(line.card).iso0(pin));
    request
}

fn set_pin(line: &mut Line) {
    let (card, pvv) = (line.card_id(), Plastic::of(line.card).pvv(PIN));
    line.change(Change::SetPin { card, pvv });
}

#[test]
fn the_third_wrong_pin_in_a_row_locks_the_card_until_it_is_unlocked() {
    in_every_dialect("", |line| {
        let without = typed_in(line, PIN);
        check(line, &without, BAD_PIN);
        set_pin(line);
        let right = typed_in(line, PIN);
        check(line, &right, APPROVED);
        for bad in ["4712", "0000", "571100"] {
            let request = typed_in(line, bad);
            let last = card(line).pin_tries == 2;
            check(line, &request, if last { TOO_MANY } else { BAD_PIN });
        }
        let lock = card(line).lock.unwrap();
        assert_eq!((lock.code, lock.source), (LockCode::PinTriesExceeded, LockSource::Switch));
        let right = typed_in(line, PIN);
        check(line, &right, TOO_MANY);
        let id = line.card_id();
        line.change(Change::UnlockCard(id));
        assert_eq!(card(line).pin_tries, 0);
        let right = typed_in(line, PIN);
        check(line, &right, APPROVED);
    });
}

#[test]
fn a_right_pin_starts_the_count_anew_and_a_repeat_counts_once() {
    in_every_dialect("", |line| {
        set_pin(line);
        for _ in 0..3 {
            let request = typed_in(line, "1234");
            for mti in ["0100", "0101", "0101", "0101"] {
                line.expect(&line.typed(&request, mti), BAD_PIN);
                assert_eq!(card(line).pin_tries, 1);
            }
            let renumbered = line.following("0101", &request, 100).with(52, "12345678");
            line.expect(&renumbered, BAD_PIN);
            assert_eq!(card(line).pin_tries, 1, "a repeat under another number");
            let right = typed_in(line, PIN);
            check(line, &right, APPROVED);
            assert_eq!(card(line).pin_tries, 0);
        }
        // A right PIN counts though the money does not suffice; a wrong CVC2 is told first.
        let request = typed_in(line, "1234");
        check(line, &request, BAD_PIN);
        let much = typed_in(line, PIN).with(4, "000000010001");
        check(line, &much, ["51", "116", "1016"]);
        assert_eq!(card(line).pin_tries, 0);
        let both = typed_in(line, "1234").with(14, "9912").with(48, "9203ABC");
        check(line, &both, BAD_CVV);
        assert_eq!(card(line).pin_tries, 0);
    });
}

#[test]
fn a_counted_pin_survives_a_kill_in_write_behind() {
    let (home, running) = served("mode = \"write-behind\"", "");
    for_every_dialect(&running, |line| {
        set_pin(line);
        for _ in 0..2 {
            let request = typed_in(line, "1234");
            line.expect(&request, BAD_PIN);
        }
    });
    running.kill();
    let running = home.start();
    for_every_dialect(&running, |line| {
        line.stan = 100;
        assert_eq!(card(line).pin_tries, 2);
        let request = typed_in(line, "1234");
        line.expect(&request, TOO_MANY);
    });
    running.kill();
    let running = home.start();
    for_every_dialect(&running, |line| {
        line.stan = 200;
        assert!(card(line).lock.is_some());
        let right = typed_in(line, PIN);
        line.expect(&right, TOO_MANY);
    });
    running.stop();
}

#[test]
fn a_dialect_with_pin_blocks_of_sixteen_bytes_takes_format_4() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../fixtures/dialects/iso87-ascii.toml");
    let text = std::fs::read_to_string(folder).unwrap();
    let short = "(PIN) data\", class = \"b\", length = 8";
    let text = text.replace(short, &short.replace("length = 8", "length = 16"));
    let home = Home::new("", "dialect = \"own/aes.toml\"");
    std::fs::create_dir(home.path("own")).unwrap();
    std::fs::write(home.path("own/aes.toml"), &text).unwrap();
    let dialect: &'static Dialect = Box::leak(Box::new(Dialect::parse(&text).unwrap()));
    let running = home.start();
    let mut control = running.control();
    Issuer::found(&mut control).issue(&mut control, Issuer::NO_COLLATERAL, 1, MONEY);
    let (plastic, mut client) = (Plastic::of(1), Client::connect(running.link).speaking(dialect));
    let set = Change::SetPin { card: shared::ids::CardId(1), pvv: plastic.pvv(PIN) };
    assert_eq!(control.change(1 << 99, set).result, Ok(()));
    for (stan, pin, code) in [(1, PIN, "00"), (2, "4712", "55"), (3, PIN, "00")] {
        let mut request = crate::rig::purchase(&pan(1), stan, 100);
        request.fields.insert(52, plastic.iso4(pin));
        assert_eq!(client.ask(&request).text(39), code);
    }
    // A block of format 0 in a field of this length is none.
    let mut request = crate::rig::purchase(&pan(1), 4, 100);
    request.fields.insert(52, [plastic.iso0(PIN), vec![0; 8]].concat());
    assert_eq!(client.ask(&request).text(39), "55");
    running.stop();
}

#[test]
fn a_card_that_was_renewed_is_no_longer_good_with_its_old_month() {
    in_every_dialect("", |line| {
        let old = Plastic::of(line.card).track_2(Medium::Stripe);
        let card = line.card_id();
        let later = YearMonth { year: 2100, month: 1 };
        line.change(Change::RenewCard { card, expiry: later });
        // The value on the old stripe is right, for the old month.
        let request = read(line, Entry::Stripe).with(35, &old);
        check(line, &request, EXPIRED);
    });
}

#[test]
fn a_printed_value_needs_no_month_beside_it() {
    in_every_dialect("", |line| {
        let value = Plastic::of(line.card).cvc2(0);
        // In one form a letter stands in front of the elements.
        for front in ["", "T"] {
            let elements = format!("{front}{}", private(&[("61", "1"), ("92", &value)]));
            let request = read(line, Entry::Ecommerce).with(48, &elements);
            check(line, &request, APPROVED);
            let elements = format!("{front}{}", private(&[("61", "1"), ("92", &wrong(&value))]));
            let request = read(line, Entry::Ecommerce).with(48, &elements);
            check(line, &request, BAD_CVV);
        }
    });
}

#[test]
fn a_track_whose_value_says_nothing_is_not_held_against_the_card() {
    in_every_dialect("", |line| {
        if line.notation.of([false, true, true]) {
            return;
        }
        for (mode, code) in [("911", APPROVED), ("951", APPROVED), ("051", BAD_CVV)] {
            let track = wrong(&Plastic::of(line.card).track_2(Medium::Chip));
            let request = read(line, Entry::Chip).with(22, mode).with(35, &track);
            check(line, &request, code);
        }
    });
}
