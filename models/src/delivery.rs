//! A message from one client over the relay to another: deposit, receipt, delivery, acknowledgement.
//!
//! Each of the three has a disk, which keeps what was committed, and memory, which a crash empties. Streams are in order
//! and end with their connection, with all that is on them. A step of sender or receiver is one transaction. Left out:
//! expiry, full mailboxes, several senders, cryptography, and disks that lie.

use std::collections::BTreeSet;

use stateright::{Model, Property};

/// A message; they are numbered from 1 in the order in which they were accepted.
pub type Message = u8;

/// A position in the mailbox.
type Sequence = u8;

/// A rule that is broken, so that the checker has something to find.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Broken {
    /// The relay sends receipts before it has committed.
    ReceiptFirst,
    /// The relay forgets which deposits it took.
    NoReceipts,
    /// The receiver acknowledges before it has committed.
    AckFirst,
    /// The receiver shows what it was sent, whether or not it has it.
    ShowsRepeats,
    /// The sender forgets what it has sent.
    SentIsDone,
}

/// How much there is to check.
#[derive(Clone, Copy, Debug)]
pub struct Delivery {
    /// Messages that the sender has accepted.
    pub messages: Message,
    /// Crashes and broken connections, at most.
    pub faults: u8,
    /// What is wrong, if anything.
    pub broken: Option<Broken>,
}

/// All there is, on disks, in memory and on the wire.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct State {
    /// Sender's disk: what has no receipt.
    outbox: Vec<Message>,
    /// Sender's memory: how much of it went up on this connection.
    sent: usize,
    up: Vec<Message>,
    receipts: Vec<Message>,
    /// Relay's disk.
    mailbox: Vec<(Sequence, Message)>,
    head: Sequence,
    taken: BTreeSet<Message>,
    acked: Sequence,
    /// Relay's memory: what the next commit decides.
    group: Vec<Request>,
    /// Relay's memory: what went down on the receiver's connection.
    delivered: Sequence,
    down: Vec<(Sequence, Message)>,
    acks: Vec<Sequence>,
    /// Receiver's memory: what its next commit stores.
    received: Vec<(Sequence, Message)>,
    /// Receiver's disk.
    shown: Vec<Message>,
    position: Sequence,
    faults: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Request {
    /// And whether the depositor's connection is the one that it came on.
    Deposit(Message, bool),
    Ack(Sequence),
}

/// What can happen next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    Deposit,
    RelayTakesDeposit,
    RelayTakesAck,
    RelayCommits,
    SenderTakesReceipt,
    RelayDelivers,
    ReceiverTakes,
    ReceiverCommits,
    SenderIsCut,
    ReceiverIsCut,
    RelayCrashes,
    ReceiverCrashes,
}

impl Model for Delivery {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![State {
            outbox: (1..=self.messages).collect(),
            sent: 0,
            up: Vec::new(),
            receipts: Vec::new(),
            mailbox: Vec::new(),
            head: 0,
            taken: BTreeSet::new(),
            acked: 0,
            group: Vec::new(),
            delivered: 0,
            down: Vec::new(),
            acks: Vec::new(),
            received: Vec::new(),
            shown: Vec::new(),
            position: 0,
            faults: 0,
        }]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        let mut may = |action, possible: bool| actions.extend(possible.then_some(action));
        may(Action::Deposit, state.sent < state.outbox.len());
        may(Action::RelayTakesDeposit, !state.up.is_empty());
        may(Action::RelayTakesAck, !state.acks.is_empty());
        may(Action::RelayCommits, !state.group.is_empty());
        may(Action::SenderTakesReceipt, !state.receipts.is_empty());
        may(Action::RelayDelivers, state.mailbox.iter().any(|(sequence, _)| *sequence > state.delivered));
        may(Action::ReceiverTakes, !state.down.is_empty());
        may(Action::ReceiverCommits, !state.received.is_empty());
        for fault in
            [Action::SenderIsCut, Action::ReceiverIsCut, Action::RelayCrashes, Action::ReceiverCrashes]
        {
            may(fault, state.faults < self.faults);
        }
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        let mut next = last.clone();
        match action {
            Action::Deposit => next.deposit(self.broken),
            Action::RelayTakesDeposit => {
                let message = next.up.remove(0);
                next.group.push(Request::Deposit(message, true));
                if self.broken == Some(Broken::ReceiptFirst) {
                    next.receipts.push(message);
                }
            }
            Action::RelayTakesAck => {
                let upto = next.acks.remove(0);
                next.group.push(Request::Ack(upto));
            }
            Action::RelayCommits => next.commit(self.broken),
            Action::SenderTakesReceipt => {
                let message = next.receipts.remove(0);
                let before = next.outbox.len();
                next.outbox.retain(|waiting| *waiting != message);
                next.sent = next.sent.saturating_sub(before - next.outbox.len());
            }
            Action::RelayDelivers => {
                let waiting =
                    next.mailbox.iter().find(|(sequence, _)| *sequence > last.delivered).copied()?;
                next.delivered = waiting.0;
                next.down.push(waiting);
            }
            Action::ReceiverTakes => {
                let (sequence, message) = next.down.remove(0);
                next.received.push((sequence, message));
                if self.broken == Some(Broken::AckFirst) {
                    next.acks.push(sequence);
                }
            }
            Action::ReceiverCommits => next.store(self.broken),
            Action::SenderIsCut => next.cut_sender(),
            Action::ReceiverIsCut => next.cut_receiver(),
            Action::RelayCrashes => {
                next.group.clear();
                next.cut_sender();
                next.cut_receiver();
            }
            Action::ReceiverCrashes => {
                next.received.clear();
                next.cut_receiver();
            }
        }
        let fault = matches!(
            action,
            Action::SenderIsCut | Action::ReceiverIsCut | Action::RelayCrashes | Action::ReceiverCrashes
        );
        next.faults += u8::from(fault);
        Some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("what was accepted is on a disk", |model: &Self, state: &State| {
                (1..=model.messages).all(|message| state.is_on_a_disk(message))
            }),
            Property::always("shown once and in order", |_, state: &State| {
                state.shown.iter().copied().eq(1..=state.shown.len() as Message)
            }),
            Property::always("a receipt says what is durable", |_, state: &State| {
                state.receipts.iter().all(|message| {
                    state.mailbox.iter().any(|(_, waiting)| waiting == message)
                        || state.shown.contains(message)
                })
            }),
            Property::always("an acknowledgement says what is durable", |_, state: &State| {
                state.acks.iter().all(|sequence| *sequence <= state.position)
            }),
            Property::eventually(
                "everything arrives, and nothing is left behind",
                |model: &Self, state: &State| {
                    state.shown.len() == usize::from(model.messages)
                        && state.outbox.is_empty()
                        && state.mailbox.is_empty()
                },
            ),
        ]
    }
}

impl State {
    fn deposit(&mut self, broken: Option<Broken>) {
        let message = self.outbox[self.sent];
        self.up.push(message);
        if broken == Some(Broken::SentIsDone) {
            self.outbox.remove(self.sent);
        } else {
            self.sent += 1;
        }
    }

    /// The relay decides the group, commits it, and answers.
    fn commit(&mut self, broken: Option<Broken>) {
        for request in std::mem::take(&mut self.group) {
            match request {
                Request::Deposit(message, connected) => {
                    if !self.taken.contains(&message) {
                        self.head += 1;
                        self.mailbox.push((self.head, message));
                        if broken != Some(Broken::NoReceipts) {
                            self.taken.insert(message);
                        }
                    }
                    if connected && broken != Some(Broken::ReceiptFirst) {
                        self.receipts.push(message);
                    }
                }
                Request::Ack(upto) => {
                    self.acked = self.acked.max(upto);
                    self.mailbox.retain(|(sequence, _)| *sequence > upto);
                }
            }
        }
    }

    /// The receiver commits what it received, and acknowledges it.
    fn store(&mut self, broken: Option<Broken>) {
        for (sequence, message) in std::mem::take(&mut self.received) {
            if sequence > self.position || broken == Some(Broken::ShowsRepeats) {
                self.shown.push(message);
                self.position = sequence;
            }
        }
        if broken != Some(Broken::AckFirst) {
            self.acks.push(self.position);
        }
    }

    fn cut_sender(&mut self) {
        self.up.clear();
        self.receipts.clear();
        self.sent = 0;
        for request in &mut self.group {
            if let Request::Deposit(_, connected) = request {
                *connected = false;
            }
        }
    }

    fn cut_receiver(&mut self) {
        self.down.clear();
        self.acks.clear();
        self.delivered = self.acked;
    }

    fn is_on_a_disk(&self, message: Message) -> bool {
        self.outbox.contains(&message)
            || self.mailbox.iter().any(|(_, waiting)| *waiting == message)
            || self.shown.contains(&message)
    }
}
