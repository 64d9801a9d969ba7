/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Classic BPF as seccomp(2) uses it: checking, running, and finding out which calls a program allows
 * whatever their arguments are.
 */
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/arch/regs.h"
#include "runtime/syscall/syscall.h"
#include "runtime/task/seccomp.h"

struct seccomp_chain {
	atomic_uint refs;
	struct seccomp_chain *prev;
	unsigned length;	/* filters, this one included */
	unsigned cost;		/* instructions, and 4 for each filter */
	uint64_t allowed[SYSCALL_MAX / 64]; /* bit nr: the whole chain lets nr pass, whatever is asked */
	unsigned n;
	struct sock_filter insns[];
};

/* ---- checking ---- */

static bool alu_ok(const struct sock_filter *f)
{
	bool by_constant = BPF_SRC(f->code) == BPF_K;

	switch (BPF_OP(f->code)) {
	case BPF_ADD:
	case BPF_SUB:
	case BPF_MUL:
	case BPF_AND:
	case BPF_OR:
	case BPF_XOR:
		return true;
	case BPF_DIV:
		return !by_constant || f->k != 0;
	case BPF_LSH:
	case BPF_RSH:
		return !by_constant || f->k < 32;
	case BPF_NEG:
		return by_constant;
	}
	return false;
}

/* Instruction `at` of n: known, operand in range. */
static bool insn_ok(const struct sock_filter *f, unsigned at, unsigned n)
{
	unsigned left = n - at - 1; /* instructions after this one */

	if (f->code & ~0xffu)
		return false;
	switch (BPF_CLASS(f->code)) {
	case BPF_LD:
		if (f->code == (BPF_LD | BPF_W | BPF_ABS))
			return f->k < sizeof(struct seccomp_data) && f->k % 4 == 0;
		return f->code == (BPF_LD | BPF_W | BPF_LEN) || f->code == (BPF_LD | BPF_IMM) ||
		       (f->code == (BPF_LD | BPF_MEM) && f->k < BPF_MEMWORDS);
	case BPF_LDX:
		return f->code == (BPF_LDX | BPF_W | BPF_LEN) || f->code == (BPF_LDX | BPF_IMM) ||
		       (f->code == (BPF_LDX | BPF_MEM) && f->k < BPF_MEMWORDS);
	case BPF_ST:
		return f->code == BPF_ST && f->k < BPF_MEMWORDS;
	case BPF_STX:
		return f->code == BPF_STX && f->k < BPF_MEMWORDS;
	case BPF_ALU:
		return alu_ok(f);
	case BPF_JMP:
		switch (BPF_OP(f->code)) {
		case BPF_JA:
			return f->code == (BPF_JMP | BPF_JA) && f->k < left;
		case BPF_JEQ:
		case BPF_JGE:
		case BPF_JGT:
		case BPF_JSET:
			return f->jt < left && f->jf < left;
		}
		return false;
	case BPF_RET:
		return f->code == (BPF_RET | BPF_K) || f->code == (BPF_RET | BPF_A);
	case BPF_MISC:
		return f->code == (BPF_MISC | BPF_TAX) || f->code == (BPF_MISC | BPF_TXA);
	}
	return false;
}

/* No word of the scratch memory is read before it was written, on any path (all lead forward). */
static int check_scratch(const struct sock_filter *insns, unsigned n)
{
	uint16_t *known = malloc(n * sizeof(*known)), valid = 0;
	bool ok = true;

	if (!known)
		return -ENOMEM;
	memset(known, 0xff, n * sizeof(*known));
	for (unsigned i = 0; i < n && ok; i++) {
		const struct sock_filter *f = &insns[i];

		valid &= known[i];
		if (f->code == BPF_ST || f->code == BPF_STX)
			valid |= (uint16_t)(1u << f->k);
		else if (f->code == (BPF_LD | BPF_MEM) || f->code == (BPF_LDX | BPF_MEM))
			ok = valid >> f->k & 1;
		else if (f->code == (BPF_JMP | BPF_JA))
			known[i + 1 + f->k] &= valid;
		else if (BPF_CLASS(f->code) == BPF_JMP) {
			known[i + 1 + f->jt] &= valid;
			known[i + 1 + f->jf] &= valid;
		}
		/* What follows a jump or a return is reached by other jumps only. */
		if (BPF_CLASS(f->code) == BPF_JMP || BPF_CLASS(f->code) == BPF_RET)
			valid = 0xffff;
	}
	free(known);
	return ok ? 0 : -EINVAL;
}

static int check_program(const struct sock_filter *insns, size_t n)
{
	if (n == 0 || n > BPF_MAXINSNS)
		return -EINVAL;
	for (unsigned i = 0; i < n; i++)
		if (!insn_ok(&insns[i], i, (unsigned)n))
			return -EINVAL;
	if (BPF_CLASS(insns[n - 1].code) != BPF_RET)
		return -EINVAL;
	return check_scratch(insns, (unsigned)n);
}

/* ---- running ---- */

static bool jump_holds(uint16_t code, uint32_t a, uint32_t b)
{
	switch (BPF_OP(code)) {
	case BPF_JEQ:
		return a == b;
	case BPF_JGT:
		return a > b;
	case BPF_JGE:
		return a >= b;
	default:
		return (a & b) != 0; /* BPF_JSET */
	}
}

static uint32_t alu(uint16_t code, uint32_t a, uint32_t b)
{
	switch (BPF_OP(code)) {
	case BPF_ADD:
		return a + b;
	case BPF_SUB:
		return a - b;
	case BPF_MUL:
		return a * b;
	case BPF_DIV:
		return a / b;
	case BPF_AND:
		return a & b;
	case BPF_OR:
		return a | b;
	case BPF_XOR:
		return a ^ b;
	case BPF_LSH:
		return a << (b & 31);
	case BPF_RSH:
		return a >> (b & 31);
	default:
		return -a; /* BPF_NEG */
	}
}

/*
 * Run a checked program. With `known` (bytes of d that are known), *guess tells that the verdict
 * depends on others.
 */
static uint32_t run(const struct seccomp_chain *c, const struct seccomp_data *d, size_t known,
		    bool *guess)
{
	uint32_t a = 0, x = 0, mem[BPF_MEMWORDS] = {0};

	for (const struct sock_filter *f = c->insns;; f++) {
		uint32_t b = BPF_SRC(f->code) == BPF_X ? x : f->k;

		switch (BPF_CLASS(f->code)) {
		case BPF_LD:
			if (BPF_MODE(f->code) == BPF_ABS) {
				if (f->k >= known) {
					*guess = true;
					return 0;
				}
				memcpy(&a, (const char *)d + f->k, sizeof(a));
			} else {
				a = BPF_MODE(f->code) == BPF_MEM   ? mem[f->k]
				    : BPF_MODE(f->code) == BPF_LEN ? (uint32_t)sizeof(*d)
								   : f->k;
			}
			break;
		case BPF_LDX:
			x = BPF_MODE(f->code) == BPF_MEM   ? mem[f->k]
			    : BPF_MODE(f->code) == BPF_LEN ? (uint32_t)sizeof(*d)
							   : f->k;
			break;
		case BPF_ST:
			mem[f->k] = a;
			break;
		case BPF_STX:
			mem[f->k] = x;
			break;
		case BPF_ALU:
			if (BPF_OP(f->code) == BPF_DIV && b == 0)
				return 0; /* SECCOMP_RET_KILL_THREAD */
			a = alu(f->code, a, b);
			break;
		case BPF_JMP:
			if (BPF_OP(f->code) == BPF_JA)
				f += f->k;
			else
				f += jump_holds(f->code, a, b) ? f->jt : f->jf;
			break;
		case BPF_RET:
			return f->code == (BPF_RET | BPF_A) ? a : f->k;
		default: /* BPF_MISC */
			if (f->code == (BPF_MISC | BPF_TAX))
				x = a;
			else
				a = x;
			break;
		}
	}
}

/* Number and architecture come first in the structure; they alone decide for most calls. */
static void find_allowed(struct seccomp_chain *c)
{
	struct seccomp_data d = {.arch = ARCH_AUDIT};

	for (unsigned nr = 0; nr < SYSCALL_MAX; nr++) {
		bool guess = false;

		if (c->prev && !(c->prev->allowed[nr / 64] >> nr % 64 & 1))
			continue;
		d.nr = (int)nr;
		if (run(c, &d, offsetof(struct seccomp_data, instruction_pointer), &guess) ==
			    SECCOMP_RET_ALLOW &&
		    !guess)
			c->allowed[nr / 64] |= (uint64_t)1 << nr % 64;
	}
}

/* Linux orders actions as signed numbers: killing the process is the least of them. */
static int32_t precedence(uint32_t verdict)
{
	return (int32_t)(verdict & SECCOMP_RET_ACTION_FULL);
}

uint32_t seccomp_chain_run(const struct seccomp_chain *c, const struct seccomp_data *d)
{
	uint32_t verdict = SECCOMP_RET_ALLOW;
	unsigned nr = (unsigned)d->nr;

	if (nr < SYSCALL_MAX && d->arch == ARCH_AUDIT && c->allowed[nr / 64] >> nr % 64 & 1)
		return verdict;
	for (; c; c = c->prev) {
		bool guess;
		uint32_t v = run(c, d, sizeof(*d), &guess);

		if (precedence(v) < precedence(verdict))
			verdict = v;
	}
	return verdict;
}

/* ---- chains ---- */

int seccomp_chain_push(struct seccomp_chain *prev, const struct sock_filter *insns, size_t n,
		       struct seccomp_chain **out)
{
	struct seccomp_chain *c;
	int ret = check_program(insns, n);

	if (ret)
		return ret;
	if ((prev ? prev->cost : 0) + n + 4 > SECCOMP_PATH_MAX)
		return -ENOMEM;
	c = calloc(1, sizeof(*c) + n * sizeof(*insns));
	if (!c)
		return -ENOMEM;
	atomic_init(&c->refs, 1);
	c->prev = prev;
	c->length = (prev ? prev->length : 0) + 1;
	c->cost = (prev ? prev->cost : 0) + (unsigned)n + 4;
	c->n = (unsigned)n;
	memcpy(c->insns, insns, n * sizeof(*insns));
	find_allowed(c);
	*out = c;
	return 0;
}

struct seccomp_chain *seccomp_chain_get(struct seccomp_chain *c)
{
	if (c)
		atomic_fetch_add_explicit(&c->refs, 1, memory_order_relaxed);
	return c;
}

void seccomp_chain_put(struct seccomp_chain *c)
{
	while (c && atomic_fetch_sub_explicit(&c->refs, 1, memory_order_acq_rel) == 1) {
		struct seccomp_chain *prev = c->prev;

		free(c);
		c = prev;
	}
}

unsigned seccomp_chain_length(const struct seccomp_chain *c)
{
	return c ? c->length : 0;
}

bool seccomp_chain_extends(const struct seccomp_chain *c, const struct seccomp_chain *old)
{
	while (c && c != old)
		c = c->prev;
	return c == old;
}
