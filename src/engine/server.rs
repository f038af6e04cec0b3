//! From an account's settings to its server.

use std::path::Path;
use std::sync::Arc;

use crate::account::{self, Account};
use crate::imap;
use crate::state::Traffic;
use crate::store::Stop;

/// How to talk to an account's server. What crosses the wire is noted in the account's directory below `states`.
pub(super) fn imap_options(account: &Account, states: &Path, stop: &Stop) -> imap::Options {
    let server = &account.server;
    let credentials = Arc::clone(&server.credentials);
    imap::Options {
        port: server.port,
        tls: match server.tls {
            account::Tls::Implicit => imap::Tls::Implicit,
            account::Tls::StartTls => imap::Tls::StartTls,
            account::Tls::None => imap::Tls::None,
        },
        // The configuration has refused what is not allowed.
        allow_cleartext: true,
        ca_file: server.ca_file.clone(),
        tls_fingerprint: server.tls_fingerprint,
        client_cert: server.client_cert.clone(),
        login_as: server.login_as.clone(),
        auth: server
            .auth
            .iter()
            .map(|mechanism| mechanism.name().to_owned())
            .collect(),
        connections: server.connections,
        timeout: server.timeout,
        compress: server.compress,
        bearing: bearing(account, states),
        stop: stop.clone(),
        ..imap::Options::new(&server.host, &server.user, Arc::new(move || credentials.secret()))
    }
}

fn bearing(account: &Account, states: &Path) -> imap::Bearing {
    let server = &account.server;
    imap::Bearing {
        rate: server.max_rate,
        daily: [server.max_bytes.down, server.max_bytes.up],
        ledger: Some(Arc::new(Traffic::below(&states.join(&account.name)))),
    }
}
