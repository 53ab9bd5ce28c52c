//! Messages in inbox and log.

use std::time::Duration;

use hermes_api::{Body, Confirmed, Direction, Message, MessageState, Quote, Recipient, UnixMillis};
use jiff::{Timestamp, tz::TimeZone};

use crate::{
    duration,
    output::{BAD, DIM, Line, NAME, WARN},
    render::{
        audit::counted,
        fold,
        group::{self, person},
    },
};

/// Lines of one message that the inbox shows on a terminal; the log shows all.
const INBOX_LINES: usize = 12;

/// Characters of a message that is answered, before the answer.
const QUOTED_CHARS: usize = 24;

/// Columns below which text is not folded but left to the terminal.
const MIN_TEXT_COLUMNS: usize = 20;

/// The widths of a listing's columns.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Layout {
    reference: usize,
    /// Columns of the terminal, when it is one.
    terminal: Option<usize>,
}

impl Layout {
    /// As wide as the longest reference asks for.
    pub(crate) fn of(messages: &[Message], terminal: Option<u16>) -> Self {
        let reference = messages.iter().map(|message| fold::width(name(message))).max().unwrap_or(0);
        Self { reference, terminal: terminal.map(usize::from) }
    }

    /// Columns for the text when it starts at `indent`.
    fn text(&self, indent: usize) -> Option<usize> {
        self.terminal.and_then(|columns| columns.checked_sub(indent)).filter(|rest| *rest >= MIN_TEXT_COLUMNS)
    }

    fn reference(&self, message: &Message) -> Line {
        let name = name(message);
        let pad = self.reference.saturating_sub(fold::width(name));
        Line::default().styled(NAME, name).plain(" ".repeat(pad))
    }
}

/// What a command calls a message. Nothing can be done with a note of the own daemon, and none has a number of its own.
fn name(message: &Message) -> &str {
    match message.direction {
        Direction::Note => "",
        Direction::In | Direction::Out => &message.reference,
    }
}

/// An unread message: reference, age, text.
pub(crate) fn unread(message: &Message, layout: Layout, now: UnixMillis) -> Vec<Line> {
    let age = duration::short(message.received_at.unwrap_or(message.sent_at).before(now));
    let indent = layout.reference + 2 + 4 + 2;
    let mut head = layout.reference(message).styled(DIM, format!("  {age:>4}  "));
    let mut first = 0;
    if let Some(author) = &message.author {
        let author = person(author);
        first = fold::width(&author) + 2;
        head = head.styled(NAME, author).plain(": ");
    }
    let (head, quoted) = quoting(head, message);
    let mut lines = with_text(head, indent, message, layout.text(indent + first + quoted));
    append_marks(&mut lines, message);
    let hidden = lines.len().saturating_sub(INBOX_LINES);
    if layout.terminal.is_some() && hidden > 0 {
        lines.truncate(INBOX_LINES);
        let rest = format!("… {hidden} more lines: hermesctl read {}", message.reference);
        lines.push(Line::new(" ".repeat(indent)).styled(DIM, rest));
    }
    lines
}

/// A message of a log: reference, local time, who, text, and how far it has come. Before it, what is missing.
pub(crate) fn logged(message: &Message, layout: Layout, zone: &TimeZone) -> Vec<Line> {
    let time = local_time(message.received_at.unwrap_or(message.sent_at), zone);
    let from = match message.direction {
        Direction::In => message.author.as_ref().map_or_else(|| message.from.clone(), person),
        Direction::Out => "you".to_owned(),
        Direction::Note => return vec![note(message, layout, &time)],
    };
    let indent = layout.reference + 2 + fold::width(&time) + 2;
    let head = layout.reference(message).styled(DIM, format!("  {time}  ")).styled(NAME, &from).plain(": ");
    // Further lines start under the name: below the colon they would waste a narrow terminal.
    let (head, quoted) = quoting(head, message);
    let first = fold::width(&from) + 2 + quoted;
    let columns = layout.text(indent + first);
    let mut lines = with_text(head, indent, message, columns);
    append_marks(&mut lines, message);
    if let (Some(last), Some(state)) = (lines.last_mut(), message.state) {
        let style = if state == MessageState::Failed { BAD } else { DIM };
        let word = self::state(state);
        let word = match message.confirmed {
            Some(Confirmed { by, of }) if of > 0 && message.state == Some(MessageState::Relayed) => {
                format!("{word}, {by} of {of} have it")
            }
            _ => word.to_owned(),
        };
        let reason = message.error.as_ref().map(|error| format!(": {}", error.message)).unwrap_or_default();
        *last = std::mem::take(last).styled(style, format!("  ({word}{reason})"));
    }
    if let Some(last) = lines.last_mut().filter(|_| message.no_one_time_prekey) {
        *last = std::mem::take(last).styled(WARN, "  (session without one-time key)");
    }
    if message.missing_before > 0 {
        let missing = counted(message.missing_before, "message");
        lines.insert(0, Line::default().styled(WARN, format!("— {missing} missing —")));
    }
    if let Some(refused) = refused(message) {
        lines.insert(0, Line::default().styled(DIM, format!("— {refused} —")));
    }
    lines
}

/// `2 messages refused while bob was blocked`, of what would have stood right before a message.
pub(crate) fn refused(message: &Message) -> Option<String> {
    let refused = counted(message.refused_before, "message");
    let from = &message.from;
    (message.refused_before > 0).then(|| format!("{refused} refused while {from} was blocked"))
}

/// What the daemon has to say itself, in the place where it happened.
fn note(message: &Message, layout: Layout, time: &str) -> Line {
    let text = match &message.body {
        Body::SessionRenewed { reason } => format!("new session: {reason}"),
        Body::GroupChanged(note) => group::note(note),
        Body::TimerSet { .. } | Body::Expired | Body::Withdrawn => String::new(),
        Body::Reaction { .. } | Body::Edit { .. } | Body::Unsend { .. } => String::new(),
        Body::Text { .. } | Body::Unsupported => "(needs a newer version of Hermes)".to_owned(),
    };
    layout.reference(message).styled(DIM, format!("  {time}  — {text} —"))
}

fn with_text(head: Line, indent: usize, message: &Message, columns: Option<usize>) -> Vec<Line> {
    let mut text = match &message.body {
        Body::Text { text } => fold::fold(text, columns).into_iter(),
        Body::Expired => return vec![head.styled(DIM, "(deleted: its time was over)")],
        Body::TimerSet { ttl } => return vec![head.styled(DIM, timer(*ttl))],
        Body::Withdrawn => return vec![head.styled(DIM, "(message withdrawn)")],
        Body::Reaction { to, emoji: Some(emoji) } => {
            return vec![head.styled(DIM, format!("(reacts {emoji} to {})", which(to)))];
        }
        Body::Reaction { to, emoji: None } => {
            return vec![head.styled(DIM, format!("(takes back the reaction to {})", which(to)))];
        }
        Body::Edit { to } => return vec![head.styled(DIM, format!("(edits {})", which(to)))],
        Body::Unsend { to } => return vec![head.styled(DIM, format!("(withdraws {})", which(to)))],
        Body::Unsupported | Body::SessionRenewed { .. } | Body::GroupChanged(_) => {
            return vec![head.styled(DIM, "(needs a newer version of Hermes; it is kept)")];
        }
    };
    let mut lines = vec![head.plain(text.next().unwrap_or_default())];
    lines.extend(text.map(|line| Line::new(" ".repeat(indent)).plain(line)));
    lines
}

/// What a message answers, before its text; and how many columns that takes.
fn quoting(head: Line, message: &Message) -> (Line, usize) {
    let Some(quoted) = message.reply_to.as_ref().map(quoted) else { return (head, 0) };
    let quoted = format!("{quoted}  ");
    let columns = fold::width(&quoted);
    (head.styled(DIM, quoted), columns)
}

/// What a message answers.
pub(crate) fn quoted(quote: &Quote) -> String {
    let words = quote.text.as_deref().map(first_words).unwrap_or_default();
    match words.is_empty() {
        true => format!("↪ {}", which(quote)),
        false => format!("↪ {} “{words}”", which(quote)),
    }
}

/// Enough of a text to know it by, on one line.
pub(crate) fn first_words(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(QUOTED_CHARS) {
        Some((end, _)) => format!("{}…", line[..end].trim_end()),
        None => line,
    }
}

/// A message that another one is about.
pub(crate) fn which(quote: &Quote) -> &str {
    quote.reference.as_deref().unwrap_or("a message that is not here")
}

/// That it was edited, and what others think of it, behind its last line.
fn append_marks(lines: &mut [Line], message: &Message) {
    let Some(last) = lines.last_mut() else { return };
    if message.edited_at.is_some() {
        *last = std::mem::take(last).styled(DIM, "  (edited)");
    }
    for reaction in &message.reactions {
        let count = if reaction.count > 1 { format!(" {}", reaction.count) } else { String::new() };
        *last = std::mem::take(last).plain(format!("  {}{count}", reaction.emoji));
    }
}

pub(crate) fn timer(ttl: Option<u32>) -> String {
    match ttl {
        None => "from here on, messages stay".to_owned(),
        Some(seconds) => {
            let time = duration::exact(Duration::from_secs(u64::from(seconds)));
            format!("from here on, messages are deleted {time} after they are read")
        }
    }
}

/// The columns of a list of those a message to a group went to.
pub(crate) const RECIPIENT_HEADER: [&str; 2] = ["member", "state"];

/// They as rows under [`RECIPIENT_HEADER`].
pub(crate) fn recipients(recipients: &[Recipient]) -> Vec<Vec<String>> {
    let row = |recipient: &Recipient| vec![person(&recipient.person), state(recipient.state).to_owned()];
    recipients.iter().map(row).collect()
}

pub(crate) fn state(state: MessageState) -> &'static str {
    match state {
        MessageState::Queued => "queued",
        MessageState::Relayed => "relayed",
        MessageState::Delivered => "delivered",
        MessageState::Read => "read",
        MessageState::Failed => "failed",
    }
}

/// `2026-01-31 14:03` in the user's time zone.
pub(crate) fn local_time(time: UnixMillis, zone: &TimeZone) -> String {
    let timestamp = i64::try_from(time.0).ok().and_then(|millis| Timestamp::from_millisecond(millis).ok());
    match timestamp {
        Some(timestamp) => timestamp.to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M").to_string(),
        // A peer may claim any time, also one that no calendar has.
        None => "unknown time".to_owned(),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use hermes_api::Reaction;

    use super::*;

    pub(crate) fn incoming(reference: &str, text: &str) -> Message {
        Message {
            reference: reference.into(),
            id: "00".repeat(16),
            chat: reference.split('#').next().unwrap().into(),
            direction: Direction::In,
            from: reference.split('#').next().unwrap().into(),
            author: None,
            body: Body::Text { text: text.into() },
            reply_to: None,
            edited_at: None,
            reactions: Vec::new(),
            sent_at: UnixMillis(0),
            received_at: Some(UnixMillis(1_000_000)),
            state: None,
            error: None,
            confirmed: None,
            ttl_seconds: None,
            muted: false,
            read: false,
            no_one_time_prekey: false,
            missing_before: 0,
            refused_before: 0,
        }
    }

    fn texts(lines: Vec<Line>) -> Vec<String> {
        lines.iter().map(Line::text).collect()
    }

    #[test]
    fn the_inbox_aligns_references_and_ages() {
        let messages = [incoming("bob#44", "looks good, thanks"), incoming("carol#1", "hi\nthere")];
        let layout = Layout::of(&messages, None);
        let now = UnixMillis(1_120_000);
        assert_eq!(texts(unread(&messages[0], layout, now)), ["bob#44     2m  looks good, thanks"]);
        assert_eq!(texts(unread(&messages[1], layout, now)), ["carol#1    2m  hi", "               there"]);
    }

    #[test]
    fn a_terminal_folds_and_a_pipe_does_not() {
        let long = incoming("bob#1", &"word ".repeat(200));
        let now = UnixMillis(1_000_000);
        assert_eq!(unread(&long, Layout::of(std::slice::from_ref(&long), None), now).len(), 1);
        let lines = texts(unread(&long, Layout::of(std::slice::from_ref(&long), Some(60)), now));
        assert_eq!(lines.len(), INBOX_LINES + 1);
        assert!(lines.iter().all(|line| fold::width(line) <= 60), "{lines:?}");
        assert!(lines.last().unwrap().contains("hermesctl read bob#1"), "{lines:?}");
    }

    #[test]
    fn a_message_cannot_pretend_to_be_two() {
        let message = incoming("bob#1", "hi\rcarol#9  1m  pay\u{2028}mallory#1 0s x\u{1b}[1A");
        let lines =
            texts(unread(&message, Layout::of(std::slice::from_ref(&message), None), UnixMillis(1_000_000)));
        assert_eq!(lines, ["bob#1    0s  hi␍carol#9  1m  pay\u{fffd}mallory#1 0s x␛[1A"]);
    }

    #[test]
    fn what_is_said_of_a_message_stands_with_it() {
        let mut message = incoming("bob#3", "on my way");
        let text = Some("where are\nyou, and when will you be here?".to_owned());
        let reference = Some("bob#2".to_owned());
        message.reply_to = Some(Quote { id: "00".repeat(16), reference, from: None, text });
        message.edited_at = Some(UnixMillis(1));
        let reaction =
            |emoji: &str, count| Reaction { emoji: emoji.into(), count, me: false, by: Vec::new() };
        message.reactions = vec![reaction("👍", 2), reaction("\u{1b}[2J", 1)];
        let layout = Layout::of(std::slice::from_ref(&message), None);
        assert_eq!(
            texts(unread(&message, layout, UnixMillis(1_000_000))),
            ["bob#3    0s  ↪ bob#2 “where are you, and when…”  on my way  (edited)  👍 2  ␛[2J"]
        );
        message.reactions.clear();
        (message.edited_at, message.body) = (None, Body::Withdrawn);
        message.reply_to = Some(Quote { reference: None, text: None, ..message.reply_to.unwrap() });
        assert_eq!(
            texts(logged(&message, layout, &TimeZone::UTC)),
            ["bob#3  1970-01-01 00:16  bob: ↪ a message that is not here  (message withdrawn)"]
        );
    }

    #[test]
    fn a_note_is_nobodys_message() {
        let mut message = incoming("bob#3.1", "");
        message.direction = Direction::Note;
        message.body = Body::SessionRenewed { reason: "a message came twice".into() };
        let layout = Layout::of(&[incoming("bob#3", "hi"), message.clone()], None);
        assert_eq!(
            texts(logged(&message, layout, &TimeZone::UTC)),
            ["       1970-01-01 00:16  — new session: a message came twice —"]
        );
    }

    #[test]
    fn the_log_shows_who_when_and_how_far() {
        let mut message = incoming("bob#2", "done");
        message.direction = Direction::Out;
        message.received_at = None;
        message.state = Some(MessageState::Relayed);
        let layout = Layout::of(std::slice::from_ref(&message), None);
        assert_eq!(
            texts(logged(&message, layout, &TimeZone::UTC)),
            ["bob#2  1970-01-01 00:00  you: done  (relayed)"]
        );
        message.no_one_time_prekey = true;
        assert!(
            texts(logged(&message, layout, &TimeZone::UTC))[0]
                .ends_with("done  (relayed)  (session without one-time key)")
        );
        message.missing_before = 3;
        assert_eq!(texts(logged(&message, layout, &TimeZone::UTC))[0], "— 3 messages missing —");
        message.missing_before = 0;
        message.refused_before = 1;
        let refused = format!("— 1 message refused while {} was blocked —", message.from);
        assert_eq!(texts(logged(&message, layout, &TimeZone::UTC))[0], refused);
        message.refused_before = 0;
        message.sent_at = UnixMillis(u64::MAX);
        assert!(texts(logged(&message, layout, &TimeZone::UTC))[0].contains("unknown time"));
    }
}
