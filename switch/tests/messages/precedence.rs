//! Row 1 stands in front of rows 2 and 3: what is malformed is refused by its field, whatever its
//! key has seen, and leaves what the key has seen as it is.

use shared::iso8583::{Layout, parse};

use super::{
    APPROVED, CONFLICT, FORMAT, Line, MONEY, REVERSED_BEFORE, TAKEN_BACK, amount, in_every_dialect,
};
use crate::rig::{Message, framed};

/// No digit in any encoding.
const NO_DIGIT: u8 = 0xFF;

/// Each way in which a request under the key of `sound` can be malformed, with the failing field.
fn refused_in_every_way(line: &mut Line, sound: &Message) {
    for (field, name) in [(2, "002"), (3, "003"), (4, "004"), (49, "049")] {
        let without = sound.clone().without(field);
        let body = without.body_in(line.notation.dialect);
        refused(line, sound, &body, (name, "a mandatory field is absent"));
    }
    let half_billed = sound.clone().with(6, &amount(100));
    let bad_month = sound.clone().with(14, "9913");
    let bad_number = sound.clone().with(2, "9999991");
    for (message, name) in [(half_billed, "051"), (bad_month, "014"), (bad_number, "002")] {
        let body = message.body_in(line.notation.dialect);
        refused(line, sound, &body, (name, "its content says no value"));
    }
    let body = sound.body_in(line.notation.dialect);
    for (field, name) in [(3, "003"), (4, "004"), (49, "049")] {
        let mut broken = body.clone();
        broken[last_byte_of(line, &body, field)] = NO_DIGIT;
        refused(line, sound, &broken, (name, "its content is of another class"));
    }
    let last = format!("{:03}", sound.fields.keys().next_back().unwrap());
    refused(line, sound, &[&body[..], &[0x11]].concat(), (&last, "bytes follow the last field"));
    refused(line, sound, &body[..body.len() - 1], (&last, "it is cut"));
}

/// The format error of the edition, with the failing field and nothing that an approval has.
fn refused(line: &mut Line, sound: &Message, body: &[u8], (field, why): (&str, &str)) {
    assert!(line.client.send(&framed(body)));
    let answer = line.client.receive().unwrap();
    assert_eq!(answer.mti, format!("{}10", &sound.mti[..2]), "{why}");
    assert_eq!(answer.text(39), line.notation.of(FORMAT), "{why}: {answer:?}");
    assert_eq!(answer.text(line.notation.of([44, 44, 18])), field, "{why}: {answer:?}");
    assert!(!answer.fields.contains_key(&38) && !answer.fields.contains_key(&54), "{why}");
}

fn last_byte_of(line: &Line, body: &[u8], field: u8) -> usize {
    let mut layout = Layout::new();
    let message = parse(line.notation.dialect, body, &mut layout).unwrap();
    usize::from(message.offset_of(field).unwrap()) + message.bytes(field).unwrap().len() - 1
}

#[test]
fn a_malformed_message_under_a_key_that_was_reversed_is_refused_by_its_field() {
    in_every_dialect("", |line| {
        for mti in ["0100", "0200"] {
            let request = line.request(mti, 1_000);
            line.expect(&request, APPROVED);
            let back = line.reversal("0420", &request);
            line.expect(&back, TAKEN_BACK);
            for kind in [mti, &format!("{}1", &mti[..3])] {
                refused_in_every_way(line, &line.typed(&request, kind));
            }
            line.expect(&request, REVERSED_BEFORE);
            assert_eq!(line.funds(), (MONEY, 0));
        }
    });
}

#[test]
fn a_malformed_message_under_a_key_that_a_reversal_took_first_is_refused_by_its_field() {
    in_every_dialect("", |line| {
        let request = line.request("0100", 1_000);
        let back = line.reversal("0420", &request);
        line.expect(&back, TAKEN_BACK);
        refused_in_every_way(line, &request);
        line.expect(&request, REVERSED_BEFORE);
        assert_eq!(line.funds(), (MONEY, 0));
    });
}

#[test]
fn a_malformed_message_under_a_key_that_was_used_is_refused_by_its_field() {
    in_every_dialect("", |line| {
        for (mti, moved) in [("0100", (MONEY, 1_000)), ("0200", (MONEY - 1_000, 1_000))] {
            let request = line.request(mti, 1_000);
            let approved = line.expect(&request, APPROVED);
            let other = request.clone().with(4, &amount(1_001));
            for kind in [mti, &format!("{}1", &mti[..3])] {
                refused_in_every_way(line, &line.typed(&request, kind));
                refused_in_every_way(line, &line.typed(&other, kind));
            }
            // The key still has its answer, for a repeat of the same content and for no other.
            assert_eq!(line.client.ask(&request), approved);
            line.expect(&other, CONFLICT);
            assert_eq!(line.funds(), moved);
        }
    });
}
