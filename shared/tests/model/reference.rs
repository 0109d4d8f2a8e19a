//! The naive model: what the documents say, in maps and linear scans, with nothing kept twice. What
//! is held on a balance is added up anew each time it is asked for.
//!
//! Which answers are forgotten is the core's choice within documented bounds: the model is told,
//! and objects where neither age nor a bound called for it, or where another one was older.
//! Source: authorization 1 to 4 and 6, `shared::limits`.

use std::collections::{BTreeMap, BTreeSet};

use shared::action_code::Reason;
use shared::card::{CardState, YearMonth};
use shared::command::{
    Authorization, Change, Collateral, Command, MessageClass, MessageKey, NewCard,
    PartnerBalanceKind, Program, Reversal,
};
use shared::control::{Outcome, Refusal};
use shared::effect::{ApprovalCode, Decision};
use shared::ids::{BalanceId, CommandId, PartnerBalanceId, PartnerId, Sequence, Timestamp};
use shared::journal_record::Answer;
use shared::limits::{CARDS_A_BALANCE_MAX, Limits};
use shared::lock_code::Lock;
use shared::money::{Currency, Money};
use shared::pan::PanToken;

/// What makes two messages under one key the same one.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Content {
    Authorization(PanToken, u32, Money, Option<Money>, [u8; 15]),
    Reversal([u64; 4], Option<i64>, Option<i64>),
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Fate {
    Stands,
    TakenBack,
}

#[derive(Clone, Copy, Debug)]
struct Hold {
    balance: BalanceId,
    deposit: Option<PartnerBalanceId>,
    requested: i64,
    authorised: i64,
    left: i64,
}

#[derive(Clone, Copy, Debug)]
struct Message {
    key: MessageKey,
    content: Content,
    decision: Decision,
    sequence: u64,
    fate: Fate,
    hold: Option<Hold>,
    /// Since when nothing is held by it, and its place among those of the same time.
    idle_since: (u64, u64),
}

impl Message {
    fn is_idle(&self) -> bool {
        self.hold.is_none_or(|hold| hold.left == 0)
    }
}

#[derive(Clone, Debug)]
pub(crate) struct UserBalance {
    customer: u64,
    pub(crate) currency: Currency,
    pub(crate) booked: i64,
    pub(crate) open: bool,
    charged_to: Option<PartnerId>,
}

#[derive(Clone, Debug)]
pub(crate) struct CollateralBalance {
    partner: PartnerId,
    kind: PartnerBalanceKind,
    currency: Currency,
    pub(crate) booked: i64,
}

#[derive(Clone, Debug)]
pub(crate) struct ModelCard {
    issued: NewCard,
    pub(crate) state: CardState,
    pub(crate) lock: Option<Lock>,
}

/// What the core said that it forgot for one command.
#[derive(Clone, Debug, Default)]
pub(crate) struct Forgotten {
    pub(crate) messages: Vec<MessageKey>,
    pub(crate) commands: usize,
}

pub(crate) struct Reference {
    limits: Limits,
    now: u64,
    sequence: u64,
    ordinal: u64,
    partners: BTreeSet<PartnerId>,
    programs: BTreeMap<u64, Program>,
    customers: BTreeMap<u64, (bool, bool)>,
    pub(crate) balances: BTreeMap<BalanceId, UserBalance>,
    pub(crate) collateral: BTreeMap<PartnerBalanceId, CollateralBalance>,
    pub(crate) cards: BTreeMap<u64, ModelCard>,
    messages: Vec<Message>,
    commands: Vec<(CommandId, Outcome)>,
}

impl Reference {
    pub(crate) fn new(limits: Limits) -> Self {
        Self {
            limits,
            now: 0,
            sequence: 0,
            ordinal: 0,
            partners: BTreeSet::new(),
            programs: BTreeMap::new(),
            customers: BTreeMap::new(),
            balances: BTreeMap::new(),
            collateral: BTreeMap::new(),
            cards: BTreeMap::new(),
            messages: Vec::new(),
            commands: Vec::new(),
        }
    }

    /// What is answered to `command`; the state moves on.
    pub(crate) fn step(&mut self, command: &Command, now: u64, forgotten: &Forgotten) -> Answer {
        self.now = self.now.max(now);
        self.sequence += 1;
        let answer = match command {
            Command::Authorize(request) => {
                let (decision, message) = self.authorize(request);
                self.forget(&forgotten.messages);
                self.messages.extend(message);
                Answer::Decision(decision)
            }
            Command::Reverse(reversal) => Answer::Decision(self.reverse(reversal, forgotten)),
            Command::Void(key, sequence) => {
                let at = self.messages.iter().position(|found| {
                    found.key == *key
                        && found.sequence == sequence.0
                        && found.hold.is_some()
                        && found.fate == Fate::Stands
                });
                if let Some(at) = at {
                    self.take_back(at, 0);
                }
                Answer::Noted
            }
            Command::Manage(id, change) => Answer::Outcome(self.manage(*id, change, forgotten)),
        };
        assert!(self.messages.len() <= self.limits.transactions_max, "more answers than allowed");
        assert!(self.commands.len() <= self.limits.commands_max, "more commands than allowed");
        answer
    }

    /// Answers and holds that are remembered.
    pub(crate) fn remembered(&self) -> usize {
        self.messages.len()
    }

    /// What open holds reserve of a user balance.
    pub(crate) fn held(&self, balance: BalanceId) -> i64 {
        let holds = self.messages.iter().filter_map(|message| message.hold);
        holds.filter(|hold| hold.balance == balance).map(|hold| hold.left).sum()
    }

    /// What open holds reserve of a deposit.
    pub(crate) fn held_on_deposit(&self, deposit: PartnerBalanceId) -> i64 {
        let holds = self.messages.iter().filter_map(|message| message.hold);
        holds.filter(|hold| hold.deposit == Some(deposit)).map(|hold| hold.left).sum()
    }

    fn authorize(&mut self, request: &Authorization) -> (Decision, Option<Message>) {
        let content = Content::Authorization(
            request.token,
            request.processing_code,
            request.transaction,
            request.billing,
            request.acceptance.merchant,
        );
        if let Some(decision) = self.answer_again(request.key, content) {
            return (decision, None);
        }
        // Two places are kept for a reversal, so that one is always answered.
        let holds = self.messages.iter().filter(|message| !message.is_idle()).count();
        if holds + 2 >= self.limits.transactions_max {
            return (declined(Reason::UnknownError), None);
        }
        let verdict = self.verdict(request);
        let decision = match verdict {
            Ok(_) => Decision {
                reason: Reason::Approved,
                approval: u32::try_from((self.sequence - 1) % 999_999 + 1).ok().map(ApprovalCode),
            },
            Err(reason) => declined(reason),
        };
        (decision, Some(self.message(request.key, content, decision, verdict.ok())))
    }

    /// All rows at once; the first that fails is the answer.
    fn verdict(&self, request: &Authorization) -> Result<Hold, Reason> {
        let money = request.billing.unwrap_or(request.transaction);
        let amount = money.amount.0;
        let card = self.cards.values().find(|card| card.issued.token == request.token);
        let balance = card.and_then(|card| self.balances.get(&card.issued.balance));
        let holder = balance.and_then(|balance| self.customers.get(&balance.customer));
        let program = card.and_then(|card| self.programs.get(&card.issued.program.0));
        let currency = balance.map(|balance| balance.currency);
        let backed = program.filter(|program| program.collateral == Collateral::Deposit);
        let deposit = backed.and_then(|program| {
            self.collateral.iter().find(|(_, row)| {
                row.partner == program.partner
                    && row.kind == PartnerBalanceKind::Deposit
                    && Some(row.currency) == currency
            })
        });
        let state = card.map(|card| card.state);
        let expiry = card.map(|card| card.issued.expiry);
        let today = YearMonth::of(Timestamp(self.now));
        let locked = card.and_then(|card| card.lock).map(|lock| Reason::of_lock(lock.code));
        let short_of = |booked: i64, held: i64| amount > 0 && booked - held < amount;
        let requested = request.transaction.amount.0;
        let verification = request.verification && amount == 0 && requested == 0;
        let kind = request.processing_code / 10_000;
        let rows = [
            (![0, 1, 9, 17].contains(&kind), Reason::UnknownTransactionType),
            ((amount <= 0 || requested <= 0) && !verification, Reason::InvalidAmount),
            (state.is_none_or(|state| state == CardState::Removed), Reason::CardNotFound),
            (
                state == Some(CardState::Ordered) || state == Some(CardState::Linked),
                Reason::CardInactive,
            ),
            (
                state == Some(CardState::Expired)
                    || expiry < Some(today)
                    || request.expiry.is_some_and(|stated| Some(stated) != expiry),
                Reason::CardExpired,
            ),
            (locked.is_some(), locked.unwrap_or(Reason::UnknownError)),
            (holder.is_none_or(|(verified, _)| !verified), Reason::CustomerNotFound),
            (holder.is_some_and(|(_, aml)| *aml), Reason::AmlException),
            (balance.is_none_or(|balance| !balance.open), Reason::BalanceNotFound),
            (Some(money.currency) != currency, Reason::CurrencyMismatch),
            (backed.is_some() && deposit.is_none(), Reason::DepositBalanceNotFound),
            (
                deposit.is_some_and(|(id, row)| short_of(row.booked, self.held_on_deposit(*id))),
                Reason::InsufficientFundsOnDeposit,
            ),
            (
                card.zip(balance).is_some_and(|(card, balance)| {
                    short_of(balance.booked, self.held(card.issued.balance))
                }),
                Reason::InsufficientFunds,
            ),
        ];
        match rows.iter().find(|(failed, _)| *failed) {
            Some((_, reason)) => Err(*reason),
            None => Ok(Hold {
                balance: card.unwrap().issued.balance,
                deposit: deposit.map(|(id, _)| *id),
                requested,
                authorised: amount,
                left: amount,
            }),
        }
    }

    fn reverse(&mut self, reversal: &Reversal, forgotten: &Forgotten) -> Decision {
        let original = reversal.original;
        // DE90 names no link: it is the one that the reversal came on.
        let reference =
            [u64::from(original.stan), original.sent_at, original.acquirer, original.forwarder];
        let base = reversal.transaction.map(|base| base.0);
        let total = reversal.new_total.map(|total| total.0);
        let content = Content::Reversal(reference, base, total);
        if let Some(decision) = self.answer_again(reversal.key, content) {
            return decision;
        }
        let reversible = original.class != MessageClass::Reversal;
        let known = self.messages.iter().find(|found| reversible && found.key == original);
        // A tombstone is content of a reversal under the key of a request.
        let matched = known.is_some_and(|m| matches!(m.content, Content::Authorization(..)));
        let decision = declined(match (matched, reversal.advice) {
            (true, _) => Reason::ReversalAccepted,
            (false, true) => Reason::ReversalAcknowledged,
            (false, false) => Reason::ReversalUnmatched,
        });
        self.forget(&forgotten.messages);
        let own = self.message(reversal.key, content, decision, None);
        self.messages.push(own);
        match self.messages.iter().position(|found| found.key == original) {
            Some(at) if reversible => {
                let hold =
                    self.messages[at].hold.filter(|_| self.messages[at].fate == Fate::Stands);
                let remaining = match (hold, total) {
                    (Some(Hold { requested: base @ 1.., authorised, .. }), Some(total @ 1..)) => {
                        half_up(authorised, total, base).min(authorised)
                    }
                    _ => 0,
                };
                self.take_back(at, remaining);
            }
            None if reversible => {
                let mut grave = self.message(original, content, decision, None);
                grave.fate = Fate::TakenBack;
                self.messages.push(grave);
            }
            _ => {}
        }
        decision
    }

    /// Rows 2 and 3.
    fn answer_again(&self, key: MessageKey, content: Content) -> Option<Decision> {
        let earlier = self.messages.iter().find(|message| message.key == key)?;
        Some(match earlier.fate {
            Fate::TakenBack => declined(Reason::ReversedBeforeRequest),
            Fate::Stands if earlier.content == content => earlier.decision,
            Fate::Stands => declined(Reason::Duplicate),
        })
    }

    fn message(
        &mut self,
        key: MessageKey,
        content: Content,
        decision: Decision,
        hold: Option<Hold>,
    ) -> Message {
        self.ordinal += 1;
        let (sequence, idle_since) = (self.sequence, (self.now, self.ordinal));
        Message { key, content, decision, sequence, fate: Fate::Stands, hold, idle_since }
    }

    /// Lowers what the message holds to `remaining`, never raises it; at nothing it is over.
    fn take_back(&mut self, at: usize, remaining: i64) {
        self.ordinal += 1;
        let message = &mut self.messages[at];
        let was_idle = message.is_idle();
        if let Some(hold) = &mut message.hold {
            hold.left = hold.left.min(remaining);
        }
        if message.is_idle() {
            message.fate = Fate::TakenBack;
            if !was_idle {
                message.idle_since = (self.now, self.ordinal);
            }
        }
    }

    fn forget(&mut self, keys: &[MessageKey]) {
        for key in keys {
            let idle = self.messages.iter().filter(|message| message.is_idle());
            let (answers, all) = (idle.clone().count(), self.messages.len());
            let oldest = idle.min_by_key(|message| message.idle_since).unwrap();
            assert_eq!(oldest.key, *key, "the oldest answer without a hold is forgotten first");
            let old = oldest.idle_since.0 + self.limits.answer_retention_ms <= self.now;
            let crowded = answers + 2 > self.limits.answers_max;
            let full = all + 2 > self.limits.transactions_max;
            assert!(old || crowded || full, "nothing called for forgetting {key:?}");
            self.messages.retain(|message| message.key != *key);
        }
    }

    fn manage(&mut self, id: CommandId, change: &Change, forgotten: &Forgotten) -> Outcome {
        if let Some((_, first)) = self.commands.iter().find(|(known, _)| *known == id) {
            return *first;
        }
        let (sequence, at) = (Sequence(self.sequence), Timestamp(self.now));
        let retention = self.limits.command_retention_ms;
        for _ in 0..forgotten.commands {
            let (_, oldest) = self.commands.remove(0);
            let old = oldest.at.0 + retention <= self.now;
            assert!(old, "nothing called for forgetting a command id");
        }
        if self.commands.len() >= self.limits.commands_max {
            return Outcome { sequence, at, result: Err(Refusal::TableFull) };
        }
        let result = self.change(change);
        let outcome = Outcome { sequence, at, result };
        self.commands.push((id, outcome));
        outcome
    }

    fn change(&mut self, change: &Change) -> Result<(), Refusal> {
        let limits = self.limits;
        match change {
            Change::PutPartner(id) => {
                unless(self.partners.contains(id), full(self.partners.len(), limits.partners_max))?;
                self.partners.insert(*id);
            }
            Change::PutProgram(program) => {
                some(self.partners.get(&program.partner), Refusal::PartnerNotFound)?;
                let known = self.programs.get(&program.id.0);
                refuse(known.is_some_and(|known| known != program), Refusal::IdTaken)?;
                unless(known.is_some(), full(self.programs.len(), limits.programs_max))?;
                self.programs.insert(program.id.0, program.clone());
            }
            Change::PutCustomer { id, verified, aml_locked } => {
                let known = self.customers.contains_key(&id.0);
                unless(known, full(self.customers.len(), limits.customers_max))?;
                self.customers.insert(id.0, (*verified, *aml_locked));
            }
            Change::OpenBalance { id, customer, currency } => {
                self.verified(customer.0)?;
                refuse(self.balances.contains_key(id), Refusal::IdTaken)?;
                full(self.balances.len(), limits.balances_max)?;
                let (customer, currency) = (customer.0, *currency);
                let new =
                    UserBalance { customer, currency, booked: 0, open: true, charged_to: None };
                self.balances.insert(*id, new);
            }
            Change::CloseBalance(id) => {
                let booked = self.open_balance(*id)?.booked;
                refuse(booked != 0 || self.held(*id) != 0, Refusal::BalanceNotEmpty)?;
                self.balances.get_mut(id).unwrap().open = false;
            }
            Change::OpenPartnerBalance { id, partner, kind, currency } => {
                some(self.partners.get(partner), Refusal::PartnerNotFound)?;
                refuse(self.collateral.contains_key(id), Refusal::IdTaken)?;
                let same = self.collateral_of(*partner, *kind, *currency);
                refuse(same.is_some(), Refusal::PartnerBalanceExists)?;
                full(self.collateral.len(), limits.partner_balances_max)?;
                let (partner, kind, currency) = (*partner, *kind, *currency);
                let new = CollateralBalance { partner, kind, currency, booked: 0 };
                self.collateral.insert(*id, new);
            }
            Change::IssueCard(card) => self.issue(card)?,
            Change::SetCardState { card, state } => {
                let card = self.cards.get_mut(&card.0).ok_or(Refusal::CardNotFound)?;
                let (from, to) = (card.state, *state);
                let allowed = from == to || next_states(from).contains(&to);
                refuse(!allowed, Refusal::CardStateForbidden { from, to })?;
                card.state = to;
            }
            Change::LockCard { card, code, source } => {
                let since = Timestamp(self.now);
                self.lockable(card.0)?.lock = Some(Lock { code: *code, source: *source, since });
            }
            Change::UnlockCard(card) => self.lockable(card.0)?.lock = None,
            Change::TopUp { balance, money } => self.top_up(*balance, *money)?,
            Change::Reload { balance, money } => {
                let row =
                    self.collateral.get_mut(balance).ok_or(Refusal::PartnerBalanceNotFound)?;
                refuse(money.currency != row.currency, Refusal::CurrencyMismatch)?;
                refuse(money.amount.0 <= 0, Refusal::InvalidAmount)?;
                row.booked =
                    row.booked.checked_add(money.amount.0).ok_or(Refusal::InvalidAmount)?;
            }
        }
        Ok(())
    }

    fn issue(&mut self, card: &NewCard) -> Result<(), Refusal> {
        let program = some(self.programs.get(&card.program.0), Refusal::ProgramNotFound)?.clone();
        let balance = self.open_balance(card.balance)?.clone();
        self.verified(balance.customer)?;
        refuse(program.currency != balance.currency, Refusal::CurrencyMismatch)?;
        refuse(self.cards.values().any(|c| c.issued.token == card.token), Refusal::TokenTaken)?;
        refuse(self.cards.contains_key(&card.id.0), Refusal::IdTaken)?;
        let to = card.state;
        let over = matches!(to, CardState::Expired | CardState::Removed);
        refuse(over, Refusal::CardStateForbidden { from: CardState::Ordered, to })?;
        let there = self.cards.values().filter(|c| c.issued.balance == card.balance).count();
        refuse(there >= CARDS_A_BALANCE_MAX, Refusal::TooManyCards)?;
        full(self.cards.len(), self.limits.cards_max)?;
        if program.collateral == Collateral::Credit {
            let uncovered = match balance.charged_to {
                Some(partner) => partner != program.partner,
                None => balance.booked != 0,
            };
            refuse(uncovered, Refusal::BalanceNotCovered)?;
            self.balances.get_mut(&card.balance).unwrap().charged_to = Some(program.partner);
        }
        let issued = ModelCard { issued: *card, state: card.state, lock: None };
        self.cards.insert(card.id.0, issued);
        Ok(())
    }

    fn top_up(&mut self, id: BalanceId, money: Money) -> Result<(), Refusal> {
        let balance = self.open_balance(id)?.clone();
        refuse(money.currency != balance.currency, Refusal::CurrencyMismatch)?;
        refuse(money.amount.0 <= 0, Refusal::InvalidAmount)?;
        let booked = balance.booked.checked_add(money.amount.0).ok_or(Refusal::InvalidAmount)?;
        if let Some(partner) = balance.charged_to {
            let credit = self.collateral_of(partner, PartnerBalanceKind::Credit, balance.currency);
            let credit = credit.ok_or(Refusal::CollateralBalanceNotFound)?;
            let row = self.collateral.get_mut(&credit).unwrap();
            refuse(row.booked < money.amount.0, Refusal::InsufficientCollateral)?;
            row.booked -= money.amount.0;
        }
        self.balances.get_mut(&id).unwrap().booked = booked;
        Ok(())
    }

    fn open_balance(&self, id: BalanceId) -> Result<&UserBalance, Refusal> {
        let open = self.balances.get(&id).filter(|balance| balance.open);
        some(open, Refusal::BalanceNotFound)
    }

    fn verified(&self, customer: u64) -> Result<(), Refusal> {
        let (verified, _) = some(self.customers.get(&customer), Refusal::CustomerNotFound)?;
        refuse(!verified, Refusal::CustomerNotVerified)
    }

    fn collateral_of(
        &self,
        partner: PartnerId,
        kind: PartnerBalanceKind,
        currency: Currency,
    ) -> Option<PartnerBalanceId> {
        let wanted = (partner, kind, currency);
        let mut rows = self.collateral.iter();
        rows.find(|(_, row)| (row.partner, row.kind, row.currency) == wanted).map(|(id, _)| *id)
    }

    /// A card whose lock may be set or lifted.
    fn lockable(&mut self, card: u64) -> Result<&mut ModelCard, Refusal> {
        let card = self.cards.get_mut(&card).filter(|card| card.state != CardState::Removed);
        let card = card.ok_or(Refusal::CardNotFound)?;
        let lock = card.lock.map_or(0, |lock| lock.code.number());
        refuse([1, 2, 5, 8].contains(&lock), Refusal::LockedIrreversibly)?;
        Ok(card)
    }
}

/// `amount * part / whole`, a half rounded up.
fn half_up(amount: i64, part: i64, whole: i64) -> i64 {
    let product = i128::from(amount) * i128::from(part);
    let (whole, floor) = (i128::from(whole), product / i128::from(whole));
    let rest = product - floor * whole;
    i64::try_from(if rest * 2 >= whole { floor + 1 } else { floor }).unwrap_or(i64::MAX)
}

fn next_states(state: CardState) -> &'static [CardState] {
    use CardState::{Active, Expired, Linked, Removed};
    match state {
        CardState::Ordered => &[Linked, Removed],
        Linked => &[Active, Expired, Removed],
        Active => &[Expired, Removed],
        Expired => &[Removed],
        Removed => &[],
    }
}

fn declined(reason: Reason) -> Decision {
    Decision { reason, approval: None }
}

fn refuse(condition: bool, refusal: Refusal) -> Result<(), Refusal> {
    if condition { Err(refusal) } else { Ok(()) }
}

fn unless(condition: bool, result: Result<(), Refusal>) -> Result<(), Refusal> {
    if condition { Ok(()) } else { result }
}

fn full(count: usize, most: usize) -> Result<(), Refusal> {
    refuse(count >= most, Refusal::TableFull)
}

fn some<T>(found: Option<T>, refusal: Refusal) -> Result<T, Refusal> {
    found.ok_or(refusal)
}
