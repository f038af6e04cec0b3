//! From a host name to a connection that has greeted us, encrypted as configured.

use std::io;
use std::net::{IpAddr, SocketAddr, TcpStream, ToSocketAddrs};
use std::sync::atomic::Ordering;
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use super::command::Command;
use super::conn::Conn;
use super::counters::Counters;
use super::pool::Account;
use super::response::{Reply, Status};
use super::stream::Stream;
use super::wire::{SLICE, Wire, stopped};
use super::{Options, Tls, quirks, tls};
use crate::error::{Failure, Kind, Result, Retry};
use crate::store::Stop;

/// No address is worth waiting longer for, nor is a name.
const LONGEST_CONNECT: Duration = Duration::from_secs(20);

/// Opens a connection up to the point where login can begin; true: the server has logged us in already.
pub(super) fn open(account: &Account) -> Result<(Conn, bool)> {
    let options = &account.options;
    if account.options.stop.load(Ordering::Relaxed) {
        return Err(stopped());
    }
    if !account.was_reached() && account.counters.meter.is_used_up() {
        return Err(account.counters.meter.refusal());
    }
    let tcp = dial(options)?;
    Counters::add(&account.counters.connections, 1);
    refuse_cleartext(&tcp, options)?;
    let connected = match options.tls {
        Tls::Implicit => tls::encrypt(tcp, options).and_then(|tls| greet(account, Stream::Tls(Box::new(tls)))),
        Tls::StartTls => start_tls(account, tcp),
        Tls::None => greet(account, Stream::Plain(tcp)),
    };
    connected.map_err(|failure| explain(failure, account))
}

/// Tries each address of the host.
fn dial(options: &Options) -> Result<TcpStream> {
    let unreachable = |why: String| {
        let what = format!("{}:{} cannot be reached: {why}", options.host, options.port);
        Failure::account(Kind::Temporary, what).retry(Retry::Now)
    };
    let limit = options.timeout.min(LONGEST_CONNECT);
    let addresses = addresses(options, limit).map_err(|e| unreachable(e.to_string()))?;
    let mut last = "the name has no address".to_owned();
    for address in addresses {
        match TcpStream::connect_timeout(&address, limit) {
            Ok(tcp) => return Ok(tcp),
            Err(error) => last = error.to_string(),
        }
    }
    Err(unreachable(last))
}

fn addresses(options: &Options, limit: Duration) -> io::Result<Vec<SocketAddr>> {
    let (host, port) = (options.host.clone(), options.port);
    if let Ok(address) = host.parse::<IpAddr>() {
        return Ok(vec![(address, port).into()]);
    }
    let ask = move || (host.as_str(), port).to_socket_addrs().map(Iterator::collect);
    within(limit, &options.stop, ask)
}

/// What the resolver says, which knows no limit of its own: a thread asks it, and is left behind when time is up.
fn within<T: Send + 'static>(
    limit: Duration,
    stop: &Stop,
    ask: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    let (send, answer) = sync_channel(1);
    // Nobody listens any more when time was up.
    thread::Builder::new().spawn(move || drop(send.send(ask())))?;
    let deadline = Instant::now() + limit;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        match answer.recv_timeout(left.min(SLICE)) {
            Ok(answer) => return answer,
            Err(RecvTimeoutError::Timeout) if stop.load(Ordering::Relaxed) => return Err(io::Error::other("stopped")),
            Err(RecvTimeoutError::Timeout) if !left.is_zero() => {}
            Err(_) => return Err(io::Error::new(io::ErrorKind::TimedOut, "the resolver does not answer")),
        }
    }
}

/// Mail and password go in clear only over loopback, unless the user said otherwise.
fn refuse_cleartext(tcp: &TcpStream, options: &Options) -> Result<()> {
    let is_local = tcp
        .peer_addr()
        .is_ok_and(|a: SocketAddr| a.ip().to_canonical().is_loopback());
    if options.tls != Tls::None || options.allow_cleartext || is_local {
        return Ok(());
    }
    let what = format!(
        "{} is not this machine and `tls = \"none\"` would show the password to the network",
        options.host
    );
    Err(Failure::account(Kind::Config, what)
        .hint("use `tls = \"implicit\"` or `\"starttls\"`, or `allow-cleartext = true`"))
}

fn conn(account: &Account, stream: Stream) -> Result<Conn> {
    let options = &account.options;
    let wire = Wire::new(stream, options.timeout, account.counters.clone(), options.stop.clone())?;
    Ok(Conn::new(wire, account.counters.clone(), account.trust.clone()))
}

fn greet(account: &Account, stream: Stream) -> Result<(Conn, bool)> {
    let mut conn = conn(account, stream)?;
    let logged_in = greeted(&conn.greeting()?)?;
    Ok((conn, logged_in))
}

fn greeted(reply: &Reply) -> Result<bool> {
    match reply.status {
        Status::Ok => Ok(false),
        Status::Preauth => Ok(true),
        _ => Err(quirks::turned_away(reply)),
    }
}

/// RFC 9051 §6.2.1: what the server said before the encryption counts for nothing.
fn start_tls(account: &Account, tcp: TcpStream) -> Result<(Conn, bool)> {
    let tls = tls::encrypt(ask_for_tls(account, tcp)?, &account.options)?;
    Ok((conn(account, Stream::Tls(Box::new(tls)))?, false))
}

/// Talks to the server until it expects the TLS handshake.
fn ask_for_tls(account: &Account, tcp: TcpStream) -> Result<TcpStream> {
    let refuse = |what: &str| Failure::account(Kind::Config, what).hint("try `tls = \"implicit\"`");
    let mut plain = conn(account, Stream::Plain(tcp))?;
    if greeted(&plain.greeting()?)? {
        // PREAUTH leaves no room for STARTTLS, so somebody in between could have sent it.
        return Err(refuse(
            "the server logs in before the encryption that STARTTLS asks for",
        ));
    }
    let reply = plain.ask(Command::new("STARTTLS"), |_| ())?;
    if !reply.is_ok() {
        return Err(refuse(&format!("the server refuses STARTTLS: {}", reply.text)));
    }
    plain.into_plain()
}

/// Adds to a failure of trust what the user needs to decide: the fingerprint of what is there.
fn explain(failure: Failure, account: &Account) -> Failure {
    let options = &account.options;
    if failure.kind != Kind::Config || failure.hint.is_some() || options.tls == Tls::None {
        return failure;
    }
    let ways_out = "`ca-file` names the authority to trust, `tls-fingerprint` this very certificate";
    let again = || -> Result<TcpStream> {
        let tcp = dial(options)?;
        if options.tls == Tls::StartTls {
            return ask_for_tls(account, tcp);
        }
        Ok(tcp)
    };
    match again().ok().and_then(|tcp| tls::look(tcp, options)) {
        Some(shown) => failure.hint(format!("{ways_out}; its SHA-256 is {}", tls::hex(&shown))),
        None => failure.hint(ways_out),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{Failure, Kind};
    use crate::imap::script::{Peer, Script, log_in};
    use crate::imap::{Options, Tls};
    use crate::store::Source;

    #[test]
    fn a_resolver_has_a_limit() {
        let short = Duration::from_millis(30);
        let asleep = || {
            thread::sleep(Duration::from_secs(60));
            Ok(())
        };
        let error = within(short, &Stop::default(), asleep).unwrap_err();
        assert_eq!(error.to_string(), "the resolver does not answer");
        let stop = Stop::default();
        stop.store(true, Ordering::Relaxed);
        let error = within(LONGEST_CONNECT, &stop, asleep).unwrap_err();
        assert_eq!(error.to_string(), "stopped");
        assert_eq!(within(LONGEST_CONNECT, &Stop::default(), || Ok(7)).unwrap(), 7);
    }

    /// What a survey of one mailbox says to a server that begins like this.
    fn met_by(begin: fn(&mut Peer), adjust: impl FnOnce(&mut Options)) -> Result<usize, Failure> {
        let scene = vec![
            ("LIST \"\" \"\"", "$ OK"),
            ("LIST", "* LIST () NIL INBOX\n$ OK"),
            ("STATUS", "$ NO"),
        ];
        let script = Script::with(vec![scene], begin, adjust);
        let survey = script.imap.survey();
        survey.map(|survey| {
            script.end();
            survey.mailboxes.len()
        })
    }

    fn kind(begin: fn(&mut Peer), adjust: impl FnOnce(&mut Options)) -> (Kind, String) {
        let failure = met_by(begin, adjust).unwrap_err();
        (failure.kind, failure.what)
    }

    fn starttls(options: &mut Options) {
        options.tls = Tls::StartTls;
    }

    #[test]
    fn greetings() {
        assert_eq!(met_by(|peer| log_in(peer, ""), |_| ()).unwrap(), 1);
        let preauth = |peer: &mut Peer| peer.say("* PREAUTH [CAPABILITY IMAP4rev1] in\r\n");
        assert_eq!(met_by(preauth, |_| ()).unwrap(), 1);
        let (bye, what) = kind(|peer| peer.say("* BYE too many\r\n"), |_| ());
        assert_eq!(
            (bye, what.as_str()),
            (Kind::Temporary, "the server turns us away: too many")
        );
        assert_eq!(kind(|peer| peer.say("220 mail ESMTP\r\n"), |_| ()).0, Kind::Config);
    }

    #[test]
    fn starttls_is_not_talked_out_of() {
        let injected = |peer: &mut Peer| {
            peer.say("* OK [CAPABILITY IMAP4rev1 STARTTLS] hello\r\n");
            let (tag, words) = peer.hear().unwrap();
            assert_eq!(words, "STARTTLS");
            peer.say(&format!("{tag} OK go\r\n* PREAUTH you are in\r\n"));
        };
        let (kind_of, what) = kind(injected, starttls);
        assert!(
            kind_of == Kind::Config && what.contains("before the encryption"),
            "{what}"
        );
        let preauth = |peer: &mut Peer| peer.say("* PREAUTH in\r\n");
        assert_eq!(kind(preauth, starttls).0, Kind::Config);
        let refused = |peer: &mut Peer| {
            peer.say("* OK hello\r\n");
            let (tag, _) = peer.hear().unwrap();
            peer.say(&format!("{tag} BAD what\r\n"));
        };
        assert_eq!(
            kind(refused, starttls),
            (Kind::Config, "the server refuses STARTTLS: what".into())
        );
    }

    #[test]
    fn who_cannot_be_reached_is_tried_later() {
        let options = |options: &mut Options| options.host = "no.such.host.invalid".into();
        assert_eq!(kind(|_| (), options).0, Kind::Temporary);
    }
}
