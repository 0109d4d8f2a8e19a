//! POST cards/virtual/async: issues a virtual card in the background. Source: requirements #95.
//!
//! Invariants: what was drawn is kept before 202 leaves, so that a crash forgets no card and makes
//! none twice; what came of it is told once, to a partner that wants to be told; no card data leave
//! here: they are seen with …/full.

use core::time::Duration;
use std::sync::Arc;

use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use utoipa::ToSchema;
use uuid::Uuid;
use zeroize::Zeroizing;

use super::issue_card::{NewlyDrawn, VIRTUAL, Wish};
use super::tell_of_card::CardEvent;
use super::{App, Body, NewVirtualCard, OperationPath};
use crate::answer::Answer;
use crate::call::CustomerCall;
use crate::clock;
use crate::error::{Code, Error, Result};
use crate::store::OperationRow;
use crate::vault::Purpose;

/// Operations taken up at once.
const BATCH_MAX: i64 = 32;
/// Between two looks where nothing called.
const PAUSE: Duration = Duration::from_secs(1);

#[derive(Serialize, Deserialize)]
struct Plan {
    operation: Uuid,
    customer: i64,
    new: NewlyDrawn,
}

/// An operation that was begun.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct BegunOperation {
    operation_id: Uuid,
    /// Where its state is seen.
    status_url: String,
}

/// An operation in the background.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ShownOperation {
    operation_id: Uuid,
    /// PENDING, DONE or FAILED.
    status: String,
    /// The card that came of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    card_id: Option<String>,
    /// The code that it failed with.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

impl App {
    /// Takes down that a virtual card is to be issued.
    pub async fn issue_card_later(
        &self,
        by: CustomerCall,
        body: Body<NewVirtualCard>,
    ) -> Result<Response> {
        let wish = Wish::from_body(body.content, VIRTUAL);
        let draw = || async {
            let customer = self.customer(&by).await?.id;
            let new = self.draw_card(&by, &wish).await?;
            Ok(Plan { operation: Uuid::now_v7(), customer, new })
        };
        let path = &by.call.exchange.path;
        let carry_out = async |plan: Plan| {
            let row = operation_row_name(plan.operation);
            let plain = Zeroizing::new(serde_json::to_vec(&plan.new)?);
            let sealed = self.vault.seal(Purpose::Idempotency, row.as_bytes(), &plain)?;
            let now = clock::now_millis();
            self.store.insert_operation(plan.operation, plan.customer, &sealed, now).await?;
            self.operations_wait.notify_one();
            let prefix = path.trim_end_matches("/cards/virtual/async");
            let status_url = format!("{prefix}/operations/{}", plan.operation);
            Answer::accepted(&BegunOperation { operation_id: plan.operation, status_url })
        };
        self.once(&by.call, body.hash, draw, carry_out).await
    }

    /// Where an operation is.
    pub async fn show_operation(&self, by: CustomerCall, at: OperationPath) -> Result<Response> {
        let customer = self.customer(&by).await?.id;
        let id = Uuid::parse_str(&at.operation).map_err(|_not_a_uuid| Code::OperationNotFound)?;
        let row = self.store.operation(customer, id).await?.ok_or(Code::OperationNotFound)?;
        let shown = ShownOperation {
            operation_id: row.id,
            status: row.state,
            card_id: row.card_id.map(|card| card.to_string()),
            error: row.error,
        };
        Ok(Answer::ok(&shown)?.into_response())
    }

    async fn carry_out_operation(&self, row: OperationRow) -> Result<()> {
        let sealed = row.plan_sealed.as_deref().unwrap_or_default();
        let name = operation_row_name(row.id);
        let plain = self.vault.unseal(Purpose::Idempotency, name.as_bytes(), sealed).ok();
        let plan = plain.and_then(|plain| serde_json::from_slice::<NewlyDrawn>(&plain).ok());
        let result = match &plan {
            Some(plan) => match self.issue_drawn(plan).await {
                Ok(issued) => Ok(issued.card),
                Err(error) if error.holds_up_all() => return Err(error),
                Err(error) => Err(error.code.title()),
            },
            // It will never open: the others must not wait for it.
            None => Err(Error::internal("operations", &"a plan is damaged").code.title()),
        };
        let event = match result {
            Ok(card) => CardEvent::Created { operation: row.id, card },
            Err(code) => CardEvent::Failed { operation: row.id, code },
        };
        let balance = plan.map(|plan| plan.balance);
        let notice = self.card_notice(event, row.customer_id, balance).await?;
        Ok(self.store.end_operation(row.id, result, notice.as_slice()).await?)
    }
}

/// Carries pending operations out until `stop`, those of an earlier run first.
pub(crate) async fn run(app: Arc<App>, stop: CancellationToken) {
    let work = async {
        loop {
            match take_up(&app).await {
                Ok(0) => {
                    tokio::select! {
                        () = app.operations_wait.notified() => {}
                        () = sleep(PAUSE) => {}
                    }
                }
                Ok(_some) => {}
                Err(error) => {
                    tracing::warn!(code = error.code.title(), "operations wait");
                    sleep(PAUSE).await;
                }
            }
        }
    };
    tokio::select! {
        () = stop.cancelled() => {}
        () = work => {}
    }
}

async fn take_up(app: &App) -> Result<usize, Error> {
    let rows = app.store.pending_operations(BATCH_MAX).await?;
    let count = rows.len();
    for row in rows {
        app.carry_out_operation(row).await?;
    }
    Ok(count)
}

/// What an operation's plan is sealed for.
fn operation_row_name(operation: Uuid) -> String {
    format!("operation {operation}")
}
