//! A table that forgets what came first when it is full.
//!
//! Invariant: never more than `max` entries; replacing an entry does not make it younger.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;

/// Entries by key, and the order in which they came.
#[derive(Debug)]
pub(super) struct Recent<K, V> {
    max: usize,
    values: HashMap<K, V>,
    order: VecDeque<K>,
}

impl<K: Clone + Eq + Hash, V> Recent<K, V> {
    /// An empty table for so many entries.
    pub(super) fn new(max: usize) -> Self {
        Self { max, values: HashMap::new(), order: VecDeque::new() }
    }

    /// The entry of this key.
    pub(super) fn get(&self, key: &K) -> Option<&V> {
        self.values.get(key)
    }

    /// Adds or replaces; gives the entry that is forgotten for it.
    pub(super) fn put(&mut self, key: K, value: V) -> Option<(K, V)> {
        if self.values.insert(key.clone(), value).is_some() {
            return None;
        }
        self.order.push_back(key);
        if self.order.len() <= self.max {
            return None;
        }
        let oldest = self.order.pop_front()?;
        let value = self.values.remove(&oldest)?;
        Some((oldest, value))
    }

    /// All entries, the oldest first.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.order.iter().filter_map(|key| self.values.get_key_value(key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_is_forgotten_and_what_is_replaced_keeps_its_place() {
        let mut table = Recent::new(2);
        assert_eq!(table.put("a", 1), None);
        assert_eq!(table.put("b", 2), None);
        assert_eq!(table.put("a", 3), None);
        assert_eq!(table.put("c", 4), Some(("a", 3)));
        assert_eq!(table.iter().collect::<Vec<_>>(), [(&"b", &2), (&"c", &4)]);
        assert_eq!(table.get(&"a"), None);
    }
}
