//! `hermesctl tui`: conversations on the whole screen.
//!
//! The state ([`model`]) is changed by what the user does and what the daemon says ([`update`]), and drawn from scratch each
//! time ([`view`]); only [`screen`] knows the terminal, only [`courier`] the daemon. Events only wake where they can: the
//! lists are the truth.

mod courier;
mod editor;
mod model;
mod screen;
mod seams;
mod steady;
mod tasks;
#[cfg(test)]
mod tests;
mod update;
mod view;

use std::{
    io::{self, IsTerminal},
    time::SystemTime,
};

use hermes_api::{Event, Exit};
use jiff::tz::TimeZone;
use ratatui_crossterm::crossterm::event::{self, Event as TerminalEvent, KeyEvent, MouseEvent};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::mpsc,
};

use self::{
    courier::{Answer, Courier, Reach},
    model::{Model, Watched},
    screen::{Mouse, Screen},
    tasks::Tasks,
    update::Flow,
    view::Paint,
};
use crate::{cli, invocation::Invocation, limits::TUI_INPUTS, output::Format, stop::Stop};

/// Everything that can happen.
#[derive(Debug)]
enum Input {
    Key(KeyEvent),
    Mouse(MouseEvent),
    Paste(String),
    /// The window has another size.
    Resized,
    Watched(Watched),
    Answer(Answer),
    Event(Event),
    Daemon(Reach),
    /// Somebody else has stopped this program, and it goes on.
    Continued,
}

/// Runs until the user leaves.
pub(crate) async fn run(args: cli::Tui, invocation: &mut Invocation) -> Result<Exit, Stop> {
    if invocation.output.format == Format::Json {
        return Err(Stop::usage("tui has no JSON", "for programs: hermesctl inbox --follow --json"));
    }
    if !io::stdin().is_terminal() || !io::stdout().is_terminal() {
        return Err(Stop::usage("tui needs a terminal", "for scripts: hermesctl inbox, log and send"));
    }
    // What does not work now is said before the screen is taken.
    let account = invocation.account().await?;
    let model = begin(&account, args.chat.as_deref(), invocation).await?;
    let paint = match anstream::AutoStream::choice(&io::stdout()) {
        anstream::ColorChoice::Never => Paint::Plain,
        _ => Paint::Coloured,
    };
    let (inputs, queue) = mpsc::channel(TUI_INPUTS);
    let mut tasks = Tasks::default();
    let courier = Courier::start(invocation.daemon.client.clone(), account, inputs.clone(), &mut tasks);
    tasks.spawn("hears of being continued", tell_of_continuing(inputs.clone())?);
    let screen = Screen::enter(if args.mouse { Mouse::Ours } else { Mouse::OfTheTerminal })?;
    tasks.spawn_thread("reads the keys", move || read_terminal(&inputs));
    show(model, screen, paint, courier, queue, tasks).await?;
    Ok(Exit::Ok)
}

/// The state as it is at first.
async fn begin(account: &str, chat: Option<&str>, invocation: &Invocation) -> Result<Model, Stop> {
    let daemon = &invocation.daemon;
    let mut model = Model::new(account.to_owned(), TimeZone::system());
    let chats = daemon.repeatable(async |client| client.chats(account).await).await?;
    model.answered(Answer::Chats(chats));
    model.refresh();
    match chat {
        Some(name) => {
            daemon.repeatable(async |client| client.chat(account, name).await).await?;
            model.open_chat(name);
        }
        None => model.open_newest(),
    }
    let status = daemon.repeatable(async |client| client.status().await).await?;
    let own = status.accounts.into_iter().find(|status| status.name == account);
    model.relay = own.map(|own| own.connection.state);
    Ok(model)
}

async fn show(
    mut model: Model,
    mut screen: Screen,
    paint: Paint,
    courier: Courier,
    mut queue: mpsc::Receiver<Input>,
    mut tasks: Tasks,
) -> Result<(), Stop> {
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
        let first = tokio::select! {
            biased;
            // Without it the screen would go on showing what is not so any more.
            problem = tasks.ended() => return Err(problem.into()),
            input = queue.recv() => input,
        };
        // What is there already is drawn once; not for ever, or a flood of events would hide what the keys do.
        let more = std::iter::from_fn(|| queue.try_recv().ok()).take(TUI_INPUTS);
        for input in first.into_iter().chain(more) {
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
        Input::Mouse(event) => model.pointed(event),
        Input::Paste(text) => model.pasted(&text),
        Input::Resized => {}
        Input::Watched(watched) => model.watched = watched,
        Input::Answer(answer) => model.answered(answer),
        Input::Event(event) => model.happened(event),
        Input::Daemon(reach) => model.reached(reach),
        Input::Continued => return Flow::Redraw,
    }
    Flow::Stay
}

/// Reads keys until nobody wants them any more.
fn read_terminal(inputs: &mpsc::Sender<Input>) -> io::Result<()> {
    loop {
        let input = match event::read()? {
            TerminalEvent::Key(key) => Input::Key(key),
            TerminalEvent::Paste(text) => Input::Paste(text),
            TerminalEvent::Resize(..) => Input::Resized,
            TerminalEvent::FocusGained => Input::Watched(Watched::Yes),
            TerminalEvent::FocusLost => Input::Watched(Watched::No),
            TerminalEvent::Mouse(event) => Input::Mouse(event),
        };
        if inputs.blocking_send(input).is_err() {
            return Ok(());
        }
    }
}

fn tell_of_continuing(inputs: mpsc::Sender<Input>) -> io::Result<impl Future<Output = ()> + Send + 'static> {
    let number = rustix::process::Signal::CONT.as_raw();
    let mut continued = signal(SignalKind::from_raw(number))?;
    Ok(async move {
        while continued.recv().await.is_some() {
            if inputs.send(Input::Continued).await.is_err() {
                return;
            }
        }
    })
}
