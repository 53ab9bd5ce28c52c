//! `hermesctl send`

use std::{
    io::IsTerminal,
    time::{Duration, Instant},
};

use hermes_api::{
    ErrorCode, Exit, MessageState, Problem, SendMessage, Wait,
    limits::{RECIPIENTS, TEXT_BYTES},
};

use super::stuck::{self, Waited};
use crate::{
    cli::{self, WaitFor},
    input,
    input::Questions,
    invocation::Invocation,
    output::{Format, Line},
    render::sent::{self, Verdict},
    stop::Stop,
};

pub(crate) async fn run(args: cli::Send, invocation: &mut Invocation) -> Result<Exit, Stop> {
    let several_words = args.words.len() > 2;
    if let (Some(_), Some(state), true) =
        (args.wait, args.words.last(), args.to.is_empty() && args.message.is_none())
        && ["relayed", "delivered", "read"].contains(&state.as_str())
    {
        let hint =
            format!("write --wait={state}; or, if that is the text: hermesctl send --to NAME {state} --wait");
        return Err(Stop::usage(format!("{state:?} would be sent as the text"), hint));
    }
    let mut named = args.to;
    // The chat of what is answered is where the answer goes, unless it is named.
    if let Some(reply) = args.reply.as_deref()
        && named.is_empty()
        && args.words.len() < if args.message.is_some() { 1 } else { 2 }
    {
        named.push(chat_of(reply, invocation).await?);
    }
    let (to, source) = split(args.words, args.message, named)?;
    let account = invocation.account().await?;
    if source.is_typed() {
        // What is typed would be lost if it turned out afterwards that it cannot be sent.
        for name in &to {
            invocation.daemon.repeatable(async |client| client.chat(&account, name).await).await?;
        }
    }
    let text = read(source, invocation).await?;
    let wait = match args.wait {
        None => Wait::None,
        Some(WaitFor::Relayed) => Wait::Relayed,
        Some(WaitFor::Delivered) => Wait::Delivered,
        Some(WaitFor::Read) => Wait::Read,
    };
    // One key for the whole run: however often the request is repeated, the message is sent once.
    let id = args.id.unwrap_or_else(|| format!("{:032x}", rand::random::<u128>()));
    let began = Instant::now();
    let message = |left: Duration| SendMessage {
        to: to.clone(),
        text: text.clone(),
        reply_to: args.reply.clone(),
        ttl_seconds: args.ttl.map(|ttl| ttl.as_secs()),
        id: id.clone(),
        wait,
        timeout_ms: if wait == Wait::None { 0 } else { u64::try_from(left.as_millis()).unwrap_or(u64::MAX) },
    };
    let sent = invocation
        .daemon
        .repeatable(async |client| {
            client.send(&account, &message(args.timeout.saturating_sub(began.elapsed()))).await
        })
        .await?;
    if invocation.output.format == Format::Json {
        invocation.output.json(&sent)?;
        return Ok(sent::exit(&sent));
    }
    for result in &sent.results {
        match sent::verdict(result, wait, began.elapsed()) {
            Verdict::Sent(line) => invocation.output.line(&line),
            Verdict::Failed(mut problem) => {
                if several_words && problem.code == ErrorCode::ContactNotFound {
                    problem.hint.push_str("; a text of several words needs quotes around it");
                }
                invocation.notes.problem(&problem);
            }
        }
    }
    if sent.results.iter().any(|result| result.error.is_none() && result.state == MessageState::Queued) {
        invocation.output.flush()?;
        stuck::explain(&account, if wait == Wait::None { Waited::No } else { Waited::Yes }, invocation).await;
    }
    Ok(sent::exit(&sent))
}

/// The chat that a message stands in. A reference tells; an id and `@last` the daemon has to look up.
async fn chat_of(message: &str, invocation: &Invocation) -> Result<String, Stop> {
    if let Some((chat, _)) = message.rsplit_once('#') {
        return Ok(chat.to_owned());
    }
    let account = invocation.account().await?;
    let found = invocation.daemon.repeatable(async |client| client.message(&account, message).await).await?;
    Ok(found.message.chat)
}

/// Where the text comes from.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Source {
    Argument(String),
    Stdin,
}

impl Source {
    /// Whether a person types it after this command has begun.
    pub(super) fn is_typed(&self) -> bool {
        *self == Self::Stdin && std::io::stdin().is_terminal()
    }
}

impl From<Option<String>> for Source {
    fn from(word: Option<String>) -> Self {
        match word {
            Some(text) if text != "-" => Self::Argument(text),
            _ => Self::Stdin,
        }
    }
}

/// Tells recipients from text: the last of several words is the text, `-` stands for standard input, and a single word
/// is a recipient unless recipients were named with `--to`; all words are recipients where `--message` is the text.
fn split(
    mut words: Vec<String>,
    message: Option<String>,
    named: Vec<String>,
) -> Result<(Vec<String>, Source), Problem> {
    let has_text = words.len() > 1 || (words.len() == 1 && !named.is_empty());
    let source = match message {
        Some(text) => Source::from(Some(text)),
        None => Source::from(words.pop_if(|_| has_text)),
    };
    let mut to: Vec<String> = Vec::new();
    for name in named.into_iter().chain(words) {
        // Naming someone twice means one message.
        if !to.contains(&name) {
            to.push(name);
        }
    }
    if let Some(bad) = to.iter().find(|name| name.is_empty() || *name == "-") {
        let hint = "recipients come first, then the text or - for standard input";
        return Err(Problem::new(ErrorCode::Usage, format!("{bad:?} is no recipient"), hint));
    }
    if to.len() > RECIPIENTS {
        let message = format!("{} recipients are too many for one send; {RECIPIENTS} is the limit", to.len());
        return Err(Problem::new(ErrorCode::TooManyRecipients, message, "send it in several commands"));
    }
    Ok((to, source))
}

pub(super) async fn read(source: Source, invocation: &Invocation) -> Result<String, Stop> {
    let text = match source {
        Source::Argument(text) => text,
        Source::Stdin => {
            if std::io::stdin().is_terminal() {
                if invocation.questions == Questions::Off {
                    let hint =
                        "write it as the last argument, or pipe it in: echo TEXT | hermesctl send TO -";
                    return Err(Stop::usage("there is no text to send", hint));
                }
                invocation.notes.say(&Line::new("Type the message; Ctrl-D at the start of a line sends it."));
            }
            input::text(TEXT_BYTES).await?
        }
    };
    check(&text)?;
    Ok(text)
}

/// The daemon checks too; here it costs no daemon.
fn check(text: &str) -> Result<(), Problem> {
    if text.trim().is_empty() {
        let hint = "nothing was sent; give it some text";
        return Err(Problem::new(ErrorCode::EmptyMessage, "the message is empty", hint));
    }
    if text.len() > TEXT_BYTES {
        let message = format!("the message has {} bytes; {TEXT_BYTES} is the limit", text.len());
        return Err(Problem::new(
            ErrorCode::MessageTooLarge,
            message,
            "nothing was sent; shorten it or split it",
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strings(words: &[&str]) -> Vec<String> {
        words.iter().map(|word| (*word).to_owned()).collect()
    }

    fn split_of(words: &[&str], named: &[&str]) -> (Vec<String>, Source) {
        split(strings(words), None, strings(named)).unwrap()
    }

    #[test]
    fn the_last_of_several_words_is_the_text() {
        let text = |text: &str| Source::Argument(text.to_owned());
        assert_eq!(split_of(&["bob", "hi"], &[]), (strings(&["bob"]), text("hi")));
        assert_eq!(split_of(&["bob", "carol", "hi"], &[]), (strings(&["bob", "carol"]), text("hi")));
        assert_eq!(split_of(&["bob", "carol", "-"], &[]), (strings(&["bob", "carol"]), Source::Stdin));
        assert_eq!(split_of(&["bob"], &[]), (strings(&["bob"]), Source::Stdin));
        assert_eq!(split_of(&["hi"], &["bob"]), (strings(&["bob"]), text("hi")));
        assert_eq!(split_of(&["carol", "hi"], &["bob"]), (strings(&["bob", "carol"]), text("hi")));
        assert_eq!(split_of(&[], &["bob", "bob"]), (strings(&["bob"]), Source::Stdin));
        let with = |message: &str| split(strings(&["bob", "carol"]), Some(message.to_owned()), Vec::new());
        assert_eq!(with("hi").unwrap(), (strings(&["bob", "carol"]), text("hi")));
        assert_eq!(with("-").unwrap().1, Source::Stdin);
    }

    #[test]
    fn what_is_no_recipient_is_refused() {
        for words in [["-", "hi"], ["", "hi"]] {
            assert_eq!(split(strings(&words), None, Vec::new()).unwrap_err().code, ErrorCode::Usage);
        }
        let many: Vec<String> = (0..=RECIPIENTS).map(|n| n.to_string()).collect();
        assert_eq!(split(vec!["hi".into()], None, many).unwrap_err().code, ErrorCode::TooManyRecipients);
    }

    #[test]
    fn the_limit_is_in_bytes_and_exact() {
        assert!(check(&"x".repeat(TEXT_BYTES)).is_ok());
        assert_eq!(check(&"é".repeat(TEXT_BYTES / 2 + 1)).unwrap_err().code, ErrorCode::MessageTooLarge);
        assert_eq!(check("").unwrap_err().code, ErrorCode::EmptyMessage);
        assert_eq!(check(" \n\t").unwrap_err().code, ErrorCode::EmptyMessage);
    }
}
