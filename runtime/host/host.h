/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the application kernel asks of the system under it beyond POSIX.1-2008, one file a system.
 * Descriptors are the host's. Errors are -errno of the host, its descriptors' exhaustion as ENFILE:
 * the limit is the sandbox's, not the guest process's.
 */
#ifndef NACRE_RUNTIME_HOST_HOST_H
#define NACRE_RUNTIME_HOST_HOST_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "runtime/fs/vfs.h"

int64_t host_errno(void); /* of the host call that failed last */

/* ---- files ---- */

struct host_stat {
	struct kstat st;
	uint64_t mount; /* number of the mount it was reached by, unique while somebody holds it */
};

/* One opening of a path of plain names beneath dirfd; -ELOOP: a symlink, -EXDEV: it leads outside. */
int host_open_beneath(int dirfd, const char *path, int flags);
/*
 * The open file once more, as a description of its own. proc is the host's /proc, which stands for
 * descriptors by name: *dirfd and path are what to give to openat(2), linkat(2) and their kin.
 */
int host_reopen(int proc, int fd, int flags);
void host_fd_path(int proc, int fd, int *dirfd, char path[40]);
int host_fstat(int fd, struct kstat *out);
int host_fstat_mount(int fd, struct host_stat *out);

/* getdents(2): records, `reclen` bytes apart, in a buffer aligned to 8; bytes, 0 at the end. */
struct host_dirent {
	uint64_t ino;
	int64_t off; /* where the next one is read: a position for lseek(2) */
	unsigned short reclen;
	unsigned char type; /* DT_* */
	char name[];
};
int64_t host_read_dir(int fd, void *buf, size_t len);

/* ---- threads ---- */

/*
 * Sleep while *word is val, until the CLOCK_MONOTONIC time (NULL: for ever). 0 when woken or for no
 * reason, -EAGAIN: it was another value, -EINTR, -ETIMEDOUT. The word is this process's alone.
 */
int host_sleep(atomic_uint *word, unsigned val, const struct timespec *until);
void host_wake(atomic_uint *word); /* one sleeper */

/* Where the calling thread runs; 0 and 0 where the host does not say. */
void host_processor(unsigned *cpu, unsigned *node);
/* membarrier(2) among this process's threads: its result, or -errno. */
int host_membarrier(int command);

#endif
