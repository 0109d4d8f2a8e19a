//! PUT and GET /admin/programs/{configId}/art/{kind}: art of a program's cards and wallets. Source:
//! requirements #180-#184.
//!
//! Invariant: what is kept was checked: a file that cannot be used is refused with every reason.

use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use super::{App, ArtFile, ArtPath};
use crate::answer::Answer;
use crate::art::{self, Finding, Kind};
use crate::auth::password::off_worker;
use crate::call::Call;
use crate::clock;
use crate::error::{Code, Error, Fault, Result};

/// A file that was taken.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct TakenArt {
    /// What somebody should look at.
    warnings: Vec<Finding>,
    /// What no program can see.
    to_look_at: Vec<&'static str>,
}

impl App {
    /// Checks and keeps a file.
    pub async fn put_art(&self, by: Call, at: ArtPath, file: ArtFile) -> Result<Response> {
        let kind: Kind = at.kind.parse().map_err(|_unknown| Code::ArtNotFound)?;
        let program = self.program_for(&by, &at.program).await?;
        let ArtFile { media_type, content, hash } = file;
        if media_type != kind.media_type() {
            return Err(Code::UnsupportedMediaType.into());
        }
        let look = move || (art::check(kind, &content), content);
        let (found, content) = off_worker(&self.art_looks, look).await?;
        let fatal: Vec<Fault> = found.iter().filter(|one| one.fatal).map(fault).collect();
        if !fatal.is_empty() {
            return Err(Error { code: Code::InvalidArt, faults: fatal });
        }
        let carry_out = async |()| {
            let now = clock::now_millis();
            self.store.put_art(&program, &kind.to_string(), &content, now).await?;
            let to_look_at = kind.to_look_at().to_vec();
            Answer::ok(&TakenArt { warnings: found, to_look_at })
        };
        self.once(&by, hash, async || Ok(()), carry_out).await
    }

    /// A file as it was put.
    pub async fn show_art(&self, by: Call, at: ArtPath) -> Result<Response> {
        let kind: Kind = at.kind.parse().map_err(|_unknown| Code::ArtNotFound)?;
        let program = self.program_for(&by, &at.program).await?;
        let content = self.store.art(&program, &kind.to_string()).await?;
        let content = content.ok_or(Code::ArtNotFound)?;
        Ok(([(CONTENT_TYPE, kind.media_type())], content).into_response())
    }

    /// The id of a program that the caller may see.
    pub(crate) async fn program_for(&self, by: &Call, config: &str) -> Result<String> {
        let program = self.store.program_of_card(config).await?;
        let seen = program.filter(|program| by.caller.scope().admits_partner(program.partner_id));
        Ok(seen.ok_or(Code::ProgramNotFound)?.config_id)
    }
}

/// The text of a finding is ours: sizes at most come from the file.
fn fault(finding: &Finding) -> Fault {
    Fault { field: finding.code.name(), message: finding.message.clone().into() }
}
