#!/bin/sh
# Makes the environment $1 with Bellwether and what 'run' uses, or 'dev' (argument $2); says what the system lacks.
set -eu
venv=$1
use=$2
. "$(dirname "$0")/system.sh"

supported() { "$1" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null; }

find_python() {
    for candidate in ${PYTHON:-python3 python3.13 python3.12 python3.11}; do
        if supported "$candidate"; then
            command -v "$candidate"
            return
        fi
    done
    found=$("${PYTHON:-python3}" --version 2>&1) || found="no ${PYTHON:-python3}"
    stop "Bellwether runs on Python 3.11 to 3.13, found $found. Install one of these, or name it: make run PYTHON=python3.12"
}

need_venv() {
    "$1" -c 'import ensurepip, venv' 2>/dev/null && return
    case $(basename "$1") in
        python3) need "Python's venv module" python3-venv ;;
        *) need "Python's venv module" "$(basename "$1")-venv" ;;
    esac
    "$1" -c 'import ensurepip, venv' || stop "$1 still has no venv module. Install Python with venv and ensurepip."
}

need_openmp() { # LightGBM's wheel links the system's OpenMP library
    if [ "$(uname)" = Darwin ]; then
        for folder in /opt/homebrew /usr/local; do
            [ -e "$folder/opt/libomp/lib/libomp.dylib" ] && return
        done
        stop "LightGBM needs OpenMP, which is missing. Install it: brew install libomp"
    fi
    "$1" -c 'import ctypes; ctypes.CDLL("libgomp.so.1")' 2>/dev/null || need "OpenMP for LightGBM (libgomp.so.1)" libgomp1
}

if supported "$venv/bin/python" && "$venv/bin/python" -m pip --version >/dev/null 2>&1; then
    need_openmp "$venv/bin/python"
else
    python=$(find_python)
    need_venv "$python"
    need_openmp "$python"
    say "making $venv with $("$python" --version)"
    "$python" -m venv --clear "$venv"
fi
say "installing the pinned packages into $venv"
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-bootstrap.txt
# uv does not read pip's settings; a company's own index named for pip serves uv too.
[ -z "${PIP_INDEX_URL:-}" ] || export UV_DEFAULT_INDEX="${UV_DEFAULT_INDEX:-$PIP_INDEX_URL}"
# Where a company's network signs connections by itself, the system knows its certificate; uv's own list does not.
[ ! -e /etc/ssl/certs/ca-certificates.crt ] || export UV_SYSTEM_CERTS="${UV_SYSTEM_CERTS:-true}"
export VIRTUAL_ENV="$venv"
# Where Python may not keep what it compiles, each process would compile all that it imports: 2 to 5 seconds.
[ -z "${PYTHONDONTWRITEBYTECODE:-}" ] || export UV_COMPILE_BYTECODE=1
uv() { "$venv/bin/uv" pip "$@"; }
case $use in
    run) uv install --quiet --require-hashes --no-deps -r requirements.txt ;; # adds, since the tools may be there too
    dev) uv sync --quiet --require-hashes requirements-bootstrap.txt requirements-dev.txt ;; # and drops all else
esac
uv install --quiet --no-build-isolation --no-deps --editable .
