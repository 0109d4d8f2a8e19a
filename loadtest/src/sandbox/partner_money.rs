//! The partner's deposits and credit that the sandbox programs stand on. Source: surface 2.
//!
//! Invariant: each is opened once and funded once, however often the sandbox starts: ids are kept in
//! a file, requests carry idempotency keys, and what has money is left alone.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Context;

use super::folder::PARTNER;
use crate::rest::{Funds, Rest};

/// Ids of the partner balances by kind and currency.
const FILE: &str = "partner-balances.json";
/// Kind, currency, minor units. There is none in USD.
const BALANCES: [(&str, &str, i64); 3] = [
    ("DEPOSIT", "EUR", 1_000_000_000_000_000),
    ("CREDIT", "EUR", 1_000_000_000_000_000),
    ("DEPOSIT", "PLN", 10_000),
];

/// Opens and funds what is missing.
pub(super) async fn put_up(rest: &Rest, folder: &Path) -> anyhow::Result<()> {
    let path = folder.join(FILE);
    let mut known: BTreeMap<String, String> = match std::fs::read(&path) {
        Ok(text) => serde_json::from_slice(&text).with_context(|| format!("{}", path.display()))?,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => BTreeMap::new(),
        Err(error) => return Err(error).with_context(|| format!("{}", path.display())),
    };
    for (kind, currency, amount) in BALANCES {
        let name = format!("{kind}-{currency}");
        let id = match known.get(&name) {
            Some(id) => id.clone(),
            None => {
                let id = rest.open_partner_balance(PARTNER, kind, currency).await?;
                known.insert(name.clone(), id.clone());
                std::fs::write(&path, serde_json::to_string_pretty(&known)?)?;
                id
            }
        };
        if rest.partner_funds(&id).await? == (Funds { ledger: 0, held: 0 }) {
            rest.reload(&id, amount, currency, &format!("sandbox-reload-{name}")).await?;
        }
    }
    Ok(())
}
