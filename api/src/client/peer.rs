//! Who is there.

use super::{Client, ClientError};
use crate::{Peers, PingContact, Pong, routes};

impl Client {
    /// All contacts, by name, with whether they are there.
    pub async fn peers(&self, account: &str) -> Result<Peers, ClientError> {
        self.get(routes::fill(routes::PEERS, &[account], &[])).await
    }

    /// Asks a contact's daemon for a sign of life, and waits for it.
    pub async fn ping(&self, account: &str, contact: &str, ping: PingContact) -> Result<Pong, ClientError> {
        self.post(routes::fill(routes::PING, &[account, contact], &[]), &ping, ping.timeout_ms).await
    }
}
