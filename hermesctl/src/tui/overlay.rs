//! What stands above everything else: help, a safety number, a last question.

use ratatui_core::{buffer::Buffer, layout::Rect};

use super::{
    keys::HELP,
    model::{Model, Overlay},
    paint::{Paint, columns},
};
use crate::{
    output::{DIM, Line, NAME, WARN},
    render::{account, audit::counted, contact, fold},
};

/// Columns of the keys in the help.
const KEYS: usize = 24;

/// Draws it in the middle of the screen.
pub(super) fn draw(overlay: &Overlay, model: &Model, buffer: &mut Buffer, paint: Paint, screen: Rect) {
    let lines = lines(overlay, model);
    let width = lines.iter().map(width).max().unwrap_or(0) + 4;
    let (width, height) = (columns(width).min(screen.width), columns(lines.len() + 2).min(screen.height));
    let area = Rect::new(
        screen.x + (screen.width - width) / 2,
        screen.y + (screen.height - height) / 2,
        width,
        height,
    );
    paint.clear(buffer, area);
    let rule = "─".repeat(usize::from(width.saturating_sub(2)));
    paint.line(buffer, area, 0, &Line::new(format!("┌{rule}┐")));
    let inner = Rect { x: area.x + 2, y: area.y + 1, width: width.saturating_sub(4), height: height - 2 };
    for row in 0..usize::from(inner.height) {
        let at = |x| Rect { x, width: 1, ..inner };
        paint.line(buffer, at(area.x), row, &Line::new("│"));
        paint.line(buffer, at(area.right() - 1), row, &Line::new("│"));
        if let Some(line) = lines.get(row) {
            paint.line(buffer, inner, row, line);
        }
    }
    paint.line(buffer, area, usize::from(height - 1), &Line::new(format!("└{rule}┘")));
}

fn lines(overlay: &Overlay, model: &Model) -> Vec<Line> {
    match overlay {
        Overlay::Help => {
            let key = |(keys, what): (&str, &str)| {
                Line::default().styled(NAME, format!("{keys:<KEYS$}")).plain(what)
            };
            HELP.into_iter().map(key).collect()
        }
        Overlay::Safety { details: None, .. } => vec![Line::new("…")],
        Overlay::Safety { details: Some(details), .. } => {
            let known = &details.contact;
            let trust = account::trust(known.trust, known.verified_by);
            let mut lines = vec![Line::default().styled(NAME, &known.name).plain(format!(", {trust}"))];
            lines.extend(contact::number("safety number", &details.safety_number));
            if let Some(change) = &details.key_change {
                lines.push(
                    Line::default().styled(WARN, "Another identity key is used in this name. With it:"),
                );
                lines.extend(contact::number("new number", &change.safety_number));
                lines.push(Line::new(format!("Decide: hermesctl contact show {}", known.name)));
            }
            lines.push(Line::default());
            lines.push(Line::new("Compare the number with what the other side sees, in person or by"));
            lines.push(Line::new("telephone. Only if it is the same, press v: the contact is verified."));
            lines.push(Line::default().styled(DIM, "Any other key closes this."));
            lines
        }
        Overlay::Leave => {
            let waiting = u64::try_from(model.sending.len()).unwrap_or(u64::MAX);
            vec![
                Line::default()
                    .styled(WARN, format!("{} not yet taken by hermesd.", counted(waiting, "message"))),
                Line::new("Quit and lose what was written? y quits, any other key stays."),
            ]
        }
    }
}

fn width(line: &Line) -> usize {
    line.pieces().map(|(_, text)| fold::width(&text)).sum()
}
