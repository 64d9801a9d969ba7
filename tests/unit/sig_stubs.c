/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/sig_stubs.h"

#include <stdlib.h>
#include <string.h>

#include "runtime/arch/arch.h"
#include "runtime/syscall/strace.h"
#include "runtime/task/futex.h"
#include "runtime/task/pgrp.h"
#include "runtime/task/timer.h"

static struct world *world;

static void no_handler(int sig)
{
	(void)sig;
}

static void process_start(struct world *w, struct process *p, pid_t pid)
{
	p->kernel = &w->kernel;
	p->pid = p->pgid = pid;
	atomic_init(&p->refs, 1);
	list_init(&p->tasks);
	list_init(&p->children);
	signal_process_init(p);
	waitq_init(&p->child_wait);
	p->timers = timer_set_create(p);
	for (int i = 0; i < 16; i++)
		p->rlimits[i].rlim_cur = p->rlimits[i].rlim_max = 1000;
	list_add_tail(&w->kernel.processes, &p->all_link);
}

static void task_start(struct world *w, struct process *p, struct task *t, pid_t tid,
		       struct sighand *sh)
{
	static struct cred cred = {.uid = 1000, .euid = 1000};

	t->kernel = &w->kernel;
	t->process = p;
	t->tid = tid;
	t->cred = &cred;
	t->sighand = sh;
	t->thread = pthread_self();
	t->mm = (struct mm *)w;
	atomic_init(&t->refs, 1);
	pthread_mutex_init(&t->lock, NULL);
	signal_task_init(t);
	list_add_tail(&p->tasks, &t->group_link);
}

void world_init(struct world *w, unsigned ntasks)
{
	struct sigaction sa = {.sa_handler = no_handler};
	struct sighand *sh = sighand_create();

	memset(w, 0, sizeof(*w));
	world = w;
	w->exit_status = -1;
	w->ntasks = ntasks;
	pthread_mutex_init(&w->kernel.tasks_lock, NULL);
	list_init(&w->kernel.processes);
	w->kernel.futexes = futex_table_create();
	process_start(w, &w->parent, 10);
	process_start(w, &w->process, 20);
	w->process.parent = &w->parent;
	task_start(w, &w->parent, &w->parent_task, 10, sighand_create());
	for (unsigned i = 0; i < ntasks; i++)
		task_start(w, &w->process, &w->task[i], 20 + (pid_t)i, i ? sighand_get(sh) : sh);
	sigaction(platform_kick_signal(), &sa, NULL);
}

void world_destroy(struct world *w)
{
	timer_set_destroy(w->parent.timers);
	timer_set_destroy(w->process.timers);
	signal_process_destroy(&w->parent);
	for (unsigned i = 0; i < w->ntasks; i++) {
		sigqueue_flush(&w->process, &w->task[i].pending, ~0ull);
		sighand_put(w->task[i].sighand);
	}
	sighand_put(w->parent_task.sighand);
	signal_process_destroy(&w->process);
	futex_table_destroy(w->kernel.futexes);
}

void world_become(struct task *t)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, platform_kick_signal());
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	t->thread = pthread_self();
}

/* ---- what the rest of nacre provides ---- */

int platform_kick_signal(void)
{
	return SIGRTMIN + 2;
}

void cpu_release(struct cpu_thread *t)
{
	(void)t;
}

void task_interrupt(struct task *t)
{
	atomic_store(&t->attention, true);
	task_wake(t);
	atomic_fetch_add(&world->kicks, 1);
}

struct task *process_any_task_locked(struct process *p)
{
	return list_empty(&p->tasks) ? NULL : list_entry(p->tasks.next, struct task, group_link);
}

struct task *process_any_task(struct process *p)
{
	struct task *t;

	pthread_mutex_lock(&p->sig_lock);
	t = process_any_task_locked(p);
	if (t)
		atomic_fetch_add(&t->refs, 1);
	pthread_mutex_unlock(&p->sig_lock);
	return t;
}

void task_put(struct task *t)
{
	atomic_fetch_sub(&t->refs, 1);
}

struct task *task_find(struct kernel *k, pid_t tid)
{
	(void)k;
	for (unsigned i = 0; i < world->ntasks; i++) {
		if (world->task[i].tid != tid)
			continue;
		atomic_fetch_add(&world->task[i].refs, 1);
		return &world->task[i];
	}
	return NULL;
}

struct process *process_find(struct kernel *k, pid_t pid)
{
	(void)k;
	(void)pid;
	return NULL;
}

void process_put(struct process *p)
{
	(void)p;
}

struct cred *task_get_cred(struct task *t)
{
	return t->cred;
}

void cred_put(struct cred *c)
{
	(void)c;
}

bool pgrp_is_orphaned_locked(struct kernel *k, pid_t pgid)
{
	(void)k;
	(void)pgid;
	return false;
}

void strace_signal(struct task *t, int sig, const guest_siginfo_t *info)
{
	(void)t;
	(void)sig;
	(void)info;
}

void process_exit_group(struct process *p, int status)
{
	(void)p;
	atomic_store(&world->exit_status, status);
}

void process_cpu_times(struct process *p, uint64_t *user_ns, uint64_t *sys_ns)
{
	(void)p;
	*user_ns = *sys_ns = 0;
}

void task_cpu_times(struct task *t, uint64_t *user_ns, uint64_t *sys_ns)
{
	(void)t;
	*user_ns = *sys_ns = 0;
}

uint64_t process_rlimit(struct process *p, int resource)
{
	return p->rlimits[resource].rlim_cur;
}

bool cred_capable(const struct cred *c, int cap)
{
	(void)c;
	(void)cap;
	return false;
}

int vdso_clock(struct kernel *k, int clock, struct timespec *out)
{
	(void)k;
	return clock_gettime(clock, out) ? -EINVAL : 0;
}

/* ---- guest memory ---- */

static bool bad(uint64_t a)
{
	return a < 65536;
}

int mm_copy_in(struct mm *mm, void *dst, gva_t src, size_t len)
{
	(void)mm;
	if (bad(src.v))
		return -EFAULT;
	memcpy(dst, (void *)(uintptr_t)src.v, len);
	return 0;
}

void mm_get_layout(struct mm *mm, struct mm_layout *out)
{
	(void)mm;
	memset(out, 0, sizeof(*out));
}

int mm_copy_out(struct mm *mm, gva_t dst, const void *src, size_t len)
{
	(void)mm;
	if (bad(dst.v))
		return -EFAULT;
	memcpy((void *)(uintptr_t)dst.v, src, len);
	return 0;
}

int mm_futex_key(struct mm *mm, gva_t addr, bool is_private, struct mm_futex_key *out)
{
	(void)is_private;
	if (addr.v & 3)
		return -EINVAL;
	*out = (struct mm_futex_key){.a = (uintptr_t)mm, .b = addr.v};
	return 0;
}

int mm_load32(struct mm *mm, gva_t addr, uint32_t *out)
{
	(void)mm;
	if (bad(addr.v))
		return -EFAULT;
	*out = atomic_load((_Atomic uint32_t *)(uintptr_t)addr.v);
	return 0;
}

int mm_cmpxchg32(struct mm *mm, gva_t addr, uint32_t expect, uint32_t desired, uint32_t *seen)
{
	(void)mm;
	if (bad(addr.v))
		return -EFAULT;
	*seen = expect;
	atomic_compare_exchange_strong((_Atomic uint32_t *)(uintptr_t)addr.v, seen, desired);
	return 0;
}

/* ---- the vector state ---- */

size_t cpu_fpu_size(const struct platform *p)
{
	(void)p;
	return 832;
}

uint64_t cpu_fpu_features(const struct platform *p)
{
	(void)p;
	return 7;
}

void cpu_fpu_get(struct cpu_thread *t, void *buf)
{
	(void)t;
	memset(buf, 0, 832);
	((uint8_t *)buf)[512] = 7;
}

int cpu_fpu_set(struct cpu_thread *t, const void *buf, size_t len)
{
	(void)t;
	(void)buf;
	return len == 832 ? 0 : -EINVAL;
}

void cpu_fpu_reset(struct cpu_thread *t)
{
	(void)t;
}
