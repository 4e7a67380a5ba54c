//! The cryptography behind TLS: *ring*, chosen once for the whole process.

/// Makes *ring* the process's TLS cryptography, unless one was chosen before. May be called any number of times.
///
/// Every client here calls it; whoever else uses rustls (a `rediss://` ledger) calls it at the start of the program.
pub fn install_crypto() {
    // An error only says that a provider is installed already, which is all that is wanted.
    drop(rustls::crypto::ring::default_provider().install_default());
}
