/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "oci/buf.h"
#include "oci/cleanup.h"
#include "oci/commands.h"
#include "oci/spec.h"

#define LIST(b, key, ...)                                        \
	json_strings(b, key, (const char *const[]){__VA_ARGS__}, \
		     sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *))

static void process(struct buf *b)
{
	static const char *const sets[] = {"bounding", "effective", "permitted", "ambient"};

	json_object(b, "process");
	json_bool(b, "terminal", true);
	json_object(b, "user");
	json_uint(b, "uid", 0);
	json_uint(b, "gid", 0);
	json_end_object(b);
	LIST(b, "args", "sh");
	LIST(b, "env", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
	     "TERM=xterm");
	json_str(b, "cwd", "/");
	json_object(b, "capabilities");
	for (size_t i = 0; i < sizeof(sets) / sizeof(sets[0]); i++)
		LIST(b, sets[i], "CAP_AUDIT_WRITE", "CAP_KILL", "CAP_NET_BIND_SERVICE");
	json_end_object(b);
	json_array(b, "rlimits");
	json_object(b, NULL);
	json_str(b, "type", "RLIMIT_NOFILE");
	json_uint(b, "hard", 1024);
	json_uint(b, "soft", 1024);
	json_end_object(b);
	json_end_array(b);
	json_bool(b, "noNewPrivileges", true);
	json_end_object(b);
}

static void begin_mount(struct buf *b, const char *at, const char *type, const char *source)
{
	json_object(b, NULL);
	json_str(b, "destination", at);
	json_str(b, "type", type);
	json_str(b, "source", source);
}

void spec_mounts(struct buf *b, bool rootless)
{
	json_array(b, "mounts");
	begin_mount(b, "/proc", "proc", "proc");
	json_end_object(b);
	begin_mount(b, "/dev", "tmpfs", "tmpfs");
	LIST(b, "options", "nosuid", "strictatime", "mode=755", "size=65536k");
	json_end_object(b);
	begin_mount(b, "/dev/pts", "devpts", "devpts");
	if (rootless) /* group 5 is not mapped */
		LIST(b, "options", "nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620");
	else
		LIST(b, "options", "nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620",
		     "gid=5");
	json_end_object(b);
	begin_mount(b, "/dev/shm", "tmpfs", "shm");
	LIST(b, "options", "nosuid", "noexec", "nodev", "mode=1777", "size=65536k");
	json_end_object(b);
	begin_mount(b, "/dev/mqueue", "mqueue", "mqueue");
	LIST(b, "options", "nosuid", "noexec", "nodev");
	json_end_object(b);
	begin_mount(b, "/sys", rootless ? "none" : "sysfs", rootless ? "/sys" : "sysfs");
	if (rootless)
		LIST(b, "options", "rbind", "nosuid", "noexec", "nodev", "ro");
	else
		LIST(b, "options", "nosuid", "noexec", "nodev", "ro");
	json_end_object(b);
	begin_mount(b, "/sys/fs/cgroup", "cgroup", "cgroup");
	LIST(b, "options", "nosuid", "noexec", "nodev", "relatime", "ro");
	json_end_object(b);
	json_end_array(b);
}

static void id_map(struct buf *b, const char *key, unsigned host)
{
	json_array(b, key);
	json_object(b, NULL);
	json_uint(b, "containerID", 0);
	json_uint(b, "hostID", host);
	json_uint(b, "size", 1);
	json_end_object(b);
	json_end_array(b);
}

static void namespaces(struct buf *b, bool rootless)
{
	static const char *const full[] = {"pid", "network", "ipc", "uts", "mount"};
	static const char *const less[] = {"pid", "ipc", "uts", "mount", "user"};

	json_array(b, "namespaces");
	for (int i = 0; i < 5; i++) {
		json_object(b, NULL);
		json_str(b, "type", rootless ? less[i] : full[i]);
		json_end_object(b);
	}
	json_end_array(b);
}

void spec_linux(struct buf *b, bool rootless)
{
	json_object(b, "linux");
	if (rootless) {
		id_map(b, "uidMappings", geteuid());
		id_map(b, "gidMappings", getegid());
	} else {
		json_object(b, "resources");
		json_array(b, "devices");
		json_object(b, NULL);
		json_bool(b, "allow", false);
		json_str(b, "access", "rwm");
		json_end_object(b);
		json_end_array(b);
		json_end_object(b);
	}
	namespaces(b, rootless);
	LIST(b, "maskedPaths", "/proc/acpi", "/proc/asound", "/proc/kcore", "/proc/keys",
	     "/proc/latency_stats", "/proc/timer_list", "/proc/timer_stats", "/proc/sched_debug",
	     "/sys/firmware", "/proc/scsi");
	LIST(b, "readonlyPaths", "/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys",
	     "/proc/sysrq-trigger");
	json_end_object(b);
}

static int spec(const struct cli *c, int *status, struct oci_error *err)
{
	cleanup_buf struct buf b = {.indent = "\t"};
	const char *bundle = cli_string(c, "bundle");
	bool rootless = cli_bool(c, "rootless");
	cleanup_fd int fd = -1;

	(void)status;
	if (bundle && chdir(bundle))
		return oci_fail_errno(err, errno, "chdir %s", bundle);
	json_object(&b, NULL);
	json_str(&b, "ociVersion", "1.0.2-dev");
	process(&b);
	json_object(&b, "root");
	json_str(&b, "path", "rootfs");
	json_bool(&b, "readonly", true);
	json_end_object(&b);
	json_str(&b, "hostname", "nacre");
	spec_mounts(&b, rootless);
	spec_linux(&b, rootless);
	json_end_object(&b);
	if (!buf_ok(&b))
		return oci_fail_errno(err, ENOMEM, "spec");
	fd = open("config.json", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
	if (fd < 0 && errno == EEXIST)
		return oci_fail(err, EEXIST, "File config.json exists. Remove it first");
	if (fd < 0 || write(fd, b.s, b.len) != (ssize_t)b.len)
		return oci_fail_errno(err, errno, "cannot write config.json");
	return 0;
}

static const struct cli_option options[] = {
	{"bundle", "b", CLI_STRING, "bundle directory to write to, the current one by default",
	 NULL},
	{"rootless", NULL, CLI_BOOL, "for containers of an unprivileged user", NULL},
	{0},
};

const struct cli_command cmd_spec = {
	.name = "spec",
	.usage = "write an example config.json",
	.args = "",
	.description =
		"Writes a config.json that runs \"sh\" in the bundle's directory rootfs, as a\n"
		"beginning to edit. One that is there already is left alone.",
	.min_args = 0,
	.max_args = -1,
	.options = options,
	.run = spec,
};
