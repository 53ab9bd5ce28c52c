//! The engine's views as documents of the API.

mod group;
mod mark;
mod request;

use hermes_api::{
    AccountStatus, Body, Connection, ConnectionState, Contact, ContactDetails, ContactState, Direction,
    GuestStatus, KeyChange, KeyPolicy, KeyStatus, Message, Problem, Restored, SessionFacts, SessionRenewal,
    StoreState, StoreStatus, Trust, UnixMillis, Unreadable, V1, VerifiedBy,
};
use hermes_engine::{
    ChangePolicy, MessageState, Text,
    query::{self, ContactView, GuestView, MessageDirection, MessageView, StoreView, Summary},
};
use hermes_wire::{Advice, Refusal, Timestamp, prekey::PrekeyKind};

pub(super) use self::group::{group, group_details, person, recipient};
pub(super) use self::request::{open_invite, request};
use super::problem::{ToProblem, closed_mailbox, who};
use crate::{
    account::{Account, Health},
    clock::now,
    link::{MailboxState, MailboxStatus, Reason},
};

// The programs warn below what the engine refills at.
const _: () =
    assert!(hermes_api::limits::ONE_TIME_PREKEYS_LOW == hermes_engine::limits::ONE_TIME_PREKEYS_LOW);

pub(super) fn time(at: Timestamp) -> UnixMillis {
    UnixMillis(at.0)
}

pub(super) fn state(state: &MessageState) -> (hermes_api::MessageState, Option<Problem>) {
    match state {
        MessageState::Queued => (hermes_api::MessageState::Queued, None),
        MessageState::Relayed => (hermes_api::MessageState::Relayed, None),
        MessageState::Delivered => (hermes_api::MessageState::Delivered, None),
        MessageState::Read => (hermes_api::MessageState::Read, None),
        MessageState::Failed(reason) => (hermes_api::MessageState::Failed, Some(reason.problem())),
    }
}

pub(super) fn message(view: MessageView, account: &str) -> Message {
    let chat = view.reference.chat.clone();
    let body = match view.text {
        Text::Plain(text) => Body::Text { text },
        Text::NeedsNewerVersion => Body::Unsupported,
        Text::Expired => Body::Expired,
        Text::Withdrawn => Body::Withdrawn,
        Text::Action(action) => mark::action(*action, view.about, &chat, account),
        Text::TimerSet(ttl) => Body::TimerSet { ttl },
        Text::GroupChanged(note) => Body::GroupChanged(Box::new(group::note(*note, &view.people))),
        Text::SessionRenewed(reason) => Body::SessionRenewed { reason: reason.to_string() },
    };
    let author = view.author.as_ref().map(|author| group::known(author, &view.people));
    let from = author.as_ref().map_or_else(|| chat.clone(), who);
    let common = Message {
        reference: view.reference.to_string(),
        id: view.id.to_string(),
        reply_to: view.reply_to.map(|quote| mark::quote(quote, &chat, account)),
        from,
        author,
        chat,
        direction: Direction::In,
        body,
        edited_at: view.edited.map(time),
        reactions: view.reactions.into_iter().map(mark::reaction).collect(),
        sent_at: time(view.sent),
        received_at: Some(time(view.stored)),
        state: None,
        error: None,
        confirmed: view.confirmed.map(group::confirmed),
        ttl_seconds: view.ttl,
        muted: view.muted.is_some_and(|until| until > now()),
        read: true,
        no_one_time_prekey: view.without_one_time_key,
        missing_before: view.missing_before,
        refused_before: view.refused_before,
    };
    match view.direction {
        MessageDirection::Received { unread } => Message { read: !unread, ..common },
        MessageDirection::Sent(sent) => {
            let (state, error) = state(&sent);
            Message {
                from: account.to_owned(),
                direction: Direction::Out,
                received_at: None,
                state: Some(state),
                error,
                ..common
            }
        }
        MessageDirection::Noted => Message { direction: Direction::Note, ..common },
    }
}

pub(super) fn contact(view: ContactView) -> Contact {
    let (trust, verified_by) = match view.trust {
        hermes_engine::Trust::Unverified => (Trust::Unverified, None),
        hermes_engine::Trust::Verified(hermes_engine::VerifiedBy::Invite) => {
            (Trust::Verified, Some(VerifiedBy::Invite))
        }
        hermes_engine::Trust::Verified(hermes_engine::VerifiedBy::Number) => {
            (Trust::Verified, Some(VerifiedBy::Number))
        }
        hermes_engine::Trust::Changed => (Trust::Changed, None),
    };
    Contact {
        name: view.name,
        state: match view.state {
            query::ContactState::Pending => ContactState::Pending,
            query::ContactState::Asked => ContactState::Asked,
            query::ContactState::Ready => ContactState::Ready,
        },
        trust,
        verified_by,
        fingerprint: view.fingerprint.to_string(),
        since: time(view.since),
        blocked_since: view.blocked.map(time),
        refused_since: view.refused.map(time),
    }
}

pub(super) fn details(view: query::ContactDetails) -> ContactDetails {
    ContactDetails {
        v: V1,
        contact: contact(view.contact),
        profile_name: view.profile_name,
        safety_number: view.safety.number.to_string(),
        safety_code: view.safety.code.to_string(),
        key_policy: match view.policy {
            ChangePolicy::Stop => KeyPolicy::Stop,
            ChangePolicy::Accept => KeyPolicy::Accept,
        },
        key_change: view.change.map(|change| KeyChange {
            fingerprint: change.fingerprint.to_string(),
            safety_number: change.safety.number.to_string(),
            safety_code: change.safety.code.to_string(),
            at: time(change.at),
            held: change.held,
        }),
        session: view.session.map(|session| SessionFacts {
            kept: u32::try_from(session.kept).unwrap_or(u32::MAX),
            heard: session.heard,
            no_one_time_prekey: session.without_one_time_key,
        }),
    }
}

/// A mailbox at another relay, and what is there.
struct GuestStanding {
    status: GuestStatus,
    there: u64,
}

impl GuestStanding {
    /// Envelopes that are a matter of moments: a relay that cannot be reached may stay so for days.
    fn waiting(&self) -> u64 {
        if self.status.connection.state == ConnectionState::Connected { self.there } else { 0 }
    }

    /// Whether there may be more in a moment.
    fn is_under_way(&self) -> bool {
        let Connection { state, reason, .. } = &self.status.connection;
        match state {
            ConnectionState::Connecting => reason.is_none(),
            _ => self.waiting() > 0,
        }
    }
}

/// A mailbox whose connection has not been tried yet is about to be.
fn guests(account: &Account, guests: Vec<GuestView>) -> Vec<GuestStanding> {
    let board = account.board().guests();
    let show = |guest: GuestView| {
        let status = board.get(&guest.guest).cloned();
        let status = status.unwrap_or(MailboxStatus { state: MailboxState::Connecting(None), since: now() });
        let connection = connection(&status, guest.registered);
        let status = GuestStatus {
            relay: guest.relay.to_string(),
            connection,
            unreadable: guest.unreadable,
            expired: guest.expired,
            last_unreadable_at: guest.last_unreadable.map(time),
        };
        GuestStanding { status, there: guest.waiting }
    };
    guests.into_iter().map(show).collect()
}

pub(super) fn account(
    account: &Account,
    summary: Summary,
    guest_views: Vec<GuestView>,
    keys: Option<KeyStatus>,
) -> AccountStatus {
    let mailbox = account.board().mailbox().borrow().clone();
    let guests = guests(account, guest_views);
    let stock = account.board().stock();
    let on_hand = |kind| {
        let stock = stock.as_ref()?.iter().find(|stock| stock.kind == kind);
        Some(stock.map_or(0, |stock| stock.count))
    };
    AccountStatus {
        name: account.name().to_string(),
        fingerprint: summary.fingerprint.to_string(),
        relay: summary.relay.to_string(),
        mailbox: summary.mailbox.to_string(),
        connection: match account.health() {
            Health::Well(_) => connection(&mailbox, summary.registered),
            Health::Failed(reason) => Connection {
                state: ConnectionState::Offline,
                since: time(mailbox.since),
                reason: Some(Problem { message: reason, ..Reason::Store.problem() }),
            },
        },
        caught_up: summary.caught_up && !guests.iter().any(GuestStanding::is_under_way),
        waiting: guests.iter().fold(summary.waiting, |sum, guest| sum.saturating_add(guest.waiting())),
        guests: guests.into_iter().map(|guest| guest.status).collect(),
        unread: summary.unread,
        requests: summary.requests,
        dnd_until: summary.quiet.filter(|until| *until > now()).map(time),
        outbox: summary.outbox,
        unreadable: summary.unreadable,
        missing: summary.missing,
        last_unreadable: summary
            .last_unreadable
            .map(|(cause, at)| Unreadable { at: time(at), cause: cause.to_string() }),
        renewals: summary.renewals,
        last_renewal: summary.last_renewal.map(|(contact, at, reason)| SessionRenewal {
            contact,
            at: time(at),
            reason: reason.to_string(),
        }),
        one_time_prekeys: on_hand(PrekeyKind::OneTime),
        one_time_kem_prekeys: on_hand(PrekeyKind::OneTimeKem),
        store: store(&summary.store, account.scrubbed()),
        keys,
    }
}

pub(super) fn store(view: &StoreView, scrubbed: Option<Timestamp>) -> StoreStatus {
    let (working, stopped_at) = match view.state {
        query::StoreState::Working => (None, None),
        query::StoreState::Recovering => (Some(StoreState::Recovering), None),
        query::StoreState::Stopped(since) => (Some(StoreState::Stopped), Some(time(since))),
    };
    let seen = view.copy_seen.map(|_| StoreState::CopySeen);
    let restored = view.restored.map(|_| StoreState::Restored);
    StoreStatus {
        state: working.or(seen).or(restored).unwrap_or(StoreState::Ok),
        restored: view.restored.map(|restored| Restored {
            at: time(restored.at),
            contacts: restored.contacts,
            renewed: restored.renewed,
        }),
        copy_seen_at: view.copy_seen.map(time),
        stopped_at,
        scrubbed_at: scrubbed.map(time),
    }
}

/// What could be told of an account that does not open.
pub(super) fn failed_account(
    name: &str,
    problem: Problem,
    since: UnixMillis,
    keys: Option<KeyStatus>,
) -> AccountStatus {
    AccountStatus {
        name: name.to_owned(),
        fingerprint: String::new(),
        relay: String::new(),
        mailbox: String::new(),
        connection: Connection { state: ConnectionState::Refused, since, reason: Some(problem) },
        guests: Vec::new(),
        caught_up: true,
        waiting: 0,
        unread: 0,
        requests: 0,
        dnd_until: None,
        outbox: 0,
        unreadable: 0,
        last_unreadable: None,
        renewals: 0,
        last_renewal: None,
        missing: 0,
        one_time_prekeys: None,
        one_time_kem_prekeys: None,
        store: StoreStatus::default(),
        keys,
    }
}

pub(super) fn connection(status: &MailboxStatus, registered: bool) -> Connection {
    let trying = |then| if registered { then } else { ConnectionState::Registering };
    let (state, reason) = match &status.state {
        MailboxState::Connecting(reason) => (trying(ConnectionState::Connecting), reason.as_ref()),
        MailboxState::Connected => (ConnectionState::Connected, None),
        MailboxState::Waiting(reason) if is_final(reason) => (ConnectionState::Refused, Some(reason)),
        MailboxState::Waiting(reason) => (trying(ConnectionState::Offline), Some(reason)),
        MailboxState::Stopped(reason) => (ConnectionState::Refused, Some(reason)),
    };
    let reason = reason.map(|reason| match reason {
        Reason::Refused(Refusal::RegistrationRefused) if registered => closed_mailbox(),
        reason => reason.problem(),
    });
    Connection { state, since: time(status.since), reason }
}

fn is_final(reason: &Reason) -> bool {
    matches!(reason, Reason::Refused(refusal) if refusal.advice() == Advice::Permanent)
}
