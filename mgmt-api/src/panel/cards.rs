//! Cards, without their numbers: what they are, and what becomes of them. Source: requirements
//! #43, #173.

use axum::extract::Path;
use axum::response::Response;
use maud::{Markup, html};
use serde_json::Value;
use shared::lock_code::{LockCode, TABLE};

use super::desk::{Desk, Result, plain};
use super::page::{self, Ask, amount, badge, date, facts, field, items, number, part, table, text};
use crate::routes::table::Verb;

/// What the eight locks say. Source: requirements #97.
const fn lock_name(code: LockCode) -> &'static str {
    match code {
        LockCode::Lost => "1: card lost, for ever",
        LockCode::Stolen => "2: card stolen, for ever",
        LockCode::PendingQuery => "3: pending query",
        LockCode::Consolidation => "4: card consolidation",
        LockCode::Inactive => "5: card inactive, for ever",
        LockCode::PinTriesExceeded => "6: PIN tries exceeded",
        LockCode::SuspectedFraud => "7: suspected fraud",
        LockCode::Replaced => "8: card replaced, for ever",
    }
}

fn lock_of(card: &Value) -> Option<&'static str> {
    let number = u8::try_from(number(card, "lock")?).ok()?;
    LockCode::from_number(number).map(lock_name)
}

/// The cards of a user or a balance; `user` is the user's page.
pub(super) fn card_table(user: &str, list: &Value) -> Markup {
    let cards = [items(list, "items"), items(list, "cards")].concat();
    let rows = cards.iter().map(|card| {
        let id = text(card, "id");
        html! {
            td { a href=(format!("{user}/cards/{id}")) { (id) } }
            td { "\u{2022}\u{2022}\u{2022}\u{2022} " (text(card, "lastFourDigits")) }
            td { (text(card, "expDate")) }
            td { (badge(text(card, "state"))) }
            td { @if let Some(lock) = lock_of(card) { span.badge.bad { (lock) } } }
        }
    });
    table(&["Card", "Number", "Until", "State", "Lock"], rows.collect(), "There is no card.")
}

/// Forms that make a card: on one of the balances, of one of the programs.
pub(super) fn new_card(
    desk: &Desk,
    here: &str,
    api: &str,
    (balances, programs): (&Value, &Value),
) -> Markup {
    let on: Vec<(&str, &str)> = items(balances, "items")
        .iter()
        .map(|balance| (text(balance, "balanceId"), text(balance, "currency")))
        .collect();
    let of = |is_plastic: bool| -> Vec<(&str, &str)> {
        let programs = items(programs, "items").iter().filter(move |program| {
            (text(part(program, "program"), "cardKind") == "PHYSICAL") == is_plastic
        });
        programs.map(|program| (text(program, "configId"), text(program, "configId"))).collect()
    };
    let virtual_card = Ask::new(Verb::Post, format!("{api}/cards/virtual"), here, "Issue card")
        .encrypted("answer");
    let plastic =
        Ask::new(Verb::Post, format!("{api}/cards/physical"), here, "Order card").encrypted("body");
    html! {
        @if !on.is_empty() {
            @if desk.may(Verb::Post, &virtual_card.to) {
                details {
                    summary { "Issue a virtual card" }
                    p.none { "Its holder sees number and CVC2 in the application; nobody here does." }
                    (virtual_card.form(desk, html! {
                        (page::choice("balanceId", "On the balance in", on.iter().copied()))
                        (page::choice("configId", "Program", of(false)))
                    }))
                }
            }
            details {
                summary { "Order a physical card" }
                (plastic.form(desk, html! {
                    (page::choice("balanceId", "On the balance in", on.iter().copied()))
                    (page::choice("configId", "Program", of(true)))
                    (field("cardholderName", "Name on the card", true))
                    (delivery())
                }))
            }
        }
    }
}

fn delivery() -> Markup {
    html! {
        (field("deliveryAddress.recipient", "Recipient", true))
        (field("deliveryAddress.street", "Street and number", true))
        (field("deliveryAddress.postCode", "Post code", true))
        (field("deliveryAddress.city", "City", true))
        (field("deliveryAddress.country", "Country, like PL", true))
    }
}

pub(super) async fn one(
    desk: Desk,
    Path((customer, card)): Path<(String, String)>,
) -> Result<Response> {
    let (customer, id) = (plain(&customer)?, plain(&card)?);
    let user = format!("/panel/customers/{customer}");
    let (api, here) =
        (format!("/admin/customers/{customer}/cards/{id}"), format!("{user}/cards/{id}"));
    let card = desk.get(&api).await?;
    let limits = desk.get(&format!("{api}/limits")).await?;
    let holders = desk.get(&format!("{api}/limits?setBy=CARDHOLDER")).await?;
    let used = desk.get(&format!("{api}/budget")).await?;
    let tokens = desk.get(&format!("{api}/tokens")).await?;
    let newest = format!("/admin/customers/{customer}/transactions?limit=10&cardId={id}");
    let newest = desk.get(&newest).await?;
    let balance = text(&card, "balanceId");
    let body = html! {
        p { a href=(user) { "The user" } }
        (facts(&[
            ("Number", html! { "\u{2022}\u{2022}\u{2022}\u{2022} " (text(&card, "lastFourDigits")) }),
            ("Until", html! { (text(&card, "expDate")) }),
            ("State", badge(text(&card, "state"))),
            ("Lock", html! { (lock_of(&card).unwrap_or("\u{2013}")) }),
            ("Locked by", html! { (page::shown(&card, "lockedBy")) }),
            ("Locked since", date(&card, "lockedSince")),
            ("Program", html! { (text(&card, "configId")) }),
            ("Balance", html! { a href=(format!("{user}/balances/{balance}")) { (balance) } }),
        ]))
        (what_becomes_of_it(&desk, &api, &here, &card))
        section {
            h2 { "Limits" }
            (limit_facts(&limits))
            h3 { "That its holder set" }
            (limit_facts(&holders))
            (usage(&used))
        }
        section {
            h2 { "Tokens of wallets" }
            (table(&["Token", "Wallet", "State"], items(&tokens, "items").iter().map(|token| html! {
                td { code { (text(token, "tokenReference")) } }
                td { (page::shown(token, "walletId")) }
                td { (page::shown(token, "state")) }
            }).collect(), "No wallet has one."))
        }
        section {
            h2 { "Newest transactions" }
            (super::transactions::listed(&newest))
        }
    };
    Ok(page::page(&desk, &format!("Card {id}"), body))
}

fn what_becomes_of_it(desk: &Desk, api: &str, here: &str, card: &Value) -> Markup {
    let post = |what: &str, says| Ask::new(Verb::Post, format!("{api}/{what}"), here, says);
    // What can be lifted stands first: nobody locks a card for ever by leaving a choice as it is.
    let mut codes = TABLE.map(|row| (!row.reversible, row.code.number().to_string(), row.code));
    codes.sort_by_key(|(is_for_ever, _, _)| *is_for_ever);
    let locks = codes.iter().map(|(_, number, code)| (number.as_str(), lock_name(*code)));
    let user = here.split("/cards/").next().unwrap_or(here);
    let remove = Ask::new(Verb::Delete, api.to_owned(), user, "Remove card for ever");
    html! {
        section {
            h2 { "What becomes of it" }
            div.forms {
                @if text(card, "state") == "INACTIVE" { (post("activate", "Activate").button(desk)) }
                @if part(card, "lock").is_null() {
                    (post("lock", "Lock").form(desk, html! {
                        (page::choice("reason:n", "Why", locks))
                        (field("comment", "Comment", false))
                    }))
                } @else {
                    (post("unlock", "Unlock").button(desk))
                }
            }
            details { summary { "Another CVC2" }
                p.none { "Its holder sees it in the application; nobody here does." }
                (post("cvv/reset", "Make another CVC2").encrypted("answer").button(desk)) }
            details { summary { "Print" }
                (post("print", "Order the blank copy").encrypted("body").form(desk, delivery())) }
            details { summary { "Renew or replace" } div.forms {
                (post("renew", "Renew").button(desk))
                (post("replace", "Replace").button(desk)) } }
            @if desk.may(Verb::Delete, api) {
                details { summary { "Remove" } (remove.button(desk)) }
            }
        }
    }
}

/// The limits that are set, as they were set.
fn limit_facts(limits: &Value) -> Markup {
    let currency = text(limits, "currency");
    let amounts = [
        ("perTransaction", "A transaction"),
        ("daily", "A day"),
        ("weekly", "A week"),
        ("monthly", "A month"),
    ];
    let mut set: Vec<(&str, Markup)> = amounts
        .into_iter()
        .filter_map(|(member, says)| {
            number(limits, member).map(|limit| (says, amount(Some(limit), currency)))
        })
        .collect();
    for (member, says) in [
        ("count", "Transactions"),
        ("budget", "Budget"),
        ("channels", "Channels"),
        ("mcc", "Merchant categories"),
        ("countries", "Countries"),
    ] {
        if !part(limits, member).is_null() {
            set.push((says, html! { code { (part(limits, member).to_string()) } }));
        }
    }
    if set.is_empty() {
        html! { p.none { "It has none of its own." } }
    } else {
        facts(&set)
    }
}

fn usage(used: &Value) -> Markup {
    let rows = items(used, "items").iter().map(|item| {
        let members = item.as_object().into_iter().flatten();
        html! { td { @for (name, _) in members { (name) ": " (page::shown(item, name)) "; " } } }
    });
    table(&["In the running periods"], rows.collect(), "Nothing is counted.")
}
