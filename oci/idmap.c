/* SPDX-License-Identifier: Apache-2.0 */
#include "oci/idmap.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "oci/buf.h"
#include "oci/cleanup.h"
#include "oci/mountopt.h"

static int write_map(pid_t pid, const char *file, const struct oci_idmap *m, size_t n)
{
	cleanup_buf struct buf b = {0};
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, file);
	for (size_t i = 0; i < n; i++)
		buf_printf(&b, "%u %u %u\n", m[i].container, m[i].host, m[i].size);
	if (!buf_ok(&b))
		return -ENOMEM;
	cleanup_fd int fd = open(path, O_WRONLY | O_CLOEXEC);

	return fd < 0 || write(fd, b.s, b.len) != (ssize_t)b.len ? -errno : 0;
}

/* A user namespace of these maps, kept by its descriptor alone: who made it has ended. */
static int make_userns(const struct oci_mount *m)
{
	int hold[2], fd = -1, r;
	char path[64];
	pid_t pid;

	if (pipe2(hold, O_CLOEXEC))
		return -errno;
	pid = (pid_t)syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, NULL, NULL, NULL, NULL);
	if (!pid) {
		char c;

		close(hold[1]);
		while (read(hold[0], &c, 1) < 0 && errno == EINTR)
			;
		_exit(0);
	}
	r = pid < 0 ? -errno : 0;
	close(hold[0]);
	if (!r)
		r = write_map(pid, "uid_map", m->uid_map, m->nuid_map);
	if (!r)
		r = write_map(pid, "gid_map", m->gid_map, m->ngid_map);
	snprintf(path, sizeof(path), "/proc/%d/ns/user", (int)pid);
	if (!r && (fd = open(path, O_RDONLY | O_CLOEXEC)) < 0)
		r = -errno;
	close(hold[1]);
	while (pid > 0 && waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	return r ? r : fd;
}

/* The mount's own maps, else those of the container's user namespace (config.md, "idmap"). */
static int userns_of(const struct oci_config *cfg, const struct oci_mount *m, const char *key,
		     struct oci_error *err)
{
	const struct oci_namespace *ns = &cfg->ns[OCI_NS_USER];
	struct oci_mount whole = {.uid_map = cfg->uid_map,
				  .nuid_map = cfg->nuid_map,
				  .gid_map = cfg->gid_map,
				  .ngid_map = cfg->ngid_map};
	int fd;

	if (!m->nuid_map && !ns->present)
		return oci_fail(err, EINVAL,
				"%s: idmap needs uidMappings and gidMappings, or a user namespace "
				"in linux.namespaces",
				key);
	if (!m->nuid_map && ns->path)
		fd = open(ns->path, O_RDONLY | O_CLOEXEC);
	else
		fd = make_userns(m->nuid_map ? m : &whole);
	return fd < 0 ? oci_fail_errno(err, fd == -1 ? errno : -fd,
				       "%s.uidMappings: cannot make the mapping", key)
		      : fd;
}

static int make_tree(const struct oci_config *cfg, const struct oci_mount *m, const char *key,
		     const struct oci_mount_options *o, int bundle_fd, struct oci_error *err)
{
	cleanup_fd int ns = -1, tree = -1;
	struct mount_attr attr = {.attr_set = MOUNT_ATTR_IDMAP};

	if (!(o->flags & MS_BIND) && !(m->type && !strcmp(m->type, "bind")))
		return oci_fail(err, EINVAL, "%s: only bind mounts can be id-mapped", key);
	if (!m->source || !*m->source)
		return oci_fail(err, EINVAL, "%s.source must not be empty", key);
	ns = userns_of(cfg, m, key, err);
	if (ns < 0)
		return ns;
	tree = open_tree(bundle_fd, m->source,
			 OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC |
				 (o->flags & MS_REC ? AT_RECURSIVE : 0));
	if (tree < 0)
		return oci_fail_errno(err, errno, "%s.source: %s", key, m->source);
	attr.userns_fd = (uint64_t)ns;
	if (!mount_setattr(tree, "", AT_EMPTY_PATH | (o->idmap_recursive ? AT_RECURSIVE : 0), &attr,
			   sizeof(attr)))
		return steal_fd(&tree);
	return errno == EINVAL
		       ? oci_fail(err, ENOTSUP, "%s: the file system of %s cannot be id-mapped",
				  key, m->source)
		       : oci_fail_errno(err, errno, "%s: cannot id-map %s", key, m->source);
}

int oci_idmap_trees(struct oci_config *cfg, int bundle_fd, struct oci_error *err)
{
	for (size_t i = 0; i < cfg->nmounts; i++) {
		const struct oci_mount *m = &cfg->mounts[i];
		struct oci_mount_options o;
		char key[64];
		int r;

		snprintf(key, sizeof(key), "config.json: mounts[%zu]", i);
		r = oci_mount_options_parse(m->options, m->noptions, key, &o, err);
		if (r)
			return r;
		if (o.idmap || m->nuid_map) {
			r = make_tree(cfg, m, key, &o, bundle_fd, err);
			if (r >= 0)
				cfg->trees[i] = r;
		}
		oci_mount_options_free(&o);
		if (r < 0)
			return r;
	}
	return 0;
}
