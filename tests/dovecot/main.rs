//! homing against a real server. `make test` requires it; plain `cargo test` runs it where Dovecot is at hand.

#[path = "../support"]
mod support {
    pub(crate) mod dovecot;
    #[allow(dead_code, unreachable_pub, unused_imports, clippy::pedantic)] // what other tests use
    pub(crate) mod mail;
    pub(crate) mod proxy;
    pub(crate) mod raw;
    #[allow(dead_code, unreachable_pub, unused_imports, clippy::pedantic)] // what other tests use
    pub(crate) mod server;
    pub(crate) mod witness;
    #[allow(dead_code)] // what other tests use
    pub(crate) mod world;
}

mod adopted;
mod archive;
mod arriving;
mod at_once;
mod bounds;
mod changes;
mod connecting;
mod cuts;
mod flights;
mod guards;
mod instruments;
mod kills;
mod kills_of_jobs;
mod ladder;
mod log;
mod marked;
mod memory;
mod migrating;
mod moves;
mod odd_mail;
mod odd_names;
mod policies;
mod renames;
mod rights;
mod rounds;
mod scene;
mod trash;
mod trouble;
