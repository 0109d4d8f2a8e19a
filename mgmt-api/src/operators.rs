//! Operators as the command line adds them and keeps them out.
//!
//! Invariants: a password is checked for length and hashed; it is never a command-line argument;
//! each change is in the audit log before it is made.

use anyhow::Context;

use crate::audit::Entry;
use crate::auth::password;
use crate::auth::role::Roles;
use crate::config::Config;
use crate::store::{NewOperator, Store};
use crate::{audit, clock};

/// Characters of a password. Source: NIST SP 800-63B-4, passwords used alone.
const PASSWORD_CHARS: core::ops::RangeInclusive<usize> = 15..=128;
/// Characters of a name.
const NAME_CHARS: core::ops::RangeInclusive<usize> = 1..=64;

/// An operator to be added.
pub struct Wish<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its password.
    pub password: &'a str,
    /// What it is for.
    pub roles: Roles,
    /// Number or issuer code of the one partner whose things it may see.
    pub partner: Option<&'a str>,
}

/// Adds an operator, or replaces the one of its name.
pub async fn add(config: &Config, wish: &Wish<'_>) -> anyhow::Result<()> {
    let length = wish.password.chars().count();
    anyhow::ensure!(PASSWORD_CHARS.contains(&length), "a password has 15 to 128 characters");
    let plain = |char: char| char.is_ascii_alphanumeric() || matches!(char, '.' | '-' | '_' | '@');
    anyhow::ensure!(
        NAME_CHARS.contains(&wish.name.len()) && wish.name.chars().all(plain),
        "a name has 1 to 64 letters, digits, '.', '-', '_' or '@'"
    );
    let store = Store::open(&config.database).await.context("database")?;
    let partner = match wish.partner {
        Some(name) => {
            let id = store.partner_named(name).await.context("database")?;
            Some(id.with_context(|| format!("there is no partner {name}"))?)
        }
        None => None,
    };
    let hash = password::hash(wish.password)
        .map_err(|_logged| anyhow::anyhow!("the password does not hash"))?;
    let new = NewOperator {
        name: wish.name,
        password_hash: &hash,
        roles: &wish.roles.to_string(),
        partner,
        created_at_ms: clock::now_millis(),
    };
    let (roles, seen) = (new.roles, wish.partner.unwrap_or("all"));
    let target = format!("operator {}: roles {roles}, partners {seen}", wish.name);
    let entry = Entry::at_the_command_line("user add", &target);
    audit::write_one(config, &store, entry).await?;
    store.put_operator(&new).await.context("database")?;
    store.close().await;
    Ok(())
}

/// Keeps an operator out; its sessions end.
pub async fn disable(config: &Config, name: &str) -> anyhow::Result<()> {
    let store = Store::open(&config.database).await.context("database")?;
    let entry = Entry::at_the_command_line("user disable", &format!("operator {name}"));
    audit::write_one(config, &store, entry).await?;
    let known = store.disable_operator(name).await.context("database")?;
    store.close().await;
    anyhow::ensure!(known, "there is no operator {name}");
    Ok(())
}
