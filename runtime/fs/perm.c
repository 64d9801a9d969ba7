/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Permission checks. The sandbox could open everything in the container's tree, so what a guest's
 * credentials allow is decided here alone. path_resolution(7), capabilities(7), inode(7).
 */
#include <linux/capability.h>
#include <linux/securebits.h>
#include <linux/mount.h>

#include "runtime/fs/vfs_internal.h"

/* Who asks: file system ids, or the real ones for access(2). */
struct identity {
	uid_t uid;
	gid_t gid;
	uint64_t caps;
	const struct cred *cred;
};

static bool identity_in_group(const struct identity *id, gid_t gid)
{
	size_t lo = 0, hi = id->cred->ngroups;

	if (gid == id->gid)
		return true;
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (id->cred->groups[mid] == gid)
			return true;
		if (id->cred->groups[mid] < gid)
			lo = mid + 1;
		else
			hi = mid;
	}
	return false;
}

static int check(const struct identity *id, const struct kstat *st, int mask)
{
	unsigned bits = st->mode & 7;
	bool dir = S_ISDIR(st->mode);

	if (id->uid == st->uid)
		bits = (st->mode >> 6) & 7;
	else if (identity_in_group(id, st->gid))
		bits = (st->mode >> 3) & 7;
	if (!(mask & ~(int)bits))
		return 0;
	if (id->caps & ((uint64_t)1 << CAP_DAC_OVERRIDE) &&
	    (dir || !(mask & X_OK) || st->mode & 0111))
		return 0;
	if (id->caps & ((uint64_t)1 << CAP_DAC_READ_SEARCH) &&
	    (dir ? !(mask & W_OK) : mask == R_OK))
		return 0;
	return -EACCES;
}

int perm_check(struct task *t, const struct kstat *st, int mask)
{
	struct identity id;

	if (!t)
		return 0;
	id = (struct identity){t->cred->fsuid, t->cred->fsgid, t->cred->cap_effective, t->cred};
	return check(&id, st, mask);
}

int perm_check_real(struct task *t, const struct kstat *st, int mask)
{
	struct identity id = {t->cred->uid, t->cred->gid, t->cred->cap_effective, t->cred};

	/* access(2), NOTES: the capabilities a process of that real uid would have. */
	if (!(t->cred->securebits & SECBIT_NO_SETUID_FIXUP))
		id.caps = t->cred->uid == 0 ? t->cred->cap_permitted : 0;
	return check(&id, st, mask);
}

int mount_writable(const struct mount *m)
{
	return m && m->flags & MS_RDONLY ? -EROFS : 0;
}

/* A read-only mount does not stop writing to devices, FIFOs and sockets that live there. */
static int check_readonly(const struct vpath *p, int mask)
{
	if (!(mask & W_OK) || S_ISCHR(p->node->type) || S_ISBLK(p->node->type) ||
	    S_ISFIFO(p->node->type) || S_ISSOCK(p->node->type))
		return 0;
	return mount_writable(p->mount);
}

int perm_node(struct task *t, const struct vpath *p, int mask)
{
	struct kstat st;
	int ret = check_readonly(p, mask);

	if (ret)
		return ret;
	ret = vpath_getattr(p, &st);
	return ret ? ret : perm_check(t, &st, mask);
}

int vfs_permission(struct task *t, const struct vpath *p, int mask)
{
	return perm_node(t, p, mask);
}

bool perm_owner(struct task *t, const struct kstat *st)
{
	return t->cred->fsuid == st->uid || cred_capable(t->cred, CAP_FOWNER);
}

bool perm_searches_all(struct task *t)
{
	return !t || t->cred->cap_effective & ((uint64_t)1 << CAP_DAC_OVERRIDE |
					       (uint64_t)1 << CAP_DAC_READ_SEARCH);
}

int perm_delete(struct task *t, const struct vpath *dir, struct vnode *node)
{
	struct kstat dst, st;
	int ret = mount_writable(dir->mount);

	if (!ret)
		ret = vpath_getattr(dir, &dst);
	if (!ret)
		ret = perm_check(t, &dst, W_OK | X_OK);
	if (ret || !(dst.mode & S_ISVTX))
		return ret;
	ret = node->ops->getattr(node, &st);
	if (ret)
		return ret;
	/* Sticky: the owner of the entry or of the directory. */
	if (t->cred->fsuid == st.uid || t->cred->fsuid == dst.uid ||
	    cred_capable(t->cred, CAP_FOWNER))
		return 0;
	return -EPERM;
}

int perm_create(struct task *t, const struct vpath *dir, uint32_t mode, struct kattr *attr)
{
	struct kstat dst;
	int ret = mount_writable(dir->mount);

	if (!ret)
		ret = vpath_getattr(dir, &dst);
	if (!ret && !dst.nlink)
		ret = -ENOENT;
	if (!ret)
		ret = perm_check(t, &dst, W_OK | X_OK);
	if (ret)
		return ret;
	*attr = (struct kattr){.valid = KATTR_MODE | KATTR_UID | KATTR_GID,
			       .mode = mode,
			       .uid = t->cred->fsuid,
			       .gid = t->cred->fsgid};
	if (dst.mode & S_ISGID) {
		struct identity id = {t->cred->fsuid, t->cred->fsgid, 0, t->cred};

		attr->gid = dst.gid;
		if (S_ISDIR(mode))
			attr->mode |= S_ISGID;
		else if ((mode & (S_ISGID | S_IXGRP)) == (S_ISGID | S_IXGRP) &&
			 !identity_in_group(&id, dst.gid) && !cred_capable(t->cred, CAP_FSETID))
			attr->mode &= ~(uint32_t)S_ISGID;
	}
	return 0;
}

void vfs_kill_suid(struct task *t, struct vnode *n)
{
	struct kstat st;
	struct kattr attr = {.valid = KATTR_MODE};

	if (!t || n->type != S_IFREG || cred_capable(t->cred, CAP_FSETID))
		return;
	if (!n->ops->getattr || !n->ops->setattr || n->ops->getattr(n, &st) < 0)
		return;
	attr.mode = st.mode & 07777;
	attr.mode &= ~(uint32_t)S_ISUID;
	if (st.mode & S_IXGRP)
		attr.mode &= ~(uint32_t)S_ISGID;
	if (attr.mode != (st.mode & 07777))
		n->ops->setattr(n, &attr);
}
