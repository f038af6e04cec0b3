//! homing against a real server. `make test` requires it; plain `cargo test` runs it where Dovecot is at hand.

#[path = "../support"]
mod support {
    pub(crate) mod dovecot;
    pub(crate) mod proxy;
    pub(crate) mod raw;
    pub(crate) mod witness;
    pub(crate) mod world;
}

mod changes;
mod connecting;
mod cuts;
mod guards;
mod instruments;
mod ladder;
mod memory;
mod odd_mail;
mod odd_names;
mod policies;
mod rounds;
mod scene;
mod trouble;
