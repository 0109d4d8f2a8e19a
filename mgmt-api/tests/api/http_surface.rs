//! What holds for every request: bounds, forms of errors, ids, health, metrics, draining.

use std::time::Duration;

use axum::http::StatusCode;
use reqwest::Method;
use reqwest::multipart::{Form, Part};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::peer::Mode;
use crate::quick_start::{FORM_TEXTS, JPEG, form};
use crate::world::{on_each, plain_wallet, send, until};

#[tokio::test(flavor = "multi_thread")]
async fn bodies_that_are_not_what_they_should_be_are_refused() {
    on_each(async |world| {
        let mut wallet = plain_wallet();
        wallet["partnerId"] = json!(2);
        let got = send(world.wallet(&world.partner, &wallet)).await;
        got.expect_error(400, "INVALID_REQUEST");
        for (member, value) in [
            ("phone", "12ab"),
            ("email", "nobody"),
            ("birthDate", "2000-02-30"),
            ("wPIN", "12x9"),
            ("firstName", ""),
            ("kyc", "MAYBE"),
        ] {
            let mut wallet = plain_wallet();
            wallet[member] = value.into();
            let got = send(world.wallet(&world.partner, &wallet)).await;
            got.expect_error(400, "INVALID_REQUEST");
            let said = String::from_utf8_lossy(&got.bytes);
            assert!(value.is_empty() || !said.contains(value), "echoes {said}");
        }
        let post = || world.secure(Method::POST, "/secure/customers/1/balances");
        let bad = post().header("Content-Type", "application/json").body("{");
        send(bad).await.expect_error(400, "INVALID_REQUEST");
        let text = post().header("Content-Type", "text/plain").body("{}");
        send(text).await.expect_error(415, "UNSUPPORTED_MEDIA_TYPE");
        let large = post().json(&json!({ "currency": "x".repeat(70_000) }));
        send(large).await.expect_error(413, "BODY_TOO_LARGE");
        let encrypted = post().header("Content-Type", "application/json").body(vec![b' '; 65_537]);
        send(encrypted).await.expect_error(413, "BODY_TOO_LARGE");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_is_bounded_and_its_images_are_sniffed() {
    on_each(async |world| {
        let customer = world.customer().await;
        let path = format!("/secure/customers/{customer}/register");
        let register = async |form| send(world.secure(Method::POST, &path).multipart(form)).await;
        let texts =
            || FORM_TEXTS.iter().fold(Form::new(), |form, (name, text)| form.text(*name, *text));
        let with = |form: Form, name: &'static str, content: Vec<u8>| {
            form.part(name, Part::bytes(content).file_name("x.jpg"))
        };
        let both = |form| with(with(form, "imageFace", JPEG.into()), "imageFront", JPEG.into());

        assert_eq!(register(both(texts())).await.status, 201, "a passport needs no back");
        let mut image = JPEG.to_vec();
        image.resize(10 * 1024 * 1024, 0);
        assert_eq!(register(with(both(texts()), "imageBack", image.clone())).await.status, 201);
        image.push(0);
        let got = register(with(both(texts()), "imageBack", image)).await;
        got.expect_error(413, "BODY_TOO_LARGE");
        let got = register(with(both(texts()), "imageBack", b"<svg/>".to_vec())).await;
        got.expect_error(422, "INVALID_CUSTOMER_DATA");
        register(texts()).await.expect_error(422, "INVALID_CUSTOMER_DATA");
        register(form().text("role", "admin")).await.expect_error(400, "INVALID_REQUEST");
        register(form().text("city", "again")).await.expect_error(400, "INVALID_REQUEST");
        let got = register(both(texts()).text("x".repeat(70_000), "")).await;
        got.expect_error(400, "INVALID_REQUEST");
        let got = world.post(&path, &json!({})).await;
        got.expect_error(415, "UNSUPPORTED_MEDIA_TYPE");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_of_the_framework_have_our_form_and_ids_go_in_and_out() {
    on_each(async |world| {
        world.get_public("/nothing").await.expect_error(404, "ROUTE_NOT_FOUND");
        let got = send(world.nobody.delete(world.public_url("/livez"))).await;
        got.expect_error(405, "METHOD_NOT_ALLOWED");
        let ours = world.nobody.get(world.public_url("/nothing")).header("X-Request-Id", "abc-1");
        let got = send(ours).await;
        assert_eq!(got.headers["x-request-id"], "abc-1");
        let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
        let traced = world.secure(Method::GET, "/livez");
        let traced = traced.header("traceparent", format!("00-{trace}-00f067aa0ba902b7-01"));
        let back = send(traced).await.headers["traceparent"].to_str().unwrap().to_owned();
        assert!(back.starts_with(&format!("00-{trace}-")) && back.ends_with("-01"), "{back}");
        assert_eq!(got.json()["traceId"], "abc-1");
        assert_eq!(got.json()["instance"], "/nothing");
        let odd = world.nobody.get(world.public_url("/livez")).header("X-Request-Id", "a b");
        assert_ne!(send(odd).await.headers["x-request-id"], "a b");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn readiness_follows_the_link_and_metrics_count() {
    on_each(async |world| {
        world.customer().await;
        world.peer.stop();
        until(async || world.get_public("/readyz").await.status == 503).await;
        let ready = world.get_public("/readyz").await;
        let body = ready.json();
        assert_eq!((ready.status, &body["switch"]), (503, &json!(false)), "{body}");
        assert_eq!(world.get_public("/livez").await.status, 200);
        world.peer.resume();
        world.until_ready().await;
        let metrics = world.get_public("/metrics").await;
        let text = String::from_utf8(metrics.bytes).unwrap();
        let line = r#"mgmt_requests_total{route="POST /lifecycle/v1/wallet",status="201"}"#;
        assert!(text.contains(line), "{text}");
        assert!(text.contains("# HELP mgmt_switch_link_up 1 while"), "{text}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_drains_what_is_under_way() {
    on_each(async |world| {
        let customer = world.customer().await;
        world.peer.set_mode(Mode::Ignore);
        let path = format!("/secure/customers/{customer}/balances");
        let request = world.secure(Method::POST, &path).json(&json!({ "currency": "EUR" }));
        let (received, public) = (world.peer.received(), world.public_url(""));
        let under_way = tokio::spawn(send(request));
        world.peer.until_received(received + 1).await;
        world.begin_stop();
        let address = public.split("//").nth(1).unwrap();
        until(async || TcpStream::connect(address).await.is_err()).await;
        world.peer.set_mode(Mode::Answer);
        world.peer.cut();
        under_way.await.unwrap().expect(StatusCode::CREATED);
        world.stop_server().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_says_nothing_is_closed() {
    on_each(async |world| {
        world.stop_server().await;
        world.config.limits.handshake_timeout_ms = 100;
        world.config.limits.header_timeout_ms = 100;
        world.start_server().await;
        for url in [world.secure_url(""), world.public_url("")] {
            let address = url.split("//").nth(1).unwrap().to_owned();
            let mut stream = TcpStream::connect(address).await.unwrap();
            stream.write_all(b"GET /livez HT").await.ok();
            let mut rest = Vec::new();
            let closed = stream.read_to_end(&mut rest);
            tokio::time::timeout(Duration::from_secs(5), closed)
                .await
                .expect("the server closes it")
                .ok();
        }
    })
    .await;
}
