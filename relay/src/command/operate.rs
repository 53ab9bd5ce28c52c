//! Orders to a relay, and what came of them on the screen.

use std::{
    io::{self, BufRead, IsTerminal, Read, Write},
    time::Duration,
};

use hermes_relay::{
    admin::{Answer, MailboxLine, Order, Status, TokenLine, desk::Desk, socket},
    clock,
    state::StateDirectory,
    store::fjall::Inventory,
};

use super::{Failure, existing_state, print, print_json};
use crate::cli::{MailboxCommand, Place};

const DAY_MS: u64 = 86_400_000;

pub(super) fn status(place: &Place) -> Result<(), Failure> {
    let state = existing_state(place)?;
    let Some((answer, _)) = ask_running(&state, &Order::Status)? else { return Err(Failure::NotRunning) };
    match answer {
        answer if place.json => print_answer(&answer),
        Answer::Status(status) => print(&status_text(&status)),
        _ => Err(Failure::Answer),
    }
}

pub(super) fn tokens(place: &Place) -> Result<(), Failure> {
    match ask(&existing_state(place)?, &Order::Tokens)? {
        answer if place.json => print_answer(&answer),
        Answer::Tokens { tokens } if tokens.is_empty() => {
            print("No registration tokens. Make one with: hermes-relay token new")
        }
        Answer::Tokens { tokens } => {
            print(&format!("{:<14}{:>5}  ENDS", "ID", "USES"))?;
            tokens.iter().try_for_each(|token| print(&token_text(token)))
        }
        _ => Err(Failure::Answer),
    }
}

pub(super) fn revoke(place: &Place, token: &str) -> Result<(), Failure> {
    let answer = ask(&existing_state(place)?, &Order::RevokeToken { token: token.to_owned() })?;
    done(place, &answer, "The token is good for nothing any more. Accounts made with it stay.")
}

pub(super) fn mailbox(command: &MailboxCommand) -> Result<(), Failure> {
    match command {
        MailboxCommand::Show { mailbox, place } => {
            match ask(&existing_state(place)?, &Order::Mailbox { mailbox: mailbox.clone() })? {
                answer if place.json => print_answer(&answer),
                Answer::Mailbox(mailbox) => print(&mailbox_text(&mailbox)),
                _ => Err(Failure::Answer),
            }
        }
        MailboxCommand::Delete { mailbox, yes, place } => {
            if !yes && !confirmed(mailbox)? {
                return print("Nothing was deleted.");
            }
            let answer = ask(&existing_state(place)?, &Order::CloseMailbox { mailbox: mailbox.clone() })?;
            done(
                place,
                &answer,
                "The mailbox is closed for good, and what waited in it is deleted; where that is much, within minutes, while the \
                 relay runs.",
            )
        }
    }
}

/// Begins to stop the relay, and waits until it has.
pub(super) fn drain(place: &Place) -> Result<(), Failure> {
    let state = existing_state(place)?;
    let Some((answer, mut until_end)) = ask_running(&state, &Order::Drain)? else {
        return Err(Failure::NotRunning);
    };
    // The relay lets go when it has stopped. If it is killed meanwhile, it has stopped as well.
    let _ = until_end.read_to_end(&mut Vec::new());
    done(place, &answer, "The relay has asked its clients to come back later, and has stopped.")
}

pub(super) fn verify(place: &Place) -> Result<(), Failure> {
    let answer = ask(&existing_state(place)?, &Order::Verify)?;
    let Answer::Verified(inventory) = &answer else { return Err(Failure::Answer) };
    if place.json {
        print_answer(&answer)?;
    } else {
        print(&inventory_text(inventory))?;
    }
    match inventory.findings.len() {
        0 => Ok(()),
        findings => Err(Failure::Findings(findings)),
    }
}

/// Has an order carried out by the relay that runs, else by the one that lies in the state directory.
pub(super) fn ask(state: &StateDirectory, order: &Order) -> Result<Answer, Failure> {
    if let Some((answer, _)) = ask_running(state, order)? {
        return Ok(answer);
    }
    let (desk, thread) = Desk::stopped(state)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let answer = runtime.block_on(desk.carry_out(order.clone()));
    drop(desk);
    match thread.join() {
        Ok(ended) => ended?,
        Err(_) => return Err(io::Error::other("the committing thread ended badly").into()),
    }
    unless_problem(answer)
}

/// The answer of the relay that runs, and what follows it; `None` when none runs.
pub(super) fn ask_running(
    state: &StateDirectory,
    order: &Order,
) -> Result<Option<(Answer, impl BufRead + use<>)>, Failure> {
    let sent = socket::send(&state.admin_socket(), order)?;
    sent.map(|(answer, rest)| Ok((unless_problem(answer)?, rest))).transpose()
}

fn unless_problem(answer: Answer) -> Result<Answer, Failure> {
    match answer {
        Answer::Problem(problem) => Err(Failure::Order(problem)),
        answer => Ok(answer),
    }
}

fn confirmed(mailbox: &str) -> Result<bool, Failure> {
    if !io::stdin().is_terminal() {
        return Err(io::Error::other("deleting a mailbox has to be confirmed; say --yes").into());
    }
    let mut out = io::stderr();
    write!(
        out,
        "Delete mailbox {mailbox}, with all that waits in it? Its owner can never use it again. [y/N] "
    )?;
    out.flush()?;
    let mut answer = String::new();
    io::stdin().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

fn done(place: &Place, answer: &Answer, sentence: &str) -> Result<(), Failure> {
    if place.json { print_answer(answer) } else { print(sentence) }
}

fn print_answer(answer: &Answer) -> Result<(), Failure> {
    print_json(serde_json::to_value(answer).map_err(io::Error::from)?)
}

fn status_text(status: &Status) -> String {
    let state = if status.draining { "stopping" } else { "running" };
    let tokens = match status.registration.as_str() {
        "token" => format!("by token; tokens are good for {} more", status.registrations_left),
        other => other.to_owned(),
    };
    let certificate = match status.certificate_not_after {
        Some(end) => format!("\ncertificate   {}", certificate_text(end)),
        None => String::new(),
    };
    format!(
        "{state} for {}, version {}\n\
         address       {}\n\
         connections   {}, {} of them owners of mailboxes\n\
         mailboxes     {} of at most {}\n\
         channels      {}\n\
         registration  {tokens}\n\
         store         {} on the disk{certificate}",
        duration(Duration::from_millis(status.uptime_ms)),
        status.version,
        status.address,
        status.connections,
        status.owners,
        status.mailboxes,
        status.mailboxes_limit,
        status.channels,
        bytes(status.store_bytes),
    )
}

/// Until when newcomers are content with the certificate.
fn certificate_text(end: u64) -> String {
    match end.saturating_sub(clock::now().0) {
        0 => "has ended: nobody can come by name until there is a new one in its files".to_owned(),
        left => format!("for newcomers who come by name, ends in {}", duration(Duration::from_millis(left))),
    }
}

fn token_text(token: &TokenLine) -> String {
    let left = token.expires_at.saturating_sub(clock::now().0);
    let ends = match left.div_ceil(DAY_MS) {
        0 => "ended".to_owned(),
        1 => "within a day".to_owned(),
        days => format!("in {days} days"),
    };
    format!("{:<14}{:>5}  {ends}", token.id, token.uses)
}

fn mailbox_text(mailbox: &MailboxLine) -> String {
    let state = match (mailbox.closed, mailbox.connected) {
        (true, _) => "closed",
        (false, true) => "open, its owner is connected",
        (false, false) => "open, its owner is not connected",
    };
    format!(
        "mailbox   {}\n\
         state     {state}\n\
         waiting   {} envelopes, {}\n\
         prekeys   {}\n\
         blobs     {}, {}",
        mailbox.mailbox,
        mailbox.envelopes,
        bytes(mailbox.bytes),
        mailbox.prekeys,
        mailbox.blobs,
        bytes(mailbox.blob_bytes),
    )
}

fn inventory_text(inventory: &Inventory) -> String {
    let mut lines: Vec<_> =
        inventory.rows.iter().map(|(table, rows)| format!("{table:<12}{rows:>10} rows")).collect();
    lines.extend(inventory.findings.iter().map(|finding| format!("✗ {finding}")));
    if inventory.findings.is_empty() {
        lines.push("✓ every row can be read, and what mailboxes say they hold is there".to_owned());
    }
    lines.join("\n")
}

fn duration(time: Duration) -> String {
    match time.as_secs() {
        seconds @ ..60 => format!("{seconds} s"),
        seconds @ ..3_600 => format!("{} min", seconds / 60),
        seconds @ ..86_400 => format!("{} h", seconds / 3_600),
        seconds => format!("{} days", seconds / 86_400),
    }
}

fn bytes(bytes: u64) -> String {
    match bytes {
        0..1_024 => format!("{bytes} B"),
        1_024..1_048_576 => format!("{} KiB", bytes >> 10),
        _ => format!("{} MiB", bytes >> 20),
    }
}
