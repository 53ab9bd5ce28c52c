//! What a notification says.

use std::collections::BTreeMap;

use hermes_api::clean;
use hermes_config::Preview;

use super::{Arrival, Kind, Popup};
use crate::limits::{NOTIFY_CHATS, NOTIFY_COUNTED, NOTIFY_LINES, NOTIFY_NAME, NOTIFY_TEXT};

/// How the notifications of an account are worded.
pub(super) struct Wording {
    pub(super) preview: Preview,
    pub(super) account: String,
    /// Whether the account has to be named.
    pub(super) several_accounts: bool,
}

impl Wording {
    /// One message.
    pub(super) fn message(&self, arrival: &Arrival) -> Popup {
        let title = match self.preview {
            Preview::None => "Hermes".to_owned(),
            Preview::Full | Preview::NameOnly => match &arrival.author {
                Some(author) => format!("{} in {}", name(author), name(&arrival.chat)),
                None => name(&arrival.chat),
            },
        };
        let text = arrival.text.as_deref().filter(|_| self.preview == Preview::Full);
        let body = text.map_or_else(|| "New message".to_owned(), excerpt);
        self.popup(title, body, Kind::Message)
    }

    /// Several, and perhaps more.
    pub(super) fn summary(&self, arrivals: &[Arrival], more: bool, replace: bool) -> Popup {
        let title = match (arrivals.len(), more) {
            (0, _) => "New messages".to_owned(),
            (1, false) => "1 new message".to_owned(),
            (count, false) => format!("{count} new messages"),
            (count, true) => format!("More than {} new messages", count.min(NOTIFY_COUNTED)),
        };
        let body = match self.preview {
            Preview::None => String::new(),
            Preview::Full | Preview::NameOnly => chats(arrivals),
        };
        self.popup(title, body, Kind::Summary { replace })
    }

    /// Another identity speaks in a contact's place.
    pub(super) fn identity_changed(&self, contact: &str) -> Popup {
        let body = match self.preview {
            Preview::None => "A contact's identity key changed. See: hermesctl contact ls".to_owned(),
            Preview::Full | Preview::NameOnly => {
                let contact = name(contact);
                format!("Nothing is sent to {contact} until you decide: hermesctl contact show {contact}")
            }
        };
        self.popup("An identity key changed".to_owned(), body, Kind::Alarm)
    }

    fn popup(&self, title: String, body: String, kind: Kind) -> Popup {
        let title = if self.several_accounts { format!("[{}] {title}", self.account) } else { title };
        Popup { title, body, kind, account: self.account.clone() }
    }
}

/// Whose messages they are, the most first.
fn chats(arrivals: &[Arrival]) -> String {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for arrival in arrivals {
        *counts.entry(&arrival.chat).or_default() += 1;
    }
    let mut counts: Vec<_> = counts.into_iter().collect();
    counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    let mut parts: Vec<String> =
        counts.iter().take(NOTIFY_CHATS).map(|(chat, count)| format!("{}: {count}", name(chat))).collect();
    if let Some(others) = counts.len().checked_sub(NOTIFY_CHATS).filter(|others| *others > 0) {
        parts.push(format!("{others} more chats"));
    }
    parts.join(", ")
}

fn name(name: &str) -> String {
    cut(&clean::line(name), NOTIFY_NAME)
}

/// The beginning of a text, without anything that a desktop would take for more than text.
fn excerpt(text: &str) -> String {
    let mut lines = text.lines().map(str::trim_end).filter(|line| !line.is_empty());
    let mut excerpt: Vec<_> = lines.by_ref().take(NOTIFY_LINES).map(clean::line).collect();
    if lines.next().is_some() {
        excerpt.push("…".into());
    }
    cut(&excerpt.join("\n"), NOTIFY_TEXT)
}

fn cut(text: &str, characters: usize) -> String {
    match text.char_indices().nth(characters) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// Text as a body that may have markup says it.
pub(super) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&apos;"),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wording(preview: Preview) -> Wording {
        Wording { preview, account: "work".into(), several_accounts: false }
    }

    fn arrival(chat: &str, author: Option<&str>, text: Option<&str>) -> Arrival {
        Arrival { chat: chat.into(), author: author.map(Into::into), text: text.map(Into::into) }
    }

    fn said(popup: Popup) -> (String, String) {
        (popup.title, popup.body)
    }

    #[test]
    fn the_preview_decides_what_is_said() {
        let message = arrival("ops", Some("carol"), Some("disk at 91 %"));
        for (preview, title, body) in [
            (Preview::Full, "carol in ops", "disk at 91 %"),
            (Preview::NameOnly, "carol in ops", "New message"),
            (Preview::None, "Hermes", "New message"),
        ] {
            assert_eq!(said(wording(preview).message(&message)), (title.into(), body.into()));
        }
        let hidden = arrival("bob", None, None);
        assert_eq!(said(wording(Preview::Full).message(&hidden)), ("bob".into(), "New message".into()));
    }

    #[test]
    fn a_summary_counts_and_names_the_chats() {
        let arrivals: Vec<_> =
            ["a", "b", "b", "c", "d", "e", "f"].iter().map(|chat| arrival(chat, None, Some("x"))).collect();
        let full = wording(Preview::Full).summary(&arrivals, false, false);
        assert_eq!(said(full), ("7 new messages".into(), "b: 2, a: 1, c: 1, d: 1, 2 more chats".into()));
        let none = wording(Preview::None).summary(&arrivals, false, true);
        assert_eq!(said(none), ("7 new messages".into(), String::new()));
        let more = wording(Preview::None).summary(&arrivals, true, false);
        assert_eq!(more.title, "More than 7 new messages");
    }

    #[test]
    fn the_account_is_named_where_there_are_several() {
        let wording = Wording { several_accounts: true, ..wording(Preview::Full) };
        assert_eq!(wording.message(&arrival("bob", None, Some("hi"))).title, "[work] bob");
    }

    #[test]
    fn texts_are_cut_and_cleaned() {
        let long = "word ".repeat(1_000);
        assert_eq!(excerpt(&long).chars().count(), NOTIFY_TEXT + 1);
        assert_eq!(excerpt("1\n\n2\r\n3\n4\n5\n6"), "1\n2\n3\n4\n…");
        assert_eq!(excerpt("\u{1b}[31mred\u{202e}\u{0}"), "␛[31mred\u{fffd}␀");
        assert_eq!(name(&"ü".repeat(100)).chars().count(), NOTIFY_NAME + 1);
        assert!(name("bob\npay").starts_with("bob␊"));
    }

    #[test]
    fn markup_is_text() {
        assert_eq!(escape("<b>&\"'</b>"), "&lt;b&gt;&amp;&quot;&apos;&lt;/b&gt;");
    }
}
