//! What pages are made of: the frame, tables, amounts, dates, forms.
//!
//! Invariant: everything that comes from the API is escaped; an amount says its currency and is
//! never rounded.

use std::borrow::Cow;

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use maud::{DOCTYPE, Markup, PreEscaped, html};
use serde_json::Value;
use shared::money::Currency;
use uuid::Uuid;

use super::desk::Desk;
use crate::routes::table::Verb;

/// A member that is text; empty where it is none.
pub(super) fn text<'a>(value: &'a Value, member: &str) -> &'a str {
    part(value, member).as_str().unwrap_or_default()
}

/// A member that is a whole number.
pub(super) fn number(value: &Value, member: &str) -> Option<i64> {
    part(value, member).as_i64()
}

/// A member that is a list; empty where it is none.
pub(super) fn items<'a>(value: &'a Value, member: &str) -> &'a [Value] {
    part(value, member).as_array().map_or(&[], Vec::as_slice)
}

/// A member; null where there is none.
pub(super) fn part<'a>(value: &'a Value, member: &str) -> &'a Value {
    value.get(member).unwrap_or(&Value::Null)
}

/// A member as it is written: text, number, yes or no.
pub(super) fn shown<'a>(value: &'a Value, member: &str) -> Cow<'a, str> {
    match part(value, member) {
        Value::String(text) => Cow::Borrowed(text),
        Value::Null => Cow::Borrowed("\u{2013}"),
        Value::Bool(true) => Cow::Borrowed("yes"),
        Value::Bool(false) => Cow::Borrowed("no"),
        other @ (Value::Number(_) | Value::Array(_) | Value::Object(_)) => {
            Cow::Owned(other.to_string())
        }
    }
}

/// Where the minor units of a currency begin; none where it is unknown.
pub(super) fn places(currency: &str) -> usize {
    let known = Currency::from_alpha(currency).and_then(Currency::exponent);
    known.map_or(0, usize::from)
}

/// An amount in minor units as it is written: `-1 234.50 EUR` with narrow spaces.
pub(super) fn amount(minor: Option<i64>, currency: &str) -> Markup {
    let Some(minor) = minor else { return html! { "\u{2013}" } };
    html! { span.amount { (decimal(i128::from(minor), places(currency))) "\u{a0}" (currency) } }
}

/// The same of a sum, which may be more than an amount can be.
pub(super) fn sum(value: &Value, member: &str, currency: &str) -> Markup {
    let sum = part(value, member).to_string().parse::<i128>();
    html! {
        span.amount { (sum.map_or_else(|_| "?".to_owned(), |sum| decimal(sum, places(currency)))) }
    }
}

fn decimal(minor: i128, places: usize) -> String {
    let sign = if minor < 0 { "\u{2212}" } else { "" };
    let digits = format!("{:0>width$}", minor.unsigned_abs(), width = places + 1);
    let (whole, part) = digits.split_at(digits.len() - places);
    let mut grouped = String::with_capacity(digits.len() * 2);
    for (at, digit) in whole.chars().enumerate() {
        if at > 0 && (whole.len() - at) % 3 == 0 {
            grouped.push('\u{202f}');
        }
        grouped.push(digit);
    }
    if part.is_empty() { format!("{sign}{grouped}") } else { format!("{sign}{grouped}.{part}") }
}

/// An instant, to the second.
pub(super) fn date(value: &Value, member: &str) -> Markup {
    let at = text(value, member);
    if at.is_empty() {
        return html! { "\u{2013}" };
    }
    let (day, time) = at.split_once('T').unwrap_or((at, ""));
    html! { time datetime=(at) { (day) " " (time.get(..8).unwrap_or(time)) } }
}

/// A state, so that what is refused or locked is seen at once.
pub(super) fn badge(state: &str) -> Markup {
    let class = match state {
        "DECLINED" | "REJECTED" | "FAILED" | "REVOKED" | "REMOVED" => "badge bad",
        "AUTHORIZED" | "IN_PROGRESS" | "PENDING" | "INACTIVE" | "ORDERED" | "NEW" => "badge open",
        _ => "badge",
    };
    html! { span class=(class) { (state) } }
}

/// A table; `none` where it is empty. A name that begins with `#` stands over numbers.
pub(super) fn table(head: &[&str], rows: Vec<Markup>, none: &str) -> Markup {
    html! {
        @if rows.is_empty() {
            p.none { (none) }
        } @else {
            div.scroll {
                table {
                    thead { tr { @for name in head {
                        @match name.strip_prefix('#') {
                            Some(name) => th.number scope="col" { (name) },
                            None => th scope="col" { (name) },
                        }
                    } } }
                    tbody { @for row in rows { tr { (row) } } }
                }
            }
        }
    }
}

/// Names and what they are.
pub(super) fn facts(facts: &[(&str, Markup)]) -> Markup {
    html! { dl { @for (name, fact) in facts { div { dt { (name) } dd { (fact) } } } } }
}

/// The link to the next page of a list.
pub(super) fn more(list: &Value, here: &str, last: Option<&str>) -> Markup {
    let has_more = part(list, "hasMore").as_bool() == Some(true);
    let sign = if here.contains('?') { '&' } else { '?' };
    html! {
        @if let (true, Some(last)) = (has_more, last) {
            p { a rel="next" href=(format!("{here}{sign}after={last}")) { "More" } }
        }
    }
}

/// A form that asks the API for something.
pub(super) struct Ask<'a> {
    pub(super) verb: Verb,
    /// The route.
    pub(super) to: String,
    /// The page to come back to.
    pub(super) next: &'a str,
    /// What its button says.
    pub(super) says: &'a str,
    /// `body` or `answer`, where it must be encrypted.
    pub(super) encryption: &'a str,
}

impl<'a> Ask<'a> {
    pub(super) fn new(verb: Verb, to: String, next: &'a str, says: &'a str) -> Self {
        Self { verb, to, next, says, encryption: "" }
    }

    pub(super) fn encrypted(self, encryption: &'a str) -> Self {
        Self { encryption, ..self }
    }

    /// The form with these fields; nothing for whom the route is not.
    pub(super) fn form(&self, desk: &Desk, fields: Markup) -> Markup {
        html! {
            @if desk.may(self.verb, &self.to) {
                form method="post" action="/panel/act" {
                    input type="hidden" name="_verb" value=(self.verb.name());
                    input type="hidden" name="_to" value=(self.to);
                    input type="hidden" name="_next" value=(self.next);
                    input type="hidden" name="_key" value=(Uuid::new_v4());
                    @if !self.encryption.is_empty() {
                        input type="hidden" name="_encryption" value=(self.encryption);
                    }
                    (fields)
                    (reason_field())
                    button { (self.says) }
                }
            }
        }
    }

    /// The same without fields.
    pub(super) fn button(&self, desk: &Desk) -> Markup {
        self.form(desk, html! {})
    }
}

/// What the audit log says of an action.
pub(super) fn reason_field() -> Markup {
    html! { label.reason { "Why, for the log" input name="_reason" maxlength="200"; } }
}

/// A field of text.
pub(super) fn field(name: &str, label: &str, is_required: bool) -> Markup {
    html! { label { (label) input name=(name) required[is_required]; } }
}

/// A field for an amount in a currency, which is said along.
pub(super) fn amount_field(label: &str, currency: &str) -> Markup {
    html! {
        label {
            (label) " (" (currency) ")"
            input name=(format!("amount:{}", places(currency))) inputmode="decimal" required;
        }
        input type="hidden" name="currency" value=(currency);
    }
}

/// One of several.
pub(super) fn choice<'a>(
    name: &str,
    label: &str,
    options: impl IntoIterator<Item = (&'a str, &'a str)>,
) -> Markup {
    html! {
        label {
            (label)
            select name=(name) {
                @for (value, says) in options { option value=(value) { (says) } }
            }
        }
    }
}

/// Rooms of the panel: where they are, and what they are called.
const ROOMS: [(&str, &str, &str); 7] = [
    ("/panel", "Start", "/admin/programs"),
    ("/panel/customers", "Users", "/admin/customers"),
    ("/panel/checks", "Identity checks", "/admin/verifications"),
    ("/panel/partners", "Partners", "/admin/partners"),
    ("/panel/reloads", "Reloads", "/admin/reloads"),
    ("/panel/programs", "Programs", "/admin/programs"),
    (LOG, "Log", "/admin/audit"),
];
/// For operators alone who see what all partners have.
const LOG: &str = "/panel/log";

/// A page of an operator.
pub(super) fn page(desk: &Desk, title: &str, body: Markup) -> Response {
    let top = html! {
        nav aria-label="Rooms" {
            @for (at, name, route) in ROOMS {
                @if desk.may(Verb::Get, route) && (desk.sees_all || at != LOG) {
                    a href=(at) { (name) }
                }
            }
        }
        form.out method="post" action="/panel/sign-out" {
            span { (desk.operator) }
            button { "Sign out" }
        }
    };
    let body = html! {
        @if desk.was_done { p.done role="status" { "Done." } }
        (body)
    };
    frame(StatusCode::OK, title, &top, &body)
}

/// A page of nobody.
pub(super) fn bare(status: StatusCode, title: &str, body: &Markup) -> Response {
    frame(status, title, &html! {}, body)
}

/// What the API said no with, and the way back.
pub(super) fn problem(status: StatusCode, problem: &Value, back: &str, again: &Markup) -> Response {
    let body = html! {
        p.trouble role="alert" { (text(problem, "detail")) }
        @for error in items(problem, "errors") {
            p { strong { (shown(error, "field")) } ": " (shown(error, "message")) }
        }
        @let id = text(problem, "traceId");
        @if !id.is_empty() { p { "Request " code { (id) } } }
        (again)
        p { a href=(back) { "Back" } }
    };
    let title = Some(text(problem, "title")).filter(|title| !title.is_empty());
    bare(status, title.unwrap_or("No answer"), &body)
}

/// Why nothing was done.
pub(super) fn refusal(status: StatusCode, says: &str) -> Response {
    let body = html! {
        p.trouble role="alert" { (says) }
        p { a href="/panel" { "Start" } }
    };
    bare(status, "Nothing was done", &body)
}

fn frame(status: StatusCode, title: &str, top: &Markup, body: &Markup) -> Response {
    let page: PreEscaped<String> = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (title) " \u{b7} Pointsman" }
                link rel="stylesheet" href="/panel/style.css";
            }
            body {
                a.skip href="#content" { "To the content" }
                header { (top) }
                main id="content" { h1 { (title) } (body) }
            }
        }
    };
    (status, axum::response::Html(page.into_string())).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_written_to_the_last_minor_unit() {
        for (minor, places, written) in [
            (0, 2, "0.00"),
            (5, 2, "0.05"),
            (-123_450, 2, "\u{2212}1\u{202f}234.50"),
            (100_000_000, 2, "1\u{202f}000\u{202f}000.00"),
            (1_500, 0, "1\u{202f}500"),
            (999, 0, "999"),
            (1_234, 3, "1.234"),
            (
                i128::from(i64::MIN),
                0,
                "\u{2212}9\u{202f}223\u{202f}372\u{202f}036\u{202f}854\u{202f}775\u{202f}808",
            ),
        ] {
            assert_eq!(decimal(minor, places), written);
        }
    }
}
