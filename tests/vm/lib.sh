# SPDX-License-Identifier: Apache-2.0
# Sourced by the scripts beside it: the machines, what they are made of, where it is kept.

cache=${XDG_CACHE_HOME:-/var/cache}/nacre/vm
suite=bookworm
# What the machines' Debian has beyond the base system: the referee, what the harness runs on, and the
# libraries of nacre and of the C++ scenario.
guest_packages=python3,crun,libyajl2,libseccomp2,libcap2,libarchive13,libssl3,libstdc++6

fail() { echo "${0##*/}: $*" >&2; exit 125; }

# machine x86_64|arm64: set what differs between the machines.
machine() {
	case $1 in
	x86_64)
		debian=amd64 console=ttyS0 host=
		# Without SMAP: QEMU 7.2 reads the stack of a program's far return as the kernel would,
		# which with it ends the machine's own Linux in an oops.
		qemu=(qemu-system-x86_64 -M q35 -cpu "max,+svm,+npt,-la57,-smap")
		modules="virtio_pci virtio_blk overlay kvm-amd"
		packages=(qemu-system-x86)
		;;
	arm64)
		debian=arm64 console=ttyAMA0 host=aarch64-linux-gnu
		qemu=(qemu-system-aarch64 -M "virt,virtualization=on,gic-version=3" -cpu "max,pauth-impdef=on")
		modules="virtio_pci virtio_blk overlay"
		packages=(qemu-system-arm gcc-aarch64-linux-gnu g++-aarch64-linux-gnu libyajl-dev:arm64
			libseccomp-dev:arm64 libcap-dev:arm64 libarchive-dev:arm64 libssl-dev:arm64 libcurl4-openssl-dev:arm64
			libcmocka-dev:arm64 musl-dev:arm64)
		;;
	*) fail "no machine $1: x86_64 or arm64" ;;
	esac
	packages+=(debootstrap e2fsprogs cpio musl-tools g++)
	kernel=$cache/kernel-$debian
	disk=$cache/$suite-$debian-$(cksum <<<"$guest_packages" | cut -d' ' -f1).img
}

missing_packages() {
	local p
	for p in "${packages[@]}"; do
		dpkg-query -W -f '${db:Status-Status}\n' "$p" 2>/dev/null | grep -qx installed || echo "$p"
	done
}

# Debian packages that apt can fetch for the machine.
foreign_ready() {
	[ "$(apt-cache madison "linux-image-cloud-$debian:$debian" 2>/dev/null)" ]
}

# boot SECONDS LOG INITRAMFS QEMU-ARGUMENT...: run the machine until it powers itself off; its console
# goes to standard output and LOG.
boot() {
	local seconds=$1 log=$2 initramfs=$3
	shift 3
	timeout --foreground -k 10 "$seconds" "${qemu[@]}" -accel tcg,thread=multi -smp 2 -m "${NACRE_VM_MEMORY:-2048}" \
		-kernel "$kernel"/boot/vmlinuz-* -initrd "$initramfs" \
		-append "console=$console quiet loglevel=3 panic=-1 oops=panic softlockup_panic=1 mitigations=off" \
		-nographic -no-reboot -nodefaults -serial stdio "$@" </dev/null |
		stdbuf -o0 tr -d '\r\033' | tee "$log"
}

# The file of a kernel module, after those of the modules it needs.
module_files() { # NAME
	local file need
	file=$(find "$kernel"/lib/modules -name "${1//_/[-_]}.ko")
	[ "$file" ] || return 0 # built in
	for need in $(tr '\0' '\n' <"$file" | sed -n 's/^depends=//p' | tr , ' '); do
		module_files "$need"
	done
	echo "$file"
}

# initramfs DIRECTORY: a busybox, the modules, and standard input as the script that goes on once the
# disk is mounted on /disk.
initramfs() {
	local root=$1/initramfs file name
	rm -rf "$root"
	mkdir -p "$root"/{bin,dev,proc,sys,disk,modules}
	cp "$kernel/bin/busybox" "$root/bin/busybox"
	{
		echo '#!/bin/busybox sh'
		echo '/bin/busybox --install -s /bin; export PATH=/bin:/usr/bin HOME=/root'
		echo 'mount -t proc proc /proc; mount -t sysfs sys /sys; mount -t devtmpfs dev /dev'
		for name in $modules; do module_files "$name"; done | awk '!seen[$0]++' | while read -r file; do
			cp "$file" "$root/modules/"
			echo "insmod /modules/${file##*/}"
		done
		echo 'mount -t ext4 /dev/vda /disk || { echo "no disk"; poweroff -f; }'
		cat
	} >"$root/init"
	chmod +x "$root/init"
	(cd "$root" && find . | cpio -o -H newc --quiet) >"$1/initramfs.cpio"
}
