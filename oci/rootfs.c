/* SPDX-License-Identifier: Apache-2.0 */
#include "oci/rootfs.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "oci/cleanup.h"
#include "oci/log.h"
#include "oci/lsm.h"
#include "oci/mountopt.h"
#include "oci/text.h"

int rootfs_open(int rootfd, const char *path, int flags)
{
	struct open_how how = {.flags = (uint64_t)(flags | O_CLOEXEC),
			       .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS};
	long fd;

	/* EAGAIN: a rename raced with the walk; the answer is to ask again (openat2(2)). */
	for (int i = 0; i < 32; i++) {
		fd = syscall(SYS_openat2, rootfd, path, &how, sizeof(how));
		if (fd >= 0 || errno != EAGAIN)
			break;
	}
	return fd < 0 ? -errno : (int)fd;
}

int rootfs_make_target(int rootfd, const char *path, bool file)
{
	cleanup_fd int parent = rootfs_open(rootfd, path, O_PATH);
	char prefix[4096];
	size_t len = 0;

	if (parent != -ENOENT)
		return steal_fd(&parent);
	parent = rootfs_open(rootfd, "/", O_PATH | O_DIRECTORY);
	if (parent < 0)
		return parent;
	for (const char *p = path;;) {
		size_t n;
		int fd, r = 0;
		char name[256];
		bool last;

		p += strspn(p, "/");
		n = strcspn(p, "/");
		if (!n)
			return steal_fd(&parent);
		last = !p[n + strspn(p + n, "/")];
		if (n >= sizeof(name) || len + n + 2 > sizeof(prefix))
			return -ENAMETOOLONG;
		memcpy(name, p, n);
		name[n] = '\0';
		len += (size_t)snprintf(prefix + len, sizeof(prefix) - len, "/%s", name);
		fd = rootfs_open(rootfd, prefix, O_PATH);
		if (fd == -ENOENT) {
			/* The parent is a descriptor inside the root; a dangling link gives EEXIST. */
			if (last && file) {
				fd = openat(parent, name,
					    O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC | O_WRONLY,
					    0644);
				r = fd < 0 ? -errno : close(fd);
			} else if (mkdirat(parent, name, 0755)) {
				r = -errno;
			}
			if (r && r != -EEXIST)
				return r;
			fd = rootfs_open(rootfd, prefix, O_PATH);
		}
		if (fd < 0)
			return fd;
		close(parent);
		parent = fd;
		p += n;
	}
}

int rootfs_open_mounted(int rootfd, const char *target)
{
	int fd = rootfs_open(rootfd, target, O_RDONLY | O_DIRECTORY);

	return fd >= 0 ? fd : rootfs_open(rootfd, target, O_PATH);
}

int rootfs_list(struct rootfs *r, const char *target, const char *fstype, int dirfd,
		const char *source, const char *options, unsigned long flags, struct oci_error *err)
{
	struct kernel_mount *m;

	if (r->nmounts == r->cap) {
		size_t cap = r->cap ? r->cap * 2 : 32;

		m = realloc(r->mounts, cap * sizeof(*m));
		if (!m)
			return oci_fail_errno(err, ENOMEM, "mount list");
		r->mounts = m;
		r->cap = cap;
	}
	m = &r->mounts[r->nmounts];
	*m = (struct kernel_mount){.target = strdup(target),
				   .fstype = strdup(fstype),
				   .dirfd = dirfd,
				   .source = strdup(source),
				   .options = strdup(options),
				   .flags = flags};
	if (!m->target || !m->fstype || !m->source || !m->options)
		return oci_fail_errno(err, ENOMEM, "mount list");
	r->nmounts++;
	return 0;
}

bool rootfs_is_own(const struct rootfs *r, const char *path)
{
	size_t best = 0;
	bool own = false;

	for (size_t i = 0; i < r->nmounts; i++) {
		const char *t = r->mounts[i].target;
		size_t n = strlen(t);

		if (strncmp(path, t, n) || (path[n] && path[n] != '/') || n < best)
			continue;
		best = n;
		own = strcmp(r->mounts[i].fstype, "host") != 0;
	}
	return own;
}

/* "/a//b/../c/" to "/a/c": lexically, as the specification's destinations are. */
static int clean_path(const char *in, char *out, size_t len)
{
	size_t n = 0;

	while (*in) {
		size_t c;

		in += strspn(in, "/");
		c = strcspn(in, "/");
		if (c == 2 && in[0] == '.' && in[1] == '.') {
			while (n && out[--n] != '/')
				;
		} else if (c && !(c == 1 && in[0] == '.')) {
			if (n + c + 2 > len)
				return -ENAMETOOLONG;
			out[n++] = '/';
			memcpy(out + n, in, c);
			n += c;
		}
		in += c;
	}
	if (!n)
		out[n++] = '/';
	out[n] = '\0';
	return 0;
}

static int mount_own(struct rootfs *r, const struct oci_mount *m, const char *fstype,
		     const char *target, const char *key, bool under_own, struct oci_error *err)
{
	struct oci_mount_options o;
	int fd, e = oci_mount_options_parse(m->options, m->noptions, key, &o, err);

	if (e)
		return e;
	/* The place of a file system of ours must exist where the guest lists its parent. */
	if (!under_own) {
		fd = rootfs_make_target(r->fd, target, false);
		if (fd >= 0)
			close(fd);
		else
			e = oci_fail_errno(err, -fd, "%s: cannot create %s in the rootfs", key,
					   target);
	}
	if (!e)
		e = rootfs_list(r, target, fstype, -1, m->source ? m->source : fstype,
				o.data.s ? o.data.s : "", o.flags, err);
	oci_mount_options_free(&o);
	return e;
}

static int mount_one(struct rootfs *r, const struct oci_mount *m, size_t i, int bundle_fd,
		     struct oci_error *err)
{
	static const char *const own[] = {"proc", "tmpfs", "devpts", "mqueue"};
	const char *type = m->type ? m->type : "";
	char target[4096], key[64];
	bool bind = !strcmp(type, "bind"), copy_up = false, under_own;

	snprintf(key, sizeof(key), "config.json: mounts[%zu]", i);
	for (size_t j = 0; j < m->noptions; j++) {
		bind |= !strcmp(m->options[j], "bind") || !strcmp(m->options[j], "rbind");
		copy_up |= !strcmp(m->options[j], "tmpcopyup");
	}
	if (clean_path(m->destination, target, sizeof(target)) || !strcmp(target, "/"))
		return oci_fail(err, EINVAL, "%s.destination: cannot mount over %s", key,
				m->destination);
	under_own = rootfs_is_own(r, target);
	if (!bind && !strcmp(type, "tmpfs") && !strcmp(target, "/dev"))
		return mount_own(r, m, "dev", target, key, under_own, err);
	/* With something to begin with it is the host's tmpfs; on a file system of ours there is nothing. */
	copy_up = copy_up && !bind && !under_own && !strcmp(type, "tmpfs");
	for (size_t j = 0; !bind && !copy_up && j < sizeof(own) / sizeof(own[0]); j++)
		if (!strcmp(type, own[j]))
			return mount_own(r, m, own[j], target, key, under_own, err);
	if (!bind && !strcmp(type, "cgroup"))
		return rootfs_mount_cgroup(r, m, target, key, err);
	return rootfs_mount_host(r, m, target, key, bundle_fd, under_own, err);
}

/* Every container has the default devices; a bundle without a mount at /dev gets them there. */
static int default_dev(struct rootfs *r, struct oci_error *err)
{
	static const char *const options[] = {"nosuid", "strictatime", "mode=755"};
	const struct oci_mount dev = {.destination = "/dev",
				      .type = "tmpfs",
				      .source = "tmpfs",
				      .options = options,
				      .noptions = 3};

	for (size_t i = 0; i < r->nmounts; i++)
		if (!strcmp(r->mounts[i].target, "/dev"))
			return 0;
	return mount_own(r, &dev, "dev", "/dev", "the default /dev", false, err);
}

static int set_flags(const char *path, unsigned long flags, bool recursive, struct oci_error *err)
{
	struct mount_attr attr = {.attr_set = oci_mount_attr(flags)};

	if (mount_setattr(AT_FDCWD, path, recursive ? AT_RECURSIVE : 0, &attr, sizeof(attr)))
		return oci_fail_errno(err, errno, "cannot set mount attributes of %s", path);
	return 0;
}

/* pivot_root(2) refuses a root below a shared mount. */
static int make_parent_private(const char *path)
{
	cleanup_fd int fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);

	for (;;) {
		struct statx st;
		char self[64];
		int up;

		if (fd < 0 || statx(fd, "", AT_EMPTY_PATH, STATX_INO, &st))
			return -errno;
		if (st.stx_attributes & STATX_ATTR_MOUNT_ROOT) {
			snprintf(self, sizeof(self), "/proc/self/fd/%d", fd);
			return mount(NULL, self, NULL, MS_PRIVATE, NULL) ? -errno : 0;
		}
		up = openat(fd, "..", O_PATH | O_DIRECTORY | O_CLOEXEC);
		close(fd);
		fd = up;
	}
}

int rootfs_prepare(struct rootfs *r, const struct oci_config *cfg, int bundle_fd,
		   struct oci_error *err)
{
	bool shared = cfg->rootfs_propagation & MS_SHARED;
	int e;

	r->tree = -1;
	r->propagation = cfg->rootfs_propagation;
	r->label = cfg->mount_label && *cfg->mount_label ? cfg->mount_label : NULL;
	if (r->label && !lsm_selinux_enabled())
		return oci_fail(
			err, ENOTSUP,
			"config.json: linux.mountLabel is specified, but SELinux is disabled "
			"or not supported");
	/* What is mounted for the container must not show on the host unless that is asked for. */
	if (mount(NULL, "/", NULL, shared ? cfg->rootfs_propagation : MS_SLAVE | MS_REC, NULL))
		return oci_fail_errno(err, errno, "cannot set the propagation of /");
	if (shared && (e = make_parent_private(r->path)))
		return oci_fail_errno(err, -e, "config.json: linux.rootfsPropagation: %s", r->path);
	/* A mount point of its own, for pivot_root; private, or the pivot would be refused. */
	if (mount(r->path, r->path, NULL, MS_BIND | MS_REC, NULL) ||
	    mount(NULL, r->path, NULL, MS_PRIVATE, NULL))
		return oci_fail_errno(err, errno, "cannot bind rootfs %s", r->path);
	/* Device nodes of an image must never open the host's devices. */
	e = set_flags(r->path, MS_NODEV, true, err);
	if (e)
		return e;
	r->fd = open(r->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (r->fd < 0)
		return oci_fail_errno(err, errno, "cannot open rootfs %s", r->path);
	for (size_t i = 0; i < cfg->nmounts && !e; i++) {
		r->tree = cfg->trees[i];
		e = mount_one(r, &cfg->mounts[i], i, bundle_fd, err);
	}
	r->tree = -1;
	if (!e)
		e = default_dev(r, err);
	/* runc makes the working directory too; where it cannot be made, loading init will say so. */
	if (!e && !rootfs_is_own(r, cfg->process.cwd)) {
		int fd = rootfs_make_target(r->fd, cfg->process.cwd, false);

		if (fd >= 0)
			close(fd);
	}
	if (!e)
		e = rootfs_hide(r, cfg, err);
	if (!e && cfg->root_readonly)
		e = set_flags(r->path, MS_RDONLY, false, err);
	return e;
}

int rootfs_enter(struct rootfs *r, bool no_pivot, struct oci_error *err)
{
	if (fchdir(r->fd))
		return oci_fail_errno(err, errno, "chdir %s", r->path);
	if (no_pivot) {
		if (mount(r->path, "/", NULL, MS_MOVE, NULL) || chroot("."))
			return oci_fail_errno(err, errno, "cannot move rootfs %s to /", r->path);
	} else {
		/* New root over old root: the old one is then on top at "." and taken away. */
		if (syscall(SYS_pivot_root, ".", "."))
			return oci_fail_errno(err, errno, "pivot_root %s", r->path);
		if (umount2(".", MNT_DETACH))
			return oci_fail_errno(err, errno, "cannot detach the host's file systems");
	}
	if (r->propagation && mount(NULL, "/", NULL, r->propagation, NULL))
		return oci_fail_errno(err, errno, "config.json: linux.rootfsPropagation");
	if (chdir("/"))
		return oci_fail_errno(err, errno, "chdir /");
	return 0;
}

/* Lines of a passwd file looked at: it is the container's, and need not end. */
#define PASSWD_LINES 10000

void rootfs_home(int rootfd, uid_t uid, char *out, size_t len)
{
	char line[1024], id[16], home[400];
	int fd = rootfd < 0 ? -1 : rootfs_open(rootfd, "/etc/passwd", O_RDONLY | O_NONBLOCK);
	cleanup_file FILE *f = fd >= 0 ? fdopen(fd, "r") : NULL;

	snprintf(out, len, "HOME=/");
	/* name:password:uid:gid:comment:home:shell (passwd(5)) */
	for (int n = 0; f && n < PASSWD_LINES && fgets(line, sizeof(line), f); n++) {
		const char *at = line;

		if (!text_field(&at, home, sizeof(home)) || !text_field(&at, home, sizeof(home)) ||
		    !text_field(&at, id, sizeof(id)) || !text_field(&at, home, sizeof(home)) ||
		    !text_field(&at, home, sizeof(home)) || !text_field(&at, home, sizeof(home)))
			continue;
		if (!id[0] || strtoul(id, NULL, 10) != uid)
			continue;
		if (home[0])
			snprintf(out, len, "HOME=%s", home);
		return;
	}
}
