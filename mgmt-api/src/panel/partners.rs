//! Partners, what they put up, reloads that wait for a second person, and what they were told.
//! Source: requirements #84 to #89, #175.

use axum::extract::{Path, Query};
use axum::response::Response;
use maud::{Markup, html};
use serde_json::Value;

use super::desk::{Desk, Result, plain};
use super::page::{self, Ask, amount, amount_field, badge, date, facts, field, items, number};
use super::page::{part, shown, table, text};
use super::start::After;
use crate::routes::table::Verb;

pub(super) async fn list(desk: Desk) -> Result<Response> {
    let list = desk.get("/admin/partners").await?;
    let rows = items(&list, "items").iter().map(|partner| {
        let id = shown(partner, "partnerId");
        html! {
            td { a href=(format!("/panel/partners/{id}")) { (id) } }
            td { (text(partner, "name")) }
            td { (shown(partner, "issuerCode")) }
            td { (text(partner, "kycMode")) }
        }
    });
    let head = ["Partner", "Name", "Issuer code", "Identity checks"];
    Ok(page::page(&desk, "Partners", table(&head, rows.collect(), "There is none.")))
}

pub(super) async fn one(
    desk: Desk,
    Path(id): Path<String>,
    Query(after): Query<After>,
) -> Result<Response> {
    let id = plain(&id)?;
    let (api, here) = (format!("/admin/partners/{id}"), format!("/panel/partners/{id}"));
    let balances = desk.get(&format!("{api}/balances")).await?;
    let endpoints = desk.get_if_admitted(&format!("{api}/endpoints")).await?;
    let events = desk.get_if_admitted(&format!("{api}/events{}", after.query()?)).await?;
    let kinds = ["DEPOSIT", "CREDIT", "TECHNICAL"].map(|kind| (kind, kind));
    let open = Ask::new(Verb::Post, format!("{api}/balances"), &here, "Open balance");
    let body = html! {
        section {
            h2 { "Balances" }
            (balance_table(&balances))
            @if desk.may(Verb::Post, &open.to) {
                details {
                    summary { "Open a balance" }
                    (open.form(&desk, html! {
                        (page::choice("kind", "Kind", kinds))
                        (field("currency", "Currency, like EUR", true))
                    }))
                }
            }
        }
        @if let Some(endpoints) = &endpoints { (endpoint_section(&desk, &here, endpoints)) }
        @if let Some(events) = &events { (told(&desk, &here, &api, events)) }
    };
    Ok(page::page(&desk, &format!("Partner {id}"), body))
}

/// Where it is told of what.
fn endpoint_section(desk: &Desk, here: &str, endpoints: &Value) -> Markup {
    let rows = items(endpoints, "items").iter().map(|endpoint| {
        let at = format!("/admin/endpoints/{}", text(endpoint, "endpointId"));
        let ping = Ask::new(Verb::Post, format!("{at}/ping"), here, "Try it");
        let forget = Ask::new(Verb::Delete, at, here, "Forget it");
        html! {
            td { code { (text(endpoint, "url")) } }
            td {
                @for event in items(endpoint, "events") { (event.as_str().unwrap_or_default()) " " }
            }
            td { (badge(text(endpoint, "state"))) }
            td { div.forms { (ping.button(desk)) (forget.button(desk)) } }
        }
    });
    html! {
        section {
            h2 { "Where it is told" }
            (table(&["Address", "Of", "State", ""], rows.collect(), "Nowhere."))
        }
    }
}

fn balance_table(balances: &Value) -> Markup {
    let rows = items(balances, "items").iter().map(|balance| {
        let (id, currency) = (text(balance, "id"), text(balance, "currency"));
        let money = |member| amount(number(balance, member), currency);
        html! {
            td { a href=(format!("/panel/partner-balances/{id}")) { (text(balance, "kind")) } }
            td.number { (money("amount")) }
            td.number { (money("held")) }
            td.number { (money("available")) }
        }
    });
    table(&["Balance", "#Booked", "#Held", "#Available"], rows.collect(), "There is none.")
}

/// What it was told, and how far that is.
fn told(desk: &Desk, here: &str, api: &str, events: &Value) -> Markup {
    let list = items(events, "items");
    let rows = list.iter().map(|event| {
        html! {
            td { (date(event, "date")) }
            td { (text(event, "event")) }
            td {
                @for delivery in items(event, "deliveries") {
                    (badge(text(delivery, "state"))) " after " (shown(delivery, "attempts")) " "
                }
            }
        }
    });
    let again = Ask::new(Verb::Post, format!("{api}/events/replay"), here, "Deliver again");
    html! {
        section {
            h2 { "What it was told" }
            (table(&["When", "Of", "Deliveries"], rows.collect(), "Nothing."))
            (page::more(events, here, list.last().map(|event| text(event, "eventId"))))
            details {
                summary { "Deliver again" }
                (again.form(desk, html! {
                    label { "From" input type="date" name="from" required; }
                    label { "To" input type="date" name="to" required; }
                }))
            }
        }
    }
}

pub(super) async fn balance(desk: Desk, Path(id): Path<String>) -> Result<Response> {
    let id = plain(&id)?;
    let api = format!("/admin/partner-balances/{id}");
    let here = format!("/panel/partner-balances/{id}");
    let balance = desk.get(&api).await?;
    let (currency, partner) = (text(&balance, "currency"), shown(&balance, "partnerId"));
    let alert = part(&balance, "alert");
    let money = |member| amount(number(&balance, member), currency);
    let reload = Ask::new(Verb::Post, format!("{api}/reload"), &here, "Reload");
    let ask = Ask::new(Verb::Post, format!("{api}/reloads"), &here, "Ask for it");
    let told = Ask::new(Verb::Put, format!("{api}/alert"), &here, "Tell");
    let level = format!("level:{}", page::places(currency));
    let body = html! {
        p { a href=(format!("/panel/partners/{partner}")) { "The partner" } }
        (facts(&[
            ("Booked", money("amount")),
            ("Held", money("held")),
            ("Available", money("available")),
            ("Told by e-mail", html! { (shown(alert, "email")) }),
            ("when less is available than", amount(number(alert, "level"), currency)),
        ]))
        @if desk.may(Verb::Post, &reload.to) {
            section {
                h2 { "Reload" }
                div.forms {
                    (reload.form(&desk, amount_field("Amount", currency)))
                    (ask.form(&desk, amount_field("Amount that another operator books", currency)))
                }
                details {
                    summary { "Who is told when it runs low" }
                    (told.form(&desk, html! {
                        label { "Less than (" (currency) ")" input name=(level) required; }
                        (field("email", "E-mail", false))
                    }))
                }
            }
        }
    };
    Ok(page::page(&desk, &format!("{} balance in {currency}", text(&balance, "kind")), body))
}

/// Reloads that a second operator books or refuses. Source: requirements #87.
pub(super) async fn reloads(desk: Desk, Query(after): Query<After>) -> Result<Response> {
    let list = desk.get(&format!("/admin/reloads{}", after.query()?)).await?;
    let reloads = items(&list, "items");
    let rows = reloads.iter().map(|reload| {
        let (id, balance) = (text(reload, "reloadId"), text(reload, "balanceId"));
        let decide = |what: &str, says| {
            let to = format!("/admin/reloads/{id}/{what}");
            Ask::new(Verb::Post, to, "/panel/reloads", says).button(&desk)
        };
        html! {
            td { (date(reload, "date")) }
            td { a href=(format!("/panel/partner-balances/{balance}")) { (balance) } }
            td.number { (amount(number(reload, "amount"), text(reload, "currency"))) }
            td { (text(reload, "requestedBy")) }
            td { div.forms { (decide("confirm", "Book")) (decide("refuse", "Refuse")) } }
        }
    });
    let body = html! {
        (table(&["When", "Balance", "#Amount", "Asked by", ""], rows.collect(), "None waits."))
        (page::more(&list, "/panel/reloads", reloads.last().map(|last| text(last, "reloadId"))))
    };
    Ok(page::page(&desk, "Reloads", body))
}
