/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Random operations on address spaces from several threads, over vCPUs that remember every translation
 * they may (fake_platform.h) and the flush protocol that the real ones use. After each operation, and
 * again when its thread has entered the guest or given its vCPU up:
 *   - no vCPU in the guest has a translation that grants what the page table no longer does;
 *   - nothing remembered that can still be used names a free frame;
 *   - where entries must be broken before others are made (arm64), no page table leads anywhere else
 *     than a translation that was never flushed;
 *   - no vCPU has a dead address space loaded, the invariants hold (mm/check.h), and what the guest
 *     reads is what the model says.
 *
 * Then the same runs with one site of mm/sites.h left out at a time: each must fail. A flush whose
 * absence nobody notices is either useless or untested.
 *
 * Built once under the rules of each architecture. Deterministic: threads take turns, chosen by the
 * seed; a failure prints it. mm_model [SEED [OPS]]
 */
#include "tests/unit/mm_model.h"

#include <semaphore.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "mm/check.h"
#include "mm/ledger.h"
#include "mm/sites.h"

unsigned mm_mutated_site;
unsigned long mm_site_hits[SITE_COUNT];

#define SITE_ROW(name, rules, what) [SITE_##name] = {#name, rules, what},
static const struct {
	const char *name, *rules, *what;
} sites[SITE_COUNT] = {TLB_SITES(SITE_ROW)};

#define CAUGHT 3 /* the exit status when --tlb=paranoid noticed */

struct run {
	const char *name;
	char rules; /* as in mm/sites.h */
	enum platform_paging paging;
	uint32_t guarantees; /* NACRE_CAP_* */
	bool tight;
	unsigned long ops;
};

static const struct run *running;
static bool paranoid; /* --tlb=paranoid watches, and nothing else does */
static uint64_t run_seed;

void model_fail(struct model *m, const char *format, ...)
{
	va_list ap;

	if (!mm_mutated_site) {
		fprintf(stderr, "%s, seed %lu, operation %lu (%s, thread %u): ", running->name,
			(unsigned long)run_seed, m->op, m->what, m->thread);
		va_start(ap, format);
		vfprintf(stderr, format, ap);
		va_end(ap);
		fputc('\n', stderr);
	}
	_exit(1);
}

static struct model *the_model;

static void hypervisor_wrong(const char *what)
{
	model_fail(the_model, "%s", what);
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

static struct model_space *space_of_tag(struct model *m, uint64_t tag)
{
	for (unsigned i = 0; i < MODEL_SPACES; i++)
		if (m->space[i].mm && fake_tag(mm_root(m->space[i].mm)) == tag)
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

/* File windows: the page must still belong to one. */
static void check_window_used(struct model *m, uint64_t gpa)
{
	const struct window_pool *pool = &m->sys->windows;
	uint64_t at = gpa - pool->gpa.v;

	if (gpa_frame(m->sys, GPA(gpa)) != FRAME_NONE)
		return;
	for (unsigned i = 0; i < pool->count; i++)
		if (at - pool->by_base[i]->base < pool->by_base[i]->len)
			return;
	model_fail(m, "a file's pages are unmapped and a vCPU remembers one");
}

/* Does the page table still grant what is remembered? */
static void check_current(struct model *m, uint64_t root, const struct fake_entry *t)
{
	unsigned pages = t->block ? PT_ENTRIES : 1;

	for (unsigned i = 0; i < pages; i++) {
		uint64_t va = t->va + i * PAGE_SIZE;
		struct fake_entry now;

		if (!fake_walk(m->p, root, va, &now))
			model_fail(m, "a translation of %#lx outlived its page", va);
		if (now.gpa + (va - now.va) != t->gpa + i * PAGE_SIZE)
			model_fail(m, "a translation of %#lx leads to the old page", va);
		if (t->perm & ~now.perm)
			model_fail(m, "a translation of %#lx grants what was taken away", va);
		if (now.block && t->block)
			return;
	}
}

/*
 * Arm ARM, D8.14.1: while a translation may be remembered, the entry it came from may become invalid, or
 * grant something else, but neither name other memory nor be of another size.
 */
static void check_broken_before_made(struct model *m, uint64_t root, const struct fake_entry *t)
{
	unsigned pages = t->block ? PT_ENTRIES : 1;

	for (unsigned i = 0; i < pages; i++) {
		uint64_t va = t->va + i * PAGE_SIZE;
		struct fake_entry now;

		if (!fake_walk(m->p, root, va, &now))
			continue;
		if (now.block != t->block)
			model_fail(m, "%#lx changed its size while a translation lived", va);
		if (now.gpa + (va - now.va) != t->gpa + i * PAGE_SIZE)
			model_fail(m, "%#lx was made anew while a translation lived", va);
		if (now.block)
			return;
	}
}

/* A flush is about to be executed: what it was for must not have been made anew before. */
static void check_before_flush(void)
{
	struct model *m = the_model;

	for (unsigned v = 0; v < FAKE_VCPUS; v++) {
		const struct nacre_vcpu *hv = &m->p->vm->vcpu[v];

		for (unsigned i = 0; i < hv->n; i++) {
			const struct model_space *s = space_of_tag(m, hv->tlb[i].tag);

			if (s)
				check_broken_before_made(m, mm_root(s->mm), &hv->tlb[i]);
		}
	}
}

/*
 * What the calling thread's vCPU remembers and the page table still says, before an operation: no frame of
 * these may be free after it, since the thread's own flush is still to come. (Frames that another
 * thread frees need not wait for that flush: the vCPU is not in the guest, and executes it first.)
 */
struct mapped {
	unsigned n;
	bool now[FAKE_TLB];
};

static void note_mapped(struct model *m, struct mapped *out)
{
	const struct vcpu *v = pool_own;

	out->n = v ? v->hv->n : 0;
	for (unsigned i = 0; i < out->n; i++) {
		const struct fake_entry *t = &v->hv->tlb[i];
		const struct model_space *s = space_of_tag(m, t->tag);
		struct fake_entry now;

		out->now[i] = s && t->tag == fake_tag(v->root) &&
			      fake_walk(m->p, mm_root(s->mm), t->va, &now) &&
			      now.gpa + (t->va - now.va) == t->gpa;
	}
}

static void check_mapped(struct model *m, const struct mapped *before)
{
	const struct vcpu *v = pool_own;

	if (paranoid && mm_mutated_site)
		return;

	/* If it has run since, its flush was executed; if the address space is dead, none is needed. */
	if (!v || v->hv->in_guest || v->hv->n != before->n || !v->root)
		return;
	for (unsigned i = 0; i < before->n; i++)
		if (before->now[i]) {
			check_frames_used(m, v->hv->tlb[i].gpa, 1);
			check_window_used(m, v->hv->tlb[i].gpa);
		}
}

static void check_vcpu(struct model *m, const struct vcpu *v)
{
	const struct nacre_vcpu *hv = v->hv;
	uint64_t own = fake_tag(hv->in_guest ? hv->root : v->root);

	for (unsigned i = 0; i < hv->n; i++) {
		const struct fake_entry *t = &hv->tlb[i];
		const struct model_space *s = space_of_tag(m, t->tag);
		bool loaded = own == t->tag, usable = hv->in_guest && loaded;

		if (!s && usable)
			model_fail(m, "a vCPU runs in a dead address space");
		if (!s)
			continue;
		/* Where a load of another root drops everything, the rest is as good as gone. */
		if (fake_tlb_is_tagged || usable) {
			check_frames_used(m, t->gpa, t->block ? PT_ENTRIES : 1);
			check_window_used(m, t->gpa);
		}
		if (PT_BREAK_BEFORE_MAKE)
			check_broken_before_made(m, mm_root(s->mm), t);
		if (usable)
			check_current(m, mm_root(s->mm), t);
	}
}

/* Compare what is remembered below a table with the table itself. */
static void check_shadow(struct model *m, uint64_t gpa, int level)
{
	const pte_t *table = (const pte_t *)fake_host(m->p, gpa);
	const struct fake_shadow *s = NULL;
	pte_t remembered[PT_ENTRIES];

	for (unsigned i = 0; i < m->p->vm->nshadow && !s; i++)
		if (m->p->vm->shadow[i].gpa == gpa)
			s = &m->p->vm->shadow[i];
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

static void check(struct model *m)
{
	const char *wrong;

	if (paranoid && mm_mutated_site)
		return;

	for (unsigned v = 0; v < FAKE_VCPUS; v++) {
		uint64_t root = m->p->vcpus[v]->root;

		if (running->paging == PLATFORM_PAGING_NESTED)
			check_vcpu(m, m->p->vcpus[v]);
		if (root && !space_of_tag(m, fake_tag(root)))
			model_fail(m, "vCPU %u has a dead address space loaded", v);
	}
	for (unsigned i = 0; i < MODEL_SPACES; i++) {
		if (!m->space[i].mm)
			continue;
		if (running->paging == PLATFORM_PAGING_SHADOW)
			check_shadow(m, mm_root(m->space[i].mm), PT_ROOT_LEVEL);
		wrong = mm_check_invariants(m->space[i].mm);
		if (wrong)
			model_fail(m, "%s", wrong);
	}
}

/* ---- a run ---- */

void model_fill_file(struct model *m, struct mm_backing *b, uint64_t ino, struct model_object *o)
{
	*b = (struct mm_backing){.fd = memfd_create("model", 0),
				 .writable = true,
				 .executable = true,
				 .dev = 1,
				 .ino = ino};
	atomic_init(&b->refs, 1);
	if (ftruncate(b->fd, (off_t)o->pages * (off_t)PAGE_SIZE) < 0)
		abort();
	for (uint32_t i = 0; i < o->pages; i++) {
		o->word[i] = ++m->counter;
		if (pwrite(b->fd, &o->word[i], 4, (off_t)(i * PAGE_SIZE)) != 4)
			abort();
	}
}

static void no_release(struct mm_backing *b)
{
	(void)b;
}

static const struct mm_backing_ops file_ops = {.release = no_release};

static struct model_object *make_file(struct model *m, struct mm_backing *b, uint64_t ino)
{
	struct model_object *o = model_object(m, MODEL_PAGES);

	model_fill_file(m, b, ino, o);
	b->ops = &file_ops;
	return o;
}

static void stale(const char *text, void *arg)
{
	(void)arg;
	if (mm_mutated_site)
		_exit(CAUGHT);
	model_fail(the_model, "%s", text);
}

static struct model *model_new(const struct run *r)
{
	struct model *m = calloc(1, sizeof *m);
	struct mm_limits limits = {.arena_bytes = (uint64_t)(r->tight ? 40 : 192) << 20,
				   .window_bytes = (uint64_t)256 << 20,
				   .tlb = paranoid ? MM_TLB_PARANOID : MM_TLB_SELECTIVE,
				   .stale = stale};

	m->p = fake_platform_new(r->paging, r->guarantees);
	m->p->vm->wrong = hypervisor_wrong;
	m->p->vm->flushing = check_before_flush;
	the_model = m;
	m->tight = r->tight;
	m->random = run_seed * 0x9e3779b97f4a7c15u + 1;
	m->what = "start";
	if (mm_system_create(m->p, &limits, &m->sys) || mm_create(m->sys, &m->space[0].mm))
		model_fail(m, "cannot start");
	m->p->mm = m->sys;
	m->p->ledger = mm_system_ledger(m->sys);
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
	fake_enter_exit(m->p, 0);
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

/*
 * One turn of a thread: leave the guest, do something in its address space's name, and mostly enter again.
 * A thread that stays outside has its flush pending while others run; one that gives its vCPU up
 * leaves it to them.
 */
static void turn(struct model *m)
{
	struct model_space *s;
	static struct mapped before;

	fake_leave(m->p);
	note_mapped(m, &before);
	model_step(m);
	if (running->paging == PLATFORM_PAGING_NESTED)
		check_mapped(m, &before);
	check(m);
	switch (model_random(m, 8)) {
	case 0:
		fake_release(m->p);
		break;
	case 1:
	case 2:
	case 3:
		break;
	default:
		s = model_space_of_thread(m);
		fake_enter(m->p, mm_root(s->mm));
	}
	check(m);
}

struct thread {
	struct model *m;
	pthread_t thread;
	sem_t go, done;
	bool end;
};

static void *thread_main(void *arg)
{
	struct thread *t = arg;

	for (;;) {
		sem_wait(&t->go);
		if (t->end)
			break;
		turn(t->m);
		sem_post(&t->done);
	}
	fake_enter_exit(t->m->p, 0);
	return NULL;
}

static void give_turn(struct thread *t, bool end)
{
	t->end = end;
	sem_post(&t->go);
	if (end)
		pthread_join(t->thread, NULL);
	else
		sem_wait(&t->done);
}

static void run(const struct run *r)
{
	struct thread thread[MODEL_THREADS];
	struct model *m;

	running = r;
	m = model_new(r);
	for (unsigned i = 0; i < MODEL_THREADS; i++) {
		thread[i].m = m;
		sem_init(&thread[i].go, 0, 0);
		sem_init(&thread[i].done, 0, 0);
		if (pthread_create(&thread[i].thread, NULL, thread_main, &thread[i]))
			abort();
	}
	for (m->op = 1; m->op <= r->ops; m->op++) {
		m->thread = model_random(m, MODEL_THREADS);
		give_turn(&thread[m->thread], false);
		if (m->op % 1000 == 0)
			model_verify(m);
	}
	m->op--;
	for (unsigned i = 0; i < MODEL_THREADS; i++)
		give_turn(&thread[i], true);
	model_verify(m);
	model_end(m);
}

/* The status of a process in which the runs went wrong as the site was left out; 0: they did not. */
static int status_without(const struct run *r, unsigned n, unsigned site)
{
	int status;
	pid_t pid = fork();

	if (pid < 0)
		abort();
	if (!pid) {
		mm_mutated_site = site;
		alarm(60);
		for (unsigned i = 0; i < n; i++)
			if (strchr(sites[site].rules, r[i].rules))
				run(&r[i]);
		_exit(0);
	}
	while (waitpid(pid, &status, 0) < 0)
		;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

#if PT_BREAK_BEFORE_MAKE
#define NESTED(name, guarantees, tight)                                 \
	{                                                               \
		name, 'A', PLATFORM_PAGING_NESTED, guarantees, tight, 0 \
	}
static struct run runs[] = {
	NESTED("arm64, flush on migration", NACRE_CAP_FLUSH_ON_MIGRATION, false),
	NESTED("arm64, no guarantee", 0, false),
	NESTED("arm64, little memory", NACRE_CAP_FLUSH_ON_MIGRATION, true),
};
#else
#define NESTED(name, tight)                                                               \
	{                                                                                 \
		name, 'N', PLATFORM_PAGING_NESTED, NACRE_CAP_FLUSH_ON_MIGRATION, tight, 0 \
	}
static struct run runs[] = {
	NESTED("nested paging", false),
	{"shadow paging", 'S', PLATFORM_PAGING_SHADOW, 0, false, 0},
	NESTED("nested paging, little memory", true),
	{"shadow paging, little memory", 'S', PLATFORM_PAGING_SHADOW, 0, true, 0},
};
#endif

#define RUNS (sizeof runs / sizeof runs[0])

static bool concerned(unsigned site)
{
	for (unsigned i = 0; i < RUNS; i++)
		if (strchr(sites[site].rules, runs[i].rules))
			return true;
	return false;
}

/* Leave out one site after the other. Returns how many nobody noticed. */
static unsigned mutate(void)
{
	unsigned mutants = 0, survivors = 0;

	for (unsigned site = 1; site < SITE_COUNT; site++) {
		int status;

		if (!concerned(site) || (paranoid && !strchr(sites[site].rules, 'P')))
			continue;
		status = mm_site_hits[site] ? status_without(runs, RUNS, site) : 0;
		/* What the model sees first, paranoid has not. */
		if (paranoid && status != CAUGHT)
			status = 0;
		printf("%-14s %9lu hits  %-8s  %s\n", sites[site].name, mm_site_hits[site],
		       status ? "killed" : "SURVIVED", sites[site].what);
		fflush(stdout);
		survivors += !status;
		mutants++;
	}
	printf("%u of %u mutants killed%s\n", mutants - survivors, mutants,
	       paranoid ? " by --tlb=paranoid alone" : "");
	fflush(stdout);
	return survivors;
}

int main(int argc, char **argv)
{
	unsigned long ops = argc > 2 ? strtoul(argv[2], NULL, 0) : 4000;
	unsigned survivors = 0;

	run_seed = argc > 1 ? strtoull(argv[1], NULL, 0) : 1;
	for (unsigned pass = 0; pass < 2; pass++) {
		paranoid = pass;
		memset(mm_site_hits, 0, sizeof mm_site_hits);
		for (unsigned i = 0; i < RUNS; i++) {
			runs[i].ops = ops;
			run(&runs[i]);
		}
		printf("%zu runs of %lu operations%s\n", RUNS, ops,
		       paranoid ? " under --tlb=paranoid" : "");
		fflush(stdout);
		survivors += mutate();
	}
	return survivors ? 1 : 0;
}
