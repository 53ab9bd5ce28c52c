//! A stream for one blob: its parts, as fast as the client takes them.

use hermes_link::server;
use hermes_wire::{Refusal, VERSION, blob::FetchBlob, drop::FromDrop};

use super::{End, Stream, draining};
use crate::blob;

impl Stream<'_> {
    pub(super) async fn serve_blob(&mut self, fetch: FetchBlob) -> End {
        let FetchBlob { version, blob, mut offset } = fetch;
        if version != VERSION {
            let refusal = Refusal::Version { min: VERSION, max: VERSION };
            return self.last(&FromDrop::BlobRefused(blob, refusal)).await;
        }
        loop {
            if *self.shared.draining.borrow() {
                return self.last(&FromDrop::BlobRefused(blob, draining())).await;
            }
            let part = match self.read(move |store| blob::read(store, blob, offset)).await {
                Ok(Some(part)) => part,
                Ok(None) => return self.last(&FromDrop::BlobRefused(blob, Refusal::NoBlob)).await,
                Err(refusal) => return self.last(&FromDrop::BlobRefused(blob, refusal)).await,
            };
            // Nobody finds its id by chance.
            server::widen_sending(self.connection);
            let (end, total) = (part.offset.saturating_add(part.bytes.len() as u32), part.total);
            if let Err(end) = self.say(&FromDrop::BlobPart(part)).await {
                return end;
            }
            if end >= total {
                return End::Finished;
            }
            offset = end;
        }
    }
}
