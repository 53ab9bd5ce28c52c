//! A CBOR map with integer keys, from which known fields are taken and the rest is kept.

use std::collections::BTreeMap;

use ciborium::Value;
use serde::Serialize;

#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Fields(BTreeMap<u64, Value>);

impl Fields {
    /// `None` if it is no map, or a key is no unsigned integer or comes twice.
    pub fn from_value(value: Value) -> Option<Self> {
        let mut fields = BTreeMap::new();
        for (key, value) in value.into_map().ok()? {
            if fields.insert(integer(key)?, value).is_some() {
                return None;
            }
        }
        Some(Self(fields))
    }

    pub fn put(&mut self, key: u64, value: Value) {
        self.0.insert(key, value);
    }

    pub fn take(&mut self, key: u64) -> Option<Value> {
        self.0.remove(&key)
    }

    /// `None` if the field is there and `read` cannot make sense of it.
    pub fn take_optional<T>(&mut self, key: u64, read: impl FnOnce(Value) -> Option<T>) -> Option<Option<T>> {
        match self.take(key) {
            None => Some(None),
            Some(value) => read(value).map(Some),
        }
    }

    /// Keys ascend, as the canonical encoding wants them.
    pub fn into_value(self) -> Value {
        Value::Map(self.0.into_iter().map(|(key, value)| (key.into(), value)).collect())
    }
}

pub(super) fn integer(value: Value) -> Option<u64> {
    value.into_integer().ok()?.try_into().ok()
}

pub(super) fn array<const N: usize>(value: Value) -> Option<[u8; N]> {
    value.into_bytes().ok()?.try_into().ok()
}

/// A value of a wire type inside content. Null, which no decoder takes, if a type could not be represented.
pub(super) fn nested<T: Serialize>(value: &T) -> Value {
    Value::serialized(value).unwrap_or(Value::Null)
}
