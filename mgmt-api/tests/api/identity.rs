//! Identity checks and what follows from them; customers that go; programs and partners as data.

use axum::http::StatusCode;
use mgmt_api::auth::role::Roles;
use reqwest::Method;
use reqwest::multipart::{Form, Part};
use serde_json::{Value, json};
use shared::command::Change;

use crate::quick_start::{FORM_TEXTS, JPEG, form};
use crate::world::{Got, World, on_each, plain_wallet, send, text, until};

/// The first bytes of a PNG, and some of its own.
const PNG: &[u8] = b"\x89PNG\r\n\x1a\nthe other side";

impl World {
    /// A user whose identity nobody has checked.
    pub(crate) async fn unchecked(&self) -> String {
        let mut wallet = plain_wallet();
        wallet["kyc"] = "NONE".into();
        let got = send(self.wallet(&self.partner, &wallet)).await;
        text(&got.expect(StatusCode::CREATED), "customerId")
    }

    pub(crate) async fn register(&self, customer: &str, form: Form) -> String {
        let path = format!("/secure/customers/{customer}/register");
        let got = send(self.secure(Method::POST, &path).multipart(form)).await;
        text(&got.expect(StatusCode::CREATED), "verificationId")
    }

    /// The id of a check that waits.
    pub(crate) async fn verification(&self) -> String {
        let customer = self.unchecked().await;
        self.register(&customer, form()).await
    }

    async fn status(&self, customer: &str) -> Value {
        let path = format!("/secure/customers/{customer}/verification");
        self.get(&path).await.expect(StatusCode::OK)
    }

    pub(crate) async fn put(&self, path: &str, body: &Value) -> Got {
        self.admin(Method::PUT, path, Some(body)).await
    }
}

fn form_with(changes: &[(&'static str, &'static str)]) -> Form {
    let texts =
        FORM_TEXTS.iter().filter(|(name, _)| !changes.iter().any(|(other, _)| other == name));
    let form = texts.chain(changes).fold(Form::new(), |form, (name, text)| form.text(*name, *text));
    let image = || Part::bytes(JPEG).file_name("x.jpg");
    form.part("imageFace", image()).part("imageFront", image())
}

fn program(changes: &[(&str, Value)]) -> Value {
    let mut program = json!({ "partner": 1, "currency": "EUR", "bin": "99999901",
        "cardKind": "VIRTUAL", "monthsValid": 24, "automaticBalance": true });
    for (member, value) in changes {
        program[*member] = value.clone();
    }
    program
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_is_looked_at_decided_once_and_the_switch_knows() {
    on_each(async |world| {
        let customer = world.unchecked().await;
        world.put("/admin/programs/0019167901", &program(&[])).await.expect(StatusCode::NO_CONTENT);
        let path = format!("/secure/customers/{customer}/balances");
        let open = json!({ "currency": "EUR" });
        world.post(&path, &open).await.expect_error(409, "KYC_NOT_VERIFIED");
        let nothing = format!("/secure/customers/{customer}/verification");
        world.get(&nothing).await.expect_error(404, "VERIFICATION_NOT_FOUND");
        let id = world.register(&customer, form()).await;
        assert_eq!(world.status(&customer).await["status"], "IN_PROGRESS");

        let manager = world.operator("man", Roles::MANAGER, None).await;
        let listed = world.with(&manager, Method::GET, "/admin/verifications", None).await;
        let listed = listed.expect(StatusCode::OK);
        assert!(
            listed["items"].as_array().unwrap().iter().any(|item| item["verificationId"] == id)
        );
        let at = format!("/admin/verifications/{id}");
        let seen = world.with(&manager, Method::GET, &at, None).await.expect(StatusCode::OK);
        assert_eq!(
            (&seen["form"]["lastName"], &seen["status"]),
            (&json!("Bakiewicz"), &json!("IN_PROGRESS"))
        );
        let image =
            world.with(&manager, Method::GET, &format!("{at}/images/imageFace"), None).await;
        assert_eq!(
            (image.bytes.as_slice(), &image.headers["content-type"]),
            (JPEG, &"image/jpeg".parse().unwrap())
        );
        let none = world.with(&manager, Method::GET, &format!("{at}/images/x"), None).await;
        none.expect_error(404, "VERIFICATION_NOT_FOUND");
        let employee = world.operator("emp", Roles::EMPLOYEE, None).await;
        let got = world.with(&employee, Method::GET, &at, None).await;
        got.expect_error(403, "FORBIDDEN");

        let reject = json!({ "reason": "DOCUMENT_UNREADABLE" });
        let got = world.with(&manager, Method::POST, &format!("{at}/reject"), Some(&reject)).await;
        assert_eq!(got.status, 204);
        let now = world.status(&customer).await;
        assert_eq!(
            (&now["status"], &now["reason"]),
            (&json!("REJECTED"), &json!("DOCUMENT_UNREADABLE"))
        );
        let got = world.with(&manager, Method::POST, &format!("{at}/accept"), None).await;
        got.expect_error(409, "VERIFICATION_DECIDED");
        let got = world.with(&manager, Method::POST, &format!("{at}/reject"), Some(&reject)).await;
        assert_eq!(got.status, 204, "the same again");

        let again = world.register(&customer, form()).await;
        assert_ne!(again, id);
        let at = format!("/admin/verifications/{again}");
        let got = world.with(&manager, Method::POST, &format!("{at}/accept"), None).await;
        assert_eq!(got.status, 204);
        assert_eq!(world.status(&customer).await["status"], "ACCEPTED");
        // The balance that came by itself, and one more by hand.
        let balances = world.get(&path).await.expect(StatusCode::OK);
        assert_eq!(balances["items"].as_array().unwrap().len(), 1);
        world.post(&path, &open).await.expect(StatusCode::CREATED);
        let got = world.with(&manager, Method::POST, &format!("{at}/accept"), None).await;
        assert_eq!(got.status, 204);
        let opened = |change: &Change| matches!(change, Change::OpenBalance { .. });
        assert_eq!(world.peer.count_changes(opened), 2);
    })
    .await;
}

/// Requirement #68.
#[tokio::test(flavor = "multi_thread")]
async fn a_document_is_shown_from_both_sides_and_a_passport_from_one() {
    on_each(async |world| {
        let image = async |check: &str, kind: &str| {
            let path = format!("/admin/verifications/{check}/images/{kind}");
            world.admin(Method::GET, &path, None).await
        };
        for document in ["identityCard", "drivingLicence", "residenceCard"] {
            let customer = world.unchecked().await;
            let path = format!("/secure/customers/{customer}/register");
            let front = || form_with(&[("documentType", document)]);
            let got = send(world.secure(Method::POST, &path).multipart(front())).await;
            got.expect_error(422, "INVALID_CUSTOMER_DATA");
            assert_eq!(got.json()["errors"][0]["field"], "imageBack", "{document}");
            // It is what it is, not what its name says.
            let back = Part::bytes(PNG).file_name("back.jpg");
            let check = world.register(&customer, front().part("imageBack", back)).await;
            let shown = image(&check, "imageBack").await;
            assert_eq!((shown.status, shown.bytes.as_slice()), (200, PNG), "{document}");
            assert_eq!(shown.headers["content-type"], "image/png");
            assert_eq!(image(&check, "imageFront").await.bytes, JPEG);
        }
        let customer = world.unchecked().await;
        let check = world.register(&customer, form_with(&[("documentType", "passport")])).await;
        image(&check, "imageBack").await.expect_error(404, "VERIFICATION_NOT_FOUND");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partner_that_checks_identities_itself_says_so() {
    on_each(async |world| {
        let mode = json!({ "kycMode": "EXTERNAL", "issuerCode": "acme" });
        world.put("/admin/partners/2", &mode).await.expect(StatusCode::NO_CONTENT);
        let mut wallet = plain_wallet();
        wallet["kyc"] = "NONE".into();
        let got = send(world.wallet(&world.stranger, &wallet)).await;
        let customer = text(&got.expect(StatusCode::CREATED), "customerId");
        let at = world.secure_url(&format!("/secure/customers/{customer}"));
        let register = world.stranger.post(format!("{at}/register"));
        send(register.multipart(form())).await.expect_error(403, "FEATURE_NOT_ENABLED");
        let open = async || {
            let request = world.stranger.post(format!("{at}/balances"));
            send(request.json(&json!({ "currency": "EUR" }))).await
        };
        open().await.expect_error(409, "KYC_NOT_VERIFIED");

        // Under its own name as well as the installation's.
        let url = world.secure_url(&format!("/lifecycle/v1/users/{customer}"));
        let put = async |issuer: &str| {
            let request = world.stranger.put(&url).header("Issuer-Code", issuer);
            let request = request.header("Application-Id", "SBX-APP-ID");
            let flags = json!({ "kyc": "SUCCESS", "state": "VERIFIED" });
            send(request.header("Collection", "lifecycle").json(&flags)).await
        };
        put("another").await.expect_error(403, "FORBIDDEN");
        for issuer in ["acme", "sandbox"] {
            assert_eq!(put(issuer).await.status, 204, "{issuer}");
        }
        open().await.expect(StatusCode::CREATED);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_automatic_provider_decides_by_what_the_form_says() {
    on_each(async |world| {
        let mode = json!({ "kycMode": "AUTOMATIC" });
        world.put("/admin/partners/1", &mode).await.expect(StatusCode::NO_CONTENT);
        let good = [("documentExpirationDate", "2099-01-30"), ("pesel", "70010155582")];
        for (changes, status, reason) in [
            (&good[..], "ACCEPTED", Value::Null),
            (&[("documentExpirationDate", "2020-01-30")], "REJECTED", json!("DOCUMENT_EXPIRED")),
            (&[good[0], ("birthDate", "2020-01-01")], "REJECTED", json!("UNDERAGE")),
        ] {
            let customer = world.unchecked().await;
            world.register(&customer, form_with(changes)).await;
            until(async || world.status(&customer).await["status"] == status).await;
            let log = world.admin(Method::GET, "/admin/audit?limit=50", None).await.json();
            let decided = log["items"].as_array().unwrap().iter().any(|entry| {
                entry["caller"] == "system:automatic" && text(entry, "target").contains(status)
            });
            assert!(decided, "who decided is written down: {status}");
            assert_eq!(world.status(&customer).await["reason"], reason);
            let path = format!("/secure/customers/{customer}/balances");
            let got = world.post(&path, &json!({ "currency": "EUR" })).await;
            assert_eq!(got.status == 201, status == "ACCEPTED");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_customer_goes_when_its_balances_are_empty_or_stays_as_it_was() {
    on_each(async |world| {
        let customer = world.customer_with_pin().await;
        let balance = world.balance(&customer, "EUR").await;
        let card = text(&world.card(&customer, &balance, "0019167984").await, "id");
        let token = world.customer_session(&customer).await;
        let at = format!("/secure/customers/{customer}/balances/{balance}");
        let one = json!({ "amount": 1, "currency": "EUR" });
        world.post(&format!("{at}/topup"), &one).await.expect(StatusCode::CREATED);
        let delete = async || {
            world.admin(Method::DELETE, &format!("/admin/customers/{customer}"), None).await
        };
        delete().await.expect_error(409, "BALANCE_NOT_EMPTY");
        let path = format!("/secure/customers/{customer}/cards/{card}");
        assert_eq!(world.get(&path).await.json()["state"], "ACTIVE");
        let last_lock = || {
            world.peer.last_change(|change| {
                if let Change::PutCustomer { aml_locked, .. } = change {
                    Some(*aml_locked)
                } else {
                    None
                }
            })
        };
        assert_eq!(last_lock(), Some(false), "nobody stays locked");
        world.post(&format!("{at}/withdraw"), &one).await.expect(StatusCode::CREATED);
        assert_eq!(delete().await.status, 204);
        delete().await.expect_error(404, "USER_NOT_FOUND");
        world.get(&path).await.expect_error(404, "USER_NOT_FOUND");
        let got = world.with(&token, Method::GET, "/customers/me/balances", None).await;
        got.expect_error(401, "UNAUTHORIZED");
        assert_eq!(last_lock(), Some(true));
        let closed = |change: &Change| matches!(change, Change::CloseBalance(_));
        assert_eq!(world.peer.count_changes(closed), 1);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn programs_and_partners_are_data() {
    on_each(async |world| {
        let at = "/admin/programs/0019167902";
        world.put(at, &program(&[])).await.expect(StatusCode::NO_CONTENT);
        let customer = world.customer().await;
        let path = format!("/secure/customers/{customer}/balances");
        let balances = world.get(&path).await.expect(StatusCode::OK);
        let balance = text(&balances["items"][0], "balanceId");
        let card = world.card(&customer, &balance, "0019167902").await;
        assert!(text(&card, "pan").starts_with("99999901"));
        for (changes, title) in [
            (("currency", json!("PLN")), "PROGRAM_FIXED"),
            (("collateral", json!("DEPOSIT")), "PROGRAM_FIXED"),
            (("partner", json!(77)), "PARTNER_NOT_FOUND"),
            (("bin", json!("12345")), "INVALID_REQUEST"),
            (("monthsValid", json!(0)), "INVALID_REQUEST"),
            (("currency", json!("XAU")), "INVALID_CURRENCY"),
            (("policy", json!({ "purchaseHoldHours": 0 })), "INVALID_REQUEST"),
        ] {
            assert_eq!(
                world.put(at, &program(core::slice::from_ref(&changes))).await.title(),
                title,
                "{changes:?}"
            );
        }
        let later = program(&[("policy", json!({ "partialApproval": true, "pinTriesMax": 5 }))]);
        world.put(at, &later).await.expect(StatusCode::NO_CONTENT);
        let listed = world.admin(Method::GET, "/admin/programs", None).await.json();
        let items = listed["items"].as_array().unwrap();
        let shown = items.iter().find(|item| item["configId"] == "0019167902").unwrap();
        assert_eq!(shown["program"]["policy"]["pinTriesMax"], 5);
        assert_eq!(shown["program"]["policy"]["purchaseHoldHours"], 168);

        // A restart tells the switch what SQL has, and changes nothing.
        let told = |change: &Change| matches!(change, Change::PutProgram(_));
        let count = world.peer.count_changes(told);
        world.stop_server().await;
        world.start_server().await;
        assert!(world.peer.count_changes(told) <= count + 2);

        world
            .put("/admin/partners/9", &json!({ "issuerCode": "nine" }))
            .await
            .expect(StatusCode::NO_CONTENT);
        let taken = world.put("/admin/partners/10", &json!({ "issuerCode": "nine" })).await;
        taken.expect_error(409, "PARTNER_EXISTS");
        let other = world.put("/admin/partners/9", &json!({ "issuerCode": "ten" })).await;
        other.expect_error(409, "PARTNER_EXISTS");
        world
            .put("/admin/partners/9", &json!({ "kycMode": "EXTERNAL" }))
            .await
            .expect(StatusCode::NO_CONTENT);
        world.put("/admin/partners/x", &json!({})).await.expect_error(400, "INVALID_REQUEST");
        let theirs = program(&[("partner", json!(9))]);
        world.put("/admin/programs/0019167903", &theirs).await.expect(StatusCode::NO_CONTENT);
        let scoped = world.operator("eve", Roles::ALL, Some("nine")).await;
        let listed = world.with(&scoped, Method::GET, "/admin/programs", None).await.json();
        assert_eq!(listed["items"].as_array().unwrap().len(), 1);
        let got = world.with(&scoped, Method::PUT, at, Some(&theirs)).await;
        got.expect_error(403, "FORBIDDEN");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_automatic_balance_that_was_refused_is_opened_once_there_is_room() {
    on_each(async |world| {
        world.stop_server().await;
        world.config.limits.balances_per_customer_max = 1;
        world.start_server().await;
        let customer = world.customer().await;
        let first = world.balance(&customer, "EUR").await;
        let program = json!({ "partner": 1, "currency": "PLN", "bin": "99999903",
            "cardKind": "VIRTUAL", "monthsValid": 24, "automaticBalance": true });
        let put = world.put("/admin/programs/0019167908", &program).await;
        put.expect(StatusCode::NO_CONTENT);
        // Whatever is said of a verified user opens what it has by itself.
        let touch = async || {
            for what in ["lock", "unlock"] {
                let path = format!("/admin/customers/{customer}/{what}");
                world.admin(Method::POST, &path, None).await.expect(StatusCode::NO_CONTENT);
            }
            let path = format!("/secure/customers/{customer}/balances");
            let listed = world.get(&path).await.expect(StatusCode::OK);
            let items = listed["items"].as_array().unwrap().clone();
            items.iter().map(|item| text(item, "currency")).collect::<Vec<_>>()
        };
        assert_eq!(touch().await, ["EUR"]);
        let path = format!("/secure/customers/{customer}/balances/{first}");
        let closed = send(world.secure(Method::DELETE, &path)).await;
        closed.expect(StatusCode::NO_CONTENT);
        assert_eq!(touch().await, ["PLN"]);
        assert_eq!(touch().await, ["PLN"]);
    })
    .await;
}
