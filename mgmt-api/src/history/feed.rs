//! Reads the switch's records behind the history's own cursor, keeps what they did to money, and
//! writes down what partners are told of it.
//!
//! Invariants: a batch of records and the cursor behind it are stored together; what partners are
//! told is written down before, once, and never for records that the history is made of again.

use core::convert::Infallible;
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use shared::journal_record::Record;
use tokio::time::{Duration, Instant};
use uuid::Uuid;

use super::{News, Page, PartnerCall, Unlinked, needs};
use crate::call::Scope;
use crate::event_feed::{FeedError, sequence};
use crate::store::{CursorRow, History, NewNotice, Store, TransactionRow};
use crate::switch_link::Events;
use crate::vault::Vault;
use crate::{callout, metrics, notices};

/// How far partners were told is stored this often, where there was nothing to tell.
const STORE_INTERVAL: Duration = Duration::from_secs(1);

/// The history and where it is told.
pub(crate) struct Keeper {
    store: Store,
    history: History,
    vault: Arc<Vault>,
    /// How far the history is.
    shown: CursorRow,
    /// How far partners were told, in this life of the history or one before.
    told: i64,
}

impl Keeper {
    pub(crate) fn new(store: Store, history: History, vault: Arc<Vault>) -> Self {
        Self { store, history, vault, shown: CursorRow::default(), told: 0 }
    }

    /// Reads and keeps until something fails.
    pub(crate) async fn follow(mut self, socket: &Path) -> Result<Infallible, FeedError> {
        self.shown = self.history.cursor().await?;
        self.told = self.store.notice_cursor().await?;
        let mut events = Events::after(socket, sequence(self.shown.sequence)).await?;
        let mut store_at = Instant::now() + STORE_INTERVAL;
        loop {
            let batch = events.batch(store_at).await?;
            if !batch.is_empty() {
                self.keep(&batch).await?;
            }
            if Instant::now() >= store_at {
                if self.shown.sequence > self.told {
                    self.told = self.shown.sequence;
                    self.store.insert_notices(&[], None, Some(self.told)).await?;
                }
                store_at = Instant::now() + STORE_INTERVAL;
            }
        }
    }

    async fn keep(&mut self, batch: &[Record]) -> Result<(), FeedError> {
        let wanted = self.store.partners_told_of(notices::TRANSACTION).await?;
        let wanted: BTreeSet<i64> = wanted.into_iter().collect();
        let rows = self.history.load(self.shown, needs(batch)).await?;
        let mut page = Page::new(rows.ok_or(FeedError::Overtaken)?, !wanted.is_empty());
        for record in batch {
            page.take(record)?;
        }
        let (news, calls, unlinked) = (page.take_news(), page.take_calls(), page.take_unlinked());
        let balances = page.balances_of(&calls);
        let (changed, next) = page.finish();
        let nothing = news.is_empty() && calls.is_empty() && unlinked.is_empty();
        if !nothing && next.sequence > self.told {
            let mut calls = self.calls(calls, &balances).await?;
            calls.extend(self.unlinks(unlinked).await?);
            self.tell(news, calls, (&wanted, next.sequence)).await?;
        }
        if !self.history.save(&changed, self.shown, next).await? {
            return Err(FeedError::Overtaken);
        }
        self.shown = next;
        metrics::set_history_cursor(next.sequence);
        Ok(())
    }

    /// What partners that keep the money must be told, to be written down.
    async fn calls(
        &self,
        calls: Vec<PartnerCall>,
        balances: &BTreeMap<i64, Uuid>,
    ) -> Result<Vec<NewNotice>, FeedError> {
        let mut found = Vec::with_capacity(calls.len());
        for call in calls.into_iter().filter(|it| it.sequence > self.told) {
            let partner = self.store.partner_of_customer(call.row.customer_id).await?;
            let card = match call.row.card_id {
                Some(id) => self.store.card(Scope::default(), Some(id), None).await?,
                None => None,
            };
            let balance = balances.get(&call.row.balance);
            let of = partner.zip(balance.copied()).ok_or(FeedError::Whose(call.sequence))?;
            found.push(callout::notice_of(&self.vault, &call, of, card.as_ref())?);
        }
        Ok(found)
    }

    /// The same of balances that they keep no more.
    async fn unlinks(&self, unlinked: Vec<Unlinked>) -> Result<Vec<NewNotice>, FeedError> {
        let mut found = Vec::with_capacity(unlinked.len());
        for Unlinked { sequence, at_ms, row } in unlinked {
            let partner = self.store.partner_of_customer(row.customer_id).await?;
            let partner = partner.ok_or(FeedError::Whose(sequence))?;
            let of = (row.customer_id, row.balance_id);
            found.push(callout::unlink(&self.vault, partner, of, (&sequence.to_string(), at_ms))?);
        }
        Ok(found)
    }

    /// Writes down what partners are told of transactions up to a record.
    async fn tell(
        &mut self,
        news: Vec<News>,
        calls: Vec<NewNotice>,
        (wanted, until): (&BTreeSet<i64>, i64),
    ) -> Result<(), FeedError> {
        let (mut found, mut partners) = (calls, BTreeMap::new());
        // What waits for a partner's answer is told when that has come.
        let told = |row: &TransactionRow| row.state != "ASKED";
        let news = news.into_iter().filter(|it| told(&it.row));
        for News { sequence, at_ms, row } in news.filter(|it| it.sequence > self.told) {
            let partner = match partners.entry(row.customer_id) {
                Entry::Occupied(known) => *known.get(),
                Entry::Vacant(new) => {
                    *new.insert(self.store.partner_of_customer(row.customer_id).await?)
                }
            };
            if let Some(partner) = partner.filter(|partner| wanted.contains(partner)) {
                found.push(notices::of_transaction(&self.vault, (partner, sequence, at_ms), &row)?);
            }
        }
        self.store.insert_notices(&found, None, Some(until)).await?;
        self.told = until;
        Ok(())
    }
}
