//! A stream to a channel: creates, posts and commits, one after the other.

use hermes_link::frame::ReadError;
use hermes_wire::{
    Advice, ChannelId, PostId, Refusal, VERSION,
    channel::{Create, OpenChannel, PostToken},
    drop::{FromDrop, ToDrop},
    limits::DROP_IDLE,
};

use tokio::time::timeout;

use super::{End, Stream, draining};
use crate::{
    channel, clock, fanout,
    fanout::Seed,
    limits::{FIRST_FRAME, FIRST_FRAME_BYTES, UNPROVEN_FRAME},
    relay::{Outcome, Request},
};

impl Stream<'_> {
    pub(super) async fn serve_channel(&mut self, open: OpenChannel) -> End {
        if open.version != VERSION {
            let refusal = Refusal::Version { min: VERSION, max: VERSION };
            return self.last(&FromDrop::OpenRefused(refusal)).await;
        }
        if *self.shared.draining.borrow() {
            return self.last(&FromDrop::OpenRefused(draining())).await;
        }
        // Whether there is such a channel is for those to know who have its token.
        if let Err(end) = self.say(&FromDrop::Opened).await {
            return end;
        }
        let mut proven = false;
        loop {
            let frame = if proven { self.frame().await } else { self.first_frame().await };
            let frame = match frame {
                Ok(Some(frame)) => frame,
                Ok(None) => return End::Finished,
                Err(end) => return end,
            };
            let answered = match frame {
                ToDrop::Create(create) => self.create(open.channel, create).await,
                ToDrop::Post(post) => {
                    let (id, token) = (post.post, post.token.clone());
                    let request = Request::Post { channel: open.channel, post, seed: seed() };
                    self.post(open.channel, id, token, request).await
                }
                ToDrop::Commit(commit) => {
                    let (id, token) = (commit.post, commit.token.clone());
                    let request = Request::Commit { channel: open.channel, commit, seed: seed() };
                    self.post(open.channel, id, token, request).await
                }
                _ => return End::BadFrame,
            };
            if let Err(end) = answered {
                return end;
            }
            if self.has_posted && !proven {
                proven = true;
                self.has_proven_itself();
            }
        }
    }

    /// A frame of somebody of whom no post was taken yet, who may be anybody. A long one waits until there is room for it,
    /// and has to come quickly then.
    async fn first_frame(&mut self) -> Result<Option<ToDrop>, End> {
        let begun = tokio::select! {
            begun = timeout(DROP_IDLE, self.reader.begun()) => begun,
            () = self.shared.drain_began() => return Ok(None),
        };
        let length = match begun {
            Ok(Ok(Some(length))) if length <= FIRST_FRAME_BYTES => return self.frame().await,
            Ok(Ok(Some(length))) => length,
            Ok(Ok(None)) | Err(_) => return Ok(None),
            Ok(Err(ReadError::Malformed(_))) => return Err(End::BadFrame),
            Ok(Err(_)) => return Err(End::Lost),
        };
        // One of a connection at a time, so that it takes as many connections as there is room to fill it.
        let Ok(_one) = timeout(FIRST_FRAME, self.first_frames.acquire()).await else { return Ok(None) };
        let Ok(_room) = timeout(FIRST_FRAME, self.shared.unproven.acquire()).await else { return Ok(None) };
        // What follows it has to wait for room as well.
        self.reader.limit(length);
        let read = timeout(UNPROVEN_FRAME, self.reader.next()).await;
        self.reader.limit(FIRST_FRAME_BYTES);
        match read {
            Ok(Ok(frame)) => Ok(frame),
            Ok(Err(ReadError::Malformed(_))) => Err(End::BadFrame),
            Ok(Err(_)) => Err(End::Lost),
            Err(_) => Ok(None),
        }
    }

    /// One signature is checked here rather than by the committer, whose time belongs to all: without a mailbox at this
    /// relay nobody takes it up.
    async fn create(&mut self, channel: ChannelId, create: Create) -> Result<(), End> {
        let id = create.post;
        if *self.shared.draining.borrow() {
            return self.refuse(id, draining()).await;
        }
        let Some(first) = create.epoch.change.entering().next().cloned() else {
            return self.refuse(id, Refusal::RosterMismatch).await;
        };
        match self.read(move |store| fanout::vouched(store, clock::now(), &first)).await {
            Ok(true) => {}
            Ok(false) => return self.refuse(id, Refusal::RosterMismatch).await,
            Err(refusal) => return self.refuse(id, refusal).await,
        }
        match self.submit(Request::Create { channel, create, seed: seed() }).await {
            Outcome::Created => {
                self.has_posted = true;
                self.say(&FromDrop::Created(id)).await
            }
            Outcome::Refused(refusal) => self.refuse(id, refusal).await,
            _ => Err(End::BadFrame),
        }
    }

    /// The token is checked here first, and again by the committer: a stranger's posts never reach it.
    async fn post(
        &mut self,
        channel: ChannelId,
        id: PostId,
        token: PostToken,
        request: Request,
    ) -> Result<(), End> {
        if *self.shared.draining.borrow() {
            return self.refuse(id, draining()).await;
        }
        match self.read(move |store| channel::admit(store, channel, &token)).await {
            Ok(Ok(_)) => {}
            Ok(Err(refusal)) | Err(refusal) => return self.refuse(id, refusal).await,
        }
        match self.submit(request).await {
            Outcome::Posted { sequence, .. } => {
                self.has_posted = true;
                self.say(&FromDrop::Posted(id, sequence)).await
            }
            Outcome::Refused(refusal) => self.refuse(id, refusal).await,
            _ => Err(End::BadFrame),
        }
    }

    /// After a refusal that is not final the stream ends: what follows on it was made in the same epoch, or must not
    /// overtake what is to be repeated.
    async fn refuse(&mut self, id: PostId, refusal: Refusal) -> Result<(), End> {
        let over = refusal.advice() != Advice::Permanent;
        self.say(&FromDrop::PostRefused(id, refusal)).await?;
        if over { Err(End::Finished) } else { Ok(()) }
    }
}

fn seed() -> Seed {
    Seed(rand::random())
}
