/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of mm/ share: the VM's memory, an address space, host addresses of guest memory.
 *
 * Lock order:
 *   mm.lock                      one per address space; two are never held at once, except the
 *   |                            new child's in mm_fork(), which nobody else can see yet
 *   +- shm.lock                  one per shared anonymous object
 *   |  +- mm_system.frame_lock
 *   +- mm_system.window_lock
 *   +- mm_system.table_lock
 *      +- mm_system.frame_lock
 * The platform's mmu ops are called with mm.lock, window_lock, table_lock or frame_lock held and
 * must not call back.
 */
#ifndef NACRE_MM_INTERNAL_H
#define NACRE_MM_INTERNAL_H

#include <pthread.h>
#include <sys/mman.h>

#include "mm/area.h"
#include "mm/frame.h"
#include "mm/mm.h"
#include "mm/pagetable.h"
#include "mm/window.h"
#include "platform/platform.h"

/* Lowest address a hint may name, as vm.mmap_min_addr. */
#define MM_MIN_ADDR ((uint64_t)0x10000)
/* Linux's stack_guard_gap: 256 pages below a MAP_GROWSDOWN area stay free. */
#define MM_STACK_GAP (256 * PAGE_SIZE)
/* Linux's vm.max_map_count. */
#define MM_MAX_AREAS 65530u

/* How far to go ahead of demand: an exit costs 33 to 50 us, an entry written ahead some ns. */
#define MM_AROUND_ANON 32u	  /* pages, aligned: one fault in 128 KiB of fresh memory */
#define MM_AROUND_SEQUENTIAL 128u /* ... or in 512 KiB, when the neighbouring page is in use */
#define MM_AROUND_FILE 64u	  /* pages, aligned */
#define MM_AROUND_COW 16u	  /* pages, aligned: 64 KiB copied takes less than the exit */
#define MM_POPULATE_ANON 64u	  /* pages of a new anonymous area mapped by the call itself */
#define MM_POPULATE_FILE 1024u	  /* a file area up to this long is mapped read-only at once */
#define MM_COPY_DATA 32u	  /* a private writable one up to this long is copied at once */
/*
 * fork copies up to this many pages at once that parent or child will most likely store to next:
 * 20 us of copying for some ten faults of two processes. Only pages in use, of stacks and of areas
 * no longer than MM_FORK_AREA (a program's and its libraries' data).
 */
#define MM_FORK_COPY 96u
#define MM_FORK_AREA 64u
#define MM_STACK_STEP 32u	       /* pages a growing stack grows by, when it may */
#define MM_BLOCK_AREA (4 * BLOCK_SIZE) /* smallest anonymous area that gets 2 MiB blocks */

/* Counters; relaxed atomics, read by mm_system_stats(). */
struct mm_counters {
	_Atomic uint64_t faults, faults_file, faults_anon, faults_cow, faults_around;
	_Atomic uint64_t flush_none, flush_range, flush_space, flush_broadcast, flush_pages;
	_Atomic uint64_t remote_kicks, shadow_frames, shadow_drops, deferred_frames,
		tables_recycled;
};

static inline void count(_Atomic uint64_t *c, uint64_t n)
{
	atomic_fetch_add_explicit(c, n, memory_order_relaxed);
}

/*
 * Page-table pages. Protected by table_lock.
 */
struct table_pool {
	uint32_t *free; /* stack of free pages that must be cleared before use */
	uint32_t nfree, free_cap;
	uint32_t *limbo; /* freed, but a shadowing hypervisor may still remember their content */
	uint32_t nlimbo, limbo_cap;
	uint32_t fresh, fresh_end; /* pages never used: zero */
	uint64_t pages;		   /* in use */
};

struct mm_system {
	struct platform *platform;
	bool shadow;	      /* platform_paging() is SHADOW; immutable */
	enum mm_tlb_mode tlb; /* immutable */
	struct ledger *ledger; /* paranoid: mm/ledger.h; immutable */
	struct frame_pool frames;
	pthread_mutex_t frame_lock;
	struct table_pool tables;
	pthread_mutex_t table_lock;
	struct window_pool windows; /* its own lock inside */
	uint32_t fixed, fixed_end;  /* frames mm_system_alloc_fixed() cuts from; table_lock */
	uint32_t kernel_root;	    /* page-table page whose entries 256..511 every root copies */
	_Atomic uint64_t next_id;   /* address spaces and shared objects */
	struct mm_counters n;
};

struct mm {
	atomic_uint refs;
	struct mm_system *sys; /* immutable */
	uint64_t id;	       /* immutable, never reused */

	pthread_mutex_t lock; /* protects all that follows */
	uint32_t root;	      /* frame of the root table; FRAME_NONE after mm_teardown() */
	uint64_t root_id;     /* what platform_new_root() made of it */
	struct area_list areas;
	struct mm_layout layout;
	uint64_t brk_start, brk;
	uint64_t limit_as, limit_data, limit_stack;
	uint64_t vm_pages, vm_peak;		      /* sizes of areas, in pages */
	uint64_t data_pages, stack_pages, exec_pages; /* as Linux's data_vm, stack_vm, exec_vm */
	uint64_t rss, rss_peak;			      /* leaves that are present or held */
};

static inline char *frame_host(const struct mm_system *sys, uint32_t frame)
{
	return sys->frames.host + ((uint64_t)frame << PAGE_SHIFT);
}

static inline gpa_t frame_gpa(const struct mm_system *sys, uint32_t frame)
{
	return GPA(sys->frames.gpa.v + ((uint64_t)frame << PAGE_SHIFT));
}

/* The frame at a guest-physical address, or FRAME_NONE for a file window's page. */
static inline uint32_t gpa_frame(const struct mm_system *sys, gpa_t gpa)
{
	uint64_t n = (gpa.v - sys->frames.gpa.v) >> PAGE_SHIFT;

	return n < sys->frames.nframes ? (uint32_t)n : FRAME_NONE;
}

static inline char *gpa_host(const struct mm_system *sys, gpa_t gpa)
{
	uint32_t frame = gpa_frame(sys, gpa);

	return frame != FRAME_NONE ? frame_host(sys, frame)
				   : sys->windows.host + (gpa.v - sys->windows.gpa.v);
}

static inline uint64_t mm_root_id(const struct mm *mm)
{
	return mm->root_id;
}

/* ---- page-table pages: table_pool.c ---- */

/* A zeroed page-table page, or FRAME_NONE. */
uint32_t table_alloc(struct mm_system *sys);
/*
 * Free page-table pages that no root reaches any more and no vCPU has loaded. Under shadow paging
 * they wait in limbo until platform_drop_tables().
 */
void table_free(struct mm_system *sys, const uint32_t *pages, unsigned n);
/* platform_drop_tables(), and recycle what was in limbo before it. */
void table_drop_shadows(struct mm_system *sys);
void table_pool_destroy(struct mm_system *sys);

#endif
