/* SPDX-License-Identifier: Apache-2.0 */
/* clone(2), clone3(2), fork(2), vfork(2). */
#include "runtime/task/clone.h"

#include <linux/sched.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/arch/arch.h"
#include "runtime/fs/fdtable.h"
#include "runtime/fs/fs_context.h"
#include "runtime/task/cred.h"
#include "runtime/task/exec.h"
#include "runtime/task/loop.h"
#include "runtime/task/pid.h"
#include "runtime/task/seccomp.h"
#include "runtime/task/timer.h"
#include "runtime/task/pidfd.h"

#define CLONE_NAMESPACES                                                                           \
	(CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER |             \
	 CLONE_NEWPID | CLONE_NEWNET)
#define CLONE3_FLAGS (0xffffffffull | CLONE_CLEAR_SIGHAND | CLONE_INTO_CGROUP)
#define CLONE_SET_TID_MAX 32 /* MAX_PID_NS_LEVEL */

/* ---- what is refused ---- */

static int clone3_check(const struct clone_args_guest *a)
{
	if (a->flags & ~CLONE3_FLAGS)
		return -EINVAL;
	if (a->flags & (CLONE_DETACHED | (CSIGNAL & ~CLONE_NEWTIME)))
		return -EINVAL;
	if (a->set_tid_size > CLONE_SET_TID_MAX || !a->set_tid != !a->set_tid_size)
		return -EINVAL;
	if (a->exit_signal > GUEST_NSIG)
		return -EINVAL;
	if (a->flags & (CLONE_THREAD | CLONE_PARENT) && a->exit_signal)
		return -EINVAL;
	if ((a->flags & (CLONE_SIGHAND | CLONE_CLEAR_SIGHAND)) ==
	    (CLONE_SIGHAND | CLONE_CLEAR_SIGHAND))
		return -EINVAL;
	if (!a->stack != !a->stack_size || a->stack + a->stack_size < a->stack)
		return -EINVAL;
	/* a wanted pid is for checkpoint and restore */
	if (a->set_tid_size)
		return -EPERM;
	if (a->flags & CLONE_INTO_CGROUP) /* no descriptor here is a cgroup's directory */
		return -EBADF;
	if (a->flags & CLONE_NEWTIME)
		return -EPERM;
	return 0;
}

int clone_check(const struct clone_args_guest *a, bool clone3, bool is_init)
{
	uint64_t f = a->flags;
	int err;

	if (clone3) {
		err = clone3_check(a);
		if (err)
			return err;
	} else if (f & CLONE_PIDFD && f & (CLONE_PARENT_SETTID | CLONE_DETACHED)) {
		return -EINVAL; /* both would be written to the same word */
	}
	if (f & CLONE_FS && f & (CLONE_NEWNS | CLONE_NEWUSER))
		return -EINVAL;
	if (f & CLONE_THREAD && !(f & CLONE_SIGHAND))
		return -EINVAL;
	if (f & CLONE_SIGHAND && !(f & CLONE_VM))
		return -EINVAL;
	if (f & CLONE_PARENT && is_init)
		return -EINVAL;
	if (f & CLONE_THREAD && f & (CLONE_NEWUSER | CLONE_NEWPID | CLONE_PIDFD))
		return -EINVAL;
	if (f & CLONE_NEWIPC && f & CLONE_SYSVSEM)
		return -EINVAL;
	if (f & CLONE_NAMESPACES)
		return -EPERM;
	return 0;
}

/* ---- vfork ---- */

struct vfork_wait *vfork_wait_create(void)
{
	struct vfork_wait *v = calloc(1, sizeof(*v));

	if (!v)
		return NULL;
	atomic_init(&v->refs, 1);
	waitq_init(&v->wait);
	return v;
}

void vfork_wait_put(struct vfork_wait *v)
{
	if (!v || atomic_fetch_sub_explicit(&v->refs, 1, memory_order_acq_rel) != 1)
		return;
	waitq_destroy(&v->wait);
	free(v);
}

void task_vfork_done(struct task *t)
{
	struct vfork_wait *v = t->vfork;

	if (!v)
		return;
	t->vfork = NULL;
	atomic_store(&v->done, true);
	waitq_wake(&v->wait, 0, 0);
	vfork_wait_put(v);
}

static void vfork_wait_for_child(struct task *t, struct vfork_wait *v)
{
	struct waiter w;

	waiter_init(&w, t);
	waitq_add(&v->wait, &w, 0);
	for (;;) {
		task_prepare_park(t);
		if (atomic_load(&v->done) || task_park_killable(t, DEADLINE_NONE) == -EINTR)
			break;
	}
	waitq_remove(&w);
	vfork_wait_put(v);
}

/* ---- making the pieces ---- */

static int clone_mm(struct task *t, struct task *c, uint64_t flags)
{
	int err;

	if (flags & CLONE_VM) {
		atomic_fetch_add(t->mm_users, 1);
		c->mm_users = t->mm_users;
		c->mm = mm_get(t->mm);
		return 0;
	}
	c->mm_users = malloc(sizeof(*c->mm_users));
	if (!c->mm_users)
		return -ENOMEM;
	atomic_init(c->mm_users, 1);
	err = mm_fork(t->mm, &c->mm);
	if (err) {
		free(c->mm_users);
		c->mm_users = NULL;
	}
	return err;
}

static int clone_shared(struct task *t, struct task *c, uint64_t flags)
{
	c->files = flags & CLONE_FILES ? fdtable_get(t->files) : fdtable_copy(t->files);
	if (!c->files)
		return -ENOMEM;
	c->fs = flags & CLONE_FS ? fs_context_get(t->fs) : fs_context_copy(t->fs);
	if (!c->fs)
		return -ENOMEM;
	if (flags & CLONE_SIGHAND) {
		c->sighand = sighand_get(t->sighand);
	} else {
		c->sighand = sighand_copy(t->sighand);
		if (!c->sighand)
			return -ENOMEM;
		if (flags & CLONE_CLEAR_SIGHAND)
			for (int sig = 1; sig <= GUEST_NSIG; sig++)
				if (c->sighand->action[sig].handler != (uintptr_t)SIG_IGN)
					memset(&c->sighand->action[sig], 0,
					       sizeof(c->sighand->action[sig]));
	}
	return clone_mm(t, c, flags);
}

static void clone_task_state(struct task *t, struct task *c, const struct clone_args_guest *a)
{
	uint64_t flags = a->flags;

	c->regs = t->regs;
	arch_child_regs(&c->regs, a->stack ? a->stack + a->stack_size : 0);
	cpu_fpu_copy(c->cpu, t->cpu);
	c->cred = cred_get(t->cred);
	memcpy(c->comm, t->comm, sizeof(c->comm));
	c->sched = t->sched;
	if (c->sched.reset_on_fork) {
		c->sched.policy = 0;
		c->sched.priority = 0;
		c->sched.reset_on_fork = false;
	}
	c->personality = t->personality;
	c->sig_blocked = t->sig_blocked;
	if (!(flags & CLONE_VM) || flags & CLONE_VFORK)
		c->altstack = t->altstack;
	if (flags & CLONE_CHILD_SETTID)
		c->set_child_tid = GVA(a->child_tid);
	if (flags & CLONE_CHILD_CLEARTID)
		c->clear_child_tid = GVA(a->child_tid);
}

static struct process *clone_process(struct task *t, const struct clone_args_guest *a)
{
	struct process *old = t->process, *p = process_alloc(t->kernel);

	if (!p)
		return NULL;
	pthread_mutex_lock(&old->sig_lock);
	memcpy(p->rlimits, old->rlimits, sizeof(p->rlimits));
	pthread_mutex_unlock(&old->sig_lock);
	timer_set_cpu_limit(p);
	atomic_store(&p->dumpable, atomic_load(&old->dumpable));
	atomic_store(&p->nice, t->sched.reset_on_fork && atomic_load(&old->nice) < 0
				       ? 0
				       : atomic_load(&old->nice));
	p->thp_disable = old->thp_disable;
	atomic_store(&p->oom_score_adj, atomic_load(&old->oom_score_adj));
	p->exit_signal = (int)a->exit_signal;
	return p;
}

/* Everything of a task that never ran or ends before it was published. */
static void clone_abandon(struct task *t, struct task *c)
{
	if (c->mm)
		task_drop_mm(c);
	if (c->fs)
		fs_context_put(c->fs);
	if (c->files)
		fdtable_put(c->files, t);
	c->fs = NULL;
	c->files = NULL;
	vfork_wait_put(c->vfork);
	c->vfork = NULL;
	task_put(c);
}

/* ---- publication ---- */

/* RLIMIT_NPROC counts the tasks of a real uid; getrlimit(2) exempts two capabilities and root. */
static bool clone_nproc_exceeded_locked(struct task *t)
{
	uint64_t limit = process_rlimit(t->process, RLIMIT_NPROC), count = 0;
	uid_t uid = t->cred->uid;

	if (limit == RLIM64_INFINITY || uid == 0 || cred_capable(t->cred, CAP_SYS_RESOURCE) ||
	    cred_capable(t->cred, CAP_SYS_ADMIN))
		return false;
	list_for_each(l, &t->kernel->processes) {
		struct process *p = list_entry(l, struct process, all_link);
		struct task *any = process_any_task_locked(p);

		if (!any) {
			count += p->owner_uid == uid;
			continue;
		}
		pthread_mutex_lock(&any->lock);
		if (any->cred->uid == uid)
			count += p->ntasks;
		pthread_mutex_unlock(&any->lock);
	}
	return count >= limit;
}

static int clone_link_process_locked(struct task *t, struct task *c, uint64_t flags)
{
	struct process *old = t->process, *p = c->process;
	int err;

	p->pid = c->tid;
	memcpy(p->exe, old->exe, sizeof(p->exe));
	p->exe_dev = old->exe_dev;
	p->exe_ino = old->exe_ino;
	p->session = old->session;
	p->tty_given_up = old->tty_given_up;
	atomic_fetch_add(&p->session->refs, 1);
	err = pid_attach(t->kernel->pids, p->session->sid, PID_SESSION, NULL);
	if (err) {
		session_put_locked(p->session);
		p->session = NULL;
		return err;
	}
	err = process_join_group_locked(p, old->pgid);
	if (!err)
		err = task_publish_locked(c);
	if (err) {
		process_leave_group_locked(p);
		process_leave_session_locked(p);
		return err;
	}
	p->parent = flags & CLONE_PARENT ? old->parent : old;
	p->parent_tid = flags & CLONE_PARENT ? old->parent_tid : t->tid;
	if (flags & CLONE_PARENT)
		p->exit_signal = old->exit_signal;
	if (p->parent)
		list_add_tail(&p->parent->children, &p->sibling);
	return 0;
}

/* Before the costly copies: a container at its bound fails fast. clone_publish() decides. */
static bool clone_over_limit(struct kernel *k)
{
	bool over;

	pthread_mutex_lock(&k->tasks_lock);
	over = k->ntasks + k->nzombies >= k->pids_max;
	pthread_mutex_unlock(&k->tasks_lock);
	return over;
}

static int clone_publish(struct task *t, struct task *c, uint64_t flags)
{
	struct kernel *k = t->kernel;
	int err;

	pthread_mutex_lock(&k->tasks_lock);
	/*
	 * Signals to a group or to everybody walk the lists under tasks_lock: one that came before us
	 * did not reach the child, so it is handled first and the call made again.
	 */
	if (signal_pending(t))
		err = -ERESTARTNOINTR;
	else if (k->init_gone || k->ntasks + k->nzombies >= k->pids_max ||
		 clone_nproc_exceeded_locked(t))
		err = -EAGAIN;
	else
		err = c->tid = pid_next(k->pids);
	if (err > 0)
		seccomp_inherit(t, c);
	if (err > 0)
		err = flags & CLONE_THREAD ? task_publish_locked(c)
					   : clone_link_process_locked(t, c, flags);
	pthread_mutex_unlock(&k->tasks_lock);
	return err;
}

/* ---- the call ---- */

static int64_t clone_start(struct task *t, struct task *c, struct worker *w,
			   const struct clone_args_guest *a)
{
	struct vfork_wait *v = NULL;
	pid_t tid;
	int err;

	if (a->flags & CLONE_VFORK) {
		v = c->vfork = vfork_wait_create();
		if (!v)
			return -ENOMEM;
		atomic_fetch_add(&v->refs, 1);
	}
	c->thread = worker_thread(w);
	err = clone_publish(t, c, a->flags);
	if (err) {
		vfork_wait_put(v);
		return err;
	}
	tid = c->tid;
	task_update_answers(c);
	/* a word that cannot be written is not an error any more: the child exists */
	if (a->flags & CLONE_PARENT_SETTID)
		(void)mm_copy_out(t->mm, GVA(a->parent_tid), &tid, sizeof(tid));
	worker_start(w, c);
	if (v)
		vfork_wait_for_child(t, v);
	return tid;
}

static int clone_pidfd(struct task *t, struct task *c, uint64_t addr)
{
	int fd = pidfd_install(t, c->process, 0);
	int32_t out = fd;

	if (fd >= 0 && mm_copy_out(t->mm, GVA(addr), &out, sizeof(out))) {
		fd_close(t, fd);
		return -EFAULT;
	}
	return fd;
}

static int64_t clone_do(struct task *t, const struct clone_args_guest *a)
{
	struct worker *w = NULL;
	struct task *c = clone_over_limit(t->kernel) ? NULL : task_alloc(t->kernel);
	int pidfd = -1;
	int64_t ret;

	if (!c)
		return -EAGAIN;
	if (a->flags & CLONE_THREAD) {
		c->process = t->process;
		process_get(c->process);
	} else {
		c->process = clone_process(t, a);
	}
	ret = c->process ? clone_shared(t, c, a->flags) : -ENOMEM;
	if (ret == 0) {
		clone_task_state(t, c, a);
		if (a->flags & CLONE_SETTLS)
			ret = arch_set_thread_tls(&c->regs, a->tls);
	}
	if (ret == 0 && a->flags & CLONE_PIDFD)
		ret = pidfd = clone_pidfd(t, c, a->pidfd);
	if (ret >= 0)
		ret = worker_reserve(t->kernel->workers, &w);
	if (ret == 0)
		ret = clone_start(t, c, w, a);
	if (ret < 0) {
		if (w)
			worker_cancel(w);
		if (pidfd >= 0)
			fd_close(t, pidfd);
		clone_abandon(t, c);
	}
	return ret;
}

static int64_t clone_legacy(struct task *t, uint64_t flags, uint64_t stack, uint64_t ptid,
			    uint64_t ctid, uint64_t tls)
{
	struct clone_args_guest a = {
		.flags = (uint32_t)flags & ~(uint64_t)CSIGNAL,
		.pidfd = ptid,
		.child_tid = ctid,
		.parent_tid = ptid,
		.exit_signal = flags & CSIGNAL,
		.stack = stack,
		.tls = tls,
	};
	int err = clone_check(&a, false, t->process->unkillable);

	return err ? err : clone_do(t, &a);
}

int64_t sys_clone(struct task *t, const uint64_t a[6])
{
	return clone_legacy(t, a[0], a[1], a[2], a[ARCH_CLONE_ARG_CTID], a[ARCH_CLONE_ARG_TLS]);
}

int64_t sys_fork(struct task *t, const uint64_t a[6])
{
	(void)a;
	return clone_legacy(t, SIGCHLD, 0, 0, 0, 0);
}

int64_t sys_vfork(struct task *t, const uint64_t a[6])
{
	(void)a;
	return clone_legacy(t, CLONE_VFORK | CLONE_VM | SIGCHLD, 0, 0, 0, 0);
}

int64_t sys_clone3(struct task *t, const uint64_t a[6])
{
	struct clone_args_guest args = {0};
	uint64_t size = a[1];
	int err;

	if (size > PAGE_SIZE)
		return -E2BIG;
	if (size < CLONE_ARGS_SIZE_VER0)
		return -EINVAL;
	if (mm_copy_in(t->mm, &args, GVA(a[0]), size < sizeof(args) ? size : sizeof(args)))
		return -EFAULT;
	/* a longer struct from a newer program is fine as long as the rest is zero */
	for (uint64_t off = sizeof(args); off < size; off += 8) {
		uint64_t word = 0;

		if (mm_copy_in(t->mm, &word, GVA(a[0] + off), size - off < 8 ? size - off : 8))
			return -EFAULT;
		if (word)
			return -E2BIG;
	}
	err = clone_check(&args, true, t->process->unkillable);
	return err ? err : clone_do(t, &args);
}

/* ---- unshare and setns ---- */

int64_t sys_unshare(struct task *t, const uint64_t a[6])
{
	uint64_t flags = (uint32_t)a[0];
	struct fdtable *files = NULL;
	struct fs_context *fs = NULL;

	if (flags & ~(uint64_t)(CLONE_THREAD | CLONE_FS | CLONE_SIGHAND | CLONE_VM | CLONE_FILES |
				CLONE_SYSVSEM | CLONE_NEWTIME | CLONE_NAMESPACES))
		return -EINVAL;
	/* what a multithreaded process cannot stop sharing */
	if (flags & (CLONE_THREAD | CLONE_SIGHAND | CLONE_VM) && atomic_load(&t->process->live) > 1)
		return -EINVAL;
	if (flags & (CLONE_NAMESPACES | CLONE_NEWTIME))
		return -EPERM;
	if (flags & CLONE_FILES) {
		files = fdtable_copy(t->files);
		if (!files)
			return -ENOMEM;
	}
	if (flags & CLONE_FS) {
		fs = fs_context_copy(t->fs);
		if (!fs) {
			if (files)
				fdtable_put(files, t);
			return -ENOMEM;
		}
	}
	task_replace_files(t, files);
	if (fs) {
		struct fs_context *old = t->fs;

		pthread_mutex_lock(&t->lock);
		t->fs = fs;
		pthread_mutex_unlock(&t->lock);
		fs_context_put(old);
	}
	return 0;
}

int64_t sys_setns(struct task *t, const uint64_t a[6])
{
	struct file *f = fd_get(t, (int)a[0]);

	if (!f)
		return -EBADF;
	file_put(f);
	return -EPERM;
}
