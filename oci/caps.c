/* SPDX-License-Identifier: Apache-2.0 */
#include "oci/caps.h"

#include <errno.h>
#include <string.h>
#include <sys/capability.h>
#include <sys/prctl.h>

static const char *const names[OCI_CAP_COUNT] = {
	"CAP_CHOWN",
	"CAP_DAC_OVERRIDE",
	"CAP_DAC_READ_SEARCH",
	"CAP_FOWNER",
	"CAP_FSETID",
	"CAP_KILL",
	"CAP_SETGID",
	"CAP_SETUID",
	"CAP_SETPCAP",
	"CAP_LINUX_IMMUTABLE",
	"CAP_NET_BIND_SERVICE",
	"CAP_NET_BROADCAST",
	"CAP_NET_ADMIN",
	"CAP_NET_RAW",
	"CAP_IPC_LOCK",
	"CAP_IPC_OWNER",
	"CAP_SYS_MODULE",
	"CAP_SYS_RAWIO",
	"CAP_SYS_CHROOT",
	"CAP_SYS_PTRACE",
	"CAP_SYS_PACCT",
	"CAP_SYS_ADMIN",
	"CAP_SYS_BOOT",
	"CAP_SYS_NICE",
	"CAP_SYS_RESOURCE",
	"CAP_SYS_TIME",
	"CAP_SYS_TTY_CONFIG",
	"CAP_MKNOD",
	"CAP_LEASE",
	"CAP_AUDIT_WRITE",
	"CAP_AUDIT_CONTROL",
	"CAP_SETFCAP",
	"CAP_MAC_OVERRIDE",
	"CAP_MAC_ADMIN",
	"CAP_SYSLOG",
	"CAP_WAKE_ALARM",
	"CAP_BLOCK_SUSPEND",
	"CAP_AUDIT_READ",
	"CAP_PERFMON",
	"CAP_BPF",
	"CAP_CHECKPOINT_RESTORE",
};

int oci_cap_number(const char *name)
{
	for (int i = 0; i < OCI_CAP_COUNT; i++)
		if (!strcmp(names[i], name))
			return i;
	return -1;
}

const char *oci_cap_name(int cap)
{
	return cap >= 0 && cap < OCI_CAP_COUNT ? names[cap] : NULL;
}

/* Needed for every container: the application kernel checks permissions itself, then acts. */
static const cap_value_t always[] = {
	CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH, CAP_CHOWN,   CAP_FOWNER,
	CAP_FSETID,	  CAP_MKNOD,	       CAP_SETFCAP,
};
/* Sockets are the host's: these count there if the container has them. */
static const cap_value_t if_granted[] = {CAP_NET_BIND_SERVICE, CAP_NET_RAW, CAP_NET_ADMIN,
					 CAP_NET_BROADCAST};

static int keep(cap_t set, cap_value_t cap)
{
	cap_flag_value_t has;

	/* What the caller of nacre lacks (rootless) cannot be kept. */
	if (cap_get_flag(set, cap, CAP_PERMITTED, &has) || has != CAP_SET)
		return 0;
	return 1;
}

int oci_caps_drop(uint64_t granted, struct oci_error *err)
{
	cap_t have = cap_get_proc(), want = cap_init();
	int r = 0;

	if (!have || !want) {
		r = oci_fail_errno(err, ENOMEM, "cannot read the process's capabilities");
		goto out;
	}
	for (size_t i = 0; i < sizeof(always) / sizeof(always[0]); i++)
		if (keep(have, always[i])) {
			cap_set_flag(want, CAP_PERMITTED, 1, &always[i], CAP_SET);
			cap_set_flag(want, CAP_EFFECTIVE, 1, &always[i], CAP_SET);
		}
	for (size_t i = 0; i < sizeof(if_granted) / sizeof(if_granted[0]); i++)
		if ((granted & (uint64_t)1 << if_granted[i]) && keep(have, if_granted[i])) {
			cap_set_flag(want, CAP_PERMITTED, 1, &if_granted[i], CAP_SET);
			cap_set_flag(want, CAP_EFFECTIVE, 1, &if_granted[i], CAP_SET);
		}
	/* Bounding first: it takes CAP_SETPCAP, which is about to go. Unknown numbers end the loop. */
	for (int c = 0; c < 64; c++)
		if (prctl(PR_CAPBSET_DROP, c, 0, 0, 0) && errno == EINVAL)
			break;
	prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	if (cap_set_proc(want))
		r = oci_fail_errno(err, errno, "cannot drop capabilities");
	else if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		r = oci_fail_errno(err, errno, "cannot set no_new_privs");
out:
	if (have)
		cap_free(have);
	if (want)
		cap_free(want);
	return r;
}

void oci_caps_drop_all(void)
{
	cap_t none = cap_init();

	if (none)
		cap_set_proc(none);
	cap_free(none);
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
}
