#!/usr/bin/env bash
# Makes or refreshes .venv: `scripts/venv.sh [PYTHON]`. Does nothing when .venv already fits pyproject.toml,
# constraints.txt, the interpreter and this directory. Prints one line when it works, the whole log when it fails.
set -euo pipefail
cd "$(dirname "$0")/.."

APT="Debian 12, Ubuntu 24.04: sudo apt-get install -y python3 python3-venv make openssl"
die() { printf '%s\n' "$@" >&2; exit 1; }

usable() { # CPython 3.11 or 3.12: plyvel, the LevelDB binding, is published for no newer one
    "$1" -c 'import sys; sys.exit(sys.implementation.name != "cpython" or sys.version_info[:2] not in ((3, 11), (3, 12)))' \
        >/dev/null 2>&1
}

python="${1:-}"
if [ -n "$python" ]; then
    usable "$python" || die "PYTHON=$python is not a working CPython 3.11 or 3.12." "$APT"
elif [ -x .venv/bin/python ] && usable .venv/bin/python; then # what an earlier PYTHON=... chose stays chosen
    python="$(.venv/bin/python -c 'import sys; print(sys._base_executable)')"
else
    for candidate in python3 python3.12 python3.11; do
        if usable "$candidate"; then python="$candidate"; break; fi
    done
    [ -n "$python" ] || die "dualchain needs CPython 3.11 or 3.12 (python3 is: $(python3 --version 2>&1 || true))." \
        "$APT" "Elsewhere: install one of them, then make PYTHON=<that python3.12> .venv"
fi
"$python" -c 'import venv, ensurepip' >/dev/null 2>&1 || die "$python has no venv module." "$APT"
case "$(openssl version 2>/dev/null || true)" in
    "OpenSSL "[3-9]*) ;;
    *) die "dualchain needs the openssl command, version 3 or newer (found: $(openssl version 2>&1 || true))." "$APT" ;;
esac

# Two makes at once (one shell for demo, one for test) must not install into each other.
exec 9>.venv.lock
if command -v flock >/dev/null 2>&1; then flock 9; fi

place="$PWD $("$python" -c 'import sys; print(sys.version.replace("\n", " "), sys.base_prefix)')"
stamp="$({ echo "$place"; cat pyproject.toml constraints.txt; } | sha256sum)"
if [ "$(cat .venv/stamp 2>/dev/null || true)" = "$stamp" ]; then exit 0; fi

install() {
    if [ "$(cat .venv/place 2>/dev/null)" != "$place" ]; then
        rm -rf .venv
        "$python" -m venv .venv || return
        printf '%s\n' "$place" >.venv/place
    fi
    rm -f .venv/stamp
    export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1
    # setuptools comes first, pinned: building without isolation then uses exactly it.
    .venv/bin/python -m pip install --constraint constraints.txt setuptools || return
    .venv/bin/python -m pip install --constraint constraints.txt --no-build-isolation --editable '.[fast,dev]' || return
    printf '%s\n' "$stamp" >.venv/stamp
}

log="$(mktemp)"
trap 'rm -f "$log"' EXIT
echo "Installing into .venv with $("$python" --version 2>&1), about a minute ..." >&2
if ! install >"$log" 2>&1; then
    cat "$log" >&2
    die "" "Installing the packages failed; the log is above. Behind a mirror, set PIP_INDEX_URL and try again."
fi
