//! Encrypted bodies over HTTP: what is taken, what is refused, and with which code.

use axum::http::StatusCode;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use josekit::jwe::alg::rsaes::RsaesJweAlgorithm;
use josekit::jwe::{JweContext, JweHeader};
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use crate::world::{World, decrypted, on_each, public_key, send, text};

async fn our_key(world: &World) -> Vec<u8> {
    let got = send(world.nobody.get(world.secure_url("/secure/public_key"))).await;
    STANDARD.decode(text(&got.expect(StatusCode::OK), "publicKey")).unwrap()
}

fn token(key: &[u8], algorithm: RsaesJweAlgorithm, header: &Value, plain: &Value) -> String {
    let mut claims = JweHeader::new();
    for (name, value) in header.as_object().unwrap() {
        claims.set_claim(name, Some(value.clone())).unwrap();
    }
    let encrypter = algorithm.encrypter_from_pem(key).unwrap();
    let plain = serde_json::to_vec(plain).unwrap();
    JweContext::new().serialize_compact(&plain, &claims, &encrypter).unwrap()
}

struct Ready {
    path: String,
    plain: Value,
}

impl Ready {
    async fn new(world: &World) -> Self {
        let customer = world.customer().await;
        let balance = world.balance(&customer, "EUR").await;
        Self {
            path: format!("/secure/customers/{customer}/cards/virtual"),
            plain: json!({ "balanceId": balance, "configId": "0019167984" }),
        }
    }

    fn with_payload(&self, world: &World, body: &Value) -> RequestBuilder {
        world
            .secure(Method::POST, &self.path)
            .header("Encrypted-Request", "true")
            .header("Public-Key", public_key())
            .json(body)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_encrypted_request_gets_an_encrypted_answer() {
    on_each(async |world| {
        let (key, ready) = (our_key(world).await, Ready::new(world).await);
        for algorithm in [RsaesJweAlgorithm::RsaOaep256, RsaesJweAlgorithm::RsaOaep] {
            let token = token(&key, algorithm, &json!({ "enc": "A256GCM" }), &ready.plain);
            let got = send(ready.with_payload(world, &json!({ "payload": token }))).await;
            let card = decrypted(&got.expect(StatusCode::CREATED));
            assert_eq!(text(&card, "pan").len(), 16);
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_that_the_wrapper_must_refuse_are_refused_alike() {
    on_each(async |world| {
        let (key, ready) = (our_key(world).await, Ready::new(world).await);
        let rsa = RsaesJweAlgorithm::RsaOaep256;
        let made = |header: Value| token(&key, rsa, &header, &ready.plain);
        let good = made(json!({ "enc": "A256GCM" }));
        let with_header = |header: Value| {
            let (_old, rest) = good.split_once('.').unwrap();
            format!("{}.{rest}", URL_SAFE_NO_PAD.encode(header.to_string()))
        };
        let cut_tag = |keep: usize| {
            let (front, tag) = good.rsplit_once('.').unwrap();
            let tag = URL_SAFE_NO_PAD.decode(tag).unwrap();
            format!("{front}.{}", URL_SAFE_NO_PAD.encode(&tag[..keep]))
        };
        let other = crate::world::caller_key().to_pem_public_key();
        let tokens = [
            ("zip", made(json!({ "enc": "A256GCM", "zip": "DEF" }))),
            ("enc", made(json!({ "enc": "A128GCM" }))),
            ("kid", made(json!({ "enc": "A256GCM", "kid": "other" }))),
            (
                "crit",
                with_header(json!({ "alg": "RSA-OAEP-256", "enc": "A256GCM", "crit": ["x"] })),
            ),
            ("alg", with_header(json!({ "alg": "RSA1_5", "enc": "A256GCM" }))),
            ("none", with_header(json!({ "alg": "none", "enc": "A256GCM" }))),
            ("tag of one byte", cut_tag(1)),
            ("tag of 15 bytes", cut_tag(15)),
            ("truncated", good[..good.len() / 2].to_owned()),
            ("other key", token(&other, rsa, &json!({ "enc": "A256GCM" }), &ready.plain)),
            ("empty", String::new()),
        ];
        let mut bodies = Vec::new();
        for (name, token) in tokens {
            let got = send(ready.with_payload(world, &json!({ "payload": token }))).await;
            assert_eq!(got.title(), "CANT_DECRYPT_PAYLOAD", "{name}");
            got.expect_error(400, "CANT_DECRYPT_PAYLOAD");
            bodies.push(text(&got.json(), "detail"));
        }
        bodies.dedup();
        assert_eq!(bodies.len(), 1, "one text for every failure");

        for body in [json!({ "pay": "x" }), json!([]), ready.plain.clone(), json!({ "payload": 1 })]
        {
            send(ready.with_payload(world, &body)).await.expect_error(400, "INVALID_PAYLOAD");
        }
        for plain in [json!("x"), json!({ "balanceId": 1 })] {
            let token = token(&key, rsa, &json!({ "enc": "A256GCM" }), &plain);
            let got = send(ready.with_payload(world, &json!({ "payload": token }))).await;
            got.expect_error(400, "INVALID_PAYLOAD");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn card_data_leaves_encrypted_to_the_registered_key_only() {
    on_each(async |world| {
        let ready = Ready::new(world).await;
        let request = || world.secure(Method::POST, &ready.path).json(&ready.plain);
        send(request()).await.expect_error(400, "ENCRYPTION_REQUIRED");
        let only_key = request().header("Public-Key", public_key());
        send(only_key).await.expect_error(400, "ENCRYPTION_REQUIRED");
        let off = request().header("Encrypted-Response", "false");
        send(off).await.expect_error(400, "ENCRYPTION_REQUIRED");
        let wanted = || request().header("Encrypt-Response", "true");
        send(wanted()).await.expect_error(400, "INVALID_PUBLIC_KEY");
        for bad in ["", "x", "aGVsbG8="] {
            let got = send(wanted().header("Public-Key", bad)).await;
            got.expect_error(400, "INVALID_PUBLIC_KEY");
        }
        let maybe = request().header("Encrypted-Response", "maybe");
        send(maybe).await.expect_error(400, "INVALID_REQUEST");

        let first = send(wanted().header("Public-Key", public_key())).await;
        first.expect(StatusCode::CREATED);
        let other = RsaesJweAlgorithm::RsaOaep.generate_key_pair(2048).unwrap();
        let other = STANDARD.encode(other.to_pem_public_key());
        let got = send(wanted().header("Public-Key", &other)).await;
        got.expect_error(400, "INVALID_PUBLIC_KEY");
        // The same key in another form is the same key.
        let (_rest, pem) =
            x509_parser::pem::parse_x509_pem(&crate::world::caller_key().to_pem_public_key())
                .map(|(rest, pem)| (rest.len(), pem))
                .unwrap();
        let der = send(wanted().header("Public-Key", STANDARD.encode(pem.contents))).await;
        der.expect(StatusCode::CREATED);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn our_public_key_is_at_every_printed_address() {
    on_each(async |world| {
        let secure = send(world.nobody.get(world.secure_url("/secure/public_key"))).await;
        let secure = secure.expect(StatusCode::OK);
        let pem = String::from_utf8(STANDARD.decode(text(&secure, "publicKey")).unwrap()).unwrap();
        assert!(pem.starts_with("-----BEGIN PUBLIC KEY-----\n"), "{pem}");
        for path in ["/customers/public_key", "/admin/public_key", "/lifecycle/v1/public-key"] {
            assert_eq!(world.get_public(path).await.expect(StatusCode::OK), secure, "{path}");
        }
    })
    .await;
}
