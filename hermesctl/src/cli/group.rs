//! `hermesctl group`

use std::path::PathBuf;

use clap::{Subcommand, ValueEnum};

#[derive(Debug, Subcommand)]
pub(crate) enum Group {
    /// Make a group of yourself and contacts
    #[command(after_help = GROUP_HELP)]
    Create {
        /// What it is called, for all its members
        name: String,
        /// Contacts
        members: Vec<String>,
    },
    /// List groups
    #[command(alias = "list")]
    Ls,
    /// Show a group and who is in it
    Show {
        /// The group
        group: String,
    },
    /// Add contacts; for admins
    #[command(after_help = ADD_HELP)]
    Add {
        /// The group
        group: String,
        /// Contacts
        #[arg(required = true)]
        members: Vec<String>,
        /// A file with a registration token of the group's relay, for one contact of another relay
        #[arg(long, value_name = "FILE")]
        token_file: Option<PathBuf>,
    },
    /// Remove members, or give up adding those who wait; for admins
    #[command(alias = "remove", after_help = MEMBER_HELP)]
    Rm {
        /// The group
        group: String,
        /// Members
        #[arg(required = true)]
        members: Vec<String>,
    },
    /// Make a member an admin, or an admin a plain member; for admins
    #[command(after_help = MEMBER_HELP)]
    Role {
        /// The group
        group: String,
        /// The member
        member: String,
        /// What it is to be
        role: Role,
    },
    /// Give a group another name, for all its members; for admins
    Rename {
        /// The group
        group: String,
        /// Its name
        name: String,
    },
    /// Go on without a member who stopped the group by breaking its rules; for admins
    #[command(after_help = REBUILD_HELP)]
    Rebuild {
        /// The group
        group: String,
    },
    /// Leave a group
    Leave {
        /// The group
        group: String,
    },
    /// Forget a group that you are not in any more, with all that was said in it
    Forget {
        /// The group
        group: String,
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
}

const GROUP_HELP: &str = "\
Nobody has to be online, and members need not know each other. Whoever makes the group is its \
admin; others become it by hermesctl group role. Who is added reads nothing from before, and who \
is removed reads nothing sent after.

  hermesctl group create ops bob carol
  hermesctl send ops 'disk at 91 %'";

const ADD_HELP: &str = "\
Whose mailbox is at another relay gets a second one at the group's, for this group: their client makes \
it when it is next online. A relay that takes new accounts only with a registration token wants one for \
this too. Its operator makes it by hermes-relay token new, and it reaches the contact encrypted.

  hermesctl group add ops bob
  hermesctl group add ops bob --token-file token.txt";

const REBUILD_HELP: &str = "\
Every member checks every change of a group, and follows none that breaks its rules: the group stops \
for all, and hermesctl group show says who it was. This goes on from where it stopped, without them, \
for everybody else; nobody else has to do anything.";

const MEMBER_HELP: &str = "\
A member who is no contact is named by the name that it gives itself, or by the first eight digits \
of its fingerprint: hermesctl group show GROUP has both.";

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Role {
    /// Reads and writes
    Member,
    /// Adds, removes, renames and gives roles too
    Admin,
}

impl From<Role> for hermes_api::Role {
    fn from(role: Role) -> Self {
        match role {
            Role::Member => Self::Member,
            Role::Admin => Self::Admin,
        }
    }
}
