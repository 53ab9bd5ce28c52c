//! QR codes, for a camera that looks at the screen.

use hermes_api::{ErrorCode, Problem};
use qrcode::{EcLevel, QrCode, render::unicode::Dense1x2};

use crate::output::Line;

/// The lines of a text's QR code.
pub(crate) fn lines(text: &str) -> Result<Vec<Line>, Problem> {
    // The lowest error correction: a screen is clean, and a long text wants large modules.
    let code = QrCode::with_error_correction_level(text, EcLevel::L).map_err(|error| {
        Problem::new(
            ErrorCode::Internal,
            format!("the text does not fit a QR code: {error}"),
            "leave out --qr",
        )
    })?;
    // Light on dark: most terminals are dark, and a reader needs the quiet zone to be light.
    let image = code.render::<Dense1x2>().dark_color(Dense1x2::Light).light_color(Dense1x2::Dark).build();
    Ok(image.lines().map(Line::new).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_invite_and_a_safety_code_fit() {
        let invite = lines(&format!("hermes-invite:{}", "A".repeat(700))).unwrap();
        let code = lines(&format!("hermes-safety:{}", "A".repeat(94))).unwrap();
        assert!(invite.len() > code.len() && code.len() > 20);
        assert!(lines(&"A".repeat(8000)).is_err());
    }
}
