//! Tests that go through the contract, a file per call.

mod changes;
mod deliver;
mod hostile;
mod law;
mod mailboxes;
mod read;
mod recover;
mod write;
