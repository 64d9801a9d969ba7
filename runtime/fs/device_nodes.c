/* SPDX-License-Identifier: Apache-2.0 */
/* The device nodes a container was promised beside the default ones. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "runtime/fs/dev.h"
#include "runtime/fs/path.h"
#include "runtime/fs/vfs_internal.h"

static int make_parents(struct task *t, const char *path)
{
	const struct kattr attr = {.valid = KATTR_MODE | KATTR_UID | KATTR_GID,
				   .mode = S_IFDIR | 0755};
	char part[VFS_PATH_MAX], last[256];

	for (const char *s = path + 1; (s = strchr(s, '/')); s++) {
		struct vpath dir;
		bool slash;
		int ret;

		if ((size_t)(s - path) >= sizeof(part))
			return -ENAMETOOLONG;
		snprintf(part, sizeof(part), "%.*s", (int)(s - path), path);
		if (!vfs_walk(t, AT_FDCWD, part, LOOKUP_FOLLOW, 0, &dir)) {
			vpath_put(&dir);
			continue;
		}
		ret = vfs_lookup_parent(t, AT_FDCWD, part, 0, &dir, last, &slash);
		if (ret)
			return ret;
		ret = dir.node->ops->mkdir ? dir.node->ops->mkdir(dir.node, last, &attr) : -EROFS;
		vpath_put(&dir);
		if (ret && ret != -EEXIST)
			return ret;
	}
	return 0;
}

static int make_node(struct task *t, const struct kernel_device *d)
{
	const struct kattr attr = {.valid = KATTR_MODE | KATTR_UID | KATTR_GID,
				   .mode = d->mode,
				   .uid = d->uid,
				   .gid = d->gid};
	struct vpath dir;
	char last[256];
	bool slash;
	int ret = make_parents(t, d->path);

	if (!ret)
		ret = vfs_lookup_parent(t, AT_FDCWD, d->path, 0, &dir, last, &slash);
	if (ret)
		return ret;
	ret = dir.node->ops->mknod ? dir.node->ops->mknod(dir.node, last, &attr, d->rdev) : -EROFS;
	vpath_put(&dir);
	return ret == -EEXIST ? 0 : ret;
}

int vfs_make_devices(struct task *t, const struct kernel_config *cfg, char *err, size_t errlen)
{
	for (size_t i = 0; i < cfg->ndevices; i++) {
		int ret = make_node(t, &cfg->devices[i]);

		if (ret) {
			snprintf(err, errlen, "device %s: %s", cfg->devices[i].path,
				 strerror(-ret));
			return ret;
		}
	}
	return 0;
}
