/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Credentials: copies, capability numbers, and the pure rules of set*id(2), capset(2) and
 * capabilities(7)'s "Transformation of capabilities during execve()". The rules work on a private
 * copy, which task_set_cred() then publishes.
 */
#ifndef NACRE_RUNTIME_TASK_CRED_H
#define NACRE_RUNTIME_TASK_CRED_H

#include "runtime/task/task.h"

#define CAP_CHOWN 0
#define CAP_DAC_OVERRIDE 1
#define CAP_DAC_READ_SEARCH 2
#define CAP_FOWNER 3
#define CAP_FSETID 4
#define CAP_KILL 5
#define CAP_SETGID 6
#define CAP_SETUID 7
#define CAP_SETPCAP 8
#define CAP_LINUX_IMMUTABLE 9
#define CAP_NET_BIND_SERVICE 10
#define CAP_NET_BROADCAST 11
#define CAP_NET_ADMIN 12
#define CAP_NET_RAW 13
#define CAP_IPC_LOCK 14
#define CAP_IPC_OWNER 15
#define CAP_SYS_MODULE 16
#define CAP_SYS_RAWIO 17
#define CAP_SYS_CHROOT 18
#define CAP_SYS_PTRACE 19
#define CAP_SYS_PACCT 20
#define CAP_SYS_ADMIN 21
#define CAP_SYS_BOOT 22
#define CAP_SYS_NICE 23
#define CAP_SYS_RESOURCE 24
#define CAP_SYS_TIME 25
#define CAP_SYS_TTY_CONFIG 26
#define CAP_MKNOD 27
#define CAP_LEASE 28
#define CAP_AUDIT_WRITE 29
#define CAP_AUDIT_CONTROL 30
#define CAP_SETFCAP 31
#define CAP_MAC_OVERRIDE 32
#define CAP_MAC_ADMIN 33
#define CAP_SYSLOG 34
#define CAP_WAKE_ALARM 35
#define CAP_BLOCK_SUSPEND 36
#define CAP_AUDIT_READ 37
#define CAP_PERFMON 38
#define CAP_BPF 39
#define CAP_CHECKPOINT_RESTORE 40
#define CAP_LAST_CAP CAP_CHECKPOINT_RESTORE
#define CAP_BIT(c) ((uint64_t)1 << (c))
#define CAP_ALL (CAP_BIT(CAP_LAST_CAP + 1) - 1)

/* Capabilities that fsuid 0 gives to file access: they follow the file-system uid. */
#define CAP_FS_SET                                                                                 \
	(CAP_BIT(CAP_CHOWN) | CAP_BIT(CAP_MKNOD) | CAP_BIT(CAP_DAC_OVERRIDE) |                     \
	 CAP_BIT(CAP_DAC_READ_SEARCH) | CAP_BIT(CAP_FOWNER) | CAP_BIT(CAP_FSETID) |                \
	 CAP_BIT(CAP_LINUX_IMMUTABLE) | CAP_BIT(CAP_MAC_OVERRIDE))

#define NACRE_SECURE_NOROOT 0x01u
#define NACRE_SECURE_NO_SETUID_FIXUP 0x04u
#define NACRE_SECURE_KEEP_CAPS 0x10u
#define NACRE_SECURE_NO_CAP_AMBIENT_RAISE 0x40u
#define NACRE_SECURE_ALL 0x55u	 /* the bits themselves; each one's lock is the next bit */
#define NACRE_SECURE_VALID 0xffu

#define NACRE_NGROUPS_MAX 65536u

/* NULL: no memory. One reference; groups uninitialised. */
struct cred *cred_alloc(size_t ngroups);
struct cred *cred_copy(const struct cred *c);
/* A copy of c with these groups (sorted here). */
struct cred *cred_with_groups(const struct cred *c, const gid_t *groups, size_t n);

/* Pure rules; `n` starts as a copy of `old`. 0, -EPERM or -EINVAL; n is garbage after an error. */
int cred_setuid(struct cred *n, const struct cred *old, uid_t uid);
int cred_setgid(struct cred *n, const struct cred *old, gid_t gid);
int cred_setreuid(struct cred *n, const struct cred *old, uid_t ruid, uid_t euid);
int cred_setregid(struct cred *n, const struct cred *old, gid_t rgid, gid_t egid);
int cred_setresuid(struct cred *n, const struct cred *old, uid_t r, uid_t e, uid_t s);
int cred_setresgid(struct cred *n, const struct cred *old, gid_t r, gid_t e, gid_t s);
bool cred_setfsuid(struct cred *n, const struct cred *old, uid_t uid); /* false: unchanged */
bool cred_setfsgid(struct cred *n, const struct cred *old, gid_t gid);
int cred_capset(struct cred *n, const struct cred *old, uint64_t eff, uint64_t inh, uint64_t perm);
int cred_set_securebits(struct cred *n, const struct cred *old, uint32_t bits);

/* What the program file asks for, where the mount lets it. */
struct cred_exec {
	bool setuid, setgid, no_new_privs;
	uid_t uid;
	gid_t gid;
};
/* Applies execve's rules to n (a copy of old). *secure: AT_SECURE. */
void cred_exec(struct cred *n, const struct cred *old, const struct cred_exec *x, bool *secure);
/* Same identity and capabilities: dumpable and pdeath signal survive. */
bool cred_same_ids(const struct cred *a, const struct cred *b);

#endif
