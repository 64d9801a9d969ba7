/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every place, in mm/ and platform/, that records a flush, has one executed or waits for one is a
 * numbered site. In the ordinary build TLB_SITE() is the constant 1; the mutation check
 * (tests/unit/mm_model.c) leaves one out at a time and demands that the model notices.
 *
 * The second column says under which rules the site is passed at all: N nested paging on x86-64, S
 * shadow paging, A arm64; P: --tlb=paranoid by itself must notice too (mm/ledger.h).
 */
#ifndef NACRE_MM_SITES_H
#define NACRE_MM_SITES_H

#define TLB_SITES(X)                                                                        \
	/* recording: mm/edit.c */                                                          \
	X(CLEAR, "NSAP", "a page removed")                                                   \
	X(CLEAR_BLOCK, "NAP", "a block removed")                                             \
	X(PERM, "NSAP", "a page's permission taken")                                         \
	X(PERM_BLOCK, "NAP", "a block's permission taken")                                   \
	X(GAIN, "A", "a page's permission given")                                           \
	X(REPOINT, "NSP", "copy on write: the old page")                                     \
	X(TAKE, "NSAP", "mremap: the old place")                                             \
	X(FORK, "NSAP", "fork: the parent's page")                                           \
	X(FORK_BLOCK, "NAP", "fork: the parent's block")                                     \
	/* break before make: mm/edit.c, mm/pt.c */                                         \
	X(BREAK, "A", "an entry broken")                                                    \
	X(REPOINT_BREAK, "A", "break before another page is made")                          \
	X(BEFORE_MAKE, "A", "wait before a vacant entry is made")                           \
	X(MAKE_OWED, "A", "another thread's flush executed before an entry is made")        \
	X(SETTLE, "A", "the flush before the make")                                         \
	X(SPLIT_BREAK, "A", "a block broken before its table is made")                      \
	X(SPLIT_FLUSH, "A", "the flush between the two")                                    \
	/* committing: mm/edit.c */                                                         \
	X(STAGE_SELF, "NAP", "the calling thread's slot")                                    \
	X(FLUSH_OTHERS, "NAP", "the other vCPUs")                                            \
	X(GATHER, "NA", "frames wait for the flush")                                        \
	X(GATHER_WINDOW, "NA", "file windows wait for the flush")                           \
	X(INVALIDATE, "SP", "platform_invalidate()")                                         \
	X(INVALIDATE_ALL, "SP", "platform_drop_tables() instead of many")                    \
	/* tables and address spaces: mm/table_pool.c, mm/space.c */                        \
	X(TABLE_DROP, "S", "page-table pages wait for platform_drop_tables()")              \
	X(FORGET_ROOT, "NSA", "platform_forget_root() before an address space's frames go") \
	/* x86-64: platform/flush_x86_64.c */                                               \
	X(MARK_OTHER, "NP", "a vCPU told to flush before it enters")                         \
	X(KICK, "N", "a vCPU in the guest kicked")                                          \
	X(AWAIT_EXIT, "NP", "its exit waited for")                                           \
	X(OWED, "NP", "a vCPU that was told to flush does")                                  \
	X(LOAD_ROOT, "NP", "a vCPU flushes when it changes address spaces")                  \
	X(ABANDON, "NAP", "a vCPU given up with a flush not executed")                       \
	/* arm64: platform/flush_arm64.c */                                                 \
	X(STAGED_ROOT, "A", "the flush announced to vCPUs that load the address space")     \
	X(ELSEWHERE, "AP", "flush at once where another vCPU has it loaded")                 \
	X(LOAD_OWED, "AP", "a vCPU that loads it flushes what was announced")                \
	X(REACH, "AP", "inner-shareable where another vCPU ran it")                          \
	X(ROLL_OVER, "A", "all flushed before ASIDs are used again")

#define TLB_SITE_ENUM(name, rules, what) SITE_##name,
enum tlb_site { SITE_NONE, TLB_SITES(TLB_SITE_ENUM) SITE_COUNT };
#undef TLB_SITE_ENUM

#ifdef MM_MUTATION
extern unsigned mm_mutated_site;
extern unsigned long mm_site_hits[SITE_COUNT];
#define TLB_SITE(site) (mm_site_hits[site]++, mm_mutated_site != (site))
#else
#define TLB_SITE(site) ((void)(site), 1)
#endif

#endif
