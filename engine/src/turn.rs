//! One input's turn: typed reads through everything changed so far, and writes that wait for the commit.

use std::collections::BTreeMap;

use hermes_protocol::content::MessageId;
use hermes_wire::Timestamp;
use rand_core::CryptoRng;

use crate::{
    account::Account,
    changes::{ChangeSet, Overlay},
    effect::{CommandError, Effect, Event, Reply},
    id::ChatId,
    input::{Command, CommandId, Input, LinkEvent},
    presence::{Moment, Privacy},
    row::{Counters, UnreadableCause, UnreadableRecord},
    rows::{self, Key, ReadError, Row, StoreResult},
    store::{Order, Range, View},
};

/// Everything an input may read and change. The rule of every method that changes something: first whatever can be
/// refused, then the changes, so that a refusal leaves none behind.
pub(crate) struct Turn<'a, V> {
    pub(crate) account: &'a Account,
    pub(crate) counters: &'a mut Counters,
    pub(crate) claimed: &'a mut bool,
    pub(crate) moment: &'a mut Moment,
    pub(crate) privacy: Privacy,
    pub(crate) profile: &'a mut String,
    pub(crate) changes: &'a mut ChangeSet,
    pub(crate) effects: &'a mut Vec<Effect>,
    pub(crate) receipts: &'a mut Receipts,
    pub(crate) view: &'a V,
    pub(crate) now: Timestamp,
    pub(crate) rng: &'a mut dyn CryptoRng,
}

/// Messages whose delivery is to be confirmed, by chat.
pub(crate) type Receipts = BTreeMap<ChatId, Vec<MessageId>>;

/// Why an envelope leads nowhere: its own fault, or the store's.
pub(crate) enum Halt<E: std::error::Error + 'static> {
    Unreadable(UnreadableCause),
    Store(ReadError<E>),
}

impl<E: std::error::Error + 'static> From<ReadError<E>> for Halt<E> {
    fn from(error: ReadError<E>) -> Self {
        Self::Store(error)
    }
}

impl<E: std::error::Error + 'static> From<UnreadableCause> for Halt<E> {
    fn from(cause: UnreadableCause) -> Self {
        Self::Unreadable(cause)
    }
}

impl<V: View> Turn<'_, V> {
    pub(crate) fn handle(&mut self, input: Input) -> StoreResult<(), V> {
        match input {
            Input::Command(id, command) => self.command(id, command),
            Input::Link(event) => self.link_event(event),
            Input::Due => self.due(),
            Input::Tick => self.tick(),
        }
    }

    fn command(&mut self, id: CommandId, command: Command) -> StoreResult<(), V> {
        let result = self.carry_out(command)?;
        self.effects.push(Effect::Reply(id, result));
        Ok(())
    }

    pub(crate) fn carry_out(&mut self, command: Command) -> StoreResult<Result<Reply, CommandError>, V> {
        Ok(match command {
            Command::CreateInvite { validity } => self.create_invite(validity)?,
            Command::InviteRequests { validity } => self.invite_requests(validity)?,
            Command::CloseRequests(invite) => self.close_requests(invite.as_deref())?,
            Command::Request(name, decision) => self.decide_request(&name, decision)?,
            Command::Accept(invite) => self.accept(*invite)?,
            Command::Send(send) => self.send(send)?.map(Reply::Sent),
            Command::Message(reference, change) => self.change_message(reference, change)?,
            Command::MarkRead(references) => self.mark_read(&references)?,
            Command::Quiet(until) => {
                self.be_quiet(until);
                Ok(Reply::Quiet)
            }
            Command::Chat(name, change) => self.change_chat(&name, change)?,
            Command::Contact(name, change) => self.change_contact(&name, change)?,
            Command::SetProfile(name) => self.set_profile(&name)?,
            Command::Consumer(name, change) => self.change_consumer(&name, change)?,
            Command::GiveKeyPackages => self.give_all_key_packages()?,
            Command::CreateGroup(name, members) => self.create_group(&name, &members)?,
            Command::Group(name, change) => self.change_group(&name, change)?,
            Command::Ping(name) => self.ping(&name)?,
            Command::Recover => self.recover()?,
            Command::Once(idempotency, command) => self.once(&idempotency, *command)?,
        })
    }

    fn link_event(&mut self, event: LinkEvent) -> StoreResult<(), V> {
        match event {
            LinkEvent::Registered { relay_time, next_prekey_id, stock, head, claim, replaced } => {
                self.registered(next_prekey_id, &stock, relay_time, head)?;
                self.claim_held(claim.as_ref(), replaced)
            }
            LinkEvent::Claimed(claim) => self.claimed(&claim),
            LinkEvent::ClaimRefused { held, replaced } => self.claim_held(held.as_ref(), replaced),
            LinkEvent::ClaimDue => self.claim_due(),
            LinkEvent::CopySeen => self.copy_seen(),
            LinkEvent::Revoked(route) => self.revoked_at(route, None),
            LinkEvent::PrekeyStock(stock) => self.refill_prekeys(&stock),
            LinkEvent::PrekeysStored(through) => self.prekeys_stored(through),
            LinkEvent::Delivered(delivered) => self.delivered(delivered),
            LinkEvent::Ephemeral(passing) => self.passed(&passing),
            LinkEvent::PresenceDue(due) => self.presence_due(due),
            LinkEvent::Gone(first, last) => self.gone(first, last),
            LinkEvent::Deposited(key) => self.deposited(key),
            LinkEvent::DepositRefused(key, refusal) => self.deposit_refused(key, refusal),
            LinkEvent::Bundle(chat, fetch, bundle) => self.bundle_arrived(chat, fetch, &bundle),
            LinkEvent::FetchRefused(chat, fetch, refusal) => self.fetch_refused(chat, fetch, refusal),
            LinkEvent::BlobStored(blob) => self.blob_stored(blob, None),
            LinkEvent::BlobRefused(blob, refusal) => self.blob_refused(blob, refusal, None),
            LinkEvent::BlobFetched(blob, bytes) => self.blob_fetched(blob, &bytes, None),
            LinkEvent::BlobGone(blob) => self.blob_gone(blob, None),
            LinkEvent::Guest(guest, event) => self.guest_event(guest, event),
        }
    }

    /// What waits for a moment. Cheap, as it may come every few seconds.
    fn due(&mut self) -> StoreResult<(), V> {
        self.expire()?;
        self.forget_on()?;
        self.confirm_reads()
    }

    fn tick(&mut self) -> StoreResult<(), V> {
        self.due()?;
        self.forget_early_marks()?;
        self.give_up_old_outbox_rows()?;
        self.drop_expired_invites()?;
        self.forget_old_rejections()?;
        self.forget_old_revocations()?;
        self.forget_old_idempotency_keys()?;
        self.forget_old_answers()?;
        self.drop_old_events()?;
        self.begin_wanted_renewals()?;
        self.forget_old_invitations()?;
        self.look_after_groups()?;
        self.look_after_guests()?;
        self.keep_prekeys_fresh()
    }

    /// Puts on record that something could not be read.
    pub(crate) fn unreadable(&mut self, cause: UnreadableCause, chat: Option<ChatId>) {
        self.unreadable_as(UnreadableRecord { cause, envelopes: 1, chat, at: self.now });
    }

    /// Puts on record that envelopes will not come.
    pub(crate) fn expired(&mut self, envelopes: u64) {
        let cause = UnreadableCause::Expired;
        self.unreadable_as(UnreadableRecord { cause, envelopes, chat: None, at: self.now });
    }

    fn unreadable_as(&mut self, record: UnreadableRecord) {
        self.put(&self.counters.unreadable.clone(), &record);
        if let Some(oldest) = self.counters.unreadable.checked_sub(crate::limits::UNREADABLE) {
            self.delete::<UnreadableRecord>(&oldest);
        }
        self.counters.unreadable = self.counters.unreadable.saturating_add(1);
        self.event(Event::Unreadable(record.cause));
    }

    pub(crate) fn event(&mut self, event: Event) {
        self.effects.push(Effect::Event(event));
    }

    /// The next position: rising, never given twice.
    pub(crate) fn next_position(&mut self) -> u64 {
        let position = self.counters.next_position;
        self.counters.next_position = position.saturating_add(1);
        position
    }

    pub(crate) fn get<R: Row>(&self, key: &R::Key) -> StoreResult<Option<R>, V> {
        rows::get(&self.overlay(), key)
    }

    pub(crate) fn scan<R: Row>(&self, range: &Range, limit: usize) -> StoreResult<Vec<(R::Key, R)>, V> {
        rows::scan(&self.overlay(), range, Order::Ascending, limit)
    }

    /// The last record of a range.
    pub(crate) fn last<R: Row>(&self, range: &Range) -> StoreResult<Option<(R::Key, R)>, V> {
        Ok(rows::scan(&self.overlay(), range, Order::Descending, 1)?.pop())
    }

    /// The store as it will be after the step.
    pub(crate) fn overlay(&self) -> Overlay<'_, V> {
        Overlay { base: self.view, changes: self.changes }
    }

    pub(crate) fn put<R: Row>(&mut self, key: &R::Key, row: &R) {
        self.changes.put(R::TABLE, key.to_bytes(), row.to_value());
    }

    pub(crate) fn delete<R: Row>(&mut self, key: &R::Key) {
        self.changes.delete(R::TABLE, key.to_bytes());
    }
}
