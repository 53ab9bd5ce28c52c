//! A conversation as rows of text.

use hermes_api::{Body, Confirmed, Direction, Message, MessageState, UnixMillis};
use jiff::{Timestamp, Zoned, tz::TimeZone};

use super::super::{model::Open, steady::steady};
use crate::{
    limits::TUI_MESSAGE_ROWS,
    output::{BAD, DIM, Line, NAME, WARN},
    render::{
        audit::counted,
        fold,
        group::{self, person},
        message::{quoted, refused, state, timer, which},
    },
};

/// Columns of `14:03 `.
const TIME: usize = 6;

/// One row and the message it belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) line: Line,
    /// The place of its message; nothing for what stands between messages.
    pub(super) message: Option<usize>,
}

/// The rows of a conversation from its end up to `most` of them, the last one last.
pub(super) fn rows(open: &Open, unsent: &[&str], width: usize, most: usize, zone: &TimeZone) -> Vec<Row> {
    let mut blocks: Vec<Vec<Row>> = Vec::new();
    let mut count = 0;
    for text in unsent.iter().rev() {
        let lines = unsent_lines(text, width);
        blocks.push(lines.into_iter().map(|line| Row { line, message: None }).collect());
        count += blocks.last().map_or(0, Vec::len);
    }
    for at in (0..open.messages.len()).rev() {
        if count >= most {
            break;
        }
        let block = block(open, at, width, zone);
        count += block.len();
        blocks.push(block);
    }
    let mut rows: Vec<Row> = blocks.into_iter().rev().flatten().collect();
    rows.drain(..rows.len().saturating_sub(most));
    rows
}

/// How many rows a text takes that the daemon has not taken yet.
pub(in crate::tui) fn unsent_height(text: &str, width: usize) -> usize {
    unsent_lines(text, width).len()
}

fn unsent_lines(text: &str, width: usize) -> Vec<Line> {
    texted("you", text, "      ", width, Some((DIM, "not yet taken by hermesd")))
}

/// How many rows one message takes, with what stands before it.
pub(in crate::tui) fn height(open: &Open, at: usize, width: usize, zone: &TimeZone) -> usize {
    block(open, at, width, zone).len()
}

/// A message with what stands before it: the day when it is another one, and where the new ones begin.
fn block(open: &Open, at: usize, width: usize, zone: &TimeZone) -> Vec<Row> {
    let Some(message) = open.messages.get(at) else { return Vec::new() };
    let between = |line| Row { line, message: None };
    let mut rows = Vec::new();
    let day = day(message, zone);
    let before = at.checked_sub(1).and_then(|before| open.messages.get(before));
    if before.is_none_or(|before| self::day(before, zone) != day) {
        rows.push(between(Line::default().styled(DIM, format!("── {day} ──"))));
    }
    if open.new_from.as_ref() == Some(&message.id) {
        rows.push(between(Line::default().styled(WARN, "── new ──")));
    }
    if message.missing_before > 0 {
        let missing = counted(message.missing_before, "message");
        rows.push(between(Line::default().styled(WARN, format!("── {missing} missing ──"))));
    }
    if let Some(refused) = refused(message) {
        rows.push(between(Line::default().styled(DIM, format!("── {refused} ──"))));
    }
    if let Some(quote) = &message.reply_to {
        let quoted = folded(&quoted(quote), "", width).into_iter();
        rows.extend(quoted.map(|(lead, text)| Row { line: lead.styled(DIM, text), message: Some(at) }));
    }
    rows.extend(lines(message, width, zone).into_iter().map(|line| Row { line, message: Some(at) }));
    rows
}

fn lines(message: &Message, width: usize, zone: &TimeZone) -> Vec<Line> {
    let time = time(message).map_or_else(|| "--:--".to_owned(), |time| clock(time, zone));
    let time = format!("{time} ");
    let from = match message.direction {
        Direction::In => message.author.as_ref().map_or_else(|| message.from.clone(), person),
        Direction::Out => "you".to_owned(),
        Direction::Note => {
            let note = format!("— {} —", about(&message.body));
            return folded(&note, &time, width)
                .into_iter()
                .map(|(lead, text)| lead.styled(DIM, text))
                .collect();
        }
    };
    let words = suffix(message);
    let suffix = words.as_ref().map(|(style, words)| (*style, words.as_str()));
    match &message.body {
        Body::Text { text } => texted(&from, text, &time, width, suffix),
        body => {
            let text = format!("({})", about(body));
            let head = format!("{from}: {text}");
            folded(&head, &time, width).into_iter().map(|(lead, text)| lead.styled(DIM, text)).collect()
        }
    }
}

/// What stands there that is no text of anybody.
fn about(body: &Body) -> String {
    match body {
        Body::SessionRenewed { reason } => format!("new session: {reason}"),
        Body::GroupChanged(note) => group::note(note),
        Body::TimerSet { ttl } => timer(*ttl),
        Body::Expired => "deleted: its time was over".to_owned(),
        Body::Withdrawn => "message withdrawn".to_owned(),
        Body::Reaction { to, emoji: Some(emoji) } => format!("reacts {emoji} to {}", which(to)),
        Body::Reaction { to, emoji: None } => format!("takes back the reaction to {}", which(to)),
        Body::Edit { to } => format!("edits {}", which(to)),
        Body::Unsend { to } => format!("withdraws {}", which(to)),
        Body::Text { .. } | Body::Unsupported => "needs a newer version of Hermes; it is kept".to_owned(),
    }
}

/// How far an outgoing message has come, and what else is to be said of one.
fn suffix(message: &Message) -> Option<(anstyle::Style, String)> {
    if message.no_one_time_prekey {
        return Some((WARN, "session without one-time key".to_owned()));
    }
    let mut words: Vec<String> = message.state.map(|state| how_far(message, state)).into_iter().collect();
    words.extend(message.edited_at.map(|_| "edited".to_owned()));
    words.extend(message.reactions.iter().map(|reaction| match reaction.count {
        0 | 1 => reaction.emoji.clone(),
        count => format!("{} {count}", reaction.emoji),
    }));
    let style = if message.state == Some(MessageState::Failed) { BAD } else { DIM };
    (!words.is_empty()).then(|| (style, words.join(", ")))
}

fn how_far(message: &Message, state: MessageState) -> String {
    match (message.confirmed, &message.error) {
        (Some(Confirmed { by, of }), _) if of > 0 && state == MessageState::Relayed => {
            format!("{}, {by} of {of} have it", self::state(state))
        }
        (_, Some(error)) => format!("{}: {}", self::state(state), error.message),
        _ => self::state(state).to_owned(),
    }
}

/// A text with who wrote it before it and something small behind it.
fn texted(
    from: &str,
    text: &str,
    time: &str,
    width: usize,
    suffix: Option<(anstyle::Style, &str)>,
) -> Vec<Line> {
    let name = format!("{from}:");
    let letters = steady(&name).chars().count();
    let mut lines = Vec::new();
    let mut used = 0;
    let (text, hidden) = beginning(text, width);
    for (at, (lead, text)) in folded(&format!("{name} {text}"), time, width).into_iter().enumerate() {
        used = TIME + fold::width(&text);
        lines.push(match at {
            // Cleaning replaces letter by letter, so that the name has as many as before.
            0 => {
                let end = text.char_indices().nth(letters).map_or(text.len(), |(end, _)| end);
                lead.styled(NAME, &text[..end]).plain(&text[end..])
            }
            _ => lead.plain(text),
        });
    }
    if hidden > 0 {
        let more = format!("… {hidden} more bytes: hermesctl read shows them");
        lines.extend(
            fold::fold(&more, Some(width.saturating_sub(TIME).max(1)))
                .into_iter()
                .map(|line| margin("").styled(WARN, line)),
        );
        used = width;
    }
    if let Some((style, words)) = suffix {
        let words = format!("({words})");
        if used + 2 + fold::width(&words) <= width
            && let Some(last) = lines.last_mut()
        {
            *last = std::mem::take(last).styled(style, format!("  {words}"));
        } else {
            let folded = fold::fold(&words, Some(width.saturating_sub(TIME).max(1)));
            lines.extend(folded.into_iter().map(|line| margin("").styled(style, line)));
        }
    }
    lines
}

/// As much of a text as is shown, and the bytes of the rest. A message of nothing but line breaks has thousands of rows, and
/// each drawing goes through all that is loaded.
fn beginning(text: &str, width: usize) -> (&str, usize) {
    let lines = text.match_indices('\n').nth(TUI_MESSAGE_ROWS).map_or(text.len(), |(at, _)| at);
    let letters = text.char_indices().nth(TUI_MESSAGE_ROWS * width.max(1)).map_or(text.len(), |(at, _)| at);
    let end = lines.min(letters);
    (&text[..end], text.len() - end)
}

/// A text folded behind a time; what follows the first row stands under the text, so that no message can begin with a
/// time of its own.
fn folded(text: &str, time: &str, width: usize) -> Vec<(Line, String)> {
    let rows = fold::fold(&steady(text), Some(width.saturating_sub(TIME).max(1))).into_iter();
    rows.enumerate().map(|(at, row)| (margin(if at == 0 { time } else { "" }), row)).collect()
}

fn margin(time: &str) -> Line {
    Line::default().styled(DIM, format!("{time:TIME$}"))
}

fn time(message: &Message) -> Option<Timestamp> {
    timestamp(message.received_at.unwrap_or(message.sent_at))
}

fn timestamp(time: UnixMillis) -> Option<Timestamp> {
    i64::try_from(time.0).ok().and_then(|millis| Timestamp::from_millisecond(millis).ok())
}

fn zoned(time: Timestamp, zone: &TimeZone) -> Zoned {
    time.to_zoned(zone.clone())
}

fn clock(time: Timestamp, zone: &TimeZone) -> String {
    zoned(time, zone).strftime("%H:%M").to_string()
}

fn day(message: &Message, zone: &TimeZone) -> String {
    match time(message) {
        Some(time) => zoned(time, zone).strftime("%A %Y-%m-%d").to_string(),
        // A peer may claim any time, also one that no calendar has.
        None => "at an unknown time".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use hermes_api::{Quote, Reaction};

    use super::*;
    use crate::{render::message::tests::incoming, tui::model::Draft};

    fn texts(messages: Vec<Message>, width: usize) -> Vec<String> {
        let open = Open { messages, ..Open::new("bob".into(), Draft::default()) };
        rows(&open, &[], width, 100, &TimeZone::UTC).iter().map(|row| row.line.text()).collect()
    }

    #[test]
    fn a_conversation_reads_from_top_to_bottom() {
        let mut sent = incoming("bob#2", "fine, and you? I have not heard of you for so long");
        sent.direction = Direction::Out;
        sent.received_at = None;
        sent.sent_at = UnixMillis(90_000_000);
        sent.state = Some(MessageState::Delivered);
        assert_eq!(
            texts(vec![incoming("bob#1", "how are\nyou?"), sent], 40),
            [
                "── Thursday 1970-01-01 ──",
                "00:16 bob: how are",
                "      you?",
                "── Friday 1970-01-02 ──",
                "01:00 you: fine, and you? I have not",
                "      heard of you for so long",
                "      (delivered)",
            ]
        );
    }

    #[test]
    fn a_message_cannot_pretend_to_be_two_nor_touch_the_terminal() {
        let message = incoming("bob#1", "hi\n09:00 carol: pay\r\u{1b}[2J\u{2028}x");
        let rows = texts(vec![message], 60);
        assert_eq!(rows[1..], ["00:16 bob: hi", "      09:00 carol: pay␍␛[2J\u{fffd}x"]);
    }

    #[test]
    fn no_row_is_wider_than_the_screen() {
        let message = incoming("bob#1", &"日本語 and words of some length ".repeat(5));
        for width in 12..60 {
            let rows = texts(vec![message.clone()], width);
            assert!(rows.iter().skip(1).all(|row| fold::width(row) <= width), "{width}: {rows:?}");
        }
    }

    #[test]
    fn what_is_said_of_a_message_stands_with_it() {
        let mut message = incoming("bob#3", "on my way");
        let (reference, text) = (Some("bob#2".to_owned()), Some("where are\nyou?".to_owned()));
        message.reply_to = Some(Quote { id: "00".repeat(16), reference, from: None, text });
        message.edited_at = Some(UnixMillis(1));
        message.reactions = vec![Reaction { emoji: "👍".into(), count: 2, me: false, by: Vec::new() }];
        assert_eq!(
            texts(vec![message], 60)[1..],
            ["      ↪ bob#2 “where are you?”", "00:16 bob: on my way  (edited, 👍 2)"]
        );
    }

    #[test]
    fn only_as_many_rows_as_asked_from_the_end() {
        let messages = (1..=50).map(|n| incoming(&format!("bob#{n}"), &n.to_string())).collect();
        let open = Open { messages, ..Open::new("bob".into(), Draft::default()) };
        let rows = rows(&open, &[], 40, 3, &TimeZone::UTC);
        assert_eq!(rows.len(), 3);
        assert_eq!(rows[2].message, Some(49));
        assert_eq!(height(&open, 0, 40, &TimeZone::UTC), 2);
    }
}
