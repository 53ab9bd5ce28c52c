//! The relay that a new account is to be at, when all that is known of it is its name.

use hermes_api::{ErrorCode, Problem};
use hermes_link::{
    client::{self, ConnectError},
    introduction::{Authorities, IntroductionError, introduce},
};
use hermes_wire::{AddressError, RelayAddress, RelayName};

use super::reply::Refused;

/// The address that is meant. A name is asked, once, which key its relay has: from there on the key counts, and whoever can
/// have certificates made for the name later changes nothing.
pub(super) async fn relay(asked: &str) -> Result<RelayAddress, Refused> {
    if asked.contains('#') {
        return asked.parse().map_err(|error: AddressError| bad(error.to_string()));
    }
    let name: RelayName = asked.parse().map_err(|error: AddressError| bad(error.to_string()))?;
    let pin = ask(&name).await.map_err(|error| Refused(problem(&error, &name)))?;
    name.pinned(pin).map_err(|error| bad(error.to_string()))
}

async fn ask(name: &RelayName) -> Result<hermes_wire::RelayPin, IntroductionError> {
    let authorities = tokio::task::spawn_blocking(Authorities::of_system).await;
    let authorities =
        authorities.map_err(|error| IntroductionError::NoAuthorities(format!(": {error}")))??;
    // One for itself: it is to say nothing of whose account it is for.
    let endpoint = client::endpoint()
        .map_err(|error| IntroductionError::Connect(ConnectError::Local(error.to_string())))?;
    introduce(&endpoint, name, &authorities).await
}

fn bad(message: String) -> Refused {
    Refused::new(
        ErrorCode::BadRelayAddress,
        message,
        "copy the whole address that hermes-relay printed, in quotes",
    )
}

fn problem(error: &IntroductionError, name: &RelayName) -> Problem {
    const ADDRESS: &str = "ask its operator for the whole address, which ends with # and the relay's key";
    let (code, hint) = match error {
        IntroductionError::Connect(_) => {
            (ErrorCode::RelayUnreachable, "check the network and the name, then try again".to_owned())
        }
        IntroductionError::NoAuthorities(_) => {
            (ErrorCode::RelayUncertified, format!("install them (Debian: ca-certificates), or {ADDRESS}"))
        }
        IntroductionError::Expired | IntroductionError::NotYetValid => (
            ErrorCode::RelayUncertified,
            "check the clock of this machine; if it is right, ask the relay's operator to renew it, or for the \
             whole address, which ends with # and the relay's key"
                .to_owned(),
        ),
        IntroductionError::OtherName | IntroductionError::UnknownAuthority => (
            ErrorCode::RelayUncertified,
            format!("check the name, for someone may be in between, or {ADDRESS}"),
        ),
        IntroductionError::NoCertificate | IntroductionError::Certificate(_) | IntroductionError::Silent => {
            (ErrorCode::RelayUncertified, ADDRESS.to_owned())
        }
    };
    Problem::new(code, format!("{name}: {error}"), hint)
}
