//! The certificate beside the relay's own key, kept as new as its files are.

use std::sync::Arc;

use hermes_link::{certificate::RelayCertificate, credential::RelayIdentity};
use hermes_relay::{
    certificate::{CertificateFileError, CertificateFiles},
    limits::{CERTIFICATE_CHECK, CERTIFICATE_PATIENCE},
    serve::Server,
};
use hermes_wire::RelayName;
use tokio::{
    task::JoinHandle,
    time::{Interval, MissedTickBehavior, interval, timeout},
};

use super::Failure;

/// What shows newcomers the certificate that is in the files.
pub struct Certifier {
    files: CertificateFiles,
    name: RelayName,
    identity: Arc<RelayIdentity>,
    ticks: Interval,
    /// A look at the files, in a thread that may wait for the disk. There is one at a time, however long it takes.
    looking: Option<JoinHandle<(CertificateFiles, Found)>>,
    /// Another one is wanted after it: what changed meanwhile it may have missed.
    again: bool,
}

/// What is new in the files.
pub type Found = Option<Result<RelayCertificate, CertificateFileError>>;

impl Certifier {
    pub fn new(files: CertificateFiles, name: RelayName, identity: Arc<RelayIdentity>) -> Self {
        let mut ticks = interval(CERTIFICATE_CHECK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self { files, name, identity, ticks, looking: None, again: false }
    }

    /// Looks at the files, for as long as a relay that starts can wait.
    pub async fn begin(&mut self, server: &Server) {
        match timeout(CERTIFICATE_PATIENCE, self.found()).await {
            Ok(found) => self.show(found, server),
            Err(_) => tracing::error!("the certificate is not taken yet: its files take long to read"),
        }
    }

    /// Waits until it is time to look at the files: at once, and then now and then. May be given up and asked again.
    pub async fn found(&mut self) -> Found {
        loop {
            let Some(looking) = &mut self.looking else {
                self.ticks.tick().await;
                self.look();
                continue;
            };
            let looked = looking.await;
            self.looking = None;
            let found = match looked {
                Ok((files, found)) => {
                    self.files = files;
                    found
                }
                Err(error) => {
                    tracing::error!(%error, "the files of the certificate could not be read");
                    None
                }
            };
            if std::mem::take(&mut self.again) {
                self.look();
            }
            return found;
        }
    }

    /// Begins to look at the files now, or as soon as the look that is under way has ended.
    pub fn look(&mut self) {
        if self.looking.is_some() {
            self.again = true;
            return;
        }
        let mut files = self.files.clone();
        self.looking = Some(tokio::task::spawn_blocking(move || {
            let found = files.changed();
            (files, found)
        }));
    }

    /// Shows what is new. What is no good changes nothing: a relay does without, or goes on with what it has, and those who
    /// know its key need no certificate.
    pub fn show(&self, found: Found, server: &Server) {
        match found {
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
