//! Why a step of a group is refused. Nothing has changed then.

use crate::group::Leaf;

/// Why an own step is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GroupError {
    /// The rows are not a group's, or damaged.
    #[error("the stored state of the group cannot be read")]
    Damaged,
    /// This member has been removed.
    #[error("you are no longer a member of this group")]
    NotMember,
    /// Only an admin may do this.
    #[error("only an admin of the group can do that")]
    NotAdmin,
    /// Nobody could change the group any more.
    #[error("the group would be left without an admin")]
    LastAdmin,
    /// No member has this leaf.
    #[error("there is no such member")]
    NoSuchMember,
    /// Somebody is added who is there already, or twice.
    #[error("{0} is a member already")]
    AlreadyMember(String),
    /// More members than a group may have.
    #[error("a group has at most {max} members", max = crate::limits::GROUP_MEMBERS)]
    TooManyMembers,
    /// More changes than one commit may make.
    #[error("one step changes at most {max} members", max = crate::limits::GROUP_CHANGES)]
    TooManyChanges,
    /// Name of the group or of a member: empty, too long, or with control characters.
    #[error("a name has 1 to {max} characters, no control characters", max = crate::limits::PROFILE_NAME_CHARS)]
    Name,
    /// Nothing was asked for, and nobody wants to leave.
    #[error("there is nothing to change")]
    NothingToChange,
    /// There is an own commit whose fate is open.
    #[error("the last change of this group has not been settled yet")]
    Pending,
    /// There is no own commit to merge or drop.
    #[error("there is no change of this group to settle")]
    NotPending,
    /// The library refused or failed, for a reason that no caller can mend.
    #[error("the group step failed: {0}")]
    Library(String),
}

/// Why a key package is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyPackageError {
    /// Not a key package of this protocol's version and suite, or damaged.
    #[error("the key package is malformed")]
    Malformed,
    /// Somebody else's.
    #[error("the key package is somebody else's")]
    WrongIdentity,
    /// The identity did not sign for it, or its own signature is wrong.
    #[error("the key package is not signed by its owner")]
    Signature,
    /// The card is missing or out of bounds.
    #[error("the key package does not say where its owner is reached")]
    Card,
    /// The library failed.
    #[error("the key package could not be made: {0}")]
    Library(String),
}

/// Why a received body of another member is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReceiveError {
    /// Nobody can be named for it: not a body of this epoch, or mangled.
    #[error("the group change is not authentic")]
    Unauthentic,
    /// This member's own: see [`crate::group::merge_own`].
    #[error("the group change is your own")]
    Own,
    /// A member signed it, and it breaks a rule: the group is frozen for this member.
    #[error("a member's change of the group breaks a rule: {rule}")]
    Refused {
        /// Who sent it.
        author: Leaf,
        /// What it breaks.
        rule: Rule,
    },
    /// The own rows.
    #[error(transparent)]
    Rows(#[from] GroupError),
}

/// What a commit or a proposal of another member must keep to.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Rule {
    /// Adds, removals and changes of the context are an admin's.
    #[error("only admins change a group")]
    NotAdmin,
    /// At least one admin is a member.
    #[error("a group has an admin")]
    LastAdmin,
    /// Every admin is a member, so that nobody is one by having been one.
    #[error("only members are admins")]
    AdminNoMember,
    /// A leaf keeps its identity.
    #[error("a member stays who it is")]
    Identity,
    /// A leaf's key is signed by its identity.
    #[error("a member's key is signed by its identity")]
    Credential,
    /// A leaf has a well-formed card.
    #[error("a member says where it is reached")]
    Card,
    /// The context has exactly the extensions of this protocol, well formed.
    #[error("the group's context is well formed")]
    Context,
    /// Nobody is a member twice.
    #[error("nobody is a member twice")]
    AlreadyMember,
    /// At most 1,000 members.
    #[error("a group has at most {max} members", max = crate::limits::GROUP_MEMBERS)]
    TooManyMembers,
    /// Only the kinds of proposals that this protocol uses, in the way it uses them: by value.
    #[error("a change consists of adds, removals and changes of the context")]
    Proposal,
    /// Whoever signs the body is the author of what is in it.
    #[error("a change is signed by its author")]
    Author,
    /// RFC 9420 itself: what the library says.
    #[error("MLS: {0}")]
    Mls(String),
}

/// Why a Welcome is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JoinError {
    /// Not for this key package, mangled, or of another version or suite.
    #[error("the invitation to the group cannot be read")]
    Unreadable,
    /// The group breaks a rule.
    #[error("the group breaks a rule: {0}")]
    Refused(Rule),
    /// The own rows.
    #[error(transparent)]
    Own(#[from] GroupError),
}

/// Why a message of a group does not open or cannot be sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum GroupMessageError {
    /// Larger than a post.
    #[error("the message is too long for a group")]
    TooLong,
    /// Of a newer version.
    #[error("the message needs a newer version")]
    Newer,
    /// Too short, or of another kind.
    #[error("the message is malformed")]
    Malformed,
    /// Not of this epoch, or mangled.
    #[error("the message is not authentic")]
    Forged,
    /// The chain given is another leaf's.
    #[error("the message is another member's")]
    WrongLeaf,
    /// Opened before.
    #[error("the message has been opened before")]
    Duplicate,
    /// Its key was given up.
    #[error("the message's key is gone")]
    TooOld,
    /// Further ahead than a chain may jump.
    #[error("the message is too far ahead of the last one")]
    TooFarAhead,
    /// Authentic, but its padding is not: only a broken sender makes one.
    #[error("the message is padded wrongly")]
    BadPadding,
    /// The chain has no number left.
    #[error("the group needs a new epoch before you can send")]
    Exhausted,
}
