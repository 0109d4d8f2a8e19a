//! Users: a list, those who were looked for, and everything of one. Source: requirements #174.

use axum::Form;
use axum::extract::{Path, Query};
use axum::response::Response;
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::{Value, json};

use super::desk::{Desk, Result, Trouble, Wish, plain, see_other};
use super::page::{self, Ask, amount, badge, date, facts, field, items, number, part, table, text};
use super::start::After;
use super::{cards, transactions};
use crate::routes::table::Verb;

/// What the search is for: a user's number, or a contact.
#[derive(Deserialize)]
pub(super) struct Wanted {
    customer: Option<String>,
    contact: Option<String>,
}

pub(super) async fn list(desk: Desk, Query(after): Query<After>) -> Result<Response> {
    let list = desk.get(&format!("/admin/customers{}", after.query()?)).await?;
    let last = items(&list, "items").last().map(|last| text(last, "customerId"));
    let body = html! {
        (listed(&list))
        (page::more(&list, "/panel/customers", last))
    };
    Ok(page::page(&desk, "Users", body))
}

/// Who has a phone number or an e-mail address, or the user of a number. What was looked for
/// stands in no address.
pub(super) async fn find(desk: Desk, Form(wanted): Form<Wanted>) -> Result<Response> {
    if let Some(customer) = &wanted.customer {
        return Ok(see_other(&format!("/panel/customers/{}", plain(customer.trim())?)));
    }
    let who = wanted.contact.as_deref().ok_or(Trouble::Unreadable)?.trim();
    let name = if who.contains('@') { "email" } else { "phone" };
    let wish = Wish { body: Some(json!({ name: who })), ..Wish::default() };
    let found = desk.ask(Verb::Post, "/admin/customers/search", wish).await?;
    Ok(page::page(&desk, "Users found", listed(&found)))
}

fn listed(list: &Value) -> Markup {
    let rows = items(list, "items").iter().map(|user| {
        let id = text(user, "customerId");
        html! {
            td { a href=(format!("/panel/customers/{id}")) { (id) } }
            td { (text(user, "firstName")) " " (text(user, "lastName")) }
            td { (badge(text(user, "state"))) }
            td { (badge(text(user, "kyc"))) }
            td { @if is_locked(user) { (lock_badge()) } }
            td { (page::shown(user, "partnerId")) }
            td { (date(user, "createdAt")) }
        }
    });
    let head = ["User", "Name", "State", "Identity", "Lock", "Partner", "Since"];
    table(&head, rows.collect(), "There is nobody.")
}

fn is_locked(user: &Value) -> bool {
    part(user, "locked").as_bool() == Some(true)
}

fn lock_badge() -> Markup {
    html! { span.badge.bad { "LOCKED" } }
}

pub(super) async fn one(desk: Desk, Path(customer): Path<String>) -> Result<Response> {
    let id = plain(&customer)?;
    let (api, here) = (format!("/admin/customers/{id}"), format!("/panel/customers/{id}"));
    let user = desk.get(&api).await?;
    let check = desk.get_if_admitted(&format!("{api}/verification")).await?;
    let balances = desk.get(&format!("{api}/balances?limit=50")).await?;
    let cards = desk.get(&format!("{api}/cards?limit=50")).await?;
    let newest = desk.get(&format!("{api}/transactions?limit=10")).await?;
    let programs = desk.get("/admin/programs").await?;
    let name = format!("{} {}", text(&user, "firstName"), text(&user, "lastName"));
    let body = html! {
        (person(&desk, &user, check.as_ref()))
        section {
            h2 { "Balances" }
            (balance_table(&here, &balances))
            details {
                summary { "Open a balance" }
                (Ask::new(Verb::Post, format!("{api}/balances"), &here, "Open balance")
                    .form(&desk, field("currency", "Currency, like EUR", true)))
            }
        }
        section {
            h2 { "Cards" }
            (cards::card_table(&here, &cards))
            (cards::new_card(&desk, &here, &api, (&balances, &programs)))
        }
        section {
            h2 { "Newest transactions" }
            (transactions::listed(&newest))
            p { a href=(format!("{here}/transactions")) { "All transactions" } }
        }
        (life(&desk, &api, &here, &user))
    };
    Ok(page::page(&desk, &format!("User {id}, {name}"), body))
}

fn person(desk: &Desk, user: &Value, check: Option<&Value>) -> Markup {
    let check = check.map(|check| {
        let id = text(check, "verificationId");
        html! {
            @if desk.may(Verb::Get, &format!("/admin/verifications/{id}")) {
                a href=(format!("/panel/checks/{id}")) { "The check" } " "
            }
            (badge(text(check, "status")))
            " " (text(check, "reason"))
        }
    });
    facts(&[
        ("State", badge(text(user, "state"))),
        ("Identity", badge(text(user, "kyc"))),
        ("Newest check", check.unwrap_or_else(|| html! { "\u{2013}" })),
        (
            "Lock",
            if is_locked(user) {
                lock_badge()
            } else {
                html! { "\u{2013}" }
            },
        ),
        ("Phone", html! { (text(user, "phone")) }),
        ("E-mail", html! { (text(user, "email")) }),
        ("Born", html! { (page::shown(user, "birthDate")) }),
        ("Partner", html! { (page::shown(user, "partnerId")) }),
        ("Since", date(user, "createdAt")),
    ])
}

fn balance_table(here: &str, balances: &Value) -> Markup {
    let rows = items(balances, "items").iter().map(|balance| {
        let (id, currency) = (text(balance, "balanceId"), text(balance, "currency"));
        let at = format!("{here}/balances/{id}");
        let money = |member| amount(number(balance, member), currency);
        html! {
            td { a href=(at) { (id) } }
            td.number { a href=(format!("{at}#statement")) { (money("amount")) } }
            td.number { (money("held")) }
            td.number { (money("available")) }
            td.number { (money("owed")) }
            td { (text(balance, "custody")) }
            td { (badge(text(balance, "state"))) }
        }
    });
    let head = ["Balance", "#Booked", "#Held", "#Available", "#Owed", "With", "State"];
    table(&head, rows.collect(), "There is no balance.")
}

/// What becomes of the user as a whole.
fn life(desk: &Desk, api: &str, here: &str, user: &Value) -> Markup {
    let lock = Ask::new(Verb::Post, format!("{api}/lock"), here, "Lock user");
    let unlock = Ask::new(Verb::Post, format!("{api}/unlock"), here, "Unlock user");
    let delete = Ask::new(Verb::Delete, api.to_owned(), "/panel/customers", "Delete user");
    html! {
        @if desk.may(Verb::Delete, api) {
            section {
                h2 { "User" }
                div.forms {
                    @if is_locked(user) { (unlock.button(desk)) } @else { (lock.button(desk)) }
                    details { summary { "Delete" } (delete.button(desk)) }
                }
            }
        }
    }
}
