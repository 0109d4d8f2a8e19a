//! Which addresses peers may connect from.
//!
//! Invariant: pure; an entry that is no network is refused by name, never read as something wider.

use std::net::IpAddr;

/// Networks that may connect; any address, where there is none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AllowList(Vec<Network>);

/// An address and how many of its first bits count. IPv4 stands in IPv6's mapped range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Network {
    address: u128,
    mask: u128,
}

/// An entry that is no network.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{entry:?} is not an address or a network such as 10.0.0.0/8: {fault}")]
pub struct AllowError {
    entry: String,
    fault: &'static str,
}

impl AllowList {
    /// Reads addresses (`192.0.2.7`, `2001:db8::1`) and networks (`10.0.0.0/8`, `2001:db8::/32`).
    ///
    /// # Errors
    /// The first entry that is neither, or has bits set behind its length.
    pub fn parse(entries: &[String]) -> Result<Self, AllowError> {
        let parse = |entry: &String| {
            network(entry).map_err(|fault| AllowError { entry: entry.clone(), fault })
        };
        entries.iter().map(parse).collect::<Result<_, _>>().map(Self)
    }

    /// Whether a peer may connect from there.
    #[must_use]
    pub fn allows(&self, peer: IpAddr) -> bool {
        let peer = bits(peer);
        self.0.is_empty() || self.0.iter().any(|network| peer & network.mask == network.address)
    }
}

fn network(entry: &str) -> Result<Network, &'static str> {
    let (address, length) = match entry.split_once('/') {
        Some((address, length)) => (address, Some(length)),
        None => (entry, None),
    };
    let address: IpAddr = address.parse().or(Err("the address cannot be read"))?;
    let longest: u32 = if address.is_ipv4() { 32 } else { 128 };
    let length = match length {
        None => longest,
        Some(digits) if !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()) => {
            digits.parse().or(Err("the length is too large"))?
        }
        Some(_) => return Err("the length is not a number"),
    };
    if length > longest {
        return Err("the length is too large");
    }
    let mask = u128::MAX.checked_shl(longest - length).unwrap_or(0);
    let address = bits(address);
    if address & !mask != 0 {
        return Err("it has bits behind its length");
    }
    Ok(Network { address, mask })
}

/// An IPv4 address counts as the IPv6 one that maps it: a socket for both shows it so.
fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().to_bits(),
        IpAddr::V6(address) => address.to_bits(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(entries: &[&str]) -> Result<AllowList, AllowError> {
        AllowList::parse(&entries.iter().map(ToString::to_string).collect::<Vec<_>>())
    }

    #[test]
    fn a_peer_is_allowed_by_the_networks_that_hold_it_and_by_an_empty_list() {
        let check = |entries: &[&str], inside: &[&str], outside: &[&str]| {
            let list = list(entries).unwrap();
            for (peers, allowed) in [(inside, true), (outside, false)] {
                for peer in peers {
                    assert_eq!(list.allows(peer.parse().unwrap()), allowed, "{entries:?} {peer}");
                }
            }
        };
        check(&[], &["127.0.0.1", "2001:db8::1"], &[]);
        check(
            &["10.0.0.0/8"],
            &["10.0.0.0", "10.255.255.255", "::ffff:10.1.2.3"],
            &["9.255.255.255", "11.0.0.0", "2001:db8::1", "::10.1.2.3"],
        );
        check(&["192.0.2.7"], &["192.0.2.7"], &["192.0.2.6", "192.0.2.8"]);
        check(
            &["192.0.2.6/31", "2001:db8::/32"],
            &["192.0.2.6", "192.0.2.7", "2001:db8:ffff::1"],
            &["192.0.2.5", "192.0.2.8", "2001:db9::"],
        );
        check(&["0.0.0.0/0"], &["1.2.3.4"], &["2001:db8::1"]);
        check(&["::/0"], &["1.2.3.4", "2001:db8::1"], &[]);
        check(&["::1"], &["::1"], &["::2", "0.0.0.1"]);
    }

    #[test]
    fn an_entry_that_is_no_network_is_refused_by_name() {
        for (entry, fault) in [
            ("", "cannot be read"),
            ("10.0.0", "cannot be read"),
            ("bank.example", "cannot be read"),
            ("/8", "cannot be read"),
            ("10.0.0.0/", "not a number"),
            ("10.0.0.0/+8", "not a number"),
            ("10.0.0.0/8/8", "not a number"),
            ("10.0.0.0/33", "too large"),
            ("::/129", "too large"),
            ("::/99999999999", "too large"),
            ("10.0.0.1/8", "bits behind"),
            ("2001:db8::1/32", "bits behind"),
        ] {
            let said = list(&["10.0.0.0/8", entry]).unwrap_err().to_string();
            assert!(said.contains(&format!("{entry:?}")) && said.contains(fault), "{said}");
        }
    }
}
