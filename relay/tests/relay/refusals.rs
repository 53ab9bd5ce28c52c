//! What clients hear of a relay that is about to end.

use std::process::{Command, Stdio};

use hermes_wire::{
    Refusal, Timestamp,
    drop::{FromDrop, ToDrop},
    mailbox::ToClient,
    token::DropToken,
};

use crate::common::{
    client::{Drop, Mailbox, owner},
    deposit,
    program::{Running, hermes_relay},
    world::World,
};

/// Deposits without end, and returns the first refusal; `None` if the stream ends without one.
async fn first_refusal(
    alice: Drop,
    before: u32,
    body: usize,
    begun: impl FnOnce(),
) -> (u32, Option<Refusal>) {
    let Drop { mut requests, mut answers, connection, .. } = alice;
    let writing = tokio::spawn(async move {
        for number in before + 1.. {
            let request = ToDrop::Deposit(deposit(number, &vec![0; body]));
            if requests.send(&request).await.is_err() {
                return;
            }
        }
    });
    let (mut receipts, mut begun) = (0, Some(begun));
    let refusal = loop {
        match answers.next().await {
            Ok(Some(FromDrop::Receipt(_))) => {
                receipts += 1;
                if let Some(begun) = begun.take() {
                    begun();
                }
            }
            Ok(Some(FromDrop::DepositRefused(_, refusal))) => break Some(refusal),
            Ok(Some(other)) => panic!("{other:?}"),
            Ok(None) | Err(_) => break None,
        }
    };
    writing.abort();
    drop(connection);
    (receipts, refusal)
}

/// A stream on which nothing is under way ends without a word, so that it takes a few attempts to be in the middle of something.
#[tokio::test(flavor = "multi_thread")]
async fn who_deposits_while_the_relay_stops_is_told_to_come_back_and_nothing_is_taken_without_a_receipt() {
    let mut world = World::open();
    let (bob, credential) = owner(1);
    let mut stored = 0;
    for attempt in 0..50 {
        let mut mailbox = Mailbox::connect(&world.address, &credential, bob.register(None)).await;
        // What was refused was not stored, and what was not is.
        assert_eq!(mailbox.registered.head.0, stored);
        let alice = world.drop_to(&bob, 1).await;
        let (begun, stop) = tokio::sync::oneshot::channel();
        let depositing = first_refusal(alice, attempt * 1_000_000, 1_000, || begun.send(()).unwrap());
        let depositing = tokio::spawn(depositing);
        stop.await.unwrap();
        let (said, ()) = tokio::join!(async { mailbox.answers.next().await.unwrap() }, world.stop());
        assert!(matches!(said, Some(ToClient::GoAway(_))), "{said:?}");
        let (receipts, refusal) = depositing.await.unwrap();
        stored += u64::from(receipts);
        match refusal {
            Some(Refusal::Draining { .. }) => return,
            None => world.start(),
            Some(other) => panic!("{other:?} after {receipts}"),
        }
    }
    panic!("the relay never says that it stops");
}

/// A limit of the process stands for a full disk: writes fail, and nothing is asked of the system that runs the test.
#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn who_deposits_when_the_disk_is_full_is_told_to_come_back_and_the_relay_ends() {
    let directory = tempfile::tempdir().unwrap();
    let relay =
        hermes_relay(directory.path(), &["--json", "--registration", "open", "--listen", "127.0.0.1:0"]);
    let mut limited = Command::new("sh");
    // The signal that would kill it is ignored here, and so in the relay.
    limited.args(["-c", "trap '' XFSZ; exec \"$0\" \"$@\""]);
    limited.arg(relay.get_program()).args(relay.get_args()).stdin(Stdio::null());
    let mut relay = Running::with(limited);
    let (bob, credential) = owner(1);
    let _mailbox = Mailbox::connect(&relay.address(), &credential, bob.register(None)).await;
    let token = DropToken { expiry: Timestamp(u64::MAX), ..bob.token(1) };
    let alice = Drop::connect(&relay.address(), bob.open(&token)).await.unwrap();
    let (receipts, refusal) = first_refusal(alice, 0, 8_000, || relay.limit_files()).await;
    assert!(matches!(refusal, Some(Refusal::StoreUnavailable { .. })), "{refusal:?} after {receipts}");
    assert_eq!(relay.wait().code(), Some(1));
    // What has a receipt is there.
    let relay = Running::start(directory.path(), "127.0.0.1:0");
    let mailbox = Mailbox::connect(&relay.address(), &credential, bob.register(None)).await;
    assert!(mailbox.registered.head.0 >= u64::from(receipts));
}
