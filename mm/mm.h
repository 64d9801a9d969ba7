/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Guest memory: address spaces, areas (VMAs), frames, faults, page tables, TLB staging.
 *
 * Safety order, everywhere in this directory: (1) edit the page table so that no new translation
 * can be made, (2) have every vCPU that may cache the old one flush it, (3) only then let the frame
 * or the page-table page be used for anything else.
 *
 * Call order: mm_system_create() once per VM; mm_create() per address space (execve, or the first
 * process); mm_fork() per fork; mm_get()/mm_put() for references; the last mm_put() frees.
 *
 * Every function that edits a page table stages the flush in the calling thread's slot (mm/tlb.h)
 * and, before it returns, has brought every *other* vCPU up to date; the caller's own flush runs
 * when its vCPU next enters the guest.
 *
 * Errors are negative Linux errno values (the guest's ABI), never host ones.
 * Lock order: mm/internal.h. No mm function calls back into runtime/ except through struct
 * mm_backing_ops, whose functions must not call mm's; release() is called without mm's locks.
 */
#ifndef NACRE_MM_MM_H
#define NACRE_MM_MM_H

#include <stdatomic.h>
#include <sys/uio.h>

#include "mm/types.h"

struct mm;	  /* one guest address space */
struct mm_system; /* the VM's memory: arena, page-table pool, file windows */
struct platform;  /* platform/platform.h */

/* ---- the VM's memory ---- */

/* How much is flushed when a translation has been lost (nacre(1), --tlb). */
enum mm_tlb_mode {
	MM_TLB_SELECTIVE, /* what changed, and no more */
	MM_TLB_BROADCAST, /* everything, on every vCPU: the baseline to measure against */
	MM_TLB_PARANOID,  /* as selective; then it is checked that nothing stale can be left */
};

struct mm_limits {
	uint64_t arena_bytes;  /* anonymous memory the guest may hold; 0: a documented default */
	uint64_t window_bytes; /* guest-physical span reserved for file windows; 0: default */
	enum mm_tlb_mode tlb;
	/* MM_TLB_PARANOID: told what was found before the process ends; NULL: standard error is */
	void (*stale)(const char *text, void *arg);
	void *stale_arg;
};

/* Reserve and register the arena and the window range with the platform. Returns 0 or -errno. */
int mm_system_create(struct platform *platform, const struct mm_limits *limits,
		     struct mm_system **out);
void mm_system_destroy(struct mm_system *sys);

/*
 * Libraries stay mapped on the host for a while after their last user has gone. Let go of those of a
 * file (the host's numbers; ino 0: of every file of the device), before an unmount or when the file
 * is deleted.
 */
void mm_system_drop_idle(struct mm_system *sys, uint64_t dev, uint64_t ino);

/*
 * A run of frames for the platform's own use (shim text, per-vCPU pages): zeroed, contiguous in
 * guest-physical and host address space, never handed to a guest process.
 */
int mm_system_alloc_fixed(struct mm_system *sys, size_t pages, gpa_t *gpa, void **host);

/*
 * Map pages at a kernel-half virtual address in every address space of this VM, present and
 * future, supervisor only. Called before the first mm_create(). The kernel half is shared: one
 * lower-level table that every root points to.
 */
int mm_system_map_kernel(struct mm_system *sys, gva_t va, gpa_t pa, size_t pages, bool writable,
			 bool executable);

/* MM_TLB_PARANOID: what the platform reports flushes to (mm/ledger.h); else NULL. */
struct ledger *mm_system_ledger(const struct mm_system *sys);

/* The kernel half's root table, for hardware that loads it apart from the user's (arm64: TTBR1). */
gpa_t mm_system_kernel_root(const struct mm_system *sys);

/*
 * The same for pages that user level may use, in a top-level entry of the page table that holds
 * nothing else. `pa` may lie outside every memory slot: touching the page then exits to the host.
 */
int mm_system_map_gate(struct mm_system *sys, gva_t va, gpa_t pa, size_t pages, bool writable,
		       bool executable);

struct mm_stats {
	uint64_t frames_total, frames_used, frames_peak, table_pages;
	uint64_t faults, faults_file, faults_anon, faults_cow,
		faults_around;						/* pages mapped around */
	uint64_t flush_none, flush_range, flush_space, flush_broadcast; /* commits by kind */
	uint64_t flush_pages;	  /* pages named by RANGE flushes */
	uint64_t remote_kicks;	  /* vCPUs kicked for a flush */
	uint64_t shadow_frames;	  /* frames invalidated through the backend (shadow paging) */
	uint64_t shadow_drops;	  /* whole shadow page table drops */
	uint64_t deferred_frames; /* frames that waited for a flush before reuse */
	uint64_t tables_recycled;
};
void mm_system_stats(struct mm_system *sys, struct mm_stats *out);

/* ---- what can be mapped besides anonymous memory ---- */

struct mm_backing;
struct mm_backing_ops {
	/* Last reference dropped: free the backing (and close its host descriptor). */
	void (*release)(struct mm_backing *b);
	/* The path /proc/PID/maps shows; writes at most cap bytes with NUL, returns the length. */
	size_t (*describe)(struct mm_backing *b, char *buf, size_t cap);
};

/*
 * An open host file (or memfd) as mm sees it. fs/ embeds it in its own object. `fd` is open for
 * reading at least, and for writing when `writable`; immutable after the first mm_map().
 */
struct mm_backing {
	const struct mm_backing_ops *ops;
	atomic_uint refs;
	int fd;
	bool writable;	   /* MAP_SHARED|PROT_WRITE allowed */
	bool executable;   /* PROT_EXEC allowed (false on a noexec mount) */
	uint64_t dev, ino; /* identity as the guest sees it: shared futexes, maps */
};
static inline struct mm_backing *mm_backing_get(struct mm_backing *b)
{
	atomic_fetch_add_explicit(&b->refs, 1, memory_order_relaxed);
	return b;
}
static inline void mm_backing_put(struct mm_backing *b)
{
	if (b && atomic_fetch_sub_explicit(&b->refs, 1, memory_order_acq_rel) == 1)
		b->ops->release(b);
}

/* ---- address spaces ---- */

#define MM_TASK_SIZE ((uint64_t)0x7ffffffff000) /* first address a user mapping may not reach */

int mm_create(struct mm_system *sys, struct mm **out);
int mm_fork(struct mm *parent, struct mm **out); /* copy-on-write; caller runs in `parent` */
struct mm *mm_get(struct mm *mm);
void mm_put(struct mm *mm);
uint64_t mm_root(const struct mm *mm); /* what the platform loads: page-table root gpa */
struct mm_system *mm_system_of(struct mm *mm);
/*
 * Tear down all areas of an address space whose last user is gone (exit, execve), before the last
 * mm_put(). Idempotent.
 */
void mm_teardown(struct mm *mm);

/* Linux's PROT_* and MAP_* values (asm-generic) are used as they are. */
struct mm_map_args {
	gva_t addr;
	uint64_t len;
	unsigned prot, flags;	    /* PROT_*, MAP_* */
	struct mm_backing *backing; /* NULL: anonymous. A reference is taken on success. */
	uint64_t offset;	    /* bytes into the backing, page aligned */
	const char *name;	    /* NULL, or a static string such as "[vdso]" for maps */
	bool populate;		    /* map every page now (also MAP_POPULATE) */
};
/* Returns the address or -errno, exactly as mmap(2); MAP_FIXED_NOREPLACE, MAP_GROWSDOWN honoured. */
int64_t mm_map(struct mm *mm, const struct mm_map_args *args);
int mm_unmap(struct mm *mm, gva_t addr, uint64_t len);
int mm_protect(struct mm *mm, gva_t addr, uint64_t len, unsigned prot);
int64_t mm_remap(struct mm *mm, gva_t old, uint64_t old_len, uint64_t new_len, unsigned flags,
		 gva_t new_addr);
int mm_advise(struct mm *mm, gva_t addr, uint64_t len, int advice);
int mm_sync(struct mm *mm, gva_t addr, uint64_t len, int flags);
int mm_incore(struct mm *mm, gva_t addr, uint64_t len,
	      uint8_t *vec); /* host vector, len/4K bytes */
int mm_lock_range(struct mm *mm, gva_t addr, uint64_t len, bool lock); /* mlock, munlock */

/* brk(2). mm_set_brk() starts the heap (execve); mm_brk() returns the new or, refused, the old end. */
void mm_set_brk(struct mm *mm, gva_t start);
gva_t mm_brk(struct mm *mm, gva_t want);

/* What execve knows and /proc shows; set once before the first instruction runs. */
struct mm_layout {
	gva_t start_code, end_code, start_data, end_data, start_stack;
	gva_t arg_start, arg_end, env_start, env_end;
	gva_t mmap_base;   /* top of the top-down mmap region */
	gva_t vdso;	   /* base of the mapped vDSO; signal frames return through it */
	uint64_t auxv[64]; /* pairs, as they were put on the stack; ended by AT_NULL */
};
void mm_set_layout(struct mm *mm, const struct mm_layout *layout);
void mm_get_layout(struct mm *mm, struct mm_layout *out);

/* Limits that mm checks itself; ~0 is unlimited. */
void mm_set_limits(struct mm *mm, uint64_t as_bytes, uint64_t data_bytes, uint64_t stack_bytes);

/* ---- faults ---- */

#define MM_ACCESS_READ 1u
#define MM_ACCESS_WRITE 2u
#define MM_ACCESS_EXEC 4u

/*
 * Resolve a guest access. 0: retry the instruction. Otherwise the signal that Linux would send:
 * -EFAULT: SIGSEGV/SEGV_MAPERR; -EACCES: SIGSEGV/SEGV_ACCERR; -ENXIO: SIGBUS/BUS_ADRERR (past the end
 * of a file); -ENOMEM: no frame left (the caller kills the process as the OOM killer would).
 */
int mm_fault(struct mm *mm, gva_t addr, unsigned access);

/*
 * The guest touched a page whose host page is gone (a file truncated under its window, seen as a
 * memory fault by the hypervisor). 0: retry, -ENXIO: SIGBUS.
 */
int mm_fault_host(struct mm *mm, gva_t addr, unsigned access);

/* ---- access to guest memory from the kernel: each byte read once, faults resolved on the way ---- */

/* 0 or -EFAULT. A failed copy may have moved a prefix; *_some return the bytes moved. */
int mm_copy_in(struct mm *mm, void *dst, gva_t src, size_t len);
int mm_copy_out(struct mm *mm, gva_t dst, const void *src, size_t len);
size_t mm_copy_in_some(struct mm *mm, void *dst, gva_t src, size_t len);
size_t mm_copy_out_some(struct mm *mm, gva_t dst, const void *src, size_t len);
int mm_zero(struct mm *mm, gva_t dst, size_t len);
/* Length without NUL, -EFAULT, or -ENAMETOOLONG when no NUL stands within cap bytes. */
int64_t mm_copy_in_str(struct mm *mm, char *dst, gva_t src, size_t cap);

/*
 * Ptrace-style access that ignores write protection of private areas (/proc/PID/mem, core dumps).
 */
int mm_poke(struct mm *mm, gva_t dst, const void *src, size_t len);

/*
 * Pin guest memory for a host system call to read or write directly. Fills at most *iovcnt host
 * segments covering a prefix of [addr, addr+len) and returns the bytes covered (> 0), or -EFAULT,
 * or -EAGAIN when the first page cannot be pinned (a file window): use a bounce buffer. The frames
 * stay allocated until mm_unpin(), even if the guest unmaps them meanwhile.
 */
struct mm_pin {
	struct mm *mm;
	unsigned frames;
	uint32_t frame[64];
};
int64_t mm_pin(struct mm *mm, gva_t addr, uint64_t len, bool write, struct iovec *iov, int *iovcnt,
	       struct mm_pin *pin);
void mm_unpin(struct mm_pin *pin);

/* ---- atomic words, for futexes ---- */

struct mm_futex_key {
	uint64_t a, b, c; /* compared as bytes: {mm, addr, 0} private, {dev, ino, offset} or
			     {frame identity} shared */
};
int mm_futex_key(struct mm *mm, gva_t addr, bool is_private, struct mm_futex_key *out);
int mm_load32(struct mm *mm, gva_t addr, uint32_t *out);
/* *seen is the value found; the exchange happened when *seen == expect. 0 or -EFAULT. */
int mm_cmpxchg32(struct mm *mm, gva_t addr, uint32_t expect, uint32_t desired, uint32_t *seen);

/* ---- introspection ---- */

struct mm_area_info {
	uint64_t start, end;
	unsigned prot;
	bool shared, growsdown, stack, heap;
	uint64_t offset, dev, ino;
	char name[256]; /* path, "[heap]", "[stack]", "[vdso]" or "" */
	uint64_t rss_pages, private_pages;
};
/* Calls fn for each area in address order with the lock held; fn must not call mm. Non-zero stops. */
int mm_for_each_area(struct mm *mm, bool with_rss, int (*fn)(const struct mm_area_info *, void *),
		     void *arg);
struct mm_usage {
	uint64_t vm_bytes, vm_peak, rss_pages, rss_peak, shared_pages, data_bytes, stack_bytes,
		text_bytes, areas;
};
void mm_get_usage(struct mm *mm, struct mm_usage *out);

#endif
