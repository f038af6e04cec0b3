//! `~` and `$VARIABLE` in values.

use std::path::{Path, PathBuf};

use super::places::{Environment, tidy};

/// Replaces `$NAME` and `${NAME}`; `$$` is one dollar sign, and a `$` before anything else stays. A variable that is not
/// set is an error, which names it.
pub(super) fn variables(text: &str, environment: &Environment) -> Result<String, String> {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('$') {
        out.push_str(before);
        let (name, next) = variable(after)?;
        match name {
            Some(name) => {
                let value = environment.get(name);
                out.push_str(&value.ok_or_else(|| format!("the environment variable {name} is not set"))?);
            }
            None => out.push('$'),
        }
        rest = next;
    }
    out.push_str(rest);
    Ok(out)
}

/// The name that follows a `$`, if one does, and what comes after it.
fn variable(after: &str) -> Result<(Option<&str>, &str), String> {
    if let Some(next) = after.strip_prefix('$') {
        return Ok((None, next));
    }
    let braced = after.strip_prefix('{');
    let from = braced.unwrap_or(after);
    let end = from
        .find(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
        .unwrap_or(from.len());
    let (name, next) = from.split_at(end);
    let good = !name.starts_with(|c: char| c.is_ascii_digit()) && !name.is_empty();
    match (braced, next.strip_prefix('}')) {
        (None, _) => Ok(if good { (Some(name), next) } else { (None, after) }),
        (Some(_), Some(next)) if good => Ok((Some(name), next)),
        (Some(_), _) => Err("\"${\" must be followed by a variable's name and \"}\"".into()),
    }
}

/// The same for a path: a leading `~` is the home directory, and what is not absolute starts from `base`.
pub(super) fn path(text: &str, base: &Path, environment: &Environment) -> Result<PathBuf, String> {
    // The `~` is looked for in what was written, not in what a variable brings.
    let expanded = variables(text, environment)?;
    let path = match text.strip_prefix('~') {
        Some(rest) if rest.is_empty() || rest.starts_with('/') => {
            let home = environment.home().map_err(|failure| failure.what)?;
            home.join(expanded[1..].trim_start_matches('/'))
        }
        Some(_) => return Err("only \"~\" and \"~/…\", your own home directory, are understood".into()),
        None => base.join(expanded),
    };
    Ok(tidy(&path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_replaced() {
        let environment = Environment::of([
            ("NAME", "pigeon"),
            ("EMPTY", ""),
            ("TILDE", "~/x"),
            ("HOME", "/home/me"),
        ]);
        for (text, result) in [
            ("plain", Ok("plain")),
            ("$NAME", Ok("pigeon")),
            ("a${NAME}b", Ok("apigeonb")),
            ("$NAME/$NAME", Ok("pigeon/pigeon")),
            ("[$EMPTY]", Ok("[]")),
            ("$$NAME $", Ok("$NAME $")),
            ("5$ $1", Ok("5$ $1")),
            ("$MISSING", Err("the environment variable MISSING is not set")),
            ("${NAME", Err("\"${\" must be followed by a variable's name and \"}\"")),
            ("${}", Err("\"${\" must be followed by a variable's name and \"}\"")),
        ] {
            let result = result.map(str::to_owned).map_err(str::to_owned);
            assert_eq!(variables(text, &environment), result, "{text}");
        }
    }

    #[test]
    fn paths_are_absolute() {
        let environment = Environment::of([("HOME", "/home/me"), ("TILDE", "~")]);
        for (text, result) in [
            ("~", "/home/me"),
            ("~/Mail", "/home/me/Mail"),
            ("/a/./b/../c", "/a/c"),
            ("Mail", "/etc/homing/Mail"),
            ("../Mail", "/etc/Mail"),
            ("$TILDE/x", "/etc/homing/~/x"),
            ("$HOME/x", "/home/me/x"),
        ] {
            let path = path(text, Path::new("/etc/homing"), &environment).unwrap();
            assert_eq!(path, Path::new(result), "{text}");
        }
        assert!(path("~root/x", Path::new("/"), &environment).is_err());
        assert!(path("~/x", Path::new("/"), &Environment::of([])).is_err());
    }
}
