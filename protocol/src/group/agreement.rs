//! The steps of the ratchet tree. Each is a value: rows in, changes out.

use std::collections::{BTreeMap, BTreeSet};

use ed25519_dalek::{SigningKey, VerifyingKey};
use openmls::{
    group::{MlsGroup, ProcessMessageError, StageCommitError, StagedWelcome},
    prelude::{
        CredentialWithKey, LeafNodeIndex, LeafNodeParameters, MlsMessageBodyIn, MlsMessageIn,
        OpenMlsProvider, ProcessedMessageContent, Sender, StagedCommit, tls_codec::Deserialize as _,
    },
};
use rand_core::CryptoRng;
use zeroize::Zeroizing;

use crate::{
    group::{
        Authenticator, Epoch, EpochKeys, EpochSecrets, GroupContext, GroupError, GroupId, JoinError,
        KeyPackage, Leaf, Member, MemberCard, MlsRows, ReceiveError, RowChanges, Rule,
        envelope::{self, Envelope},
        failed,
        library::{
            COMPONENT, LeafSigner, Library, capabilities, create_config, join_config, leaf_extensions,
        },
        member::credential,
        message::{COMMIT_TAG, LEAVE_TAG},
        rules,
    },
    identity::IdentityKeyPair,
    limits::{GROUP_CHANGES, GROUP_MEMBERS},
};

/// What a commit changes.
#[derive(Clone)]
pub enum Change {
    /// Adds somebody (admins).
    Add(KeyPackage),
    /// Removes a member (admins), not oneself: see [`propose_leave`].
    Remove(Leaf),
    /// Removes a member and adds it anew, for one that lost its state (admins). The key package is the same identity's.
    Replace(Leaf, KeyPackage),
    /// Name, channel, relay, admins (admins).
    SetContext(GroupContext),
    /// New leaf keys for oneself, and the given card.
    Update(MemberCard),
}

/// A new group, with its creator alone in it.
pub struct Created {
    /// All rows.
    pub rows: MlsRows,
    /// Epoch 0.
    pub epoch: Epoch,
    /// Its secrets.
    pub secrets: EpochSecrets,
}

/// An own commit that the relay has not accepted yet. Everything of it is stored before the commit leaves.
pub struct Prepared {
    /// The rows with the commit pending in them.
    pub changes: RowChanges,
    /// What to post: tagged, signed, up to about 1 MB (885 kB for a first update in a fresh tree of 1,000).
    pub commit: Vec<u8>,
    /// For everybody who is added, the same bytes, with the tree in them; not encrypted any further for the relay.
    pub welcome: Option<Vec<u8>>,
    /// The epoch that begins with [`merge_own`].
    pub epoch: Epoch,
    /// Its secrets, which only exist here: no row can give them again.
    pub secrets: EpochSecrets,
}

/// After [`merge_own`].
pub struct Merged {
    /// The rows of the epoch that [`Prepared`] announced.
    pub changes: RowChanges,
    /// That epoch.
    pub epoch: Epoch,
}

/// What another member's body turned out to be.
pub enum Received {
    /// Somebody leaves; the next commit, of whomever, has to cover it.
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

/// A group, joined.
pub struct Joined {
    /// All rows. Those of the key package go in the same transaction: with the Welcome they would give the epoch's
    /// secrets again.
    pub rows: MlsRows,
    /// Who invited: an admin. The caller checks that it is whoever sent the Welcome.
    pub inviter: Leaf,
    /// The epoch of the invitation.
    pub epoch: Epoch,
    /// Its secrets.
    pub secrets: EpochSecrets,
}

/// Begins a group; the creator has to be among the context's admins.
pub fn create(
    identity: &IdentityKeyPair,
    group: GroupId,
    context: &GroupContext,
    card: &MemberCard,
    rng: &mut (impl CryptoRng + ?Sized),
) -> Result<Created, GroupError> {
    if !context.admins.contains(&identity.identity().fingerprint()) {
        return Err(GroupError::LastAdmin);
    }
    let signing = SigningKey::generate(rng);
    let library = Library::empty()?;
    library.put_leaf_key(&signing)?;
    let config = create_config(context.extensions()?, leaf_extensions(card.encode()?)?)?;
    let with_key = CredentialWithKey {
        credential: credential(identity, &signing.verifying_key()),
        signature_key: signing.verifying_key().as_bytes().as_slice().into(),
    };
    let id = openmls::prelude::GroupId::from_slice(&group.0);
    let mut created =
        MlsGroup::new_with_group_id(library.provider(), &LeafSigner(&signing), &config, id, with_key)
            .map_err(failed)?;
    library.put_group(group)?;
    let epoch = epoch_of(&created).map_err(|_| GroupError::Damaged)?;
    let secrets = export(&library, &mut created, &epoch)?;
    Ok(Created { rows: library.rows()?, epoch, secrets })
}

/// What the rows say about the current epoch; a pending commit does not show.
pub fn read(rows: &MlsRows) -> Result<Epoch, GroupError> {
    let (_, group) = load(rows)?;
    epoch_of(&group).map_err(|_| GroupError::Damaged)
}

/// Prepares a commit of these changes and of the proposals to leave that have arrived; `changes` may be empty if there are
/// such. At most 64 adds, removals and replacements together, those who leave among them.
pub fn commit(
    rows: &MlsRows,
    keys: &EpochKeys,
    identity: &IdentityKeyPair,
    changes: &[Change],
    rng: &mut (impl CryptoRng + ?Sized),
) -> Result<Prepared, GroupError> {
    let (library, mut group) = load(rows)?;
    if group.pending_commit().is_some() {
        return Err(GroupError::Pending);
    }
    let before = epoch_of(&group).map_err(|_| GroupError::Damaged)?;
    check_changes(&before, identity, changes)?;
    let signing = library.leaf_key()?;
    let bundle = stage(&library, &mut group, &signing, changes)?;
    let (commit, welcome, _) = bundle.into_messages();
    let seed = group
        .safe_export_secret_from_pending(library.provider().crypto(), library.provider().storage(), COMPONENT)
        .map(Zeroizing::new)
        .map_err(failed)?;
    let after = library.rows()?;
    // What the epoch will be is read from a copy in which it has begun.
    let (next_library, mut next) = load(&after)?;
    next.merge_pending_commit(next_library.provider()).map_err(failed)?;
    let epoch = epoch_of(&next).map_err(|rule| GroupError::Library(rule.to_string()))?;
    rules::check_epoch(&epoch).map_err(|rule| match rule {
        Rule::LastAdmin => GroupError::LastAdmin,
        Rule::TooManyMembers => GroupError::TooManyMembers,
        rule => GroupError::Library(rule.to_string()),
    })?;
    let secrets = EpochSecrets::derive(&seed, &epoch, signing, &verifying_keys(&next)?);
    let commit = commit.to_bytes().map_err(failed)?;
    let welcome = welcome.map(|welcome| welcome.to_bytes()).transpose().map_err(failed)?;
    Ok(Prepared {
        changes: rows.changes_to(after),
        commit: envelope::seal(keys, COMMIT_TAG, &commit, rng),
        welcome,
        epoch,
        secrets,
    })
}

/// The relay accepted the own commit: the next epoch begins.
pub fn merge_own(rows: &MlsRows) -> Result<Merged, GroupError> {
    let (library, mut group) = load(rows)?;
    if group.pending_commit().is_none() {
        return Err(GroupError::NotPending);
    }
    group.merge_pending_commit(library.provider()).map_err(failed)?;
    let epoch = epoch_of(&group).map_err(|_| GroupError::Damaged)?;
    Ok(Merged { changes: rows.changes_to(library.rows()?), epoch })
}

/// The relay refused the own commit; the epoch goes on. (After a lost race there is no need to: [`receive`] drops it.)
pub fn drop_own(rows: &MlsRows) -> Result<RowChanges, GroupError> {
    let (library, mut group) = load(rows)?;
    if group.pending_commit().is_none() {
        return Err(GroupError::NotPending);
    }
    group.clear_pending_commit(library.provider().storage()).map_err(failed)?;
    Ok(rows.changes_to(library.rows()?))
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
    let verifying = verifying_keys(&group)?;
    let signed = verifying.get(&author).is_some_and(|key| envelope.is_signed_by(keys, tag, key));
    if !signed {
        return Err(ReceiveError::Unauthentic);
    }
    // From here on the author is known, whatever it has made.
    let refused = |rule: Rule| ReceiveError::Refused { author, rule };
    let before = epoch_of(&group).map_err(|_| GroupError::Damaged)?;
    let message = MlsMessageIn::tls_deserialize_exact(&envelope.message)
        .ok()
        .and_then(|message| message.try_into_protocol_message().ok())
        .ok_or_else(|| refused(Rule::Mls("not a message of a group".to_owned())))?;
    let processed = group.process_message(library.provider(), message).map_err(|error| match error {
        ProcessMessageError::InvalidCommit(StageCommitError::MissingProposal) => {
            ReceiveError::Missed { author }
        }
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
            group.store_pending_proposal(library.provider().storage(), *proposal).map_err(failed)?;
            let changes = rows.changes_to(library.rows()?);
            Ok(Received::Leave(LeaveProposal { changes, leaf: author }))
        }
        (COMMIT_TAG, ProcessedMessageContent::StagedCommitMessage(staged)) => {
            rules::check_commit(&before, author, &staged).map_err(refused)?;
            if staged.self_removed() {
                return Ok(Received::Removed(Removed { author }));
            }
            let followed =
                follow(rows, &library, &mut group, *staged, author).map_err(|error| match error {
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
    rows: &MlsRows,
    library: &Library,
    group: &mut MlsGroup,
    staged: StagedCommit,
    author: Leaf,
) -> Result<Followed, Failure> {
    group.merge_staged_commit(library.provider(), staged).map_err(failed)?;
    let epoch = epoch_of(group)?;
    rules::check_epoch(&epoch)?;
    let secrets = export(library, group, &epoch)?;
    Ok(Followed { changes: rows.changes_to(library.rows()?), author, epoch, secrets })
}

/// Joins with one of the own key packages.
pub fn join(key_package: &MlsRows, welcome: &[u8]) -> Result<Joined, JoinError> {
    let library = Library::open(key_package)?;
    let message = MlsMessageIn::tls_deserialize_exact(welcome).map_err(|_| JoinError::Unreadable)?;
    let MlsMessageBodyIn::Welcome(welcome) = message.extract() else { return Err(JoinError::Unreadable) };
    let staged = StagedWelcome::build_from_welcome(library.provider(), &join_config(), welcome)
        .map_err(|_| JoinError::Unreadable)?
        // A leaf is good until its owner replaces it; no clock is asked.
        .skip_lifetime_validation()
        .build()
        .map_err(|error| JoinError::Refused(Rule::Mls(error.to_string())))?;
    let inviter = Leaf(staged.welcome_sender_index().u32());
    let mut group = staged.into_group(library.provider()).map_err(failed)?;
    let epoch = epoch_of(&group).map_err(JoinError::Refused)?;
    library.put_group(epoch.group)?;
    rules::check_epoch(&epoch).map_err(JoinError::Refused)?;
    let by = epoch.members.get(&inviter).map(|member| member.identity.fingerprint());
    if !by.is_some_and(|by| epoch.context.admins.contains(&by)) {
        return Err(JoinError::Refused(Rule::NotAdmin));
    }
    let secrets = export(&library, &mut group, &epoch)?;
    Ok(Joined { rows: library.rows()?, inviter, epoch, secrets })
}

/// Proposes that this member leaves: what to post. It binds nobody until a commit covers it, and is void after any other
/// commit: then propose again. Refused to the last admin of others.
pub fn propose_leave(
    rows: &MlsRows,
    keys: &EpochKeys,
    rng: &mut (impl CryptoRng + ?Sized),
) -> Result<(RowChanges, Vec<u8>), GroupError> {
    let (library, mut group) = load(rows)?;
    let mut epoch = epoch_of(&group).map_err(|_| GroupError::Damaged)?;
    epoch.members.remove(&epoch.me);
    rules::check_epoch(&epoch).map_err(|_| GroupError::LastAdmin)?;
    let signing = library.leaf_key()?;
    let message = group.leave_group(library.provider(), &LeafSigner(&signing)).map_err(failed)?;
    let message = message.to_bytes().map_err(failed)?;
    let body = envelope::seal(keys, LEAVE_TAG, &message, rng);
    Ok((rows.changes_to(library.rows()?), body))
}

/// What can be said of changes before the library is asked.
fn check_changes(before: &Epoch, identity: &IdentityKeyPair, changes: &[Change]) -> Result<(), GroupError> {
    if changes.is_empty() && before.leaving.is_empty() {
        return Err(GroupError::NothingToChange);
    }
    let me = identity.identity().fingerprint();
    let admin = before.context.admins.contains(&me);
    let mut identities: BTreeSet<_> =
        before.members.values().map(|member| member.identity.fingerprint()).collect();
    let mut members = 0usize;
    for change in changes {
        if !admin && !matches!(change, Change::Update(_)) {
            return Err(GroupError::NotAdmin);
        }
        members =
            members.saturating_add(usize::from(!matches!(change, Change::SetContext(_) | Change::Update(_))));
        if let Change::Remove(leaf) | Change::Replace(leaf, _) = change {
            let member = before.members.get(leaf).ok_or(GroupError::NoSuchMember)?;
            if *leaf == before.me {
                return Err(GroupError::NoSuchMember);
            }
            identities.remove(&member.identity.fingerprint());
        }
        if let Change::Add(package) | Change::Replace(_, package) = change
            && !identities.insert(package.identity.fingerprint())
        {
            return Err(GroupError::AlreadyMember(package.card.name.clone()));
        }
    }
    if members > GROUP_CHANGES {
        return Err(GroupError::TooManyChanges);
    }
    if identities.len() > GROUP_MEMBERS {
        return Err(GroupError::TooManyMembers);
    }
    Ok(())
}

/// Makes the library's commit; it is pending then.
fn stage(
    library: &Library,
    group: &mut MlsGroup,
    signing: &SigningKey,
    changes: &[Change],
) -> Result<openmls::group::CommitMessageBundle, GroupError> {
    let (mut packages, mut removals, mut context, mut update) = (Vec::new(), Vec::new(), None, None);
    for change in changes {
        match change {
            Change::Add(package) => packages.push(package.package.clone()),
            Change::Remove(leaf) => removals.push(LeafNodeIndex::new(leaf.0)),
            Change::Replace(leaf, package) => {
                removals.push(LeafNodeIndex::new(leaf.0));
                packages.push(package.package.clone());
            }
            Change::SetContext(next) => context = Some(next.extensions()?),
            Change::Update(card) => update = Some(leaf_extensions(card.encode()?)?),
        }
    }
    let mut room = GROUP_CHANGES.saturating_sub(packages.len().max(removals.len()));
    let mut builder = group
        .commit_builder()
        .consume_proposal_store(true)
        .force_self_update(update.is_some())
        .propose_adds(packages)
        .propose_removals(removals);
    if let Some(extensions) = update {
        let leaf =
            LeafNodeParameters::builder().with_capabilities(capabilities()).with_extensions(extensions);
        builder = builder.leaf_node_parameters(leaf.build());
    }
    if let Some(context) = context {
        builder = builder.propose_group_context_extensions(context).map_err(failed)?;
    }
    let provider = library.provider();
    builder
        .load_psks(provider.storage())
        .map_err(failed)?
        // Of others' proposals, only wishes to leave were ever kept. Those that do not fit are proposed again in the next
        // epoch; were they all to be covered, a crowd that leaves at once could end all change.
        .build(provider.rand(), provider.crypto(), &LeafSigner(signing), |proposal| {
            let fits = !rules::is_leave(proposal) || room > 0;
            room = room.saturating_sub(usize::from(rules::is_leave(proposal)));
            fits
        })
        .map_err(failed)?
        .stage_commit(provider)
        .map_err(failed)
}

fn load(rows: &MlsRows) -> Result<(Library, MlsGroup), GroupError> {
    let library = Library::open(rows)?;
    let group = library.only_group()?;
    if group.is_active() { Ok((library, group)) } else { Err(GroupError::NotMember) }
}

/// The epoch's one secret, exported once: the rows that are stored afterwards do not give it again.
fn export(library: &Library, group: &mut MlsGroup, epoch: &Epoch) -> Result<EpochSecrets, GroupError> {
    let provider = library.provider();
    let seed = group
        .safe_export_secret(provider.crypto(), provider.storage(), COMPONENT)
        .map(Zeroizing::new)
        .map_err(failed)?;
    Ok(EpochSecrets::derive(&seed, epoch, library.leaf_key()?, &verifying_keys(group)?))
}

fn epoch_of(group: &MlsGroup) -> Result<Epoch, Rule> {
    let members = group
        .treesync()
        .full_leaves()
        .map(|(index, node)| Member::of(Leaf(index.u32()), node).map(|member| (member.leaf, member)))
        .collect::<Result<BTreeMap<_, _>, _>>()?;
    let id = group.group_id().as_slice().try_into().map(GroupId).map_err(|_| Rule::Context)?;
    let authenticator = group.epoch_authenticator().as_slice().try_into().map(Authenticator);
    let leaving = group.pending_proposals().filter(|proposal| rules::is_leave(proposal));
    Ok(Epoch {
        group: id,
        number: group.epoch().as_u64(),
        authenticator: authenticator.map_err(|_| Rule::Context)?,
        me: Leaf(group.own_leaf_index().u32()),
        members,
        context: GroupContext::of(group.extensions())?,
        leaving: leaving
            .filter_map(|proposal| match proposal.sender() {
                Sender::Member(sender) => Some(Leaf(sender.u32())),
                _ => None,
            })
            .collect(),
    })
}

fn verifying_keys(group: &MlsGroup) -> Result<BTreeMap<Leaf, VerifyingKey>, GroupError> {
    let key = |(index, node): (LeafNodeIndex, &openmls::prelude::LeafNode)| {
        let bytes = node.signature_key().as_slice().try_into().ok()?;
        VerifyingKey::from_bytes(bytes).ok().map(|key| (Leaf(index.u32()), key))
    };
    group.treesync().full_leaves().map(key).collect::<Option<_>>().ok_or(GroupError::Damaged)
}
