# SPDX-License-Identifier: Apache-2.0
# Shared by the tests of container engines (bash): TAP, an image made of the Debian root file system,
# and a nacre that finds its plugins whatever environment an engine gives it.
ROOTFS=${NACRE_TEST_ROOTFS:-/var/cache/nacre/bookworm-$(dpkg --print-architecture 2>/dev/null)}
TESTS=0 FAILED=0

skip() { echo "1..0 # SKIP $*"; exit 0; }

sanitized() { ldd "$NACRE" | grep -qE 'lib[at]san'; }

# need PROGRAM...: skip the whole test without one of them. With SANITIZED=fine a sanitizer's output
# does no harm.
need()
{
	local p

	[ "$(id -u)" = 0 ] || skip "needs root"
	[ -e /dev/kvm ] || skip "no /dev/kvm"
	[ -x "$ROOTFS/bin/true" ] || skip "no root file system in $ROOTFS"
	# Engines take what a sanitizer prints for the runtime's answer.
	[ -z "${SANITIZED:-}" ] && sanitized && skip "a build with a sanitizer"
	for p in "$@"; do
		command -v "$p" >/dev/null || skip "$p not found"
	done
}

ok()
{
	TESTS=$((TESTS + 1))
	if [ "$1" = 0 ]; then
		echo "ok $TESTS - $2"
	else
		FAILED=$((FAILED + 1))
		echo "not ok $TESTS - $2"
		[ -n "${3:-}" ] && printf '%s\n' "$3" | tail -15 | sed 's/^/# /'
	fi
	return 0
}

# expect NAME STATUS PATTERN COMMAND...: exit status, and a pattern in the output ("" for any)
expect()
{
	local name=$1 status=$2 pattern=$3 out got=0
	shift 3
	out=$(timeout 60 "$@" 2>&1 </dev/null) || got=$?
	if [ $got != "$status" ]; then
		ok 1 "$name" "exit status $got, wanted $status: $out"
	elif [ -n "$pattern" ] && ! grep -q -- "$pattern" <<<"$out"; then
		ok 1 "$name" "no \"$pattern\" in: $out"
	else
		ok 0 "$name"
	fi
}

# wait_for COMMAND...: until it succeeds, for a minute
wait_for()
{
	local i

	for ((i = 0; i < 600; i++)); do
		"$@" >/dev/null 2>&1 && return 0
		sleep 0.1
	done
	return 1
}

# matches FILE PATTERN
matches() { grep -q -- "$2" "$1"; }

# expect_tty NAME STATUS PATTERN INPUT COMMAND: the same on a terminal, typed at a shell's prompt
expect_tty()
{
	local pid got=0

	rm -f "$WORK/tty.in"
	mkfifo "$WORK/tty.in"
	timeout 60 script -qec "$5" /dev/null <"$WORK/tty.in" >"$WORK/tty.out" 2>&1 &
	pid=$!
	exec 9>"$WORK/tty.in"
	wait_for matches "$WORK/tty.out" '# $'
	(printf '%s\n' "$4" >&9) 2>/dev/null
	wait $pid || got=$?
	exec 9>&-
	if [ $got != "$2" ] || ! matches "$WORK/tty.out" "$3"; then
		ok 1 "$1" "exit status $got, wanted $2 and \"$3\": $(cat "$WORK/tty.out")"
	else
		ok 0 "$1"
	fi
}

done_testing()
{
	echo "1..$TESTS"
	[ $FAILED = 0 ]
}

# wrapper FILE: nacre for an engine that passes no environment on
wrapper()
{
	printf '#!/bin/sh\nNACRE_BACKEND_DIR=%s exec %s "$@"\n' "${NACRE_BACKEND_DIR:-}" "$NACRE" >"$1"
	chmod +x "$1"
}

# image FILE: a docker archive, localhost/nacre/debian:test, of the small parts of the root
image()
{
	local dir sum
	dir=$(mktemp -d)
	tar -C "$ROOTFS" --exclude=./.complete --exclude='./usr/share/[!b]*' --exclude='./usr/lib/python3*' \
		--exclude='./usr/lib/*/perl*' --exclude=./var/lib/dpkg --exclude=./var/lib/apt \
		--exclude=./var/cache --exclude='./usr/lib/*/gconv' -cf "$dir/layer.tar" .
	sum=$(sha256sum "$dir/layer.tar")
	cat >"$dir/config.json" <<-END
	{"architecture": "$(dpkg --print-architecture)", "os": "linux",
	 "config": {"Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
		    "Cmd": ["/bin/bash"]},
	 "rootfs": {"type": "layers", "diff_ids": ["sha256:${sum%% *}"]}}
	END
	cat >"$dir/manifest.json" <<-END
	[{"Config": "config.json", "RepoTags": ["localhost/nacre/debian:test"], "Layers": ["layer.tar"]}]
	END
	tar -C "$dir" -cf "$1" manifest.json config.json layer.tar
	rm -rf "$dir"
}

# containers_conf DIR: podman's and buildah's configuration, all of it below DIR
containers_conf()
{
	cat >"$1/storage.conf" <<-END
	[storage]
	driver = "vfs"
	runroot = "$1/run"
	graphroot = "$1/root"
	END
	cat >"$1/containers.conf" <<-END
	[containers]
	default_ulimits = ["nofile=1024:1024", "nproc=1000:1000"]
	[network]
	network_config_dir = "$1/net"
	[engine]
	runtime = "nacre"
	cgroup_manager = "cgroupfs"
	events_logger = "file"
	tmp_dir = "$1/tmp"
	runtime_supports_json = ["nacre", "crun", "runc"]
	[engine.runtimes]
	nacre = ["$1/nacre"]
	END
	export CONTAINERS_STORAGE_CONF=$1/storage.conf CONTAINERS_CONF=$1/containers.conf
	wrapper "$1/nacre"
}
