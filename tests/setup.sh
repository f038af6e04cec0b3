#!/bin/sh
# Sees to what the build needs besides a Rust toolchain: a C compiler, pkg-config and OpenSSL's headers.
#
# Says on standard error what is missing, and what it installs (Debian and its kin, as root or with a sudo that asks for
# no password). Where it may not install, it falls back to building OpenSSL from source, or else says what to install.
# Standard output is for the Makefile: the flags with which cargo can build on this machine.
set -eu

say() { printf 'setup: %s\n' "$*" >&2; }
have() { command -v "$1" >/dev/null 2>&1; }

if ! have cargo; then
    say 'there is no Rust toolchain; https://rustup.rs tells how to install one'
    exit 1
fi

# macOS brings its own TLS; there only a compiler is needed.
needs_openssl() { [ "$(uname -s)" != Darwin ]; }
has_openssl() { have pkg-config && pkg-config --exists 'openssl >= 1.1'; }

missing() {
    have cc || printf ' gcc libc6-dev'
    if needs_openssl; then
        have pkg-config || printf ' pkg-config'
        has_openssl || printf ' libssl-dev'
    fi
}

may_install() { have apt-get && { [ "$(id -u)" -eq 0 ] || { have sudo && sudo -n true 2>/dev/null; }; }; }

install_packages() {
    as_root=
    [ "$(id -u)" -eq 0 ] || as_root='sudo -n'
    say "installing with apt-get:$1"
    # The lists can be older than the packages they name.
    $as_root apt-get update -qq >&2 || say 'apt-get update failed; trying with the lists that are there'
    # shellcheck disable=SC2086
    $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $1 >&2
}

packages=$(missing)
[ -z "$packages" ] && exit 0
say "missing for the build:$packages"
if may_install; then
    install_packages "$packages" && [ -z "$(missing)" ] && exit 0
    say 'that was not enough'
fi

can_build_openssl() { have cc && have make && perl -MFindBin -MIPC::Cmd -MFile::Compare -e 1 2>/dev/null; }
if can_build_openssl; then
    say 'OpenSSL is built from source instead, which takes a few minutes once (--features static)'
    printf '%s\n' '--features static'
    exit 0
fi

say 'no right to install here. Install these and try again:'
say '  Debian, Ubuntu:  sudo apt-get install gcc libc6-dev pkg-config libssl-dev'
say '  Fedora:          sudo dnf install gcc pkgconf-pkg-config openssl-devel'
say '  Arch:            sudo pacman -S --needed gcc pkgconf openssl'
say '  Alpine:          sudo apk add gcc musl-dev pkgconf openssl-dev'
say '  macOS:           xcode-select --install'
exit 1
