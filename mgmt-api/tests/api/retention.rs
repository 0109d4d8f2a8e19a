//! What is wiped when its time is over, and what no longer happens to it.

use axum::http::StatusCode;
use reqwest::Method;
use serde_json::json;

use crate::orders::trust_bureau;
use crate::quick_start::form;
use crate::world::{World, on_each, send, text, until};

#[tokio::test(flavor = "multi_thread")]
async fn images_and_people_are_wiped_when_their_time_is_over() {
    on_each(async |world| {
        let customer = world.unchecked().await;
        let id = world.register(&customer, form()).await;
        let at = format!("/admin/verifications/{id}");
        world.admin(Method::POST, &format!("{at}/accept"), None).await;
        let balance = world.balance(&customer, "EUR").await;
        world.card(&customer, &balance, "0019167984").await;
        let path = format!("/admin/customers/{customer}");
        assert_eq!(world.admin(Method::DELETE, &path, None).await.status, 204);
        // One whose customer stays.
        let stays = world.customer().await;
        let balance = world.balance(&stays, "EUR").await;
        let gone = text(&world.card(&stays, &balance, "0019167984").await, "id");
        world.card(&stays, &balance, "0019167984").await;
        let path = format!("/admin/customers/{stays}/cards/{gone}");
        world.admin(Method::DELETE, &path, None).await.expect(StatusCode::NO_CONTENT);
        let image = format!("{at}/images/imageFace");
        let look = async |world: &World| world.admin(Method::GET, &image, None).await.status;
        let removed = "SELECT COUNT(*) FROM cards WHERE removed_at_ms IS NOT NULL";
        until(async || world.database.number(removed).await == 2).await;
        assert_eq!(look(world).await, 200);
        world.stop_server().await;
        world.config.retention_days = 0;
        world.start_server().await;
        until(async || look(world).await == 404).await;
        let shown = world.admin(Method::GET, &at, None).await;
        let shown = shown.expect(StatusCode::OK);
        assert_eq!((&shown["status"], shown.get("form")), (&json!("ACCEPTED"), None), "{shown}");
        let numbers = "SELECT COUNT(*) FROM cards WHERE length(pan_sealed) = 0";
        until(async || world.database.number(numbers).await == 2).await;
        let kept = "SELECT COUNT(*) FROM cards WHERE removed_at_ms IS NULL \
             AND length(pan_sealed) > 0";
        assert_eq!(world.database.number(kept).await, 1);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_goes_with_its_user_and_is_not_decided_by_itself() {
    on_each(async |world| {
        let (gone, stays) = (world.unchecked().await, world.unchecked().await);
        let of_gone = world.register(&gone, form()).await;
        let path = format!("/admin/customers/{gone}");
        world.admin(Method::DELETE, &path, None).await.expect(StatusCode::NO_CONTENT);
        let of_stays = world.register(&stays, form()).await;
        let mode = json!({ "kycMode": "AUTOMATIC" });
        world.put("/admin/partners/1", &mode).await.expect(StatusCode::NO_CONTENT);
        let status = async |world: &World, id: &str| {
            let shown = world.admin(Method::GET, &format!("/admin/verifications/{id}"), None).await;
            text(&shown.expect(StatusCode::OK), "status")
        };
        until(async || status(world, &of_stays).await != "IN_PROGRESS").await;
        assert_eq!(status(world, &of_gone).await, "IN_PROGRESS", "and it came first");

        let images = "SELECT COUNT(*) FROM verification_images";
        assert!(world.database.number(images).await >= 4);
        world.stop_server().await;
        world.config.retention_days = 0;
        world.start_server().await;
        until(async || world.database.number(images).await == 0).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wiped_order_is_given_to_no_bureau() {
    on_each(async |world| {
        trust_bureau(world).await;
        let gone = world.customer().await;
        let balance = world.balance(&gone, "EUR").await;
        world.order(&gone, &balance).await;
        let path = format!("/admin/customers/{gone}");
        world.admin(Method::DELETE, &path, None).await.expect(StatusCode::NO_CONTENT);
        world.stop_server().await;
        world.config.retention_days = 0;
        world.start_server().await;
        let wiped = "SELECT COUNT(*) FROM card_orders WHERE length(delivery_sealed) = 0";
        until(async || world.database.number(wiped).await == 1).await;
        let stays = world.customer().await;
        let balance = world.balance(&stays, "EUR").await;
        let order = world.order(&stays, &balance).await;
        let url = world.public_url("/admin/personalisation/batches");
        let request = world.nobody.post(url).bearer_auth(&world.admin_token);
        let sent = send(request.header("Idempotency-Key", "a")).await;
        assert_eq!(sent.expect(StatusCode::CREATED)["orders"], 1);
        let path = format!("/secure/customers/{stays}/cards/orders/{order}");
        assert_eq!(world.get(&path).await.json()["status"], "SENT_TO_BUREAU");
    })
    .await;
}
