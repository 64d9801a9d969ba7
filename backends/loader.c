/* SPDX-License-Identifier: Apache-2.0 */
#include "backends/loader.h"

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *backend_dir(const char *dir)
{
	if (dir && *dir)
		return dir;
	dir = secure_getenv("NACRE_BACKEND_DIR");
	return dir && *dir ? dir : NACRE_BACKENDS_DIR;
}

static int check_interface(const struct nacre_backend *ops, const char *path, char *err,
			   size_t errlen)
{
	if (ops->abi != NACRE_BACKEND_ABI) {
		snprintf(err, errlen, "%s: plugin interface version %u, this nacre speaks version %u",
			 path, ops->abi, NACRE_BACKEND_ABI);
		return -EPROTO;
	}
	if (ops->size != sizeof *ops) {
		snprintf(err, errlen, "%s: plugin interface is %u bytes, version %u has %zu", path,
			 ops->size, NACRE_BACKEND_ABI, sizeof *ops);
		return -EPROTO;
	}
	if (!ops->name || !ops->summary || !ops->probe || !ops->vm_create || !ops->vm_destroy ||
	    !ops->vm_map || !ops->vm_unmap || !ops->vm_invalidate || !ops->vm_drop_tables ||
	    !ops->vcpu_create || !ops->vcpu_destroy || !ops->vcpu_run || !ops->vcpu_kick ||
	    !ops->vcpu_get_fpu || !ops->vcpu_set_fpu) {
		snprintf(err, errlen, "%s: plugin leaves a required function out", path);
		return -EPROTO;
	}
	return 0;
}

/* dlopen and check, without probing. */
static int open_file(const char *path, struct backend *out, char *err, size_t errlen)
{
	memset(out, 0, sizeof *out);
	if (access(path, R_OK) < 0) {
		int e = errno;
		snprintf(err, errlen, "backend %s: %s", path, strerror(e));
		return -e;
	}
	out->handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	if (!out->handle) {
		snprintf(err, errlen, "%s is not a plugin: %s", path, dlerror());
		return -ENOEXEC;
	}
	out->ops = dlsym(out->handle, NACRE_BACKEND_SYMBOL);
	if (!out->ops) {
		snprintf(err, errlen, "%s is not a nacre plugin: it has no symbol %s", path,
			 NACRE_BACKEND_SYMBOL);
		backend_close(out);
		return -ENOEXEC;
	}
	int ret = check_interface(out->ops, path, err, errlen);
	if (ret) {
		backend_close(out);
		return ret;
	}
	snprintf(out->path, sizeof out->path, "%s", path);
	return 0;
}

static int open_and_probe(const char *path, struct backend *out, char *err, size_t errlen)
{
	char why[512] = "";
	int ret = open_file(path, out, err, errlen);

	if (ret)
		return ret;
	ret = out->ops->probe(why, sizeof why);
	if (ret) {
		snprintf(err, errlen, "backend %s (%s) cannot be used: %s", out->ops->name, path, why);
		backend_close(out);
	}
	return ret;
}

static int is_plugin_name(const struct dirent *d)
{
	size_t n = strlen(d->d_name);

	return n > 3 && d->d_name[0] != '.' && strcmp(d->d_name + n - 3, ".so") == 0;
}

static int scan(const char *dir, struct dirent ***list, char *err, size_t errlen)
{
	int n = scandir(dir, list, is_plugin_name, alphasort);

	if (n >= 0)
		return n;
	int e = errno;
	snprintf(err, errlen, "backend directory %s: %s", dir, strerror(e));
	return -e;
}

static int open_best(const char *dir, struct backend *out, char *err, size_t errlen)
{
	struct dirent **list;
	int n = scan(dir, &list, err, errlen), ret = -ENOENT;

	if (n < 0)
		return n;
	snprintf(err, errlen, "no backend plugin in %s", dir);
	for (int i = 0; i < n; i++) {
		char path[4096];

		snprintf(path, sizeof path, "%s/%s", dir, list[i]->d_name);
		if (ret)
			ret = open_and_probe(path, out, err, errlen);
		free(list[i]);
	}
	free(list);
	return ret;
}

int backend_open(const char *name, const char *dir, struct backend *out, char *err, size_t errlen)
{
	char path[4096];

	memset(out, 0, sizeof *out);
	dir = backend_dir(dir);
	if (!name || !*name)
		return open_best(dir, out, err, errlen);
	if (strchr(name, '/'))
		snprintf(path, sizeof path, "%s", name);
	else
		snprintf(path, sizeof path, "%s/%s.so", dir, name);
	return open_and_probe(path, out, err, errlen);
}

void backend_close(struct backend *b)
{
	if (b->handle)
		dlclose(b->handle);
	memset(b, 0, sizeof *b);
}

int backend_list(const char *dir, int (*fn)(const struct backend_info *info, void *arg), void *arg)
{
	struct dirent **list;
	char err[512];
	int ret = 0;

	dir = backend_dir(dir);
	int n = scan(dir, &list, err, sizeof err);
	if (n < 0)
		return n;
	for (int i = 0; i < n; i++) {
		char path[4096], name[256] = "", summary[256] = "";
		struct backend b;

		snprintf(path, sizeof path, "%s/%s", dir, list[i]->d_name);
		snprintf(name, sizeof name, "%.*s", (int)strlen(list[i]->d_name) - 3, list[i]->d_name);
		free(list[i]);
		if (ret)
			continue;
		err[0] = '\0';
		int status = open_file(path, &b, err, sizeof err);
		if (!status) {
			snprintf(name, sizeof name, "%s", b.ops->name);
			snprintf(summary, sizeof summary, "%s", b.ops->summary);
			status = b.ops->probe(err, sizeof err);
			backend_close(&b);
		}
		ret = fn(&(struct backend_info){name, path, summary, status, err}, arg);
	}
	free(list);
	return ret;
}
