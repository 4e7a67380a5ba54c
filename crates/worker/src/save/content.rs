//! What a file contains: its length and SHA-256.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use sha2::{Digest as _, Sha256};

/// A file's length and its SHA-256, in lower-case hexadecimal digits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Content {
    pub(crate) bytes: u64,
    pub(crate) sha256: String,
}

/// The content of the file at `path`; `None` if there is none.
pub(crate) fn content(path: &Path) -> io::Result<Option<Content>> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let (bytes, sha256) = digest(file)?;
    Ok(Some(Content { bytes, sha256: hex(sha256) }))
}

/// The length and digest of everything that `from` yields.
pub(crate) fn digest(mut from: impl Read) -> io::Result<(u64, Sha256)> {
    let (mut sha256, mut bytes, mut buffer) = (Sha256::new(), 0, vec![0; 64 * 1024]);
    loop {
        let count = from.read(&mut buffer)?;
        if count == 0 {
            return Ok((bytes, sha256));
        }
        bytes += count as u64;
        sha256.update(buffer.get(..count).unwrap_or_default());
    }
}

/// A finished digest in lower-case hexadecimal digits.
pub(crate) fn hex(digest: Sha256) -> String {
    digest.finalize().iter().fold(String::with_capacity(64), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn content_is_told_by_length_and_hash() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x");
        assert_eq!(content(&path).unwrap(), None);
        fs::write(&path, "abc").unwrap();
        let sha256 = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad".to_owned();
        assert_eq!(content(&path).unwrap(), Some(Content { bytes: 3, sha256 }));
    }
}
