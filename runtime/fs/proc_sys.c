/* SPDX-License-Identifier: Apache-2.0 */
/* /proc/sys: what programs ask for. Constants, nacre's own values, and the host's for the network. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "runtime/fs/proc.h"
#include "runtime/task/ident.h"
#include "runtime/task/pid.h"

#define CAP_SYS_ADMIN_BIT 21

/* ---- constants: the text by name ---- */

static const struct {
	const char *name, *value;
} constants[] = {
	{"cap_last_cap", "40"},
	{"core_pattern", "core"},
	{"core_uses_pid", "0"},
	{"dmesg_restrict", "1"},
	{"kptr_restrict", "1"},
	{"modules_disabled", "1"},
	{"msgmax", "8192"},
	{"msgmnb", "16384"},
	{"msgmni", "32000"},
	{"ngroups_max", "65536"},
	{"overflowgid", "65534"},
	{"overflowuid", "65534"},
	{"panic", "0"},
	{"perf_event_paranoid", "3"},
	{"print-fatal-signals", "0"},
	{"ptrace_scope", "1"},
	{"randomize_va_space", "2"},
	{"sched_autogroup_enabled", "0"},
	{"sem", "32000\t1024000000\t500\t32000"},
	{"shmall", "18446744073692774399"},
	{"shmmax", "18446744073692774399"},
	{"shmmni", "4096"},
	{"sysrq", "0"},
	{"tainted", "0"},
	{"unprivileged_bpf_disabled", "2"},
	{"unprivileged_userns_clone", "0"},
	{"actions_avail", "kill_process kill_thread trap errno user_notif trace log allow"},
	{"actions_logged", "kill_process kill_thread trap errno user_notif trace log"},
	{"entropy_avail", "256"},
	{"poolsize", "256"},
	{"urandom_min_reseed_secs", "60"},
	{"write_wakeup_threshold", "256"},
	{"max_map_count", "65530"},
	{"min_free_kbytes", "67584"},
	{"mmap_min_addr", "65536"},
	{"nr_hugepages", "0"},
	{"overcommit_memory", "1"},
	{"overcommit_ratio", "50"},
	{"swappiness", "60"},
	{"vfs_cache_pressure", "100"},
	{"aio-max-nr", "65536"},
	{"aio-nr", "0"},
	{"file-max", "9223372036854775807"},
	{"lease-break-time", "45"},
	{"max_queued_events", "16384"},
	{"max_user_instances", "128"},
	{"max_user_watches", "65536"},
	{"nr_open", "1048576"},
	{"pipe-max-size", "1048576"},
	{"pipe-user-pages-hard", "0"},
	{"pipe-user-pages-soft", "16384"},
	{"protected_fifos", "1"},
	{"protected_hardlinks", "1"},
	{"protected_regular", "2"},
	{"protected_symlinks", "1"},
	{"suid_dumpable", "0"},
};

static int constant_show(struct proc_ctx *c, struct proc_text *x)
{
	for (size_t i = 0; i < sizeof(constants) / sizeof(constants[0]); i++)
		if (!strcmp(constants[i].name, c->name))
			proc_printf(x, "%s\n", constants[i].value);
	return 0;
}

/* ---- uts ---- */

void proc_uts(struct kernel *k, struct proc_uts *out)
{
	out->release = NACRE_UTS_RELEASE;
	out->version = NACRE_UTS_VERSION;
	pthread_mutex_lock(&k->uts_lock);
	memcpy(out->nodename, k->hostname, sizeof(out->nodename));
	memcpy(out->domainname, k->domainname, sizeof(out->domainname));
	pthread_mutex_unlock(&k->uts_lock);
}

static int hostname_show(struct proc_ctx *c, struct proc_text *x)
{
	struct proc_uts u;

	proc_uts(c->k, &u);
	proc_printf(x, "%s\n", u.nodename);
	return 0;
}

static int domainname_show(struct proc_ctx *c, struct proc_text *x)
{
	struct proc_uts u;

	proc_uts(c->k, &u);
	proc_printf(x, "%s\n", u.domainname);
	return 0;
}

static int uts_store(struct proc_ctx *c, char *buf, char dst[65])
{
	size_t n = strcspn(buf, "\n");

	if (!cred_capable(c->reader->cred, CAP_SYS_ADMIN_BIT))
		return -EPERM;
	if (n > 64)
		return -EINVAL;
	buf[n] = 0;
	pthread_mutex_lock(&c->k->uts_lock);
	memcpy(dst, buf, n + 1);
	pthread_mutex_unlock(&c->k->uts_lock);
	return 0;
}

static int hostname_store(struct proc_ctx *c, char *buf, size_t len)
{
	(void)len;
	return uts_store(c, buf, c->k->hostname);
}

static int domainname_store(struct proc_ctx *c, char *buf, size_t len)
{
	(void)len;
	return uts_store(c, buf, c->k->domainname);
}

static int ostype_show(struct proc_ctx *c, struct proc_text *x)
{
	(void)c;
	proc_printf(x, "%s\n", NACRE_UTS_SYSNAME);
	return 0;
}

static int osrelease_show(struct proc_ctx *c, struct proc_text *x)
{
	struct proc_uts u;

	proc_uts(c->k, &u);
	proc_printf(x, "%s\n", u.release);
	return 0;
}

static int version_show(struct proc_ctx *c, struct proc_text *x)
{
	struct proc_uts u;

	proc_uts(c->k, &u);
	proc_printf(x, "%s\n", u.version);
	return 0;
}

/* ---- numbers that depend ---- */

static int pid_max_show(struct proc_ctx *c, struct proc_text *x)
{
	(void)c;
	proc_printf(x, "%d\n", PID_MAX);
	return 0;
}

static int threads_max_show(struct proc_ctx *c, struct proc_text *x)
{
	proc_printf(x, "%u\n", c->k->pids_max);
	return 0;
}

static int file_nr_show(struct proc_ctx *c, struct proc_text *x)
{
	(void)c;
	proc_printf(x, "0\t0\t9223372036854775807\n");
	return 0;
}

static int inode_state_show(struct proc_ctx *c, struct proc_text *x)
{
	(void)c;
	proc_printf(x, "0\t0\t0\t0\t0\t0\t0\n");
	return 0;
}

/* ---- random ---- */

static void print_uuid(struct proc_text *x, uint8_t b[16])
{
	b[6] = (b[6] & 0x0f) | 0x40; /* version 4, random */
	b[8] = (b[8] & 0x3f) | 0x80;
	for (int i = 0; i < 16; i++)
		proc_printf(x, "%s%02x", i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "", b[i]);
	proc_printf(x, "\n");
}

static int uuid_show(struct proc_ctx *c, struct proc_text *x)
{
	uint8_t b[16];

	(void)c;
	if (getrandom(b, sizeof(b), 0) != sizeof(b))
		return -EIO;
	print_uuid(x, b);
	return 0;
}

/* One for the life of the container. */
static int boot_id_show(struct proc_ctx *c, struct proc_text *x)
{
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	static uint8_t id[16];
	static bool made;
	uint8_t b[16];

	(void)c;
	pthread_mutex_lock(&lock);
	if (!made)
		made = getrandom(id, sizeof(id), 0) == sizeof(id);
	memcpy(b, id, sizeof(b));
	pthread_mutex_unlock(&lock);
	print_uuid(x, b);
	return 0;
}

/* ---- the network: the host namespace the sandbox lives in ---- */

static int core_show(struct proc_ctx *c, struct proc_text *x)
{
	char path[96];

	snprintf(path, sizeof(path), "sys/net/core/%s", c->name);
	return proc_pass_through(c->k, path, x);
}

static int ipv4_show(struct proc_ctx *c, struct proc_text *x)
{
	char path[96];

	snprintf(path, sizeof(path), "sys/net/ipv4/%s", c->name);
	return proc_pass_through(c->k, path, x);
}

static int ipv6_all_show(struct proc_ctx *c, struct proc_text *x)
{
	char path[96];

	snprintf(path, sizeof(path), "sys/net/ipv6/conf/all/%s", c->name);
	return proc_pass_through(c->k, path, x);
}

/* ---- tables ---- */

#define CONSTANT(n) PROC_FILE(n, 0444, constant_show)
#define END {.name = NULL}

static const struct proc_row random_rows[] = {
	PROC_FILE("boot_id", 0444, boot_id_show), CONSTANT("entropy_avail"), CONSTANT("poolsize"),
	CONSTANT("urandom_min_reseed_secs"),	  PROC_FILE("uuid", 0444, uuid_show),
	CONSTANT("write_wakeup_threshold"),	  END,
};
static const struct proc_row yama_rows[] = {CONSTANT("ptrace_scope"), END};
static const struct proc_row seccomp_rows[] = {CONSTANT("actions_avail"),
					       CONSTANT("actions_logged"), END};
static const struct proc_row kernel_rows[] = {
	CONSTANT("cap_last_cap"),
	CONSTANT("core_pattern"),
	CONSTANT("core_uses_pid"),
	CONSTANT("dmesg_restrict"),
	PROC_RW("domainname", 0644, domainname_show, domainname_store),
	PROC_RW("hostname", 0644, hostname_show, hostname_store),
	CONSTANT("kptr_restrict"),
	CONSTANT("modules_disabled"),
	CONSTANT("msgmax"),
	CONSTANT("msgmnb"),
	CONSTANT("msgmni"),
	CONSTANT("ngroups_max"),
	PROC_FILE("osrelease", 0444, osrelease_show),
	PROC_FILE("ostype", 0444, ostype_show),
	CONSTANT("overflowgid"),
	CONSTANT("overflowuid"),
	CONSTANT("panic"),
	CONSTANT("perf_event_paranoid"),
	PROC_FILE("pid_max", 0444, pid_max_show),
	CONSTANT("print-fatal-signals"),
	PROC_DIR("random", random_rows),
	CONSTANT("randomize_va_space"),
	CONSTANT("sched_autogroup_enabled"),
	PROC_DIR("seccomp", seccomp_rows),
	CONSTANT("sem"),
	CONSTANT("shmall"),
	CONSTANT("shmmax"),
	CONSTANT("shmmni"),
	CONSTANT("sysrq"),
	CONSTANT("tainted"),
	PROC_FILE("threads-max", 0444, threads_max_show),
	CONSTANT("unprivileged_bpf_disabled"),
	CONSTANT("unprivileged_userns_clone"),
	PROC_FILE("version", 0444, version_show),
	PROC_DIR("yama", yama_rows),
	END,
};
static const struct proc_row vm_rows[] = {
	CONSTANT("max_map_count"),  CONSTANT("min_free_kbytes"),    CONSTANT("mmap_min_addr"),
	CONSTANT("nr_hugepages"),   CONSTANT("overcommit_memory"),  CONSTANT("overcommit_ratio"),
	CONSTANT("swappiness"),	    CONSTANT("vfs_cache_pressure"), END,
};
static const struct proc_row inotify_rows[] = {CONSTANT("max_queued_events"),
					       CONSTANT("max_user_instances"),
					       CONSTANT("max_user_watches"), END};
static const struct proc_row fs_rows[] = {
	CONSTANT("aio-max-nr"),
	CONSTANT("aio-nr"),
	CONSTANT("file-max"),
	PROC_FILE("file-nr", 0444, file_nr_show),
	PROC_FILE("inode-state", 0444, inode_state_show),
	PROC_DIR("inotify", inotify_rows),
	CONSTANT("lease-break-time"),
	CONSTANT("nr_open"),
	CONSTANT("pipe-max-size"),
	CONSTANT("pipe-user-pages-hard"),
	CONSTANT("pipe-user-pages-soft"),
	CONSTANT("protected_fifos"),
	CONSTANT("protected_hardlinks"),
	CONSTANT("protected_regular"),
	CONSTANT("protected_symlinks"),
	CONSTANT("suid_dumpable"),
	END,
};
#define CORE(n) PROC_FILE(n, 0444, core_show)
static const struct proc_row core_rows[] = {
	CORE("netdev_max_backlog"), CORE("optmem_max"), CORE("rmem_default"), CORE("rmem_max"),
	CORE("somaxconn"),	    CORE("wmem_default"), CORE("wmem_max"),   END,
};
#define IPV4(n) PROC_FILE(n, 0444, ipv4_show)
static const struct proc_row ipv4_rows[] = {
	IPV4("ip_forward"),
	IPV4("ip_local_port_range"),
	IPV4("ip_nonlocal_bind"),
	IPV4("ip_unprivileged_port_start"),
	IPV4("ping_group_range"),
	IPV4("tcp_available_congestion_control"),
	IPV4("tcp_congestion_control"),
	IPV4("tcp_fastopen"),
	IPV4("tcp_fin_timeout"),
	IPV4("tcp_keepalive_intvl"),
	IPV4("tcp_keepalive_probes"),
	IPV4("tcp_keepalive_time"),
	IPV4("tcp_max_syn_backlog"),
	IPV4("tcp_mem"),
	IPV4("tcp_rmem"),
	IPV4("tcp_syn_retries"),
	IPV4("tcp_syncookies"),
	IPV4("tcp_tw_reuse"),
	IPV4("tcp_wmem"),
	END,
};
static const struct proc_row ipv6_all_rows[] = {PROC_FILE("disable_ipv6", 0444, ipv6_all_show),
						PROC_FILE("forwarding", 0444, ipv6_all_show), END};
static const struct proc_row ipv6_conf_rows[] = {PROC_DIR("all", ipv6_all_rows), END};
static const struct proc_row ipv6_rows[] = {PROC_DIR("conf", ipv6_conf_rows), END};
static const struct proc_row net_rows[] = {PROC_DIR("core", core_rows), PROC_DIR("ipv4", ipv4_rows),
					   PROC_DIR("ipv6", ipv6_rows), END};

const struct proc_row proc_sys_rows[] = {
	PROC_DIR("fs", fs_rows), PROC_DIR("kernel", kernel_rows), PROC_DIR("net", net_rows),
	PROC_DIR("vm", vm_rows), END,
};
