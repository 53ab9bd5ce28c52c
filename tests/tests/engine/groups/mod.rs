//! Groups of engines.

mod audit;
mod hostile;
mod invitations;
mod races;
mod rebuild;
mod rejoin;
mod rules;
mod secrecy;
mod size;
mod update;
