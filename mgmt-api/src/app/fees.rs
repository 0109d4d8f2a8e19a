//! Fees of a program: POST, GET, PUT, DELETE /admin/programs/{program}/fees. Source: requirements
//! #165-#171.
//!
//! Invariants: a fee on payments is the switch's, which reserves and takes it with the payment, and
//! what stands here follows its events; the others are charged from here, once a thing and period;
//! nothing but how much a fee is ever changes, and not for payments that were made.

pub(super) mod form;
mod report;

use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use shared::command::Change;
use shared::control::Refusal;
use shared::ids::FeeId;
use utoipa::ToSchema;
use uuid::Uuid;

pub use self::form::ProgramFee;
pub use self::report::ReportWish;
use super::{App, Body, FeePath, Nothing, ProgramPath, command_id};
use crate::answer::Answer;
use crate::call::Call;
use crate::clock;
use crate::error::{Code, Error, Result};
use crate::store::{FeeRow, ProgramRow, RowState};

/// A fee with its id.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ShownFee {
    fee_id: String,
    fee: ProgramFee,
}

/// The fees of a program that are in use, oldest first.
#[derive(Serialize, ToSchema)]
pub struct FeeList {
    items: Vec<ShownFee>,
}

#[derive(Serialize, Deserialize)]
struct Plan {
    command: Uuid,
    fee: i64,
}

impl App {
    /// Makes a fee of a program.
    pub async fn add_fee(
        &self,
        by: Call,
        at: ProgramPath,
        body: Body<ProgramFee>,
    ) -> Result<Response> {
        let program = self.visible_program(&by, &at.program).await?;
        let row = body.content.row(&program, clock::now())?;
        let draw = async || {
            Ok(Plan { command: Uuid::now_v7(), fee: self.store.next_number("fee").await? })
        };
        let carry_out = async |plan: Plan| {
            let _one_at_a_time = self.fee_changes.lock().await;
            let row = FeeRow { id: plan.fee, ..row };
            // Of a fee that is not on payments the switch knows nothing: there is nothing to wait
            // for.
            let on_payments = form::on_payments(&row)?.is_some();
            let state = if on_payments { RowState::Pending } else { RowState::Confirmed };
            if !self.store.insert_fee(&row, state, clock::now_millis()).await? {
                return Err(Code::FeeExists.into());
            }
            let told = self.tell_of_fee(plan.command, &row).await;
            match &told {
                Err(error) if error.is_passing() => {}
                Err(_) => self.store.settle_fee(row.id, RowState::Refused).await?,
                Ok(_) => self.store.settle_fee(row.id, RowState::Confirmed).await?,
            }
            told?;
            Answer::created(&ShownFee::of(&row)?)
        };
        self.once(&by, body.hash, draw, carry_out).await
    }

    /// The fees of a program.
    pub async fn list_fees(&self, by: Call, at: ProgramPath) -> Result<Response> {
        let program = self.visible_program(&by, &at.program).await?;
        let rows = self.store.fees_of(&program.config_id, false).await?;
        let items = rows.iter().map(ShownFee::of).collect::<Result<_>>()?;
        Ok(Answer::ok(&FeeList { items })?.into_response())
    }

    /// A fee of a program.
    pub async fn show_fee(&self, by: Call, at: FeePath) -> Result<Response> {
        let (_program, row) = self.fee_at(&by, &at).await?;
        Ok(Answer::ok(&ShownFee::of(&row)?)?.into_response())
    }

    /// Changes how much a fee is.
    pub async fn put_fee(&self, by: Call, at: FeePath, body: Body<ProgramFee>) -> Result<Response> {
        let draw = async || {
            let (program, known) = self.fee_at(&by, &at).await?;
            let row = body.content.row(&program, clock::now())?;
            let FeeRow { fixed, rate_ppm, .. } = row;
            let changed = FeeRow { fixed, rate_ppm, ..known };
            let same = |one: &FeeRow| FeeRow { id: 0, next_period_ms: None, ..one.clone() };
            if same(&row) != same(&changed) {
                let message = "all but fixed and ratePpm is for ever: make another fee";
                return Err(Error::fault(Code::InvalidRequest, "kind", message));
            }
            Ok((Uuid::now_v7(), changed))
        };
        let carry_out = async |(command, row): (Uuid, FeeRow)| {
            let _one_at_a_time = self.fee_changes.lock().await;
            // It may have been taken out of use since.
            let fees = self.store.fees_of(&row.config_id, false).await?;
            if !fees.iter().any(|fee| fee.id == row.id) {
                return Err(Code::FeeNotFound.into());
            }
            let amounts = (row.fixed, row.rate_ppm);
            match self.tell_of_fee(command, &row).await? {
                Some(sequence) => self.store.follow_fee(row.id, amounts, sequence).await?,
                None => self.store.change_fee(row.id, amounts).await?,
            }
            Answer::ok(&ShownFee::of(&row)?)
        };
        self.once(&by, body.hash, draw, carry_out).await
    }

    /// Takes a fee out of use.
    pub async fn remove_fee(
        &self,
        by: Call,
        at: FeePath,
        Nothing(hash): Nothing,
    ) -> Result<Response> {
        let draw = async || Ok((Uuid::now_v7(), self.fee_at(&by, &at).await?.1));
        let carry_out = async |(command, row): (Uuid, FeeRow)| {
            let _one_at_a_time = self.fee_changes.lock().await;
            if let Some(fee) = form::on_payments(&row)? {
                let change = Change::RemoveFee(fee.program, fee.id);
                self.link.change(command_id(command), change).await?.result?;
            }
            self.store.close_fee(row.id).await?;
            Ok(Answer::no_content())
        };
        self.once(&by, hash, draw, carry_out).await
    }

    /// Tells the switch of a fee on payments, by which record; of another it knows nothing.
    async fn tell_of_fee(&self, command: Uuid, row: &FeeRow) -> Result<Option<i64>> {
        let Some(fee) = form::on_payments(row)? else { return Ok(None) };
        let outcome = self.link.change(command_id(command), Change::PutFee(fee)).await?;
        match outcome.result {
            Err(Refusal::TableFull) => Err(Code::TooManyFees.into()),
            Err(refusal) => Err(refusal.into()),
            Ok(()) => Ok(i64::try_from(outcome.sequence.0).ok()),
        }
    }

    pub(super) async fn visible_program(&self, by: &Call, config: &str) -> Result<ProgramRow> {
        let program = self.store.program_of_card(config).await?;
        let partner = by.caller.scope().partner;
        let seen = program.filter(|row| partner.is_none_or(|partner| row.partner_id == partner));
        seen.ok_or_else(|| Code::ProgramNotFound.into())
    }

    async fn fee_at(&self, by: &Call, at: &FeePath) -> Result<(ProgramRow, FeeRow)> {
        let program = self.visible_program(by, &at.program).await?;
        let id = at.fee.parse::<i64>().map_err(|_not_a_number| Code::FeeNotFound)?;
        let fees = self.store.fees_of(&program.config_id, false).await?;
        let fee = fees.into_iter().find(|fee| fee.id == id).ok_or(Code::FeeNotFound)?;
        Ok((program, fee))
    }
}

impl ShownFee {
    fn of(row: &FeeRow) -> Result<Self> {
        Ok(Self { fee_id: row.id.to_string(), fee: ProgramFee::of(row)? })
    }
}

/// A fee's id as the switch has it.
pub(crate) fn fee_id(row: i64) -> FeeId {
    FeeId(u64::try_from(row).unwrap_or_default())
}
