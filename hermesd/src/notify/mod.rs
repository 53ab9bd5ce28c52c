//! Desktop notifications of messages that arrived.
//!
//! One task per account listens to its events, which come after the commit; one task for all of them talks to the
//! desktop. Neither holds up anything else: events are heard like any other program hears them, and the queue between
//! the two is short and lossy. Deliberately absent: any promise. A desktop may not be there.

mod bus;
mod gathering;
mod wording;

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use hermes_api::Person;
use hermes_config::Notifications;
use hermes_engine::{Author, ChangeOutcome, Event, Text, query};
use tokio::{
    sync::{
        broadcast::{Receiver, error::RecvError},
        mpsc,
    },
    time::{Instant, sleep_until},
};

use self::{
    gathering::{Gathering, Shown},
    wording::Wording,
};
use crate::{
    account::Account,
    clock::now,
    limits::{NOTIFY_QUEUE, NOTIFY_STRANGER},
    store::{Reader, Snapshot},
};

/// Announces what arrives in the accounts it is given.
#[derive(Clone)]
pub(crate) struct Notifier(Option<Arc<Desk>>);

struct Desk {
    settings: Notifications,
    popups: mpsc::Sender<Popup>,
    /// Accounts that are listened to.
    accounts: Arc<AtomicUsize>,
}

/// One notification, in plain text.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Popup {
    title: String,
    body: String,
    kind: Kind,
    /// Which account it is about: each has a summary of its own.
    account: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Of one message.
    Message,
    /// Of several; it takes the place of the one before it when that is still counted on.
    Summary { replace: bool },
    /// Something is wrong, and a person has to look.
    Alarm,
}

/// What arrived, as an announcement knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Arrival {
    chat: String,
    /// The member who wrote it, in a group.
    author: Option<String>,
    /// Nothing when it is not to be shown: it is to be deleted after a time, or only a newer version can.
    text: Option<String>,
}

impl Notifier {
    /// Starts the task that talks to the desktop. Must be called within the runtime.
    pub(crate) fn start(settings: Notifications) -> Self {
        if !settings.enabled {
            return Self(None);
        }
        let (popups, queue) = mpsc::channel(NOTIFY_QUEUE);
        tokio::spawn(bus::show_all(queue));
        Self(Some(Arc::new(Desk { settings, popups, accounts: Arc::default() })))
    }

    /// Announces nothing.
    #[cfg(test)]
    pub(crate) fn none() -> Self {
        Self(None)
    }

    /// Announces what arrives in an account, as long as it lives. Must be called within the runtime.
    pub(crate) fn watch(&self, account: &Account) {
        let Some(desk) = &self.0 else { return };
        desk.accounts.fetch_add(1, Ordering::Relaxed);
        let watcher = Watcher {
            account: account.name().to_string(),
            reader: account.reader().clone(),
            events: account.events(),
            gathering: Gathering::default(),
            desk: desk.clone(),
        };
        tokio::spawn(watcher.run());
    }
}

/// Listens to one account.
struct Watcher {
    account: String,
    reader: Reader,
    events: Receiver<Event>,
    gathering: Gathering,
    desk: Arc<Desk>,
}

impl Watcher {
    async fn run(mut self) {
        loop {
            let due = self.gathering.due();
            tokio::select! {
                event = self.events.recv() => match event {
                    Ok(event) => self.hear(event),
                    Err(RecvError::Lagged(_)) => self.gathering.lost(Instant::now()),
                    Err(RecvError::Closed) => return,
                },
                // Never polled when nothing is due.
                () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => self.announce().await,
            }
        }
    }

    fn hear(&mut self, event: Event) {
        match event {
            Event::Received(reference) => self.gathering.arrived(reference, Instant::now()),
            Event::IdentityChanged { name, outcome: ChangeOutcome::Stopped, .. } => {
                self.show(self.wording().identity_changed(&name));
            }
            _ => {}
        }
    }

    /// Announces what has gathered, as far as nobody has read it meanwhile.
    async fn announce(&mut self) {
        let (references, more) = self.gathering.take(Instant::now());
        let look =
            move |view: &Snapshot| Ok((query::messages_at(view, &references)?, query::summary(view)?.quiet));
        // An account that cannot be read says so elsewhere.
        let Ok((messages, quiet)) = self.reader.query(look).await else { return };
        if quiet.is_some_and(|until| until > now()) {
            return;
        }
        let arrivals: Vec<_> = messages.into_iter().filter_map(arrival).collect();
        let wording = self.wording();
        match self.gathering.shown(arrivals.iter().map(|(reference, _)| reference), more, Instant::now()) {
            Shown::Singly => arrivals.iter().for_each(|(_, arrival)| self.show(wording.message(arrival))),
            Shown::Summary { replace } => {
                let arrivals = arrivals.into_iter().map(|(_, arrival)| arrival).collect::<Vec<_>>();
                self.show(wording.summary(&arrivals, more, replace));
            }
            Shown::Nothing => {}
        }
    }

    fn wording(&self) -> Wording {
        Wording {
            preview: self.desk.settings.preview,
            account: self.account.clone(),
            several_accounts: self.desk.accounts.load(Ordering::Relaxed) > 1,
        }
    }

    fn show(&self, popup: Popup) {
        if self.desk.popups.try_send(popup).is_err() {
            tracing::debug!("the desktop does not keep up; a notification is left out");
        }
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.desk.accounts.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What is to be announced of a message; nothing when it was read, is none, or its chat is muted.
fn arrival(message: query::MessageView) -> Option<(hermes_engine::Reference, Arrival)> {
    if message.direction != (query::MessageDirection::Received { unread: true }) {
        return None;
    }
    if message.muted.is_some_and(|until| until > now()) {
        return None;
    }
    let text = match message.text {
        // A notification server keeps what it showed.
        Text::Plain(_) if message.ttl.is_some() => None,
        Text::Plain(text) => Some(text),
        Text::NeedsNewerVersion => None,
        Text::Expired | Text::Withdrawn | Text::Action(_) | Text::TimerSet(_) => return None,
        Text::SessionRenewed(_) | Text::GroupChanged(_) => return None,
    };
    let author = message.author.map(|author| {
        let known = message.people.iter().find(|person| person.fingerprint == author.fingerprint);
        match known.and_then(|person| person.contact.clone()) {
            Some(contact) => contact,
            None => stranger(&author),
        }
    });
    let arrival = Arrival { chat: message.reference.chat.clone(), author, text };
    Some((message.reference, arrival))
}

/// A member who is no contact, as the command line calls it. Its name is cut first: the digits of its key are what tells
/// it from a contact of that name, and nothing that it calls itself may push them out of sight.
fn stranger(author: &Author) -> String {
    let person = Person {
        name: author.profile_name.chars().take(NOTIFY_STRANGER).collect(),
        contact: false,
        me: false,
        fingerprint: author.fingerprint.to_string(),
    };
    person.label()
}

#[cfg(test)]
mod tests {
    use hermes_engine::{Fingerprint, MessageId, Reference, query::MessageDirection};
    use hermes_wire::Timestamp;

    use super::*;

    fn message(text: Text) -> query::MessageView {
        query::MessageView {
            reference: Reference::new("bob", 1),
            id: MessageId([0; 16]),
            text,
            sent: Timestamp(0),
            stored: Timestamp(0),
            direction: MessageDirection::Received { unread: true },
            author: None,
            reply_to: None,
            edited: None,
            reactions: Vec::new(),
            about: None,
            people: Vec::new(),
            confirmed: None,
            ttl: None,
            muted: None,
            without_one_time_key: false,
            missing_before: 0,
            refused_before: 0,
        }
    }

    fn plain() -> query::MessageView {
        message(Text::Plain("hi".into()))
    }

    fn announced(message: query::MessageView) -> Option<Arrival> {
        arrival(message).map(|(_, arrival)| arrival)
    }

    #[test]
    fn unread_texts_are_announced_and_nothing_else() {
        assert_eq!(announced(plain()).unwrap().text.as_deref(), Some("hi"));
        assert_eq!(announced(message(Text::NeedsNewerVersion)).unwrap().text, None);
        assert_eq!(announced(message(Text::Expired)), None);
        assert_eq!(announced(message(Text::TimerSet(None))), None);
        let read = MessageDirection::Received { unread: false };
        assert_eq!(announced(query::MessageView { direction: read, ..plain() }), None);
        assert_eq!(announced(query::MessageView { direction: MessageDirection::Noted, ..plain() }), None);
    }

    #[test]
    fn a_muted_chat_is_quiet_until_its_time_is_over() {
        let mute = |until| query::MessageView { muted: Some(Timestamp(until)), ..plain() };
        assert_eq!(announced(mute(u64::MAX)), None);
        assert!(announced(mute(1)).is_some());
    }

    #[test]
    fn a_text_that_is_to_be_deleted_is_kept_from_the_desktop() {
        let arrival = announced(query::MessageView { ttl: Some(60), ..plain() }).unwrap();
        assert_eq!((arrival.chat.as_str(), arrival.text), ("bob", None));
    }

    #[test]
    fn a_stranger_is_never_called_as_a_contact_is() {
        let by = |name: &str, contact: Option<&str>| {
            let author = Author { fingerprint: Fingerprint([7; 32]), profile_name: name.into() };
            let person = query::PersonView {
                contact: contact.map(Into::into),
                profile_name: name.into(),
                fingerprint: Fingerprint([7; 32]),
                me: false,
            };
            let message = query::MessageView { author: Some(author), people: vec![person], ..plain() };
            announced(message).unwrap().author.unwrap()
        };
        assert_eq!(by("whatever", Some("bob")), "bob");
        assert_eq!(by("bob", None), "bob (07070707)");
        let padded = by(&format!("bob{}", " ".repeat(500)), None);
        assert!(padded.ends_with("(07070707)") && padded.len() < crate::limits::NOTIFY_NAME, "{padded}");
    }
}
