//! Everybody who takes part: made, paired, and put into groups, before anything goes wrong.

use std::{future::Future, path::PathBuf, sync::Arc, time::Duration};

use futures_util::{StreamExt, stream};
use hermes_api::{
    AcceptInvite, Client, ClientError, ConnectionState, ContactState, CreateAccount, CreateGroup,
    CreateInvite, Standing,
};
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::world::{Home, Log, Relay};

/// Accounts of one circle, its hub among them.
pub(super) const CIRCLE: usize = 10;
/// Accounts of one daemon, at most; a circle's are with ten of them where there are so many.
const HOME: usize = 50;
/// Requests under way at a time while everybody settles.
const AT_ONCE: usize = 8;
/// Generous: it only decides how long a broken build hangs.
pub(super) const PATIENCE: Duration = Duration::from_secs(300);
/// Between two looks.
const PAUSE: Duration = Duration::from_millis(100);

/// An account and how it is reached.
#[derive(Clone, Debug)]
pub(super) struct Member {
    pub(super) name: String,
    pub(super) client: Client,
}

/// Ten accounts, the hub first.
#[derive(Clone, Debug)]
pub(super) struct Circle {
    pub(super) group: String,
    pub(super) members: Vec<Member>,
}

impl Circle {
    pub(super) fn hub(&self) -> &Member {
        &self.members[0]
    }
}

/// The relay, the daemons, and who is who.
#[derive(Debug)]
pub(super) struct Crowd {
    pub(super) relay: Relay,
    pub(super) homes: Vec<Arc<Home>>,
    pub(super) circles: Vec<Circle>,
    /// Last, so that nobody is left running in it when it goes.
    directory: TempDir,
}

impl Crowd {
    /// Starts all programs and makes all accounts, contacts and groups.
    pub(super) fn settle(clients: usize, runtime: &Runtime) -> Self {
        let directory = tempfile::Builder::new().prefix("hm").tempdir().expect("a directory can be made");
        let relay = Relay::start(&directory.path().join("relay"), None, Log::Own);
        let homes: Vec<_> = (0..clients.div_ceil(HOME).max(2))
            .map(|number| {
                // Clients have processors of their own elsewhere. A relay that has to wait for its turn behind all of them
                // answers no handshake in time, and they all try again.
                let home = Home::new(directory.path().join(format!("h{number}")), Log::Own).giving_way();
                home.start();
                Arc::new(home)
            })
            .collect();
        let circles: Vec<_> = (0..clients / CIRCLE)
            .map(|circle| Circle {
                group: format!("group{circle}"),
                members: (0..CIRCLE)
                    .map(|number| Member {
                        name: format!("c{circle}m{number}"),
                        client: homes[(circle * CIRCLE + number) % homes.len()].client(),
                    })
                    .collect(),
            })
            .collect();
        let crowd = Self { relay, homes, circles, directory };
        runtime.block_on(crowd.introduce());
        crowd
    }

    /// Directory of the relay and of all daemons.
    pub(super) fn directory(&self) -> PathBuf {
        self.directory.path().to_owned()
    }

    async fn introduce(&self) {
        let relay = self.relay.address().to_string();
        let members = self.circles.iter().flat_map(|circle| &circle.members);
        each(members, |member| register(member, &relay)).await;
        eprintln!("soak: {} accounts are registered", self.circles.len() * CIRCLE);
        each(&self.circles, pair).await;
        eprintln!("soak: contacts are made");
        each(&self.circles, gather).await;
        eprintln!("soak: groups are made");
    }
}

/// Does something for each, a few at a time.
pub(super) async fn each<T, F: Future<Output = ()>>(
    items: impl IntoIterator<Item = T>,
    act: impl FnMut(T) -> F,
) {
    stream::iter(items).map(act).buffer_unordered(AT_ONCE).collect::<()>().await;
}

async fn register(member: &Member, relay: &str) {
    let account = CreateAccount {
        name: member.name.clone(),
        relay: relay.to_owned(),
        registration_token: None,
        keys: None,
        passphrase: None,
        timeout_ms: millis(PATIENCE),
    };
    let created = member.client.create_account(&account).await;
    let created = created.unwrap_or_else(|error| panic!("{} is not made: {error}", member.name));
    assert_eq!(created.account.connection.state, ConnectionState::Connected, "{}", member.name);
}

async fn pair(circle: &Circle) {
    let hub = circle.hub();
    for member in &circle.members[1..] {
        let invite = CreateInvite { expires_seconds: 24 * 3_600, requests: false };
        let invite = hub.client.create_invite(&hub.name, invite).await;
        let invite = invite.unwrap_or_else(|error| panic!("{} makes no invite: {error}", hub.name)).invite;
        let accept = AcceptInvite { invite, timeout_ms: millis(PATIENCE) };
        let accepted = member.client.accept(&member.name, &accept).await;
        let accepted = accepted.unwrap_or_else(|error| panic!("{} accepts nothing: {error}", member.name));
        assert_eq!(accepted.contact.name, hub.name);
        assert_eq!(accepted.contact.state, ContactState::Ready, "{}", member.name);
    }
    until(&format!("{} has its contacts", hub.name), async || {
        let contacts = hub.client.contacts(&hub.name).await?.contacts;
        Ok(contacts.iter().filter(|contact| contact.state == ContactState::Ready).count() == CIRCLE - 1)
    })
    .await;
}

async fn gather(circle: &Circle) {
    let hub = circle.hub();
    let members = circle.members[1..].iter().map(|member| member.name.clone()).collect();
    let group = CreateGroup { name: circle.group.clone(), members, timeout_ms: millis(PATIENCE) };
    let made = hub.client.create_group(&hub.name, &group).await;
    let made = made.unwrap_or_else(|error| panic!("{} makes no group: {error}", hub.name));
    assert_eq!(made.members.len(), CIRCLE, "{}", circle.group);
    for member in &circle.members {
        until(&format!("{} is in {}", member.name, circle.group), async || {
            let groups = member.client.groups(&member.name).await?.groups;
            Ok(groups.iter().any(|group| group.name == circle.group && group.standing == Standing::Member))
        })
        .await;
    }
}

/// Looks until something holds; a daemon that does not answer just then is asked again.
pub(super) async fn until(what: &str, mut condition: impl AsyncFnMut() -> Result<bool, ClientError>) {
    let attempts = PATIENCE.as_millis() / PAUSE.as_millis();
    let mut last = None;
    for _ in 0..attempts {
        match condition().await {
            Ok(true) => return,
            Ok(false) => last = None,
            Err(error) => last = Some(error),
        }
        tokio::time::sleep(PAUSE).await;
    }
    panic!("after {PATIENCE:?} still not true: {what} ({last:?})");
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
