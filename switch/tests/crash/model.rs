//! What the switch must have decided, from the messages alone: written from the documents, naive,
//! and sharing no rule with the core.

use std::collections::BTreeMap;

use shared::command::{Change, Command, ReversalKind};
use shared::ids::Sequence;
use shared::journal_record::{Answer, Record};
use shared::pan::{Pan, PanToken, TokenKey};

use crate::rig::{Message, PAN_TOKEN, pan};

/// Cards by token, money by card, every message by its STAN.
pub(super) struct Model {
    /// Up to here the journal is known.
    last: Sequence,
    cards: BTreeMap<PanToken, u64>,
    /// Booked and held.
    funds: BTreeMap<u64, (i64, i64)>,
    requests: BTreeMap<u64, Request>,
    reversals: BTreeMap<u64, &'static str>,
}

struct Request {
    card: u64,
    amount: i64,
    /// DE39 and DE38 of the first answer.
    answer: (&'static str, String),
    id: Sequence,
    taken_back: bool,
}

impl Model {
    pub(super) fn new() -> Self {
        Self {
            last: Sequence(0),
            cards: BTreeMap::new(),
            funds: BTreeMap::new(),
            requests: BTreeMap::new(),
            reversals: BTreeMap::new(),
        }
    }

    pub(super) fn know_card(&mut self, card: u64) {
        let token = TokenKey::new(&PAN_TOKEN).token(&Pan::parse(pan(card).as_bytes()).unwrap());
        self.cards.insert(token, card);
    }

    pub(super) fn funds(&self, card: u64) -> (i64, i64) {
        self.funds[&card]
    }

    /// The records behind those that are known.
    pub(super) fn take_new(&mut self, records: &[Record]) {
        for record in records {
            if record.sequence > self.last {
                self.take(record);
            }
        }
        self.last = records.last().unwrap().sequence;
    }

    /// What stands up to here was told by [`Self::check`] and [`Self::change`].
    pub(super) fn saw(&mut self, last: Sequence) {
        self.last = last;
    }

    /// A journaled record: its command, decided here; the answer must be the recorded one.
    fn take(&mut self, record: &Record) {
        let expected = match &record.command {
            Command::Authorize(request) => {
                let (card, amount) = (self.cards[&request.token], request.billed().amount.0);
                let id = record.sequence;
                let code = format!("{:06}", (id.0 - 1) % 999_999 + 1);
                self.authorize(request.key.stan, (card, amount), code, id)
            }
            Command::Reverse(reversal) => {
                let original = reversal.original.stan;
                (
                    self.reverse(
                        reversal.key.stan,
                        original,
                        reversal.kind == ReversalKind::Advice,
                    ),
                    String::new(),
                )
            }
            Command::Void(key, id) => {
                if self.requests.get(&key.stan).is_some_and(|request| request.id == *id) {
                    self.take_back(key.stan);
                }
                return;
            }
            Command::Expire => return,
            Command::Manage(_, change) => return self.change(change),
            Command::Advise(_) | Command::LockOutside(_) | Command::Answered(..) => {
                panic!("{record:?}")
            }
        };
        let Answer::Decision(decision) = record.answer else { panic!("{record:?}") };
        let code = decision.approval.map(|code| String::from_utf8(code.wire().to_vec()).unwrap());
        let recorded = (decision.reason.wire87(), code.unwrap_or_default());
        assert_eq!(
            (expected.0.as_bytes(), &expected.1),
            (&recorded.0[..], &recorded.1),
            "{record:?}"
        );
    }

    /// A message and the answer that just came.
    pub(super) fn check(&mut self, message: &Message, answer: &Message) {
        let stan = message.text(11).parse().unwrap();
        let expected = if message.mti.starts_with("01") {
            let token = TokenKey::new(&PAN_TOKEN);
            let card = self.cards[&token.token(&Pan::parse(&message.fields[&2]).unwrap())];
            let code = answer.text(38).to_owned();
            self.authorize(stan, (card, message.text(4).parse().unwrap()), code, Sequence(0))
        } else {
            let original = message.text(90)[4..10].parse().unwrap();
            (self.reverse(stan, original, message.mti.starts_with("042")), String::new())
        };
        assert_eq!(
            (expected.0, expected.1.as_str()),
            (answer.text(39), answer.text(38)),
            "{message:?}"
        );
    }

    pub(super) fn change(&mut self, change: &Change) {
        match change {
            Change::TopUp { balance, money } | Change::CreditTransfer { balance, money } => {
                let card = u64::try_from(balance.0).unwrap();
                self.funds.entry(card).or_default().0 += money.amount.0;
            }
            Change::PutPartner(_)
            | Change::PutProgram(_)
            | Change::PutCustomer { .. }
            | Change::OpenBalance { .. }
            | Change::CloseBalance(_)
            | Change::OpenPartnerBalance { .. }
            | Change::IssueCard(_)
            | Change::SetCardState { .. }
            | Change::LockCard { .. }
            | Change::UnlockCard(_)
            | Change::SetPin { .. }
            | Change::ResetCvv2 { .. }
            | Change::RenewCard { .. }
            | Change::PutRule(_)
            | Change::RemoveRule(_)
            | Change::ResolveException(_)
            | Change::Reload { .. }
            | Change::Withdraw { .. }
            | Change::Transfer { .. }
            | Change::PutFee(_)
            | Change::RemoveFee(..)
            | Change::ChargeFee { .. }
            | Change::TransferCharged { .. }
            | Change::PutCustody(..)
            | Change::EntrustBalance(_)
            | Change::BlockBalance { .. }
            | Change::LockByHolder { .. }
            | Change::PutCounts(_) => {}
        }
    }

    fn authorize(
        &mut self,
        stan: u64,
        (card, amount): (u64, i64),
        code: String,
        id: Sequence,
    ) -> (&'static str, String) {
        if let Some(first) = self.requests.get(&stan) {
            return match first {
                Request { taken_back: true, .. } => ("05", String::new()),
                first if (first.card, first.amount) == (card, amount) => first.answer.clone(),
                _ => ("94", String::new()),
            };
        }
        let (ledger, held) = self.funds.get_mut(&card).unwrap();
        let answer = if *ledger - *held >= amount {
            *held += amount;
            ("00", code)
        } else {
            ("51", String::new())
        };
        let request = Request { card, amount, answer: answer.clone(), id, taken_back: false };
        self.requests.insert(stan, request);
        answer
    }

    fn reverse(&mut self, stan: u64, original: u64, advice: bool) -> &'static str {
        if let Some(first) = self.reversals.get(&stan) {
            return first;
        }
        let answer = match (self.requests.get(&original), advice) {
            (Some(request), _) if request.card != 0 => "00",
            (Some(_) | None, true) => "00",
            (Some(_) | None, false) => "25",
        };
        self.reversals.insert(stan, answer);
        self.take_back(original);
        answer
    }

    /// Releases what is held; what never came is kept out.
    fn take_back(&mut self, stan: u64) {
        let never = Request {
            card: 0,
            amount: 0,
            answer: ("05", String::new()),
            id: Sequence(0),
            taken_back: true,
        };
        let request = self.requests.entry(stan).or_insert(never);
        let held = request.answer.0 == "00" && !request.taken_back;
        request.taken_back = true;
        if held {
            self.funds.get_mut(&request.card).unwrap().1 -= request.amount;
        }
    }
}
