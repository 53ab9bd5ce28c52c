//! What a client settles for a chat.

use super::{Client, ClientError};
use crate::{
    ChatSettings, Chats, MuteChat, SetTtl,
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

    /// Has texts of a chat be deleted after a time.
    pub async fn set_ttl(&self, account: &str, chat: &str, ttl: SetTtl) -> Result<ChatSettings, ClientError> {
        self.post(fill(routes::TTL, &[account, chat], &[]), &ttl, 0).await
    }
}
