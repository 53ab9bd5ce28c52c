//! The terminal while the program has it for itself, and giving it back whatever happens.

use std::{
    io::{self, Stdout, stdout},
    panic,
    sync::Once,
};

use ratatui_core::terminal::{Frame, Terminal};
use ratatui_crossterm::{
    CrosstermBackend,
    crossterm::{
        cursor::Show,
        event::{DisableBracketedPaste, DisableFocusChange, EnableBracketedPaste, EnableFocusChange},
        execute,
        terminal::{EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode},
    },
};
use rustix::process::{Signal, getpid, kill_process};

/// The whole screen. Given back when dropped, and before a panic is reported.
pub(super) struct Screen(Terminal<CrosstermBackend<Stdout>>);

impl Screen {
    pub(super) fn enter() -> io::Result<Self> {
        static HOOK: Once = Once::new();
        HOOK.call_once(|| {
            let report = panic::take_hook();
            panic::set_hook(Box::new(move |info| {
                give_back();
                report(info);
            }));
        });
        let terminal = Terminal::new(CrosstermBackend::new(stdout()))?;
        // From here on there is something to give back, also when the rest fails.
        let screen = Self(terminal);
        take()?;
        Ok(screen)
    }

    pub(super) fn draw(&mut self, draw: impl FnOnce(&mut Frame<'_>)) -> io::Result<()> {
        self.0.draw(draw).map(|_| ())
    }

    /// Draws everything anew the next time: something else may have written on the screen. Terminal::clear would ask
    /// the terminal where the cursor is, and the answer is among the keys that another thread reads.
    fn clear(&mut self) -> io::Result<()> {
        let size = self.0.size()?;
        self.0.resize(size.into())
    }

    /// Gives the terminal back to the shell until it continues this program.
    pub(super) fn suspend(&mut self) -> io::Result<()> {
        give_back();
        // Returns when the program is continued.
        kill_process(getpid(), Signal::TSTP)?;
        self.resume()
    }

    /// Takes the terminal again after something else had it.
    pub(super) fn resume(&mut self) -> io::Result<()> {
        take()?;
        self.clear()
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        give_back();
    }
}

fn take() -> io::Result<()> {
    enable_raw_mode()?;
    execute!(stdout(), EnterAlternateScreen, EnableBracketedPaste, EnableFocusChange)
}

/// Errors would mean that there is no terminal any more to give back.
fn give_back() {
    let _ = execute!(stdout(), DisableFocusChange, DisableBracketedPaste, LeaveAlternateScreen, Show);
    let _ = disable_raw_mode();
}
