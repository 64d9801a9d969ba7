/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Program loading: ELF (static, PIE, PT_INTERP), scripts (#!), the initial stack and auxiliary
 * vector, the vDSO. Every header field is guest data: copied once, bounded, checked.
 */
#ifndef NACRE_RUNTIME_LOADER_LOADER_H
#define NACRE_RUNTIME_LOADER_LOADER_H

#include "mm/mm.h"
#include "runtime/arch/regs.h"

struct task;
struct kernel;
struct file;
struct cred;

/* Argument and environment strings, already copied in and bounded (E2BIG). */
struct exec_strings {
	char **v;
	size_t n;
	size_t bytes; /* sum of lengths with NULs */
};

struct exec_image {
	struct mm *mm; /* new address space, ready to run; owned by the caller on success */
	struct arch_regs regs;
	char comm[16];
	char path[4096];	       /* resolved path of the program, for /proc/PID/exe */
	uint64_t dev, ino;	       /* its file; 0: none in the tree */
	bool setuid_seen, setgid_seen; /* file has the bits and the mount honours them */
	uid_t file_uid;
	gid_t file_gid;
};

/*
 * Build the new image of `file` (opened by vfs_open_exec), called by t with the new credentials'
 * identity in `cred`. `filename` is what the guest passed (AT_EXECFN, script argument). 0 or -errno
 * (ENOEXEC, E2BIG, ENOMEM, ELIBBAD, ENOENT for a missing interpreter ...), nothing changed on error.
 */
int loader_load(struct task *t, struct file *file, const char *filename, struct exec_strings *argv,
		struct exec_strings *envp, const struct cred *cred, struct exec_image *out);

/*
 * Bytes that argument and environment strings with their pointers may take (execve(2), E2BIG): a
 * quarter of RLIMIT_STACK, at most 6 MiB, at least 128 KiB. One string: LOADER_STRING_MAX.
 */
#define LOADER_STRING_MAX 131072u
uint64_t loader_strings_limit(struct task *t);

/* The vDSO image and its data page; one per kernel. */
int vdso_create(struct kernel *k);
void vdso_destroy(struct kernel *k);
int vdso_map(struct kernel *k, struct mm *mm, gva_t *base);
/* Bring the clock page up to date if it is older than its renewal period; cheap otherwise. */
void vdso_refresh(struct kernel *k);
/* Clocks as the vDSO gives them, so that both ways of asking agree. CLOCK_* id; 0 or -EINVAL. */
int vdso_clock(struct kernel *k, int clock, struct timespec *out);
/* A task restricted its CPU affinity: getcpu(2) is no longer answered inside the guest. */
void vdso_affinity_changed(struct kernel *k);

#endif
