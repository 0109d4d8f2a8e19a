//! Rows by slot, in chunks that never move: growing never copies what is there.

use super::Row;
use crate::effect::TransactionSlot;

/// Rows of one chunk.
const CHUNK: usize = 1 << 12;

/// The rows.
#[derive(Clone, Debug, Default)]
pub(super) struct Slab {
    chunks: Vec<Vec<Option<Row>>>,
    length: usize,
}

impl Slab {
    /// Slots given out so far, vacant ones included.
    pub(super) fn len(&self) -> usize {
        self.length
    }

    #[inline]
    pub(super) fn get(&self, slot: TransactionSlot) -> Option<&Row> {
        self.chunks.get(slot.index() / CHUNK)?.get(slot.index() % CHUNK)?.as_ref()
    }

    #[inline]
    pub(super) fn get_mut(&mut self, slot: TransactionSlot) -> Option<&mut Row> {
        self.place_mut(slot)?.as_mut()
    }

    #[inline]
    fn place_mut(&mut self, slot: TransactionSlot) -> Option<&mut Option<Row>> {
        self.chunks.get_mut(slot.index() / CHUNK)?.get_mut(slot.index() % CHUNK)
    }

    /// Puts a row at a vacant slot or at the next new one; false where it is neither. The row is
    /// made in its place.
    #[inline]
    pub(super) fn put(&mut self, slot: TransactionSlot, row: impl FnOnce() -> Row) -> bool {
        if slot.index() < self.length {
            let place = self.place_mut(slot).filter(|place| place.is_none());
            return place.map(|place| *place = Some(row())).is_some();
        }
        if slot.index() != self.length {
            return false;
        }
        let chunk = slot.index() / CHUNK;
        if chunk == self.chunks.len() {
            self.chunks.push(Vec::with_capacity(CHUNK));
        }
        let Some(rows) = self.chunks.get_mut(chunk) else { return false };
        rows.push(Some(row()));
        self.length += 1;
        true
    }

    pub(super) fn take(&mut self, slot: TransactionSlot) -> Option<Row> {
        self.place_mut(slot)?.take()
    }

    /// Makes room for `count` rows more and touches every page of it once.
    pub(super) fn reserve(&mut self, count: usize) {
        let chunks = (self.length + count).div_ceil(CHUNK);
        while self.chunks.len() < chunks {
            let mut rows = Vec::with_capacity(CHUNK);
            rows.resize_with(CHUNK, || None);
            rows.clear();
            self.chunks.push(rows);
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (TransactionSlot, &Row)> {
        let rows = self.chunks.iter().flatten();
        (0..).map(TransactionSlot).zip(rows).filter_map(|(slot, row)| Some((slot, row.as_ref()?)))
    }
}
