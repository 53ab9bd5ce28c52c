//! What a user says of a contact: who it is, what it is called, what a changed key means.

use hermes_protocol::safety_number::Compared;

use crate::{
    account::Lookup,
    contact::contact_name,
    effect::{CommandError, Reply},
    id::ChatId,
    input::ContactChange,
    row::ContactRecord,
    rows::{NameRow, StoreResult},
    store::View,
    trust::{ChangePolicy, VerifiedBy},
    turn::Turn,
};

/// Whose key a compared number belongs to, when a contact has two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NumberOf {
    /// The key that waits to be accepted.
    NewKey,
    /// The key that the contact has.
    PresentKey,
}

impl NumberOf {
    pub(crate) fn words(self) -> &'static str {
        match self {
            Self::NewKey => "new key",
            Self::PresentKey => "key that you know",
        }
    }
}

impl<V: View> Turn<'_, V> {
    /// Acts on a user's word about one contact; all of it or nothing.
    pub(crate) fn change_contact(
        &mut self,
        name: &str,
        change: ContactChange,
    ) -> StoreResult<Result<Reply, CommandError>, V> {
        let Some((chat, contact)) = self.contact_named(name)? else {
            return Ok(Err(CommandError::UnknownContact(name.to_owned())));
        };
        match change {
            ContactChange::Verify(compared) => Ok(self.verify(chat, contact, &compared)),
            ContactChange::Unverify => Ok(self.unverify(chat, contact)),
            ContactChange::Rename(wish) => self.rename_to(chat, contact, &wish),
            ContactChange::Policy(policy) => Ok(self.set_policy(chat, contact, policy)),
            ContactChange::AcceptKey => self.accept_key(chat, contact),
            ContactChange::RefuseKey => self.refuse_key(chat, contact),
            ContactChange::Block => self.block(chat, contact),
            ContactChange::Unblock => self.unblock(chat, contact),
            ContactChange::Remove(history) => self.remove(chat, contact, history),
        }
    }

    /// Checks what somebody read from the contact's screen. While a changed key waits, this only says whose number it is:
    /// to accept or to refuse a key is a decision of its own.
    fn verify(
        &mut self,
        chat: ChatId,
        mut contact: ContactRecord,
        compared: &Compared,
    ) -> Result<Reply, CommandError> {
        let own = self.account.fingerprint();
        let fits_present = compared.fits(&own, &contact.fingerprint);
        if let Some(change) = &contact.trust.change {
            let number = match compared.fits(&own, &change.next.fingerprint) {
                true => Some(NumberOf::NewKey),
                false => fits_present.then_some(NumberOf::PresentKey),
            };
            let name = contact.name;
            return Err(match number {
                Some(number) => CommandError::KeyChanged { name, number },
                None => CommandError::NumberMismatch(name),
            });
        }
        if !fits_present {
            return Err(CommandError::NumberMismatch(contact.name));
        }
        contact.trust.verified = Some(VerifiedBy::Number);
        self.put(&chat, &contact);
        Ok(Reply::Contact(chat))
    }

    fn unverify(&mut self, chat: ChatId, mut contact: ContactRecord) -> Result<Reply, CommandError> {
        contact.trust.verified = None;
        self.put(&chat, &contact);
        Ok(Reply::Contact(chat))
    }

    fn set_policy(
        &mut self,
        chat: ChatId,
        mut contact: ContactRecord,
        policy: ChangePolicy,
    ) -> Result<Reply, CommandError> {
        contact.trust.policy = policy;
        self.put(&chat, &contact);
        Ok(Reply::Contact(chat))
    }

    /// Gives a contact exactly this name.
    fn rename_to(
        &mut self,
        chat: ChatId,
        mut contact: ContactRecord,
        wish: &str,
    ) -> StoreResult<Result<Reply, CommandError>, V> {
        if contact_name(wish) != wish {
            return Ok(Err(CommandError::BadName(wish.to_owned())));
        }
        contact.named = true;
        if contact.name == wish {
            self.put(&chat, &contact);
            return Ok(Ok(Reply::Contact(chat)));
        }
        let key = self.account.lookup(Lookup::Name, &[wish.as_bytes()]);
        if self.get::<NameRow>(&key)?.is_some() {
            return Ok(Err(CommandError::NameTaken(wish.to_owned())));
        }
        self.delete::<NameRow>(&self.account.lookup(Lookup::Name, &[contact.name.as_bytes()]));
        self.put(&key, &NameRow(chat));
        wish.clone_into(&mut contact.name);
        self.put(&chat, &contact);
        Ok(Ok(Reply::Contact(chat)))
    }
}
