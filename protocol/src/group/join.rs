//! The ways into a group: beginning one, and joining with a Welcome.

use openmls::{
    group::{MlsGroup, StagedWelcome},
    prelude::{CredentialWithKey, MlsMessageBodyIn, MlsMessageIn, tls_codec::Deserialize as _},
};
use rand_core::CryptoRng;

use crate::{
    group::{
        Epoch, EpochSecrets, GroupContext, GroupError, GroupId, JoinError, Leaf, MemberCard, MlsRows, Rule,
        agreement::{epoch_of, export},
        failed,
        library::{LeafSigner, Library, create_config, join_config, leaf_extensions},
        member::{Vouched, credential},
        rules,
    },
    identity::IdentityKeyPair,
    signing::SigningSecret,
};

/// A new group, with its creator alone in it.
pub struct Created {
    /// All rows.
    pub rows: MlsRows,
    /// Epoch 0.
    pub epoch: Epoch,
    /// Its secrets.
    pub secrets: EpochSecrets,
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
    let signing = SigningSecret::generate(rng);
    let library = Library::empty()?;
    library.put_leaf_key(&signing);
    let config = create_config(context.extensions()?, leaf_extensions(card.encode()?)?)?;
    let with_key = CredentialWithKey {
        credential: credential(identity, &signing.public()),
        signature_key: signing.public().as_slice().into(),
    };
    let id = openmls::prelude::GroupId::from_slice(&group.0);
    let mut created = MlsGroup::new_with_group_id(&library, &LeafSigner(&signing), &config, id, with_key)
        .map_err(failed)?;
    library.put_group(group);
    let epoch = epoch_of(&created, &Vouched::default()).map_err(|_| GroupError::Damaged)?;
    let secrets = export(&library, &mut created, &epoch)?;
    Ok(Created { rows: library.into_rows(), epoch, secrets })
}

/// Joins with one of the own key packages.
pub fn join(key_package: &MlsRows, welcome: &[u8]) -> Result<Joined, JoinError> {
    let library = Library::open(key_package)?;
    let message = MlsMessageIn::tls_deserialize_exact(welcome).map_err(|_| JoinError::Unreadable)?;
    let MlsMessageBodyIn::Welcome(welcome) = message.extract() else { return Err(JoinError::Unreadable) };
    let staged = StagedWelcome::build_from_welcome(&library, &join_config(), welcome)
        .map_err(|_| JoinError::Unreadable)?
        // A leaf is good until its owner replaces it; no clock is asked.
        .skip_lifetime_validation()
        .build()
        .map_err(|error| JoinError::Refused(Rule::Mls(error.to_string())))?;
    let inviter = Leaf(staged.welcome_sender_index().u32());
    let mut group = staged.into_group(&library).map_err(failed)?;
    let epoch = epoch_of(&group, &Vouched::default()).map_err(JoinError::Refused)?;
    library.put_group(epoch.group);
    rules::check_epoch(&epoch).map_err(JoinError::Refused)?;
    let by = epoch.members.get(&inviter).map(|member| member.identity.fingerprint());
    if !by.is_some_and(|by| epoch.context.admins.contains(&by)) {
        return Err(JoinError::Refused(Rule::NotAdmin));
    }
    let secrets = export(&library, &mut group, &epoch)?;
    Ok(Joined { rows: library.into_rows(), inviter, epoch, secrets })
}
