//! What a client says about messages.

use super::{Client, ClientError};
use crate::{
    EditMessage, MessageChanged, React,
    routes::{self, fill},
};

impl Client {
    /// Reacts to a message, by its reference or its id.
    pub async fn react(
        &self,
        account: &str,
        message: &str,
        react: &React,
    ) -> Result<MessageChanged, ClientError> {
        self.post(fill(routes::REACT, &[account, message], &[]), react, 0).await
    }

    /// Has an own text say something else.
    pub async fn edit(
        &self,
        account: &str,
        message: &str,
        edit: &EditMessage,
    ) -> Result<MessageChanged, ClientError> {
        self.post(fill(routes::EDIT, &[account, message], &[]), edit, 0).await
    }

    /// Withdraws an own message.
    pub async fn unsend(&self, account: &str, message: &str) -> Result<MessageChanged, ClientError> {
        self.post(fill(routes::UNSEND, &[account, message], &[]), &(), 0).await
    }

    /// Keeps an own message from leaving.
    pub async fn cancel(&self, account: &str, message: &str) -> Result<MessageChanged, ClientError> {
        self.post(fill(routes::CANCEL, &[account, message], &[]), &(), 0).await
    }
}
