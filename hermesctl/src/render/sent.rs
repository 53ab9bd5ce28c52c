//! What became of a send.

use std::time::Duration;

use hermes_api::{Exit, MessageState, Problem, SendResult, SentMessages, Wait};

use crate::{
    duration,
    output::{GOOD, Line, NAME, WARN},
};

/// One recipient's result: good news and patience are results, failures are errors.
pub(crate) enum Verdict {
    /// For standard output.
    Sent(Line),
    /// For standard error.
    Failed(Problem),
}

/// The verdict on one recipient.
pub(crate) fn verdict(result: &SendResult, wait: Wait, taken: Duration) -> Verdict {
    if let Some(error) = &result.error {
        let message = match error.message.contains(&result.to) {
            true => error.message.clone(),
            false => format!("{}: {}", result.to, error.message),
        };
        return Verdict::Failed(Problem::new(error.code, message, &error.hint));
    }
    let reference = result.reference.as_deref().unwrap_or(&result.to);
    let state = word(result.state);
    let line = Line::default();
    Verdict::Sent(match wait {
        Wait::None => line.styled(GOOD, "✓ ").styled(NAME, reference).plain(format!(" {state}")),
        _ if reached(result.state, wait) => {
            let taken = duration::taken(taken);
            line.styled(GOOD, "✓ ").styled(NAME, reference).plain(format!(" {state} ({taken})"))
        }
        _ => {
            let missing = format!(" {state}, not {} after {}", target(wait), duration::taken(taken));
            line.styled(WARN, "… ").styled(NAME, reference).plain(missing)
        }
    })
}

/// The exit code that sums the results up.
pub(crate) fn exit(sent: &SentMessages) -> Exit {
    let errors: Vec<Exit> =
        sent.results.iter().filter_map(|result| Some(result.error.as_ref()?.code.exit())).collect();
    match errors.as_slice() {
        [] if sent.timed_out => Exit::TimedOut,
        [] => Exit::Ok,
        _ if errors.len() < sent.results.len() => Exit::Partial,
        [first, rest @ ..] if rest.iter().all(|exit| exit == first) => *first,
        _ => Exit::Failure,
    }
}

fn reached(state: MessageState, wait: Wait) -> bool {
    match wait {
        Wait::None => true,
        Wait::Relayed => {
            matches!(state, MessageState::Relayed | MessageState::Delivered | MessageState::Read)
        }
        Wait::Delivered => matches!(state, MessageState::Delivered | MessageState::Read),
        Wait::Read => state == MessageState::Read,
    }
}

fn target(wait: Wait) -> &'static str {
    match wait {
        Wait::None => "queued",
        Wait::Relayed => "relayed",
        Wait::Delivered => "delivered",
        Wait::Read => "read",
    }
}

fn word(state: MessageState) -> &'static str {
    match state {
        MessageState::Queued => "queued",
        MessageState::Relayed => "relayed",
        MessageState::Delivered => "delivered",
        MessageState::Read => "read",
        MessageState::Failed => "failed",
    }
}

#[cfg(test)]
mod tests {
    use hermes_api::{ErrorCode, V1};

    use super::*;

    fn result(state: MessageState, error: Option<ErrorCode>) -> SendResult {
        SendResult {
            to: "bob".into(),
            id: Some("9f".repeat(16)),
            reference: Some("bob#43".into()),
            state,
            error: error.map(|code| Problem::new(code, "no", "do")),
            recipients: Vec::new(),
        }
    }

    fn line(state: MessageState, wait: Wait) -> String {
        match verdict(&result(state, None), wait, Duration::from_millis(200)) {
            Verdict::Sent(line) => line.text(),
            Verdict::Failed(problem) => panic!("{problem}"),
        }
    }

    #[test]
    fn only_what_was_reached_is_called_done() {
        assert_eq!(line(MessageState::Queued, Wait::None), "✓ bob#43 queued");
        assert_eq!(line(MessageState::Delivered, Wait::Delivered), "✓ bob#43 delivered (0.2s)");
        assert_eq!(line(MessageState::Delivered, Wait::Relayed), "✓ bob#43 delivered (0.2s)");
        assert_eq!(line(MessageState::Delivered, Wait::Read), "… bob#43 delivered, not read after 0.2s");
        assert_eq!(line(MessageState::Read, Wait::Delivered), "✓ bob#43 read (0.2s)");
        assert_eq!(
            line(MessageState::Relayed, Wait::Delivered),
            "… bob#43 relayed, not delivered after 0.2s"
        );
        let failed =
            verdict(&result(MessageState::Failed, Some(ErrorCode::MailboxFull)), Wait::None, Duration::ZERO);
        assert!(matches!(failed, Verdict::Failed(problem) if problem.message == "bob: no"));
    }

    #[test]
    fn the_exit_code_sums_up() {
        let sum = |errors: &[Option<ErrorCode>], timed_out| {
            let results = errors.iter().map(|error| result(MessageState::Queued, *error)).collect();
            exit(&SentMessages { v: V1, results, timed_out })
        };
        let (unknown, changed) = (Some(ErrorCode::ContactNotFound), Some(ErrorCode::IdentityChanged));
        assert_eq!(sum(&[None], false), Exit::Ok);
        assert_eq!(sum(&[None, None], true), Exit::TimedOut);
        assert_eq!(sum(&[None, unknown], true), Exit::Partial);
        assert_eq!(sum(&[unknown, unknown], false), Exit::NotFound);
        assert_eq!(sum(&[changed], false), Exit::IdentityChanged);
        assert_eq!(sum(&[unknown, changed], false), Exit::Failure);
    }
}
