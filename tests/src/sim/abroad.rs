//! Mailboxes at another relay than the own one, in the simulated network.

use std::collections::{BTreeSet, VecDeque};

use hermes_engine::{GuestEvent, GuestId, query};
use hermes_wire::{
    BlobId, RelayAddress, RelayPin, RunId, Sequence,
    blob::PutBlob,
    limits::{CREDIT_BYTES, CREDIT_ENVELOPES},
    mailbox::{Credit, Deliver, Register, ToClient, ToRelay},
};
use serde_bytes::ByteBuf;

use super::{
    relay::{Attached, SimRelay},
    store::MemoryStore,
    world::World,
};

/// Where most clients have their mailboxes.
pub fn near() -> RelayAddress {
    RelayAddress::new("relay.test", 4433, RelayPin([0; 32])).expect("a valid address")
}

/// Where others have them.
pub fn far() -> RelayAddress {
    RelayAddress::new("far.test", 4433, RelayPin([1; 32])).expect("a valid address")
}

/// The connection to a mailbox at another relay, as the client sees it.
#[derive(Default)]
pub struct GuestLink {
    pub to_relay: VecDeque<ToRelay>,
    pub to_client: VecDeque<GuestEvent>,
    attached: Attached,
    token: Option<String>,
    relay: Option<RelayAddress>,
    uploading: BTreeSet<BlobId>,
}

impl GuestLink {
    fn open(store: &MemoryStore, guest: GuestId) -> Self {
        let settings = query::guest_mailbox(store, guest).expect("memory").expect("a guest mailbox");
        let register = Register {
            version: hermes_wire::VERSION,
            instance: settings.instance,
            run: RunId([0; 16]),
            registration_token: settings.registration_token.clone(),
            drop_key: settings.drop_key,
        };
        let to_relay = VecDeque::from([ToRelay::Register(register)]);
        Self { to_relay, token: settings.registration_token, relay: Some(settings.relay), ..Self::default() }
    }

    /// Everything up to there is committed.
    pub fn acknowledge(&mut self, through: Sequence) {
        self.to_relay.push_back(ToRelay::Ack(through));
        self.to_relay.push_back(full_credit());
    }

    fn take(&mut self, store: &MemoryStore, frame: ToClient) {
        let event = match frame {
            ToClient::Registered(registered) => {
                self.to_relay.push_back(full_credit());
                GuestEvent::Registered {
                    relay: self.relay.clone().expect("an open link"),
                    relay_time: registered.relay_time,
                    head: registered.head,
                }
            }
            ToClient::Refused(refusal) => GuestEvent::Refused(refusal, self.token.clone()),
            ToClient::Revoked(contact) => GuestEvent::Revoked(contact),
            ToClient::BlobRefused(blob, refusal) => GuestEvent::BlobRefused(blob, refusal),
            ToClient::BlobStored(blob, upto) => {
                match query::upload_part(store, blob, upto).expect("memory") {
                    Some(bytes) => return self.put(store, blob, upto, bytes),
                    None => GuestEvent::BlobStored(blob),
                }
            }
            _ => return,
        };
        self.to_client.push_back(event);
    }

    fn put(&mut self, store: &MemoryStore, blob: BlobId, offset: u32, bytes: Vec<u8>) {
        let parts = (0..).scan(0_u32, |at, _: u32| {
            let part = query::upload_part(store, blob, *at).expect("memory")?;
            *at += u32::try_from(part.len()).expect("a part's size");
            Some(*at)
        });
        let total = parts.last().unwrap_or_default();
        self.to_relay.push_back(ToRelay::PutBlob(PutBlob {
            blob,
            total,
            offset,
            bytes: ByteBuf::from(bytes),
        }));
    }

    /// Whether nothing is under way.
    pub fn is_empty(&self) -> bool {
        self.to_relay.is_empty() && self.to_client.is_empty()
    }
}

fn full_credit() -> ToRelay {
    ToRelay::Credit(Credit { envelopes: CREDIT_ENVELOPES, bytes: CREDIT_BYTES })
}

impl World {
    /// The relay at an address.
    pub(super) fn relay_at(&mut self, address: &RelayAddress) -> &mut SimRelay {
        if *address == far() { &mut self.far } else { &mut self.relay }
    }

    /// Carries what there is between a client's mailboxes at other relays and those relays.
    pub(super) fn serve_guests(&mut self, number: usize) {
        let now = self.now;
        let guests = query::guests(&self.clients[number].store).expect("memory");
        self.clients[number].guests.retain(|guest, _| guests.iter().any(|view| view.guest == *guest));
        for view in guests {
            let store = self.clients[number].store.clone();
            let mailbox =
                query::guest_mailbox(&store, view.guest).expect("memory").expect("a guest mailbox").mailbox;
            let mut link = self.clients[number]
                .guests
                .remove(&view.guest)
                .unwrap_or_else(|| GuestLink::open(&store, view.guest));
            if view.registered {
                for (contact, until) in query::revocations_at(&store, Some(view.guest)).expect("memory") {
                    link.to_relay.push_back(ToRelay::Revoke(contact, until));
                }
                for upload in query::uploads_over(&store, Some(view.guest)).expect("memory") {
                    if link.uploading.insert(upload.blob) {
                        let first = query::upload_part(&store, upload.blob, 0).expect("memory");
                        link.put(&store, upload.blob, 0, first.expect("the first piece"));
                    }
                }
            }
            let relay = self.relay_at(&view.relay);
            while let Some(frame) = link.to_relay.pop_front() {
                for answer in relay.control(mailbox, &mut link.attached, frame, now) {
                    link.take(&store, answer);
                }
            }
            for frame in relay.deliver(mailbox, &mut link.attached) {
                link.to_client.push_back(match frame {
                    Deliver::Envelope(delivered) => GuestEvent::Delivered(delivered),
                    Deliver::Gone(first, last) => GuestEvent::Gone(first, last),
                    Deliver::Ephemeral(_) => panic!("a guest mailbox lets nobody in who is heard only now"),
                });
            }
            self.clients[number].guests.insert(view.guest, link);
        }
    }
}
