//! Random histories: every command there is, with the repeats, collisions, late, early and crossed
//! messages and time jumps that links produce. The same seed gives the same history.

use shared::command::{
    Advice, Advised, Authorization, Channel, Command, Credentials, LockOutside, MessageClass,
    MessageKey, PartnerAnswer, PartnerRefusal, References, Reversal, ReversalKind,
};
use shared::credential::CredentialResult;
use shared::ids::{CommandId, LinkId, Sequence, Timestamp};
use shared::journal_record::Answer;
use shared::lock_code::LockCode;
use shared::money::{Amount, Money};

use crate::partner::has;
use crate::random::Random;
use crate::world::{EUR, PLN, START, month, opening, purchase, token};

const AMOUNTS: [i64; 10] = [0, 1, 10, 20, 20, 50, 50, 75, 100, 400];
/// Commands that a history may come back to.
const REMEMBERED: usize = 24;

pub(crate) struct History {
    pub(crate) random: Random,
    now: u64,
    opening: Vec<shared::command::Change>,
    /// What was sent, with its place.
    sent: Vec<(Command, Sequence)>,
    /// Questions that may still be open.
    asked: Vec<(MessageKey, Sequence)>,
    ids: u128,
}

impl History {
    pub(crate) fn new(seed: u64) -> Self {
        let mut opening = opening();
        opening.reverse();
        Self {
            random: Random(seed),
            now: START,
            opening,
            sent: Vec::new(),
            asked: Vec::new(),
            ids: 0,
        }
    }

    /// The next command and its time, which may go back.
    pub(crate) fn next(&mut self) -> (Command, Timestamp) {
        if let Some(change) = self.opening.pop() {
            self.ids += 1;
            return (Command::Manage(CommandId(self.ids), change), Timestamp(self.now));
        }
        self.now += match self.random.below(1_000) {
            0 => 40 * 86_400_000,
            1..4 => 86_400_000,
            4..14 => 3_600_000,
            14..40 => 1_800_000,
            40..80 => 5_000,
            _ => self.random.below(400),
        };
        let back = if self.random.percent(2) { self.random.below(4_000) } else { 0 };
        (self.command(), Timestamp(self.now - back))
    }

    /// Notes what was sent.
    pub(crate) fn sent(&mut self, command: Command, at: Sequence, answer: Answer) {
        if matches!(
            command,
            Command::Manage(..) | Command::Expire | Command::Void(..) | Command::Answered(..)
        ) {
            return;
        }
        if let (Command::Authorize(request), Answer::Asked(id)) = (&command, answer) {
            self.asked.push((request.key, id));
        }
        if self.sent.len() < REMEMBERED {
            self.sent.push((command, at));
        } else {
            let place = self.random.place(REMEMBERED);
            self.sent[place] = (command, at);
        }
    }

    /// What became of a question: mostly of one that is open.
    fn answered(&mut self) -> Option<Command> {
        if self.asked.is_empty() {
            return None;
        }
        let place = self.random.place(self.asked.len());
        let (key, id) = self.asked.swap_remove(place);
        let refusals = [
            PartnerRefusal::InsufficientFunds,
            PartnerRefusal::LimitsExceeded,
            PartnerRefusal::FraudsDetected,
            PartnerRefusal::BalanceNotFound,
            PartnerRefusal::Other,
        ];
        let refusal = PartnerAnswer::Declined(self.random.pick(&refusals));
        let has = has(self.random.pick(&AMOUNTS));
        let answers =
            [PartnerAnswer::Agreed, PartnerAnswer::NotAsked, PartnerAnswer::InDoubt, refusal, has];
        let answer = answers[[0, 0, 0, 0, 0, 0, 1, 2, 3, 3, 4, 4][self.random.place(12)]];
        if self.random.percent(10) {
            self.asked.push((key, id)); // and once more
        }
        Some(Command::Answered(key, id, answer))
    }

    fn command(&mut self) -> Command {
        if self.random.percent(25)
            && let Some(answered) = self.answered()
        {
            return answered;
        }
        match self.random.below(100) {
            0..24 => Command::Authorize(self.request()),
            24..42 => Command::Advise(self.advice()),
            42..58 => Command::Reverse(self.reversal()),
            58..68 => self.again(),
            68..72 => self.again_with_other_content(),
            72..76 => self.again_with_other_key(),
            76..80 => {
                let (key, at) = self.earlier().map_or_else(
                    || (self.key(MessageClass::Authorization), Sequence(1)),
                    |(message, at)| (message.key, at),
                );
                Command::Void(key, Sequence(at.0 + u64::from(self.random.percent(15))))
            }
            80..84 => Command::Expire,
            84..86 => self.lock_outside(),
            _ => {
                self.ids += u128::from(!self.random.percent(3));
                Command::Manage(CommandId(self.ids), self.change())
            }
        }
    }

    fn key(&mut self, class: MessageClass) -> MessageKey {
        MessageKey {
            link: LinkId(1),
            class,
            stan: self.random.below(24),
            sent_at: self.random.below(2),
            acquirer: 7,
            forwarder: 0,
        }
    }

    fn references(&mut self) -> References {
        let mut references = References::default();
        if self.random.percent(70) {
            references.rrn[11] = b'0' + u8::try_from(self.random.below(6)).unwrap();
            references.terminal[0] = b'A' + u8::try_from(self.random.below(8) / 7).unwrap();
        }
        if self.random.percent(25) {
            references.life_cycle[0] = b'a' + u8::try_from(self.random.below(4)).unwrap();
        }
        references
    }

    /// A message sent before that holds or moves money by itself.
    fn earlier(&mut self) -> Option<(Authorization, Sequence)> {
        let messages: Vec<(Authorization, Sequence)> = self
            .sent
            .iter()
            .filter_map(|(command, at)| match command {
                Command::Authorize(request) => Some((*request, *at)),
                Command::Advise(advice) => Some((advice.message, *at)),
                Command::Reverse(_)
                | Command::LockOutside(_)
                | Command::Void(..)
                | Command::Expire
                | Command::Manage(..)
                | Command::Answered(..) => None,
            })
            .collect();
        if messages.is_empty() {
            return None;
        }
        Some(self.random.pick(&messages))
    }

    fn plain(&mut self, class: MessageClass) -> Authorization {
        let card = [1, 2, 2, 2, 3, 4, 5, 6, 7, 7, 7, 8][self.random.place(12)];
        let stan = self.random.below(24);
        let currency = if card == 5 || self.random.percent(2) { PLN } else { EUR };
        let amount = self.random.pick(&AMOUNTS);
        let codes = [0, 0, 0, 0, 0, 10_000, 90_000, 200_000, 200_000, 260_000, 300_000, 990_000];
        let mut message = purchase(class, card, stan, amount);
        message.key = self.key(class);
        message.processing_code = self.random.pick(&codes);
        message.transaction = Money::new(amount, currency);
        message.references = self.references();
        if self.random.percent(15) {
            let billed = Money::new(self.random.pick(&AMOUNTS), currency);
            message.billing = Some(billed);
            message.transaction.currency = PLN;
        }
        if self.random.percent(10) {
            message.cash_back = Amount(self.random.pick(&AMOUNTS));
        }
        message.acceptance.channel =
            self.random.pick(&[Channel::Pos, Channel::Pos, Channel::Ecommerce, Channel::Atm]);
        message.acceptance.mcc = self.random.pick(&[5411, 5411, 6011, 7995]);
        message.partial_allowed = self.random.percent(50);
        message.verification = self.random.percent(10);
        message
    }

    fn request(&mut self) -> Authorization {
        let class = if self.random.percent(65) {
            MessageClass::Authorization
        } else {
            MessageClass::Financial
        };
        let mut request = self.plain(class);
        request.incremental = self.random.percent(15);
        if self.random.percent(8) {
            request.expiry = Some(self.random.pick(&[month(), month().plus_months(1)]));
        }
        if self.random.percent(15) {
            let results = [
                CredentialResult::Ok,
                CredentialResult::Bad,
                CredentialResult::Bad,
                CredentialResult::Absent,
                CredentialResult::Unavailable,
            ];
            request.credentials = Credentials {
                verification_value: self.random.pick(&[
                    CredentialResult::Ok,
                    results[3],
                    results[3],
                    results[3],
                    results[1],
                    results[4],
                ]),
                pin: self.random.pick(&results),
            };
        }
        if request.incremental || request.processing_code >= 200_000 {
            self.follow(&mut request);
        }
        request.repeat = self.random.percent(8);
        request
    }

    /// Lets a message refer to an earlier one in one of the ways there are.
    fn follow(&mut self, message: &mut Authorization) {
        let Some((first, _)) = self.earlier() else { return };
        message.token = first.token;
        message.transaction.currency = first.transaction.currency;
        message.billing = first.billing.map(|billing| {
            let amount = message.billing.map_or(billing.amount, |billing| billing.amount);
            Money { amount, ..billing }
        });
        match self.random.below(8) {
            0..3 => message.original = Some(first.key),
            3..6 => message.references = first.references,
            6 => {
                message.original = Some(first.key);
                message.references = first.references;
            }
            _ => {}
        }
        if self.random.percent(50) {
            (message.transaction, message.billing) = (first.transaction, first.billing);
        }
        if self.random.percent(80) {
            message.processing_code = first.processing_code;
        }
    }

    fn advice(&mut self) -> Advice {
        let class = if self.random.percent(50) {
            MessageClass::AuthorizationAdvice
        } else {
            MessageClass::FinancialAdvice
        };
        let mut message = self.plain(class);
        if self.random.percent(80) {
            self.follow(&mut message);
        }
        if let Some((first, _)) = self.earlier().filter(|_| self.random.percent(15)) {
            message.key = MessageKey { class, ..first.key };
        }
        message.incremental = self.random.percent(20);
        message.repeat = self.random.percent(8);
        let advised = [Advised::Approved, Advised::Approved, Advised::Declined, Advised::Unknown];
        Advice {
            message,
            advised: self.random.pick(&advised),
            more_to_come: self.random.percent(40),
        }
    }

    fn reversal(&mut self) -> Reversal {
        let kinds = [
            (ReversalKind::Request, MessageClass::Reversal),
            (ReversalKind::Advice, MessageClass::Reversal),
            (ReversalKind::NegativeAcknowledgement, MessageClass::NegativeAcknowledgement),
        ];
        let (kind, class) = self.random.pick(&kinds);
        let classes = [
            MessageClass::Authorization,
            MessageClass::Financial,
            MessageClass::AuthorizationAdvice,
            MessageClass::FinancialAdvice,
            MessageClass::Authorization,
            MessageClass::Financial,
            MessageClass::Reversal,
        ];
        let class_of_original = self.random.pick(&classes);
        let mut reversal = Reversal {
            key: self.key(class),
            repeat: self.random.percent(10),
            original: self.key(class_of_original),
            kind,
            token: self.random.percent(70).then(|| token(self.random.below(7) + 1)),
            references: self.references(),
            transaction: self.random.percent(50).then(|| Amount(self.random.pick(&AMOUNTS))),
            new_total: None,
            new_billing: None,
        };
        if let Some((first, _)) = self.earlier().filter(|_| self.random.percent(85)) {
            if reversal.token.is_some() && self.random.percent(95) {
                reversal.token = Some(first.token);
            }
            match self.random.below(4) {
                0..2 => reversal.original = first.key,
                2 => reversal.references = first.references,
                _ => {
                    reversal.original = first.key;
                    reversal.references = first.references;
                }
            }
            if self.random.percent(60) {
                reversal.transaction = Some(first.transaction.amount);
            }
        }
        if self.random.percent(35) {
            reversal.new_total = Some(Amount(self.random.pick(&AMOUNTS).max(1)));
            reversal.new_billing =
                self.random.percent(30).then(|| Amount(self.random.pick(&AMOUNTS)));
        }
        reversal
    }

    fn again(&mut self) -> Command {
        if self.sent.is_empty() {
            return Command::Expire;
        }
        let place = self.random.place(self.sent.len());
        let mut command = self.sent[place].0.clone();
        if let Command::Authorize(request) = &mut command {
            request.repeat = self.random.percent(50);
        }
        command
    }

    fn again_with_other_content(&mut self) -> Command {
        match self.again() {
            Command::Authorize(mut request) => {
                self.spoil(&mut request);
                Command::Authorize(request)
            }
            Command::Advise(mut advice) => {
                self.spoil(&mut advice.message);
                Command::Advise(advice)
            }
            Command::Reverse(mut reversal) => {
                match self.random.below(3) {
                    0 => reversal.new_total = Some(Amount(self.random.pick(&AMOUNTS).max(1))),
                    1 => reversal.original = self.key(MessageClass::Authorization),
                    _ => reversal.token = Some(token(self.random.below(7) + 1)),
                }
                Command::Reverse(reversal)
            }
            Command::LockOutside(mut lock) => {
                lock.lock = None;
                Command::LockOutside(lock)
            }
            other @ (Command::Void(..)
            | Command::Expire
            | Command::Manage(..)
            | Command::Answered(..)) => other,
        }
    }

    fn spoil(&mut self, message: &mut Authorization) {
        match self.random.below(7) {
            0 => message.transaction.amount.0 ^= 1,
            1 => message.token = token(self.random.below(7) + 1),
            2 => message.billing = Some(Money::new(7, EUR)),
            3 => message.acceptance.merchant[14] ^= 1,
            4 => message.transaction.currency.0 ^= 1,
            5 => message.processing_code ^= 1,
            // No part of the content.
            _ => message.references = self.references(),
        }
    }

    /// A repeat whose sender gave it another trace.
    fn again_with_other_key(&mut self) -> Command {
        match self.again() {
            Command::Authorize(mut request) => {
                request.key = self.key(request.key.class);
                request.repeat = true;
                Command::Authorize(request)
            }
            Command::Advise(mut advice) => {
                advice.message.key = self.key(advice.message.key.class);
                advice.message.repeat = true;
                Command::Advise(advice)
            }
            Command::Reverse(mut reversal) => {
                reversal.key = self.key(reversal.key.class);
                reversal.repeat = true;
                Command::Reverse(reversal)
            }
            other @ (Command::LockOutside(_)
            | Command::Void(..)
            | Command::Expire
            | Command::Manage(..)
            | Command::Answered(..)) => other,
        }
    }

    fn lock_outside(&mut self) -> Command {
        let code = [3, 4, 6, 7, 7, 3, 1][self.random.place(7)];
        Command::LockOutside(LockOutside {
            key: self.key(MessageClass::FileAction),
            token: token(self.random.below(7) + 1),
            lock: LockCode::from_number(code).filter(|_| self.random.percent(40)),
        })
    }
}
