/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The container's file systems as the sandbox prepares them, inside its own mount namespace:
 * rootfs bound onto itself, the host-backed mounts of config.json attached beneath it, and the list
 * of all mounts for the application kernel. Order: rootfs_prepare(), rootfs_enter().
 */
#ifndef NACRE_OCI_ROOTFS_H
#define NACRE_OCI_ROOTFS_H

#include <stdbool.h>
#include <stddef.h>

#include "oci/config.h"
#include "oci/error.h"
#include "runtime/kernel.h"

struct rootfs {
	int fd;		  /* the container's root directory */
	const char *path; /* canonical, on the host */

	int tree;		   /* of the mount that is being made, made before; or -1 */
	unsigned long propagation; /* MS_* of the root in the end, 0: as it is */
	const char *label;	   /* SELinux context of new file systems, or NULL */

	struct kernel_mount *mounts;
	size_t nmounts, cap;
};

int rootfs_prepare(struct rootfs *r, const struct oci_config *cfg, int bundle_fd,
		   struct oci_error *err);
/* Make it the process's root; the host's tree is gone afterwards. */
int rootfs_enter(struct rootfs *r, bool no_pivot, struct oci_error *err);
/*
 * Open a path as the container's root would resolve it, making missing directories (and, with file
 * true, an empty file at the end). An O_PATH descriptor or -errno.
 */
int rootfs_make_target(int rootfd, const char *path, bool file);
int rootfs_open(int rootfd, const char *path, int flags);
/* "HOME=" and the home directory the container's passwd has for the user; "/" when it says nothing. */
void rootfs_home(int rootfd, uid_t uid, char *out, size_t len);

/* rootfs_host.c: the mounts that are the host's. */
int rootfs_mount_host(struct rootfs *r, const struct oci_mount *m, const char *target,
		      const char *key, int bundle_fd, bool under_own, struct oci_error *err);
int rootfs_mount_cgroup(struct rootfs *r, const struct oci_mount *m, const char *target,
			const char *key, struct oci_error *err);
int rootfs_hide(struct rootfs *r, const struct oci_config *cfg, struct oci_error *err);
/* Whether path lies on one of nacre's own file systems. */
bool rootfs_is_own(const struct rootfs *r, const char *path);
/* Append to the list; strings are copied. */
int rootfs_list(struct rootfs *r, const char *target, const char *fstype, int dirfd,
		const char *source, const char *options, unsigned long flags,
		struct oci_error *err);
/* A descriptor of what is mounted at target now, for the list. -errno. */
int rootfs_open_mounted(int rootfd, const char *target);

/*
 * rootfs_copy.c: fill the new file system of the detached mount `tree` with what is in the directory
 * `from`, links not followed. 0 or -errno.
 */
int rootfs_copy_up(int from, int tree);

#endif
