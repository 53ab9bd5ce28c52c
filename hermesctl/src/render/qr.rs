//! QR codes, for a camera that looks at the screen.

use hermes_api::{ErrorCode, Problem};
use qrcode::{Color, EcLevel, QrCode};

use crate::output::Line;

/// Light modules around a code: four by ISO/IEC 18004. Cameras find one with fewer, and none whose rows are broken.
const QUIET_ZONE: usize = 4;

/// The lines of a text's QR code, on a terminal of so many columns.
pub(crate) fn lines(text: &str, width: Option<u16>) -> Result<Vec<Line>, Problem> {
    // The lowest error correction: a screen is clean, and a long text wants large modules.
    let code = QrCode::with_error_correction_level(text, EcLevel::L).map_err(|error| {
        Problem::new(
            ErrorCode::Internal,
            format!("the text does not fit a QR code: {error}"),
            "leave out --qr",
        )
    })?;
    let side = code.width();
    let Some(width) = width.map(usize::from) else { return Ok(drawn(&code, QUIET_ZONE)) };
    match width.checked_sub(side).map(|rest| rest / 2) {
        Some(quiet @ 1..) => Ok(drawn(&code, quiet.min(QUIET_ZONE))),
        _ => Err(Problem::new(
            ErrorCode::Usage,
            format!("the QR code has {} columns, and this terminal has {width}", side + 2),
            "make the window wider or its letters smaller, or leave out --qr",
        )),
    }
}

/// Light on dark: most terminals are dark, and a reader needs the quiet zone to be light. Two rows of modules to a line.
fn drawn(code: &QrCode, quiet: usize) -> Vec<Line> {
    let (side, colors) = (code.width(), code.to_colors());
    let inside = |at: usize| at.checked_sub(quiet).filter(|at| *at < side);
    let is_light = |x, y| match (inside(x), inside(y)) {
        (Some(x), Some(y)) => colors.get(y * side + x) != Some(&Color::Dark),
        _ => true,
    };
    let size = side + 2 * quiet;
    let module = |x, y| match (is_light(x, y), is_light(x, y + 1)) {
        (true, true) => '█',
        (true, false) => '▀',
        (false, true) => '▄',
        (false, false) => ' ',
    };
    (0..size).step_by(2).map(|y| Line::new((0..size).map(|x| module(x, y)).collect::<String>())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_invite_and_a_safety_code_fit() {
        let invite = lines(&format!("hermes-invite:{}", "A".repeat(700)), None).unwrap();
        let code = lines(&format!("hermes-safety:{}", "A".repeat(94)), None).unwrap();
        assert!(invite.len() > code.len() && code.len() > 20);
        assert!(lines(&"A".repeat(8000), None).is_err());
    }

    /// A row that goes on below itself is no code any more.
    #[test]
    fn no_row_is_wider_than_the_terminal() {
        // As long as that of a relay with a name of 9 letters: 73 modules.
        let invite = format!("hermes-invite:{}", "a".repeat(430));
        for (width, columns) in [(200, 81), (81, 81), (80, 79), (75, 75)] {
            let lines = lines(&invite, Some(width)).unwrap();
            assert!(lines.iter().all(|line| line.text().chars().count() == columns), "{width}");
        }
        let narrow = lines(&invite, Some(74)).unwrap_err();
        assert_eq!(narrow.message, "the QR code has 75 columns, and this terminal has 74");
    }

    #[test]
    fn a_finder_pattern_stands_in_its_quiet_zone() {
        let lines = lines("hermes", None).unwrap();
        let text: Vec<String> = lines.iter().map(Line::text).collect();
        assert!(text[0].chars().all(|c| c == '█') && text[1].chars().all(|c| c == '█'), "{text:#?}");
        assert!(text[2].starts_with("████ ▄▄▄▄▄ █"), "{text:#?}");
        assert!(text.last().is_some_and(|last| last.chars().all(|c| c == '█')), "{text:#?}");
    }
}
