//! The operator's configuration: a TOML file in which everything has a default, and unknown keys are errors.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use hermes_wire::limits::ENVELOPE_BYTES;
use serde::Deserialize;

use crate::{
    certificate::CertificateFiles,
    limits::{self, Limits, Rate},
    relay::{Policy, Registration},
};

/// Everything an operator can set.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Where to listen (UDP).
    pub listen: SocketAddr,
    /// Under what name or address clients reach this relay, with or without a port; guessed when missing.
    pub public_address: Option<String>,
    /// Where to show metrics and health (HTTP), a loopback address; nowhere when missing.
    pub monitor: Option<SocketAddr>,
    /// A certificate of an authority for the host in `public_address`: the whole chain (PEM). None when missing.
    pub certificate: Option<PathBuf>,
    /// The certificate's key (PEM).
    pub certificate_key: Option<PathBuf>,
    /// Who may make a mailbox.
    pub registration: Registration,
    /// Connections at a time.
    pub connections: usize,
    /// Quotas and rates.
    pub limits: LimitsConfig,
}

/// Quotas and rates, with the unit in each key's name.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LimitsConfig {
    /// Mailboxes on this relay.
    pub mailboxes: u64,
    /// Largest envelope body, at most 64 KiB.
    pub envelope_kib: u32,
    /// Envelopes waiting in one mailbox.
    pub mailbox_envelopes: u64,
    /// Bytes waiting in one mailbox.
    pub mailbox_mib: u64,
    /// Share of a mailbox that one contact may fill.
    pub contact_percent: u8,
    /// How long an envelope waits for its owner.
    pub envelope_ttl_days: u32,
    /// Deposits of one contact at once.
    pub deposit_burst: u32,
    /// Deposits of one contact after that.
    pub deposits_per_second: u32,
    /// Prekey fetches of one contact at once.
    pub fetch_burst: u32,
    /// Time that earns one more fetch.
    pub fetch_period_seconds: u32,
    /// Channels on this relay.
    pub channels: u64,
    /// Posts to one channel at once.
    pub post_burst: u32,
    /// Posts to one channel after that.
    pub posts_per_second: u32,
    /// Bytes of blobs that one mailbox may keep here.
    pub mailbox_blob_mib: u64,
}

/// What is wrong with a configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read {path}: {error}")]
    Read {
        /// The file.
        path: String,
        /// Why.
        error: std::io::Error,
    },
    /// The file is no configuration.
    #[error("{path}: {error}")]
    Parse {
        /// The file.
        path: String,
        /// Where and why.
        error: String,
    },
    /// A value makes no sense.
    #[error("{key} must be {must}")]
    Value {
        /// The key.
        key: &'static str,
        /// What it must be.
        must: &'static str,
    },
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([0, 0, 0, 0], 4433)),
            public_address: None,
            monitor: None,
            certificate: None,
            certificate_key: None,
            registration: Registration::Token,
            connections: limits::CONNECTIONS,
            limits: LimitsConfig::default(),
        }
    }
}

impl Default for LimitsConfig {
    fn default() -> Self {
        Self {
            mailboxes: 100_000,
            envelope_kib: 64,
            mailbox_envelopes: 100_000,
            mailbox_mib: 1_024,
            contact_percent: 50,
            envelope_ttl_days: 30,
            deposit_burst: 6_000,
            deposits_per_second: 50,
            fetch_burst: 6,
            fetch_period_seconds: 600,
            channels: 100_000,
            post_burst: 600,
            posts_per_second: 50,
            mailbox_blob_mib: 64,
        }
    }
}

impl Config {
    /// Reads the file at `path`.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let name = path.display().to_string();
        let text =
            std::fs::read_to_string(path).map_err(|error| ConfigError::Read { path: name.clone(), error })?;
        toml::from_str(&text).map_err(|error| ConfigError::Parse {
            path: name,
            error: error.to_string().trim_end().to_owned(),
        })
    }

    /// What the relay's rules need of it.
    pub fn policy(&self) -> Result<Policy, ConfigError> {
        if self.monitor.is_some_and(|address| !address.ip().is_loopback()) {
            return Err(ConfigError::Value {
                key: "monitor",
                must: "a loopback address, like 127.0.0.1:9464",
            });
        }
        if !(1..=limits::MOST_CONNECTIONS).contains(&self.connections) {
            return Err(ConfigError::Value { key: "connections", must: "from 1 to 1000000" });
        }
        Ok(Policy { registration: self.registration, limits: self.limits.limits()? })
    }

    /// Where the certificate is, if there is to be one.
    pub fn certificate_files(&self) -> Result<Option<CertificateFiles>, ConfigError> {
        match (&self.certificate, &self.certificate_key) {
            (None, None) => Ok(None),
            // Without a name that the operator has chosen there is none that a certificate could be for.
            _ if self.public_address.is_none() => {
                Err(ConfigError::Value { key: "public_address", must: "set to a name in the certificate" })
            }
            (Some(chain), Some(key)) => Ok(Some(CertificateFiles::new(chain.clone(), key.clone()))),
            (Some(_), None) => {
                Err(ConfigError::Value { key: "certificate_key", must: "set, as certificate is" })
            }
            (None, Some(_)) => {
                Err(ConfigError::Value { key: "certificate", must: "set, as certificate_key is" })
            }
        }
    }
}

impl LimitsConfig {
    fn limits(&self) -> Result<Limits, ConfigError> {
        let check = |ok: bool, key, must| if ok { Ok(()) } else { Err(ConfigError::Value { key, must }) };
        let envelope_bytes = u64::from(self.envelope_kib) * 1_024;
        check(
            (1_024..=ENVELOPE_BYTES as u64).contains(&envelope_bytes),
            "limits.envelope_kib",
            "from 1 to 64, the most that the protocol carries",
        )?;
        check((1..=100).contains(&self.contact_percent), "limits.contact_percent", "from 1 to 100")?;
        check(self.mailbox_envelopes > 0, "limits.mailbox_envelopes", "1 or more")?;
        check((1..=1 << 40).contains(&self.mailbox_mib), "limits.mailbox_mib", "1 or more")?;
        check(self.envelope_ttl_days > 0, "limits.envelope_ttl_days", "1 or more")?;
        check(self.deposit_burst > 0, "limits.deposit_burst", "1 or more")?;
        check(
            (1..=1_000).contains(&self.deposits_per_second),
            "limits.deposits_per_second",
            "from 1 to 1000",
        )?;
        check(self.fetch_burst > 0, "limits.fetch_burst", "1 or more")?;
        check(self.fetch_period_seconds > 0, "limits.fetch_period_seconds", "1 or more")?;
        check(self.post_burst > 0, "limits.post_burst", "1 or more")?;
        check((1..=1_000).contains(&self.posts_per_second), "limits.posts_per_second", "from 1 to 1000")?;
        check(self.mailbox_blob_mib <= 1 << 40, "limits.mailbox_blob_mib", "at most 1099511627776")?;
        Ok(Limits {
            mailboxes: self.mailboxes,
            envelope_bytes: envelope_bytes as u32,
            mailbox_envelopes: self.mailbox_envelopes,
            mailbox_bytes: self.mailbox_mib << 20,
            contact_percent: u64::from(self.contact_percent),
            envelope_ttl: Duration::from_secs(u64::from(self.envelope_ttl_days) * 86_400),
            deposits: Rate {
                burst: self.deposit_burst,
                period: Duration::from_millis(u64::from(1_000 / self.deposits_per_second)),
            },
            fetches: Rate {
                burst: self.fetch_burst,
                period: Duration::from_secs(u64::from(self.fetch_period_seconds)),
            },
            channels: self.channels,
            posts: Rate {
                burst: self.post_burst,
                period: Duration::from_millis(u64::from(1_000 / self.posts_per_second)),
            },
            posts_remembered: limits::POSTS_REMEMBERED,
            receipts_remembered: limits::RECEIPTS_REMEMBERED,
            blob_bytes: self.mailbox_blob_mib << 20,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_the_documented_ones() {
        assert_eq!(toml::from_str::<Config>("").unwrap(), Config::default());
        assert_eq!(Config::default().policy().unwrap(), Policy::default());
    }

    #[test]
    fn the_example_names_every_key_with_its_default() {
        let example = include_str!("../hermes-relay.example.toml");
        let set: Config = toml::from_str(&example.replace("\n# ", "\n")).unwrap();
        let named = Config {
            public_address: Some("relay.example".to_owned()),
            monitor: Some(SocketAddr::from(([127, 0, 0, 1], 9464))),
            certificate: Some("/etc/hermes-relay/fullchain.pem".into()),
            certificate_key: Some("/etc/hermes-relay/privkey.pem".into()),
            ..Config::default()
        };
        assert_eq!(set, named);
        assert_eq!(toml::from_str::<Config>(example).unwrap(), Config::default());
    }

    #[test]
    fn an_unknown_key_or_a_senseless_value_is_an_error() {
        let error = toml::from_str::<Config>("[limits]\nmailbox_mb = 3").unwrap_err().to_string();
        assert!(error.contains("mailbox_mb"), "{error}");
        let config: Config = toml::from_str("limits.contact_percent = 0").unwrap();
        assert!(matches!(config.policy(), Err(ConfigError::Value { key: "limits.contact_percent", .. })));
        // With more than it can count to, it would listen and take nobody.
        for connections in ["0", "1000001", "9223372036854775807"] {
            let config: Config = toml::from_str(&format!("connections = {connections}")).unwrap();
            assert!(matches!(config.policy(), Err(ConfigError::Value { key: "connections", .. })));
        }
        let config: Config = toml::from_str("monitor = '0.0.0.0:9464'").unwrap();
        assert!(matches!(config.policy(), Err(ConfigError::Value { key: "monitor", .. })));
        assert!(toml::from_str::<Config>("registration = \"anyone\"").is_err());
        for (text, missing) in [
            ("certificate = 'c'", "public_address"),
            ("certificate = 'c'\npublic_address = 'h'", "certificate_key"),
            ("certificate_key = 'k'\npublic_address = 'h'", "certificate"),
        ] {
            let error = toml::from_str::<Config>(text).unwrap().certificate_files().unwrap_err();
            assert!(matches!(error, ConfigError::Value { key, .. } if key == missing), "{text}: {error}");
        }
    }
}
