//! homing keeps a Maildir and an IMAP account the same.

pub mod account;
pub mod cli;
pub mod commands;
pub mod config;
pub mod engine;
pub mod error;
pub mod execute;
pub mod identity;
pub mod imap;
pub mod maildir;
pub mod model;
pub mod plan;
pub mod progress;
pub mod report;
pub mod secret;
pub mod spool;
pub mod state;
pub mod store;
mod utf7;
