/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A bundle's config.json as checked C data (OCI runtime specification 1.2, config.md and
 * config-linux.md). Strings and arrays live as long as the struct oci_config they belong to.
 */
#ifndef NACRE_OCI_CONFIG_H
#define NACRE_OCI_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/types.h>

#include <yajl/yajl_tree.h>

#include "oci/error.h"

#define OCI_NRLIMITS 16

enum oci_ns {
	OCI_NS_PID,
	OCI_NS_NETWORK,
	OCI_NS_MOUNT,
	OCI_NS_IPC,
	OCI_NS_UTS,
	OCI_NS_USER,
	OCI_NS_CGROUP,
	OCI_NS_TIME,
	OCI_NS_COUNT
};

struct sock_filter;
struct oci_arena; /* allocations freed together */
void *oci_arena_alloc(struct oci_arena **a, size_t n, size_t size);
void oci_arena_free(struct oci_arena **a);

struct oci_idmap {
	uint32_t container, host, size;
};

struct oci_mount {
	const char *destination, *type, *source;
	const char *const *options;
	size_t noptions;
	const struct oci_idmap *uid_map, *gid_map; /* of this mount alone */
	size_t nuid_map, ngid_map;
};

/* A CPU list as the kernel writes them ("0-3,7"), as bits. */
struct oci_cpus {
	bool given;
	uint64_t bits[16];
};

/* sched_setattr(2); policy -1: not given. */
struct oci_scheduler {
	int policy, nice, priority;
	uint64_t flags; /* SCHED_FLAG_* */
};

struct oci_process {
	bool terminal, no_new_privs, has_oom_score_adj;
	uint16_t console_height, console_width;
	uid_t uid;
	gid_t gid;
	mode_t umask; /* (mode_t)-1: not given */
	const gid_t *groups;
	size_t ngroups;
	char *const *args; /* NULL-terminated; NULL without process.args */
	char *const *env;
	const char *cwd;
	uint64_t cap_bounding, cap_effective, cap_inheritable, cap_permitted, cap_ambient;
	struct rlimit64 rlimits[OCI_NRLIMITS];
	bool rlimit_set[OCI_NRLIMITS];
	int oom_score_adj;
	const char *apparmor, *selinux;
	struct oci_scheduler scheduler;
	int io_priority; /* ioprio_set(2): class << 13 | data; -1: not given */
	struct oci_cpus affinity_initial, affinity_final; /* of exec'd processes */
};

struct oci_namespace {
	bool present;
	const char *path; /* NULL: a new one */
};

/* Limits; a has_* false means "leave alone". */
struct oci_resources {
	bool has_memory, has_memory_reservation, has_memory_swap, has_swappiness, has_oom_disable;
	int64_t memory, memory_reservation, memory_swap;
	uint64_t swappiness;
	bool oom_disable;
	bool has_shares, has_quota, has_period, has_rt_period, has_rt_runtime;
	uint64_t shares, period, rt_period;
	int64_t quota, rt_runtime;
	const char *cpus, *mems;
	bool has_pids;
	int64_t pids;
	bool has_blkio_weight;
	uint64_t blkio_weight;
	struct {
		const char *page_size;
		uint64_t limit;
	} hugetlb[8];
	size_t nhugetlb;
	struct {
		const char *file, *value;
	} unified[64];
	size_t nunified;
	/* Settings that are one file's text: what else there is. NULL where a version has no such file. */
	const struct oci_cgroup_setting {
		const char *key; /* in the document, for errors */
		const char *controller, *controller2;
		const char *file, *value, *file2, *value2; /* of version 1 and of version 2 */
	} * settings;
	size_t nsettings;
};

struct oci_device {
	const char *path;
	mode_t mode; /* with its type */
	unsigned major, minor;
	uid_t uid;
	gid_t gid;
};

struct oci_hook {
	const char *path;
	char *const *args; /* NULL: {path} */
	char *const *env;
	int timeout; /* seconds, 0: none */
};
enum oci_hook_kind {
	OCI_HOOK_PRESTART,
	OCI_HOOK_CREATE_RUNTIME,
	OCI_HOOK_CREATE_CONTAINER,
	OCI_HOOK_START_CONTAINER,
	OCI_HOOK_POSTSTART,
	OCI_HOOK_POSTSTOP,
	OCI_HOOK_KINDS
};
extern const char *const oci_hook_names[OCI_HOOK_KINDS];
struct oci_hooks {
	const struct oci_hook *list;
	size_t n;
};

struct oci_pair {
	const char *key, *value;
};

struct oci_config {
	struct oci_arena *arena;
	yajl_val tree;
	const char *oci_version, *rootfs, *hostname, *domainname;
	bool root_readonly, has_process;
	struct oci_process process;
	const struct oci_mount *mounts;
	size_t nmounts;
	int *trees; /* of each mount: an id-mapped tree the creator made (idmap.h), or -1 */
	struct oci_hooks hooks[OCI_HOOK_KINDS];
	const struct oci_pair *annotations, *sysctl;
	size_t nannotations, nsysctl;
	struct oci_namespace ns[OCI_NS_COUNT];
	const struct oci_idmap *uid_map, *gid_map;
	size_t nuid_map, ngid_map;
	const char *cgroups_path;
	unsigned long rootfs_propagation; /* MS_*, 0: not given */
	const char *mount_label;	  /* SELinux's, NULL: none */
	unsigned long personality;	  /* personality(2) */
	bool has_time_offsets;
	int64_t time_offset[2][2]; /* monotonic, boottime: seconds, nanoseconds */
	const struct oci_device *devices;
	size_t ndevices;
	const char *const *masked_paths, *const *readonly_paths;
	size_t nmasked, nreadonly;
	yajl_val seccomp_tree;		   /* linux.seccomp as written; NULL: none */
	const struct sock_filter *seccomp; /* compiled by oci_seccomp_compile() */
	size_t nseccomp;
	struct oci_resources resources;
};

const char *oci_ns_name(enum oci_ns ns);
unsigned long oci_ns_flag(enum oci_ns ns); /* CLONE_NEW* */

/*
 * Parse and check text. Keys that are understood but not applied are logged as warnings, once each.
 * 0 or -errno; *cfg needs oci_config_free() after success only.
 */
int oci_config_parse(const char *text, size_t len, struct oci_config *cfg, struct oci_error *err);
int oci_config_load(int bundle_fd, struct oci_config *cfg, struct oci_error *err);
void oci_config_free(struct oci_config *cfg);

/* A process object: config.json's at path "process", a process.json's at "". */
int oci_process_parse(struct oci_arena **arena, yajl_val obj, const char *file, const char *path,
		      struct oci_process *out, struct oci_error *err);
/* The same object written: process_json.c. */
struct buf;
void oci_process_json(struct buf *b, const struct oci_process *p);
const char *oci_rlimit_name(int number);
/* linux.resources, also of `update --resources`. Path "" and file name the source in errors. */
int oci_resources_parse(struct oci_arena **arena, yajl_val obj, const char *file, const char *path,
			struct oci_resources *out, struct oci_error *err);
/* The linux object; config_linux.c. */
int oci_config_linux(struct oci_config *cfg, yajl_val linux_obj, struct oci_error *err);
/* Its devices, personality, timeOffsets, sysctl and intelRdt; config_machine.c. */
int oci_config_machine(struct oci_config *cfg, yajl_val linux_obj, struct oci_error *err);
/* An array of id mappings, member `key` of obj at `path`. */
int oci_config_idmap(struct oci_arena **arena, yajl_val obj, const char *path, const char *key,
		     const struct oci_idmap **out, size_t *n, struct oci_error *err);
/* scheduler, ioPriority and execCPUAffinity of a process object; config_sched.c. */
int oci_process_sched(yajl_val obj, const char *file, const char *path, struct oci_process *p,
		      struct oci_error *err);
/* "0-3,7" to bits; false when it is no such list or names a CPU past 1023. */
bool oci_cpus_parse(const char *text, struct oci_cpus *out);
const char *oci_sched_policy_name(int policy);
const char *oci_io_class_name(int class);
/* An array of strings as a NULL-terminated list; *out NULL when absent. */
int oci_config_strings(struct oci_arena **arena, yajl_val obj, const char *file, const char *path,
		       const char *key, char ***out, size_t *n, struct oci_error *err);
/* An object of strings as pairs. */
int oci_config_pairs(struct oci_arena **arena, yajl_val obj, const char *file, const char *path,
		     const char *key, const struct oci_pair **out, size_t *n,
		     struct oci_error *err);
/* Add NAME=value to an environment unless NAME is there. */
int oci_env_default(struct oci_arena **arena, char *const **env, const char *pair);

#endif
