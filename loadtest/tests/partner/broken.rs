//! Partners that break one rule: a front before a right partner changes what goes in or comes out.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context;
use axum::Router;
use axum::body::{Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use reqwest::Client;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use uuid::Uuid;

const BODY_BYTES_MAX: usize = 100_000;

/// What a partner does wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Broken {
    ForgetsKeys,
    AnswersRepeatsOtherwise,
    ForgetsKeysOfCredits,
    HasNoTitle,
    HasNoDetail,
    UpdatesWith200,
    RefusesForceDebits,
    RefusesUnknownReversals,
    DebitsWithoutFunds,
    RevertsTwice,
    RevertsNothing,
    RevertsDebitsOnly,
    LeavesLateDebits,
    LinksAnybody,
    UpdatesAnything,
    ShowsOthers,
    DeletesMoney,
    ListsNothing,
    SaysAmountsAsText,
    CreditsTooMuch,
}

/// Which checks find which.
pub(crate) const EXPECTED: &[(Broken, &[&str])] = &[
    (Broken::ForgetsKeys, &["debit-again", "debit-at-once", "others-again"]),
    (
        Broken::AnswersRepeatsOtherwise,
        &["link-again", "debit-again", "debit-at-once", "others-again"],
    ),
    (Broken::ForgetsKeysOfCredits, &["others-again"]),
    (
        Broken::HasNoTitle,
        &[
            "link-unknown-user",
            "read-unknown",
            "read-foreign",
            "credit-unknown",
            "debit-too-much",
            "debit-unknown",
            "update-unknown",
            "delete-unknown",
            "delete-foreign",
            "read-deleted",
            "error-bodies",
        ],
    ),
    (Broken::HasNoDetail, &["error-bodies"]),
    (Broken::UpdatesWith200, &["update"]),
    (Broken::RefusesForceDebits, &["force-debit", "late-force-debit"]),
    (Broken::RefusesUnknownReversals, &["reversal-unknown", "reversal-first"]),
    (Broken::DebitsWithoutFunds, &["debit-too-much"]),
    (Broken::RevertsTwice, &["reversal-twice"]),
    (Broken::RevertsNothing, &["reversal", "reversal-of-others"]),
    (Broken::RevertsDebitsOnly, &["reversal-of-others"]),
    (Broken::LeavesLateDebits, &["reversal-first"]),
    (Broken::LinksAnybody, &["link-unknown-user"]),
    (Broken::UpdatesAnything, &["update-unknown"]),
    (Broken::ShowsOthers, &["read-foreign"]),
    (Broken::DeletesMoney, &["delete-with-money"]),
    (Broken::ListsNothing, &["list"]),
    (Broken::SaysAmountsAsText, &["read"]),
    (Broken::CreditsTooMuch, &["credit", "others-again"]),
];

/// It ends with this.
pub(crate) struct Front {
    pub(crate) address: String,
    task: JoinHandle<()>,
}

impl Drop for Front {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// What the front knows.
struct Knowledge {
    fault: Broken,
    partner: String,
    http: Client,
    keys: Mutex<HashSet<String>>,
    /// Ids of transactions that came, and of reversals that came.
    moved: Mutex<HashSet<String>>,
    reversed: Mutex<HashSet<String>>,
}

/// A request on its way through.
#[derive(Clone)]
struct Passing {
    method: String,
    path: String,
    key: String,
    body: Bytes,
}

/// Puts a front that breaks a rule before a right partner.
pub(crate) async fn broken(fault: Broken, partner: &str) -> anyhow::Result<Front> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = format!("http://{}", listener.local_addr()?);
    let knowledge = Arc::new(Knowledge {
        fault,
        partner: partner.to_owned(),
        http: Client::builder().no_proxy().build()?,
        keys: Mutex::default(),
        moved: Mutex::default(),
        reversed: Mutex::default(),
    });
    let router = Router::new().fallback(pass).with_state(knowledge);
    // It serves until it is aborted.
    let task = tokio::spawn(async move {
        axum::serve(listener, router).await.ok();
    });
    Ok(Front { address, task })
}

async fn pass(State(knowledge): State<Arc<Knowledge>>, request: Request) -> Response {
    let answered = async {
        let (head, body) = request.into_parts();
        let key = head.headers.get("x-idempotency-key").context("no key")?;
        let passing = Passing {
            method: head.method.to_string(),
            path: head.uri.path().to_owned(),
            key: key.to_str()?.to_owned(),
            body: to_bytes(body, BODY_BYTES_MAX).await?,
        };
        knowledge.answer(passing).await
    };
    match answered.await {
        Ok((status, body)) => (status, body).into_response(),
        Err(error) => (StatusCode::BAD_GATEWAY, format!("{error:#}")).into_response(),
    }
}

type Answered = anyhow::Result<(StatusCode, Vec<u8>)>;

/// Whether it was not there.
fn is_new(set: &Mutex<HashSet<String>>, text: &str) -> bool {
    set.lock().unwrap_or_else(PoisonError::into_inner).insert(text.to_owned())
}

fn has(set: &Mutex<HashSet<String>>, text: &str) -> bool {
    set.lock().unwrap_or_else(PoisonError::into_inner).contains(text)
}

impl Passing {
    fn is(&self, name: &str) -> bool {
        self.path.ends_with(&format!("/transactions/{name}"))
    }

    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    fn transaction(&self) -> String {
        let body = self.json();
        body.get("transactionId").and_then(Value::as_str).unwrap_or_default().to_owned()
    }

    /// The same elsewhere, under a new key.
    fn to(&self, method: &str, path: &str) -> Self {
        let (method, path) = (method.to_owned(), path.to_owned());
        Self { method, path, key: Uuid::new_v4().to_string(), body: self.body.clone() }
    }
}

impl Knowledge {
    async fn forward(&self, passing: &Passing) -> Answered {
        let address = format!("{}{}", self.partner, passing.path);
        let request = self
            .http
            .request(passing.method.parse()?, address)
            .header("X-Idempotency-Key", &passing.key)
            .header("Content-Type", "application/json")
            .body(passing.body.clone());
        let answer = request.send().await?;
        let status = StatusCode::from_u16(answer.status().as_u16())?;
        Ok((status, answer.bytes().await?.to_vec()))
    }

    async fn answer(&self, passing: Passing) -> Answered {
        match self.fault {
            Broken::ForgetsKeys
            | Broken::AnswersRepeatsOtherwise
            | Broken::ForgetsKeysOfCredits => self.with_keys(passing).await,
            Broken::HasNoTitle
            | Broken::HasNoDetail
            | Broken::UpdatesWith200
            | Broken::ListsNothing
            | Broken::SaysAmountsAsText => self.with_other_words(passing).await,
            Broken::RefusesUnknownReversals
            | Broken::RevertsTwice
            | Broken::RevertsNothing
            | Broken::RevertsDebitsOnly
            | Broken::LeavesLateDebits => self.with_reversals(passing).await,
            Broken::RefusesForceDebits | Broken::DebitsWithoutFunds | Broken::CreditsTooMuch => {
                self.with_money(passing).await
            }
            Broken::LinksAnybody
            | Broken::UpdatesAnything
            | Broken::ShowsOthers
            | Broken::DeletesMoney => self.with_too_much(passing).await,
        }
    }

    async fn with_keys(&self, mut passing: Passing) -> Answered {
        let repeated = !is_new(&self.keys, &passing.key);
        if self.fault == Broken::AnswersRepeatsOtherwise && repeated {
            return Ok((StatusCode::CONFLICT, problem("REPEATED")));
        }
        let forgets = self.fault == Broken::ForgetsKeys || passing.is("credit");
        if self.fault != Broken::AnswersRepeatsOtherwise && forgets {
            passing.key = Uuid::new_v4().to_string();
        }
        self.forward(&passing).await
    }

    async fn with_other_words(&self, passing: Passing) -> Answered {
        let (status, body) = self.forward(&passing).await?;
        let updated = passing.method == "PUT" && status.is_success();
        if self.fault == Broken::UpdatesWith200 && updated {
            return Ok((StatusCode::OK, b"{}".to_vec()));
        }
        if body.is_empty() {
            return Ok((status, body));
        }
        let mut json: Value = serde_json::from_slice(&body)?;
        let refused = status.is_client_error();
        if self.fault == Broken::HasNoTitle && refused {
            without(&mut json, "title");
        } else if self.fault == Broken::HasNoDetail && refused {
            without(&mut json, "detail");
        } else if self.fault == Broken::ListsNothing && json.is_array() {
            json = json!([]);
        } else if self.fault == Broken::SaysAmountsAsText
            && let Some(amount) = json.get_mut("amount")
        {
            *amount = json!(amount.to_string());
        }
        Ok((status, serde_json::to_vec(&json)?))
    }

    async fn with_reversals(&self, passing: Passing) -> Answered {
        let id = passing.transaction();
        if !passing.is("reversal") {
            if passing.is("debit") || self.fault != Broken::RevertsDebitsOnly {
                is_new(&self.moved, &id);
            }
            return self.forward(&passing).await;
        }
        let (known, first) = (has(&self.moved, &id), is_new(&self.reversed, &id));
        let fault = self.fault;
        if fault == Broken::RefusesUnknownReversals && !known {
            return Ok((StatusCode::NOT_FOUND, problem("TRANSACTION_NOT_FOUND")));
        }
        if fault == Broken::RevertsTwice && known && !first {
            return self.forward(&passing.to("POST", "/transactions/force-credit")).await;
        }
        let ignored = (fault == Broken::RevertsNothing && known)
            || (fault == Broken::RevertsDebitsOnly && !known)
            || (fault == Broken::LeavesLateDebits && !(known && first));
        if ignored {
            return Ok((StatusCode::NO_CONTENT, Vec::new()));
        }
        self.forward(&passing).await
    }

    async fn with_money(&self, mut passing: Passing) -> Answered {
        if self.fault == Broken::RefusesForceDebits && passing.is("force-debit") {
            passing.path = "/transactions/debit".to_owned();
        }
        if self.fault == Broken::CreditsTooMuch && passing.is("credit") {
            let mut body = passing.json();
            if let Some(amount) = body.get_mut("amount") {
                *amount = json!(amount.as_i64().unwrap_or_default() + 1);
            }
            passing.body = serde_json::to_vec(&body)?.into();
        }
        let (status, body) = self.forward(&passing).await?;
        let lacks = String::from_utf8_lossy(&body).contains("INSUFFICIENT_FUNDS");
        if self.fault == Broken::DebitsWithoutFunds && lacks {
            return self.forward(&passing.to("POST", "/transactions/force-debit")).await;
        }
        Ok((status, body))
    }

    async fn with_too_much(&self, mut passing: Passing) -> Answered {
        let id = passing.path.rsplit('/').next().unwrap_or_default().to_owned();
        if self.fault == Broken::LinksAnybody {
            passing.path = passing.path.replace("/unknown-user/", "/3/");
        } else if self.fault == Broken::ShowsOthers && passing.method == "GET" && id != "balances" {
            passing.path = passing.path.replace("/users/2/", "/users/1/");
        } else if self.fault == Broken::UpdatesAnything && passing.method == "PUT" {
            return Ok((StatusCode::NO_CONTENT, Vec::new()));
        } else if self.fault == Broken::DeletesMoney && passing.method == "DELETE" {
            let (status, _) = self.forward(&passing.to("GET", &passing.path)).await?;
            if status == StatusCode::OK {
                let mut emptied = passing.to("PUT", &format!("/control/balances/{id}"));
                emptied.body = Bytes::from_static(b"{\"amount\":0}");
                self.forward(&emptied).await?;
            }
        }
        self.forward(&passing).await
    }
}

fn problem(title: &str) -> Vec<u8> {
    json!({ "title": title, "detail": "broken on purpose" }).to_string().into_bytes()
}

fn without(json: &mut Value, member: &str) {
    if let Some(members) = json.as_object_mut() {
        members.remove(member);
    }
}
