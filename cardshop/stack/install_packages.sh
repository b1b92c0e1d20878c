#!/bin/sh
# Installs the Debian packages that are missing of the list given as the first argument.
# As root, or through sudo. Says what to do when neither works.
set -eu
list=$1

if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
    echo "Cardshop's set-up needs Debian or Ubuntu (dpkg and apt-get)." >&2
    echo "Elsewhere, install by hand what $list names, then run: touch .venv/packages.stamp" >&2
    exit 69
fi

missing=
for package in $(sed 's/#.*//' "$list"); do
    state=$(dpkg-query --show --showformat='${db:Status-Status}' "$package" 2>/dev/null || true)
    [ "$state" = installed ] || missing="$missing $package"
done
[ -n "$missing" ] || exit 0

if [ "$(id -u)" = 0 ]; then
    as_root=
elif command -v sudo >/dev/null && { sudo -n true 2>/dev/null || [ -t 0 ]; }; then
    as_root="sudo -E"
else
    echo "These Debian packages are missing, and this user may not install them (no root, no sudo):" >&2
    echo "   $missing" >&2
    echo "Ask an administrator to run: apt-get install --no-install-recommends$missing" >&2
    exit 77
fi

# The package of RabbitMQ starts a broker of its own, which is none of ours: while we install, no package
# may start a service. A policy that is there already is the machine's own and stays.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
    printf '#!/bin/sh\nexit 101\n' | $as_root tee "$policy" >/dev/null
    trap '$as_root rm -f "$policy"' EXIT
    trap 'exit 1' INT TERM
    $as_root chmod 755 "$policy"
fi

echo "Installing Debian packages:$missing"
$as_root env DEBIAN_FRONTEND=noninteractive apt-get update --quiet
# shellcheck disable=SC2086 # a list of words
$as_root env DEBIAN_FRONTEND=noninteractive \
    apt-get install --quiet --yes --no-install-recommends $missing
