//! The cards, found by the token of their number.
//!
//! Invariant: a card's balance and program are for ever (requirements #27), so they stand in the
//! index beside its slot: a decision looks up card, balance and program at once, and waits for
//! memory once instead of one after the other.

use std::slice::Iter;

use foldhash::fast::FixedState;

use super::{Card, Map, ProgramSlot};
use crate::cache::ask_for;
use crate::effect::{BalanceSlot, CardSlot};
use crate::pan::PanToken;

/// Where a card and what belongs to it stand.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CardPlace {
    pub(crate) card: CardSlot,
    pub(crate) balance: BalanceSlot,
    pub(crate) program: ProgramSlot,
}

/// All cards in order of issue.
#[derive(Clone, Debug)]
pub(crate) struct Cards {
    rows: Vec<Card>,
    places: Map<PanToken, CardPlace>,
}

impl Cards {
    pub(super) fn new(seed: u64) -> Self {
        Self { rows: Vec::new(), places: Map::with_hasher(FixedState::with_seed(seed)) }
    }

    #[inline]
    pub(super) fn place(&self, token: PanToken) -> Option<CardPlace> {
        self.places.get(&token).copied()
    }

    /// Asks for a card's memory.
    #[inline]
    pub(super) fn foresee(&self, slot: CardSlot) {
        ask_for(&self.rows, slot.index());
    }

    pub(super) fn at(&self, slot: CardSlot) -> Option<&Card> {
        self.rows.get(slot.index())
    }

    pub(super) fn at_mut(&mut self, slot: CardSlot) -> Option<&mut Card> {
        self.rows.get_mut(slot.index())
    }

    /// Appends a card; `None` where its token is taken.
    pub(super) fn push(&mut self, card: Card) -> Option<CardSlot> {
        let slot = CardSlot(u32::try_from(self.rows.len()).ok()?);
        let place = CardPlace { card: slot, balance: card.balance, program: card.program };
        if self.places.contains_key(&card.token) {
            return None;
        }
        self.places.insert(card.token, place);
        self.rows.push(card);
        Some(slot)
    }

    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    pub(super) fn iter(&self) -> Iter<'_, Card> {
        self.rows.iter()
    }
}
