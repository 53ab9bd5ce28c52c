//! What a user asks of a group.

use std::collections::BTreeSet;

use hermes_protocol::{
    group::{Created, GroupContext, GroupId, create},
    identity::Fingerprint,
    limits::PROFILE_NAME_CHARS,
};
use hermes_wire::{
    channel::{ChannelId, CopyKey, Epoch as NextEpoch, Head, PostTokenHash, Roster},
    limits::REGISTRATION_TOKEN_CHARS,
};

use super::{
    CardKey, CardRecord, GroupRecord, GroupStanding, MemberRecord, PositionKey, PositionRecord, Post, mls,
    record::Wanted,
};
use crate::{
    chat::Chat,
    contact::contact_name,
    effect::{CommandError, Reply, SendError},
    id::ChatId,
    input::GroupChange,
    limits::{GROUP_MEMBERS, GROUP_ROWS, GROUPS},
    row::{ContactRecord, SecretBuf},
    rows::StoreResult,
    store::{Range, View},
    turn::Turn,
};

/// Digits of a fingerprint that name a member.
const FINGERPRINT_DIGITS: usize = 8;

type Answer<T, V> = StoreResult<Result<T, CommandError>, V>;

impl<V: View> Turn<'_, V> {
    /// Makes a group of this account and contacts.
    pub(crate) fn create_group(&mut self, name: &str, members: &[String]) -> Answer<Reply, V> {
        if let Err(error) = check_name(name) {
            return Ok(Err(error));
        }
        if self.scan::<GroupRecord>(&Range::all(), GROUPS)?.len() >= GROUPS {
            return Ok(Err(CommandError::TooManyGroups(GROUPS)));
        }
        // A script that went on with the name that it chose would write to the other one.
        if !self.is_group_name_free(name)? {
            return Ok(Err(CommandError::NameTaken(name.to_owned())));
        }
        if !self.counters.registered {
            return Ok(Err(CommandError::NotRegistered));
        }
        let mut wanted = Vec::new();
        for member in members {
            match self.addable(member)? {
                Ok(chat) if wanted.contains(&Wanted::Add(chat)) => {}
                Ok(chat) => wanted.push(Wanted::Add(chat)),
                Err(error) => return Ok(Err(error)),
            }
        }
        if wanted.len() >= GROUP_MEMBERS {
            return Ok(Err(CommandError::TooManyMembers(GROUP_MEMBERS)));
        }
        let copy_key = CopyKey::random(self.rng);
        let (card, member) = self.draw_card(copy_key);
        let context = GroupContext {
            name: name.to_owned(),
            channel: ChannelId::random(self.rng),
            relay: self.account.relay.clone(),
            admins: BTreeSet::from([self.account.fingerprint()]),
        };
        let id = GroupId::random(self.rng);
        let created = match create(&self.account.identity, id, &context, &member, self.rng) {
            Ok(created) => created,
            Err(error) => return Ok(Err(CommandError::Group(error.to_string()))),
        };
        let chat = ChatId::random(self.rng);
        let name = self.claim_group_name(chat, name)?;
        let record = CardRecord {
            given: None,
            group: Some(chat),
            early: 0,
            dropped: 0,
            at: None,
            answers: None,
            early_bytes: 0,
            key: member.copy_key.clone(),
        };
        self.put(&CardKey(card), &record);
        let mut group = GroupRecord {
            id,
            name,
            since: self.now,
            by: None,
            standing: GroupStanding::Member,
            card,
            keys: SecretBuf::new(&[]),
            epoch: 0,
            head: Head::first(context.channel),
            context,
            members: 1,
            confirming: 0,
            begun: self.now,
            renewed: self.now,
            place_to_fill: None,
            place_in_tree: 0,
            wanted,
            pending: None,
            awaiting: None,
            overtaken: None,
            forgotten: false,
        };
        if let Err(error) = self.found(chat, &mut group, created)? {
            return Ok(Err(error));
        }
        for contact in group.waiting().collect::<Vec<_>>() {
            self.want_place_if_elsewhere(contact, chat, &group.context.relay, None)?;
        }
        self.drive(chat, group)?;
        Ok(Ok(Reply::Group(chat)))
    }

    /// Stores epoch 0 and has the relay make the channel.
    fn found(&mut self, chat: ChatId, group: &mut GroupRecord, created: Created) -> Answer<(), V> {
        let Created { rows, epoch, secrets } = created;
        let change = mls::roster(&epoch).and_then(|roster| {
            let change = Roster::default().change_to(&roster)?;
            Ok((change, roster.hash(group.context.channel)))
        });
        let (change, roster) = match change {
            Ok(change) => change,
            Err(error) => return Ok(Err(CommandError::Group(error.to_string()))),
        };
        let first = NextEpoch {
            token: PostTokenHash::of(&secrets.keys.post_token()),
            change,
            roster,
            key: secrets.keys.roster_key(),
        };
        self.apply_mls(chat, hermes_protocol::group::RowChanges { put: rows.0, delete: BTreeSet::new() });
        self.begin_epoch(chat, group, &epoch, &secrets)?;
        self.put(&PositionKey(chat), &PositionRecord::default());
        self.queue_post(chat, Post::Create { number: 0, first }, Vec::new(), None);
        Ok(Ok(()))
    }

    /// Changes a group of this name.
    pub(crate) fn change_group(&mut self, name: &str, change: GroupChange) -> Answer<Reply, V> {
        let (chat, mut group) = match self.chat_named(name)? {
            Some((chat, Chat::Group(group))) => (chat, *group),
            Some((_, Chat::Contact(_))) | None => {
                return Ok(Err(CommandError::UnknownGroup(name.to_owned())));
            }
        };
        if let GroupChange::Leave = change {
            return Ok(self.leave_group(chat, group)?.map(|()| Reply::Group(chat)));
        }
        if let GroupChange::Forget = change {
            return Ok(self.forget_group(chat, group)?.map(|()| Reply::Forgotten));
        }
        if let GroupChange::Rebuild = change {
            return Ok(self.rebuild_group(chat, group)?.map(|()| Reply::Group(chat)));
        }
        if let Err(error) = super::post::may_post(&group) {
            return Ok(Err(CommandError::Group(error.to_string())));
        }
        if !group.context.admins.contains(&self.account.fingerprint()) {
            return Ok(Err(CommandError::NotAdmin(group.name)));
        }
        let change = match change {
            GroupChange::Remove(names) => GroupChange::Remove(self.give_up_adding(chat, &mut group, names)?),
            other => other,
        };
        let token = match &change {
            GroupChange::AddGuest(_, token) if token.chars().count() > REGISTRATION_TOKEN_CHARS => {
                return Ok(Err(CommandError::TokenTooLong(REGISTRATION_TOKEN_CHARS)));
            }
            GroupChange::AddGuest(_, token) => Some(token.clone()),
            _ => None,
        };
        let wanted = match self.wanted(chat, &group, change)? {
            Ok(wanted) => wanted,
            Err(error) => return Ok(Err(error)),
        };
        for wanted in wanted {
            if let Wanted::Add(contact) = wanted {
                self.want_place_if_elsewhere(contact, chat, &group.context.relay, token.clone())?;
            }
            if !group.wanted.contains(&wanted) {
                group.wanted.push(wanted);
            }
        }
        self.drive(chat, group)?;
        Ok(Ok(Reply::Group(chat)))
    }

    /// Those who wait to be added do so no more; what is left of the names are members.
    fn give_up_adding(
        &mut self,
        chat: ChatId,
        group: &mut GroupRecord,
        names: Vec<String>,
    ) -> StoreResult<Vec<String>, V> {
        let mut left = Vec::new();
        for name in names {
            let contact = self.contact_named(&name)?.map(|(contact, _)| contact);
            match contact.filter(|contact| group.wanted.contains(&Wanted::Add(*contact))) {
                Some(contact) => {
                    group.wanted.retain(|wanted| *wanted != Wanted::Add(contact));
                    self.forget_place(contact, chat);
                }
                None => left.push(name),
            }
        }
        Ok(left)
    }

    fn wanted(&mut self, chat: ChatId, group: &GroupRecord, change: GroupChange) -> Answer<Vec<Wanted>, V> {
        let mut all = Vec::new();
        match change {
            GroupChange::Leave | GroupChange::Rebuild | GroupChange::Forget => {}
            GroupChange::Add(names) => {
                let room = GROUP_MEMBERS.saturating_sub(usize::try_from(group.members).unwrap_or(usize::MAX));
                if names.len() > room {
                    return Ok(Err(CommandError::TooManyMembers(GROUP_MEMBERS)));
                }
                for name in names {
                    match self.addable(&name)? {
                        Ok(contact) if self.is_member(chat, &contact)? => {
                            let group = group.name.clone();
                            return Ok(Err(CommandError::MemberAlready { member: name, group }));
                        }
                        Ok(contact) => all.push(Wanted::Add(contact)),
                        Err(error) => return Ok(Err(error)),
                    }
                }
            }
            GroupChange::AddGuest(name, _) => {
                let wanted = self.wanted(chat, group, GroupChange::Add(vec![name.clone()]))?;
                if let Ok([Wanted::Add(contact)]) = wanted.as_deref()
                    && !self.is_elsewhere(contact, &group.context.relay)?
                {
                    return Ok(Err(CommandError::NoTokenWanted(name)));
                }
                return Ok(wanted);
            }
            GroupChange::Remove(names) => {
                for name in names {
                    match self.member_named(chat, group, &name)? {
                        Ok(member) if member == self.account.fingerprint() => {
                            return Ok(Err(CommandError::RemoveSelf(group.name.clone())));
                        }
                        Ok(member) => all.push(Wanted::Remove(member)),
                        Err(error) => return Ok(Err(error)),
                    }
                }
            }
            GroupChange::Rename(name) => match check_name(&name) {
                Ok(()) => all.push(Wanted::Rename(name)),
                Err(error) => return Ok(Err(error)),
            },
            GroupChange::Promote(name) => match self.member_named(chat, group, &name)? {
                Ok(member) => all.push(Wanted::Promote(member)),
                Err(error) => return Ok(Err(error)),
            },
            GroupChange::Demote(name) => match self.member_named(chat, group, &name)? {
                Ok(member) if group.context.admins.len() <= 1 && group.context.admins.contains(&member) => {
                    return Ok(Err(CommandError::LastAdmin(group.name.clone())));
                }
                Ok(member) => all.push(Wanted::Demote(member)),
                Err(error) => return Ok(Err(error)),
            },
        }
        Ok(Ok(all))
    }

    fn is_member(&self, chat: ChatId, contact: &ChatId) -> StoreResult<bool, V> {
        let Some(contact) = self.get::<ContactRecord>(contact)? else { return Ok(false) };
        let members = self.scan::<MemberRecord>(&Range::prefix(&chat.0), GROUP_ROWS)?;
        Ok(members.iter().any(|(_, member)| member.fingerprint == contact.fingerprint))
    }

    /// A contact that can be a member. Who cannot be is said here, before anything has changed.
    fn addable(&self, name: &str) -> Answer<ChatId, V> {
        let Some((chat, contact)) = self.contact_named(name)? else {
            return Ok(Err(CommandError::UnknownContact(name.to_owned())));
        };
        if !contact.answered {
            return Ok(Err(CommandError::NotPaired(contact.name)));
        }
        if contact.blocked.is_some() {
            return Ok(Err(CommandError::Unsent(SendError::Blocked(contact.name))));
        }
        if contact.trust.change.is_some() {
            return Ok(Err(CommandError::MemberKeyChanged(contact.name)));
        }
        Ok(Ok(chat))
    }

    /// A member by the name of a contact, by the name it gives itself if only one does, or by the beginning of its
    /// fingerprint.
    fn member_named(&self, chat: ChatId, group: &GroupRecord, name: &str) -> Answer<Fingerprint, V> {
        let members = self.scan::<MemberRecord>(&Range::prefix(&chat.0), GROUP_ROWS)?;
        // However it is written: whoever is meant is the contact, and a member that calls itself so may be anybody.
        let contact = match self.contact_named(name)? {
            None => self.contact_named(&contact_name(name))?,
            named => named,
        };
        let contact = contact.filter(|(_, contact)| name.eq_ignore_ascii_case(&contact.name));
        if let Some((_, ContactRecord { fingerprint, .. })) = &contact
            && members.iter().any(|(_, member)| member.fingerprint == *fingerprint)
        {
            return Ok(Ok(*fingerprint));
        }
        // As lists show those who are no contacts: `carol (c3ae3b8b)`.
        let shown = name.strip_suffix(')').and_then(|name| name.rsplit_once(" ("));
        let (name, digits) = shown.map_or((name, name), |(_, digits)| (digits, digits));
        let digits = digits.to_ascii_lowercase();
        let by_digits = name.len() >= FINGERPRINT_DIGITS;
        let fits = |member: &MemberRecord| {
            (contact.is_none() && member.profile_name == name)
                || (by_digits && member.fingerprint.to_string().replace(' ', "").starts_with(&digits))
        };
        let mut found = members.into_iter().filter(|(_, member)| fits(member));
        match (found.next(), found.next()) {
            (Some((_, member)), None) => Ok(Ok(member.fingerprint)),
            (Some(_), Some(_)) => Ok(Err(CommandError::AmbiguousMember(name.to_owned()))),
            (None, _) => {
                Ok(Err(CommandError::UnknownMember { member: name.to_owned(), group: group.name.clone() }))
            }
        }
    }
}

fn check_name(name: &str) -> Result<(), CommandError> {
    let characters = name.chars().count();
    let clean = !name.chars().any(char::is_control);
    if (1..=PROFILE_NAME_CHARS).contains(&characters) && clean && !name.trim().is_empty() {
        Ok(())
    } else {
        Err(CommandError::BadGroupName(name.to_owned()))
    }
}
