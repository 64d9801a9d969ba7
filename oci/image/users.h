/* SPDX-License-Identifier: Apache-2.0 */
/* An image's User, by the root file system's own /etc/passwd and /etc/group. */
#ifndef NACRE_OCI_IMAGE_USERS_H
#define NACRE_OCI_IMAGE_USERS_H

#include <limits.h>
#include <stddef.h>
#include <sys/types.h>

#include "oci/error.h"

#define USERS_MAX_GROUPS 1024

struct image_user {
	uid_t uid;
	gid_t gid;
	gid_t groups[USERS_MAX_GROUPS]; /* supplementary */
	size_t ngroups;
	char home[PATH_MAX]; /* "/" when nothing says */
};

/* text: "", user, uid, user:group, uid:gid, ... */
int users_resolve(int root, const char *text, struct image_user *out, struct oci_error *err);

#endif
