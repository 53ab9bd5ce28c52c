//! The terminal while the program has it for itself, and giving it back whatever happens.

use std::{
    io::{self, Stdout, stdout},
    mem::ManuallyDrop,
    panic,
    sync::{
        Once,
        atomic::{AtomicBool, Ordering},
    },
};

use ratatui_core::terminal::{Frame, Terminal};
use ratatui_crossterm::{
    CrosstermBackend,
    crossterm::{
        cursor::Show,
        event::{
            DisableBracketedPaste, DisableFocusChange, DisableMouseCapture, EnableBracketedPaste,
            EnableFocusChange, EnableMouseCapture,
        },
        execute,
        terminal::{EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode},
    },
};
use rustix::process::{Signal, getpid, kill_process};

use super::seams::Seams;

/// Set by a panic, whichever thread has it: what it reports must not be drawn over.
static PANICKED: AtomicBool = AtomicBool::new(false);

/// Who has the mouse. While it is ours, the terminal selects no text with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mouse {
    Ours,
    OfTheTerminal,
}

/// The whole screen. Given back when dropped, and before a panic is reported.
pub(super) struct Screen {
    /// Never dropped: it would show the cursor, which is done here, and panic where there is no terminal any more.
    terminal: ManuallyDrop<Terminal<CrosstermBackend<Stdout>>>,
    mouse: Mouse,
    seams: Seams,
}

impl Screen {
    pub(super) fn enter(mouse: Mouse) -> io::Result<Self> {
        static HOOK: Once = Once::new();
        HOOK.call_once(|| {
            let report = panic::take_hook();
            panic::set_hook(Box::new(move |info| {
                PANICKED.store(true, Ordering::SeqCst);
                give_back();
                report(info);
            }));
        });
        let terminal = ManuallyDrop::new(Terminal::new(CrosstermBackend::new(stdout()))?);
        // From here on there is something to give back, also when the rest fails.
        let screen = Self { terminal, mouse, seams: Seams::default() };
        take(mouse)?;
        Ok(screen)
    }

    pub(super) fn draw(&mut self, draw: impl FnOnce(&mut Frame<'_>)) -> io::Result<()> {
        if PANICKED.load(Ordering::SeqCst) {
            return Ok(());
        }
        let seams = &mut self.seams;
        let drawn = self.terminal.draw(|frame| {
            draw(frame);
            seams.sew(frame.buffer_mut());
        });
        drawn.map(|_| ())
    }

    /// Draws everything anew the next time: something else may have written on the screen. Terminal::clear would ask
    /// the terminal where the cursor is, and the answer is among the keys that another thread reads.
    fn clear(&mut self) -> io::Result<()> {
        let size = self.terminal.size()?;
        self.terminal.resize(size.into())
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
        take(self.mouse)?;
        self.clear()
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        give_back();
    }
}

fn take(mouse: Mouse) -> io::Result<()> {
    enable_raw_mode()?;
    execute!(stdout(), EnterAlternateScreen, EnableBracketedPaste, EnableFocusChange)?;
    match mouse {
        Mouse::Ours => execute!(stdout(), EnableMouseCapture),
        Mouse::OfTheTerminal => Ok(()),
    }
}

/// Errors would mean that there is no terminal any more to give back.
fn give_back() {
    let _ = execute!(
        stdout(),
        DisableMouseCapture,
        DisableFocusChange,
        DisableBracketedPaste,
        LeaveAlternateScreen,
        Show
    );
    let _ = disable_raw_mode();
}
