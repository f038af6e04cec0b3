//! Certificates for tests: one authority, and servers that a client must accept or refuse.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A certificate for one of the server's addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Certificate {
    /// For `localhost` and 127.0.0.1, signed by the authority.
    Good,
    /// As good, but its time is over.
    Expired,
    /// Signed and in time, for another host.
    WrongHost,
    /// In time and for this host, signed by nobody but itself.
    SelfSigned,
}

impl Certificate {
    /// All kinds.
    pub(crate) const ALL: [Self; 4] = [Self::Good, Self::Expired, Self::WrongHost, Self::SelfSigned];

    /// The loopback address on which the server shows it.
    pub(crate) const fn address(self) -> &'static str {
        match self {
            Self::Good => "127.0.0.1",
            Self::Expired => "127.0.0.2",
            Self::WrongHost => "127.0.0.3",
            Self::SelfSigned => "127.0.0.4",
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Expired => "expired",
            Self::WrongHost => "wrong-host",
            Self::SelfSigned => "self-signed",
        }
    }

    fn names(self) -> String {
        match self {
            Self::WrongHost => "DNS:elsewhere.invalid".into(),
            _ => format!("DNS:localhost,IP:{}", self.address()),
        }
    }
}

/// A folder of certificates and keys.
pub(crate) struct Certificates {
    dir: PathBuf,
}

impl Certificates {
    /// Makes them all with the `openssl` command.
    pub(crate) fn make(dir: &Path) -> Result<Self, String> {
        fs::create_dir_all(dir).map_err(|e| e.to_string())?;
        let made = Self { dir: dir.to_owned() };
        made.openssl(&format!(
            "req -x509 {NEW_KEY} -keyout ca.key -out ca.pem -days 3650 -subj /CN=homing-tests \
             -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign,cRLSign"
        ))?;
        for kind in Certificate::ALL {
            let (name, names) = (kind.name(), kind.names());
            if kind == Certificate::SelfSigned {
                made.openssl(&format!(
                    "req -x509 {NEW_KEY} -keyout {name}.key -out {name}.pem -days 30 -subj /CN=localhost \
                     -addext subjectAltName={names}"
                ))?;
            } else {
                made.sign(name, &names, kind == Certificate::Expired)?;
            }
        }
        Ok(made)
    }

    /// The authority's certificate: what `ca-file` names.
    pub(crate) fn authority(&self) -> PathBuf {
        self.dir.join("ca.pem")
    }

    /// A server's certificate and key.
    pub(crate) fn pair(&self, kind: Certificate) -> (PathBuf, PathBuf) {
        let file = |extension: &str| self.dir.join(format!("{}.{extension}", kind.name()));
        (file("pem"), file("key"))
    }

    /// SHA-256 of the certificate, as `AB:CD:…`.
    pub(crate) fn fingerprint(&self, kind: Certificate) -> String {
        let said = self
            .openssl(&format!("x509 -in {}.pem -noout -fingerprint -sha256", kind.name()))
            .expect("a certificate that was just made");
        said.trim().split_once('=').expect("NAME=HEX").1.to_owned()
    }

    /// A key and a certificate signed by the authority. `openssl ca` is the one command that takes a time in the past.
    fn sign(&self, name: &str, names: &str, expired: bool) -> Result<(), String> {
        let config = format!(
            "[ca]\ndefault_ca=tests\n[tests]\ndatabase=index.txt\nnew_certs_dir=.\ncertificate=ca.pem\n\
             private_key=ca.key\ndefault_md=sha256\nrand_serial=yes\nunique_subject=no\npolicy=any\n\
             x509_extensions=server\n[any]\ncommonName=supplied\n[server]\nbasicConstraints=CA:FALSE\n\
             extendedKeyUsage=serverAuth\nsubjectAltName={names}\n"
        );
        fs::write(self.dir.join("ca.cnf"), config).map_err(|e| e.to_string())?;
        fs::write(self.dir.join("index.txt"), "").map_err(|e| e.to_string())?;
        let (from, to) = if expired {
            ("20200101000000Z", "20210101000000Z")
        } else {
            ("20240101000000Z", "20491231000000Z")
        };
        self.openssl(&format!(
            "req {NEW_KEY} -keyout {name}.key -out {name}.csr -subj /CN=localhost"
        ))?;
        self.openssl(&format!(
            "ca -batch -notext -config ca.cnf -startdate {from} -enddate {to} -in {name}.csr -out {name}.pem"
        ))?;
        Ok(())
    }

    fn openssl(&self, arguments: &str) -> Result<String, String> {
        let out = Command::new("openssl")
            .args(arguments.split_whitespace())
            .current_dir(&self.dir)
            .output()
            .map_err(|e| format!("the openssl command is needed: {e}"))?;
        if out.status.success() {
            return Ok(String::from_utf8_lossy(&out.stdout).into_owned());
        }
        let said = String::from_utf8_lossy(&out.stderr);
        Err(format!("openssl {arguments}: {}", said.trim().replace('\n', " | ")))
    }
}

const NEW_KEY: &str = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes";
