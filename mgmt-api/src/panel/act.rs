//! POST /panel/act: what a form asks for, asked of the API once.
//!
//! Invariant: a form names a route of /admin and its own idempotency key; who may do what is
//! decided there. Its fields say their own type: `amount:2` is a decimal of two places that
//! becomes minor units, `count:n` a whole number, `yes:b` a box that is checked; a dot nests.

use axum::Form;
use axum::http::{HeaderValue, StatusCode};
use axum::response::Response;
use maud::{Markup, html};
use serde_json::{Map, Value, json};
use zeroize::Zeroizing;

use super::desk::{Desk, Result, Trouble, Wish, see_other};
use super::page;
use crate::routes::table::Verb;

/// Fields of a form.
const FIELDS_MAX: usize = 64;

/// Does what a form asks for and leads back to its page.
pub(super) async fn act(desk: Desk, Form(fields): Form<Vec<(String, String)>>) -> Result<Response> {
    let about = |name: &str| {
        let mut about = fields.iter().filter(|(field, _)| field == name);
        about.next().map(|(_, value)| value.as_str())
    };
    let verb = match about("_verb") {
        Some("POST") => Verb::Post,
        Some("PUT") => Verb::Put,
        Some("DELETE") => Verb::Delete,
        Some(_) | None => return Err(Trouble::Unreadable),
    };
    let to = about("_to").filter(|to| is_path(to, "/admin/")).ok_or(Trouble::Unreadable)?;
    let next = about("_next").filter(|next| is_path(next, "/panel")).ok_or(Trouble::Unreadable)?;
    let wish = Wish { key: about("_key").map(str::to_owned), ..Wish::default() };
    let mut wish = wish.because(about("_reason").unwrap_or_default());
    if fields.len() > FIELDS_MAX || wish.key.is_none() {
        return Err(Trouble::Unreadable);
    }
    let body = match body(&fields) {
        Ok(body) => body,
        Err(field) => {
            let problem = json!({ "title": "INVALID_REQUEST", "detail": format!("{field}: this is no number of that form.") });
            return Ok(page::problem(StatusCode::BAD_REQUEST, &problem, next, &html! {}));
        }
    };
    wish.body = (!body.is_empty()).then(|| Value::Object(body));
    match about("_encryption") {
        Some("body") => seal(&desk, &mut wish).await?,
        Some("answer") => blind(&desk, &mut wish)?,
        Some(_) | None => {}
    }
    match desk.ask(verb, to, wish).await {
        Ok(_answer) => Ok(see_other(&format!("{next}?done=1"))),
        Err(Trouble::Problem(status, problem)) => {
            let again = if is_open(status) {
                again(&fields)
            } else {
                html! {}
            };
            Ok(page::problem(status, &problem, next, &again))
        }
        Err(other) => Err(other),
    }
}

/// Whether it may have been done all the same.
fn is_open(status: StatusCode) -> bool {
    status.is_server_error()
        || matches!(status, StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS)
}

/// The same form once more, under its key: what was done already is not done again.
fn again(fields: &[(String, String)]) -> Markup {
    html! {
        p { "It is not known whether this was done. Asked again here, it is done once." }
        form method="post" action="/panel/act" {
            @for (name, value) in fields { input type="hidden" name=(name) value=(value); }
            button { "Try again" }
        }
    }
}

/// An address without a query that cannot lead elsewhere.
fn is_path(path: &str, begin: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'-' | b'_');
    path.starts_with(begin) && path.bytes().all(is_plain) && !path.contains("//")
}

/// Encrypts the body to the server's own key, as a partner would.
async fn seal(desk: &Desk, wish: &mut Wish) -> Result<()> {
    let Some(body) = wish.body.take() else { return Err(Trouble::Unreadable) };
    let jwe = &desk.panel.jwe;
    let own = jwe.response_key(&jwe.public_key()).map_err(|_logged| Trouble::Unreadable)?;
    let plain = Zeroizing::new(body.to_string().into_bytes());
    let sealed = jwe.seal_body(&own, plain).await.map_err(|_logged| Trouble::Unreadable)?;
    wish.body = serde_json::from_slice(&sealed).ok();
    wish.headers.insert("encrypted-request", HeaderValue::from_static("true"));
    blind(desk, wish)
}

/// Has the answer encrypted to the server's own key; nobody opens it.
fn blind(desk: &Desk, wish: &mut Wish) -> Result<()> {
    let key = HeaderValue::from_str(&desk.panel.jwe.public_key());
    wish.headers.insert("public-key", key.map_err(|_not_printable| Trouble::Unreadable)?);
    wish.headers.insert("encrypted-response", HeaderValue::from_static("true"));
    Ok(())
}

/// The fields as JSON; an empty one is left out. Fails with the name of one that does not read.
fn body(fields: &[(String, String)]) -> core::result::Result<Map<String, Value>, &str> {
    let mut body = Map::new();
    for (field, text) in fields.iter().filter(|(name, _)| !name.starts_with('_')) {
        let (name, kind) = field.split_once(':').unwrap_or((field, ""));
        let text = text.trim();
        if text.is_empty() {
            continue;
        }
        let value = match kind {
            "" => Value::from(text),
            "n" => Value::from(text.parse::<i64>().map_err(|_no_number| name)?),
            "b" => Value::from(text == "on"),
            places => Value::from(places.parse().ok().and_then(|at| minor(text, at)).ok_or(name)?),
        };
        let (outer, inner) = name.split_once('.').map_or((name, None), |(a, b)| (a, Some(b)));
        match inner {
            None => drop(body.insert(outer.to_owned(), value)),
            Some(inner) => {
                let nested = body.entry(outer).or_insert_with(|| json!({}));
                nested.as_object_mut().ok_or(name)?.insert(inner.to_owned(), value);
            }
        }
    }
    Ok(body)
}

/// `12.5` or `12,50` with two places is 1250. No sign, nothing beyond the places.
fn minor(text: &str, places: usize) -> Option<i64> {
    let (whole, part) = text.split_once(['.', ',']).unwrap_or((text, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !digits(whole) || !digits(part) || part.len() > places || places > 4 {
        return None;
    }
    format!("{whole}{part:0<places$}").parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_decimal_becomes_minor_units_exactly() {
        for (text, places, minor_units) in [
            ("12.50", 2, Some(1_250)),
            ("12,5", 2, Some(1_250)),
            ("12", 2, Some(1_200)),
            ("0.01", 2, Some(1)),
            ("1500", 0, Some(1_500)),
            ("1.234", 3, Some(1_234)),
            ("92233720368547758.07", 2, Some(i64::MAX)),
            ("92233720368547758.08", 2, None),
            ("12.505", 2, None),
            ("-1", 2, None),
            ("1 000", 2, None),
            (".5", 2, None),
            ("1e3", 2, None),
            ("", 2, None),
            ("12.5", 9, None),
        ] {
            assert_eq!(minor(text, places), minor_units, "{text} with {places}");
        }
    }

    #[test]
    fn fields_say_their_type_and_a_dot_nests() {
        let fields = |pairs: &[(&str, &str)]| -> Vec<(String, String)> {
            pairs.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect()
        };
        let form = fields(&[
            ("_to", "/admin/x"),
            ("amount:2", "1.5"),
            ("reason:n", "3"),
            ("wanted:b", "on"),
            ("comment", ""),
            ("address.city", " Lublin "),
            ("address.street", "Polna 7"),
        ]);
        let expected = json!({ "amount": 150, "reason": 3, "wanted": true,
            "address": { "city": "Lublin", "street": "Polna 7" } });
        assert_eq!(Value::Object(body(&form).unwrap()), expected);
        assert_eq!(body(&fields(&[("reason:n", "three")])), Err("reason"));
        assert_eq!(body(&fields(&[("amount:2", "1.555")])), Err("amount"));
        assert_eq!(body(&fields(&[("a", "1"), ("a.b", "2")])), Err("a.b"));
    }

    #[test]
    fn an_address_leads_nowhere_else() {
        assert!(is_path("/admin/customers/1/cards/2/lock", "/admin/"));
        for other in [
            "/secure/x",
            "/admin/../secure",
            "/admin/x?y=1",
            "/admin//x",
            "https://a.b",
            "/admin/%2e",
            "//admin/",
        ] {
            assert!(!is_path(other, "/admin/"), "{other}");
        }
    }
}
