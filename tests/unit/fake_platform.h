/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A platform without a hypervisor, for testing mm/: memory slots are plain host memory, and vCPUs are
 * a model of what real ones may remember.
 *
 * Nested paging: each vCPU has a TLB of leaves and a cache of level-2 entries, both tagged with the
 * root, which forget only what they are told to. Shadow paging: one VM-wide copy of every page-table
 * page that was ever walked, entry by entry, which forgets leaves by host page and everything at
 * platform_drop_tables().
 */
#ifndef NACRE_TESTS_FAKE_PLATFORM_H
#define NACRE_TESTS_FAKE_PLATFORM_H

#include "mm/internal.h"
#include "platform/platform.h"

#define FAKE_VCPUS 4u
#define FAKE_TLB   16384u

struct fake_entry {
	uint64_t root, va; /* va: of the page or block; root 0: empty */
	uint64_t gpa;
	unsigned perm;
	bool block;
};

struct fake_vcpu {
	uint64_t root; /* loaded, 0: none */
	struct fake_entry *tlb;
	unsigned n;
	struct fake_entry *tables; /* va: of 2 MiB, gpa: of the level-1 table */
	unsigned ntables;
};

/* Shadow paging: what is remembered of one page-table page. */
struct fake_shadow {
	uint64_t gpa; /* 0: empty */
	pte_t entry[PT_ENTRIES];
};

struct fake_slot {
	uint64_t gpa, len;
	char *host;
};

struct platform {
	enum platform_paging paging;
	struct fake_slot slot[64];
	unsigned nslots;
	struct fake_vcpu vcpu[FAKE_VCPUS];
	unsigned current; /* the vCPU of the calling thread */
	struct fake_shadow *shadow;
	unsigned nshadow, cap_shadow;
	unsigned invalidations, drops, flushes, forgotten;
};

struct platform *fake_platform_new(enum platform_paging paging);
void fake_platform_free(struct platform *p);
/* The host address behind a guest-physical one; NULL: no slot. */
char *fake_host(struct platform *p, uint64_t gpa);

/*
 * What vCPU `v` gets for a user access, remembering what it had to look up. False: it faults, and has
 * dropped the translation of that page, as hardware does.
 */
bool fake_translate(struct platform *p, unsigned v, uint64_t root, uint64_t va, unsigned access,
		    uint64_t *gpa);
/* The current vCPU enters the guest and comes back: its thread's staged flush is executed. */
void fake_enter_exit(struct platform *p);
/* The calling thread's staged flush is applied; mm_flush_executed() is left to the caller. */
void fake_enter(struct platform *p);

/* Walk the page table as it stands, without remembering anything. */
bool fake_walk(struct platform *p, uint64_t root, uint64_t va, struct fake_entry *out);

#endif
