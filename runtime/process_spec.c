/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/process_spec.h"

#include <ctype.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "runtime/fs/fdtable.h"
#include "runtime/fs/fs_context.h"
#include "runtime/fs/tty.h"
#include "runtime/fs/vfs.h"
#include "runtime/task/clone.h"
#include "runtime/task/cred.h"
#include "runtime/task/exec.h"
#include "runtime/task/loop.h"
#include "runtime/task/pgrp.h"
#include "runtime/task/pid.h"
#include "runtime/task/seccomp.h"
#include "runtime/task/timer.h"

/* ---- copies ---- */

static void strings_free(char *const *v)
{
	for (size_t i = 0; v && v[i]; i++)
		free(v[i]);
	free((void *)v);
}

static char **strings_copy(char *const *v)
{
	size_t n = 0;
	char **out;

	while (v && v[n])
		n++;
	out = calloc(n + 1, sizeof(*out));
	for (size_t i = 0; out && i < n; i++) {
		out[i] = strdup(v[i]);
		if (!out[i]) {
			strings_free(out);
			return NULL;
		}
	}
	return out;
}

int process_spec_copy(struct kernel_process_spec *dst, const struct kernel_process_spec *src)
{
	gid_t *groups = malloc((src->ngroups ? src->ngroups : 1) * sizeof(*groups));
	struct sock_filter *seccomp = calloc(src->nseccomp + 1, sizeof(*seccomp));

	*dst = *src;
	dst->argv = strings_copy(src->argv);
	dst->envp = strings_copy(src->envp);
	dst->cwd = strdup(src->cwd ? src->cwd : "/");
	dst->groups = groups;
	dst->seccomp = seccomp;
	if (!dst->argv || !dst->envp || !dst->cwd || !groups || !seccomp) {
		process_spec_free(dst);
		return -ENOMEM;
	}
	if (src->ngroups)
		memcpy(groups, src->groups, src->ngroups * sizeof(*groups));
	if (src->nseccomp)
		memcpy(seccomp, src->seccomp, src->nseccomp * sizeof(*seccomp));
	return 0;
}

void process_spec_free(struct kernel_process_spec *s)
{
	strings_free(s->argv);
	strings_free(s->envp);
	free((void *)s->cwd);
	free((void *)s->groups);
	free((void *)s->seccomp);
	*s = (struct kernel_process_spec){.stdio = {-1, -1, -1}};
}

void process_spec_close(struct kernel_process_spec *s)
{
	for (int i = 0; i < 3; i++) {
		if (s->stdio[i] >= 0)
			close(s->stdio[i]);
		s->stdio[i] = -1;
	}
	for (int i = 0; i < s->extra_fds; i++)
		close(s->extra ? s->extra[i] : 3 + i);
	s->extra_fds = 0;
}

/* ---- sentences ---- */

/* The error's text as Go programs print it: in lower case. */
static const char *error_text(int err, char buf[96])
{
	snprintf(buf, 96, "%s", strerror(-err));
	buf[0] = (char)tolower((unsigned char)buf[0]);
	return buf;
}

static int spec_fail(int ret, char *err, size_t errlen, const char *what)
{
	char text[96];

	snprintf(err, errlen, "%s: %s", what, error_text(ret, text));
	return ret;
}

/* ---- the program ---- */

static const char *spec_path(const struct kernel_process_spec *s)
{
	for (size_t i = 0; s->envp[i]; i++)
		if (!strncmp(s->envp[i], "PATH=", 5))
			return s->envp[i] + 5;
	return "";
}

static int spec_search_path(struct task *t, const char *name, const char *path, char found[4096],
			    struct file **out)
{
	while (*path) {
		size_t len = strcspn(path, ":");
		int n = snprintf(found, 4096, "%.*s/%s", len ? (int)len : 1, len ? path : ".", name);

		if (n < 4096 && !vfs_open_exec(t, AT_FDCWD, found, 0, out))
			return 0;
		path += len;
		if (*path == ':')
			path++;
	}
	return -ENOENT;
}

static int spec_find_program(struct task *t, const struct kernel_process_spec *s, char found[4096],
			     struct file **out, char *err, size_t errlen)
{
	const char *name = s->argv[0];
	char text[96];
	int ret;

	if (!name || !name[0]) {
		snprintf(err, errlen, "exec: no command");
		return -EINVAL;
	}
	if (!strchr(name, '/')) {
		ret = spec_search_path(t, name, spec_path(s), found, out);
		if (ret)
			snprintf(err, errlen, "exec: \"%s\": executable file not found in $PATH", name);
		return ret;
	}
	if (snprintf(found, 4096, "%s", name) >= 4096)
		ret = -ENAMETOOLONG;
	else
		ret = vfs_open_exec(t, AT_FDCWD, name, 0, out);
	if (ret == -EACCES) {
		struct vpath p;

		/* a directory is told apart from a file without the permission */
		if (!vfs_lookup(t, AT_FDCWD, name, LOOKUP_FOLLOW | LOOKUP_DIRECTORY, &p, NULL)) {
			vpath_put(&p);
			ret = -EISDIR;
		}
	}
	if (ret == -EACCES || ret == -EISDIR)
		snprintf(err, errlen, "exec: \"%s\": %s", name, error_text(ret, text));
	else if (ret)
		snprintf(err, errlen, "exec: \"%s\": stat %s: %s", name, name,
			 error_text(ret, text));
	return ret;
}

static int spec_load_program(struct task *t, const struct kernel_process_spec *s, char *err,
			     size_t errlen)
{
	struct exec_strings argv, envp = {0};
	struct file *file;
	char *found = malloc(4096), text[96];
	int ret;

	if (!found)
		return -ENOMEM;
	ret = spec_find_program(t, s, found, &file, err, errlen);
	if (ret) {
		free(found);
		return ret;
	}
	ret = exec_strings_from_host(&argv, s->argv);
	if (!ret)
		ret = exec_strings_from_host(&envp, s->envp);
	if (!ret)
		ret = exec_file(t, file, found, &argv, &envp);
	if (ret)
		snprintf(err, errlen, "exec %s: %s", found, error_text(ret, text));
	exec_strings_free(&argv);
	exec_strings_free(&envp);
	file_put(file);
	free(found);
	return ret;
}

/* ---- the process ---- */

static struct cred *spec_cred(const struct kernel_process_spec *s)
{
	struct cred *empty = cred_alloc(0), *c;

	if (!empty)
		return NULL;
	c = cred_with_groups(empty, s->groups, s->ngroups);
	cred_put(empty);
	if (!c)
		return NULL;
	c->uid = c->euid = c->suid = c->fsuid = s->uid;
	c->gid = c->egid = c->sgid = c->fsgid = s->gid;
	c->cap_bounding = s->cap_bounding & CAP_ALL;
	c->cap_permitted = s->cap_permitted & CAP_ALL;
	c->cap_effective = s->cap_effective & c->cap_permitted;
	c->cap_inheritable = s->cap_inheritable & CAP_ALL;
	c->cap_ambient = s->cap_ambient & c->cap_permitted & c->cap_inheritable;
	return c;
}

static int spec_install_fd(struct task *t, int *host, int at)
{
	struct file *f;
	int ret, fd = *host;

	*host = -1;
	ret = file_from_host_fd(t->kernel, fd, &f);
	if (ret) {
		close(fd);
		return ret;
	}
	ret = fd_install_at(t, f, at, false);
	file_put(f);
	return ret < 0 ? ret : 0;
}

static int spec_install_fds(struct task *t, struct kernel_process_spec *s)
{
	int ret = 0;

	for (int i = 0; i < 3 && !ret; i++)
		if (s->stdio[i] >= 0)
			ret = spec_install_fd(t, &s->stdio[i], i);
	for (; s->extra_fds > 0 && !ret; s->extra_fds--) {
		int at = 2 + s->extra_fds, fd = s->extra ? s->extra[s->extra_fds - 1] : at;

		ret = spec_install_fd(t, &fd, at);
	}
	return ret;
}

static int spec_chdir(struct task *t, const char *cwd)
{
	struct vpath p, old;
	int ret = vfs_lookup(t, AT_FDCWD, cwd, LOOKUP_FOLLOW | LOOKUP_DIRECTORY, &p, NULL);

	if (ret)
		return ret;
	ret = vfs_permission(t, &p, X_OK);
	if (ret) {
		vpath_put(&p);
		return ret;
	}
	pthread_mutex_lock(&t->fs->lock);
	old = t->fs->cwd;
	t->fs->cwd = p;
	pthread_mutex_unlock(&t->fs->lock);
	vpath_put(&old);
	return 0;
}

static int spec_build(struct kernel *k, struct kernel_process_spec *s, struct task *t)
{
	struct seccomp_chain *chain = NULL;
	int ret;

	t->cred = spec_cred(s);
	t->process = process_alloc(k);
	t->sighand = sighand_create();
	t->files = fdtable_create();
	t->fs = fs_context_create(k);
	if (!t->cred || !t->process || !t->sighand || !t->files || !t->fs)
		return -ENOMEM;
	memcpy(t->process->rlimits, s->rlimits, sizeof(t->process->rlimits));
	timer_set_cpu_limit(t->process);
	t->no_new_privs = s->no_new_privs;
	t->personality = s->personality;
	t->sched.policy = s->sched_policy;
	t->sched.priority = s->sched_priority;
	t->sched.reset_on_fork = s->sched_reset_on_fork;
	for (size_t i = 0; i < sizeof(s->affinity) / sizeof(s->affinity[0]); i++)
		t->sched.affinity[i] = s->affinity[i] & k->host_affinity[i];
	atomic_store(&t->process->nice, s->nice);
	if (s->umask != (mode_t)-1)
		t->fs->umask = s->umask & 0777;
	ret = spec_install_fds(t, s);
	if (!ret && s->nseccomp)
		ret = seccomp_chain_push(NULL, s->seccomp, s->nseccomp, &chain);
	if (!ret)
		atomic_store(&t->seccomp, chain);
	return ret;
}

void process_spec_abandon(struct task *t)
{
	if (t->mm)
		task_drop_mm(t);
	if (t->files)
		fdtable_put(t->files, t);
	if (t->fs)
		fs_context_put(t->fs);
	t->files = NULL;
	t->fs = NULL;
	task_put(t);
}

/* Numbers, session, lists. tasks_lock held. */
static int spec_publish_locked(struct kernel *k, struct task *t, bool init)
{
	struct process *p = t->process;
	int err;

	if (k->init_gone)
		return -ESRCH;
	if (k->ntasks + k->nzombies >= k->pids_max)
		return -EAGAIN;
	t->tid = pid_next(k->pids);
	if (t->tid < 0)
		return t->tid;
	p->pid = t->tid;
	/* As a child of whoever made the container would have it. */
	atomic_store(&p->nice, getpriority(PRIO_PROCESS, 0));
	err = process_new_session_locked(p);
	if (!err)
		err = task_publish_locked(t);
	if (err) {
		process_leave_group_locked(p);
		process_leave_session_locked(p);
		return err;
	}
	if (init) {
		process_get(p);
		k->init = p;
		p->unkillable = true;
	}
	return 0;
}

static int spec_publish(struct kernel *k, struct task *t, bool init)
{
	int err;

	pthread_mutex_lock(&k->tasks_lock);
	err = spec_publish_locked(k, t, init);
	pthread_mutex_unlock(&k->tasks_lock);
	return err;
}

/* The first of the three that is a terminal becomes the session's. */
static void spec_take_terminal(struct task *t)
{
	bool done = false;

	for (int fd = 0; fd < 3 && !done; fd++) {
		struct file *f = fd_get(t, fd);

		if (!f)
			continue;
		done = file_is_tty(f) && !tty_set_controlling(f, t->process);
		file_put(f);
	}
}

int process_spec_load(struct kernel *k, struct kernel_process_spec *s, bool init,
		      struct worker *w, struct task **out, char *err, size_t errlen)
{
	struct task *t = task_alloc(k);
	int ret = t ? spec_build(k, s, t) : -ENOMEM;

	process_spec_close(s);
	if (ret) {
		spec_fail(ret, err, errlen, "cannot set up the process");
		goto fail;
	}
	ret = spec_chdir(t, s->cwd);
	if (ret) {
		char text[96];

		snprintf(err, errlen, "chdir to cwd (\"%s\") set in config.json failed: %s", s->cwd,
			 error_text(ret, text));
		goto fail;
	}
	snprintf(err, errlen, "cannot load the program: %s", strerror(ENOMEM));
	ret = spec_load_program(t, s, err, errlen);
	if (ret)
		goto fail;
	t->thread = worker_thread(w);
	ret = spec_publish(k, t, init);
	if (ret) {
		spec_fail(ret, err, errlen, "cannot start the process");
		goto fail;
	}
	if (s->terminal)
		spec_take_terminal(t);
	task_update_answers(t);
	err[0] = '\0';
	*out = t;
	return 0;
fail:
	if (t)
		process_spec_abandon(t);
	return ret;
}
