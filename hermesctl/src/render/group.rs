//! Groups and who is in them.

use hermes_api::{
    Group, GroupChange, GroupDetails, GroupNote, Member, Person, Role, SetRole, Standing, WaitingPlace,
};
use jiff::tz::TimeZone;

use super::{account::relay_host, audit::counted, message::local_time};
use crate::output::{DIM, GOOD, Line, NAME, WARN};

/// Columns of the names of facts.
const FACT: usize = 14;

/// The columns of a list of groups.
pub(crate) const HEADER: [&str; 6] = ["name", "title", "members", "role", "state", "since"];

/// The columns of a list of members.
pub(crate) const MEMBER_HEADER: [&str; 4] = ["member", "role", "contact", "fingerprint"];

/// A group as a row under [`HEADER`].
pub(crate) fn row(group: &Group, zone: &TimeZone) -> Vec<String> {
    let state = state(group).to_owned();
    let since = local_time(group.since, zone);
    let title = group.title.clone();
    vec![group.name.clone(), title, group.members.to_string(), role(group.role).to_owned(), state, since]
}

/// All that is known of a group but its members.
pub(crate) fn details(details: &GroupDetails, zone: &TimeZone) -> Vec<Line> {
    let group = &details.group;
    let mut lines = vec![Line::default().styled(NAME, &group.name)];
    if group.title != group.name {
        lines.push(fact("title", &group.title));
    }
    lines.push(fact("state", state(group)));
    if let Some(problem) = &group.problem {
        lines.push(fact("", format!("{}; {}", problem.message, problem.hint)));
    }
    lines.push(fact("your role", role(group.role)));
    lines.push(fact("members", group.members.to_string()));
    lines.push(fact("since", local_time(group.since, zone)));
    lines.push(fact("changes", group.epoch.to_string()));
    if group.missed > 0 {
        lines.push(fact(
            "missed",
            format!("{}, for want of room in your mailbox", counted(group.missed, "post")),
        ));
    }
    if !details.relay.is_empty() {
        lines.push(fact("relay", relay_host(&details.relay)));
    }
    let elsewhere = |name: &String| details.places.iter().any(|place| place.name == *name);
    let waiting: Vec<_> = details.waiting.iter().filter(|name| !elsewhere(name)).cloned().collect();
    if !waiting.is_empty() {
        lines.push(fact("to be added", waiting.join(", ")));
    }
    for WaitingPlace { name, problem } in &details.places {
        match problem {
            None => {
                let relay = relay_host(&details.relay);
                lines.push(fact("to be added", format!("{name}: waits for {name}'s mailbox at {relay}")));
            }
            Some(problem) => {
                lines.push(fact("to be added", &problem.message));
                lines.push(fact("", format!("→ {}", problem.hint)));
            }
        }
    }
    lines
}

/// The members as rows under [`MEMBER_HEADER`].
pub(crate) fn members(details: &GroupDetails) -> Vec<Vec<String>> {
    let row = |member: &Member| {
        let Member { person, role: it } = member;
        let contact = match (person.me, person.contact) {
            (true, _) => "you",
            (false, true) => "yes",
            (false, false) => "no",
        };
        vec![person.name.clone(), role(*it).to_owned(), contact.to_owned(), person.glance()]
    };
    details.members.iter().map(row).collect()
}

/// Somebody in a group. Who is no contact is told by name and key: the name alone may be anybody's.
pub(crate) fn person(person: &Person) -> String {
    if person.me { "you".to_owned() } else { person.label() }
}

/// What a note says.
pub(crate) fn note(note: &GroupNote) -> String {
    let all = |people: &[Person]| people.iter().map(person).collect::<Vec<_>>().join(", ");
    let by = person(&note.by);
    let mut parts = Vec::new();
    if !note.added.is_empty() {
        parts.push(format!("{by} added {}", all(&note.added)));
    }
    if !note.removed.is_empty() {
        parts.push(format!("{by} removed {}", all(&note.removed)));
    }
    if !note.left.is_empty() {
        parts.push(format!("{} left", all(&note.left)));
    }
    if let Some(name) = &note.renamed {
        parts.push(format!("{by} named the group {name:?}"));
    }
    if !note.promoted.is_empty() {
        parts.push(format!("{by} made {} admin", all(&note.promoted)));
    }
    if !note.demoted.is_empty() {
        parts.push(format!("{by} made {} a plain member", all(&note.demoted)));
    }
    if note.others > 0 {
        parts.push(format!("and so with {} more", note.others));
    }
    parts.join("; ")
}

/// What whoever listens should know; nothing when the log says it all.
pub(crate) fn news(group: &Group, change: &GroupChange) -> Option<Line> {
    let name = Line::default().styled(NAME, &group.name);
    match change {
        GroupChange::Joined { by } => Some(name.plain(format!(": {by} added you"))),
        GroupChange::Failed { error } => {
            Some(Line::default().styled(WARN, "warning: ").plain(&error.message))
        }
        GroupChange::Stopped => {
            let why =
                group.problem.as_ref().map_or("it does not work here any more", |problem| &problem.message);
            Some(
                Line::default().styled(WARN, "warning: ").styled(NAME, &group.name).plain(format!(": {why}")),
            )
        }
        GroupChange::Changed | GroupChange::Other => None,
    }
}

pub(crate) fn made(details: &GroupDetails) -> Line {
    let group = &details.group;
    let title = if group.title == group.name { String::new() } else { format!(" ({:?})", group.title) };
    outcome(
        group,
        format!("{title}: a group of {}", counted(u64::from(group.members), "member")),
        " is being made",
    )
}

pub(crate) fn added(details: &GroupDetails, names: &[String]) -> Line {
    let names = names.join(", ");
    let asked = format!(": {names} added as soon as possible");
    match details.waiting.is_empty() {
        true => outcome(&details.group, format!(": added {names}"), &asked),
        false => waiting(&details.group, &asked),
    }
}

pub(crate) fn removed(details: &GroupDetails, names: &[String]) -> Line {
    let names = names.join(", ");
    outcome(&details.group, format!(": removed {names}"), &format!(": {names} about to be removed"))
}

pub(crate) fn renamed(details: &GroupDetails, name: &str) -> Line {
    let here = format!("; what you type for it stays {}", details.group.name);
    let [done, coming] = ["is called", "is about to be called"].map(|verb| format!(" {verb} {name:?}{here}"));
    outcome(&details.group, done, &coming)
}

pub(crate) fn role_set(details: &GroupDetails, set: &SetRole) -> Line {
    let what = match set.role {
        Role::Admin => "an admin",
        Role::Member | Role::Other => "a plain member",
    };
    let member = &set.member;
    outcome(&details.group, format!(": {member} is {what}"), &format!(": {member} is about to be {what}"))
}

pub(crate) fn rebuilt(details: &GroupDetails) -> Line {
    let members = counted(u64::from(details.group.members), "member");
    outcome(&details.group, format!(" goes on, with {members}"), " is about to go on")
}

pub(crate) fn left(details: &GroupDetails) -> Line {
    match details.group.standing {
        Standing::Leaving => waiting(&details.group, ": you leave as soon as an admin's client is online"),
        _ => outcome(&details.group, ": you left".to_owned(), ": you are about to leave"),
    }
}

/// What was asked for and is not so yet.
pub(crate) fn to_come(details: &GroupDetails) -> Vec<Line> {
    let mut lines = Vec::new();
    if let Some(problem) = details.places.iter().find_map(|place| place.problem.as_ref()) {
        let line = Line::default().styled(WARN, "warning: ").plain(&problem.message);
        lines.push(line);
        lines.push(Line::new(format!("  → {}", problem.hint)));
    } else if !details.waiting.is_empty() {
        let names = details.waiting.join(", ");
        let line = Line::default().styled(WARN, "… ").styled(NAME, names);
        lines.push(line.plain(": added as soon as their client has been online"));
    } else if details.group.changing {
        lines.push(
            Line::default()
                .styled(WARN, "… ")
                .plain("the relay has not confirmed it yet; it goes on in the background"),
        );
    }
    lines
}

/// What is so, or what is on its way.
fn outcome(group: &Group, done: String, on_its_way: &str) -> Line {
    if group.changing {
        return waiting(group, on_its_way);
    }
    Line::default().styled(GOOD, "✓ ").styled(NAME, &group.name).plain(done)
}

fn waiting(group: &Group, what: &str) -> Line {
    Line::default().styled(WARN, "… ").styled(NAME, &group.name).plain(what)
}

fn state(group: &Group) -> &'static str {
    match group.standing {
        Standing::Member if group.changing => "changing",
        Standing::Member => "ok",
        Standing::Leaving => "leaving",
        Standing::Left => "left",
        Standing::Removed => "removed",
        Standing::Frozen => "stopped: rules broken",
        Standing::Lost => "stopped: place lost",
        Standing::Refused => "stopped: refused by the relay",
        Standing::Other => "unknown",
    }
}

fn role(role: Role) -> &'static str {
    match role {
        Role::Member => "member",
        Role::Admin => "admin",
        Role::Other => "unknown",
    }
}

fn fact(name: &str, value: impl Into<String>) -> Line {
    Line::default().styled(DIM, format!("  {name:<FACT$}  ")).plain(value)
}

#[cfg(test)]
mod tests {
    use hermes_api::{ErrorCode, Problem, UnixMillis, V1};

    use super::*;

    fn waiting(problem: Option<Problem>) -> GroupDetails {
        GroupDetails {
            v: V1,
            group: Group {
                name: "ops".into(),
                title: "ops".into(),
                standing: Standing::Member,
                problem: None,
                members: 1,
                role: Role::Admin,
                epoch: 0,
                changing: true,
                missed: 0,
                since: UnixMillis(0),
            },
            members: Vec::new(),
            waiting: vec!["bob".into(), "carol".into()],
            places: vec![WaitingPlace { name: "bob".into(), problem }],
            relay: "hermes://relay.example:4433#abc".into(),
        }
    }

    fn shown(details: &GroupDetails) -> Vec<String> {
        super::details(details, &TimeZone::UTC).iter().map(Line::text).collect()
    }

    #[test]
    fn who_waits_for_a_mailbox_at_the_group_s_relay_is_told_apart() {
        let lines = shown(&waiting(None));
        assert!(lines.contains(&"  to be added     carol".to_owned()), "{lines:#?}");
        let waits = "  to be added     bob: waits for bob's mailbox at relay.example:4433";
        assert!(lines.contains(&waits.to_owned()), "{lines:#?}");
        let problem =
            Problem::new(ErrorCode::RegistrationRefused, "bob is not in ops yet", "have a token made");
        let lines = shown(&waiting(Some(problem)));
        let end = ["  to be added     bob is not in ops yet", "                  → have a token made"];
        assert_eq!(lines[lines.len() - 2..], end, "{lines:#?}");
    }
}
