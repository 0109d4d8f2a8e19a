//! Which card pays how much: a function of the seed, the connection and the message's number, so
//! that nothing of it is stored and every later look at a message finds the same.

/// The largest amount of an ordinary purchase, minor units.
pub const AMOUNT_MAX: u64 = 9_999;
/// More than any card of a run has: what such a message asks for is declined.
pub const AMOUNT_EXCESSIVE: u64 = 999_999_999_999;
/// One message in so many asks for too much.
const EXCESSIVE_ONE_IN: u64 = 64;

/// One message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Purchase {
    /// Index of the card.
    pub card: usize,
    /// Minor units.
    pub amount: u64,
    /// Whether it asks for more than the card has.
    pub excessive: bool,
}

/// The traffic of one run.
#[derive(Clone, Copy, Debug)]
pub struct Traffic {
    /// Any number; the same one gives the same traffic.
    pub seed: u64,
    /// How many cards.
    pub cards: usize,
}

impl Traffic {
    /// Message `number` of a connection.
    #[must_use]
    pub fn purchase(&self, connection: usize, number: u64) -> Purchase {
        let connection = u64::try_from(connection).unwrap_or_default();
        let draw = mixed(mixed(self.seed ^ connection.rotate_left(48)) ^ number);
        let excessive = (draw >> 40).is_multiple_of(EXCESSIVE_ONE_IN);
        let amount =
            if excessive { AMOUNT_EXCESSIVE } else { (draw >> 20 & 0xf_ffff) % AMOUNT_MAX + 1 };
        let cards = u64::try_from(self.cards.max(1)).unwrap_or(u64::MAX);
        let card = usize::try_from(mixed(draw) % cards).unwrap_or_default();
        Purchase { card, amount, excessive }
    }
}

/// The finisher of SplitMix64: every bit of the result depends on every bit of the number.
fn mixed(number: u64) -> u64 {
    let mut bits = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_seed_decides_and_every_card_and_kind_comes_up() {
        let traffic = Traffic { seed: 7, cards: 10 };
        let all: Vec<Purchase> = (0..10_000).map(|n| traffic.purchase(3, n)).collect();
        assert_eq!(all, (0..10_000).map(|n| traffic.purchase(3, n)).collect::<Vec<_>>());
        assert_ne!(traffic.purchase(3, 1), Traffic { seed: 8, ..traffic }.purchase(3, 1));
        for card in 0..10 {
            assert!(all.iter().any(|purchase| purchase.card == card));
        }
        let excessive = all.iter().filter(|purchase| purchase.excessive).count();
        assert!((50..400).contains(&excessive), "{excessive}");
        let fits = |purchase: &Purchase| (1..=AMOUNT_MAX).contains(&purchase.amount);
        assert!(all.iter().all(|purchase| purchase.excessive != fits(purchase)));
    }
}
