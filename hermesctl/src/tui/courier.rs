//! Between the state and the daemon: requests in order, each repeated until the daemon has answered it, and events.
//!
//! Every request may be repeated: a send carries its idempotency key, the others change nothing or say the same again.

use hermes_api::{
    Chats, Client, ClientError, ContactDetails, LogQuery, MessagePage, Peers, Problem, ReadMessages,
    SendMessage, SentMessages, VerifyContact, Wait,
};
use tokio::{sync::mpsc, task::JoinHandle, time::sleep};

use super::Input;
use crate::limits::{RETURN_LOOK, TUI_REQUESTS};

/// What is asked of the daemon.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Request {
    Chats,
    /// Who is there.
    Peers,
    /// The newest messages of a chat, or those before one.
    Log {
        chat: String,
        before: Option<String>,
        limit: u32,
    },
    Send {
        chat: String,
        text: String,
        id: String,
    },
    MarkRead(Vec<String>),
    Contact(String),
    /// The user has compared this safety number.
    Verify {
        contact: String,
        number: String,
    },
}

/// What it said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    Chats(Chats),
    Peers(Peers),
    Log {
        chat: String,
        before: Option<String>,
        page: MessagePage,
    },
    Sent {
        id: String,
        sent: SentMessages,
    },
    Marked,
    Contact(Box<ContactDetails>),
    /// It does not do this, and repeating it would not help.
    Refused(Request, Problem),
}

/// Whether the daemon answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reach {
    /// It does not; it is looked for.
    Gone,
    /// It does, and from now on it tells what happens.
    Listening,
}

/// The two tasks, ended when dropped.
pub(super) struct Courier {
    requests: mpsc::Sender<Request>,
    tasks: [JoinHandle<()>; 2],
}

impl Courier {
    pub(super) fn start(client: Client, account: String, inputs: mpsc::Sender<Input>) -> Self {
        let (requests, queue) = mpsc::channel(TUI_REQUESTS);
        let asking = tokio::spawn(ask(client.clone(), account.clone(), queue, inputs.clone()));
        let listening = tokio::spawn(listen(client, account, inputs));
        Self { requests, tasks: [asking, listening] }
    }

    /// Hands a request in; it comes back when too many are waiting.
    pub(super) fn request(&self, request: Request) -> Result<(), Request> {
        self.requests.try_send(request).map_err(mpsc::error::TrySendError::into_inner)
    }
}

impl Drop for Courier {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
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
        Request::Log { chat, before, limit } => {
            let query = LogQuery { limit: Some(limit), before: before.clone() };
            let page = client.log(account, &chat, &query).await?;
            Answer::Log { chat, before, page }
        }
        Request::Send { chat, text, id } => {
            let message = SendMessage {
                to: vec![chat],
                text,
                ttl_seconds: None,
                reply_to: None,
                id: id.clone(),
                wait: Wait::None,
                timeout_ms: 0,
            };
            Answer::Sent { id, sent: client.send(account, &message).await? }
        }
        Request::MarkRead(refs) => {
            client.mark_read(account, &ReadMessages { refs }).await?;
            Answer::Marked
        }
        Request::Contact(name) => Answer::Contact(Box::new(client.contact(account, &name).await?)),
        Request::Verify { contact, number } => {
            let number = VerifyContact { safety_number: number };
            Answer::Contact(Box::new(client.verify(account, &contact, &number).await?))
        }
    })
}

async fn listen(client: Client, account: String, inputs: mpsc::Sender<Input>) {
    loop {
        if let Ok(mut events) = client.events(&account).await {
            if inputs.send(Input::Daemon(Reach::Listening)).await.is_err() {
                return;
            }
            while let Ok(Some(event)) = events.next().await {
                if inputs.send(Input::Event(event)).await.is_err() {
                    return;
                }
            }
        }
        if inputs.send(Input::Daemon(Reach::Gone)).await.is_err() {
            return;
        }
        sleep(RETURN_LOOK).await;
    }
}
