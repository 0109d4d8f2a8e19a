//! Users, balances and cards in bulk: a file is taken whole, its rows are carried out in the
//! background. Source: requirements #66.
//!
//! Invariants: a row does what the same requests would do, under idempotency keys of its own, so
//! that a crash repeats nothing; a row that is wrong stops no other; what a row said is forgotten
//! when it is over.

use core::time::Duration;
use std::sync::Arc;

use axum::body::to_bytes;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use shared::ids::PartnerId;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use utoipa::ToSchema;
use uuid::Uuid;
use zeroize::Zeroizing;

use super::{
    App, Asked, Body, ImportFile, ImportPath, NewBalance, NewVirtualCard, NewWallet,
    currency_of_row, page_limit,
};
use crate::answer::Answer;
use crate::call::{Call, Caller, Client, CustomerCall, Exchange};
use crate::clock;
use crate::error::{Code, Error, Result};
use crate::idempotency::ContentHash;
use crate::store::{ImportedRow, NewImportRow, PendingRow, ProgramRow};
use crate::vault::Purpose;

/// Bytes of a file.
pub(crate) const BYTES_MAX: usize = 4 * 1024 * 1024;
/// Rows of a file.
const ROWS_MAX: usize = 10_000;
/// Rows taken up at once.
const BATCH_MAX: i64 = 64;
/// Between two looks where nothing called.
const PAUSE: Duration = Duration::from_secs(1);
/// Bytes of an answer of ours.
const ANSWER_BYTES_MAX: usize = 64 * 1024;

/// One row: a user to be added or a `customerId`; with `currency` a balance is opened, with
/// `configId` a virtual card is issued on it or on `balanceId`.
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct Row {
    #[serde(skip_serializing_if = "Option::is_none")]
    first_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    phone: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    email: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    birth_date: Option<String>,
    #[serde(rename = "wPIN", skip_serializing_if = "Option::is_none")]
    wallet_pin: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    kyc: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    customer_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    balance_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    currency: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    config_id: Option<String>,
}

/// Whether the file is only to be looked at.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ImportWish {
    #[serde(default)]
    dry_run: bool,
}

/// Which rows are asked for.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RowPage {
    limit: Option<u8>,
    after: Option<i64>,
}

#[derive(Serialize, Deserialize)]
struct Plan {
    import: Uuid,
}

/// An import that was taken, or what one would find.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct TakenImport {
    /// Absent where it was only looked at.
    #[serde(skip_serializing_if = "Option::is_none")]
    import_id: Option<Uuid>,
    rows: usize,
    /// Rows that cannot be carried out; the others go on.
    failed: Vec<FailedRow>,
}

/// A row that cannot be carried out.
#[derive(Clone, Serialize, ToSchema)]
pub(crate) struct FailedRow {
    row: usize,
    code: &'static str,
    field: &'static str,
}

/// How far an import is, and a page of its rows.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ShownImport {
    import_id: Uuid,
    /// PENDING or DONE.
    status: &'static str,
    rows: i64,
    pending: i64,
    failed: i64,
    items: Vec<ShownRow>,
    has_more: bool,
}

/// What became of a row.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ShownRow {
    row: i64,
    /// PENDING, DONE or FAILED.
    status: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    customer_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    balance_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    card_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<String>,
}

/// A row as it was read, or what is wrong with it.
type ReadRow = core::result::Result<Row, (&'static str, &'static str)>;

impl App {
    /// Takes a file, or looks at one.
    pub async fn import(
        &self,
        by: Call,
        Asked(wish): Asked<ImportWish>,
        file: ImportFile,
    ) -> Result<Response> {
        let rows = read_file(&file)?;
        let failed: Vec<FailedRow> = (1..)
            .zip(&rows)
            .filter_map(|(row, read)| {
                let (code, field) = *read.as_ref().err()?;
                Some(FailedRow { row, code, field })
            })
            .collect();
        let count = rows.len();
        if wish.dry_run {
            let looked_at = TakenImport { import_id: None, rows: count, failed };
            return Ok(Answer::ok(&looked_at)?.into_response());
        }
        let partner = i64::from(by.partner()?.0);
        let carry_out = async |plan: Plan| {
            let sealed = self.seal_rows(plan.import, &rows)?;
            let now = clock::now_millis();
            self.store.insert_import((plan.import, partner), &sealed, now).await?;
            self.imports_wait.notify_one();
            Answer::accepted(&TakenImport { import_id: Some(plan.import), rows: count, failed })
        };
        let draw = async || Ok(Plan { import: Uuid::now_v7() });
        self.once(&by, file.hash, draw, carry_out).await
    }

    /// How far an import is.
    pub async fn show_import(
        &self,
        by: Call,
        at: ImportPath,
        Asked(page): Asked<RowPage>,
    ) -> Result<Response> {
        let limit = page_limit(page.limit)?;
        let id = Uuid::parse_str(&at.import).map_err(|_not_a_uuid| Code::ImportNotFound)?;
        let import = self.store.import(i64::from(by.partner()?.0), id).await?;
        let import = import.ok_or(Code::ImportNotFound)?;
        let after = page.after.unwrap_or_default();
        let mut rows = self.store.import_rows(id, after, i64::from(limit) + 1).await?;
        let has_more = rows.len() > usize::from(limit);
        rows.truncate(usize::from(limit));
        let shown = ShownImport {
            import_id: id,
            status: if import.pending > 0 { "PENDING" } else { "DONE" },
            rows: import.row_count,
            pending: import.pending,
            failed: import.failed,
            items: rows.into_iter().map(ShownRow::from).collect(),
            has_more,
        };
        Ok(Answer::ok(&shown)?.into_response())
    }

    fn seal_rows(&self, import: Uuid, rows: &[ReadRow]) -> Result<Vec<NewImportRow>> {
        let seal = |(row_no, read): (i64, &ReadRow)| {
            let (content_sealed, error) = match read {
                Ok(row) => {
                    let plain = Zeroizing::new(serde_json::to_vec(row)?);
                    let name = row_name(import, row_no);
                    let purpose = Purpose::PersonalData;
                    (Some(self.vault.seal(purpose, name.as_bytes(), &plain)?), None)
                }
                Err(error) => (None, Some(*error)),
            };
            Ok(NewImportRow { row_no, content_sealed, error })
        };
        (1..).zip(rows).map(seal).collect()
    }

    /// Carries a row out; an error is one that may pass.
    async fn carry_out_row(&self, pending: &PendingRow) -> Result<()> {
        let name = row_name(pending.import_id, pending.row_no);
        let sealed = &pending.content_sealed;
        let plain = self.vault.unseal(Purpose::PersonalData, name.as_bytes(), sealed).ok();
        let row = plain.and_then(|plain| serde_json::from_slice::<Row>(&plain).ok());
        let mut done =
            ImportedRow { row_no: pending.row_no, state: "DONE".into(), ..ImportedRow::default() };
        let result = match &row {
            Some(row) => self.do_row(pending, row, &mut done).await,
            // It will never open: the others must not wait for it.
            None => {
                done.error =
                    Some(Error::internal("imports", &"a row is damaged").code.title().into());
                Ok(())
            }
        };
        match result {
            Err(error) if error.holds_up_all() => return Err(error),
            Err(error) => {
                done.error = Some(error.code.title().to_owned());
                done.field = error.faults.first().map(|fault| fault.field.to_owned());
            }
            Ok(()) => {}
        }
        if done.error.is_some() {
            done.state = "FAILED".into();
        }
        Ok(self.store.end_row(pending.import_id, &done).await?)
    }

    async fn do_row(&self, pending: &PendingRow, row: &Row, done: &mut ImportedRow) -> Result<()> {
        let customer = match &row.customer_id {
            Some(id) => id.clone(),
            None => {
                let wallet = self.body(row.wallet()?)?;
                let added = self.add_customer(self.call(pending, "user"), wallet).await?;
                member_of(added, "customerId").await?
            }
        };
        done.customer = Some(customer.clone());
        let by = |step| CustomerCall { call: self.call(pending, step), customer: customer.clone() };
        if let Some(currency) = &row.currency {
            let config = self.config_in(pending.partner_id, row, currency).await?;
            let body = serde_json::json!({ "currency": currency, "configId": config });
            let body: Body<NewBalance> = self.body(body)?;
            let opened = self.open_balance(by("balance"), body).await?;
            done.balance = Some(member_of(opened, "balanceId").await?);
        }
        if let Some(config) = &row.config_id {
            let balance = done.balance.as_ref().or(row.balance_id.as_ref());
            let balance = balance.ok_or(Code::BalanceNotFound)?;
            let body = serde_json::json!({ "balanceId": balance, "configId": config });
            let body: Body<NewVirtualCard> = self.body(body)?;
            // The card's data stay here: only its id is taken out of the answer.
            let issued = self.issue_card(by("card"), body).await?;
            done.card = Some(member_of(issued, "id").await?);
        }
        Ok(())
    }

    /// The program that a row's balance is opened for, where that is one in its currency.
    async fn config_in(&self, partner: i64, row: &Row, wanted: &str) -> Result<Option<String>> {
        let Some(config) = &row.config_id else { return Ok(None) };
        let program = self.store.program(partner, config).await?;
        let named = |program: &ProgramRow| currency_of_row(program.currency).to_string() == wanted;
        Ok(program.filter(named).map(|program| program.config_id))
    }

    /// The call of one step of a row: sent again, it gets its first answer.
    fn call(&self, pending: &PendingRow, step: &str) -> Call {
        let partner = PartnerId(u32::try_from(pending.partner_id).unwrap_or_default());
        let client = Client { partner, certificate: [0; 32] };
        Call {
            caller: Caller::Partner(client),
            route: format!("IMPORT {} {}", pending.import_id, pending.row_no),
            exchange: Exchange::default(),
            key: Some(step.to_owned()),
            encrypted_request: false,
            response_key: None,
        }
    }

    fn body<T: serde::de::DeserializeOwned>(&self, value: Value) -> Result<Body<T>> {
        let text = Zeroizing::new(serde_json::to_vec(&value)?);
        let hash = ContentHash(self.vault.fingerprint(&[&text]));
        let content = serde_json::from_value(value).map_err(|_other| {
            Error::fault(Code::InvalidRequest, "row", "has a member that is missing or wrong")
        })?;
        Ok(Body { content, hash })
    }
}

/// Carries rows out until `stop`, those of an earlier run first.
pub(crate) async fn run(app: Arc<App>, stop: CancellationToken) {
    let work = async {
        loop {
            let rows = app.store.pending_rows(BATCH_MAX).await.unwrap_or_default();
            let mut waits = rows.is_empty();
            for row in rows {
                if let Err(error) = app.carry_out_row(&row).await {
                    tracing::warn!(code = error.code.title(), "an import waits");
                    waits = true;
                    break;
                }
            }
            if waits {
                tokio::select! {
                    () = app.imports_wait.notified() => {}
                    () = sleep(PAUSE) => {}
                }
            }
        }
    };
    tokio::select! {
        () = stop.cancelled() => {}
        () = work => {}
    }
}

impl From<ImportedRow> for ShownRow {
    fn from(row: ImportedRow) -> Self {
        Self {
            row: row.row_no,
            status: row.state,
            customer_id: row.customer,
            balance_id: row.balance,
            card_id: row.card,
            code: row.error,
            field: row.field,
        }
    }
}

impl Row {
    /// The body that adds the row's user.
    fn wallet(&self) -> Result<Value> {
        let user = Self {
            customer_id: None,
            balance_id: None,
            currency: None,
            config_id: None,
            ..self.clone()
        };
        Ok(serde_json::to_value(user)?)
    }

    /// What is wrong with it before anything is looked up.
    fn check(self) -> ReadRow {
        let invalid = |field| ("INVALID_REQUEST", field);
        if self.customer_id.is_none() {
            let wallet = self.wallet().ok();
            let wallet = wallet.and_then(|body| serde_json::from_value::<NewWallet>(body).ok());
            let wallet = wallet.ok_or_else(|| invalid("row"))?;
            wallet.check().map_err(|error| {
                (error.code.title(), error.faults.first().map_or("row", |fault| fault.field))
            })?;
        }
        if let Some(code) = &self.currency {
            super::currency(code).map_err(|error| (error.code.title(), "currency"))?;
        }
        if self.config_id.is_some() && self.currency.is_none() && self.balance_id.is_none() {
            return Err(invalid("currency"));
        }
        Ok(self)
    }
}

fn read_file(file: &ImportFile) -> Result<Vec<ReadRow>> {
    let rows: Vec<ReadRow> = if file.is_csv {
        let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(&*file.content);
        let read = |row: core::result::Result<Row, csv::Error>| {
            row.map_err(|_other| ("INVALID_REQUEST", "row")).and_then(Row::check)
        };
        reader.deserialize::<Row>().take(ROWS_MAX + 1).map(read).collect()
    } else {
        let lines = file.content.split(|byte| *byte == b'\n');
        let lines = lines.filter(|line| !line.trim_ascii().is_empty());
        let read = |line: &[u8]| {
            let row = serde_json::from_slice::<Row>(line);
            row.map_err(|_other| ("INVALID_REQUEST", "row")).and_then(Row::check)
        };
        lines.take(ROWS_MAX + 1).map(read).collect()
    };
    if rows.is_empty() || rows.len() > ROWS_MAX {
        let message = "must have 1 to 10,000 rows";
        return Err(Error::fault(Code::InvalidRequest, "file", message));
    }
    Ok(rows)
}

/// What a row is sealed for.
fn row_name(import: Uuid, row_no: i64) -> String {
    format!("import {import} {row_no}")
}

/// A text of an answer of ours; an answer that is none is the error that it says.
async fn member_of(response: Response, member: &str) -> Result<String> {
    let (parts, body) = response.into_parts();
    let bytes = to_bytes(body, ANSWER_BYTES_MAX).await;
    let bytes = Zeroizing::new(bytes.map_err(|error| Error::internal("imports", &error))?.to_vec());
    let value: Value = serde_json::from_slice(&bytes)?;
    let text = |name: &str| value.get(name).and_then(Value::as_str).map(str::to_owned);
    if parts.status.is_success() {
        return text(member).ok_or_else(|| Error::internal("imports", &"an answer has no id"));
    }
    // A refusal that was remembered under the row's key.
    let title = text("title").unwrap_or_default();
    let known = Code::ALL.iter().find(|code| code.title() == title);
    Err(known.copied().unwrap_or(Code::InternalError).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(is_csv: bool, text: &str) -> Vec<Option<(&'static str, &'static str)>> {
        let file = ImportFile { is_csv, content: text.into(), hash: ContentHash([0; 32]) };
        let rows = read_file(&file).unwrap_or_default();
        rows.into_iter().map(|row| row.err()).collect()
    }

    #[test]
    fn each_row_says_what_is_wrong_with_it() {
        let text = "firstName,lastName,phone,email,kyc,customerId,currency,configId\n\
            Ada,Nowak,48123456789,ada@example.com,SUCCESS,,EUR,0019167984\n\
            Ada,Nowak,12ab,ada@example.com,,,,\n\
            ,,,,,100001,EUR,\n\
            ,,,,,100001,,0019167984\n\
            ,,,,,100001,XYZ,\n\
            Ada,,48123456789,ada@example.com,,,,\n\
            Ada,Nowak\n";
        let invalid = |field| Some(("INVALID_REQUEST", field));
        let expected = [
            None,
            invalid("phone"),
            None,
            invalid("currency"),
            Some(("INVALID_CURRENCY", "currency")),
            invalid("row"),
            invalid("row"),
        ];
        assert_eq!(read(true, text), expected);
        let lines = "{\"customerId\":\"1\",\"currency\":\"EUR\"}\n\n{\"role\":\"admin\"}\n{\n";
        assert_eq!(read(false, lines), [None, invalid("row"), invalid("row")]);
        assert_eq!(read(true, "name\nAda\n"), [invalid("row")]);
        assert!(read(true, "").is_empty() && read(false, "\n").is_empty());
    }
}
