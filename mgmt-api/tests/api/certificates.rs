//! Certificates of partners: signed over the API, used, listed, revoked for ever.

use axum::http::StatusCode;
use reqwest::{Certificate, Client, Identity, Method};
use serde_json::{Value, json};

use crate::world::{Got, NETWORK, World, on_each, plain_wallet, send, text};

/// A request and its key, made by openssl as a partner makes it.
pub(crate) async fn request(world: &World, bits: u32, subject: &str) -> (String, String) {
    let key = world.path(&format!("{}.key", uuid::Uuid::new_v4()));
    let new = format!("rsa:{bits}");
    let output = tokio::process::Command::new("openssl")
        .args(["req", "-new", "-newkey", &new, "-nodes", "-subj", subject, "-keyout"])
        .arg(&key)
        .output()
        .await
        .unwrap();
    let csr = String::from_utf8(output.stdout).unwrap();
    (csr, std::fs::read_to_string(&key).unwrap())
}

pub(crate) const GOOD: &str = "/CN=V-Sparados-Example/O=Example/OU=019a0000-0000-4000-8000-000000000009/\
    L=Lublin/ST=Lubelskie/C=PL/emailAddress=ops@example.com";

impl World {
    pub(crate) async fn sign(&self, csr: &str, more: Value) -> Got {
        let mut body = json!({ "partner": 1, "csr": csr });
        for (name, value) in more.as_object().unwrap() {
            body[name] = value.clone();
        }
        self.admin(Method::POST, "/admin/certificates", Some(&body)).await
    }

    fn client_of(&self, certificate: &str, key: &str) -> Client {
        let ca = Certificate::from_pem(&std::fs::read(self.path("pki/ca.pem")).unwrap()).unwrap();
        let identity = Identity::from_pem(format!("{certificate}{key}").as_bytes()).unwrap();
        Client::builder().tls_certs_only([ca]).identity(identity).build().unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signed_certificate_connects_until_it_is_revoked() {
    on_each(async |world| {
        let (csr, key) = request(world, 2048, GOOD).await;
        let none = world.sign(&csr, json!({})).await;
        none.expect_error(403, "FEATURE_NOT_ENABLED");
        world.stop_server().await;
        world.config.ca = Some(world.path("pki"));
        world.start_server().await;
        let signed = world.sign(&csr, json!({ "networks": ["127.0.0.0/8"] })).await;
        let signed = signed.expect(StatusCode::CREATED);
        let client = world.client_of(&text(&signed, "certificate"), &key);
        let added = send(world.wallet(&client, &plain_wallet())).await;
        added.expect(StatusCode::CREATED);
        world.sign(&csr, json!({})).await.expect_error(409, "CERTIFICATE_EXISTS");

        let listed = world.admin(Method::GET, "/admin/certificates", None).await.json();
        let id = text(&signed, "certificateId");
        let of_id = |listed: &Value, id: &str| {
            let items = listed["items"].as_array().unwrap().iter();
            items.clone().find(|item| item["certificateId"] == id).unwrap().clone()
        };
        let mine = of_id(&listed, &id);
        assert_eq!((&mine["email"], &mine["state"]), (&json!("ops@example.com"), &json!("ACTIVE")));
        assert_eq!(
            (&mine["networks"], &mine["source"]),
            (&json!(["127.0.0.0/8"]), &json!("ISSUED"))
        );
        assert_eq!(mine["notAfter"], signed["notAfter"]);

        // A restart takes the configuration's certificates anew and leaves this one.
        world.stop_server().await;
        world.start_server().await;
        send(world.wallet(&client, &plain_wallet())).await.expect(StatusCode::CREATED);
        let path = format!("/admin/certificates/{id}");
        assert_eq!(world.admin(Method::DELETE, &path, None).await.status, 204);
        let refused = send(world.wallet(&client, &plain_wallet())).await;
        refused.expect_error(401, "CLIENT_CERTIFICATE_UNKNOWN");
        let nobody = format!("/admin/certificates/{}", "0".repeat(64));
        let got = world.admin(Method::DELETE, &nobody, None).await;
        got.expect_error(404, "CERTIFICATE_NOT_FOUND");

        // One of the configuration too, for ever.
        let configured = listed["items"].as_array().unwrap().iter();
        let theirs = configured.clone().find(|item| item["name"] == "stranger").unwrap();
        let path = format!("/admin/certificates/{}", text(theirs, "certificateId"));
        assert_eq!(world.admin(Method::DELETE, &path, None).await.status, 204);
        world.stop_server().await;
        world.start_server().await;
        let refused = send(world.wallet(&world.stranger, &plain_wallet())).await;
        refused.expect_error(401, "CLIENT_CERTIFICATE_UNKNOWN");
        // And a network's.
        let network = world.path("pki/network.crt");
        let key = mgmt_api::pki::spki_sha256_of_file(&network).unwrap();
        let key: String = key.iter().map(|byte| format!("{byte:02x}")).collect();
        let path = format!("/secure/processors/{NETWORK}/cards/lock");
        let lock = || world.network.post(world.secure_url(&path)).json(&json!({}));
        send(lock()).await.expect_error(400, "ENCRYPTION_REQUIRED");
        let revoke = format!("/admin/certificates/{key}");
        assert_eq!(world.admin(Method::DELETE, &revoke, None).await.status, 204);
        send(lock()).await.expect_error(401, "CLIENT_CERTIFICATE_UNKNOWN");
        mgmt_api::revoke(&world.config, &network).await.unwrap();
        mgmt_api::revoke(&world.config, &world.path("pki/partner.crt")).await.unwrap();
        let refused = send(world.wallet(&world.partner, &plain_wallet())).await;
        refused.expect_error(401, "CLIENT_CERTIFICATE_UNKNOWN");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_is_checked_and_only_its_key_is_taken() {
    on_each(async |world| {
        world.stop_server().await;
        world.config.ca = Some(world.path("pki"));
        world.start_server().await;
        let (weak, _key) = request(world, 1024, GOOD).await;
        for bad in ["", "hello", &weak] {
            world.sign(bad, json!({})).await.expect_error(422, "INVALID_CSR");
        }
        let (csr, _key) = request(world, 2048, GOOD).await;
        let got = world.sign(&csr, json!({ "partner": 77 })).await;
        got.expect_error(404, "PARTNER_NOT_FOUND");
        let got = world.sign(&csr, json!({ "networks": ["here"] })).await;
        got.expect_error(400, "INVALID_REQUEST");

        world.stop_server().await;
        world.config.profile = mgmt_api::config::Profile::Strict;
        world.start_server().await;
        for (from, to) in [
            ("/OU=019a0000-0000-4000-8000-000000000009", "/OU=Payments"),
            ("/OU=019a0000-0000-4000-8000-000000000009", ""),
            ("/L=Lublin", ""),
            ("/C=PL", ""),
            ("/O=Example", "/O=Example, Inc."),
            ("/emailAddress=ops@example.com", ""),
        ] {
            let (csr, _key) = request(world, 2048, &GOOD.replace(from, to)).await;
            let got = world.sign(&csr, json!({})).await;
            got.expect_error(422, "INVALID_CSR");
            assert_eq!(got.json()["errors"][0]["field"], "csr");
        }
        let signed = world.sign(&csr, json!({ "days": 9999 })).await.expect(StatusCode::CREATED);
        let leaf = mgmt_api::pki::leaf(&text(&signed, "certificate")).unwrap();
        assert_eq!(leaf.name, "partner-1");
    })
    .await;
}
