/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Access to host memory that may have no page behind it: file windows past the end of a file that was
 * truncated, or an arena page the host has no memory for. The routines stop at the fault
 * instead of dying of SIGBUS or SIGSEGV; each names its own instructions, and the handler redirects
 * a fault on them, and only on them.
 *
 * SIGBUS and SIGSEGV must not be blocked in threads that call these.
 */
#ifndef NACRE_MM_GUARDED_COPY_H
#define NACRE_MM_GUARDED_COPY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Install the handlers; others that were installed before are called for foreign faults. May be
 * repeated, by one thread at a time.
 */
int guarded_install(void);

/* Return the number of bytes *not* copied: 0 is success. */
size_t guarded_copy(void *dst, const void *src, size_t len);
size_t guarded_zero(void *dst, size_t len);
/* False: a fault. */
bool guarded_load32(const uint32_t *at, uint32_t *out);
bool guarded_cmpxchg32(uint32_t *at, uint32_t expect, uint32_t desired, uint32_t *seen);

/* The architecture's part: is pc inside one of the routines, and where does it go on? 0: no. */
uintptr_t guarded_fixup(uintptr_t pc);
/* Read and write the program counter in a signal's ucontext. */
uintptr_t guarded_context_pc(const void *ucontext);
void guarded_context_set_pc(void *ucontext, uintptr_t pc);

#endif
