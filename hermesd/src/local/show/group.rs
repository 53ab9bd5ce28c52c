//! Groups and the people in them.

use hermes_api::{
    Confirmed, Group, GroupDetails, GroupNote, Member, Person, Problem, Recipient, Role, Standing, V1,
    WaitingPlace,
};
use hermes_engine::{
    Author, GroupStanding,
    query::{self, GroupView, PersonView, RecipientView},
};

use super::{
    super::problem::{no_place, stopped_group},
    state, time,
};

pub(in crate::local) fn group(view: GroupView) -> Group {
    let problem = problem(&view);
    Group {
        name: view.name,
        title: view.title,
        standing: match view.standing {
            GroupStanding::Member => Standing::Member,
            GroupStanding::Leaving => Standing::Leaving,
            GroupStanding::Left => Standing::Left,
            GroupStanding::Removed(_) => Standing::Removed,
            GroupStanding::Frozen(..) => Standing::Frozen,
            GroupStanding::Lost(_) => Standing::Lost,
            GroupStanding::Refused(_) => Standing::Refused,
        },
        problem,
        members: view.members,
        role: role(view.admin),
        epoch: view.epoch,
        changing: view.changing,
        missed: view.missed,
        since: time(view.since),
    }
}

pub(in crate::local) fn group_details(details: query::GroupDetails) -> GroupDetails {
    let members = details.members.into_iter();
    let members = members.map(|member| Member { person: person(member.person), role: role(member.admin) });
    let relay = details.relay.to_string();
    let name = details.group.name.clone();
    let place = |place: query::PlaceView| WaitingPlace {
        problem: place.refused.map(|reason| no_place(&name, &place.contact, &relay, reason)),
        name: place.contact,
    };
    GroupDetails {
        v: V1,
        members: members.collect(),
        waiting: details.waiting,
        places: details.places.into_iter().map(place).collect(),
        group: group(details.group),
        relay: relay.clone(),
    }
}

pub(in crate::local) fn person(view: PersonView) -> Person {
    Person {
        contact: view.contact.is_some(),
        name: view.contact.unwrap_or(view.profile_name),
        me: view.me,
        fingerprint: view.fingerprint.to_string(),
    }
}

pub(in crate::local) fn recipient(view: RecipientView) -> Recipient {
    Recipient { person: person(view.person), state: state(&view.state).0 }
}

pub(super) fn confirmed(view: query::Confirmed) -> Confirmed {
    Confirmed { by: view.by, of: view.of }
}

/// A note whose people are among `people`.
pub(super) fn note(note: hermes_engine::GroupNote, people: &[PersonView]) -> GroupNote {
    let all = |authors: Vec<Author>| authors.iter().map(|author| known(author, people)).collect();
    GroupNote {
        by: known(&note.by, people),
        added: all(note.added),
        removed: all(note.removed),
        left: all(note.left),
        renamed: note.renamed,
        promoted: all(note.promoted),
        demoted: all(note.demoted),
        others: note.others,
    }
}

pub(super) fn known(author: &Author, people: &[PersonView]) -> Person {
    match people.iter().find(|person| person.fingerprint == author.fingerprint) {
        Some(found) => person(found.clone()),
        None => Person {
            name: author.profile_name.clone(),
            contact: false,
            me: false,
            fingerprint: author.fingerprint.to_string(),
        },
    }
}

fn role(admin: bool) -> Role {
    if admin { Role::Admin } else { Role::Member }
}

fn problem(view: &GroupView) -> Option<Problem> {
    let by = view.stopped_by.clone().map(person);
    stopped_group(&view.name, &view.standing, by.as_ref(), view.way_back.as_ref())
}
