# SPDX-License-Identifier: Apache-2.0
# Shared by the tests of rootless operation (bash, after engines.sh): a world of its own to make users
# in. It is private mount and pid namespaces: users, device nodes, mounts and processes end with it,
# and nobody outside sees them.
#
# A test runs in three roles: `outside` as root, which calls world(); `inside` as root of that world,
# which makes the users; and as one of them, by as().
ROLE=${NACRE_ROLE:-outside}

# world: run this test again inside; ends the test
world()
{
	WORK=$(mktemp -d /tmp/nacre-rootless.XXXXXX)
	GROUPS_MADE=$WORK/groups
	export WORK GROUPS_MADE
	trap 'end_world' EXIT
	chmod 1777 "$WORK"
	mkdir -p "$WORK/bin" "$WORK/home" "$WORK/run" "$WORK/src/tests/e2e"
	# The tree may stand where ordinary users cannot look.
	cp "$0" "$srcdir/tests/e2e/engines.sh" "$srcdir/tests/e2e/rootless.sh" "$WORK/src/tests/e2e"
	cp "$NACRE" "$WORK/bin/nacre"
	cp -r "$NACRE_BACKEND_DIR" "$WORK/bin/backends"
	echo 0 0 >"$WORK/count"
	chmod 666 "$WORK/count"
	cd /
	NACRE_ROLE=inside srcdir=$WORK/src unshare --mount --propagation private --pid --fork --kill-child \
		--mount-proc bash "$WORK/src/tests/e2e/${0##*/}" </dev/null
	exit
}

end_world()
{
	local dir

	[ -e "$GROUPS_MADE" ] && while read -r dir; do
		wait_for removed "$dir"
	done <"$GROUPS_MADE"
	rm -rf "$WORK"
}

# removed GROUP: its processes ended with the world, and leave it a moment later
removed()
{
	find "$1" -depth -type d -exec rmdir {} +
	! [ -e "$1" ]
}

# device FILE GROUP: our own node in its place
device()
{
	local node=$WORK/dev/${1//\//-}

	[ -e "/dev/$1" ] || return 0
	mknod -m 660 "$node" c $((0x$(stat -c %t "/dev/$1"))) $((0x$(stat -c %T "/dev/$1")))
	chgrp "$2" "$node"
	mount --bind "$node" "/dev/$1"
}

# settle: users with (subordinate ids) and without, both in the group of /dev/kvm
settle()
{
	local user id

	cp -a /etc "$WORK/etc"
	mount --bind "$WORK/etc" /etc
	mount -t tmpfs -o mode=1777 none /dev/shm
	mkdir "$WORK/dev"
	mount -t tmpfs -o mode=755 none "$WORK/dev"
	groupadd nacre-test
	device kvm nacre-test
	device net/tun nacre-test
	device fuse nacre-test
	for user in with without; do
		id=$((30000 + RANDOM % 20000))
		while getent passwd $id >/dev/null; do id=$((id + 1)); done
		useradd -u $id -U -b "$WORK/home" -m -s /bin/bash -G nacre-test $user
		sed -i "/^$user:/d" /etc/subuid /etc/subgid
		install -d -m 700 -o $user -g $user "$WORK/run/$user"
	done
	echo with:300000:65536 >>/etc/subuid
	echo with:300000:65536 >>/etc/subgid
}

# delegate: a control group of version 2 for the user `with`, and this process in it, on a host that
# has no other version to see
delegate()
{
	local dir

	umount -R /sys/fs/cgroup
	mount -t cgroup2 none /sys/fs/cgroup
	dir=$(mktemp -d /sys/fs/cgroup/nacre.XXXXXX)
	# The path outside, where it is removed.
	printf '%s%s\n' "$CGROUP2" "${dir#/sys/fs/cgroup}" >>"$GROUPS_MADE"
	mkdir "$dir/shell"
	chmod 755 "$dir"
	chown -R with "$dir"
	echo 0 >"$dir/shell/cgroup.procs"
}

# as USER ARGUMENT...: this test in its third role, as the user
as()
{
	local user=$1
	shift
	setpriv --reuid "$user" --regid "$user" --init-groups env -i PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin \
		HOME="$WORK/home/$user" USER="$user" LOGNAME="$user" TERM=xterm LC_ALL=C \
		XDG_RUNTIME_DIR="$WORK/run/$user" TMPDIR="$WORK/home/$user" WORK="$WORK" ROOTFS="$ROOTFS" \
		NACRE="$WORK/bin/nacre" NACRE_BACKEND_DIR="$WORK/bin/backends" NACRE_ROLE="$user" \
		NACRE_TEST_ROOTFS="$ROOTFS" srcdir="$srcdir" bash "$0" "$@"
}

# user_conf DIR: containers_conf() for a user's engine
user_conf()
{
	mkdir "$1"
	containers_conf "$1"
	echo "rootless_storage_path = \"$1/root\"" >>"$1/storage.conf"
	sed -i 's/"vfs"/"overlay"/' "$1/storage.conf"
}

# count_on, count_off: one numbering of all roles' tests
count_on() { read -r TESTS FAILED <"$WORK/count"; }
count_off() { echo "$TESTS $FAILED" >"$WORK/count"; }

# left_alone: no process of the users' is left
left_alone()
{
	wait_for nobody_runs
	ok $? "no process is left" "$(ps -ef | grep -E '^with' )"
}
nobody_runs() { ! pgrep -u with,without >/dev/null; }
