/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Addresses are types, not integers: a guest-virtual address, a guest-physical address and a host
 * pointer cannot be mixed up without the compiler saying so.
 */
#ifndef NACRE_MM_TYPES_H
#define NACRE_MM_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A guest-virtual address: untrusted, dereferenced only through mm_copy_* and friends. */
typedef struct {
	uint64_t v;
} gva_t;

/* A guest-physical address: chosen by nacre, always inside a registered memory slot. */
typedef struct {
	uint64_t v;
} gpa_t;

#define GVA(x)	    ((gva_t){(uint64_t)(x)})
#define GPA(x)	    ((gpa_t){(uint64_t)(x)})

#define PAGE_SHIFT  12
#define PAGE_SIZE   ((uint64_t)1 << PAGE_SHIFT)
#define PAGE_MASK   (~(PAGE_SIZE - 1))
#define BLOCK_SHIFT 21 /* a 2 MiB block: one level-2 (arm64) or PD (x86-64) leaf */
#define BLOCK_SIZE  ((uint64_t)1 << BLOCK_SHIFT)

static inline uint64_t page_down(uint64_t x)
{
	return x & PAGE_MASK;
}

/* Wraps to 0 for the last page of the address space; callers check for that. */
static inline uint64_t page_up(uint64_t x)
{
	return (x + PAGE_SIZE - 1) & PAGE_MASK;
}

#endif
