#!/bin/sh
# Makes dist/cardshop-writer-helper_VERSION_ARCHITECTURE.deb: the technician's tool and the writer, with all Python
# packages they need at the versions of requirements.lock, in a virtual environment of their own over Debian's Python.
# usage: build.sh DIST PIP_PYTHON
#   DIST        a folder with the wheels of "make wheels"; the package is put there
#   PIP_PYTHON  a Python that has pip
set -eu
DIST=$(cd "$1" && pwd)
PIP_PYTHON=$2
HERE=$(cd "$(dirname "$0")" && pwd)
LOCK="$HERE/../../requirements.lock"
HOME_IN_PACKAGE=/opt/cardshop-writer-helper
PYTHON=/usr/bin/python3

root=$(mktemp --directory)
trap 'rm -rf "$root"' EXIT
chmod 0755 "$root"
place="$root$HOME_IN_PACKAGE"

"$PYTHON" -m venv --without-pip "$place"
grep --only-matching '^[A-Za-z0-9._-]*==[^ ;]*' "$LOCK" > "$root/versions"
"$PIP_PYTHON" -m pip --quiet --python "$place/bin/python" install --no-cache-dir --no-compile \
    --only-binary :all: --constraint "$root/versions" --find-links "$DIST" \
    "$(echo "$DIST"/cardshop-*.whl)[writer]" "$(echo "$DIST"/cardshop_writer_helper-*.whl)"
rm "$root/versions"
# Scripts name the Python of the folder that they were made in; activation has no use here.
find "$place/bin" -type f -exec sed --in-place "1s|^#!$place|#!$HOME_IN_PACKAGE|" {} +
rm -f "$place"/bin/[Aa]ctivate*
mkdir -p "$root/usr/bin" "$root/usr/share/doc/cardshop-writer-helper" "$root/DEBIAN"
ln -s "$HOME_IN_PACKAGE/bin/writer-helper" "$root/usr/bin/writer-helper"
install --mode 0644 "$HERE/../../LICENSE" "$root/usr/share/doc/cardshop-writer-helper/copyright"

version=$("$place/bin/python" -c 'import importlib.metadata as m; print(m.version("cardshop-writer-helper"))')
series=$("$place/bin/python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
next=$("$place/bin/python" -c 'import sys; print("%d.%d" % (sys.version_info[0], sys.version_info[1] + 1))')
find "$place" -name __pycache__ -prune -exec rm -rf {} +
architecture=$(dpkg --print-architecture)
sed -e "s/@VERSION@/$version/" -e "s/@ARCHITECTURE@/$architecture/" -e "s/@SERIES@/$series/" -e "s/@NEXT@/$next/" \
    -e "s/@KIBIBYTES@/$(du --summarize --apparent-size --block-size 1024 "$root" | cut -f1)/" \
    "$HERE/control" > "$root/DEBIAN/control"
install --mode 0755 "$HERE/prerm" "$root/DEBIAN/prerm"
find "$root" -type d -exec chmod 0755 {} +
dpkg-deb --root-owner-group -Zxz --build "$root" \
    "$DIST/cardshop-writer-helper_${version}_$architecture.deb" > /dev/null
echo "dist/cardshop-writer-helper_${version}_$architecture.deb"
