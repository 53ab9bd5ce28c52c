//! Between the state and the daemon: requests in order, each repeated until the daemon has answered it, and events. Lists
//! that may take a while do not keep what the user waits for.
//!
//! Every request may be repeated: a text carries its idempotency key, the others change nothing or say the same again.

use hermes_api::{
    Chats, Client, ClientError, ContactDetails, EditMessage, LogQuery, Message, MessageDetails, MessagePage,
    Peers, Problem, React, ReadMessages, SearchPage, SearchQuery, SendMessage, SentMessages, VerifyContact,
    Wait,
};
use tokio::{sync::mpsc, time::sleep};

use super::{
    Input, Tasks,
    model::{Said, Sending},
};
use crate::limits::{RETURN_LOOK, TUI_PAGE, TUI_REQUESTS};

/// What is asked of the daemon.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Request {
    Chats,
    /// Who is there.
    Peers,
    /// Messages of a chat.
    Log {
        chat: String,
        side: Side,
    },
    Say(Box<Sending>),
    MarkRead(Vec<String>),
    Contact(String),
    /// The user has compared this safety number.
    Verify {
        contact: String,
        number: String,
    },
    /// One message, by its id, and who has it.
    Message(String),
    /// A stretch of the history in which a text is looked for.
    Search {
        number: u64,
        text: String,
        chat: Option<String>,
        from: Option<String>,
    },
}

/// Which messages of a chat.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Newest,
    /// Those right before the message of this id.
    Before(String),
    /// Those right behind the message of this id.
    After(String),
}

/// What it said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    Chats(Chats),
    Peers(Peers),
    Log {
        chat: String,
        side: Side,
        page: MessagePage,
    },
    /// A text has been taken, or not.
    Sent {
        id: String,
        sent: SentMessages,
    },
    /// What was said about a message has been taken; so it is now.
    Changed {
        id: String,
        message: Box<Message>,
    },
    Marked,
    Contact(Box<ContactDetails>),
    Message(Box<MessageDetails>),
    Found {
        number: u64,
        page: SearchPage,
    },
    /// It does not do this, and repeating it would not help.
    Refused(Request, Problem),
}

/// Whether the daemon answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Reach {
    /// It does not; it is looked for.
    Gone,
    /// It does, and says nothing of this account. It is asked again.
    Refused(Problem),
    /// It does, and from now on it tells what happens.
    Listening,
}

/// Takes requests for the daemon.
pub(super) struct Courier {
    /// What the user waits for.
    first: mpsc::Sender<Request>,
    /// What only says how things stand.
    lists: mpsc::Sender<Request>,
}

impl Courier {
    pub(super) fn start(
        client: Client,
        account: String,
        inputs: mpsc::Sender<Input>,
        tasks: &mut Tasks,
    ) -> Self {
        let mut lane = |name| {
            let (requests, queue) = mpsc::channel(TUI_REQUESTS);
            tasks.spawn(name, ask(client.clone(), account.clone(), queue, inputs.clone()));
            requests
        };
        let (first, lists) = (lane("asks hermesd"), lane("asks hermesd for lists"));
        tasks.spawn("listens to hermesd", listen(client, account, inputs));
        Self { first, lists }
    }

    /// Hands a request in; it comes back when too many are waiting.
    pub(super) fn request(&self, request: Request) -> Result<(), Request> {
        let lane = match request {
            Request::Chats | Request::Peers => &self.lists,
            _ => &self.first,
        };
        lane.try_send(request).map_err(mpsc::error::TrySendError::into_inner)
    }
}

async fn ask(
    client: Client,
    account: String,
    mut queue: mpsc::Receiver<Request>,
    inputs: mpsc::Sender<Input>,
) {
    while let Some(request) = queue.recv().await {
        let answer = loop {
            match carry_out(&client, &account, &request).await {
                Ok(answer) => break answer,
                Err(ClientError::NotRunning { .. } | ClientError::Broken(_)) => {
                    if inputs.send(Input::Daemon(Reach::Gone)).await.is_err() {
                        return;
                    }
                    sleep(RETURN_LOOK).await;
                }
                Err(error) => break Answer::Refused(request.clone(), error.problem()),
            }
        };
        if inputs.send(Input::Answer(answer)).await.is_err() {
            return;
        }
    }
}

async fn carry_out(client: &Client, account: &str, request: &Request) -> Result<Answer, ClientError> {
    Ok(match request.clone() {
        Request::Chats => Answer::Chats(client.chats(account).await?),
        Request::Peers => Answer::Peers(client.peers(account).await?),
        Request::Log { chat, side } => {
            let mut query = LogQuery { limit: Some(TUI_PAGE), ..LogQuery::default() };
            match side.clone() {
                Side::Newest => {}
                Side::Before(id) => query.before = Some(id),
                Side::After(id) => query.after = Some(id),
            }
            let page = client.log(account, &chat, &query).await?;
            Answer::Log { chat, side, page }
        }
        Request::Say(sending) => say(client, account, *sending).await?,
        Request::MarkRead(refs) => {
            client.mark_read(account, &ReadMessages { refs }).await?;
            Answer::Marked
        }
        Request::Contact(name) => Answer::Contact(Box::new(client.contact(account, &name).await?)),
        Request::Verify { contact, number } => {
            let number = VerifyContact { safety_number: number };
            Answer::Contact(Box::new(client.verify(account, &contact, &number).await?))
        }
        Request::Message(id) => Answer::Message(Box::new(client.message(account, &id).await?)),
        Request::Search { number, text, chat, from } => {
            let query = SearchQuery { text, chat, limit: Some(TUI_PAGE), from };
            Answer::Found { number, page: client.search(account, &query).await? }
        }
    })
}

async fn say(client: &Client, account: &str, sending: Sending) -> Result<Answer, ClientError> {
    let Sending { id, chat, said } = sending;
    let changed = match said {
        Said::Text { text, reply_to } => {
            let message = SendMessage {
                to: vec![chat],
                text,
                ttl_seconds: None,
                reply_to: reply_to.map(|target| target.id),
                id: id.clone(),
                wait: Wait::None,
                timeout_ms: 0,
            };
            return Ok(Answer::Sent { id, sent: client.send(account, &message).await? });
        }
        Said::Edit { target, text } => client.edit(account, &target.id, &EditMessage { text }).await?,
        Said::React { target, emoji } => client.react(account, &target.id, &React { emoji }).await?,
        Said::Unsend { target } => client.unsend(account, &target.id).await?,
    };
    Ok(Answer::Changed { id, message: Box::new(changed.message) })
}

async fn listen(client: Client, account: String, inputs: mpsc::Sender<Input>) {
    loop {
        let reach = match client.events(&account).await {
            Ok(mut events) => {
                if inputs.send(Input::Daemon(Reach::Listening)).await.is_err() {
                    return;
                }
                while let Ok(Some(event)) = events.next().await {
                    if inputs.send(Input::Event(event)).await.is_err() {
                        return;
                    }
                }
                // The end does not say why; whoever has locked the account must not wait for the answer.
                client.events(&account).await.map_or_else(reach, |_| Reach::Gone)
            }
            Err(error) => reach(error),
        };
        if inputs.send(Input::Daemon(reach)).await.is_err() {
            return;
        }
        sleep(RETURN_LOOK).await;
    }
}

/// What an error says of the daemon.
fn reach(error: ClientError) -> Reach {
    match error {
        ClientError::NotRunning { .. } | ClientError::Broken(_) => Reach::Gone,
        error => Reach::Refused(error.problem()),
    }
}
