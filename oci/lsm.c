/* SPDX-License-Identifier: Apache-2.0 */
#include "oci/lsm.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "oci/cleanup.h"

bool lsm_apparmor_enabled(void)
{
	cleanup_fd int fd = open("/sys/module/apparmor/parameters/enabled", O_RDONLY | O_CLOEXEC);
	char c = 'N';

	return fd >= 0 && read(fd, &c, 1) == 1 && c == 'Y';
}

bool lsm_selinux_enabled(void)
{
	return !access("/sys/fs/selinux/enforce", F_OK);
}

/* Nothing is executed after this: the attribute is the current one, not that of the next exec. */
static int write_current(const char *file, const char *text)
{
	cleanup_fd int fd = open(file, O_WRONLY | O_CLOEXEC);

	return fd < 0 || write(fd, text, strlen(text)) < 0 ? -errno : 0;
}

static int apply_apparmor(const char *profile, struct oci_error *err)
{
	char text[512];
	int r;

	if (!profile || !*profile || !lsm_apparmor_enabled())
		return 0;
	snprintf(text, sizeof(text), "changeprofile %s", profile);
	r = write_current("/proc/self/attr/apparmor/current", text);
	/* Kernels before 5.1 have the shared file only. */
	if (r == -ENOENT)
		r = write_current("/proc/self/attr/current", text);
	return r ? oci_fail_errno(err, -r, "apparmor failed to apply profile %s", profile) : 0;
}

int lsm_apply(const char *apparmor, const char *selinux, struct oci_error *err)
{
	int r = apply_apparmor(apparmor, err);

	if (r || !selinux || !*selinux || !lsm_selinux_enabled())
		return r;
	r = write_current("/proc/self/attr/current", selinux);
	return r ? oci_fail_errno(err, -r, "cannot take the SELinux label %s", selinux) : 0;
}
