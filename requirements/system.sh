#!/bin/sh
# system.sh: install the Debian packages that the tests need (requirements/debian.txt), where they are missing.
set -eu
missing=
for package in $(cat "$(dirname "$0")/debian.txt"); do
    dpkg-query --show --showformat='${Status}' "$package" 2>/dev/null | grep -q "ok installed" || missing="$missing $package"
done
[ -z "$missing" ] && exit 0
sudo=
if [ "$(id -u)" -ne 0 ]; then sudo=sudo; fi
echo "installing Debian packages:$missing"
log=$(mktemp)
# shellcheck disable=SC2086
if ! { $sudo apt-get update -qq && $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends $missing; } >"$log" 2>&1; then
    tail -n 5 "$log" >&2
    echo "error: could not install$missing; install them by hand and run again" >&2
    exit 2
fi
rm -f "$log"
