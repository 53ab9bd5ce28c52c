//! Groups of engines.

mod audit;
mod elsewhere;
mod guests;
mod hostile;
mod invitations;
mod races;
mod rebuild;
mod rejoin;
mod rules;
mod secrecy;
mod size;
mod update;
