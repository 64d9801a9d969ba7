/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From the top of the stack downwards: eight zero bytes, the name executed, environment strings,
 * argument strings, platform name, 16 random bytes, padding, auxiliary vector, envp[], argv[], argc.
 * The stack pointer is 16-byte aligned (System V ABI, AMD64 supplement, 3.4.1).
 */
#include "runtime/loader/stack.h"

#include <elf.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "runtime/errno.h"

#define STACK_EXTRA	  131072u	  /* room mapped below the arguments, as Linux does */
#define STACK_TOUCH	  (2 * PAGE_SIZE) /* made present: the C library's start-up uses it at once */
#define AUX_MAX		  32
#define CLOCKS_PER_TICK	  100 /* AT_CLKTCK: USER_HZ */
#define AT_MINSIGSTKSZ_NR 51

uint64_t stack_string_bytes(char *const *argv, size_t argc, char *const *envp, size_t envc)
{
	uint64_t sum = (argc + envc) * 8;

	for (size_t i = 0; i < argc + envc; i++) {
		size_t len = strlen(i < argc ? argv[i] : envp[i - argc]) + 1;

		if (len > LOADER_STRING_MAX)
			return UINT64_MAX;
		sum += len;
	}
	return sum;
}

/* The block under construction: host memory that ends at guest address `top`. */
struct builder {
	uint8_t *buf;
	size_t size, at; /* at: offset of the lowest byte written */
	uint64_t top;
};

static uint64_t guest_address(const struct builder *b)
{
	return b->top - (b->size - b->at);
}

static uint64_t push(struct builder *b, const void *data, size_t len)
{
	b->at -= len;
	memcpy(b->buf + b->at, data, len);
	return guest_address(b);
}

/* Strings in order with ascending addresses; returns the first one's. */
static uint64_t push_strings(struct builder *b, char *const *v, size_t n)
{
	for (size_t i = n; i > 0; i--)
		push(b, v[i - 1], strlen(v[i - 1]) + 1);
	return guest_address(b);
}

static size_t fill_auxv(const struct stack_spec *s, uint64_t execfn, uint64_t platform,
			uint64_t random, Elf64_auxv_t aux[AUX_MAX])
{
	size_t n = 0;

#define AUX(type, value)                  \
	aux[n++] = (Elf64_auxv_t)         \
	{                                 \
		type,                     \
		{                         \
			(uint64_t)(value) \
		}                         \
	}
	if (s->vdso)
		AUX(AT_SYSINFO_EHDR, s->vdso);
	AUX(AT_HWCAP, s->hwcap);
	AUX(AT_PAGESZ, PAGE_SIZE);
	AUX(AT_CLKTCK, CLOCKS_PER_TICK);
	AUX(AT_PHDR, s->phdr);
	AUX(AT_PHENT, sizeof(Elf64_Phdr));
	AUX(AT_PHNUM, s->phnum);
	AUX(AT_BASE, s->base);
	AUX(AT_FLAGS, 0);
	AUX(AT_ENTRY, s->entry);
	AUX(AT_UID, s->uid);
	AUX(AT_EUID, s->euid);
	AUX(AT_GID, s->gid);
	AUX(AT_EGID, s->egid);
	AUX(AT_SECURE, s->secure);
	AUX(AT_RANDOM, random);
	AUX(AT_HWCAP2, s->hwcap2);
	AUX(AT_EXECFN, execfn);
	AUX(AT_PLATFORM, platform);
	AUX(AT_MINSIGSTKSZ_NR, s->minsigstksz);
	AUX(AT_NULL, 0);
#undef AUX
	return n;
}

/* argc, argv[], envp[]: pointers are found again by walking the strings just placed. */
static void push_vectors(struct builder *b, const struct stack_spec *s, uint64_t args,
			 uint64_t envs)
{
	uint64_t *slot;

	b->at -= (s->argc + s->envc + 3) * 8;
	slot = (uint64_t *)(b->buf + b->at);
	*slot++ = s->argc;
	for (size_t i = 0; i < s->argc; i++) {
		*slot++ = args;
		args += strlen(s->argv[i]) + 1;
	}
	*slot++ = 0;
	for (size_t i = 0; i < s->envc; i++) {
		*slot++ = envs;
		envs += strlen(s->envp[i]) + 1;
	}
	*slot = 0;
}

static void build(struct builder *b, const struct stack_spec *s, struct mm_layout *layout)
{
	Elf64_auxv_t aux[AUX_MAX];
	uint64_t execfn, envs, args, platform, random, end_marker = 0;
	size_t naux, vectors;

	push(b, &end_marker, sizeof(end_marker));
	execfn = push(b, s->execfn, strlen(s->execfn) + 1);
	layout->env_end = GVA(execfn);
	envs = push_strings(b, s->envp, s->envc);
	layout->env_start = layout->arg_end = GVA(envs);
	args = push_strings(b, s->argv, s->argc);
	layout->arg_start = GVA(args);
	platform = push(b, ARCH_NAME, sizeof(ARCH_NAME));
	random = push(b, s->random, sizeof(s->random));
	naux = fill_auxv(s, execfn, platform, random, aux);
	vectors = naux * sizeof(aux[0]) + (s->argc + s->envc + 3) * 8;
	/* b->size and b->top are page multiples, so offsets align as addresses do. */
	b->at = ((b->at - vectors) & ~(size_t)15) + vectors;
	push(b, aux, naux * sizeof(aux[0]));
	_Static_assert(sizeof(layout->auxv) == sizeof(aux), "all of it is kept");
	memcpy(layout->auxv, aux, naux * sizeof(aux[0]));
	push_vectors(b, s, args, envs);
}

static int map_stack(struct mm *mm, const struct stack_spec *s, uint64_t block)
{
	uint64_t size = block + STACK_EXTRA;
	struct mm_map_args args = {
		.prot = PROT_READ | PROT_WRITE | (s->executable ? PROT_EXEC : 0),
		.flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_GROWSDOWN | MAP_STACK,
		.name = "[stack]",
	};
	int64_t ret;

	if (size > s->limit)
		size = page_down(s->limit) > block ? page_down(s->limit) : block;
	args.addr = GVA(s->top - size);
	args.len = size;
	ret = mm_map(mm, &args);
	return ret < 0 ? (int)ret : 0;
}

int stack_build(struct mm *mm, const struct stack_spec *s, struct mm_layout *layout, uint64_t *sp)
{
	uint64_t strings = stack_string_bytes(s->argv, s->argc, s->envp, s->envc);
	struct builder b = {.top = s->top};
	uint64_t below;
	int ret;

	if (strings == UINT64_MAX)
		return -E2BIG;
	b.size = page_up(strings + strlen(s->execfn) + 1024 + AUX_MAX * sizeof(Elf64_auxv_t));
	b.at = b.size;
	b.buf = calloc(1, b.size);
	if (!b.buf)
		return -ENOMEM;
	build(&b, s, layout);
	*sp = guest_address(&b);
	layout->start_stack = GVA(*sp);
	ret = map_stack(mm, s, b.size);
	if (!ret)
		ret = mm_copy_out(mm, GVA(*sp), b.buf + b.at, b.size - b.at);
	below = page_down(*sp) - STACK_TOUCH;
	if (!ret && s->limit >= b.size + STACK_TOUCH)
		ret = mm_zero(mm, GVA(below), *sp - below);
	free(b.buf);
	return ret;
}
