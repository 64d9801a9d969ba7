/* SPDX-License-Identifier: Apache-2.0 */
/* The first thing a program sees: strings, argv, envp and the auxiliary vector on its stack. */
#ifndef NACRE_RUNTIME_LOADER_STACK_H
#define NACRE_RUNTIME_LOADER_STACK_H

#include "runtime/loader/loader.h"

struct stack_spec {
	char *const *argv, *const *envp; /* argc strings, envc strings */
	size_t argc, envc;
	const char *execfn;
	bool executable;
	uint64_t top;	/* first address above the stack, page aligned */
	uint64_t limit; /* RLIMIT_STACK */
	uint8_t random[16];
	/* auxiliary vector */
	uint64_t phdr, phnum, base, entry, vdso, hwcap, hwcap2, minsigstksz;
	uint32_t uid, euid, gid, egid;
	bool secure;
};

/*
 * Map the stack area and fill it in. Sets *sp and the argument fields of *layout. 0, -E2BIG, -ENOMEM,
 * or what mm_map() says.
 */
int stack_build(struct mm *mm, const struct stack_spec *spec, struct mm_layout *layout,
		uint64_t *sp);
/* Bytes of strings and pointers that argv and envp take (E2BIG); ~0: one string is too long. */
uint64_t stack_string_bytes(char *const *argv, size_t argc, char *const *envp, size_t envc);

/* AT_HWCAP, AT_HWCAP2 of this machine as the guest may use it: loader/hwcap_$ARCH.c. */
uint64_t arch_hwcap(void);
uint64_t arch_hwcap2(void);

#endif
