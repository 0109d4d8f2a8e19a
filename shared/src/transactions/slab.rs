//! Values by slot, in chunks that never move: growing never copies what is there.

use crate::cache::ask_for;
use crate::effect::TransactionSlot;

/// Values of one chunk.
const CHUNK: usize = 1 << 12;
/// The memory of a new value is asked for so many values before it.
const AHEAD: usize = 4;

/// The values.
#[derive(Clone, Debug)]
pub(super) struct Slab<T> {
    chunks: Vec<Vec<Option<T>>>,
    length: usize,
}

impl<T> Slab<T> {
    pub(super) fn new() -> Self {
        Self { chunks: Vec::new(), length: 0 }
    }

    /// Slots given out so far, vacant ones included.
    pub(super) fn len(&self) -> usize {
        self.length
    }

    #[inline]
    pub(super) fn get(&self, slot: TransactionSlot) -> Option<&T> {
        self.chunks.get(slot.index() / CHUNK)?.get(slot.index() % CHUNK)?.as_ref()
    }

    /// Asks for a value's memory.
    #[inline]
    pub(super) fn foresee(&self, slot: TransactionSlot) {
        if let Some(values) = self.chunks.get(slot.index() / CHUNK) {
            ask_for(values, slot.index() % CHUNK);
        }
    }

    #[inline]
    pub(super) fn get_mut(&mut self, slot: TransactionSlot) -> Option<&mut T> {
        self.place_mut(slot)?.as_mut()
    }

    #[inline]
    fn place_mut(&mut self, slot: TransactionSlot) -> Option<&mut Option<T>> {
        self.chunks.get_mut(slot.index() / CHUNK)?.get_mut(slot.index() % CHUNK)
    }

    /// Puts a value at a vacant slot or at the next new one; false where it is neither. The value
    /// is made in its place.
    #[inline]
    pub(super) fn put(&mut self, slot: TransactionSlot, value: impl FnOnce() -> T) -> bool {
        if slot.index() < self.length {
            let place = self.place_mut(slot).filter(|place| place.is_none());
            return place.map(|place| *place = Some(value())).is_some();
        }
        if slot.index() != self.length {
            return false;
        }
        let chunk = slot.index() / CHUNK;
        if chunk == self.chunks.len() {
            self.chunks.push(Vec::with_capacity(CHUNK));
        }
        let Some(values) = self.chunks.get_mut(chunk) else { return false };
        values.push(Some(value()));
        ask_for(values, values.len() + AHEAD);
        self.length += 1;
        true
    }

    pub(super) fn take(&mut self, slot: TransactionSlot) -> Option<T> {
        self.place_mut(slot)?.take()
    }

    /// Makes room for `count` values more and touches every page of it once.
    pub(super) fn reserve(&mut self, count: usize) {
        let chunks = (self.length + count).div_ceil(CHUNK);
        while self.chunks.len() < chunks {
            let mut values = Vec::with_capacity(CHUNK);
            values.resize_with(CHUNK, || None);
            values.clear();
            self.chunks.push(values);
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (TransactionSlot, &T)> {
        let values = self.chunks.iter().flatten();
        let all = (0..).map(TransactionSlot).zip(values);
        all.filter_map(|(slot, value)| Some((slot, value.as_ref()?)))
    }
}
