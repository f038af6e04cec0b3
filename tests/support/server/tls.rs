//! Certificates for one test, made with the `openssl` command.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A self-signed certificate for `localhost` and 127.0.0.1.
#[derive(Clone, Debug)]
pub struct Certificate {
    /// The certificate, which is its own authority: what a client's `ca-file` names.
    pub pem: PathBuf,
    key: PathBuf,
}

impl Certificate {
    /// Makes one in that directory; `None` where there is no `openssl` command.
    pub fn make(dir: &Path) -> Option<Self> {
        Self::make_for(dir, "localhost", "DNS:localhost,IP:127.0.0.1")
    }

    /// Makes one for another host, which a client must refuse.
    pub fn make_for(dir: &Path, name: &str, alternatives: &str) -> Option<Self> {
        let made = Self {
            pem: dir.join(format!("{name}.pem")),
            key: dir.join(format!("{name}.key")),
        };
        let status = Command::new("openssl")
            .args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30"])
            .args(["-subj", &format!("/CN={name}")])
            .args(["-addext", &format!("subjectAltName={alternatives}")])
            .arg("-out")
            .arg(&made.pem)
            .arg("-keyout")
            .arg(&made.key)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        status.is_ok_and(|s| s.success()).then_some(made)
    }

    pub(super) fn acceptor(&self) -> native_tls::TlsAcceptor {
        let read = |path: &Path| fs::read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let identity =
            native_tls::Identity::from_pkcs8(&read(&self.pem), &read(&self.key)).expect("a good certificate");
        native_tls::TlsAcceptor::new(identity).expect("a good certificate")
    }
}
