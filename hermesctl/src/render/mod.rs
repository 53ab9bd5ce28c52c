//! How things read on a terminal. Pure: values in, lines out.

pub(crate) mod account;
pub(crate) mod audit;
pub(crate) mod contact;
pub(crate) mod fold;
pub(crate) mod group;
pub(crate) mod message;
pub(crate) mod peer;
pub(crate) mod qr;
pub(crate) mod request;
pub(crate) mod sent;
pub(crate) mod table;
