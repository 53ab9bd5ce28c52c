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
    guest::{GuestPlace, GuestRecord},
    id::{ChatId, GuestId},
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
        // Those that name a mailbox elsewhere were asked for, each for a group of its own.
        let mut given = 0_usize;
        for card in &contact.given {
            let card = self.get::<CardRecord>(&CardKey(*card))?;
            given = given.saturating_add(usize::from(card.is_some_and(|card| card.at.is_none())));
        }
        while given.saturating_add(drawn.len()) < KEY_PACKAGES_GIVEN {
            let copy_key = CopyKey::random(self.rng);
            let Some((card, package)) = self.draw_key_package(chat, copy_key) else { break };
            drawn.push(card);
            packages.push(ByteBuf::from(package));
        }
        if packages.is_empty() {
            return Ok(());
        }
        // Without a session to send them, they are drawn again the next time.
        let only = given == 0;
        match self.post(chat, &contact, Body::KeyPackages { packages, only })? {
            Ok(()) => {
                contact.given.append(&mut drawn);
                self.put(&chat, &contact);
            }
            Err(_) => {
                for card in drawn {
                    self.forget_key_package(card)?;
                }
            }
        }
        Ok(())
    }

    /// `None` if the library fails, for want of randomness.
    pub(super) fn draw_key_package(
        &mut self,
        chat: ChatId,
        copy_key: CopyKey,
    ) -> Option<(ContactId, Vec<u8>)> {
        self.draw_key_package_at(chat, copy_key, None)
    }

    /// The same with a place in a mailbox at another relay.
    pub(crate) fn draw_key_package_at(
        &mut self,
        chat: ChatId,
        copy_key: CopyKey,
        guest: Option<(GuestId, &GuestRecord)>,
    ) -> Option<(ContactId, Vec<u8>)> {
        let (card, mut member) = self.draw_card(copy_key);
        if let Some((_, guest)) = guest {
            member.mailbox = guest.mailbox_id();
            member.token = guest.channel_token(card, self.now);
        }
        let drawn = KeyPackage::draw(&self.account.identity, &member, self.rng).ok()?;
        let at = guest.map(|(guest, _)| GuestPlace { guest, mailbox: member.mailbox });
        let key = member.copy_key.clone();
        let record = CardRecord {
            key,
            given: Some(chat),
            group: None,
            early: 0,
            dropped: 0,
            at,
            answers: None,
            early_bytes: 0,
        };
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
            self.revoke_at_guest(card)?;
            self.forget_key_package(card)?;
        }
        self.put(&chat, &contact);
        Ok(())
    }

    pub(crate) fn forget_key_package(&mut self, card: ContactId) -> StoreResult<(), V> {
        self.delete::<KeyPackageRow>(&card);
        self.forget_card(card)
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
            // Those with a place elsewhere are for somebody who is added again there.
            for (key, OfferRow(package)) in self.offers(chat)? {
                if package_of(contact, package.expose()).is_some() || !is_of(contact, package.expose()) {
                    self.delete::<OfferRow>(&key);
                }
            }
            self.ask_for_given_places_again(chat)?;
        }
        for package in packages {
            if package_of(contact, package).is_some() {
                self.keep_offer(chat, contact, package)?;
            }
        }
        self.drive_groups_that_want(chat)
    }

    /// Keeps a key package that has been checked, and only the newest, of those with a place in the contact's own mailbox
    /// as of the others: the contact counts them so too. Its number.
    pub(super) fn keep_offer(
        &mut self,
        chat: ChatId,
        contact: &ContactRecord,
        package: &[u8],
    ) -> StoreResult<u64, V> {
        let position = self.next_position();
        let elsewhere = package_of(contact, package).is_none();
        self.put(&OfferKey(chat, position), &OfferRow(SecretBuf::new(package)));
        let offers = self.offers(chat)?.into_iter();
        let same: Vec<_> = offers
            .filter(|(_, OfferRow(other))| package_of(contact, other.expose()).is_none() == elsewhere)
            .collect();
        for (key, _) in same.iter().take(same.len().saturating_sub(KEY_PACKAGES_KEPT)) {
            self.delete::<OfferRow>(key);
        }
        Ok(position)
    }

    fn offers(&self, chat: ChatId) -> StoreResult<Vec<(OfferKey, OfferRow)>, V> {
        self.scan::<OfferRow>(&Range::prefix(&chat.0), KEY_PACKAGES_KEPT.saturating_mul(3))
    }

    /// The oldest key package of a contact that is good for its identity. Others are deleted.
    pub(super) fn offer_of(
        &mut self,
        chat: ChatId,
        contact: &ContactRecord,
    ) -> StoreResult<Option<(OfferKey, KeyPackage)>, V> {
        for (key, OfferRow(package)) in self.offers(chat)? {
            match package_of(contact, package.expose()) {
                Some(package) => return Ok(Some((key, package))),
                // One with a place elsewhere is for somebody who is added again there.
                None if is_of(contact, package.expose()) => {}
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

/// Whether a key package is this contact's, wherever its place is.
pub(super) fn is_of(contact: &ContactRecord, package: &[u8]) -> bool {
    KeyPackage::check(package, &contact.fingerprint).is_ok()
}
