//! What the database holds is searched for what it must not hold.

use axum::http::StatusCode;
use reqwest::Method;
use serde_json::json;
use shared::command::Command;
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection, Row};

use crate::cards::sealed;
use crate::world::{NETWORK, World, on_each, plain_wallet, public_key, send, text, until};

/// Every row of every table as text, bytes as hexadecimal digits; of the history too, which is a
/// database of its own in SQLite.
pub(crate) async fn dump(world: &World) -> Vec<String> {
    let (url, history) = (&world.database.url, &world.config.history_url());
    match url.starts_with("sqlite") {
        true => [sqlite(url).await, sqlite(history).await].concat(),
        false => postgres(url).await,
    }
}

async fn postgres(url: &str) -> Vec<String> {
    let mut connection = PgConnection::connect(url).await.unwrap();
    let tables = "SELECT table_name FROM information_schema.tables \
                  WHERE table_schema = current_schema()";
    let tables: Vec<String> = sqlx::query_scalar(tables).fetch_all(&mut connection).await.unwrap();
    let mut rows = Vec::new();
    for table in tables {
        let all = AssertSqlSafe(format!("SELECT t::text FROM {table} t"));
        rows.extend(sqlx::query_scalar::<_, String>(all).fetch_all(&mut connection).await.unwrap());
    }
    rows
}

async fn sqlite(url: &str) -> Vec<String> {
    let mut connection = sqlx::SqliteConnection::connect(url).await.unwrap();
    let tables = "SELECT name FROM sqlite_master WHERE type = 'table'";
    let tables: Vec<String> = sqlx::query_scalar(tables).fetch_all(&mut connection).await.unwrap();
    let mut rows = Vec::new();
    for table in tables {
        let columns = AssertSqlSafe(format!("SELECT name FROM pragma_table_info('{table}')"));
        let columns: Vec<String> =
            sqlx::query_scalar(columns).fetch_all(&mut connection).await.unwrap();
        let quoted: Vec<String> = columns
            .iter()
            .map(|name| {
                format!("CASE typeof({name}) WHEN 'blob' THEN hex({name}) ELSE {name} END || ''")
            })
            .collect();
        let all = AssertSqlSafe(format!("SELECT {} FROM {table}", quoted.join(", ")));
        for row in connection.fetch_all(sqlx::query(all)).await.unwrap() {
            let cells = (0..row.len())
                .map(|place| row.try_get::<Option<String>, _>(place).unwrap().unwrap_or_default());
            rows.push(cells.collect::<Vec<_>>().join(","));
        }
    }
    rows
}

/// Uses every route that takes or gives a secret; gives the secrets.
async fn touch_everything(world: &World) -> Vec<String> {
    let pin = "528491";
    let customer = world.customer_with_pin().await;
    let balance = world.balance(&customer, "EUR").await;
    let card = world.card(&customer, &balance, "0019167989").await;
    let code = world.pairing_code(&customer).await;
    let paired = world.paired(&customer, "a telltale phone").await;
    let begun = world.post_public("/customers/sessions", &paired).await.json();
    let session = text(&begun, "token");
    let at = format!("/customers/me/cards/{}", text(&card, "id"));
    let encrypted = async |method: Method, rest: &str, body: Option<serde_json::Value>| {
        let request = world.nobody.request(method, world.public_url(&format!("{at}{rest}")));
        let request = request.bearer_auth(&session).header("Public-Key", public_key());
        let request = request.header("Idempotency-Key", rest);
        send(match body {
            Some(body) => {
                let payload = sealed(world, &body).await;
                let request = request.header("Encrypted-Request", "true");
                request.json(&json!({ "payload": payload }))
            }
            None => request.header("Encrypted-Response", "true"),
        })
        .await
    };
    let set = encrypted(Method::POST, "/pin", Some(json!({ "pin": pin }))).await;
    assert_eq!(set.status, 204);
    let reset = encrypted(Method::POST, "/cvv/reset", None).await;
    let reset = crate::world::decrypted(&reset.expect(StatusCode::OK));
    let full = crate::world::decrypted(&encrypted(Method::GET, "/full", None).await.json());
    assert_eq!(full["cvc2"], reset["cvc2"]);
    let order = json!({ "balanceId": balance, "configId": "0019167988",
        "cardholderName": "TELLTALE NOWAK", "deliveryAddress": { "recipient": "Ada Telltale",
        "street": "Zdradliwa 7", "postCode": "20-128", "city": "Lublin", "country": "PL" } });
    let path = format!("/secure/customers/{customer}/cards/physical");
    world.post_encrypted(&path, &order, "order").await.expect(StatusCode::ACCEPTED);
    use_up(world, &customer, &card).await;
    let operator = world.operator("ann", mgmt_api::auth::role::Roles::ALL, None).await;
    let with_number = format!("/secure/customers/{}/balances", text(&card, "pan"));
    world.get(&with_number).await.expect_error(404, "USER_NOT_FOUND");
    world.post(&with_number, &json!({ "currency": "EUR" })).await;
    vec![
        pin.to_owned(),
        text(&card, "pan"),
        format!("\"cvc2\":\"{}\"", text(&reset, "cvc2")),
        code,
        text(&paired, "installationSecret"),
        session,
        operator,
        crate::channels::PASSWORD.to_owned(),
        "a telltale phone".to_owned(),
        "TELLTALE".to_owned(),
        "Zdradliwa".to_owned(),
    ]
}

/// What happens to a card later: payments that its partner is told of, a lock from outside, another
/// card in its place.
async fn use_up(world: &World, customer: &str, card: &serde_json::Value) {
    let nobody = json!({ "url": "http://127.0.0.1:9", "events": ["transaction", "card"] });
    world.post("/secure/endpoints", &nobody).await.expect(StatusCode::CREATED);
    let body = json!({ "balanceId": balance_of(world, customer).await, "configId": "0019167984" });
    let path = format!("/secure/customers/{customer}/cards/virtual/async");
    let begun = world.post(&path, &body).await.expect(StatusCode::ACCEPTED);
    let status = text(&begun, "statusUrl");
    until(async || world.get(&status).await.json()["status"] == "DONE").await;
    world.peer.message(Command::Authorize(world.shop(900, 100)));
    world.until_history().await;
    let url = world.secure_url(&format!("/secure/processors/{NETWORK}/cards/lock"));
    let lock = json!({ "pan": card["pan"], "reason": 7, "externalReference": "CASE-1" });
    let request = world.network.post(url).header("Encrypted-Request", "true");
    let payload = sealed(world, &lock).await;
    assert_eq!(send(request.json(&json!({ "payload": payload }))).await.status, 204);
    let path = format!("/secure/customers/{customer}/cards/{}/replace", text(card, "id"));
    let replaced = send(world.secure(Method::POST, &path).json(&json!({}))).await;
    assert_eq!(replaced.status, 201, "{replaced:?}");
}

async fn balance_of(world: &World, customer: &str) -> String {
    let listed = world.get(&format!("/secure/customers/{customer}/balances")).await.json();
    text(&listed["items"][0], "balanceId")
}

#[tokio::test(flavor = "multi_thread")]
async fn no_column_holds_a_card_number_or_a_persons_data() {
    on_each(async |world| {
        let mut wallet = plain_wallet();
        wallet["lastName"] = "Zażółćgęślą".into();
        wallet["wPIN"] = "739182".into();
        wallet["phone"] = "48600700801".into();
        let got = send(world.wallet(&world.partner, &wallet)).await;
        let customer = text(&got.json(), "customerId");
        let balance = world.balance(&customer, "EUR").await;
        let request = world.virtual_card(&customer, &balance, "0019167984");
        let card = send(request.header("Idempotency-Key", "k")).await;
        let card = crate::world::decrypted(&card.json());
        // Any three digits may stand somewhere by chance, those of three cards do not.
        let mut cvc2s = vec![text(&card, "cvc2")];
        for _another in 0..2 {
            let another = send(world.virtual_card(&customer, &balance, "0019167984")).await;
            cvc2s.push(text(&crate::world::decrypted(&another.json()), "cvc2"));
        }
        let path = format!("/secure/customers/{customer}/register");
        let form = crate::quick_start::form();
        send(world.secure(Method::POST, &path).multipart(form)).await;
        let path = format!("/secure/customers/{customer}/cards/{}/lock", text(&card, "id"));
        world.post(&path, &json!({ "reason": 7, "comment": "Klaudyna said so" })).await;

        let secrets = touch_everything(world).await;

        let rows = dump(world).await;
        let last_four = text(&card, "lastFourDigits");
        assert!(rows.iter().any(|row| row.contains(&last_four)), "the dump sees the rows");
        for secret in [
            text(&card, "pan"),
            text(&card, "pan")[..15].to_owned(),
            format!("\"cvc2\":\"{}\"", text(&card, "cvc2")),
            "739182".to_owned(),
            "48600700801".to_owned(),
            "Zażółćgęślą".to_owned(),
            "Bakiewicz".to_owned(),
            "70010155587".to_owned(),
            "Klaudyna".to_owned(),
            "JFIF".to_owned(),
            world.admin_token.clone(),
        ]
        .into_iter()
        .chain(secrets)
        {
            let hex: String = secret.bytes().map(|byte| format!("{byte:02x}")).collect();
            for row in &rows {
                let found = row.contains(&secret) || row.to_lowercase().contains(&hex);
                assert!(!found, "{secret} stands in {row}");
            }
        }
        let stands = |cvc2: &String| rows.iter().any(|row| row.split(',').any(|it| it == cvc2));
        assert!(!cvc2s.iter().all(stands), "verification values stand in rows");
        assert!(rows.iter().any(|row| row.contains("$argon2id$")));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_card_never_moves_to_another_balance() {
    on_each(async |world| {
        let customer = world.customer().await;
        let (one, other) =
            (world.balance(&customer, "EUR").await, world.balance(&customer, "EUR").await);
        world.card(&customer, &one, "0019167984").await;
        let other = uuid::Uuid::parse_str(&other).unwrap();
        let sql = "UPDATE cards SET balance_id = $1";
        let error = if world.database.url.starts_with("sqlite") {
            let mut connection =
                sqlx::SqliteConnection::connect(&world.database.url).await.unwrap();
            sqlx::query(sql).bind(other).execute(&mut connection).await.unwrap_err()
        } else {
            let mut connection = PgConnection::connect(&world.database.url).await.unwrap();
            sqlx::query(sql).bind(other).execute(&mut connection).await.unwrap_err()
        };
        assert!(error.to_string().contains("never moves"), "{error}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_log_line_holds_a_secret_at_any_level() {
    on_each(async |world| {
        world.stop_server().await;
        world.config.log = "trace".to_owned();
        world.start_process().await;
        let mut wallet = plain_wallet();
        wallet["wPIN"] = "739182".into();
        wallet["lastName"] = "Gierymska".into();
        let customer =
            text(&send(world.wallet(&world.partner, &wallet)).await.json(), "customerId");
        let balance = world.balance(&customer, "EUR").await;
        let card = world.card(&customer, &balance, "0019167984").await;
        let secrets = touch_everything(world).await;
        let wrong = format!("{}x", world.admin_token);
        let url = world.public_url("/admin/partner-balances/x");
        send(world.nobody.get(url).bearer_auth(wrong)).await.expect_error(401, "UNAUTHORIZED");
        world.admin(Method::GET, "/admin/partner-balances/x", None).await;
        let path = format!("/secure/customers/{customer}/balances/{balance}/topup");
        let pan = text(&card, "pan");
        for body in [json!({ "amount": pan, "currency": "EUR" }), json!({ "pan": pan })] {
            world.post(&path, &body).await.expect_error(400, "INVALID_REQUEST");
        }
        world.begin_stop();
        let stopped = async || world.log().iter().any(|line| line.contains("\"stopped\""));
        until(stopped).await;
        let log = world.log();
        assert!(log.len() > 100, "tracing is on");
        let own = [&pan, "739182", "Gierymska", &world.admin_token, "\"cvc2\""];
        for secret in own.into_iter().chain(secrets.iter().map(String::as_str)) {
            let hex: String = secret.bytes().map(|byte| format!("{byte:02x}")).collect();
            for line in &log {
                assert!(!says(line, secret) && !line.contains(&hex), "{secret} in {line}");
            }
        }
    })
    .await;
}

/// Whether a line says a secret. Six digits also stand by chance in what is random and written in
/// hexadecimal digits, a certificate or a key share: not in the middle of so many of them.
fn says(line: &str, secret: &str) -> bool {
    const RANDOM: usize = 64;
    let is_hex = |byte: &u8| byte.is_ascii_hexdigit();
    line.match_indices(secret).any(|(at, _)| {
        let (before, behind) = (&line.as_bytes()[..at], &line.as_bytes()[at + secret.len()..]);
        let before = before.iter().rev().take_while(|byte| is_hex(byte)).count();
        let behind = behind.iter().take_while(|byte| is_hex(byte)).count();
        before + behind < RANDOM
    })
}

#[test]
fn a_secret_is_found_but_where_it_stands_by_chance() {
    assert!(says("pin 739182", "739182") && says("abc739182abc", "739182"));
    let random = "0123456789abcdef".repeat(4);
    assert!(!says(&format!("{random}739182{random}"), "739182"));
    assert!(!says("pin 739183", "739182"));
}
