//! What the tests and the demo share.
#![allow(dead_code, unreachable_pub, unused_imports)] // each test binary uses a part
#![allow(clippy::struct_excessive_bools)] // a server has many switches
#![allow(clippy::format_collect, clippy::format_push_string)] // text is made once; it may as well read well

pub mod mail;
pub mod server;
