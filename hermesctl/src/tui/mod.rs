//! `hermesctl tui`: conversations on the whole screen.
//!
//! The state ([`model`]) is changed by keys and by what the daemon says, and drawn from scratch each time; only
//! [`screen`] knows the terminal, only [`courier`] the daemon. Events only wake where they can: the lists are the truth.

mod courier;
mod editor;
mod history;
mod keys;
mod model;
mod overlay;
mod paint;
mod screen;
mod search;
#[cfg(test)]
mod tests;
mod update;
mod view;

use std::{
    io::{self, IsTerminal},
    thread,
    time::SystemTime,
};

use hermes_api::{Event, Exit};
use jiff::tz::TimeZone;
use ratatui_crossterm::crossterm::event::{self, Event as TerminalEvent, KeyEvent};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::mpsc,
};

use self::{
    courier::{Answer, Courier, Reach},
    keys::Flow,
    model::{Model, Watched},
    paint::Paint,
    screen::Screen,
};
use crate::{cli, invocation::Invocation, limits::TUI_INPUTS, output::Format, stop::Stop};

/// Everything that can happen.
#[derive(Debug)]
enum Input {
    Key(KeyEvent),
    Paste(String),
    /// The window has another size.
    Resized,
    Watched(Watched),
    Answer(Answer),
    Event(Event),
    Daemon(Reach),
    /// Somebody else has stopped this program, and it goes on.
    Continued,
    /// There is no terminal any more.
    Hangup,
}

/// Runs until the user leaves.
pub(crate) async fn run(args: cli::Tui, invocation: &mut Invocation) -> Result<Exit, Stop> {
    if invocation.output.format == Format::Json {
        return Err(Stop::usage("tui has no JSON", "for programs: hermesctl inbox --follow --json"));
    }
    if !io::stdin().is_terminal() || !io::stdout().is_terminal() {
        return Err(Stop::usage("tui needs a terminal", "for scripts: hermesctl inbox, log and send"));
    }
    let account = invocation.account().await?;
    // What does not work now is said before the screen is taken.
    let chats = invocation.daemon.repeatable(async |client| client.chats(&account).await).await?;
    let mut model = Model::new(account.clone(), TimeZone::system());
    model.answered(Answer::Chats(chats));
    model.refresh();
    if let Some(name) = args.chat {
        invocation.daemon.repeatable(async |client| client.chat(&account, &name).await).await?;
        model.open_chat(&name);
    }
    let status = invocation.daemon.repeatable(async |client| client.status().await).await?;
    let own = status.accounts.into_iter().find(|status| status.name == account);
    model.relay = own.map(|own| own.connection.state);
    let paint = match anstream::AutoStream::choice(&io::stdout()) {
        anstream::ColorChoice::Never => Paint::Plain,
        _ => Paint::Coloured,
    };
    let (inputs, queue) = mpsc::channel(TUI_INPUTS);
    let courier = Courier::start(invocation.daemon.client.clone(), account, inputs.clone());
    let screen = Screen::enter()?;
    thread::spawn({
        let inputs = inputs.clone();
        move || read_terminal(&inputs)
    });
    tell_of_continuing(inputs)?;
    show(model, screen, paint, courier, queue).await?;
    Ok(Exit::Ok)
}

async fn show(
    mut model: Model,
    mut screen: Screen,
    paint: Paint,
    courier: Courier,
    mut queue: mpsc::Receiver<Input>,
) -> io::Result<()> {
    loop {
        let mut shown = view::Shown::default();
        screen.draw(|frame| {
            view::fit(&mut model, frame.area());
            shown = view::draw(&model, frame.buffer_mut(), paint, SystemTime::now().into());
            if let Some(cursor) = shown.cursor {
                frame.set_cursor_position(cursor);
            }
        })?;
        model.seen(&shown.messages);
        for request in std::mem::take(&mut model.requests) {
            if let Err(request) = courier.request(request) {
                model.not_taken(request);
            }
        }
        let Some(first) = queue.recv().await else { return Ok(()) };
        // What is there already is drawn once; not for ever, or a flood of events would hide what the keys do.
        let more = std::iter::from_fn(|| queue.try_recv().ok()).take(TUI_INPUTS);
        for input in std::iter::once(first).chain(more) {
            match take(&mut model, input) {
                Flow::Stay => {}
                Flow::Redraw => screen.resume()?,
                Flow::Suspend => screen.suspend()?,
                Flow::Leave => return Ok(()),
            }
        }
    }
}

fn take(model: &mut Model, input: Input) -> Flow {
    match input {
        Input::Key(key) => {
            model.watched = Watched::Yes;
            return model.pressed(key, || format!("{:032x}", rand::random::<u128>()));
        }
        Input::Paste(text) => model.pasted(&text),
        Input::Resized => {}
        Input::Watched(watched) => model.watched = watched,
        Input::Answer(answer) => model.answered(answer),
        Input::Event(event) => model.happened(event),
        Input::Daemon(reach) => model.reached(reach),
        Input::Continued => return Flow::Redraw,
        Input::Hangup => return Flow::Leave,
    }
    Flow::Stay
}

/// Reads keys until nobody wants them any more. The terminal's end ends it, too.
fn read_terminal(inputs: &mpsc::Sender<Input>) {
    while let Ok(event) = event::read() {
        let input = match event {
            TerminalEvent::Key(key) => Input::Key(key),
            TerminalEvent::Paste(text) => Input::Paste(text),
            TerminalEvent::Resize(..) => Input::Resized,
            TerminalEvent::FocusGained => Input::Watched(Watched::Yes),
            TerminalEvent::FocusLost => Input::Watched(Watched::No),
            TerminalEvent::Mouse(_) => continue,
        };
        if inputs.blocking_send(input).is_err() {
            return;
        }
    }
    // Nobody may be left to hear it.
    let _ = inputs.blocking_send(Input::Hangup);
}

fn tell_of_continuing(inputs: mpsc::Sender<Input>) -> io::Result<()> {
    let number = rustix::process::Signal::CONT.as_raw();
    let mut continued = signal(SignalKind::from_raw(number))?;
    tokio::spawn(async move {
        while continued.recv().await.is_some() {
            if inputs.send(Input::Continued).await.is_err() {
                return;
            }
        }
    });
    Ok(())
}
