//! How much a notification on the desktop says.

use serde::{Deserialize, Serialize};

/// How much a notification says. It can be read over the user's shoulder, and its server may keep it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Preview {
    /// Who wrote, and how the text begins.
    #[default]
    Full,
    /// Who wrote.
    NameOnly,
    /// That there is something.
    None,
}

impl Preview {
    /// Every value, the most talkative first.
    pub const ALL: [Self; 3] = [Self::Full, Self::NameOnly, Self::None];

    /// The word that names it in files.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::NameOnly => "name-only",
            Self::None => "none",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Key;

    #[test]
    fn files_spell_it_as_we_do() {
        let key = Key::find("notifications.preview").unwrap();
        for preview in Preview::ALL {
            assert_eq!(key.parse(preview.as_str()).unwrap().as_str(), Some(preview.as_str()));
        }
    }
}
