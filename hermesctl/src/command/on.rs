//! `hermesctl on`
//!
//! The place in the messages is a consumer of the daemon's events, so it outlives this program and the daemon. It moves
//! when the command has ended well, or was given up on: whatever dies meanwhile, the message comes again.

mod attempt;

use std::os::unix::ffi::OsStrExt;

use hermes_api::{
    AckEvents, Body, ClientError, Direction, ErrorCode, Event, EventFrame, EventQuery, EventStream, Exit,
    Message, Problem, ReadMessages,
};
use tokio::time::{Instant, sleep};

use self::attempt::attempt;
use crate::{
    cli,
    daemon::{Autostart, Daemon},
    invocation::Invocation,
    limits,
    output::{Line, NAME, Notes, WARN},
    stop::{RoundError, Stop},
};

pub(crate) async fn run(args: cli::On, invocation: &mut Invocation) -> Result<Exit, Stop> {
    // Before anything is promised; what changes later is found out when a message comes.
    attempt::find(&args.command)?;
    let account = invocation.account().await?;
    let consumer = args.consumer.clone().unwrap_or_else(|| made_of(&args));
    let mut query = EventQuery {
        consumer: Some(consumer.clone()),
        kind: Some("received".to_owned()),
        ..EventQuery::default()
    };
    if let Some(chat) = &args.from {
        match invocation.daemon.repeatable(async |client| client.contact(&account, chat).await).await {
            Ok(_) => query.contact = Some(chat.clone()),
            // A group, or nobody, and then the daemon says so.
            Err(ClientError::Refused(Problem { code: ErrorCode::ContactNotFound, .. })) => {
                query.group = Some(chat.clone());
            }
            Err(error) => return Err(error.into()),
        }
    }
    let mut events = match begin(&account, &query, &invocation.daemon).await {
        Ok(events) => events,
        Err(error) => {
            if let (ClientError::Refused(Problem { code: ErrorCode::GroupNotFound, .. }), Some(chat)) =
                (&error, &query.group)
            {
                // No contact either: asked for as one or the other, the daemon knows which name is near.
                invocation.daemon.repeatable(async |client| client.chat(&account, chat).await).await?;
            }
            return Err(error.into());
        }
    };
    // Whoever stops the daemon from here on has a reason.
    invocation.daemon.autostart = Autostart::Off;
    let line = Line::new("listening as ").styled(NAME, &consumer);
    invocation.notes.say(&line.plain("; what comes while this does not run waits for it"));
    let mut watch = Watch { args, account, consumer, done: None, notes: invocation.notes };
    loop {
        match watch.round(&mut events, &invocation.daemon).await {
            Ok(()) | Err(RoundError::DaemonGone) => {
                events = watch.reconnect(&query, &invocation.daemon).await?;
            }
            Err(RoundError::Stop(stop)) => return Err(stop),
        }
    }
}

/// Listens. A former run that was killed a moment ago may still hold the name.
async fn begin(account: &str, query: &EventQuery, daemon: &Daemon) -> Result<EventStream, ClientError> {
    let deadline = Instant::now() + limits::CONSUMER_FREE;
    loop {
        match daemon.repeatable(async |client| client.listen(account, query).await).await {
            Err(ClientError::Refused(Problem { code: ErrorCode::ConsumerBusy, .. }))
                if Instant::now() < deadline =>
            {
                sleep(limits::LOOK).await;
            }
            answer => return answer,
        }
    }
}

/// A run of the command line.
struct Watch {
    args: cli::On,
    account: String,
    consumer: String,
    /// What was done with and is not acknowledged yet.
    done: Option<Done>,
    notes: Notes,
}

/// An event that was done with.
#[derive(Clone)]
struct Done {
    seq: u64,
    /// A message to mark read.
    read: Option<String>,
}

impl Watch {
    /// Handles what comes, until the daemon is gone.
    async fn round(&mut self, events: &mut EventStream, daemon: &Daemon) -> Result<(), RoundError> {
        while let Some(frame) = events.next_frame().await? {
            let Some(seq) = frame.seq else { continue };
            let mut read = None;
            // Every message that came is among these, however late this is: what the log has lost told of others.
            if let Event::Received { message } = &frame.event
                && self.is_wanted(message)
            {
                let done = self.carry_out(&frame, message).await?;
                read = (done && self.args.read).then(|| message.reference.clone());
            }
            self.done = Some(Done { seq, read });
            self.settle(daemon).await?;
        }
        Ok(())
    }

    fn is_wanted(&self, message: &Message) -> bool {
        let Body::Text { text, .. } = &message.body else { return false };
        message.direction == Direction::In
            && self.args.pattern.as_ref().is_none_or(|pattern| pattern.is_match(text))
    }

    /// Runs the command until it ends well or has failed too often; whether it ended well.
    async fn carry_out(&self, frame: &EventFrame, message: &Message) -> Result<bool, Stop> {
        let mut delay = limits::COMMAND_RETRY_FIRST;
        for number in 0..=self.args.retries {
            let Err(failure) = attempt(&self.args.command, &self.account, frame, message, number + 1).await?
            else {
                return Ok(true);
            };
            let line = Line::default().styled(WARN, "warning: ").plain(format!("the command {failure} for "));
            let line = line.styled(NAME, &message.reference);
            if number < self.args.retries {
                self.notes.say(&line.plain(format!("; again in {} s", delay.as_secs())));
                sleep(delay).await;
                delay = (delay * 2).min(limits::COMMAND_RETRY_LAST);
            } else {
                let tries = number + 1;
                self.notes.problem(&Problem::new(
                    ErrorCode::PartialFailure,
                    format!("{} is skipped: the command {failure}, tried {tries} times", message.reference),
                    format!("look at the message: hermesctl read '{}'", message.reference),
                ));
            }
        }
        Ok(false)
    }

    /// Tells the daemon what was done with.
    async fn settle(&mut self, daemon: &Daemon) -> Result<(), ClientError> {
        let Some(done) = self.done.clone() else { return Ok(()) };
        if let Some(reference) = done.read {
            let read = ReadMessages { refs: vec![reference] };
            daemon.repeatable(async |client| client.mark_read(&self.account, &read).await).await?;
        }
        let ack = AckEvents { consumer: self.consumer.clone(), seq: done.seq };
        daemon.repeatable(async |client| client.ack_events(&self.account, &ack).await).await?;
        self.done = None;
        Ok(())
    }

    async fn reconnect(&mut self, query: &EventQuery, daemon: &Daemon) -> Result<EventStream, Stop> {
        self.notes.say(&Line::new("hermesd went away; waiting for it to come back"));
        loop {
            // What was done with just before it went away must not come again.
            let events = match self.settle(daemon).await {
                Ok(()) => daemon.client.listen(&self.account, query).await,
                Err(error) => Err(error),
            };
            match events.map_err(RoundError::from) {
                Ok(events) => return Ok(events),
                Err(RoundError::DaemonGone) => sleep(limits::RETURN_LOOK).await,
                Err(RoundError::Stop(stop)) => return Err(stop),
            }
        }
    }
}

/// A name for a consumer that is the same whenever the same is asked for: FNV-1a, 64 bits.
fn made_of(args: &cli::On) -> String {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    let pattern = args.pattern.as_ref().map(|pattern| pattern.as_str());
    let mut parts = vec![args.from.as_deref().unwrap_or_default().as_bytes()];
    parts.push(pattern.unwrap_or_default().as_bytes());
    parts.extend(args.command.iter().map(|word| word.as_bytes()));
    for part in parts {
        for byte in part.iter().chain([&0]) {
            hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }
    format!("on-{hash:016x}")
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::{Cli, ClientCommand, Command};

    fn on(line: &[&str]) -> cli::On {
        match Cli::try_parse_from([&["hermesctl", "on"], line].concat()).unwrap().command {
            Command::Client(ClientCommand::On(on)) => on,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_same_arguments_are_the_same_consumer() {
        let name = made_of(&on(&["--", "true"]));
        assert_eq!(name, made_of(&on(&["--retries", "2", "--", "true"])));
        for other in [&["--", "false"][..], &["--from", "bob", "--", "true"], &["--match", "x", "--", "true"]]
        {
            assert_ne!(name, made_of(&on(other)));
        }
        assert_ne!(made_of(&on(&["--", "a", "b"])), made_of(&on(&["--", "ab"])));
    }

    #[test]
    fn a_bad_expression_is_a_usage_error() {
        let parsed = Cli::try_parse_from(["hermesctl", "on", "--match", "(", "--", "true"]);
        assert_eq!(parsed.unwrap_err().exit_code(), 2);
        assert_eq!(Cli::try_parse_from(["hermesctl", "on"]).unwrap_err().exit_code(), 2);
    }
}
