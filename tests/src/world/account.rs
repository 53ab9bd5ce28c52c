//! One account: what its user types, and what its user would see.

use std::sync::Arc;

use hermes_api::{
    AccountStatus, Body, Client, ClientError, ConnectionState, ContactState, Direction, InboxQuery, LogQuery,
    Message, MessageState, limits::PAGE_MESSAGES,
};

use super::{
    home::{Home, RUNTIME},
    outcome::Outcome,
    wait::until,
};

/// An account in a home. Commands go through the command line; what tests only look at comes from the API.
#[derive(Clone, Debug)]
pub struct Account {
    /// Where it lives.
    pub home: Arc<Home>,
    /// Its label, and the name under which others know it.
    pub name: String,
}

impl Account {
    /// Makes an account at a relay and waits until the relay has taken it.
    pub fn create(home: &Arc<Home>, name: &str, relay: &str) -> Self {
        home.ctl(&["init", "--name", name, "--relay", relay]).ok();
        let account = Self { home: Arc::clone(home), name: name.to_owned() };
        account.until_connected();
        account
    }

    /// Runs the command line for this account.
    pub fn ctl(&self, arguments: &[&str]) -> Outcome {
        self.home.ctl(&self.arguments(arguments))
    }

    /// As [`Self::ctl`], with something on standard input.
    pub fn ctl_with_input(&self, arguments: &[&str], input: &[u8]) -> Outcome {
        self.home.ctl_with_input(&self.arguments(arguments), input)
    }

    /// The arguments with the account's name before them.
    pub fn arguments<'a>(&'a self, arguments: &[&'a str]) -> Vec<&'a str> {
        [&["--account", self.name.as_str()], arguments].concat()
    }

    /// Sends a text that must be accepted.
    #[track_caller]
    pub fn send(&self, to: &str, text: &str) -> Outcome {
        self.ctl(&["send", to, text]).ok()
    }

    /// A new invite.
    #[track_caller]
    pub fn invite(&self) -> String {
        let invite = self.ctl(&["invite", "--json"]).ok().json();
        invite["invite"].as_str().expect("an invite is text").to_owned()
    }

    /// Pairs with `other`, who accepts, and waits until both can write.
    pub fn pair(&self, other: &Self) {
        other.ctl(&["accept", &self.invite()]).ok();
        until("both can write to each other", || {
            self.can_write_to(&other.name) && other.can_write_to(&self.name)
        });
    }

    /// Whether the pairing with a contact has finished.
    pub fn can_write_to(&self, contact: &str) -> bool {
        let contacts = RUNTIME.block_on(self.home.client().contacts(&self.name));
        contacts.is_ok_and(|contacts| {
            contacts.contacts.iter().any(|known| known.name == contact && known.state == ContactState::Ready)
        })
    }

    /// Texts of the unread messages, in order of arrival. Marks nothing; a daemon that is down has none.
    pub fn unread(&self) -> Vec<String> {
        let query = InboxQuery { limit: Some(PAGE_MESSAGES), ..InboxQuery::default() };
        match RUNTIME.block_on(self.home.client().inbox(&self.name, &query)) {
            Ok(page) => page.messages.into_iter().map(text).collect(),
            Err(_) => Vec::new(),
        }
    }

    /// All messages with a contact, the oldest first.
    #[track_caller]
    pub fn history(&self, contact: &str) -> Vec<Message> {
        self.try_history(contact)
            .unwrap_or_else(|error| panic!("{} has no log of {contact}: {error}", self.name))
    }

    /// As [`Self::history`], while the daemon may be down.
    pub fn try_history(&self, contact: &str) -> Result<Vec<Message>, ClientError> {
        RUNTIME.block_on(history(&self.home.client(), &self.name, contact))
    }

    /// Texts that came from a contact, the oldest first.
    #[track_caller]
    pub fn received(&self, contact: &str) -> Vec<String> {
        texts(self.history(contact), Direction::In)
    }

    /// Texts that went to a contact, the oldest first.
    #[track_caller]
    pub fn sent(&self, contact: &str) -> Vec<String> {
        texts(self.history(contact), Direction::Out)
    }

    /// Whether every message to a contact is known to be on the contact's disk.
    pub fn all_delivered(&self, contact: &str) -> bool {
        self.try_history(contact).is_ok_and(|messages| {
            let mut sent = messages.iter().filter(|message| message.direction == Direction::Out);
            sent.all(|message| matches!(message.state, Some(MessageState::Delivered | MessageState::Read)))
        })
    }

    /// How the account is doing; nothing while the daemon is down.
    pub fn status(&self) -> Option<AccountStatus> {
        let status = RUNTIME.block_on(self.home.client().status()).ok()?;
        status.accounts.into_iter().find(|account| account.name == self.name)
    }

    /// Whether it is connected to its relay.
    pub fn is_connected(&self) -> bool {
        self.status().is_some_and(|status| status.connection.state == ConnectionState::Connected)
    }

    /// Waits until it is connected to its relay.
    #[track_caller]
    pub fn until_connected(&self) {
        until(&format!("{} is connected", self.name), || self.is_connected());
    }
}

/// All messages of a chat, the oldest first.
pub(crate) async fn history(client: &Client, account: &str, chat: &str) -> Result<Vec<Message>, ClientError> {
    let mut messages: Vec<Message> = Vec::new();
    loop {
        let before = messages.first().map(|message| message.id.clone());
        let query = LogQuery { limit: Some(PAGE_MESSAGES), before, after: None };
        let page = client.log(account, chat, &query).await?;
        messages.splice(0..0, page.messages);
        if !page.more {
            return Ok(messages);
        }
    }
}

fn texts(messages: Vec<Message>, direction: Direction) -> Vec<String> {
    messages.into_iter().filter(|message| message.direction == direction).map(text).collect()
}

fn text(message: Message) -> String {
    match message.body {
        Body::Text { text } => text,
        Body::Unsupported => "(unsupported)".to_owned(),
        Body::SessionRenewed { reason } => format!("(session renewed: {reason})"),
        Body::GroupChanged(_) => "(group changed)".to_owned(),
        Body::Expired => "(expired)".to_owned(),
        Body::Withdrawn => "(withdrawn)".to_owned(),
        Body::Reaction { emoji, .. } => format!("(reacts {emoji:?})"),
        Body::Edit { .. } => "(edits)".to_owned(),
        Body::Unsend { .. } => "(withdraws)".to_owned(),
        Body::TimerSet { ttl } => format!("(timer set: {ttl:?})"),
    }
}
