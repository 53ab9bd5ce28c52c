//! `hermesctl invite`

use hermes_api::{CreateInvite, ErrorCode, Exit, Problem};
use jiff::tz::TimeZone;
use qrcode::{EcLevel, QrCode, render::unicode::Dense1x2};

use crate::{
    cli,
    invocation::Invocation,
    output::{Format, Line},
    render::message::local_time,
    stop::Stop,
};

pub(crate) async fn run(args: cli::Invite, invocation: &mut Invocation) -> Result<Exit, Stop> {
    let account = invocation.account().await?;
    let invite = CreateInvite { expires_seconds: args.expires.as_secs() };
    let created = invocation.daemon.once(async |client| client.create_invite(&account, invite).await).await?;
    if invocation.output.format == Format::Json {
        invocation.output.json(&created)?;
        return Ok(Exit::Ok);
    }
    if args.qr {
        qr_lines(&created.invite)?.iter().for_each(|line| invocation.output.line(line));
    }
    invocation.output.line(&Line::new(&created.invite));
    // First the link, then what to do with it, also when both go to one terminal.
    invocation.output.flush()?;
    let until = local_time(created.expires_at, &TimeZone::system());
    let notes = &invocation.notes;
    notes.say(&Line::new(format!(
        "Hand it to one person, over a channel you trust. It works once, until {until}."
    )));
    notes.say(&Line::new("On the other side: hermesctl accept 'LINK'"));
    Ok(Exit::Ok)
}

fn qr_lines(text: &str) -> Result<Vec<Line>, Problem> {
    // The lowest error correction: a screen is clean, and a long link wants large modules.
    let code = QrCode::with_error_correction_level(text, EcLevel::L).map_err(|error| {
        Problem::new(
            ErrorCode::Internal,
            format!("the invite does not fit a QR code: {error}"),
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
    fn an_invite_fits_a_qr_code() {
        let lines = qr_lines(&format!("hermes-invite:{}", "A".repeat(700))).unwrap();
        assert!(lines.len() > 20);
        assert!(qr_lines(&"A".repeat(8000)).is_err());
    }
}
