//! A balance: what is on it, the postings that make it, its IBANs, and money moved by hand.
//! Source: requirements #35, #174.

use axum::Form;
use axum::extract::{Path, Query};
use axum::response::Response;
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::Value;

use super::cards::card_table;
use super::desk::{Desk, Result, plain};
use super::page::{
    self, Ask, amount, amount_field, date, facts, field, items, number, table, text,
};
use crate::routes::table::Verb;

/// Which part of the statement is asked for.
#[derive(Deserialize, Default)]
pub(super) struct Range {
    from: Option<String>,
    to: Option<String>,
    after: Option<String>,
}

impl Range {
    fn query(&self, with_after: bool) -> Result<String> {
        let mut query = "?limit=50".to_owned();
        let after = self.after.as_ref().filter(|_| with_after);
        for (name, value) in
            [("from", self.from.as_ref()), ("to", self.to.as_ref()), ("after", after)]
        {
            if let Some(value) = value.filter(|value| !value.is_empty()) {
                query.push_str(&format!("&{name}={}", plain(value)?));
            }
        }
        Ok(query)
    }
}

/// Why IBANs are revealed.
#[derive(Deserialize)]
pub(super) struct Reveal {
    #[serde(rename = "_reason")]
    reason: String,
}

/// Where a balance is, here and at the API.
struct At {
    api: String,
    here: String,
    user: String,
}

impl At {
    fn of(customer: &str, balance: &str) -> Result<Self> {
        let (customer, balance) = (plain(customer)?, plain(balance)?);
        Ok(Self {
            api: format!("/admin/customers/{customer}/balances/{balance}"),
            here: format!("/panel/customers/{customer}/balances/{balance}"),
            user: format!("/panel/customers/{customer}"),
        })
    }
}

pub(super) async fn balance(
    desk: Desk,
    Path((customer, balance)): Path<(String, String)>,
    Query(range): Query<Range>,
) -> Result<Response> {
    let at = At::of(&customer, &balance)?;
    let ibans = desk.get_if_admitted(&format!("{}/bank-accounts", at.api)).await?;
    shown(&desk, &at, &range, ibans.as_ref()).await
}

/// The same with its IBANs in full. Revealing is a form, so that nobody is led to it by a link, and
/// the API writes it down.
pub(super) async fn reveal(
    desk: Desk,
    Path((customer, balance)): Path<(String, String)>,
    Form(wish): Form<Reveal>,
) -> Result<Response> {
    let at = At::of(&customer, &balance)?;
    let path = format!("{}/bank-accounts/full", at.api);
    let ibans = desk.get_because(&path, &wish.reason).await?;
    shown(&desk, &at, &Range::default(), Some(&ibans)).await
}

async fn shown(desk: &Desk, at: &At, range: &Range, ibans: Option<&Value>) -> Result<Response> {
    let balance = desk.get(&at.api).await?;
    let statement = desk.get(&format!("{}/statement{}", at.api, range.query(true)?)).await?;
    let currency = text(&balance, "currency");
    let money = |member| amount(number(&balance, member), currency);
    let body = html! {
        p { a href=(at.user) { "The user" } }
        (facts(&[
            ("Booked", html! { a href="#statement" { (money("amount")) } }),
            ("Held", money("held")),
            ("Available", money("available")),
            ("Owed for fees", money("owed")),
            ("State", page::badge(text(&balance, "state"))),
            ("Blocked by", html! { (page::shown(&balance, "blockedBy")) }),
            ("Kept by", html! { (text(&balance, "custody")) }),
        ]))
        (block(desk, at, text(&balance, "state") == "BLOCKED"))
        @if let Some(ibans) = ibans { (iban_section(desk, at, ibans)) }
        section {
            h2 { "Cards on it" }
            (card_table(&at.user, &balance))
        }
        (statement_section(at, range, &statement)?)
        (by_hand(desk, at, currency))
    };
    Ok(page::page(desk, &format!("Balance in {currency}"), body))
}

/// Stops what would be taken out of it, or lets it go on. Source: requirements #28.
fn block(desk: &Desk, at: &At, is_blocked: bool) -> Markup {
    let (what, says) = if is_blocked { ("unblock", "Unblock") } else { ("block", "Block") };
    let ask = Ask::new(Verb::Post, format!("{}/{what}", at.api), &at.here, says);
    html! { @if desk.may(Verb::Post, &ask.to) { (ask.button(desk)) } }
}

fn iban_section(desk: &Desk, at: &At, ibans: &Value) -> Markup {
    let rows = items(ibans, "items");
    let is_masked = rows.iter().any(|row| !text(row, "ibanMasked").is_empty());
    let shown = rows.iter().map(|row| {
        html! {
            td { code { (text(row, "ibanMasked")) (text(row, "iban")) } }
            td { (page::badge(text(row, "state"))) }
        }
    });
    let give = format!("{}/bank-accounts", at.api);
    html! {
        section {
            h2 { "IBAN" }
            (table(&["Number", "State"], shown.collect(), "It has none."))
            @if is_masked {
                form method="post" action=(format!("{}/ibans", at.here)) { (page::reason_field()) button { "Reveal" } }
            }
            @if rows.iter().all(|row| text(row, "state") != "ACTIVE") {
                (Ask::new(Verb::Post, give, &at.here, "Give an IBAN").button(desk))
            }
        }
    }
}

fn statement_section(at: &At, range: &Range, statement: &Value) -> Result<Markup> {
    let currency = text(statement, "currency");
    let entries = items(statement, "items");
    let rows = entries.iter().map(|entry| {
        let transaction = text(entry, "transactionId");
        html! {
            td { (date(entry, "date")) }
            td { (page::badge(text(entry, "step"))) }
            td { (text(entry, "type")) " " (text(entry, "merchantIdentifier")) }
            td.number { (amount(number(entry, "amount"), currency)) }
            td.number { (amount(number(entry, "balance"), currency)) }
            td {
                @if !transaction.is_empty() {
                    a href=(format!("/panel/transactions/{transaction}")) { "Transaction" }
                }
            }
        }
    });
    let head = ["When", "What", "Of", "#Amount", "#Booked then", ""];
    let here = format!("{}{}", at.here, range.query(false)?);
    let last = entries.last().map(|entry| text(entry, "entryId"));
    let edge = |member| amount(number(statement, member), currency);
    Ok(html! {
        section id="statement" {
            h2 { "Statement" }
            form method="get" action=(at.here) {
                label { "From" input type="date" name="from" value=[range.from.as_deref()]; }
                label { "To" input type="date" name="to" value=[range.to.as_deref()]; }
                button { "Show" }
            }
            p { "At first " (edge("openingBalance")) ", at the end " (edge("closingBalance")) "." }
            (table(&head, rows.collect(), "Nothing was posted on these days."))
            (page::more(statement, &here, last))
        }
    })
}

/// What an administrator moves.
fn by_hand(desk: &Desk, at: &At, currency: &str) -> Markup {
    let close = Ask::new(Verb::Delete, at.api.clone(), &at.user, "Close balance");
    let moves = [
        ("topup", "Top up", html! {}),
        ("withdraw", "Withdraw", html! {}),
        ("transfer", "Transfer", field("toBalanceId", "To the balance", true)),
    ];
    html! {
        @if desk.may(Verb::Delete, &at.api) {
            section {
                h2 { "By hand" }
                @for (what, says, more) in moves {
                    details {
                        summary { (says) }
                        (Ask::new(Verb::Post, format!("{}/{what}", at.api), &at.here, says)
                            .form(desk, html! {
                                (amount_field("Amount", currency))
                                (more)
                                (field("description", "What for", false))
                            }))
                    }
                }
                details { summary { "Close" } (close.button(desk)) }
            }
        }
    }
}
