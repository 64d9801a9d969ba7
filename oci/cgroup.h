/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Control groups through their file systems: version 1, version 2, and hosts that have both. A
 * container gets one directory in each hierarchy; the list is kept in its state.
 */
#ifndef NACRE_OCI_CGROUP_H
#define NACRE_OCI_CGROUP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "oci/config.h"
#include "oci/error.h"
#include "oci/state.h"

/* Host threads of a sandbox that are no guest task: headroom above the container's pids limit. */
#define OCI_CGROUP_PIDS_EXTRA 16

struct oci_cgroup_mount {
	char controllers[128]; /* "memory", "cpu,cpuacct", "name=systemd"; "" is version 2 */
	char mountpoint[256];
	char own[512]; /* this process's group in it, "/" at the top */
};
/* The hierarchies of this host; returns how many, at most cap, or -errno. */
int oci_cgroup_mounts(struct oci_cgroup_mount *m, size_t cap);

/*
 * The path below a hierarchy's mount point: absolute `path` as it is; a relative one, or the
 * container's id when there is none, below `own`. With `systemd`, path is "slice:prefix:name".
 */
int oci_cgroup_path(const char *path, const char *id, const char *own, bool systemd, char *out,
		    size_t len, struct oci_error *err);
/* cpu.weight (1 .. 10000) for cpu.shares (2 .. 262144). */
unsigned long long oci_cgroup_weight(unsigned long long shares);

/*
 * Note in s the directories the container will have in the n hierarchies m: they are on disk before
 * the first is made, so that a creator killed in between leaves nothing unknown.
 */
int oci_cgroup_plan(struct oci_state *s, const char *path, const struct oci_cgroup_mount *m, int n,
		    struct oci_error *err);
/*
 * Make them. Hierarchies that cannot be written are left out when nothing was asked of them. -EBUSY
 * when one is there and has processes.
 */
int oci_cgroup_create(struct oci_state *s, const struct oci_cgroup_mount *m, int n,
		      const struct oci_resources *res, struct oci_error *err);
/* Leave a group out of the container's; and whether an error is one of permission. */
void oci_cgroup_forget(struct oci_state *s, size_t i);
bool oci_cgroup_forbidden(int r);
/* What the user has no right to set is warned of and left out when the container is rootless. */
int oci_cgroup_limits(const struct oci_state *s, const struct oci_resources *res,
		      struct oci_error *err);
/*
 * Make the groups of s those below them that args name: "PATH", or "CONTROLLER[,...]:PATH" for some.
 * They must exist when they are entered.
 */
int oci_cgroup_descend(struct oci_state *s, const char *const *args, struct oci_error *err);
/* Move a process there; pid 0: the caller. */
int oci_cgroup_attach(const struct oci_state *s, pid_t pid, struct oci_error *err);
/* The directory that has the controller, v1 or v2; *v2 says which. NULL: none. */
const char *oci_cgroup_dir(const struct oci_state *s, const char *controller, bool *v2);
bool oci_cgroup_frozen(const struct oci_state *s);
int oci_cgroup_freeze(const struct oci_state *s, bool freeze, struct oci_error *err);
/* Processes in the container's groups and those below; returns how many, at most cap stored. */
size_t oci_cgroup_pids(const struct oci_state *s, pid_t *pids, size_t cap);
/* Kill what is left in them. */
void oci_cgroup_kill(const struct oci_state *s);
/* Remove the directories, killing what is still in them; missing ones are fine. */
int oci_cgroup_remove(const struct oci_state *s, struct oci_error *err);
/* cpu, cpuset, memory, pids, blkio, hugetlb members of `events --stats`. */
struct buf;
void oci_cgroup_stats(const struct oci_state *s, struct buf *b);

/* Notices of the memory controller that it kills for want of memory. */
struct oci_oom {
	int fd;	      /* to poll for `events`; -1: the host has none */
	short events; /* POLLIN with version 1, POLLPRI with version 2 */
	int control;  /* version 1: memory.oom_control, -1 */
	uint64_t kills;
};
void oci_cgroup_oom_open(const struct oci_state *s, struct oci_oom *o);
/* After a poll: whether there was one since the last time. */
bool oci_cgroup_oom_happened(struct oci_oom *o);
void oci_cgroup_oom_close(struct oci_oom *o);

/* Whole content of DIR/FILE without its last newline; -errno. */
int oci_cgroup_read(const char *dir, const char *file, char *buf, size_t len);
int oci_cgroup_write(const char *dir, const char *file, const char *value);

#endif
