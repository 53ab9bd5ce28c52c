//! A stream to a channel: creates, posts and commits, one after the other.

use hermes_wire::{
    Advice, ChannelId, PostId, Refusal, VERSION,
    channel::{Create, OpenChannel, PostToken},
    drop::{FromDrop, ToDrop},
};

use tokio::time::timeout;

use super::{End, Stream, draining};
use crate::{
    channel, fanout,
    fanout::Seed,
    limits::FIRST_FRAME,
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
        self.reader.lift_limit();
        let mut proven = false;
        loop {
            // Until one of its posts is taken, this can be anybody, who waits for a turn to send half a frame.
            let turn = match proven {
                true => None,
                false => match timeout(FIRST_FRAME, self.shared.unproven.clone().acquire_owned()).await {
                    Ok(turn) => turn.ok(),
                    Err(_) => return End::Finished,
                },
            };
            let frame = match self.frame().await {
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
            drop(turn);
            if self.has_posted && !proven {
                proven = true;
                self.has_proven_itself();
            }
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
        match self.read(move |store| fanout::vouched(store, &first)).await {
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
