//! The last row: what is wrong, what was asked for, or what can be done.

use hermes_api::Problem;
use ratatui_core::buffer::Buffer;

use super::{
    super::{
        courier::Reach,
        model::{Focus, Model, Notice},
    },
    paint::Paint,
};
use crate::{
    output::{BAD, DIM, Line},
    render::fold,
};

pub(super) fn draw(model: &Model, buffer: &mut Buffer, paint: Paint) {
    let line = match (&model.notice, &model.daemon) {
        (Some(Notice::Problem(problem)), _) | (None, Reach::Refused(problem)) => self::problem(problem),
        (Some(Notice::Note(line)), _) => line.clone(),
        (None, Reach::Gone) => {
            let waits = if model.sending.is_empty() { "" } else { ", and sends then what waits" };
            Line::default().styled(BAD, format!("hermesd went away; this waits for it to come back{waits}"))
        }
        (None, Reach::Listening) => {
            Line::default().styled(DIM, keys(model.focus, model.places.foot.width.into()))
        }
    };
    paint.line(buffer, model.places.foot, 0, &line);
}

fn problem(problem: &Problem) -> Line {
    let hint = if problem.hint.is_empty() { String::new() } else { format!(" → {}", problem.hint) };
    Line::default().styled(BAD, "error: ").plain(&problem.message).styled(DIM, hint)
}

/// What can be done, the most important first, as much as there is room for.
fn keys(focus: Focus, width: usize) -> String {
    let keys: &[&str] = match focus {
        Focus::Chats => &["Enter open", "? help", "Tab text", "Ctrl-F search", "Ctrl-Q quit"],
        Focus::Text => {
            &["Enter send", "F1 help", "Tab chats", "Alt-Up choose", "Ctrl-F search", "Ctrl-Q quit"]
        }
        Focus::Messages => &["r reply", "+ react", "e edit", "d withdraw", "Esc text", "i who has it"],
        Focus::Search => &["Enter search, open", "Esc close", "↑↓ choose", "Tab this chat, all chats"],
    };
    let mut line = String::new();
    for key in keys {
        let gap = if line.is_empty() { "" } else { "  " };
        if fold::width(&line) + fold::width(key) + gap.len() > width {
            break;
        }
        line.push_str(gap);
        line.push_str(key);
    }
    line
}
