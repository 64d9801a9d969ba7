/* SPDX-License-Identifier: Apache-2.0 */
/* The container-wide files at the top of /proc. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include "runtime/arch/arch.h"
#include "runtime/fs/proc.h"
#include "runtime/task/pid.h"

#define NS_PER_TICK 10000000u /* USER_HZ is 100 */

/* ---- memory ---- */

/* What the container may use, and what is left of it, in KiB. */
static void memory_bounds(struct kernel *k, uint64_t *total, uint64_t *free_kb)
{
	struct mm_stats s;
	struct sysinfo si;
	uint64_t used, host_free;

	sysinfo(&si);
	mm_system_stats(k->mm_system, &s);
	used = s.frames_used * PAGE_SIZE / 1024;
	*total = (uint64_t)si.totalram * si.mem_unit / 1024;
	host_free = (uint64_t)(si.freeram + si.bufferram) * si.mem_unit / 1024;
	if (k->config.memory_bytes && k->config.memory_bytes / 1024 < *total) {
		*total = k->config.memory_bytes / 1024;
		host_free = *total;
	}
	*free_kb = *total > used ? *total - used : 0;
	if (*free_kb > host_free)
		*free_kb = host_free;
}

static int meminfo_show(struct proc_ctx *c, struct proc_text *x)
{
	uint64_t total, left, used;
	struct mm_stats s;

	memory_bounds(c->k, &total, &left);
	mm_system_stats(c->k->mm_system, &s);
	used = total - left;
	const struct {
		const char *name;
		uint64_t kb;
	} rows[] = {
		{"MemTotal", total},	 {"MemFree", left},	  {"MemAvailable", left},
		{"Buffers", 0},		 {"Cached", 0},		  {"SwapCached", 0},
		{"Active", used},	 {"Inactive", 0},	  {"Active(anon)", used},
		{"Inactive(anon)", 0},	 {"Active(file)", 0},	  {"Inactive(file)", 0},
		{"Unevictable", 0},	 {"Mlocked", 0},	  {"SwapTotal", 0},
		{"SwapFree", 0},	 {"Dirty", 0},		  {"Writeback", 0},
		{"AnonPages", used},	 {"Mapped", 0},		  {"Shmem", 0},
		{"KReclaimable", 0},	 {"Slab", 0},		  {"SReclaimable", 0},
		{"SUnreclaim", 0},	 {"KernelStack", 0},	  {"PageTables", s.table_pages * 4},
		{"NFS_Unstable", 0},	 {"Bounce", 0},		  {"WritebackTmp", 0},
		{"CommitLimit", total},	 {"Committed_AS", used},  {"VmallocTotal", 34359738367ull},
		{"VmallocUsed", 0},	 {"VmallocChunk", 0},	  {"Percpu", 0},
		{"AnonHugePages", 0},	 {"ShmemHugePages", 0},	  {"ShmemPmdMapped", 0},
		{"HugePages_Total", 0},	 {"HugePages_Free", 0},	  {"HugePages_Rsvd", 0},
		{"HugePages_Surp", 0},	 {"Hugepagesize", 2048},  {"Hugetlb", 0},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		bool count = !strncmp(rows[i].name, "HugePages_", 10);
		int pad = 16 - (int)strlen(rows[i].name) - 1;

		proc_printf(x, "%s:%*s%8llu%s\n", rows[i].name, pad > 0 ? pad : 0, "",
			    (unsigned long long)rows[i].kb, count ? "" : " kB");
	}
	return 0;
}

static int vmstat_show(struct proc_ctx *c, struct proc_text *x)
{
	uint64_t total, left;
	struct mm_stats s;

	memory_bounds(c->k, &total, &left);
	mm_system_stats(c->k->mm_system, &s);
	proc_printf(x,
		    "nr_free_pages %llu\nnr_inactive_anon 0\nnr_active_anon %llu\nnr_inactive_file 0\n"
		    "nr_active_file 0\nnr_anon_pages %llu\nnr_mapped 0\nnr_file_pages 0\nnr_dirty 0\n"
		    "nr_writeback 0\nnr_page_table_pages %llu\npgpgin 0\npgpgout 0\npswpin 0\n"
		    "pswpout 0\npgfault %llu\npgmajfault 0\noom_kill 0\n",
		    (unsigned long long)(left / 4), (unsigned long long)s.frames_used,
		    (unsigned long long)s.frames_used, (unsigned long long)s.table_pages,
		    (unsigned long long)s.faults);
	return 0;
}

/* ---- CPUs and time ---- */

static uint64_t container_cpu_ticks(struct kernel *k)
{
	struct timespec ts;

	(void)k;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return (uint64_t)ts.tv_sec * 100 + (uint64_t)ts.tv_nsec / NS_PER_TICK;
}

static uint64_t uptime_ns(struct kernel *k)
{
	struct timespec ts;

	clock_gettime(CLOCK_BOOTTIME, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec - k->boot_ns;
}

static unsigned count_running(struct kernel *k, unsigned *all, unsigned *processes, pid_t *last)
{
	unsigned running = 0, n = 0;

	pthread_mutex_lock(&k->tasks_lock);
	list_for_each(l, &k->processes) {
		struct process *p = list_entry(l, struct process, all_link);

		n++;
		list_for_each(m, &p->tasks)
			running += !task_is_parked(list_entry(m, struct task, group_link));
	}
	*all = k->ntasks;
	*processes = n;
	*last = pid_last(k->pids);
	pthread_mutex_unlock(&k->tasks_lock);
	return running;
}

static int stat_show(struct proc_ctx *c, struct proc_text *x)
{
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);
	uint64_t up = uptime_ns(c->k) / NS_PER_TICK, used = container_cpu_ticks(c->k);
	uint64_t idle = up * (uint64_t)cpus > used ? up * (uint64_t)cpus - used : 0;
	unsigned all, processes, running;
	pid_t last;

	running = count_running(c->k, &all, &processes, &last);
	proc_printf(x, "cpu  %llu 0 0 %llu 0 0 0 0 0 0\n", (unsigned long long)used,
		    (unsigned long long)idle);
	for (long i = 0; i < cpus; i++)
		proc_printf(x, "cpu%ld %llu 0 0 %llu 0 0 0 0 0 0\n", i,
			    (unsigned long long)(used / (uint64_t)cpus),
			    (unsigned long long)(idle / (uint64_t)cpus));
	proc_printf(x, "intr 0\nctxt %llu\nbtime %llu\nprocesses %llu\nprocs_running %u\n"
		       "procs_blocked 0\nsoftirq 0 0 0 0 0 0 0 0 0 0 0\n",
		    (unsigned long long)atomic_load(&c->k->syscalls_outside),
		    (unsigned long long)time(NULL) - up / 100,
		    (unsigned long long)atomic_load(&c->k->tasks_created), running);
	return 0;
}

static int uptime_show(struct proc_ctx *c, struct proc_text *x)
{
	uint64_t up = uptime_ns(c->k) / NS_PER_TICK, used = container_cpu_ticks(c->k);
	uint64_t idle = up * (uint64_t)sysconf(_SC_NPROCESSORS_ONLN);

	idle = idle > used ? idle - used : 0;
	proc_printf(x, "%llu.%02llu %llu.%02llu\n", (unsigned long long)(up / 100),
		    (unsigned long long)(up % 100), (unsigned long long)(idle / 100),
		    (unsigned long long)(idle % 100));
	return 0;
}

static int loadavg_show(struct proc_ctx *c, struct proc_text *x)
{
	unsigned all, processes, running;
	double load[3] = {0, 0, 0};
	pid_t last;

	running = count_running(c->k, &all, &processes, &last);
	getloadavg(load, 3);
	proc_printf(x, "%.2f %.2f %.2f %u/%u %d\n", load[0], load[1], load[2], running, all, last);
	return 0;
}

static bool field_is(const char *line, const char *name)
{
	size_t n = strlen(name);

	return !strncmp(line, name, n) && (line[n] == '\t' || line[n] == ' ' || line[n] == ':');
}

/* The host's processors, without the features that are not usable inside. */
static int cpuinfo_show(struct proc_ctx *c, struct proc_text *x)
{
	struct proc_text host = {0};
	char *save = NULL;
	int ret = proc_pass_through(c->k, "cpuinfo", &host);

	proc_write(&host, "", 1);
	if (ret || host.failed) {
		free(host.buf);
		return ret ? ret : -ENOMEM;
	}
	for (char *line = host.buf, *nl; *line; line = nl + 1) {
		nl = strchr(line, '\n');
		if (!nl)
			break;
		*nl = 0;
		if (!field_is(line, "flags") && !field_is(line, "Features") &&
		    !field_is(line, "vmx flags")) {
			proc_printf(x, "%s\n", line);
			continue;
		}
		if (field_is(line, "vmx flags"))
			continue;
		save = NULL;
		for (char *w = strtok_r(line, " ", &save); w; w = strtok_r(NULL, " ", &save)) {
			if (!arch_hides_cpu_feature(w))
				proc_printf(x, "%s%s", w == line ? "" : " ", w);
		}
		proc_printf(x, "\n");
	}
	free(host.buf);
	return 0;
}

/* ---- the rest ---- */

/* The controllers are the host's: which there are, not what is in them. */
static int cgroups_show(struct proc_ctx *c, struct proc_text *x)
{
	return proc_pass_through(c->k, "cgroups", x);
}

static int filesystems_show(struct proc_ctx *c, struct proc_text *x)
{
	(void)c;
	proc_printf(x, "nodev\tproc\nnodev\ttmpfs\nnodev\tdevpts\nnodev\tmqueue\nnodev\tsysfs\n"
		       "nodev\toverlay\n\text4\n");
	return 0;
}

static int version_show(struct proc_ctx *c, struct proc_text *x)
{
	struct proc_uts u;

	proc_uts(c->k, &u);
	proc_printf(x, "Linux version %s (nacre) %s\n", u.release, u.version);
	return 0;
}

static int cmdline_show(struct proc_ctx *c, struct proc_text *x)
{
	(void)c;
	proc_printf(x, "quiet\n");
	return 0;
}

static int devices_show(struct proc_ctx *c, struct proc_text *x)
{
	(void)c;
	proc_printf(x, "Character devices:\n  1 mem\n  5 /dev/tty\n  5 /dev/console\n  5 /dev/ptmx\n"
		       "136 pts\n\nBlock devices:\n");
	return 0;
}

static int swaps_show(struct proc_ctx *c, struct proc_text *x)
{
	(void)c;
	proc_printf(x, "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n");
	return 0;
}

static int partitions_show(struct proc_ctx *c, struct proc_text *x)
{
	(void)c;
	proc_printf(x, "major minor  #blocks  name\n\n");
	return 0;
}

static int empty_show(struct proc_ctx *c, struct proc_text *x)
{
	(void)c, (void)x;
	return 0;
}

static int64_t put_link(char *buf, size_t cap, const char *text)
{
	size_t n = strlen(text);

	if (n > cap)
		n = cap;
	memcpy(buf, text, n);
	return (int64_t)n;
}

static int64_t self_link(struct proc_ctx *c, char *buf, size_t cap)
{
	char text[16];

	if (!c->reader || !c->reader->process) /* while mounts are made */
		return -ENOENT;
	snprintf(text, sizeof(text), "%d", c->reader->process->pid);
	return put_link(buf, cap, text);
}

static int64_t thread_self_link(struct proc_ctx *c, char *buf, size_t cap)
{
	char text[40];

	if (!c->reader || !c->reader->process) /* while mounts are made */
		return -ENOENT;
	snprintf(text, sizeof(text), "%d/task/%d", c->reader->process->pid, c->reader->tid);
	return put_link(buf, cap, text);
}

static int64_t mounts_link(struct proc_ctx *c, char *buf, size_t cap)
{
	(void)c;
	return put_link(buf, cap, "self/mounts");
}

static int64_t net_link(struct proc_ctx *c, char *buf, size_t cap)
{
	(void)c;
	return put_link(buf, cap, "self/net");
}

const struct proc_row proc_root_rows[] = {
	PROC_FILE("cgroups", 0444, cgroups_show),
	PROC_FILE("cmdline", 0444, cmdline_show),
	PROC_FILE("cpuinfo", 0444, cpuinfo_show),
	PROC_FILE("devices", 0444, devices_show),
	PROC_FILE("diskstats", 0444, empty_show),
	PROC_FILE("filesystems", 0444, filesystems_show),
	PROC_FILE("loadavg", 0444, loadavg_show),
	PROC_FILE("meminfo", 0444, meminfo_show),
	PROC_FILE("modules", 0444, empty_show),
	PROC_LINK("mounts", mounts_link),
	PROC_LINK("net", net_link),
	PROC_FILE("partitions", 0444, partitions_show),
	PROC_LINK("self", self_link),
	PROC_FILE("stat", 0444, stat_show),
	PROC_FILE("swaps", 0444, swaps_show),
	PROC_DIR("sys", proc_sys_rows),
	PROC_LINK("thread-self", thread_self_link),
	PROC_FILE("uptime", 0444, uptime_show),
	PROC_FILE("version", 0444, version_show),
	PROC_FILE("vmstat", 0444, vmstat_show),
	{.name = NULL},
};
