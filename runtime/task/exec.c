/* SPDX-License-Identifier: Apache-2.0 */
/* execve(2), execveat(2). */
#include "runtime/task/exec.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mm/tlb.h"
#include "runtime/fs/fdtable.h"
#include "runtime/fs/vfs.h"
#include "runtime/task/clone.h"
#include "runtime/task/cred.h"
#include "runtime/task/futex.h"
#include "runtime/task/pid.h"
#include "runtime/task/timer.h"

/* ---- strings ---- */

void exec_strings_free(struct exec_strings *s)
{
	for (size_t i = 0; i < s->n; i++)
		free(s->v[i]);
	free(s->v);
	*s = (struct exec_strings){0};
}

/* Takes over str. */
static int exec_strings_push(struct exec_strings *s, char *str, size_t bytes, size_t *room)
{
	if (!str)
		return -ENOMEM;
	if (s->n + 1 >= *room) {
		size_t want = *room ? *room * 2 : 32;
		char **v = reallocarray(s->v, want, sizeof(*v));

		if (!v) {
			free(str);
			return -ENOMEM;
		}
		s->v = v;
		*room = want;
	}
	s->v[s->n++] = str;
	s->v[s->n] = NULL;
	s->bytes += bytes;
	return 0;
}

int exec_strings_from_host(struct exec_strings *s, char *const *v)
{
	size_t room = 0;
	int err = 0;

	*s = (struct exec_strings){0};
	for (size_t i = 0; v && v[i] && !err; i++) {
		size_t len = strlen(v[i]) + 1;

		err = len > EXEC_STRING_MAX ? -E2BIG
					    : exec_strings_push(s, strdup(v[i]), len, &room);
	}
	if (err)
		exec_strings_free(s);
	return err;
}

static int exec_copy_string(struct task *t, uint64_t addr, char *scratch, char **out, size_t *bytes)
{
	int64_t len = mm_copy_in_str(t->mm, scratch, GVA(addr), EXEC_STRING_MAX);

	if (len < 0)
		return len == -ENAMETOOLONG ? -E2BIG : -EFAULT;
	*bytes = (size_t)len + 1;
	*out = malloc(*bytes);
	if (!*out)
		return -ENOMEM;
	memcpy(*out, scratch, *bytes);
	return 0;
}

/* *budget: bytes that strings and their pointers may still take. */
static int exec_copy_strings(struct task *t, uint64_t addr, struct exec_strings *s, char *scratch,
			     uint64_t *budget)
{
	size_t room = 0, bytes;
	uint64_t ptr;
	char *str;
	int err;

	for (; addr; addr += sizeof(ptr)) {
		if (mm_copy_in(t->mm, &ptr, GVA(addr), sizeof(ptr)))
			return -EFAULT;
		if (!ptr)
			break;
		err = exec_copy_string(t, ptr, scratch, &str, &bytes);
		if (err)
			return err;
		if (bytes + sizeof(ptr) > *budget) {
			free(str);
			return -E2BIG;
		}
		*budget -= bytes + sizeof(ptr);
		err = exec_strings_push(s, str, bytes, &room);
		if (err)
			return err;
	}
	return 0;
}

/* ---- the other threads ---- */

/*
 * Only the calling thread survives an execve, under the leader's number (execve(2)). -EAGAIN: the
 * group is ending, or another thread was first.
 */
static int exec_end_other_threads(struct task *t)
{
	struct process *p = t->process;
	struct kernel *k = t->kernel;

	pthread_mutex_lock(&p->sig_lock);
	if (p->group_exiting || p->group_exec) {
		pthread_mutex_unlock(&p->sig_lock);
		return -EAGAIN;
	}
	p->group_exec = t;
	list_for_each(l, &p->tasks) {
		struct task *other = list_entry(l, struct task, group_link);

		if (other != t && !atomic_exchange(&other->exit_requested, true))
			task_interrupt(other);
	}
	pthread_mutex_unlock(&p->sig_lock);

	pthread_mutex_lock(&k->tasks_lock);
	if (p->ntasks > 1)
		cpu_release(t->cpu); /* the others need one to end */
	while (p->ntasks > 1)
		pthread_cond_wait(&p->thread_gone, &k->tasks_lock);
	if (t->tid != p->pid) {
		list_for_each(l, &p->children) {
			struct process *c = list_entry(l, struct process, sibling);

			if (c->parent_tid == t->tid)
				c->parent_tid = p->pid;
		}
		pid_detach(k->pids, t->tid, PID_TASK);
		/* cannot fail: the number is in the table as the process's */
		(void)pid_attach(k->pids, p->pid, PID_TASK, t);
		t->tid = p->pid;
	}
	pthread_mutex_unlock(&k->tasks_lock);

	pthread_mutex_lock(&p->sig_lock);
	p->group_exec = NULL;
	pthread_mutex_unlock(&p->sig_lock);
	return 0;
}

/* ---- the change ---- */

static void exec_switch_mm(struct task *t, struct mm *mm, atomic_uint *users)
{
	struct process *p = t->process;
	bool first = !t->mm, last = false;

	if (!first) {
		futex_exit_robust(t);
		futex_wake_clear_tid(t);
		last = task_drop_mm(t);
	}
	t->robust_list = GVA(0);
	t->robust_list_len = 0;
	t->clear_child_tid = GVA(0);
	t->set_child_tid = GVA(0);
	pthread_mutex_lock(&t->lock);
	t->mm = mm;
	t->mm_users = users;
	pthread_mutex_unlock(&t->lock);
	/*
	 * What building the new space staged is cached nowhere yet. What the old one staged went with
	 * its tables, unless somebody else (a vfork parent) still runs in it.
	 */
	if (first || last)
		tlb_clear();
	if (first)
		mm_flush_executed();
	mm_set_limits(mm, process_rlimit(p, RLIMIT_AS), process_rlimit(p, RLIMIT_DATA),
		      process_rlimit(p, RLIMIT_STACK));
}

static void exec_switch_identity(struct task *t, struct cred *n, const struct exec_image *img)
{
	struct process *p = t->process;
	struct cred_exec x = {
		.setuid = img->setuid_seen && !t->no_new_privs,
		.setgid = img->setgid_seen && !t->no_new_privs,
		.no_new_privs = t->no_new_privs,
		.uid = img->file_uid,
		.gid = img->file_gid,
	};
	bool secure;

	cred_exec(n, t->cred, &x, &secure);
	if (secure || !cred_same_ids(n, t->cred))
		t->pdeath_signal = 0;
	/* prctl(2), PR_SET_DUMPABLE: a program that changed identity is not to be looked into */
	atomic_store(&p->dumpable, n->euid == n->uid && n->egid == n->gid && !secure);
	task_set_cred(t, n);
}

/* Nothing here can fail. */
static void exec_commit(struct task *t, struct exec_image *img, struct fdtable *files,
			struct cred *n, atomic_uint *users)
{
	struct process *p = t->process;

	exec_switch_mm(t, img->mm, users);
	/* Descriptors close later: a parent takes that for the sign that setpgid(2) comes too late. */
	memcpy(t->comm, img->comm, sizeof(t->comm));
	pthread_mutex_lock(&t->kernel->tasks_lock);
	memcpy(p->exe, img->path, sizeof(p->exe));
	p->exe_dev = img->dev;
	p->exe_ino = img->ino;
	p->execed = true;
	if (p->parent)
		p->exit_signal = SIGCHLD;
	pthread_mutex_unlock(&t->kernel->tasks_lock);
	task_replace_files(t, files);
	fdtable_close_on_exec(t->files, t);
	task_vfork_done(t);
	signal_exec_reset(t);
	timer_set_exec(p->timers);
	cpu_fpu_reset(t->cpu);
	t->regs = img->regs;
	exec_switch_identity(t, n, img);
}

int exec_file(struct task *t, struct file *file, const char *filename, struct exec_strings *argv,
	      struct exec_strings *envp)
{
	struct exec_image *img = malloc(sizeof(*img));
	struct cred *n = cred_copy(t->cred);
	atomic_uint *users = malloc(sizeof(*users));
	struct fdtable *files = NULL;
	int err = -ENOMEM;

	if (!img || !n || !users)
		goto out;
	atomic_init(users, 1);
	err = loader_load(t, file, filename, argv, envp, n, img);
	if (err)
		goto out;
	err = exec_end_other_threads(t);
	if (!err && fdtable_shared(t->files)) {
		files = fdtable_copy(t->files);
		if (!files)
			err = -ENOMEM;
	}
	if (err) {
		mm_teardown(img->mm);
		mm_put(img->mm);
		goto out;
	}
	exec_commit(t, img, files, n, users);
	n = NULL;
	users = NULL;
out:
	free(img);
	free(users);
	cred_put(n);
	return err;
}

/* ---- the calls ---- */

static int64_t exec_call(struct task *t, int dirfd, uint64_t path, uint64_t argv, uint64_t envp,
			 int flags)
{
	struct exec_strings args = {0}, env = {0};
	uint64_t budget = loader_strings_limit(t);
	char *scratch = malloc(EXEC_STRING_MAX), *name = malloc(4096);
	struct file *file = NULL;
	int64_t err = -ENOMEM;

	if (!scratch || !name)
		goto out;
	err = mm_copy_in_str(t->mm, name, GVA(path), 4096);
	if (err == 0 && !(flags & AT_EMPTY_PATH))
		err = -ENOENT;
	if (err >= 0)
		err = exec_copy_strings(t, argv, &args, scratch, &budget);
	if (err == 0)
		err = exec_copy_strings(t, envp, &env, scratch, &budget);
	if (err == 0)
		err = vfs_open_exec(t, dirfd, name, flags, &file);
	if (err == 0) {
		char *shown = name, fdname[32 + 4096];

		/* execveat(2): what the program is told of a descriptor and a relative path */
		if (dirfd != AT_FDCWD && name[0] != '/') {
			snprintf(fdname, sizeof(fdname), name[0] ? "/dev/fd/%d/%s" : "/dev/fd/%d",
				 dirfd, name);
			shown = fdname;
		}
		err = exec_file(t, file, shown, &args, &env);
	}
	if (file)
		file_put(file);
out:
	free(scratch);
	free(name);
	exec_strings_free(&args);
	exec_strings_free(&env);
	return err;
}

int64_t sys_execve(struct task *t, const uint64_t a[6])
{
	return exec_call(t, AT_FDCWD, a[0], a[1], a[2], 0);
}

int64_t sys_execveat(struct task *t, const uint64_t a[6])
{
	int flags = (int)a[4];

	if (flags & ~(AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW))
		return -EINVAL;
	return exec_call(t, (int)a[0], a[1], a[2], a[3], flags);
}
