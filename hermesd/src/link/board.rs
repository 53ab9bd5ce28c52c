//! How the link fares, for whoever asks: the mailbox connection, and what holds up each chat.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use hermes_api::{RelayClock, UnixMillis};
use hermes_engine::{ChatId, GuestId};
use hermes_link::client::ConnectError;
use hermes_wire::{Refusal, Timestamp, limits::PREKEYS_PER_KIND, mailbox::PrekeyStock, prekey::PrekeyKind};
use tokio::sync::watch;

use crate::clock::now;

/// Kept current by the link, read by anyone.
pub(crate) struct Board {
    mailbox: watch::Sender<MailboxStatus>,
    stock: Mutex<Option<Vec<PrekeyStock>>>,
    relay_clock: Mutex<Option<RelayClock>>,
    delays: watch::Sender<BTreeMap<ChatId, Reason>>,
    guests: watch::Sender<BTreeMap<GuestId, MailboxStatus>>,
}

/// The mailbox connection and since when it is as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct MailboxStatus {
    pub(crate) state: MailboxState,
    pub(crate) since: Timestamp,
}

/// The mailbox connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum MailboxState {
    /// An attempt is under way; the reason is why the last one failed.
    Connecting(Option<Reason>),
    /// Envelopes can arrive.
    Connected,
    /// Waiting before the next attempt.
    Waiting(Reason),
    /// Nothing is tried until the user acts.
    Stopped(Reason),
}

/// Why something does not come through at the moment.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Reason {
    /// The relay proved another key.
    #[error("the relay at this address has another key than the address names")]
    WrongPin,
    /// No connection comes about.
    #[error("{0}")]
    Unreachable(String),
    /// The relay said no, for the moment or for good.
    #[error("{0}")]
    Refused(Refusal),
    /// The connection broke.
    #[error("the connection to the relay was lost")]
    Lost,
    /// The relay answers what the protocol does not allow.
    #[error("the relay answers in a way this program does not understand")]
    Misbehaved,
    /// The relay of a guest mailbox brings what belongs to no group there, and is left alone.
    #[error("the relay brings what belongs to none of its groups; it is left alone for an hour")]
    Strays,
    /// The relay asked to come back later.
    #[error("the relay said that it stops")]
    GoneAway,
    /// Another copy of the account's store is at work, and this one waits for its user.
    #[error("another copy of this account's store is at work; this one is stopped")]
    CopyStopped,
    /// Another copy of the account's store took this connection's place, and may find that it is behind.
    #[error("another copy of this account's store has connected")]
    CopySeen,
    /// Nothing may arrive while nothing can be stored.
    #[error("the account's store failed")]
    Store,
}

impl From<&ConnectError> for Reason {
    fn from(error: &ConnectError) -> Self {
        match error {
            ConnectError::WrongPin => Self::WrongPin,
            error => Self::Unreachable(error.to_string()),
        }
    }
}

impl Default for Board {
    fn default() -> Self {
        let start = MailboxStatus { state: MailboxState::Connecting(None), since: now() };
        Self {
            mailbox: watch::Sender::new(start),
            stock: Mutex::default(),
            relay_clock: Mutex::default(),
            delays: watch::Sender::default(),
            guests: watch::Sender::default(),
        }
    }
}

impl Board {
    /// The mailbox connection, and its changes.
    pub(crate) fn mailbox(&self) -> watch::Receiver<MailboxStatus> {
        self.mailbox.subscribe()
    }

    /// What holds up the messages to each chat, and its changes. A chat that flows, or has nothing to send, is absent.
    pub(crate) fn delays(&self) -> watch::Receiver<BTreeMap<ChatId, Reason>> {
        self.delays.subscribe()
    }

    /// What the relay has of our prekeys; nothing until it has said so.
    pub(crate) fn stock(&self) -> Option<Vec<PrekeyStock>> {
        self.stock.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The relay's clock beside ours at the last registration.
    pub(crate) fn relay_clock(&self) -> Option<RelayClock> {
        *self.relay_clock.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn set_relay_clock(&self, relay: Timestamp) {
        let clock = RelayClock { relay: UnixMillis(relay.0), local: UnixMillis(now().0) };
        *self.relay_clock.lock().unwrap_or_else(PoisonError::into_inner) = Some(clock);
    }

    /// The connections to mailboxes at other relays.
    pub(crate) fn guests(&self) -> BTreeMap<GuestId, MailboxStatus> {
        self.guests.borrow().clone()
    }

    /// How a mailbox's connection stands: the account's own, or one at another relay.
    pub(super) fn set(&self, mailbox: Option<GuestId>, state: MailboxState) {
        let Some(guest) = mailbox else { return self.set_mailbox(state) };
        self.guests.send_modify(|guests| {
            if guests.get(&guest).is_none_or(|status| status.state != state) {
                guests.insert(guest, MailboxStatus { state, since: now() });
            }
        });
    }

    /// Forgets the connections to mailboxes that are not among these.
    pub(super) fn keep_guests(&self, guests: &[GuestId]) {
        self.guests.send_modify(|known| known.retain(|guest, _| guests.contains(guest)));
    }

    pub(super) fn set_mailbox(&self, state: MailboxState) {
        self.mailbox.send_if_modified(|status| {
            let changed = status.state != state;
            if changed {
                *status = MailboxStatus { state, since: now() };
            }
            changed
        });
    }

    pub(super) fn set_stock(&self, stock: Vec<PrekeyStock>) {
        *self.stock.lock().unwrap_or_else(PoisonError::into_inner) = Some(stock);
    }

    /// The relay took these in. It tells the stock only on registering and when keys are used up.
    pub(super) fn add_stock(&self, stored: &[PrekeyKind]) {
        let mut stock = self.stock.lock().unwrap_or_else(PoisonError::into_inner);
        for kind in stored {
            let known = stock.iter_mut().flatten().find(|stock| stock.kind == *kind);
            if let Some(PrekeyStock { count, .. }) = known {
                let most = if kind.is_one_time() { PREKEYS_PER_KIND as u32 } else { 1 };
                *count = count.saturating_add(1).min(most);
            }
        }
    }

    pub(super) fn delay(&self, chat: ChatId, reason: Reason) {
        self.delays.send_if_modified(|delays| delays.insert(chat, reason.clone()) != Some(reason));
    }

    pub(super) fn flows(&self, chat: ChatId) {
        self.delays.send_if_modified(|delays| delays.remove(&chat).is_some());
    }
}

/// The wait that a relay asked for, within reason: it may neither make us knock in a loop nor send us away for ever.
pub(super) fn bounded(wait: Duration) -> Duration {
    wait.clamp(crate::limits::ADVICE_LEAST, crate::limits::ADVICE_MOST)
}
