/* SPDX-License-Identifier: Apache-2.0 */
/* What the sandbox process takes off beside its calls and files: memory of its caller, dumps, labels. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/capability.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "oci/cleanup.h"
#include "oci/lsm.h"
#include "oci/walls.h"

void walls_forget_environment(void)
{
	/* clearenv() forgets the list; the strings, with whatever secrets, would stay in memory. */
	for (char **e = environ; e && *e; e++)
		explicit_bzero(*e, strlen(*e));
	clearenv();
}

static bool may_trace(void)
{
	cap_t have = cap_get_proc();
	cap_flag_value_t v = CAP_CLEAR;

	if (have)
		cap_get_flag(have, CAP_SYS_PTRACE, CAP_EFFECTIVE, &v);
	cap_free(have);
	return v == CAP_SET;
}

void walls_no_dumps(void)
{
	/*
	 * The kernel takes 1 for "none" also where dumps go to a program, which 0 is not (core(5));
	 * a file of one byte is never begun.
	 */
	struct rlimit lim = {1, 1};

	if (setrlimit(RLIMIT_CORE, &lim)) {
		lim = (struct rlimit){0, 0};
		setrlimit(RLIMIT_CORE, &lim);
	}
}

void walls_not_traceable(void)
{
	/*
	 * exec joins the sandbox's namespaces by /proc/PID/ns, which takes the right to trace it. A
	 * caller without CAP_SYS_PTRACE has that by being the same user, and only while this is set.
	 */
	if (may_trace())
		prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
}

/* Open while the host's /proc is there: the files are the thread's own. */
int walls_labels_prepare(const struct oci_process *p, struct walls_labels *out,
			 struct oci_error *err)
{
	*out = (struct walls_labels){-1, -1};
	if (p->apparmor && *p->apparmor) {
		if (!lsm_apparmor_enabled())
			return oci_fail(err, ENOTSUP,
					"config.json: process.apparmorProfile is specified, but "
					"AppArmor is disabled or not supported");
		out->apparmor =
			open("/proc/thread-self/attr/apparmor/current", O_WRONLY | O_CLOEXEC);
		/* Before Linux 5.8 the directory was not there. */
		if (out->apparmor < 0)
			out->apparmor =
				open("/proc/thread-self/attr/current", O_WRONLY | O_CLOEXEC);
		if (out->apparmor < 0)
			return oci_fail_errno(err, errno, "config.json: process.apparmorProfile");
	}
	if (p->selinux && *p->selinux) {
		if (!lsm_selinux_enabled())
			return oci_fail(err, ENOTSUP,
					"config.json: process.selinuxLabel is specified, but "
					"SELinux is disabled or not supported");
		out->selinux = open("/proc/thread-self/attr/current", O_WRONLY | O_CLOEXEC);
		if (out->selinux < 0)
			return oci_fail_errno(err, errno, "config.json: process.selinuxLabel");
	}
	return 0;
}

static int write_label(int *label_fd, const char *prefix, const char *label, const char *key,
		       struct oci_error *err)
{
	cleanup_fd int fd = *label_fd;
	char text[512];
	int n;

	*label_fd = -1;
	if (fd < 0)
		return 0;
	n = snprintf(text, sizeof(text), "%s%s", prefix, label);
	if (n >= (int)sizeof(text))
		return oci_fail(err, ENAMETOOLONG, "config.json: %s is too long", key);
	if (write(fd, text, (size_t)n) != n)
		return oci_fail_errno(err, errno, "config.json: %s: cannot apply \"%s\"", key,
				      label);
	return 0;
}

int walls_labels_apply(const struct oci_process *p, struct walls_labels *l, struct oci_error *err)
{
	int r = write_label(&l->apparmor, "changeprofile ", p->apparmor, "process.apparmorProfile",
			    err);

	return r ? r : write_label(&l->selinux, "", p->selinux, "process.selinuxLabel", err);
}
