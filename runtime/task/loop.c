/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/task/loop.h"

#include <stdio.h>
#include <stdlib.h>

#include "runtime/arch/arch.h"
#include "runtime/loader/loader.h"
#include "runtime/syscall/syscall.h"
#include "runtime/task/sched.h"
#include "runtime/task/usage.h"

#define WORKER_STACK_BYTES (256 * 1024)
#define WORKERS_PARKED 16 /* ended threads kept for the next clone() */

enum worker_state { WORKER_PARKED, WORKER_RESERVED, WORKER_RUNNING, WORKER_QUIT };

struct worker {
	struct list link; /* in pool->idle, or pool->dead; protected by pool->lock */
	struct list all_link;
	struct worker_pool *pool;
	pthread_t thread;
	pthread_cond_t cond;
	enum worker_state state; /* protected by pool->lock */
	struct task *task;
};

struct worker_pool {
	pthread_mutex_t lock;
	struct list all, idle, dead;
	unsigned nidle;
	bool closing;
	pthread_attr_t attr;
};

/* ---- the loop ---- */

static void task_crash(struct task *t)
{
	char report[4096];
	size_t n = platform_crash_report(t->kernel->platform, t->cpu, report, sizeof(report));

	if (n >= sizeof(report))
		n = sizeof(report) - 1;
	if (t->kernel->log_fd >= 0)
		dprintf(t->kernel->log_fd,
			"nacre: guest thread %d (%s) trapped in a way that cannot be; process %d is "
			"killed\n%.*s\n",
			t->tid, t->comm, t->process->pid, (int)n, report);
	process_exit_group(t->process, SIGKILL);
}

static void task_page_fault(struct task *t, const struct cpu_trap *trap, bool host)
{
	int err = host ? mm_fault_host(t->mm, trap->addr, trap->access)
		       : mm_fault(t->mm, trap->addr, trap->access);

	if (err == 0)
		return;
	if (err == -ENOMEM)
		process_oom_kill(t->process);
	else
		arch_fault_signal(t, trap, err);
}

/* Returns false when the task must end. */
static bool task_syscall(struct task *t)
{
	const struct syscall_row *row;
	int64_t ret = syscall_dispatch(t);

	if (ret == 0) {
		/* execve and rt_sigreturn replaced the registers: there is no result to write */
		row = syscall_lookup((uint32_t)t->trapped_nr);
		if (row && row->flags & SYS_NORETURN)
			return !atomic_load(&t->attention) || signal_deliver(t, false, 0);
	}
	if (__builtin_expect(atomic_load_explicit(&t->attention, memory_order_relaxed) ||
				     (ret <= -ERESTARTSYS && ret >= -ERESTART_RESTARTBLOCK),
			     0))
		return signal_deliver(t, true, ret);
	arch_set_result(&t->regs, ret);
	return true;
}

static bool task_handle_trap(struct task *t, const struct cpu_trap *trap)
{
	switch (trap->kind) {
	case CPU_TRAP_SYSCALL:
		t->trapped_nr = arch_begin_syscall(&t->regs);
		return task_syscall(t);
	case CPU_TRAP_PAGE_FAULT:
		task_page_fault(t, trap, false);
		break;
	case CPU_TRAP_HOST_FAULT:
		task_page_fault(t, trap, true);
		break;
	case CPU_TRAP_EXCEPTION:
		arch_exception(t, trap);
		break;
	case CPU_TRAP_KICKED:
		break;
	case CPU_TRAP_CRASH:
		task_crash(t);
		break;
	}
	return !atomic_load(&t->attention) || signal_deliver(t, false, 0);
}

static void task_loop(struct task *t)
{
	struct cpu_trap trap;

	/* a signal may have come before the first instruction */
	if (atomic_load(&t->attention) && !signal_deliver(t, false, 0))
		return;
	do {
		if (atomic_load_explicit(&t->answers_stale, memory_order_relaxed) &&
		    atomic_exchange(&t->answers_stale, false))
			task_update_answers(t);
		vdso_refresh(t->kernel);
		cpu_run(t->cpu, t->mm, &t->regs, &trap);
	} while (task_handle_trap(t, &trap));
}

static void task_main(struct task *t)
{
	pid_t tid = t->tid;

	task_begin_usage(t);
	if (task_is_pinned(t))
		task_apply_affinity(t);
	if (t->set_child_tid.v)
		(void)mm_copy_out(t->mm, t->set_child_tid, &tid, sizeof(tid));
	task_loop(t);
	if (task_is_pinned(t))
		task_reset_affinity(t);
	task_exit(t);
}

/* ---- the pool ---- */

struct worker_pool *worker_pool_create(void)
{
	struct worker_pool *pool = calloc(1, sizeof(*pool));

	if (!pool)
		return NULL;
	pthread_mutex_init(&pool->lock, NULL);
	list_init(&pool->all);
	list_init(&pool->idle);
	list_init(&pool->dead);
	pthread_attr_init(&pool->attr);
	pthread_attr_setstacksize(&pool->attr, WORKER_STACK_BYTES);
	pthread_attr_setguardsize(&pool->attr, PAGE_SIZE);
	return pool;
}

/* The task is over: park for the next one, or end. Returns whether there will be a next one. */
static bool worker_rest_locked(struct worker *w)
{
	struct worker_pool *pool = w->pool;

	w->task = NULL;
	if (pool->closing || pool->nidle >= WORKERS_PARKED) {
		w->state = WORKER_QUIT;
		return false;
	}
	w->state = WORKER_PARKED;
	list_add(&pool->idle, &w->link);
	pool->nidle++;
	return true;
}

static void *worker_main(void *arg)
{
	struct worker *w = arg;
	struct worker_pool *pool = w->pool;

	pthread_mutex_lock(&pool->lock);
	for (;;) {
		while (w->state == WORKER_PARKED || w->state == WORKER_RESERVED)
			pthread_cond_wait(&w->cond, &pool->lock);
		if (w->state == WORKER_QUIT)
			break;
		pthread_mutex_unlock(&pool->lock);
		task_main(w->task);
		pthread_mutex_lock(&pool->lock);
		if (!worker_rest_locked(w))
			break;
	}
	/* A closing pool frees every worker by the other list, neighbours in this one included. */
	if (!pool->closing)
		list_add(&pool->dead, &w->link);
	pthread_mutex_unlock(&pool->lock);
	return NULL;
}

static void worker_free(struct worker *w)
{
	pthread_join(w->thread, NULL);
	pthread_cond_destroy(&w->cond);
	free(w);
}

static struct worker *worker_spawn(struct worker_pool *pool)
{
	struct worker *w = calloc(1, sizeof(*w));
	sigset_t all, old;
	int err;

	if (!w)
		return NULL;
	w->pool = pool;
	w->state = WORKER_RESERVED;
	list_init(&w->link);
	pthread_cond_init(&w->cond, NULL);
	/* host signals are the control thread's; faults of our own must still be seen */
	sigfillset(&all);
	sigdelset(&all, SIGSEGV);
	sigdelset(&all, SIGBUS);
	sigdelset(&all, SIGILL);
	sigdelset(&all, SIGFPE);
	sigdelset(&all, SIGABRT);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	err = pthread_create(&w->thread, &pool->attr, worker_main, w);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (err) {
		pthread_cond_destroy(&w->cond);
		free(w);
		return NULL;
	}
	return w;
}

int worker_reserve(struct worker_pool *pool, struct worker **out)
{
	struct worker *w = NULL, *dead = NULL;

	pthread_mutex_lock(&pool->lock);
	if (!list_empty(&pool->idle)) {
		w = list_entry(pool->idle.next, struct worker, link);
		list_del(&w->link);
		pool->nidle--;
		w->state = WORKER_RESERVED;
	}
	if (!list_empty(&pool->dead)) {
		dead = list_entry(pool->dead.next, struct worker, link);
		list_del(&dead->link);
		list_del(&dead->all_link);
	}
	pthread_mutex_unlock(&pool->lock);
	if (dead)
		worker_free(dead);
	if (!w) {
		w = worker_spawn(pool);
		if (!w)
			return -EAGAIN;
		pthread_mutex_lock(&pool->lock);
		list_add_tail(&pool->all, &w->all_link);
		pthread_mutex_unlock(&pool->lock);
	}
	*out = w;
	return 0;
}

void worker_start(struct worker *w, struct task *t)
{
	pthread_mutex_lock(&w->pool->lock);
	w->task = t;
	w->state = WORKER_RUNNING;
	pthread_cond_signal(&w->cond);
	pthread_mutex_unlock(&w->pool->lock);
}

pthread_t worker_thread(const struct worker *w)
{
	return w->thread;
}

void worker_cancel(struct worker *w)
{
	struct worker_pool *pool = w->pool;

	pthread_mutex_lock(&pool->lock);
	if (!worker_rest_locked(w))
		pthread_cond_signal(&w->cond);
	pthread_mutex_unlock(&pool->lock);
}

void worker_pool_destroy(struct worker_pool *pool)
{
	if (!pool)
		return;
	pthread_mutex_lock(&pool->lock);
	pool->closing = true;
	list_for_each_safe(l, &pool->idle) {
		struct worker *w = list_entry(l, struct worker, link);

		list_del(&w->link);
		w->state = WORKER_QUIT;
		pthread_cond_signal(&w->cond);
	}
	pthread_mutex_unlock(&pool->lock);
	list_for_each_safe(l, &pool->all)
		worker_free(list_entry(l, struct worker, all_link));
	pthread_attr_destroy(&pool->attr);
	pthread_mutex_destroy(&pool->lock);
	free(pool);
}
