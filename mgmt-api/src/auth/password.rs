//! Passwords and wallet PINs: argon2id, off the async workers.
//!
//! Invariants: only the hash is kept; as many are computed at once as the limit allows; a name
//! that nobody has takes as long as one that somebody has.

use std::sync::{Arc, LazyLock};

use argon2::{Argon2, PasswordHasher, PasswordVerifier};
use tokio::sync::Semaphore;
use zeroize::Zeroizing;

use crate::error::{Error, Result};

/// What is verified where there is nothing to verify against.
static NOBODYS: LazyLock<String> = LazyLock::new(|| {
    let hash = Argon2::default().hash_password(b"nobody");
    hash.map(|hash| hash.to_string()).unwrap_or_default()
});

/// The hash to keep.
pub fn hash(secret: &str) -> Result<String> {
    let hash = Argon2::default().hash_password(secret.as_bytes());
    hash.map(|hash| hash.to_string()).map_err(|error| Error::internal("argon2", &error))
}

/// The same, off the async workers.
pub(crate) async fn hash_off_worker(
    permits: &Arc<Semaphore>,
    secret: Zeroizing<String>,
) -> Result<String> {
    off_worker(permits, move || hash(&secret)).await?
}

/// Whether `secret` is the one that `hash` was made of; without a hash it is not, as slowly.
pub(crate) async fn verify(
    permits: &Arc<Semaphore>,
    secret: Zeroizing<String>,
    hash: Option<String>,
) -> Result<bool> {
    off_worker(permits, move || {
        let known = hash.is_some();
        let hash = hash.unwrap_or_else(|| NOBODYS.clone());
        let right = Argon2::default().verify_password(secret.as_bytes(), hash.as_str()).is_ok();
        known && right
    })
    .await
}

/// Does work that takes long aside from the threads that serve.
pub(crate) async fn off_worker<T: Send + 'static>(
    permits: &Arc<Semaphore>,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T> {
    let permit = Arc::clone(permits).acquire_owned().await;
    let permit = permit.map_err(|closed| Error::internal("work aside", &closed))?;
    let task = tokio::task::spawn_blocking(move || {
        let done = work();
        drop(permit);
        done
    });
    task.await.map_err(|panicked| Error::internal("work aside", &panicked))
}
