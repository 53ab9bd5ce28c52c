//! Blobs: what is too large for an envelope, encrypted by whoever sends it. The relay sees its size and who uploads it.
//!
//! Uploaded, and charged, on the mailbox connection; fetched on a stream of a drop connection by whoever knows its
//! random id, so that the relay need not know who that is.

use serde_bytes::ByteBuf;
use serde_tuple::{Deserialize_tuple, Serialize_tuple};

use crate::byte_id;

byte_id!(
    /// A blob, chosen at random by its uploader. Whoever knows it may fetch.
    BlobId, 32
);

/// A piece of a blob. Answered with [`crate::mailbox::ToClient::BlobStored`], which says how much of it the relay has:
/// that is `offset` plus the length of `bytes` if the piece went on where the one before it ended, and otherwise tells
/// where to go on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize_tuple, Deserialize_tuple)]
pub struct PutBlob {
    /// Which one.
    pub blob: BlobId,
    /// Bytes of all of it, at most [`crate::limits::BLOB_BYTES`]; the same in each piece.
    pub total: u32,
    /// Bytes before this piece.
    pub offset: u32,
    /// At most [`crate::limits::BLOB_PART_BYTES`]; nothing only asks how much the relay has.
    pub bytes: ByteBuf,
}

/// Asks for a blob, as the first and only frame of a stream. Answered with [`crate::drop::FromDrop::BlobPart`] until its
/// end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize_tuple, Deserialize_tuple)]
pub struct FetchBlob {
    /// [`crate::VERSION`].
    pub version: u16,
    /// Which one.
    pub blob: BlobId,
    /// Bytes that the client has already.
    pub offset: u32,
}

/// A piece of a blob on its way to whoever fetches it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize_tuple, Deserialize_tuple)]
pub struct BlobPart {
    /// Which one.
    pub blob: BlobId,
    /// Bytes of all of it.
    pub total: u32,
    /// Bytes before this piece.
    pub offset: u32,
    /// The piece. The last one ends at `total`.
    pub bytes: ByteBuf,
}
