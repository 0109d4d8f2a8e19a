//! Transactions, and why each was answered as it was: in a sentence that can be read out, and every
//! check behind it. Source: requirements #174, #178.

use axum::Form;
use axum::extract::{Path, Query};
use axum::response::Response;
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::Value;

use super::desk::{Desk, Result, Trouble, plain, see_other};
use super::page::{self, amount, badge, date, facts, items, number, part, shown, table, text};
use super::start::After;

/// What the search is for.
#[derive(Deserialize)]
pub(super) struct Wanted {
    transaction: String,
}

pub(super) async fn find(Form(wanted): Form<Wanted>) -> Result<Response> {
    Ok(see_other(&format!("/panel/transactions/{}", plain(wanted.transaction.trim())?)))
}

pub(super) async fn list(
    desk: Desk,
    Path(customer): Path<String>,
    Query(after): Query<After>,
) -> Result<Response> {
    let customer = plain(&customer)?;
    let query = after.query()?;
    let list = desk.get(&format!("/admin/customers/{customer}/transactions{query}")).await?;
    let user = format!("/panel/customers/{customer}");
    let last = items(&list, "items").last().map(|last| text(last, "id"));
    let body = html! {
        p { a href=(user) { "The user" } }
        (listed(&list))
        (page::more(&list, &format!("{user}/transactions"), last))
    };
    Ok(page::page(&desk, &format!("Transactions of user {customer}"), body))
}

pub(super) fn listed(list: &Value) -> Markup {
    let rows = items(list, "items").iter().map(|transaction| {
        let (id, currency) = (text(transaction, "id"), text(transaction, "currency"));
        html! {
            td { a href=(format!("/panel/transactions/{id}")) { (date(transaction, "date")) } }
            td { (text(transaction, "type")) }
            td { (text(transaction, "description")) }
            td.number { (amount(number(transaction, "amount"), currency)) }
            td { (text(transaction, "category")) }
            td { (badge(text(transaction, "status"))) }
            td { (text(transaction, "reason")) }
        }
    });
    let head = ["When", "Type", "Of", "#Amount", "", "Status", "Reason"];
    table(&head, rows.collect(), "There is none.")
}

pub(super) async fn one(desk: Desk, Path(id): Path<String>) -> Result<Response> {
    let id = plain(&id)?;
    let transaction = desk.get(&format!("/admin/transactions/{id}")).await?;
    let explained = match desk.get(&format!("/admin/transactions/{id}/explain")).await {
        Ok(explained) => Ok(explained),
        Err(trouble @ Trouble::Problem(..))
            if trouble.is("EXPLANATION_PENDING") || trouble.is("EXPLANATION_UNAVAILABLE") =>
        {
            Err(trouble)
        }
        Err(trouble) => return Err(trouble),
    };
    let currency = text(&transaction, "currency");
    let money = |member| amount(number(&transaction, member), currency);
    let original = text(&transaction, "originalCurrency");
    let referred = text(&transaction, "referenceTransactionId");
    let body = html! {
        p.says { (text(&transaction, "explanation")) }
        (facts(&[
            ("Status", badge(text(&transaction, "status"))),
            ("Reason", html! { (text(&transaction, "reason")) }),
            ("When", date(&transaction, "date")),
            ("Type", html! { (text(&transaction, "type")) " " (text(&transaction, "category")) }),
            ("Amount", money("amount")),
            ("At the merchant", amount(number(&transaction, "originalAmount"), original)),
            ("Held still", money("held")),
            ("Fee", money("fee")),
            ("Card", html! { (shown(&transaction, "cardId")) }),
            ("Network's id", html! { (shown(&transaction, "externalTransactionId")) }),
            ("Refers to", html! {
                @if !referred.is_empty() {
                    a href=(format!("/panel/transactions/{referred}")) { (referred) }
                }
            }),
        ]))
        (message(part(&transaction, "transactionData")))
        (steps(&transaction, currency))
        @match &explained {
            Ok(explained) => (why(explained, currency)),
            Err(_later) => section { h2 { "Checks" } p.none { "The switch cannot tell now; later it may." } },
        }
    };
    Ok(page::page(&desk, &format!("Transaction {id}"), body))
}

/// What the message said besides.
fn message(data: &Value) -> Markup {
    let members = data.as_object().into_iter().flatten();
    html! {
        @if data.as_object().is_some_and(|data| !data.is_empty()) {
            section {
                h2 { "The message" }
                dl { @for (name, _) in members { div { dt { (name) } dd { (shown(data, name)) } } } }
            }
        }
    }
}

/// What became of it.
fn steps(transaction: &Value, currency: &str) -> Markup {
    let rows = items(transaction, "steps").iter().map(|step| {
        html! {
            td { (date(step, "date")) }
            td { (badge(text(step, "step"))) }
            td.number { (amount(number(step, "amount"), currency)) }
            td.number { (amount(number(step, "balance"), currency)) }
        }
    });
    html! {
        section {
            h2 { "What became of it" }
            (table(&["When", "What", "#Amount", "#Booked then"], rows.collect(), "Nothing yet."))
        }
    }
}

/// Every check with what it looked at, and the balances before and after.
fn why(explained: &Value, currency: &str) -> Markup {
    let checks = items(explained, "checks").iter().map(|check| {
        let passed = part(check, "passed").as_bool() == Some(true);
        html! {
            td.number { (shown(check, "row")) }
            td { (text(check, "check")) }
            td { @if passed { "passed" } @else { span.badge.bad { (text(check, "reason")) } } }
            td { (text(check, "inputs")) }
        }
    });
    let accounts = items(explained, "accounts").iter().map(|account| {
        let (before, after) = (part(account, "before"), part(account, "after"));
        html! {
            td { (text(account, "kind")) }
            @for funds in [before, after] {
                @for member in ["amount", "held", "available"] {
                    td.number { (amount(number(funds, member), currency)) }
                }
            }
        }
    });
    let head = ["", "#Booked", "#Held", "#Available", "#then booked", "#held", "#available"];
    html! {
        section {
            h2 { "Checks" }
            (table(&["#Row", "Check", "", "Looked at"], checks.collect(), "Nothing was looked at."))
            (table(&head, accounts.collect(), "No balance was touched."))
        }
    }
}
