//! The management API as a partner uses it: client certificate, JWE answers, admin token.
//!
//! Invariant: a card number leaves the JWE into a [`Pan`], which cannot be printed; an answer other
//! than the expected one is an error that carries status and title, never a body with card data.

use std::path::Path;

use anyhow::{Context, bail};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use josekit::jwe::JweHeader;
use josekit::jwe::alg::rsaes::{RsaesJweAlgorithm, RsaesJweDecrypter, RsaesJweEncrypter};
use reqwest::{Certificate, Client, Identity, Method, RequestBuilder};
use serde_json::{Value, json};
use shared::card::YearMonth;
use shared::pan::Pan;
use tokio::sync::OnceCell;
use zeroize::Zeroizing;

use crate::description::Description;

/// Bits of a key that answers are encrypted to.
const RESPONSE_KEY_BITS: u32 = 2_048;

/// A client with an identity.
pub struct Rest {
    http: Client,
    secure: String,
    public: String,
    issuer_code: String,
    application_id: String,
    admin_token: String,
    response_key: ResponseKey,
    server_key: OnceCell<RsaesJweEncrypter>,
}

/// The key that answers with card data are encrypted to.
pub struct ResponseKey {
    header: String,
    decrypter: RsaesJweDecrypter,
}

/// Which files make an identity.
#[derive(Clone, Copy, Debug)]
pub struct IdentityFiles<'a> {
    /// Certificate, PEM.
    pub certificate: &'a Path,
    /// Its key, PKCS#8 PEM.
    pub key: &'a Path,
    /// RSA key for answers, PKCS#8 PEM; made where it is not there.
    pub response_key: &'a Path,
}

/// A virtual card as issued.
pub struct IssuedCard {
    /// Its `id`.
    pub id: String,
    /// Its `resourceId`.
    pub resource_id: String,
    /// Its number.
    pub pan: Pan,
    /// Its printed verification value.
    pub cvc2: Zeroizing<String>,
    /// Its last month.
    pub expiry: YearMonth,
}

/// What is booked and held on a balance, minor units.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Funds {
    /// Booked.
    pub ledger: i64,
    /// Held.
    pub held: i64,
}

/// Status, and the title of a problem.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// HTTP status.
    pub status: u16,
    /// `title` of a problem; empty where there is none.
    pub title: String,
}

impl ResponseKey {
    /// Reads the key, making it where it is not there.
    pub fn open(path: &Path) -> anyhow::Result<Self> {
        if !path.exists() {
            let pair = RsaesJweAlgorithm::RsaOaep256.generate_key_pair(RESPONSE_KEY_BITS)?;
            mgmt_api::secret_file::create(path, &Zeroizing::new(pair.to_pem_private_key()))?;
        }
        let text = mgmt_api::secret_file::read(path)?;
        let pair = RsaesJweAlgorithm::RsaOaep256.key_pair_from_pem(text.as_bytes())?;
        Ok(Self {
            header: STANDARD.encode(pair.to_pem_public_key()),
            decrypter: RsaesJweAlgorithm::RsaOaep256.decrypter_from_pem(text.as_bytes())?,
        })
    }

    /// What the header `Public-Key` carries.
    #[must_use]
    pub fn header(&self) -> &str {
        &self.header
    }

    /// The JSON in an answer of the form `{"payload": JWE}`.
    pub fn open_answer(&self, answer: &Value) -> anyhow::Result<Value> {
        let token = answer.get("payload").and_then(Value::as_str).context("no payload")?;
        let (plain, _header) = josekit::jwe::deserialize_compact(token, &self.decrypter)?;
        Ok(serde_json::from_slice(&Zeroizing::new(plain))?)
    }
}

impl Rest {
    /// The client of the sandbox in `folder` with its own identity.
    pub fn demo(folder: &Path, description: &Description) -> anyhow::Result<Self> {
        let files = IdentityFiles {
            certificate: &folder.join(&description.demo_cert),
            key: &folder.join(&description.demo_key),
            response_key: &folder.join(&description.demo_response_key),
        };
        Self::open(folder, description, files)
    }

    /// A client of the sandbox in `folder` with another identity.
    pub fn open(
        folder: &Path,
        description: &Description,
        files: IdentityFiles<'_>,
    ) -> anyhow::Result<Self> {
        let read = |path: &Path| {
            std::fs::read(path).with_context(|| format!("reading {}", path.display()))
        };
        let mut identity = Zeroizing::new(read(files.certificate)?);
        identity.extend_from_slice(&Zeroizing::new(read(files.key)?));
        let http = Client::builder()
            .tls_certs_only([Certificate::from_pem(&read(&folder.join(&description.ca))?)?])
            .identity(Identity::from_pem(&identity)?)
            .no_proxy()
            .build()?;
        Ok(Self {
            http,
            secure: description.secure.clone(),
            public: description.public.clone(),
            issuer_code: description.issuer_code.clone(),
            application_id: description.application_id.clone(),
            admin_token: description.admin_token.clone(),
            response_key: ResponseKey::open(files.response_key)?,
            server_key: OnceCell::new(),
        })
    }

    /// Adds a verified user; gives the customer's id.
    pub async fn add_customer(&self, wallet: &Value) -> anyhow::Result<String> {
        let request = self
            .http
            .post(format!("{}/lifecycle/v1/wallet", self.secure))
            .header("Issuer-Code", &self.issuer_code)
            .header("Application-Id", &self.application_id)
            .header("Collection", "lifecycle")
            .json(wallet);
        text_of(&expected(request, 201).await?, "customerId")
    }

    /// Registers an identity check with these texts and three copies of an image.
    pub async fn register(
        &self,
        customer: &str,
        texts: &[(&'static str, String)],
        image: &[u8],
    ) -> anyhow::Result<()> {
        let mut form = reqwest::multipart::Form::new();
        for (name, text) in texts {
            form = form.text(*name, text.clone());
        }
        for name in ["imageFace", "imageFront", "imageBack"] {
            let part = reqwest::multipart::Part::bytes(image.to_vec());
            form = form.part(name, part.file_name("image.png").mime_str("image/png")?);
        }
        let address = self.customer_address(customer, "register");
        expected(self.http.post(address).multipart(form), 201).await.map(drop)
    }

    /// Opens a balance; gives its id.
    pub async fn open_balance(&self, customer: &str, currency: &str) -> anyhow::Result<String> {
        let request = self
            .http
            .post(self.customer_address(customer, "balances"))
            .json(&json!({ "currency": currency }));
        text_of(&expected(request, 201).await?, "balanceId")
    }

    /// Issues a virtual card.
    pub async fn issue_card(
        &self,
        customer: &str,
        balance: &str,
        program: &str,
    ) -> anyhow::Result<IssuedCard> {
        let request = self
            .http
            .post(self.customer_address(customer, "cards/virtual"))
            .header("Encrypted-Response", "true")
            .header("Public-Key", &self.response_key.header)
            .json(&json!({ "balanceId": balance, "configId": program }));
        let answer = expected(request, 201).await?;
        let plain = self.response_key.open_answer(&answer)?;
        let pan = Zeroizing::new(text_of(&plain, "pan")?);
        Ok(IssuedCard {
            id: text_of(&plain, "id")?,
            resource_id: text_of(&plain, "resourceId")?,
            pan: Pan::parse(pan.as_bytes()).context("the number is none")?,
            cvc2: Zeroizing::new(text_of(&plain, "cvc2")?),
            expiry: month(&text_of(&plain, "expDate")?).context("expDate is not MM/YY")?,
        })
    }

    /// Issues a virtual card, the body encrypted too; gives the number that came back.
    pub async fn issue_card_encrypted(
        &self,
        customer: &str,
        balance: &str,
        program: &str,
    ) -> anyhow::Result<Pan> {
        let body = json!({ "balanceId": balance, "configId": program });
        let request = self
            .http
            .post(self.customer_address(customer, "cards/virtual"))
            .header("Encrypted-Request", "true")
            .header("Public-Key", &self.response_key.header)
            .json(&json!({ "payload": self.sealed(&body).await? }));
        let plain = self.response_key.open_answer(&expected(request, 201).await?)?;
        let pan = Zeroizing::new(text_of(&plain, "pan")?);
        Pan::parse(pan.as_bytes()).context("the number is none")
    }

    /// A body encrypted to the server's key.
    async fn sealed(&self, body: &Value) -> anyhow::Result<String> {
        let encrypter = self.server_key.get_or_try_init(|| async {
            let request = self.http.get(format!("{}/secure/public_key", self.secure));
            let key = text_of(&expected(request, 200).await?, "publicKey")?;
            anyhow::Ok(RsaesJweAlgorithm::RsaOaep256.encrypter_from_pem(STANDARD.decode(key)?)?)
        });
        let mut header = JweHeader::new();
        header.set_content_encryption("A256GCM");
        let plain = serde_json::to_vec(body)?;
        Ok(josekit::jwe::serialize_compact(&plain, &header, encrypter.await?)?)
    }

    /// Tops a balance up.
    pub async fn top_up(
        &self,
        customer: &str,
        balance: &str,
        amount: i64,
        currency: &str,
    ) -> anyhow::Result<()> {
        let address = self.customer_address(customer, &format!("balances/{balance}/topup"));
        let body = json!({ "amount": amount, "currency": currency });
        expected(self.http.post(address).json(&body), 201).await.map(drop)
    }

    /// Posts a body under an idempotency key; gives status and exact bytes.
    pub async fn post_once(
        &self,
        path: &str,
        body: &Value,
        key: &str,
    ) -> anyhow::Result<(u16, Vec<u8>)> {
        let request = self.http.post(format!("{}{path}", self.secure));
        let answer = request.header("X-Idempotency-Key", key).json(body).send().await?;
        Ok((answer.status().as_u16(), answer.bytes().await?.to_vec()))
    }

    /// Asks for a lock.
    pub async fn lock(&self, customer: &str, card: &str, reason: u8) -> anyhow::Result<Outcome> {
        let address = self.customer_address(customer, &format!("cards/{card}/lock"));
        outcome(self.http.post(address).json(&json!({ "reason": reason }))).await
    }

    /// Asks for a balance to be blocked.
    pub async fn block(&self, customer: &str, balance: &str) -> anyhow::Result<Outcome> {
        let address = self.customer_address(customer, &format!("balances/{balance}/block"));
        outcome(self.http.post(address)).await
    }

    /// Asks for a lock to be lifted.
    pub async fn unlock(&self, customer: &str, card: &str) -> anyhow::Result<Outcome> {
        let address = self.customer_address(customer, &format!("cards/{card}/unlock"));
        outcome(self.http.post(address)).await
    }

    /// What stands under a path of the partner's.
    pub async fn read(&self, path: &str) -> anyhow::Result<Value> {
        expected(self.http.get(format!("{}{path}", self.secure)), 200).await
    }

    /// What a balance has.
    pub async fn funds(&self, customer: &str, balance: &str) -> anyhow::Result<Funds> {
        let address = self.customer_address(customer, &format!("balances/{balance}"));
        funds_of(&expected(self.http.get(address), 200).await?)
    }

    /// Opens a partner balance, or gives the id of the one that is there.
    pub async fn open_partner_balance(
        &self,
        partner: u32,
        kind: &str,
        currency: &str,
    ) -> anyhow::Result<String> {
        let address = format!("{}/admin/partners/{partner}/balances", self.public);
        let body = json!({ "kind": kind, "currency": currency });
        let key = format!("sandbox-{kind}-{currency}");
        let request = self.admin(Method::POST, &address).header("X-Idempotency-Key", key);
        text_of(&expected(request.json(&body), 201).await?, "id")
    }

    /// Credits a partner balance; the same key credits it once.
    pub async fn reload(
        &self,
        balance: &str,
        amount: i64,
        currency: &str,
        key: &str,
    ) -> anyhow::Result<()> {
        let address = format!("{}/admin/partner-balances/{balance}/reload", self.public);
        let body = json!({ "amount": amount, "currency": currency });
        let request = self.admin(Method::POST, &address).header("X-Idempotency-Key", key);
        expected(request.json(&body), 201).await.map(drop)
    }

    /// What a partner balance has.
    pub async fn partner_funds(&self, balance: &str) -> anyhow::Result<Funds> {
        let address = format!("{}/admin/partner-balances/{balance}", self.public);
        funds_of(&expected(self.admin(Method::GET, &address), 200).await?)
    }

    fn customer_address(&self, customer: &str, rest: &str) -> String {
        format!("{}/secure/customers/{customer}/{rest}", self.secure)
    }

    fn admin(&self, method: Method, address: &str) -> RequestBuilder {
        self.http.request(method, address).bearer_auth(&self.admin_token)
    }
}

/// A month as `MM/YY`.
#[must_use]
pub fn month(text: &str) -> Option<YearMonth> {
    let (month, year) = text.split_once('/')?;
    YearMonth::from_yymm(format!("{year}{month}").parse().ok()?)
}

async fn expected(request: RequestBuilder, status: u16) -> anyhow::Result<Value> {
    let answer = request.send().await?;
    let (found, address) = (answer.status().as_u16(), answer.url().to_string());
    let body = answer.bytes().await?;
    if found != status {
        bail!("{address}: {found} {}", String::from_utf8_lossy(&body));
    }
    serde_json::from_slice(&body).with_context(|| format!("{address}: not JSON"))
}

async fn outcome(request: RequestBuilder) -> anyhow::Result<Outcome> {
    let answer = request.send().await?;
    let status = answer.status().as_u16();
    let body: Value = serde_json::from_slice(&answer.bytes().await?).unwrap_or_default();
    let title = body.get("title").and_then(Value::as_str).unwrap_or_default().to_owned();
    Ok(Outcome { status, title })
}

fn text_of(answer: &Value, member: &str) -> anyhow::Result<String> {
    let text = answer.get(member).and_then(Value::as_str);
    text.map(str::to_owned).with_context(|| format!("the answer has no {member}"))
}

fn funds_of(answer: &Value) -> anyhow::Result<Funds> {
    let number = |member: &str| {
        answer.get(member).and_then(Value::as_i64).with_context(|| format!("no {member}"))
    };
    Ok(Funds { ledger: number("amount")?, held: number("held")? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_month_is_read_as_the_answer_writes_it() {
        let december = month("12/29").unwrap();
        assert_eq!((december.yymm(), december.to_string()), (2912, "12/29".to_owned()));
        assert_eq!(month("13/29"), None);
        assert_eq!(month("1229"), None);
    }
}
