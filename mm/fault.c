/* SPDX-License-Identifier: Apache-2.0 */
#include "mm/fault.h"

#include <errno.h>
#include <sys/stat.h>

#include "mm/guarded_copy.h"
#include "mm/shm.h"

/* The aligned window of `pages` around va, within the area. */
static void around(const struct area *a, uint64_t va, uint64_t pages, uint64_t *from, uint64_t *to)
{
	uint64_t span = pages * PAGE_SIZE;

	*from = va & ~(span - 1);
	*to = *from + span;
	if (*from < a->start)
		*from = a->start;
	if (*to > a->end)
		*to = a->end;
}

uint64_t fault_file_end(const struct area *a)
{
	struct stat st;
	uint64_t size, pages;

	if (!a->backing)
		return UINT64_MAX;
	if (fstat(a->backing->fd, &st) < 0)
		return a->start;
	/* Devices that can be mapped have no size to go by. */
	if (!S_ISREG(st.st_mode))
		return UINT64_MAX;
	size = page_up((uint64_t)st.st_size);
	if (size <= a->offset)
		return a->start;
	pages = size - a->offset;
	return pages > UINT64_MAX - a->start ? UINT64_MAX : a->start + pages;
}

pte_t fault_window_leaf(struct mm *mm, const struct area *a, uint64_t va)
{
	unsigned perm = area_perm(a);
	uint64_t at = a->win->base + (area_offset(a, va) - a->win->off);

	if (!(a->flags & AREA_SHARED) || !a->win->writable)
		perm &= ~PT_WRITE;
	return pte_page(GPA(mm->sys->windows.gpa.v + at), perm);
}

/* The length of the run of vacant entries from va on, at most up to end or the table's end. */
static unsigned vacant_run(const pte_t *slot, uint64_t va, uint64_t end)
{
	unsigned n = 0;

	end = pt_next(va, end, BLOCK_SIZE);
	while (va + n * PAGE_SIZE < end && !pt_read(slot + n))
		n++;
	return n;
}

/* Fresh zeroed frames for the vacant pages of [from, to). False: out of memory before `need`. */
static bool populate_anon(struct edit *e, const struct area *a, uint64_t from, uint64_t to,
			  uint64_t need)
{
	struct mm *mm = e->mm;
	uint64_t va = from;
	unsigned perm = area_perm(a);

	while (va < to) {
		pte_t *level2 = pt_level2(mm, va, NULL), *slot;
		unsigned n;

		if (level2 && pte_is_block(pt_read(level2))) {
			va = pt_next(va, to, BLOCK_SIZE);
			continue;
		}
		slot = pt_slot_make(mm, va);
		if (!slot)
			return va > need;
		n = vacant_run(slot, va, to);
		if (n) {
			uint32_t first;

			n = frame_alloc(mm->sys, n, true, &first);
			if (!n)
				return va > need;
			for (unsigned i = 0; i < n; i++)
				edit_fill(e, slot + i, va + i * PAGE_SIZE,
					  pte_page(frame_gpa(mm->sys, first + i), perm));
			count(&mm->sys->n.faults_around, n);
		}
		va += (n ? n : 1) * PAGE_SIZE;
	}
	return true;
}

static bool populate_shm(struct edit *e, const struct area *a, uint64_t from, uint64_t to,
			 uint64_t need)
{
	struct mm *mm = e->mm;

	for (uint64_t va = from; va < to; va += PAGE_SIZE) {
		uint64_t index = area_offset(a, va) >> PAGE_SHIFT;
		pte_t *slot = pt_slot_make(mm, va);
		uint32_t frame;

		if (!slot)
			return va > need;
		if (pt_read(slot))
			continue;
		if (index >= shm_pages(a->shm))
			break;
		frame = shm_frame(a->shm, index, true);
		if (frame == FRAME_NONE)
			return va > need;
		edit_fill(e, slot, va, pte_page(frame_gpa(mm->sys, frame), area_perm(a)));
		count(&mm->sys->n.faults_around, 1);
	}
	return true;
}

/* The window's pages for the vacant ones of [from, to), up to the file's end. */
static bool populate_file(struct edit *e, const struct area *a, uint64_t from, uint64_t to,
			  uint64_t need)
{
	struct mm *mm = e->mm;
	uint64_t end = fault_file_end(a);

	if (to > end)
		to = end;
	for (uint64_t va = from; va < to; va += PAGE_SIZE) {
		pte_t *slot = pt_slot_make(mm, va);

		if (!slot)
			return va > need;
		if (pt_read(slot))
			continue;
		edit_fill(e, slot, va, fault_window_leaf(mm, a, va));
		count(&mm->sys->n.faults_around, 1);
	}
	return true;
}

static bool populate_range(struct edit *e, const struct area *a, uint64_t from, uint64_t to,
			   uint64_t need)
{
	if (a->backing)
		return populate_file(e, a, from, to, need);
	if (a->shm)
		return populate_shm(e, a, from, to, need);
	return populate_anon(e, a, from, to, need);
}

void fault_populate(struct edit *e, uint64_t start, uint64_t end)
{
	struct mm *mm = e->mm;

	for (unsigned i = area_index(mm, start); i < mm->areas.n && mm->areas.v[i].start < end;
	     i++) {
		struct area *a = &mm->areas.v[i];
		uint64_t from = a->start > start ? a->start : start;
		uint64_t to = a->end < end ? a->end : end;

		if (!a->prot)
			continue;
		for (; area_anon_private(a) && from + BLOCK_SIZE <= to; from += BLOCK_SIZE)
			if (from & (BLOCK_SIZE - 1) || !block_populate(e, a, from))
				break;
		if (!populate_range(e, a, from, to, UINT64_MAX))
			return;
	}
}

void fault_copy_data(struct edit *e, const struct area *a, uint64_t start, uint64_t end)
{
	struct mm *mm = e->mm;
	uint64_t file_end = fault_file_end(a);

	if (end > file_end)
		end = file_end;
	for (uint64_t va = start; va < end; va += PAGE_SIZE) {
		pte_t *slot = pt_slot_make(mm, va), window;
		uint32_t frame;

		if (!slot || !frame_alloc(mm->sys, 1, false, &frame))
			return;
		window = fault_window_leaf(mm, a, va);
		if (pt_read(slot) || guarded_copy(frame_host(mm->sys, frame),
						  gpa_host(mm->sys, pte_pa(window)), PAGE_SIZE)) {
			frame_put(mm->sys, frame, 1);
			return;
		}
		edit_fill(e, slot, va, pte_page(frame_gpa(mm->sys, frame), area_perm(a)));
	}
}

/* ---- resolving one access ---- */

static bool in_use(struct mm *mm, uint64_t va)
{
	gpa_t pa;

	return pte_present(pt_leaf(mm, va, &pa));
}

/* The window of anonymous memory to populate for va: wider where memory is being filled in order. */
static void around_anon(struct mm *mm, const struct area *a, uint64_t va, uint64_t *from,
			uint64_t *to)
{
	uint64_t more = (MM_AROUND_SEQUENTIAL - MM_AROUND_ANON) * PAGE_SIZE;

	around(a, va, MM_AROUND_ANON, from, to);
	if (*from > a->start && in_use(mm, *from - PAGE_SIZE))
		*to += a->end - *to < more ? a->end - *to : more;
	else if (*to < a->end && in_use(mm, *to))
		*from -= *from - a->start < more ? *from - a->start : more;
}

/* A page is missing at va, in area a, which allows the access. */
static int fault_missing(struct edit *e, const struct area *a, uint64_t va)
{
	struct mm_system *sys = e->mm->sys;
	uint64_t from = va, to = va + PAGE_SIZE;

	if (a->backing) {
		count(&sys->n.faults_file, 1);
		if (va >= fault_file_end(a))
			return -ENXIO;
		around(a, va, MM_AROUND_FILE, &from, &to);
	} else {
		count(&sys->n.faults_anon, 1);
		if (a->shm && area_offset(a, va) >> PAGE_SHIFT >= shm_pages(a->shm))
			return -ENXIO;
		if (area_anon_private(a) && block_populate(e, a, va))
			return 0;
		if (frame_plenty(sys))
			around_anon(e->mm, a, va, &from, &to);
	}
	if (populate_range(e, a, from, to, va))
		return 0;
	/* Populating ahead may have eaten the last frame before va was reached. */
	return populate_range(e, a, va, va + PAGE_SIZE, va) ? 0 : -ENOMEM;
}

static bool leaf_allows(pte_t leaf, unsigned access)
{
	unsigned perm = pte_perm(leaf);

	return pte_present(leaf) && (!(access & MM_ACCESS_WRITE) || perm & PT_WRITE) &&
	       (!(access & MM_ACCESS_EXEC) || perm & PT_EXEC);
}

/* The page is present but may not be written yet: copy, or just allow it. */
static int fault_write(struct edit *e, const struct area *a, uint64_t va)
{
	pte_t *level2 = pt_level2(e->mm, va, NULL), *slot;

	count(&e->mm->sys->n.faults_cow, 1);
	if (pte_is_block(pt_read(level2))) {
		int ret = block_write_fault(e, a, va);

		if (ret || pte_is_block(pt_read(level2)))
			return ret;
	}
	slot = pt_slot(e->mm, va);
	if (a->flags & AREA_SHARED) {
		edit_perm(e, slot, va, area_perm(a), false);
		return 0;
	}
	return cow_break(e, a, va, true);
}

static int out_of_memory(struct edit *e)
{
	/* What this thread freed itself comes back once it has entered the guest: let it retry. */
	edit_sync(e);
	return gather_pending() ? 0 : -ENOMEM;
}

static bool stack_may_grow(struct mm *mm, const struct area *a, uint64_t to)
{
	unsigned i = (unsigned)(a - mm->areas.v);
	const struct area *below = i ? a - 1 : NULL;
	uint64_t pages = (a->start - to) >> PAGE_SHIFT;

	if (a->end - to > mm->limit_stack || to < MM_MIN_ADDR)
		return false;
	if (mm->vm_pages + pages > mm->limit_as >> PAGE_SHIFT)
		return false;
	if (!below)
		return true;
	if (below->end > to)
		return false;
	return !below->prot || below->flags & AREA_GROWSDOWN || to - below->end >= MM_STACK_GAP;
}

/* The stack above va, grown down to it; NULL: there is none, or it may not grow. */
static struct area *grow_stack(struct mm *mm, uint64_t va)
{
	unsigned i = area_index(mm, va);
	struct area *a = i < mm->areas.n ? &mm->areas.v[i] : NULL;
	uint64_t ahead;

	if (!a || a->start <= va || !(a->flags & AREA_GROWSDOWN) || !stack_may_grow(mm, a, va))
		return NULL;
	ahead = va >= MM_STACK_STEP * PAGE_SIZE ? va - (MM_STACK_STEP - 1) * PAGE_SIZE : va;
	if (stack_may_grow(mm, a, ahead))
		va = ahead;
	area_account(mm, a, -1);
	a->start = va;
	area_account(mm, a, 1);
	return a;
}

static int check_access(const struct area *a, unsigned access)
{
	if (access & MM_ACCESS_WRITE)
		return a->prot & PROT_WRITE ? 0 : -EACCES;
	if (access & MM_ACCESS_EXEC)
		return a->prot & PROT_EXEC ? 0 : -EACCES;
	return a->prot ? 0 : -EACCES;
}

static int resolve(struct edit *e, const struct area *a, uint64_t va, unsigned access)
{
	gpa_t pa;
	pte_t leaf = pt_leaf(e->mm, va, &pa);
	int ret = 0;

	if (leaf_allows(leaf, access))
		return 0;
	if (!pte_present(leaf)) {
		ret = fault_missing(e, a, va);
		leaf = pt_leaf(e->mm, va, &pa);
	}
	if (!ret && access & MM_ACCESS_WRITE && !leaf_allows(leaf, MM_ACCESS_WRITE))
		ret = fault_write(e, a, va);
	return ret;
}

int fault_resolve(struct edit *e, uint64_t va, unsigned access)
{
	struct area *a;
	int ret;

	va = page_down(va);
	if (va >= MM_TASK_SIZE)
		return -EFAULT;
	a = area_find(e->mm, va);
	if (!a)
		a = grow_stack(e->mm, va);
	if (!a)
		return -EFAULT;
	ret = check_access(a, access);
	if (!ret)
		ret = resolve(e, a, va, access);
	return ret;
}

/* /proc/PID/mem: a private page of its own even where the area may not be written. */
static int force_write(struct edit *e, uint64_t va)
{
	struct area *a = area_find(e->mm, va);
	pte_t *slot;
	gpa_t pa;
	int ret = 0;

	if (!a || !a->prot)
		return -EFAULT;
	if (a->flags & AREA_SHARED)
		return -EACCES;
	if (!pte_present(pt_leaf(e->mm, va, &pa)))
		ret = fault_missing(e, a, va);
	if (ret)
		return ret;
	slot = pt_level2(e->mm, va, NULL);
	if (pte_is_block(pt_read(slot)))
		ret = pt_split(e->mm, slot, va);
	return ret ? ret : cow_break(e, a, va, false);
}

char *fault_host(struct edit *e, uint64_t va, unsigned access, bool force, int *err)
{
	uint64_t page = page_down(va);
	gpa_t pa;

	*err = 0;
	if (va >= MM_TASK_SIZE) {
		*err = -EFAULT;
		return NULL;
	}
	if (leaf_allows(pt_leaf(e->mm, page, &pa), access))
		return gpa_host(e->mm->sys, pa) + (va - page);
	*err = fault_resolve(e, page, access);
	if (*err == -EACCES && force)
		*err = force_write(e, page);
	if (*err)
		return NULL;
	if (!pte_present(pt_leaf(e->mm, page, &pa))) {
		*err = -ENOMEM;
		return NULL;
	}
	return gpa_host(e->mm->sys, pa) + (va - page);
}

int mm_fault(struct mm *mm, gva_t addr, unsigned access)
{
	struct edit e;
	int ret;

	edit_begin(&e, mm);
	count(&mm->sys->n.faults, 1);
	ret = fault_resolve(&e, addr.v, access);
	if (ret == -ENOMEM)
		ret = out_of_memory(&e);
	edit_end(&e);
	return ret;
}

/* Drop the pages of a file area that lie past the file's end. True: there were some. */
static bool drop_past_end(struct edit *e, const struct area *a)
{
	uint64_t end = fault_file_end(a), rss = e->mm->rss, last = a->end;

	if (end >= last || pt_split_edges(e->mm, end, last))
		return false;
	edit_zap(e, end, last);
	return e->mm->rss != rss;
}

/* Can every mapped page of the area's window be had? */
static bool window_intact(struct mm *mm, const struct area *a)
{
	for (uint64_t va = a->start; va < a->end; va += PAGE_SIZE) {
		pte_t *slot = pt_slot(mm, va);
		pte_t leaf = slot ? pt_read(slot) : 0;
		uint32_t word, *at;

		if (!pte_present(leaf))
			continue;
		at = (uint32_t *)gpa_host(mm->sys, pte_pa(leaf));
		if (!guarded_load32(at, &word))
			return false;
		if (pte_perm(leaf) & PT_WRITE && !guarded_cmpxchg32(at, word, word, &word))
			return false;
	}
	return true;
}

/*
 * Which page it was is not known, so all file areas are looked at. Pages past the end go, and the retry
 * ends in mm_fault(); a page that cannot be had for another reason (an I/O error, no space for a
 * store) is SIGBUS at once, as a retry would end here again.
 */
int mm_fault_host(struct mm *mm, gva_t addr, unsigned access)
{
	struct edit e;
	bool dropped = false;
	int ret = 0;

	(void)addr;
	(void)access;
	edit_begin(&e, mm);
	count(&mm->sys->n.faults, 1);
	for (unsigned i = 0; i < mm->areas.n; i++)
		if (mm->areas.v[i].backing)
			dropped |= drop_past_end(&e, &mm->areas.v[i]);
	for (unsigned i = 0; !dropped && !ret && i < mm->areas.n; i++)
		if (mm->areas.v[i].backing && !window_intact(mm, &mm->areas.v[i]))
			ret = -ENXIO;
	edit_end(&e);
	return ret;
}
