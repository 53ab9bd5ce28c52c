//! Who asks to be a contact. All but the key is their own word.

use hermes_api::{OpenInvite, Request, UnixMillis};
use jiff::tz::TimeZone;

use crate::{
    clean, duration,
    output::{DIM, Line, NAME, WARN},
    render::{audit::counted, fold::fold, message::local_time},
};

/// Columns before what somebody says.
const INDENT: usize = 2;
/// Digits of a key in groups of four, as one reads them aloud.
const KEY_GROUPS: usize = 4;
/// Digits of an invite's id that tell it from others.
const ID_DIGITS: usize = 8;

/// One who asks, and what they say.
pub(crate) fn request(request: &Request, now: UnixMillis, width: Option<u16>) -> Vec<Line> {
    let ago = duration::short(request.since.before(now));
    let mut lines = vec![
        Line::default()
            .styled(NAME, &request.name)
            .styled(DIM, format!("  asked {ago} ago, key {}", key(&request.fingerprint))),
    ];
    if request.profile_name != request.name {
        lines.push(detail(format!("calls itself {:?}", clean::line(&request.profile_name))));
    }
    if let Some(namesake) = &request.namesake {
        let warning = format!("  is not the {namesake} whom you know");
        lines.push(Line::default().styled(WARN, warning));
    }
    let room = width.map(|width| usize::from(width).saturating_sub(INDENT));
    for message in &request.messages {
        lines.extend(fold(&message.text, room).into_iter().map(|line| Line::new(format!("  {line}"))));
    }
    if request.messages.is_empty() {
        lines.push(detail("has not said anything".to_owned()));
    }
    lines
}

/// A link that is open, and what came by it.
pub(crate) fn invite(invite: &OpenInvite, now: UnixMillis, zone: &TimeZone) -> Line {
    let id: String = invite.id.chars().take(ID_DIGITS).collect();
    let line = Line::new(format!("Public link {id}: open until {}", local_time(invite.expires_at, zone)));
    match &invite.last_refused {
        None => line,
        Some(last) => {
            let (refused, ago) = (counted(invite.refused, "envelope"), duration::short(last.at.before(now)));
            line.plain(format!("; {refused} refused, the last {ago} ago: {}", last.cause))
        }
    }
}

fn detail(text: String) -> Line {
    Line::default().styled(DIM, format!("  {text}"))
}

fn key(fingerprint: &str) -> String {
    let digits: Vec<char> = fingerprint.chars().collect();
    let groups = digits.chunks(4).take(KEY_GROUPS).map(|group| group.iter().collect::<String>());
    groups.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use hermes_api::{RequestMessage, Unreadable};

    use super::*;

    fn carol() -> Request {
        Request {
            name: "carol".into(),
            profile_name: "carol".into(),
            namesake: None,
            fingerprint: "0123456789abcdef".repeat(4),
            since: UnixMillis(0),
            invite: "9f".repeat(16),
            messages: vec![RequestMessage {
                text: "hi there,\nit is about the boat".into(),
                sent_at: UnixMillis(0),
            }],
            held: 1,
        }
    }

    fn text(of: &Request, width: Option<u16>) -> Vec<String> {
        request(of, UnixMillis(3_600_000), width).iter().map(Line::text).collect()
    }

    #[test]
    fn who_asks_stands_above_what_they_say() {
        assert_eq!(
            text(&carol(), Some(14)),
            ["carol  asked 1h ago, key 0123 4567 89ab cdef", "  hi there,", "  it is about", "  the boat"]
        );
        let silent = Request { messages: Vec::new(), held: 0, ..carol() };
        assert_eq!(text(&silent, None)[1], "  has not said anything");
    }

    #[test]
    fn what_a_stranger_says_of_itself_cannot_pass_for_ours() {
        let mut mallory = Request { profile_name: "\u{1b}[2Jalice\u{202e}\n✓ alice".into(), ..carol() };
        mallory.namesake = Some("alice".into());
        mallory.messages[0].text = "x\u{1b}[1;1H\n✓ alice is a contact".into();
        let lines = text(&mallory, None);
        assert!(lines[1].starts_with("  calls itself \"") && lines[1].ends_with('"'), "{lines:#?}");
        assert_eq!(lines[2], "  is not the alice whom you know");
        assert!(lines.iter().all(|line| !line.contains(['\u{1b}', '\u{202e}', '\n'])), "{lines:#?}");
        assert!(lines[1..].iter().all(|line| line.starts_with("  ")), "{lines:#?}");
    }

    #[test]
    fn a_link_says_what_was_refused_by_it() {
        let last = Unreadable { at: UnixMillis(0), cause: "its handshake is a replay".into() };
        let mut open = OpenInvite {
            id: "9f".repeat(16),
            expires_at: UnixMillis(86_400_000),
            refused: 0,
            last_refused: None,
        };
        let shown = |open: &OpenInvite| invite(open, UnixMillis(60_000), &TimeZone::UTC).text();
        assert!(shown(&open).starts_with("Public link 9f9f9f9f: open until "), "{}", shown(&open));
        open.refused = 2;
        open.last_refused = Some(last);
        assert!(
            shown(&open).ends_with("; 2 envelopes refused, the last 1m ago: its handshake is a replay"),
            "{}",
            shown(&open)
        );
    }
}
