# Functions for the scripts beside this one: speak, stop, and ask the system for a package.

say() { printf '%s\n' "bellwether: $*"; }

stop() {
    printf '%s\n' "bellwether: $*" >&2
    exit 1
}

can_install() { [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; }

apt_install() {
    say "installing $* with apt-get"
    [ -n "${apt_updated:-}" ] || apt-get update -qq || stop "apt-get update failed; see the lines above."
    apt_updated=yes
    if ! said=$(DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends "$@" 2>&1); then
        printf '%s\n' "$said" >&2
        stop "apt-get install $* failed; see the lines above."
    fi
}

need() { # need WHAT DEBIAN_PACKAGE: install it as root on Debian, else stop with the line to run
    if can_install; then
        apt_install "$2"
    else
        stop "$1 is missing. Install it (Debian: sudo apt-get install $2), then run make again."
    fi
}
