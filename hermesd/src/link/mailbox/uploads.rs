//! What the relay is to have: prekeys, a frame at a time, and blobs, a piece at a time and each piece once it is durable
//! up to there.

use hermes_engine::{
    Command, GuestEvent, LinkEvent,
    query::{self, Upload},
};
use hermes_wire::{Advice, BlobId, Refusal, blob::PutBlob, mailbox::ToRelay};
use tokio::{
    sync::oneshot,
    time::{Instant, sleep_until},
};

use super::{
    super::{
        LinkError,
        board::{MailboxState, Reason, bounded},
    },
    End,
    deliveries::{Pending, Settles},
    session::Session,
};
use crate::account::Work;

/// The blob under way.
#[derive(Debug, Default)]
pub(super) enum BlobUpload {
    #[default]
    None,
    /// A piece was sent, and the relay should have the blob up to its end.
    Sent {
        upload: Upload,
        upto: u32,
        /// It was the first piece on this connection: the relay may have more already.
        first: bool,
    },
    /// The relay has all of it, and the account's thread is about to know.
    Stored,
    /// The relay has no room until then.
    Later(Instant),
}

impl BlobUpload {
    /// Resolves when an upload that had to wait may be tried again. Cancel-safe.
    pub(super) async fn may_go_on(&self) {
        match self {
            Self::Later(at) => sleep_until(*at).await,
            Self::None | Self::Sent { .. } | Self::Stored => std::future::pending().await,
        }
    }
}

impl Session<'_> {
    /// Uploads one frame of prekeys, if there are any and no upload is under way.
    pub(super) async fn upload_prekeys(&mut self) -> Result<(), End> {
        if self.uploading.is_some() || !self.settled {
            return Ok(());
        }
        let prekeys = self.link.read(query::prekeys_to_publish).await?;
        if !prekeys.is_empty() {
            self.uploading = Some(prekeys.iter().map(|prekey| prekey.kind).collect());
            self.writer.push(&ToRelay::PutPrekeys(prekeys));
        }
        // Until its first keys are up, an account cannot be written to, and whoever waits for it waits for that.
        if self.link.read(query::summary).await?.registered {
            self.link.board.set_mailbox(MailboxState::Connected);
        }
        Ok(())
    }

    /// Has the engine give contacts what they need to add this account to a group.
    pub(super) async fn give_key_packages(&self) -> Result<(), End> {
        // Nobody waits for the answer: who has none after a failure gets some the next time.
        let (reply, _) = oneshot::channel();
        let command = Work::Command(Command::GiveKeyPackages, reply);
        self.link.work.send(command).await.map_err(|_| End::Link(LinkError::Closed))
    }

    /// Begins with a blob, if there is one and none is under way.
    pub(super) async fn upload_blob(&mut self) -> Result<(), End> {
        let waits = match self.blob {
            BlobUpload::None => false,
            BlobUpload::Later(at) => at > Instant::now(),
            BlobUpload::Sent { .. } | BlobUpload::Stored => true,
        };
        if waits || !self.settled {
            return Ok(());
        }
        self.blob = BlobUpload::None;
        let guest = self.guest;
        match self.link.read(move |view| query::uploads_over(view, guest)).await?.first() {
            Some(upload) => self.put_part(*upload, 0, true).await,
            None => Ok(()),
        }
    }

    /// Sends the piece that begins at `offset`.
    async fn put_part(&mut self, upload: Upload, offset: u32, first: bool) -> Result<(), End> {
        let Upload { blob, total } = upload;
        let part = self.link.read(move |view| query::upload_part(view, blob, offset)).await?;
        let Some(bytes) = part else {
            // Nobody waits for it any more; or the relay claims to have it up to a place where no piece ends.
            return Ok(());
        };
        let upto = offset.saturating_add(u32::try_from(bytes.len()).unwrap_or(u32::MAX));
        self.writer.push(&ToRelay::PutBlob(PutBlob { blob, total, offset, bytes: bytes.into() }));
        self.blob = BlobUpload::Sent { upload, upto, first };
        Ok(())
    }

    /// The relay has so much of a blob.
    pub(super) async fn blob_stored(&mut self, blob: BlobId, stored: u32) -> Result<(), End> {
        let BlobUpload::Sent { upload, upto, first } = std::mem::take(&mut self.blob) else {
            return Err(End::Broken(Reason::Misbehaved));
        };
        // A relay that goes back would have us send the same for ever.
        let goes_on = stored == upto || (first && stored > upto && stored <= upload.total);
        if upload.blob != blob || !goes_on {
            return Err(End::Broken(Reason::Misbehaved));
        }
        if stored < upload.total {
            self.put_part(upload, stored, false).await?;
            // If it is not wanted any more, another may be.
            return if matches!(self.blob, BlobUpload::None) { self.upload_blob().await } else { Ok(()) };
        }
        self.blob_done(match self.guest {
            None => LinkEvent::BlobStored(blob),
            Some(guest) => LinkEvent::Guest(guest, GuestEvent::BlobStored(blob)),
        })
        .await
    }

    /// The relay does not take a blob.
    pub(super) async fn blob_refused(&mut self, blob: BlobId, refusal: Refusal) -> Result<(), End> {
        match std::mem::take(&mut self.blob) {
            BlobUpload::Sent { upload, .. } if upload.blob == blob => {}
            _ => return Err(End::Broken(Reason::Misbehaved)),
        }
        match refusal.advice() {
            Advice::RetryAfter(wait) => {
                tracing::info!(%refusal, "the relay takes no blob yet");
                self.blob = BlobUpload::Later(Instant::now() + bounded(wait));
                Ok(())
            }
            Advice::Permanent | Advice::CatchUp => {
                self.blob_done(match self.guest {
                    None => LinkEvent::BlobRefused(blob, refusal),
                    Some(guest) => LinkEvent::Guest(guest, GuestEvent::BlobRefused(blob, refusal)),
                })
                .await
            }
        }
    }

    async fn blob_done(&mut self, event: LinkEvent) -> Result<(), End> {
        self.blob = BlobUpload::Stored;
        let committed = self.link.tell_and_follow(vec![event]).await?;
        self.pending.push_back(Pending { committed, settles: Settles::Blob });
        Ok(())
    }
}
