//! A Maildir as a store (DESIGN 10).
//!
//! Where to look: what directories are called is in `layout` and `escape`, what files are called in `filename` and
//! `keywords`; line ends are in `crate::lines`. A directory is listed by `listing`, compared with what was known by
//! `scan`, and all mailboxes of a root are found by `survey`. Messages leave through `read`, or as copies for somebody
//! without books through `contents`, and arrive through `deliver`; existing files are changed by `flags`, `remove` and `transfer`, and
//! directories by `mailboxes`. `marker` and `attic` are what the guards lean on; `recover` looks for what a killed
//! run left behind. `store` ties them to the contract.
//!
//! Three rules run through all of it:
//! 1. A file is known by the unique part of its name, within its mailbox. Whoever renames it under us, or moves it from
//!    `new` to `cur`, changes nothing; so every use of a name is prepared for the file having another one by now.
//! 2. Nothing is overwritten and nothing is deleted: renames refuse an existing target, removals go to the attic. What
//!    this module unlinks is its own unfinished work.
//! 3. A listing can miss a file that is being renamed. Absence is believed only after a second, settled listing.

pub mod attic;
mod batch;
mod body;
pub mod contents;
mod deliver;
pub(crate) mod disk;
mod doubles;
mod escape;
mod filename;
pub mod files;
mod flags;
pub mod index;
mod keywords;
mod layout;
mod listing;
mod mailboxes;
pub mod marker;
mod place;
mod read;
mod recover;
mod remove;
mod scan;
mod store;
mod survey;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod transfer;
pub(crate) mod volume;
mod workers;

pub use layout::{LayoutChoice, nested_mailbox, nested_name};
pub use marker::Marker;
pub use store::{Maildir, Options, Shelves};
pub use volume::Durability;
