//! Encryption: what is trusted, and what to say when it is not.

use std::net::TcpStream;
use std::sync::atomic::Ordering;
use std::time::Instant;

use native_tls::{Certificate, HandshakeError, Identity, Protocol, TlsConnector, TlsStream};
use sha2::{Digest, Sha256};

use super::Options;
use super::wire::{SLICE, lost, stopped};
use crate::error::{Failure, Kind, Result, Retry};

/// Encrypts a connection and makes sure that it is the right server, before anything is sent or believed.
pub(super) fn encrypt(tcp: TcpStream, options: &Options) -> Result<TlsStream<TcpStream>> {
    let connector = connector(options, options.tls_fingerprint.is_some())?;
    let tls = shake_hands(&connector, tcp, options)?;
    if let Some(pin) = options.tls_fingerprint {
        let found = fingerprint(&tls);
        if found != Some(pin) {
            let shown = found.map_or("none".to_owned(), |found| hex(&found));
            let what = format!(
                "the certificate of {} is not the one in `tls-fingerprint`",
                options.host
            );
            return Err(Failure::account(Kind::Config, what).hint(format!("the server shows {shown}")));
        }
    }
    Ok(tls)
}

/// The whole handshake within the time limit, however the server dribbles, and ended when the user wants to stop.
fn shake_hands(connector: &TlsConnector, tcp: TcpStream, options: &Options) -> Result<TlsStream<TcpStream>> {
    let slice = options.timeout.min(SLICE);
    tcp.set_read_timeout(Some(slice))
        .and_then(|()| tcp.set_write_timeout(Some(options.timeout)))
        .map_err(|e| lost(&e))?;
    let deadline = Instant::now() + options.timeout;
    let mut state = connector.connect(&options.host, tcp);
    loop {
        match state {
            Ok(tls) => return Ok(tls),
            Err(HandshakeError::WouldBlock(_)) if options.stop.load(Ordering::Relaxed) => return Err(stopped()),
            Err(HandshakeError::WouldBlock(half)) if Instant::now() < deadline => state = half.handshake(),
            Err(error) => return Err(refused(error, options)),
        }
    }
}

/// The SHA-256 of the certificate that a server shows, trusted or not; nothing else is sent to it.
pub(super) fn look(tcp: TcpStream, options: &Options) -> Option<[u8; 32]> {
    let tls = shake_hands(&connector(options, true).ok()?, tcp, options).ok()?;
    fingerprint(&tls)
}

fn fingerprint(tls: &TlsStream<TcpStream>) -> Option<[u8; 32]> {
    let der = tls.peer_certificate().ok()??.to_der().ok()?;
    Some(Sha256::digest(der).into())
}

/// As `openssl x509 -fingerprint` prints it, without colons.
pub(super) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::new(), |mut out, byte| {
        let _ = write!(out, "{byte:02x}");
        out
    })
}

fn connector(options: &Options, any_certificate: bool) -> Result<TlsConnector> {
    let mut builder = TlsConnector::builder();
    builder.min_protocol_version(Some(Protocol::Tlsv12));
    if any_certificate {
        // The pin is checked instead: it is stricter than any authority.
        builder
            .danger_accept_invalid_certs(true)
            .danger_accept_invalid_hostnames(true);
    }
    if let Some(path) = &options.ca_file {
        let bad = |why: String| Failure::account(Kind::Config, format!("ca-file {}: {why}", path.display()));
        let pem = std::fs::read(path).map_err(|e| bad(e.to_string()))?;
        let certificates = Certificate::stack_from_pem(&pem).map_err(|e| bad(e.to_string()))?;
        if certificates.is_empty() {
            return Err(bad("there is no PEM certificate in it".into()));
        }
        for certificate in certificates {
            builder.add_root_certificate(certificate);
        }
    }
    if let Some(path) = &options.client_cert {
        builder.identity(identity(path, options)?);
    }
    builder
        .build()
        .map_err(|e| Failure::account(Kind::Config, format!("TLS cannot be set up: {e}")))
}

/// Reads PEM (certificates and a PKCS#8 key in one file) or PKCS#12, whose password is the account's.
fn identity(path: &std::path::Path, options: &Options) -> Result<Identity> {
    let bad = |why: String| Failure::account(Kind::Config, format!("client-cert {}: {why}", path.display()));
    let bytes = std::fs::read(path).map_err(|e| bad(e.to_string()))?;
    if bytes.windows(11).any(|text| text == b"-----BEGIN ") {
        return Identity::from_pkcs8(&bytes, &bytes).map_err(|e| bad(e.to_string()));
    }
    Identity::from_pkcs12(&bytes, "")
        .or_else(|_| {
            Identity::from_pkcs12(
                &bytes,
                (options.secret)()
                    .map_or(String::new(), |s| s.expose().to_owned())
                    .as_str(),
            )
        })
        .map_err(|e| bad(e.to_string()))
}

fn refused(error: HandshakeError<TcpStream>, options: &Options) -> Failure {
    let HandshakeError::Failure(error) = error else {
        let what = format!("{} does not answer the TLS handshake", options.host);
        return Failure::account(Kind::Temporary, what).retry(Retry::Now);
    };
    let text = crate::error::clean(error.to_string());
    if is_network(&error) {
        return Failure::account(Kind::Temporary, format!("the connection was lost: {text}")).retry(Retry::Now);
    }
    // OpenSSL tells the reason at the end, in parentheses, after the names of its own files.
    let reason = text.rsplit_once('(').map(|(_, reason)| reason.trim_end_matches(')'));
    if let Some(reason) = reason.filter(|_| text.contains("certificate verify failed")) {
        let what = format!("the certificate of {} is not trusted: {reason}", options.host);
        return Failure::account(Kind::Config, what);
    }
    let what = format!("no encrypted connection to {}: {text}", options.host);
    Failure::account(Kind::Config, what).hint("check `host`, `port` and `tls`")
}

/// Whether the network failed, not the trust.
fn is_network(error: &native_tls::Error) -> bool {
    let mut cause: Option<&dyn std::error::Error> = Some(error);
    while let Some(error) = cause {
        if error.is::<std::io::Error>() {
            return true;
        }
        cause = error.source();
    }
    false
}
