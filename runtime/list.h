/* SPDX-License-Identifier: Apache-2.0 */
/* Intrusive doubly linked lists: a head is a node that points to itself when empty. */
#ifndef NACRE_RUNTIME_LIST_H
#define NACRE_RUNTIME_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct list {
	struct list *prev, *next;
};

#define LIST_INIT(name) {&(name), &(name)}
#define container_of(ptr, type, member) ((type *)((char *)(ptr)-offsetof(type, member)))
#define list_entry(ptr, type, member) container_of(ptr, type, member)
#define list_for_each(pos, head) for (struct list *pos = (head)->next; pos != (head); pos = pos->next)
/* `pos` may be removed inside the body. */
#define list_for_each_safe(pos, head)                                                              \
	for (struct list *pos = (head)->next, *pos##_next = pos->next; pos != (head);              \
	     pos = pos##_next, pos##_next = pos->next)

static inline void list_init(struct list *l) { l->prev = l->next = l; }
static inline bool list_empty(const struct list *l) { return l->next == l; }
static inline void list_add_tail(struct list *head, struct list *n)
{
	n->prev = head->prev, n->next = head, head->prev->next = n, head->prev = n;
}
static inline void list_add(struct list *head, struct list *n)
{
	n->next = head->next, n->prev = head, head->next->prev = n, head->next = n;
}
/* Leaves n empty, so that removing twice is harmless. */
static inline void list_del(struct list *n)
{
	n->prev->next = n->next, n->next->prev = n->prev, list_init(n);
}

#endif
