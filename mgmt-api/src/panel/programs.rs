//! Card programs and what they charge; fees are the licensed institution's. Source: requirements
//! #22, #165 to #172, #177.

use axum::extract::Path;
use axum::http::HeaderValue;
use axum::http::header::CONTENT_DISPOSITION;
use axum::response::Response;
use maud::{Markup, html};
use serde_json::Value;

use super::desk::{Desk, Result, plain};
use super::page::{self, Ask, amount, facts, items, number, part, shown, table, text};
use crate::routes::table::Verb;

/// Kinds of fees that a payment or a thing costs, and those that a period does.
const KINDS: [&str; 8] = [
    "ACCOUNT_CREATION",
    "CARD_CREATION",
    "TOKEN_CREATION",
    "POS",
    "ECOMMERCE",
    "ATM",
    "TRANSFER",
    "CONVERSION",
];

pub(super) async fn list(desk: Desk) -> Result<Response> {
    let list = desk.get("/admin/programs").await?;
    let rows = items(&list, "items").iter().map(|item| {
        let (id, program) = (text(item, "configId"), part(item, "program"));
        html! {
            td { a href=(format!("/panel/programs/{id}")) { (id) } }
            td { (shown(program, "partner")) }
            td { (text(program, "cardKind")) }
            td { (text(program, "currency")) }
            td { (text(program, "collateral")) }
            td { code { (text(program, "bin")) } }
        }
    });
    let head = ["Program", "Partner", "Cards", "Currency", "Collateral", "BIN"];
    Ok(page::page(&desk, "Programs", table(&head, rows.collect(), "There is none.")))
}

pub(super) async fn one(desk: Desk, Path(id): Path<String>) -> Result<Response> {
    let id = plain(&id)?;
    let here = format!("/panel/programs/{id}");
    let programs = desk.get("/admin/programs").await?;
    let mut programs = items(&programs, "items").iter();
    let found = programs.find(|item| text(item, "configId") == id);
    let program = found.map_or(&Value::Null, |item| part(item, "program"));
    let fees = desk.get(&format!("/admin/programs/{id}/fees")).await?;
    let policy = part(program, "policy");
    let lifted: Vec<&str> =
        items(policy, "cardholderLifts").iter().filter_map(Value::as_str).collect();
    let currency = text(program, "currency");
    let body = html! {
        (facts(&[
            ("Partner", html! { (shown(program, "partner")) }),
            ("Cards", html! { (text(program, "cardKind")) ", " (shown(program, "monthsValid")) " months" }),
            ("Currency", html! { (currency) }),
            ("Collateral", html! { (text(program, "collateral")) }),
            ("A purchase is held", html! { (shown(policy, "purchaseHoldHours")) " hours" }),
            ("A part may be approved", html! { (shown(policy, "partialApproval")) }),
            ("Cardholders may lift locks of", html! { (lifted.join(", ")) }),
            ("The network verifies CVC2", html! { (shown(policy, "networkVerifiesCvc2")) }),
            ("Wrong PINs", html! { (shown(policy, "pinTriesMax")) }),
        ]))
        section {
            h2 { "Fees" }
            (fee_table(&desk, &here, id, (&fees, currency)))
            (new_fee(&desk, &here, id, currency))
            p { a href=(format!("{here}/report")) { "What they came to, as CSV" } }
        }
    };
    Ok(page::page(&desk, &format!("Program {id}"), body))
}

fn fee_table(desk: &Desk, here: &str, id: &str, (fees, currency): (&Value, &str)) -> Markup {
    let rows = items(fees, "items").iter().map(|item| {
        let (fee, fee_id) = (part(item, "fee"), text(item, "feeId"));
        let remove = format!("/admin/programs/{id}/fees/{fee_id}");
        html! {
            td { (text(fee, "kind")) " " (text(fee, "region")) " " (text(fee, "period")) }
            td.number { (amount(number(fee, "fixed"), currency)) }
            td.number { (shown(fee, "ratePpm")) }
            td { (text(fee, "settlement")) }
            td { (Ask::new(Verb::Delete, remove, here, "Take out").button(desk)) }
        }
    });
    let head = ["For", "#Fixed", "#Parts of a million", "Settled", ""];
    table(&head, rows.collect(), "It charges nothing.")
}

fn new_fee(desk: &Desk, here: &str, id: &str, currency: &str) -> Markup {
    let add = Ask::new(Verb::Post, format!("/admin/programs/{id}/fees"), here, "Make a fee");
    let settled =
        [("INSTANT", "by the holder, at once"), ("INVOICE", "by the partner, by invoice")];
    html! {
        @if desk.may(Verb::Post, &add.to) {
            details {
                summary { "A fee on payments and things" }
                (add.form(desk, html! {
                    (page::choice("kind", "For", KINDS.map(|kind| (kind, kind))))
                    label {
                        "Fixed (" (currency) ")"
                        input name=(format!("fixed:{}", page::places(currency))) inputmode="decimal";
                    }
                    label { "Parts of a million of the amount" input name="ratePpm:n" inputmode="numeric"; }
                    (page::choice("settlement", "Paid", settled))
                }))
            }
        }
    }
}

/// The report as a file.
pub(super) async fn report(desk: Desk, Path(id): Path<String>) -> Result<Response> {
    let id = plain(&id)?;
    let mut response = desk.file(&format!("/admin/programs/{id}/fees/report")).await?;
    if let Ok(name) = HeaderValue::from_str(&format!("attachment; filename=\"fees-{id}.csv\"")) {
        response.headers_mut().insert(CONTENT_DISPOSITION, name);
    }
    Ok(response)
}
