#!/bin/sh
# Runs when all packages are there: adds our files, makes the initial RAM disk once, fills the boot
# partition's folder and takes away what belongs to the machine that builds.
set -eu
root=$1
architecture=$2
files=$(dirname "$0")/../files
boot=$root/boot/firmware

rm -rf "$root/etc/apt/sources.list" "$root/etc/apt/sources.list.d" "$root/etc/apt/apt.conf.d/99mmdebstrap" \
    "$root/etc/apt/auth.conf.d" "$root/etc/resolv.conf"
mkdir -p "$root/data" "$boot"
for tree in common "$architecture"; do
    tar -C "$files/$tree" --owner=0 --group=0 --mode=u+rw,go=rX --exclude=__pycache__ -c . |
        tar -C "$root" --no-overwrite-dir -x
done

chroot "$root" systemctl --quiet disable hostapd.service nginx.service apt-daily.timer apt-daily-upgrade.timer
chroot "$root" systemctl --quiet enable \
    systemd-networkd.service systemd-timesyncd.service \
    cardshop-first-boot.service cardshop-library.service cardshop-portal.service cardshop-ready.service \
    cardshop-access-point.service cardshop-names.service

rm "$root/usr/sbin/update-initramfs"
chroot "$root" dpkg-divert --quiet --local --rename --remove /usr/sbin/update-initramfs
chroot "$root" update-initramfs -c -k all # on arm64 this makes raspi-firmware fill the boot partition too

if [ "$architecture" = amd64 ]; then
    mkdir -p "$boot/EFI/BOOT"
    cp "$root"/boot/vmlinuz-* "$boot/vmlinuz"
    cp "$root"/boot/initrd.img-* "$boot/initrd.img"
    cp "$root/usr/lib/systemd/boot/efi/systemd-bootx64.efi" "$boot/EFI/BOOT/BOOTX64.EFI"
fi
