/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Random operations on address spaces from several vCPUs, over a platform whose vCPUs remember every
 * translation they may (fake_platform.h). After each operation:
 *   - before the initiator has re-entered the guest: nothing remembered names a free frame;
 *   - after it has: nothing remembered grants what the page table no longer does, and no vCPU has a dead
 *     address space loaded;
 *   - the invariants hold (mm/check.h), and what the guest reads is what the model says.
 *
 * Then the same runs with one flush left out at a time: each must fail. A flush whose absence nobody
 * notices is either useless or untested.
 *
 * Deterministic; a failure prints the seed. mm_model [SEED [OPS]]
 */
#include "tests/unit/mm_model.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "mm/check.h"
#include "mm/edit.h"

unsigned mm_mutated_site;
unsigned long mm_site_hits[SITE_COUNT];

static const char *const site_name[SITE_COUNT] = {
	[SITE_CLEAR] = "clear page",
	[SITE_CLEAR_BLOCK] = "clear block",
	[SITE_PERM] = "protect page",
	[SITE_PERM_BLOCK] = "protect block",
	[SITE_REPOINT] = "copy on write",
	[SITE_TAKE] = "move page",
	[SITE_FORK] = "fork page",
	[SITE_FORK_BLOCK] = "fork block",
	[SITE_INVALIDATE] = "shadow: invalidate",
	[SITE_INVALIDATE_ALL] = "shadow: drop for many",
	[SITE_STAGE_SELF] = "nested: own flush",
	[SITE_FLUSH_OTHERS] = "nested: others' flush",
	[SITE_GATHER] = "nested: deferred free",
	[SITE_TABLE_DROP] = "shadow: drop before reuse",
	[SITE_FORGET_ROOT] = "forget root",
};

struct run {
	enum platform_paging paging;
	bool tight;
	uint64_t seed;
	unsigned long ops;
};

static const struct run *running;

void model_fail(struct model *m, const char *format, ...)
{
	va_list ap;

	if (!mm_mutated_site) {
		fprintf(stderr, "%s paging%s, seed %lu, operation %lu (%s, vCPU %u): ",
			running->paging == PLATFORM_PAGING_SHADOW ? "shadow" : "nested",
			running->tight ? ", little memory" : "", (unsigned long)running->seed,
			m->op, m->what, m->p->current);
		va_start(ap, format);
		vfprintf(stderr, format, ap);
		va_end(ap);
		fputc('\n', stderr);
	}
	_exit(1);
}

/* xorshift64* */
uint32_t model_random(struct model *m, uint32_t below)
{
	m->random ^= m->random >> 12;
	m->random ^= m->random << 25;
	m->random ^= m->random >> 27;
	return (uint32_t)((m->random * 0x2545f4914f6cdd1du) >> 33) % below;
}

struct model_object *model_object(struct model *m, uint32_t pages)
{
	struct model_object *o = calloc(1, sizeof *o);

	o->word = calloc(pages, sizeof *o->word);
	o->pages = pages;
	o->next = m->objects;
	m->objects = o;
	return o;
}

/* ---- what must hold ---- */

static struct model_space *space_of(struct model *m, uint64_t root)
{
	for (unsigned i = 0; i < MODEL_SPACES; i++)
		if (m->space[i].mm && mm_root(m->space[i].mm) == root)
			return &m->space[i];
	return NULL;
}

static void check_frames_used(struct model *m, uint64_t gpa, unsigned pages)
{
	uint32_t frame = gpa_frame(m->sys, GPA(gpa));

	for (unsigned i = 0; frame != FRAME_NONE && i < pages; i++)
		if (!frame_refs(m->sys, frame + i))
			model_fail(m, "frame %u is free and a vCPU remembers it", frame + i);
}

/* Does the page table still grant what is remembered? */
static void check_current(struct model *m, const struct fake_entry *t)
{
	unsigned pages = t->block ? PT_ENTRIES : 1;

	for (unsigned i = 0; i < pages; i++) {
		uint64_t va = t->va + i * PAGE_SIZE;
		struct fake_entry now;

		if (!fake_walk(m->p, t->root, va, &now))
			model_fail(m, "a translation of %#lx outlived its page", va);
		if (now.gpa + (va - now.va) != t->gpa + i * PAGE_SIZE)
			model_fail(m, "a translation of %#lx leads to the old page", va);
		if (t->perm & ~now.perm)
			model_fail(m, "a translation of %#lx grants what was taken away", va);
		if (now.block && t->block)
			return;
	}
}

static void check_nested(struct model *m, bool entered)
{
	for (unsigned v = 0; v < FAKE_VCPUS; v++) {
		const struct fake_vcpu *vcpu = &m->p->vcpu[v];

		for (unsigned i = 0; i < vcpu->n; i++) {
			const struct fake_entry *t = &vcpu->tlb[i];

			if (!entered)
				check_frames_used(m, t->gpa, t->block ? PT_ENTRIES : 1);
			else if (!space_of(m, t->root))
				model_fail(m,
					   "a translation of a dead address space is remembered");
			else
				check_current(m, t);
		}
	}
}

/* Compare what is remembered below a table with the table itself. */
static void check_shadow(struct model *m, uint64_t gpa, int level)
{
	const pte_t *table = (const pte_t *)fake_host(m->p, gpa);
	const struct fake_shadow *s = NULL;
	pte_t remembered[PT_ENTRIES];

	for (unsigned i = 0; i < m->p->nshadow && !s; i++)
		if (m->p->shadow[i].gpa == gpa)
			s = &m->p->shadow[i];
	if (!s)
		return;
	memcpy(remembered, s->entry, sizeof remembered);
	for (unsigned i = 0; i < (level == PT_ROOT_LEVEL ? PT_ENTRIES / 2 : PT_ENTRIES); i++) {
		pte_t old = remembered[i], now = table[i];

		if (!pte_present(old))
			continue;
		if (!pte_present(now) || pte_pa(old).v != pte_pa(now).v)
			model_fail(m, "a shadowed level-%d entry outlived what it shadows", level);
		if (level > 1) {
			check_shadow(m, pte_pa(old).v, level - 1);
			continue;
		}
		check_frames_used(m, pte_pa(old).v, 1);
		if (pte_perm(old) & ~pte_perm(now))
			model_fail(m, "a shadowed entry grants what was taken away");
	}
}

static void check(struct model *m, bool entered)
{
	const char *wrong;

	if (m->p->paging == PLATFORM_PAGING_NESTED)
		check_nested(m, entered);
	for (unsigned i = 0; i < MODEL_SPACES; i++) {
		if (!m->space[i].mm)
			continue;
		if (m->p->paging == PLATFORM_PAGING_SHADOW && entered)
			check_shadow(m, mm_root(m->space[i].mm), PT_ROOT_LEVEL);
		wrong = entered ? mm_check_invariants(m->space[i].mm) : NULL;
		if (wrong)
			model_fail(m, "%s", wrong);
	}
	for (unsigned v = 0; entered && v < FAKE_VCPUS; v++)
		if (m->p->vcpu[v].root && !space_of(m, m->p->vcpu[v].root))
			model_fail(m, "vCPU %u has a dead address space loaded", v);
}

/* ---- a run ---- */

static void no_release(struct mm_backing *b)
{
	(void)b;
}

static const struct mm_backing_ops file_ops = {.release = no_release};

static struct model_object *make_file(struct model *m, struct mm_backing *b, uint64_t ino)
{
	struct model_object *o = model_object(m, MODEL_PAGES);

	*b = (struct mm_backing){.ops = &file_ops,
				 .fd = memfd_create("model", 0),
				 .writable = true,
				 .executable = true,
				 .dev = 1,
				 .ino = ino};
	atomic_init(&b->refs, 1);
	if (ftruncate(b->fd, (off_t)MODEL_PAGES * (off_t)PAGE_SIZE) < 0)
		abort();
	for (uint32_t i = 0; i < MODEL_PAGES; i++) {
		o->word[i] = ++m->counter;
		if (pwrite(b->fd, &o->word[i], 4, (off_t)(i * PAGE_SIZE)) != 4)
			abort();
	}
	return o;
}

static struct model *model_new(const struct run *r)
{
	struct model *m = calloc(1, sizeof *m);
	struct mm_limits limits = {.arena_bytes = (uint64_t)(r->tight ? 40 : 192) << 20,
				   .window_bytes = (uint64_t)256 << 20};

	m->p = fake_platform_new(r->paging);
	m->tight = r->tight;
	m->random = r->seed * 0x9e3779b97f4a7c15u + 1;
	m->what = "start";
	if (mm_system_create(m->p, &limits, &m->sys) || mm_create(m->sys, &m->space[0].mm))
		model_fail(m, "cannot start");
	m->constant = make_file(m, &m->constant_backing, 1);
	m->shared_file = make_file(m, &m->shared_backing, 2);
	return m;
}

/* Everything is given back: a leak of a frame or a table shows here. */
static void model_end(struct model *m)
{
	struct mm_stats st;

	m->what = "end";
	for (unsigned i = 0; i < MODEL_SPACES; i++)
		mm_put(m->space[i].mm);
	fake_enter_exit(m->p);
	mm_system_stats(m->sys, &st);
	if (st.frames_used)
		model_fail(m, "%lu frames leaked", (unsigned long)st.frames_used);
	if (st.table_pages != 1)
		model_fail(m, "%lu page-table pages leaked", (unsigned long)st.table_pages - 1);
	mm_system_destroy(m->sys);
	close(m->constant_backing.fd);
	close(m->shared_backing.fd);
	fake_platform_free(m->p);
	while (m->objects) {
		struct model_object *o = m->objects;

		m->objects = o->next;
		free(o->word);
		free(o);
	}
	free(m);
}

static void run(const struct run *r)
{
	struct model *m;

	running = r;
	m = model_new(r);
	for (m->op = 1; m->op <= r->ops; m->op++) {
		m->p->current = model_random(m, FAKE_VCPUS);
		model_step(m);
		check(m, false);
		fake_enter_exit(m->p);
		check(m, true);
		if (m->op % 1000 == 0)
			model_verify(m);
		fake_enter_exit(m->p);
	}
	m->op--;
	model_verify(m);
	model_end(m);
}

/* True: some run noticed that the site was left out. */
static bool killed(const struct run *runs, unsigned n, unsigned site)
{
	int status;
	pid_t pid = fork();

	if (pid < 0)
		abort();
	if (!pid) {
		mm_mutated_site = site;
		for (unsigned i = 0; i < n; i++)
			run(&runs[i]);
		_exit(0);
	}
	while (waitpid(pid, &status, 0) < 0)
		;
	return !WIFEXITED(status) || WEXITSTATUS(status);
}

int main(int argc, char **argv)
{
	uint64_t seed = argc > 1 ? strtoull(argv[1], NULL, 0) : 1;
	unsigned long ops = argc > 2 ? strtoul(argv[2], NULL, 0) : 4000;
	const struct run runs[] = {
		{PLATFORM_PAGING_NESTED, false, seed, ops},
		{PLATFORM_PAGING_SHADOW, false, seed, ops},
		{PLATFORM_PAGING_NESTED, true, seed + 1, ops},
		{PLATFORM_PAGING_SHADOW, true, seed + 1, ops},
	};
	unsigned n = sizeof runs / sizeof runs[0], survivors = 0;

	for (unsigned i = 0; i < n; i++)
		run(&runs[i]);
	printf("%u runs of %lu operations\n", n, ops);
	fflush(stdout);
	for (unsigned site = 1; site < SITE_COUNT; site++) {
		bool dead = mm_site_hits[site] && killed(runs, n, site);

		printf("%-28s %9lu hits  %s\n", site_name[site], mm_site_hits[site],
		       dead ? "killed" : "SURVIVED");
		fflush(stdout);
		survivors += !dead;
	}
	return survivors ? 1 : 0;
}
