/* SPDX-License-Identifier: Apache-2.0 */
#include "oci/walls_filter.h"

#include <endian.h>
#include <linux/seccomp.h>
#include <stdbool.h>
#include <stdlib.h>

#define NR_OFFSET ((uint32_t)offsetof(struct seccomp_data, nr))
#define ARCH_OFFSET ((uint32_t)offsetof(struct seccomp_data, arch))
/* The low word of an argument. */
#define ARG_OFFSET(i)                                                \
	((uint32_t)(offsetof(struct seccomp_data, args) + 8 * (i)) + \
	 (__BYTE_ORDER == __LITTLE_ENDIAN ? 0u : 4u))

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

static void emit(struct code *c, uint16_t op, uint32_t k, uint8_t jt, uint8_t jf)
{
	if (c->n >= c->cap) {
		c->overflow = true;
		return;
	}
	c->out[c->n++] = (struct sock_filter){op, jt, jf, k};
}

static void emit_leaf(struct code *c, const struct span *s)
{
	const struct walls_rule *r = s->rule;
	bool loaded = false;

	for (unsigned i = 0; r && i < r->n; i++) {
		const struct walls_match *m = &r->match[i];

		if (!loaded)
			emit(c, BPF_LD | BPF_W | BPF_ABS, ARG_OFFSET(r->arg), 0, 0);
		if (m->mask != ~0u)
			emit(c, BPF_ALU | BPF_AND | BPF_K, m->mask, 0, 0);
		emit(c, BPF_JMP | BPF_JEQ | BPF_K, m->value, 0, 1);
		emit(c, BPF_RET | BPF_K, m->action, 0, 0);
		loaded = m->mask == ~0u;
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
	emit(c, BPF_JMP | BPF_JGE | BPF_K, s[half].first, 0, 1);
	/* A conditional jump reaches 255 instructions, this one any number. */
	emit(c, BPF_JMP | BPF_JA, 0, 0, 0);
	emit_tree(c, s, half);
	if (c->overflow)
		return;
	c->out[at + 1].k = (uint32_t)(c->n - at - 2);
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
