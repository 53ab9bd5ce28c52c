//! Who is there.

use super::{Client, ClientError};
use crate::{ContactDetails, Peers, PingContact, Pong, RemoveContact, RemovedContact, routes};

impl Client {
    /// All contacts, by name, with whether they are there.
    pub async fn peers(&self, account: &str) -> Result<Peers, ClientError> {
        self.get(routes::fill(routes::PEERS, &[account], &[])).await
    }

    /// Asks a contact's daemon for a sign of life, and waits for it.
    pub async fn ping(&self, account: &str, contact: &str, ping: PingContact) -> Result<Pong, ClientError> {
        self.post(routes::fill(routes::PING, &[account, contact], &[]), &ping, ping.timeout_ms).await
    }

    /// Takes nothing more of a contact.
    pub async fn block(&self, account: &str, contact: &str) -> Result<ContactDetails, ClientError> {
        self.post(routes::fill(routes::BLOCK, &[account, contact], &[]), &(), 0).await
    }

    /// Lets a contact write again.
    pub async fn unblock(&self, account: &str, contact: &str) -> Result<ContactDetails, ClientError> {
        self.post(routes::fill(routes::UNBLOCK, &[account, contact], &[]), &(), 0).await
    }

    /// Removes a contact.
    pub async fn remove_contact(
        &self,
        account: &str,
        contact: &str,
        remove: RemoveContact,
    ) -> Result<RemovedContact, ClientError> {
        self.post(routes::fill(routes::REMOVE, &[account, contact], &[]), &remove, 0).await
    }
}
