//! Who listens under a name at this moment: one program at a time, or two would do the same work.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, PoisonError},
};

/// The names under which somebody listens. How far each has come stands in the store.
#[derive(Clone, Default)]
pub(crate) struct Consumers(Arc<Mutex<BTreeSet<String>>>);

/// A place under a name, until it is dropped.
pub(crate) struct Place {
    all: Consumers,
    name: String,
}

impl Consumers {
    /// The place under this name, unless somebody has it.
    pub(crate) fn take(&self, name: &str) -> Option<Place> {
        let fresh = self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned());
        fresh.then(|| Place { all: self.clone(), name: name.to_owned() })
    }

    /// Whether somebody has it.
    pub(crate) fn is_taken(&self, name: &str) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).contains(name)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.all.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_programs_until_it_leaves() {
        let consumers = Consumers::default();
        let first = consumers.take("bot").unwrap();
        assert!(consumers.take("bot").is_none() && consumers.is_taken("bot"));
        assert!(consumers.take("other").is_some());
        drop(first);
        assert!(!consumers.is_taken("bot") && consumers.take("bot").is_some());
    }
}
