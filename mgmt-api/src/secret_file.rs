//! Files that only their owner may read: keys and tokens.
//!
//! Invariants: a secret is created with mode 0600 and never written over; one that others may
//! read is refused.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

use anyhow::Context;
use zeroize::Zeroizing;

/// Bytes of a secret at most.
const BYTES_MAX: u64 = 64 * 1024;

/// Creates `path` with mode 0600; an error where it is there already.
pub fn create(path: &Path, content: &[u8]) -> anyhow::Result<()> {
    create_new(path, content).with_context(|| format!("creating {}", path.display()))
}

/// Creates `path` unless it is there; says whether it did.
pub fn create_if_absent(path: &Path, content: &[u8]) -> anyhow::Result<bool> {
    match create_new(path, content) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(error).with_context(|| format!("creating {}", path.display())),
    }
}

/// Reads `path` if nobody but its owner may.
pub fn read(path: &Path) -> anyhow::Result<Zeroizing<String>> {
    let what = || format!("reading {}", path.display());
    let mut file = File::open(path).with_context(what)?;
    let metadata = file.metadata().with_context(what)?;
    anyhow::ensure!(
        metadata.permissions().mode() & 0o077 == 0,
        "{} may be read by others: run chmod 600 on it",
        path.display()
    );
    anyhow::ensure!(metadata.len() <= BYTES_MAX, "{} is too large", path.display());
    let mut text = Zeroizing::new(String::new());
    file.read_to_string(&mut text).with_context(what)?;
    Ok(text)
}

fn create_new(path: &Path, content: &[u8]) -> std::io::Result<()> {
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        std::fs::create_dir_all(folder)?;
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(content)?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_made_once_and_for_its_owner_only() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("inner/secret");
        create(&path, b"one").unwrap();
        assert!(create(&path, b"two").is_err());
        assert!(!create_if_absent(&path, b"two").unwrap());
        assert_eq!(*read(&path).unwrap(), "one");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
        assert!(read(&path).unwrap_err().to_string().contains("chmod 600"));
    }
}
