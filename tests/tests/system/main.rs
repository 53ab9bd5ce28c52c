//! The real programs, as their users run them.

mod backlog;
mod backup;
mod bad_input;
mod canary;
mod changed_identity;
mod cli;
mod groups;
mod keys;
mod kill;
mod notifications;
mod rollback;
mod supervised;
mod swallow;
