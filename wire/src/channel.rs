//! Channels: what a relay must know of a group to copy each post to its members, in one order for all of them.
//!
//! A channel has an epoch, which each commit ends, and a head, which names all commits so far. Whoever knows the
//! epoch's [`PostToken`] may post. Who receives stands in the [`Roster`], sealed at the relay under a key that each post
//! brings along and the relay forgets; each member's [`enum@Copy`] is encrypted anew under a key that only that member and
//! the roster have, so that no two copies in the store are alike. Bodies are the members' own business.
//!
//! A channel is reached over a stream of a drop connection (see [`crate::drop`]): [`OpenChannel`] first, then any number
//! of [`Create`], [`Post`] and [`Commit`], answered in order.

use serde_bytes::ByteBuf;
use serde_tuple::{Deserialize_tuple, Serialize_tuple};
use sha2::{Digest, Sha256};

use crate::byte_id;

mod copy;
mod roster;
mod seal;
mod secret;

pub use copy::{Copy, CopyError, CopyText};
pub use roster::{Roster, RosterChange, RosterEntry, RosterError, RosterHash, RosterLost};
pub use seal::{NONCE_BYTES, SealNonce};
pub use secret::{CopyKey, PostToken, RosterKey};

/// Keeps a head from being any other hash.
const HEAD_DOMAIN: &[u8] = b"Hermes/1 head";

byte_id!(
    /// A channel, chosen at random by whoever creates it; tied to nothing.
    ChannelId, 32
);
byte_id!(
    /// One post or commit, chosen at random once and repeated with every retry; repeats of it are one.
    PostId, 16
);
byte_id!(
    /// SHA-256 of a [`PostToken`]: what the relay keeps of it.
    PostTokenHash, 32
);
byte_id!(
    /// Names everything that was committed in a channel, in order.
    Head, 32
);

impl Head {
    /// The head of a channel without commits: SHA-256("Hermes/1 head" ‖ channel).
    pub fn first(channel: ChannelId) -> Self {
        Self(Sha256::new().chain_update(HEAD_DOMAIN).chain_update(channel.0).finalize().into())
    }

    /// The head after a commit: SHA-256("Hermes/1 head" ‖ this head ‖ SHA-256(body)).
    #[must_use]
    pub fn after(self, commit: &[u8]) -> Self {
        let hash = Sha256::new().chain_update(HEAD_DOMAIN).chain_update(self.0);
        Self(hash.chain_update(Sha256::digest(commit)).finalize().into())
    }
}

impl PostTokenHash {
    /// The hash of a token.
    pub fn of(token: &PostToken) -> Self {
        Self(Sha256::digest(token.as_bytes()).into())
    }
}

/// Opens a stream to one channel. Answered with [`crate::drop::FromDrop::Opened`] whether there is one or not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize_tuple, Deserialize_tuple)]
pub struct OpenChannel {
    /// [`crate::VERSION`].
    pub version: u16,
    /// Which one.
    pub channel: ChannelId,
}

/// What an epoch is at the relay: who may post in it, and who receives.
#[derive(Clone, Debug, PartialEq, Eq, Serialize_tuple, Deserialize_tuple)]
pub struct Epoch {
    /// The hash of its token.
    pub token: PostTokenHash,
    /// How its roster differs from the one before it; from an empty one for a new channel.
    pub change: RosterChange,
    /// The hash of the roster that comes of it. The relay refuses a change that gives another.
    pub roster: RosterHash,
    /// Seals the roster. The relay uses it and keeps it nowhere.
    pub key: RosterKey,
}

/// Makes the stream's channel. Answered with [`crate::drop::FromDrop::Created`].
///
/// A roster larger than [`crate::limits::ROSTER_CHANGES`] is made by a create and commits after it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize_tuple, Deserialize_tuple)]
pub struct Create {
    /// Repeats are one.
    pub post: PostId,
    /// The number of its first epoch: 0, or where a group stood that moves here from another channel.
    pub number: u64,
    /// That epoch. Its first entry is charged for the channel.
    pub epoch: Epoch,
}

/// Copies a body to everyone in the roster. Answered with [`crate::drop::FromDrop::Posted`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize_tuple, Deserialize_tuple)]
pub struct Post {
    /// Repeats are one.
    pub post: PostId,
    /// The epoch that the body was made in.
    pub epoch: u64,
    /// That epoch's token.
    pub token: PostToken,
    /// Opens that epoch's roster. The relay uses it and keeps it nowhere.
    pub roster: RosterKey,
    /// At most [`crate::limits::POST_BYTES`].
    pub body: ByteBuf,
}

/// Ends an epoch, if it is still the channel's and the head is the expected one, and copies the body to everyone in its
/// roster: those who leave with the change hear of it, those who come with it do not. Answered with
/// [`crate::drop::FromDrop::Posted`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize_tuple, Deserialize_tuple)]
pub struct Commit {
    /// Repeats are one.
    pub post: PostId,
    /// The epoch that it ends.
    pub epoch: u64,
    /// That epoch's token.
    pub token: PostToken,
    /// Opens that epoch's roster. The relay uses it and keeps it nowhere.
    pub roster: RosterKey,
    /// The head before this commit.
    pub head: Head,
    /// At most [`crate::limits::POST_BYTES`].
    pub body: ByteBuf,
    /// The epoch after it.
    pub next: Epoch,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_names_the_channel_and_the_commits_in_their_order() {
        let channel = ChannelId([1; 32]);
        let first = Head::first(channel);
        assert_ne!(first, Head::first(ChannelId([2; 32])));
        assert_ne!(first.after(b"a").after(b"b"), first.after(b"b").after(b"a"));
        // Computed independently: hashlib.sha256(b"Hermes/1 head" + bytes([1]) * 32).hexdigest()
        assert_eq!(first.to_string(), "716b90bdc582ffc4e248dcad47ad162eda50cefacb868d407e08b62ad79d66c6");
        assert_eq!(
            first.after(b"a").to_string(),
            "8e008f2aa382192802a853fe6d2488710a6f6a690394d4c52403ab8b59d7a9b5"
        );
    }
}
