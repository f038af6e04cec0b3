use super::*;

const CONFIG: &str = "[accounts.old]\nhost = \"h\"\nuser = \"u\"\npassword-env = \"P\"\n\
                      [accounts.new]\nhost = \"g\"\nuser = \"u\"\npassword-env = \"P\"\n";

fn environment() -> Environment {
    Environment::of([("HOME", "/home/me")])
}

fn config() -> Config {
    Config::parse(CONFIG, Path::new("/c/config.toml"), &environment()).unwrap()
}

/// Each row as `FROM -> TO` or its refusal.
fn rows(file: &str, text: &str) -> Result<Vec<String>> {
    let config = config();
    let rows = parse(text, Path::new(file), &config, &environment())?;
    let tell = |row: Row<'_>| match row.pair {
        Ok([from, to]) => format!("{} {}: {} -> {}", row.number, row.line, from.name, to.name),
        Err(failure) => format!("{} {}! {failure}", row.number, row.line),
    };
    Ok(rows.into_iter().map(tell).collect())
}

#[test]
fn pairs_in_csv() {
    let text = "from,to,from-host,from-port,from-user,from-password-command,to-provider,to-user,to-password-env\n\
                old,new,,,,,,,\n\
                \n\
                ,,imap.example.org,1143,me@example.org,\"pass show \"\"me\"\"\",gmail,me@gmail.com,NEW\n\
                old,,,,,,gmail,../../etc,NEW\n";
    assert_eq!(
        rows("l.csv", text).unwrap(),
        [
            "0 2: old -> new",
            "1 4: me@example.org%imap.example.org%1143 -> me@gmail.com%imap.gmail.com",
            "2 5: old -> =2E.=2F..=2Fetc%imap.gmail.com",
        ]
    );
}

#[test]
fn pairs_in_toml() {
    let text = "[[pairs]]\nfrom = \"old\"\nto = \"new\"\n\n[[pairs]]\nfrom = \"old\"\n\
                to = { host = \"imap.example.org\", user = \"you\", password-env = \"P\", map = { \"A\" = \"B\" } }\n";
    assert_eq!(
        rows("l.toml", text).unwrap(),
        ["0 1: old -> new", "1 5: old -> you%imap.example.org"]
    );
}

#[test]
fn a_bad_row_is_refused_where_it_is_bad_and_no_other() {
    for (row, refusal) in [
        ("odl,new", "l.csv:3:1: there is no account \"odl\""),
        ("old", "l.csv:3:1: \"to\" is missing in this row"),
        ("old,,h", "l.csv:3:1: \"user\" is missing in \"to\""),
        (
            "old,,h,u",
            "l.csv:3:1: where the password comes from is missing in \"to\"",
        ),
        ("old,,h,u,P,70000", "l.csv:3:12: \"port\" must be from 1 to 65535"),
        (
            "old,,h,u,P,many",
            "l.csv:3:12: \"port\" must be a whole number, not a string",
        ),
        (
            "old,,a b,u,P",
            "l.csv:3:6: \"host\": \"a b\" is no host: write its bare name, the port goes into \"port\"",
        ),
        (
            "old,new,h",
            "l.csv:3:5: \"to\" names a configured account, and other columns describe one",
        ),
        (
            "old,new,,,,,x",
            "l.csv:3:13: a cell beyond the last column; what holds a separator has to be quoted",
        ),
        ("old,new", "l.csv:3:1: the same pair as on line 2"),
    ] {
        let text = format!("from,to,to-host,to-user,to-password-env,to-port\nold,new\n{row}\nnew,old\n");
        let found = rows("l.csv", &text).unwrap();
        let wanted = format!("1 3! {refusal}");
        assert_eq!(found, ["0 2: old -> new", wanted.as_str(), "2 4: new -> old"], "{row}");
    }
    let text = "[[pairs]]\nfrom = \"old\"\nto = { password = \"x\" }\n[[pairs]]\nfrom = \"new\"\nto = \"old\"\n";
    assert_eq!(
        rows("l.toml", text).unwrap(),
        ["0 1! l.toml:3:8: unknown key \"password\" in \"to\"", "1 4: new -> old"]
    );
}

#[test]
fn a_list_that_makes_no_sense_is_refused_as_a_whole() {
    for (file, text, refusal, hint) in [
        (
            "l.csv",
            "from,to-password\nold,secret\n",
            "l.csv:1:6: unknown column \"to-password\"",
            "password-command",
        ),
        (
            "l.csv",
            "from,Passwort\nold,secret\n",
            "l.csv:1:6: unknown column \"Passwort\"",
            "columns are",
        ),
        (
            "l.csv",
            "from,to-hots\n",
            "l.csv:1:6: unknown column \"to-hots\"",
            "to-host",
        ),
        (
            "l.csv",
            "from,to-maildir\n",
            "l.csv:1:6: unknown column \"to-maildir\"",
            "",
        ),
        (
            "l.csv",
            "from,to\nold,\"new\n",
            "l.csv:2:5: a quote is opened here and never closed",
            "",
        ),
        ("l.csv", "", "the list l.csv is empty", "first row"),
        ("l.toml", "", "no pair is listed", "[[pairs]]"),
        ("l.toml", "pairs = 3\n", "must be a list", ""),
        ("l.txt", "from,to\n", "neither in .csv nor in .toml", ""),
    ] {
        let failure = rows(file, text).unwrap_err();
        assert_eq!(failure.kind, Kind::Config);
        assert!(failure.what.contains(refusal), "{failure}");
        let told = failure.hint.unwrap_or_default();
        assert!(told.contains(hint), "{text}: {told}");
        assert!(!format!("{} {told}", failure.what).contains("secret"));
    }
}

#[test]
fn names_of_directories_that_no_two_accounts_share() {
    let server = |user: &str, host: &str, port: u16| {
        let text = format!(
            "[[pairs]]\nfrom = \"old\"\nto = {{ host = {host:?}, user = {user:?}, port = {port}, password-env = \"P\" }}\n"
        );
        let config = config();
        let mut rows = parse(&text, Path::new("l.toml"), &config, &environment()).unwrap();
        let [_, to] = rows.remove(0).pair.unwrap();
        to.name.clone()
    };
    let users = [
        "a",
        "A",
        "a%b",
        "a=25b",
        "a b",
        "a/b",
        "..",
        "a--b",
        "-a",
        "ä",
        "a\\b",
        &"long".repeat(60),
        &"long".repeat(61),
    ];
    let hosts = ["h", "::1", "b%h", "h--i"];
    let mut names = std::collections::BTreeSet::new();
    for user in users {
        for host in hosts {
            for port in [993, 1143] {
                let name = server(user, host, port);
                assert!(
                    name.len() <= 110 && !name.contains(['/', '\0']) && !name.starts_with('.'),
                    "{name}"
                );
                assert!(name.contains(['%', '=']) && !name.contains("--"), "{name}");
                assert!(names.insert(name.clone()), "{name} is there twice");
                assert_eq!(server(user, host, port), name);
            }
        }
    }
    assert_eq!(server("a", "IMAP.Example.org", 993), "a%imap.example.org");
}
