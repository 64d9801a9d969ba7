/* SPDX-License-Identifier: Apache-2.0 */
/* Groups below a container's own, for `exec --cgroup`. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "oci/cgroup.h"
#include "oci/cleanup.h"

static bool has(const char *controllers, const char *name, size_t len)
{
	for (const char *c = controllers; *c; c += strcspn(c, ","), c += *c == ',')
		if (strcspn(c, ",") == len && !strncmp(c, name, len))
			return true;
	return false;
}

/* A path that could leave the group is refused, whatever it comes to. */
static bool stays_below(const char *path)
{
	for (const char *p = path; *p; p += strcspn(p, "/"), p += *p == '/')
		if (strcspn(p, "/") == 2 && !strncmp(p, "..", 2))
			return false;
	return true;
}

static int descend(struct oci_state *s, size_t i, const char *path, struct oci_error *err)
{
	char *dir = NULL;

	if (asprintf(&dir, "%s/%s", s->cgroups[i].dir, path + strspn(path, "/")) < 0)
		return oci_fail_errno(err, ENOMEM, "--cgroup");
	free(s->cgroups[i].dir);
	s->cgroups[i].dir = dir;
	return 0;
}

/* One controller of a hierarchy the container has a group in. */
static int one(struct oci_state *s, const char *name, size_t len, const char *path, bool *done,
	       struct oci_error *err)
{
	for (size_t i = 0; i < s->ncgroups; i++) {
		if (!has(s->cgroups[i].controllers, name, len))
			continue;
		/* Controllers mounted together are one group. */
		if (done[i])
			return 0;
		done[i] = true;
		return descend(s, i, path, err);
	}
	return oci_fail(err, EINVAL, "unknown controller %.*s in SubCgroupPaths", (int)len, name);
}

int oci_cgroup_descend(struct oci_state *s, const char *const *args, struct oci_error *err)
{
	bool done[OCI_MAX_CGROUPS] = {0};
	int r = 0;

	for (size_t k = 0; args[k] && !r; k++) {
		const char *colon = strchr(args[k], ':'), *path = colon ? colon + 1 : args[k];

		if (strchr(path, ':') || (!colon && args[1]))
			return oci_fail(err, EINVAL, "invalid --cgroup argument: %s", args[k]);
		if (!stays_below(path))
			return oci_fail(err, EINVAL, "%s is not a sub cgroup path", path);
		for (size_t i = 0; !colon && i < s->ncgroups && !r; i++)
			r = descend(s, i, path, err);
		for (const char *c = args[k]; colon && c < colon && !r; c++) {
			size_t len = strcspn(c, ",:");

			r = one(s, c, len, path, done, err);
			c += len;
		}
	}
	return r;
}
