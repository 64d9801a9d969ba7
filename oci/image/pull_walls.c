/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What nacre-pull gives up before it speaks with anyone: it parses what strangers send. It keeps
 * sockets, the files that name resolution and TLS read, and the store. A filter of refusals rather
 * than of permissions: the C library's resolver and libcrypto may call what they like of the rest.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <seccomp.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "oci/caps.h"
#include "oci/cleanup.h"
#include "oci/image/pull.h"
#include "oci/log.h"

#define READ_FILES (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)
#define STORE_FILES                                                                    \
	(READ_FILES | LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_REMOVE_FILE | \
	 LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_REFER)
/* Everything of the second version; the store renames between directories, which the first denies. */
#define HANDLED                                                                     \
	(STORE_FILES | LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_REMOVE_DIR | \
	 LANDLOCK_ACCESS_FS_MAKE_CHAR | LANDLOCK_ACCESS_FS_MAKE_DIR |               \
	 LANDLOCK_ACCESS_FS_MAKE_SOCK | LANDLOCK_ACCESS_FS_MAKE_FIFO |              \
	 LANDLOCK_ACCESS_FS_MAKE_BLOCK | LANDLOCK_ACCESS_FS_MAKE_SYM)
#define LANDLOCK_VERSION 2

/* Calls a downloader never makes and an intruder would; each answers EPERM. */
static const int refused[] = {
	/* running or looking into other programs */
	SCMP_SYS(execve),
	SCMP_SYS(execveat),
	SCMP_SYS(ptrace),
	SCMP_SYS(process_vm_readv),
	SCMP_SYS(process_vm_writev),
	SCMP_SYS(pidfd_getfd),
	SCMP_SYS(kcmp),
	/* the host's arrangement */
	SCMP_SYS(mount),
	SCMP_SYS(umount2),
	SCMP_SYS(move_mount),
	SCMP_SYS(open_tree),
	SCMP_SYS(fsopen),
	SCMP_SYS(fsmount),
	SCMP_SYS(mount_setattr),
	SCMP_SYS(pivot_root),
	SCMP_SYS(chroot),
	SCMP_SYS(setns),
	SCMP_SYS(unshare),
	SCMP_SYS(reboot),
	SCMP_SYS(swapon),
	SCMP_SYS(swapoff),
	SCMP_SYS(sethostname),
	SCMP_SYS(setdomainname),
	SCMP_SYS(init_module),
	SCMP_SYS(finit_module),
	SCMP_SYS(delete_module),
	SCMP_SYS(kexec_load),
	SCMP_SYS(kexec_file_load),
	SCMP_SYS(settimeofday),
	SCMP_SYS(clock_settime),
	SCMP_SYS(acct),
	SCMP_SYS(quotactl),
	/* wide surfaces of the kernel */
	SCMP_SYS(bpf),
	SCMP_SYS(perf_event_open),
	SCMP_SYS(userfaultfd),
	SCMP_SYS(io_uring_setup),
	SCMP_SYS(io_uring_enter),
	SCMP_SYS(io_uring_register),
	SCMP_SYS(add_key),
	SCMP_SYS(request_key),
	SCMP_SYS(keyctl),
	SCMP_SYS(open_by_handle_at),
	SCMP_SYS(personality),
	/* files' rights: the store's are right when they are made */
	SCMP_SYS(fchown),
	SCMP_SYS(fchownat),
	SCMP_SYS(fchmod),
	SCMP_SYS(fchmodat),
	SCMP_SYS(mknodat),
	SCMP_SYS(symlinkat),
	SCMP_SYS(linkat),
	SCMP_SYS(setxattr),
	SCMP_SYS(fsetxattr),
	SCMP_SYS(lsetxattr),
};

static int refuse_calls(struct oci_error *err)
{
	scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_ALLOW);
	int r = ctx ? 0 : -ENOMEM;

	for (size_t i = 0; !r && i < sizeof(refused) / sizeof(refused[0]); i++)
		r = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EPERM), refused[i], 0);
	if (!r)
		r = seccomp_load(ctx);
	if (ctx)
		seccomp_release(ctx);
	return r ? oci_fail_errno(err, -r, "seccomp filter") : 0;
}

static int allow_below(int rules, int dir, uint64_t access)
{
	const struct landlock_path_beneath_attr rule = {.allowed_access = access, .parent_fd = dir};

	return syscall(SYS_landlock_add_rule, rules, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) ? -errno
											   : 0;
}

/* Name resolution, certificates, libraries and time zones. */
static int allow_reading(int rules)
{
	static const char *const dirs[] = {"/etc",
					   "/usr",
					   "/lib",
					   "/lib64",
					   "/run/systemd/resolve",
					   "/run/resolvconf",
					   "/run/NetworkManager",
					   "/var/lib/ca-certificates"};
	int r = 0;

	for (size_t i = 0; !r && i < sizeof(dirs) / sizeof(dirs[0]); i++) {
		cleanup_fd int fd = open(dirs[i], O_PATH | O_DIRECTORY | O_CLOEXEC);

		if (fd >= 0)
			r = allow_below(rules, fd, READ_FILES);
	}
	return r;
}

static int restrict_files(int store, struct oci_error *err)
{
	const struct landlock_ruleset_attr attr = {.handled_access_fs = HANDLED};
	cleanup_fd int rules = -1;
	int r;

	if (syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION) <
	    LANDLOCK_VERSION) {
		log_debug("no Landlock here: files are not restricted");
		return 0;
	}
	rules = (int)syscall(SYS_landlock_create_ruleset, &attr, sizeof(attr), 0);
	r = rules < 0 ? -errno : allow_below(rules, store, STORE_FILES);
	if (!r)
		r = allow_reading(rules);
	if (!r && syscall(SYS_landlock_restrict_self, rules, 0))
		r = -errno;
	return r ? oci_fail_errno(err, -r, "Landlock") : 0;
}

int pull_confine(int store, struct oci_error *err)
{
	const struct rlimit none = {0, 0};
	int r;

	/* Passwords and tokens lie in memory. */
	if (setrlimit(RLIMIT_CORE, &none) || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) ||
	    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		return oci_fail_errno(err, errno, "giving up privileges");
	oci_caps_drop_all();
	r = restrict_files(store, err);
	return r ? r : refuse_calls(err);
}
