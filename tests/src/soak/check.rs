//! What must be true when everybody has fallen silent.

use std::{
    collections::BTreeMap,
    fs, io,
    path::Path,
    sync::atomic::{AtomicU64, Ordering},
};

use hermes_api::{Body, ClientError, Direction, Message, Standing};
use memchr::memmem;
use tokio::runtime::Runtime;

use super::{
    crowd::{Circle, Crowd, Member, each, until},
    traffic::{CANARY, Ledger, Stream, text},
};
use crate::world::account::history;

/// Waits until all queues are empty, and compares every log with the ledger. Says how many texts arrived.
pub(super) fn everything(runtime: &Runtime, crowd: &Crowd, ledger: &Ledger) -> u64 {
    let arrived = AtomicU64::new(0);
    runtime.block_on(async {
        queues_empty(crowd).await;
        each(crowd.circles.iter().enumerate(), async |(number, circle)| {
            let said = ledger.of(number);
            arrived.fetch_add(agree(number, circle, &said).await, Ordering::Relaxed);
        })
        .await;
    });
    nothing_readable(&crowd.directory());
    arrived.into_inner()
}

async fn queues_empty(crowd: &Crowd) {
    for home in &crowd.homes {
        until("nothing waits, and nobody stands apart", async || {
            let accounts = home.client().status().await?.accounts;
            for account in &accounts {
                assert_eq!(account.unreadable, 0, "{}: {:?}", account.name, account.last_unreadable);
                assert_eq!(account.renewals, 0, "{}: {:?}", account.name, account.last_renewal);
            }
            Ok(accounts
                .iter()
                .all(|account| account.outbox == 0 && account.missing == 0 && account.caught_up))
        })
        .await;
    }
}

/// Everyone has what was said to them, and is at the same change of the group. Says how many texts arrived.
async fn agree(number: usize, circle: &Circle, said: &BTreeMap<Stream, u64>) -> u64 {
    let mut arrived = 0;
    for (at, member) in circle.members.iter().enumerate() {
        let others: Vec<_> = if at == 0 { (1..circle.members.len()).collect() } else { vec![0] };
        for other in others {
            let streams = [Stream::Pair { from: at, to: other }, Stream::Pair { from: other, to: at }];
            arrived += compare(number, member, &circle.members[other].name, &streams, said).await;
        }
        let streams: Vec<_> = (0..circle.members.len()).map(|from| Stream::Group { from }).collect();
        arrived += compare(number, member, &circle.group, &streams, said).await;
    }
    let hub = circle.hub();
    let epoch = async |member: &Member| -> Result<_, ClientError> {
        let group = member.client.group(&member.name, &circle.group).await?.group;
        Ok((group.standing, group.epoch))
    };
    for member in &circle.members {
        until(&format!("{} is where {} is", member.name, hub.name), async || {
            let (standing, at) = epoch(member).await?;
            Ok(standing == Standing::Member && (standing, at) == epoch(hub).await?)
        })
        .await;
    }
    arrived
}

/// That a chat has these streams, each whole, in its order, once; and no other text.
async fn compare(
    number: usize,
    member: &Member,
    chat: &str,
    streams: &[Stream],
    said: &BTreeMap<Stream, u64>,
) -> u64 {
    let expected = |stream: &Stream| said.get(stream).copied().unwrap_or(0);
    let total: u64 = streams.iter().map(expected).sum();
    let mut log = Vec::new();
    until(&format!("{} has {total} texts of {chat}", member.name), async || {
        log = texts(member, chat).await?;
        assert!(log.len() as u64 <= total, "{} has more of {chat} than was said: {log:?}", member.name);
        Ok(log.len() as u64 == total)
    })
    .await;
    let mut heard: BTreeMap<&Stream, u64> = BTreeMap::new();
    for (_, line) in &log {
        let stream = streams.iter().find(|stream| {
            let next = heard.get(stream).map_or(1, |heard| heard + 1);
            *line == text(number, **stream, next)
        });
        let stream = stream.unwrap_or_else(|| panic!("{} has out of order in {chat}: {line}", member.name));
        *heard.entry(stream).or_default() += 1;
    }
    for stream in streams {
        assert_eq!(heard.get(stream).copied().unwrap_or(0), expected(stream), "{}: {stream:?}", member.name);
    }
    log.iter().filter(|(direction, _)| *direction == Direction::In).count() as u64
}

/// All texts of a chat, the oldest first.
async fn texts(member: &Member, chat: &str) -> Result<Vec<(Direction, String)>, ClientError> {
    let text = |message: Message| match message.body {
        Body::Text { text } => Some((message.direction, text)),
        _ => None,
    };
    Ok(history(&member.client, &member.name, chat).await?.into_iter().filter_map(text).collect())
}

/// That no file of the relay, no store and no log has a text. The programs run: a file that goes while this looks, as a journal
/// does, is passed over.
fn nothing_readable(directory: &Path) {
    let is_gone = |error: &io::Error| error.kind() == io::ErrorKind::NotFound;
    let entries = match fs::read_dir(directory) {
        Err(error) if is_gone(&error) => return,
        entries => entries.expect("a directory can be listed"),
    };
    for entry in entries {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            nothing_readable(&path);
        } else if path.is_file() {
            let bytes = match fs::read(&path) {
                Err(error) if is_gone(&error) => continue,
                bytes => bytes.expect("a file can be read"),
            };
            assert!(memmem::find(&bytes, CANARY.as_bytes()).is_none(), "{} has a text", path.display());
        }
    }
}
