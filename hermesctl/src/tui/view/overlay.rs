//! What stands above everything else: help, a safety number, who has a message, a question.

use anstyle::Style;
use hermes_api::{ContactDetails, MessageDetails};
use jiff::tz::TimeZone;
use ratatui_core::{
    buffer::Buffer,
    layout::{Position, Rect},
};

use super::{
    super::{
        model::{Model, Overlay, Target},
        update::{HELP, REACTIONS},
    },
    paint::{self, Paint},
};
use crate::{
    output::{DIM, Line, NAME, WARN},
    render::{
        account,
        audit::counted,
        fold,
        group::person,
        message::{local_time, state},
    },
};

/// Columns of the keys in the help.
const KEYS: usize = 24;
/// Narrower than this, what keys do stands below them.
const BESIDE: usize = 60;
/// Groups of a safety number on one line, and the columns of each with the space before it.
const GROUPS: usize = 4;
const GROUP: usize = 6;
/// Columns and rows of the frame.
const FRAME: (u16, u16) = (4, 2);

/// Brings the scrolling into its bounds.
pub(super) fn fit(model: &mut Model, screen: Rect) {
    let Some(overlay) = &model.overlay else { return };
    let rows = lines(overlay, model, inner_width(screen)).len();
    let room = usize::from(screen.height.saturating_sub(FRAME.1));
    model.overlay_scroll = model.overlay_scroll.min(rows.saturating_sub(room));
}

/// Draws it in the middle of the screen. Says where the cursor stands, when something is asked for.
pub(super) fn draw(
    overlay: &Overlay,
    model: &Model,
    buffer: &mut Buffer,
    paint: Paint,
    screen: Rect,
) -> Option<Position> {
    let lines = lines(overlay, model, inner_width(screen));
    let width = lines.iter().map(width).max().unwrap_or(0);
    let width = paint::columns(width).saturating_add(FRAME.0).min(screen.width);
    let height = paint::columns(lines.len()).saturating_add(FRAME.1).min(screen.height);
    let (x, y) = (screen.x + (screen.width - width) / 2, screen.y + (screen.height - height) / 2);
    let area = Rect { x, y, width, height };
    let inner = Rect {
        x: x + FRAME.0 / 2,
        y: y + 1,
        width: width.saturating_sub(FRAME.0),
        height: height.saturating_sub(FRAME.1),
    };
    let more = lines.len() > model.overlay_scroll + usize::from(inner.height);
    frame(buffer, paint, area, more);
    for (row, line) in lines.iter().skip(model.overlay_scroll).take(inner.height.into()).enumerate() {
        paint.line(buffer, inner, row, line);
    }
    match overlay {
        Overlay::React { typed, .. } => {
            let (_, column) = typed.cursor_at(usize::MAX);
            let column = paint::columns(column + TYPED.len()).min(inner.width.saturating_sub(1));
            Some(Position::new(inner.x + column, inner.y))
        }
        _ => None,
    }
}

fn frame(buffer: &mut Buffer, paint: Paint, area: Rect, more: bool) {
    paint.clear(buffer, area);
    let rule = "─".repeat(usize::from(area.width.saturating_sub(2)));
    let last = usize::from(area.height.saturating_sub(1));
    paint.line(buffer, area, 0, &Line::new(format!("┌{rule}┐")));
    for row in 1..last {
        paint.line(buffer, area, row, &Line::new("│"));
        paint.line(buffer, Rect { x: area.right() - 1, width: 1, ..area }, row, &Line::new("│"));
    }
    paint.line(buffer, area, last, &Line::new(format!("└{rule}┘")));
    if more {
        let right = Rect { x: area.right().saturating_sub(10), width: 8, ..area };
        paint.line(buffer, right, last, &Line::default().styled(WARN, " ↓ more "));
    }
}

fn inner_width(screen: Rect) -> usize {
    usize::from(screen.width.saturating_sub(FRAME.0)).max(1)
}

fn lines(overlay: &Overlay, model: &Model, width: usize) -> Vec<Line> {
    match overlay {
        Overlay::Help => HELP.into_iter().flat_map(|(keys, what)| help(keys, what, width)).collect(),
        Overlay::Safety { details: None, .. } | Overlay::Details { details: None, .. } => {
            vec![Line::new("…")]
        }
        Overlay::Safety { details: Some(details), .. } => safety(details, width),
        Overlay::Details { details: Some(details), .. } => self::details(details, &model.zone, width),
        Overlay::React { target, typed } => react(target, typed.text(), width),
        Overlay::Unsend(target) => {
            let mut lines = vec![Line::default().styled(WARN, format!("Withdraw {}?", target.reference))];
            lines.extend(text(DIM, &format!("“{}”", target.words), width));
            lines.extend(text(
                Style::new(),
                "Deleted here and wherever it is. y withdraws it, any other key keeps it.",
                width,
            ));
            lines
        }
        Overlay::Leave => {
            let waiting = u64::try_from(model.sending.len()).unwrap_or(u64::MAX);
            let mut lines = Vec::new();
            if waiting > 0 {
                let taken = format!("{} not yet taken by hermesd.", counted(waiting, "message"));
                lines.extend(text(WARN, &taken, width));
            }
            for chat in model.begun() {
                lines.extend(text(WARN, &format!("The text to {chat} is not sent."), width));
            }
            let question = "Quit and lose what was written? y quits, any other key stays.";
            lines.extend(text(Style::new(), question, width));
            lines
        }
    }
}

fn help(keys: &str, what: &str, width: usize) -> Vec<Line> {
    let head = Line::default().styled(NAME, format!("{keys:<KEYS$}"));
    if width >= BESIDE {
        return vec![head.plain(what)];
    }
    let mut lines = vec![Line::default().styled(NAME, keys)];
    lines.extend(
        fold::fold(what.trim(), Some(width.saturating_sub(2).max(1)))
            .into_iter()
            .map(|line| Line::new("  ").plain(line)),
    );
    lines
}

fn safety(details: &ContactDetails, width: usize) -> Vec<Line> {
    let known = &details.contact;
    let trust = account::trust(known.trust, known.verified_by);
    let mut lines = text(NAME, &format!("{}, {trust}", known.name), width);
    lines.push(Line::new("safety number"));
    lines.extend(number(&details.safety_number, width));
    if let Some(change) = &details.key_change {
        lines.extend(text(WARN, "Another identity key is used in this name. With it:", width));
        lines.extend(number(&change.safety_number, width));
        lines.extend(text(Style::new(), &format!("Decide: hermesctl contact show {}", known.name), width));
    }
    lines.push(Line::default());
    let what = "Compare the number with what the other side sees, in person or by telephone. Only if it is the same, \
                press v: the contact is verified.";
    lines.extend(text(Style::new(), what, width.min(BESIDE)));
    lines.push(Line::default().styled(DIM, "Any other key closes this."));
    lines
}

/// A number is never cut: whoever compares it has to see all of it.
fn number(number: &str, width: usize) -> Vec<Line> {
    let groups: Vec<&str> = number.split(' ').collect();
    let on_one_line = (width / GROUP).clamp(1, GROUPS);
    groups
        .chunks(on_one_line)
        .map(|groups| Line::default().styled(NAME, format!(" {}", groups.join(" "))))
        .collect()
}

/// Where a message is, and what was said about it.
fn details(details: &MessageDetails, zone: &TimeZone, width: usize) -> Vec<Line> {
    let message = &details.message;
    let mut lines = text(NAME, &message.reference, width);
    let fact = |name: &str, what: String| text(Style::new(), &format!("{name} {what}"), width);
    lines.extend(fact("written", local_time(message.sent_at, zone)));
    if let Some(received) = message.received_at {
        lines.extend(fact("arrived", local_time(received, zone)));
    }
    if let Some(edited) = message.edited_at {
        lines.extend(fact("edited", local_time(edited, zone)));
    }
    if let Some(how_far) = message.state {
        lines.extend(fact("is", state(how_far).to_owned()));
    }
    if let Some(error) = &message.error {
        lines.extend(text(WARN, &error.message, width));
    }
    for reaction in &message.reactions {
        let others = usize::try_from(reaction.count).unwrap_or(usize::MAX).saturating_sub(reaction.by.len());
        let others = if others > 0 { format!(" and {others} more") } else { String::new() };
        lines.extend(fact(&reaction.emoji, format!("{}{others}", reaction.by.join(", "))));
    }
    for recipient in &details.recipients {
        lines.extend(fact(state(recipient.state), person(&recipient.person)));
    }
    lines.push(Line::default().styled(DIM, "↑ ↓ scroll, any other key closes this."));
    lines
}

/// Stands before the reaction that is being written.
const TYPED: &str = "react: ";

fn react(target: &Target, typed: &str, width: usize) -> Vec<Line> {
    let choices = REACTIONS.iter().enumerate().map(|(at, emoji)| format!("{} {emoji}", at + 1));
    let choices = choices.collect::<Vec<_>>().join("  ");
    let mut lines = vec![Line::default().styled(NAME, TYPED).plain(typed)];
    lines.extend(text(Style::new(), &choices, width));
    lines.extend(text(DIM, &format!("to {} “{}”", target.reference, target.words), width));
    lines.extend(text(DIM, "A digit, or type one and Enter; 0 takes yours back, Esc leaves it.", width));
    lines
}

fn text(style: Style, text: &str, width: usize) -> Vec<Line> {
    fold::fold(text, Some(width)).into_iter().map(|line| Line::default().styled(style, line)).collect()
}

fn width(line: &Line) -> usize {
    line.pieces().map(|(_, text)| fold::width(&text)).sum()
}
