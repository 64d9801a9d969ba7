/* SPDX-License-Identifier: Apache-2.0 */
#include "oci/systemd.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "oci/cgroup.h"
#include "oci/cleanup.h"

#define HELPER "nacre-systemd"
#define MAX_WORDS 40

extern char **environ;

/* Beside this program, as in a build tree, or where it is installed. */
static bool find_helper(char path[PATH_MAX])
{
	ssize_t n = readlink("/proc/self/exe", path, PATH_MAX - sizeof(HELPER));

	if (n > 0) {
		path[n] = '\0';
		snprintf(strrchr(path, '/') + 1, sizeof(HELPER), HELPER);
		if (!access(path, X_OK))
			return true;
	}
	snprintf(path, PATH_MAX, "%s/" HELPER, NACRE_LIBEXEC_DIR);
	return !access(path, X_OK);
}

bool oci_systemd_built(void)
{
	char path[PATH_MAX];

	return find_helper(path);
}

int oci_systemd_check(struct oci_error *err)
{
	if (access("/run/systemd/system", F_OK))
		return oci_fail(err, ENOTSUP,
				"systemd cgroup flag passed, but systemd support for managing "
				"cgroups is not available");
	if (!oci_systemd_built())
		return oci_fail(err, ENOTSUP,
				"systemd cgroup flag passed, but " HELPER " is not installed: "
				"nacre was built without libsystemd");
	return 0;
}

/* The line it prints: what was asked for, or the reason of its failure. */
static int run_helper(const char *const *words, char line[512], struct oci_error *err)
{
	posix_spawn_file_actions_t files;
	char path[PATH_MAX];
	cleanup_fd int from = -1, to = -1;
	int pair[2], r, status = 0;
	size_t len = 0;
	ssize_t n;
	pid_t pid;

	if (!find_helper(path))
		return oci_fail(err, ENOENT, HELPER " is not installed");
	if (pipe2(pair, O_CLOEXEC))
		return oci_fail_errno(err, errno, "pipe");
	from = pair[0];
	to = pair[1];
	posix_spawn_file_actions_init(&files);
	posix_spawn_file_actions_adddup2(&files, to, STDOUT_FILENO);
	posix_spawn_file_actions_adddup2(&files, to, STDERR_FILENO);
	r = posix_spawn(&pid, path, &files, NULL, (char *const *)words, environ);
	posix_spawn_file_actions_destroy(&files);
	if (r)
		return oci_fail_errno(err, r, "%s", path);
	close(steal_fd(&to));
	while (len < 511 &&
	       ((n = read(from, line + len, 511 - len)) > 0 || (n < 0 && errno == EINTR)))
		len += n > 0 ? (size_t)n : 0;
	line[len] = '\0';
	line[strcspn(line, "\n")] = '\0';
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (WIFEXITED(status) && !WEXITSTATUS(status))
		return 0;
	return oci_fail(err, EIO, "systemd: %s", *line ? line : HELPER " failed");
}

const char *oci_systemd_default_slice(void)
{
	return geteuid() ? "user.slice" : "system.slice";
}

int oci_systemd_group(char *out, size_t len, struct oci_error *err)
{
	static const char *const words[] = {HELPER, "group", "-", NULL};
	char line[512];
	int r;

	*out = '\0';
	if (!geteuid())
		return 0;
	r = run_helper(words, line, err);
	if (!r)
		snprintf(out, len, "%s", line);
	return r;
}

static void add(struct oci_properties *p, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
static void add(struct oci_properties *p, const char *fmt, ...)
{
	const unsigned room = sizeof(p->text) / sizeof(p->text[0]);
	va_list ap;

	if (p->n == room)
		return;
	va_start(ap, fmt);
	vsnprintf(p->text[p->n++], sizeof(p->text[0]), fmt, ap);
	va_end(ap);
}

/* Negative is no limit (systemd: infinity). */
static void add_bytes(struct oci_properties *p, const char *name, int64_t value)
{
	add(p, "%s=t:%llu", name, value < 0 ? UINT64_MAX : (unsigned long long)value);
}

/* systemd keeps the share of a second, in whole percent; the period beside it. */
static void add_quota(struct oci_properties *p, const struct oci_resources *res)
{
	const unsigned long long percent = 10000;
	unsigned long long period = res->has_period && res->period ? res->period : 100000, share;

	if (res->has_period)
		add(p, "CPUQuotaPeriodUSec=t:%llu", (unsigned long long)res->period);
	if (!res->has_quota && !res->has_period)
		return;
	share = (unsigned long long)(res->quota > 0 ? res->quota : 0) * 1000000 / period;
	share = (share + percent - 1) / percent * percent;
	add(p, "CPUQuotaPerSecUSec=t:%llu", res->quota > 0 ? share : UINT64_MAX);
}

/* "0-2,5" as a bit mask, first byte first, in hexadecimal. */
static void add_mask(struct oci_properties *p, const char *name, const char *list)
{
	unsigned char mask[32] = {0};
	char text[2 * sizeof(mask) + 1] = "";
	size_t used = 0;

	while (*list) {
		char *end;
		unsigned long first = strtoul(list, &end, 10);
		unsigned long last = *end == '-' ? strtoul(end + 1, &end, 10) : first;

		for (; first <= last && first < 8 * sizeof(mask); first++) {
			mask[first / 8] |= (unsigned char)(1u << first % 8);
			used = first / 8 + 1 > used ? first / 8 + 1 : used;
		}
		if (*end != ',')
			break;
		list = end + 1;
	}
	for (size_t i = 0; i < used; i++)
		snprintf(text + 2 * i, 3, "%02x", mask[i]);
	if (used)
		add(p, "%s=ay:%s", name, text);
}

/* Files of version 2 that systemd writes itself, by its name for them. */
static void add_unified(struct oci_properties *p, const struct oci_resources *res)
{
	static const struct {
		const char *file, *property;
	} names[] = {{"cpu.weight", "CPUWeight"},   {"memory.max", "MemoryMax"},
		     {"memory.high", "MemoryHigh"}, {"memory.low", "MemoryLow"},
		     {"memory.min", "MemoryMin"},   {"memory.swap.max", "MemorySwapMax"},
		     {"pids.max", "TasksMax"}};

	for (size_t i = 0; i < res->nunified; i++)
		for (size_t k = 0; k < sizeof(names) / sizeof(names[0]); k++)
			if (!strcmp(res->unified[i].file, names[k].file))
				add_bytes(p, names[k].property,
					  strcmp(res->unified[i].value, "max")
						  ? strtoll(res->unified[i].value, NULL, 10)
						  : -1);
}

static void add_v2(struct oci_properties *p, const struct oci_resources *res)
{
	if (res->has_memory)
		add_bytes(p, "MemoryMax", res->memory);
	if (res->has_memory_reservation)
		add_bytes(p, "MemoryLow", res->memory_reservation);
	/* The specification counts memory and swap together. */
	if (res->has_memory_swap)
		add_bytes(p, "MemorySwapMax",
			  res->memory_swap > 0 ? res->memory_swap - res->memory : res->memory_swap);
	if (res->has_shares)
		add(p, "CPUWeight=t:%llu", oci_cgroup_weight(res->shares));
	if (res->cpus && *res->cpus)
		add_mask(p, "AllowedCPUs", res->cpus);
	if (res->mems && *res->mems)
		add_mask(p, "AllowedMemoryNodes", res->mems);
	add_unified(p, res);
}

void oci_systemd_properties(const struct oci_resources *res, bool v2, struct oci_properties *p)
{
	p->n = 0;
	if (v2) {
		add_v2(p, res);
	} else {
		if (res->has_memory)
			add_bytes(p, "MemoryLimit", res->memory);
		if (res->has_shares)
			add(p, "CPUShares=t:%llu", (unsigned long long)res->shares);
		if (res->has_blkio_weight)
			add(p, "BlockIOWeight=t:%llu", (unsigned long long)res->blkio_weight);
	}
	add_quota(p, res);
	if (res->has_pids)
		add_bytes(p, "TasksMax", res->pids > 0 ? res->pids + OCI_CGROUP_PIDS_EXTRA : -1);
}

/* The scope's name is that of its directory. */
static const char *unit(const struct oci_state *s)
{
	return s->ncgroups ? strrchr(s->cgroups[0].dir, '/') + 1 : "";
}

static bool is_v2(const struct oci_state *s)
{
	return s->ncgroups == 1 && !*s->cgroups[0].controllers;
}

static int call(const char *verb, const struct oci_state *s, const struct oci_properties *p,
		struct oci_error *err)
{
	const char *words[MAX_WORDS] = {HELPER, verb, unit(s)};
	char line[512];

	for (unsigned i = 0; i < p->n; i++)
		words[3 + i] = p->text[i];
	return run_helper(words, line, err);
}

int oci_systemd_start(const struct oci_state *s, const char *path, pid_t pid,
		      const struct oci_resources *res, struct oci_error *err)
{
	static const char *const accounts[] = {"MemoryAccounting", "CPUAccounting",
					       "TasksAccounting"};
	int slice = path ? (int)strcspn(path, ":") : 0, r;
	struct oci_properties p;

	if (!s->ncgroups)
		return oci_fail(err, ENOENT, "systemd: the host has no usable cgroup hierarchy");
	oci_systemd_properties(res, is_v2(s), &p);
	add(&p, "Description=s:nacre container %.100s", s->id);
	if (slice)
		add(&p, "Slice=s:%.*s", slice, path);
	else
		add(&p, "Slice=s:%s", oci_systemd_default_slice());
	add(&p, "Delegate=b:true");
	add(&p, "DefaultDependencies=b:false");
	for (size_t i = 0; i < sizeof(accounts) / sizeof(accounts[0]); i++)
		add(&p, "%s=b:true", accounts[i]);
	add(&p, "%s=b:true", is_v2(s) ? "IOAccounting" : "BlockIOAccounting");
	add(&p, "PIDs=au:%d", (int)pid);
	r = call("start", s, &p, err);
	/* What systemd has no property for it has set to the default. */
	return r ? r : oci_cgroup_limits(s, res, err);
}

int oci_systemd_update(const struct oci_state *s, const struct oci_resources *res,
		       struct oci_error *err)
{
	struct oci_properties p;

	oci_systemd_properties(res, is_v2(s), &p);
	return p.n ? call("set", s, &p, err) : 0;
}

int oci_systemd_stop(const struct oci_state *s, struct oci_error *err)
{
	const struct oci_properties none = {.n = 0};

	return s->ncgroups ? call("stop", s, &none, err) : 0;
}
