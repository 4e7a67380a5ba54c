//! By what a content is known once it was dropped, and a task where its name is not kept: 64 bits of a hash.
//!
//! A file digests the content alone, by SHA-256; a server what it has of it (id, price class, content), by SHA-1, because that
//! is what its scripts can compute. Jobs that came from the other kind keep their digest, so both are compared.

use sha2::{Digest as _, Sha256};

/// Bytes of a digest.
pub(crate) const BYTES: usize = 8;

/// Between a job's id and its price class: no id has it.
pub(crate) const CLASS_MARK: u8 = 0x1f;

/// As a file has it.
pub(crate) fn of_content(content: &[u8]) -> Vec<u8> {
    Sha256::digest(content).iter().take(BYTES).copied().collect()
}

/// As a server has it.
pub(crate) fn of_entry(id: &str, class: &str, content: &[u8]) -> Vec<u8> {
    let entry = [id.as_bytes(), &[CLASS_MARK], class.as_bytes(), b"\n", content].concat();
    sha1_smol::Sha1::from(entry).digest().bytes().into_iter().take(BYTES).collect()
}

/// Of a task, as 16 hexadecimal digits.
pub(crate) fn of_task(task: &str) -> String {
    let mut digits = sha1_smol::Sha1::from(task).digest().to_string();
    digits.truncate(2 * BYTES);
    digits
}

/// Where a file has the digest of a task that came from elsewhere: no task is called so.
pub(crate) fn task_key(digest: &str) -> String {
    format!("#{digest}")
}
