//! A group as its members see its channel, without their cryptography: secrets are numbers, rosters are real.

use hermes_relay::{Outcome, Relay, Request, Store, fanout::Seed};
use hermes_wire::{
    ChannelId, ContactId, MailboxId, PostId, Refusal, Sequence,
    channel::{
        Commit, Copy, CopyKey, Create, Epoch, Head, Post, PostToken, PostTokenHash, Roster, RosterEntry,
        RosterKey,
    },
    mailbox::{Deliver, Delivered},
    token::{DropToken, Permission},
};
use serde_bytes::ByteBuf;
use sha2::{Digest, Sha256};

use super::{Ask, NOW, Owner, PLENTY};

/// Bytes that have no eight in common with those of another purpose or number.
pub fn secret(purpose: &str, number: u64) -> [u8; 32] {
    Sha256::new().chain_update(purpose).chain_update(number.to_be_bytes()).finalize().into()
}

pub fn post_id(number: u64) -> PostId {
    PostId(secret("post", number)[..16].try_into().unwrap())
}

pub fn seed(number: u64) -> Seed {
    Seed(secret("seed", number))
}

/// Someone with a mailbox, and what it gave to the group.
#[derive(Clone)]
pub struct Member {
    pub owner: Owner,
    pub contact: ContactId,
    pub key: CopyKey,
}

impl Member {
    pub fn new(seed: u8) -> Self {
        Self::of(Owner::new(seed), seed)
    }

    /// The place of `owner` in another group.
    pub fn of(owner: Owner, number: u8) -> Self {
        let contact = ContactId(secret("contact", number.into())[..16].try_into().unwrap());
        Self { owner, contact, key: CopyKey::new(secret("copy key", number.into())) }
    }

    pub fn token(&self) -> DropToken {
        DropToken { contact: self.contact, permission: Permission::Channel, ..self.owner.token(0) }
    }

    pub fn entry(&self) -> RosterEntry {
        self.entry_with(&self.token())
    }

    pub fn entry_with(&self, token: &DropToken) -> RosterEntry {
        RosterEntry { mailbox: self.owner.mailbox, token: self.owner.issue(token), key: self.key.clone() }
    }

    /// Everything that waits from the channel, as the member reads it.
    pub fn copies<S: Store>(&self, relay: &Relay<S>) -> Vec<Copy> {
        self.envelopes(relay).iter().map(|envelope| self.read(envelope)).collect()
    }

    pub fn envelopes<S: Store>(&self, relay: &Relay<S>) -> Vec<Delivered> {
        let waiting = relay.deliver(self.owner.mailbox, Sequence(0), PLENTY).unwrap();
        let envelopes = waiting.into_iter().filter_map(|deliver| match deliver {
            Deliver::Envelope(envelope) => Some(envelope),
            Deliver::Gone(..) | Deliver::Ephemeral(_) => None,
        });
        envelopes.filter(|envelope| envelope.contact == self.contact).collect()
    }

    pub fn read(&self, envelope: &Delivered) -> Copy {
        let copy = Copy::open(&envelope.body, &self.key, self.owner.mailbox).unwrap();
        assert_eq!(envelope.envelope, copy.text().envelope(&self.key));
        copy
    }

    /// A word for each copy that waits.
    pub fn summary<S: Store>(&self, relay: &Relay<S>) -> Vec<String> {
        self.copies(relay).iter().map(summary).collect()
    }
}

pub fn summary(copy: &Copy) -> String {
    match copy {
        Copy::Message { sequence, epoch, body, .. } => {
            format!("{sequence} message {} in {epoch}", String::from_utf8_lossy(body))
        }
        Copy::Commit { sequence, epoch, body, .. } => {
            format!("{sequence} commit {} of {epoch}", String::from_utf8_lossy(body))
        }
        Copy::Missed { sequence, .. } => format!("{sequence} missed"),
    }
}

/// What every member knows of the channel.
#[derive(Clone)]
pub struct Group {
    pub channel: ChannelId,
    pub epoch: u64,
    pub head: Head,
    pub roster: Roster,
}

impl Group {
    pub fn new(number: u64, members: &[&Member]) -> Self {
        let channel = ChannelId(secret("channel", number));
        Self { channel, epoch: 0, head: Head::first(channel), roster: roster(members) }
    }

    fn secret(&self, purpose: &str, epoch: u64) -> [u8; 32] {
        Sha256::new().chain_update(secret(purpose, epoch)).chain_update(self.channel.0).finalize().into()
    }

    pub fn token(&self) -> PostToken {
        PostToken::new(self.secret("token", self.epoch))
    }

    pub fn roster_key(&self) -> RosterKey {
        RosterKey::new(self.secret("roster", self.epoch))
    }

    fn epoch_from(&self, before: &Roster) -> Epoch {
        Epoch {
            token: PostTokenHash::of(&self.token()),
            change: before.change_to(&self.roster).unwrap(),
            roster: self.roster.hash(self.channel),
            key: self.roster_key(),
        }
    }

    pub fn create(&self) -> Create {
        let post = PostId(self.secret("create", 0)[..16].try_into().unwrap());
        Create { post, number: self.epoch, epoch: self.epoch_from(&Roster::default()) }
    }

    pub fn post(&self, number: u64, body: &[u8]) -> Post {
        Post {
            post: post_id(number),
            epoch: self.epoch,
            token: self.token(),
            roster: self.roster_key(),
            body: ByteBuf::from(body.to_vec()),
        }
    }

    /// A commit, and the group after it.
    pub fn commit(&self, number: u64, body: &[u8], roster: Roster) -> (Commit, Self) {
        let next = Self { epoch: self.epoch + 1, head: self.head.after(body), roster, ..self.clone() };
        let Post { post, epoch, token, roster, body } = self.post(number, body);
        let then = next.epoch_from(&self.roster);
        (Commit { post, epoch, token, roster, head: self.head, body, next: then }, next)
    }

    pub fn creates<S: Store>(&self, relay: &mut Relay<S>) -> Outcome {
        relay.ask(NOW, self.create_request(self.create()))
    }

    pub fn create_request(&self, create: Create) -> Request {
        Request::Create { channel: self.channel, create, seed: seed(0) }
    }

    pub fn post_request(&self, post: Post) -> Request {
        let seed = seed(u64::from_be_bytes(post.post.0[..8].try_into().unwrap()));
        Request::Post { channel: self.channel, post, seed }
    }

    pub fn commit_request(&self, commit: Commit) -> Request {
        let seed = seed(u64::from_be_bytes(commit.post.0[..8].try_into().unwrap()));
        Request::Commit { channel: self.channel, commit, seed }
    }

    /// Posts at the usual time; the place in the channel.
    pub fn posts<S: Store>(&self, relay: &mut Relay<S>, number: u64, body: &[u8]) -> Result<u64, Refusal> {
        place(relay.ask(NOW, self.post_request(self.post(number, body))))
    }

    pub fn commits<S: Store>(&self, relay: &mut Relay<S>, commit: &Commit) -> Result<u64, Refusal> {
        place(relay.ask(NOW, self.commit_request(commit.clone())))
    }
}

/// The members at leaves 0, 1, 2…
pub fn roster(members: &[&Member]) -> Roster {
    Roster::new((0..).zip(members.iter().map(|member| member.entry()))).unwrap()
}

pub fn place(outcome: Outcome) -> Result<u64, Refusal> {
    match outcome {
        Outcome::Posted { sequence, .. } => Ok(sequence.0),
        Outcome::Refused(refusal) => Err(refusal),
        other => panic!("{other:?}"),
    }
}

/// Whose mailboxes have something new.
pub fn reached(outcome: Outcome) -> Vec<MailboxId> {
    match outcome {
        Outcome::Posted { reached, .. } => reached,
        other => panic!("{other:?}"),
    }
}
