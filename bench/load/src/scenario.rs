//! What is measured.

use std::{sync::Arc, time::Duration, time::Instant};

use anyhow::{Context, Result, bail};
use tokio::{
    sync::{Semaphore, mpsc},
    task::JoinSet,
    time::timeout,
};

use crate::{
    server::{Server, System},
    wire::{Kind, Receiver, Sender, hermes},
};

/// Messages of one publisher without an acknowledgement.
const WINDOW: usize = 64;
/// Posts without an acknowledgement when each goes to many.
const FAN_WINDOW: usize = 4;
/// Clients that connect at a time.
const CONNECTING: usize = 128;
/// No scenario takes longer.
const PATIENCE: Duration = Duration::from_secs(180);

/// A scenario.
#[derive(Clone, Copy)]
pub enum Scenario {
    /// So many pairs, so many messages in all.
    Pairs(u32, usize),
    /// One publisher, so many subscribers, so many posts.
    Fan(u32, usize),
    /// So many messages are stored for one who is away.
    Store(usize),
    /// … and taken by it. The store is part of what is done, and not of the time.
    Drain(usize),
    /// 200 messages a second from one to one, so many.
    Low(usize),
    /// So many clients connect.
    Idle(u32),
    /// So many clients come back after the server was killed.
    Storm(u32),
}

/// What a run came to.
#[derive(Default)]
pub struct Outcome {
    /// Deliveries, or acknowledgements of stored messages, or clients.
    pub count: usize,
    /// In how long.
    pub elapsed: Duration,
    /// The server's processor time in it.
    pub cpu: Duration,
    /// From the scheduled time to arrival, nanoseconds, sorted.
    pub latencies: Vec<u64>,
    /// The server's resident memory at the end, KiB; for idle clients what it grew by.
    pub memory: u64,
}

impl Scenario {
    /// As the table says it.
    pub fn name(self) -> String {
        match self {
            Self::Pairs(pairs, _) => format!("{pairs} pairs"),
            Self::Fan(to, _) => format!("fan-out 1 to {to}"),
            Self::Store(count) => format!("store {count} offline"),
            Self::Drain(count) => format!("drain {count}"),
            Self::Low(_) => "200 messages/s".to_owned(),
            Self::Idle(clients) => format!("{clients} idle clients"),
            Self::Storm(clients) => format!("{clients} come back"),
        }
    }

    /// Does it once, on an empty server.
    pub async fn run(self, server: &mut Server) -> Result<Outcome> {
        let run = async {
            match self {
                Self::Pairs(pairs, count) => run_pairs(server, pairs, count).await,
                Self::Fan(to, posts) => fan(server, to, posts).await,
                Self::Store(count) => store(server, count).await,
                Self::Drain(count) => drain(server, count).await,
                Self::Low(count) => low(server, count).await,
                Self::Idle(clients) => idle(server, clients).await,
                Self::Storm(clients) => storm(server, clients).await,
            }
        };
        let mut outcome = timeout(PATIENCE, run).await.context("not ended in time")??;
        outcome.latencies.sort_unstable();
        Ok(outcome)
    }
}

async fn run_pairs(server: &Server, pairs: u32, count: usize) -> Result<Outcome> {
    let mut both = Vec::new();
    for pair in 0..pairs {
        let receiver = Receiver::connect(server, pair, pair, Kind::Durable).await?;
        both.push((Sender::connect(server, pair).await?, receiver));
    }
    let each = count / pairs as usize;
    measured(server, each * pairs as usize, |begun| {
        let mut tasks = JoinSet::new();
        for (sender, receiver) in both {
            tasks.spawn(publish(sender, each, WINDOW, begun));
            tasks.spawn(take(receiver, each, begun));
        }
        tasks
    })
    .await
}

async fn fan(server: &Server, to: u32, posts: usize) -> Result<Outcome> {
    let receivers = connect(server, 0..to, |_| 0, Kind::Live).await?;
    let sender = match server.system {
        System::Hermes => Sender::Hermes(Box::new(hermes::Sender::channel(server, to).await?)),
        _ => Sender::connect(server, 0).await?,
    };
    measured(server, posts * to as usize, |begun| {
        let mut tasks = JoinSet::new();
        tasks.spawn(publish(sender, posts, FAN_WINDOW, begun));
        for receiver in receivers {
            tasks.spawn(take(receiver, posts, begun));
        }
        tasks
    })
    .await
}

async fn store(server: &Server, count: usize) -> Result<Outcome> {
    drop(Receiver::connect(server, 0, 0, Kind::Durable).await?);
    let sender = Sender::connect(server, 0).await?;
    measured(server, count, |begun| {
        let mut tasks = JoinSet::new();
        tasks.spawn(publish(sender, count, WINDOW * 4, begun));
        tasks
    })
    .await
}

async fn drain(server: &Server, count: usize) -> Result<Outcome> {
    store(server, count).await?;
    let begun = Instant::now();
    let cpu = server.cpu()?;
    let receiver = Receiver::connect(server, 0, 0, Kind::Durable).await?;
    take(receiver, count, begun).await?;
    let (elapsed, memory) = (begun.elapsed(), server.memory()?);
    Ok(Outcome { count, elapsed, cpu: server.cpu()?.saturating_sub(cpu), memory, latencies: Vec::new() })
}

/// Open loop: a thread of its own says when, however long the server takes, and that is what latency is counted from.
async fn low(server: &Server, count: usize) -> Result<Outcome> {
    let receiver = Receiver::connect(server, 0, 0, Kind::Durable).await?;
    let mut sender = Sender::connect(server, 0).await?;
    measured(server, count, |begun| {
        let (due, mut when) = mpsc::unbounded_channel();
        std::thread::spawn(move || {
            for number in 0..count {
                let at = Duration::from_millis(5 * number as u64);
                std::thread::sleep(at.saturating_sub(begun.elapsed()));
                if due.send(at.as_nanos() as u64).is_err() {
                    return;
                }
            }
        });
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            while let Some(at) = when.recv().await {
                sender.send(1, at).await?;
                sender.acknowledged().await?;
            }
            Ok(Vec::new())
        });
        tasks.spawn(take(receiver, count, begun));
        tasks
    })
    .await
}

async fn idle(server: &Server, clients: u32) -> Result<Outcome> {
    let (before, cpu, begun) = (server.memory()?, server.cpu()?, Instant::now());
    let receivers = connect(server, 0..clients, |number| number, Kind::Live).await?;
    let elapsed = begun.elapsed();
    let memory = server.memory()?.saturating_sub(before);
    let cpu = server.cpu()?.saturating_sub(cpu);
    Ok(Outcome { count: receivers.len(), elapsed, cpu, latencies: Vec::new(), memory })
}

async fn storm(server: &mut Server, clients: u32) -> Result<Outcome> {
    drop(connect(server, 0..clients, |number| number, Kind::Live).await?);
    let begun = Instant::now();
    server.restart().await?;
    let receivers = connect(server, 0..clients, |number| number, Kind::Live).await?;
    let (elapsed, memory) = (begun.elapsed(), server.memory()?);
    Ok(Outcome { count: receivers.len(), elapsed, cpu: server.cpu()?, latencies: Vec::new(), memory })
}

/// Runs the tasks; those that receive give latencies.
async fn measured(
    server: &Server,
    count: usize,
    tasks: impl FnOnce(Instant) -> JoinSet<Result<Vec<u64>>>,
) -> Result<Outcome> {
    let cpu = server.cpu()?;
    let begun = Instant::now();
    let mut tasks = tasks(begun);
    let mut latencies = Vec::new();
    while let Some(ended) = tasks.join_next().await {
        latencies.extend(ended??);
    }
    let elapsed = begun.elapsed();
    Ok(Outcome {
        count,
        elapsed,
        cpu: server.cpu()?.saturating_sub(cpu),
        latencies,
        memory: server.memory()?,
    })
}

/// Closed loop: as fast as the window allows.
async fn publish(mut sender: Sender, count: usize, window: usize, begun: Instant) -> Result<Vec<u64>> {
    let (mut sent, mut acknowledged) = (0, 0);
    while acknowledged < count {
        let room = (window - (sent - acknowledged)).min(count - sent);
        sender.send(room, begun.elapsed().as_nanos() as u64).await?;
        sent += room;
        acknowledged += sender.acknowledged().await?;
    }
    Ok(Vec::new())
}

async fn take(mut receiver: Receiver, count: usize, begun: Instant) -> Result<Vec<u64>> {
    let mut latencies = Vec::new();
    let mut taken = 0;
    while taken < count {
        let times = receiver.receive().await?;
        let now = begun.elapsed().as_nanos() as u64;
        taken += times.len();
        latencies.extend(times.iter().filter(|time| **time > 0).map(|time| now.saturating_sub(*time)));
    }
    if taken > count { bail!("{taken} messages came instead of {count}") } else { Ok(latencies) }
}

/// Connects all of these, and each again until it is let in.
async fn connect(
    server: &Server,
    numbers: std::ops::Range<u32>,
    topic: impl Fn(u32) -> u32,
    kind: Kind,
) -> Result<Vec<Receiver>> {
    let places = Arc::new(Semaphore::new(CONNECTING));
    let attempts = numbers.map(|number| {
        let (places, topic) = (places.clone(), topic(number));
        async move {
            let _place = places.acquire().await?;
            loop {
                match Receiver::connect(server, topic, number, kind).await {
                    Ok(receiver) => return Ok::<_, anyhow::Error>(receiver),
                    // `PATIENCE` bounds it.
                    Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
                }
            }
        }
    });
    futures_util::future::try_join_all(attempts).await
}
