//! Requests under way from each address: one address never takes all of what there is.
//!
//! Invariant: whoever entered leaves when its guard is dropped, whatever became of the request.

use std::net::IpAddr;

use dashmap::DashMap;

/// The counts.
#[derive(Default)]
pub(crate) struct InFlight {
    counts: DashMap<IpAddr, usize>,
}

/// One request of an address, as long as it lives.
pub(crate) struct Share<'a> {
    counts: &'a DashMap<IpAddr, usize>,
    address: Option<IpAddr>,
}

impl InFlight {
    /// Counts a request of `address`, if it has fewer than `max` under way.
    pub(crate) fn enter(&self, address: Option<IpAddr>, max: usize) -> Option<Share<'_>> {
        if let Some(address) = address {
            let mut count = self.counts.entry(address).or_default();
            if *count >= max {
                return None;
            }
            *count += 1;
        }
        Some(Share { counts: &self.counts, address })
    }
}

impl Drop for Share<'_> {
    fn drop(&mut self) {
        let Some(address) = self.address else { return };
        if let Some(mut count) = self.counts.get_mut(&address) {
            *count = count.saturating_sub(1);
        }
        self.counts.remove_if(&address, |_address, count| *count == 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_its_share_and_gives_it_back() {
        let (all, one) = (InFlight::default(), Some(IpAddr::from([127, 0, 0, 1])));
        let first = all.enter(one, 2);
        let second = all.enter(one, 2);
        assert!(first.is_some() && second.is_some() && all.enter(one, 2).is_none());
        assert!(all.enter(Some(IpAddr::from([127, 0, 0, 2])), 2).is_some());
        assert!(all.enter(None, 0).is_some());
        drop(first);
        assert!(all.enter(one, 2).is_some());
        drop(second);
        assert!(all.counts.is_empty());
    }
}
