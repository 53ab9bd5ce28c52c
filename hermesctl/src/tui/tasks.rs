//! What runs beside the screen for as long as it is there. None of it ends by itself, so that one that has ended is an error.

use std::{any::Any, collections::BTreeMap, io, thread};

use hermes_api::{ErrorCode, Problem};
use tokio::{
    sync::oneshot,
    task::{Id, JoinSet},
};

/// Tasks, aborted when dropped.
#[derive(Default)]
pub(super) struct Tasks {
    running: JoinSet<io::Result<()>>,
    /// What each of them does.
    names: BTreeMap<Id, &'static str>,
}

impl Tasks {
    pub(super) fn spawn(&mut self, name: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        self.names.insert(
            self.running
                .spawn(async {
                    task.await;
                    Ok(())
                })
                .id(),
            name,
        );
    }

    /// A thread cannot be aborted, nor is it waited for: it ends with the program. One of the runtime's own would keep a
    /// program that panics from ending.
    pub(super) fn spawn_thread(
        &mut self,
        name: &'static str,
        task: impl FnOnce() -> io::Result<()> + Send + 'static,
    ) {
        let (done, result) = oneshot::channel();
        thread::spawn(move || done.send(task()));
        let result = async { result.await.unwrap_or_else(|_| Err(io::Error::other("it panicked"))) };
        self.names.insert(self.running.spawn(result).id(), name);
    }

    /// Returns when one of them has ended, with what is to be said of that.
    pub(super) async fn ended(&mut self) -> Problem {
        let (id, why) = match self.running.join_next_with_id().await {
            Some(Ok((id, Ok(())))) => (Some(id), "ended".to_owned()),
            Some(Ok((id, Err(error)))) => (Some(id), format!("has failed: {error}")),
            Some(Err(error)) => (Some(error.id()), words(error)),
            None => (None, "ended".to_owned()),
        };
        let name = id.and_then(|id| self.names.get(&id)).unwrap_or(&"runs");
        let message = format!("the part of this program that {name} {why}");
        Problem::new(
            ErrorCode::Internal,
            message,
            "this is a bug; what was sent and shown is safe with hermesd",
        )
    }
}

fn words(error: tokio::task::JoinError) -> String {
    match error.try_into_panic() {
        Ok(payload) => format!("has failed: {}", message(&*payload)),
        Err(error) => format!("was ended: {error}"),
    }
}

fn message(payload: &(dyn Any + Send)) -> &str {
    match (payload.downcast_ref::<&str>(), payload.downcast_ref::<String>()) {
        (Some(text), _) => text,
        (None, Some(text)) => text,
        (None, None) => "for a reason that has no words",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_that_ends_or_panics_is_told_of_by_name() {
        let mut tasks = Tasks::default();
        tasks.spawn("waits", std::future::pending());
        tasks.spawn("counts", async { panic!("at {}", 3) });
        assert_eq!(tasks.ended().await.message, "the part of this program that counts has failed: at 3");
        tasks.spawn_thread("reads", || Ok(()));
        assert_eq!(tasks.ended().await.message, "the part of this program that reads ended");
        tasks.spawn_thread("reads", || panic!("on purpose"));
        let message = "the part of this program that reads has failed: it panicked";
        assert_eq!(tasks.ended().await.message, message);
    }
}
