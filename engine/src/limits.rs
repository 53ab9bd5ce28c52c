//! Every limit of the client, with its unit and its reason.

use std::time::Duration;

/// Bytes of a text message.
pub const TEXT_BYTES: usize = 16 * 1024;
/// Recipients of one send: each costs a commit's share and a ciphertext.
pub const RECIPIENTS: usize = 256;
/// Bytes of an idempotency key.
pub const IDEMPOTENCY_KEY_BYTES: usize = 128;
/// Days an idempotency key is remembered; longer than any script's retries.
pub const IDEMPOTENCY_DAYS: u32 = 7;
/// Rows waiting to leave before a send is refused; 100,000 is what a relay's mailbox holds.
pub const OUTBOX_ROWS: u64 = 100_000;
/// Rows waiting to leave before delivery receipts are left out. A peer whose relay takes nothing could otherwise fill
/// the outbox with what its messages are owed, and nothing could be sent to anyone.
pub const OUTBOX_ROWS_FOR_RECEIPTS: u64 = OUTBOX_ROWS / 2;
/// An outbox row older than this is given up: the relay's own memory of it is 30 days, the user's patience less.
pub const OUTBOX_AGE: Duration = Duration::from_secs(6 * 86_400);
/// Contacts of an account.
pub const CONTACTS: u64 = 10_000;
/// Open invites of an account.
pub const INVITES: usize = 1_000;
/// Longest validity of an invite.
pub const INVITE_VALIDITY: Duration = Duration::from_secs(30 * 86_400);
/// Open invites for requests of an account: people publish one, or one in each place. With [`REQUEST_USES`] they leave
/// half of the bundles that a relay remembers for a mailbox to other invites.
pub const REQUEST_INVITES: usize = 4;
/// Bundles that one of them is good for: a hundred a month for some months, and half of what a relay lets a token have.
pub const REQUEST_USES: u32 = 500;
/// Longest validity of one: what is printed in a README is not looked at every month.
pub const REQUEST_INVITE_VALIDITY: Duration = Duration::from_secs(365 * 86_400);
/// Requests that wait for the user's word: more than anybody reads through. What comes beyond is refused; none that the
/// user may have seen gives way to it.
pub const REQUESTS: usize = 100;
/// Handshakes that are tried under one invite for requests at once: all who may wait, after a night offline, and some ...
pub const HANDSHAKE_BURST: u32 = 128;
/// ... and the time that earns one more. Each costs milliseconds, and whoever has fetched one bundle can send any number.
pub const HANDSHAKE_PERIOD: Duration = Duration::from_secs(20);
/// Identities that are remembered as rejected. Whoever wants to can make another one, so that more would be of no use;
/// the one that would be forgotten first gives way.
pub const REJECTED: usize = 1_000;
/// How long a rejection counts: until no invite is open that was when it was made.
pub const REJECTION: Duration =
    Duration::from_secs(REQUEST_INVITE_VALIDITY.as_secs() + hermes_wire::limits::INVITE_GRACE.as_secs());
/// Messages that are held of a request.
pub const REQUEST_MESSAGES: u64 = hermes_protocol::limits::REQUEST_MESSAGES;
/// Messages of a request that are tried to be opened: each may make the ratchet skip 25,000 keys, and need not be kept.
pub const REQUEST_TRIES: u64 = 4 * REQUEST_MESSAGES;
/// Bytes of each.
pub const REQUEST_BYTES: usize = hermes_protocol::limits::REQUEST_BYTES;
/// Sessions kept for a contact beside the one in use, for messages under way. A pile of them would only hide that the two
/// sides disagree.
pub const RETIRED_SESSIONS: usize = 3;
/// After this long, a message in a retired session was not under way when it gave way: its sender still uses it.
pub const RETIRED_GRACE: Duration = Duration::from_secs(600);
/// How long a retired session opens what was under way: as long as a skipped key.
pub const RETIRED_LIFETIME: Duration = hermes_protocol::limits::SKIPPED_LIFETIME;
/// Renewals of one contact's session that this side begins in [`RENEWAL_WINDOW`], and requests of the contact's that it
/// heeds. What triggers them can be forged by a relay; each costs a one-time key of the contact's, and a handshake.
pub const RENEWALS: usize = 4;
/// Six an hour in the long run, which is how often a relay gives out a bundle for one permission.
pub const RENEWAL_WINDOW: Duration = Duration::from_secs(40 * 60);
/// Messages that one request of a contact's makes this side send again at most, the newest.
pub const RESEND_MESSAGES: usize = 10_000;
/// Of these, sealed in one step: what a commit can hold, and one contact may have in the outbox so.
pub const RESEND_STEP: usize = 256;
/// A confirmed message is said again only this long after it was written: whoever asks later is more likely a thief than
/// somebody who put back an old copy.
pub const RESEND_AGE: Duration = Duration::from_secs(7 * 86_400);
/// How far the time in an ephemeral message may be from the own clock: two clocks, and the way. A copy that is older says
/// nothing any more.
pub const EPHEMERAL_AGE: Duration = Duration::from_secs(300);
/// A contact is told at most once in this time that this account is there.
pub const PRESENCE_LEAST: Duration = Duration::from_secs(10);
/// It is told again and again only while it was itself heard within this time.
pub const PRESENCE_HEARD: Duration = Duration::from_secs(300);
/// A contact that has said it is there is believed so for this long: two beats may be lost.
pub const PRESENCE_LIFETIME: Duration = Duration::from_secs(210);
/// On connecting, contacts are told that were heard within this time. Word to all the others would show a relay mailboxes
/// that this account has not written to for long.
pub const PRESENCE_ACQUAINTED: Duration = Duration::from_secs(7 * 86_400);
/// Contacts told on connecting, those heard last: each is a stream to a relay.
pub const PRESENCE_PEERS: usize = 256;
/// Pings of a contact that are answered in [`PONG_WINDOW`]: a script that asks in a row has its answers, and a relay that
/// repeats a question gets no flood of them.
pub const PONGS: usize = 10;
/// The time that [`PONGS`] is for.
pub const PONG_WINDOW: Duration = Duration::from_secs(10);
/// When a contact was last heard is kept to this, so that not every message costs a row.
pub const SEEN_GRAIN: Duration = Duration::from_secs(60);
/// An author hears that its message was read after a time drawn between this ...
pub const READ_RECEIPT_LEAST: Duration = Duration::from_secs(3);
/// ... and this: long enough to hide how fast somebody reads, short enough to wait for.
pub const READ_RECEIPT_MOST: Duration = Duration::from_secs(15);
/// Messages whose authors are told in one turn.
pub const READ_RECEIPTS_AT_ONCE: usize = 4_096;
/// Permissions that the relay is told to refuse, at a time: half of what it takes for a mailbox.
pub const REVOCATIONS: usize = 5_000;
/// The same of one guest mailbox, whose relay confirms them or loses its say.
pub const GUEST_REVOCATIONS: usize = 500;
/// Messages held for a contact whose identity key changed, until the user decides: a busy day's worth, and with full
/// envelopes 6 MiB. What comes beyond is put on record and not kept.
pub const HELD: u64 = 100;
/// Identities that are not taken for a contact again; the oldest is forgotten first.
pub const REFUSED_IDENTITIES: usize = 16;
/// Groups of an account: each has a row for every member, several times over.
pub const GROUPS: usize = 1_000;
/// Groups into which one contact can put this account: it is not asked, and a group that it has left still counts.
pub const GROUPS_BY_CONTACT: usize = 100;
/// Members of a group.
pub const GROUP_MEMBERS: usize = hermes_protocol::limits::GROUP_MEMBERS;
/// Changes in one commit: what a relay takes in one frame, with the change of the context beside.
pub const GROUP_CHANGES: usize = 60;
/// Rows of one kind that a group has at most: chains, members, skipped keys. A scan past it would be a damaged store.
pub const GROUP_ROWS: usize = 16_384;
/// People whom one note of a change names: each has a name of up to 256 bytes, and a row ends at 128 KiB.
pub const GROUP_NOTE_NAMES: usize = 256;
/// Members of a group in which deliveries are confirmed: each message costs its sender's mailbox as many envelopes.
pub const GROUP_RECEIPTS: usize = 100;
/// Between two updates of leaves in a group, and for each place in the order of those who are to update. An update of a
/// tree of 1,000 that was never updated is near a megabyte for each member.
pub const UPDATE_TURN: Duration = Duration::from_secs(3_600);
/// A leaf's keys are replaced at this age, or at as many hours as there are members, whichever is longer.
pub const LEAF_AGE: Duration = Duration::from_secs(7 * 86_400);
/// A text that is to be deleted stays at most this long.
pub const TTL: Duration = Duration::from_secs(365 * 86_400);
/// Edits of one message: each keeps a text with its author, who may have to say it again.
pub const EDITS: usize = 50;
/// Rows of reactions to one message: one for each member of the largest group.
pub const REACTIONS: u32 = 1_000;
/// Words of one author about messages of a chat that are not here: more than a connection brings out of order. Others are
/// for messages that will never come, such as those from before this account was a member.
pub const EARLY_MARKS: u32 = 1_000;
/// How long they wait: as long as a message can be under way.
pub const EARLY_LIFETIME: Duration = hermes_protocol::limits::SKIPPED_LIFETIME;
/// Characters of a message that are quoted where it is answered.
pub const QUOTE_CHARS: usize = 80;
/// Different reactions to one message that are shown, the most frequent; and names beside each.
pub const REACTIONS_SHOWN: usize = 10;
/// Names of people shown beside one reaction.
pub const REACTION_NAMES: usize = 5;
/// Rows that one search reads before it answers with what it has: a tenth of a second's work or two.
pub const SEARCH_ROWS: u64 = 100_000;
/// Bytes of what is looked for.
pub const SEARCH_TEXT_BYTES: usize = 1_024;
/// Rows of the outbox that are listed.
pub const WAITING_ROWS: usize = 1_000;
/// Messages of a forgotten group or a removed contact that are deleted in one turn: what a commit can hold.
pub const FORGET_AT_ONCE: usize = 1_000;
/// Messages deleted in one turn.
pub const EXPIRIES_AT_ONCE: usize = 256;
/// Key packages that a contact has of ours: one for the next group, and one for the group after it while we are away.
pub const KEY_PACKAGES_GIVEN: usize = 2;
/// Key packages that are kept of a contact, the newest: those for the next groups, and those of its askings to be added
/// again to groups that it has lost its place in, until the commit has won.
pub const KEY_PACKAGES_KEPT: usize = 16;
/// A member that has lost its place asks each admin once in a round of this length: who is online answers at once, and
/// who is not finds the asking when it comes.
pub const REJOIN_ROUND: Duration = Duration::from_secs(86_400);
/// Admins that are asked in one step, each with a key package drawn for it; the others follow in the next.
pub const REJOIN_ADMINS: usize = 32;
/// A member's asking is heeded once in this time, for each group: a commit costs every member a step.
pub const REJOIN_HEEDED: Duration = Duration::from_secs(3_600);
/// A mailbox that is seen to be empty so long after the relay refused a post had no commit to bring: twice what the two
/// clocks may differ by, so that what was taken from it last was put there after the refusal.
pub const OVERTAKEN: Duration = Duration::from_secs(2 * 86_400);
/// Mailboxes at other relays than the account's, each with a connection of its own.
pub const GUESTS: usize = 8;
/// Of these, made because one contact asked: the others have to find room as well.
pub const GUESTS_BY_CONTACT: usize = 4;
/// Addresses under which contacts name a guest mailbox's relay, besides the one that led to it: one of each contact.
pub const GUEST_ADDRESSES: usize = 8;
/// Askings of one contact that wait until such a mailbox is there, the newest.
pub const GUEST_ASKS_OF_CONTACT: usize = 4;
/// Askings of all contacts that wait for one mailbox; who is not noted asks again.
pub const GUEST_ASKS: usize = 256;
/// Envelopes on their way to a contact with which no further asking of its is answered: each answer is a key package.
pub const GUEST_ANSWERS: usize = 256;
/// Places in guest mailboxes that one contact is given in [`GUEST_PLACES_IN`]; the same asking again counts once. Each
/// leaves a permission behind that lasts.
pub const GUEST_PLACES: usize = 12;
/// Over how long those are counted.
pub const GUEST_PLACES_IN: Duration = Duration::from_secs(86_400);
/// Frames of no use from a guest mailbox's relay in [`GUEST_STRAYS_IN`], after which it is left alone for a while. An
/// honest relay brings what was under way when a place was given up, and once more what it did not hear was taken.
pub const GUEST_STRAYS: u32 = 1_000;
/// Over how long those are counted.
pub const GUEST_STRAYS_IN: Duration = Duration::from_secs(3_600);
/// A guest mailbox is given up this long after the last group there has ended: whoever was removed by mistake is added
/// again without another registration.
pub const GUEST_IDLE: Duration = Duration::from_secs(7 * 86_400);
/// It is kept this long after a key package that names it was given, or asked for: as long as a prekey that was replaced.
pub const GUEST_OFFERED: Duration = PREKEY_RETENTION;
/// When a group was last in it is kept to this.
pub const GUEST_USE_GRAIN: Duration = Duration::from_secs(86_400);
/// A contact that is to have a mailbox at a group's relay, and has not answered, is asked again after this time.
pub const PLACE_ASKED_AGAIN: Duration = Duration::from_secs(86_400);
/// A place that it gave is used this long after the asking, at most: it may take it back after [`GUEST_OFFERED`], and what
/// tells it that the place is used may wait in its mailbox for 30 days.
pub const PLACE_STANDS: Duration = Duration::from_secs(9 * 86_400);
/// Welcomes that are waited for.
pub const INVITATIONS: usize = 100;
/// How long each is: no relay keeps a blob longer.
pub const INVITATION_KEPT: Duration = Duration::from_secs(32 * 86_400);
/// Copies kept for a group that was not joined yet, or waits for a commit's blob: a busy day's worth.
pub const EARLY_COPIES: u32 = 1_000;
/// Bytes of those of one group: as many of 4 KiB. Each may have 16.5 KiB, and who has a card can have it filled.
pub const EARLY_BYTES_OF_CARD: u64 = 4 * 1024 * 1024;
/// Bytes of those of one guest mailbox: two groups that are full of them.
pub const EARLY_BYTES_OF_GUEST: u64 = 8 * 1024 * 1024;
/// Bytes of all those of the account's own mailbox. With the guest mailboxes, whose relays contacts choose, it is 128 MiB.
pub const EARLY_BYTES: u64 = 64 * 1024 * 1024;
/// Pieces of one blob.
pub const BLOB_PARTS: usize = 128;
/// How long the epoch in which a group was frozen is kept after it went on, with the keys of its tree: another admin may
/// have made another channel meanwhile, and all have to agree on one.
pub const REBUILD_MEMORY: Duration = Duration::from_secs(7 * 86_400);
/// Blobs that are asked for within that time because they are said to hold such another way on. Whoever was put out can
/// say so falsely, and copies wait for each.
pub const REBUILDS_TRIED: u32 = 4;
/// Unreadable envelopes kept on record.
pub const UNREADABLE: u64 = 1_000;
/// Gaps of a chat that are told apart, in rows; of what is missing beyond, the count is kept. A peer can make one with
/// every message; a relay that loses a hundred thousand in a row makes one.
pub const GAPS: u64 = 1_000;
/// Numbers that a message may be ahead of the one before it, in messages: ten times what a relay's mailbox holds. A
/// number further ahead is not believed, and what it would make missing is not counted.
pub const NUMBER_JUMP: u64 = 1_000_000;
/// One-time prekeys of each kind that a relay should hold.
pub const ONE_TIME_PREKEYS: u32 = 100;
/// They are refilled when fewer than this are left.
pub const ONE_TIME_PREKEYS_LOW: u32 = 25;
/// Secrets of a kind that are kept at once. A relay that claims again and again to have none left is not believed.
pub const PREKEY_SECRETS: usize = 1_000;
/// Secrets of a kind that are kept at once with those that were given out and may yet be used.
pub const PREKEY_SECRETS_ALL: usize = 5_000;
/// Published expiry of a prekey.
pub const PREKEY_VALIDITY: Duration = Duration::from_secs(180 * 86_400);
/// Signed and last-resort prekeys are replaced this often.
pub const PREKEY_ROTATION: Duration = Duration::from_secs(2 * 86_400);
/// A replaced secret lives this long: what was sealed for it may be deposited for 6 days and wait at a relay for 30.
pub const PREKEY_RETENTION: Duration = Duration::from_secs(40 * 86_400);
/// Time is trusted for deletion when the relay's clock differs by no more.
pub const CLOCK_DIFFERENCE: Duration = Duration::from_secs(86_400);
/// Former epochs of a store that are remembered, to tell a relay that was restored from a store that was.
pub const PAST_EPOCHS: usize = 8;
/// Rows that one sweep looks at; what is beyond is swept later, when these are gone.
pub const SWEEP_ROWS: usize = 100_000;
/// Events kept in the log, the newest: a week of a busy bot, and some 10 MB.
pub const EVENTS: u64 = 50_000;
/// An event is kept this long: as long as a relay keeps an envelope, so that a program may be away as long as its user.
pub const EVENT_AGE: Duration = Duration::from_secs(30 * 86_400);
/// Events past their age that are dropped in one turn; the rest goes in the next.
pub const EVENTS_DROPPED_AT_ONCE: usize = 10_000;
/// Programs that read the event log under a name: each is a row, and nobody remembers more by name.
pub const CONSUMERS: usize = 64;
/// Bytes of a consumer's name: room for a unit's name and a host's.
pub const CONSUMER_NAME_BYTES: usize = 64;
/// Rows that one query returns at most.
pub const QUERY_ROWS: usize = 10_000;
/// Bytes of a row's key in a backup: the longest has two ids and a number.
pub const BACKUP_KEY_BYTES: usize = 256;
/// Bytes of a row's value in a backup: twice the largest record.
pub const BACKUP_ROW_BYTES: usize = 256 * 1024;
/// KiB that Argon2 may take because a file says so: four times what we write.
pub const ARGON2_MEMORY_KIB: u32 = 256 * 1024;
/// Passes over that memory.
pub const ARGON2_PASSES: u32 = 16;
/// Lanes of that memory.
pub const ARGON2_LANES: u32 = 16;
