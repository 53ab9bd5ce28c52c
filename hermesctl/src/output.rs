//! The one layer between the program and the terminal: every text is cleaned here, and only here are styles added.
//! Results go to standard output, everything else to standard error.

use std::{
    borrow::Cow,
    io::{self, IsTerminal, Write},
};

use anstyle::{AnsiColor, Style};
use hermes_api::{Exit, Failure, Problem};
use serde::Serialize;

use crate::{
    clean, cli,
    progress::{Progress, Watched},
    render::table,
    stop::Stop,
};

/// What went well.
pub(crate) const GOOD: Style = AnsiColor::Green.on_default();
/// What went wrong.
pub(crate) const BAD: Style = AnsiColor::Red.on_default().bold();
/// What asks for patience or attention.
pub(crate) const WARN: Style = AnsiColor::Yellow.on_default();
/// Names and references.
pub(crate) const NAME: Style = Style::new().bold();
/// What is there for those who look twice.
pub(crate) const DIM: Style = Style::new().dimmed();

/// One line of pieces of text, each with a style. Holds raw text; it is cleaned when it is written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Line(Vec<(Style, String)>);

impl Line {
    /// A line that starts with plain text.
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self::default().plain(text)
    }

    /// Adds plain text.
    pub(crate) fn plain(self, text: impl Into<String>) -> Self {
        self.styled(Style::new(), text)
    }

    /// Adds styled text.
    pub(crate) fn styled(mut self, style: Style, text: impl Into<String>) -> Self {
        self.0.push((style, text.into()));
        self
    }

    /// Adds all of another line.
    pub(crate) fn then(mut self, other: Self) -> Self {
        self.0.extend(other.0);
        self
    }

    /// Its pieces, cleaned, for a program that has the whole screen.
    pub(crate) fn pieces(&self) -> impl Iterator<Item = (Style, Cow<'_, str>)> {
        self.0.iter().map(|(style, text)| (*style, clean::line(text)))
    }

    fn render(&self) -> String {
        let mut rendered = String::new();
        for (style, text) in self.pieces() {
            rendered.push_str(&format!("{style}{text}{style:#}"));
        }
        rendered
    }

    /// The line as it reads without styles.
    #[cfg(test)]
    pub(crate) fn text(&self) -> String {
        self.0.iter().map(|(_, text)| clean::line(text)).collect()
    }
}

/// Who reads standard output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// A person.
    Text,
    /// A program.
    Json,
}

/// Standard output. Lines collect until [`Output::flush`], so that what depends on their having been written comes
/// after a flush that succeeded.
#[derive(Debug)]
pub(crate) struct Output {
    pub(crate) format: Format,
    /// Columns of the terminal; nothing when standard output is none.
    pub(crate) width: Option<u16>,
    pending: String,
}

impl Output {
    pub(crate) fn new(global: &cli::Global) -> Self {
        let choice = match global.color {
            cli::Color::Auto => anstream::ColorChoice::Auto,
            cli::Color::Always => anstream::ColorChoice::Always,
            cli::Color::Never => anstream::ColorChoice::Never,
        };
        choice.write_global();
        let format = if global.json { Format::Json } else { Format::Text };
        Self { format, width: terminal_width(), pending: String::new() }
    }

    /// Adds a line.
    pub(crate) fn line(&mut self, line: &Line) {
        self.pending.push_str(&line.render());
        self.pending.push('\n');
    }

    /// Adds a document as one line of JSON.
    pub(crate) fn json(&mut self, document: &impl Serialize) -> Result<(), io::Error> {
        let document = serde_json::to_string(document)?;
        self.pending.push_str(&clean::json(&document));
        self.pending.push('\n');
        Ok(())
    }

    /// Adds a document that is JSON already, made for reading on a terminal.
    pub(crate) fn document(&mut self, json: &str) {
        let value = self.width.and_then(|_| serde_json::from_str::<serde_json::Value>(json).ok());
        let pretty = value.and_then(|value| serde_json::to_string_pretty(&value).ok());
        match pretty {
            Some(pretty) => pretty.lines().for_each(|line| self.line(&Line::new(clean::json(line)))),
            None => self.line(&Line::new(clean::json(json))),
        }
    }

    /// Writes bytes of this program's own making as they are.
    pub(crate) fn verbatim(&mut self, bytes: &[u8]) -> Result<Exit, Stop> {
        let mut stdout = io::stdout();
        stdout.write_all(bytes)?;
        stdout.flush()?;
        Ok(Exit::Ok)
    }

    /// Adds rows of cells: columns on a terminal, tabs elsewhere.
    pub(crate) fn table(&mut self, header: &[&str], rows: &[Vec<String>]) {
        let Some(width) = self.width else {
            for row in rows {
                let row: Vec<_> = row.iter().map(|cell| clean::line(cell)).collect();
                self.pending.push_str(&row.join("\t"));
                self.pending.push('\n');
            }
            return;
        };
        table::lines(header, rows, width.into()).iter().for_each(|line| self.line(line));
    }

    /// Writes everything that has collected and waits until the system has it.
    pub(crate) fn flush(&mut self) -> Result<(), io::Error> {
        let pending = std::mem::take(&mut self.pending);
        let mut stdout = anstream::stdout();
        stdout.write_all(pending.as_bytes())?;
        stdout.flush()
    }
}

/// Standard error: what a person should know and no program reads. A failure to write there changes nothing.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Notes {
    quiet: bool,
    verbose: bool,
    format: Format,
}

impl Notes {
    pub(crate) fn new(global: &cli::Global) -> Self {
        let format = if global.json { Format::Json } else { Format::Text };
        Self { quiet: global.quiet, verbose: global.verbose, format }
    }

    /// Says something, unless asked to be quiet.
    pub(crate) fn say(&self, line: &Line) {
        if !self.quiet {
            print(line);
        }
    }

    /// A bar for those who wait.
    pub(crate) fn progress(&self, what: &'static str) -> Progress {
        let watched = if self.quiet || self.format == Format::Json { Watched::No } else { Watched::Yes };
        Progress::new(what, watched)
    }

    /// An amount that grows, for those who wait.
    pub(crate) fn amount(&self, what: &'static str) -> Progress {
        let watched = if self.quiet || self.format == Format::Json { Watched::No } else { Watched::Yes };
        Progress::amount(what, watched)
    }

    /// Whether more was asked for.
    pub(crate) fn is_verbose(&self) -> bool {
        self.verbose
    }

    /// Says something to those who asked for more.
    pub(crate) fn detail(&self, line: &Line) {
        if self.verbose {
            print(line);
        }
    }

    /// Reports an error: what happened and, on a line of its own, what to do.
    pub(crate) fn problem(&self, problem: &Problem) {
        match self.format {
            Format::Json => {
                let failure = serde_json::to_string(&Failure::from(problem.clone())).unwrap_or_default();
                let _ = writeln!(anstream::stderr(), "{}", clean::json(&failure));
            }
            Format::Text => {
                let mut lines = problem.message.lines();
                print(&Line::default().styled(BAD, "error: ").plain(lines.next().unwrap_or_default()));
                lines.for_each(|line| print(&Line::new(format!("  {line}"))));
                if !problem.hint.is_empty() {
                    print(&Line::default().styled(DIM, "  → ").plain(&problem.hint));
                }
            }
        }
    }
}

fn print(line: &Line) {
    let _ = writeln!(anstream::stderr(), "{}", line.render());
}

/// Narrower than this, folding would leave a column of single letters.
const MIN_WIDTH: u16 = 40;

fn terminal_width() -> Option<u16> {
    let stdout = io::stdout();
    if !stdout.is_terminal() {
        return None;
    }
    let columns = rustix::termios::tcgetwinsize(&stdout).map_or(0, |size| size.ws_col);
    // A terminal that does not know its size reports 0.
    Some(if columns == 0 { 80 } else { columns.max(MIN_WIDTH) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn output(width: Option<u16>) -> Output {
        Output { format: Format::Text, width, pending: String::new() }
    }

    #[test]
    fn styles_are_ours_and_escapes_of_others_are_not() {
        let mut output = output(None);
        output.line(&Line::default().styled(NAME, "\u{1b}[2Jbob").plain(" ok"));
        assert_eq!(output.pending, format!("{NAME}␛[2Jbob{NAME:#} ok\n"));
    }

    #[test]
    fn tables_are_columns_on_a_terminal_and_tabs_elsewhere() {
        let rows = [vec!["bob\u{202e}".to_owned(), "ready".to_owned()]];
        let mut piped = output(None);
        piped.table(&["name", "state"], &rows);
        assert_eq!(piped.pending, "bob\u{fffd}\tready\n");
        let mut terminal = output(Some(80));
        terminal.table(&["name", "state"], &rows);
        let lines: Vec<&str> = terminal.pending.lines().collect();
        assert!(
            lines.len() == 2 && lines[0].contains("name") && lines[1].contains("bob\u{fffd}"),
            "{lines:?}"
        );
    }
}
