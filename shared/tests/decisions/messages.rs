//! Lines that are messages: requests, advices, reversals, locks from outside, and the shell's own
//! notices.

use shared::command::{
    Acceptance, Advice, Advised, Authorization, Channel, Credentials, EntryMode, LockOutside,
    MessageClass, MessageKey, PartnerAnswer, PartnerRefusal, References, Reversal, ReversalKind,
};
use shared::credential::CredentialResult;
use shared::ids::LinkId;
use shared::lock_code::LockCode;
use shared::money::{Amount, Money};
use shared::pan::PanToken;

use super::line::{Line, currency};

const REQUEST_NAMES: &[&str] =
    &["verification", "repeat", "partial", "incremental", "declined", "unknown", "more"];
const REQUEST_VALUES: &[&str] = &[
    "stan",
    "sent",
    "acq",
    "fwd",
    "link",
    "card",
    "amount",
    "cur",
    "bill",
    "billcur",
    "type",
    "expiry",
    "cashback",
    "pin",
    "cvv",
    "of",
    "ofclass",
    "oflink",
    "rrn",
    "terminal",
    "lifecycle",
    "channel",
    "entry",
    "mcc",
    "country",
    "merchant",
];
const REVERSAL_NAMES: &[&str] = &["advice", "repeat"];
const REVERSAL_VALUES: &[&str] = &[
    "stan",
    "sent",
    "acq",
    "fwd",
    "link",
    "card",
    "of",
    "ofclass",
    "oflink",
    "rrn",
    "terminal",
    "lifecycle",
    "base",
    "total",
    "newbill",
];

/// The class of a verb's messages.
pub(super) fn class_of(verb: &str) -> MessageClass {
    match verb {
        "auth" => MessageClass::Authorization,
        "sale" => MessageClass::Financial,
        "advice" => MessageClass::AuthorizationAdvice,
        "clear" => MessageClass::FinancialAdvice,
        "reverse" => MessageClass::Reversal,
        "nack" => MessageClass::NegativeAcknowledgement,
        "lock-outside" => MessageClass::FileAction,
        other => panic!("no such class: {other}"),
    }
}

/// The key with the trace under `stan`, on the link under `link`.
pub(super) fn key_of(line: &Line, class: MessageClass, stan: &str, link: &str) -> MessageKey {
    MessageKey {
        link: LinkId(line.maybe(link).or_else(|| line.maybe("link")).unwrap_or(1)),
        class,
        stan: line.number(stan),
        sent_at: line.maybe("sent").unwrap_or(1_215_120_000),
        acquirer: line.maybe("acq").unwrap_or(4),
        forwarder: line.maybe("fwd").unwrap_or(0),
    }
}

fn references(line: &Line) -> References {
    References {
        life_cycle: line.padded("lifecycle", ""),
        rrn: line.padded("rrn", ""),
        terminal: line.padded("terminal", ""),
    }
}

fn token(card: u8) -> PanToken {
    PanToken([card; 16])
}

pub(super) fn authorization(line: &Line) -> Authorization {
    line.understands(REQUEST_NAMES, REQUEST_VALUES);
    let acceptance = Acceptance {
        channel: channel(line.text("channel", "unknown")),
        entry: match line.text("entry", "unknown") {
            "unknown" => EntryMode::Unknown,
            "stored" => EntryMode::StoredCredential,
            "ecommerce" => EntryMode::Ecommerce,
            "chip" => EntryMode::Chip,
            other => panic!("no such entry mode: {other}"),
        },
        mcc: line.maybe("mcc").unwrap_or(0),
        country: line.maybe("country").unwrap_or(0),
        merchant: line.padded("merchant", "SHOP"),
    };
    let of_class = class_of(line.text("ofclass", "auth"));
    let named = line.maybe::<u64>("of").map(|_| key_of(line, of_class, "of", "oflink"));
    let billed = |amount| Money::new(amount, currency(line.text("billcur", "EUR")));
    Authorization {
        key: key_of(line, class_of(&line.verb), "stan", "link"),
        repeat: line.has("repeat"),
        token: token(line.number("card")),
        processing_code: line.maybe("type").unwrap_or(0),
        transaction: Money::new(line.number("amount"), currency(line.text("cur", "EUR"))),
        billing: line.maybe("bill").map(billed),
        cash_back: Amount(line.maybe("cashback").unwrap_or(0)),
        expiry: line.expiry(),
        verification: line.has("verification"),
        incremental: line.has("incremental"),
        partial_allowed: line.has("partial"),
        credentials: Credentials {
            verification_value: credential(line.text("cvv", "absent")),
            pin: credential(line.text("pin", "absent")),
        },
        original: named,
        references: references(line),
        acceptance,
    }
}

pub(super) fn channel(name: &str) -> Channel {
    match name {
        "unknown" => Channel::Unknown,
        "pos" => Channel::Pos,
        "atm" => Channel::Atm,
        "ecommerce" => Channel::Ecommerce,
        other => panic!("no such channel: {other}"),
    }
}

fn credential(name: &str) -> CredentialResult {
    match name {
        "ok" => CredentialResult::Ok,
        "bad" => CredentialResult::Bad,
        "absent" => CredentialResult::Absent,
        "unavailable" => CredentialResult::Unavailable,
        other => panic!("no such result: {other}"),
    }
}

pub(super) fn partner_answer(line: &Line) -> PartnerAnswer {
    line.understands(
        &["agreed", "not-asked", "in-doubt"],
        &["stan", "sent", "acq", "fwd", "link", "class", "by", "has", "no"],
    );
    match (line.maybe("has"), line.text("no", "")) {
        (Some(amount), _) => PartnerAnswer::Has(Amount(amount)),
        (None, "funds") => PartnerAnswer::Declined(PartnerRefusal::InsufficientFunds),
        (None, "limits") => PartnerAnswer::Declined(PartnerRefusal::LimitsExceeded),
        (None, "fraud") => PartnerAnswer::Declined(PartnerRefusal::FraudsDetected),
        (None, "balance") => PartnerAnswer::Declined(PartnerRefusal::BalanceNotFound),
        (None, "other") => PartnerAnswer::Declined(PartnerRefusal::Other),
        (None, _) if line.has("agreed") => PartnerAnswer::Agreed,
        (None, _) if line.has("not-asked") => PartnerAnswer::NotAsked,
        (None, _) if line.has("in-doubt") => PartnerAnswer::InDoubt,
        (None, other) => panic!("no such answer: {other}"),
    }
}

pub(super) fn advice(line: &Line) -> Advice {
    Advice {
        message: authorization(line),
        advised: match (line.has("declined"), line.has("unknown")) {
            (true, _) => Advised::Declined,
            (false, true) => Advised::Unknown,
            (false, false) => Advised::Approved,
        },
        more_to_come: line.has("more"),
    }
}

pub(super) fn reversal(line: &Line) -> Reversal {
    line.understands(REVERSAL_NAMES, REVERSAL_VALUES);
    Reversal {
        key: key_of(line, class_of(&line.verb), "stan", "link"),
        repeat: line.has("repeat"),
        original: key_of(line, class_of(line.text("ofclass", "auth")), "of", "oflink"),
        kind: match (line.verb.as_str(), line.has("advice")) {
            ("nack", _) => ReversalKind::NegativeAcknowledgement,
            (_, true) => ReversalKind::Advice,
            (_, false) => ReversalKind::Request,
        },
        token: line.maybe("card").map(token),
        references: references(line),
        transaction: line.maybe("base").map(Amount),
        new_total: line.maybe("total").map(Amount),
        new_billing: line.maybe("newbill").map(Amount),
    }
}

pub(super) fn lock_outside(line: &Line) -> LockOutside {
    line.understands(&["lift"], &["stan", "sent", "link", "card", "code"]);
    let code = line.maybe("code").map(|code| LockCode::from_number(code).unwrap());
    assert_eq!(code.is_none(), line.has("lift"), "either a code or lift: {}", line.left);
    LockOutside {
        key: key_of(line, MessageClass::FileAction, "stan", "link"),
        token: token(line.number("card")),
        lock: code,
    }
}
