/* SPDX-License-Identifier: Apache-2.0 */
/* The files of a process directory, and the smaller generators. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/fs/fs_context.h"
#include "runtime/fs/proc.h"
#include "runtime/fs/vfs_internal.h"

#define ARGS_MAX (2u << 20) /* bytes of cmdline or environ that are shown */
#define CAP_SYS_RESOURCE_BIT 24

/* ---- cmdline, environ, comm ---- */

static void copy_range(struct mm *mm, struct proc_text *x, uint64_t start, uint64_t end)
{
	char buf[4096];

	if (end - start > ARGS_MAX)
		end = start + ARGS_MAX;
	while (start < end) {
		size_t want = end - start < sizeof(buf) ? end - start : sizeof(buf);
		size_t got = mm_copy_in_some(mm, buf, GVA(start), want);

		proc_write(x, buf, got);
		if (got < want)
			break;
		start += got;
	}
}

static int show_range(struct proc_ctx *c, struct proc_text *x, bool env)
{
	struct mm *mm = c->task ? task_get_mm(c->task) : NULL;
	struct mm_layout lay;

	if (!mm)
		return 0;
	mm_get_layout(mm, &lay);
	if (env && lay.env_end.v > lay.env_start.v)
		copy_range(mm, x, lay.env_start.v, lay.env_end.v);
	else if (!env && lay.arg_end.v > lay.arg_start.v)
		copy_range(mm, x, lay.arg_start.v, lay.arg_end.v);
	mm_put(mm);
	return 0;
}

static int cmdline_show(struct proc_ctx *c, struct proc_text *x)
{
	return show_range(c, x, false);
}

static int environ_show(struct proc_ctx *c, struct proc_text *x)
{
	return show_range(c, x, true);
}

/* Up to and with AT_NULL. */
static int auxv_show(struct proc_ctx *c, struct proc_text *x)
{
	struct mm *mm = c->task ? task_get_mm(c->task) : NULL;
	struct mm_layout layout;
	size_t n = 0;

	if (!mm)
		return 0;
	mm_get_layout(mm, &layout);
	mm_put(mm);
	while (n + 2 < sizeof(layout.auxv) / sizeof(layout.auxv[0]) && layout.auxv[n])
		n += 2;
	proc_write(x, layout.auxv, (n + 2) * sizeof(layout.auxv[0]));
	return 0;
}

static int comm_show(struct proc_ctx *c, struct proc_text *x)
{
	if (c->task)
		proc_printf(x, "%.15s\n", c->task->comm);
	return 0;
}

static int comm_store(struct proc_ctx *c, char *buf, size_t len)
{
	if (!c->task || c->reader->process != c->p)
		return -EINVAL;
	if (len && buf[len - 1] == '\n')
		buf[len - 1] = 0;
	snprintf(c->task->comm, sizeof(c->task->comm), "%s", buf);
	return 0;
}

/* ---- links ---- */

static int exe_path(struct proc_ctx *c, char path[4096])
{
	if (!c->task)
		return -ENOENT;
	pthread_mutex_lock(&c->k->tasks_lock);
	memcpy(path, c->p->exe, 4096);
	pthread_mutex_unlock(&c->k->tasks_lock);
	path[4095] = 0;
	return *path ? 0 : -ENOENT;
}

static int64_t exe_link(struct proc_ctx *c, char *buf, size_t cap)
{
	char path[4096];
	size_t n;

	if (exe_path(c, path))
		return -ENOENT;
	n = strlen(path);
	if (n > cap)
		n = cap;
	memcpy(buf, path, n);
	return (int64_t)n;
}

static int exe_follow(struct proc_ctx *c, struct vpath *out)
{
	char path[4096];

	if (exe_path(c, path))
		return -ENOENT;
	return vfs_lookup(c->reader, AT_FDCWD, path, LOOKUP_FOLLOW, out, NULL);
}

static int place_of(struct proc_ctx *c, struct vpath *out)
{
	struct fs_context *fs = c->task ? task_get_fs(c->task) : NULL;

	if (!fs)
		return -ENOENT;
	if (!strcmp(c->name, "cwd"))
		fs_context_get_cwd(fs, out);
	else
		fs_context_get_root(fs, out);
	fs_context_put(fs);
	return 0;
}

static int64_t place_link(struct proc_ctx *c, char *buf, size_t cap)
{
	struct vpath p;
	int64_t n = place_of(c, &p);

	if (n)
		return n;
	n = vfs_path_text(c->reader, &p, buf, cap);
	vpath_put(&p);
	return n;
}

/* ---- limits ---- */

static void limit_value(struct proc_text *x, uint64_t v)
{
	if (v == UINT64_MAX)
		proc_printf(x, "%-20s ", "unlimited");
	else
		proc_printf(x, "%-20llu ", (unsigned long long)v);
}

static int limits_show(struct proc_ctx *c, struct proc_text *x)
{
	static const struct {
		const char *name, *unit;
	} names[16] = {
		[RLIMIT_CPU] = {"Max cpu time", "seconds"},
		[RLIMIT_FSIZE] = {"Max file size", "bytes"},
		[RLIMIT_DATA] = {"Max data size", "bytes"},
		[RLIMIT_STACK] = {"Max stack size", "bytes"},
		[RLIMIT_CORE] = {"Max core file size", "bytes"},
		[RLIMIT_RSS] = {"Max resident set", "bytes"},
		[RLIMIT_NPROC] = {"Max processes", "processes"},
		[RLIMIT_NOFILE] = {"Max open files", "files"},
		[RLIMIT_MEMLOCK] = {"Max locked memory", "bytes"},
		[RLIMIT_AS] = {"Max address space", "bytes"},
		[RLIMIT_LOCKS] = {"Max file locks", "locks"},
		[RLIMIT_SIGPENDING] = {"Max pending signals", "signals"},
		[RLIMIT_MSGQUEUE] = {"Max msgqueue size", "bytes"},
		[RLIMIT_NICE] = {"Max nice priority", ""},
		[RLIMIT_RTPRIO] = {"Max realtime priority", ""},
		[RLIMIT_RTTIME] = {"Max realtime timeout", "us"},
	};
	struct rlimit64 lim[16];

	pthread_mutex_lock(&c->p->sig_lock);
	memcpy(lim, c->p->rlimits, sizeof(lim));
	pthread_mutex_unlock(&c->p->sig_lock);
	proc_printf(x, "%-25s %-20s %-20s %-10s\n", "Limit", "Soft Limit", "Hard Limit", "Units");
	for (int i = 0; i < 16; i++) {
		proc_printf(x, "%-25s ", names[i].name);
		limit_value(x, lim[i].rlim_cur);
		limit_value(x, lim[i].rlim_max);
		proc_printf(x, "%-10s\n", names[i].unit);
	}
	return 0;
}

/* ---- oom ---- */

static int oom_score_show(struct proc_ctx *c, struct proc_text *x)
{
	proc_printf(x, "%d\n", 666 + atomic_load(&c->p->oom_score_adj) * 2 / 3);
	return 0;
}

static int oom_score_adj_show(struct proc_ctx *c, struct proc_text *x)
{
	proc_printf(x, "%d\n", atomic_load(&c->p->oom_score_adj));
	return 0;
}

static int parse_int(const char *buf, long lo, long hi, long *out)
{
	char *end;

	*out = strtol(buf, &end, 10);
	while (*end == '\n' || *end == ' ')
		end++;
	return end == buf || *end || *out < lo || *out > hi ? -EINVAL : 0;
}

static int oom_set(struct proc_ctx *c, long v)
{
	if (v < atomic_load(&c->p->oom_score_adj) &&
	    !cred_capable(c->reader->cred, CAP_SYS_RESOURCE_BIT))
		return -EACCES;
	atomic_store(&c->p->oom_score_adj, (int)v);
	return 0;
}

static int oom_score_adj_store(struct proc_ctx *c, char *buf, size_t len)
{
	long v;

	(void)len;
	return parse_int(buf, -1000, 1000, &v) ? -EINVAL : oom_set(c, v);
}

static int oom_adj_show(struct proc_ctx *c, struct proc_text *x)
{
	int v = atomic_load(&c->p->oom_score_adj);

	proc_printf(x, "%d\n", v == 1000 ? 15 : v * 17 / 1000);
	return 0;
}

static int oom_adj_store(struct proc_ctx *c, char *buf, size_t len)
{
	long v;

	(void)len;
	return parse_int(buf, -17, 15, &v) ? -EINVAL : oom_set(c, v == 15 ? 1000 : v * 1000 / 17);
}

/* ---- small ones ---- */

static int cgroup_show(struct proc_ctx *c, struct proc_text *x)
{
	(void)c;
	proc_printf(x, "0::/\n");
	return 0;
}

static int unset_id_show(struct proc_ctx *c, struct proc_text *x)
{
	(void)c;
	proc_printf(x, "4294967295");
	return 0;
}

static void show_map(struct proc_text *x, const struct kernel_idmap *m, size_t n)
{
	static const struct kernel_idmap all = {0, 0, UINT32_MAX};

	if (!n)
		m = &all, n = 1;
	for (size_t i = 0; i < n; i++)
		proc_printf(x, "%10u %10u %10u\n", m[i].inside, m[i].outside, m[i].count);
}

static int uid_map_show(struct proc_ctx *c, struct proc_text *x)
{
	const struct kernel_ids *ids = &c->k->config.ids;

	show_map(x, ids->uid, ids->nuid);
	return 0;
}

static int gid_map_show(struct proc_ctx *c, struct proc_text *x)
{
	const struct kernel_ids *ids = &c->k->config.ids;

	show_map(x, ids->gid, ids->ngid);
	return 0;
}

static int setgroups_show(struct proc_ctx *c, struct proc_text *x)
{
	proc_printf(x, c->k->config.ids.no_setgroups ? "deny\n" : "allow\n");
	return 0;
}

static int wchan_show(struct proc_ctx *c, struct proc_text *x)
{
	(void)c;
	proc_printf(x, "0");
	return 0;
}

static int io_show(struct proc_ctx *c, struct proc_text *x)
{
	(void)c;
	proc_printf(x, "rchar: 0\nwchar: 0\nsyscr: 0\nsyscw: 0\nread_bytes: 0\nwrite_bytes: 0\n"
		       "cancelled_write_bytes: 0\n");
	return 0;
}

static int sched_show(struct proc_ctx *c, struct proc_text *x)
{
	uint64_t user = 0, sys = 0;

	if (!c->task)
		return -ESRCH;
	task_cpu_times(c->task, &user, &sys);
	proc_printf(x, "%.15s (%d, #threads: %u)\n", c->task->comm, c->task->tid, c->p->ntasks);
	proc_printf(x, "se.sum_exec_runtime : %llu.%06llu\npolicy : %d\nprio : %d\n",
		    (unsigned long long)((user + sys) / 1000000),
		    (unsigned long long)((user + sys) % 1000000), c->task->sched.policy,
		    120 + atomic_load(&c->p->nice));
	return 0;
}

static int schedstat_show(struct proc_ctx *c, struct proc_text *x)
{
	uint64_t user = 0, sys = 0;

	if (c->task)
		task_cpu_times(c->task, &user, &sys);
	proc_printf(x, "%llu 0 0\n", (unsigned long long)(user + sys));
	return 0;
}

static int personality_show(struct proc_ctx *c, struct proc_text *x)
{
	proc_printf(x, "%08x\n", c->task ? c->task->personality : 0);
	return 0;
}

static int syscall_show(struct proc_ctx *c, struct proc_text *x)
{
	struct task *t = c->task;
	uint64_t a[6];

	if (!t || t->syscall_nr < 0 || !task_is_parked(t)) {
		proc_printf(x, "running\n");
		return 0;
	}
	arch_syscall_args(&t->regs, a);
	proc_printf(x, "%d 0x%llx 0x%llx 0x%llx 0x%llx 0x%llx 0x%llx 0x%llx 0x%llx\n", t->syscall_nr,
		    (unsigned long long)a[0], (unsigned long long)a[1], (unsigned long long)a[2],
		    (unsigned long long)a[3], (unsigned long long)a[4], (unsigned long long)a[5],
		    (unsigned long long)arch_sp(&t->regs), (unsigned long long)arch_pc(&t->regs));
	return 0;
}

static int timerslack_show(struct proc_ctx *c, struct proc_text *x)
{
	proc_printf(x, "%llu\n", c->task ? (unsigned long long)c->task->sched.timerslack_ns : 50000);
	return 0;
}

static int timerslack_store(struct proc_ctx *c, char *buf, size_t len)
{
	long v;

	(void)len;
	if (!c->task || parse_int(buf, 0, INT64_MAX, &v))
		return -EINVAL;
	c->task->sched.timerslack_ns = v ? (uint64_t)v : 50000;
	return 0;
}

/* ---- ns ---- */

/* Inode numbers as texts compare them: one set for the whole container. */
static int64_t ns_link(struct proc_ctx *c, char *buf, size_t cap)
{
	static const struct {
		const char *name, *type;
		unsigned ino;
	} ns[] = {
		{"cgroup", "cgroup", 4026531835u},   {"ipc", "ipc", 4026531839u},
		{"mnt", "mnt", 4026531841u},	     {"net", "net", 4026531840u},
		{"pid", "pid", 4026531836u},	     {"pid_for_children", "pid", 4026531836u},
		{"time", "time", 4026531834u},	     {"time_for_children", "time", 4026531834u},
		{"user", "user", 4026531837u},	     {"uts", "uts", 4026531838u},
	};
	char text[48];
	size_t n = 0;

	for (size_t i = 0; i < sizeof(ns) / sizeof(ns[0]); i++)
		if (!strcmp(ns[i].name, c->name))
			n = (size_t)snprintf(text, sizeof(text), "%s:[%u]", ns[i].type, ns[i].ino);
	if (n > cap)
		n = cap;
	memcpy(buf, text, n);
	return (int64_t)n;
}

static int ns_follow(struct proc_ctx *c, struct vpath *out)
{
	(void)c, (void)out;
	return -EACCES; /* namespaces cannot be entered */
}

#define PROC_NS(n)                                                                                 \
	{.name = n, .mode = S_IFLNK | 0777, .link = ns_link, .follow = ns_follow, .magic = true}
static const struct proc_row ns_rows[] = {
	PROC_NS("cgroup"), PROC_NS("ipc"),  PROC_NS("mnt"),
	PROC_NS("net"),	   PROC_NS("pid"),  PROC_NS("pid_for_children"),
	PROC_NS("time"),   PROC_NS("time_for_children"),
	PROC_NS("user"),   PROC_NS("uts"),  {.name = NULL},
};

/* ---- net ---- */

static int net_show(struct proc_ctx *c, struct proc_text *x)
{
	char path[64];

	snprintf(path, sizeof(path), "self/net/%s", c->name);
	return proc_pass_through(c->k, path, x);
}

/* What a core dump would hold: Linux's default. There are none, so settings have no effect. */
static int coredump_filter_show(struct proc_ctx *c, struct proc_text *x)
{
	(void)c;
	proc_printf(x, "00000033\n");
	return 0;
}

static int ignore_store(struct proc_ctx *c, char *buf, size_t len)
{
	(void)c;
	(void)buf;
	(void)len;
	return 0;
}

static int cpuset_show(struct proc_ctx *c, struct proc_text *x)
{
	(void)c;
	proc_printf(x, "/\n");
	return 0;
}

#define PROC_NET(n) PROC_FILE(n, 0444, net_show)
static const struct proc_row net_rows[] = {
	PROC_NET("arp"),     PROC_NET("dev"),	  PROC_NET("fib_trie"),	 PROC_NET("if_inet6"),
	PROC_NET("igmp"),    PROC_NET("ipv6_route"), PROC_NET("netlink"), PROC_NET("netstat"),
	PROC_NET("packet"),  PROC_NET("protocols"), PROC_NET("raw"),	 PROC_NET("raw6"),
	PROC_NET("route"),   PROC_NET("snmp"),	  PROC_NET("snmp6"),	 PROC_NET("sockstat"),
	PROC_NET("sockstat6"), PROC_NET("softnet_stat"), PROC_NET("tcp"), PROC_NET("tcp6"),
	PROC_NET("udp"),     PROC_NET("udp6"),	  PROC_NET("udplite"),	 PROC_NET("unix"),
	PROC_NET("wireless"), {.name = NULL},
};

/* ---- the directory ---- */

#define PROC_PLACE(n)                                                                              \
	{.name = n,                                                                                \
	 .mode = S_IFLNK | 0777,                                                                   \
	 .link = place_link,                                                                       \
	 .follow = place_of,                                                                       \
	 .magic = true}

/* Rows that a process and each of its threads have. */
#define PROC_COMMON_ROWS                                                                           \
	PROC_PRIVATE("auxv", 0400, auxv_show), PROC_FILE("cgroup", 0444, cgroup_show),             \
		PROC_FILE("cmdline", 0444, cmdline_show),          \
		PROC_RW("comm", 0644, comm_show, comm_store),                                      \
		PROC_FILE("cpuset", 0444, cpuset_show), PROC_PLACE("cwd"),                   \
		PROC_PRIVATE("environ", 0400, environ_show),                                       \
		{.name = "exe",                                                                    \
		 .mode = S_IFLNK | 0777,                                                           \
		 .link = exe_link,                                                                 \
		 .follow = exe_follow,                                                             \
		 .magic = true},                                                                   \
		{.name = "fd",                                                                     \
		 .mode = S_IFDIR | 0500,                                                           \
		 .dynamic = PROC_FDS,                                                              \
		 .private_ = true},                                                                \
		{.name = "fdinfo",                                                                 \
		 .mode = S_IFDIR | 0555,                                                           \
		 .dynamic = PROC_FDINFOS,                                                          \
		 .private_ = true},                                                                \
		PROC_FILE("gid_map", 0644, gid_map_show), PROC_FILE("io", 0400, io_show),           \
		PROC_FILE("limits", 0444, limits_show),                                            \
		PROC_FILE("loginuid", 0644, unset_id_show),                                        \
		PROC_PRIVATE("maps", 0444, proc_maps_show),                                        \
		{.name = "mem",                                                                    \
		 .mode = S_IFREG | 0600,                                                           \
		 .open = proc_mem_open,                                                            \
		 .private_ = true},                                                                \
		PROC_FILE("mountinfo", 0444, proc_mountinfo_show),                                 \
		PROC_FILE("mounts", 0444, proc_mounts_show), PROC_DIR("net", net_rows),            \
		{.name = "ns", .mode = S_IFDIR | 0511, .children = ns_rows},                        \
	        PROC_RW("oom_adj", 0644, oom_adj_show, oom_adj_store),    \
		PROC_FILE("oom_score", 0444, oom_score_show),                                      \
		PROC_RW("oom_score_adj", 0644, oom_score_adj_show, oom_score_adj_store),           \
		PROC_PRIVATE("personality", 0400, personality_show), PROC_PLACE("root"),           \
		PROC_FILE("sched", 0644, sched_show), PROC_FILE("schedstat", 0444, schedstat_show), \
		PROC_FILE("sessionid", 0444, unset_id_show),                                       \
		PROC_FILE("setgroups", 0644, setgroups_show),                                      \
		PROC_PRIVATE("smaps", 0444, proc_smaps_show),                                      \
		PROC_PRIVATE("smaps_rollup", 0444, proc_smaps_rollup_show),                        \
		PROC_FILE("stat", 0444, proc_stat_show), PROC_FILE("statm", 0444, proc_statm_show), \
		PROC_FILE("status", 0444, proc_status_show),                                       \
		PROC_PRIVATE("syscall", 0400, syscall_show),                                       \
		PROC_FILE("uid_map", 0644, uid_map_show), PROC_FILE("wchan", 0444, wchan_show)

const struct proc_row proc_task_rows[] = {PROC_COMMON_ROWS, {.name = NULL}};
const struct proc_row proc_pid_rows[] = {
	PROC_COMMON_ROWS,
	PROC_RW("coredump_filter", 0644, coredump_filter_show, ignore_store),
	PROC_FILE("mountstats", 0400, proc_mountstats_show),
	{.name = "task", .mode = S_IFDIR | 0555, .dynamic = PROC_TASKS},
	PROC_RW("timerslack_ns", 0666, timerslack_show, timerslack_store),
	{.name = NULL},
};

const struct proc_row proc_pid_row = {
	.name = "pid#", .mode = S_IFDIR | 0555, .children = proc_pid_rows};
const struct proc_row proc_tid_row = {
	.name = "tid#", .mode = S_IFDIR | 0555, .children = proc_task_rows};
