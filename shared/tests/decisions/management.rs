//! Lines that are changes from the control link.

use shared::card::{CardState, YearMonth};
use shared::command::{
    Change, Collateral, Counts, Custody, NewCard, OnSilence, PartnerBalanceKind, Policy, Program,
};
use shared::credential::Pvv;
use shared::fee::{Charge, Fee, Payer, Terms};
use shared::ids::{
    BalanceId, CardId, ConfigId, CustomerId, FeeId, PartnerBalanceId, PartnerId, RuleId,
};
use shared::lock_code::{LockCode, LockSource};
use shared::money::{Amount, Money};
use shared::pan::PanToken;
use shared::rule::{Bound, Filter, Period, Rule, Subject};

use super::line::{Line, currency, id_of, padded};
use super::messages::channel;

pub(super) fn change(line: &Line) -> Change {
    let balance = || BalanceId(id_of(line.name(0)));
    let partner_balance = || PartnerBalanceId(id_of(line.name(0)));
    let in_currency = || currency(line.text("cur", "EUR"));
    let card = || CardId(line.named());
    match line.verb.as_str() {
        "partner" => Change::PutPartner(PartnerId(line.named())),
        "program" => Change::PutProgram(program(line)),
        "customer" => Change::PutCustomer {
            id: CustomerId(line.named()),
            verified: !line.has("unverified"),
            aml_locked: line.has("aml"),
        },
        "balance" => Change::OpenBalance {
            id: balance(),
            customer: CustomerId(line.number("customer")),
            currency: in_currency(),
        },
        "close" => Change::CloseBalance(balance()),
        "deposit" | "credit" | "technical" => Change::OpenPartnerBalance {
            id: partner_balance(),
            partner: PartnerId(line.number("partner")),
            kind: match line.verb.as_str() {
                "deposit" => PartnerBalanceKind::Deposit,
                "credit" => PartnerBalanceKind::Credit,
                _ => PartnerBalanceKind::Technical,
            },
            currency: in_currency(),
        },
        "card" => Change::IssueCard(NewCard {
            id: card(),
            token: PanToken([line.maybe("token").unwrap_or_else(|| line.named()); 16]),
            program: ConfigId(line.number("program")),
            balance: BalanceId(id_of(line.text("balance", "A"))),
            expiry: line.expiry().unwrap_or(YearMonth { year: 2026, month: 12 }),
            state: card_state(line.text("state", "Active")),
        }),
        "state" => Change::SetCardState { card: card(), state: card_state(line.name(1)) },
        "lock" | "unlock" => lock(line, card()),
        "pin" => Change::SetPin { card: card(), pvv: Pvv::parse(b'1', b"1234").unwrap() },
        "cvv2" => Change::ResetCvv2 { card: card(), generation: line.number("generation") },
        "renew" => Change::RenewCard { card: card(), expiry: line.expiry().unwrap() },
        "rule" => Change::PutRule(rule(line)),
        "unrule" => Change::RemoveRule(RuleId(line.named())),
        "top-up" => Change::TopUp { balance: balance(), money: line.money() },
        "credit-transfer" => Change::CreditTransfer { balance: balance(), money: line.money() },
        "withdraw" => Change::Withdraw { balance: balance(), money: line.money() },
        "transfer" => transfer(line),
        "fee" => Change::PutFee(fee(line)),
        "unfee" => Change::RemoveFee(ConfigId(line.number("program")), FeeId(line.named())),
        "charge" => {
            let (fee, money) = (FeeId(line.number("fee")), line.money());
            Change::ChargeFee {
                balance: balance(),
                charge: Charge { fee, money, payer: payer(line) },
            }
        }
        "custody" => Change::PutCustody(ConfigId(line.named()), custody(line)),
        "entrust" => Change::EntrustBalance(balance()),
        "block" | "unblock" => Change::BlockBalance {
            balance: balance(),
            blocked: line.verb == "block",
            source: source(line.text("by", "partner")),
        },
        "counts" => Change::PutCounts(Counts {
            balances_max: line.number("balances"),
            cards_max: line.number("cards"),
        }),
        "reload" => Change::Reload { balance: partner_balance(), money: line.money() },
        other => panic!("no such verb: {other}"),
    }
}

fn custody(line: &Line) -> Custody {
    let on_silence = match line.has("stand-in") {
        true => OnSilence::LetNetworkStandIn,
        false => OnSilence::Decline,
    };
    Custody { answer_ms: line.number("answer"), on_silence }
}

fn transfer(line: &Line) -> Change {
    let (from, money) = (BalanceId(id_of(line.name(0))), line.money());
    let to = BalanceId(id_of(line.text("to", "B")));
    let Some(text) = line.maybe::<String>("charge") else {
        return Change::Transfer { from, to, money };
    };
    let parts: Vec<&str> = text.split(':').collect();
    let [fee, amount, code] = parts[..] else { panic!("fee:amount:currency? {text}") };
    let (fee, payer) = (FeeId(fee.parse().unwrap()), payer(line));
    let charge = Charge { fee, money: Money::new(amount.parse().unwrap(), currency(code)), payer };
    Change::TransferCharged { from, to, money, charge }
}

fn payer(line: &Line) -> Payer {
    if line.has("partner") { Payer::Partner } else { Payer::Holder }
}

/// `fee 1 program=10 fixed=50 rate=25000 [partner converted channels= mccs= countries= merchants=]`.
fn fee(line: &Line) -> Fee {
    let terms = Terms {
        fixed: Amount(line.maybe("fixed").unwrap_or(0)),
        rate_ppm: line.maybe("rate").unwrap_or(0),
        payer: payer(line),
    };
    Fee {
        id: FeeId(line.named()),
        program: ConfigId(line.number("program")),
        filter: filter(line),
        converted: line.has("converted"),
        terms,
    }
}

fn program(line: &Line) -> Program {
    let otherwise = Policy::default();
    Program {
        id: ConfigId(line.named()),
        partner: PartnerId(line.number("partner")),
        currency: currency(line.text("cur", "EUR")),
        collateral: match line.text("collateral", "none") {
            "none" => Collateral::None,
            "deposit" => Collateral::Deposit,
            "credit" => Collateral::Credit,
            "technical" => Collateral::Technical,
            other => panic!("no such collateral: {other}"),
        },
        policy: Policy {
            purchase_hold_hours: line
                .maybe("purchase-hours")
                .unwrap_or(otherwise.purchase_hold_hours),
            cash_hold_hours: line.maybe("cash-hours").unwrap_or(otherwise.cash_hold_hours),
            credit_hold_hours: line.maybe("credit-hours").unwrap_or(otherwise.credit_hold_hours),
            partial_approval: line.has("partial"),
            instant_credit_max: Amount(line.maybe("instant").unwrap_or(0)),
            pin_tries_max: line.maybe("pin-tries").unwrap_or(otherwise.pin_tries_max),
        },
    }
}

fn card_state(name: &str) -> CardState {
    match name {
        "Ordered" => CardState::Ordered,
        "Linked" => CardState::Linked,
        "Active" => CardState::Active,
        "Expired" => CardState::Expired,
        "Removed" => CardState::Removed,
        other => panic!("no such card state: {other}"),
    }
}

fn lock(line: &Line, card: CardId) -> Change {
    let code = (line.verb == "lock").then(|| LockCode::from_number(line.number("code")).unwrap());
    match (over(line), code) {
        (Some(over), lock) => Change::LockByHolder { card, lock, over },
        (None, Some(code)) => {
            Change::LockCard { card, code, source: source(line.text("by", "partner")) }
        }
        (None, None) => Change::UnlockCard(card),
    }
}

/// `over=user,partner`: the holder asks, and may touch what these set.
fn over(line: &Line) -> Option<Vec<LockSource>> {
    let names: String = line.maybe("over")?;
    Some(names.split(',').map(source).collect())
}

fn source(name: &str) -> LockSource {
    match name {
        "user" => LockSource::User,
        "partner" => LockSource::Partner,
        "admin" => LockSource::Admin,
        "switch" => LockSource::Switch,
        other => panic!("no such source: {other}"),
    }
}

/// `rule 1 card=1 amount=day:EUR:500 [zone= channels= mccs=1-2,3 countries= merchants=]`.
fn rule(line: &Line) -> Rule {
    line.understands(
        &[line.name(0), "denied", "only"],
        &[
            "card",
            "customer",
            "program",
            "partner",
            "amount",
            "budget",
            "count",
            "zone",
            "channels",
            "mccs",
            "countries",
            "merchants",
            "id",
        ],
    );
    Rule {
        id: RuleId(line.named()),
        subject: subject(line),
        filter: filter(line),
        bound: bound(line),
        zone: line.text("zone", "UTC").to_owned(),
    }
}

fn filter(line: &Line) -> Filter {
    let range = |text: &str| {
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        (first.parse().unwrap(), last.parse().unwrap())
    };
    Filter {
        channels: line.list("channels").into_iter().map(channel).collect(),
        mccs: line.list("mccs").into_iter().map(range).collect(),
        countries: line.list("countries").iter().map(|text| text.parse().unwrap()).collect(),
        merchants: line.list("merchants").into_iter().map(padded).collect(),
    }
}

pub(super) fn subject(line: &Line) -> Subject {
    let card = || line.maybe("card").map(|id| Subject::Card(CardId(id)));
    let customer = || line.maybe("customer").map(|id| Subject::Customer(CustomerId(id)));
    let program = || line.maybe("program").map(|id| Subject::Program(ConfigId(id)));
    let partner = || line.maybe("partner").map(|id| Subject::Partner(PartnerId(id)));
    let found = card().or_else(customer).or_else(program).or_else(partner);
    found.unwrap_or_else(|| panic!("whom does it bind? {}", line.left))
}

fn bound(line: &Line) -> Bound {
    let summed = |text: String| {
        let parts: Vec<&str> = text.split(':').collect();
        let [over, code, most] = parts[..] else { panic!("period:currency:amount? {text}") };
        (period(over), currency(code), Amount(most.parse().unwrap()))
    };
    if let Some((period, currency, max)) = line.maybe("amount").map(summed) {
        return Bound::Amount { period, currency, max };
    }
    if let Some((period, currency, max)) = line.maybe("budget").map(summed) {
        return Bound::Budget { period, currency, max };
    }
    if let Some(text) = line.maybe::<String>("count") {
        let (over, most) = text.split_once(':').unwrap();
        return Bound::Count { period: period(over), max: most.parse().unwrap() };
    }
    match (line.has("denied"), line.has("only")) {
        (true, false) => Bound::Denied,
        (false, true) => Bound::Only,
        _ => panic!("what does it bound? {}", line.left),
    }
}

fn period(name: &str) -> Period {
    match name {
        "transaction" => Period::Transaction,
        "day" => Period::Day,
        "week" => Period::Week,
        "month" => Period::Month,
        other => panic!("no such period: {other}"),
    }
}
