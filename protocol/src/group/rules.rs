//! What a commit of another member must keep to. Every member checks every commit before it follows: the relay cannot.

use std::collections::BTreeSet;

use openmls::prelude::{Proposal, ProposalOrRefType, QueuedProposal, Sender, StagedCommit};

use crate::{
    group::{Epoch, GroupContext, Leaf, Rule, member::Vouched},
    limits::GROUP_MEMBERS,
};

/// Whether a proposal is its own sender's wish to leave.
pub(super) fn is_leave(proposal: &QueuedProposal) -> bool {
    match (proposal.proposal(), proposal.sender()) {
        (Proposal::Remove(remove), Sender::Member(sender)) => remove.removed() == *sender,
        _ => false,
    }
}

/// Checks what a staged commit of `author` is going to do in the epoch before it.
/// Whom it adds is vouched for then.
pub(super) fn check_commit(
    (before, vouched): (&Epoch, &mut Vouched),
    author: Leaf,
    staged: &StagedCommit,
) -> Result<(), Rule> {
    let member = before.members.get(&author).ok_or(Rule::Author)?;
    let admin = before.context.admins.contains(&member.identity.fingerprint());
    for queued in staged.queued_proposals() {
        // In the author's own words: whoever follows needs nothing but the commit, and one who has not heard of what
        // another proposed could not tell it from nothing.
        let own = matches!(queued.sender(), Sender::Member(sender) if sender.u32() == author.0);
        if !own || queued.proposal_or_ref_type() != ProposalOrRefType::Proposal {
            return Err(Rule::Proposal);
        }
        match queued.proposal() {
            Proposal::Add(add) if admin => drop(vouched.check(Leaf(0), add.key_package().leaf_node())?),
            Proposal::Remove(_) if admin => {}
            Proposal::GroupContextExtensions(proposal) if admin => {
                GroupContext::of(proposal.extensions())?;
            }
            Proposal::Add(_) | Proposal::Remove(_) | Proposal::GroupContextExtensions(_) => {
                return Err(Rule::NotAdmin);
            }
            _ => return Err(Rule::Proposal),
        }
    }
    match staged.update_path_leaf_node() {
        Some(leaf) if vouched.check(author, leaf)?.identity != member.identity => Err(Rule::Identity),
        Some(_) | None => Ok(()),
    }
}

/// Checks what has come of a commit, or a group that is joined.
pub(super) fn check_epoch(epoch: &Epoch) -> Result<(), Rule> {
    if epoch.members.len() > GROUP_MEMBERS {
        return Err(Rule::TooManyMembers);
    }
    let identities: BTreeSet<_> =
        epoch.members.values().map(|member| member.identity.fingerprint()).collect();
    if identities.len() < epoch.members.len() {
        return Err(Rule::AlreadyMember);
    }
    if epoch.context.admins.is_disjoint(&identities) {
        return Err(Rule::LastAdmin);
    }
    if !epoch.context.admins.is_subset(&identities) {
        return Err(Rule::AdminNoMember);
    }
    Ok(())
}
