//! From server to server. FROM and TO are two servers in this process that differ in all that a migration meets: names,
//! roles, extensions, what they refuse. Dovecot is among the real servers' tests.

mod scene;
#[path = "../support"]
#[allow(dead_code, unreachable_pub, unused_imports)] // these tests use a part
#[allow(clippy::struct_excessive_bools, clippy::format_collect, clippy::format_push_string)]
mod support {
    pub mod mail;
    pub(crate) mod raw;
    pub mod server;
    pub(crate) mod witness;
    pub(crate) mod world;
}

mod carried;
mod cuts;
mod many;
mod restored;
mod throttles;
