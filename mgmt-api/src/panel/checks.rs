//! Identity checks that wait for somebody: what was stated, the images, the decision. Source:
//! requirements #75, #174.

use axum::extract::{Path, Query};
use axum::response::Response;
use maud::html;
use utoipa::PartialSchema;
use utoipa::openapi::{RefOr, Schema};

use super::desk::{Desk, Result, plain};
use super::page::{self, Ask, badge, date, facts, items, part, shown, table, text};
use super::start::After;
use crate::app::RejectReason;
use crate::routes::table::Verb;

/// Images of a check.
const IMAGES: [(&str, &str); 3] =
    [("imageFace", "The face"), ("imageFront", "Document, front"), ("imageBack", "Document, back")];

pub(super) async fn list(desk: Desk, Query(after): Query<After>) -> Result<Response> {
    let list = desk.get(&format!("/admin/verifications{}", after.query()?)).await?;
    let checks = items(&list, "items");
    let rows = checks.iter().map(|check| {
        let (id, user) = (text(check, "verificationId"), text(check, "customerId"));
        html! {
            td { a href=(format!("/panel/checks/{id}")) { (id) } }
            td { a href=(format!("/panel/customers/{user}")) { (user) } }
            td { (date(check, "createdAt")) }
            td { (badge(text(check, "status"))) }
        }
    });
    let body = html! {
        (table(&["Check", "User", "Since", "Status"], rows.collect(), "None waits."))
        (page::more(&list, "/panel/checks", checks.last().map(|last| text(last, "verificationId"))))
    };
    Ok(page::page(&desk, "Identity checks", body))
}

pub(super) async fn one(desk: Desk, Path(id): Path<String>) -> Result<Response> {
    let id = plain(&id)?;
    let (api, here) = (format!("/admin/verifications/{id}"), format!("/panel/checks/{id}"));
    let check = desk.get(&api).await?;
    let form = part(&check, "form");
    let user = text(&check, "customerId");
    let reasons = reject_reasons();
    let reasons = reasons.iter().map(|reason| (reason.as_str(), reason.as_str()));
    let body = html! {
        (facts(&[
            ("Status", badge(text(&check, "status"))),
            ("Reason", html! { (shown(&check, "reason")) }),
            ("User", html! { a href=(format!("/panel/customers/{user}")) { (user) } }),
            ("Since", date(&check, "createdAt")),
            ("Decided", date(&check, "decidedAt")),
        ]))
        section {
            h2 { "What was stated" }
            dl {
                @for (name, _) in form.as_object().into_iter().flatten() {
                    div { dt { (name) } dd { (shown(form, name)) } }
                }
            }
            div.images {
                @for (image, says) in IMAGES {
                    figure {
                        img src=(format!("{here}/images/{image}")) alt=(says);
                        figcaption { (says) }
                    }
                }
            }
        }
        @if text(&check, "status") == "IN_PROGRESS" {
            section {
                h2 { "Decide" }
                div.forms {
                    (Ask::new(Verb::Post, format!("{api}/accept"), &here, "Accept").button(&desk))
                    (Ask::new(Verb::Post, format!("{api}/reject"), &here, "Reject")
                        .form(&desk, page::choice("reason", "Why", reasons)))
                }
            }
        }
    };
    Ok(page::page(&desk, &format!("Identity check of user {user}"), body))
}

/// Reasons as the API's description lists them.
fn reject_reasons() -> Vec<String> {
    let RefOr::T(Schema::Object(schema)) = RejectReason::schema() else { return Vec::new() };
    let names = schema.enum_values.unwrap_or_default();
    names.iter().filter_map(|name| name.as_str().map(str::to_owned)).collect()
}

/// An image as it was taken in; only an image is shown.
pub(super) async fn image(
    desk: Desk,
    Path((id, image)): Path<(String, String)>,
) -> Result<Response> {
    let path = format!("/admin/verifications/{}/images/{}", plain(&id)?, plain(&image)?);
    desk.file(&path).await
}
