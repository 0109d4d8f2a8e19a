//! Fees of a program: POST, GET, PUT, DELETE /admin/programs/{program}/fees. Source: requirements
//! #165-#171.
//!
//! Invariants: a fee on payments is the switch's, which reserves and takes it with the payment; the
//! others are charged from here, once a thing and period; what a payment or a period was begun
//! under does not change behind it.

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
            let row = FeeRow { id: plan.fee, ..row };
            if !self.store.insert_fee(&row, clock::now_millis()).await? {
                return Err(Code::FeeExists.into());
            }
            let state = match self.tell_of_fee(plan.command, &row).await {
                Err(error) if error.is_passing() => return Err(error),
                Err(error) => Err(error),
                Ok(()) => Ok(()),
            };
            let settled = if state.is_ok() { RowState::Confirmed } else { RowState::Refused };
            self.store.settle_fee(row.id, settled).await?;
            state?;
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

    /// Changes what may change of a fee.
    pub async fn put_fee(&self, by: Call, at: FeePath, body: Body<ProgramFee>) -> Result<Response> {
        let (program, known) = self.fee_at(&by, &at).await?;
        let row = body.content.row(&program, clock::now())?;
        if (&row.kind, &row.period, &row.zone) != (&known.kind, &known.period, &known.zone) {
            let message = "kind, period and timeZone are for ever: make another fee";
            return Err(Error::fault(Code::InvalidRequest, "kind", message));
        }
        let row = FeeRow { id: known.id, next_period_ms: known.next_period_ms, ..row };
        let carry_out = async |command: Uuid| {
            self.tell_of_fee(command, &row).await?;
            self.store.change_fee(&row).await?;
            Answer::ok(&ShownFee::of(&row)?)
        };
        self.once(&by, body.hash, async || Ok(Uuid::now_v7()), carry_out).await
    }

    /// Takes a fee out of use.
    pub async fn remove_fee(
        &self,
        by: Call,
        at: FeePath,
        Nothing(hash): Nothing,
    ) -> Result<Response> {
        let (program, known) = self.fee_at(&by, &at).await?;
        let carry_out = async |command: Uuid| {
            if let (Some(fee), Some(program)) = (form::on_payments(&known)?, program.shared()) {
                let change = Change::RemoveFee(program.id, fee.id);
                self.link.change(command_id(command), change).await?.result?;
            }
            self.store.close_fee(known.id).await?;
            Ok(Answer::no_content())
        };
        self.once(&by, hash, async || Ok(Uuid::now_v7()), carry_out).await
    }

    /// Tells the switch of a fee on payments; of another it knows nothing.
    async fn tell_of_fee(&self, command: Uuid, row: &FeeRow) -> Result<()> {
        let Some(fee) = form::on_payments(row)? else { return Ok(()) };
        match self.link.change(command_id(command), Change::PutFee(fee)).await?.result {
            Err(Refusal::TableFull) => Err(Code::TooManyFees.into()),
            other => Ok(other?),
        }
    }

    async fn visible_program(&self, by: &Call, config: &str) -> Result<ProgramRow> {
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
