//! Signing in and out: the session's token lives in a cookie that scripts and other sites cannot
//! read or send.

use std::sync::Arc;

use axum::Form;
use axum::extract::State;
use axum::http::header::SET_COOKIE;
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::{Value, json};
use zeroize::{Zeroize, ZeroizeOnDrop};

use super::Panel;
use super::desk::{Door, Result, Trouble, Wish, see_other};
use super::page::{self, text};
use crate::routes::table::Verb;

/// What the form says.
#[derive(Deserialize, Zeroize, ZeroizeOnDrop)]
pub(super) struct Entry {
    name: String,
    password: String,
}

pub(super) async fn form() -> Response {
    shown(StatusCode::OK, None)
}

fn shown(status: StatusCode, problem: Option<&Value>) -> Response {
    let body: Markup = html! {
        @if let Some(problem) = problem {
            p.trouble role="alert" { strong { (text(problem, "title")) } ": " (text(problem, "detail")) }
        }
        form method="post" action="/panel/sign-in" {
            label { "Name" input name="name" autocomplete="username" required autofocus; }
            label {
                "Password"
                input name="password" type="password" autocomplete="current-password" required;
            }
            button { "Sign in" }
        }
    };
    page::bare(status, "Sign in", &body)
}

/// Begins a session. What the API encrypts for it is encrypted to the server's own key, which the
/// panel does not open: card data reach no operator. Source: requirements #43.
pub(super) async fn sign_in(
    State(panel): State<Arc<Panel>>,
    parts: Parts,
    Form(entry): Form<Entry>,
) -> Result<Response> {
    let door = Door::without_session(&parts);
    let key = panel.jwe.public_key();
    let body = json!({ "name": entry.name, "password": entry.password, "publicKey": key });
    let wish = Wish { body: Some(body), ..Wish::default() };
    match door.json(&panel, Verb::Post, "/admin/sessions", wish).await {
        Ok(session) => Ok(with_cookie(&panel, text(&session, "token"), see_other("/panel"))),
        Err(Trouble::Problem(status, problem)) => Ok(shown(status, Some(&problem))),
        Err(other) => Err(other),
    }
}

/// Ends the session, here and there.
pub(super) async fn sign_out(State(panel): State<Arc<Panel>>, parts: Parts) -> Response {
    if let Some(door) = Door::of(&panel, &parts) {
        let path = "/admin/sessions/current";
        if door.ask(&panel, Verb::Delete, path, Wish::default()).await.is_err() {
            tracing::debug!("a session that was signed out had ended before");
        }
    }
    with_cookie(&panel, "", see_other("/panel/sign-in"))
}

/// The cookie: an empty one is forgotten at once, any other when the browser closes or the session
/// ends.
fn with_cookie(panel: &Panel, token: &str, mut response: Response) -> Response {
    let secure = if panel.is_tls { "; Secure" } else { "" };
    let ends = if token.is_empty() { "; Max-Age=0" } else { "" };
    let name = panel.cookie_name();
    let cookie = format!("{name}={token}; Path=/; HttpOnly; SameSite=Strict{secure}{ends}");
    match HeaderValue::from_str(&cookie) {
        Ok(mut cookie) => {
            cookie.set_sensitive(true);
            response.headers_mut().insert(SET_COOKIE, cookie);
            response
        }
        Err(_not_printable) => Trouble::Unreadable.into_response(),
    }
}
