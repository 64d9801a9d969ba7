/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/task/pid.h"

#include <errno.h>
#include <stdlib.h>

#include "runtime/list.h"

#define PID_BUCKETS 1024u /* power of two; numbers are handed out in order, so chains stay short */

struct pid_entry {
	struct list link;
	pid_t nr;
	void *obj[PID_USES];
	unsigned uses[PID_USES], total;
};

struct pid_table {
	struct list bucket[PID_BUCKETS];
	pid_t last;
};

struct pid_table *pid_table_create(void)
{
	struct pid_table *pt = malloc(sizeof(*pt));

	if (!pt)
		return NULL;
	for (unsigned i = 0; i < PID_BUCKETS; i++)
		list_init(&pt->bucket[i]);
	pt->last = 0;
	return pt;
}

void pid_table_destroy(struct pid_table *pt)
{
	if (!pt)
		return;
	for (unsigned i = 0; i < PID_BUCKETS; i++)
		list_for_each_safe(l, &pt->bucket[i])
			free(container_of(l, struct pid_entry, link));
	free(pt);
}

static struct pid_entry *pid_entry_find(const struct pid_table *pt, pid_t nr)
{
	const struct list *head = &pt->bucket[(unsigned)nr & (PID_BUCKETS - 1)];

	list_for_each(l, head) {
		struct pid_entry *e = container_of(l, struct pid_entry, link);

		if (e->nr == nr)
			return e;
	}
	return NULL;
}

pid_t pid_next(struct pid_table *pt)
{
	pid_t nr = pt->last;

	for (pid_t tried = 0; tried < PID_MAX; tried++) {
		if (++nr >= PID_MAX)
			nr = PID_RESERVED;
		if (!pid_entry_find(pt, nr)) {
			pt->last = nr;
			return nr;
		}
	}
	return -EAGAIN;
}

pid_t pid_last(const struct pid_table *pt)
{
	return pt->last;
}

int pid_attach(struct pid_table *pt, pid_t nr, enum pid_use use, void *obj)
{
	struct pid_entry *e = pid_entry_find(pt, nr);

	if (!e) {
		e = calloc(1, sizeof(*e));
		if (!e)
			return -ENOMEM;
		e->nr = nr;
		list_add(&pt->bucket[(unsigned)nr & (PID_BUCKETS - 1)], &e->link);
	}
	e->obj[use] = obj ? obj : e;
	e->uses[use]++;
	e->total++;
	return 0;
}

void pid_detach(struct pid_table *pt, pid_t nr, enum pid_use use)
{
	struct pid_entry *e = pid_entry_find(pt, nr);

	if (!e || !e->uses[use])
		return;
	if (--e->uses[use] == 0)
		e->obj[use] = NULL;
	if (--e->total == 0) {
		list_del(&e->link);
		free(e);
	}
}

void *pid_lookup(const struct pid_table *pt, pid_t nr, enum pid_use use)
{
	struct pid_entry *e = nr > 0 ? pid_entry_find(pt, nr) : NULL;

	return e ? e->obj[use] : NULL;
}
