//! The desktop: the notification server on the session bus, as the Desktop Notifications Specification has it.

use std::collections::{BTreeMap, HashMap};

use tokio::{
    sync::mpsc,
    time::{Instant, timeout},
};
use zbus::{Connection, Variant, connection};

use super::{Kind, Popup, wording::escape};
use crate::limits::{NOTIFY_ANSWER, NOTIFY_CONNECT, NOTIFY_RETRY};

const NAME: &str = "org.freedesktop.Notifications";
const PATH: &str = "/org/freedesktop/Notifications";
/// The server's choice of how long it is shown.
const ITS_CHOICE: i32 = -1;
const NORMAL: u8 = 1;
const CRITICAL: u8 = 2;

/// Why a notification was not shown.
#[derive(Debug, thiserror::Error)]
enum BusError {
    #[error("the session bus or the notification server does not answer")]
    Silent,
    #[error(transparent)]
    Bus(#[from] zbus::Error),
}

/// Shows what comes, until nobody is left to send any.
pub(super) async fn show_all(mut popups: mpsc::Receiver<Popup>) {
    let mut desktop = Desktop::default();
    while let Some(popup) = popups.recv().await {
        desktop.show(&popup).await;
    }
}

#[derive(Default)]
struct Desktop {
    open: Option<Server>,
    /// When it was last looked for in vain.
    failed: Option<Instant>,
    /// The last summary of each account.
    summaries: BTreeMap<String, u32>,
}

struct Server {
    bus: Connection,
    /// Whether it takes the body for markup.
    markup: bool,
}

impl Desktop {
    /// Shows one, or leaves it out: late it would be of no use.
    async fn show(&mut self, popup: &Popup) {
        // The bus may have been started anew, and then the server's numbers mean nothing any more.
        if self.open.as_ref().is_some_and(|server| server.bus.is_closed()) {
            self.forget();
        }
        if self.failed.is_some_and(|at| at.elapsed() < NOTIFY_RETRY) {
            return;
        }
        match self.try_show(popup).await {
            Ok(()) => {
                if self.failed.take().is_some() {
                    tracing::info!("notifications are shown again");
                }
            }
            Err(error) => {
                self.forget();
                if self.failed.replace(Instant::now()).is_none() {
                    tracing::info!(%error, "notifications cannot be shown; it is tried again with later ones");
                }
            }
        }
    }

    fn forget(&mut self) {
        self.open = None;
        self.summaries.clear();
    }

    async fn try_show(&mut self, popup: &Popup) -> Result<(), BusError> {
        let server = match self.open.take() {
            Some(server) => self.open.insert(server),
            None => self.open.insert(Server::find().await?),
        };
        let replaces = match popup.kind {
            Kind::Summary { replace: true } => self.summaries.get(&popup.account).copied(),
            _ => None,
        };
        let id = server.notify(popup, replaces.unwrap_or(0)).await?;
        if let Kind::Summary { .. } = popup.kind {
            self.summaries.insert(popup.account.clone(), id);
        }
        Ok(())
    }
}

impl Server {
    async fn find() -> Result<Self, BusError> {
        let connect = connection::Builder::session().method_timeout(NOTIFY_ANSWER).build();
        let bus = timeout(NOTIFY_CONNECT, connect).await.map_err(|_| BusError::Silent)??;
        let answer = bus.call_method(Some(NAME), PATH, Some(NAME), "GetCapabilities", &()).await?;
        let capabilities: Vec<String> = answer.body().deserialize()?;
        let markup = capabilities.iter().any(|capability| capability == "body-markup");
        Ok(Self { bus, markup })
    }

    /// Shows it, in the place of another unless that is 0, and says under which number.
    async fn notify(&self, popup: &Popup, replaces: u32) -> Result<u32, BusError> {
        let (icon, category, urgency) = match popup.kind {
            Kind::Message | Kind::Summary { .. } => ("mail-unread", "im.received", NORMAL),
            Kind::Alarm => ("dialog-warning", "im.error", CRITICAL),
        };
        let body = if self.markup { escape(&popup.body) } else { popup.body.clone() };
        let actions: &[&str] = &[];
        let hints =
            HashMap::from([("category", Variant::from(category)), ("urgency", Variant::from(urgency))]);
        let call = ("Hermes", replaces, icon, popup.title.as_str(), body, actions, hints, ITS_CHOICE);
        let answer = self.bus.call_method(Some(NAME), PATH, Some(NAME), "Notify", &call).await?;
        Ok(answer.body().deserialize()?)
    }
}
