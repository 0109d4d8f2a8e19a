//! Memory is asked for before it is needed, and comes while something else is done.
//!
//! Invariant: a hint to the processor and nothing else; what is decided is the same without it.

use prefetch_index::prefetch_index;

/// Bytes that come at once.
const LINE: usize = 64;

/// Asks for every line of the value at `index`, which may lie in room that is reserved only.
#[inline]
pub(crate) fn ask_for<T>(values: &[T], index: usize) {
    const NOWHERE: &[u8] = &[];
    let first = values.as_ptr().wrapping_add(index).addr();
    for offset in (0..size_of::<T>()).step_by(LINE) {
        let address = first.wrapping_add(offset);
        prefetch_index(NOWHERE, address.wrapping_sub(NOWHERE.as_ptr().addr()));
    }
}
