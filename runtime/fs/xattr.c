/* SPDX-License-Identifier: Apache-2.0 */
/* Extended attributes (xattr(7)). */
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "runtime/fs/inotify.h"
#include "runtime/fs/vfs_internal.h"

#define XATTR_NAME_MAX 255
#define XATTR_SIZE_MAX 65536

/* What a call acts on: by path, by link, by descriptor. */
enum how { FOLLOW, NOFOLLOW, BY_FD };

static int xattr_target(struct task *t, uint64_t arg, enum how how, struct vpath *out)
{
	struct file *f;
	int ret;

	if (how != BY_FD)
		return at_lookup(t, AT_FDCWD, arg, how == NOFOLLOW ? AT_SYMLINK_NOFOLLOW : 0, out);
	ret = fd_get_io(t, (int)arg, &f);
	if (ret)
		return ret;
	*out = f->path;
	vpath_get(out);
	file_put(f);
	return out->node ? 0 : -EOPNOTSUPP;
}

static int copy_name(struct task *t, uint64_t addr, char name[XATTR_NAME_MAX + 1])
{
	int64_t n = mm_copy_in_str(t->mm, name, GVA(addr), XATTR_NAME_MAX + 1);

	if (n == -ENAMETOOLONG || n == 0)
		return -ERANGE;
	return n < 0 ? (int)n : 0;
}

static bool has_prefix(const char *s, const char *prefix)
{
	return !strncmp(s, prefix, strlen(prefix)) && s[strlen(prefix)];
}

/* A namespace without a name behind it. */
static bool is_bare_prefix(const char *s)
{
	return !strcmp(s, "user.") || !strcmp(s, "trusted.") || !strcmp(s, "security.");
}

/* May t read (or change) this attribute? xattr(7): one rule a namespace. */
static int xattr_permission(struct task *t, const struct vpath *p, const char *name, bool write)
{
	int ret = write ? mount_writable(p->mount) : 0;

	if (ret)
		return ret;
	if (is_bare_prefix(name))
		return -EINVAL;
	if (has_prefix(name, "trusted."))
		return cred_capable(t->cred, CAP_SYS_ADMIN) ? 0 : write ? -EPERM : -ENODATA;
	if (!strcmp(name, "security.capability"))
		return !write || cred_capable(t->cred, CAP_SETFCAP) ? 0 : -EPERM;
	if (has_prefix(name, "security."))
		return !write || cred_capable(t->cred, CAP_SYS_ADMIN) ? 0 : -EPERM;
	if (!has_prefix(name, "user."))
		return -EOPNOTSUPP;
	if (p->node->type != S_IFREG && p->node->type != S_IFDIR)
		return write ? -EPERM : -ENODATA;
	if (write && p->node->type == S_IFDIR) {
		struct kstat st;

		ret = vpath_getattr(p, &st);
		if (ret)
			return ret;
		if (st.mode & S_ISVTX && !perm_owner(t, &st))
			return -EPERM;
	}
	return perm_node(t, p, write ? W_OK : R_OK);
}

static int64_t do_set(struct task *t, const uint64_t a[6], enum how how)
{
	char name[XATTR_NAME_MAX + 1];
	struct vpath p;
	void *value;
	int64_t ret;

	if ((int)a[4] & ~3)
		return -EINVAL;
	ret = copy_name(t, a[1], name);
	if (ret)
		return ret;
	if (a[3] > XATTR_SIZE_MAX)
		return -E2BIG;
	value = malloc(a[3] + 1);
	if (!value)
		return -ENOMEM;
	if (a[3] && mm_copy_in(t->mm, value, GVA(a[2]), a[3]) < 0) {
		free(value);
		return -EFAULT;
	}
	ret = xattr_target(t, a[0], how, &p);
	if (!ret) {
		ret = xattr_permission(t, &p, name, true);
		if (!ret)
			ret = p.node->ops->setxattr
				      ? p.node->ops->setxattr(p.node, name, value, a[3], (int)a[4])
				      : -EOPNOTSUPP;
		if (!ret)
			vfs_notify_node(p.node, IN_ATTRIB);
		vpath_put(&p);
	}
	free(value);
	return ret;
}

/* Copy a result of at most size bytes out; size 0 asks for the length alone. */
static int64_t give(struct task *t, const void *buf, int64_t len, uint64_t addr, uint64_t size)
{
	if (len <= 0 || !size)
		return len;
	return mm_copy_out(t->mm, GVA(addr), buf, len) < 0 ? -EFAULT : len;
}

static int64_t do_get(struct task *t, const uint64_t a[6], enum how how)
{
	uint64_t size = a[3] > XATTR_SIZE_MAX ? XATTR_SIZE_MAX : a[3];
	char name[XATTR_NAME_MAX + 1];
	struct vpath p;
	void *buf;
	int64_t ret = copy_name(t, a[1], name);

	if (ret)
		return ret;
	buf = malloc(size + 1);
	if (!buf)
		return -ENOMEM;
	ret = xattr_target(t, a[0], how, &p);
	if (!ret) {
		ret = xattr_permission(t, &p, name, false);
		if (!ret)
			ret = p.node->ops->getxattr ? p.node->ops->getxattr(p.node, name, buf, size)
						    : -EOPNOTSUPP;
		vpath_put(&p);
	}
	ret = give(t, buf, ret, a[2], size);
	free(buf);
	return ret;
}

/* Leave out what t may not know of: trusted.* without CAP_SYS_ADMIN. Returns the new length. */
static int64_t list_filter(struct task *t, char *buf, int64_t len)
{
	int64_t out = 0;

	if (cred_capable(t->cred, CAP_SYS_ADMIN))
		return len;
	for (int64_t at = 0; at < len;) {
		int64_t n = (int64_t)strnlen(buf + at, len - at) + 1;

		if (!has_prefix(buf + at, "trusted.") && at + n <= len) {
			memmove(buf + out, buf + at, n);
			out += n;
		}
		at += n;
	}
	return out;
}

static int64_t do_list(struct task *t, const uint64_t a[6], enum how how)
{
	char *buf = malloc(XATTR_SIZE_MAX);
	struct vpath p;
	int64_t ret;

	if (!buf)
		return -ENOMEM;
	ret = xattr_target(t, a[0], how, &p);
	if (!ret) {
		ret = p.node->ops->listxattr ? p.node->ops->listxattr(p.node, buf, XATTR_SIZE_MAX) : 0;
		vpath_put(&p);
	}
	if (ret > 0)
		ret = list_filter(t, buf, ret);
	if (ret > 0 && a[2] && (uint64_t)ret > a[2])
		ret = -ERANGE;
	ret = give(t, buf, ret, a[1], a[2]);
	free(buf);
	return ret;
}

static int64_t do_remove(struct task *t, const uint64_t a[6], enum how how)
{
	char name[XATTR_NAME_MAX + 1];
	struct vpath p;
	int64_t ret = copy_name(t, a[1], name);

	if (ret)
		return ret;
	ret = xattr_target(t, a[0], how, &p);
	if (ret)
		return ret;
	ret = xattr_permission(t, &p, name, true);
	if (!ret)
		ret = p.node->ops->removexattr ? p.node->ops->removexattr(p.node, name) : -EOPNOTSUPP;
	if (!ret)
		vfs_notify_node(p.node, IN_ATTRIB);
	vpath_put(&p);
	return ret;
}

#define XATTR_CALLS(name, fn)                                                                      \
	int64_t sys_##name(struct task *t, const uint64_t a[6]) { return fn(t, a, FOLLOW); }       \
	int64_t sys_l##name(struct task *t, const uint64_t a[6]) { return fn(t, a, NOFOLLOW); }    \
	int64_t sys_f##name(struct task *t, const uint64_t a[6]) { return fn(t, a, BY_FD); }

XATTR_CALLS(setxattr, do_set)
XATTR_CALLS(getxattr, do_get)
XATTR_CALLS(listxattr, do_list)
XATTR_CALLS(removexattr, do_remove)
