//! What every step of the ratchet tree begins and ends with: a group is loaded from its rows, and an epoch read from it.

use std::collections::BTreeMap;

use ed25519_dalek::VerifyingKey;
use openmls::{
    group::MlsGroup,
    prelude::{LeafNode, LeafNodeIndex, OpenMlsProvider, Sender},
};
use zeroize::Zeroizing;

use crate::group::{
    Authenticator, Epoch, EpochSecrets, GroupContext, GroupError, GroupId, Leaf, MlsRows, Rule, failed,
    library::{COMPONENT, Library},
    member::Vouched,
    rules, tree,
};

/// What the rows say about the current epoch; a pending commit does not show.
pub fn read(rows: &MlsRows) -> Result<Epoch, GroupError> {
    let (_, group) = load(rows)?;
    stored_epoch(&group).map(|(epoch, _)| epoch)
}

pub(super) fn load(rows: &MlsRows) -> Result<(Library<'_>, MlsGroup), GroupError> {
    let library = Library::open(rows)?;
    let group = library.only_group()?;
    if group.is_active() { Ok((library, group)) } else { Err(GroupError::NotMember) }
}

/// The epoch's one secret, exported once: the rows that are stored afterwards do not give it again.
pub(super) fn export(
    library: &Library,
    group: &mut MlsGroup,
    epoch: &Epoch,
) -> Result<EpochSecrets, GroupError> {
    let seed = group
        .safe_export_secret(library.crypto(), library.storage(), COMPONENT)
        .map(Zeroizing::new)
        .map_err(failed)?;
    Ok(EpochSecrets::derive(&seed, epoch, library.leaf_key()?, &verifying_keys(group)?))
}

/// The epoch of own rows, and its members for the epochs that follow it.
pub(super) fn stored_epoch(group: &MlsGroup) -> Result<(Epoch, Vouched), GroupError> {
    let vouched = Vouched::of(group).map_err(|_| GroupError::Damaged)?;
    let epoch = epoch_of(group, &vouched).map_err(|_| GroupError::Damaged)?;
    Ok((epoch, vouched))
}

pub(super) fn epoch_of(group: &MlsGroup, vouched: &Vouched) -> Result<Epoch, Rule> {
    let members = group
        .treesync()
        .full_leaves()
        .map(|(index, node)| vouched.member(Leaf(index.u32()), node).map(|member| (member.leaf, member)))
        .collect::<Result<BTreeMap<_, _>, _>>()?;
    let id = group.group_id().as_slice().try_into().map(GroupId).map_err(|_| Rule::Context)?;
    let authenticator = group.epoch_authenticator().as_slice().try_into().map(Authenticator);
    let me = Leaf(group.own_leaf_index().u32());
    let leaving = group.pending_proposals().filter(|proposal| rules::is_leave(proposal));
    Ok(Epoch {
        group: id,
        number: group.epoch().as_u64(),
        authenticator: authenticator.map_err(|_| Rule::Context)?,
        me,
        place_to_fill: tree::place(me, &tree::blanks(group)),
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

pub(super) fn verifying_keys(group: &MlsGroup) -> Result<BTreeMap<Leaf, [u8; 32]>, GroupError> {
    let key = |(index, leaf): (LeafNodeIndex, &LeafNode)| {
        Some((Leaf(index.u32()), leaf.signature_key().as_slice().try_into().ok()?))
    };
    group.treesync().full_leaves().map(key).collect::<Option<_>>().ok_or(GroupError::Damaged)
}

pub(super) fn verifying_key(leaf: &LeafNode) -> Option<VerifyingKey> {
    VerifyingKey::from_bytes(leaf.signature_key().as_slice().try_into().ok()?).ok()
}
