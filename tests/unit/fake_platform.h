/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A hypervisor that runs nothing, below the real flush protocol (platform/flush_*.c): memory slots are
 * plain host memory, and vCPUs are a model of what real ones may remember.
 *
 * Nested paging: each vCPU has a TLB of leaves and a cache of level-2 entries, tagged with the root
 * (x86-64) or the ASID (arm64), which forget only what the shim is told to flush, as fake_execute()
 * reads it from the shim's own memory. Shadow paging: one VM-wide copy of every page-table page that
 * was ever walked, entry by entry, which forgets leaves by host page and everything at
 * platform_drop_tables().
 *
 * A thread runs guest code between fake_enter() and fake_leave(). One thread runs at a time.
 */
#ifndef NACRE_TESTS_FAKE_PLATFORM_H
#define NACRE_TESTS_FAKE_PLATFORM_H

#include "mm/internal.h"
#include "platform/internal.h"

#define FAKE_VCPUS 4u
#define FAKE_TLB 16384u

struct fake_entry {
	uint64_t tag, va; /* va: of the page or block */
	uint64_t gpa;
	unsigned perm;
	bool block;
};

struct nacre_vcpu {
	unsigned index;
	struct shim_cpu *shim;
	uint64_t root; /* what it was last entered with, 0: nothing yet */
	bool in_guest, kicked;
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

struct nacre_vm {
	enum platform_paging paging;
	struct fake_slot slot[64];
	unsigned nslots;
	struct nacre_vcpu vcpu[FAKE_VCPUS + 1]; /* and the service vCPU */
	struct fake_shadow *shadow;
	unsigned nshadow, cap_shadow;
	/* The protocol was broken in a way that only the hypervisor sees. */
	void (*wrong)(const char *what);
	/* arm64: a flush is about to be executed. */
	void (*flushing)(void);
};

/* `guarantees`: NACRE_CAP_FORCED_BROADCAST, NACRE_CAP_FLUSH_ON_MIGRATION. */
struct platform *fake_platform_new(enum platform_paging paging, uint32_t guarantees);
void fake_platform_free(struct platform *p);
/* The host address behind a guest-physical one; NULL: no slot. */
char *fake_host(struct platform *p, uint64_t gpa);

/*
 * The calling thread runs guest code in the address space `root`, on its own vCPU or an idle one: its
 * staged flush is executed. False: no vCPU is idle.
 */
bool fake_enter(struct platform *p, uint64_t root);
/* Back to the host, if the thread is in the guest. */
void fake_leave(struct platform *p);
/* The thread gives its vCPU up. */
void fake_release(struct platform *p);
/* In and out again; root 0: the thread will never run guest code again. */
void fake_enter_exit(struct platform *p, uint64_t root);
/* The threads that run in `root` are gone: their vCPUs stop. */
void fake_stop(struct platform *p, uint64_t root);

/*
 * What a user access by a vCPU in the guest gets, remembering what had to be looked up. False: it
 * faults, having done to the translation what hardware does.
 */
bool fake_translate(struct platform *p, struct nacre_vcpu *hv, uint64_t va, unsigned access,
		    uint64_t *gpa);
/* Walk the page table as it stands, without remembering anything. */
bool fake_walk(struct platform *p, uint64_t root, uint64_t va, struct fake_entry *out);

/* ---- fake_x86_64.c, fake_arm64.c ---- */

extern const struct nacre_backend fake_backend;
/* A fault drops the translation that caused it. */
extern const bool fake_fault_drops;
/* Translations of an address space can stay in a vCPU's TLB while it runs another. */
extern const bool fake_tlb_is_tagged;
uint64_t fake_tag(uint64_t root);
uint64_t fake_table(uint64_t root);
void fake_arch_boot(struct platform *p);
/* Returns what fake_arch_leave() must be told. */
bool fake_arch_enter(struct platform *p, struct vcpu *v, uint64_t root);
void fake_arch_leave(struct platform *p, struct vcpu *v, bool staged);
/* What is in [from, to) leaves the vCPU's TLB. */
void fake_drop(struct nacre_vcpu *hv, uint64_t tag, uint64_t from, uint64_t to);
void fake_drop_all(struct nacre_vcpu *hv);

#endif
