/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The root file system that is being made. Paths are what target_clean() returned: relative, no
 * ".", no "..", "" for the root. Parents are opened with openat2(2) and RESOLVE_IN_ROOT: a link on
 * the way means what it will mean in the container (/lib leading to usr/lib), never a place outside.
 * All other calls take one component and do not follow it.
 */
#ifndef NACRE_OCI_IMAGE_TARGET_H
#define NACRE_OCI_IMAGE_TARGET_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

#include "oci/error.h"

#define TARGET_CACHED 4
#define TARGET_MAX_DEPTH 256	    /* of a directory that a layer hides */
#define TARGET_DEFERRED (64u << 20) /* bytes of names kept for directories' times */

struct inode_set {
	uint64_t *slot; /* 0: empty */
	size_t n, cap;
};

struct deferred {
	char *path;
	mode_t mode;
	bool timed;
	struct timespec mtime;
};

struct target {
	int root;
	bool owners; /* chown(2) is allowed to us */
	/* Directories opened lately, so that neighbours share the walk. */
	struct {
		char *path;
		int fd;
	} cache[TARGET_CACHED];
	unsigned next_slot;
	struct inode_set made; /* by the layer being applied, when a layer lies under it */
	bool track;
	struct deferred *dirs;
	size_t ndirs, dirs_cap, dirs_bytes;
	/* What could not be done, for one note each. */
	uint64_t devices_skipped, owners_skipped, xattrs_skipped;
};

void target_init(struct target *t, int root);
void target_free(struct target *t);
/* Between layers: what is there now is a lower layer's. */
void target_next_layer(struct target *t, bool track);

/*
 * A name from an archive as a path; 0 or -errno: -EXDEV for "..", -ENAMETOOLONG, -EINVAL for an
 * empty link target.
 */
int target_clean(const char *name, char out[PATH_MAX]);
/* The last component of path; its directory goes to dir. */
const char *target_split(const char *path, char dir[PATH_MAX]);
/*
 * A descriptor (O_PATH) of a directory, borrowed until the second call after this one. create: make
 * what is missing, 0755 and the root user's. -errno.
 */
int target_dir(struct target *t, const char *path, bool create);
/* Remove whatever name is in dir, and all below it; -ENOENT is success. */
int target_remove(struct target *t, int dir, const char *name);
/* The same for what lower layers have there; what this layer made stays. */
int target_whiteout(struct target *t, int dir, const char *name);
/* Remove what lower layers put into dir and leave what this layer did. */
int target_hide(struct target *t, int dir);
/* Remember that this layer made or changed the file. */
int target_mark(struct target *t, int fd);
/* A directory's mode and time come last: making files in it changes the one and may need the other. */
int target_defer(struct target *t, const char *path, mode_t mode, const struct timespec *mtime);
int target_finish(struct target *t);

#endif
