//! The real programs, as their users run them.

mod accounts;
mod api_examples;
mod backlog;
mod backup;
mod bad_input;
mod canary;
mod certificates;
mod changed_identity;
mod cli;
mod elsewhere;
mod events;
mod full_disk;
mod groups;
mod keys;
mod kill;
mod notifications;
mod on;
mod requests;
mod rollback;
mod skip;
mod soak;
mod supervised;
mod swallow;
mod transcripts;
mod tui;
