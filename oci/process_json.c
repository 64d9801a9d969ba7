/* SPDX-License-Identifier: Apache-2.0 */
/* A process as JSON: what `exec` sends to the sandbox, in the form of config.json's process object. */
#include "oci/buf.h"
#include "oci/caps.h"
#include "oci/config.h"

static void user(struct buf *b, const struct oci_process *p)
{
	json_object(b, "user");
	json_uint(b, "uid", p->uid);
	json_uint(b, "gid", p->gid);
	if (p->umask != (mode_t)-1)
		json_uint(b, "umask", p->umask);
	json_array(b, "additionalGids");
	for (size_t i = 0; i < p->ngroups; i++)
		json_uint(b, NULL, p->groups[i]);
	json_end_array(b);
	json_end_object(b);
}

static void capset(struct buf *b, const char *key, uint64_t set)
{
	json_array(b, key);
	for (int c = 0; c < OCI_CAP_COUNT; c++)
		if (set & (uint64_t)1 << c)
			json_str(b, NULL, oci_cap_name(c));
	json_end_array(b);
}

static void strings(struct buf *b, const char *key, char *const *list)
{
	size_t n = 0;

	while (list[n])
		n++;
	json_strings(b, key, (const char *const *)list, n);
}

static void cpus(struct buf *b, const char *key, const struct oci_cpus *set)
{
	cleanup_buf struct buf list = {0};

	for (unsigned i = 0; i < 1024; i++)
		if (set->bits[i / 64] >> i % 64 & 1)
			buf_printf(&list, "%s%u", list.len ? "," : "", i);
	if (set->given && buf_ok(&list))
		json_str(b, key, list.s);
}

static void scheduling(struct buf *b, const struct oci_process *p)
{
	if (p->scheduler.policy >= 0) {
		json_object(b, "scheduler");
		json_str(b, "policy", oci_sched_policy_name(p->scheduler.policy));
		json_int(b, "nice", p->scheduler.nice);
		json_int(b, "priority", p->scheduler.priority);
		json_end_object(b);
	}
	if (p->io_priority >= 0) {
		json_object(b, "ioPriority");
		json_str(b, "class", oci_io_class_name(p->io_priority >> 13));
		json_int(b, "priority", p->io_priority & 7);
		json_end_object(b);
	}
	json_object(b, "execCPUAffinity");
	cpus(b, "initial", &p->affinity_initial);
	cpus(b, "final", &p->affinity_final);
	json_end_object(b);
}

void oci_process_json(struct buf *b, const struct oci_process *p)
{
	json_object(b, NULL);
	json_bool(b, "terminal", p->terminal);
	user(b, p);
	strings(b, "args", p->args);
	strings(b, "env", p->env);
	json_str(b, "cwd", p->cwd);
	json_object(b, "capabilities");
	capset(b, "bounding", p->cap_bounding);
	capset(b, "effective", p->cap_effective);
	capset(b, "inheritable", p->cap_inheritable);
	capset(b, "permitted", p->cap_permitted);
	capset(b, "ambient", p->cap_ambient);
	json_end_object(b);
	json_array(b, "rlimits");
	for (int i = 0; i < OCI_NRLIMITS; i++) {
		if (!p->rlimit_set[i])
			continue;
		json_object(b, NULL);
		json_str(b, "type", oci_rlimit_name(i));
		json_uint(b, "hard", p->rlimits[i].rlim_max);
		json_uint(b, "soft", p->rlimits[i].rlim_cur);
		json_end_object(b);
	}
	json_end_array(b);
	json_bool(b, "noNewPrivileges", p->no_new_privs);
	scheduling(b, p);
	json_end_object(b);
}
