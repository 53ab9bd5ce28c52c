//! Engines without a shell: one by one, in pairs and in groups, with the network in the test's hands.

mod backup;
mod claims;
mod events;
mod expiry;
mod find;
mod gaps;
mod groups;
mod healing;
mod hostile;
mod identity;
mod marks;
mod people;
mod prekeys;
mod presence;
mod profile;
mod read;
mod requests;
mod rules;
