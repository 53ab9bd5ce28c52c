//! Groups.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::{Problem, RegistrationToken, UnixMillis, V1};

/// Makes a group of the account and contacts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct CreateGroup {
    /// What it is called, for all its members.
    #[cfg_attr(feature = "openapi", schema(min_length = 1, max_length = 64))]
    pub name: String,
    /// Names of contacts.
    #[serde(default)]
    pub members: Vec<String>,
    /// How long to wait until all are members before replying with what stands, in milliseconds.
    #[serde(default)]
    pub timeout_ms: u64,
}

/// Adds contacts to a group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct AddMembers {
    /// Their names.
    pub members: Vec<String>,
    /// For one contact whose mailbox is at another relay than the group: with it the contact's client makes one at the
    /// group's. What that relay's operator handed out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub registration_token: Option<RegistrationToken>,
    /// As in [`CreateGroup::timeout_ms`].
    #[serde(default)]
    pub timeout_ms: u64,
}

/// Removes members from a group; who waits to be added does so no more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct ChangeMembers {
    /// Who: contacts by their names; members who are none by the name they give themselves, if it is nobody else's, or
    /// by at least eight digits of their fingerprint.
    #[cfg_attr(feature = "openapi", schema(min_items = 1))]
    pub members: Vec<String>,
    /// As in [`CreateGroup::timeout_ms`].
    #[serde(default)]
    pub timeout_ms: u64,
}

/// Gives a group another name, for all its members.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct RenameGroup {
    /// The name.
    #[cfg_attr(feature = "openapi", schema(min_length = 1, max_length = 64))]
    pub name: String,
    /// As in [`CreateGroup::timeout_ms`].
    #[serde(default)]
    pub timeout_ms: u64,
}

/// Makes a member an admin, or an admin a member.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct SetRole {
    /// Who, as in [`ChangeMembers::members`].
    pub member: String,
    /// What it is to be.
    pub role: Role,
    /// As in [`CreateGroup::timeout_ms`].
    #[serde(default)]
    pub timeout_ms: u64,
}

/// Leaves a group.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct LeaveGroup {
    /// How long to wait for an admin's client to confirm it, in milliseconds.
    #[serde(default)]
    pub timeout_ms: u64,
}

/// Makes a group anew that a member has stopped by breaking its rules, without that member.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct RebuildGroup {
    /// As in [`CreateGroup::timeout_ms`].
    #[serde(default)]
    pub timeout_ms: u64,
}

/// All groups of an account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Groups {
    /// The document's version.
    pub v: V1,
    /// By name.
    pub groups: Vec<Group>,
}

/// One group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Group {
    /// The local name, unique among contacts and groups of the account.
    pub name: String,
    /// The name that its admins gave it. Chosen by others, so shown only after cleaning.
    pub title: String,
    /// Whether it works here.
    pub standing: Standing,
    /// Why it does not, and what to do.
    pub problem: Option<Problem>,
    /// How many are in it.
    pub members: u32,
    /// What this account may do in it.
    pub role: Role,
    /// How often it was changed.
    pub epoch: u64,
    /// Whether a change that was asked for is on its way.
    pub changing: bool,
    /// Messages to it that the account's mailbox had no room for, ever.
    pub missed: u64,
    /// Since when it is here.
    pub since: UnixMillis,
}

/// Whether a group works here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Standing {
    /// It does.
    Member,
    /// This account has asked to be no member any more.
    Leaving,
    /// This account has left it.
    Left,
    /// An admin has removed this account.
    Removed,
    /// A member has broken the group's rules, and nobody follows.
    Frozen,
    /// This device has lost its place in it.
    Lost,
    /// The relay did not take it.
    Refused,
    /// Something that this program is too old to know.
    #[serde(other)]
    Other,
}

/// What somebody may do in a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Read and write.
    Member,
    /// Add, remove, rename and give roles too.
    Admin,
    /// Something that this program is too old to know.
    #[serde(other)]
    Other,
}

/// One group in full.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct GroupDetails {
    /// The document's version.
    pub v: V1,
    /// The group as a list shows it.
    pub group: Group,
    /// Its members, this account among them.
    pub members: Vec<Member>,
    /// Contacts who are to be added and are not yet: what is needed for it has not come from them.
    pub waiting: Vec<String>,
    /// Those of them who wait for a mailbox at the group's relay, because their own is at another.
    #[serde(default)]
    pub places: Vec<WaitingPlace>,
    /// The relay that copies to its members.
    #[serde(default)]
    pub relay: String,
}

/// A contact who is to be added, and needs a mailbox at the group's relay for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct WaitingPlace {
    /// The contact's name.
    pub name: String,
    /// Why there is none, and what to do; nothing while the contact's client has not answered.
    pub problem: Option<Problem>,
}

/// One member.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Member {
    /// Who it is.
    #[serde(flatten)]
    pub person: Person,
    /// What it may do.
    pub role: Role,
}

/// Somebody in a group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Person {
    /// The contact's local name; of somebody who is no contact, the name it gives itself, which nobody has vouched for.
    pub name: String,
    /// Whether it is a contact.
    pub contact: bool,
    /// Whether it is this account.
    pub me: bool,
    /// SHA-256 over its identity keys, 64 hex digits.
    pub fingerprint: String,
}

/// What became of a group: `"change":"joined","by":"alice"`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "change", rename_all = "kebab-case")]
pub enum GroupChange {
    /// This account is a member.
    Joined {
        /// The contact who added it.
        by: String,
    },
    /// Its members, its name or its admins are others.
    Changed,
    /// A change that was asked for here cannot be made.
    Failed {
        /// Why.
        error: Problem,
    },
    /// It does not work here any more: its standing says why.
    Stopped,
    /// Something that this program is too old to know.
    #[serde(other)]
    Other,
}

/// The group is forgotten: there is nothing of it any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Forgotten {
    /// The document's version.
    pub v: V1,
}

/// Digits of a fingerprint that tell people apart.
const GLANCE: usize = 8;

impl Person {
    /// What people call it. Who is no contact is told by name and key: the name alone may be anybody's. Not cleaned.
    pub fn label(&self) -> String {
        if self.contact {
            return self.name.clone();
        }
        format!("{} ({})", called(&self.name), self.glance()).trim_start().to_owned()
    }

    /// The first digits of its fingerprint.
    pub fn glance(&self) -> String {
        self.fingerprint.chars().filter(|digit| !digit.is_whitespace()).take(GLANCE).collect()
    }
}

/// What somebody calls itself. In quotes if it could be read as anything else than a name.
fn called(name: &str) -> Cow<'_, str> {
    let plain = |c: char| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_' | '.' | '\'');
    if name.chars().all(plain) { Cow::Borrowed(name) } else { Cow::Owned(format!("{name:?}")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stranger_is_told_by_its_key_whatever_it_calls_itself() {
        let person = |name: &str, contact| Person {
            name: name.into(),
            contact,
            me: false,
            fingerprint: "3184 4284 aaaa".into(),
        };
        assert_eq!(person("bob", true).label(), "bob");
        assert_eq!(person("bob", false).label(), "bob (31844284)");
        assert_eq!(person("bob (00000000)", false).label(), "\"bob (00000000)\" (31844284)");
        assert_eq!(person("", false).label(), "(31844284)");
    }
}
