/* SPDX-License-Identifier: Apache-2.0 */
/* The VM's memory: creation, the platform's own pages, the kernel half, statistics. */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "mm/guarded_copy.h"
#include "mm/ledger.h"
#include "mm/pt.h"

/*
 * Default arena: as much as the host has physical memory, at most 64 GiB (its bookkeeping is 8 bytes a
 * page of address space, touched as it is used). The cgroup is what really limits a container.
 */
#define ARENA_MAX ((uint64_t)64 << 30)
#define ARENA_MIN ((uint64_t)16 << 20)
#define WINDOW_SPAN ((uint64_t)64 << 30)
#define KERNEL_ROOT_FIRST 256u

static uint64_t default_arena(void)
{
	long pages = sysconf(_SC_PHYS_PAGES);
	uint64_t bytes = pages > 0 ? (uint64_t)pages * (uint64_t)sysconf(_SC_PAGESIZE) : ARENA_MAX;

	return bytes < ARENA_MAX ? bytes : ARENA_MAX;
}

static int create(struct mm_system *sys, const struct mm_limits *limits)
{
	uint64_t arena = limits && limits->arena_bytes ? limits->arena_bytes : default_arena();
	uint64_t span = limits && limits->window_bytes ? limits->window_bytes : WINDOW_SPAN;
	uint64_t max = (uint64_t)(FRAME_NONE - GROUP_FRAMES) << PAGE_SHIFT;
	int ret = guarded_install();

	arena = arena < ARENA_MIN ? ARENA_MIN : arena > max ? max : arena;
	if (!ret)
		ret = frame_pool_create(sys, arena);
	if (!ret)
		ret = window_pool_create(sys,
					 GPA(sys->frames.gpa.v +
					     ((uint64_t)sys->frames.ngroups << BLOCK_SHIFT)),
					 span);
	if (ret)
		return ret;
	sys->kernel_root = table_alloc(sys);
	return sys->kernel_root == FRAME_NONE ? -ENOMEM : 0;
}

int mm_system_create(struct platform *platform, const struct mm_limits *limits,
		     struct mm_system **out)
{
	struct mm_system *sys = calloc(1, sizeof *sys);
	int ret;

	if (!sys)
		return -ENOMEM;
	sys->platform = platform;
	sys->shadow = platform_paging(platform) == PLATFORM_PAGING_SHADOW;
	sys->tlb = limits ? limits->tlb : MM_TLB_SELECTIVE;
	sys->frames.fd = -1;
	pthread_mutex_init(&sys->frame_lock, NULL);
	pthread_mutex_init(&sys->table_lock, NULL);
	pthread_mutex_init(&sys->windows.lock, NULL);
	atomic_init(&sys->next_id, 1);
	ret = create(sys, limits);
	if (!ret && sys->tlb == MM_TLB_PARANOID) {
		sys->ledger = ledger_create(sys, sys->shadow, limits->stale, limits->stale_arg);
		ret = sys->ledger ? 0 : -ENOMEM;
	}
	if (ret) {
		mm_system_destroy(sys);
		return ret;
	}
	*out = sys;
	return 0;
}

void mm_system_destroy(struct mm_system *sys)
{
	ledger_destroy(sys->ledger);
	window_pool_destroy(sys);
	table_pool_destroy(sys);
	frame_pool_destroy(sys);
	pthread_mutex_destroy(&sys->windows.lock);
	pthread_mutex_destroy(&sys->table_lock);
	pthread_mutex_destroy(&sys->frame_lock);
	free(sys);
}

int mm_system_alloc_fixed(struct mm_system *sys, size_t pages, gpa_t *gpa, void **host)
{
	int ret = 0;

	if (!pages || pages > sys->frames.nframes)
		return -EINVAL;
	pthread_mutex_lock(&sys->table_lock);
	if (sys->fixed_end - sys->fixed < pages) {
		unsigned groups = (unsigned)((pages + GROUP_FRAMES - 1) / GROUP_FRAMES);
		uint32_t first = frame_take_groups(sys, groups);

		if (first == FRAME_NONE) {
			ret = -ENOMEM;
		} else {
			sys->fixed = first;
			sys->fixed_end = first + groups * GROUP_FRAMES;
		}
	}
	if (!ret) {
		*gpa = frame_gpa(sys, sys->fixed);
		*host = frame_host(sys, sys->fixed);
		sys->fixed += (uint32_t)pages;
	}
	pthread_mutex_unlock(&sys->table_lock);
	return ret;
}

static int map_kernel(struct mm_system *sys, gva_t va, gpa_t pa, size_t pages, unsigned perm)
{
	if (va.v & ~PAGE_MASK || pa.v & ~PAGE_MASK ||
	    pt_index(va.v, PT_ROOT_LEVEL) < KERNEL_ROOT_FIRST)
		return -EINVAL;
	for (size_t i = 0; i < pages; i++) {
		int ret = pt_map_kernel(sys, sys->kernel_root, va.v + i * PAGE_SIZE,
					GPA(pa.v + i * PAGE_SIZE), perm);

		if (ret)
			return ret;
	}
	return 0;
}

struct ledger *mm_system_ledger(const struct mm_system *sys)
{
	return sys->ledger;
}

gpa_t mm_system_kernel_root(const struct mm_system *sys)
{
	return frame_gpa(sys, sys->kernel_root);
}

int mm_system_map_kernel(struct mm_system *sys, gva_t va, gpa_t pa, size_t pages, bool writable,
			 bool executable)
{
	return map_kernel(sys, va, pa, pages,
			  (writable ? PT_WRITE : 0) | (executable ? PT_EXEC : 0));
}

int mm_system_map_gate(struct mm_system *sys, gva_t va, gpa_t pa, size_t pages, bool writable,
		       bool executable)
{
	return map_kernel(sys, va, pa, pages,
			  PT_USER | (writable ? PT_WRITE : 0) | (executable ? PT_EXEC : 0));
}

void mm_system_stats(struct mm_system *sys, struct mm_stats *out)
{
	struct mm_counters *n = &sys->n;

	*out = (struct mm_stats){
		.frames_total = sys->frames.nframes,
		.frames_used = atomic_load(&sys->frames.used),
		.faults = atomic_load(&n->faults),
		.faults_file = atomic_load(&n->faults_file),
		.faults_anon = atomic_load(&n->faults_anon),
		.faults_cow = atomic_load(&n->faults_cow),
		.faults_around = atomic_load(&n->faults_around),
		.flush_none = atomic_load(&n->flush_none),
		.flush_range = atomic_load(&n->flush_range),
		.flush_space = atomic_load(&n->flush_space),
		.flush_broadcast = atomic_load(&n->flush_broadcast),
		.flush_pages = atomic_load(&n->flush_pages),
		.remote_kicks = atomic_load(&n->remote_kicks),
		.shadow_frames = atomic_load(&n->shadow_frames),
		.shadow_drops = atomic_load(&n->shadow_drops),
		.deferred_frames = atomic_load(&n->deferred_frames),
		.tables_recycled = atomic_load(&n->tables_recycled),
	};
	pthread_mutex_lock(&sys->frame_lock);
	out->frames_peak = sys->frames.peak;
	pthread_mutex_unlock(&sys->frame_lock);
	pthread_mutex_lock(&sys->table_lock);
	out->table_pages = sys->tables.pages;
	pthread_mutex_unlock(&sys->table_lock);
}
