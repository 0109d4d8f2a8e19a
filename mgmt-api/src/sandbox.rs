//! What is known at start: partners of the configured certificates and, in the sandbox profile, the
//! programs a newcomer uses. Source: surface 2.
//!
//! Invariant: telling the switch is repeatable: the command ids are hashes of what is told, save
//! for what configuration alone says, which is told anew at each start.

use core::time::Duration;
use std::sync::Arc;

use anyhow::Context;
use shared::card::CardState;
use shared::command::{Change, Collateral, Counts, OnSilence, Policy};
use shared::ids::{CommandId, ConfigId, PartnerId};
use shared::money::{Amount, Currency};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::app::{App, command_id};
use crate::callout::derived_id;
use crate::config::{Config, Profile};
use crate::error::Error;
use crate::notices::{BALANCE, check_url, endpoint_row_name};
use crate::store::{
    CardKind, EndpointRow, LOCK_SOURCES, NewClient, PartnerUpdate, ProgramRow, Store,
    collateral_name, lock_source_name, silence_name,
};
use crate::vault::{Purpose, Vault};
use crate::{clock, pki, vault};

/// Months that a card is good for.
const MONTHS_VALID: i64 = 36;
/// For the program whose cards are issued expired.
const MONTHS_EXPIRED: i64 = -1;
/// Before the switch is told again after a failure.
const PAUSE: Duration = Duration::from_secs(1);

const EUR: Currency = Currency(978);
const PLN: Currency = Currency(985);
const USD: Currency = Currency(840);

/// One sandbox program.
struct Row {
    config: u64,
    /// No network issues these.
    bin: &'static str,
    currency: Currency,
    collateral: Collateral,
    first_state: CardState,
    months_valid: i64,
    kind: CardKind,
    /// The money of its holders is with the partner.
    entrusted: bool,
}

/// A partner has so long to answer.
const ANSWER_MS: i64 = 2_000;

/// Every rule of a program shows in the sandbox.
const POLICY: Policy = Policy {
    purchase_hold_hours: 7 * 24,
    cash_hold_hours: 3 * 24,
    credit_hold_hours: 30 * 24,
    partial_approval: true,
    instant_credit_max: Amount(100_000),
    pin_tries_max: 3,
};

const PROGRAMS: [Row; 11] = [
    row(19_167_984, "99999984", EUR, Collateral::None),
    row(19_167_985, "99999985", EUR, Collateral::Deposit),
    row(19_167_986, "99999986", EUR, Collateral::Credit),
    Row { entrusted: true, ..row(19_167_987, "99999987", EUR, Collateral::Deposit) },
    Row { kind: CardKind::Physical, ..row(19_167_988, "99999988", EUR, Collateral::None) },
    Row { kind: CardKind::DigitalFirst, ..row(19_167_989, "99999989", EUR, Collateral::None) },
    row(19_167_990, "99999990", PLN, Collateral::None),
    Row { first_state: CardState::Linked, ..row(19_167_991, "99999991", EUR, Collateral::None) },
    Row { months_valid: MONTHS_EXPIRED, ..row(19_167_992, "99999992", EUR, Collateral::None) },
    row(19_167_993, "99999993", USD, Collateral::Deposit),
    row(19_167_994, "99999994", PLN, Collateral::Deposit),
];

const fn row(config: u64, bin: &'static str, currency: Currency, collateral: Collateral) -> Row {
    let (first_state, months_valid) = (CardState::Active, MONTHS_VALID);
    let (kind, entrusted) = (CardKind::Virtual, false);
    Row { config, bin, currency, collateral, first_state, months_valid, kind, entrusted }
}

impl Row {
    fn program(&self, partner: i64) -> ProgramRow {
        ProgramRow {
            config_id: ConfigId(self.config).to_string(),
            partner_id: partner,
            currency: i64::from(self.currency.0),
            bin: self.bin.to_owned(),
            first_state: self.first_state.name().to_owned(),
            months_valid: self.months_valid,
            card_kind: self.kind.name().to_owned(),
            auto_balance: 0,
            collateral: collateral_name(self.collateral).to_owned(),
            purchase_hold_hours: i64::from(POLICY.purchase_hold_hours),
            cash_hold_hours: i64::from(POLICY.cash_hold_hours),
            credit_hold_hours: i64::from(POLICY.credit_hold_hours),
            partial_approval: i64::from(POLICY.partial_approval),
            instant_credit_max: POLICY.instant_credit_max.0,
            wrong_entries_max: i64::from(POLICY.pin_tries_max),
            iban_prefix: None,
            answer_ms: self.entrusted.then_some(ANSWER_MS),
            on_silence: self.entrusted.then(|| silence_name(OnSilence::Decline).to_owned()),
            cardholder_lifts: LOCK_SOURCES.map(lock_source_name).join(","),
            network_verifies: 0,
            own_bin: 0,
            application_id: None,
            processor: None,
        }
    }
}

/// Writes partners, certificates and programs into SQL.
pub async fn seed(config: &Config, store: &Store, vault: &Vault) -> anyhow::Result<()> {
    let home = i64::from(config.issuer_partner);
    store.put_partner(home, Some(&config.issuer_code)).await?;
    let mut clients = Vec::with_capacity(config.clients.len());
    for client in &config.clients {
        let partner = i64::from(client.partner);
        store.put_partner(partner, None).await?;
        let key = client.response_key.as_deref().map(response_key_sha256).transpose()?;
        let path = &client.certificate;
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("certificate {}", path.display()))?;
        let leaf = pki::leaf(&text).with_context(|| format!("certificate {}", path.display()))?;
        clients.push(NewClient {
            spki_sha256: leaf.spki_sha256,
            name: leaf.name,
            serial: leaf.serial,
            not_after_ms: leaf.not_after_ms,
            partner,
            response_key_sha256: key,
            networks: client.networks_text(),
        });
    }
    store.set_clients(&clients, clock::now_millis()).await?;
    for row in programs(config) {
        store.put_program(&row.program(home)).await?;
    }
    if programs(config).iter().any(|row| row.entrusted) {
        let licensed = PartnerUpdate { licensed: Some(1), ..PartnerUpdate::default() };
        store.update_partner(home, &licensed).await?;
    }
    if let Some(url) = config.sandbox_partner.as_deref() {
        put_partner_endpoint(store, vault, home, url).await?;
    }
    Ok(())
}

/// Where the simulated partner keeps its holders' money; none where the partner says itself.
async fn put_partner_endpoint(
    store: &Store,
    vault: &Vault,
    partner: i64,
    url: &str,
) -> anyhow::Result<()> {
    check_url(url, false).map_err(|_fault| anyhow::anyhow!("sandbox_partner: no address"))?;
    let id = derived_id("sandbox partner");
    let known = store.endpoint_for(partner, BALANCE).await?;
    match known {
        Some(known) if known.id != id || known.url == url => return Ok(()),
        Some(known) => {
            store.update_endpoint(&EndpointRow { url: url.to_owned(), ..known }).await?;
            return Ok(());
        }
        None => {}
    }
    let mut key = [0; 32];
    vault::draw(&mut key).context("sandbox_partner")?;
    let row_name = endpoint_row_name(id);
    let row = EndpointRow {
        id,
        partner_id: partner,
        url: url.to_owned(),
        kinds: format!(",{BALANCE},"),
        state: "ACTIVE".to_owned(),
        key_sealed: vault.seal(Purpose::PersonalData, row_name.as_bytes(), &key)?,
        key_before_sealed: None,
        encrypts: 0,
        client_key_sealed: None,
        client_certificate: None,
        next_key_sealed: None,
    };
    Ok(store.insert_endpoint(&row, clock::now_millis()).await?)
}

/// Tells the switch of partners and programs, until it has all of them or `stop`.
pub async fn announce(app: Arc<App>, stop: CancellationToken) {
    let work = async {
        loop {
            match tell_all(&app).await {
                Ok(()) => break,
                Err(error) => {
                    tracing::warn!(code = error.code.title(), "the switch is not told yet");
                }
            }
            sleep(PAUSE).await;
        }
        app.set_announced();
        tracing::info!("the switch knows every partner and program");
    };
    tokio::select! {
        () = stop.cancelled() => {}
        () = work => {}
    }
}

/// Keeps this clock where the switch's is, which may run ahead in the sandbox profile: asked each
/// time the link comes up.
pub async fn follow_clock(app: Arc<App>, stop: CancellationToken) {
    if app.config.profile != Profile::Sandbox {
        return;
    }
    let follow = async {
        loop {
            match app.follow_clock().await {
                Ok(()) if app.link.until_down().await.is_ok() => {}
                Ok(()) => return,
                Err(error) => {
                    tracing::warn!(code = error.code.title(), "the switch's clock is not known");
                    sleep(PAUSE).await;
                }
            }
        }
    };
    tokio::select! {
        () = stop.cancelled() => {}
        () = follow => {}
    }
}

async fn tell_all(app: &App) -> Result<(), Error> {
    app.link.until_up().await?;
    let limits = &app.config.limits;
    let counts = Change::PutCounts(Counts {
        balances_max: limits.balances_per_customer_max,
        cards_max: limits.cards_per_balance_max,
    });
    // Under an id of its own: what is set back to what it was is told anew.
    app.link.change(command_id(Uuid::now_v7()), counts).await?.result?;
    for partner in app.store.partners().await? {
        let partner = PartnerId(u32::try_from(partner.id).unwrap_or_default());
        tell(app, Change::PutPartner(partner)).await?;
    }
    for row in app.store.programs(None).await? {
        let program = row.shared().ok_or_else(|| {
            Error::internal("programs", &format!("{} is not a program", row.config_id))
        })?;
        let id = program.id;
        tell(app, Change::PutProgram(program)).await?;
        if let Some(custody) = row.custody() {
            tell(app, Change::PutCustody(id, custody)).await?;
        }
    }
    Ok(())
}

async fn tell(app: &App, change: Change) -> Result<(), Error> {
    let outcome = app.link.change(content_id(&change), change).await?;
    Ok(outcome.result?)
}

/// The command id of a change that is told at every start.
fn content_id(change: &Change) -> CommandId {
    let bytes = postcard::to_allocvec(change).unwrap_or_default();
    let hash = pki::sha256(&[b"pointsman announce v1 ".as_slice(), &bytes].concat());
    let (first, _rest) = hash.split_first_chunk().unwrap_or((&[0; 16], &[]));
    CommandId(u128::from_be_bytes(*first))
}

fn programs(config: &Config) -> &'static [Row] {
    match config.profile {
        Profile::Sandbox => &PROGRAMS,
        Profile::Strict => &[],
    }
}

fn response_key_sha256(path: &std::path::Path) -> anyhow::Result<[u8; 32]> {
    let (_rest, pem) = x509_parser::pem::parse_x509_pem(&std::fs::read(path)?)?;
    anyhow::ensure!(pem.label == "PUBLIC KEY", "{}: expected PUBLIC KEY", path.display());
    Ok(pki::sha256(&pem.contents))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_sandbox_bin_is_one_that_no_network_issues() {
        for row in &PROGRAMS {
            assert!(row.bin.starts_with("999999") && row.bin.len() == 8, "{}", row.bin);
            assert!(ConfigId(row.config).to_string().ends_with(&row.bin[6..]));
        }
    }

    #[test]
    fn a_command_id_depends_on_what_is_told() {
        let (one, two) = (Change::PutPartner(PartnerId(1)), Change::PutPartner(PartnerId(2)));
        assert_eq!(content_id(&one), content_id(&one.clone()));
        assert_ne!(content_id(&one), content_id(&two));
    }
}
