//! The exchange with the bureau that makes plastic: batches of orders out, reports in. Source:
//! requirements #108-#110.
//!
//! Invariants: a batch leaves as one JWE to the bureau's key, which no operator can read; a report
//! counts as a whole or not at all until its total and its checksum fit; a line is applied once,
//! however often it comes.

use axum::response::Response;
use serde::{Deserialize, Serialize};
use shared::card::CardState;
use shared::command::Change;
use shared::control::Refusal;
use utoipa::ToSchema;
use uuid::Uuid;
use zeroize::Zeroizing;

use super::certificates::hex;
use super::order_card::{Delivery, order_row_name};
use super::tell_of_card::CardEvent;
use super::{App, Nothing, Report, card_id, command_id};
use crate::answer::Answer;
use crate::call::Call;
use crate::error::{Code, Error, Result};
use crate::store::{OrderNews, OrderRow};
use crate::vault::Purpose;
use crate::{clock, pki};

/// The state of an order whose plastic was made.
const MADE: &str = "PERSONALISED";
/// Orders of one batch.
const BATCH_MAX: i64 = 200;
/// Lines of one report.
const REPORT_LINES_MAX: usize = 10_000;
/// Characters of a tracking number or reference.
const TEXT_CHARS_MAX: usize = 64;

#[derive(Serialize, Deserialize)]
struct Plan {
    id: Uuid,
}

/// A batch of orders, encrypted to the bureau.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct BureauBatch {
    batch_id: Uuid,
    orders: usize,
    /// A compact JWE of JSON lines: orderId, kind, pan, expDate, cvc2, cardholderName,
    /// deliveryAddress, courier; absent where there is no order.
    #[serde(skip_serializing_if = "Option::is_none")]
    payload: Option<String>,
}

/// One line of a batch.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Line<'a> {
    order_id: Uuid,
    kind: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pan: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    exp_date: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cvc2: Option<&'a str>,
    #[serde(flatten)]
    delivery: Delivery,
}

/// Whether a card is linked.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Link {
    /// From now on.
    Now,
    /// It was before.
    Before,
    /// It is no more.
    Gone,
}

/// What became of a report.
#[derive(Serialize, ToSchema)]
pub struct ReportResult {
    /// Cards that can be activated from now on.
    linked: usize,
    /// Lines that were applied, these included.
    applied: usize,
    failed: Vec<FailedLine>,
}

/// A line that was not applied.
#[derive(Serialize, ToSchema)]
pub(crate) struct FailedLine {
    line: usize,
    code: &'static str,
}

impl App {
    /// Gives the oldest orders to the bureau, as a file that only it can read.
    pub async fn make_bureau_batch(&self, by: Call, Nothing(hash): Nothing) -> Result<Response> {
        by.check_sees_all()?;
        let key = self.bureau_key.as_ref().ok_or(Code::FeatureNotEnabled)?;
        let draw = || async { Ok(Plan { id: Uuid::now_v7() }) };
        let carry_out = async |plan: Plan| {
            let rows = self.store.orders_of_batch(plan.id, BATCH_MAX, clock::now_millis()).await?;
            let mut lines = Zeroizing::new(Vec::new());
            for row in &rows {
                self.put_line(row, &mut lines).await?;
            }
            let payload = match rows.is_empty() {
                true => None,
                false => Some(self.jwe.seal(key, lines).await?),
            };
            Answer::created(&BureauBatch { batch_id: plan.id, orders: rows.len(), payload })
        };
        self.once(&by, hash, draw, carry_out).await
    }

    async fn put_line(&self, row: &OrderRow, lines: &mut Vec<u8>) -> Result<()> {
        let name = order_row_name(row.id);
        let delivery =
            self.vault.unseal(Purpose::PersonalData, name.as_bytes(), &row.delivery_sealed)?;
        let delivery: Delivery = serde_json::from_slice(&delivery)?;
        // The copy of a digital first card is blank: its data are not the bureau's.
        if row.kind == "PRINT" {
            let (pan, exp_date, cvc2) = (None, None, None);
            let line = Line { order_id: row.id, kind: &row.kind, pan, exp_date, cvc2, delivery };
            serde_json::to_writer(&mut *lines, &line)?;
        } else {
            let (pan, view) =
                (self.card_number(row.card_id).await?, self.card_view(row.card_id).await?);
            let cvc2 = self.vault.cvc2(&pan, view.expiry, view.cvv2_generation)?;
            let digits = Zeroizing::new(String::from_utf8_lossy(pan.expose()).into_owned());
            let line = Line {
                order_id: row.id,
                kind: &row.kind,
                pan: Some(&digits),
                exp_date: Some(view.expiry.to_string()),
                cvc2: Some(&cvc2),
                delivery,
            };
            serde_json::to_writer(&mut *lines, &line)?;
        }
        lines.push(b'\n');
        Ok(())
    }

    /// Takes a bureau's report: cards that were personalised become linked.
    pub async fn take_report(&self, by: Call, report: Report) -> Result<Response> {
        let news = read_report(&report.text)?;
        let draw = || async { Ok(Plan { id: Uuid::now_v7() }) };
        let carry_out = async |_plan: Plan| {
            let mut result = ReportResult { linked: 0, applied: 0, failed: Vec::new() };
            for (place, news) in news.iter().enumerate() {
                match self.apply_news(&by, news).await {
                    Ok(linked) => {
                        result.applied += 1;
                        result.linked += usize::from(linked);
                    }
                    Err(error) if error.holds_up_all() => return Err(error),
                    Err(error) => {
                        result
                            .failed
                            .push(FailedLine { line: place + 1, code: error.code.title() });
                    }
                }
            }
            Answer::accepted(&result)
        };
        self.once(&by, report.hash, draw, carry_out).await
    }

    /// Whether a card was linked by it.
    pub(super) async fn apply_news(&self, by: &Call, news: &OrderNews) -> Result<bool> {
        let row = self.store.order(by.caller.scope(), news.id).await?.ok_or(Code::OrderNotFound)?;
        if rank(news.state) < rank(&row.state) || row.state == "FAILED" && news.state != "FAILED" {
            return Err(Code::ConcurrentChange.into());
        }
        let mut linked = false;
        if row.kind == "PHYSICAL" && matches!(news.state, "PERSONALISED" | "SHIPPED" | "DELIVERED")
        {
            let link = self.link_card(news.id, row.card_id).await?;
            linked = link == Link::Now;
            if link != Link::Gone && rank(&row.state) < rank(MADE) {
                let event = CardEvent::Linked { order: row.id, card: row.card_id };
                self.tell(&row, event).await?;
            }
        }
        if row.kind == "PHYSICAL" && news.state == "FAILED" && row.state != "FAILED" {
            self.tell(&row, CardEvent::NotMade { order: row.id, card: row.card_id }).await?;
        }
        self.store.advance_order(news, clock::now_millis()).await?;
        Ok(linked)
    }

    /// Tells the partner what became of the card of an order.
    async fn tell(&self, order: &OrderRow, event: CardEvent<'_>) -> Result<()> {
        let Some((customer, balance)) = self.store.holder_of_card(order.card_id).await? else {
            return Ok(());
        };
        let notice = self.card_notice(event, customer, Some(balance)).await?;
        Ok(self.store.insert_notices(notice.as_slice(), None, None).await?)
    }

    /// Links an ordered card under a command of its order.
    async fn link_card(&self, order: Uuid, card: i64) -> Result<Link> {
        match self.card_view(card).await?.state {
            CardState::Ordered => {}
            CardState::Linked | CardState::Active => return Ok(Link::Before),
            CardState::Expired | CardState::Removed => return Ok(Link::Gone),
        }
        let change = Change::SetCardState { card: card_id(card), state: CardState::Linked };
        match self.link.change(command_id(order), change).await?.result {
            Ok(()) => Ok(Link::Now),
            // Removed in the meantime: what came is of no use to anybody.
            Err(Refusal::CardStateForbidden { .. }) => Err(Code::CardStateForbidden.into()),
            Err(refusal) => Err(refusal.into()),
        }
    }
}

/// How far an order is; reports never move it back.
fn rank(state: &str) -> u8 {
    match state {
        "ORDERED" => 0,
        "SENT_TO_BUREAU" => 1,
        MADE => 2,
        "SHIPPED" => 3,
        _ => 4,
    }
}

/// Reads `orderId,result,trackingNo,reference` lines and the closing `TOTAL,count,SHA-256 of the
/// bytes before it`.
fn read_report(text: &[u8]) -> Result<Vec<OrderNews>> {
    let invalid = |message| Error::fault(Code::InvalidReport, "report", message);
    let text = core::str::from_utf8(text).map_err(|_other| invalid("must be UTF-8"))?;
    let body_end = text.trim_end().rfind('\n').map_or(0, |place| place + 1);
    let (body, total) = text.split_at(body_end);
    let checksum = pki::sha256(body.as_bytes());
    let lines: Vec<&str> = body.lines().filter(|line| !line.trim().is_empty()).collect();
    let expected = format!("TOTAL,{},{}", lines.len(), hex(&checksum));
    if total.trim() != expected {
        return Err(invalid("must end with TOTAL, the number of lines and their SHA-256"));
    }
    if lines.len() > REPORT_LINES_MAX {
        return Err(invalid("must have 10,000 lines at most"));
    }
    lines
        .into_iter()
        .map(|line| {
            read_line(line).ok_or_else(|| {
                invalid("has a line that is not orderId,result,trackingNo,reference")
            })
        })
        .collect()
}

fn read_line(line: &str) -> Option<OrderNews> {
    let parts: Vec<&str> = line.trim_end_matches('\r').split(',').collect();
    let [id, state, tracking_no, reference] = *parts.as_slice() else { return None };
    let state = ["PERSONALISED", "SHIPPED", "DELIVERED", "FAILED"]
        .into_iter()
        .find(|known| *known == state)?;
    let text = |text: &str| {
        let fits = text.chars().count() <= TEXT_CHARS_MAX && !text.chars().any(char::is_control);
        fits.then(|| Some(text.to_owned()).filter(|text| !text.is_empty()))
    };
    Some(OrderNews {
        id: Uuid::parse_str(id).ok()?,
        state,
        tracking_no: text(tracking_no)?,
        reference: text(reference)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "019a0000-0000-7000-8000-000000000004";

    fn closed(body: &str) -> Vec<u8> {
        let count = body.lines().count();
        format!("{body}TOTAL,{count},{}\n", hex(&pki::sha256(body.as_bytes()))).into_bytes()
    }

    #[test]
    fn a_report_is_read_line_by_line() {
        let body = format!("{ID},PERSONALISED,TR1,R1\n{ID},FAILED,,\n");
        let news = read_report(&closed(&body)).unwrap();
        let of = |state, tracking: Option<&str>, reference: Option<&str>| OrderNews {
            id: Uuid::parse_str(ID).unwrap(),
            state,
            tracking_no: tracking.map(str::to_owned),
            reference: reference.map(str::to_owned),
        };
        assert_eq!(news, [of("PERSONALISED", Some("TR1"), Some("R1")), of("FAILED", None, None)]);
        assert_eq!(read_report(&closed("")).unwrap(), []);
    }

    #[test]
    fn what_does_not_add_up_is_refused_whole() {
        let good = closed(&format!("{ID},SHIPPED,,\n"));
        for place in 0..good.len() - 1 {
            let mut changed = good.clone();
            changed[place] ^= 1;
            assert!(read_report(&changed).is_err(), "byte {place}");
            assert!(read_report(&good[..place]).is_err(), "{place} bytes");
        }
        for bad in [
            format!("{ID},LOST,,\n"),
            format!("{ID},SHIPPED,\n"),
            "x,SHIPPED,,\n".to_owned(),
            format!("{ID},SHIPPED,{},\n", "9".repeat(65)),
        ] {
            assert!(read_report(&closed(&bad)).is_err(), "{bad}");
        }
    }
}
