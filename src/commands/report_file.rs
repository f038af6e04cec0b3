//! A report written to a file, in the form that its name asks for.

use std::fs::Permissions;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::error::{Failure, Kind, Reach, Result};
use crate::report::{Problem, Report};
use crate::state::now;

/// Where to, and in what form.
#[derive(Clone, Debug)]
pub struct ReportFile {
    path: PathBuf,
    form: Form,
}

#[derive(Clone, Copy, Debug)]
enum Form {
    Html,
    Json,
    Csv,
}

impl ReportFile {
    /// From the command line.
    pub fn parse(path: &str) -> Result<Self, String> {
        let ending = Path::new(path).extension().and_then(|ending| ending.to_str());
        let form = match ending.map(str::to_ascii_lowercase).as_deref() {
            Some("html" | "htm") => Form::Html,
            Some("json") => Form::Json,
            Some("csv") => Form::Csv,
            _ => return Err("a report is a file that ends in .html, .json or .csv".to_owned()),
        };
        let path = PathBuf::from(path);
        Ok(Self { path, form })
    }

    /// Writes it. A report that cannot be written is a problem of the run, which was done all the same.
    pub fn write(&self, mut report: Report) -> Result<Report> {
        let text = match self.form {
            Form::Html => report.to_html(now()),
            Form::Json => report.to_json() + "\n",
            Form::Csv => report.to_csv(),
        };
        if let Err(error) = replace(&self.path, &text) {
            let what = format!("the report {} could not be written: {error}", self.path.display());
            let failure = Failure {
                reach: Reach::Account,
                ..Failure::account(Kind::Partial, what)
            };
            match report.accounts.first_mut() {
                Some(account) => account.problems.push(Problem::new(&failure, None, None)),
                None => return Err(failure),
            }
        }
        Ok(report)
    }
}

/// Whoever reads meanwhile sees the old file or the new one, whole.
fn replace(path: &Path, text: &str) -> std::io::Result<()> {
    let directory = path.parent().filter(|dir| !dir.as_os_str().is_empty());
    let mut file = tempfile::Builder::new()
        // As any file that a program makes: the umask decides.
        .permissions(Permissions::from_mode(0o666))
        .tempfile_in(directory.unwrap_or(Path::new(".")))?;
    file.write_all(text.as_bytes())?;
    file.persist(path)?;
    Ok(())
}
