//! A simulated partner on a free port, and requests to it.

use std::path::Path;

use anyhow::{Context, ensure};
use loadtest::partner::{self, Options};
use reqwest::Client;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// It ends with this.
pub(crate) struct Served {
    pub(crate) address: String,
    http: Client,
    task: JoinHandle<anyhow::Result<()>>,
}

impl Drop for Served {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Served {
    pub(crate) async fn start() -> anyhow::Result<Self> {
        Self::with(Options::default()).await
    }

    pub(crate) async fn with_file(file: &Path) -> anyhow::Result<Self> {
        Self::with(Options { file: Some(file.to_owned()), ..Options::default() }).await
    }

    async fn with(options: Options) -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = format!("http://{}", listener.local_addr()?);
        let task = tokio::spawn(partner::serve(listener, options));
        let http = Client::builder().no_proxy().build()?;
        Ok(Self { address, http, task })
    }

    /// Ends it and waits until the last connection has let go of its file.
    pub(crate) async fn stop(mut self, file: &Path) -> anyhow::Result<()> {
        self.task.abort();
        // It was cancelled.
        (&mut self.task).await.ok();
        let file = std::fs::File::open(file)?;
        while file.try_lock().is_err() {
            tokio::task::yield_now().await;
        }
        Ok(())
    }

    pub(crate) async fn send(
        &self,
        method: &str,
        path: &str,
        body: &Value,
        key: Option<&str>,
    ) -> anyhow::Result<(u16, Vec<u8>)> {
        let address = format!("{}{path}", self.address);
        let mut request = self.http.request(method.parse()?, address);
        if let Some(key) = key {
            request = request.header("X-Idempotency-Key", key);
        }
        if !body.is_null() {
            request = request.json(body);
        }
        let answer = request.send().await?;
        Ok((answer.status().as_u16(), answer.bytes().await?.to_vec()))
    }

    pub(crate) async fn expect(
        &self,
        method: &str,
        path: &str,
        body: &Value,
        status: u16,
    ) -> anyhow::Result<()> {
        let (found, answer) = self.send(method, path, body, None).await?;
        let answer = String::from_utf8_lossy(&answer);
        ensure!(found == status, "{method} {path}: {found} {answer}");
        Ok(())
    }

    pub(crate) async fn link(&self, user: &str, balance: &str) -> anyhow::Result<()> {
        let body = json!({ "balanceId": balance, "currency": "EUR" });
        self.expect("POST", &format!("/users/{user}/balances"), &body, 204).await
    }

    pub(crate) async fn state(&self) -> anyhow::Result<Value> {
        state(&self.address).await
    }

    pub(crate) async fn amount(&self, balance: &str) -> anyhow::Result<i64> {
        let state = self.state().await?;
        let balances = state.get("balances").and_then(Value::as_array).context("no balances")?;
        let found = balances.iter().find(|found| found.get("id") == Some(&json!(balance)));
        found.and_then(|found| found.get("amount")?.as_i64()).context("no such balance")
    }
}

/// A transaction object.
pub(crate) fn transaction(balance: &str, id: &str, amount: i64) -> Value {
    json!({ "balanceId": balance, "resourceId": "card-1", "resource": "card", "transactionId": id,
        "type": "POS", "amount": amount, "currency": "EUR", "status": "AUTHORIZED",
        "description": "a purchase", "date": "2020-08-17T18:43:42+00:00" })
}

/// What a partner shows of itself.
pub(crate) async fn state(address: &str) -> anyhow::Result<Value> {
    let http = Client::builder().no_proxy().build()?;
    Ok(http.get(format!("{address}/control/state")).send().await?.json().await?)
}
