//! homing keeps a Maildir and an IMAP account the same.

pub mod engine;
pub mod error;
pub mod execute;
pub mod identity;
pub mod maildir;
pub mod model;
pub mod plan;
pub mod secret;
pub mod state;
pub mod store;
