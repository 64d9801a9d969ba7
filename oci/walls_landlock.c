/* SPDX-License-Identifier: Apache-2.0 */
/* Landlock (landlock(7)): which of the host's files the sandbox can still open, make or change. */
#include <errno.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "oci/cleanup.h"
#include "oci/log.h"
#include "oci/walls.h"

/* linux/landlock.h, of which build hosts have older versions than the hosts nacre runs on. */
#define CREATE_VERSION 1u
#define RULE_PATH_BENEATH 1
#define FS_EXECUTE (1ull << 0)
#define FS_WRITE_FILE (1ull << 1)
#define FS_READ_FILE (1ull << 2)
#define FS_READ_DIR (1ull << 3)
#define FS_TRUNCATE (1ull << 14)
#define FS_IOCTL_DEV (1ull << 15)
#define SCOPE_SIGNAL (1ull << 1)

struct ruleset_attr {
	uint64_t fs, net, scoped;
};
struct path_beneath_attr {
	uint64_t access;
	int32_t fd;
} __attribute__((packed));

/*
 * The file-system rights each version of the interface knows, and the lowest version that is used:
 * version 1 cannot allow a rename from one directory to another, which containers need.
 */
#define VERSION_LEAST 2
static const uint64_t known_rights[] = {
	[2] = (1ull << 14) - 1,
	[3] = (1ull << 15) - 1,
	[4] = (1ull << 15) - 1,
	[5] = (1ull << 16) - 1,
};
#define VERSION_RIGHTS ((int)(sizeof(known_rights) / sizeof(known_rights[0])) - 1)
#define VERSION_SIGNALS 6

int walls_landlock_version(void)
{
	long v = syscall(SYS_landlock_create_ruleset, NULL, 0, CREATE_VERSION);

	return v < 0 ? 0 : (int)v;
}

static uint64_t handled(int version)
{
	return known_rights[version < VERSION_RIGHTS ? version : VERSION_RIGHTS];
}

static int allow(int ruleset, int fd, uint64_t rights)
{
	struct path_beneath_attr rule = {.access = rights, .fd = fd};
	struct stat st;

	if (fstat(fd, &st))
		return -errno;
	if (!S_ISDIR(st.st_mode))
		rule.access &= FS_READ_FILE | FS_WRITE_FILE | FS_TRUNCATE;
	return syscall(SYS_landlock_add_rule, ruleset, RULE_PATH_BENEATH, &rule, 0) ? -errno : 0;
}

static int allow_all(int ruleset, const struct rootfs *root, int proc, uint64_t rights)
{
	int r = allow(ruleset, root->fd, rights);

	if (!r && proc >= 0)
		r = allow(ruleset, proc, FS_READ_FILE | FS_READ_DIR);
	/* Those that are attached below the root are covered by it, detached trees are not. */
	for (size_t i = 0; i < root->nmounts && !r; i++)
		if (root->mounts[i].dirfd >= 0)
			r = allow(ruleset, root->mounts[i].dirfd, rights);
	return r;
}

int walls_landlock_prepare(const struct rootfs *root, int proc, int *ruleset, struct oci_error *err)
{
	int version = walls_landlock_version(), r;
	struct ruleset_attr attr = {0};
	cleanup_fd int fd = -1;

	*ruleset = -1;
	if (version < VERSION_LEAST) {
		log_debug("the host's Landlock has version %d: not used", version);
		return 0;
	}
	attr.fs = handled(version);
	/* Signals stay in the sandbox, also where the container shares the host's pid namespace. */
	attr.scoped = version >= VERSION_SIGNALS ? SCOPE_SIGNAL : 0;
	fd = (int)syscall(SYS_landlock_create_ruleset, &attr, sizeof(attr), 0);
	if (fd < 0)
		return oci_fail_errno(err, errno, "cannot make a Landlock ruleset");
	/* Nothing is executed, and devices were opened before: neither right is given to anybody. */
	r = allow_all(fd, root, proc, attr.fs & ~(FS_EXECUTE | FS_IOCTL_DEV));
	if (r)
		return oci_fail_errno(err, -r, "cannot fill a Landlock ruleset");
	*ruleset = steal_fd(&fd);
	return 0;
}

int walls_landlock_enter(int *ruleset, struct oci_error *err)
{
	cleanup_fd int fd = *ruleset;

	*ruleset = -1;
	if (fd < 0)
		return 0;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || syscall(SYS_landlock_restrict_self, fd, 0))
		return oci_fail_errno(err, errno, "cannot enter the Landlock ruleset");
	return 0;
}
