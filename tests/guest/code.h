/* SPDX-License-Identifier: Apache-2.0 */
/* Machine code that tests write and run: functions that return a number. */
#ifndef NACRE_TESTS_GUEST_CODE_H
#define NACRE_TESTS_GUEST_CODE_H

#include <stdint.h>

/* Two instructions that return a number below 65536, to be stored at once; and what a thread must do
   before it runs code that another one has written. */
#if defined(__x86_64__)
static inline uint64_t code_returning(uint64_t n)
{
	return 0xb8 | n << 8 | (uint64_t)0xc3 << 40; /* mov eax, n; ret */
}
static inline void synchronize_fetch(void) {}
#elif defined(__aarch64__)
static inline uint64_t code_returning(uint64_t n)
{
	return 0x52800000 | n << 5 | (uint64_t)0xd65f03c0 << 32; /* mov w0, n; ret */
}
static inline void synchronize_fetch(void)
{
	__asm__ volatile("isb" ::: "memory");
}
#endif

/* Written at one address, run at another one (or the same): both caches are brought up to date. */
static inline void put_code(volatile uint64_t *at, volatile uint64_t *run, uint64_t n)
{
	*at = code_returning(n);
	__builtin___clear_cache((char *)at, (char *)(at + 1));
	if (run != at)
		__builtin___clear_cache((char *)run, (char *)(run + 1));
}

static inline uint64_t call_code(const volatile uint64_t *code)
{
	return (uint64_t)((int (*)(void))(uintptr_t)code)();
}

#endif
