//! Groups: who is in one, what is said in it, and how it changes.
//!
//! The relay orders a group: every member sees the same posts and the same commits in the same order, its own among them.
//! So nothing of a group happens when it is asked for, but when its copy comes back from the relay. A change of the group
//! waits in `wanted` ([`change`]), becomes a commit ([`commit`]) while no other of ours is under way, and begins the next
//! epoch when its copy arrives ([`receive`]), or is prepared anew when another's came first. A message is sealed in the
//! epoch that is current ([`post`]), and once more in the next one when a commit overtook it.
//!
//! Whoever is added finds the welcome as a blob ([`join`], [`blob`]) by a pairwise message of the inviter, which used up
//! one of the key packages that contacts give each other ([`key_package`]). Whoever cannot follow any more comes back the
//! same way, once an admin has heeded its asking ([`rejoin`]). Whose mailbox is at another relay is asked for one at the
//! group's ([`place`]). After a commit that broke a rule the group goes on in another
//! channel ([`rebuild`]).

mod blob;
mod change;
mod commit;
mod delivery;
mod forget;
mod join;
mod key_package;
mod leave;
mod mls;
mod note;
mod place;
mod post;
mod rebuild;
mod receive;
mod record;
mod rejoin;
mod skipped;
mod stop;
mod update;
mod voice;

pub(crate) use self::blob::{mailbox_at, upload_mailbox};
pub(crate) use self::mls::mls_rows;
pub(crate) use self::place::{AskKey, AskRecord};
pub(crate) use self::post::{SealedPost, frame};
pub(crate) use self::record::{
    CardKey, CardRecord, ConfirmedRow, DeliveredKey, DeliveredRow, EarlyKey, EarlyRecord, GivenFor,
    GroupRecord, InvitationKey, InvitationRecord, KeyPackageRow, MemberKey, MemberRecord, NextKey, NextRow,
    OfferKey, OfferRow, PartKey, PartRow, PositionKey, PositionRecord, ReadKey, ReadRow, RebuiltKey,
    RebuiltRecord, RejoinKey, RejoinRecord, SenderChainRow, SenderSkippedKey, SenderSkippedRow, UploadRecord,
    VoiceKey, VoiceRecord,
};
pub use self::record::{GroupStanding, LostReason, Post};
pub(crate) use self::rejoin::apart;
