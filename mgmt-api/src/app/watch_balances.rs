//! Partner balances that run low: PUT and DELETE …/alert, and who is told when. Source: requirements
//! #88.
//!
//! Invariant: one e-mail, and one notice to a partner that wants them, for each time that what is
//! available falls below the level; it is told again only after there was a tenth more than the
//! level.

use core::time::Duration;
use std::sync::Arc;

use axum::response::Response;
use serde::{Deserialize, Serialize};
use shared::control::PartnerBalanceView;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use utoipa::ToSchema;
use uuid::Uuid;

use super::open_partner_balance::CollateralKind;
use super::{App, Body, Nothing, PartnerBalancePath, instant};
use crate::answer::Answer;
use crate::call::Call;
use crate::clock;
use crate::error::{Code, Error, Result};
use crate::mail::is_address;
use crate::notices::{LOW_BALANCE, News};
use crate::store::{MailRow, NewNotice, WatchedBalance};

/// Between two looks.
const PAUSE: Duration = Duration::from_secs(1);
/// There is enough again a tenth above the level.
const ENOUGH_ABOVE: i64 = 10;

/// The level below which somebody is told of a partner balance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LowBalanceAlert {
    /// What is available below this, in minor units, is told.
    level: i64,
    /// Where to by e-mail; the partner's endpoints for `lowBalance` are told in any case.
    #[serde(skip_serializing_if = "Option::is_none")]
    email: Option<String>,
}

/// What a notice says of a balance that runs low. Amounts are in minor units.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct LowBalance {
    partner_balance_id: Uuid,
    kind: CollateralKind,
    currency: String,
    available: i64,
    held: i64,
    level: i64,
    date: String,
}

impl LowBalanceAlert {
    /// What a new balance is given.
    pub(super) fn read(level: Option<i64>, email: Option<String>) -> Result<Option<Self>> {
        match (level, email) {
            (Some(level), email) => Ok(Some(Self { level, email })),
            (None, None) => Ok(None),
            (None, Some(_)) => {
                let message = "is needed where there is an alertEmail";
                Err(Error::fault(Code::InvalidRequest, "alertLevel", message))
            }
        }
    }

    /// What a request says in these members, if it can be done.
    pub(super) fn check(&self, app: &App, members: [&'static str; 2]) -> Result<()> {
        let [of_level, of_email] = members;
        let fault = |field, message| Err(Error::fault(Code::InvalidRequest, field, message));
        if self.level <= 0 {
            return fault(of_level, "must be more than zero");
        }
        let Some(email) = &self.email else { return Ok(()) };
        if app.mailer.is_none() {
            return Err(Code::FeatureNotEnabled.into());
        }
        if !is_address(email) {
            return fault(of_email, "must be an e-mail address");
        }
        Ok(())
    }

    pub(super) fn of(row: WatchedBalance) -> Self {
        Self { level: row.alert_level, email: row.alert_email }
    }

    pub(super) fn parts(&self) -> (i64, Option<&str>) {
        (self.level, self.email.as_deref())
    }
}

impl App {
    /// Sets the level below which somebody is told of a partner balance.
    pub async fn put_alert(
        &self,
        by: Call,
        at: PartnerBalancePath,
        body: Body<LowBalanceAlert>,
    ) -> Result<Response> {
        let alert = body.content;
        let balance = self.partner_balance(&by, &at).await?.id;
        alert.check(self, ["level", "email"])?;
        let carry_out = async |()| {
            self.store.set_alert(balance, Some(alert.parts())).await?;
            Ok(Answer::no_content())
        };
        self.once(&by, body.hash, async || Ok(()), carry_out).await
    }

    /// Lets nobody be told any more.
    pub async fn remove_alert(
        &self,
        by: Call,
        at: PartnerBalancePath,
        Nothing(hash): Nothing,
    ) -> Result<Response> {
        let balance = self.partner_balance(&by, &at).await?.id;
        let carry_out = async |()| {
            self.store.set_alert(balance, None).await?;
            Ok(Answer::no_content())
        };
        self.once(&by, hash, async || Ok(()), carry_out).await
    }

    /// Looks at every balance that has a level.
    async fn watch_balances(&self) -> Result<()> {
        for balance in self.store.watched_balances().await? {
            let view = self.partner_balance_view(balance.id).await?;
            let available = view.ledger.0.saturating_sub(view.held.0);
            let level = balance.alert_level;
            if available < level && balance.alerted == 0 {
                let told = self.store.partners_told_of(LOW_BALANCE).await?;
                let told = told.contains(&balance.partner_id);
                if balance.alert_email.is_none() && !told {
                    // Nobody hears it: as soon as there is an endpoint, it is told there.
                    continue;
                }
                let number = self.store.next_number("mail").await?;
                let mail = mail_about(number, &balance, &view);
                let now = clock::now_millis();
                let notice = || self.low_balance_notice(&balance, &view, (number, now));
                let notice = told.then(notice).transpose()?;
                self.store.alert(&balance, mail.as_ref(), notice.as_slice(), now).await?;
                tracing::warn!(id = %balance.id, "a partner balance runs low");
            } else if balance.alerted != 0
                && available >= level.saturating_add(level / ENOUGH_ABOVE)
            {
                self.store.end_alert(balance.id).await?;
            }
        }
        Ok(())
    }

    /// What the partner is told at its endpoints.
    fn low_balance_notice(
        &self,
        balance: &WatchedBalance,
        view: &PartnerBalanceView,
        (number, at_ms): (i64, i64),
    ) -> Result<NewNotice> {
        let (id, partner) = (balance.id, balance.partner_id);
        let content = serde_json::to_vec(&LowBalance {
            partner_balance_id: id,
            kind: view.kind.into(),
            currency: view.currency.to_string(),
            available: view.ledger.0.saturating_sub(view.held.0),
            held: view.held.0,
            level: balance.alert_level,
            date: instant(at_ms),
        })?;
        let (origin, subject) = (format!("low balance {id} {number}"), format!("low balance {id}"));
        let news = News { origin, partner, kind: LOW_BALANCE, subject, at_ms };
        Ok(news.saying(&self.vault, &content)?)
    }
}

fn mail_about(id: i64, balance: &WatchedBalance, view: &PartnerBalanceView) -> Option<MailRow> {
    let email = balance.alert_email.clone()?;
    let kind = format!("{:?}", view.kind).to_lowercase();
    let currency = view.currency;
    let available = view.ledger.0.saturating_sub(view.held.0);
    let content = format!(
        "The {kind} balance {id} in {currency} runs low.\r\n\r\n\
         Available: {available}\r\nHeld: {held}\r\nLevel: {level}\r\n\r\n\
         Amounts are in minor units. You are told again when there was enough in between.\r\n",
        id = balance.id,
        held = view.held.0,
        level = balance.alert_level,
    );
    let subject = format!("Your {kind} balance in {currency} runs low");
    Some(MailRow { id, email, subject, content, attempts: 0 })
}

/// Watches until `stop`.
pub(crate) async fn run(app: Arc<App>, stop: CancellationToken) {
    let work = async {
        loop {
            if let Err(error) = app.watch_balances().await {
                tracing::warn!(code = error.code.title(), "partner balances were not looked at");
            }
            sleep(PAUSE).await;
        }
    };
    tokio::select! {
        () = stop.cancelled() => {}
        () = work => {}
    }
}
