//! `dovecot.conf` for a server that serves nobody but a test.

mod v2_3;
mod v2_4;

use std::fs;
use std::path::Path;

use super::Variant;
use super::tls::Certificates;

/// What the configuration is made from.
pub(super) struct Place<'a> {
    /// Whether it is Dovecot 2.4 or later, whose settings have other names.
    pub(super) modern: bool,
    /// The server's folder.
    pub(super) home: &'a Path,
    /// The user that it runs as, and that user's group.
    pub(super) user: &'a str,
    pub(super) group: &'a str,
    /// Ports for cleartext (and STARTTLS) and for implicit TLS.
    pub(super) port: u16,
    pub(super) tls_port: u16,
    /// Folder of copied programs, if they are not the system's.
    pub(super) libraries: Option<&'a Path>,
    pub(super) certificates: &'a Certificates,
}

/// What one user may store; all others have no limit.
struct Limit {
    user: &'static str,
    /// In all messages together.
    storage: Option<&'static str>,
    /// In one message.
    message: Option<&'static str>,
}

const LIMITS: [Limit; 2] = [
    Limit {
        user: "quota",
        storage: Some("250k"),
        message: None,
    },
    Limit {
        user: "small",
        storage: None,
        message: Some("64k"),
    },
];

/// Writes `dovecot.conf` and `users` into the server's folder.
pub(super) fn write(place: &Place, variant: &Variant) -> std::io::Result<()> {
    let (users, text) = if place.modern {
        (
            LIMITS.map(|limit| v2_4::user(&limit)).concat(),
            v2_4::text(place, variant),
        )
    } else {
        (
            LIMITS.map(|limit| v2_3::user(&limit)).concat(),
            v2_3::text(place, variant),
        )
    };
    fs::write(place.home.join("users"), users)?;
    fs::write(place.home.join("dovecot.conf"), text)
}
