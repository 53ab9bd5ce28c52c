//! An own commit: what it changes, and what becomes of it.

use std::collections::BTreeSet;

use openmls::{
    group::MlsGroup,
    prelude::{LeafNodeIndex, LeafNodeParameters, OpenMlsProvider, Sender},
};
use rand_core::CryptoRng;
use zeroize::Zeroizing;

use crate::{
    group::{
        Epoch, EpochKeys, EpochSecrets, GroupContext, GroupError, KeyPackage, Leaf, MemberCard, MlsRows,
        RowChanges, Rule,
        agreement::{epoch_of, load, stored_epoch, verifying_keys},
        envelope, failed,
        library::{COMPONENT, LeafSigner, Library, capabilities, leaf_extensions},
        message::COMMIT_TAG,
        rules,
    },
    identity::IdentityKeyPair,
    limits::{GROUP_CHANGES, GROUP_MEMBERS},
    signing::SigningSecret,
};

/// What a commit changes.
#[derive(Clone)]
pub enum Change {
    /// Adds somebody (admins).
    Add(KeyPackage),
    /// Removes a member (admins), not oneself: see `propose_leave`.
    Remove(Leaf),
    /// Removes a member and adds it anew, for one that lost its state (admins). The key package is the same identity's.
    Replace(Leaf, KeyPackage),
    /// Name, channel, relay, admins (admins).
    SetContext(GroupContext),
    /// New leaf keys for oneself, and the given card.
    Update(MemberCard),
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
    /// The old epoch.
    pub before: Epoch,
    /// The new epoch.
    pub epoch: Epoch,
}

/// Prepares a commit of these changes and, by an admin, of the removal of those whose proposals to leave have arrived;
/// `changes` may be empty if there are such. At most 64 adds, removals and replacements together, those who leave among
/// them.
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
    let (before, vouched) = stored_epoch(&group)?;
    check_changes(&before, identity, changes)?;
    let signing = library.leaf_key()?;
    let admin = before.context.admins.contains(&identity.identity().fingerprint());
    let bundle = stage(&library, &mut group, &signing, (changes, &before), admin)?;
    let (commit, welcome, _) = bundle.into_messages();
    let seed = group
        .safe_export_secret_from_pending(library.crypto(), library.storage(), COMPONENT)
        .map(Zeroizing::new)
        .map_err(failed)?;
    let prepared = library.changes();
    // What the epoch will be is read from the group in which it has begun. That it has is written nowhere: the changes are
    // those from before, and the library ends with this call.
    group.merge_pending_commit(&library).map_err(failed)?;
    let epoch = epoch_of(&group, &vouched).map_err(|rule| GroupError::Library(rule.to_string()))?;
    rules::check_epoch(&epoch).map_err(|rule| match rule {
        Rule::LastAdmin => GroupError::LastAdmin,
        Rule::TooManyMembers => GroupError::TooManyMembers,
        rule => GroupError::Library(rule.to_string()),
    })?;
    let secrets = EpochSecrets::derive(&seed, &epoch, signing, &verifying_keys(&group)?);
    let commit = commit.to_bytes().map_err(failed)?;
    let welcome = welcome.map(|welcome| welcome.to_bytes()).transpose().map_err(failed)?;
    Ok(Prepared {
        changes: prepared,
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
    let (before, vouched) = stored_epoch(&group)?;
    group.merge_pending_commit(&library).map_err(failed)?;
    let epoch = epoch_of(&group, &vouched).map_err(|_| GroupError::Damaged)?;
    Ok(Merged { changes: library.into_changes(), before, epoch })
}

/// The relay refused the own commit; the epoch goes on. (After a lost race there is no need to: `receive` drops it.)
pub fn drop_own(rows: &MlsRows) -> Result<RowChanges, GroupError> {
    let (library, mut group) = load(rows)?;
    if group.pending_commit().is_none() {
        return Err(GroupError::NotPending);
    }
    group.clear_pending_commit(library.storage()).map_err(failed)?;
    Ok(library.into_changes())
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
    signing: &SigningSecret,
    (changes, before): (&[Change], &Epoch),
    admin: bool,
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
            Change::SetContext(next) => context = Some(next.clone()),
            Change::Update(card) => update = Some(leaf_extensions(card.encode()?)?),
        }
    }
    removals.extend(leavers(group, &removals, packages.len(), admin));
    let context = without_office(before, &removals, changes, context);
    let mut builder = group
        .commit_builder()
        // What others proposed is committed in the author's own words: a member that has not heard of it can follow too.
        .consume_proposal_store(false)
        .force_self_update(update.is_some())
        .propose_adds(packages)
        .propose_removals(removals);
    if let Some(extensions) = update {
        let leaf =
            LeafNodeParameters::builder().with_capabilities(capabilities()).with_extensions(extensions);
        builder = builder.leaf_node_parameters(leaf.build());
    }
    if let Some(context) = context {
        let extensions = context.extensions()?;
        builder = builder.propose_group_context_extensions(extensions).map_err(failed)?;
    }
    builder
        .load_psks(library.storage())
        .map_err(failed)?
        .build(library.rand(), library.crypto(), &LeafSigner(signing), |_| true)
        .map_err(failed)?
        .stage_commit(library)
        .map_err(failed)
}

/// Whoever goes is no admin any more, lest it be one when it comes again. Who is replaced has not gone.
fn without_office(
    before: &Epoch,
    removals: &[LeafNodeIndex],
    changes: &[Change],
    context: Option<GroupContext>,
) -> Option<GroupContext> {
    let replaced =
        |leaf: Leaf| changes.iter().any(|change| matches!(change, Change::Replace(of, _) if *of == leaf));
    let gone: BTreeSet<_> = removals
        .iter()
        .map(|index| Leaf(index.u32()))
        .filter(|leaf| !replaced(*leaf))
        .filter_map(|leaf| before.members.get(&leaf))
        .map(|member| member.identity.fingerprint())
        .collect();
    let mut next = context.clone().unwrap_or_else(|| before.context.clone());
    if next.admins.is_disjoint(&gone) {
        return context;
    }
    next.admins.retain(|admin| !gone.contains(admin));
    Some(next)
}

/// Those who want to leave and are not removed anyway, as many as one commit has room for. The others propose it again in
/// the next epoch; were they all to be removed, a crowd that leaves at once could end all change.
fn leavers(
    group: &MlsGroup,
    removals: &[LeafNodeIndex],
    packages: usize,
    admin: bool,
) -> BTreeSet<LeafNodeIndex> {
    let room = if admin { GROUP_CHANGES.saturating_sub(packages.max(removals.len())) } else { 0 };
    let wishes = group.pending_proposals().filter(|proposal| rules::is_leave(proposal));
    let leaves = wishes.filter_map(|proposal| match proposal.sender() {
        Sender::Member(sender) if !removals.contains(sender) => Some(*sender),
        _ => None,
    });
    let leaves: BTreeSet<_> = leaves.collect();
    leaves.into_iter().take(room).collect()
}
