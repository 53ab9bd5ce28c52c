//! What another member posts to change the group: a commit, or its wish to leave.

use openmls::{
    group::{MlsGroup, ProcessMessageError, StageCommitError},
    prelude::{
        MlsMessageIn, OpenMlsProvider, ProcessedMessageContent, Sender, StagedCommit,
        tls_codec::Deserialize as _,
    },
};

use crate::group::{
    Epoch, EpochKeys, EpochSecrets, GroupError, Leaf, MlsRows, ReceiveError, RowChanges, Rule,
    agreement::{epoch_of, export, load, stored_epoch, verifying_key},
    envelope::Envelope,
    failed,
    library::Library,
    member::Vouched,
    message::{COMMIT_TAG, LEAVE_TAG},
    rules,
};

/// What another member's body turned out to be.
pub enum Received {
    /// Somebody leaves; an admin's next commit has to remove them.
    Leave(LeaveProposal),
    /// A commit that keeps to all rules, merged. An own pending commit is dropped with it: it lost the race.
    Commit(Box<Followed>),
    /// A commit that removes this member.
    Removed(Removed),
}

/// A proposal to leave, kept in the rows.
pub struct LeaveProposal {
    /// The rows.
    pub changes: RowChanges,
    /// Who leaves.
    pub leaf: Leaf,
}

/// Another member's commit, followed.
pub struct Followed {
    /// The rows of the new epoch.
    pub changes: RowChanges,
    /// Who committed (a leaf of the old epoch).
    pub author: Leaf,
    /// The old epoch.
    pub before: Epoch,
    /// The new epoch.
    pub epoch: Epoch,
    /// Its secrets.
    pub secrets: EpochSecrets,
}

/// The end of a membership. All rows of the group may go.
pub struct Removed {
    /// Who committed it.
    pub author: Leaf,
}

/// Another member's commit or proposal, of the epoch that `keys` are of.
pub fn receive(rows: &MlsRows, keys: &EpochKeys, body: &[u8]) -> Result<Received, ReceiveError> {
    let tag = match body.first_chunk() {
        Some(&COMMIT_TAG) => COMMIT_TAG,
        Some(&LEAVE_TAG) => LEAVE_TAG,
        _ => return Err(ReceiveError::Unauthentic),
    };
    let envelope = Envelope::open(keys, tag, body).ok_or(ReceiveError::Unauthentic)?;
    let author = envelope.leaf;
    if author == keys.me() {
        return Err(ReceiveError::Own);
    }
    let (library, mut group) = load(rows)?;
    let leaf = group.treesync().full_leaves().find(|(index, _)| index.u32() == author.0);
    let key = leaf.and_then(|(_, leaf)| verifying_key(leaf));
    if !key.is_some_and(|key| envelope.is_signed_by(keys, tag, &key)) {
        return Err(ReceiveError::Unauthentic);
    }
    // From here on the author is known, whatever it has made.
    let refused = |rule: Rule| ReceiveError::Refused { author, rule };
    let (before, mut vouched) = stored_epoch(&group)?;
    let message = MlsMessageIn::tls_deserialize_exact(&envelope.message)
        .ok()
        .and_then(|message| message.try_into_protocol_message().ok())
        .ok_or_else(|| refused(Rule::Mls("not a message of a group".to_owned())))?;
    // Said once, it is said; whoever says it again and again would only make rows.
    if tag == LEAVE_TAG && before.leaving.contains(&author) {
        return Ok(Received::Leave(LeaveProposal { changes: RowChanges::default(), leaf: author }));
    }
    let processed = group.process_message(&library, message).map_err(|error| match error {
        ProcessMessageError::InvalidCommit(StageCommitError::MissingProposal) => refused(Rule::Proposal),
        error => refused(Rule::Mls(error.to_string())),
    })?;
    if !matches!(processed.sender(), Sender::Member(sender) if sender.u32() == author.0) {
        return Err(refused(Rule::Author));
    }
    match (tag, processed.into_content()) {
        (LEAVE_TAG, ProcessedMessageContent::ProposalMessage(proposal)) => {
            if !rules::is_leave(&proposal) {
                return Err(refused(Rule::Proposal));
            }
            group.store_pending_proposal(library.storage(), *proposal).map_err(failed)?;
            let changes = library.into_changes();
            Ok(Received::Leave(LeaveProposal { changes, leaf: author }))
        }
        (COMMIT_TAG, ProcessedMessageContent::StagedCommitMessage(staged)) => {
            rules::check_commit((&before, &mut vouched), author, &staged).map_err(refused)?;
            if staged.self_removed() {
                return Ok(Received::Removed(Removed { author }));
            }
            let followed =
                follow(library, group, *staged, author, (before, vouched)).map_err(|error| match error {
                    Failure::Rule(rule) => refused(rule),
                    Failure::Own(error) => error.into(),
                })?;
            Ok(Received::Commit(Box::new(followed)))
        }
        _ => Err(refused(Rule::Proposal)),
    }
}

/// Why a commit of another member cannot be followed: it breaks a rule, or something here is broken.
enum Failure {
    Rule(Rule),
    Own(GroupError),
}

impl From<Rule> for Failure {
    fn from(rule: Rule) -> Self {
        Self::Rule(rule)
    }
}

impl From<GroupError> for Failure {
    fn from(error: GroupError) -> Self {
        Self::Own(error)
    }
}

fn follow(
    library: Library,
    mut group: MlsGroup,
    staged: StagedCommit,
    author: Leaf,
    (before, vouched): (Epoch, Vouched),
) -> Result<Followed, Failure> {
    group.merge_staged_commit(&library, staged).map_err(failed)?;
    let epoch = epoch_of(&group, &vouched)?;
    rules::check_epoch(&epoch)?;
    let secrets = export(&library, &mut group, &epoch)?;
    Ok(Followed { changes: library.into_changes(), author, before, epoch, secrets })
}
