//! The seed's four requests as printed: members, headers, sample PESEL and past date included.
//! Source: requirements #186.

use axum::http::StatusCode;
use reqwest::Method;
use reqwest::multipart::{Form, Part};
use serde_json::json;

use crate::world::{decrypted, on_each, public_key, send, text};

/// The first bytes of a JPEG.
pub(crate) const JPEG: &[u8] = &[0xff, 0xd8, 0xff, 0xe0, 0, 16, b'J', b'F', b'I', b'F', 0];

const WALLET: &str = r#"{ "firstName": "John", "lastName": "Doe", "phone": "481234567899", "email": "john.doe@verestro.com", "birthDate": "2000-01-01", "wPIN": "1234", "state": "VERIFIED", "kyc": "SUCCESS" }"#;

pub(crate) const FORM_TEXTS: [(&str, &str); 14] = [
    ("firstName", "Leon"),
    ("lastName", "Bakiewicz"),
    ("street", "Pieklo"),
    ("pesel", "70010155587"),
    ("number", "17a"),
    ("city", "Lublin"),
    ("birthDate", "1970-01-01"),
    ("postCode", "20-128"),
    ("identityCardNo", "ASD123456"),
    ("apartment", "2"),
    ("documentType", "passport"),
    ("country", "PL"),
    ("documentExpirationDate", "2025-01-30"),
    ("nationality", "polish"),
];

pub(crate) fn form() -> Form {
    let form = FORM_TEXTS.iter().fold(Form::new(), |form, (name, text)| form.text(*name, *text));
    ["imageFace", "imageFront", "imageBack"]
        .into_iter()
        .fold(form, |form, name| form.part(name, Part::bytes(JPEG).file_name("someFile.jpg")))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_four_requests_work_as_printed() {
    on_each(async |world| {
        let request = world
            .secure(Method::POST, "/lifecycle/v1/wallet")
            .header("Content-Type", "application/json")
            .header("Accept", "application/json")
            .header("Issuer-Code", "sandbox")
            .header("Application-Id", "SBX-APP-ID")
            .header("Collection", "lifecycle")
            .body(WALLET);
        let customer = text(&send(request).await.expect(StatusCode::CREATED), "customerId");

        let path = format!("/secure/customers/{customer}/register");
        let registered = send(world.secure(Method::POST, &path).multipart(form())).await;
        let registered = registered.expect(StatusCode::CREATED);
        uuid::Uuid::parse_str(&text(&registered, "verificationId")).unwrap();
        assert_eq!(registered["status"], "ACCEPTED");

        let path = format!("/secure/customers/{customer}/balances");
        let opened = world.post(&path, &json!({ "currency": "EUR" })).await;
        let opened = opened.expect(StatusCode::CREATED);
        assert_eq!((&opened["currency"], &opened["amount"]), (&json!("EUR"), &json!(0)));
        let balance = text(&opened, "balanceId");

        let request = world
            .secure(Method::POST, &format!("/secure/customers/{customer}/cards/virtual"))
            .header("Accept", "application/json")
            .header("Encrypted-Response", "true")
            .header("Public-Key", public_key())
            .json(&json!({ "balanceId": balance, "configId": "0019167984" }));
        let issued = send(request).await.expect(StatusCode::CREATED);
        let card = decrypted(&issued);
        let pan = text(&card, "pan");
        assert!(pan.starts_with("99999984") && pan.len() == 16, "{pan}");
        assert!(shared::pan::Pan::parse(pan.as_bytes()).unwrap().has_valid_check_digit());
        assert_eq!(text(&card, "lastFourDigits"), pan[12..]);
        assert_eq!(text(&card, "cvc2").len(), 3);
        assert_eq!(text(&card, "expDate").len(), 5);

        let shown = world.get(&format!("{path}/{balance}")).await.expect(StatusCode::OK);
        let listed = &shown["cards"][0];
        assert_eq!(listed["id"], card["id"]);
        assert_eq!(listed["resourceId"], card["resourceId"]);
        assert_eq!(listed["lastFourDigits"], card["lastFourDigits"]);
        assert_eq!(listed["expDate"], card["expDate"]);
        assert_eq!((&listed["state"], &listed["lock"]), (&json!("ACTIVE"), &json!(null)));
        assert_eq!(shown["state"], "OPEN");
        for amount in ["amount", "available", "held"] {
            assert_eq!(shown[amount], 0, "{amount}");
        }
    })
    .await;
}

/// The seed prints curl commands: curl itself, with the paths changed.
#[tokio::test(flavor = "multi_thread")]
async fn curl_itself_registers_a_user() {
    on_each(async |world| {
        let customer = world.customer().await;
        let image = world.path("someFile.jpg");
        std::fs::write(&image, JPEG).unwrap();
        let mut command = tokio::process::Command::new("curl");
        command.args(["--silent", "--show-error", "--location", "--request", "POST"]);
        command.arg(world.secure_url(&format!("/secure/customers/{customer}/register")));
        command.arg("--cacert").arg(world.path("pki/ca.pem"));
        command.arg("--cert").arg(world.path("pki/partner.crt"));
        command.arg("--key").arg(world.path("pki/partner.key"));
        command.args(["--header", "Content-Type: multipart/form-data"]);
        command.args(["--header", "Accept: application/json"]);
        for (name, text) in FORM_TEXTS {
            command.arg("--form").arg(format!("{name}={text}"));
        }
        for name in ["imageFace", "imageFront", "imageBack"] {
            command.arg("--form").arg(format!("{name}=@{}", image.display()));
        }
        let output = command.output().await.unwrap();
        let body = String::from_utf8(output.stdout).unwrap();
        assert!(body.contains("\"verificationId\""), "{body} {:?}", output.stderr);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sandbox_programs_issue_what_they_promise() {
    on_each(async |world| {
        let customer = world.customer().await;
        let months = |value: &serde_json::Value| -> i32 {
            let text = text(value, "expDate");
            let (month, year) = text.split_once('/').unwrap();
            year.parse::<i32>().unwrap() * 12 + month.parse::<i32>().unwrap()
        };
        let now = time::OffsetDateTime::now_utc();
        let now = (now.year() - 2000) * 12 + i32::from(u8::from(now.month()));
        for (config, currency, state, ahead) in [
            ("0019167984", "EUR", "ACTIVE", 36),
            ("0019167985", "EUR", "ACTIVE", 36),
            ("0019167986", "EUR", "ACTIVE", 36),
            ("0019167989", "EUR", "ACTIVE", 36),
            ("0019167990", "PLN", "ACTIVE", 36),
            ("0019167991", "EUR", "INACTIVE", 36),
            ("0019167992", "EUR", "ACTIVE", -1),
            ("0019167993", "USD", "ACTIVE", 36),
            ("0019167994", "PLN", "ACTIVE", 36),
        ] {
            let balance = world.balance(&customer, currency).await;
            let card = world.card(&customer, &balance, config).await;
            assert_eq!(months(&card) - now, ahead, "{config}");
            assert!(text(&card, "pan").starts_with(&format!("999999{}", &config[8..])));
            let path = format!("/secure/customers/{customer}/cards/{}", text(&card, "id"));
            assert_eq!(world.get(&path).await.json()["state"], state, "{config}");
        }
        let balance = world.balance(&customer, "EUR").await;
        for absent in ["0019167988", "19167984", "x"] {
            let got = send(world.virtual_card(&customer, &balance, absent)).await;
            got.expect_error(404, "CONFIG_NOT_FOUND");
        }
        let got = send(world.virtual_card(&customer, &balance, "0019167990")).await;
        got.expect_error(422, "CURRENCY_MISMATCH");
        // The money of one program's holders is with the partner, once it has said where.
        let got = send(world.virtual_card(&customer, &balance, "0019167987")).await;
        got.expect_error(409, "BALANCE_ENDPOINT_MISSING");
        let partner = crate::partner::Partner::start().await;
        world.stop_server().await;
        world.config.sandbox_partner = Some(partner.url.clone());
        world.start_server().await;
        world.card(&customer, &balance, "0019167987").await;
        let linked = partner.taken().pop().unwrap();
        assert_eq!(linked.path, format!("/base/users/{customer}/balances"));
    })
    .await;
}
