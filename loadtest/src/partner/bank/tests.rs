//! The bank by tables of requests, and by random requests against a model that looks everything up
//! in the whole history.

use std::collections::BTreeMap;

use super::*;

const SETTINGS: Settings = Settings { opening_amount: 1_000, debit_max: 5_000 };
const SMALL: Room = Room { answers: 3, transactions: 3, balances: 3 };

fn name_of(answer: Answer) -> &'static str {
    match answer {
        Ok(()) => "ok",
        Err(refusal) => refusal.words().1,
    }
}

/// Every balance is what was granted and what its transactions brought.
fn assert_conserved(bank: &Bank) {
    let mut nets: BTreeMap<&str, i128> = BTreeMap::new();
    for ((_, balance), transaction) in bank.transactions() {
        *nets.entry(balance).or_default() += i128::from(transaction.net);
    }
    for (id, balance) in bank.balances() {
        let net = nets.get(id.as_str()).copied().unwrap_or_default();
        assert_eq!(i128::from(balance.amount), balance.granted + net, "{id}");
    }
}

/// `verb words.. [@key] = outcome`, a line each. Words: `link user balance`, `delete user balance`,
/// `read user balance`, `amount balance`, `grant balance amount`, `status balance transaction`, and
/// `debit balance transaction amount [merchant]` like all that move money.
fn check(bank: &mut Bank, table: &str) {
    for line in table.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let (asked, expected) = line.split_once(" = ").unwrap();
        let words: Vec<&str> = asked.split_whitespace().collect();
        assert_eq!(outcome(bank, &words, asked), expected.trim(), "{line}");
        assert_conserved(bank);
    }
}

fn outcome(bank: &mut Bank, words: &[&str], asked: &str) -> String {
    match words {
        ["amount", id] => bank.balances[*id].amount.to_string(),
        ["status", id, transaction] => {
            let name = ((*transaction).to_owned(), (*id).to_owned());
            format!("{:?}", bank.transactions.get(&name).unwrap().status)
        }
        ["read", user, id] => match bank.balance(user, id) {
            Ok(balance) => balance.amount.to_string(),
            Err(refusal) => name_of(Err(refusal)).to_owned(),
        },
        _ => {
            let key = words.iter().find_map(|word| word.strip_prefix('@'));
            let digest = asked.split_whitespace().collect();
            let once = key.map(|key| Once { key: key.to_owned(), digest });
            name_of(bank.apply(&command(words), once.as_ref())).to_owned()
        }
    }
}

fn command(words: &[&str]) -> Command {
    let text = |index: usize| words[index].to_owned();
    let movement = |status| Movement {
        balance_id: text(1),
        transaction_id: text(2),
        amount: words[3].parse().unwrap(),
        currency: "EUR".to_owned(),
        status,
        merchant: words.get(4).map(|merchant| (*merchant).to_owned()).unwrap_or_default(),
    };
    match words[0] {
        "link" => Command::Link { user: text(1), balance: text(2), currency: "EUR".to_owned() },
        "delete" => Command::Delete { user: text(1), balance: text(2) },
        "grant" => Command::Grant { balance: text(1), amount: words[2].parse().unwrap() },
        "debit" => Command::Debit(movement(Status::Authorized)),
        "force-debit" => Command::ForceDebit(movement(Status::Authorized)),
        "credit" => Command::Credit(movement(Status::Authorized)),
        "force-credit" => Command::ForceCredit(movement(Status::Authorized)),
        "reversal" => Command::Reversal(movement(Status::Authorized)),
        "clear" => Command::Update(movement(Status::Cleared)),
        other => panic!("{other}"),
    }
}

#[test]
fn a_balance_is_linked_read_and_given_up_by_its_user_alone() {
    check(
        &mut Bank::new(SETTINGS),
        "link unknown-7 a = USER_NOT_FOUND
         link 1 a = ok
         link 1 a = ok
         link 2 a = FORBIDDEN
         read 1 a = 1000
         read 2 a = FORBIDDEN
         read 1 b = BALANCE_NOT_FOUND
         delete 2 a = FORBIDDEN
         delete 1 a = BALANCE_NOT_EMPTY
         grant a 0 = ok
         delete 1 a = ok
         delete 1 a = BALANCE_NOT_FOUND
         read 1 a = BALANCE_NOT_FOUND
         debit a t1 0 = BALANCE_NOT_FOUND
         link 2 a = FORBIDDEN
         link 1 a = ok
         read 1 a = 0",
    );
}

#[test]
fn a_debit_is_refused_for_what_stands_first() {
    check(
        &mut Bank::new(SETTINGS),
        "debit a t1 6000 FRAUD-1 = BALANCE_NOT_FOUND
         credit a t1 6000 FRAUD-1 = BALANCE_NOT_FOUND
         link 1 a = ok
         debit a t1 6000 FRAUD-1 = FRAUDS_DETECTED
         debit a t1 5001 = LIMITS_EXCEEDED
         debit a t1 5000 = INSUFFICIENT_FUNDS
         debit a t1 1001 = INSUFFICIENT_FUNDS
         amount a = 1000
         debit a t1 1000 = ok
         amount a = 0
         credit a t2 1 FRAUD = FRAUDS_DETECTED
         credit a t2 9000 = ok
         amount a = 9000",
    );
    let mut bank = Bank::new(SETTINGS);
    check(&mut bank, "link 1 a = ok");
    let Command::Debit(mut dollars) = command(&["debit", "a", "t", "1"]) else { panic!() };
    dollars.currency = "USD".to_owned();
    for command in [Command::Debit, Command::Credit, Command::ForceDebit, Command::ForceCredit] {
        let answer = bank.apply(&command(dollars.clone()), None);
        assert_eq!(answer, Err(Refusal::CurrencyMismatch));
    }
    let (user, balance, currency) = ("1".to_owned(), "a".to_owned(), "USD".to_owned());
    let answer = bank.apply(&Command::Link { user, balance, currency }, None);
    assert_eq!(answer, Err(Refusal::BalanceInAnotherCurrency));
}

#[test]
fn what_is_forced_is_done_beyond_the_balance_and_without_a_link() {
    check(
        &mut Bank::new(SETTINGS),
        "link 1 a = ok
         force-debit a t1 6000 FRAUD = ok
         amount a = -5000
         debit a t2 0 = INSUFFICIENT_FUNDS
         force-credit a t3 5500 = ok
         amount a = 500
         force-debit b t1 300 = ok
         read 1 b = BALANCE_NOT_FOUND
         debit b t9 1 = BALANCE_NOT_FOUND
         amount b = -300
         link 1 b = ok
         read 1 b = 700
         grant a 0 = ok
         delete 1 a = ok
         force-credit a t4 20 = ok
         amount a = 20",
    );
}

#[test]
fn a_reversal_reverts_all_once_and_what_it_overtook_is_not_done() {
    check(
        &mut Bank::new(SETTINGS),
        "link 1 a = ok
         debit a t1 300 = ok
         debit a t1 200 = ok
         amount a = 500
         reversal a t1 300 = ok
         amount a = 1000
         reversal a t1 300 = ok
         amount a = 1000
         status a t1 = Reversed
         debit a t1 300 = TRANSACTION_REVERSED
         credit a t2 300 = ok
         reversal a t2 300 = ok
         amount a = 1000
         reversal a t3 400 = ok
         debit a t3 400 = TRANSACTION_REVERSED
         credit a t3 400 = TRANSACTION_REVERSED
         clear a t3 400 = TRANSACTION_NOT_FOUND
         amount a = 1000
         force-debit a t3 400 = ok
         amount a = 600
         reversal a t3 400 = ok
         amount a = 1000
         reversal nowhere t1 300 = ok
         link 1 b = ok
         debit b t1 300 = ok
         amount b = 700",
    );
}

#[test]
fn a_status_changes_and_moves_no_money() {
    check(
        &mut Bank::new(SETTINGS),
        "link 1 a = ok
         clear a t1 300 = TRANSACTION_NOT_FOUND
         debit a t1 300 = ok
         status a t1 = Authorized
         clear a t1 300 = ok
         status a t1 = Cleared
         amount a = 700
         reversal a t1 300 = ok
         amount a = 1000
         clear a t1 300 = ok
         debit a t1 300 = TRANSACTION_REVERSED",
    );
}

#[test]
fn a_key_has_one_effect_and_one_answer_and_belongs_to_one_request() {
    check(
        &mut Bank::new(SETTINGS),
        "link 1 a = ok
         debit a t1 900 @k1 = ok
         debit a t1 900 @k1 = ok
         amount a = 100
         debit a t1 901 @k1 = IDEMPOTENCY_KEY_REUSED
         credit a t1 900 @k1 = IDEMPOTENCY_KEY_REUSED
         debit a t2 500 @k2 = INSUFFICIENT_FUNDS
         credit a t3 900 @k3 = ok
         debit a t2 500 @k2 = INSUFFICIENT_FUNDS
         debit a t2 500 @k4 = ok
         reversal a t2 500 @k5 = ok
         reversal a t2 500 @k5 = ok
         amount a = 1000",
    );
}

#[test]
fn what_there_is_no_room_for_is_forgotten_or_refused() {
    check(
        &mut Bank::within(SETTINGS, SMALL),
        "link 1 a = ok
         debit a t1 100 @k1 = ok
         debit a t2 100 @k2 = ok
         debit a t3 100 @k3 = ok
         debit a t4 100 @k4 = ok
         amount a = 600
         reversal a t1 100 = ok
         amount a = 600
         reversal a t3 100 = ok
         amount a = 700
         debit a t5 100 @k4 = IDEMPOTENCY_KEY_REUSED
         debit a t5 100 @k1 = ok
         link 1 b = ok
         link 1 c = ok
         link 1 d = TOO_MANY_BALANCES
         force-debit d t1 1 = TOO_MANY_BALANCES
         link 1 c = ok",
    );
}

#[test]
fn sums_that_cannot_be_kept_are_refused_and_nothing_moves() {
    let largest = i64::MAX;
    check(
        &mut Bank::new(SETTINGS),
        &format!(
            "link 1 a = ok
             force-credit a t1 {} = ok
             amount a = {largest}
             credit a t2 1 = AMOUNT_OUT_OF_RANGE
             force-credit a t1 1 = AMOUNT_OUT_OF_RANGE
             amount a = {largest}
             reversal a t1 1 = ok
             amount a = 1000",
            largest - 1_000
        ),
    );
}

/// What was answered and what moved, in order; everything is searched for.
#[derive(Default)]
struct Model {
    answers: Vec<(String, String, Answer)>,
    /// Balance, and its user while it is linked.
    linked: Vec<(String, String)>,
    /// Balance, and whose it was first.
    opened: Vec<(String, String)>,
    grants: Vec<(String, i64)>,
    /// Transaction, change, whether it is reverted.
    moves: Vec<(Name, i64, bool)>,
    reversals: Vec<Name>,
}

impl Model {
    fn amount(&self, id: &str) -> i64 {
        let grants = self.grants.iter().filter(|(of, _)| of == id).map(|(_, amount)| amount);
        let moves = self.moves.iter().filter(|((_, of), _, reverted)| of == id && !reverted);
        grants.sum::<i64>() + moves.map(|(_, change, _)| change).sum::<i64>()
    }

    fn user(&self, id: &str) -> Option<&str> {
        self.linked.iter().find(|(of, _)| of == id).map(|(_, user)| user.as_str())
    }

    fn exists(&self, id: &str) -> bool {
        self.opened.iter().any(|(of, _)| of == id)
            || self.moves.iter().any(|((_, of), ..)| of == id)
    }

    fn stands(&self, name: &Name) -> bool {
        self.moves.iter().any(|(of, _, reverted)| of == name && !reverted)
    }

    fn apply(&mut self, command: &Command, once: &Once) -> Answer {
        if let Some((_, digest, answer)) = self.answers.iter().find(|(key, ..)| *key == once.key) {
            return if *digest == once.digest { *answer } else { Err(Refusal::KeyReused) };
        }
        let answer = self.decide(command);
        self.answers.push((once.key.clone(), once.digest.clone(), answer));
        answer
    }

    fn decide(&mut self, command: &Command) -> Answer {
        match command {
            Command::Settings(_) => panic!("not asked for"),
            Command::Link { user, balance, .. } => self.link(user, balance),
            Command::Delete { user, balance } => match self.user(balance) {
                None => Err(Refusal::BalanceNotFound),
                Some(holder) if holder != user => Err(Refusal::Forbidden),
                Some(_) if self.amount(balance) != 0 => Err(Refusal::BalanceNotEmpty),
                Some(_) => {
                    self.linked.retain(|(of, _)| of != balance);
                    Ok(())
                }
            },
            Command::Debit(asked) => self.ask(asked, -asked.amount, true),
            Command::Credit(asked) => self.ask(asked, asked.amount, false),
            Command::ForceDebit(told) => self.book(told, -told.amount),
            Command::ForceCredit(told) => self.book(told, told.amount),
            Command::Reversal(told) => {
                let name = told.name();
                for (of, _, reverted) in &mut self.moves {
                    *reverted |= *of == name;
                }
                self.reversals.push(name);
                Ok(())
            }
            Command::Update(told) => {
                let known = self.moves.iter().any(|(of, ..)| *of == told.name());
                if known { Ok(()) } else { Err(Refusal::TransactionNotFound) }
            }
            Command::Grant { balance, amount } => {
                if !self.exists(balance) {
                    return Err(Refusal::BalanceNotFound);
                }
                self.grants.push((balance.clone(), amount - self.amount(balance)));
                Ok(())
            }
        }
    }

    fn link(&mut self, user: &str, id: &str) -> Answer {
        if user.starts_with("unknown") {
            return Err(Refusal::UserNotFound);
        }
        match self.opened.iter().find(|(of, _)| of == id) {
            Some((_, holder)) if holder != user => return Err(Refusal::Forbidden),
            Some(_) => self.linked.retain(|(of, _)| of != id),
            None => {
                self.opened.push((id.to_owned(), user.to_owned()));
                self.grants.push((id.to_owned(), SETTINGS.opening_amount));
            }
        }
        self.linked.push((id.to_owned(), user.to_owned()));
        Ok(())
    }

    fn ask(&mut self, asked: &Movement, change: i64, funds: bool) -> Answer {
        let name = asked.name();
        if self.user(&asked.balance_id).is_none() {
            Err(Refusal::BalanceNotFound)
        } else if self.reversals.contains(&name) && !self.stands(&name) {
            Err(Refusal::TransactionReversed)
        } else if asked.merchant.starts_with("FRAUD") {
            Err(Refusal::FraudsDetected)
        } else if funds && asked.amount > SETTINGS.debit_max {
            Err(Refusal::LimitsExceeded)
        } else if funds && asked.amount > self.amount(&asked.balance_id) {
            Err(Refusal::InsufficientFunds)
        } else {
            self.book(asked, change)
        }
    }

    fn book(&mut self, told: &Movement, change: i64) -> Answer {
        self.moves.push((told.name(), change, false));
        Ok(())
    }
}

/// One of few users, balances and transactions, so that requests meet.
fn any_command(random: &mut fastrand::Rng) -> Command {
    let user = ["1", "2", "unknown-1"][random.usize(..3)];
    let (balance, transaction) =
        (["a", "b", "c"][random.usize(..3)], format!("t{}", random.u8(..8)));
    let amount = [0, 1, 300, 1_000, 5_001][random.usize(..5)].to_string();
    let merchant = ["", "", "", "FRAUD"][random.usize(..4)];
    let verbs = ["debit", "force-debit", "credit", "force-credit", "reversal", "clear"];
    match random.u8(..20) {
        0..3 => command(&["link", user, balance]),
        3 => command(&["delete", user, balance]),
        4 => command(&["grant", balance, &amount]),
        5 => command(&["grant", balance, "0"]),
        _ => command(&[verbs[random.usize(..6)], balance, &transaction, &amount, merchant]),
    }
}

#[test]
fn random_requests_with_repeats_agree_with_a_model_that_searches_the_history() {
    for seed in 0..60 {
        let mut random = fastrand::Rng::with_seed(seed);
        let (mut bank, mut model) = (Bank::new(SETTINGS), Model::default());
        let mut sent: Vec<(Command, Once)> = Vec::new();
        for step in 0..300 {
            let again = if random.u8(..4) == 0 { random.choice(&sent).cloned() } else { None };
            let (command, once) = again.unwrap_or_else(|| {
                let command = any_command(&mut random);
                // Some keys come again with another request.
                let key = format!("k{}", if random.u8(..20) == 0 { step / 2 } else { step });
                let once = Once { key, digest: format!("{command:?}") };
                (command, once)
            });
            let expected = model.apply(&command, &once);
            assert_eq!(bank.apply(&command, Some(&once)), expected, "{seed} {step}: {command:?}");
            for (id, balance) in bank.balances() {
                let seen = (balance.amount, balance.holder.user());
                assert_eq!(seen, (model.amount(id), model.user(id)), "{seed} {step}: {id}");
            }
            assert_conserved(&bank);
            sent.push((command, once));
        }
        assert!(bank.transactions().any(|(_, found)| found.net != 0), "{seed}: nothing moved");
    }
}

#[test]
fn money_is_conserved_when_transactions_are_forgotten() {
    for seed in 0..20 {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut bank = Bank::within(SETTINGS, SMALL);
        for _step in 0..300 {
            // Refused or not, sums must be right.
            bank.apply(&any_command(&mut random), None).ok();
            assert_conserved(&bank);
        }
        assert!(bank.transactions().count() <= SMALL.transactions);
    }
}
