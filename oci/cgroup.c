/* SPDX-License-Identifier: Apache-2.0 */
/* Finding the hierarchies, making and removing a container's groups. */
#include "oci/cgroup.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "oci/cleanup.h"
#include "oci/log.h"
#include "oci/systemd.h"
#include "oci/text.h"

int oci_cgroup_read(const char *dir, const char *file, char *buf, size_t len)
{
	char path[1024];
	ssize_t n;

	snprintf(path, sizeof(path), "%s/%s", dir, file);
	cleanup_fd int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	n = read(fd, buf, len - 1);
	if (n < 0)
		return -errno;
	while (n && buf[n - 1] == '\n')
		n--;
	buf[n] = '\0';
	return 0;
}

int oci_cgroup_write(const char *dir, const char *file, const char *value)
{
	char path[1024];

	snprintf(path, sizeof(path), "%s/%s", dir, file);
	cleanup_fd int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	return write(fd, value, strlen(value)) < 0 ? -errno : 0;
}

/* This process's groups: lines of /proc/self/cgroup are ID:CONTROLLERS:PATH. */
static void find_own(struct oci_cgroup_mount *m, size_t n)
{
	cleanup_file FILE *f = fopen("/proc/self/cgroup", "re");
	char line[1024];

	for (size_t i = 0; i < n; i++)
		snprintf(m[i].own, sizeof(m[i].own), "/");
	while (f && fgets(line, sizeof(line), f)) {
		char *ctl = strchr(line, ':'), *path = ctl ? strchr(ctl + 1, ':') : NULL;

		if (!path)
			continue;
		*path++ = '\0';
		path[strcspn(path, "\n")] = '\0';
		for (size_t i = 0; i < n; i++)
			if (!strcmp(ctl + 1, m[i].controllers))
				snprintf(m[i].own, sizeof(m[i].own), "%s", path);
	}
}

/* Super options of a v1 mount contain its controllers among other words. */
static void v1_controllers(const char *options, char *out, size_t len)
{
	static const char *const others[] = {
		"rw",	"ro",	   "xattr", "noprefix", "clone_children", "cpuset_v2_mode",
		"none", "seclabel"};
	char copy[512], *save = NULL;

	snprintf(copy, sizeof(copy), "%s", options);
	*out = '\0';
	for (char *o = strtok_r(copy, ",", &save); o; o = strtok_r(NULL, ",", &save)) {
		bool skip = !strncmp(o, "release_agent", 13);
		size_t n = strlen(out);

		for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
			skip |= !strcmp(o, others[i]);
		if (!skip)
			snprintf(out + n, len - n, "%s%s", n ? "," : "", o);
	}
}

int oci_cgroup_mounts(struct oci_cgroup_mount *m, size_t cap)
{
	cleanup_file FILE *f = fopen("/proc/self/mountinfo", "re");
	char line[4096], point[256], type[32], opts[512];
	size_t n = 0;

	if (!f)
		return -errno;
	while (n < cap && fgets(line, sizeof(line), f)) {
		/* mountinfo: ... MOUNTPOINT OPTIONS [TAGS] - TYPE SOURCE SUPEROPTIONS (proc(5)) */
		const char *dash = strstr(line, " - "), *p = line;
		bool known = false;

		if (!dash)
			continue;
		dash += 3;
		text_skip(&p, 4);
		if (!text_word(&p, point, sizeof(point)) || !text_word(&dash, type, sizeof(type)) ||
		    strncmp(type, "cgroup", 6))
			continue;
		text_skip(&dash, 1);
		if (!text_word(&dash, opts, sizeof(opts)))
			continue;
		if (!strcmp(type, "cgroup2"))
			m[n].controllers[0] = '\0';
		else
			v1_controllers(opts, m[n].controllers, sizeof(m[n].controllers));
		for (size_t i = 0; i < n; i++)
			known |= !strcmp(m[i].controllers, m[n].controllers);
		if (known)
			continue;
		snprintf(m[n].mountpoint, sizeof(m[n].mountpoint), "%s", point);
		n++;
	}
	find_own(m, n);
	return (int)n;
}

/* "a-b.slice" lies in "a.slice/" (systemd.slice(5)). */
static void slice_path(const char *slice, char *out, size_t len)
{
	size_t n = 0;

	*out = '\0';
	for (const char *p = strchr(slice, '-'); p; p = strchr(p + 1, '-'))
		n += (size_t)snprintf(out + n, n < len ? len - n : 0, "/%.*s.slice",
				      (int)(p - slice), slice);
	if (n < len && strcmp(slice, "-.slice"))
		snprintf(out + n, len - n, "/%.500s", slice);
}

int oci_cgroup_path(const char *path, const char *id, const char *own, bool systemd, char *out,
		    size_t len, struct oci_error *err)
{
	char parts[512], slices[2048];
	int n;

	if (systemd) {
		char *prefix, *name;

		snprintf(parts, sizeof(parts), "%s", path && *path ? path : "system.slice:nacre:");
		prefix = strchr(parts, ':');
		name = prefix ? strchr(prefix + 1, ':') : NULL;
		if (!name || strchr(parts, '/'))
			return oci_fail(err, EINVAL,
					"config.json: linux.cgroupsPath must look like "
					"slice:prefix:name with "
					"--systemd-cgroup, not \"%s\"",
					path);
		*prefix++ = *name++ = '\0';
		slice_path(*parts ? parts : "system.slice", slices, sizeof(slices));
		n = snprintf(out, len, "%s/%s%s%s.scope", slices, prefix, *prefix ? "-" : "",
			     *name ? name : id);
	} else if (path && *path) {
		n = path[0] == '/' ? snprintf(out, len, "%s", path)
				   : snprintf(out, len, "%s/%s", strcmp(own, "/") ? own : "", path);
	} else {
		n = snprintf(out, len, "%s/%s", strcmp(own, "/") ? own : "", id);
	}
	if (n < 0 || (size_t)n >= len)
		return oci_fail(err, ENAMETOOLONG, "config.json: linux.cgroupsPath is too long");
	for (const char *p = out; (p = strstr(p, "..")); p += 2)
		if ((p == out || p[-1] == '/') && (p[2] == '/' || !p[2]))
			return oci_fail(err, EINVAL,
					"config.json: linux.cgroupsPath must not contain \"..\"");
	while (n > 0 && out[n - 1] == '/')
		out[--n] = '\0';
	if (!n)
		return oci_fail(err, EINVAL,
				"config.json: linux.cgroupsPath must not be the root group");
	return 0;
}

/* A new v1 cpuset group is empty and takes no process before it has CPUs and memory nodes. */
static void inherit_cpuset(const char *dir)
{
	static const char *const files[] = {"cpuset.cpus", "cpuset.mems"};
	char parent[1024], value[512];

	snprintf(parent, sizeof(parent), "%s", dir);
	*strrchr(parent, '/') = '\0';
	for (size_t i = 0; i < 2; i++)
		if (!oci_cgroup_read(dir, files[i], value, sizeof(value)) && !*value &&
		    !oci_cgroup_read(parent, files[i], value, sizeof(value)))
			oci_cgroup_write(dir, files[i], value);
}

/* In version 2 a group's controllers are what its parent hands down. */
static void hand_down(const char *dir)
{
	char list[256], one[64], *save = NULL;

	if (oci_cgroup_read(dir, "cgroup.controllers", list, sizeof(list)))
		return;
	for (char *c = strtok_r(list, " ", &save); c; c = strtok_r(NULL, " ", &save)) {
		snprintf(one, sizeof(one), "+%s", c);
		oci_cgroup_write(dir, "cgroup.subtree_control", one);
	}
}

/* 1: it was there already. */
static int make_dirs(const struct oci_cgroup_mount *m, const char *path)
{
	char dir[1024];
	int r = 0;

	snprintf(dir, sizeof(dir), "%s", path);
	for (char *p = dir + strlen(m->mountpoint) + 1;; p++) {
		char c = *p;

		if (c && c != '/')
			continue;
		*p = '\0';
		if (!m->controllers[0]) {
			char *slash = strrchr(dir, '/');

			*slash = '\0';
			hand_down(dir);
			*slash = '/';
		}
		r = mkdir(dir, 0755) ? errno : 0;
		if (r && r != EEXIST)
			return -r;
		if (strstr(m->controllers, "cpuset"))
			inherit_cpuset(dir);
		*p = c;
		if (!c)
			return r == EEXIST;
	}
}

static bool wanted(const char *controllers, const struct oci_resources *r)
{
	bool v2 = !*controllers;
	bool memory = r->has_memory || r->has_memory_reservation || r->has_memory_swap;
	bool cpu = r->has_shares || r->has_quota;

	return ((v2 || strstr(controllers, "memory")) && memory) ||
	       ((v2 || strstr(controllers, "pids")) && r->has_pids) ||
	       ((v2 || !strcmp(controllers, "cpu") || strstr(controllers, "cpu,")) && cpu) ||
	       ((v2 || strstr(controllers, "cpuset")) && (r->cpus || r->mems));
}

int oci_cgroup_plan(struct oci_state *s, const char *path, const struct oci_cgroup_mount *m, int n,
		    struct oci_error *err)
{
	char rel[512], dir[1024], above[512] = "", scope[300];
	int r = s->systemd_cgroup ? oci_systemd_group(above, sizeof(above), err) : 0;

	if (r)
		return r;
	if (s->systemd_cgroup && (!path || !*path)) {
		snprintf(scope, sizeof(scope), "%s:nacre:", oci_systemd_default_slice());
		path = scope;
	}
	for (int i = 0; i < n; i++) {
		r = oci_cgroup_path(path, s->id, m[i].own, s->systemd_cgroup, rel, sizeof(rel),
				    err);
		if (r)
			return r;
		snprintf(dir, sizeof(dir), "%s%s%s", m[i].mountpoint, above, rel);
		s->cgroups[i].controllers = strdup(m[i].controllers);
		s->cgroups[i].dir = strdup(dir);
		s->ncgroups++;
		if (!s->cgroups[i].controllers || !s->cgroups[i].dir)
			return oci_fail_errno(err, ENOMEM, "cgroups");
	}
	return 0;
}

void oci_cgroup_forget(struct oci_state *s, size_t i)
{
	free(s->cgroups[i].controllers);
	free(s->cgroups[i].dir);
	s->ncgroups--;
	memmove(&s->cgroups[i], &s->cgroups[i + 1], (s->ncgroups - i) * sizeof(s->cgroups[0]));
}

bool oci_cgroup_forbidden(int r)
{
	return r == -EACCES || r == -EPERM || r == -EROFS;
}

/* Deleting the container kills what is in its groups: they must not have been somebody else's. */
static bool occupied(const char *dir)
{
	char text[64];

	return !oci_cgroup_read(dir, "cgroup.procs", text, sizeof(text)) && *text;
}

int oci_cgroup_create(struct oci_state *s, const struct oci_cgroup_mount *m, int n,
		      const struct oci_resources *res, struct oci_error *err)
{
	size_t kept = 0;

	for (int i = 0; i < n; i++) {
		const char *dir = s->cgroups[kept].dir;
		int r = make_dirs(&m[i], dir);

		if (r == 1 && occupied(dir)) {
			oci_fail(err, EBUSY, "cgroup %s is in use: it has processes", dir);
			/* Not ours: nothing of it is to be removed. */
			while (s->ncgroups > kept)
				oci_cgroup_forget(s, kept);
			return -EBUSY;
		}
		if (r < 0 && (n == 1 || m[i].controllers[0]) && wanted(m[i].controllers, res) &&
		    !(s->rootless && oci_cgroup_forbidden(r)))
			return oci_fail_errno(err, -r, "cannot create cgroup %s", dir);
		if (r < 0) {
			log_debug("cgroup %s left out: errno %d", dir, -r);
			oci_cgroup_forget(s, kept);
			continue;
		}
		kept++;
	}
	return 0;
}

int oci_cgroup_attach(const struct oci_state *s, pid_t pid, struct oci_error *err)
{
	char text[16];

	snprintf(text, sizeof(text), "%d", (int)pid);
	for (size_t i = 0; i < s->ncgroups; i++) {
		int r = oci_cgroup_write(s->cgroups[i].dir, "cgroup.procs", text);

		if (r && r != -EPERM && r != -EACCES)
			return oci_fail_errno(err, -r, "cannot enter cgroup %s", s->cgroups[i].dir);
		if (r)
			log_debug("cgroup %s not entered: permission denied", s->cgroups[i].dir);
	}
	return 0;
}

const char *oci_cgroup_dir(const struct oci_state *s, const char *controller, bool *v2)
{
	const char *unified = NULL;
	size_t len = strlen(controller);
	char list[256];

	for (size_t i = 0; i < s->ncgroups; i++) {
		const char *c = s->cgroups[i].controllers;

		if (!*c)
			unified = s->cgroups[i].dir;
		for (; *c; c += strcspn(c, ","), c += *c == ',')
			if (!strncmp(c, controller, len) && (c[len] == ',' || !c[len])) {
				*v2 = false;
				return s->cgroups[i].dir;
			}
	}
	*v2 = true;
	if (!unified)
		return NULL;
	/* Freezing is part of version 2 itself. */
	if (!strcmp(controller, "freezer"))
		return unified;
	if (oci_cgroup_read(unified, "cgroup.controllers", list, sizeof(list)))
		return NULL;
	for (const char *p = list; (p = strstr(p, controller)); p += len)
		if ((p == list || p[-1] == ' ') && (p[len] == ' ' || !p[len]))
			return unified;
	return NULL;
}

/* What is in the group and those below; n: found already. */
static size_t pids_below(int parent, const char *name, unsigned depth, pid_t *pids, size_t cap,
			 size_t n)
{
	cleanup_fd int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	char line[32];
	struct dirent *e;

	if (fd < 0)
		return n;
	cleanup_file FILE *f = fdopen(openat(fd, "cgroup.procs", O_RDONLY | O_CLOEXEC), "r");

	while (f && fgets(line, sizeof(line), f))
		if (n++ < cap)
			pids[n - 1] = (pid_t)strtol(line, NULL, 10);
	cleanup_dir DIR *d = depth < 16 ? fdopendir(dup(fd)) : NULL;

	while (d && (e = readdir(d)))
		if (e->d_type == DT_DIR && strcmp(e->d_name, ".") && strcmp(e->d_name, ".."))
			n = pids_below(fd, e->d_name, depth + 1, pids, cap, n);
	return n;
}

size_t oci_cgroup_pids(const struct oci_state *s, pid_t *pids, size_t cap)
{
	size_t n = 0;

	for (size_t i = 0; i < s->ncgroups && !n; i++)
		n = pids_below(AT_FDCWD, s->cgroups[i].dir, 0, pids, cap, 0);
	return n;
}

void oci_cgroup_kill(const struct oci_state *s)
{
	pid_t pids[512];
	size_t n;

	for (int round = 0; round < 5 && (n = oci_cgroup_pids(s, pids, 512)); round++)
		for (size_t i = 0; i < n && i < 512; i++)
			if (pids[i] > 1 && pids[i] != getpid())
				kill(pids[i], SIGKILL);
}

/* Groups below are removed first; the kernel's files in them are no entries to delete. */
static int remove_tree(int parent, const char *name, unsigned depth)
{
	struct dirent *e;

	if (!unlinkat(parent, name, AT_REMOVEDIR) || errno == ENOENT)
		return 0;
	if (depth > 16)
		return -ELOOP;
	cleanup_fd int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);

	if (fd < 0)
		return errno == ENOENT ? 0 : -errno;
	cleanup_dir DIR *d = fdopendir(dup(fd));

	while (d && (e = readdir(d)))
		if (e->d_type == DT_DIR && strcmp(e->d_name, ".") && strcmp(e->d_name, ".."))
			remove_tree(fd, e->d_name, depth + 1);
	if (unlinkat(parent, name, AT_REMOVEDIR) && errno != ENOENT)
		return -errno;
	return 0;
}

int oci_cgroup_remove(const struct oci_state *s, struct oci_error *err)
{
	struct oci_error why;
	int result = 0;

	/* Whatever systemd says, the groups go: it sees that they are empty. */
	if (s->systemd_cgroup) {
		oci_cgroup_kill(s);
		if (oci_systemd_stop(s, &why))
			log_warning("%s", why.msg);
	}
	for (size_t i = 0; i < s->ncgroups; i++) {
		struct timespec pause = {.tv_nsec = 250 * 1000};
		int r = remove_tree(AT_FDCWD, s->cgroups[i].dir, 0);

		/* Somebody is left, or was reaped just now and leaves the group a little later. */
		for (int tries = 0; r == -EBUSY && tries < 11; tries++) {
			oci_cgroup_kill(s);
			nanosleep(&pause, NULL);
			pause.tv_nsec *= 2;
			r = remove_tree(AT_FDCWD, s->cgroups[i].dir, 0);
		}
		if (r)
			result = oci_fail_errno(err, -r, "cannot remove cgroup %s",
						s->cgroups[i].dir);
	}
	return result;
}
