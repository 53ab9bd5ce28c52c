//! Key packages that contacts give each other, so that either can add the other to a group while it is offline.
//!
//! Each is for one contact and for one group. Nobody else can use them up, and no relay sees who is fetched for a group.

use hermes_protocol::{
    content::Body,
    group::{KeyPackage, MemberCard},
};
use hermes_wire::{ContactId, channel::CopyKey};
use serde_bytes::ByteBuf;

use super::{CardKey, CardRecord, KeyPackageRow, OfferKey, OfferRow};
use crate::{
    effect::{CommandError, Reply},
    id::ChatId,
    limits::{CONTACTS, KEY_PACKAGES_GIVEN, KEY_PACKAGES_KEPT},
    row::{ContactRecord, SecretBuf},
    rows::StoreResult,
    store::{Range, View},
    turn::Turn,
};

impl<V: View> Turn<'_, V> {
    /// Sees to it that every contact has key packages of ours.
    pub(crate) fn give_all_key_packages(&mut self) -> StoreResult<Result<Reply, CommandError>, V> {
        let most = usize::try_from(CONTACTS).unwrap_or(usize::MAX);
        for (chat, _) in self.scan::<ContactRecord>(&Range::all(), most)? {
            self.give_key_packages(chat)?;
        }
        Ok(Ok(Reply::Given))
    }

    /// Sees to it that a contact has key packages of ours.
    pub(crate) fn give_key_packages(&mut self, chat: ChatId) -> StoreResult<(), V> {
        let Some(mut contact) = self.get::<ContactRecord>(&chat)? else { return Ok(()) };
        if !contact.answered || contact.blocked.is_some() {
            return Ok(());
        }
        let mut packages = Vec::new();
        let mut drawn = Vec::new();
        while contact.given.len().saturating_add(drawn.len()) < KEY_PACKAGES_GIVEN {
            let copy_key = CopyKey::random(self.rng);
            let Some((card, package)) = self.draw_key_package(chat, copy_key) else { break };
            drawn.push(card);
            packages.push(ByteBuf::from(package));
        }
        if packages.is_empty() {
            return Ok(());
        }
        // Without a session to send them, they are drawn again the next time.
        let only = contact.given.is_empty();
        match self.post(chat, &contact, Body::KeyPackages { packages, only })? {
            Ok(()) => {
                contact.given.append(&mut drawn);
                self.put(&chat, &contact);
            }
            Err(_) => drawn.into_iter().for_each(|card| self.forget_key_package(card)),
        }
        Ok(())
    }

    /// `None` if the library fails, for want of randomness.
    pub(super) fn draw_key_package(
        &mut self,
        chat: ChatId,
        copy_key: CopyKey,
    ) -> Option<(ContactId, Vec<u8>)> {
        let (card, member) = self.draw_card(copy_key);
        let drawn = KeyPackage::draw(&self.account.identity, &member, self.rng).ok()?;
        let record =
            CardRecord { key: member.copy_key.clone(), given: Some(chat), group: None, early: 0, dropped: 0 };
        self.put(&CardKey(card), &record);
        self.put(&card, &KeyPackageRow::new(&drawn.rows));
        Some((card, drawn.public))
    }

    /// A place in a roster: where copies go, by whose permission, under which key.
    pub(super) fn draw_card(&mut self, copy_key: CopyKey) -> (ContactId, MemberCard) {
        let contact = ContactId::random(self.rng);
        let card = MemberCard {
            mailbox: self.account.mailbox,
            token: self.account.channel_token(contact, self.now),
            copy_key,
            name: self.profile.clone(),
        };
        (contact, card)
    }

    /// Key packages of ours that a contact has are void: they are given anew.
    pub(crate) fn take_back_key_packages(&mut self, chat: ChatId) -> StoreResult<(), V> {
        let Some(mut contact) = self.get::<ContactRecord>(&chat)? else { return Ok(()) };
        if contact.given.is_empty() {
            return Ok(());
        }
        for card in std::mem::take(&mut contact.given) {
            self.forget_key_package(card);
        }
        self.put(&chat, &contact);
        Ok(())
    }

    pub(super) fn forget_key_package(&mut self, card: ContactId) {
        self.delete::<KeyPackageRow>(&card);
        self.delete::<CardRecord>(&CardKey(card));
    }

    /// A contact gives key packages of its own: `only` these are good. What is none of its is passed over.
    pub(crate) fn take_key_packages(
        &mut self,
        chat: ChatId,
        contact: &ContactRecord,
        packages: &[ByteBuf],
        only: bool,
    ) -> StoreResult<(), V> {
        if only {
            for (key, _) in self.offers(chat)? {
                self.delete::<OfferRow>(&key);
            }
        }
        for package in packages {
            if package_of(contact, package).is_some() {
                self.keep_offer(chat, package)?;
            }
        }
        self.drive_groups_that_want(chat)
    }

    /// Keeps a key package that has been checked, and of all only the newest. Its number.
    pub(super) fn keep_offer(&mut self, chat: ChatId, package: &[u8]) -> StoreResult<u64, V> {
        let position = self.next_position();
        self.put(&OfferKey(chat, position), &OfferRow(SecretBuf::new(package)));
        let offers = self.offers(chat)?;
        for (key, _) in offers.iter().take(offers.len().saturating_sub(KEY_PACKAGES_KEPT)) {
            self.delete::<OfferRow>(key);
        }
        Ok(position)
    }

    fn offers(&self, chat: ChatId) -> StoreResult<Vec<(OfferKey, OfferRow)>, V> {
        self.scan::<OfferRow>(&Range::prefix(&chat.0), KEY_PACKAGES_KEPT.saturating_mul(2))
    }

    /// The oldest key package of a contact that is good for its identity. Others are deleted.
    pub(super) fn offer_of(
        &mut self,
        chat: ChatId,
        contact: &ContactRecord,
    ) -> StoreResult<Option<(OfferKey, KeyPackage)>, V> {
        for (key, OfferRow(package)) in self.scan::<OfferRow>(&Range::prefix(&chat.0), KEY_PACKAGES_KEPT)? {
            match package_of(contact, package.expose()) {
                Some(package) => return Ok(Some((key, package))),
                None => self.delete::<OfferRow>(&key),
            }
        }
        Ok(None)
    }
}

/// A key package, if it is good for this contact: its identity's, and with a place in its own mailbox. A roster in which
/// two have one mailbox is none, so that whoever named another's would end every change that adds them.
pub(super) fn package_of(contact: &ContactRecord, package: &[u8]) -> Option<KeyPackage> {
    let package = KeyPackage::check(package, &contact.fingerprint).ok()?;
    (package.card().mailbox == contact.ticket.mailbox).then_some(package)
}
