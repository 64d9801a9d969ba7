/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "runtime/host/host.h"

int64_t host_errno(void)
{
	return errno == EMFILE ? -ENFILE : -errno;
}

/* ---- files ---- */

int host_open_beneath(int dirfd, const char *path, int flags)
{
	struct open_how how = {
		.flags = (uint64_t)(flags | O_CLOEXEC),
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
	};
	int fd = (int)syscall(SYS_openat2, dirfd, path, &how, sizeof(how));

	return fd < 0 ? (int)host_errno() : fd;
}

void host_fd_path(int proc, int fd, int *dirfd, char path[40])
{
	*dirfd = proc;
	snprintf(path, 40, "self/fd/%d", fd);
}

int host_reopen(int proc, int fd, int flags)
{
	char path[40];
	int dirfd, ret;

	host_fd_path(proc, fd, &dirfd, path);
	ret = openat(dirfd, path, (flags & ~O_NOFOLLOW) | O_CLOEXEC);
	return ret < 0 ? (int)host_errno() : ret;
}

int host_fstat_mount(int fd, struct host_stat *out)
{
	struct statx sx;

	if (statx(fd, "", AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW,
		  STATX_BASIC_STATS | STATX_BTIME | STATX_MNT_ID, &sx) < 0)
		return (int)host_errno();
	out->mount = sx.stx_mnt_id;
	out->st = (struct kstat){
		.dev = makedev(sx.stx_dev_major, sx.stx_dev_minor),
		.ino = sx.stx_ino,
		.rdev = makedev(sx.stx_rdev_major, sx.stx_rdev_minor),
		.size = sx.stx_size,
		.blocks = sx.stx_blocks,
		.mode = sx.stx_mode,
		.nlink = sx.stx_nlink,
		.uid = sx.stx_uid,
		.gid = sx.stx_gid,
		.blksize = sx.stx_blksize,
		.atime = {sx.stx_atime.tv_sec, sx.stx_atime.tv_nsec},
		.mtime = {sx.stx_mtime.tv_sec, sx.stx_mtime.tv_nsec},
		.ctime = {sx.stx_ctime.tv_sec, sx.stx_ctime.tv_nsec},
		.btime = {sx.stx_btime.tv_sec, sx.stx_btime.tv_nsec},
	};
	return 0;
}

int host_fstat(int fd, struct kstat *out)
{
	struct host_stat s;
	int ret = host_fstat_mount(fd, &s);

	if (!ret)
		*out = s.st;
	return ret;
}

int64_t host_read_dir(int fd, void *buf, size_t len)
{
	long n = syscall(SYS_getdents64, fd, buf, len);

	return n < 0 ? host_errno() : n;
}

/* ---- threads ---- */

int host_sleep(atomic_uint *word, unsigned val, const struct timespec *until)
{
	return syscall(SYS_futex, word, FUTEX_WAIT_BITSET | FUTEX_PRIVATE_FLAG, val, until, NULL,
		       FUTEX_BITSET_MATCH_ANY) < 0
		       ? -errno
		       : 0;
}

void host_wake(atomic_uint *word)
{
	syscall(SYS_futex, word, FUTEX_WAKE | FUTEX_PRIVATE_FLAG, 1, NULL, NULL, 0);
}

void host_processor(unsigned *cpu, unsigned *node)
{
	if (syscall(SYS_getcpu, cpu, node, NULL))
		*cpu = *node = 0;
}

int host_membarrier(int command)
{
	long r = syscall(SYS_membarrier, command, 0, 0);

	return r < 0 ? -errno : (int)r;
}
