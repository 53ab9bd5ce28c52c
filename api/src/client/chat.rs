//! What a client settles for a chat.

use super::{Client, ClientError};
use crate::{
    ChatSettings, Chats, Dnd, MuteChat, Outbox, OutboxQuery, SearchPage, SearchQuery, SetDnd, SetTtl,
    routes::{self, fill},
};

impl Client {
    /// Every chat, the one with the newest message first.
    pub async fn chats(&self, account: &str) -> Result<Chats, ClientError> {
        self.get(fill(routes::CHATS, &[account], &[])).await
    }

    /// What is settled for a chat.
    pub async fn chat(&self, account: &str, chat: &str) -> Result<ChatSettings, ClientError> {
        self.get(fill(routes::CHAT, &[account, chat], &[])).await
    }

    /// Has a chat be quiet, or not.
    pub async fn mute(&self, account: &str, chat: &str, mute: MuteChat) -> Result<ChatSettings, ClientError> {
        self.post(fill(routes::MUTE, &[account, chat], &[]), &mute, 0).await
    }

    /// Puts a chat away.
    pub async fn archive(&self, account: &str, chat: &str) -> Result<ChatSettings, ClientError> {
        self.post(fill(routes::ARCHIVE, &[account, chat], &[]), &(), 0).await
    }

    /// Brings a chat back.
    pub async fn unarchive(&self, account: &str, chat: &str) -> Result<ChatSettings, ClientError> {
        self.post(fill(routes::UNARCHIVE, &[account, chat], &[]), &(), 0).await
    }

    /// Has the account be quiet, or not.
    pub async fn set_dnd(&self, account: &str, dnd: SetDnd) -> Result<Dnd, ClientError> {
        self.post(fill(routes::DND, &[account], &[]), &dnd, 0).await
    }

    /// Looks for messages in a stretch of the history.
    pub async fn search(&self, account: &str, query: &SearchQuery) -> Result<SearchPage, ClientError> {
        let query = [
            ("text", Some(query.text.clone())),
            ("chat", query.chat.clone()),
            ("limit", query.limit.map(|limit| limit.to_string())),
            ("from", query.from.clone()),
        ];
        self.get(fill(routes::SEARCH, &[account], &query)).await
    }

    /// Lists what waits to leave.
    pub async fn outbox(&self, account: &str, query: &OutboxQuery) -> Result<Outbox, ClientError> {
        self.get(fill(routes::OUTBOX, &[account], &[("chat", query.chat.clone())])).await
    }

    /// Has every connection try at once.
    pub async fn retry_outbox(&self, account: &str) -> Result<Outbox, ClientError> {
        self.post(fill(routes::OUTBOX_RETRY, &[account], &[]), &(), 0).await
    }

    /// Has texts of a chat be deleted after a time.
    pub async fn set_ttl(&self, account: &str, chat: &str, ttl: SetTtl) -> Result<ChatSettings, ClientError> {
        self.post(fill(routes::TTL, &[account, chat], &[]), &ttl, 0).await
    }
}
