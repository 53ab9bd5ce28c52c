//! What stands at the head of every document, and how time is written in it.

use std::time::{Duration, SystemTime};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

/// The `"v":1` of a document. Reading any other version is an error, so that no program guesses at one it does not know.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct V1;

impl V1 {
    const NUMBER: u64 = 1;
}

impl Serialize for V1 {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(Self::NUMBER)
    }
}

impl<'de> Deserialize<'de> for V1 {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match u64::deserialize(deserializer)? {
            Self::NUMBER => Ok(Self),
            other => Err(D::Error::custom(format_args!("version {other} of the API, where 1 is understood"))),
        }
    }
}

#[cfg(feature = "openapi")]
impl utoipa::PartialSchema for V1 {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
        use utoipa::openapi::{ObjectBuilder, Type};
        let one = ObjectBuilder::new().schema_type(Type::Integer).enum_values(Some([Self::NUMBER]));
        one.description(Some("The version of the API.")).into()
    }
}

#[cfg(feature = "openapi")]
impl utoipa::ToSchema for V1 {}

/// A point in time: milliseconds since 1970-01-01 UTC.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(transparent)]
pub struct UnixMillis(pub u64);

impl UnixMillis {
    /// How long before `now` this was; nothing when it lies ahead, as another machine's clock may have it.
    pub fn before(self, now: Self) -> Duration {
        Duration::from_millis(now.0.saturating_sub(self.0))
    }
}

impl From<SystemTime> for UnixMillis {
    fn from(time: SystemTime) -> Self {
        let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Self(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_the_only_version() {
        assert_eq!(serde_json::to_string(&V1).unwrap(), "1");
        assert!(serde_json::from_str::<V1>("1").is_ok());
        let error = serde_json::from_str::<V1>("2").unwrap_err();
        assert!(error.to_string().contains("version 2"), "{error}");
    }
}
