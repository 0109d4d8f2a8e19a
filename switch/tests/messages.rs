//! Every message of the issuer's side, in every dialect, over real sockets: what is answered, which
//! fields the answer has, and what became of the money.

mod administration;
mod advices;
mod credentials;
mod expiry;
mod framings;
mod golden;
mod partners;
mod precedence;
mod requests;
mod reversals;

use shared::command::{Change, Collateral, Policy, Program};
use shared::control::{PartnerBalanceView, Query, View};
use shared::effect::ExceptionKind;
use shared::ids::{CardId, PartnerBalanceId, PartnerId, Sequence};
use shared::money::{Amount, Currency};

use crate::rig::{Client, Control, Home, Issuer, Message, Notation, Running, balance_id, pan};

/// What every card begins with.
const MONEY: i64 = 10_000;
/// Payment credits up to this are available at once.
const INSTANT_CREDIT_MAX: i64 = 5_000;

/// DE39 by edition: 1987, 1993, 2003.
type Code = [&'static str; 3];
const APPROVED: Code = ["00", "000", "0000"];
const IN_PART: Code = ["10", "002", "0002"];
const NO_FUNDS: Code = ["51", "116", "1016"];
const REVERSED_BEFORE: Code = ["05", "100", "1000"];
const CONFLICT: Code = ["94", "913", "9113"];
const UNKNOWN_TYPE: Code = ["12", "115", "1015"];
const BAD_AMOUNT: Code = ["13", "110", "1010"];
const TAKEN_BACK: Code = ["00", "400", "4000"];
const NO_ORIGINAL: Code = ["25", "914", "9114"];
const FORMAT: Code = ["30", "904", "9100"];
const ECHO: [&str; 2] = ["301", "831"];

/// One dialect's connection, and a card of its own on a program with a partner deposit.
struct Line {
    notation: Notation,
    client: Client,
    control: Control,
    card: u64,
    stan: u32,
    /// The deposit before its first message.
    deposit: PartnerBalanceView,
}

/// Serves a link for each dialect, with `link` lines, and calls `check` for each of them.
fn in_every_dialect(link: &str, check: impl FnMut(&mut Line)) {
    let (_home, running) = served("mode = \"durable\"", link);
    for_every_dialect(&running, check);
    running.stop();
}

fn served(journal: &str, link: &str) -> (Home, Running) {
    let home = Home::new("", "");
    home.configure_links(journal, &Notation::links(link));
    let running = home.start();
    let mut control = running.control();
    let issuer = Issuer::found(&mut control);
    put_policy(&mut control, 900);
    for card in 1..=5 {
        issuer.issue(&mut control, Issuer::DEPOSIT, card, MONEY);
    }
    (home, running)
}

fn put_policy(control: &mut Control, id: u128) {
    let program = Change::PutProgram(Program {
        id: Issuer::DEPOSIT,
        partner: PartnerId(1),
        currency: Currency(978),
        collateral: Collateral::Deposit,
        policy: Policy {
            partial_approval: true,
            instant_credit_max: Amount(INSTANT_CREDIT_MAX),
            ..Policy::default()
        },
    });
    assert_eq!(control.change(id, program).result, Ok(()));
}

fn for_every_dialect(running: &Running, mut check: impl FnMut(&mut Line)) {
    for (card, notation) in (1..).zip(Notation::all()) {
        eprintln!("{}", notation.link);
        let mut control = running.control();
        let deposit = deposit(&mut control);
        let client = notation.connect(running);
        check(&mut Line { notation, client, control, card, stan: 0, deposit });
    }
}

fn deposit(control: &mut Control) -> PartnerBalanceView {
    match control.query(Query::PartnerBalance(PartnerBalanceId(1))) {
        Some(View::PartnerBalance(view)) => view,
        other => panic!("{other:?}"),
    }
}

impl Line {
    fn next_stan(&mut self) -> u32 {
        self.stan += 1;
        self.stan
    }

    /// A message of its card under a key of its own.
    fn request(&mut self, mti: &str, amount: u64) -> Message {
        let stan = self.next_stan();
        self.notation.request(mti, &pan(self.card), stan, amount)
    }

    /// Another message of the same transaction: RRN and terminal are the same.
    fn following(&mut self, mti: &str, earlier: &Message, amount: u64) -> Message {
        self.request(mti, amount).with(37, earlier.text(37))
    }

    fn reversal(&mut self, mti: &str, original: &Message) -> Message {
        let stan = self.next_stan();
        self.notation.reversal(mti, stan, original)
    }

    fn typed(&self, message: &Message, mti: &str) -> Message {
        message.clone().typed(&self.notation.mti(mti))
    }

    /// Asks, and checks whatever an answer must have: type, DE39, echoed fields, DE38.
    fn expect(&mut self, asked: &Message, code: Code) -> Message {
        let answer = self.client.ask(asked);
        let digits = asked.mti.as_bytes();
        let function = if digits[2] == b'0' { '1' } else { '3' };
        assert_eq!(answer.mti, format!("{}{function}0", &asked.mti[..2]));
        assert_eq!(answer.text(39), self.notation.of(code), "{asked:?}\n{answer:?}");
        for field in [2, 3, 4, 7, 11, 12, 13, 32, 37, 41, 42, 49] {
            let same = answer.fields.get(&field) == asked.fields.get(&field);
            assert!(same || (field == 4 && code == IN_PART), "field {field}: {answer:?}");
        }
        let request = matches!(digits[1], b'1' | b'2') && function == '1';
        let approved = request && [APPROVED, IN_PART].contains(&code);
        assert_eq!(answer.fields.contains_key(&38), approved, "{answer:?}");
        assert!(answer.fields.get(&38).is_none_or(|code| code.iter().all(u8::is_ascii_digit)));
        answer
    }

    /// Sends what takes no answer; the next answer is to an echo.
    fn tell(&mut self, message: &Message) {
        let stan = self.next_stan();
        let echo = self.notation.network("0800", stan, ECHO);
        let frames = [message, &echo]
            .map(|message| crate::rig::framed(&message.body_in(self.notation.dialect)));
        assert!(self.client.send(&frames.concat()));
        let answer = self.client.receive().unwrap();
        assert_eq!((&*answer.mti, answer.text(11)), (&*self.notation.mti("0810"), echo.text(11)));
    }

    /// Booked and held of its card; what moved there moved on the deposit.
    fn funds(&mut self) -> (i64, i64) {
        let view = self.control.balance(balance_id(self.card));
        let deposit = deposit(&mut self.control);
        assert_eq!(deposit.ledger.0 - self.deposit.ledger.0, view.ledger.0 - MONEY);
        assert_eq!(deposit.held.0 - self.deposit.held.0, view.held.0);
        (view.ledger.0, view.held.0)
    }

    /// The exception queue behind a sequence.
    fn queue(&mut self, after: Sequence) -> Vec<(ExceptionKind, i64)> {
        match self.control.query(Query::Exceptions { after }) {
            Some(View::Exceptions(found)) => {
                found.iter().map(|entry| (entry.kind, entry.amount.0)).collect()
            }
            other => panic!("{other:?}"),
        }
    }

    /// What joined the exception queue while `act` ran.
    fn raised(&mut self, act: impl FnOnce(&mut Self)) -> Vec<(ExceptionKind, i64)> {
        let after = self.control.status().last_sequence;
        act(self);
        self.queue(after)
    }

    fn change(&mut self, change: Change) {
        let id = u128::from(self.control.status().last_sequence.0) << 70;
        assert_eq!(self.control.change(id, change).result, Ok(()));
    }

    fn card_id(&self) -> CardId {
        CardId(self.card)
    }
}

/// DE4 or DE6.
fn amount(value: u64) -> String {
    format!("{value:012}")
}

/// One amount of DE54: account, kind, currency, sign, value.
fn additional(account: &str, kind: &str, currency: &str, value: i64) -> String {
    let sign = if value < 0 { 'D' } else { 'C' };
    format!("{account}{kind}{currency}{sign}{:012}", value.abs())
}
