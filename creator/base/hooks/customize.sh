#!/bin/sh
# Runs when all packages are there: adds our files, makes the initial RAM disk once, fills the boot
# partition's folder and takes away what belongs to the machine that builds.
set -eu
root=$1
architecture=$2
files=$(dirname "$0")/../files

tar -C "$files" --owner=0 --group=0 --mode=u+rw,go=rX --exclude=__pycache__ -c . | tar -C "$root" --no-overwrite-dir -x
mkdir -p "$root/data" "$root/boot/firmware"

chroot "$root" systemctl --quiet enable \
    systemd-networkd.service systemd-timesyncd.service \
    cardshop-first-boot.service cardshop-library.service cardshop-ready.service \
    cardshop-access-point.service cardshop-names.service
chroot "$root" systemctl --quiet disable hostapd.service
chroot "$root" systemctl --quiet mask apt-daily.timer apt-daily-upgrade.timer

rm "$root/usr/sbin/update-initramfs"
chroot "$root" dpkg-divert --quiet --local --rename --remove /usr/sbin/update-initramfs
chroot "$root" update-initramfs -c -k all

if [ "$architecture" = amd64 ]; then
    mkdir -p "$root/boot/firmware/EFI/BOOT" "$root/boot/firmware/loader/entries"
    cp "$root"/boot/vmlinuz-* "$root/boot/firmware/vmlinuz"
    cp "$root"/boot/initrd.img-* "$root/boot/firmware/initrd.img"
    cp "$root/usr/lib/systemd/boot/efi/systemd-bootx64.efi" "$root/boot/firmware/EFI/BOOT/BOOTX64.EFI"
    cp "$root/usr/share/cardshop/loader.conf" "$root/boot/firmware/loader/"
    cp "$root/usr/share/cardshop/cardshop.conf" "$root/boot/firmware/loader/entries/"
fi
