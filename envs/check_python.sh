#!/bin/sh
# Check whether a virtual environment can be made, or used if it exists; nothing is changed.
#
#     sh envs/check_python.sh PYTHON VENV asked|found
#
# A PYTHON that was asked for must be that of an existing VENV; one that was found need not be.
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
    venv_version=$(version_of "$venv/bin/python") ||
        fail "$venv/bin/python cannot be run" "make clean, which removes $venv, and run again"
    is_supported "$venv_version" ||
        fail "$venv has Python $venv_version, but $needed" "make clean, which removes $venv, and run again"
    [ "$origin" = asked ] || exit 0
fi

[ -n "$python" ] || fail "found no Python 3.11, 3.12 or 3.13" "install one, or name it: $other"
python_version=$(version_of "$python") || fail "$python was not found or cannot be run" "$other"
is_supported "$python_version" || fail "$python is Python $python_version, but $needed" "$other"

if [ -n "$venv_version" ] && [ "$venv_version" != "$python_version" ]; then
    fail "$venv has Python $venv_version, but PYTHON=$python is $python_version" \
        "leave PYTHON out; or make clean, which removes $venv, and run again"
fi
if [ -z "$venv_version" ] && ! "$python" -c 'import venv, ensurepip' 2>/dev/null; then
    fail "$python has no module ensurepip, without which it makes no virtual environment" \
        "on Debian or Ubuntu apt-get install python$python_version-venv, elsewhere $other"
fi
