#!/bin/sh
# Runs when the essential packages are there and before the kernel comes: its package would make the
# initial RAM disk, twice, which takes twenty minutes when another architecture is emulated.
set -eu
root=$1
chroot "$root" dpkg-divert --quiet --local --rename --add /usr/sbin/update-initramfs
mkdir -p "$root/usr/sbin"
ln -s /bin/true "$root/usr/sbin/update-initramfs"
