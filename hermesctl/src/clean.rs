//! Text of others made harmless for a terminal. Everything the program prints goes through here.

pub(crate) use hermes_api::clean::line;
use hermes_api::clean::substitute;

/// A JSON document with everything escaped that [`line`] would replace. JSON escapes the C0 controls itself; the rest
/// of them can only stand within strings, so that the document means the same.
pub(crate) fn json(document: &str) -> String {
    let mut escaped = String::with_capacity(document.len());
    for c in document.chars() {
        match substitute(c) {
            // All of them lie in the basic plane, so one escape is enough.
            Some(_) => escaped.push_str(&format!("\\u{:04x}", u32::from(c))),
            None => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOSTILE: &str =
        "\u{1b}[31mred\u{1b}]0;title\u{7}\u{9b}2J\u{202e}txt.exe\u{2066}\r\n\tx\u{7f}\u{2028}\u{feff}";

    #[test]
    fn json_means_the_same_and_holds_no_raw_control() {
        let document = serde_json::to_string(HOSTILE).unwrap();
        let escaped = json(&document);
        assert!(escaped.chars().all(|c| substitute(c).is_none()), "{escaped}");
        assert_eq!(serde_json::from_str::<String>(&escaped).unwrap(), HOSTILE);
    }
}
