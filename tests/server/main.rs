//! The embedded server is itself checked: by the `imap` crate as an independent client, and line by line.
//! Its answers were compared with Dovecot's, command by command, when they were written.

#[path = "../support/mod.rs"]
mod support;

mod commands;
mod faults;
mod login;
mod mail;
mod mailboxes;
mod raw;
mod witness;
