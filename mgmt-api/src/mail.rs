//! E-mails on their way out over SMTP. Source: requirements #88.
//!
//! Invariants: an e-mail is in SQL before it is sent, and stays until a server has taken it or it
//! was tried as often as it is; each try is written down before it is made, so that no fault sends one
//! without end; a crash may send it twice rather than never; no address and no text is logged.

use core::time::Duration;
use std::sync::Arc;

use anyhow::Context;
use lettre::message::header::ContentType;
use lettre::message::{Mailbox, Message};
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, Tls, TlsParameters};
use lettre::{AsyncSmtpTransport, AsyncTransport, Tokio1Executor};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::app::App;
use crate::config::{MailConfig, MailSecurity};
use crate::store::MailRow;
use crate::{clock, metrics, secret_file};

/// E-mails of one go.
const BATCH_MAX: i64 = 16;
/// Between two looks.
const PAUSE: Duration = Duration::from_secs(1);
/// A server has so long to take one.
const TIMEOUT: Duration = Duration::from_secs(20);
/// After each failure, seconds until the next try; behind the last one there is none.
const RETRIES_S: [i64; 6] = [5, 60, 300, 1_800, 7_200, 28_800];
/// So long e-mails that left are kept.
const KEPT_MS: i64 = 30 * 86_400_000;

/// Where e-mails go.
pub(crate) struct Mailer {
    from: Mailbox,
    transport: AsyncSmtpTransport<Tokio1Executor>,
}

impl Mailer {
    /// Reads what the configuration names.
    pub(crate) fn open(config: &MailConfig) -> anyhow::Result<Self> {
        let from = config.from.parse().context("mail.from")?;
        let builder = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(&config.host)
            .port(config.port)
            .timeout(Some(TIMEOUT));
        let builder = match config.security {
            MailSecurity::None => builder,
            MailSecurity::StartTls => builder.tls(Tls::Required(tls(config)?)),
            MailSecurity::Tls => builder.tls(Tls::Wrapper(tls(config)?)),
        };
        let builder = match (&config.user, &config.password) {
            (Some(user), Some(file)) => {
                let password = secret_file::read(file)?;
                let password = password.trim_end_matches(['\r', '\n']).to_owned();
                builder.credentials(Credentials::new(user.clone(), password))
            }
            (None, None) => builder,
            (Some(_), None) | (None, Some(_)) => {
                anyhow::bail!("mail.user and mail.password: both or neither")
            }
        };
        Ok(Self { from, transport: builder.build() })
    }

    async fn send(&self, mail: &MailRow) -> anyhow::Result<()> {
        let message = Message::builder()
            .from(self.from.clone())
            .to(mail.email.parse()?)
            .subject(&mail.subject)
            // The same e-mail sent twice is one for whoever looks at its id.
            .message_id(Some(format!("<{}.{}@{}>", mail.id, "pointsman", self.from.email.domain())))
            .header(ContentType::TEXT_PLAIN)
            .body(mail.content.clone())?;
        self.transport.send(message).await?;
        Ok(())
    }
}

fn tls(config: &MailConfig) -> anyhow::Result<TlsParameters> {
    let builder = TlsParameters::builder(config.host.clone());
    let builder = match &config.ca {
        None => builder,
        Some(path) => {
            let pem = std::fs::read(path).with_context(|| format!("mail.ca {}", path.display()))?;
            builder.add_root_certificate(Certificate::from_pem(&pem)?)
        }
    };
    Ok(builder.build_rustls()?)
}

/// Whether an address is one that can be written to.
pub(crate) fn is_address(text: &str) -> bool {
    text.len() <= 254 && text.parse::<lettre::Address>().is_ok()
}

/// Sends what is pending until `stop`.
pub(crate) async fn run(app: Arc<App>, stop: CancellationToken) {
    let Some(mailer) = &app.mailer else { return };
    let work = async {
        loop {
            match deliver(&app, mailer).await {
                Ok(0) => sleep(PAUSE).await,
                Ok(_some) => {}
                Err(error) => {
                    tracing::warn!(%error, "e-mails wait");
                    sleep(PAUSE).await;
                }
            }
        }
    };
    tokio::select! {
        () = stop.cancelled() => {}
        () = work => {}
    }
}

/// Tries what is to be tried now; how much that was.
async fn deliver(app: &App, mailer: &Mailer) -> Result<usize, crate::store::StoreError> {
    let now = clock::now_millis();
    let mails = app.store.pending_mails(now, BATCH_MAX).await?;
    for mail in &mails {
        let tried = usize::try_from(mail.attempts).unwrap_or(usize::MAX);
        let next = RETRIES_S.get(tried);
        let next_at = clock::now_millis() + next.unwrap_or(&0) * 1_000;
        if !app.store.claim_mail(mail, next_at).await? {
            continue;
        }
        let sent = mailer.send(mail).await;
        let state = match (&sent, next) {
            (Ok(()), _) => "SENT",
            (Err(_), Some(_)) => "PENDING",
            (Err(_), None) => "FAILED",
        };
        if sent.is_err() {
            // The error may repeat what the server said, and that the address.
            tracing::warn!(id = mail.id, state, "an e-mail was not taken");
        }
        metrics::count_mail(state);
        if state != "PENDING" {
            app.store.end_mail(mail.id, state).await?;
        }
    }
    Ok(mails.len())
}

/// Forgets what left long ago.
pub(crate) async fn sweep(app: &App) -> Result<u64, crate::error::Error> {
    Ok(app.store.drop_mails(clock::now_millis() - KEPT_MS).await?)
}
