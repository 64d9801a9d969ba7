/* SPDX-License-Identifier: Apache-2.0 */
/* The mount table, its making, and where things are in the tree. */
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <linux/mount.h>
#include <sys/resource.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "runtime/fs/dev.h"
#include "runtime/fs/path.h"
#include "runtime/fs/tmpfs.h"
#include "runtime/fs/vfs_internal.h"

uint64_t vfs_new_dev(void)
{
	/* Anonymous device numbers well above those the host gives to its own mounts. */
	static atomic_uint next = 0x80000;

	return makedev(0, atomic_fetch_add(&next, 1));
}

struct mount *mount_at(struct vfs *v, const struct vpath *p)
{
	bool own_nodes = vnode_is_host(p->node) || p->node->ops == &tmpfs_ops;

	/* Their nodes are unique objects, pinned by the mount: the mark is there or no mount is. */
	if (own_nodes && !atomic_load_explicit(&p->node->is_mountpoint, memory_order_relaxed))
		return NULL;
	for (unsigned i = v->nmounts; i-- > 1;) {
		struct mount *m = v->mounts[i];
		struct vpath at = {m->parent, m->mountpoint};

		if (vpath_same(&at, p))
			return m;
	}
	return NULL;
}

void mount_cross(struct vfs *v, struct vpath *p)
{
	struct mount *m;

	while ((m = mount_at(v, p)) != NULL) {
		vnode_put(p->node);
		p->mount = m;
		p->node = vnode_get(m->root);
	}
}

int vpath_dotdot(struct task *t, struct vpath *p, const struct vpath *root)
{
	struct vnode *up = NULL;
	struct vpath here = *p;
	int ret;

	if (vpath_same(p, root))
		return 0;
	while (here.node == here.mount->root) {
		if (!here.mount->parent)
			return 0;
		here = (struct vpath){here.mount->parent, here.mount->mountpoint};
		/* A root (chroot) that is the mount point itself, seen from above. */
		if (vpath_same(&here, root))
			return 0;
	}
	if (vnode_is_host(here.node)) {
		ret = hostfs_parent(here.node, &up);
		if (ret)
			return ret;
	} else {
		pthread_mutex_lock(&vnode_tree_lock);
		up = here.node->parent ? vnode_get(here.node->parent) : vnode_get(here.node);
		pthread_mutex_unlock(&vnode_tree_lock);
	}
	here = (struct vpath){here.mount, up};
	vpath_put(p);
	*p = here;
	mount_cross(t->kernel->vfs, p);
	return 0;
}

/* ---- path texts ---- */

struct text {
	char *buf;
	size_t pos; /* the text is buf[pos ..] */
};

static int text_prepend(struct text *x, const char *s)
{
	size_t n = strlen(s);

	if (n + 1 > x->pos)
		return -ENAMETOOLONG;
	x->pos -= n;
	memcpy(x->buf + x->pos, s, n);
	x->buf[--x->pos] = '/';
	return 0;
}

/* Names of a file system that keeps them in its nodes, up to the mount's root. */
static int text_of_nodes(struct text *x, struct vnode *n, const struct vnode *root)
{
	int ret = 0;

	pthread_mutex_lock(&vnode_tree_lock);
	while (!ret && n != root && n->parent) {
		ret = text_prepend(x, n->name);
		n = n->parent;
	}
	pthread_mutex_unlock(&vnode_tree_lock);
	return ret;
}

/* From the mount's root. */
static int text_within(const struct mount *m, struct vnode *n, struct text *x)
{
	char tmp[VFS_PATH_MAX];
	int64_t ret;

	if (n == m->root)
		return 0;
	if (!vnode_is_host(n))
		return text_of_nodes(x, n, m->root);
	ret = hostfs_text(n, tmp, sizeof(tmp));
	if (ret > 0)
		ret = text_prepend(x, tmp);
	return (int)ret;
}

/* From the container's root. */
static int text_absolute(const struct vpath *p, struct text *x)
{
	struct mount *m = p->mount;
	struct vnode *n = p->node;

	for (;;) {
		int ret = text_within(m, n, x);

		if (ret < 0)
			return ret;
		if (!m->parent)
			return 0;
		n = m->mountpoint;
		m = m->parent;
	}
}

static int64_t text_finish(struct text *x, const char *root, char *buf, size_t cap)
{
	const char *s = x->buf + x->pos, *prefix = "";
	size_t rlen = strlen(root);

	if (rlen && !strncmp(s, root, rlen) && (s[rlen] == '/' || !s[rlen]))
		s += rlen;
	else if (rlen)
		prefix = "(unreachable)";
	if (!*s)
		s = "/";
	if (strlen(prefix) + strlen(s) >= cap)
		return -ENAMETOOLONG;
	return snprintf(buf, cap, "%s%s", prefix, s);
}

int64_t vfs_path_text(struct task *t, const struct vpath *p, char *buf, size_t cap)
{
	char space[2 * VFS_PATH_MAX], rspace[2 * VFS_PATH_MAX];
	struct text x = {space, sizeof(space) - 1}, r = {rspace, sizeof(rspace) - 1};
	struct vpath root = {0};
	int ret;

	space[x.pos] = rspace[r.pos] = 0;
	ret = text_absolute(p, &x);
	if (ret)
		return ret;
	if (t && t->fs) {
		fs_context_get_root(t->fs, &root);
		ret = text_absolute(&root, &r);
		vpath_put(&root);
		if (ret)
			return ret;
	}
	return text_finish(&x, rspace + r.pos, buf, cap);
}

/* ---- the table as /proc/mounts shows it ---- */

int vfs_for_each_mount(struct task *t, int (*fn)(const struct mount_info *m, void *arg), void *arg)
{
	struct vfs *v = t->kernel->vfs;
	int ret = 0;

	mount_texts_load(v);
	for (unsigned i = 0; !ret && i < v->nmounts; i++) {
		struct mount *m = v->mounts[i];
		struct vpath top = {m, m->root};
		char target[VFS_PATH_MAX];

		if (vfs_path_text(t, &top, target, sizeof(target)) < 0 || target[0] != '/')
			continue;
		ret = fn(&(struct mount_info){.id = m->id,
					      .parent_id = m->parent ? m->parent->id : 1,
					      .dev = m->dev,
					      .source = m->source,
					      .target = target,
					      .fstype = m->fstype,
					      .options = m->options,
					      .flags = m->flags},
			 arg);
	}
	return ret;
}

/* ---- making the tree ---- */

static const struct fs_type *fs_type_find(const char *name)
{
	static const struct fs_type *const types[] = {&procfs_type, &tmpfs_type, &devpts_type,
						      &mqueue_type};

	if (!strcmp(name, "dev") || !strcmp(name, "devtmpfs"))
		return &tmpfs_type;
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		if (!strcmp(types[i]->name, name))
			return types[i];
	return NULL;
}

static struct mount *mount_new(struct vfs *v, const char *source, const char *target,
			       const char *fstype, const char *options)
{
	struct mount *m = v->nmounts < sizeof(v->mounts) / sizeof(v->mounts[0])
				  ? calloc(1, sizeof(*m))
				  : NULL;

	if (!m)
		return NULL;
	m->source = strdup(source ? source : "none");
	m->target = strdup(target);
	m->fstype = strdup(fstype);
	m->options = strdup(options ? options : "");
	m->id = 100 + (int)v->nmounts;
	return m;
}

static void mount_free(struct mount *m)
{
	if (m->root)
		tmpfs_unmounted(m->root);
	vnode_put(m->root);
	vnode_put(m->mountpoint);
	free(m->source);
	free(m->target);
	free(m->fstype);
	free(m->options);
	free(m);
}

static int mount_root(struct kernel *k, const struct kernel_config *cfg)
{
	struct vfs *v = k->vfs;
	struct mount *m = mount_new(v, "rootfs", "/", "rootfs", "");
	int ret;

	if (!m)
		return -ENOMEM;
	mount_note_host(m, cfg->rootfs_fd);
	ret = hostfs_mount(k, cfg->rootfs_fd, &m->root);
	if (ret) {
		mount_free(m);
		return ret;
	}
	m->flags = MS_RELATIME | (cfg->root_readonly ? MS_RDONLY : 0);
	m->dev = m->root->dev;
	v->mounts[v->nmounts++] = m;
	return 0;
}

/* The deepest mount so far that the absolute path `target` leads into; *rest is what follows. */
static struct mount *mount_above(struct vfs *v, const char *target, const char **rest)
{
	struct mount *best = v->mounts[0];
	size_t len = 0;

	for (unsigned i = 1; i < v->nmounts; i++) {
		size_t n = strlen(v->mounts[i]->target);

		if (n < len || strncmp(target, v->mounts[i]->target, n) || target[n] != '/')
			continue;
		best = v->mounts[i];
		len = n;
	}
	*rest = target + len + strspn(target + len, "/");
	return best;
}

/* Find the mount point, making the directories that are missing (as runc does). */
static int find_target(struct task *t, const char *target, struct vpath *out)
{
	char part[VFS_PATH_MAX];
	const char *rest;
	struct mount *above = mount_above(t->kernel->vfs, target, &rest);
	struct vpath base = {above, above->root};
	int ret = vfs_walk_from(t, &base, AT_FDCWD, rest, LOOKUP_FOLLOW | LOOKUP_EMPTY, 0, out);

	if (ret != -ENOENT)
		return ret;
	for (const char *s = target + 1; *s; s += strspn(s, "/")) {
		struct vpath dir;
		char last[256];
		bool slash;
		const struct kattr attr = {.valid = KATTR_MODE | KATTR_UID | KATTR_GID,
					   .mode = S_IFDIR | 0755};

		s += strcspn(s, "/");
		snprintf(part, sizeof(part), "%.*s", (int)(s - target), target);
		ret = vfs_lookup_parent(t, AT_FDCWD, part, 0, &dir, last, &slash);
		if (ret)
			return ret;
		ret = dir.node->ops->mkdir ? dir.node->ops->mkdir(dir.node, last, &attr) : -ENOENT;
		vpath_put(&dir);
		if (ret && ret != -EEXIST)
			return ret;
	}
	return vfs_walk(t, AT_FDCWD, target, LOOKUP_FOLLOW, 0, out);
}

/* Remember that mounts lie beneath these directories: whole-path lookups must not pass them. */
static int mark_ancestors(struct task *t, struct vfs *v, const struct vpath *at)
{
	struct vpath p = *at, root = {v->mounts[0], v->mounts[0]->root};
	int ret = 0;

	vpath_get(&p);
	atomic_store(&p.node->is_mountpoint, true);
	/* One that is marked already was marked, and pinned, together with all above it. */
	while (!atomic_load(&p.node->covers_mounts)) {
		struct vnode **pins = realloc(v->pins, (v->npins + 1) * sizeof(*pins));

		if (!pins) {
			ret = -ENOMEM;
			break;
		}
		v->pins = pins;
		pins[v->npins++] = vnode_get(p.node);
		atomic_store(&p.node->covers_mounts, true);
		if (vpath_same(&p, &root))
			break;
		ret = vpath_dotdot(t, &p, &root);
		if (ret)
			break;
	}
	vpath_put(&p);
	return ret;
}

static void set_names(struct mount *m, const char *fstype, const char *source)
{
	char *f = strdup(fstype), *s = strdup(source);

	if (f && s) {
		char *old = m->fstype;

		m->fstype = f;
		f = old;
		old = m->source;
		m->source = s;
		s = old;
	}
	free(f);
	free(s);
}

/* Paths to hide or to protect: those that are there, and not made to be hidden. */
static bool is_cover(const struct kernel_mount *km)
{
	return !strcmp(km->fstype, "mask") || !strcmp(km->fstype, "readonly");
}

static int mount_make_root(struct kernel *k, const struct kernel_config *cfg,
			   const struct kernel_mount *km, struct mount *m, char *err, size_t errlen)
{
	int ret;

	if (!strcmp(km->fstype, "readonly")) {
		m->type = m->parent->type;
		m->root = vnode_get(m->mountpoint);
		set_names(m, m->parent->fstype, m->parent->source);
		return 0;
	}
	if (!strcmp(km->fstype, "mask") && m->mountpoint->type == S_IFDIR) {
		close(km->dirfd);
		m->type = &tmpfs_type;
		set_names(m, "tmpfs", "tmpfs");
		return m->type->mount(k, "", &m->root, err, errlen);
	}
	if (!strcmp(km->fstype, "host") || !strcmp(km->fstype, "mask")) {
		mount_note_host(m, km->dirfd);
		ret = hostfs_mount(k, km->dirfd, &m->root);
		close(km->dirfd);
		return ret;
	}
	m->type = fs_type_find(km->fstype);
	if (!m->type)
		return -ENODEV;
	ret = m->type->mount(k, km->options, &m->root, err, errlen);
	if (ret)
		return ret;
	mount_text_own(m);
	if (m->type == &tmpfs_type && (!strcmp(km->fstype, "dev") || !strcmp(km->target, "/dev")))
		ret = dev_populate(k, m->root, cfg->init.terminal);
	return ret;
}

/* The path that names no symlink. Nobody renames anything yet: the mounts' own texts hold. */
static int target_text(const struct vpath *at, char *buf, size_t cap)
{
	const struct vpath top = {at->mount, at->mount->root};
	const char *prefix = at->mount->parent ? at->mount->target : "";
	char space[2 * VFS_PATH_MAX];
	struct text x = {space, sizeof(space) - 1};
	int ret = 0;

	space[x.pos] = 0;
	if (!vpath_same(at, &top))
		ret = text_within(at->mount, at->node, &x);
	if (ret)
		return ret;
	return (size_t)snprintf(buf, cap, "%s%s", prefix, space + x.pos) < cap ? 0 : -ENAMETOOLONG;
}

static int mount_one(struct task *t, const struct kernel_config *cfg, const struct kernel_mount *km,
		     char *err, size_t errlen)
{
	struct vfs *v = t->kernel->vfs;
	struct vpath at = {0};
	char target[VFS_PATH_MAX];
	struct mount *m;
	int ret = is_cover(km) ? vfs_walk(t, AT_FDCWD, km->target, LOOKUP_FOLLOW, 0, &at)
			       : find_target(t, km->target, &at);

	if (is_cover(km) && (ret == -ENOENT || ret == -ENOTDIR)) {
		if (km->dirfd >= 0)
			close(km->dirfd);
		return 0;
	}
	if (ret)
		return ret;
	/* The table compares texts. */
	ret = target_text(&at, target, sizeof(target));
	m = ret < 0 ? NULL : mount_new(v, km->source, target, km->fstype, km->options);
	if (!m) {
		vpath_put(&at);
		return ret < 0 ? ret : -ENOMEM;
	}
	m->parent = at.mount;
	m->mountpoint = at.node;
	m->flags = km->flags;
	ret = mount_make_root(t->kernel, cfg, km, m, err, errlen);
	if (!ret && (m->root->type == S_IFDIR) != (at.node->type == S_IFDIR))
		ret = -ENOTDIR;
	if (!ret)
		ret = mark_ancestors(t, v, &at);
	if (ret) {
		mount_free(m);
		return ret;
	}
	m->dev = m->root->dev;
	v->mounts[v->nmounts++] = m;
	return 0;
}

/* Lookups need someone who asks: a task with every capability, for the time of mounting. */
static int mount_all(struct kernel *k, const struct kernel_config *cfg, char *err, size_t errlen)
{
	struct task *t = calloc(1, sizeof(*t));
	struct cred *c = calloc(1, sizeof(*c));
	int ret = -ENOMEM;

	if (t && c) {
		c->cap_effective = ~(uint64_t)0;
		t->kernel = k;
		t->cred = c;
		t->fs = fs_context_create(k);
		ret = t->fs ? 0 : -ENOMEM;
	}
	for (size_t i = 0; !ret && i < cfg->nmounts; i++) {
		const struct kernel_mount *km = &cfg->mounts[i];

		err[0] = 0;
		ret = km->target[0] == '/' ? mount_one(t, cfg, km, err, errlen) : -EINVAL;
		if (ret && !err[0])
			snprintf(err, errlen, "mount %s at %s: %s", km->fstype, km->target,
				 strerror(-ret));
	}
	if (!ret)
		ret = vfs_make_devices(t, cfg, err, errlen);
	if (t)
		fs_context_put(t->fs);
	free(t);
	free(c);
	return ret;
}

/*
 * Descriptors are reopened through /proc/self/fd, so that must be the real thing: a directory of
 * the container's image named /proc could hold any link.
 */
static int check_proc(struct kernel *k)
{
	struct statfs sf;

	if (k->host_proc_fd < 0)
		k->host_proc_fd = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (k->host_proc_fd < 0 || fstatfs(k->host_proc_fd, &sf) < 0)
		return -errno;
	return sf.f_type == PROC_SUPER_MAGIC ? 0 : -ENODEV;
}

static void raise_descriptor_limit(void)
{
	struct rlimit lim;

	if (getrlimit(RLIMIT_NOFILE, &lim) == 0 && lim.rlim_cur < lim.rlim_max) {
		lim.rlim_cur = lim.rlim_max;
		setrlimit(RLIMIT_NOFILE, &lim);
	}
}

int vfs_create(struct kernel *k, const struct kernel_config *cfg, char *err, size_t errlen)
{
	int ret = check_proc(k);

	if (ret) {
		snprintf(err, errlen, "the host's /proc cannot be used: %s", strerror(-ret));
		return ret;
	}
	raise_descriptor_limit();
	/* Modes come from guests with their own umask applied. */
	umask(0);
	k->vfs = calloc(1, sizeof(*k->vfs));
	if (!k->vfs)
		return -ENOMEM;
	k->vfs->kernel = k;
	pthread_mutex_init(&k->vfs->text_lock, NULL);
	ret = mount_root(k, cfg);
	if (ret)
		snprintf(err, errlen, "root file system: %s", strerror(-ret));
	else
		ret = mount_all(k, cfg, err, errlen);
	if (ret)
		vfs_destroy(k);
	return ret;
}

void vfs_destroy(struct kernel *k)
{
	struct vfs *v = k->vfs;

	if (!v)
		return;
	for (size_t i = 0; i < v->npins; i++)
		vnode_put(v->pins[i]);
	free(v->pins);
	for (unsigned i = v->nmounts; i-- > 0;)
		mount_free(v->mounts[i]);
	pthread_mutex_destroy(&v->text_lock);
	free(v);
	k->vfs = NULL;
}
