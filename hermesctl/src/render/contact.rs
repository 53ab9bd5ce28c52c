//! One contact in full, and what there is to compare.

use anstyle::Style;
use hermes_api::{ContactDetails, KeyChange, KeyPolicy};
use jiff::tz::TimeZone;

use super::account::{state, trust};
use crate::{
    clean,
    output::{BAD, DIM, GOOD, Line, NAME, WARN},
    render::message::local_time,
};

/// Columns of the names of facts.
const FACT: usize = 14;
/// Groups of a safety number on one line.
const GROUPS: usize = 4;

/// All that is known of a contact.
pub(crate) fn details(details: &ContactDetails, zone: &TimeZone) -> Vec<Line> {
    let contact = &details.contact;
    let mut lines = vec![Line::default().styled(NAME, &contact.name)];
    let profile = details.profile_name.as_deref().filter(|profile| *profile != contact.name);
    // In quotes, so that it cannot pass for a fact.
    lines.extend(profile.map(|profile| fact("calls itself", format!("{:?}", clean::line(profile)))));
    lines.extend([fact("state", state(contact))]);
    if let Some(since) = contact.refused_since {
        let since = local_time(since, zone);
        lines.push(fact(
            "",
            format!("since {since}: it may have blocked or removed you, or withdrawn its link"),
        ));
    }
    lines.extend([
        Line::default()
            .styled(DIM, name_of("trust"))
            .styled(trust_style(details), trust(contact.trust, contact.verified_by)),
        fact("since", local_time(contact.since, zone)),
        fact("fingerprint", &contact.fingerprint),
        fact("on new key", policy(details.key_policy)),
        fact("sessions", sessions(details)),
    ]);
    lines.extend(number("safety number", &details.safety_number));
    if let Some(change) = &details.key_change {
        lines.extend(self::change(change, zone));
    }
    lines
}

fn change(change: &KeyChange, zone: &TimeZone) -> Vec<Line> {
    let mut lines = vec![
        Line::default().styled(BAD, "  another identity key").plain(format!(
            " is used in this name since {}; nothing is sent until you decide",
            local_time(change.at, zone)
        )),
        fact("new key", &change.fingerprint),
        fact("held", held(change.held)),
    ];
    lines.extend(number("new number", &change.safety_number));
    lines
}

/// A safety number under its name, in lines that two people can follow.
pub(crate) fn number(name: &str, number: &str) -> Vec<Line> {
    let groups: Vec<&str> = number.split(' ').collect();
    let names = std::iter::once(name).chain(std::iter::repeat(""));
    groups.chunks(GROUPS).zip(names).map(|(groups, name)| fact(name, groups.join(" "))).collect()
}

/// What waits until a key is accepted.
pub(crate) fn held(messages: u64) -> String {
    match messages {
        1 => "1 message".to_owned(),
        messages => format!("{messages} messages"),
    }
}

/// What happens when a key changes, in words.
pub(crate) fn policy(policy: KeyPolicy) -> &'static str {
    match policy {
        KeyPolicy::Stop => "stop sending until you accept it",
        KeyPolicy::Accept => "accept it at once, unverified",
    }
}

fn sessions(details: &ContactDetails) -> String {
    let Some(session) = details.session else { return "none yet".to_owned() };
    let heard = if session.heard { "answered" } else { "not answered yet" };
    let one_time = if session.no_one_time_prekey { ", begun without a one-time key" } else { "" };
    format!("{}, the newest {heard}{one_time}", session.kept)
}

fn trust_style(details: &ContactDetails) -> Style {
    match details.contact.trust {
        hermes_api::Trust::Unverified => WARN,
        hermes_api::Trust::Verified => GOOD,
        hermes_api::Trust::Changed => BAD,
    }
}

fn fact(name: &str, value: impl Into<String>) -> Line {
    Line::default().styled(DIM, name_of(name)).plain(value)
}

fn name_of(name: &str) -> String {
    format!("  {name:<FACT$}  ")
}

#[cfg(test)]
mod tests {
    use hermes_api::{Contact, ContactState, SessionFacts, Trust, UnixMillis, V1, VerifiedBy};

    use super::*;

    fn bob() -> ContactDetails {
        ContactDetails {
            v: V1,
            contact: Contact {
                name: "bob".into(),
                state: ContactState::Ready,
                trust: Trust::Verified,
                verified_by: Some(VerifiedBy::Number),
                fingerprint: "ab".repeat(32),
                since: UnixMillis(0),
                blocked_since: None,
                refused_since: None,
            },
            profile_name: Some("bob".into()),
            safety_number: ["12345"; 12].join(" "),
            safety_code: "hermes-safety:x".into(),
            key_policy: KeyPolicy::Stop,
            key_change: None,
            session: Some(SessionFacts { kept: 1, heard: true, no_one_time_prekey: false }),
        }
    }

    fn text(of: &ContactDetails) -> Vec<String> {
        details(of, &TimeZone::UTC).iter().map(Line::text).collect()
    }

    #[test]
    fn a_number_stands_in_three_lines_of_four_groups() {
        let lines = text(&bob());
        assert_eq!(lines[2], "  trust           verified by safety number");
        assert_eq!(lines[6], "  sessions        1, the newest answered");
        assert_eq!(lines[7], "  safety number   12345 12345 12345 12345");
        assert_eq!(lines[8..], ["                  12345 12345 12345 12345"; 2]);
    }

    #[test]
    fn a_contact_that_takes_nothing_is_not_called_ready() {
        let mut bob = bob();
        bob.contact.refused_since = Some(UnixMillis(0));
        let lines = text(&bob);
        assert_eq!(lines[1], "  state           refuses you");
        assert!(lines[2].contains("since 1970-01-01 00:00: it may have blocked"), "{lines:#?}");
        assert_eq!(super::super::account::contact(&bob.contact, &TimeZone::UTC)[1], "refuses you");
        bob.contact.blocked_since = Some(UnixMillis(0));
        assert_eq!(text(&bob)[1], "  state           blocked");
    }

    #[test]
    fn what_a_contact_calls_itself_stands_beside_its_name_and_cannot_pass_for_more() {
        let mut bob = bob();
        assert!(!text(&bob).iter().any(|line| line.contains("calls itself")));
        bob.profile_name = Some("Bob\u{1b}[2J\n  trust  verified".into());
        let lines = text(&bob);
        assert!(lines[1].starts_with("  calls itself    \"Bob") && lines[1].ends_with('"'), "{lines:#?}");
        assert_eq!(lines.len(), 11, "{lines:#?}");
    }

    #[test]
    fn a_changed_key_stands_beside_the_one_that_is_known() {
        let mut bob = bob();
        bob.contact.trust = Trust::Changed;
        bob.key_change = Some(KeyChange {
            fingerprint: "cd".repeat(32),
            safety_number: ["67890"; 12].join(" "),
            safety_code: "hermes-safety:y".into(),
            at: UnixMillis(0),
            held: 2,
        });
        let lines = text(&bob);
        assert!(lines.contains(&"  trust           identity changed".to_owned()), "{lines:#?}");
        assert!(lines.contains(&"  held            2 messages".to_owned()), "{lines:#?}");
        assert!(lines.contains(&"  new number      67890 67890 67890 67890".to_owned()), "{lines:#?}");
    }
}
