//! GET /admin/audit: the audit log, page by page.

use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use shared::ids::Timestamp;
use utoipa::ToSchema;

use super::{App, Asked, page_limit};
use crate::answer::Answer;
use crate::call::Call;
use crate::clock;
use crate::error::Result;
use crate::store::AuditRow;

/// Which part of the log is asked for.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuditPage {
    limit: Option<u8>,
    after: Option<i64>,
}

/// A page of the audit log, oldest first.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct AuditList {
    items: Vec<AuditEntry>,
    has_more: bool,
}

/// What was asked for, or, with a status, what came of it.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct AuditEntry {
    sequence: i64,
    at: String,
    caller: String,
    route: String,
    target: String,
    request_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<i64>,
}

impl App {
    /// A page of the log, for operators who may see everything.
    pub async fn show_audit(&self, by: Call, Asked(page): Asked<AuditPage>) -> Result<Response> {
        by.check_sees_all()?;
        let limit = page_limit(page.limit)?;
        let after = page.after.unwrap_or_default();
        let mut rows = self.store.audit(after, i64::from(limit) + 1).await?;
        let has_more = rows.len() > usize::from(limit);
        rows.truncate(usize::from(limit));
        let items = rows.into_iter().map(AuditEntry::from).collect();
        Ok(Answer::ok(&AuditList { items, has_more })?.into_response())
    }
}

impl From<AuditRow> for AuditEntry {
    fn from(row: AuditRow) -> Self {
        Self {
            sequence: row.sequence,
            at: clock::rfc3339(Timestamp(u64::try_from(row.at_ms).unwrap_or_default())),
            caller: row.caller,
            route: row.route,
            target: row.target,
            request_id: row.request_id,
            reason: row.reason,
            status: row.status,
        }
    }
}
