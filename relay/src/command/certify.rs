//! The certificate beside the relay's own key, kept as new as its files are.

use std::sync::Arc;

use hermes_link::{certificate::RelayCertificate, credential::RelayIdentity};
use hermes_relay::{certificate::CertificateFiles, limits::CERTIFICATE_CHECK, serve::Server};
use hermes_wire::RelayName;
use tokio::time::{Interval, MissedTickBehavior, interval};

use super::Failure;

/// What shows newcomers the certificate that is in the files.
pub struct Certifier {
    files: CertificateFiles,
    name: RelayName,
    identity: Arc<RelayIdentity>,
    ticks: Interval,
}

impl Certifier {
    pub fn new(files: CertificateFiles, name: RelayName, identity: Arc<RelayIdentity>) -> Self {
        let mut ticks = interval(CERTIFICATE_CHECK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self { files, name, identity, ticks }
    }

    /// Waits until it is time to look at the files: at once, and then now and then.
    pub async fn due(&mut self) {
        self.ticks.tick().await;
    }

    /// Shows what is new in the files. What is no good changes nothing: a relay does without, or goes on with what it has, and
    /// those who know its key need no certificate.
    pub fn look(&mut self, server: &Server) {
        match self.files.changed() {
            None => {}
            Some(Err(error)) => tracing::error!("the certificate is not taken: {error}"),
            Some(Ok(certificate)) => match usable(&certificate, &self.name) {
                Err(error) => tracing::error!("the certificate is not taken: {error}"),
                Ok(()) => match server.certify(&self.identity, &certificate) {
                    Ok(()) => {
                        tracing::info!("new clients are shown the certificate that is in its files now")
                    }
                    Err(error) => tracing::error!("the certificate cannot be shown: {error}"),
                },
            },
        }
    }
}

/// Whether newcomers who have this name would be content with the certificate's.
pub fn usable(certificate: &RelayCertificate, name: &RelayName) -> Result<(), Failure> {
    match certificate.is_for(name.host()) {
        true => Ok(()),
        false => Err(Failure::CertificateName { host: name.host().to_owned() }),
    }
}
