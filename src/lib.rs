//! homing keeps a Maildir and an IMAP account the same.
//!
//! A command ([`commands`]) makes a job of a configured [`account`]; the [`engine`] does it and gives a [`report`].
//! The engine asks both sides what happened since it last looked ([`store`] is the contract of both; [`imap`] and
//! [`maildir`] keep it), lets the pure [`plan`]ner decide what to do, and has [`execute`] do it: journal, act, commit.
//! [`archive`] is what backups leave: the account at any past run; [`formats`] are the files in which
//! people bring mail along and take it away. [`state`] keeps the books, in the words of [`model`]. No arrow points back.
//!
//! What holds everywhere:
//!
//! 1. Identity is content ([`identity`]); a UID is only a cache, and means something only under its UIDVALIDITY.
//! 2. An intent is committed before its effect, the effect is durable before its outcome is committed.
//! 3. Nothing is removed before everything added that it depends on is durable.
//! 4. A change is a difference of a side to its own base, never to the other side.
//! 5. A checkpoint moves only past what was applied or recorded as pending.
//! 6. Absence is believed only when it was proven; in doubt both copies stay.
//! 7. What servers say is hostile until read: it is parsed with limits, and cleaned before it is shown.
//! 8. A failure says how far it reaches, whether trying again helps, and what the user can do.

pub mod account;
pub mod archive;
pub mod cli;
pub mod commands;
pub mod config;
pub mod engine;
pub mod error;
pub mod execute;
pub mod formats;
pub mod identity;
pub mod imap;
mod lines;
pub mod maildir;
pub mod model;
pub mod only_read;
pub mod pace;
mod pause;
pub mod plan;
pub mod progress;
pub mod report;
pub mod secret;
pub mod spool;
pub mod state;
pub mod store;
mod utf7;
