/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TLB staging: what the calling thread's vCPU must flush before it runs user code again.
 *
 * The slot is thread-local and strictly owned: only the owning thread writes, merges, takes or
 * clears it. A new thread starts empty. Merging never loses a request and never names more than the
 * union needs, until the bounds below are passed.
 *
 * Life of a request: mm/ stages it while the thread answers a trap; the platform moves it out with
 * tlb_take() just before it enters the guest, has the shim execute it, and calls
 * mm_flush_executed() once it knows that the flush has happened: at the vCPU's next exit. Frames,
 * windows and page-table pages that waited for that flush are released there, not earlier.
 *
 * A thread that gives its vCPU up with a request pending (it blocks or ends) must not lose it: the
 * platform takes the request, makes sure that this vCPU flushes the address space before it runs
 * user code again, whoever runs it, and then calls mm_flush_executed(), since nothing can use the
 * old translations any more. Under shadow paging nothing is ever staged.
 */
#ifndef NACRE_MM_TLB_H
#define NACRE_MM_TLB_H

#include "mm/sites.h"
#include "mm/types.h"

/*
 * Pages a RANGE request may name before it becomes ADDRESS_SPACE. x86-64: Linux's measured ceiling is
 * 33 single-page invalidations; arm64: 16, past which ASIDE1IS or a range operation is cheaper.
 */
#define TLB_RANGE_PAGES_X86 33
#define TLB_RANGE_PAGES_ARM64 16
#define TLB_RANGES 4 /* disjoint ranges kept apart */

enum tlb_kind { TLB_NONE, TLB_RANGE, TLB_SPACE, TLB_BROADCAST };

struct tlb_range {
	uint64_t start; /* page-aligned guest-virtual address */
	uint32_t pages; /* 4 KiB units, > 0 */
};

struct tlb_request {
	enum tlb_kind kind;
	uint64_t root; /* the address space (its page-table root) the request is for */
	unsigned nranges;
	struct tlb_range range[TLB_RANGES];
	bool exec; /* executable mappings changed: instruction-cache maintenance (arm64) */
};

/* Stage into the calling thread's slot. */
void tlb_stage_range(uint64_t root, uint64_t start, uint64_t pages, bool exec);
void tlb_stage_space(uint64_t root);
void tlb_stage_broadcast(void);
void tlb_clear(void); /* execve, boot: the shim flushes anyway */
/* Does the request cover any of these pages, in the address space it is for? */
bool tlb_names(const struct tlb_request *req, uint64_t start, uint64_t pages);
/* Does it cover all of them? */
bool tlb_contains(const struct tlb_request *req, uint64_t start, uint64_t pages);
/* Does the slot's request, in this address space? */
bool tlb_covers(uint64_t root, uint64_t start, uint64_t pages);
/* Is a flush of any of these pages waiting in the slot? */
bool tlb_pending(uint64_t root, uint64_t start, uint64_t pages);
/* Is nothing staged? (What was may have been executed at once.) */
bool tlb_idle(void);
/* Move the slot's content out and leave it empty. Returns the kind taken. */
enum tlb_kind tlb_take(struct tlb_request *out);
/* Pure: fold a range into a request. Exposed for the tests. */
void tlb_merge_range(struct tlb_request *req, uint64_t start, uint64_t pages, unsigned bound);

/*
 * Everything this thread took with tlb_take() so far has been flushed, or its slot was cleared
 * because the vCPU starts with an empty TLB: release what waited for it. Cheap when nothing waits.
 * Called by the platform, by the thread itself.
 */
void mm_flush_executed(void);

#endif
