/* SPDX-License-Identifier: Apache-2.0 */
#include "oci/rootless.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "oci/log.h"
#include "oci/userns.h"

bool rootless_by_default(void)
{
	return geteuid() || userns_inside();
}

/* Engines run us as root of their user namespace, but in the environment of the user. */
static bool honours_runtime_dir(void)
{
	const char *user = getenv("USER");

	return geteuid() || (userns_inside() && (!user || strcmp(user, "root") != 0));
}

const char *rootless_state_root(void)
{
	static char path[4096];
	const char *dir = getenv("XDG_RUNTIME_DIR");

	if (!dir || !*dir || !honours_runtime_dir())
		return "/run/nacre";
	snprintf(path, sizeof(path), "%s/nacre", dir);
	/* The sticky bit keeps those who tidy the directory up from it (XDG base directories). */
	if (!mkdir(path, 0700))
		chmod(path, 01700);
	return path;
}

const char *rootless_root_hint(void)
{
	const char *dir = getenv("XDG_RUNTIME_DIR");

	return geteuid() && (!dir || !*dir) ? " (neither XDG_RUNTIME_DIR nor --root is given)" : "";
}

void rootless_cgroup_parents(struct oci_cgroup_mount *m, int n)
{
	char path[1024];

	for (int i = 0; i < n; i++) {
		char *slash = strrchr(m[i].own, '/');

		if (m[i].controllers[0] || !slash || !slash[1])
			continue;
		snprintf(path, sizeof(path), "%s%.*s/cgroup.procs", m[i].mountpoint,
			 (int)(slash - m[i].own), m[i].own);
		/* Moving a process between two groups takes the right to write there (cgroups(7)). */
		if (access(path, W_OK))
			continue;
		slash[slash == m[i].own] = '\0';
	}
}

int rootless_enter_cgroups(struct oci_state *s, pid_t pid, struct oci_error *err)
{
	char text[16];

	snprintf(text, sizeof(text), "%d", (int)pid);
	for (size_t i = 0; i < s->ncgroups;) {
		const char *dir = s->cgroups[i].dir;
		int r = oci_cgroup_write(dir, "cgroup.procs", text);

		if (r && !oci_cgroup_forbidden(r))
			return oci_fail_errno(err, -r, "cannot enter cgroup %s", dir);
		if (!r) {
			i++;
			continue;
		}
		log_warning("cgroup %s is not used: no permission to enter it", dir);
		rmdir(dir);
		oci_cgroup_forget(s, i);
	}
	return 0;
}
