//! What a client asks about the configuration, and about how the daemon runs.

use super::{Client, ClientError};
use crate::{ConfigInForce, Diagnosis, routes};

impl Client {
    /// The configuration that the daemon works with.
    pub async fn config(&self) -> Result<ConfigInForce, ClientError> {
        self.get(routes::CONFIG.to_owned()).await
    }

    /// How the daemon runs.
    pub async fn diagnosis(&self) -> Result<Diagnosis, ClientError> {
        self.get(routes::DIAGNOSIS.to_owned()).await
    }

    /// Has the daemon read its configuration again.
    pub async fn reload_config(&self) -> Result<ConfigInForce, ClientError> {
        self.post(routes::CONFIG_RELOAD.to_owned(), &(), 0).await
    }
}
