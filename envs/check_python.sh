#!/bin/sh
# Whether a virtual environment can be made, or used if it is there; nothing is changed.
#
#     sh envs/check_python.sh PYTHON VENV asked|found
#
# Only a PYTHON that the user asked for must be that of a VENV which is there.
python=$1 venv=$2 origin=$3
needed="3.11, 3.12 or 3.13 is needed"
other="make PYTHON=/path/to/python3.12"

fail() {
    echo "error: $1. What to do: $2" >&2
    exit 1
}

version_of() {
    "$1" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null
}

is_supported() {
    case $1 in 3.11 | 3.12 | 3.13) ;; *) return 1 ;; esac
}

if [ -e "$venv/bin/python" ]; then
    there=$(version_of "$venv/bin/python") ||
        fail "$venv/bin/python cannot be run" "make clean, which removes $venv, and run again"
    is_supported "$there" ||
        fail "$venv has Python $there, but $needed" "make clean, which removes $venv, and run again"
    [ "$origin" = asked ] || exit 0
fi

[ -n "$python" ] || fail "found no Python 3.11, 3.12 or 3.13" "install one, or name it: $other"
found=$(version_of "$python") || fail "$python was not found or cannot be run" "$other"
is_supported "$found" || fail "$python is Python $found, but $needed" "$other"

if [ -n "$there" ] && [ "$there" != "$found" ]; then
    fail "$venv has Python $there, but PYTHON=$python is $found" \
        "leave PYTHON out; or make clean, which removes $venv, and run again"
fi
if [ -z "$there" ] && ! "$python" -c 'import venv, ensurepip' 2>/dev/null; then
    fail "$python has no module ensurepip, without which it makes no virtual environment" \
        "on Debian or Ubuntu apt-get install python$found-venv, elsewhere $other"
fi
