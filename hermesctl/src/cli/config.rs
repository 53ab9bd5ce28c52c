//! `hermesctl config`

use clap::Subcommand;
use hermes_config::Key;

#[derive(Debug, Subcommand)]
pub(crate) enum Config {
    /// Show every key and its value
    Show {
        /// Say where each value comes from
        #[arg(long)]
        origin: bool,
    },
    /// Print the value of a key
    Get {
        /// The key, like daemon.log
        #[arg(value_parser = key)]
        key: &'static Key,
    },
    /// Set a key in your file; all else in it stays as it is
    #[command(after_help = SET_HELP)]
    Set {
        /// The key, like daemon.log
        #[arg(value_parser = key)]
        key: &'static Key,
        /// The value
        #[arg(allow_hyphen_values = true)]
        value: String,
    },
    /// Take a key out of your file, so that what stands below it counts
    Unset {
        /// The key, like daemon.log
        #[arg(value_parser = key)]
        key: &'static Key,
    },
    /// Edit your file with $VISUAL or $EDITOR; only what can be used is kept
    Edit,
}

const SET_HELP: &str = "\
What counts first: a flag, then a HERMES_* variable, then your file, then /etc/hermes/config.toml.

  hermesctl config set daemon.log debug
  hermesctl config show --origin";

fn key(name: &str) -> Result<&'static Key, String> {
    Key::find(name).ok_or_else(|| format!("there is no such key; did you mean {}?", Key::nearest(name)))
}
