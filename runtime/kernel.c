/* SPDX-License-Identifier: Apache-2.0 */
/* The application kernel's beginning and end, and what the outside asks of it in between. */
#include "runtime/kernel.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "runtime/fs/tty.h"
#include "runtime/fs/vfs.h"
#include "runtime/loader/loader.h"
#include "runtime/syscall/ipc.h"
#include "runtime/process_spec.h"
#include "runtime/task/futex.h"
#include "runtime/task/idmap.h"
#include "runtime/task/loop.h"
#include "runtime/task/pid.h"
#include "runtime/task/task.h"
#include "runtime/task/timer.h"

/* Tasks a container may have when nobody said: well below the host threads one process may have. */
#define PIDS_MAX_DEFAULT 16384u

/* ---- creation ---- */

static int kernel_init_state(struct kernel *k, const struct kernel_config *cfg)
{
	struct timespec now;

	pthread_mutex_init(&k->tasks_lock, NULL);
	pthread_mutex_init(&k->uts_lock, NULL);
	pthread_cond_init(&k->all_gone, NULL);
	list_init(&k->processes);
	k->pids_max = cfg->pids_max ? cfg->pids_max : PIDS_MAX_DEFAULT;
	k->strace = cfg->strace;
	k->debug = cfg->debug;
	k->log_fd = cfg->log_fd;
	k->ended_fd = -1;
	k->host_proc_fd = cfg->host_proc_fd;
	snprintf(k->hostname, sizeof(k->hostname), "%s", cfg->hostname ? cfg->hostname : "nacre");
	snprintf(k->domainname, sizeof(k->domainname), "%s",
		 cfg->domainname ? cfg->domainname : "(none)");
	clock_gettime(CLOCK_BOOTTIME, &now);
	k->boot_ns = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
	/* A container that is just made has no past to lose: clocks that are set back begin at 0. */
	if (cfg->boottime_offset > 0)
		k->boot_ns -= (uint64_t)cfg->boottime_offset;
	if (sched_getaffinity(0, sizeof(k->host_affinity), (cpu_set_t *)k->host_affinity))
		k->host_affinity[0] = 1;
	k->config.memory_bytes = cfg->memory_bytes;
	k->config.pids_max = cfg->pids_max;
	k->config.root_readonly = cfg->root_readonly;
	k->pids = pid_table_create();
	k->workers = worker_pool_create();
	k->futexes = futex_table_create();
	if (!k->pids || !k->workers || !k->futexes)
		return -ENOMEM;
	return idmap_copy(&k->config.ids, &cfg->ids) ? -ENOMEM
						     : process_spec_copy(&k->config.init, &cfg->init);
}

/*
 * The guest's share of the container's memory limit. The rest is for what the host charges to the same
 * control group: page tables and shadows of the arena (up to 1/64), thread stacks, nacre itself. With
 * nothing left for them the host would kill the whole container where one process should die.
 */
static uint64_t arena_bytes(uint64_t limit)
{
	uint64_t own = ((uint64_t)16 << 20) + limit / 32;

	return limit - (own < limit / 4 ? own : limit / 4);
}

int kernel_open_machine(struct kernel_config *cfg, char *err, size_t errlen)
{
	const struct platform_options opt = {
		.backend = cfg->backend,
		.backend_dir = cfg->backend_dir,
		.max_vcpus = cfg->max_vcpus,
	};

	return platform_create(&opt, &cfg->platform, err, errlen);
}

/* --tlb=paranoid found something: the sandbox ends when this returns. */
static void kernel_stale_translation(const char *text, void *arg)
{
	const struct kernel *k = arg;

	dprintf(k->log_fd >= 0 ? k->log_fd : STDERR_FILENO, "nacre: %s", text);
}

static int kernel_create_machine(struct kernel *k, const struct kernel_config *cfg, char *err,
				 size_t errlen)
{
	static const enum mm_tlb_mode tlb[] = {
		[KERNEL_TLB_SELECTIVE] = MM_TLB_SELECTIVE,
		[KERNEL_TLB_BROADCAST] = MM_TLB_BROADCAST,
		[KERNEL_TLB_PARANOID] = MM_TLB_PARANOID,
	};
	const struct mm_limits limits = {.arena_bytes = arena_bytes(cfg->memory_bytes),
					 .tlb = tlb[cfg->tlb],
					 .stale = kernel_stale_translation,
					 .stale_arg = k};
	int ret = mm_system_create(k->platform, &limits, &k->mm_system);

	if (ret) {
		k->mm_system = NULL;
		snprintf(err, errlen, "cannot set up guest memory: %s", strerror(-ret));
		return ret;
	}
	ret = platform_boot(k->platform, k->mm_system, err, errlen);
	if (ret)
		return ret;
	ret = vdso_create(k);
	if (ret)
		snprintf(err, errlen, "cannot set up the vDSO: %s", strerror(-ret));
	return ret;
}

int kernel_create(const struct kernel_config *cfg, struct kernel **out, char *err, size_t errlen)
{
	struct kernel *k = calloc(1, sizeof(*k));
	int ret;

	if (errlen)
		err[0] = '\0';
	if (!k) {
		platform_destroy(cfg->platform);
		snprintf(err, errlen, "cannot set up the kernel: %s", strerror(ENOMEM));
		return -ENOMEM;
	}
	k->platform = cfg->platform;
	ret = kernel_init_state(k, cfg);
	if (ret)
		snprintf(err, errlen, "cannot set up the kernel: %s", strerror(-ret));
	else
		ret = kernel_create_machine(k, cfg, err, errlen);
	if (!ret)
		ret = vfs_create(k, cfg, err, errlen);
	if (ret) {
		if (errlen && !err[0])
			snprintf(err, errlen, "cannot set up the kernel: %s", strerror(-ret));
		kernel_destroy(k);
		return ret;
	}
	*out = k;
	return 0;
}

/* ---- init ---- */

int kernel_load_init(struct kernel *k, char *err, size_t errlen)
{
	struct worker *w;
	int ret = worker_reserve(k->workers, &w);

	if (ret) {
		snprintf(err, errlen, "cannot create a thread for the first process");
		return ret;
	}
	ret = process_spec_load(k, &k->config.init, true, w, &k->init_task, err, errlen);
	if (ret)
		worker_cancel(w);
	else
		k->init_worker = w;
	return ret;
}

static void kernel_start_init(struct kernel *k)
{
	struct worker *w = k->init_worker;

	k->init_worker = NULL;
	worker_start(w, k->init_task);
	k->init_task = NULL;
}

static void kernel_wait_all_gone(struct kernel *k)
{
	pthread_mutex_lock(&k->tasks_lock);
	while (k->ntasks)
		pthread_cond_wait(&k->all_gone, &k->tasks_lock);
	pthread_mutex_unlock(&k->tasks_lock);
}

void kernel_start(struct kernel *k, int ended)
{
	k->ended_fd = ended;
	kernel_start_init(k);
}

int kernel_status(struct kernel *k)
{
	int status;

	pthread_mutex_lock(&k->tasks_lock);
	status = k->init_status;
	pthread_mutex_unlock(&k->tasks_lock);
	return status;
}

/* ---- while it runs ---- */

static int kernel_signal_all_locked(struct kernel *k, int sig)
{
	int ret = -ESRCH;

	list_for_each(l, &k->processes) {
		struct process *p = list_entry(l, struct process, all_link);

		if (p->zombie)
			continue;
		ret = 0;
		if (sig)
			signal_send_external(p, sig);
	}
	return ret;
}

int kernel_signal(struct kernel *k, pid_t pid, int sig)
{
	struct process *p;
	int ret = -ESRCH;

	if (sig < 0 || sig > GUEST_NSIG)
		return -EINVAL;
	pthread_mutex_lock(&k->tasks_lock);
	if (pid == -1) {
		ret = kernel_signal_all_locked(k, sig);
	} else {
		p = pid ? process_find_locked(k, pid) : k->init;
		if (p && !p->zombie)
			ret = sig ? signal_send_external(p, sig) : 0;
	}
	pthread_mutex_unlock(&k->tasks_lock);
	return ret;
}

int kernel_exec(struct kernel *k, const struct kernel_process_spec *spec,
		void (*done)(int status, void *arg), void *arg, char *err, size_t errlen)
{
	struct kernel_process_spec s;
	struct worker *w = NULL;
	struct task *t;
	pid_t pid;
	int ret = process_spec_copy(&s, spec);

	if (ret) {
		snprintf(err, errlen, "cannot create the process: %s", strerror(-ret));
		s = *spec; /* its descriptors are ours all the same */
		process_spec_close(&s);
		return ret;
	}
	ret = worker_reserve(k->workers, &w);
	if (ret) {
		snprintf(err, errlen, "cannot create a thread for the process");
		process_spec_close(&s);
	} else {
		ret = process_spec_load(k, &s, false, w, &t, err, errlen);
	}
	process_spec_free(&s);
	if (ret) {
		if (w)
			worker_cancel(w);
		return ret;
	}
	t->process->done = done;
	t->process->done_arg = arg;
	pid = t->tid;
	worker_start(w, t);
	return pid;
}

void kernel_set_pids_max(struct kernel *k, unsigned pids_max)
{
	pthread_mutex_lock(&k->tasks_lock);
	k->pids_max = pids_max ? pids_max : PIDS_MAX_DEFAULT;
	pthread_mutex_unlock(&k->tasks_lock);
}

size_t kernel_pids(struct kernel *k, pid_t *pids, size_t cap)
{
	size_t n = 0;

	pthread_mutex_lock(&k->tasks_lock);
	list_for_each(l, &k->processes) {
		struct process *p = list_entry(l, struct process, all_link);

		if (!p->zombie && n < cap)
			pids[n++] = p->pid;
	}
	pthread_mutex_unlock(&k->tasks_lock);
	return n;
}

/* ---- the end ---- */

/* Init was loaded but never started: let it end on a thread of its own. */
static void kernel_end_unstarted(struct kernel *k)
{
	if (!k->init_task)
		return;
	process_exit_group(k->init_task->process, SIGKILL);
	kernel_start_init(k);
	kernel_wait_all_gone(k);
}

int kernel_terminal_signal(struct kernel *k, pid_t pid, int sig)
{
	return tty_signal_from_host(k, pid, sig);
}

void kernel_destroy(struct kernel *k)
{
	if (!k)
		return;
	kernel_end_unstarted(k);
	worker_pool_destroy(k->workers);
	process_put(k->init);
	ktimer_shutdown();
	if (k->vfs)
		vfs_destroy(k);
	if (k->vdso)
		vdso_destroy(k);
	if (k->futexes)
		futex_table_destroy(k->futexes);
	if (k->mm_system)
		mm_system_destroy(k->mm_system);
	ipc_destroy(k); /* after the last mapping of a segment */
	if (k->platform)
		platform_destroy(k->platform);
	pid_table_destroy(k->pids);
	process_spec_close(&k->config.init);
	process_spec_free(&k->config.init);
	idmap_free(&k->config.ids);
	pthread_mutex_destroy(&k->tasks_lock);
	pthread_mutex_destroy(&k->uts_lock);
	pthread_cond_destroy(&k->all_gone);
	free(k);
}
