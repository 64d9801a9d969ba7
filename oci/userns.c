/* SPDX-License-Identifier: Apache-2.0 */
#include "oci/userns.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "oci/buf.h"
#include "oci/cleanup.h"
#include "oci/text.h"
#include "runtime/task/idmap.h"

/* user_namespaces(7): most lines a map has. */
#define MAX_LINES 340

static int read_map(const char *path, struct kernel_idmap **out, size_t *n)
{
	struct kernel_idmap *m = calloc(MAX_LINES, sizeof(*m));
	cleanup_file FILE *f = fopen(path, "re");
	char line[64], a[16], b[16], c[16];

	*out = m;
	*n = 0;
	if (!m || !f)
		return m ? -errno : -ENOMEM;
	while (*n < MAX_LINES && fgets(line, sizeof(line), f)) {
		const char *p = line;

		if (!text_word(&p, a, sizeof(a)) || !text_word(&p, b, sizeof(b)) ||
		    !text_word(&p, c, sizeof(c)))
			break;
		m[(*n)++] = (struct kernel_idmap){(uint32_t)strtoul(a, NULL, 10),
						  (uint32_t)strtoul(b, NULL, 10),
						  (uint32_t)strtoul(c, NULL, 10)};
	}
	return 0;
}

bool userns_inside(void)
{
	struct kernel_idmap *m;
	size_t n;
	bool all;
	int r = read_map("/proc/self/uid_map", &m, &n);

	/* A kernel without user namespaces has no such file. */
	all = r || (n == 1 && !m->inside && !m->outside && m->count == UINT32_MAX);
	free(m);
	return !all;
}

static void helper_child(const char *helper, pid_t pid, const struct oci_idmap *m, size_t n,
			 int errors) __attribute__((noreturn));
static void helper_child(const char *helper, pid_t pid, const struct oci_idmap *m, size_t n,
			 int errors)
{
	char **argv = calloc(n * 3 + 3, sizeof(*argv)), *text = calloc(n * 3 + 1, 16);
	size_t k = 0;

	if (!argv || !text)
		_exit(1);
	argv[k++] = (char *)helper;
	snprintf(argv[k++] = text, 16, "%d", (int)pid);
	for (size_t i = 0; i < n; i++) {
		snprintf(argv[k++] = text += 16, 16, "%u", m[i].container);
		snprintf(argv[k++] = text += 16, 16, "%u", m[i].host);
		snprintf(argv[k++] = text += 16, 16, "%u", m[i].size);
	}
	dup2(errors, STDERR_FILENO);
	execvp(helper, argv);
	_exit(127);
}

/* newuidmap(1) may map what an unprivileged user may not. What it complains of goes into why. */
static int map_by_helper(const char *helper, pid_t pid, const struct oci_idmap *m, size_t n,
			 char *why, size_t len)
{
	int status = 0, p[2];
	size_t got = 0;
	ssize_t k;
	pid_t child;

	if (pipe2(p, O_CLOEXEC))
		return -errno;
	fflush(NULL);
	child = fork();
	if (!child)
		helper_child(helper, pid, m, n, p[1]);
	close(p[1]);
	while (child > 0 && got + 1 < len && (k = read(p[0], why + got, len - 1 - got)) > 0)
		got += (size_t)k;
	close(p[0]);
	why[got] = '\0';
	why[strcspn(why, "\n")] = '\0';
	while (child > 0 && waitpid(child, &status, 0) < 0 && errno == EINTR)
		;
	if (child > 0 && WIFEXITED(status) && !WEXITSTATUS(status))
		return 0;
	if (child > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 127)
		snprintf(why, len, "%s not found: install the package uidmap", helper);
	return -EPERM;
}

static int write_map(pid_t pid, const char *file, const char *helper, const struct oci_idmap *m,
		     size_t n, struct oci_error *err)
{
	cleanup_buf struct buf b = {0};
	char why[400] = "";
	int r;

	for (size_t i = 0; i < n; i++)
		buf_printf(&b, "%u %u %u\n", m[i].container, m[i].host, m[i].size);
	if (!buf_ok(&b))
		return oci_fail_errno(err, ENOMEM, "%s", file);
	r = text_write_proc(pid, file, b.s);
	if (!r || (r != -EPERM && r != -EACCES))
		return r ? oci_fail_errno(err, -r, "config.json: linux.%sMappings",
					  file[0] == 'u' ? "uid" : "gid")
			 : 0;
	if (map_by_helper(helper, pid, m, n, why, sizeof(why)))
		return oci_fail(err, EPERM,
				"config.json: linux.%sMappings: no permission to map more than "
				"one's own id%s%s",
				file[0] == 'u' ? "uid" : "gid", *why ? ": " : "", why);
	return 0;
}

int userns_write_maps(const struct oci_config *c, pid_t pid, struct oci_error *err)
{
	int r;

	if (!c->ns[OCI_NS_USER].present || c->ns[OCI_NS_USER].path)
		return 0;
	/* Without privilege one's own group may be mapped only when setgroups is given up. */
	if (geteuid() && c->ngid_map == 1 && c->gid_map[0].size == 1 &&
	    c->gid_map[0].host == getegid())
		text_write_proc(pid, "setgroups", "deny");
	r = write_map(pid, "uid_map", "newuidmap", c->uid_map, c->nuid_map, err);
	return r ? r : write_map(pid, "gid_map", "newgidmap", c->gid_map, c->ngid_map, err);
}

uid_t userns_host_uid(const struct oci_config *c, uid_t uid)
{
	for (size_t i = 0; i < c->nuid_map; i++)
		if (uid - c->uid_map[i].container < c->uid_map[i].size)
			return c->uid_map[i].host + (uid - c->uid_map[i].container);
	return uid;
}

int userns_own_ids(struct kernel_ids *ids, struct oci_error *err)
{
	struct kernel_idmap *uid = NULL, *gid = NULL;
	char word[16] = "";
	cleanup_file FILE *f = fopen("/proc/self/setgroups", "re");
	int r = read_map("/proc/self/uid_map", &uid, &ids->nuid);

	if (!r)
		r = read_map("/proc/self/gid_map", &gid, &ids->ngid);
	ids->uid = uid;
	ids->gid = gid;
	ids->no_setgroups = f && fgets(word, sizeof(word), f) && !strncmp(word, "deny", 4);
	if (!r || r == -ENOENT)
		return 0;
	userns_free_ids(ids);
	return oci_fail_errno(err, -r, "cannot read /proc/self/uid_map");
}

void userns_free_ids(struct kernel_ids *ids)
{
	idmap_free(ids);
}

int userns_check_process(const struct kernel_ids *ids, const struct oci_process *p,
			 const char *where, struct oci_error *err)
{
	static const char sentence[] = "%s%s: %u is not mapped in the user namespace";

	if (!idmap_has_uid(ids, p->uid))
		return oci_fail(err, EINVAL, sentence, where, "user.uid", (unsigned)p->uid);
	if (!idmap_has_gid(ids, p->gid))
		return oci_fail(err, EINVAL, sentence, where, "user.gid", (unsigned)p->gid);
	for (size_t i = 0; i < p->ngroups; i++)
		if (!idmap_has_gid(ids, p->groups[i]))
			return oci_fail(err, EINVAL, sentence, where, "user.additionalGids",
					(unsigned)p->groups[i]);
	return 0;
}
