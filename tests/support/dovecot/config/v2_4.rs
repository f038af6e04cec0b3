//! Settings as Dovecot 2.4 names them.

use std::fmt::Write as _;

use super::super::Variant;
use super::super::tls::Certificate;
use super::{Limit, Place};

/// The line of a user with limits.
pub(super) fn user(limit: &Limit) -> String {
    let storage = limit
        .storage
        .map_or_else(String::new, |size| format!("userdb_quota_storage_size={size} "));
    let message = limit
        .message
        .map_or_else(String::new, |size| format!("userdb_quota_mail_size={size}"));
    format!("{}:{{PLAIN}}pass::::::{storage}{message}\n", limit.user)
}

/// The whole configuration.
pub(super) fn text(place: &Place, variant: &Variant) -> String {
    [process(place), access(place), mail(place, variant), services(place)].concat()
}

fn process(place: &Place) -> String {
    let (home, user, group) = (place.home.display(), place.user, place.group);
    let mut text = format!(
        "dovecot_config_version = 2.4.0\ndovecot_storage_version = 2.4.0\nbase_dir = {home}/run\n\
         state_dir = {home}/state\nlog_path = {home}/log\ninstance_name = homing-{port}\nprotocols = imap\n\
         default_internal_user = {user}\ndefault_internal_group = {group}\ndefault_login_user = {user}\n\
         first_valid_uid = 0\nfirst_valid_gid = 0\nmail_uid = {user}\nmail_gid = {group}\n",
        port = place.port,
    );
    if let Some(libraries) = place.libraries {
        let dir = libraries.display();
        let _ = write!(
            text,
            "libexec_dir = {dir}\nmail_plugin_dir = {dir}/modules\n\
             import_environment {{\n  LD_LIBRARY_PATH = {dir}\n}}\n"
        );
    }
    text
}

/// Any name with the password `pass` is a user, and an account of its own.
fn access(place: &Place) -> String {
    let home = place.home.display();
    let mut text = format!(
        "auth_mechanisms = plain login\nauth_username_chars =\nauth_failure_delay = 0\nauth_cache_size = 0\n\
         auth_allow_cleartext = yes\nmail_max_userip_connections = 100\n\
         passdb passwd-file {{\n  passwd_file_path = {home}/users\n}}\n\
         passdb static {{\n  password = pass\n}}\n\
         userdb passwd-file {{\n  passwd_file_path = {home}/users\n  fields {{\n    home = {home}/mail/%{{user}}\n  }}\n}}\n\
         userdb static {{\n  allow_all_users = yes\n  fields {{\n    home = {home}/mail/%{{user}}\n  }}\n}}\nssl = yes\n"
    );
    for kind in Certificate::ALL {
        let (pem, key) = place.certificates.pair(kind);
        let (pem, key) = (pem.display(), key.display());
        let pair = format!("ssl_server_cert_file = {pem}\nssl_server_key_file = {key}\n");
        if kind == Certificate::Good {
            text += &pair;
        } else {
            let _ = write!(text, "local {} {{\n{pair}}}\n", kind.address());
        }
    }
    text
}

fn mail(place: &Place, variant: &Variant) -> String {
    let home = place.home.display();
    let (driver, path) = variant.layout.location();
    let (acl, imap_acl, rights) = if variant.has_rights {
        ("  acl = yes\n", "    imap_acl = yes\n", "acl_driver = vfile\n")
    } else {
        ("", "", "")
    };
    let mut text = format!(
        "mail_home = {home}/mail/%{{user}}\nmail_driver = {driver}\nmail_path = {path}\nmail_fsync = never\n\
         mail_max_keyword_length = 255\nmail_plugins {{\n  quota = yes\n{acl}}}\n{rights}\
         quota \"User quota\" {{\n  driver = count\n}}\n\
         namespace inbox {{\n  inbox = yes\n  separator = {}\n  prefix = {}\n",
        variant.separator, variant.prefix,
    );
    for role in ["Drafts", "Sent", "Trash", "Junk", "Archive"] {
        let _ = writeln!(
            text,
            "  mailbox {role} {{\n    special_use = \\{role}\n    auto = no\n  }}"
        );
    }
    let _ = writeln!(
        text,
        "}}\nprotocol imap {{\n  mail_plugins {{\n    imap_quota = yes\n{imap_acl}  }}"
    );
    if let Some(capabilities) = &variant.capabilities {
        let _ = writeln!(text, "  imap_capability = {capabilities}");
    }
    text + "}\n"
}

fn services(place: &Place) -> String {
    let addresses = Certificate::ALL.map(Certificate::address).join(" ");
    format!(
        "listen = {addresses}\n\
         service imap-login {{\n  chroot =\n  restart_request_count = unlimited\n  process_min_avail = 1\n  \
         client_limit = 500\n  inet_listener imap {{\n    port = {}\n  }}\n  \
         inet_listener imaps {{\n    port = {}\n    ssl = yes\n  }}\n}}\n\
         service imap {{\n  process_limit = 200\n  client_limit = 1\n}}\n\
         # No growing delay after failed logins.\n\
         service anvil {{\n  chroot =\n  unix_listener anvil-auth-penalty {{\n    mode = 0\n  }}\n}}\n\
         service stats {{\n  chroot =\n}}\n",
        place.port, place.tls_port,
    )
}
