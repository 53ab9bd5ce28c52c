//! The relay's rules as a state machine: a group of requests is decided, committed once, and only then answered.
//!
//! There is no clock, no random source and no I/O but the store's: the same requests at the same times give the same
//! outcomes, on any backend; what must be random comes with a request. Nothing but rate buckets lives outside the store, so that a relay may stop at any moment.

use std::collections::BTreeSet;

use hermes_wire::{
    BlobId, ChannelId, Claim, ContactId, DropKey, EnvelopeId, FetchId, MailboxId, MoveClaim, Refusal,
    Sequence, SignedClaim, Timestamp,
    blob::PutBlob,
    channel::{Commit, Create, Post},
    drop::{Deposit, Open},
    mailbox::{Credit, Deliver, Delivered, Passing, PrekeyStock, Register, Registered},
    prekey::{PrekeyEntry, PrekeyId, SealedBundle},
    token::Use,
};
use serde::Deserialize;

use crate::{
    draft::Draft,
    entry::{self, Entry},
    fanout::Seed,
    limits::{FRESH_BYTES, Limits},
    rate::Rates,
    recent::Recent,
    store::{Changes, Contact, Hour, Mailbox, Store, StoreError, TokenHash, TokenRow},
};

/// Who may make a mailbox.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Registration {
    /// Whoever has a registration token.
    #[default]
    Token,
    /// Anyone.
    Open,
    /// Nobody; mailboxes that exist go on.
    Closed,
}

/// What the operator decided.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// Who may make a mailbox.
    pub registration: Registration,
    /// How much of everything.
    pub limits: Limits,
}

/// What a client, or the relay's own clock, asks for. A mailbox named here was proven by its connection's certificate.
#[derive(Clone, Debug)]
pub enum Request {
    /// An owner connects.
    Register {
        /// The proven mailbox.
        mailbox: MailboxId,
        /// What it said.
        register: Register,
    },
    /// An owner adds prekeys.
    PutPrekeys {
        /// The proven mailbox.
        mailbox: MailboxId,
        /// In rising order of their ids. Those at or below the last accepted id are skipped.
        entries: Vec<PrekeyEntry>,
    },
    /// An owner has lost the secrets of its older prekeys.
    DropPrekeys {
        /// The proven mailbox.
        mailbox: MailboxId,
        /// Those with an id below this.
        below: PrekeyId,
    },
    /// An owner shuts a contact out.
    Revoke {
        /// The proven mailbox.
        mailbox: MailboxId,
        /// Whom.
        contact: ContactId,
        /// When the contact's last token expires.
        until: Timestamp,
    },
    /// An owner's store says that it is the newest.
    Claim {
        /// The proven mailbox.
        mailbox: MailboxId,
        /// From which claim to which.
        claim: MoveClaim,
    },
    /// An owner has everything up to here.
    Ack {
        /// The proven mailbox.
        mailbox: MailboxId,
        /// The last of them.
        upto: Sequence,
    },
    /// A depositor shows its token.
    Open(Open),
    /// A depositor deposits, in this order.
    Deposit {
        /// What [`Request::Open`] was answered with.
        entry: Entry,
        /// The envelopes.
        deposits: Vec<Deposit>,
    },
    /// A depositor has something for the owner that is not worth keeping.
    Ephemeral {
        /// What [`Request::Open`] was answered with.
        entry: Entry,
        /// The envelope.
        deposit: Deposit,
    },
    /// A depositor asks for a prekey bundle.
    FetchPrekeys {
        /// What [`Request::Open`] was answered with.
        entry: Entry,
        /// Chosen at random once, repeated with every retry.
        fetch: FetchId,
    },
    /// Someone makes a channel.
    Create {
        /// Which one.
        channel: ChannelId,
        /// How it begins.
        create: Create,
        /// For nonces.
        seed: Seed,
    },
    /// A member posts to a channel.
    Post {
        /// Which one.
        channel: ChannelId,
        /// What.
        post: Post,
        /// For nonces.
        seed: Seed,
    },
    /// A member ends a channel's epoch.
    Commit {
        /// Which one's.
        channel: ChannelId,
        /// With what.
        commit: Commit,
        /// For nonces.
        seed: Seed,
    },
    /// An owner uploads a part of a blob.
    PutBlob {
        /// The proven mailbox.
        mailbox: MailboxId,
        /// The part.
        put: PutBlob,
    },
    /// The operator adds a registration token. One that is known already stays as it is.
    AddToken {
        /// Its hash.
        token: TokenHash,
        /// What it allows.
        row: TokenRow,
    },
    /// The operator makes a registration token worthless.
    RevokeToken(TokenHash),
    /// The operator closes a mailbox for good.
    CloseMailbox {
        /// Which one.
        mailbox: MailboxId,
        /// The blobs that its owner keeps here.
        blobs: Vec<BlobId>,
        /// A key whose secret nobody has.
        drop_key: DropKey,
    },
    /// It is time to forget what is over.
    Sweep,
}

impl Request {
    /// Whose owner asks.
    fn owner(&self) -> Option<MailboxId> {
        match self {
            Self::Register { mailbox, .. }
            | Self::PutPrekeys { mailbox, .. }
            | Self::DropPrekeys { mailbox, .. }
            | Self::Revoke { mailbox, .. }
            | Self::Claim { mailbox, .. }
            | Self::Ack { mailbox, .. }
            | Self::PutBlob { mailbox, .. } => Some(*mailbox),
            _ => None,
        }
    }
}

/// The answer to one [`Request`], true on disk when the caller sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The mailbox exists.
    Registered {
        /// The answer to the owner.
        registered: Registered,
        /// Where delivery on this connection starts.
        acked: Sequence,
    },
    /// The prekeys up to this id are on hand, or were.
    PrekeysStored(PrekeyId),
    /// The prekeys are gone, durably.
    PrekeysDropped,
    /// The contact is shut out.
    Revoked(ContactId),
    /// The relay holds the claim.
    Claimed {
        /// The claim.
        claim: Claim,
        /// To the owner, when its prekeys were dropped.
        stock: Option<Vec<PrekeyStock>>,
    },
    /// The relay holds another claim than was expected.
    ClaimRefused(Option<SignedClaim>),
    /// The envelopes are never delivered again, and deleted by and by.
    Acked,
    /// The token is good.
    Opened(Entry),
    /// What became of each deposit, in order. The list ends early after a refusal that may be retried, because what
    /// follows must not overtake it.
    Deposited(Vec<(EnvelopeId, Result<(), Refusal>)>),
    /// To be handed to the owner if it is connected at this moment.
    Passed(Passing),
    /// The bundle.
    Bundle {
        /// To the depositor.
        bundle: SealedBundle,
        /// To the owner, when a one-time prekey was used up.
        stock: Option<Vec<PrekeyStock>>,
    },
    /// The channel is there, at epoch 0.
    Created,
    /// The post or commit has its place, and every copy lies in its mailbox.
    Posted {
        /// The place in the channel.
        sequence: Sequence,
        /// Whose mailboxes have something new. Empty for a repeat.
        reached: Vec<MailboxId>,
    },
    /// So many bytes of the blob are here, from its beginning.
    BlobStored(u32),
    /// The registration token is known.
    TokenAdded,
    /// The registration token is worthless.
    TokenRevoked,
    /// The mailbox is closed. What is left of it is deleted by and by.
    MailboxClosed,
    /// There is no such thing.
    Absent,
    /// What is over was forgotten, and whether there is more of it.
    Swept {
        /// Ask again at once.
        more: bool,
    },
    /// Nothing happened.
    Refused(Refusal),
}

/// An envelope that came into a mailbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Committed {
    /// Whose.
    pub mailbox: MailboxId,
    /// Its place there.
    pub sequence: Sequence,
    /// It, if it was asked for and is not too long to be kept in memory.
    pub envelope: Option<Delivered>,
}

/// A relay: its rows, its rules, and the rates of its depositors.
#[derive(Clone, Debug)]
pub struct Relay<S> {
    store: S,
    policy: Policy,
    rates: Rates,
    /// What of the store is known without reading it.
    recent: Recent,
    /// How many mailboxes the store holds.
    mailboxes: u64,
    /// How many channels the store holds.
    channels: u64,
    /// Mailboxes that the operator closed. In memory, because whoever has a way in from before is checked against it
    /// with each envelope.
    closed: BTreeSet<MailboxId>,
}

impl<S: Store> Relay<S> {
    /// Takes up work where the store left off.
    pub fn new(store: S, policy: Policy) -> Result<Self, StoreError> {
        let (mailboxes, channels) = (store.mailbox_count()?, store.channel_count()?);
        let closed = store.closed()?.into_iter().collect();
        Ok(Self {
            store,
            policy,
            rates: Rates::default(),
            recent: Recent::default(),
            mailboxes,
            channels,
            closed,
        })
    }

    /// Decides `requests` in order and commits them together, or in several commits when posts make many copies. There is
    /// one outcome for each, in order.
    ///
    /// After an error nothing of the group has happened, as far as anyone may say: the relay must stop and start again
    /// from its store.
    pub fn apply(&mut self, now: Timestamp, requests: Vec<Request>) -> Result<Vec<Outcome>, StoreError> {
        self.apply_for(now, requests, |_| false, |_| {})
    }

    /// As [`Self::apply`], and tells `came` after each commit, when whoever reads the store finds it there, what it brought
    /// into mailboxes: with what is in it for those whose owner `is_here`, if it has no more than [`FRESH_BYTES`]. It stays
    /// true if a later commit of the group fails.
    pub fn apply_for(
        &mut self,
        now: Timestamp,
        requests: Vec<Request>,
        is_here: impl Fn(MailboxId) -> bool,
        came: impl Fn(Vec<Committed>),
    ) -> Result<Vec<Outcome>, StoreError> {
        let mut outcomes = Vec::with_capacity(requests.len());
        let mut requests = requests.into_iter().peekable();
        while requests.peek().is_some() {
            let changes = self.decide_some(now, &mut requests, &mut outcomes)?;
            let rows =
                changes.envelopes.iter().filter_map(|((mailbox, _), row)| Some((*mailbox, row.as_ref()?)));
            let committed = rows.map(|(mailbox, row)| Committed {
                mailbox,
                sequence: row.sequence,
                envelope: (row.body.len() <= FRESH_BYTES && is_here(mailbox)).then(|| row.clone()),
            });
            let committed = committed.collect();
            if !changes.is_empty() {
                self.recent.note(&changes);
                self.store.commit(changes)?;
                came(committed);
            }
        }
        Ok(outcomes)
    }

    /// Decides as many requests as one commit takes, and at least one.
    fn decide_some(
        &mut self,
        now: Timestamp,
        requests: &mut impl Iterator<Item = Request>,
        outcomes: &mut Vec<Outcome>,
    ) -> Result<Changes, StoreError> {
        let mut group = Group {
            now,
            draft: Draft::new(&self.store, &self.recent),
            policy: &self.policy,
            rates: &mut self.rates,
            mailboxes: self.mailboxes,
            channels: self.channels,
            closed: &mut self.closed,
        };
        for request in requests {
            outcomes.push(group.decide(request)?);
            if group.draft.has_many_copies() {
                break;
            }
        }
        let Group { mailboxes, channels, draft, .. } = group;
        let (changes, swept) = draft.into_changes();
        if let Some(swept) = swept {
            self.recent.swept(swept);
        }
        (self.mailboxes, self.channels) = (mailboxes, channels);
        Ok(changes)
    }

    /// What a mailbox's owner should get next after `after`, as long as `credit` lasts. Empty means: nothing waits, or
    /// the credit does not suffice for the next envelope.
    pub fn deliver(
        &self,
        mailbox: MailboxId,
        after: Sequence,
        credit: Credit,
    ) -> Result<Vec<Deliver>, StoreError> {
        deliver(&self.store, mailbox, after, credit)
    }

    /// Mailboxes and channels there are, closed ones included.
    pub fn size(&self) -> (u64, u64) {
        (self.mailboxes, self.channels)
    }

    /// The store.
    pub fn store(&self) -> &S {
        &self.store
    }

    /// Gives the store back, as a restart does.
    pub fn into_store(self) -> S {
        self.store
    }
}

/// [`Relay::deliver`] for those who only read.
pub fn deliver<S: Store>(
    store: &S,
    mailbox: MailboxId,
    after: Sequence,
    credit: Credit,
) -> Result<Vec<Deliver>, StoreError> {
    // The head is read first: what is committed after it is then not mistaken for a gap.
    let Some(Mailbox { head, acked, .. }) = store.mailbox(mailbox)? else { return Ok(Vec::new()) };
    let mut deliver = Vec::new();
    // What is acknowledged may still be there, in part. It is neither waiting nor gone.
    let mut last = after.max(acked);
    for row in store.envelopes(mailbox, last, credit)? {
        let sequence = row.sequence;
        deliver.extend(gone(last, Sequence(sequence.0.saturating_sub(1))));
        deliver.push(Deliver::Envelope(row));
        last = sequence;
    }
    if last < head {
        // Either the credit is used up, or the rest of the range is gone.
        let next = store.envelopes(mailbox, last, Credit { envelopes: 1, bytes: u32::MAX })?;
        let waiting = next.first().map(|row| Sequence(row.sequence.0.saturating_sub(1)));
        deliver.extend(gone(last, waiting.unwrap_or(head)));
    }
    Ok(deliver)
}

/// The range after `last` up to `upto`, unless it is empty.
fn gone(last: Sequence, upto: Sequence) -> Option<Deliver> {
    (upto > last).then(|| Deliver::Gone(Sequence(last.0 + 1), upto))
}

/// One group of requests on its way to one commit. Each request is checked before it changes anything, so that a
/// refused one leaves no trace among the others.
pub(crate) struct Group<'a, S> {
    pub(crate) now: Timestamp,
    pub(crate) draft: Draft<'a, S>,
    pub(crate) policy: &'a Policy,
    pub(crate) rates: &'a mut Rates,
    pub(crate) mailboxes: u64,
    pub(crate) channels: u64,
    pub(crate) closed: &'a mut BTreeSet<MailboxId>,
}

/// What deciding a request gives: an outcome, or a refusal, or no store.
pub(crate) enum Halt {
    Refused(Refusal),
    Store(StoreError),
}

impl From<Refusal> for Halt {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<StoreError> for Halt {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl<S: Store> Group<'_, S> {
    fn decide(&mut self, request: Request) -> Result<Outcome, StoreError> {
        if request.owner().is_some_and(|mailbox| self.closed.contains(&mailbox)) {
            return Ok(Outcome::Refused(Refusal::RegistrationRefused));
        }
        let decided = match request {
            Request::Register { mailbox, register } => self.register(mailbox, &register),
            Request::PutPrekeys { mailbox, entries } => self.put_prekeys(mailbox, entries),
            Request::DropPrekeys { mailbox, below } => self.drop_prekeys(mailbox, below),
            Request::Revoke { mailbox, contact, until } => self.revoke(mailbox, contact, until),
            Request::Claim { mailbox, claim } => self.claim(mailbox, claim),
            Request::Ack { mailbox, upto } => self.ack(mailbox, upto),
            Request::Open(open) => self.open(&open),
            Request::Deposit { entry, deposits } => self.deposit(&entry, deposits),
            Request::Ephemeral { entry, deposit } => self.pass(&entry, deposit),
            Request::FetchPrekeys { entry, fetch } => self.fetch_prekeys(&entry, fetch),
            Request::Create { channel, create, seed } => self.create(channel, create, seed),
            Request::Post { channel, post, seed } => self.post(channel, post, seed),
            Request::Commit { channel, commit, seed } => self.commit(channel, commit, seed),
            Request::PutBlob { mailbox, put } => self.put_blob(mailbox, put),
            Request::AddToken { token, row } => self.add_token(token, row),
            Request::RevokeToken(token) => self.revoke_token(token),
            Request::CloseMailbox { mailbox, blobs, drop_key } => {
                self.close_mailbox(mailbox, &blobs, drop_key)
            }
            Request::Sweep => self.sweep(),
        };
        match decided {
            Ok(outcome) => Ok(outcome),
            Err(Halt::Refused(refusal)) => Ok(Outcome::Refused(refusal)),
            Err(Halt::Store(error)) => Err(error),
        }
    }

    fn open(&self, open: &Open) -> Result<Outcome, Halt> {
        Ok(Outcome::Opened(entry::open(self.draft.store(), self.now, open)??))
    }

    /// Checks an entry at the moment it is used. `from` is the row of its contact.
    pub(crate) fn permit(&self, entry: &Entry, usage: Use, from: &Contact) -> Result<(), Refusal> {
        if self.closed.contains(&entry.mailbox()) {
            return Err(Refusal::NoEntry);
        }
        entry.permits(usage, self.now, from.revoked)
    }

    pub(crate) fn this_hour(&self) -> Hour {
        Hour::of(self.now)
    }
}

/// A delay as refusals carry it.
pub(crate) fn millis(delay: std::time::Duration) -> u32 {
    u32::try_from(delay.as_millis()).unwrap_or(u32::MAX)
}
