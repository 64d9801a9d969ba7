/* SPDX-License-Identifier: Apache-2.0 */
/* /proc/PID/stat, statm and status. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "runtime/fs/fdtable.h"
#include "runtime/fs/fs_context.h"
#include "runtime/fs/proc.h"
#include "runtime/fs/tty.h"
#include "runtime/task/seccomp.h"

#define PAGE_KB (PAGE_SIZE / 1024)
#define NS_PER_TICK 10000000u /* USER_HZ is 100 */

struct proc_ids {
	pid_t ppid, pgid, sid, fg;
	uint32_t tty;
	unsigned threads;
	bool zombie, stopped;
	int exit_status;
};

static void get_ids(struct proc_ctx *c, struct proc_ids *ids)
{
	struct process *p = c->p;

	*ids = (struct proc_ids){.fg = -1};
	pthread_mutex_lock(&c->k->tasks_lock);
	ids->ppid = p->parent ? p->parent->pid : 0;
	ids->pgid = p->pgid;
	ids->sid = p->session ? p->session->sid : 0;
	ids->tty = tty_nr_locked(p, &ids->fg);
	ids->threads = p->ntasks;
	ids->zombie = p->zombie || !c->task;
	ids->exit_status = p->exit_status;
	pthread_mutex_unlock(&c->k->tasks_lock);
	pthread_mutex_lock(&p->sig_lock);
	ids->stopped = p->stopped;
	pthread_mutex_unlock(&p->sig_lock);
}

char proc_state(struct proc_ctx *c)
{
	struct proc_ids ids;

	get_ids(c, &ids);
	if (ids.zombie)
		return 'Z';
	if (ids.stopped)
		return 'T';
	return c->task != c->reader && task_is_parked(c->task) ? 'S' : 'R';
}

static void get_usage(struct proc_ctx *c, struct mm_usage *u, struct mm_layout *lay)
{
	struct mm *mm = c->task ? task_get_mm(c->task) : NULL;

	memset(u, 0, sizeof(*u));
	memset(lay, 0, sizeof(*lay));
	if (!mm)
		return;
	mm_get_usage(mm, u);
	mm_get_layout(mm, lay);
	mm_put(mm);
}

struct proc_signals {
	uint64_t pending, shared, blocked, ignored, caught;
	unsigned queued;
};

/* Has t not exited? Its sighand may be looked at then. sig_lock held. */
static bool attached_locked(struct process *p, const struct task *t)
{
	list_for_each(l, &p->tasks)
		if (list_entry(l, struct task, group_link) == t)
			return true;
	return false;
}

static void get_signals(struct proc_ctx *c, struct proc_signals *s)
{
	struct process *p = c->p;

	memset(s, 0, sizeof(*s));
	pthread_mutex_lock(&p->sig_lock);
	s->shared = p->shared_pending.set;
	s->queued = p->sig_queued;
	if (c->task && attached_locked(p, c->task) && c->task->sighand) {
		s->pending = c->task->pending.set;
		s->blocked = c->task->sig_blocked;
		for (int sig = 1; sig <= GUEST_NSIG; sig++) {
			struct sigaction_guest a;

			sighand_action(c->task->sighand, sig, &a);
			if (a.handler == 1)
				s->ignored |= SIGBIT(sig);
			else if (a.handler)
				s->caught |= SIGBIT(sig);
		}
	}
	pthread_mutex_unlock(&p->sig_lock);
}

/* The name as stat and status show it; a copy, since its owner may change it meanwhile. */
static void get_comm(struct proc_ctx *c, char comm[16])
{
	if (c->task) {
		memcpy(comm, c->task->comm, 16);
	} else {
		const char *base;

		pthread_mutex_lock(&c->k->tasks_lock);
		base = strrchr(c->p->exe, '/');
		snprintf(comm, 16, "%.15s", base ? base + 1 : c->p->exe);
		pthread_mutex_unlock(&c->k->tasks_lock);
	}
	comm[15] = 0;
}

int proc_stat_show(struct proc_ctx *c, struct proc_text *x)
{
	uint64_t user = 0, sys = 0, cuser, csys;
	struct proc_signals sg;
	struct proc_ids ids;
	struct mm_layout lay;
	struct mm_usage u;
	char comm[16];
	int nice = atomic_load(&c->p->nice);

	get_ids(c, &ids);
	get_usage(c, &u, &lay);
	get_signals(c, &sg);
	get_comm(c, comm);
	if (c->thread && c->task)
		task_cpu_times(c->task, &user, &sys);
	else
		process_cpu_times(c->p, &user, &sys);
	cuser = (uint64_t)c->p->children_usage.ru_utime.tv_sec * 100 +
		(uint64_t)c->p->children_usage.ru_utime.tv_usec / 10000;
	csys = (uint64_t)c->p->children_usage.ru_stime.tv_sec * 100 +
	       (uint64_t)c->p->children_usage.ru_stime.tv_usec / 10000;
	proc_printf(x, "%d (%s) %c %d %d %d %u %d 4194304 0 0 0 0 %llu %llu %llu %llu %d %d %u 0 %llu",
		    c->thread ? c->task->tid : c->p->pid, comm, proc_state(c), ids.ppid, ids.pgid, ids.sid,
		    ids.tty, ids.fg, (unsigned long long)(user / NS_PER_TICK),
		    (unsigned long long)(sys / NS_PER_TICK), (unsigned long long)cuser,
		    (unsigned long long)csys, 20 + nice, nice, ids.threads,
		    (unsigned long long)(c->p->start_ns / NS_PER_TICK));
	proc_printf(x, " %llu %llu 18446744073709551615 %llu %llu %llu 0 0 %llu %llu %llu %llu 0 0 0",
		    (unsigned long long)u.vm_bytes, (unsigned long long)u.rss_pages,
		    (unsigned long long)lay.start_code.v, (unsigned long long)lay.end_code.v,
		    (unsigned long long)lay.start_stack.v,
		    (unsigned long long)((sg.pending | sg.shared) & 0x7fffffff),
		    (unsigned long long)(sg.blocked & 0x7fffffff),
		    (unsigned long long)(sg.ignored & 0x7fffffff),
		    (unsigned long long)(sg.caught & 0x7fffffff));
	proc_printf(x, " %d 0 0 0 0 0 0 %llu %llu %llu %llu %llu %llu %llu %d\n",
		    c->p->exit_signal ? c->p->exit_signal : 17, (unsigned long long)lay.start_data.v,
		    (unsigned long long)lay.end_data.v, 0ull, (unsigned long long)lay.arg_start.v,
		    (unsigned long long)lay.arg_end.v, (unsigned long long)lay.env_start.v,
		    (unsigned long long)lay.env_end.v, ids.zombie ? ids.exit_status : 0);
	return 0;
}

int proc_statm_show(struct proc_ctx *c, struct proc_text *x)
{
	struct mm_layout lay;
	struct mm_usage u;

	get_usage(c, &u, &lay);
	proc_printf(x, "%llu %llu %llu %llu 0 %llu 0\n",
		    (unsigned long long)(u.vm_bytes / PAGE_SIZE), (unsigned long long)u.rss_pages,
		    (unsigned long long)u.shared_pages, (unsigned long long)(u.text_bytes / PAGE_SIZE),
		    (unsigned long long)((u.data_bytes + u.stack_bytes) / PAGE_SIZE));
	return 0;
}

static void status_ids(struct proc_ctx *c, struct proc_text *x, const struct proc_ids *ids)
{
	struct fs_context *fs = c->task ? task_get_fs(c->task) : NULL;
	struct fdtable *ft = c->task ? task_get_files(c->task) : NULL;
	pid_t tid = c->thread ? c->task->tid : c->p->pid;
	struct cred *cr = c->task ? task_get_cred(c->task) : NULL;
	static const char *const states[] = {"R (running)", "S (sleeping)", "T (stopped)",
					     "Z (zombie)"};
	const char state = proc_state(c);
	int size = 64;

	proc_printf(x, "Umask:\t%04o\nState:\t%s\nTgid:\t%d\nNgid:\t0\nPid:\t%d\nPPid:\t%d\n",
		    fs ? fs->umask : 022,
		    states[state == 'S' ? 1 : state == 'T' ? 2 : state == 'Z' ? 3 : 0], c->p->pid, tid,
		    ids->ppid);
	proc_printf(x, "TracerPid:\t0\n");
	if (cr)
		proc_printf(x, "Uid:\t%u\t%u\t%u\t%u\nGid:\t%u\t%u\t%u\t%u\n", cr->uid, cr->euid,
			    cr->suid, cr->fsuid, cr->gid, cr->egid, cr->sgid, cr->fsgid);
	else
		proc_printf(x, "Uid:\t%u\t%u\t%u\t%u\nGid:\t0\t0\t0\t0\n", c->p->owner_uid,
			    c->p->owner_uid, c->p->owner_uid, c->p->owner_uid);
	for (int fd = -1; ft && (fd = fd_next(ft, fd + 1)) >= 0;)
		while (size <= fd)
			size *= 2;
	proc_printf(x, "FDSize:\t%d\nGroups:\t", ft ? size : 0);
	for (size_t i = 0; cr && i < cr->ngroups; i++)
		proc_printf(x, i ? " %u" : "%u", cr->groups[i]);
	proc_printf(x, " \nNStgid:\t%d\nNSpid:\t%d\nNSpgid:\t%d\nNSsid:\t%d\n", c->p->pid, tid,
		    ids->pgid, ids->sid);
	if (cr)
		cred_put(cr);
	if (ft)
		fdtable_put(ft, c->task);
	if (fs)
		fs_context_put(fs);
}

static void status_memory(struct proc_ctx *c, struct proc_text *x)
{
	struct mm_layout lay;
	struct mm_usage u;
	uint64_t anon;

	get_usage(c, &u, &lay);
	if (!u.vm_bytes)
		return;
	anon = u.rss_pages > u.shared_pages ? u.rss_pages - u.shared_pages : 0;
	const struct {
		const char *name;
		uint64_t kb;
	} rows[] = {
		{"VmPeak", u.vm_peak / 1024},	     {"VmSize", u.vm_bytes / 1024},
		{"VmLck", 0},			     {"VmPin", 0},
		{"VmHWM", u.rss_peak * PAGE_KB},     {"VmRSS", u.rss_pages * PAGE_KB},
		{"RssAnon", anon * PAGE_KB},	     {"RssFile", u.shared_pages * PAGE_KB},
		{"RssShmem", 0},		     {"VmData", u.data_bytes / 1024},
		{"VmStk", u.stack_bytes / 1024},     {"VmExe", u.text_bytes / 1024},
		{"VmLib", 0},			     {"VmPTE", (u.rss_pages / 512 + 4) * PAGE_KB},
		{"VmSwap", 0},			     {"HugetlbPages", 0},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		proc_printf(x, "%s:\t%8llu kB\n", rows[i].name, (unsigned long long)rows[i].kb);
	proc_printf(x, "CoreDumping:\t0\nTHP_enabled:\t%d\n", !c->p->thp_disable);
}

static void status_signals(struct proc_ctx *c, struct proc_text *x)
{
	struct proc_signals s;

	get_signals(c, &s);
	proc_printf(x,
		    "SigQ:\t%u/%llu\nSigPnd:\t%016llx\nShdPnd:\t%016llx\nSigBlk:\t%016llx\n"
		    "SigIgn:\t%016llx\nSigCgt:\t%016llx\n",
		    s.queued, (unsigned long long)process_rlimit(c->p, RLIMIT_SIGPENDING),
		    (unsigned long long)s.pending, (unsigned long long)s.shared,
		    (unsigned long long)s.blocked, (unsigned long long)s.ignored,
		    (unsigned long long)s.caught);
}

static void status_caps(struct proc_ctx *c, struct proc_text *x)
{
	struct cred *cr = c->task ? task_get_cred(c->task) : NULL;

	proc_printf(x,
		    "CapInh:\t%016llx\nCapPrm:\t%016llx\nCapEff:\t%016llx\nCapBnd:\t%016llx\n"
		    "CapAmb:\t%016llx\n",
		    cr ? (unsigned long long)cr->cap_inheritable : 0,
		    cr ? (unsigned long long)cr->cap_permitted : 0,
		    cr ? (unsigned long long)cr->cap_effective : 0,
		    cr ? (unsigned long long)cr->cap_bounding : 0,
		    cr ? (unsigned long long)cr->cap_ambient : 0);
	if (cr)
		cred_put(cr);
	proc_printf(x, "NoNewPrivs:\t%d\nSeccomp:\t%d\nSeccomp_filters:\t%u\n",
		    c->task ? c->task->no_new_privs : 0, c->task ? seccomp_mode(c->task) : 0,
		    c->task ? seccomp_chain_length(atomic_load(&c->task->seccomp)) : 0);
	proc_printf(x, "Speculation_Store_Bypass:\tvulnerable\n");
}

static void status_cpus(struct proc_ctx *c, struct proc_text *x)
{
	uint64_t want = c->task ? c->task->sched.affinity[0] : 0;
	/* Not what this thread may use now: it may be pinned. */
	uint64_t all = c->k->host_affinity[0];
	uint64_t mask = want & all ? want & all : all;
	const char *sep = "";

	if (mask >> 32)
		proc_printf(x, "Cpus_allowed:\t%08x,%08x\n", (uint32_t)(mask >> 32), (uint32_t)mask);
	else
		proc_printf(x, "Cpus_allowed:\t%x\n", (uint32_t)mask);
	proc_printf(x, "Cpus_allowed_list:\t");
	for (int i = 0; i < 64; i++) {
		int j = i;

		if (!(mask >> i & 1))
			continue;
		while (j < 63 && mask >> (j + 1) & 1)
			j++;
		if (j > i)
			proc_printf(x, "%s%d-%d", sep, i, j);
		else
			proc_printf(x, "%s%d", sep, i);
		sep = ",";
		i = j;
	}
	proc_printf(x, "\nMems_allowed:\t1\nMems_allowed_list:\t0\n");
}

int proc_status_show(struct proc_ctx *c, struct proc_text *x)
{
	struct proc_ids ids;
	char comm[16];

	get_ids(c, &ids);
	get_comm(c, comm);
	proc_printf(x, "Name:\t%s\n", comm);
	status_ids(c, x, &ids);
	status_memory(c, x);
	proc_printf(x, "Threads:\t%u\n", ids.threads);
	status_signals(c, x);
	status_caps(c, x);
	status_cpus(c, x);
	proc_printf(x, "voluntary_ctxt_switches:\t%ld\nnonvoluntary_ctxt_switches:\t%ld\n",
		    c->p->usage.ru_nvcsw, c->p->usage.ru_nivcsw);
	return 0;
}
