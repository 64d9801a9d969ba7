/* SPDX-License-Identifier: Apache-2.0 */
/* Mounts that are the host kernel's: binds, sysfs, cgroups, real file systems; hidden paths. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "oci/cgroup.h"
#include "oci/cleanup.h"
#include "oci/log.h"
#include "oci/mountopt.h"
#include "oci/rootfs.h"

#define ACCESS_TIMES (MS_NOATIME | MS_STRICTATIME | MS_RELATIME)

static int set_attributes(int tree, const struct oci_mount_options *o)
{
	struct mount_attr attr = {.attr_set = oci_mount_attr(o->flags | MS_NODEV)};

	attr.attr_clr = oci_mount_attr(o->cleared & ~o->flags & ~(ACCESS_TIMES | MS_NODEV));
	if (o->flags & ACCESS_TIMES)
		attr.attr_clr |= MOUNT_ATTR__ATIME;
	if (mount_setattr(tree, "", AT_EMPTY_PATH, &attr, sizeof(attr))) {
		/* In a user namespace inherited restrictions stay, whatever was asked. */
		if (errno != EPERM)
			return -errno;
		attr.attr_clr &= MOUNT_ATTR__ATIME;
		if (mount_setattr(tree, "", AT_EMPTY_PATH, &attr, sizeof(attr)))
			return -errno;
	}
	/* Only a recursive bind has mounts below. */
	if (!(o->flags & MS_REC) && !o->rec_set && !o->rec_clr)
		return 0;
	attr = (struct mount_attr){.attr_set = o->rec_set | MOUNT_ATTR_NODEV,
				   .attr_clr = o->rec_clr & ~(uint64_t)MOUNT_ATTR_NODEV};
	if (mount_setattr(tree, "", AT_EMPTY_PATH | AT_RECURSIVE, &attr, sizeof(attr)))
		return -errno;
	return 0;
}

static int set_propagation(int tree, const struct oci_mount_options *o)
{
	static const unsigned long alone = MS_PRIVATE | MS_REC;
	const unsigned long *mode = o->npropagation ? o->propagation : &alone;

	for (size_t i = 0; i < (o->npropagation ? o->npropagation : 1); i++) {
		struct mount_attr attr = {.propagation = mode[i] & ~(unsigned long)MS_REC};

		if (mount_setattr(tree, "", AT_EMPTY_PATH | (mode[i] & MS_REC ? AT_RECURSIVE : 0),
				  &attr, sizeof(attr)))
			return -errno;
	}
	return 0;
}

/* A detached copy of the source's tree; *file says that it is not a directory. */
static int bind_tree(const struct rootfs *r, const struct oci_mount *m,
		     const struct oci_mount_options *o, int bundle_fd, bool *file)
{
	unsigned flags = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC;
	struct stat st;
	int fd;

	fd = r->tree >= 0 ? fcntl(r->tree, F_DUPFD_CLOEXEC, 3)
			  : open_tree(bundle_fd, m->source,
				      flags | (o->flags & MS_REC ? AT_RECURSIVE : 0));
	if (fd < 0)
		return -errno;
	if (fstat(fd, &st)) {
		close(fd);
		return -errno;
	}
	*file = !S_ISDIR(st.st_mode);
	return fd;
}

/* Any other type: a new instance of the host's file system. */
static int new_tree(const struct rootfs *r, const struct oci_mount *m,
		    const struct oci_mount_options *o)
{
	cleanup_fd int fs = fsopen(m->type, FSOPEN_CLOEXEC);
	cleanup_free char *data = o->data.s ? strdup(o->data.s) : NULL;
	unsigned long flags;
	char *save = NULL;
	int fd;

	if (fs < 0)
		return -errno;
	if (m->source && fsconfig(fs, FSCONFIG_SET_STRING, "source", m->source, 0))
		return -errno;
	for (char *p = data ? strtok_r(data, ",", &save) : NULL; p;
	     p = strtok_r(NULL, ",", &save)) {
		char *eq = strchr(p, '=');

		if (eq)
			*eq++ = '\0';
		if (eq ? fsconfig(fs, FSCONFIG_SET_STRING, p, eq, 0)
		       : fsconfig(fs, FSCONFIG_SET_FLAG, p, NULL, 0))
			return -errno;
	}
	if (r->label && strcmp(m->type, "sysfs") &&
	    fsconfig(fs, FSCONFIG_SET_STRING, "context", r->label, 0))
		return -errno;
	flags = o->copy_up ? o->flags & ~(unsigned long)MS_RDONLY : o->flags;
	if ((flags & MS_RDONLY) && strcmp(m->type, "sysfs") &&
	    fsconfig(fs, FSCONFIG_SET_FLAG, "ro", NULL, 0))
		return -errno;
	if (fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0))
		return -errno;
	fd = fsmount(fs, FSMOUNT_CLOEXEC, (unsigned)oci_mount_attr(flags | MS_NODEV));
	return fd < 0 ? -errno : fd;
}

static int attach(struct rootfs *r, int tree, const char *target, bool file)
{
	cleanup_fd int at = rootfs_make_target(r->fd, target, file);

	if (at < 0)
		return at;
	return move_mount(tree, "", at, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH)
		       ? -errno
		       : 0;
}

static int open_host_tree(const struct rootfs *r, const struct oci_mount *m,
			  const struct oci_mount_options *o, const char *key, int bundle_fd,
			  bool bind, bool *file, struct oci_error *err)
{
	static const struct oci_mount sys = {.source = "/sys"};
	struct oci_mount_options rec = *o;
	int tree;

	if (bind) {
		if (!m->source || !*m->source)
			return oci_fail(err, EINVAL, "%s.source must not be empty", key);
		tree = bind_tree(r, m, o, bundle_fd, file);
		return tree < 0 ? oci_fail_errno(err, -tree, "%s.source: %s", key, m->source)
				: tree;
	}
	if (!m->type || !*m->type)
		return oci_fail(err, EINVAL, "%s.type must be given", key);
	tree = new_tree(r, m, o);
	/* A user namespace that does not own its network namespace cannot make a new sysfs. */
	if (tree == -EPERM && !strcmp(m->type, "sysfs")) {
		rec.flags |= MS_BIND | MS_REC;
		tree = bind_tree(r, &sys, &rec, bundle_fd, file);
	}
	if (tree < 0)
		return oci_fail_errno(err, -tree, "%s: cannot mount %s", key, m->type);
	return tree;
}

static int copy_up(const struct rootfs *r, int tree, const char *target)
{
	cleanup_fd int from = rootfs_open(r->fd, target, O_RDONLY | O_DIRECTORY);

	if (from < 0)
		return from == -ENOENT ? 0 : from;
	return rootfs_copy_up(from, tree);
}

int rootfs_mount_host(struct rootfs *r, const struct oci_mount *m, const char *target,
		      const char *key, int bundle_fd, bool under_own, struct oci_error *err)
{
	struct oci_mount_options o;
	cleanup_fd int tree = -1;
	bool file = false, bind;
	int fd, e = oci_mount_options_parse(m->options, m->noptions, key, &o, err);

	if (e)
		return e;
	bind = (o.flags & MS_BIND) || (m->type && !strcmp(m->type, "bind"));
	tree = open_host_tree(r, m, &o, key, bundle_fd, bind, &file, err);
	if (tree < 0)
		e = tree;
	if (!e && o.copy_up && !bind && (e = copy_up(r, tree, target)))
		oci_fail_errno(err, -e, "%s: cannot copy what is at %s", key, target);
	if (!e && (e = set_attributes(tree, &o)))
		oci_fail_errno(err, -e, "%s: cannot set attributes", key);
	if (!e && under_own) {
		/* Its place is in a file system of ours: the detached tree itself is what is mounted. */
		fd = steal_fd(&tree);
	} else if (!e) {
		e = attach(r, tree, target, file);
		if (e)
			oci_fail_errno(err, -e, "%s: cannot mount at %s in the rootfs", key,
				       target);
		else if ((e = set_propagation(tree, &o)))
			oci_fail_errno(err, -e, "%s: cannot set propagation", key);
		fd = e ? -1 : rootfs_open_mounted(r->fd, target);
		if (!e && fd < 0)
			e = oci_fail_errno(err, -fd, "%s: cannot open %s in the rootfs", key,
					   target);
	}
	if (!e)
		e = rootfs_list(r, target, "host", fd, m->source ? m->source : m->type,
				!bind && o.data.s ? o.data.s : "", o.flags, err);
	oci_mount_options_free(&o);
	return e;
}

/* Version 1: a small tmpfs with one bind of the container's own group a hierarchy. */
static int cgroup_v1(struct rootfs *r, const struct oci_mount_options *o,
		     const struct oci_cgroup_mount *groups, int n, const char *target,
		     const char *key, struct oci_error *err)
{
	static const char *const mode[] = {"mode=755"},
				 *const bind_ro[] = {"bind", "nosuid", "noexec", "nodev", "ro"},
				 *const bind_rw[] = {"bind", "nosuid", "noexec", "nodev"};
	const struct oci_mount base = {.destination = target,
				       .type = "tmpfs",
				       .source = "tmpfs",
				       .options = mode,
				       .noptions = 1};
	bool ro = o->flags & MS_RDONLY;
	int e = rootfs_mount_host(r, &base, target, key, AT_FDCWD, false, err);

	for (int i = 0; i < n && !e; i++) {
		const char *name = strrchr(groups[i].mountpoint, '/');
		char source[1024], at[4096];
		struct oci_mount m = {.destination = at,
				      .type = "bind",
				      .source = source,
				      .options = ro ? bind_ro : bind_rw,
				      .noptions = ro ? 5 : 4};

		snprintf(source, sizeof(source), "%s%s", groups[i].mountpoint,
			 strcmp(groups[i].own, "/") ? groups[i].own : "");
		snprintf(at, sizeof(at), "%s%s", target, name);
		if (!access(source, F_OK))
			e = rootfs_mount_host(r, &m, at, key, AT_FDCWD, false, err);
	}
	return e;
}

int rootfs_mount_cgroup(struct rootfs *r, const struct oci_mount *m, const char *target,
			const char *key, struct oci_error *err)
{
	struct oci_cgroup_mount groups[OCI_MAX_CGROUPS];
	int n = oci_cgroup_mounts(groups, OCI_MAX_CGROUPS);
	struct oci_mount_options o;
	int e = oci_mount_options_parse(m->options, m->noptions, key, &o, err);

	if (e)
		return e;
	if (n <= 0) {
		log_warning("%s: the host has no cgroups to show", key);
	} else if (n == 1 && !groups[0].controllers[0]) {
		char source[1024];
		const char *options[] = {"bind", "nosuid", "noexec", "nodev",
					 o.flags & MS_RDONLY ? "ro" : "rw"};
		struct oci_mount v2 = {.destination = target,
				       .type = "bind",
				       .source = source,
				       .options = options,
				       .noptions = 5};

		snprintf(source, sizeof(source), "%s%s", groups[0].mountpoint,
			 strcmp(groups[0].own, "/") ? groups[0].own : "");
		e = rootfs_mount_host(r, &v2, target, key, AT_FDCWD, false, err);
	} else {
		e = cgroup_v1(r, &o, groups, n, target, key, err);
	}
	oci_mount_options_free(&o);
	return e;
}

/* An empty directory, or a file nobody can open, over what must not be seen. */
static int mask(struct rootfs *r, const char *path, struct oci_error *err)
{
	static const char *const ro[] = {"ro"}, *const bind[] = {"bind"};
	struct oci_mount dir = {.destination = path,
				.type = "tmpfs",
				.source = "tmpfs",
				.options = ro,
				.noptions = 1};
	struct oci_mount file = {.destination = path,
				 .type = "bind",
				 .source = "/dev/null",
				 .options = bind,
				 .noptions = 1};
	cleanup_fd int fd = rootfs_open(r->fd, path, O_PATH);
	struct stat st;

	if (fd < 0 || fstat(fd, &st))
		return fd == -ENOENT || fd == -ENOTDIR
			       ? 0
			       : oci_fail_errno(err, fd < 0 ? -fd : errno,
						"config.json: linux.maskedPaths: %s", path);
	return rootfs_mount_host(r, S_ISDIR(st.st_mode) ? &dir : &file, path,
				 "config.json: linux.maskedPaths", AT_FDCWD, false, err);
}

/* On one of the application kernel's file systems it does so itself. */
static int mask_own(struct rootfs *r, const char *path, struct oci_error *err)
{
	int fd = open("/dev/null", O_PATH | O_CLOEXEC);

	if (fd < 0)
		return oci_fail_errno(err, errno, "cannot open /dev/null");
	return rootfs_list(r, path, "mask", fd, "null", "", MS_RDONLY, err);
}

static int make_readonly(struct rootfs *r, const char *path, struct oci_error *err)
{
	struct oci_mount_options o = {.flags = MS_RDONLY | MS_REC};
	cleanup_fd int at = rootfs_open(r->fd, path, O_PATH), tree = -1;
	int fd, e;

	if (at < 0)
		return at == -ENOENT || at == -ENOTDIR
			       ? 0
			       : oci_fail_errno(err, -at, "config.json: linux.readonlyPaths: %s",
						path);
	tree = open_tree(at, "",
			 OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH | AT_RECURSIVE);
	e = tree < 0 ? -errno : set_attributes(tree, &o);
	if (!e && move_mount(tree, "", at, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH))
		e = -errno;
	fd = e ? -1 : rootfs_open_mounted(r->fd, path);
	if (e || fd < 0)
		return oci_fail_errno(err, e ? -e : -fd, "config.json: linux.readonlyPaths: %s",
				      path);
	return rootfs_list(r, path, "host", fd, path, "", MS_RDONLY | MS_NODEV, err);
}

int rootfs_hide(struct rootfs *r, const struct oci_config *cfg, struct oci_error *err)
{
	int e = 0;

	for (size_t i = 0; i < cfg->nmasked && !e; i++)
		e = (rootfs_is_own(r, cfg->masked_paths[i]) ? mask_own
							    : mask)(r, cfg->masked_paths[i], err);
	for (size_t i = 0; i < cfg->nreadonly && !e; i++)
		e = rootfs_is_own(r, cfg->readonly_paths[i])
			    ? rootfs_list(r, cfg->readonly_paths[i], "readonly", -1, "", "",
					  MS_RDONLY, err)
			    : make_readonly(r, cfg->readonly_paths[i], err);
	return e;
}
