//! Channels: one order of posts and commits for all members. A commit is a compare-and-swap of the epoch.

use hermes_wire::{
    ChannelId, PostId, Refusal, Sequence,
    channel::{
        Commit, Copy, Create, Epoch, Head, Post, PostToken, PostTokenHash, Roster, RosterHash, RosterKey,
    },
    limits::POST_BYTES,
};
use sha2::{Digest, Sha256};
use subtle::{Choice, ConditionallySelectable, ConstantTimeEq};

use crate::{
    fanout::{Nonces, Seed, Weight},
    limits::{
        BUSY_RETRY, CHANNEL_IDLE, COPIES_A_POST, COPY_OVERHEAD, EARLIER_TOKENS, MAILBOX_CHANNELS,
        POST_MEMORY, TOKEN_CHANNELS,
    },
    rate::Bucket,
    relay::{Group, Halt, Outcome, millis},
    store::{About, Channel, Hour, Posted, Remembered, Reminder, Store, StoreError},
};

/// Which epoch of a channel a post token belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// The one that the channel is in.
    Current,
    /// One that a commit has ended lately.
    Over,
}

/// Checks a post token. Whether there is no such channel or the token is not one of its latest, the answer is
/// [`Refusal::NoEntry`] after one read and the same comparisons.
pub fn admit<S: Store>(
    store: &S,
    channel: ChannelId,
    token: &PostToken,
) -> Result<Result<Standing, Refusal>, StoreError> {
    Ok(standing(store.channel(channel)?.as_ref(), token).ok_or(Refusal::NoEntry))
}

/// Compares all hashes there could be, also where there is no channel.
fn standing(row: Option<&Channel>, token: &PostToken) -> Option<Standing> {
    let none = PostTokenHash([0; 32]);
    let given = PostTokenHash::of(token);
    let is = |held: Option<&PostTokenHash>| {
        let equal = held.unwrap_or(&none).as_bytes().ct_eq(given.as_bytes());
        equal & Choice::from(u8::from(held.is_some()))
    };
    let current = is(row.map(|row| &row.token));
    let earlier = (0..EARLIER_TOKENS)
        .fold(Choice::from(0), |any, place| any | is(row.and_then(|row| row.earlier.get(place))));
    match u8::conditional_select(&earlier.unwrap_u8(), &2, current) {
        2 => Some(Standing::Current),
        1 => Some(Standing::Over),
        _ => None,
    }
}

impl<S: Store> Group<'_, S> {
    /// Makes a channel, on the strength of its first entry.
    pub(crate) fn create(&mut self, channel: ChannelId, create: Create, seed: Seed) -> Result<Outcome, Halt> {
        let Create { post, number, epoch } = create;
        let first = epoch.change.entering().next().ok_or(Refusal::RosterMismatch)?;
        let contact = self.check_entry(first)?;
        let is_there = self.draft.channel(channel)?.is_some();
        if is_there {
            // Who hears no answer asks again and again; it makes none, and costs what any deposit costs.
            let deposits = Bucket::Deposits(first.mailbox, contact);
            self.rates.take(deposits, self.policy.limits.deposits, self.now)?;
        } else {
            self.rates.take(Bucket::Channels(first.mailbox, contact), TOKEN_CHANNELS, self.now)?;
            self.rates.take(Bucket::MailboxChannels(first.mailbox), MAILBOX_CHANNELS, self.now)?;
        }
        let parts: [&[u8]; 3] = [epoch.token.as_bytes(), epoch.roster.as_bytes(), &number.to_be_bytes()];
        let content = content(b"create", &parts);
        if is_there {
            return match self.posted_before(channel, post, content)? {
                Some(_) => Ok(Outcome::Created),
                None => Err(Refusal::IdConflict.into()),
            };
        }
        if self.channels >= self.policy.limits.channels {
            return Err(Refusal::Busy { retry_ms: millis(BUSY_RETRY) }.into());
        }
        let roster = self.next_roster(channel, Roster::default(), &epoch)?;
        let sealed = roster.seal(&epoch.key, channel, number, &Nonces::new(seed).next());
        self.draft.put_roster(channel, sealed);
        let row = Channel {
            epoch: number,
            head: Head::first(channel),
            token: epoch.token,
            earlier: Vec::new(),
            roster: epoch.roster,
            sequence: Sequence(0),
            used: self.now,
        };
        self.channels += 1;
        self.draft.put_channel(channel, row);
        self.remember(channel, post, Posted { content, sequence: Sequence(0) })?;
        let due = Hour::after(self.now, CHANNEL_IDLE);
        self.draft.remind(Reminder { due, about: About::Channel(channel) }, Vec::new());
        Ok(Outcome::Created)
    }

    pub(crate) fn post(&mut self, channel: ChannelId, post: Post, seed: Seed) -> Result<Outcome, Halt> {
        let content = content(b"post", &[&post.body]);
        let asked =
            Asked { id: post.post, epoch: post.epoch, token: &post.token, length: post.body.len(), content };
        let row = match self.stand(channel, asked)? {
            Stand::Repeat(sequence) => return Ok(Outcome::Posted { sequence, reached: Vec::new() }),
            Stand::Next(row) => row,
        };
        let roster = self.open_roster(channel, &row, &post.roster)?;
        self.weigh(channel, &roster)?;
        let sequence = next(row.sequence);
        let Post { post, body, .. } = post;
        let copy = Copy::Message { channel, sequence, epoch: row.epoch, post, body };
        let reached = self.fan_out(&roster, &copy, Weight::Message, &mut Nonces::new(seed))?;
        self.draft.put_channel(channel, Channel { sequence, used: self.now, ..row });
        self.remember(channel, post, Posted { content, sequence })?;
        Ok(Outcome::Posted { sequence, reached })
    }

    /// The first commit of an epoch wins. It goes to the roster that it ends: those who leave hear of it, those who come
    /// have nothing to read it with.
    pub(crate) fn commit(&mut self, channel: ChannelId, commit: Commit, seed: Seed) -> Result<Outcome, Halt> {
        let Commit { post, epoch, token, roster: key, head, body, next: then } = commit;
        let content = content(b"commit", &[&body]);
        let asked = Asked { id: post, epoch, token: &token, length: body.len(), content };
        let row = match self.stand(channel, asked)? {
            Stand::Repeat(sequence) => return Ok(Outcome::Posted { sequence, reached: Vec::new() }),
            Stand::Next(row) => row,
        };
        if head != row.head {
            return Err(stale(&row));
        }
        let roster = self.open_roster(channel, &row, &key)?;
        self.weigh(channel, &roster)?;
        let next_roster = self.next_roster(channel, roster.clone(), &then)?;
        let mut nonces = Nonces::new(seed);
        let next_epoch = row.epoch.saturating_add(1);
        let sealed = next_roster.seal(&then.key, channel, next_epoch, &nonces.next());
        let (sequence, head) = (next(row.sequence), head.after(&body));
        let copy = Copy::Commit { channel, sequence, epoch: row.epoch, post, roster: then.roster, body };
        let reached = self.fan_out(&roster, &copy, Weight::Commit, &mut nonces)?;
        self.draft.put_roster(channel, sealed);
        let earlier = std::iter::once(row.token).chain(row.earlier).take(EARLIER_TOKENS).collect();
        let next_row = Channel {
            epoch: next_epoch,
            head,
            token: then.token,
            earlier,
            roster: then.roster,
            sequence,
            used: self.now,
        };
        self.draft.put_channel(channel, next_row);
        self.remember(channel, post, Posted { content, sequence })?;
        Ok(Outcome::Posted { sequence, reached })
    }

    /// Whether something may be posted next. What was posted before is answered whatever became of its epoch.
    fn stand(&mut self, channel: ChannelId, asked: Asked) -> Result<Stand, Halt> {
        let row = self.draft.channel(channel)?;
        let standing = standing(row.as_ref(), asked.token).ok_or(Refusal::NoEntry)?;
        let row = row.ok_or(Refusal::NoEntry)?;
        // After the token, so that a stranger cannot use the members' rate up.
        self.rates.take(Bucket::Posts(channel), self.policy.limits.posts, self.now)?;
        let room = self.policy.limits.envelope_bytes.saturating_sub(COPY_OVERHEAD);
        let max = room.min(POST_BYTES as u32);
        if asked.length > max as usize {
            return Err(Refusal::TooLarge { max }.into());
        }
        if let Some(sequence) = self.posted_before(channel, asked.id, asked.content)? {
            return Ok(Stand::Repeat(sequence));
        }
        if asked.epoch > row.epoch {
            return Err(Refusal::EpochAhead { epoch: row.epoch }.into());
        }
        if standing == Standing::Over || asked.epoch < row.epoch {
            return Err(stale(&row));
        }
        Ok(Stand::Next(row))
    }

    fn open_roster(&self, channel: ChannelId, row: &Channel, key: &RosterKey) -> Result<Roster, Halt> {
        let sealed = self.draft.roster(channel)?.ok_or(StoreError::Damaged { table: "rosters" })?;
        let opened = Roster::open(&sealed, key, channel, row.epoch);
        Ok(opened.map_err(|_| Refusal::RosterMismatch)?)
    }

    /// What goes to many costs as much as several posts.
    fn weigh(&mut self, channel: ChannelId, roster: &Roster) -> Result<(), Halt> {
        let further = u32::try_from(roster.len() / COPIES_A_POST).unwrap_or(u32::MAX);
        Ok(self.rates.take_some(Bucket::Posts(channel), self.policy.limits.posts, further, self.now)?)
    }

    /// The roster of an epoch, if it is the declared one and everyone who is new in it has let the channel in.
    fn next_roster(&self, channel: ChannelId, before: Roster, next: &Epoch) -> Result<Roster, Halt> {
        let roster = before.changed(&next.change).map_err(|_| Refusal::RosterMismatch)?;
        let hash: RosterHash = roster.hash(channel);
        if hash != next.roster {
            return Err(Refusal::RosterMismatch.into());
        }
        next.change.entering().try_for_each(|entry| self.check_entry(entry).map(|_| ()))?;
        Ok(roster)
    }

    fn posted_before(
        &self,
        channel: ChannelId,
        post: PostId,
        content: [u8; 32],
    ) -> Result<Option<Sequence>, Halt> {
        match self.draft.posted(channel, post)? {
            Some(earlier) if earlier.content == content => Ok(Some(earlier.sequence)),
            Some(_) => Err(Refusal::IdConflict.into()),
            None => Ok(None),
        }
    }

    /// Remembers a post, in the place of the one that is so many before it.
    fn remember(&mut self, channel: ChannelId, post: PostId, posted: Posted) -> Result<(), StoreError> {
        let place = self.place_of(posted.sequence);
        if let Some(Remembered { post, due }) = self.draft.remembered(channel, place)? {
            self.draft.forget_posted(channel, post);
            self.draft.forget_reminder(Reminder { due, about: About::Post(channel, post) });
        }
        self.draft.put_posted(channel, post, posted);
        let due = Hour::after(self.now, self.policy.limits.envelope_ttl.saturating_add(POST_MEMORY));
        self.draft.put_remembered(channel, place, Some(Remembered { post, due }));
        self.draft.remind(Reminder { due, about: About::Post(channel, post) }, Vec::new());
        Ok(())
    }

    fn place_of(&self, sequence: Sequence) -> u32 {
        let places = u64::from(self.policy.limits.posts_remembered.max(1));
        u32::try_from(sequence.0 % places).unwrap_or(u32::MAX)
    }

    /// Its time is over.
    pub(crate) fn forget_post(&mut self, channel: ChannelId, post: PostId) -> Result<(), StoreError> {
        let Some(posted) = self.draft.posted(channel, post)? else { return Ok(()) };
        let place = self.place_of(posted.sequence);
        if self.draft.remembered(channel, place)?.is_some_and(|remembered| remembered.post == post) {
            self.draft.put_remembered(channel, place, None);
        }
        self.draft.forget_posted(channel, post);
        Ok(())
    }

    /// Drops a channel in which nothing happens, or looks again when it may have become one.
    pub(crate) fn forget_channel(&mut self, channel: ChannelId) -> Result<(), StoreError> {
        let Some(row) = self.draft.channel(channel)? else { return Ok(()) };
        if row.used.after(CHANNEL_IDLE) > self.now {
            let due = Hour::after(row.used, CHANNEL_IDLE);
            self.draft.remind(Reminder { due, about: About::Channel(channel) }, Vec::new());
            return Ok(());
        }
        self.draft.forget_channel(channel);
        self.channels = self.channels.saturating_sub(1);
        Ok(())
    }
}

/// What a post and a commit have in common.
struct Asked<'a> {
    id: PostId,
    epoch: u64,
    token: &'a PostToken,
    length: usize,
    content: [u8; 32],
}

enum Stand {
    /// It has this place already.
    Repeat(Sequence),
    /// It comes next in this channel.
    Next(Channel),
}

fn stale(row: &Channel) -> Halt {
    Refusal::StaleEpoch { epoch: row.epoch, head: row.head }.into()
}

fn next(sequence: Sequence) -> Sequence {
    Sequence(sequence.0.saturating_add(1))
}

/// Tells a repeat from another use of its id. Of the parts, only the last may have any length.
fn content(kind: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    let hash = Sha256::new().chain_update(kind);
    parts.iter().fold(hash, |hash, part| hash.chain_update(part)).finalize().into()
}
