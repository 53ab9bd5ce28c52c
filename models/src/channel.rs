//! Commits of a channel: several members who may all change the group at the same moment, and a relay that takes the first.
//!
//! A commit names the epoch that it ends and the commit before it; the relay compares both and puts what it takes into all
//! mailboxes, in one transaction. A member keeps its own commit on its disk until the copy of somebody's has come back.
//! Left out: who is a member, what a commit says, messages, and mailboxes that are full.

use stateright::{Model, Property};

/// A commit; 0 is the creation of the channel.
type Id = u8;

/// A rule that is broken, so that the checker has something to find.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Broken {
    /// The relay takes a commit of an epoch that is over.
    NoCompare,
    /// A member is in the next epoch as soon as it has made its commit.
    MergesAtOnce,
    /// The relay forgets what was posted, and a member drops its commit when it hears that the epoch is over.
    ForgetsPosts,
}

/// How much there is to check.
#[derive(Clone, Copy, Debug)]
pub struct Channel {
    /// Members, each of whom may commit.
    pub members: usize,
    /// Commits that each of them makes, at most.
    pub commits: u8,
    /// Crashes and broken connections, at most.
    pub faults: u8,
    /// What is wrong, if anything.
    pub broken: Option<Broken>,
}

/// All there is, on disks, in memory and on the wire.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct State {
    members: Vec<Member>,
    /// Relay's disk: what it took, which is also what lies in every mailbox.
    log: Vec<Commit>,
    /// Relay's memory: what the next transaction decides.
    group: Vec<Request>,
    faults: u8,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct Member {
    /// Disk: the commits merged so far.
    history: Vec<Id>,
    /// Disk: how much of its mailbox it has taken.
    read: usize,
    /// Disk: its own commit, until the epoch is over.
    pending: Option<Commit>,
    /// Disk: it has heard that the epoch is over, and waits for the copy that says how.
    overtaken: bool,
    /// Disk: commits made.
    made: u8,
    /// Disk: its own commit came back, and it had nothing to merge it with.
    stuck: bool,
    /// On the wire.
    posted: Option<Commit>,
    answer: Option<(Id, Answer)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Commit {
    id: Id,
    epoch: usize,
    after: Id,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Answer {
    Posted,
    StaleEpoch,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Request {
    member: usize,
    commit: Commit,
    /// Whether the connection is the one that it came on.
    connected: bool,
}

/// What can happen next. The numbers are members'.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    Make(usize),
    Post(usize),
    RelayTakes(usize),
    RelayCommits,
    TakeAnswer(usize),
    TakeCopy(usize),
    IsCut(usize),
    RelayCrashes,
}

impl Model for Channel {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        let members = vec![Member::default(); self.members];
        vec![State { members, log: Vec::new(), group: Vec::new(), faults: 0 }]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        let mut may = |action, possible: bool| actions.extend(possible.then_some(action));
        for (number, member) in state.members.iter().enumerate() {
            may(
                Action::Make(number),
                member.pending.is_none() && member.made < self.commits && !member.stuck,
            );
            may(Action::Post(number), state.may_post(number));
            may(Action::RelayTakes(number), member.posted.is_some());
            may(Action::TakeAnswer(number), member.answer.is_some());
            may(Action::TakeCopy(number), member.read < state.log.len());
            may(Action::IsCut(number), state.faults < self.faults);
        }
        may(Action::RelayCommits, !state.group.is_empty());
        may(Action::RelayCrashes, state.faults < self.faults);
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        let mut next = last.clone();
        match action {
            Action::Make(number) => next.make(number, self.broken),
            Action::Post(number) => next.members[number].posted = next.members[number].pending,
            Action::RelayTakes(number) => {
                let commit = next.members[number].posted.take()?;
                next.group.push(Request { member: number, commit, connected: true });
            }
            Action::RelayCommits => next.commit(self.broken),
            Action::TakeAnswer(number) => next.members[number].hear(self.broken),
            Action::TakeCopy(number) => {
                let copy = *next.log.get(last.members[number].read)?;
                next.members[number].take(number, copy);
            }
            Action::IsCut(number) => {
                next.faults += 1;
                next.cut(number);
            }
            Action::RelayCrashes => {
                next.faults += 1;
                (0..self.members).for_each(|number| next.cut(number));
                next.group.clear();
            }
        }
        Some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("histories do not fork", |_: &Self, state: &State| {
                state.members.iter().all(|one| {
                    state.members.iter().all(|other| {
                        one.history.starts_with(&other.history) || other.history.starts_with(&one.history)
                    })
                })
            }),
            Property::always("what the relay took is in the history", |_: &Self, state: &State| {
                state.members.iter().all(|member| {
                    state.log[..member.read].iter().all(|commit| member.history.contains(&commit.id))
                })
            }),
            Property::always("nobody is stuck", |_: &Self, state: &State| {
                state.members.iter().all(|member| !member.stuck)
            }),
            Property::eventually("all are in the same epoch", |model: &Self, state: &State| {
                state.members.iter().all(|member| {
                    member.made == model.commits
                        && member.pending.is_none()
                        && member.history == state.members[0].history
                        && member.read == state.log.len()
                })
            }),
        ]
    }
}

impl State {
    fn make(&mut self, number: usize, broken: Option<Broken>) {
        let member = &mut self.members[number];
        member.made += 1;
        let id = number as Id * 16 + member.made;
        let after = member.history.last().copied().unwrap_or(0);
        member.pending = Some(Commit { id, epoch: member.history.len(), after });
        if broken == Some(Broken::MergesAtOnce) {
            member.history.push(id);
        }
    }

    /// One thing at a time, and nothing once the epoch is known to be over.
    fn may_post(&self, number: usize) -> bool {
        let member = &self.members[number];
        member.pending.is_some()
            && !member.overtaken
            && member.posted.is_none()
            && member.answer.is_none()
            && !self.group.iter().any(|request| request.member == number && request.connected)
    }

    /// The relay decides the group one by one, in one transaction, and answers.
    fn commit(&mut self, broken: Option<Broken>) {
        for Request { member, commit, connected } in std::mem::take(&mut self.group) {
            let known = self.log.contains(&commit) && broken != Some(Broken::ForgetsPosts);
            let after = self.log.last().map_or(0, |last| last.id);
            let next = commit.epoch == self.log.len() && commit.after == after;
            let posted = known || next || broken == Some(Broken::NoCompare);
            if posted && !known {
                self.log.push(commit);
            }
            if connected {
                let answer = if posted { Answer::Posted } else { Answer::StaleEpoch };
                self.members[member].answer = Some((commit.id, answer));
            }
        }
    }

    fn cut(&mut self, number: usize) {
        self.members[number].posted = None;
        self.members[number].answer = None;
        let of = self.group.iter_mut().filter(|request| request.member == number);
        of.for_each(|request| request.connected = false);
    }
}

impl Member {
    /// Either way the epoch is over, and what comes next lies in the mailbox. An answer that comes after the copy says
    /// nothing of the commit that was made since.
    fn hear(&mut self, broken: Option<Broken>) {
        let Some((id, answer)) = self.answer.take() else { return };
        if self.pending.is_none_or(|pending| pending.id != id) {
            return;
        }
        if answer == Answer::StaleEpoch && broken == Some(Broken::ForgetsPosts) {
            self.pending = None;
        } else {
            self.overtaken = true;
        }
    }

    fn take(&mut self, number: usize, copy: Commit) {
        self.read += 1;
        let merged = self.history.get(copy.epoch) == Some(&copy.id);
        if merged
            || copy.epoch == self.history.len() && copy.after == self.history.last().copied().unwrap_or(0)
        {
            let own = usize::from(copy.id / 16) == number;
            if own && self.pending != Some(copy) {
                self.stuck = true;
                return;
            }
            if !merged {
                self.history.push(copy.id);
            }
            self.pending = None;
            self.overtaken = false;
        }
    }
}
