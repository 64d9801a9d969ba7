/* SPDX-License-Identifier: Apache-2.0 */
#include "oci/walls_filter.h"

#include <endian.h>
#include <linux/seccomp.h>
#include <stdbool.h>
#include <stdlib.h>

#define NR_OFFSET   ((uint32_t)offsetof(struct seccomp_data, nr))
#define ARCH_OFFSET ((uint32_t)offsetof(struct seccomp_data, arch))
/* The low word of the first argument. */
#define ARG_OFFSET                                            \
	((uint32_t)offsetof(struct seccomp_data, args) + \
	 (__BYTE_ORDER == __LITTLE_ENDIAN ? 0u : 4u))

#define JUMP_REACH 255u

/* Numbers from `first` to the next span's are treated alike; rule is set when arguments count. */
struct span {
	uint32_t first, action;
	const struct walls_rule *rule;
};

struct code {
	struct sock_filter *out;
	size_t n, cap;
	bool overflow;
};

static void emit(struct code *c, uint16_t op, uint32_t k, size_t jt, size_t jf)
{
	if (c->n >= c->cap || jt > JUMP_REACH || jf > JUMP_REACH) {
		c->overflow = true;
		return;
	}
	c->out[c->n++] = (struct sock_filter){op, (uint8_t)jt, (uint8_t)jf, k};
}

static void emit_leaf(struct code *c, const struct span *s)
{
	const struct walls_rule *r = s->rule;

	if (r) {
		emit(c, BPF_LD | BPF_W | BPF_ABS, ARG_OFFSET, 0, 0);
		emit(c, BPF_ALU | BPF_AND | BPF_K, r->mask, 0, 0);
		for (unsigned i = 0; i < r->n; i++)
			emit(c, BPF_JMP | BPF_JEQ | BPF_K, r->values[i], r->n - i, 0);
		emit(c, BPF_RET | BPF_K, r->action, 0, 0);
		emit(c, BPF_RET | BPF_K, SECCOMP_RET_ALLOW, 0, 0);
		return;
	}
	emit(c, BPF_RET | BPF_K, s->action, 0, 0);
}

/* The lower half follows its comparison, the upper half is jumped to. */
static void emit_tree(struct code *c, const struct span *s, size_t n)
{
	size_t half = n / 2, at = c->n;

	if (n == 1) {
		emit_leaf(c, s);
		return;
	}
	emit(c, BPF_JMP | BPF_JGE | BPF_K, s[half].first, 0, 0);
	emit_tree(c, s, half);
	if (c->overflow || c->n - at - 1 > JUMP_REACH) {
		c->overflow = true;
		return;
	}
	c->out[at].jt = (uint8_t)(c->n - at - 1);
	emit_tree(c, s + half, n - half);
}

static void add_span(struct span *s, size_t *n, uint32_t first, uint32_t action,
		     const struct walls_rule *rule)
{
	const struct span *last;

	if (*n && s[*n - 1].first == first)
		(*n)--; /* nothing between the rule before and this one */
	last = *n ? &s[*n - 1] : NULL;
	if (last && !last->rule && !rule && last->action == action)
		return;
	s[(*n)++] = (struct span){first, action, rule};
}

static int by_number(const void *a, const void *b)
{
	const struct walls_rule *x = a, *y = b;

	return x->nr < y->nr ? -1 : x->nr > y->nr;
}

size_t walls_compile(struct walls_rule *rules, size_t nrules, uint32_t arch, uint32_t limit,
		     uint32_t otherwise, struct sock_filter *out, size_t cap)
{
	struct code c = {.out = out, .cap = cap};
	struct span *spans = calloc(2 * nrules + 1, sizeof(*spans));
	size_t n = 0;

	if (!spans)
		return 0;
	qsort(rules, nrules, sizeof(*rules), by_number);
	add_span(spans, &n, 0, otherwise, NULL);
	for (size_t i = 0; i < nrules; i++) {
		const struct walls_rule *r = &rules[i];

		if (r->nr >= limit || (i && rules[i - 1].nr == r->nr))
			c.overflow = true;
		add_span(spans, &n, r->nr, r->action, r->n ? r : NULL);
		add_span(spans, &n, r->nr + 1, otherwise, NULL);
	}
	emit(&c, BPF_LD | BPF_W | BPF_ABS, ARCH_OFFSET, 0, 0);
	emit(&c, BPF_JMP | BPF_JEQ | BPF_K, arch, 1, 0);
	emit(&c, BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS, 0, 0);
	emit(&c, BPF_LD | BPF_W | BPF_ABS, NR_OFFSET, 0, 0);
	emit(&c, BPF_JMP | BPF_JGE | BPF_K, limit, 0, 1);
	emit(&c, BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS, 0, 0);
	emit_tree(&c, spans, n);
	free(spans);
	return c.overflow ? 0 : c.n;
}
