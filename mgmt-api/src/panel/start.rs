//! The first page: what is there in each currency, what waits for somebody, and where to look
//! someone up; and the audit log. Source: requirements #174, #176, #179.

use axum::extract::Query;
use axum::response::Response;
use maud::html;
use serde::Deserialize;
use serde_json::Value;

use super::desk::{Desk, Result, plain};
use super::page::{self, date, items, number, part, shown, sum, table, text};
use crate::routes::table::Verb;

/// Behind which item a page begins.
#[derive(Deserialize, Default)]
pub(super) struct After {
    pub(super) after: Option<String>,
}

impl After {
    /// The query of a page of the API behind it.
    pub(super) fn query(&self) -> Result<String> {
        match &self.after {
            None => Ok("?limit=50".to_owned()),
            Some(after) => Ok(format!("?limit=50&after={}", plain(after)?)),
        }
    }
}

pub(super) async fn start(desk: Desk) -> Result<Response> {
    let totals =
        if desk.sees_all { desk.get_if_admitted("/admin/balances/summary").await? } else { None };
    let checks = desk.get_if_admitted("/admin/verifications?limit=50").await?;
    let reloads = desk.get_if_admitted("/admin/reloads?limit=50").await?;
    let waiting = |list: &Value| {
        let more = part(list, "hasMore").as_bool() == Some(true);
        format!("{}{}", items(list, "items").len(), if more { " and more" } else { "" })
    };
    let body = html! {
        @if desk.may(Verb::Post, "/admin/customers/search") {
            section {
                h2 { "Look up" }
                div.forms {
                    form method="post" action="/panel/customers/find" {
                        label {
                            "User: the number"
                            input name="customer" inputmode="numeric" required;
                        }
                        button { "Open user" }
                    }
                    form method="post" action="/panel/customers/find" {
                        label { "User: phone or e-mail" input name="contact" required; }
                        button { "Find user" }
                    }
                    form method="post" action="/panel/transactions/find" {
                        label { "Transaction: its id" input name="transaction" required; }
                        button { "Find transaction" }
                    }
                }
            }
        }
        section {
            h2 { "Waits for somebody" }
            @if let Some(checks) = &checks {
                p { a href="/panel/checks" { (waiting(checks)) " identity checks" } }
            }
            @if let Some(reloads) = &reloads {
                p { a href="/panel/reloads" { (waiting(reloads)) " reloads" } }
            }
        }
        @if let Some(totals) = &totals {
            section {
                h2 { "What is booked" }
                (table(
                    &["Currency", "#Users", "#Users and partners", "#Company", "#of it by invoice", "#Bank transfers"],
                    items(totals, "items").iter().map(total).collect(),
                    "Nothing is booked.",
                ))
            }
        }
    };
    Ok(page::page(&desk, "Start", body))
}

fn total(total: &Value) -> maud::Markup {
    let currency = text(total, "currency");
    html! {
        th scope="row" { (currency) }
        @for name in ["users", "wallet", "company", "invoiced", "bankTransfers"] {
            td.number { (sum(total, name, currency)) }
        }
    }
}

/// What operators and partners asked for, and what came of it.
pub(super) async fn log(desk: Desk, Query(after): Query<After>) -> Result<Response> {
    let log = desk.get(&format!("/admin/audit{}", after.query()?)).await?;
    let entries = items(&log, "items");
    let rows = entries.iter().map(|entry| {
        html! {
            td.number { (shown(entry, "sequence")) }
            td { (date(entry, "at")) }
            td { (text(entry, "caller")) }
            td { code { (text(entry, "route")) } }
            td { code { (text(entry, "target")) } }
            td { (shown(entry, "status")) }
            td { (shown(entry, "reason")) }
        }
    });
    let last = entries.last().and_then(|entry| number(entry, "sequence")).map(|at| at.to_string());
    let body = html! {
        (table(
            &["#No.", "When", "Who", "What", "Of what", "Answer", "Why"],
            rows.collect(),
            "Nothing was asked for.",
        ))
        (page::more(&log, "/panel/log", last.as_deref()))
    };
    Ok(page::page(&desk, "Log", body))
}
