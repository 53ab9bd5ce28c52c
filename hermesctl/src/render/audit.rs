//! What is missing, in sentences.

use hermes_api::{Audit, ChatAudit, Finding, Gap, UnixMillis, UnreadableCount};
use jiff::tz::TimeZone;

use crate::{
    duration,
    output::{BAD, DIM, GOOD, Line, NAME, WARN},
    render::{group::person, message::local_time},
};

/// Gaps of one chat that are named; `--json` has all.
const GAPS: usize = 10;

/// Messages of one chat that are named as not confirmed.
const UNCONFIRMED: usize = 5;

/// The columns of the overview.
pub(crate) const HEADER: [&str; 5] = ["chat", "received", "missing", "sent", "not confirmed"];

/// A chat as a row under [`HEADER`].
pub(crate) fn overview(chat: &ChatAudit) -> Vec<String> {
    let counts = [
        chat.received.messages,
        chat.received.missing,
        chat.sent.messages,
        chat.sent.unconfirmed.len() as u64,
    ];
    std::iter::once(title(chat)).chain(counts.map(|count| count.to_string())).collect()
}

/// Everything there is to say, and the verdict last.
pub(crate) fn report(audit: &Audit, now: UnixMillis, zone: &TimeZone) -> Vec<Line> {
    let mut lines: Vec<_> = audit.chats.iter().flat_map(|chat| about(chat, now, zone)).collect();
    lines.extend(audit.unreadable.iter().map(|count| unreadable(Line::default(), count, now)));
    if audit.expired > 0 {
        let them = if audit.expired == 1 { "it was" } else { "they were" };
        let lost =
            format!("{} expired at the relay before {them} fetched", counted(audit.expired, "envelope"));
        lines.push(Line::default().styled(WARN, lost));
    }
    lines.push(verdict(audit));
    lines
}

fn verdict(audit: &Audit) -> Line {
    let missing = audit.chats.iter().map(|chat| chat.received.missing).fold(0, u64::saturating_add);
    let silent = audit.expired > 0
        || !audit.unreadable.is_empty()
        || audit.chats.iter().any(|chat| !chat.unreadable.is_empty());
    let refused = audit.chats.iter().any(|chat| chat.received.refused > 0);
    match (missing, audit.complete) {
        (1.., _) => {
            let are = if missing == 1 { "is" } else { "are" };
            Line::default().styled(BAD, format!("{} {are} missing.", counted(missing, "message")))
        }
        (0, false) => Line::default().styled(BAD, "No message is missing, but not everything fits together."),
        (0, true) if silent => Line::default().styled(GOOD, "No message is known to be missing."),
        (0, true) if refused => Line::default().styled(GOOD, "Nothing else is missing."),
        (0, true) => Line::default().styled(GOOD, "Nothing is missing."),
    }
}

/// `bob`, or `ops, carol` for one voice of a group.
fn title(chat: &ChatAudit) -> String {
    match &chat.member {
        None => chat.chat.clone(),
        Some(member) => format!("{}, {}", chat.chat, person(member)),
    }
}

fn about(chat: &ChatAudit, now: UnixMillis, zone: &TimeZone) -> Vec<Line> {
    let named = || Line::default().styled(NAME, title(chat)).plain(": ");
    let received = &chat.received;
    let mut lines: Vec<_> = received.gaps.iter().take(GAPS).map(|g| gap(named(), g, zone)).collect();
    let listed = received.gaps.iter().take(GAPS).filter(|gap| !gap.while_blocked);
    let listed = listed.map(length).fold(0, u64::saturating_add);
    let further = received.missing.saturating_sub(listed);
    if further > 0 {
        let places = if received.unlisted > 0 { "" } else { " (--json has the list)" };
        lines.push(named().styled(BAD, format!("{further} more missing")).plain(places));
    }
    lines.extend(received.findings.iter().map(|found| finding(named(), found)));
    if let Some(oldest) = chat.sent.unconfirmed.first() {
        let count = chat.sent.unconfirmed.len();
        let age = duration::short(oldest.relayed_at.before(now));
        let which: Vec<_> =
            chat.sent.unconfirmed.iter().take(UNCONFIRMED).map(|waits| waits.reference.as_str()).collect();
        let more = if count > UNCONFIRMED { ", …" } else { "" };
        let what = format!("{} not confirmed", counted(count as u64, "sent message"));
        let since = format!(", the oldest for {age} ({}{more})", which.join(", "));
        lines.push(named().styled(WARN, what).plain(since));
    }
    lines.extend(chat.unreadable.iter().map(|count| unreadable(named(), count, now)));
    lines
}

/// `bob: 3 messages missing: 41-43, sent between … (bob#40) and … (bob#41)`
fn gap(named: Line, gap: &Gap, zone: &TimeZone) -> Line {
    let numbers = match gap.first == gap.last {
        true => gap.first.to_string(),
        false => format!("{}-{}", gap.first, gap.last),
    };
    let next = format!("{} ({})", local_time(gap.next.sent_at, zone), gap.next.reference);
    let window = match &gap.previous {
        Some(previous) => {
            let previous = format!("{} ({})", local_time(previous.sent_at, zone), previous.reference);
            format!("sent between {previous} and {next}")
        }
        None => format!("sent before {next}"),
    };
    let messages = counted(length(gap), "message");
    let line = match gap.while_blocked {
        true => named.styled(WARN, format!("{messages} refused while they were blocked")),
        false => named.styled(BAD, format!("{messages} missing")),
    };
    line.plain(format!(": {numbers}, {window}"))
}

fn finding(named: Line, finding: &Finding) -> Line {
    let which = match finding.count {
        1 => format!(" ({})", finding.first.reference),
        count => format!(" ({count} messages, {} to {})", finding.first.reference, finding.last.reference),
    };
    named.plain("a message does not fit: ").styled(BAD, &finding.text).styled(DIM, which)
}

fn unreadable(named: Line, count: &UnreadableCount, now: UnixMillis) -> Line {
    let ago = duration::short(count.last_at.before(now));
    let what = format!("{} unreadable", counted(count.envelopes, "envelope"));
    named.styled(WARN, what).plain(format!(", the last {ago} ago: {}", count.cause))
}

pub(crate) fn counted(count: u64, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

fn length(gap: &Gap) -> u64 {
    gap.last.saturating_sub(gap.first).saturating_add(1)
}

#[cfg(test)]
mod tests {
    use hermes_api::{FindingKind, Neighbour, ReceivedAudit, SentAudit, Sighting, Unconfirmed, V1};

    use super::*;

    fn complete(chat: &str) -> ChatAudit {
        let received = ReceivedAudit {
            messages: 43,
            through: 43,
            highest: 43,
            missing: 0,
            gaps: Vec::new(),
            unlisted: 0,
            refused: 0,
            findings: Vec::new(),
        };
        let sent = SentAudit { messages: 17, unconfirmed: Vec::new() };
        ChatAudit { chat: chat.into(), member: None, received, sent, unreadable: Vec::new() }
    }

    fn gap(first: u64, last: u64) -> Gap {
        let beside = |reference: &str, minute: u64| Neighbour {
            reference: reference.into(),
            sent_at: UnixMillis(minute * 60_000),
            received_at: UnixMillis(0),
        };
        let previous = (first > 1).then(|| beside("bob#40", 1));
        Gap { first, last, previous, next: beside("bob#41", 7), while_blocked: false }
    }

    fn audit(chats: Vec<ChatAudit>) -> Audit {
        let missing = chats.iter().any(|c| c.received.missing > 0 || !c.received.findings.is_empty());
        Audit { v: V1, complete: !missing, chats, unreadable: Vec::new(), expired: 0 }
    }

    /// The report an hour after the epoch.
    fn report(audit: &Audit) -> Vec<String> {
        super::report(audit, UnixMillis(3_600_000), &TimeZone::UTC).iter().map(Line::text).collect()
    }

    fn missing(gaps: Vec<Gap>) -> ChatAudit {
        let mut chat = complete("bob");
        chat.received.missing = gaps.iter().map(length).sum();
        chat.received.gaps = gaps;
        chat
    }

    #[test]
    fn nothing_missing_is_one_plain_sentence() {
        assert_eq!(report(&audit(vec![complete("bob"), complete("carol")])), ["Nothing is missing."]);
        assert_eq!(report(&audit(Vec::new())), ["Nothing is missing."]);
        assert_eq!(overview(&complete("bob")), ["bob", "43", "0", "17", "0"]);
    }

    #[test]
    fn a_gap_says_what_is_missing_and_when_it_was_sent() {
        let lines = report(&audit(vec![missing(vec![gap(41, 43)]), complete("carol")]));
        let window = "1970-01-01 00:01 (bob#40) and 1970-01-01 00:07 (bob#41)";
        assert_eq!(
            lines,
            [
                format!("bob: 3 messages missing: 41-43, sent between {window}"),
                "3 messages are missing.".into()
            ]
        );
        let lines = report(&audit(vec![missing(vec![gap(1, 1)])]));
        assert_eq!(lines[0], "bob: 1 message missing: 1, sent before 1970-01-01 00:07 (bob#41)");
        assert_eq!(lines[1], "1 message is missing.");
    }

    #[test]
    fn what_was_refused_is_not_missing() {
        let mut chat = missing(vec![gap(1, 1), gap(41, 43)]);
        chat.received.gaps[1].while_blocked = true;
        (chat.received.missing, chat.received.refused) = (1, 3);
        let lines = report(&audit(vec![chat.clone()]));
        assert!(lines[1].starts_with("bob: 3 messages refused while they were blocked: 41-43, sent"));
        assert_eq!((lines.len(), lines[2].as_str()), (3, "1 message is missing."));
        chat.received.missing = 3;
        assert_eq!(report(&audit(vec![chat.clone()]))[2], "bob: 2 more missing (--json has the list)");
        chat.received.gaps.remove(0);
        chat.received.missing = 0;
        assert_eq!(report(&audit(vec![chat]))[1], "Nothing else is missing.");
    }

    #[test]
    fn many_gaps_are_summed_up() {
        let mut chat = missing((0..12).map(|n| gap(10 * n + 2, 10 * n + 3)).collect());
        let lines = report(&audit(vec![chat.clone()]));
        assert_eq!(lines.len(), GAPS + 2);
        assert_eq!(lines[GAPS], "bob: 4 more missing (--json has the list)");
        chat.received.missing += 5;
        chat.received.unlisted = 5;
        assert_eq!(report(&audit(vec![chat]))[GAPS], "bob: 9 more missing");
    }

    #[test]
    fn what_contradicts_is_no_missing_message() {
        let mut chat = complete("bob");
        let sighting = |reference: &str| Sighting { reference: reference.into(), received_at: UnixMillis(0) };
        chat.received.findings.push(Finding {
            kind: FindingKind::HistoryMismatch,
            text: "it continues another history".into(),
            count: 2,
            first: sighting("bob#7"),
            last: sighting("bob#9"),
        });
        assert_eq!(
            report(&audit(vec![chat])),
            [
                "bob: a message does not fit: it continues another history (2 messages, bob#7 to bob#9)",
                "No message is missing, but not everything fits together."
            ]
        );
    }

    #[test]
    fn what_nobody_confirmed_and_what_nobody_could_read_is_said_and_not_counted() {
        let mut chat = complete("bob");
        let waits =
            |n: u64| Unconfirmed { reference: format!("bob#{n}"), relayed_at: UnixMillis(n * 60_000) };
        chat.sent.unconfirmed = (0..7).map(waits).collect();
        let count = |cause: &str, envelopes| UnreadableCount {
            cause: cause.into(),
            envelopes,
            first_at: UnixMillis(0),
            last_at: UnixMillis(0),
        };
        chat.unreadable.push(count("its authentication failed", 2));
        let mut audit = audit(vec![chat]);
        audit.unreadable.push(count("it is not a Hermes envelope", 1));
        audit.expired = 5;
        assert_eq!(
            report(&audit),
            [
                "bob: 7 sent messages not confirmed, the oldest for 1h (bob#0, bob#1, bob#2, bob#3, bob#4, …)",
                "bob: 2 envelopes unreadable, the last 1h ago: its authentication failed",
                "1 envelope unreadable, the last 1h ago: it is not a Hermes envelope",
                "5 envelopes expired at the relay before they were fetched",
                "No message is known to be missing."
            ]
        );
    }
}
