//! The state and what it looks like, without a terminal.

mod said;
mod window;

use std::collections::BTreeMap;

use hermes_api::{
    Body, Chat, ChatWith, Chats, Direction, ErrorCode, Event, Message, MessagePage, MessageState, Problem,
    Reaction, SendResult, SentMessages, UnixMillis, V1,
};
use jiff::tz::TimeZone;
use ratatui_core::{backend::TestBackend, terminal::Terminal};
use ratatui_crossterm::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::{
    Flow, Input,
    courier::{Answer, Reach, Request, Side},
    model::{Beyond, Model, Overlay, Said, Sending, Watched},
    take,
    update::HELP,
    view::{self, Paint},
};
use crate::render::message::tests::incoming;

/// The program with a terminal of this size, and a daemon that answers when the test says so.
struct Bench {
    model: Model,
    terminal: Terminal<TestBackend>,
}

impl Bench {
    fn new(width: u16, height: u16) -> Self {
        let mut model = Model::new("me".into(), TimeZone::UTC);
        let chat = |name: &str, unread| Chat {
            name: name.into(),
            with: ChatWith::Contact,
            unread,
            archived: false,
            last_at: None,
            muted_until: None,
        };
        model.answered(Answer::Chats(Chats { v: V1, chats: vec![chat("bob", 2), chat("carol", 0)] }));
        let terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        Self { model, terminal }
    }

    /// With a chat open that has these messages.
    fn with(width: u16, height: u16, messages: Vec<Message>, more: bool) -> Self {
        let mut bench = Self::new(width, height);
        bench.model.open_chat("bob");
        bench.page(Side::Newest, messages, more);
        bench.model.requests.clear();
        bench
    }

    fn page(&mut self, side: Side, messages: Vec<Message>, more: bool) {
        let page = MessagePage { v: V1, messages, more };
        self.model.answered(Answer::Log { chat: "bob".into(), side, page });
    }

    /// Draws, and says what stands there.
    fn draw(&mut self) -> Vec<String> {
        let mut shown = view::Shown::default();
        let model = &mut self.model;
        let frame = self.terminal.draw(|frame| {
            view::fit(model, frame.area());
            shown = view::draw(model, frame.buffer_mut(), Paint::Coloured, UnixMillis(1_000_000));
        });
        let buffer = frame.unwrap().buffer.clone();
        self.model.seen(&shown.messages);
        let row = |y| (0..buffer.area.width).map(|x| buffer[(x, y)].symbol()).collect::<String>();
        (0..buffer.area.height).map(|y| row(y).trim_end().to_owned()).collect()
    }

    fn press(&mut self, code: KeyCode, modifiers: KeyModifiers) -> Flow {
        take(&mut self.model, Input::Key(KeyEvent::new(code, modifiers)))
    }

    fn key(&mut self, code: KeyCode) -> Flow {
        self.press(code, KeyModifiers::NONE)
    }

    fn control(&mut self, letter: char) -> Flow {
        self.press(KeyCode::Char(letter), KeyModifiers::CONTROL)
    }

    fn write(&mut self, text: &str) {
        take(&mut self.model, Input::Paste(text.into()));
    }

    fn requests(&mut self) -> Vec<Request> {
        std::mem::take(&mut self.model.requests)
    }

    fn read(&mut self) -> Vec<String> {
        let marks = self.requests().into_iter().filter_map(|request| match request {
            Request::MarkRead(refs) => Some(refs),
            _ => None,
        });
        marks.flatten().collect()
    }
}

fn before(id: &str) -> Side {
    Side::Before(id.into())
}

fn log(side: Side) -> Request {
    Request::Log { chat: "bob".into(), side }
}

fn numbered(numbers: std::ops::RangeInclusive<u64>) -> Vec<Message> {
    numbers
        .map(|number| Message {
            id: number.to_string(),
            ..incoming(&format!("bob#{number}"), &format!("text {number}"))
        })
        .collect()
}

#[test]
fn a_screen_of_24_rows() {
    let mut sent = incoming("bob#2", "fine");
    (sent.id, sent.direction, sent.state) = ("2".into(), Direction::Out, Some(MessageState::Relayed));
    let mut bench = Bench::with(80, 24, vec![incoming("bob#1", "how are you?"), sent], false);
    bench.write("well");
    let rows = bench.draw();
    assert!(rows[0].starts_with("me  │ bob") || rows[0].contains("bob"), "{}", rows[0]);
    assert!(rows[1].starts_with("▌ bob                2│"), "{}", rows[1]);
    let right = |row: &String| row.split_once('│').unwrap().1.to_owned();
    assert_eq!(
        rows[17..21].iter().map(right).collect::<Vec<_>>(),
        ["── Thursday 1970-01-01 ──", "── new ──", "00:16 bob: how are you?", "00:16 you: fine  (relayed)"]
    );
    assert!(rows[22].ends_with("│> well"), "{}", rows[22]);
    assert!(rows[23].starts_with("Enter send"), "{}", rows[23]);
}

#[test]
fn the_newest_chat_is_open_at_first_and_no_letter_is_lost_without_a_word() {
    let mut bench = Bench::new(100, 24);
    bench.model.open_newest();
    bench.key(KeyCode::Char('h'));
    let rows = bench.draw();
    assert!(rows[1].starts_with("▌ bob") && rows[22].ends_with("│> h"), "{rows:?}");
    bench.key(KeyCode::Tab);
    bench.key(KeyCode::Char('i'));
    assert!(bench.draw()[23].starts_with("nothing is written yet: Enter opens"), "{:?}", bench.draw());
    bench.key(KeyCode::Up);
    assert!(bench.draw()[23].starts_with("Enter open"));
    bench.write("pasted");
    assert!(bench.draw()[23].starts_with("nothing is written yet"));
    bench.key(KeyCode::Tab);
    assert!(bench.draw()[22].ends_with("│> h"), "what was written is there still");
    // An account without a chat starts in the empty list.
    let mut nobody = Model::new("me".into(), TimeZone::UTC);
    nobody.open_newest();
    assert!(nobody.open.is_none());
}

#[test]
fn no_text_of_others_reaches_the_terminal_raw() {
    let evil = "\u{1b}[2J\u{9b}31m\u{202e}x\u{7}\u{0}";
    let mut bench = Bench::with(80, 24, vec![incoming("bob#1", evil)], false);
    bench.model.chats[1].name = evil.into();
    bench.model.account = evil.into();
    bench.write(evil);
    bench.model.notice = Some(super::model::Notice::Problem(Problem::new(ErrorCode::Internal, evil, evil)));
    let rows = bench.draw().concat();
    assert!(!rows.contains(|c: char| c.is_control() || c == '\u{202e}'), "{rows:?}");
    assert!(rows.contains("␛[2J"), "{rows}");
}

#[test]
fn what_was_on_the_screen_is_read_and_nothing_else() {
    let mut bench = Bench::with(80, 12, numbered(1..=50), false);
    bench.draw();
    let read = bench.read();
    assert_eq!((read.first().unwrap().as_str(), read.last().unwrap().as_str()), ("bob#43", "bob#50"));
    bench.draw();
    assert_eq!(bench.read(), [""; 0], "once");

    let mut bench = Bench::with(80, 12, numbered(1..=3), false);
    take(&mut bench.model, Input::Watched(Watched::No));
    bench.draw();
    assert_eq!(bench.read(), [""; 0], "nobody looks");
    take(&mut bench.model, Input::Watched(Watched::Yes));
    bench.model.overlay = Some(Overlay::Help);
    bench.draw();
    assert_eq!(bench.read(), [""; 0], "it is covered");
    bench.key(KeyCode::Esc);
    bench.draw();
    assert_eq!(bench.read().len(), 3);

    let mut narrow = Bench::with(40, 12, numbered(1..=3), false);
    narrow.key(KeyCode::Tab);
    narrow.draw();
    assert_eq!(narrow.read(), [""; 0], "the list is in its place");
}

#[test]
fn what_did_not_arrive_shows_in_its_place() {
    let mut message = incoming("bob#2", "there again");
    (message.missing_before, message.refused_before) = (3, 1);
    let screen = Bench::with(80, 24, vec![incoming("bob#1", "hi"), message], false).draw().concat();
    assert!(screen.contains("── 3 messages missing ──"), "{screen}");
    assert!(screen.contains("── 1 message refused while bob was blocked ──"), "{screen}");
}

#[test]
fn all_keys_fit_on_a_screen_of_24_rows() {
    let mut bench = Bench::new(80, 24);
    bench.key(KeyCode::F(1));
    let screen = bench.draw();
    assert!(screen[0].contains('┌') && screen[23].contains('┘'), "{screen:#?}");
    assert!(!screen[23].contains("more"), "{screen:#?}");
    for (keys, what) in HELP {
        let row = screen.iter().find(|row| row.contains(keys));
        assert!(row.is_some_and(|row| row.contains(what)), "{keys} {what}: {screen:#?}");
    }
}

#[test]
fn a_message_is_written_sent_and_followed() {
    let mut bench = Bench::with(80, 24, Vec::new(), false);
    bench.write("hi");
    bench.press(KeyCode::Enter, KeyModifiers::ALT);
    bench.write("there");
    bench.key(KeyCode::Enter);
    let requests = bench.requests();
    let [Request::Say(sending)] = &requests[..] else { panic!("nothing is sent") };
    let Sending { id, chat, said } = &**sending;
    assert_eq!((chat.as_str(), id.len()), ("bob", 32));
    assert_eq!(*said, Said::Text { text: "hi\nthere".into(), reply_to: None });
    assert!(bench.draw().concat().contains("(not yet taken by hermesd)"));

    let result = |error| SendResult {
        to: "bob".into(),
        id: None,
        reference: None,
        state: MessageState::Queued,
        error,
        recipients: Vec::new(),
    };
    let sent = |error| SentMessages { v: V1, results: vec![result(error)], timed_out: false };
    bench.model.answered(Answer::Sent { id: id.clone(), sent: sent(None) });
    assert!(bench.requests().contains(&log(Side::Newest)));
    let mut message = incoming("bob#1", "hi\nthere");
    (message.direction, message.state) = (Direction::Out, Some(MessageState::Queued));
    bench.page(Side::Newest, vec![message], false);
    assert!(bench.draw().concat().contains("there  (queued)"));
    let state = MessageState::Delivered;
    bench.model.happened(Event::State { id: id.clone(), reference: "bob#1".into(), state, error: None });
    assert!(bench.draw().concat().contains("there  (delivered)"));
}

#[test]
fn a_text_that_is_refused_comes_back() {
    let mut bench = Bench::with(80, 24, Vec::new(), false);
    bench.write("lost?");
    bench.key(KeyCode::Enter);
    let request = bench.requests().remove(0);
    bench.model.answered(Answer::Refused(request, Problem::new(ErrorCode::OutboxFull, "it is full", "wait")));
    let rows = bench.draw();
    assert!(rows[22].ends_with("> lost?"), "{}", rows[22]);
    assert_eq!(rows[23], "error: it is full → wait");
    bench.key(KeyCode::Left);
    assert!(bench.draw()[23].starts_with("Enter send"));
}

#[test]
fn older_messages_come_as_one_scrolls_and_what_is_read_stays() {
    let mut bench = Bench::with(80, 12, numbered(51..=100), true);
    bench.draw();
    assert!(bench.draw().concat().contains("text 100"));
    bench.requests();
    for _ in 0..10 {
        bench.key(KeyCode::PageUp);
        bench.draw();
    }
    let older = log(before("51"));
    assert_eq!(bench.requests().iter().filter(|request| **request == older).count(), 1);
    let rows = bench.draw();
    assert!(rows.concat().contains("text 51"), "{rows:#?}");
    bench.page(before("51"), numbered(1..=50), false);
    let message = Message { id: "101".into(), ..incoming("bob#101", "text 101") };
    bench.model.happened(Event::Received { message: Box::new(message) });
    let after = bench.draw();
    assert!(after.concat().contains("text 52") && !after.concat().contains("text 101"), "{after:#?}");
    bench.press(KeyCode::End, KeyModifiers::CONTROL);
    assert!(bench.draw().concat().contains("text 101"));
}

#[test]
fn a_daemon_that_is_away_is_said_and_what_was_missed_is_asked_for() {
    let mut bench = Bench::with(80, 12, numbered(1..=3), false);
    bench.model.reached(Reach::Gone);
    assert!(bench.draw()[11].starts_with("hermesd went away"));
    bench.write("later");
    bench.key(KeyCode::Enter);
    assert!(bench.draw()[11].contains("sends then"));
    bench.requests();
    bench.model.reached(Reach::Listening);
    let asked = bench.requests();
    assert!(asked.contains(&Request::Chats) && asked.contains(&Request::Peers), "{asked:?}");
    assert!(
        asked.iter().any(|request| matches!(request, Request::Log { side: Side::Newest, .. })),
        "{asked:?}"
    );
}

#[test]
fn nobody_leaves_a_message_behind_without_a_question() {
    let mut bench = Bench::with(80, 24, Vec::new(), false);
    bench.write("wait for me");
    bench.key(KeyCode::Enter);
    assert_eq!(bench.control('q'), Flow::Stay);
    assert!(bench.draw().concat().contains("1 message not yet taken"));
    assert_eq!(bench.key(KeyCode::Esc), Flow::Stay);
    bench.control('c');
    assert_eq!(bench.key(KeyCode::Char('y')), Flow::Leave);
    assert_eq!(Bench::new(80, 24).control('q'), Flow::Leave);
}

#[test]
fn nobody_leaves_a_text_behind_that_is_not_sent() {
    let mut bench = Bench::with(80, 24, Vec::new(), false);
    bench.write("half a thou");
    bench.model.open_chat("carol");
    assert_eq!(bench.control('c'), Flow::Stay);
    assert!(bench.draw().concat().contains("The text to bob is not sent."));
    assert_eq!(bench.key(KeyCode::Esc), Flow::Stay);
    bench.write("  ");
    bench.model.open_chat("bob");
    bench.control('u');
    assert_eq!(bench.control('c'), Flow::Leave, "blanks are nobody's words");
}

#[test]
fn an_account_that_is_open_again_is_not_called_locked() {
    let mut bench = Bench::with(80, 24, Vec::new(), false);
    let locked = || Problem::new(ErrorCode::Locked, "it is locked", "open it");
    bench.model.reached(Reach::Refused(locked()));
    bench.model.answered(Answer::Refused(Request::Chats, locked()));
    assert!(bench.draw()[23].starts_with("error: it is locked"));
    bench.model.reached(Reach::Listening);
    assert!(bench.draw()[23].starts_with("Enter send"), "{:?}", bench.draw());
}

#[test]
fn on_a_narrow_screen_the_chat_stands_on_top() {
    let mut bench = Bench::with(40, 12, Vec::new(), false);
    bench.model.relay = Some(hermes_api::ConnectionState::Connected);
    assert_eq!(bench.draw()[0], " me  │ bob");
    bench.model.relay = Some(hermes_api::ConnectionState::Offline);
    assert_eq!(bench.draw()[0], " me not connected to the relay  │ bob");
}

#[test]
fn a_gap_that_a_page_cannot_close_begins_the_conversation_anew() {
    let mut bench = Bench::with(80, 24, numbered(1..=5), false);
    bench.page(Side::Newest, numbered(200..=210), true);
    let open = bench.model.open.as_ref().unwrap();
    assert_eq!((open.messages.len(), open.older), (11, Beyond::There));
    bench.page(Side::Newest, numbered(205..=212), true);
    assert_eq!(bench.model.open.as_ref().unwrap().messages.len(), 13);
}

#[test]
fn drafts_stay_with_their_chats() {
    let mut bench = Bench::with(80, 24, Vec::new(), false);
    bench.write("for bob");
    bench.control('n');
    assert_eq!(bench.model.open.as_ref().unwrap().chat, "carol");
    bench.write("for carol");
    bench.control('p');
    assert_eq!(bench.model.open.as_ref().unwrap().draft.text.text(), "for bob");
    assert_eq!(bench.model.drafts.keys().collect::<Vec<_>>(), ["carol"]);
}

#[test]
fn any_size_can_be_drawn() {
    let expired = Message { body: Body::Expired, ..incoming("bob#9", "") };
    let mut messages = numbered(1..=30);
    messages.push(expired);
    messages.push(incoming("bob#10", &"日本語 and a long text ".repeat(10)));
    for (width, height) in
        (0..90).step_by(11).flat_map(|width| (0..30).step_by(5).map(move |height| (width, height)))
    {
        let mut bench = Bench::with(width, height, messages.clone(), true);
        bench.write(&"text to write ".repeat(30));
        for step in 0..4 {
            bench.draw();
            match step {
                0 => bench.key(KeyCode::PageUp),
                1 => bench.key(KeyCode::F(1)),
                2 => bench.key(KeyCode::Esc),
                _ => bench.key(KeyCode::Tab),
            };
        }
        bench.draw();
    }
}

#[test]
fn presence_is_shown_and_asked_for() {
    use hermes_api::{ContactState, Peer, Peers, SessionHealth, Trust};
    let mut bench = Bench::with(80, 24, numbered(1..=3), false);
    let peer = Peer {
        refuses: false,
        blocked: false,
        name: "bob".into(),
        online: true,
        last_seen_at: Some(UnixMillis(400_000)),
        state: ContactState::Ready,
        trust: Trust::Verified,
        verified_by: None,
        session: SessionHealth::Established,
        unread: 0,
    };
    bench.model.peers_asked.ask();
    bench.model.answered(Answer::Peers(Peers { v: V1, peers: vec![peer] }));
    let rows = bench.draw();
    assert!(rows[0].contains("bob is there") && rows[1].starts_with("▌●bob"), "{rows:#?}");
    bench.requests();
    bench.model.happened(Event::Presence { contact: "bob".into(), online: false });
    assert_eq!(bench.requests(), [Request::Peers]);
    assert!(bench.draw()[0].contains("bob was there 10m ago"));
    assert_eq!(
        bench.model.peers.keys().collect::<Vec<_>>(),
        BTreeMap::from([("bob", ())]).keys().collect::<Vec<_>>()
    );
}
