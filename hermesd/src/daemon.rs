//! The daemon: its accounts, and its end.

use std::{
    collections::BTreeMap,
    fs,
    io::{self, Read},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::SystemTime,
};

use hermes_api::{ErrorCode, KeyKind, KeyStatus, Measure, Passphrase, Problem, UnixMillis};
use hermes_config::{AccountName, Paths};
use hermes_engine::{NewAccount, query};
use hermes_link::client::{self, OpenEndpoint};
use tokio::{
    sync::{self, watch},
    task,
};

use crate::{
    account::{Account, AccountError},
    backup,
    birth::{self, BirthError},
    keystore::{KeyError, Keys},
    limits::ACCOUNTS,
    local::{ToProblem, stopping},
    notify::Notifier,
    settings::Settings,
    store::SqliteStore,
};

/// The daemon, shared by everything that runs in it.
#[derive(Clone)]
pub(crate) struct Daemon(Arc<Shared>);

struct Shared {
    paths: Paths,
    settings: Settings,
    measures: Vec<Measure>,
    started: UnixMillis,
    slots: Mutex<BTreeMap<AccountName, Slot>>,
    /// One account is made, or opened again, at a time.
    creating: sync::Mutex<()>,
    stop: watch::Sender<bool>,
    notifier: Notifier,
    open_endpoint: OpenEndpoint,
}

/// An account that is there.
#[derive(Clone)]
enum Slot {
    /// It works.
    Open(Arc<Account>),
    /// It did not open when last tried. It is tried again whenever someone asks for it: who did what the problem said
    /// need not restart the daemon.
    Failed,
    /// Its keys are locked away. It stays so until somebody unlocks it.
    Locked,
}

/// How the keys of a new account are kept.
pub(crate) struct NewKeys {
    pub(crate) kind: KeyKind,
    /// For [`KeyKind::Passphrase`].
    pub(crate) passphrase: Option<Passphrase>,
}

impl Daemon {
    pub(crate) fn new(paths: Paths, settings: Settings, notifier: Notifier, measures: Vec<Measure>) -> Self {
        Self(Arc::new(Shared {
            paths,
            settings,
            measures,
            started: SystemTime::now().into(),
            slots: Mutex::default(),
            creating: sync::Mutex::default(),
            stop: watch::Sender::new(false),
            notifier,
            open_endpoint: Arc::new(client::endpoint),
        }))
    }

    /// One whose everything lies in `home`.
    #[cfg(test)]
    pub(crate) fn of_tests(home: &std::path::Path) -> Self {
        let paths = Paths::under(home).unwrap();
        let settings = Settings::read(paths.clone(), None).unwrap();
        Self::new(paths, settings, Notifier::none(), Vec::new())
    }

    /// The same, on a network of the test's.
    #[cfg(test)]
    pub(crate) fn of_tests_on(home: &std::path::Path, open_endpoint: OpenEndpoint) -> Self {
        let mut daemon = Self::of_tests(home);
        Arc::get_mut(&mut daemon.0).unwrap().open_endpoint = open_endpoint;
        daemon
    }

    /// Opens every account that lies in the data directory. One that does not open does not keep others from it; when
    /// none does, the first one's reason is the error. One that waits for its passphrase is no failure.
    pub(crate) async fn open_accounts(&self) -> Result<(), Problem> {
        let mut failed = None;
        for name in self.names().map_err(|error| {
            Problem::new(
                ErrorCode::StoreFailed,
                format!("cannot list {}: {error}", self.0.paths.accounts().display()),
                "check its permissions",
            )
        })? {
            if let Err(problem) = self.open_slot(&name, None).await {
                if matches!(self.slot(name.as_str()), Ok((_, Slot::Locked))) {
                    tracing::info!("an account is locked; hermesctl unlock opens it");
                    continue;
                }
                tracing::error!(code = %problem.code, "an account does not open; hermesctl status says why");
                failed.get_or_insert(problem);
            }
        }
        let any_open = self.slots().values().any(|slot| !matches!(slot, Slot::Failed));
        match failed {
            Some(problem) if !any_open => Err(problem),
            _ => Ok(()),
        }
    }

    /// The names of all accounts, in order.
    pub(crate) fn account_names(&self) -> Vec<AccountName> {
        self.slots().keys().cloned().collect()
    }

    /// The account of that name, if it works.
    pub(crate) async fn account(&self, name: &str) -> Result<Arc<Account>, Problem> {
        match self.slot(name)? {
            (_, Slot::Open(account)) => Ok(account),
            (name, Slot::Failed) => {
                let daemon = self.clone();
                to_the_end(async move { daemon.open_again(&name).await }).await
            }
            (name, Slot::Locked) => Err(locked(&name)),
        }
    }

    /// How the account's keys are kept; nothing when that cannot be told.
    pub(crate) fn key_status(&self, name: &AccountName) -> Option<KeyStatus> {
        let kind = self.keys(name).kind().ok()?;
        let locked = matches!(self.slots().get(name), Some(Slot::Locked));
        Some(KeyStatus { kind, protection: kind.protection().to_owned(), locked })
    }

    /// Closes an account and leaves none of its keys in memory. One that is locked stays so.
    pub(crate) async fn lock(&self, name: &str) -> Result<AccountName, Problem> {
        let (daemon, (name, _)) = (self.clone(), self.slot(name)?);
        to_the_end(async move {
            let _one_at_a_time = daemon.0.creating.lock().await;
            let former = daemon.slots().insert(name.clone(), Slot::Locked);
            if let Some(Slot::Open(account)) = former {
                account.stop().await;
            }
            Ok(name)
        })
        .await
    }

    /// Opens an account that is locked. One that is open stays so, whatever the passphrase.
    pub(crate) async fn unlock(
        &self,
        name: &str,
        passphrase: Option<Passphrase>,
    ) -> Result<Arc<Account>, Problem> {
        let (daemon, (name, _)) = (self.clone(), self.slot(name)?);
        to_the_end(async move {
            let _one_at_a_time = daemon.0.creating.lock().await;
            if *daemon.0.stop.borrow() {
                return Err(stopping());
            }
            match daemon.slot(name.as_str())? {
                (_, Slot::Open(account)) => Ok(account),
                (name, Slot::Failed | Slot::Locked) => daemon.open_slot(&name, passphrase).await,
            }
        })
        .await
    }

    /// Keeps the keys of an open account in another way.
    pub(crate) async fn change_keys(
        &self,
        name: &str,
        current: Option<Passphrase>,
        new: NewKeys,
    ) -> Result<Arc<Account>, Problem> {
        let account = self.account(name).await?;
        let daemon = self.clone();
        to_the_end(async move {
            let _one_at_a_time = daemon.0.creating.lock().await;
            let (keys, open) = (daemon.keys(account.name()), account.clone());
            let changed = task::spawn_blocking(move || {
                open.with_key(|key| {
                    if keys.kind()? == KeyKind::Passphrase {
                        keys.unlock(Some(&current.ok_or(KeyError::Wrong)?))?;
                    }
                    keys.change(key, new.kind, new.passphrase.as_ref())
                })
            });
            match changed.await {
                Ok(Some(changed)) => changed.map_err(|error| error.problem())?,
                Ok(None) => return Err(locked(account.name())),
                Err(_) => return Err(stopping()),
            }
            Ok(account)
        })
        .await
    }

    fn keys(&self, name: &AccountName) -> Keys {
        Keys::of(&self.0.paths, name, &self.0.settings.at_start().keys.passphrase_command)
    }

    fn slot(&self, name: &str) -> Result<(AccountName, Slot), Problem> {
        let slots = self.slots();
        let known = name.parse().ok().and_then(|name| slots.get_key_value(&name));
        match known {
            Some((name, slot)) => Ok((name.clone(), slot.clone())),
            None if slots.is_empty() => Err(Problem::new(
                ErrorCode::NoAccount,
                "there is no account yet",
                "make one: hermesctl init --name NAME --relay 'hermes://…'",
            )),
            None => Err(Problem::new(
                ErrorCode::AccountNotFound,
                format!("there is no account named {name:?}"),
                "hermesctl status names them all",
            )),
        }
    }

    /// Tries an account that did not open once more: its key or store may have been repaired.
    async fn open_again(&self, name: &AccountName) -> Result<Arc<Account>, Problem> {
        let _one_at_a_time = self.0.creating.lock().await;
        if *self.0.stop.borrow() {
            return Err(stopping());
        }
        // Someone else may have opened it while this one waited.
        match self.slot(name.as_str())? {
            (_, Slot::Open(account)) => Ok(account),
            (name, Slot::Failed) => self.open_slot(&name, None).await,
            (name, Slot::Locked) => Err(locked(&name)),
        }
    }

    /// Makes an account and starts it. One that the relay has not taken yet may be asked for again, with another
    /// registration token if need be.
    pub(crate) async fn create_account(
        &self,
        name: AccountName,
        new: NewAccount,
        keys: NewKeys,
    ) -> Result<Arc<Account>, Problem> {
        let daemon = self.clone();
        to_the_end(async move { daemon.create(name, new, keys).await }).await
    }

    async fn create(
        &self,
        name: AccountName,
        new: NewAccount,
        keys: NewKeys,
    ) -> Result<Arc<Account>, Problem> {
        let _one_at_a_time = self.0.creating.lock().await;
        if *self.0.stop.borrow() {
            return Err(stopping());
        }
        let slot = self.slots().get(&name).cloned();
        let existing = match slot {
            Some(Slot::Open(account)) => Some(account),
            Some(Slot::Failed) => Some(self.open_slot(&name, None).await?),
            Some(Slot::Locked) => return Err(locked(&name)),
            None => None,
        };
        match existing {
            Some(account) => {
                if !self.may_replace(&account, &new).await? {
                    return Ok(account);
                }
                account.stop().await;
                self.slots().remove(&name);
            }
            None => self.check_room()?,
        }
        self.bear(name, keys, birth::anew(new)).await
    }

    /// Makes an account of a backup and starts it: what the backup was made of stops.
    pub(crate) async fn restore_account(
        &self,
        name: AccountName,
        keys: NewKeys,
        mut file: impl Read + Send + 'static,
        passphrase: Passphrase,
    ) -> Result<Arc<Account>, Problem> {
        let daemon = self.clone();
        to_the_end(async move {
            let _one_at_a_time = daemon.0.creating.lock().await;
            if *daemon.0.stop.borrow() {
                return Err(stopping());
            }
            if daemon.slots().contains_key(&name) {
                return Err(Problem::new(
                    ErrorCode::AccountExists,
                    format!("an account named {name} exists already"),
                    "restore it under another name: --name NAME",
                ));
            }
            daemon.check_room()?;
            daemon.bear(name, keys, move |store| Ok(backup::fill(&mut file, &passphrase, store)?)).await
        })
        .await
    }

    /// Removes an account from the machine, whether it opens or not: its keys, its store, its place in this daemon.
    pub(crate) async fn remove_account(&self, name: &str) -> Result<AccountName, Problem> {
        let (daemon, (name, _)) = (self.clone(), self.slot(name)?);
        to_the_end(async move {
            let _one_at_a_time = daemon.0.creating.lock().await;
            if *daemon.0.stop.borrow() {
                return Err(stopping());
            }
            // Somebody else may have removed it while this one waited.
            let (name, slot) = daemon.slot(name.as_str())?;
            // Until it is gone nobody opens it again.
            daemon.slots().insert(name.clone(), Slot::Locked);
            if let Slot::Open(account) = slot {
                account.stop().await;
            }
            let (paths, label, keys) = (daemon.0.paths.clone(), name.clone(), daemon.keys(&name));
            let unmade = task::spawn_blocking(move || birth::unmake(&paths, &label, &keys)).await;
            unmade.map_err(|_| stopping())?.map_err(|error| error.problem())?;
            daemon.slots().remove(&name);
            Ok(name)
        })
        .await
    }

    fn check_room(&self) -> Result<(), Problem> {
        match self.slots().len() >= ACCOUNTS {
            true => Err(Problem::new(
                ErrorCode::LimitReached,
                format!("there are {ACCOUNTS} accounts, the limit of one daemon"),
                "use one of them, or another HERMES_HOME",
            )),
            false => Ok(()),
        }
    }

    async fn bear(
        &self,
        name: AccountName,
        keys: NewKeys,
        fill: impl FnOnce(&mut SqliteStore) -> Result<(), BirthError> + Send + 'static,
    ) -> Result<Arc<Account>, Problem> {
        let (paths, label, place) = (self.0.paths.clone(), name.clone(), self.keys(&name));
        let typed = keys.passphrase.clone();
        let made = task::spawn_blocking(move || birth::make(&paths, &label, place, &keys, fill)).await;
        made.map_err(|_| stopping())?.map_err(|error| error.problem())?;
        let account = self.open(&name, typed).await.map_err(|error| error.problem())?;
        self.slots().insert(name, Slot::Open(account.clone()));
        Ok(account)
    }

    /// Whether an account that is asked for again has to be made again. Only one that has nothing yet, and only for
    /// another relay or token: the relay may have spent the same token on it a moment ago.
    async fn may_replace(&self, account: &Account, new: &NewAccount) -> Result<bool, Problem> {
        let (summary, mailbox) = account
            .query(|view| Ok((query::summary(view)?, query::mailbox(view)?)))
            .await
            .map_err(|error| error.problem())?;
        if summary.registered || summary.contacts > 0 {
            return Err(Problem::new(
                ErrorCode::AccountExists,
                "an account of this name exists already",
                "choose another name, or use the account: hermesctl status",
            ));
        }
        let same_token =
            new.registration_token.is_none() || new.registration_token == mailbox.registration_token;
        let same = same_token && new.relay == summary.relay;
        if same {
            account.reconnect();
        }
        Ok(!same)
    }

    /// The configuration.
    pub(crate) fn settings(&self) -> &Settings {
        &self.0.settings
    }

    /// What protects this process, and how far.
    pub(crate) fn measures(&self) -> &[Measure] {
        &self.0.measures
    }

    /// When the daemon started.
    pub(crate) fn started(&self) -> UnixMillis {
        self.0.started
    }

    /// Ends the daemon, soon.
    pub(crate) fn request_stop(&self) {
        self.0.stop.send_replace(true);
    }

    /// Becomes true when the daemon is to end.
    pub(crate) fn stop_signal(&self) -> watch::Receiver<bool> {
        self.0.stop.subscribe()
    }

    /// Closes every account, after what it has been told.
    pub(crate) async fn close_accounts(&self) {
        let _no_more = self.0.creating.lock().await;
        let slots: Vec<Slot> = self.slots().values().cloned().collect();
        for slot in slots {
            if let Slot::Open(account) = slot {
                account.stop().await;
            }
        }
    }

    /// Opens an account and notes how that went.
    async fn open_slot(
        &self,
        name: &AccountName,
        typed: Option<Passphrase>,
    ) -> Result<Arc<Account>, Problem> {
        let opened = self.open(name, typed).await;
        let slot = match &opened {
            Ok(account) => Slot::Open(account.clone()),
            Err(AccountError::Key(KeyError::NeedsPassphrase | KeyError::Wrong)) => Slot::Locked,
            Err(_) => Slot::Failed,
        };
        self.slots().insert(name.clone(), slot);
        opened.map_err(|error| match error {
            AccountError::Key(KeyError::NeedsPassphrase) => locked(name),
            error => error.problem(),
        })
    }

    async fn open(
        &self,
        name: &AccountName,
        typed: Option<Passphrase>,
    ) -> Result<Arc<Account>, AccountError> {
        let (keys, store) = (self.keys(name), self.0.paths.store(name));
        let (name, privacy) = (name.clone(), self.0.settings.privacy());
        let open_endpoint = self.0.open_endpoint.clone();
        let opened = task::spawn_blocking(move || {
            let key = keys.unlock(typed.as_ref())?;
            Account::open(name, store, key, privacy, open_endpoint)
        });
        match opened.await {
            Ok(opened) => {
                let account = Arc::new(opened?);
                self.0.notifier.watch(&account);
                Ok(account)
            }
            Err(_) => Err(AccountError::Stopping),
        }
    }

    fn names(&self) -> io::Result<Vec<AccountName>> {
        let entries = match fs::read_dir(self.0.paths.accounts()) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let mut names = Vec::new();
        for entry in entries {
            let entry = entry?;
            // Drafts of accounts have names that no account has.
            let name = entry.file_name().to_str().and_then(|name| name.parse().ok());
            if let Some(name) = name.filter(|_| entry.path().is_dir()) {
                names.push(name);
            }
        }
        names.sort();
        Ok(names)
    }

    fn slots(&self) -> MutexGuard<'_, BTreeMap<AccountName, Slot>> {
        self.0.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(crate) fn locked(name: &AccountName) -> Problem {
    Problem::new(
        ErrorCode::Locked,
        format!("the account {name} is locked"),
        format!("open it: hermesctl unlock --account {name}"),
    )
}

/// Does `work` even if whoever asked for it leaves, which ends the request: an account that opened and was lost on the
/// way to its place would hold its store until the daemon ends.
async fn to_the_end<T: Send + 'static>(
    work: impl Future<Output = Result<T, Problem>> + Send + 'static,
) -> Result<T, Problem> {
    task::spawn(work).await.unwrap_or_else(|_| Err(stopping()))
}
