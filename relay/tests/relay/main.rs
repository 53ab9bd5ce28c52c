//! The relay: its rules over both of its stores, and the program on a network.

#[macro_use]
mod common;

mod abuse;
mod blobs;
mod certificates;
mod channels;
mod claims;
mod conformance;
mod kept;
mod network;
mod network_channels;
mod no_graph;
mod operator;
mod program;
mod refusals;
mod rules;
