/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Finding and opening hypervisor plugins.
 *
 * A plugin is named by path (anything with a slash) or by name, which is looked for as DIR/NAME.so.
 * DIR is the caller's, else $NACRE_BACKEND_DIR, else the directory of installation.
 */
#ifndef NACRE_BACKENDS_LOADER_H
#define NACRE_BACKENDS_LOADER_H

#include <stddef.h>

#include "backends/nacre-backend.h"

struct backend {
	void *handle; /* dlopen's */
	const struct nacre_backend *ops;
	char path[4096];
};

/*
 * Open and probe a backend; name NULL takes the first in the directory (by name) that probes. 0 or
 * -errno with one sentence in err that names the file: -ENOENT no such plugin, -ENOEXEC no plugin of
 * ours, -EPROTO another interface version, or the probe's own error.
 */
int backend_open(const char *name, const char *dir, struct backend *out, char *err, size_t errlen);
void backend_close(struct backend *b);

/* What `nacre features` lists: every file in the directory, and why it would not do. */
struct backend_info {
	const char *name, *path, *summary;
	int status;	   /* 0: usable, else -errno */
	const char *error; /* "" when usable */
};
/* Calls fn for each; non-zero stops and is returned. -errno when the directory cannot be read. */
int backend_list(const char *dir, int (*fn)(const struct backend_info *info, void *arg), void *arg);

#endif
