//! The wish to leave.

use rand_core::CryptoRng;

use crate::group::{
    EpochKeys, GroupError, MlsRows, RowChanges,
    agreement::{load, stored_epoch},
    envelope, failed,
    library::LeafSigner,
    message::LEAVE_TAG,
    rules,
};

/// Proposes that this member leaves: what to post. It binds nobody until a commit covers it, and is void after any other
/// commit: then propose again. Refused to the last admin of others.
pub fn propose_leave(
    rows: &MlsRows,
    keys: &EpochKeys,
    rng: &mut (impl CryptoRng + ?Sized),
) -> Result<(RowChanges, Vec<u8>), GroupError> {
    let (library, mut group) = load(rows)?;
    let (mut epoch, _) = stored_epoch(&group)?;
    let gone = epoch.members.remove(&epoch.me);
    epoch
        .context
        .admins
        .retain(|admin| gone.as_ref().is_none_or(|gone| gone.identity.fingerprint() != *admin));
    rules::check_epoch(&epoch).map_err(|_| GroupError::LastAdmin)?;
    let signing = library.leaf_key()?;
    let message = group.leave_group(&library, &LeafSigner(&signing)).map_err(failed)?;
    let message = message.to_bytes().map_err(failed)?;
    let body = envelope::seal(keys, LEAVE_TAG, &message, rng);
    Ok((library.into_changes(), body))
}
