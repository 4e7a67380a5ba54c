//! What all connections share: the clock, the configuration, the account.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use tokio::sync::mpsc::UnboundedSender;

use crate::account::Account;
use crate::clock::Clock;
use crate::config::Config;

/// The shared state. No lock is held across an `.await`.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) clock: Clock,
    pub(crate) address: SocketAddr,
    config: RwLock<Arc<Config>>,
    account: Mutex<Account>,
    /// Takes the ids of tasks whose end somebody wants to be told.
    pub(crate) callbacks: UnboundedSender<String>,
}

impl State {
    pub(crate) fn new(
        address: SocketAddr,
        config: Config,
        account: Account,
        callbacks: UnboundedSender<String>,
    ) -> Self {
        Self {
            clock: Clock::start(),
            address,
            config: RwLock::new(Arc::new(config)),
            account: Mutex::new(account),
            callbacks,
        }
    }

    /// The configuration as it is now; a request keeps the one it began with.
    pub(crate) fn config(&self) -> Arc<Config> {
        Arc::clone(&self.config.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Replaces the configuration; rules start counting anew.
    pub(crate) fn configure(&self, config: Config) {
        *self.config.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(config);
        self.account().used.clear();
    }

    pub(crate) fn account(&self) -> MutexGuard<'_, Account> {
        self.account.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Asks for the notifications of tasks that an earlier process left under way.
    pub(crate) fn resume_callbacks(&self) {
        let now_ms = self.clock.now_ms();
        let account = self.account();
        let left = account.tasks().iter().filter(|held| held.task.callback.is_some() && held.task.finish_ms > now_ms);
        for held in left {
            // The receiver lives as long as the service; without it nobody is called back any more.
            let _ = self.callbacks.send(held.task.id.clone());
        }
    }
}
