/* SPDX-License-Identifier: Apache-2.0 */
/* statfs(2). */
#include <errno.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <string.h>

#include "runtime/fs/vfs_internal.h"

/* statfs.f_flags: the mount's flags in their own numbering (ST_*), and ST_VALID. */
static long statfs_flags(const struct mount *m)
{
	static const struct {
		unsigned long ms;
		long st;
	} map[] = {
		{MS_RDONLY, 1},		{MS_NOSUID, 2},	    {MS_NODEV, 4},
		{MS_NOEXEC, 8},		{MS_SYNCHRONOUS, 16}, {MS_NOATIME, 1024},
		{MS_NODIRATIME, 2048},	{MS_RELATIME, 4096},
	};
	long flags = 0x20;

	for (size_t i = 0; i < sizeof(map) / sizeof(map[0]); i++)
		if (m && m->flags & map[i].ms)
			flags |= map[i].st;
	return flags;
}

static int64_t statfs_path(struct task *t, const struct vpath *p, uint64_t addr)
{
	struct statfs sf;
	int ret = 0;

	memset(&sf, 0, sizeof(sf));
	if (p->node && p->node->ops->statfs) {
		ret = p->node->ops->statfs(p->node, &sf);
	} else {
		/* Pseudo file systems have no blocks; files without a place are PIPEFS, SOCKFS ... */
		sf.f_type = p->mount && p->mount->type ? (long)p->mount->type->magic : 0x09041934;
		sf.f_bsize = sf.f_frsize = 4096;
		sf.f_namelen = VFS_NAME_MAX;
	}
	if (ret)
		return ret;
	sf.f_flags = statfs_flags(p->mount);
	return mm_copy_out(t->mm, GVA(addr), &sf, sizeof(sf)) < 0 ? -EFAULT : 0;
}

int64_t sys_statfs(struct task *t, const uint64_t a[6])
{
	struct vpath p;
	int64_t ret = at_lookup(t, AT_FDCWD, a[0], 0, &p);

	if (ret)
		return ret;
	ret = statfs_path(t, &p, a[1]);
	vpath_put(&p);
	return ret;
}

int64_t sys_fstatfs(struct task *t, const uint64_t a[6])
{
	struct file *f = fd_get(t, (int)a[0]);
	int64_t ret;

	if (!f)
		return -EBADF;
	ret = statfs_path(t, &f->path, a[1]);
	file_put(f);
	return ret;
}
