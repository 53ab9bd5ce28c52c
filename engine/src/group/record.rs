//! What stands in a store of a group.

use std::collections::BTreeMap;

use hermes_protocol::{
    blob::BlobRef,
    content::AskId,
    group::{GroupContext, GroupId, Leaf},
    identity::Fingerprint,
};
use hermes_wire::{
    BlobId, ContactId, PostId, RelayAddress, Sequence, Timestamp,
    channel::{ChannelId, CopyKey, Epoch as NextEpoch, Head, RosterHash},
};
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use crate::{
    guest::GuestPlace,
    id::ChatId,
    row::{Author, Received, SecretBuf},
    rows::{Key, Place, pair_keys, rows, wrapped_rows},
};

/// A group. Written when it changes; what moves with every message stands in [`PositionRecord`].
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct GroupRecord {
    pub(crate) id: GroupId,
    /// Its name here.
    pub(crate) name: String,
    pub(crate) since: Timestamp,
    /// The contact whose invitation led here; nobody for a group that was made here.
    #[serde(default)]
    pub(crate) by: Option<ChatId>,
    pub(crate) standing: GroupStanding,
    /// The contact id under which its copies arrive.
    pub(crate) card: ContactId,
    /// The epoch's keys (`EpochKeys`).
    pub(crate) keys: SecretBuf,
    pub(crate) epoch: u64,
    pub(crate) context: GroupContext,
    pub(crate) members: u32,
    /// Members who confirm what they receive: contacts, in a group that is not too large for it.
    pub(crate) confirming: u32,
    /// When the epoch began here.
    pub(crate) begun: Timestamp,
    /// When the own leaf got its keys.
    pub(crate) renewed: Timestamp,
    /// The own place among those whose update would fill blank nodes of the tree.
    pub(crate) place_to_fill: Option<u32>,
    /// Members before the own leaf in the tree.
    pub(crate) place_in_tree: u32,
    /// Names the commits so far.
    pub(crate) head: Head,
    /// What is to be changed, in the order it was asked for.
    pub(crate) wanted: Vec<Wanted>,
    /// The commit that is under way.
    pub(crate) pending: Option<Pending>,
    /// A commit that lies in a blob which is not here yet. Whatever comes behind it waits.
    pub(crate) awaiting: Option<Awaiting>,
    /// What the relay said of this epoch that leaves it only until its commit is here.
    pub(crate) overtaken: Option<Overtaken>,
    /// The user has had it forgotten, and what is left of it goes.
    #[serde(default)]
    pub(crate) forgotten: bool,
}

/// The relay refuses what is posted in an epoch: the commit that ended it is in the mailbox, or has missed this member.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Overtaken {
    pub(crate) since: Timestamp,
    /// What it means if no commit comes.
    pub(crate) reason: LostReason,
    /// Whether the relay has opened the mailbox since then. What it said then may be older than its refusal.
    pub(crate) reopened: bool,
    /// The highest sequence of the mailbox when it was opened once more: the commit is not behind it.
    pub(crate) head: Option<Sequence>,
}

impl GroupRecord {
    /// Whether nothing more comes of it, unless somebody adds this account again.
    pub(crate) fn is_over(&self) -> bool {
        self.forgotten
            || matches!(
                self.standing,
                GroupStanding::Left | GroupStanding::Removed(_) | GroupStanding::Refused(_)
            )
    }

    /// Contacts who are to be added.
    pub(crate) fn waiting(&self) -> impl Iterator<Item = ChatId> {
        self.wanted.iter().filter_map(|wanted| match wanted {
            Wanted::Add(contact) => Some(*contact),
            _ => None,
        })
    }
}

/// How a group stands here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum GroupStanding {
    /// It works.
    Member,
    /// The user leaves: a proposal is made in each epoch, until a commit covers it.
    Leaving,
    /// A member's commit broke a rule: who, and which. The group cannot go on from it.
    Frozen(Fingerprint, String),
    /// Somebody removed this account.
    Removed(Fingerprint),
    /// The user left.
    Left,
    /// This store has lost its place.
    Lost(LostReason),
    /// The relay took no channel.
    Refused(hermes_wire::Refusal),
}

/// How a group's place was lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum LostReason {
    /// A commit never arrived.
    #[error("a change of the group did not arrive")]
    Missed,
    /// Somebody ended the epoch with what is no member's commit.
    #[error("somebody has changed the group in a way that nobody can follow")]
    Garbled,
    /// A commit's blob is gone.
    #[error("a change of the group could not be fetched")]
    BlobGone,
    /// The store went back to an old state.
    #[error("this store was put back from an old copy")]
    Restored,
    /// The relay knows no such state of the group, and its word outlasted what was on its way: it has forgotten the
    /// channel, or went back to an old copy of its own, or many changes never arrived.
    #[error("the relay does not know the group as this device does")]
    RelayDiffers,
    /// The rows do not fit together.
    #[error("the stored state of the group cannot be used")]
    Damaged,
}

/// A change that is asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Wanted {
    /// This contact is to be a member.
    Add(ChatId),
    /// This member is to be none.
    Remove(Fingerprint),
    /// The group is to have this name.
    Rename(String),
    /// This member is to be an admin.
    Promote(Fingerprint),
    /// This member is to be no admin.
    Demote(Fingerprint),
    /// Somebody's leaving is to be covered.
    CoverLeave,
    /// The own leaf is to have new keys.
    Update,
    /// This contact has lost its place: it is to be removed and added again, with the key package of this number.
    Replace(ChatId, u64),
}

impl Wanted {
    /// Whether a commit of it gives its author new keys, as all but adds do (RFC 9420, section 12.4).
    pub(crate) fn has_path(&self) -> bool {
        !matches!(self, Self::Add(_))
    }
}

/// A commit of ours that the relay has not answered with its copy.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Pending {
    pub(crate) post: PostId,
    /// What it changes; to be wanted again if it loses.
    pub(crate) carries: Vec<Wanted>,
    /// The key packages that it uses up.
    pub(crate) offers: Vec<(ChatId, u64)>,
    /// The welcome of those whom it adds.
    pub(crate) welcome: Option<Welcome>,
}

/// An invitation on its way.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Welcome {
    pub(crate) blob: BlobRef,
    /// To whom.
    pub(crate) to: Vec<ChatId>,
}

/// A commit whose body is still at the relay.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Awaiting {
    pub(crate) roster: RosterHash,
    pub(crate) blob: BlobRef,
    /// The body at the relay, which the head names.
    pub(crate) body: ByteBuf,
    /// The other channel that it leads to, and its place there.
    pub(crate) moves: Option<(ChannelId, Sequence)>,
}

/// The epoch in which a group was frozen, while another admin's way out of it may yet turn out to be the one.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct RebuiltRecord {
    /// Under which the library's rows of that epoch stand.
    pub(crate) rows: ChatId,
    /// Its keys (`EpochKeys`).
    pub(crate) keys: SecretBuf,
    /// How the group stood in it.
    pub(crate) standing: GroupStanding,
    /// Names the commit that was followed.
    pub(crate) head: Head,
    pub(crate) since: Timestamp,
    /// Others whose blob was asked for.
    pub(crate) tried: u32,
}

/// How far a group's channel was followed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PositionRecord {
    /// The highest sequence taken.
    pub(crate) sequence: Sequence,
    /// Posts that did not fit into the mailbox, ever.
    pub(crate) missed: u64,
}

/// What is asked, and heeded, for the sake of members who have lost their place.
#[derive(Clone, Default, Serialize, Deserialize)]
pub(crate) struct RejoinRecord {
    /// What was asked last, while this account's own place is lost.
    pub(crate) round: Option<Round>,
    /// When this account's place was lost.
    pub(crate) since: Option<Timestamp>,
    /// Whether the user was leaving when it was lost.
    pub(crate) leaving: bool,
    /// Whose commit had broken a rule before it was lost: not to be asked.
    pub(crate) frozen_by: Option<Fingerprint>,
    /// Members whose asking was heeded lately, and when.
    pub(crate) heeded: Vec<(Fingerprint, Timestamp)>,
}

/// A day's asking.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Round {
    pub(crate) since: Timestamp,
    /// That of every key package in it.
    pub(crate) copy_key: CopyKey,
    /// Which admins were asked.
    pub(crate) asked: Vec<Fingerprint>,
}

/// A member.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct MemberRecord {
    pub(crate) fingerprint: Fingerprint,
    /// Since when it is one, as far as is known here.
    pub(crate) since: Timestamp,
    pub(crate) profile_name: String,
}

/// What the numbers of a member's messages have told. Stays when the member goes.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct VoiceRecord {
    pub(crate) author: Author,
    /// This account was no member for a while: what was said meanwhile is not missing.
    pub(crate) anew: bool,
    pub(crate) received: Received,
}

/// A key package of ours, or what has become of it: the way in for a group's copies.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct CardRecord {
    /// Encrypts the copies.
    pub(crate) key: CopyKey,
    /// To whom the key package was given; nobody for a group that was made here.
    pub(crate) given: Option<ChatId>,
    /// The group that it led into.
    pub(crate) group: Option<ChatId>,
    /// Copies that came before the group was joined.
    pub(crate) early: u32,
    /// Those for which there was no room.
    #[serde(default)]
    pub(crate) dropped: u64,
    /// In which mailbox, if not in the account's own.
    #[serde(default)]
    pub(crate) at: Option<GuestPlace>,
    /// The asking that its key package was the answer to, until there is a group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) answers: Option<GivenFor>,
    /// Bytes of the copies that came before the group was joined.
    #[serde(default)]
    pub(crate) early_bytes: u64,
}

/// An asking for a place in a mailbox at another relay, and the key package that answers it however often it comes.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct GivenFor {
    pub(crate) ask: AskId,
    pub(crate) package: ByteBuf,
}

/// A welcome that is not here yet.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct InvitationRecord {
    pub(crate) welcome: BlobRef,
    /// Names the commits before the account is a member.
    pub(crate) head: Head,
    /// Where the welcome is, if not at the account's own relay.
    #[serde(default)]
    pub(crate) relay: Option<RelayAddress>,
    /// When it came; older stores did not note it.
    #[serde(default)]
    pub(crate) since: Option<Timestamp>,
}

/// A copy that cannot be taken yet.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct EarlyRecord {
    pub(crate) body: ByteBuf,
}

impl EarlyRecord {
    /// What it takes of the room for such copies.
    pub(crate) fn bytes(&self) -> u64 {
        self.body.len() as u64
    }
}

/// A blob on its way to the relay.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct UploadRecord {
    /// The group that waits for it.
    pub(crate) chat: ChatId,
    /// Bytes of all of it.
    pub(crate) total: u32,
}

/// What an outbox row of a group's channel is. Its body stands beside it in the row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Post {
    /// The channel itself.
    Create {
        /// The number of its first epoch.
        number: u64,
        /// That epoch.
        first: NextEpoch,
    },
    /// A commit of a channel that is made for a group which stands at its end: it brings more of the roster, or the group's
    /// own commit that leads there.
    Opening {
        /// The epoch of the channel that it ends.
        epoch: u64,
        /// What was committed in the channel before.
        head: Head,
        /// The epoch after it.
        next: NextEpoch,
        /// The blobs that have to be at the relay first.
        blobs: Vec<BlobId>,
    },
    /// A message, sealed in this epoch.
    Message {
        /// Which.
        epoch: u64,
    },
    /// A commit that ends this epoch.
    Commit {
        /// Which.
        epoch: u64,
        /// What was committed before.
        head: Head,
        /// The epoch after it.
        next: NextEpoch,
        /// The blobs that have to be at the relay first: what it says is known to all, or it is not said.
        blobs: Vec<BlobId>,
    },
}

wrapped_rows! {
    /// The secrets of the epoch that an own commit would begin.
    NextRow(SecretBuf): Group by NextKey;
    /// A member's chain.
    SenderChainRow(SecretBuf): SenderChain by MemberKey;
    /// The key of a message that has not arrived.
    SenderSkippedRow(SecretBuf): SenderSkipped by SenderSkippedKey;
    /// A contact's key package, for one group.
    OfferRow(SecretBuf): Offer by OfferKey;
    /// A piece of a blob on its way to the relay.
    PartRow(SecretBuf): Part by PartKey;
    /// When a contact confirmed a message.
    DeliveredRow(Timestamp): Delivery by DeliveredKey;
    /// Since when a member has read it.
    ReadRow(Timestamp): Delivery by ReadKey;
    /// How many have, of how many who confirm.
    ConfirmedRow((u32, u32)): Delivery by Place;
}

/// The secret half of a key package: rows of the MLS library.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct KeyPackageRow(pub(crate) BTreeMap<ByteBuf, SecretBuf>);

rows! {
    GroupRecord: Group by ChatId;
    PositionRecord: Group by PositionKey;
    RejoinRecord: Group by RejoinKey;
    RebuiltRecord: Group by RebuiltKey;
    MemberRecord: Member by MemberKey;
    CardRecord: Route by CardKey;
    KeyPackageRow: KeyPackage by ContactId;
    InvitationRecord: Invitation by InvitationKey;
    EarlyRecord: Early by EarlyKey;
    UploadRecord: Blob by BlobId;
    VoiceRecord: Contact by VoiceKey;
}

/// Declares keys that are an identifier and one byte: rows of their own beside another.
macro_rules! beside {
    ($($(#[$doc:meta])* $name:ident($id:ident) = $byte:literal;)*) => {
        $($(#[$doc])*
        #[derive(Clone, Copy)]
        pub(crate) struct $name(pub(crate) $id);

        impl Key for $name {
            fn to_bytes(&self) -> Vec<u8> {
                [&self.0.0[..], &[$byte]].concat()
            }
            fn from_bytes(bytes: &[u8]) -> Option<Self> {
                let (id, rest) = bytes.split_first_chunk()?;
                (rest == [$byte]).then_some(Self($id(*id)))
            }
        })*
    };
}

beside! {
    /// How far a group was followed.
    PositionKey(ChatId) = 1;
    /// What an own commit would begin.
    NextKey(ChatId) = 2;
    /// Who asked to be added again, and whom this account has asked.
    RejoinKey(ChatId) = 3;
    /// Beside a group that was frozen lately.
    RebuiltKey(ChatId) = 4;
    /// Beside a route and a used invite.
    CardKey(ContactId) = 2;
}

/// A member of a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct MemberKey(pub(crate) ChatId, pub(crate) Leaf);

/// Group, leaf, number in the leaf's chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SenderSkippedKey(pub(crate) ChatId, pub(crate) Leaf, pub(crate) u32);

/// A contact's key package, by the order in which they came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct OfferKey(pub(crate) ChatId, pub(crate) u64);

/// A welcome that is waited for, by who invites: several may name one blob, and only one of them tells the truth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct InvitationKey(pub(crate) ChatId, pub(crate) BlobId);

/// A copy that waits, by the order of arrival.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct EarlyKey(pub(crate) ContactId, pub(crate) u64);

/// A group, and one who has written in it: an id that says nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct VoiceKey(pub(crate) ChatId, pub(crate) ChatId);

/// A message to a group, and the contact that has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct DeliveredKey(pub(crate) Place, pub(crate) ChatId);
/// Stands right after the row that says that the member has it.
pub(crate) struct ReadKey(pub(crate) DeliveredKey);

impl Key for ReadKey {
    fn to_bytes(&self) -> Vec<u8> {
        [self.0.to_bytes(), vec![1]].concat()
    }
    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (read, key) = bytes.split_last()?;
        (*read == 1).then(|| DeliveredKey::from_bytes(key).map(Self))?
    }
}

/// A piece of a blob, by the bytes before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PartKey(pub(crate) BlobId, pub(crate) u32);

pair_keys! {
    MemberKey(ChatId, 16, Leaf);
    OfferKey(ChatId, 16, u64);
    InvitationKey(ChatId, 16, BlobId);
    EarlyKey(ContactId, 16, u64);
    PartKey(BlobId, 32, u32);
    DeliveredKey(Place, 24, ChatId);
    VoiceKey(ChatId, 16, ChatId);
}

impl Key for Leaf {
    fn to_bytes(&self) -> Vec<u8> {
        self.0.to_bytes()
    }
    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        u32::from_bytes(bytes).map(Self)
    }
}

impl Key for SenderSkippedKey {
    fn to_bytes(&self) -> Vec<u8> {
        [&self.0.0[..], &self.1.0.to_be_bytes(), &self.2.to_be_bytes()].concat()
    }
    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (chat, rest) = bytes.split_first_chunk()?;
        let (leaf, iteration) = rest.split_first_chunk()?;
        let iteration = u32::from_be_bytes(iteration.try_into().ok()?);
        Some(Self(ChatId(*chat), Leaf(u32::from_be_bytes(*leaf)), iteration))
    }
}
