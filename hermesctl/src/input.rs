//! Reading from standard input: piped text, and answers to questions.

use std::io::{self, BufRead, IsTerminal, Read, Write};

use hermes_api::{ErrorCode, Passphrase, Problem};
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};

use crate::limits::PASSPHRASE_BYTES;

/// Whether questions may be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Questions {
    /// There is a person at the terminal.
    Allowed,
    /// Standard input is no terminal, or the user said `--no-input`.
    Off,
}

impl Questions {
    pub(crate) fn new(no_input: bool) -> Self {
        match !no_input && io::stdin().is_terminal() {
            true => Self::Allowed,
            false => Self::Off,
        }
    }
}

/// Why standard input is no text.
#[derive(Debug, thiserror::Error)]
enum TextError {
    #[error("standard input holds more than {0} bytes")]
    TooLong(usize),
    #[error("standard input is not UTF-8 text")]
    NotText,
    #[error("cannot read standard input: {0}")]
    Io(#[from] io::Error),
}

/// Reads all of standard input as text of at most `limit` bytes, without one newline at its end: the one that every
/// program's output ends with.
pub(crate) async fn text(limit: usize) -> Result<String, Problem> {
    // Its own thread, so that an interrupt is heard while nobody writes to the pipe.
    let read = tokio::task::spawn_blocking(move || read_text(io::stdin().lock(), limit));
    match read.await {
        Ok(Ok(text)) => Ok(text),
        Ok(Err(error)) => {
            let (code, hint) = match error {
                TextError::TooLong(_) => (ErrorCode::MessageTooLarge, "shorten it or send it in parts"),
                TextError::NotText => {
                    (ErrorCode::Usage, "convert it first, for example with iconv or base64")
                }
                TextError::Io(_) => (ErrorCode::Io, ""),
            };
            Err(Problem::new(code, error.to_string(), hint))
        }
        Err(panicked) => Err(Problem::new(ErrorCode::Internal, panicked.to_string(), "")),
    }
}

fn read_text(input: impl Read, limit: usize) -> Result<String, TextError> {
    let mut bytes = Vec::new();
    // One byte for the newline that is cut off, one to see that there is more.
    input.take(limit as u64 + 2).read_to_end(&mut bytes)?;
    if bytes.last() == Some(&b'\n') {
        bytes.pop();
    }
    if bytes.len() > limit {
        return Err(TextError::TooLong(limit));
    }
    String::from_utf8(bytes).map_err(|_| TextError::NotText)
}

/// Asks a question on standard error and returns the answer, one line without the space around it.
pub(crate) async fn ask(question: &str) -> Result<String, Problem> {
    ask_line(question).await.map(|answer| answer.trim().to_owned())
}

async fn ask_line(question: &str) -> Result<String, Problem> {
    let question = format!("{question} ");
    let read = tokio::task::spawn_blocking(move || {
        let mut stderr = io::stderr();
        stderr.write_all(question.as_bytes())?;
        stderr.flush()?;
        let mut answer = String::new();
        io::stdin().lock().read_line(&mut answer)?;
        Ok::<_, io::Error>(answer)
    });
    let failed =
        |message: String| Problem::new(ErrorCode::Io, format!("cannot read the answer: {message}"), "");
    read.await.map_err(|error| failed(error.to_string()))?.map_err(|error| failed(error.to_string()))
}

/// Whether a passphrase is typed twice, because nobody sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Repeat {
    Yes,
    No,
}

/// Asks for passphrases on a terminal, without showing them; else reads them from standard input, one a line.
pub(crate) async fn passphrases(questions: &[(&str, Repeat)]) -> Result<Vec<Passphrase>, Problem> {
    if questions.is_empty() {
        return Ok(Vec::new());
    }
    if !io::stdin().is_terminal() {
        let lines = text((PASSPHRASE_BYTES + 1) * questions.len()).await?;
        let mut lines = lines.split('\n');
        // A line that is missing is an empty one.
        return Ok(questions.iter().map(|_| Passphrase::new(lines.next().unwrap_or_default())).collect());
    }
    let mut answers = Vec::new();
    for (question, repeat) in questions {
        let first = ask_quietly(question).await?;
        if *repeat == Repeat::Yes && ask_quietly("The same again:").await? != first {
            return Err(Problem::new(ErrorCode::Usage, "the two are not the same", "run the command again"));
        }
        answers.push(first);
    }
    Ok(answers)
}

async fn ask_quietly(question: &str) -> Result<Passphrase, Problem> {
    // Ends with this future too, so that an interrupt leaves the terminal as it was.
    let _quiet = Quiet::begin().map_err(|error| {
        Problem::new(ErrorCode::Io, format!("the terminal cannot be silenced: {error}"), "")
    })?;
    let answer = ask_line(question).await.map(|mut answer| {
        // Only what Enter adds: space at the ends may be meant.
        answer.truncate(answer.trim_end_matches(['\n', '\r']).len());
        Passphrase::new(answer)
    });
    // The newline that was typed was not shown either.
    let _shown = io::stderr().write_all(b"\n");
    answer
}

/// A terminal that does not show what is typed, until this is dropped.
struct Quiet(Termios);

impl Quiet {
    fn begin() -> io::Result<Self> {
        let before = tcgetattr(io::stdin())?;
        let mut quiet = before.clone();
        quiet.local_modes.remove(LocalModes::ECHO);
        tcsetattr(io::stdin(), OptionalActions::Flush, &quiet)?;
        Ok(Self(before))
    }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        // Nothing is left to be done for a terminal that is gone.
        let _ = tcsetattr(io::stdin(), OptionalActions::Now, &self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_newline_is_cut_and_the_limit_is_exact() {
        assert_eq!(read_text("a\nb\n\n".as_bytes(), 16).unwrap(), "a\nb\n");
        assert_eq!(read_text("".as_bytes(), 16).unwrap(), "");
        assert_eq!(read_text("12345678\n".as_bytes(), 8).unwrap(), "12345678");
        assert!(matches!(read_text("123456789".as_bytes(), 8), Err(TextError::TooLong(8))));
        assert!(matches!(read_text("123456789\n".as_bytes(), 8), Err(TextError::TooLong(8))));
        assert!(matches!(read_text(&b"\xff"[..], 8), Err(TextError::NotText)));
    }
}
