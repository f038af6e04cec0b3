//! A Maildir as a store.

pub mod index;
