//! What a client says about messages.

use super::{Client, ClientError};
use crate::{
    EditMessage, MessageChanged, MessageDetails, React, WaitQuery,
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

    /// One message in full, by its id, once what was sent has come so far or the time is over.
    pub async fn message_until(
        &self,
        account: &str,
        message: &str,
        wait: WaitQuery,
    ) -> Result<MessageDetails, ClientError> {
        let state = wait.wait.map(|wait| wait.as_str().to_owned());
        let timeout = wait.timeout_ms.unwrap_or(0);
        let query = [("wait", state), ("timeout_ms", Some(timeout.to_string()))];
        self.get_waiting(fill(routes::MESSAGE, &[account, message], &query), timeout).await
    }

    /// Keeps an own message from leaving.
    pub async fn cancel(&self, account: &str, message: &str) -> Result<MessageChanged, ClientError> {
        self.post(fill(routes::CANCEL, &[account, message], &[]), &(), 0).await
    }
}
