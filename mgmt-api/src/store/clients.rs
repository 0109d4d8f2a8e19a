//! Partners and the certificates they connect with.

use std::net::IpAddr;

use ipnet::IpNet;

use super::{Result, Store, is_taken, on};

/// A certificate to be let in.
pub struct NewClient {
    /// SHA-256 of its public key info.
    pub spki_sha256: [u8; 32],
    /// Whose it is.
    pub partner: i64,
    /// SHA-256 of the key that answers to it are encrypted to, where it is known already.
    pub response_key_sha256: Option<[u8; 32]>,
    /// Networks that it may connect from, separated by commas; any where there is none.
    pub networks: String,
    /// Its common name.
    pub name: String,
    /// Its serial number, hexadecimal.
    pub serial: String,
    /// Its end.
    pub not_after_ms: i64,
}

/// A certificate that may connect.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct ClientRow {
    /// Whose it is.
    pub partner_id: i64,
    /// The key that answers to it are encrypted to, where one is registered.
    pub response_key_sha256: Option<Vec<u8>>,
    /// Networks that it may connect from, separated by commas; any where there is none.
    pub networks: String,
    /// Its partner's name in requests.
    pub issuer_code: Option<String>,
}

impl ClientRow {
    /// Whether it may connect from `address`. Source: requirements #49.
    #[must_use]
    pub fn admits(&self, address: Option<IpAddr>) -> bool {
        let admits = |network: &str| {
            let network = network.parse::<IpNet>().ok();
            network.zip(address).is_some_and(|(network, address)| network.contains(&address))
        };
        self.networks.is_empty() || self.networks.split(',').any(admits)
    }
}

/// A certificate that was signed here.
pub struct IssuedCertificate {
    /// SHA-256 of its public key info.
    pub spki_sha256: [u8; 32],
    /// Whose it is.
    pub partner: i64,
    /// Its common name.
    pub name: String,
    /// Who looks after it.
    pub email: Option<String>,
    /// Its serial number, hexadecimal.
    pub serial: String,
    /// Its end.
    pub not_after_ms: i64,
    /// Networks that it may connect from, separated by commas.
    pub networks: String,
    /// Now.
    pub created_at_ms: i64,
}

/// A partner.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct PartnerRow {
    /// Its number.
    pub id: i64,
    /// Its name in requests.
    pub issuer_code: Option<String>,
    /// `MANUAL`, `AUTOMATIC` or `EXTERNAL`.
    pub kyc_mode: String,
    /// What people call it.
    pub name: String,
    /// 1 where it may keep its holders' money.
    pub licensed: i64,
}

/// What is put of a partner; what is absent stays.
#[derive(Clone, Copy, Debug, Default)]
pub struct PartnerUpdate<'a> {
    /// Its name in requests, given once.
    pub issuer_code: Option<&'a str>,
    /// `MANUAL`, `AUTOMATIC` or `EXTERNAL`.
    pub kyc_mode: Option<&'a str>,
    /// What people call it.
    pub name: Option<&'a str>,
    /// 1 where it may keep its holders' money.
    pub licensed: Option<i64>,
}

/// A certificate that is or was known.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct CertificateRow {
    /// SHA-256 of its public key info.
    pub spki_sha256: Vec<u8>,
    /// Whose it is.
    pub partner_id: i64,
    /// `ACTIVE` or `REVOKED`.
    pub state: String,
    /// `CONFIGURED` or `ISSUED`.
    pub source: String,
    /// Its common name.
    pub name: String,
    /// Who looks after it.
    pub email: Option<String>,
    /// Its serial number, hexadecimal.
    pub serial: String,
    /// Its end; 0 where it is not known.
    pub not_after_ms: i64,
    /// Networks that it may connect from, separated by commas.
    pub networks: String,
}

impl Store {
    /// Makes a partner known; an issuer code is given once.
    pub async fn put_partner(&self, id: i64, issuer_code: Option<&str>) -> Result<()> {
        const SQL: &str = "INSERT INTO partners (id, issuer_code) VALUES ($1, $2) \
             ON CONFLICT (id) DO UPDATE \
             SET issuer_code = COALESCE(excluded.issuer_code, partners.issuer_code)";
        on!(self, write pool => sqlx::query(SQL).bind(id).bind(issuer_code).execute(pool).await.map(drop))?;
        Ok(())
    }

    /// Makes a partner known or changes what is given of it. `false` where another partner has the
    /// issuer code, or this one has another.
    pub async fn update_partner(&self, id: i64, update: &PartnerUpdate<'_>) -> Result<bool> {
        const SQL: &str = "INSERT INTO partners (id, issuer_code, kyc_mode, name, licensed) \
             VALUES ($1, $2, COALESCE($3, 'MANUAL'), COALESCE($4, ''), COALESCE($5, 0)) \
             ON CONFLICT (id) DO UPDATE SET \
             issuer_code = COALESCE(partners.issuer_code, excluded.issuer_code), \
             kyc_mode = COALESCE($3, partners.kyc_mode), name = COALESCE($4, partners.name), \
             licensed = COALESCE($5, partners.licensed) \
             WHERE COALESCE(partners.issuer_code, $2, '') = COALESCE($2, partners.issuer_code, '')";
        let done = on!(self, write pool => {
            let query = sqlx::query(SQL).bind(id).bind(update.issuer_code).bind(update.kyc_mode);
            let query = query.bind(update.name).bind(update.licensed);
            query.execute(pool).await.map(|done| done.rows_affected())
        });
        match done {
            Ok(rows) => Ok(rows == 1),
            Err(error) if is_taken(&error) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// The partner of a number or an issuer code.
    pub async fn partner_named(&self, name: &str) -> Result<Option<i64>> {
        const SQL: &str = "SELECT id FROM partners WHERE id = $1 OR issuer_code = $2";
        let number = name.parse::<i64>().unwrap_or(-1);
        Ok(on!(self, pool => {
            sqlx::query_scalar(SQL).bind(number).bind(name).fetch_optional(pool).await
        })?)
    }

    /// Every partner with what is known of it.
    pub async fn partners(&self) -> Result<Vec<PartnerRow>> {
        const SQL: &str =
            "SELECT id, issuer_code, kyc_mode, name, licensed FROM partners ORDER BY id";
        Ok(on!(self, pool => sqlx::query_as(SQL).fetch_all(pool).await)?)
    }

    /// One of them.
    pub async fn partner(&self, id: i64) -> Result<Option<PartnerRow>> {
        const SQL: &str =
            "SELECT id, issuer_code, kyc_mode, name, licensed FROM partners WHERE id = $1";
        Ok(on!(self, pool => sqlx::query_as(SQL).bind(id).fetch_optional(pool).await)?)
    }

    /// Lets exactly these certificates connect.
    pub async fn set_clients(&self, clients: &[NewClient], now_ms: i64) -> Result<()> {
        const REVOKE: &str = "UPDATE client_certificates SET state = 'REVOKED' \
             WHERE source = 'CONFIGURED'";
        const PUT: &str = "INSERT INTO client_certificates \
             (spki_sha256, partner_id, state, response_key_sha256, networks, created_at_ms, \
             name, serial, not_after_ms) VALUES ($1, $2, 'ACTIVE', $3, $4, $5, $6, $7, $8) \
             ON CONFLICT (spki_sha256) DO UPDATE SET source = 'CONFIGURED', \
             state = CASE WHEN client_certificates.revoked_at_ms IS NULL THEN 'ACTIVE' \
             ELSE 'REVOKED' END, name = excluded.name, serial = excluded.serial, \
             not_after_ms = excluded.not_after_ms, \
             partner_id = excluded.partner_id, networks = excluded.networks, \
             response_key_sha256 = \
             COALESCE(excluded.response_key_sha256, client_certificates.response_key_sha256)";
        on!(self, pool, begin => {
            let mut transaction = pool.begin_with(begin).await?;
            sqlx::query(REVOKE).execute(&mut *transaction).await?;
            for client in clients {
                sqlx::query(PUT)
                    .bind(client.spki_sha256.as_slice())
                    .bind(client.partner)
                    .bind(client.response_key_sha256.as_ref().map(<[u8; 32]>::as_slice))
                    .bind(&client.networks)
                    .bind(now_ms)
                    .bind(&client.name)
                    .bind(&client.serial)
                    .bind(client.not_after_ms)
                    .execute(&mut *transaction)
                    .await?;
            }
            transaction.commit().await?;
        });
        Ok(())
    }

    /// Lets a certificate connect that was signed here. Written already is no change; `false` where
    /// its key is known as another one.
    pub async fn insert_certificate(&self, new: &IssuedCertificate) -> Result<bool> {
        const SQL: &str = "INSERT INTO client_certificates (spki_sha256, partner_id, state, \
             source, name, email, serial, not_after_ms, networks, created_at_ms) \
             VALUES ($1, $2, 'ACTIVE', 'ISSUED', $3, $4, $5, $6, $7, $8) \
             ON CONFLICT (spki_sha256) DO UPDATE SET serial = excluded.serial \
             WHERE client_certificates.serial = excluded.serial";
        let rows = on!(self, write pool => {
            sqlx::query(SQL)
                .bind(new.spki_sha256.as_slice())
                .bind(new.partner)
                .bind(&new.name)
                .bind(&new.email)
                .bind(&new.serial)
                .bind(new.not_after_ms)
                .bind(&new.networks)
                .bind(new.created_at_ms)
                .execute(pool)
                .await
                .map(|done| done.rows_affected())
        })?;
        Ok(rows == 1)
    }

    /// Every certificate, of one partner where one is given.
    pub async fn certificates(&self, partner: Option<i64>) -> Result<Vec<CertificateRow>> {
        const SQL: &str = "SELECT spki_sha256, partner_id, state, source, name, email, serial, \
             not_after_ms, networks FROM client_certificates \
             WHERE partner_id = COALESCE($1, partner_id) ORDER BY created_at_ms, spki_sha256";
        Ok(on!(self, pool => sqlx::query_as(SQL).bind(partner).fetch_all(pool).await)?)
    }

    /// Keeps a certificate out from now on; `false` where there is none of this key.
    pub async fn revoke_certificate(&self, spki_sha256: &[u8; 32], now_ms: i64) -> Result<bool> {
        const SQL: &str = "UPDATE client_certificates SET state = 'REVOKED', \
             revoked_at_ms = COALESCE(revoked_at_ms, $2) WHERE spki_sha256 = $1";
        let rows = on!(self, write pool => {
            let query = sqlx::query(SQL).bind(spki_sha256.as_slice()).bind(now_ms);
            query.execute(pool).await.map(|done| done.rows_affected())
        })?;
        Ok(rows == 1)
    }

    /// Keeps a processor's certificate out from now on, whatever the configuration says.
    pub async fn revoke_processor(&self, spki_sha256: &[u8; 32], now_ms: i64) -> Result<()> {
        const SQL: &str = "INSERT INTO revoked_processors (spki_sha256, revoked_at_ms) \
             VALUES ($1, $2) ON CONFLICT (spki_sha256) DO NOTHING";
        on!(self, write pool => {
            let query = sqlx::query(SQL).bind(spki_sha256.as_slice()).bind(now_ms);
            query.execute(pool).await.map(drop)
        })?;
        Ok(())
    }

    /// Whether a processor's certificate is kept out.
    pub async fn is_processor_revoked(&self, spki_sha256: &[u8; 32]) -> Result<bool> {
        const SQL: &str = "SELECT COUNT(*) FROM revoked_processors WHERE spki_sha256 = $1";
        let found: i64 = on!(self, pool => {
            sqlx::query_scalar(SQL).bind(spki_sha256.as_slice()).fetch_one(pool).await
        })?;
        Ok(found > 0)
    }

    /// How many certificates that may connect end before `before_ms`.
    pub async fn count_ending_certificates(&self, before_ms: i64) -> Result<i64> {
        const SQL: &str = "SELECT COUNT(*) FROM client_certificates WHERE state = 'ACTIVE' \
             AND not_after_ms > 0 AND not_after_ms < $1";
        Ok(on!(self, pool => sqlx::query_scalar(SQL).bind(before_ms).fetch_one(pool).await)?)
    }

    /// The client of a certificate, if it may connect.
    pub async fn client(&self, spki_sha256: &[u8; 32]) -> Result<Option<ClientRow>> {
        const SQL: &str = "SELECT partner_id, response_key_sha256, networks, issuer_code \
             FROM client_certificates JOIN partners ON partners.id = partner_id \
             WHERE spki_sha256 = $1 AND state = 'ACTIVE'";
        Ok(on!(self, pool => {
            sqlx::query_as(SQL).bind(spki_sha256.as_slice()).fetch_optional(pool).await
        })?)
    }

    /// Registers a response key in place of the one there is.
    pub async fn set_response_key(
        &self,
        spki_sha256: &[u8; 32],
        thumbprint: &[u8; 32],
    ) -> Result<()> {
        const SQL: &str =
            "UPDATE client_certificates SET response_key_sha256 = $2 WHERE spki_sha256 = $1";
        on!(self, write pool => {
            let query = sqlx::query(SQL).bind(spki_sha256.as_slice()).bind(thumbprint.as_slice());
            query.execute(pool).await.map(drop)
        })?;
        Ok(())
    }

    /// Registers a response key where none is registered.
    pub async fn register_response_key(
        &self,
        spki_sha256: &[u8; 32],
        thumbprint: &[u8; 32],
    ) -> Result<()> {
        const SQL: &str = "UPDATE client_certificates SET response_key_sha256 = $2 \
             WHERE spki_sha256 = $1 AND response_key_sha256 IS NULL";
        on!(self, write pool => {
            sqlx::query(SQL)
                .bind(spki_sha256.as_slice())
                .bind(thumbprint.as_slice())
                .execute(pool)
                .await
                .map(drop)
        })?;
        Ok(())
    }
}
