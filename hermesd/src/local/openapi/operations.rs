//! Every operation, what it takes and what it gives.

use hermes_api::{
    AcceptInvite, AcceptRequest, AcceptedInvite, AckEvents, AddMembers, Audit, AuditQuery, BackUp,
    ChangeKeys, ChangeMembers, ChatSettings, Chats, CloseRequests, ClosedRequests, ConfigInForce,
    ConsumerState, Consumers, ContactDetails, Contacts, CreateAccount, CreateGroup, CreateInvite,
    CreatedAccount, CreatedInvite, DaemonStatus, Diagnosis, Dnd, EditMessage, EventFrame, EventQuery,
    ForgetConsumer, Forgotten, GroupDetails, Groups, InboxQuery, KeysChanged, LeaveGroup, LogQuery,
    MessageChanged, MessageDetails, MessagePage, MuteChat, Outbox, OutboxQuery, Peers, PingContact, Pong,
    Profile, React, ReadMessages, ReadReceipt, RebuildGroup, Recover, Recovered, RejectedRequest,
    RemoveAccount, RemoveContact, RemovedAccount, RemovedContact, RenameContact, RenameGroup, Requests,
    SearchPage, SearchQuery, SendMessage, SentMessages, SetDnd, SetKeyPolicy, SetProfile, SetRole, SetTtl,
    Shutdown, Unlock, VerifyContact, WaitQuery, routes,
};
use serde_json::Value;

use super::document::{At, Document};

pub(super) fn describe() -> Value {
    let mut document = Document::new();
    daemon(&mut document);
    contacts(&mut document);
    chats(&mut document);
    groups(&mut document);
    messages(&mut document);
    events(&mut document);
    document.finish()
}

fn at(path: &'static str, id: &'static str, summary: &'static str) -> At {
    At { path, id, summary }
}

fn daemon(d: &mut Document) {
    d.get::<DaemonStatus>(at(routes::STATUS, "status", "How the daemon and its accounts are doing."));
    d.get::<Diagnosis>(at(routes::DIAGNOSIS, "diagnosis", "What may be wrong with it."));
    d.get::<ConfigInForce>(at(routes::CONFIG, "config", "The configuration that it goes by."));
    d.act::<ConfigInForce>(at(routes::CONFIG_RELOAD, "reloadConfig", "Reads the configuration again."));
    d.any(at(routes::OPENAPI, "openapi", "This document."));
    d.post::<CreateAccount, CreatedAccount>(at(routes::ACCOUNTS, "createAccount", "Makes an account."));
    d.post::<RemoveAccount, RemovedAccount>(at(
        routes::REMOVE_ACCOUNT,
        "removeAccount",
        "Removes an account and all it has.",
    ));
    d.post::<Recover, Recovered>(at(
        routes::RECOVER,
        "recover",
        "Goes on with this copy of an account's store, where another was at work.",
    ));
    d.act::<KeysChanged>(at(routes::LOCK, "lock", "Erases an account's keys from memory."));
    d.post::<Unlock, KeysChanged>(at(routes::UNLOCK, "unlock", "Opens an account that is locked."));
    d.post::<ChangeKeys, KeysChanged>(at(routes::KEYS, "changeKeys", "Keeps its keys in another way."));
    d.give_file::<BackUp>(at(
        routes::BACKUP,
        "backUp",
        "Gives a line of JSON (BackupHead), then the backup.",
    ));
    d.take_file::<CreatedAccount>(at(
        routes::RESTORE,
        "restore",
        "Takes a line of JSON (RestoreAccount), then a backup.",
    ));
    d.act::<Shutdown>(at(routes::SHUTDOWN, "shutdown", "Ends the daemon, after the reply."));
}

fn contacts(d: &mut Document) {
    d.get::<Profile>(at(routes::PROFILE, "profile", "What the account calls itself."));
    d.post::<SetProfile, Profile>(at(routes::PROFILE, "setProfile", "Has it call itself otherwise."));
    d.post::<CreateInvite, CreatedInvite>(at(routes::INVITES, "createInvite", "Makes an invite, a secret."));
    d.post::<AcceptInvite, AcceptedInvite>(at(routes::ACCEPT, "acceptInvite", "Pairs by an invite."));
    d.get::<Requests>(at(routes::REQUESTS, "requests", "Lists who asks to be a contact."));
    d.post::<CloseRequests, ClosedRequests>(at(
        routes::REQUESTS_CLOSE,
        "closeRequests",
        "Withdraws invites for requests.",
    ));
    d.post::<AcceptRequest, ContactDetails>(at(
        routes::REQUEST_ACCEPT,
        "acceptRequest",
        "Makes one who asks a contact.",
    ));
    d.act::<RejectedRequest>(at(routes::REQUEST_REJECT, "rejectRequest", "Forgets one who asks."));
    d.get::<Contacts>(at(routes::CONTACTS, "contacts", "Lists the contacts."));
    d.get::<Peers>(at(routes::PEERS, "peers", "Who is there, and how the sessions are."));
    d.post::<PingContact, Pong>(at(routes::PING, "ping", "Asks a contact's daemon for a sign of life."));
    d.get::<ContactDetails>(at(routes::CONTACT, "contact", "One contact in full."));
    d.post::<VerifyContact, ContactDetails>(at(
        routes::VERIFY,
        "verifyContact",
        "Marks a contact verified if the safety number is the one that belongs to it.",
    ));
    d.act::<ContactDetails>(at(routes::UNVERIFY, "unverifyContact", "Takes back that it is verified."));
    d.act::<ContactDetails>(at(routes::ACCEPT_KEY, "acceptKey", "Takes the identity key that waits."));
    d.act::<ContactDetails>(at(routes::REFUSE_KEY, "refuseKey", "Refuses the identity key that waits."));
    d.act::<ContactDetails>(at(routes::BLOCK, "blockContact", "Takes nothing of a contact any more."));
    d.act::<ContactDetails>(at(routes::UNBLOCK, "unblockContact", "Lets it in again."));
    d.post::<RemoveContact, RemovedContact>(at(
        routes::REMOVE,
        "removeContact",
        "Ends all that there is with it.",
    ));
    d.post::<RenameContact, ContactDetails>(at(routes::RENAME, "renameContact", "Gives it another name."));
    d.post::<SetKeyPolicy, ContactDetails>(at(
        routes::KEY_POLICY,
        "setKeyPolicy",
        "Says what happens when its identity key changes.",
    ));
}

fn chats(d: &mut Document) {
    d.get::<Chats>(at(routes::CHATS, "chats", "Lists the chats, with what is unread in each."));
    d.get::<ChatSettings>(at(routes::CHAT, "chat", "What is settled for a chat."));
    d.act::<ChatSettings>(at(routes::ARCHIVE, "archiveChat", "Puts a chat out of sight."));
    d.act::<ChatSettings>(at(routes::UNARCHIVE, "unarchiveChat", "Takes it back."));
    d.post::<SetDnd, Dnd>(at(routes::DND, "setDnd", "Has the account not disturb, or disturb again."));
    d.post::<MuteChat, ChatSettings>(at(routes::MUTE, "muteChat", "Has a chat be quiet, or not."));
    d.post::<SetTtl, ChatSettings>(at(routes::TTL, "setTtl", "Has its texts be deleted after a time."));
}

fn groups(d: &mut Document) {
    d.get::<Groups>(at(routes::GROUPS, "groups", "Lists the groups."));
    d.post::<CreateGroup, GroupDetails>(at(routes::GROUPS, "createGroup", "Makes a group."));
    d.get::<GroupDetails>(at(routes::GROUP, "group", "One group in full."));
    d.post::<AddMembers, GroupDetails>(at(routes::GROUP_ADD, "addMembers", "Adds contacts."));
    d.post::<ChangeMembers, GroupDetails>(at(routes::GROUP_REMOVE, "removeMembers", "Removes members."));
    d.post::<RenameGroup, GroupDetails>(at(routes::GROUP_RENAME, "renameGroup", "Gives it another name."));
    d.post::<SetRole, GroupDetails>(at(routes::GROUP_ROLE, "setRole", "Makes an admin, or none any more."));
    d.post::<LeaveGroup, GroupDetails>(at(routes::GROUP_LEAVE, "leaveGroup", "Leaves it."));
    d.act::<Forgotten>(at(routes::GROUP_FORGET, "forgetGroup", "Forgets a group that was left."));
    d.post::<RebuildGroup, GroupDetails>(at(
        routes::GROUP_REBUILD,
        "rebuildGroup",
        "Goes on without the member that has stopped it.",
    ));
}

fn messages(d: &mut Document) {
    d.post_with::<WaitQuery, SendMessage, SentMessages>(at(
        routes::MESSAGES,
        "send",
        "Sends a text to contacts and groups, each with a result of its own.",
    ));
    d.find::<WaitQuery, MessageDetails>(at(
        routes::MESSAGE,
        "message",
        "One message in full, by its reference or its id; waits until it has come further, if asked to.",
    ));
    d.post::<React, MessageChanged>(at(routes::REACT, "react", "Puts an emoji under a message."));
    d.post::<EditMessage, MessageChanged>(at(routes::EDIT, "edit", "Has an own message say something else."));
    d.act::<MessageChanged>(at(routes::UNSEND, "unsend", "Withdraws an own message."));
    d.act::<MessageChanged>(at(routes::CANCEL, "cancel", "Keeps an own message from leaving."));
    d.find::<SearchQuery, SearchPage>(at(routes::SEARCH, "search", "Finds messages by their words."));
    d.find::<OutboxQuery, Outbox>(at(routes::OUTBOX, "outbox", "Lists what waits to leave."));
    d.act::<Outbox>(at(routes::OUTBOX_RETRY, "retryOutbox", "Tries every connection at once."));
    d.find::<InboxQuery, MessagePage>(at(routes::INBOX, "inbox", "Lists unread messages. Marks nothing."));
    d.post::<ReadMessages, ReadReceipt>(at(routes::READ, "markRead", "Marks messages read."));
    d.find::<LogQuery, MessagePage>(at(routes::LOG, "log", "Lists the messages of a chat, both ways."));
    d.find::<AuditQuery, Audit>(at(routes::AUDIT, "audit", "Says what is missing."));
}

fn events(d: &mut Document) {
    d.listen::<EventQuery, EventFrame>(at(routes::EVENTS, "events", "What happens, as it happens."));
    d.post::<AckEvents, ConsumerState>(at(
        routes::EVENTS_ACK,
        "ackEvents",
        "Says that a consumer has done with every event up to one.",
    ));
    d.get::<Consumers>(at(routes::CONSUMERS, "consumers", "Lists who listens under a name, and how far."));
    d.post::<ForgetConsumer, ConsumerState>(at(
        routes::FORGET_CONSUMER,
        "forgetConsumer",
        "Says that a consumer will not come back.",
    ));
}
