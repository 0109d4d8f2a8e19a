//! Partner balances that run low: who is told, how often, and over which connections.

use std::sync::{Arc, Mutex};

use axum::http::StatusCode;
use mgmt_api::config::{MailConfig, MailSecurity};
use mgmt_api::store::Store;
use mgmt_api::tls;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use crate::certificates::{GOOD, request};
use crate::notices::arrived;
use crate::partner::Partner;
use crate::world::{World, on_each, text, until};

/// A mail server that keeps what it takes.
struct Postbox {
    port: u16,
    taken: Arc<Mutex<Vec<String>>>,
}

impl Postbox {
    /// Refuses the first `refused` e-mails for the time being.
    async fn open(security: MailSecurity, acceptor: TlsAcceptor, refused: usize) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let taken = Arc::new(Mutex::new(Vec::new()));
        let refused = Arc::new(Mutex::new(refused));
        let kept = Arc::clone(&taken);
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (acceptor, kept, refused) =
                    (acceptor.clone(), Arc::clone(&kept), Arc::clone(&refused));
                tokio::spawn(async move {
                    // Whoever breaks off is no news.
                    serve(stream, security, acceptor, (&kept, &refused)).await.ok();
                });
            }
        });
        Self { port, taken }
    }

    fn taken(&self) -> Vec<String> {
        self.taken.lock().unwrap().clone()
    }
}

type Kept<'a> = (&'a Mutex<Vec<String>>, &'a Mutex<usize>);

async fn serve(
    mut stream: TcpStream,
    security: MailSecurity,
    acceptor: TlsAcceptor,
    kept: Kept<'_>,
) -> std::io::Result<()> {
    match security {
        MailSecurity::None => {
            stream.write_all(b"220 postbox\r\n").await?;
            converse(stream, false, kept).await.map(drop)
        }
        MailSecurity::Tls => {
            let mut stream = acceptor.accept(stream).await?;
            stream.write_all(b"220 postbox\r\n").await?;
            converse(stream, false, kept).await.map(drop)
        }
        MailSecurity::StartTls => {
            stream.write_all(b"220 postbox\r\n").await?;
            let Some(stream) = converse(stream, true, kept).await? else { return Ok(()) };
            converse(acceptor.accept(stream).await?, false, kept).await.map(drop)
        }
    }
}

/// Talks until the other end goes, or wants TLS: then the stream comes back.
async fn converse<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    offers_tls: bool,
    (taken, refused): Kept<'_>,
) -> std::io::Result<Option<S>> {
    let mut stream = BufReader::new(stream);
    let mut line = String::new();
    while {
        line.clear();
        stream.read_line(&mut line).await? > 0
    } {
        let answer = match line.split_whitespace().next().unwrap_or_default() {
            "EHLO" if offers_tls => "250-postbox\r\n250 STARTTLS\r\n",
            "EHLO" => "250 postbox\r\n",
            "STARTTLS" => {
                stream.write_all(b"220 go on\r\n").await?;
                return Ok(Some(stream.into_inner()));
            }
            "MAIL" if offers_tls => "530 encrypt first\r\n",
            "MAIL" if spend(refused) => "451 later\r\n",
            "DATA" => {
                stream.write_all(b"354 go on\r\n").await?;
                let mut mail = String::new();
                while !mail.ends_with("\r\n.\r\n") {
                    stream.read_line(&mut mail).await?;
                }
                taken.lock().unwrap().push(mail);
                "250 taken\r\n"
            }
            "QUIT" => "221 bye\r\n",
            _ => "250 fine\r\n",
        };
        stream.write_all(answer.as_bytes()).await?;
    }
    Ok(None)
}

fn spend(refused: &Mutex<usize>) -> bool {
    let mut left = refused.lock().unwrap();
    let refuses = *left > 0;
    *left = left.saturating_sub(1);
    refuses
}

impl World {
    /// A postbox, and a server that sends to it.
    async fn with_mail(&mut self, security: MailSecurity, refused: usize) -> Postbox {
        let secure = &self.config.secure;
        let acceptor = tls::acceptor(&secure.certificate, &secure.key, None).unwrap();
        let postbox = Postbox::open(security, acceptor, refused).await;
        self.stop_server().await;
        self.config.mail = Some(MailConfig {
            host: "localhost".to_owned(),
            port: postbox.port,
            security,
            ca: Some(self.config.secure.client_ca.clone()),
            from: "Pointsman <alerts@issuer.example>".to_owned(),
            user: None,
            password: None,
        });
        self.start_server().await;
        postbox
    }

    async fn deposit(&self, body: &Value) -> String {
        let made = self.admin(Method::POST, "/admin/partners/1/balances", Some(body)).await;
        text(&made.expect(StatusCode::CREATED), "id")
    }

    async fn reload_with(&self, balance: &str, amount: i64) {
        let path = format!("/admin/partner-balances/{balance}/reload");
        let body = json!({ "amount": amount, "currency": "EUR" });
        self.admin(Method::POST, &path, Some(&body)).await.expect(StatusCode::CREATED);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partner_is_told_once_each_time_that_a_balance_runs_low() {
    on_each(async |world| {
        let postbox = world.with_mail(MailSecurity::Tls, 0).await;
        let (partner, deaf) = (Partner::start().await, Partner::start().await);
        world.endpoint(&partner, &["lowBalance"]).await;
        world.endpoint(&deaf, &["transaction"]).await;
        let alert = json!({ "level": 1_000, "email": "treasury@partner.example" });
        let credit = json!({ "kind": "CREDIT", "currency": "EUR", "alertLevel": 1_000,
            "alertEmail": "treasury@partner.example" });
        let credit = world.deposit(&credit).await;
        // It is empty when it is opened.
        until(async || postbox.taken().len() == 1).await;
        let mail = postbox.taken().remove(0);
        for part in [
            "To: treasury@partner.example\r\n",
            "From: Pointsman <alerts@issuer.example>\r\n",
            "Subject: Your credit balance in EUR runs low\r\n",
            "Available: 0\r\n",
            "Level: 1000\r\n",
            credit.as_str(),
        ] {
            assert!(mail.contains(part), "{part}: {mail}");
        }
        let notice = arrived(&partner, 1).await.remove(0);
        assert_eq!(notice.path, "/base/notifications/lowBalance");
        let events = world.get("/secure/events").await.json();
        let event = &events["items"][0];
        let low = json!({ "partnerBalanceId": credit, "kind": "CREDIT", "currency": "EUR",
            "available": 0, "held": 0, "level": 1_000, "date": event["date"] });
        assert_eq!((notice.json(), &event["body"]), (low.clone(), &low));
        assert_eq!(event["event"], "lowBalance");
        let path = format!("/admin/partner-balances/{credit}");
        assert_eq!(world.admin(Method::GET, &path, None).await.json()["alert"], alert);

        // Just enough is not enough to be told again: a tenth more is.
        world.reload_with(&credit, 1_050).await;
        let customer = world.customer().await;
        let balance = world.balance(&customer, "EUR").await;
        world.card(&customer, &balance, "0019167986").await;
        let top_up = async |amount: i64| {
            let path = format!("/secure/customers/{customer}/balances/{balance}/topup");
            let body = json!({ "amount": amount, "currency": "EUR" });
            world.post(&path, &body).await.expect(StatusCode::CREATED);
        };
        let seen = async || tokio::time::sleep(std::time::Duration::from_millis(2_200)).await;
        seen().await;
        top_up(100).await;
        seen().await;
        assert_eq!(postbox.taken().len(), 1);
        world.reload_with(&credit, 150).await;
        seen().await;
        top_up(101).await;
        until(async || postbox.taken().len() == 2).await;
        assert!(postbox.taken()[1].contains("Available: 999\r\n"));
        let notices = arrived(&partner, 2).await;
        assert_eq!(notices[1].json()["available"], 999);
        assert!(deaf.taken().iter().all(|taken| taken.path == "/base/notifications/transaction"));

        let alert_path = format!("{path}/alert");
        let gone = world.admin(Method::DELETE, &alert_path, None).await;
        assert_eq!(gone.status, 204);
        assert_eq!(world.admin(Method::GET, &path, None).await.json()["alert"], Value::Null);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_e_mail_that_is_not_taken_is_sent_again() {
    on_each(async |world| {
        let postbox = world.with_mail(MailSecurity::StartTls, 1).await;
        let credit = json!({ "kind": "CREDIT", "currency": "EUR", "alertLevel": 1,
            "alertEmail": "treasury@partner.example" });
        world.deposit(&credit).await;
        let waits = "UPDATE mails SET next_at_ms = 0 WHERE attempts = 1";
        until(async || {
            world.database.execute(waits).await;
            postbox.taken().len() == 1
        })
        .await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_mail_server_nobody_can_be_told_by_e_mail() {
    on_each(async |world| {
        let technical = json!({ "kind": "TECHNICAL", "currency": "EUR", "alertLevel": 1 });
        let technical = world.deposit(&technical).await;
        // It was looked at when nobody could hear it: that is not lost.
        tokio::time::sleep(std::time::Duration::from_millis(2_200)).await;
        let partner = Partner::start().await;
        world.endpoint(&partner, &["lowBalance"]).await;
        let told = arrived(&partner, 1).await.remove(0).json();
        assert_eq!(told["partnerBalanceId"], technical);
        let wrong = json!({ "kind": "CREDIT", "currency": "EUR", "alertLevel": 0 });
        let got = world.admin(Method::POST, "/admin/partners/1/balances", Some(&wrong)).await;
        got.expect_error(400, "INVALID_REQUEST");
        assert_eq!(got.json()["errors"][0]["field"], "alertLevel");
        let credit = world.deposit(&json!({ "kind": "CREDIT", "currency": "EUR" })).await;
        let path = format!("/admin/partner-balances/{credit}/alert");
        let alert = json!({ "level": 1, "email": "treasury@partner.example" });
        let got = world.admin(Method::PUT, &path, Some(&alert)).await;
        got.expect_error(403, "FEATURE_NOT_ENABLED");
        let postbox = world.with_mail(MailSecurity::None, 0).await;
        assert_eq!(world.admin(Method::PUT, &path, Some(&alert)).await.status, 204);
        until(async || postbox.taken().len() == 1).await;
        for (wrong, status, title) in [
            (json!({ "level": 0, "email": "a@b.example" }), 400, "INVALID_REQUEST"),
            (json!({ "level": 5, "email": "a b" }), 400, "INVALID_REQUEST"),
            (
                json!({ "level": 5, "email": "a@b.example\r\nBcc: x@y.example" }),
                400,
                "INVALID_REQUEST",
            ),
            (json!({ "email": "a@b.example" }), 400, "INVALID_REQUEST"),
        ] {
            let got = world.admin(Method::PUT, &path, Some(&wrong)).await;
            got.expect_error(status, title);
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_try_of_an_e_mail_is_one_servers() {
    on_each(async |world| {
        let credit = world.deposit(&json!({ "kind": "CREDIT", "currency": "EUR" })).await;
        let store = Store::open(&world.database.url).await.unwrap();
        let credit = uuid::Uuid::parse_str(&credit).unwrap();
        // Nobody sends here: what the watcher writes stays.
        store.set_alert(credit, Some((1, Some("treasury@partner.example")))).await.unwrap();
        until(async || !store.pending_mails(i64::MAX, 9).await.unwrap().is_empty()).await;
        let mails = store.pending_mails(i64::MAX, 9).await.unwrap();
        assert_eq!(mails.len(), 1);
        let later = 1 << 50;
        assert!(store.claim_mail(&mails[0], later).await.unwrap());
        assert!(!store.claim_mail(&mails[0], later).await.unwrap(), "somebody has it");
        assert_eq!(store.pending_mails(later - 1, 9).await.unwrap(), []);
        store.end_mail(mails[0].id, "SENT").await.unwrap();
        assert_eq!(store.pending_mails(i64::MAX, 9).await.unwrap(), []);
        store.close().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_owner_of_a_certificate_is_told_once_at_each_step_to_its_end() {
    on_each(async |world| {
        world.config.ca = Some(world.path("pki"));
        let postbox = world.with_mail(MailSecurity::Tls, 0).await;
        let (csr, _key) = request(world, 2048, GOOD).await;
        let good = world.sign(&csr, json!({ "days": 10 })).await.expect(StatusCode::CREATED);
        let subjects = || -> Vec<String> {
            let taken = postbox.taken().into_iter();
            taken
                .filter_map(|mail| {
                    mail.lines().find(|l| l.starts_with("Subject:")).map(str::to_owned)
                })
                .collect()
        };
        // It is looked at when the server starts, and each minute.
        let restarted = async |world: &mut World| {
            world.stop_server().await;
            world.start_server().await;
        };
        restarted(world).await;
        until(async || postbox.taken().len() == 1).await;
        // Long lines come folded.
        let mail = postbox.taken().pop().unwrap().replace("=\r\n", "").replace("=\n", "");
        assert!(mail.contains(&text(&good, "certificateId")), "{mail}");
        assert!(mail.contains("To: ops@example.com"), "{mail}");
        restarted(world).await;
        let closer = "UPDATE client_certificates SET not_after_ms = not_after_ms - 691200000 \
             WHERE email IS NOT NULL";
        world.database.execute(closer).await;
        restarted(world).await;
        until(async || postbox.taken().len() >= 2).await;
        let expected = ["9", "1"]
            .map(|days| format!("Subject: Your certificate partner-1 ends in {days} days"));
        assert_eq!(subjects(), expected);
    })
    .await;
}
