/* SPDX-License-Identifier: Apache-2.0 */
/* The operations: each is done to the real address space and to the model. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/unit/mm_model.h"

static struct model_space *some_space(struct model *m)
{
	struct model_space *s;

	do {
		s = &m->space[model_random(m, MODEL_SPACES)];
	} while (!s->mm);
	return s;
}

/* Mostly short ranges, some long, some of whole blocks. */
static void some_range(struct model *m, uint32_t *first, uint32_t *n)
{
	uint32_t kind = model_random(m, 10);

	if (kind < 5) {
		*n = 1 + model_random(m, 8);
	} else if (kind < 8) {
		*n = 1 + model_random(m, 200);
	} else {
		*n = 512 * (1 + model_random(m, 6));
		*first = 512 * model_random(m, MODEL_BLOCKS - *n / 512 + 1);
		return;
	}
	*first = model_random(m, MODEL_PAGES - *n + 1);
}

static struct model_space *space_of(struct model *m, uint64_t tag)
{
	for (unsigned i = 0; i < MODEL_SPACES; i++)
		if (m->space[i].mm && fake_tag(mm_root(m->space[i].mm)) == tag)
			return &m->space[i];
	return NULL;
}

/* The address space of a flush that a thread has staged and not executed (arm64), or NULL. */
static struct model_space *owed_space(struct model *m)
{
	for (unsigned i = 0; i < FAKE_VCPUS; i++) {
		const struct vcpu *v = m->p->vcpus[i];

		if (v != pool_own && v->staged_root)
			return space_of(m, fake_tag(v->staged_root));
	}
	return NULL;
}

struct model_space *model_space_of_thread(struct model *m)
{
	struct model_space *s = &m->space[m->thread % MODEL_SPACES], *owed = owed_space(m);

	if (owed && model_random(m, 2))
		return owed;
	return s->mm && model_random(m, 2) ? s : some_space(m);
}

/*
 * Where to do something: often where a vCPU remembers a translation, best of an address space for
 * which a flush is owed.
 */
static struct model_space *aim(struct model *m, uint32_t *first, uint32_t *n)
{
	struct model_space *owed = owed_space(m);
	unsigned start = model_random(m, FAKE_VCPUS);

	some_range(m, first, n);
	if (*n >= 512 || model_random(m, 2))
		return some_space(m);
	for (unsigned i = 0; i < FAKE_VCPUS; i++) {
		const struct nacre_vcpu *hv = &m->p->vm->vcpu[(start + i) % FAKE_VCPUS];
		unsigned from = hv->n ? model_random(m, hv->n) : 0;

		for (unsigned k = 0; k < hv->n; k++) {
			const struct fake_entry *t = &hv->tlb[(from + k) % hv->n];
			struct model_space *s = space_of(m, t->tag);
			uint64_t page = (t->va - MODEL_BASE) >> PAGE_SHIFT;

			if (!s || (owed && s != owed) || page > MODEL_PAGES - *n)
				continue;
			*first = (uint32_t)page;
			return s;
		}
	}
	return some_space(m);
}

static unsigned some_prot(struct model *m)
{
	static const unsigned prot[] = {PROT_READ | PROT_WRITE, PROT_READ | PROT_WRITE, PROT_READ,
					PROT_READ | PROT_EXEC, PROT_NONE};

	return prot[model_random(m, sizeof prot / sizeof prot[0])];
}

static int expected(const struct model_page *pg, unsigned access)
{
	if (!pg->mapped)
		return -EFAULT;
	if (access & MM_ACCESS_WRITE)
		return pg->prot & PROT_WRITE ? 0 : -EACCES;
	return pg->prot ? 0 : -EACCES;
}

static void write_page(struct model *m, struct model_page *pg, uint32_t *host)
{
	*host = ++m->counter;
	if (pg->shared) {
		pg->object->word[pg->index] = m->counter;
	} else {
		pg->own = true;
		pg->word = m->counter;
	}
}

/*
 * Where a fault does not drop the translation that caused it, another thread may have given the permission
 * and not have flushed yet: it will before its program goes on.
 */
static bool flush_pending_elsewhere(struct model *m)
{
	for (unsigned i = 0; i < FAKE_VCPUS; i++)
		if (!fake_fault_drops && m->p->vcpus[i] != pool_own &&
		    !m->p->vcpus[i]->hv->in_guest)
			return true;
	return false;
}

/* A load or a store by the thread's vCPU, faulting as often as it takes. */
static void touch(struct model *m, struct model_space *s, uint32_t page, unsigned access)
{
	struct model_page *pg = &s->page[page];
	int want = expected(pg, access), ret = 0;
	uint64_t gpa;

	for (int tries = 0; tries < 6; tries++) {
		if (!fake_enter(m->p, mm_root(s->mm)))
			return; /* no vCPU is idle */
		if (fake_translate(m->p, pool_own->hv, model_va(page), access, &gpa)) {
			uint32_t *host = (uint32_t *)fake_host(m->p, gpa);

			if (want)
				model_fail(m, "page %u: access %u went through against %d", page,
					   access, want);
			if (access & MM_ACCESS_WRITE)
				write_page(m, pg, host);
			else if (*host != model_word(pg))
				model_fail(m, "page %u: holds %u, not %u", page, *host,
					   model_word(pg));
			return;
		}
		fake_leave(m->p);
		ret = mm_fault(s->mm, GVA(model_va(page)), access);
		if (ret)
			break;
	}
	if (!ret && flush_pending_elsewhere(m))
		return;
	if (!ret)
		model_fail(m, "page %u: faults for ever", page);
	if (ret != want && !(ret == -ENOMEM && m->tight))
		model_fail(m, "page %u: access %u gave %d, not %d", page, access, ret, want);
}

static void op_map(struct model *m)
{
	struct model_space *s;
	struct mm_map_args args = {.flags = MAP_FIXED};
	struct model_object *object = NULL;
	uint32_t first, n, offset = 0, kind = model_random(m, 10);
	bool shared = false;
	int64_t ret;

	m->what = "mmap";
	s = aim(m, &first, &n);
	if (kind < 6) {
		args.flags |= MAP_PRIVATE | MAP_ANONYMOUS;
	} else if (kind < 7) {
		shared = true;
		args.flags |= MAP_SHARED | MAP_ANONYMOUS;
		object = model_object(m, n);
	} else {
		shared = kind == 9;
		object = shared ? m->shared_file : m->constant;
		args.backing = shared ? &m->shared_backing : &m->constant_backing;
		args.flags |= shared ? MAP_SHARED : MAP_PRIVATE;
		offset = model_random(m, object->pages - n + 1);
		/* The loader maps pieces of one file at matching addresses over each other. */
		if (!shared && model_random(m, 2))
			offset = first;
	}
	args.addr = GVA(model_va(first));
	args.len = (uint64_t)n * PAGE_SIZE;
	args.prot = some_prot(m);
	args.offset = (uint64_t)offset * PAGE_SIZE;
	args.populate = model_random(m, 8) == 0;
	ret = mm_map(s->mm, &args);
	if (ret == -ENOMEM && m->tight)
		return;
	if (ret != (int64_t)args.addr.v)
		model_fail(m, "mmap returned %ld", (long)ret);
	for (uint32_t i = 0; i < n; i++)
		s->page[first + i] = (struct model_page){.mapped = true,
							 .shared = shared,
							 .prot = args.prot,
							 .object = object,
							 .index = offset + i};
}

static void release_file(struct mm_backing *b)
{
	close(b->fd);
	free(b);
}

/* A file that nothing else maps: its window goes with the last area. */
static void op_map_own_file(struct model *m)
{
	static const struct mm_backing_ops ops = {.release = release_file};
	struct model_space *s = some_space(m);
	struct mm_backing *b = calloc(1, sizeof *b);
	uint32_t n = 1 + model_random(m, 24), first = model_random(m, MODEL_PAGES - n + 1);
	struct mm_map_args args = {.addr = GVA(model_va(first)),
				   .len = (uint64_t)n * PAGE_SIZE,
				   .prot = PROT_READ,
				   .flags = MAP_FIXED | MAP_PRIVATE,
				   .backing = b};
	struct model_object *object = model_object(m, n);
	int64_t ret;

	m->what = "mmap of a file";
	model_fill_file(m, b, 3, object);
	b->ops = &ops;
	ret = mm_map(s->mm, &args);
	mm_backing_put(b);
	if (ret == -ENOMEM && m->tight)
		return;
	if (ret != (int64_t)args.addr.v)
		model_fail(m, "mmap returned %ld", (long)ret);
	for (uint32_t i = 0; i < n; i++)
		s->page[first + i] = (struct model_page){.mapped = true,
							 .prot = args.prot,
							 .object = object,
							 .index = i};
	for (uint32_t i = 0; i < n; i++)
		touch(m, s, first + i, MM_ACCESS_READ);
	fake_leave(m->p);
	if (mm_unmap(s->mm, args.addr, args.len)) {
		if (!m->tight)
			model_fail(m, "munmap failed");
		return;
	}
	memset(&s->page[first], 0, n * sizeof s->page[0]);
}

static void op_unmap(struct model *m)
{
	struct model_space *s;
	uint32_t first, n;
	int ret;

	m->what = "munmap";
	s = aim(m, &first, &n);
	ret = mm_unmap(s->mm, GVA(model_va(first)), (uint64_t)n * PAGE_SIZE);
	if (ret == -ENOMEM && m->tight)
		return;
	if (ret)
		model_fail(m, "munmap returned %d", ret);
	memset(&s->page[first], 0, n * sizeof s->page[0]);
}

static void op_protect(struct model *m)
{
	struct model_space *s;
	unsigned prot = some_prot(m);
	uint32_t first, n, i;
	int ret;

	m->what = "mprotect";
	s = aim(m, &first, &n);
	/* Mostly ranges without holes. */
	for (i = 0; i < n && s->page[first + i].mapped; i++)
		;
	if (i && model_random(m, 8))
		n = i;
	ret = mm_protect(s->mm, GVA(model_va(first)), (uint64_t)n * PAGE_SIZE, prot);
	if (ret && (ret != -ENOMEM || (i >= n && !m->tight)))
		model_fail(m, "mprotect of %u pages, %u mapped, returned %d", n, i, ret);
	if (ret && i >= n)
		abort(); /* tight memory: which prefix was done is not known */
	for (i = 0; i < n && s->page[first + i].mapped; i++)
		s->page[first + i].prot = prot;
}

static bool same_area(const struct model_page *a, const struct model_page *b, uint32_t distance)
{
	return b->mapped && a->prot == b->prot && a->shared == b->shared &&
	       a->object == b->object && (!a->object || b->index == a->index + distance);
}

static void op_remap(struct model *m)
{
	struct model_space *s;
	struct model_page *moved;
	uint32_t from, to, n, new_n;
	int64_t ret;

	m->what = "mremap";
	s = aim(m, &from, &n);
	if (!s->page[from].mapped)
		return;
	for (uint32_t i = 1; i < n; i++)
		if (!same_area(&s->page[from], &s->page[from + i], i))
			n = i;
	new_n = n;
	if (model_random(m, 4) == 0)
		new_n = 1 + model_random(m, n);
	else if (!s->page[from].object && model_random(m, 4) == 0)
		new_n = n + model_random(m, 16);
	if (new_n > MODEL_PAGES)
		return;
	to = model_random(m, MODEL_PAGES - new_n + 1);
	if (n >= 512 && !(from % 512) && model_random(m, 2))
		to &= ~511u;
	if (from < to + new_n && to < from + n)
		return;
	ret = mm_remap(s->mm, GVA(model_va(from)), (uint64_t)n * PAGE_SIZE,
		       (uint64_t)new_n * PAGE_SIZE, MREMAP_MAYMOVE | MREMAP_FIXED,
		       GVA(model_va(to)));
	if (ret != (int64_t)model_va(to))
		model_fail(m, "mremap of %u to %u pages returned %ld", n, new_n, (long)ret);
	moved = malloc(new_n * sizeof *moved);
	for (uint32_t i = 0; i < new_n; i++) {
		moved[i] = s->page[from + (i < n ? i : 0)];
		if (i >= n)
			moved[i].own = false;
	}
	memset(&s->page[from], 0, n * sizeof s->page[0]);
	memcpy(&s->page[to], moved, new_n * sizeof *moved);
	free(moved);
}

static void op_dontneed(struct model *m)
{
	struct model_space *s;
	uint32_t first, n;
	int ret;

	m->what = "madvise(MADV_DONTNEED)";
	s = aim(m, &first, &n);
	ret = mm_advise(s->mm, GVA(model_va(first)), (uint64_t)n * PAGE_SIZE, MADV_DONTNEED);
	if (ret && ret != -ENOMEM)
		model_fail(m, "madvise returned %d", ret);
	for (uint32_t i = first; i < first + n; i++)
		s->page[i].own = false;
}

static void fork_space(struct model *m, struct model_space *s)
{
	struct model_space *child = NULL;
	int ret;

	for (unsigned i = 0; i < MODEL_SPACES; i++)
		if (!m->space[i].mm)
			child = &m->space[i];
	if (!child)
		return;
	memcpy(child->page, s->page, sizeof s->page);
	ret = mm_fork(s->mm, &child->mm);
	if (ret)
		child->mm = NULL;
	if (ret && !(ret == -ENOMEM && m->tight))
		model_fail(m, "fork returned %d", ret);
}

static void op_fork(struct model *m)
{
	m->what = "fork";
	fork_space(m, some_space(m));
}

static void op_exit(struct model *m)
{
	struct model_space *s = some_space(m);
	unsigned alive = 0;

	m->what = "exit";
	for (unsigned i = 0; i < MODEL_SPACES; i++)
		alive += m->space[i].mm != NULL;
	if (alive == 1)
		return;
	fake_stop(m->p, mm_root(s->mm));
	mm_put(s->mm);
	s->mm = NULL;
}

/* One area over everything: with nested paging it gets blocks, as no table stands there yet. */
static void map_all(struct model *m, struct model_space *s)
{
	struct mm_map_args args = {.addr = GVA(MODEL_BASE),
				   .len = (uint64_t)MODEL_PAGES * PAGE_SIZE,
				   .prot = PROT_READ | PROT_WRITE,
				   .flags = MAP_FIXED | MAP_PRIVATE | MAP_ANONYMOUS};

	if (mm_map(s->mm, &args) != (int64_t)MODEL_BASE)
		model_fail(m, "mmap of everything failed");
	for (uint32_t i = 0; i < MODEL_PAGES; i++)
		s->page[i] = (struct model_page){.mapped = true, .prot = args.prot};
}

static void op_exec(struct model *m)
{
	struct model_space *s = some_space(m);
	struct mm *fresh;

	m->what = "execve";
	if (mm_create(m->sys, &fresh)) {
		if (!m->tight)
			model_fail(m, "no page for a root");
		return;
	}
	fake_stop(m->p, mm_root(s->mm));
	mm_put(s->mm);
	s->mm = fresh;
	memset(s->page, 0, sizeof s->page);
	if (model_random(m, 2))
		map_all(m, s);
}

static void op_touch(struct model *m)
{
	struct model_space *s = model_space_of_thread(m);
	uint32_t page = model_random(m, MODEL_PAGES), n = 1 + model_random(m, 24);
	uint32_t step = model_random(m, 3) ? 1 : 37;

	m->what = "touch";
	/* Pages far apart: more host runs than are invalidated one by one. */
	if (model_random(m, 8) == 0) {
		page = model_random(m, 64);
		step = 64;
		n = MODEL_PAGES / step;
	}
	for (uint32_t i = 0; i < n && page < MODEL_PAGES; i++, page += step)
		if (s->page[page].mapped || model_random(m, 16) == 0)
			touch(m, s, page, model_random(m, 2) ? MM_ACCESS_WRITE : MM_ACCESS_READ);
}

/* A vCPU in the guest looks ahead: its hardware may remember whatever is present. */
static void op_prefetch(struct model *m)
{
	struct nacre_vcpu *hv = &m->p->vm->vcpu[model_random(m, FAKE_VCPUS)];
	uint32_t page = model_random(m, MODEL_PAGES), n = 1 + model_random(m, 400);
	uint64_t gpa;

	m->what = "prefetch";
	for (; hv->in_guest && n && page < MODEL_PAGES; n--, page++)
		fake_translate(m->p, hv, model_va(page), MM_ACCESS_READ, &gpa);
}

static void op_copy(struct model *m)
{
	uint32_t page, n, word;
	struct model_space *s = aim(m, &page, &n);
	struct model_page *pg = &s->page[page];
	bool out = model_random(m, 2);
	int want = expected(pg, out ? MM_ACCESS_WRITE : MM_ACCESS_READ) ? -EFAULT : 0, ret;

	m->what = "copy";
	word = m->counter + 1;
	ret = out ? mm_copy_out(s->mm, GVA(model_va(page)), &word, sizeof word)
		  : mm_copy_in(s->mm, &word, GVA(model_va(page)), sizeof word);
	if (ret != want) {
		if (m->tight && ret == -EFAULT)
			return;
		model_fail(m, "page %u: copy gave %d, not %d", page, ret, want);
	}
	if (ret)
		return;
	if (out)
		write_page(m, pg, &word);
	else if (word != model_word(pg))
		model_fail(m, "page %u: copied %u, not %u", page, word, model_word(pg));
}

/* A debugger's store: it goes through where the program's own would not. */
static void op_poke(struct model *m)
{
	struct model_space *s = some_space(m);
	uint32_t page = model_random(m, MODEL_PAGES), word;
	struct model_page *pg = &s->page[page];
	int ret;

	m->what = "poke";
	for (unsigned i = 0; i < 64 && (!pg->mapped || pg->shared || pg->prot != PROT_READ); i++) {
		page = model_random(m, MODEL_PAGES);
		pg = &s->page[page];
	}
	if (!pg->mapped || pg->shared || !pg->prot)
		return;
	touch(m, s, page, MM_ACCESS_READ);
	fake_leave(m->p);
	word = m->counter + 1;
	ret = mm_poke(s->mm, GVA(model_va(page)), &word, sizeof word);
	if (ret && !m->tight)
		model_fail(m, "page %u: poke gave %d", page, ret);
	if (!ret)
		write_page(m, pg, &word);
}

/* Large pages that are in use, then protected as a whole, or shared with a child. */
static void op_blocks(struct model *m)
{
	static const unsigned prots[] = {PROT_READ, PROT_NONE, PROT_READ | PROT_WRITE};
	struct model_space *s = model_space_of_thread(m);
	uint32_t block = model_random(m, MODEL_BLOCKS), n = 1 + model_random(m, 4);
	unsigned prot = prots[model_random(m, 3)];

	m->what = "blocks";
	if (n > MODEL_BLOCKS - block)
		n = MODEL_BLOCKS - block;
	fake_leave(m->p);
	map_all(m, s);
	for (uint32_t i = block; i < block + n; i++)
		touch(m, s, i * 512 + model_random(m, 512), MM_ACCESS_WRITE);
	fake_leave(m->p);
	if (model_random(m, 2)) {
		fork_space(m, s);
		return;
	}
	if (mm_protect(s->mm, GVA(model_va(block * 512)), n * BLOCK_SIZE, prot)) {
		if (m->tight)
			abort(); /* which prefix was done is not known */
		model_fail(m, "mprotect of blocks failed");
	}
	for (uint32_t i = block * 512; i < (block + n) * 512; i++)
		s->page[i].prot = prot;
}

void model_verify(struct model *m)
{
	m->what = "verify";
	for (unsigned i = 0; i < MODEL_SPACES; i++) {
		struct model_space *s = &m->space[i];
		uint32_t word;

		for (uint32_t page = 0; s->mm && page < MODEL_PAGES; page++) {
			if (expected(&s->page[page], MM_ACCESS_READ))
				continue;
			if (mm_copy_in(s->mm, &word, GVA(model_va(page)), sizeof word)) {
				if (!m->tight)
					model_fail(m, "page %u cannot be read", page);
			} else if (word != model_word(&s->page[page])) {
				model_fail(m, "page %u: holds %u, not %u", page, word,
					   model_word(&s->page[page]));
			}
		}
	}
}

void model_step(struct model *m)
{
	static const struct {
		void (*op)(struct model *);
		unsigned weight;
	} ops[] = {
		{op_map, 14},	      {op_unmap, 10},	 {op_protect, 14}, {op_remap, 8},
		{op_dontneed, 6},     {op_fork, 6},	 {op_exit, 3},	   {op_exec, 4},
		{op_touch, 24},	      {op_prefetch, 16}, {op_copy, 10},	   {op_poke, 4},
		{op_map_own_file, 3}, {op_blocks, 2},
	};
	unsigned total = 0, pick;

	for (unsigned i = 0; i < sizeof ops / sizeof ops[0]; i++)
		total += ops[i].weight;
	pick = model_random(m, total);
	for (unsigned i = 0; i < sizeof ops / sizeof ops[0]; i++) {
		if (pick < ops[i].weight) {
			ops[i].op(m);
			return;
		}
		pick -= ops[i].weight;
	}
}
