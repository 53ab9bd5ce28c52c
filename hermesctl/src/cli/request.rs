//! `hermesctl requests`

use clap::Subcommand;

pub(super) const REQUESTS_HELP: &str = "\
`hermesctl invite --requests` prints a link that can stand on a web page or in a README. Who uses it is \
no contact: what they say first is listed here, nothing is sent to them, and nothing announces them.

  hermesctl requests ls
  hermesctl requests accept carol
  hermesctl requests reject carol

Their names are their own word, and nobody has vouched for them. What comes by a public link may be \
rubbish; when it is, withdraw the link with `close` and publish another.";

#[derive(Debug, Subcommand)]
pub(crate) enum Requests {
    /// List who asks to be a contact, with what they say, and the links that are open
    #[command(alias = "list")]
    Ls,
    /// Make one who asks a contact, unverified
    Accept {
        /// The name in the list
        name: String,
        /// The name that the contact gets: a-z, 0-9, '-', '_' and '.', at most 32
        #[arg(long = "as", value_name = "NAME")]
        wish: Option<String>,
    },
    /// Forget one who asks; the same identity is not heard again by links that are open today
    Reject {
        /// The name in the list
        name: String,
    },
    /// Withdraw a link, or all of them; those who wait go on waiting
    Close {
        /// The link's id in the list, or how it begins; without it all links are withdrawn
        invite: Option<String>,
    },
}
