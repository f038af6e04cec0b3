//! Settings as Dovecot 2.3 names them.

use std::fmt::Write as _;

use super::super::Variant;
use super::super::tls::Certificate;
use super::{Limit, Place};

/// The line of a user with limits.
pub(super) fn user(limit: &Limit) -> String {
    let storage = limit
        .storage
        .map_or_else(String::new, |size| format!("userdb_quota_rule=*:storage={size} "));
    let message = limit
        .message
        .map_or_else(String::new, |size| format!("userdb_quota_max_mail_size={size}"));
    format!("{}:{{PLAIN}}pass::::::{storage}{message}\n", limit.user)
}

/// The whole configuration.
pub(super) fn text(place: &Place, variant: &Variant) -> String {
    [process(place), access(place), mail(place, variant), services(place)].concat()
}

fn process(place: &Place) -> String {
    let (home, user, group) = (place.home.display(), place.user, place.group);
    let mut text = format!(
        "base_dir = {home}/run\nstate_dir = {home}/state\nlog_path = {home}/log\ninstance_name = homing-{port}\n\
         protocols = imap\ndefault_internal_user = {user}\ndefault_internal_group = {group}\n\
         default_login_user = {user}\nfirst_valid_uid = 0\nfirst_valid_gid = 0\nmail_uid = {user}\nmail_gid = {group}\n",
        port = place.port,
    );
    if let Some(libraries) = place.libraries {
        let dir = libraries.display();
        let _ = write!(
            text,
            "libexec_dir = {dir}\nmail_plugin_dir = {dir}/modules\n\
             import_environment = TZ LD_LIBRARY_PATH={dir}\n"
        );
    }
    text
}

/// Any name with the password `pass` is a user, and an account of its own.
fn access(place: &Place) -> String {
    let home = place.home.display();
    let mut text = format!(
        "auth_mechanisms = plain login\nauth_username_chars =\nauth_failure_delay = 0\nauth_cache_size = 0\n\
         disable_plaintext_auth = no\nmail_max_userip_connections = 100\n\
         passdb {{\n  driver = passwd-file\n  args = username_format=%u {home}/users\n}}\n\
         passdb {{\n  driver = static\n  args = password=pass\n}}\n\
         userdb {{\n  driver = passwd-file\n  args = username_format=%u {home}/users\n  \
         default_fields = home={home}/mail/%u\n}}\n\
         userdb {{\n  driver = static\n  args = home={home}/mail/%u allow_all_users=yes\n}}\nssl = yes\n"
    );
    for kind in Certificate::ALL {
        let (pem, key) = place.certificates.pair(kind);
        let pair = format!("ssl_cert = <{}\nssl_key = <{}\n", pem.display(), key.display());
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
    let location = format!("{driver}:{path}");
    let (acl, imap_acl, rights) = if variant.has_rights {
        (" acl", " imap_acl", "  acl = vfile\n")
    } else {
        ("", "", "")
    };
    let mut text = format!(
        "mail_home = {home}/mail/%u\nmail_location = {}\nmail_fsync = never\nmail_plugins = quota zlib{acl}\n\
         mail_max_keyword_length = 255\n\
         plugin {{\n  quota = count:User quota\n  quota_vsizes = yes\n  quota_max_mail_size = 0\n{rights}}}\n\
         namespace inbox {{\n  inbox = yes\n  separator = {}\n  prefix = {}\n",
        location, variant.separator, variant.prefix,
    );
    for role in ["Drafts", "Sent", "Trash", "Junk", "Archive"] {
        let _ = writeln!(
            text,
            "  mailbox {role} {{\n    special_use = \\{role}\n    auto = no\n  }}"
        );
    }
    let _ = writeln!(
        text,
        "}}\nprotocol imap {{\n  mail_plugins = $mail_plugins imap_quota imap_zlib{imap_acl}"
    );
    if let Some(capabilities) = &variant.capabilities {
        let _ = writeln!(text, "  imap_capability = {capabilities}");
    }
    text + "}\n"
}

fn services(place: &Place) -> String {
    let addresses = Certificate::ALL.map(Certificate::address).join(", ");
    format!(
        "listen = {addresses}\n\
         service imap-login {{\n  chroot =\n  service_count = 0\n  process_min_avail = 1\n  client_limit = 500\n  \
         inet_listener imap {{\n    port = {}\n  }}\n  inet_listener imaps {{\n    port = {}\n    ssl = yes\n  }}\n}}\n\
         service imap {{\n  process_limit = 200\n  client_limit = 1\n}}\n\
         # No growing delay after failed logins.\n\
         service anvil {{\n  chroot =\n  unix_listener anvil-auth-penalty {{\n    mode = 0\n  }}\n}}\n\
         service stats {{\n  chroot =\n}}\n",
        place.port, place.tls_port,
    )
}
