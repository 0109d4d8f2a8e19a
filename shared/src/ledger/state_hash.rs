//! One number for the whole state: two ledgers that agree in it agree in every table, slot by slot,
//! and will decide alike for ever.

use serde::Serialize;
use xxhash_rust::xxh3::Xxh3Default;

use super::Ledger;

/// Feeds values to the hash in their journal form, one after another.
struct StateHasher {
    hash: Xxh3Default,
    bytes: Vec<u8>,
}

impl StateHasher {
    fn put<T: Serialize>(&mut self, value: &T) {
        self.bytes.clear();
        postcard::to_io(value, &mut self.bytes).expect("a Vec takes every write");
        self.hash.update(&self.bytes);
    }

    fn put_all<T: Serialize>(&mut self, count: usize, values: impl Iterator<Item = T>) {
        self.put(&count);
        for value in values {
            self.put(&value);
        }
    }
}

impl Ledger {
    /// The hash of everything that a later decision may depend on. Takes time proportional to the
    /// state.
    #[must_use]
    pub fn state_hash(&self) -> u128 {
        let mut hasher = StateHasher { hash: Xxh3Default::new(), bytes: Vec::with_capacity(256) };
        hasher.put(&(self.last.sequence, self.last.at, self.counts));
        hasher.put_all(self.partners.len(), self.partners.rows.iter());
        hasher.put_all(self.programs.len(), self.programs.rows.iter());
        hasher.put_all(self.customers.len(), self.customers.rows.iter());
        hasher.put_all(self.balances.len(), self.balances.rows.iter());
        hasher.put_all(self.partner_balances.len(), self.partner_balances.rows.iter());
        hasher.put_all(self.cards.len(), self.cards.iter());
        let transactions = &self.transactions;
        hasher.put_all(transactions.len(), transactions.all());
        hasher.put_all(transactions.vacant().len(), transactions.vacant().iter());
        for queue in transactions.queues() {
            hasher.put_all(queue.len(), queue);
        }
        hasher.put_all(self.rules.len(), self.rules.rows().iter());
        for (slot, _) in transactions.all() {
            let charges = self.rules.charges(slot);
            if !charges.is_empty() {
                hasher.put_all(charges.len(), charges.iter().map(|charge| (slot, charge)));
            }
        }
        for (slot, _) in transactions.all() {
            let fees = self.fees.of(slot);
            if !fees.is_empty() {
                hasher.put_all(fees.len(), fees.iter().map(|fee| (slot, fee)));
            }
        }
        hasher.put_all(self.fees.all_owed().count(), self.fees.all_owed());
        hasher.put_all(self.asked.len(), self.asked.iter());
        hasher.put_all(self.exceptions.len(), self.exceptions.iter());
        let commands = self.commands_in_order.iter().map(|id| (id, self.commands.get(id)));
        hasher.put_all(self.commands_in_order.len(), commands);
        hasher.put_all(self.books.all().count(), self.books.all());
        hasher.hash.digest128()
    }
}
