//! Messages to a group.

use hermes_protocol::group::{EpochKeys, Leaf, SenderChain, seal};
use hermes_wire::{EnvelopeId, PostId, Refusal, channel as wire, drop::ToDrop};
use serde_bytes::ByteBuf;

use super::{
    GroupRecord, GroupStanding, LostReason, MemberKey, Post, SenderChainRow, UploadRecord, record::Overtaken,
};
use crate::{
    effect::{Effect, SendError},
    id::ChatId,
    input::OutboxKey,
    row::{OutboxRecord, SecretBuf, StoreStanding},
    rows::{self, Key, ReadError, StoreResult},
    store::{Range, Table, View},
    turn::Turn,
};

/// Outbox rows among which a post is looked for: they leave in order, and come back in order.
const ROWS_AT_ONCE: usize = 64;

/// What became of sealing for a group.
pub(crate) enum SealedPost {
    /// In this epoch.
    Sealed(u64, Vec<u8>),
    /// A change is under way: it waits for the next epoch.
    Waits,
}

impl<V: View> Turn<'_, V> {
    /// Seals a message in the group's epoch.
    pub(crate) fn seal_post(
        &mut self,
        chat: ChatId,
        group: &GroupRecord,
        plaintext: &[u8],
    ) -> StoreResult<Result<SealedPost, SendError>, V> {
        if let StoreStanding::Stopped { .. } = self.counters.standing {
            return Ok(Err(SendError::CopyStopped));
        }
        if let Err(error) = may_post(group) {
            return Ok(Err(error));
        }
        let recovers = self.counters.standing != StoreStanding::Newest;
        if recovers || group.pending.is_some() || group.awaiting.is_some() {
            return Ok(Ok(SealedPost::Waits));
        }
        let keys = self.epoch_keys(group)?;
        let chain = self.chain(chat, keys.me())?.ok_or(ReadError::Corrupt(Table::SenderChain))?;
        match seal(&keys, &chain, plaintext, self.rng) {
            Ok((next, body)) => {
                self.put_chain(chat, &next);
                Ok(Ok(SealedPost::Sealed(keys.number(), body)))
            }
            Err(error) => Ok(Err(SendError::Session(group.name.clone(), error.to_string()))),
        }
    }

    pub(super) fn chain(&self, chat: ChatId, leaf: Leaf) -> StoreResult<Option<SenderChain>, V> {
        let Some(SenderChainRow(bytes)) = self.get(&MemberKey(chat, leaf))? else { return Ok(None) };
        let chain =
            SenderChain::from_bytes(bytes.expose()).map_err(|_| ReadError::Corrupt(Table::SenderChain));
        chain.map(Some)
    }

    pub(super) fn put_chain(&mut self, chat: ChatId, chain: &SenderChain) {
        self.put(&MemberKey(chat, chain.leaf()), &SenderChainRow(SecretBuf::new(&chain.to_bytes())));
    }

    /// Puts something for the group's channel into the outbox.
    pub(crate) fn queue_post(
        &mut self,
        chat: ChatId,
        post: Post,
        body: Vec<u8>,
        message: Option<u64>,
    ) -> PostId {
        let position = self.next_position();
        let id = EnvelopeId::random(self.rng);
        let row = OutboxRecord {
            envelope: id,
            body: ByteBuf::from(body),
            queued: self.now,
            message,
            post: Some(post),
        };
        self.put(&OutboxKey { chat, position }, &row);
        self.counters.outbox = self.counters.outbox.saturating_add(1);
        self.effects.push(Effect::Outbox(chat));
        PostId(id.0)
    }

    /// The relay will not take a row of a group's channel, or not as it is.
    pub(crate) fn post_refused(
        &mut self,
        key: OutboxKey,
        row: &OutboxRecord,
        refusal: Refusal,
    ) -> StoreResult<(), V> {
        let group: Option<GroupRecord> = self.get(&key.chat)?;
        let mut group = group.ok_or(ReadError::Corrupt(Table::Group))?;
        // The next epoch is on its way here, or will be: what was for this one is made anew then.
        let overtaken = match refusal {
            Refusal::StaleEpoch { .. } => Some(LostReason::Missed),
            Refusal::NoEntry => Some(LostReason::RelayDiffers),
            _ => None,
        };
        match (&row.post, overtaken) {
            (Some(Post::Message { .. } | Post::Commit { .. }), Some(reason)) => {
                let overtaken = Overtaken { since: self.now, reason, reopened: false, head: None };
                group.overtaken.get_or_insert(overtaken);
                self.put(&key.chat, &group);
                self.withdraw_row(key, row)
            }
            (Some(Post::Message { .. } | Post::Commit { .. }), None)
                if matches!(refusal, Refusal::EpochAhead { .. }) =>
            {
                self.lose(key.chat, group, LostReason::RelayDiffers)
            }
            (Some(Post::Commit { .. }), None) => {
                self.remove_row(key);
                self.give_up_commit(key.chat, group, refusal)
            }
            (Some(Post::Create { .. } | Post::Opening { .. }), _) => {
                self.remove_row(key);
                self.channel_refused(key.chat, group, refusal)
            }
            (Some(Post::Message { .. }) | None, _) => self.refuse_row(key, refusal),
        }
    }

    /// The epoch is over: what was sealed in it and has not left is sealed anew in the next one. What the relay had taken
    /// before has come back before.
    pub(super) fn withdraw_posts(&mut self, chat: ChatId) -> StoreResult<(), V> {
        self.withdraw_commits(chat)?;
        self.withdraw_from(chat, 0)
    }

    /// Takes back commits that have not left, and the blobs that they wait for.
    pub(super) fn withdraw_commits(&mut self, chat: ChatId) -> StoreResult<(), V> {
        let mut range = Range::prefix(&chat.0);
        loop {
            let rows = self.scan::<OutboxRecord>(&range, ROWS_AT_ONCE)?;
            let Some((last, _)) = rows.last() else { return Ok(()) };
            range.from = OutboxKey { chat, position: last.position.saturating_add(1) }.to_bytes();
            for (key, row) in rows {
                if let Some(Post::Commit { blobs, .. } | Post::Opening { blobs, .. }) = row.post {
                    self.remove_row(key);
                    for blob in blobs {
                        self.forget_upload(blob)?;
                    }
                }
            }
        }
    }

    /// A post of ours has come back: the relay has it, whether its receipt arrived or not.
    pub(super) fn settle_post(&mut self, chat: ChatId, post: PostId) -> StoreResult<(), V> {
        let rows = self.scan::<OutboxRecord>(&Range::prefix(&chat.0), ROWS_AT_ONCE)?;
        match rows.into_iter().find(|(_, row)| row.envelope.0 == post.0) {
            Some((key, _)) => self.deposited(key),
            None => Ok(()),
        }
    }
}

/// Whether a message may be written to the group at all.
pub(crate) fn may_post(group: &GroupRecord) -> Result<(), SendError> {
    let why = match &group.standing {
        GroupStanding::Member => return Ok(()),
        GroupStanding::Leaving => "you are leaving it",
        GroupStanding::Frozen(..) => "a member broke its rules",
        GroupStanding::Removed(_) => "you were removed from it",
        GroupStanding::Left => "you left it",
        GroupStanding::Lost(_) => "this account has no place in it any more",
        GroupStanding::Refused(_) => "the relay did not take it",
    };
    Err(SendError::GroupClosed(group.name.clone(), why))
}

/// What is said to the relay for an outbox row of a group; nothing while it has to wait for a blob, or is of an epoch that
/// is over and about to be sealed anew.
pub(crate) fn frame<V: View>(
    view: &V,
    chat: ChatId,
    post: PostId,
    kind: Post,
    body: ByteBuf,
) -> StoreResult<Option<ToDrop>, V> {
    let group: GroupRecord = rows::get(view, &chat)?.ok_or(ReadError::Corrupt(Table::Group))?;
    let keys = EpochKeys::from_bytes(group.keys.expose()).map_err(|_| ReadError::Corrupt(Table::Group))?;
    let (token, roster) = (keys.post_token(), keys.roster_key());
    Ok(match kind {
        Post::Create { number, first } => Some(ToDrop::Create(wire::Create { post, number, epoch: first })),
        Post::Message { epoch } if epoch == group.epoch => {
            Some(ToDrop::Post(wire::Post { post, epoch, token, roster, body }))
        }
        Post::Commit { epoch, .. } if epoch != group.epoch => None,
        Post::Commit { epoch, head, next, blobs } | Post::Opening { epoch, head, next, blobs } => {
            for blob in blobs {
                if rows::get::<UploadRecord, _>(view, &blob)?.is_some() {
                    return Ok(None);
                }
            }
            Some(ToDrop::Commit(wire::Commit { post, epoch, token, roster, head, body, next }))
        }
        Post::Message { .. } => None,
    })
}
