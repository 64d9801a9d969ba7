/* SPDX-License-Identifier: Apache-2.0 */
/* A container's use of resources, in the shape of runc's `events --stats`. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "oci/buf.h"
#include "oci/cgroup.h"
#include "oci/cgroup_stats.h"
#include "oci/text.h"

uint64_t oci_stat_number(const char *dir, const char *file)
{
	char text[64];

	if (oci_cgroup_read(dir, file, text, sizeof(text)))
		return 0;
	return strcmp(text, "max") ? strtoull(text, NULL, 10) : UINT64_MAX;
}

/* The value after "key " at the start of a line. */
uint64_t oci_stat_field(const char *text, const char *key)
{
	size_t len = strlen(key);

	for (const char *p = text; p; p = strchr(p, '\n'), p = p ? p + 1 : NULL)
		if (!strncmp(p, key, len) && p[len] == ' ')
			return strtoull(p + len + 1, NULL, 10);
	return 0;
}

/* cpuacct.usage_all: a header, then lines of "CPU USER SYSTEM". */
static void percpu(const char *dir, const char *name, unsigned column, struct buf *b)
{
	char text[8192], word[32];

	if (oci_cgroup_read(dir, "cpuacct.usage_all", text, sizeof(text)))
		return;
	json_array(b, name);
	for (const char *line = text_next_line(text); line; line = text_next_line(line)) {
		const char *p = line;

		text_skip(&p, column);
		if (text_word(&p, word, sizeof(word)))
			json_uint(b, NULL, strtoull(word, NULL, 10));
	}
	json_end_array(b);
}

static void cpu_v1(const char *dir, const char *cpu_dir, struct buf *b)
{
	char text[4096], *save = NULL;
	/* cpuacct.stat counts in USER_HZ, which is 100 on every supported host. */
	const uint64_t tick = 10 * 1000 * 1000;

	json_object(b, "usage");
	json_uint(b, "total", oci_stat_number(dir, "cpuacct.usage"));
	if (!oci_cgroup_read(dir, "cpuacct.usage_percpu", text, sizeof(text))) {
		json_array(b, "percpu");
		for (char *p = strtok_r(text, " ", &save); p; p = strtok_r(NULL, " ", &save))
			json_uint(b, NULL, strtoull(p, NULL, 10));
		json_end_array(b);
	}
	percpu(dir, "percpu_kernel", 2, b);
	percpu(dir, "percpu_user", 1, b);
	if (oci_cgroup_read(dir, "cpuacct.stat", text, sizeof(text)))
		*text = '\0';
	json_uint(b, "kernel", oci_stat_field(text, "system") * tick);
	json_uint(b, "user", oci_stat_field(text, "user") * tick);
	json_end_object(b);
	json_object(b, "throttling");
	if (cpu_dir && !oci_cgroup_read(cpu_dir, "cpu.stat", text, sizeof(text))) {
		json_uint(b, "periods", oci_stat_field(text, "nr_periods"));
		json_uint(b, "throttledPeriods", oci_stat_field(text, "nr_throttled"));
		json_uint(b, "throttledTime", oci_stat_field(text, "throttled_time"));
	}
	json_end_object(b);
}

static void cpu_v2(const char *dir, struct buf *b)
{
	char text[4096];

	if (oci_cgroup_read(dir, "cpu.stat", text, sizeof(text)))
		*text = '\0';
	json_object(b, "usage");
	json_uint(b, "total", oci_stat_field(text, "usage_usec") * 1000);
	json_uint(b, "kernel", oci_stat_field(text, "system_usec") * 1000);
	json_uint(b, "user", oci_stat_field(text, "user_usec") * 1000);
	json_end_object(b);
	json_object(b, "throttling");
	json_uint(b, "periods", oci_stat_field(text, "nr_periods"));
	json_uint(b, "throttledPeriods", oci_stat_field(text, "nr_throttled"));
	json_uint(b, "throttledTime", oci_stat_field(text, "throttled_usec") * 1000);
	json_end_object(b);
}

static void raw_stat(const char *dir, struct buf *b)
{
	char text[8192], key[64], value[32];

	json_object(b, "raw");
	if (oci_cgroup_read(dir, "memory.stat", text, sizeof(text)))
		*text = '\0';
	for (const char *line = text; line; line = text_next_line(line)) {
		const char *p = line;

		if (text_word(&p, key, sizeof(key)) && text_word(&p, value, sizeof(value)))
			json_uint(b, key, strtoull(value, NULL, 10));
	}
	json_end_object(b);
}

static void memory_group(struct buf *b, const char *name, const char *dir, const char *prefix)
{
	char file[64];

	json_object(b, name);
	snprintf(file, sizeof(file), "%s.limit_in_bytes", prefix);
	json_uint(b, "limit", oci_stat_number(dir, file));
	snprintf(file, sizeof(file), "%s.usage_in_bytes", prefix);
	json_uint(b, "usage", oci_stat_number(dir, file));
	snprintf(file, sizeof(file), "%s.max_usage_in_bytes", prefix);
	json_uint(b, "max", oci_stat_number(dir, file));
	snprintf(file, sizeof(file), "%s.failcnt", prefix);
	json_uint(b, "failcnt", oci_stat_number(dir, file));
	json_end_object(b);
}

static void memory(const struct oci_state *s, struct buf *b)
{
	bool v2;
	char text[8192];
	const char *dir = oci_cgroup_dir(s, "memory", &v2);

	json_object(b, "memory");
	if (dir && !oci_cgroup_read(dir, "memory.stat", text, sizeof(text)))
		json_uint(b, "cache", oci_stat_field(text, v2 ? "file" : "cache"));
	if (dir && !v2) {
		memory_group(b, "usage", dir, "memory");
		memory_group(b, "swap", dir, "memory.memsw");
		memory_group(b, "kernel", dir, "memory.kmem");
		memory_group(b, "kernelTCP", dir, "memory.kmem.tcp");
		raw_stat(dir, b);
	} else if (dir) {
		json_object(b, "usage");
		json_uint(b, "limit", oci_stat_number(dir, "memory.max"));
		json_uint(b, "usage", oci_stat_number(dir, "memory.current"));
		json_uint(b, "max", oci_stat_number(dir, "memory.peak"));
		json_uint(b, "failcnt", 0);
		json_end_object(b);
		json_object(b, "swap");
		json_uint(b, "limit", oci_stat_number(dir, "memory.swap.max"));
		json_uint(b, "usage", oci_stat_number(dir, "memory.swap.current"));
		json_uint(b, "failcnt", 0);
		json_end_object(b);
		raw_stat(dir, b);
	}
	json_end_object(b);
}

/* "0-2,5": what one file of cpuset says, as numbers. */
static void cpuset_list(struct buf *b, const char *name, const char *dir, const char *file)
{
	char text[1024], *save = NULL;

	if (oci_cgroup_read(dir, file, text, sizeof(text)))
		return;
	json_array(b, name);
	for (char *p = strtok_r(text, ",", &save); p; p = strtok_r(NULL, ",", &save)) {
		char *dash = strchr(p, '-');
		unsigned long first = strtoul(p, NULL, 10);
		unsigned long last = dash ? strtoul(dash + 1, NULL, 10) : first;

		for (; first <= last && first < 65536; first++)
			json_uint(b, NULL, first);
	}
	json_end_array(b);
}

static void cpuset(const struct oci_state *s, struct buf *b)
{
	static const char *const names[] = {"cpu_exclusive",	       "mem_hardwall",
					    "mem_exclusive",	       "memory_migrate",
					    "memory_spread_page",      "memory_spread_slab",
					    "memory_pressure",	       "sched_load_balance",
					    "sched_relax_domain_level"};
	char file[64], text[32];
	bool v2;
	const char *dir = oci_cgroup_dir(s, "cpuset", &v2);

	json_object(b, "cpuset");
	if (dir) {
		cpuset_list(b, "cpus", dir, v2 ? "cpuset.cpus.effective" : "cpuset.cpus");
		cpuset_list(b, "mems", dir, v2 ? "cpuset.mems.effective" : "cpuset.mems");
	}
	for (size_t i = 0; dir && !v2 && i < sizeof(names) / sizeof(names[0]); i++) {
		snprintf(file, sizeof(file), "cpuset.%s", names[i]);
		if (!oci_cgroup_read(dir, file, text, sizeof(text)))
			json_int(b, names[i], strtoll(text, NULL, 10));
	}
	json_end_object(b);
}

void oci_cgroup_stats(const struct oci_state *s, struct buf *b)
{
	bool v2;
	const char *acct = oci_cgroup_dir(s, "cpuacct", &v2), *dir;
	bool pids_v2;

	json_object(b, "cpu");
	dir = oci_cgroup_dir(s, "cpu", &v2);
	if (acct)
		cpu_v1(acct, dir, b);
	else if (dir)
		cpu_v2(dir, b);
	json_end_object(b);
	cpuset(s, b);
	memory(s, b);
	dir = oci_cgroup_dir(s, "pids", &pids_v2);
	json_object(b, "pids");
	if (dir) {
		uint64_t max = oci_stat_number(dir, "pids.max");

		json_uint(b, "current", oci_stat_number(dir, "pids.current"));
		if (max != UINT64_MAX)
			json_uint(b, "limit", max - OCI_CGROUP_PIDS_EXTRA);
	}
	json_end_object(b);
	oci_stat_io(s, b);
	oci_stat_hugetlb(s, b);
}
