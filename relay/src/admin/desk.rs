//! Where orders are carried out.

use std::{sync::Arc, thread::JoinHandle, time::Instant};

use data_encoding::HEXLOWER;
use hermes_link::credential::MailboxCredential;
use hermes_wire::{DropKey, MailboxId};
use tokio::sync::{Notify, watch};

use super::{Answer, MailboxLine, Order, Problem, Status, TokenLine};
use crate::{
    clock,
    committer::{Committer, WeakCommitter},
    connected::Connected,
    limits::SHOWN_TOKENS,
    metrics::Metrics,
    relay::{Outcome, Policy, Registration, Relay, Request},
    state::{StateDirectory, StateError},
    store::{Store, StoreError, TokenHash, fjall::FjallStore},
    tokens::TokenDirectory,
};

/// Hexadecimal digits that name a token to its operator.
const TOKEN_ID_CHARS: usize = 12;

/// A relay's rules and store, as its operator reaches them.
pub struct Desk {
    committer: WeakCommitter,
    /// Of a relay that does not run, whose rules nobody else keeps alive.
    _alive: Option<Committer>,
    store: FjallStore,
    tokens: TokenDirectory,
    /// `None` while the relay is stopped.
    running: Option<Running>,
}

/// What only a running relay can tell.
pub(crate) struct Running {
    /// Its address, as clients have it.
    pub(crate) address: String,
    /// The operator's decisions.
    pub(crate) policy: Policy,
    pub(crate) connected: Arc<Connected>,
    pub(crate) metrics: Metrics,
    /// Connections of all kinds.
    pub(crate) connections: Box<dyn Fn() -> usize + Send + Sync>,
    /// Rung when the relay is to stop.
    pub(crate) stop: Arc<Notify>,
    pub(crate) since: Instant,
    pub(crate) draining: watch::Receiver<bool>,
}

impl Desk {
    pub(crate) fn new(
        committer: &Committer,
        store: FjallStore,
        tokens: TokenDirectory,
        running: Running,
    ) -> Self {
        Self { committer: committer.downgrade(), _alive: None, store, tokens, running: Some(running) }
    }

    /// Opens a relay that does not run. The thread ends when the desk is gone.
    pub fn stopped(state: &StateDirectory) -> Result<(Self, JoinHandle<Result<(), StoreError>>), StateError> {
        let store = state.store()?;
        let failed = |error| state.store_failed(error);
        let relay = Relay::new(store.clone(), Policy::default()).map_err(failed)?;
        let (committer, thread) = Committer::start(relay, Arc::default(), Metrics::default())
            .map_err(|error| failed(StoreError::Backend(error.to_string())))?;
        let weak = committer.downgrade();
        let tokens = state.tokens()?;
        Ok((Self { committer: weak, _alive: Some(committer), store, tokens, running: None }, thread))
    }

    /// Everything there is to back up.
    pub fn store(&self) -> &FjallStore {
        &self.store
    }

    /// Carries out an order. [`Order::Backup`] is only agreed to: what reads the store writes the file.
    pub async fn carry_out(&self, order: Order) -> Answer {
        let done = match order {
            Order::Status => self.status().await,
            Order::Tokens => self.tokens().await.map(|tokens| Answer::Tokens { tokens }),
            Order::RevokeToken { token } => self.revoke(&token).await,
            Order::Mailbox { mailbox } => self.mailbox(&mailbox),
            Order::CloseMailbox { mailbox } => self.close(&mailbox).await,
            Order::Drain => self.drain(),
            Order::Verify => self.verify().await,
            Order::Backup => Ok(Answer::Done),
        };
        done.unwrap_or_else(Answer::Problem)
    }

    async fn status(&self) -> Result<Answer, Problem> {
        let Some(running) = &self.running else { return Err(Problem::new("the relay is not running")) };
        self.take_in_tokens().await?;
        let tokens = self.store.tokens(SHOWN_TOKENS)?;
        let now = clock::now();
        let usable = tokens.iter().filter(|(_, row)| row.expiry >= now);
        let end = running.metrics.certificate_end();
        Ok(Answer::Status(Status {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            address: running.address.clone(),
            uptime_ms: u64::try_from(running.since.elapsed().as_millis()).unwrap_or(u64::MAX),
            registration: match running.policy.registration {
                Registration::Token => "token",
                Registration::Open => "open",
                Registration::Closed => "closed",
            }
            .to_owned(),
            connections: (running.connections)() as u64,
            owners: running.connected.count() as u64,
            mailboxes: running.metrics.mailboxes.get().unsigned_abs(),
            mailboxes_limit: running.policy.limits.mailboxes,
            channels: running.metrics.channels.get().unsigned_abs(),
            registrations_left: usable.map(|(_, row)| u64::from(row.uses)).sum(),
            store_bytes: self.store.disk_bytes()?,
            draining: *running.draining.borrow(),
            certificate_not_after: end.map(|end| u64::try_from(end.as_millis()).unwrap_or(u64::MAX)),
        }))
    }

    /// Those that wait in their directory are as good as the others.
    async fn take_in_tokens(&self) -> Result<(), Problem> {
        for new in self.tokens.list() {
            self.submit(Request::AddToken { token: new.token, row: new.row }).await?;
            self.tokens.remove(new.token);
        }
        Ok(())
    }

    async fn tokens(&self) -> Result<Vec<TokenLine>, Problem> {
        self.take_in_tokens().await?;
        let tokens = self.store.tokens(SHOWN_TOKENS)?;
        Ok(tokens
            .into_iter()
            .map(|(token, row)| TokenLine { id: token_id(token), uses: row.uses, expires_at: row.expiry.0 })
            .collect())
    }

    async fn revoke(&self, token: &str) -> Result<Answer, Problem> {
        self.take_in_tokens().await?;
        let token = token.trim();
        let by_id = self.store.tokens(SHOWN_TOKENS)?.into_iter().find(|(hash, _)| token_id(*hash) == token);
        let hash = by_id.map_or_else(|| TokenHash::of(token), |(hash, _)| hash);
        match self.submit(Request::RevokeToken(hash)).await? {
            Outcome::Absent => Err(Problem::absent("no such token; hermes-relay token ls shows their ids")),
            _ => Ok(Answer::Done),
        }
    }

    fn mailbox(&self, text: &str) -> Result<Answer, Problem> {
        let mailbox = mailbox_id(text)?;
        let row = self.store.mailbox(mailbox)?.ok_or_else(no_mailbox)?;
        Ok(Answer::Mailbox(MailboxLine {
            mailbox: mailbox.to_string(),
            closed: self.store.closed()?.contains(&mailbox),
            connected: self.running.as_ref().is_some_and(|running| running.connected.has(mailbox)),
            envelopes: row.stored.envelopes,
            bytes: row.stored.bytes,
            prekeys: row.stock.iter().sum(),
            blobs: row.blobs.envelopes,
            blob_bytes: row.blobs.bytes,
        }))
    }

    async fn close(&self, text: &str) -> Result<Answer, Problem> {
        let mailbox = mailbox_id(text)?;
        // Its secret is drawn and forgotten at once.
        let nobody = MailboxCredential::from_seed(&rand::random())
            .map_err(|error| Problem::new(&error.to_string()))?;
        let drop_key = DropKey(nobody.mailbox().0);
        let close = |blobs| Request::CloseMailbox { mailbox, blobs, drop_key };
        if self.submit(close(Vec::new())).await? == Outcome::Absent {
            return Err(no_mailbox());
        }
        // No blob can come any more.
        self.submit(close(self.store.blobs_of(mailbox)?)).await?;
        if let Some(running) = &self.running {
            running.connected.cut(mailbox);
        }
        // What one commit does not take is left to the running relay's sweep: it alone knows how long everything else may
        // stay.
        Ok(Answer::Done)
    }

    fn drain(&self) -> Result<Answer, Problem> {
        let Some(running) = &self.running else { return Err(Problem::new("the relay is not running")) };
        running.stop.notify_one();
        Ok(Answer::Done)
    }

    async fn verify(&self) -> Result<Answer, Problem> {
        let store = self.store.clone();
        let verified = tokio::task::spawn_blocking(move || store.verify()).await;
        let inventory = verified.map_err(|_| Problem::new("the relay is stopping"))??;
        Ok(Answer::Verified(inventory))
    }

    async fn submit(&self, request: Request) -> Result<Outcome, Problem> {
        match self.committer.submit(request).await {
            Outcome::Refused(refusal) => Err(Problem::new(&refusal.to_string())),
            outcome => Ok(outcome),
        }
    }
}

impl Problem {
    pub(crate) fn new(message: &str) -> Self {
        Self { message: message.to_owned(), absent: false }
    }

    fn absent(message: &str) -> Self {
        Self { message: message.to_owned(), absent: true }
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        Self::new(&format!("{error}; look at the disk"))
    }
}

fn no_mailbox() -> Problem {
    Problem::absent("no such mailbox; its owner finds the id with: hermesctl status --json")
}

fn mailbox_id(text: &str) -> Result<MailboxId, Problem> {
    let bytes = HEXLOWER.decode(text.trim().to_ascii_lowercase().as_bytes()).ok();
    let id = bytes.and_then(|bytes| bytes.try_into().ok());
    id.map(MailboxId).ok_or_else(|| Problem::new("a mailbox id has 64 hexadecimal digits"))
}

fn token_id(token: TokenHash) -> String {
    let mut id = HEXLOWER.encode(&token.0);
    id.truncate(TOKEN_ID_CHARS);
    id
}
