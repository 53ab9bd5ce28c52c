//! A relay on loopback.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use hermes_link::credential::RelayIdentity;
use hermes_relay::{
    Limits, Policy, Registration, clock,
    serve::{Options, Server},
    store::fjall::FjallStore,
    tokens::TokenDirectory,
};
use hermes_wire::{
    RelayAddress,
    mailbox::{ToClient, ToRelay},
    prekey::PrekeyId,
};

use super::{
    DAY, Owner,
    client::{Drop, Mailbox, owner},
    prekeys,
};

/// A relay that can be stopped and started again.
pub struct World {
    pub directory: tempfile::TempDir,
    pub identity: RelayIdentity,
    pub policy: Policy,
    server: Option<Server>,
    pub address: RelayAddress,
}

impl World {
    pub fn new(policy: Policy) -> Self {
        let identity = RelayIdentity::generate().unwrap();
        let address = RelayAddress::new("127.0.0.1", 1, identity.pin()).unwrap();
        let directory = tempfile::tempdir().unwrap();
        let mut world = Self { directory, identity, policy, server: None, address };
        world.start();
        world
    }

    pub fn open() -> Self {
        Self::new(Policy { registration: Registration::Open, limits: Limits::default() })
    }

    pub fn start(&mut self) {
        let options = Options {
            listen: SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0),
            connections: 100,
            policy: self.policy.clone(),
            tokens: self.tokens(),
        };
        let store = FjallStore::open(&self.directory.path().join("store")).unwrap();
        let server = Server::start(&self.identity, store, options).unwrap();
        let port = server.local_addr().unwrap().port();
        self.address = RelayAddress::new("127.0.0.1", port, self.identity.pin()).unwrap();
        self.server = Some(server);
    }

    pub async fn stop(&mut self) {
        self.server.take().unwrap().stop().await.unwrap();
    }

    pub fn tokens(&self) -> TokenDirectory {
        TokenDirectory::open(&self.directory.path().join("tokens")).unwrap()
    }

    /// Bob, registered and with prekeys.
    pub async fn bob(&self) -> (Owner, Mailbox) {
        let (bob, credential) = owner(1);
        let mut mailbox = Mailbox::connect(&self.address, &credential, bob.register(None)).await;
        let entries = prekeys().into_iter().map(|mut entry| {
            entry.expiry = clock::now().after(std::time::Duration::from_millis(DAY));
            entry
        });
        let stored = mailbox.ask(ToRelay::PutPrekeys(entries.collect())).await;
        assert_eq!(stored, ToClient::PrekeysStored(PrekeyId(6)));
        (bob, mailbox)
    }

    pub async fn drop_to(&self, bob: &Owner, contact: u8) -> Drop {
        let mut token = bob.token(contact);
        token.expiry = clock::now().after(std::time::Duration::from_millis(DAY));
        Drop::connect(&self.address, bob.open(&token)).await.unwrap()
    }
}
