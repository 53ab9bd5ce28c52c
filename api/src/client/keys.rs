//! Requests about keys.

use super::{Client, ClientError};
use crate::{ChangeKeys, KeysChanged, Unlock, routes};

impl Client {
    /// Erases an account's keys from the daemon's memory.
    pub async fn lock(&self, account: &str) -> Result<KeysChanged, ClientError> {
        self.post(routes::fill(routes::LOCK, &[account], &[]), &(), 0).await
    }

    /// Opens an account's keys.
    pub async fn unlock(&self, account: &str, unlock: &Unlock) -> Result<KeysChanged, ClientError> {
        self.post(routes::fill(routes::UNLOCK, &[account], &[]), unlock, 0).await
    }

    /// Keeps an account's keys in another way.
    pub async fn change_keys(&self, account: &str, change: &ChangeKeys) -> Result<KeysChanged, ClientError> {
        self.post(routes::fill(routes::KEYS, &[account], &[]), change, 0).await
    }
}
