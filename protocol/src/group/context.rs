//! What all members agree on besides keys and members: name, channel, admins.

use std::collections::BTreeSet;

use hermes_wire::{ChannelId, RelayAddress, codec};
use openmls::prelude::{Extension, Extensions, UnknownExtension};
use serde_tuple::{Deserialize_tuple, Serialize_tuple};

use crate::{
    group::{
        GroupError, Rule, failed,
        library::{CONTEXT, required},
        member::is_name,
    },
    identity::Fingerprint,
    limits::GROUP_MEMBERS,
};

/// Bytes of an encoded context: a thousand admins.
const CONTEXT_BYTES: usize = 64 * 1024;

/// The group context's extension, set by admins only.
#[derive(Clone, Debug, PartialEq, Eq, Serialize_tuple, Deserialize_tuple)]
pub struct GroupContext {
    /// Name of the group: 1 to 64 characters, none of them a control character.
    pub name: String,
    /// The channel at the relay.
    pub channel: ChannelId,
    /// The relay that orders this group.
    pub relay: RelayAddress,
    /// Members who may change the group. At least one of them is a member.
    pub admins: BTreeSet<Fingerprint>,
}

impl GroupContext {
    /// All extensions of the group's context.
    pub(super) fn extensions(&self) -> Result<Extensions<openmls::prelude::GroupContext>, GroupError> {
        if !is_name(&self.name) || self.admins.len() > GROUP_MEMBERS {
            return Err(GroupError::Name);
        }
        let context = Extension::Unknown(CONTEXT, UnknownExtension(codec::encode(self)));
        Extensions::from_vec(vec![required(), context]).map_err(failed)
    }

    /// Reads them back: exactly these two, well formed.
    pub(super) fn of(extensions: &Extensions<openmls::prelude::GroupContext>) -> Result<Self, Rule> {
        let bytes = extensions.unknown(CONTEXT).ok_or(Rule::Context)?;
        let context: Self = codec::decode(&bytes.0, CONTEXT_BYTES).map_err(|_| Rule::Context)?;
        let expected = context.extensions().map_err(|_| Rule::Context)?;
        if *extensions == expected { Ok(context) } else { Err(Rule::Context) }
    }
}
