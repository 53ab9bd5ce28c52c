//! What the demo shows, step by step. Every command is echoed as typed and runs for real; what it did is
//! checked through `--json`.

use std::process::ExitStatus;

use hermes_api::{Body, ContactState, Contacts, DaemonStatus, Groups, MessagePage, Problem, Standing};
use serde::de::DeserializeOwned;
use tokio::time::{sleep, timeout};

use super::stage::{Person, STEP, Stage, failed};
use crate::{
    limits,
    output::{DIM, Line, NAME, Output},
    stop::Stop,
};

const TO_BOB: &str = "deploy done, all green";
const TO_ALICE: &str = "looks good, thanks 🎉";
const WHILE_AWAY: &str = "disk on db-1 is at 91 %\nplease look when you are back";
const TO_GROUP: &str = "standup at ten";
const FROM_BOB: &str = "I may be late";
const WITHOUT_BOB: &str = "new door code: 4711";

/// Plays everything; the first step that does not work ends it.
pub(super) async fn play(stage: &mut Stage, output: &mut Output) -> Result<(), Stop> {
    say(output, &format!("Everything below happens in {} and on loopback.", stage.path().display()))?;
    say(output, "A relay, and a daemon for each of two people; a third comes later, with one of her own:")?;
    let relay = stage.start_relay().await?;
    stage.alice.start_daemon().await?;
    stage.bob.start_daemon().await?;

    for person in [&stage.alice, &stage.bob] {
        run(person, &["init", "--name", person.name, "--relay", &relay], output).await?;
    }

    say(output, "Alice invites Bob. The link goes over a channel they trust; it works once.")?;
    let invite = read(&stage.alice, &["invite"], output).await?;
    run(&stage.bob, &["accept", invite.trim()], output).await?;
    until(|| ready(&stage.bob, "alice")).await?;
    until(|| ready(&stage.alice, "bob")).await?;
    run(&stage.alice, &["contact", "ls"], output).await?;

    say(output, "Messages both ways, delivered onto the other's disk:")?;
    run(&stage.alice, &["send", "bob", TO_BOB, "--wait=delivered"], output).await?;
    run(&stage.bob, &["send", "alice", TO_ALICE, "--wait=delivered"], output).await?;

    say(output, "Bob's daemon stops. Alice writes anyway; the relay keeps what it cannot read.")?;
    run(&stage.bob, &["daemon", "stop"], output).await?;
    stage.bob.daemon_ended().await?;
    run(&stage.alice, &["send", "bob", WHILE_AWAY, "--wait=relayed"], output).await?;

    say(output, "Bob's daemon is back:")?;
    stage.bob.start_daemon().await?;
    until(|| unread(&stage.bob, 2)).await?;
    check(&stage.bob, &[TO_BOB, WHILE_AWAY]).await?;
    check(&stage.alice, &[TO_ALICE]).await?;
    run(&stage.bob, &["inbox"], output).await?;
    run(&stage.alice, &["inbox"], output).await?;
    check(&stage.bob, &[]).await?;
    check(&stage.alice, &[]).await?;
    run(&stage.alice, &["log", "bob"], output).await?;
    group(stage, &relay, output).await
}

/// A group of three of which one is removed.
async fn group(stage: &mut Stage, relay: &str, output: &mut Output) -> Result<(), Stop> {
    say(output, "Carol comes too. Bob and Carol need not know each other to be in a group:")?;
    stage.carol.start_daemon().await?;
    run(&stage.carol, &["init", "--name", "carol", "--relay", relay], output).await?;
    let invite = read(&stage.alice, &["invite"], output).await?;
    run(&stage.carol, &["accept", invite.trim()], output).await?;
    until(|| ready(&stage.alice, "carol")).await?;
    run(&stage.alice, &["group", "create", "ops", "bob", "carol"], output).await?;
    until(|| members(&stage.bob, 3)).await?;
    until(|| members(&stage.carol, 3)).await?;
    run(&stage.alice, &["send", "ops", TO_GROUP, "--wait=delivered"], output).await?;
    check(&stage.bob, &[TO_GROUP]).await?;
    run(&stage.bob, &["inbox"], output).await?;
    run(&stage.bob, &["send", "ops", FROM_BOB], output).await?;
    until(|| unread(&stage.carol, 2)).await?;
    check(&stage.carol, &[TO_GROUP, FROM_BOB]).await?;
    run(&stage.carol, &["inbox"], output).await?;

    say(output, "Bob goes. One change reaches everybody, and what is written after it he cannot read:")?;
    run(&stage.alice, &["group", "rm", "ops", "bob"], output).await?;
    run(&stage.alice, &["send", "ops", WITHOUT_BOB, "--wait=delivered"], output).await?;
    until(|| members(&stage.carol, 2)).await?;
    check(&stage.carol, &[WITHOUT_BOB]).await?;
    run(&stage.carol, &["log", "ops"], output).await?;
    until(|| stands(&stage.bob, Standing::Removed)).await?;
    check(&stage.bob, &[]).await?;
    run(&stage.bob, &["group", "ls"], output).await
}

fn say(output: &mut Output, text: &str) -> Result<(), Stop> {
    output.line(&Line::default());
    output.line(&Line::default().styled(DIM, format!("# {text}")));
    Ok(output.flush()?)
}

/// Echoes a command and runs it on the user's terminal. Failing is the end.
async fn run(person: &Person, arguments: &[&str], output: &mut Output) -> Result<(), Stop> {
    echo(person, arguments, output)?;
    succeeded(arguments, person.show(arguments).await?)?;
    Ok(())
}

/// Echoes a command, runs it, shows what it said and returns the result. As on a terminal the result comes first: the
/// notes below a link say what to do with it.
async fn read(person: &Person, arguments: &[&str], output: &mut Output) -> Result<String, Stop> {
    echo(person, arguments, output)?;
    let done = person.capture(arguments).await?;
    let [stdout, stderr] = [done.stdout, done.stderr].map(|said| String::from_utf8_lossy(&said).into_owned());
    stdout.lines().chain(stderr.lines()).for_each(|line| output.line(&Line::new(line)));
    output.flush()?;
    succeeded(arguments, done.status)?;
    Ok(stdout)
}

fn echo(person: &Person, arguments: &[&str], output: &mut Output) -> Result<(), Stop> {
    let typed: Vec<String> = arguments.iter().map(|argument| quote(argument)).collect();
    let prompt = Line::default().styled(NAME, format!("{}$ ", person.name));
    output.line(&prompt.plain(format!("hermesctl {}", typed.join(" "))));
    Ok(output.flush()?)
}

fn succeeded(arguments: &[&str], status: ExitStatus) -> Result<(), Problem> {
    match status.success() {
        true => Ok(()),
        false => Err(failed(format!("hermesctl {} failed: {status}", arguments.join(" ")))),
    }
}

/// The argument as a shell would need it.
fn quote(argument: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_=./:,".contains(c);
    match argument.chars().all(plain) {
        true => argument.to_owned(),
        // No argument of the demo holds a quote, which would need more.
        false if argument.contains('\n') => format!("$'{}'", argument.replace('\n', "\\n")),
        false => format!("'{argument}'"),
    }
}

/// Runs a command for its JSON, unseen.
async fn ask<R: DeserializeOwned>(person: &Person, arguments: &[&str]) -> Result<R, Problem> {
    let arguments = [arguments, &["--json"]].concat();
    let done = person.read(&arguments).await?;
    succeeded(&arguments, done.status)?;
    let garbled =
        |error| failed(format!("hermesctl {} printed no such document: {error}", arguments.join(" ")));
    serde_json::from_slice(&done.stdout).map_err(garbled)
}

/// Looks until something is so.
async fn until<F: Future<Output = Result<bool, Problem>>>(look: impl Fn() -> F) -> Result<(), Problem> {
    let so = async {
        while !look().await? {
            sleep(limits::LOOK).await;
        }
        Ok(())
    };
    timeout(STEP, so).await.map_err(|_| failed(format!("nothing happened for {} s", STEP.as_secs())))?
}

async fn ready(person: &Person, contact: &str) -> Result<bool, Problem> {
    let contacts: Contacts = ask(person, &["contact", "ls"]).await?;
    Ok(contacts.contacts.iter().any(|known| known.name == contact && known.state == ContactState::Ready))
}

async fn unread(person: &Person, wanted: u64) -> Result<bool, Problem> {
    let status: DaemonStatus = ask(person, &["status"]).await?;
    Ok(status.accounts.iter().map(|account| account.unread).sum::<u64>() >= wanted)
}

async fn members(person: &Person, wanted: u32) -> Result<bool, Problem> {
    let groups: Groups = ask(person, &["group", "ls"]).await?;
    Ok(groups.groups.iter().any(|group| group.name == "ops" && group.members == wanted))
}

async fn stands(person: &Person, wanted: Standing) -> Result<bool, Problem> {
    let groups: Groups = ask(person, &["group", "ls"]).await?;
    Ok(groups.groups.iter().any(|group| group.name == "ops" && group.standing == wanted))
}

/// The inbox holds these texts, in this order, and nothing else.
async fn check(person: &Person, texts: &[&str]) -> Result<(), Problem> {
    let page: MessagePage = ask(person, &["inbox", "--peek"]).await?;
    let found: Vec<_> = page.messages.iter().map(|message| message.body.clone()).collect();
    let wanted: Vec<_> = texts.iter().map(|text| Body::Text { text: (*text).to_owned() }).collect();
    match found == wanted {
        true => Ok(()),
        false => Err(failed(format!("{}'s inbox holds {found:?} and not {wanted:?}", person.name))),
    }
}
