/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A model of what address spaces should contain, beside the real ones: which pages are mapped, with
 * which permissions, and which word each holds.
 */
#ifndef NACRE_TESTS_MM_MODEL_H
#define NACRE_TESTS_MM_MODEL_H

#include "tests/unit/fake_platform.h"

#define MODEL_BASE ((uint64_t)0x10000000)
#define MODEL_BLOCKS 12u
#define MODEL_PAGES (MODEL_BLOCKS * 512u)
#define MODEL_SPACES 4u
#define MODEL_THREADS 5u /* more than there are vCPUs */

/* What stands behind a page that was not written privately. */
struct model_object {
	uint32_t *word; /* one a page; NULL: zeroes (private anonymous memory) */
	uint32_t pages;
	struct model_object *next;
};

struct model_page {
	bool mapped, shared, own; /* own: `word` is the page's private content */
	unsigned prot;
	struct model_object *object;
	uint32_t index;
	uint32_t word;
};

struct model_space {
	struct mm *mm; /* NULL: none */
	struct model_page page[MODEL_PAGES];
};

struct model {
	struct platform *p;
	struct mm_system *sys;
	bool tight; /* memory may run out */
	uint64_t random;
	uint32_t counter; /* last word written anywhere: each is unique */
	struct model_space space[MODEL_SPACES];
	struct model_object *objects;
	struct model_object *constant, *shared_file; /* what the two files hold */
	struct mm_backing constant_backing, shared_backing;
	unsigned thread; /* whose turn it is */
	unsigned long op;
	const char *what; /* the operation under way, for messages */
};

/* Print what is wrong and end the run. */
_Noreturn void model_fail(struct model *m, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

uint32_t model_random(struct model *m, uint32_t below);
struct model_object *model_object(struct model *m, uint32_t pages);
/* Make a host file of what the object says; the caller adds b->ops. */
void model_fill_file(struct model *m, struct mm_backing *b, uint64_t ino, struct model_object *o);

static inline uint64_t model_va(uint32_t page)
{
	return MODEL_BASE + (uint64_t)page * PAGE_SIZE;
}

static inline uint32_t model_word(const struct model_page *pg)
{
	if (pg->own)
		return pg->word;
	return pg->object && pg->object->word ? pg->object->word[pg->index] : 0;
}

/* An address space for the thread whose turn it is to run in: mostly the same. */
struct model_space *model_space_of_thread(struct model *m);
/* One random operation by the calling thread, which is outside the guest. */
void model_step(struct model *m);
/* Every page that may be read holds what it should, as the kernel's copies see it. */
void model_verify(struct model *m);

#endif
