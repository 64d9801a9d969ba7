/* SPDX-License-Identifier: Apache-2.0 */
/* The operations: each is done to the real address space and to the model. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

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

static unsigned some_prot(struct model *m)
{
	static const unsigned prot[] = {PROT_READ | PROT_WRITE, PROT_READ | PROT_WRITE, PROT_READ,
					PROT_READ | PROT_EXEC, PROT_NONE};

	return prot[model_random(m, sizeof prot / sizeof prot[0])];
}

static void op_map(struct model *m)
{
	struct model_space *s = some_space(m);
	struct mm_map_args args = {.flags = MAP_FIXED};
	struct model_object *object = NULL;
	uint32_t first, n, offset = 0, kind = model_random(m, 10);
	bool shared = false;
	int64_t ret;

	m->what = "mmap";
	some_range(m, &first, &n);
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

static void op_unmap(struct model *m)
{
	struct model_space *s = some_space(m);
	uint32_t first, n;
	int ret;

	m->what = "munmap";
	some_range(m, &first, &n);
	ret = mm_unmap(s->mm, GVA(model_va(first)), (uint64_t)n * PAGE_SIZE);
	if (ret == -ENOMEM && m->tight)
		return;
	if (ret)
		model_fail(m, "munmap returned %d", ret);
	memset(&s->page[first], 0, n * sizeof s->page[0]);
}

static void op_protect(struct model *m)
{
	struct model_space *s = some_space(m);
	unsigned prot = some_prot(m);
	uint32_t first, n, i;
	int ret;

	m->what = "mprotect";
	some_range(m, &first, &n);
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
	struct model_space *s = some_space(m);
	struct model_page *moved;
	uint32_t from, to, n, new_n;
	int64_t ret;

	m->what = "mremap";
	some_range(m, &from, &n);
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
	struct model_space *s = some_space(m);
	uint32_t first, n;
	int ret;

	m->what = "madvise(MADV_DONTNEED)";
	some_range(m, &first, &n);
	ret = mm_advise(s->mm, GVA(model_va(first)), (uint64_t)n * PAGE_SIZE, MADV_DONTNEED);
	if (ret && ret != -ENOMEM)
		model_fail(m, "madvise returned %d", ret);
	for (uint32_t i = first; i < first + n; i++)
		s->page[i].own = false;
}

static void op_fork(struct model *m)
{
	struct model_space *s = some_space(m), *child = NULL;
	int ret;

	m->what = "fork";
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

static void op_exit(struct model *m)
{
	struct model_space *s = some_space(m);
	unsigned alive = 0;

	m->what = "exit";
	for (unsigned i = 0; i < MODEL_SPACES; i++)
		alive += m->space[i].mm != NULL;
	if (alive == 1)
		return;
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
	mm_put(s->mm);
	s->mm = fresh;
	memset(s->page, 0, sizeof s->page);
	if (model_random(m, 2))
		map_all(m, s);
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

/* A load or a store by the current vCPU, faulting as often as it takes. */
static void touch(struct model *m, struct model_space *s, uint32_t page, unsigned access)
{
	struct model_page *pg = &s->page[page];
	int want = expected(pg, access), ret = 0;
	uint64_t gpa;

	for (int tries = 0; tries < 6; tries++) {
		if (fake_translate(m->p, m->p->current, mm_root(s->mm), model_va(page), access,
				   &gpa)) {
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
		ret = mm_fault(s->mm, GVA(model_va(page)), access);
		fake_enter_exit(m->p);
		if (ret)
			break;
	}
	if (!ret)
		model_fail(m, "page %u: faults for ever", page);
	if (ret != want && !(ret == -ENOMEM && m->tight))
		model_fail(m, "page %u: access %u gave %d, not %d", page, access, ret, want);
}

static void op_touch(struct model *m)
{
	struct model_space *s = some_space(m);
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

/* Some vCPU's hardware looks ahead: it may remember whatever is present. */
static void op_prefetch(struct model *m)
{
	struct model_space *s = some_space(m);
	unsigned vcpu = model_random(m, FAKE_VCPUS);
	uint32_t page = model_random(m, MODEL_PAGES), n = 1 + model_random(m, 400);
	uint64_t gpa;

	m->what = "prefetch";
	for (; n && page < MODEL_PAGES; n--, page++)
		fake_translate(m->p, vcpu, mm_root(s->mm), model_va(page), MM_ACCESS_READ, &gpa);
}

static void op_copy(struct model *m)
{
	struct model_space *s = some_space(m);
	uint32_t page = model_random(m, MODEL_PAGES), word;
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
		{op_map, 14},	  {op_unmap, 10},    {op_protect, 14}, {op_remap, 8},
		{op_dontneed, 6}, {op_fork, 6},	     {op_exit, 3},     {op_exec, 4},
		{op_touch, 24},	  {op_prefetch, 16}, {op_copy, 10},
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
