//! Open holds in the order in which they end by themselves.
//!
//! Holds of one lifetime end in the order in which they began, so each lifetime has a lane of its
//! own, a list through its holds: joining, leaving and finding the next to end take no search.

use std::collections::BTreeMap;

use super::Links;
use super::slab::Slab;
use crate::effect::{Transaction, TransactionSlot};
use crate::ids::Timestamp;

/// Where a hold stands.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Place {
    /// Milliseconds of the lane's lifetime; 0 for no lane.
    lifetime_ms: u64,
    before: Option<TransactionSlot>,
    behind: Option<TransactionSlot>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Lane {
    first: Option<TransactionSlot>,
    last: Option<TransactionSlot>,
}

/// All lanes by lifetime.
#[derive(Clone, Debug, Default)]
pub(super) struct Lanes {
    lanes: BTreeMap<u64, Lane>,
}

impl Lanes {
    /// Appends a hold that began at `now` and ends at `expires_at`, and says where it stands: that
    /// is for the caller to keep in its links.
    #[inline]
    pub(super) fn append(
        &mut self,
        links: &mut Slab<Links>,
        slot: TransactionSlot,
        now: Timestamp,
        expires_at: Timestamp,
    ) -> Place {
        let lifetime_ms = expires_at.0.saturating_sub(now.0);
        if lifetime_ms == 0 {
            return Place::default();
        }
        let lane = self.lanes.entry(lifetime_ms).or_default();
        let before = lane.last.replace(slot);
        match before.and_then(|last| links.get_mut(last)) {
            Some(last) => last.lane.behind = Some(slot),
            None => lane.first = Some(slot),
        }
        Place { lifetime_ms, before, behind: None }
    }

    /// Appends one whose links are there already.
    pub(super) fn join(
        &mut self,
        links: &mut Slab<Links>,
        slot: TransactionSlot,
        now: Timestamp,
        expires_at: Timestamp,
    ) {
        let lane = self.append(links, slot, now, expires_at);
        if let Some(own) = links.get_mut(slot) {
            own.lane = lane;
        }
    }

    /// Takes a hold out of its lane, if it stands in one.
    pub(super) fn leave(&mut self, links: &mut Slab<Links>, slot: TransactionSlot) {
        let Some(own) = links.get_mut(slot) else { return };
        let Place { lifetime_ms, before, behind } = std::mem::take(&mut own.lane);
        let Some(lane) = self.lanes.get_mut(&lifetime_ms) else { return };
        match before.and_then(|before| links.get_mut(before)) {
            Some(before) => before.lane.behind = behind,
            None => lane.first = behind,
        }
        match behind.and_then(|behind| links.get_mut(behind)) {
            Some(behind) => behind.lane.before = before,
            None => lane.last = before,
        }
        if lane.first.is_none() {
            self.lanes.remove(&lifetime_ms);
        }
    }

    /// When the next hold ends.
    pub(super) fn next(&self, rows: &Slab<Transaction>) -> Option<Timestamp> {
        let firsts = self.lanes.values().filter_map(|lane| lane.first);
        firsts.filter_map(|slot| rows.get(slot)).map(|entry| entry.expires_at).min()
    }

    /// Holds that have ended by `now`, lane by lane, oldest first within each.
    pub(super) fn due<'a>(
        &'a self,
        rows: &'a Slab<Transaction>,
        links: &'a Slab<Links>,
        now: Timestamp,
    ) -> impl Iterator<Item = TransactionSlot> + 'a {
        self.lanes.values().flat_map(move |lane| {
            let mut next = lane.first;
            std::iter::from_fn(move || {
                let slot = next?;
                rows.get(slot).filter(|entry| entry.expires_at <= now)?;
                next = links.get(slot)?.lane.behind;
                Some(slot)
            })
        })
    }
}
