/* SPDX-License-Identifier: Apache-2.0 */
/* Character devices and the contents of /dev. */
#ifndef NACRE_RUNTIME_FS_DEV_H
#define NACRE_RUNTIME_FS_DEV_H

#include "runtime/fs/vfs.h"

/*
 * Create the OCI default devices and links in `root`, the root of a tmpfs about to be mounted on
 * /dev. Entries that exist are left alone. console: also /dev/console.
 */
int dev_populate(struct kernel *k, struct vnode *root, bool console);

/* cfg->devices, where the mounts of cfg are in place; nodes that exist are left alone. */
int vfs_make_devices(struct task *t, const struct kernel_config *cfg, char *err, size_t errlen);

#endif
