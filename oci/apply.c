/* SPDX-License-Identifier: Apache-2.0 */
#include "oci/apply.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "oci/cleanup.h"

#define IOPRIO_WHO_PROCESS 1
#define RESET_ON_FORK 1u /* SCHED_FLAG_RESET_ON_FORK */

static int put(const char *path, const char *text)
{
	cleanup_fd int fd = open(path, O_WRONLY | O_CLOEXEC);

	return fd < 0 || write(fd, text, strlen(text)) < 0 ? -errno : 0;
}

/*
 * The sandbox itself moves: every clock of the guest, its vDSO's and its timers' are the sandbox's. A new
 * namespace is our children's, so it is entered by its descriptor (time_namespaces(7)).
 */
int oci_apply_clocks(const struct oci_config *cfg, struct oci_error *err)
{
	static const char *const clocks[] = {"monotonic", "boottime"};
	const char *path = cfg->ns[OCI_NS_TIME].path;
	char line[96];
	int r;

	if (!cfg->ns[OCI_NS_TIME].present)
		return 0;
	if (!path && unshare((int)oci_ns_flag(OCI_NS_TIME)))
		return oci_fail_errno(
			err, errno, "config.json: linux.namespaces: cannot make a time namespace");
	for (int i = 0; cfg->has_time_offsets && i < 2; i++) {
		snprintf(line, sizeof(line), "%s %" PRId64 " %" PRId64 "\n", clocks[i],
			 cfg->time_offset[i][0], cfg->time_offset[i][1]);
		r = put("/proc/self/timens_offsets", line);
		if (r)
			return oci_fail_errno(err, -r, "config.json: linux.timeOffsets.%s",
					      clocks[i]);
	}
	cleanup_fd int fd =
		open(path ? path : "/proc/self/ns/time_for_children", O_RDONLY | O_CLOEXEC);

	if (fd < 0 || setns(fd, (int)oci_ns_flag(OCI_NS_TIME)))
		return oci_fail_errno(err, errno, "config.json: linux.namespaces: cannot join %s",
				      path ? path : "the time namespace");
	return 0;
}

/* What config_machine.c let pass: the network's, and the domain name; the rest was warned of. */
static int sysctls(const struct oci_config *cfg, struct oci_error *err)
{
	for (size_t i = 0; i < cfg->nsysctl; i++) {
		const char *key = cfg->sysctl[i].key;
		char path[512];
		int r;

		if (strncmp(key, "net", 3) && strncmp(key, "kernel.domainname", 17) &&
		    strncmp(key, "kernel/domainname", 17))
			continue;
		snprintf(path, sizeof(path), "/proc/sys/%s", key);
		/* sysctl(8): a name with a slash first has its dots for itself. */
		if (strcspn(key, ".") < strcspn(key, "/"))
			for (char *p = path + sizeof("/proc/sys/") - 1; *p; p++)
				*p = *p == '.' ? '/' : *p == '/' ? '.' : *p;
		r = put(path, cfg->sysctl[i].value);
		if (r)
			return oci_fail_errno(err, -r, "config.json: linux.sysctl.%s", key);
	}
	return 0;
}

static int scheduler(const struct oci_scheduler *s, struct oci_error *err)
{
	/* The first version of struct sched_attr (sched_setattr(2)). */
	struct {
		uint32_t size, policy;
		uint64_t flags;
		int32_t nice;
		uint32_t priority;
		uint64_t runtime, deadline, period;
	} attr = {.size = 48};

	if (s->policy < 0)
		return 0;
	attr.policy = (uint32_t)s->policy;
	/* Threads must inherit it; what the guest's processes inherit is the application kernel's. */
	attr.flags = s->flags & ~(uint64_t)RESET_ON_FORK;
	attr.nice = s->nice;
	attr.priority = (uint32_t)s->priority;
	if (syscall(SYS_sched_setattr, 0, &attr, 0))
		return oci_fail_errno(err, errno, "config.json: process.scheduler");
	return 0;
}

int oci_apply_environment(const struct oci_config *cfg, struct oci_error *err)
{
	const struct oci_process *p = &cfg->process;
	int r;

	if ((r = sysctls(cfg, err)) || (r = scheduler(&p->scheduler, err)))
		return r;
	if (p->io_priority >= 0 && syscall(SYS_ioprio_set, IOPRIO_WHO_PROCESS, 0, p->io_priority))
		return oci_fail_errno(err, errno, "config.json: process.ioPriority");
	return 0;
}

int oci_apply_kernel(struct oci_config *cfg, struct kernel_config *k, struct oci_error *err)
{
	struct kernel_device *list = oci_arena_alloc(&cfg->arena, cfg->ndevices + 1, sizeof(*list));

	if (!list)
		return oci_fail_errno(err, ENOMEM, "config.json: linux.devices");
	for (size_t i = 0; i < cfg->ndevices; i++) {
		const struct oci_device *d = &cfg->devices[i];

		list[i] = (struct kernel_device){d->path, d->mode, makedev(d->major, d->minor),
						 d->uid, d->gid};
	}
	k->devices = list;
	k->ndevices = cfg->ndevices;
	k->boottime_offset = cfg->time_offset[1][0] * 1000000000 + cfg->time_offset[1][1];
	return 0;
}

void oci_apply_process(const struct oci_config *cfg, const struct oci_process *p, bool exec,
		       struct kernel_process_spec *k)
{
	const struct oci_cpus *a =
		p->affinity_final.given ? &p->affinity_final : &p->affinity_initial;

	k->personality = (unsigned)cfg->personality;
	k->sched_policy = p->scheduler.policy < 0 ? 0 : p->scheduler.policy;
	k->sched_priority = p->scheduler.priority;
	k->sched_reset_on_fork = p->scheduler.policy >= 0 && (p->scheduler.flags & RESET_ON_FORK);
	k->nice = p->scheduler.nice;
	if (!exec)
		return;
	if (!a->given) {
		p = &cfg->process;
		a = p->affinity_final.given ? &p->affinity_final : &p->affinity_initial;
	}
	memcpy(k->affinity, a->bits, sizeof(k->affinity));
}
