/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lock order, checked at run time in debug builds. The linker sends every pthread_mutex_* call of the
 * program here (--wrap). Mutexes initialised at the same place are a class; taking one of class B
 * while holding one of class A records A -> B, and an order that closes a cycle stops the program
 * with both classes' places in the source.
 *
 * Only blocking acquisitions make edges. Two of one class (two pipes, parent and child) are not
 * judged.
 */
#include <dlfcn.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_CLASSES 256
#define MAX_HELD 32
#define TABLE_SIZE 65536 /* mutexes alive at once, open addressing; a power of two */
#define NO_CLASS 0

int __real_pthread_mutex_init(pthread_mutex_t *m, const pthread_mutexattr_t *a);
int __real_pthread_mutex_destroy(pthread_mutex_t *m);
int __real_pthread_mutex_lock(pthread_mutex_t *m);
int __real_pthread_mutex_trylock(pthread_mutex_t *m);
int __real_pthread_mutex_unlock(pthread_mutex_t *m);
int __wrap_pthread_mutex_init(pthread_mutex_t *m, const pthread_mutexattr_t *a);
int __wrap_pthread_mutex_destroy(pthread_mutex_t *m);
int __wrap_pthread_mutex_lock(pthread_mutex_t *m);
int __wrap_pthread_mutex_trylock(pthread_mutex_t *m);
int __wrap_pthread_mutex_unlock(pthread_mutex_t *m);

/* The checker's own lock; nothing is called with it held. Protects all but the held stack. */
static pthread_mutex_t own = PTHREAD_MUTEX_INITIALIZER;
static struct {
	const void *mutex; /* NULL: never used; &tombstone: was */
	unsigned class;
} table[TABLE_SIZE];
static const char tombstone;
static const void *place[MAX_CLASSES]; /* of initialisation: an address in the text, or the mutex */
static unsigned nclasses = 1;
static uint8_t edge[MAX_CLASSES][MAX_CLASSES];

static _Thread_local struct {
	const pthread_mutex_t *mutex;
	unsigned class;
} held[MAX_HELD];
static _Thread_local unsigned nheld;

static unsigned slot_of(const void *m)
{
	return (unsigned)(((uintptr_t)m >> 3) * 0x9e3779b97f4a7c15u >> 40) & (TABLE_SIZE - 1);
}

static unsigned class_of_place(const void *at)
{
	for (unsigned i = 1; i < nclasses; i++)
		if (place[i] == at)
			return i;
	if (nclasses == MAX_CLASSES)
		return NO_CLASS;
	place[nclasses] = at;
	return nclasses++;
}

/* `at` NULL: look up only; a mutex never seen was initialised statically and is its own class. */
static unsigned class_of(const pthread_mutex_t *m, const void *at)
{
	unsigned i = slot_of(m), free_slot = TABLE_SIZE;

	for (unsigned n = 0; n < TABLE_SIZE && table[i].mutex; n++, i = (i + 1) & (TABLE_SIZE - 1)) {
		if (table[i].mutex == &tombstone && free_slot == TABLE_SIZE)
			free_slot = i;
		if (table[i].mutex != m)
			continue;
		if (at)
			table[i].class = class_of_place(at);
		return table[i].class;
	}
	if (free_slot == TABLE_SIZE) {
		if (table[i].mutex)
			return NO_CLASS; /* full: not judged */
		free_slot = i;
	}
	table[free_slot].mutex = m;
	table[free_slot].class = class_of_place(at ? at : m);
	return table[free_slot].class;
}

static void forget(const pthread_mutex_t *m)
{
	unsigned i = slot_of(m);

	for (unsigned n = 0; n < TABLE_SIZE && table[i].mutex; n++, i = (i + 1) & (TABLE_SIZE - 1))
		if (table[i].mutex == m)
			table[i].mutex = &tombstone;
}

static bool reaches(unsigned from, unsigned to, uint8_t *seen)
{
	if (from == to)
		return true;
	seen[from] = 1;
	for (unsigned next = 1; next < nclasses; next++)
		if (edge[from][next] && !seen[next] && reaches(next, to, seen))
			return true;
	return false;
}

/* For addr2line(1). */
static void print_place(const char *what, const void *at)
{
	Dl_info info;

	if (dladdr(at, &info) && info.dli_fbase)
		fprintf(stderr, "  %s %s+0x%zx\n", what, info.dli_fname,
			(size_t)((const char *)at - (const char *)info.dli_fbase));
	else
		fprintf(stderr, "  %s %p\n", what, at);
}

static void check_order(unsigned class, const void *caller)
{
	uint8_t seen[MAX_CLASSES];

	for (unsigned i = 0; i < nheld; i++) {
		unsigned before = held[i].class;

		if (before == class || before == NO_CLASS || class == NO_CLASS || edge[before][class])
			continue;
		memset(seen, 0, sizeof seen);
		if (reaches(class, before, seen)) {
			fprintf(stderr, "lock order: taken against the order recorded before\n");
			print_place("held: initialised at", place[before]);
			print_place("wanted: initialised at", place[class]);
			print_place("wanted by", caller);
			abort();
		}
		edge[before][class] = 1;
	}
}

int __wrap_pthread_mutex_init(pthread_mutex_t *m, const pthread_mutexattr_t *a)
{
	__real_pthread_mutex_lock(&own);
	class_of(m, __builtin_return_address(0));
	__real_pthread_mutex_unlock(&own);
	return __real_pthread_mutex_init(m, a);
}

int __wrap_pthread_mutex_destroy(pthread_mutex_t *m)
{
	__real_pthread_mutex_lock(&own);
	forget(m);
	__real_pthread_mutex_unlock(&own);
	return __real_pthread_mutex_destroy(m);
}

static void push(const pthread_mutex_t *m, unsigned class)
{
	if (nheld < MAX_HELD) {
		held[nheld].mutex = m;
		held[nheld].class = class;
		nheld++;
	}
}

int __wrap_pthread_mutex_lock(pthread_mutex_t *m)
{
	__real_pthread_mutex_lock(&own);
	unsigned class = class_of(m, NULL);
	check_order(class, __builtin_return_address(0));
	__real_pthread_mutex_unlock(&own);
	int ret = __real_pthread_mutex_lock(m);
	push(m, class);
	return ret;
}

int __wrap_pthread_mutex_trylock(pthread_mutex_t *m)
{
	int ret = __real_pthread_mutex_trylock(m);

	if (ret)
		return ret;
	__real_pthread_mutex_lock(&own);
	unsigned class = class_of(m, NULL);
	__real_pthread_mutex_unlock(&own);
	push(m, class);
	return 0;
}

int __wrap_pthread_mutex_unlock(pthread_mutex_t *m)
{
	for (unsigned i = nheld; i-- > 0;) {
		if (held[i].mutex != m)
			continue;
		memmove(&held[i], &held[i + 1], (nheld - i - 1) * sizeof held[0]);
		nheld--;
		break;
	}
	return __real_pthread_mutex_unlock(m);
}
