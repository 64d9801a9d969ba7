/* SPDX-License-Identifier: Apache-2.0 */
/*
 * execve's image: follow scripts to a binary, lay out a new address space, map program, interpreter
 * and vDSO, build the stack. The old image is untouched until the caller installs the new one.
 */
#include "runtime/loader/loader.h"

#include <stdio.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/personality.h>
#include <sys/random.h>

#include "runtime/arch/arch.h"
#include "runtime/fs/vfs_internal.h"
#include "runtime/loader/elf.h"
#include "runtime/loader/script.h"
#include "runtime/loader/stack.h"
#include "runtime/task/task.h"

/* Address-space layout, as Linux's defaults: bits of randomness in pages. */
#define MMAP_RND_BITS  28
#define STACK_RND_BITS 22
#define BRK_RND_PAGES  (0x02000000u >> PAGE_SHIFT)
#define STACK_GAP_MIN  ((uint64_t)128 << 20)
#define STACK_GAP_MAX  (MM_TASK_SIZE / 6 * 5)
#define STACK_GUARD    (256 * PAGE_SIZE)
#define ET_DYN_BASE    (MM_TASK_SIZE / 3 * 2)
#define ARG_BYTES_MIN  131072u
#define ARG_BYTES_MAX  ((uint64_t)6 << 20)

/* What one execve gathers on its way; everything in it is released by load_free(). */
struct load {
	struct task *t;
	struct file *file; /* the binary (or script) being looked at; a reference */
	const char *name;  /* its name: what a script's interpreter gets as argument */
	char **argv;	   /* owned vector of borrowed strings */
	size_t argc;
	struct script_line *lines[SCRIPT_DEPTH]; /* own the strings scripts added */
	unsigned depth;
	struct elf_program prog, interp;
	struct file *interp_file;
	struct mm *mm;
	struct mm_layout layout;
	uint64_t bias, interp_bias, stack_top, limit;
	bool randomize;
	uint64_t random[8];
};

static void load_free(struct load *l)
{
	if (l->mm) {
		mm_teardown(l->mm);
		mm_put(l->mm);
	}
	elf_free(&l->prog);
	elf_free(&l->interp);
	if (l->interp_file)
		file_put(l->interp_file);
	if (l->file)
		file_put(l->file);
	free(l->argv);
	for (unsigned i = 0; i < l->depth; i++)
		free(l->lines[i]);
}

uint64_t loader_strings_limit(struct task *t)
{
	uint64_t limit = process_rlimit(t->process, RLIMIT_STACK) / 4;

	if (limit > ARG_BYTES_MAX)
		limit = ARG_BYTES_MAX;
	return limit < ARG_BYTES_MIN ? ARG_BYTES_MIN : limit;
}

/* ---- scripts ---- */

/* argv becomes: interpreter, its argument, the script's name, argv[1..]. */
static int script_argv(struct load *l, const struct script_line *line)
{
	size_t extra = line->arg ? 2 : 1, rest = l->argc ? l->argc - 1 : 0, n = 0;
	char **v = calloc(extra + 1 + rest + 1, sizeof(*v));

	if (!v)
		return -ENOMEM;
	v[n++] = (char *)line->interp;
	if (line->arg)
		v[n++] = (char *)line->arg;
	v[n++] = (char *)l->name;
	for (size_t i = 0; i < rest; i++)
		v[n++] = l->argv[i + 1];
	free(l->argv);
	l->argv = v;
	l->argc = n;
	return 0;
}

/* 1: the file was a script, its interpreter is the file now. 0: it is not. */
static int follow_script(struct load *l)
{
	char head[SCRIPT_LINE];
	struct script_line line, *kept;
	struct file *next;
	int64_t n = file_pread(l->file, head, sizeof(head), 0);
	int ret = n < 0 ? (int)n : script_parse(head, (size_t)n, &line);

	if (ret <= 0)
		return ret;
	if (l->depth == SCRIPT_DEPTH)
		return -ELOOP;
	kept = malloc(sizeof(*kept));
	if (!kept)
		return -ENOMEM;
	/* Parsed again in place, so that the pointers are into the copy that stays. */
	script_parse(head, (size_t)n, kept);
	l->lines[l->depth++] = kept;
	ret = script_argv(l, kept);
	if (!ret)
		ret = vfs_open_exec(l->t, AT_FDCWD, kept->interp, 0, &next);
	if (ret)
		return ret;
	file_put(l->file);
	l->file = next;
	l->name = kept->interp;
	return 1;
}

static int find_binary(struct load *l)
{
	int ret;

	do {
		ret = follow_script(l);
	} while (ret > 0);
	return ret;
}

/* ---- layout ---- */

static uint64_t random_pages(const struct load *l, unsigned which, unsigned bits)
{
	return l->randomize ? (l->random[which] & (((uint64_t)1 << bits) - 1)) << PAGE_SHIFT : 0;
}

static int plan_layout(struct load *l)
{
	uint64_t gap = l->limit;

	l->randomize = !(l->t->personality & ADDR_NO_RANDOMIZE);
	if (getrandom(l->random, sizeof(l->random), 0) != (ssize_t)sizeof(l->random))
		return -EIO;
	l->stack_top = MM_TASK_SIZE - random_pages(l, 0, STACK_RND_BITS);
	if (gap > STACK_GAP_MAX)
		gap = STACK_GAP_MAX;
	gap += STACK_GUARD + ((uint64_t)PAGE_SIZE << STACK_RND_BITS);
	if (gap < STACK_GAP_MIN)
		gap = STACK_GAP_MIN;
	if (gap > STACK_GAP_MAX)
		gap = STACK_GAP_MAX;
	l->layout.mmap_base =
		GVA(page_down(MM_TASK_SIZE - gap) - random_pages(l, 1, MMAP_RND_BITS));
	/* mm chooses addresses from here on; the rest of the layout follows when it is known. */
	mm_set_layout(l->mm, &l->layout);
	mm_set_limits(l->mm, process_rlimit(l->t->process, RLIMIT_AS),
		      process_rlimit(l->t->process, RLIMIT_DATA), l->limit);
	return 0;
}

static uint64_t align_down(uint64_t v, uint64_t align)
{
	return v & ~(align - 1);
}

static int map_program(struct load *l)
{
	const struct elf_program *p = &l->prog;
	uint64_t hi;

	if (p->dyn)
		l->bias = align_down(ET_DYN_BASE + random_pages(l, 2, MMAP_RND_BITS), p->align) -
			  page_down(p->lo & ~(p->align - 1));
	if (p->dyn && (l->bias > MM_TASK_SIZE || p->hi > l->layout.mmap_base.v - l->bias))
		return -ENOMEM;
	hi = l->bias + p->hi;
	for (size_t i = 0; i < p->nseg; i++) {
		const struct elf_segment *s = &p->seg[i];
		uint64_t start = l->bias + s->vaddr, end = start + s->filesz;

		if (!i)
			l->layout.start_code = GVA(start);
		if (s->prot & PROT_EXEC)
			l->layout.end_code = GVA(end);
		l->layout.start_data = GVA(start);
		l->layout.end_data = GVA(end);
	}
	mm_set_brk(l->mm, GVA(hi + (l->randomize ? l->random[3] % BRK_RND_PAGES : 0) * PAGE_SIZE));
	return elf_map(l->mm, l->file, p, l->bias);
}

/* ld.so goes below mmap_base; the address is found by reserving the whole span first. */
static int map_interp(struct load *l)
{
	const struct elf_program *p = &l->interp;
	struct mm_map_args args = {
		.len = p->hi - p->lo + p->align - PAGE_SIZE,
		.prot = PROT_NONE,
		.flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
	};
	int64_t addr;
	int ret;

	if (!p->dyn)
		return elf_map(l->mm, l->interp_file, p, 0);
	addr = mm_map(l->mm, &args);
	if (addr < 0)
		return (int)addr;
	ret = mm_unmap(l->mm, GVA(addr), args.len);
	if (ret)
		return ret;
	l->interp_bias =
		align_down((uint64_t)addr + p->align - 1, p->align) - align_down(p->lo, p->align);
	return elf_map(l->mm, l->interp_file, p, l->interp_bias);
}

static int open_interp(struct load *l)
{
	char path[PATH_MAX];
	int ret;

	if (!l->prog.interp_len)
		return 0;
	ret = elf_read_interp(l->file, &l->prog, path);
	if (!ret)
		ret = vfs_open_exec(l->t, AT_FDCWD, path, 0, &l->interp_file);
	if (ret)
		return ret;
	ret = elf_read(l->interp_file, &l->interp);
	return ret == -ENOEXEC ? -ELIBBAD : ret;
}

/* ---- identity and stack ---- */

static int read_setid(struct load *l, struct exec_image *out)
{
	struct kstat st;
	int ret = file_stat(l->file, &st);

	if (ret)
		return ret;
	out->file_uid = st.uid;
	out->file_gid = st.gid;
	if (l->file->path.mount && l->file->path.mount->flags & MS_NOSUID)
		return 0;
	out->setuid_seen = st.mode & S_ISUID;
	/* Set-group-ID without group execute means mandatory locking, not identity. */
	out->setgid_seen = (st.mode & (S_ISGID | S_IXGRP)) == (S_ISGID | S_IXGRP);
	return 0;
}

static int fill_stack(struct load *l, const char *filename, const struct exec_strings *envp,
		      const struct cred *cred, const struct exec_image *img, uint64_t *sp)
{
	bool setid = !l->t->no_new_privs;
	struct stack_spec s = {
		.argv = l->argv,
		.argc = l->argc,
		.envp = envp->v,
		.envc = envp->n,
		.execfn = filename,
		.executable = l->prog.exec_stack,
		.top = l->stack_top,
		.limit = l->limit,
		.phdr = l->prog.phdr_vaddr ? l->bias + l->prog.phdr_vaddr : 0,
		.phnum = l->prog.phnum,
		.base = l->interp_bias,
		.entry = l->bias + l->prog.entry,
		.vdso = l->layout.vdso.v,
		.hwcap = arch_hwcap(),
		.hwcap2 = arch_hwcap2(),
		.minsigstksz = arch_minsigstksz(l->t->kernel->platform),
		.uid = cred->uid,
		.euid = setid && img->setuid_seen ? img->file_uid : cred->euid,
		.gid = cred->gid,
		.egid = setid && img->setgid_seen ? img->file_gid : cred->egid,
	};

	s.secure = s.uid != s.euid || s.gid != s.egid;
	memcpy(s.random, &l->random[4], sizeof(s.random));
	if (stack_string_bytes(l->argv, l->argc, envp->v, envp->n) > loader_strings_limit(l->t))
		return -E2BIG;
	return stack_build(l->mm, &s, &l->layout, sp);
}

static void name_image(struct load *l, const char *filename, struct exec_image *out)
{
	const char *base = strrchr(filename, '/');

	snprintf(out->comm, sizeof(out->comm), "%s", base ? base + 1 : filename);
	out->dev = l->file->path.node ? l->file->path.node->dev : 0;
	out->ino = l->file->path.node ? l->file->path.node->ino : 0;
	if (vfs_path_text(l->t, &l->file->path, out->path, sizeof(out->path)) < 0)
		out->path[0] = '\0';
}

static int build_image(struct load *l, const char *filename, const struct exec_strings *envp,
		       const struct cred *cred, struct exec_image *out)
{
	uint64_t sp;
	int ret = mm_create(l->t->kernel->mm_system, &l->mm);

	if (!ret)
		ret = plan_layout(l);
	if (!ret)
		ret = map_program(l);
	if (!ret && l->interp_file)
		ret = map_interp(l);
	if (!ret)
		ret = vdso_map(l->t->kernel, l->mm, &l->layout.vdso);
	if (!ret)
		ret = fill_stack(l, filename, envp, cred, out, &sp);
	if (ret)
		return ret;
	mm_set_layout(l->mm, &l->layout);
	arch_start_regs(&out->regs,
			l->interp_file ? l->interp_bias + l->interp.entry : l->bias + l->prog.entry,
			sp);
	name_image(l, filename, out);
	return 0;
}

/* A program without argv[0] gets an empty one (execve(2), Linux 5.18). */
static int copy_argv(struct load *l, const struct exec_strings *argv)
{
	static char empty[] = "";

	l->argc = argv->n ? argv->n : 1;
	l->argv = calloc(l->argc + 1, sizeof(*l->argv));
	if (!l->argv)
		return -ENOMEM;
	l->argv[0] = empty;
	for (size_t i = 0; i < argv->n; i++)
		l->argv[i] = argv->v[i];
	return 0;
}

int loader_load(struct task *t, struct file *file, const char *filename, struct exec_strings *argv,
		struct exec_strings *envp, const struct cred *cred, struct exec_image *out)
{
	struct load l = {
		.t = t,
		.file = file_get(file),
		.name = filename,
		.limit = process_rlimit(t->process, RLIMIT_STACK),
	};
	int ret;

	memset(out, 0, sizeof(*out));
	ret = copy_argv(&l, argv);
	if (!ret)
		ret = find_binary(&l);
	if (!ret)
		ret = elf_read(l.file, &l.prog);
	if (!ret)
		ret = open_interp(&l);
	if (!ret)
		ret = read_setid(&l, out);
	if (!ret)
		ret = build_image(&l, filename, envp, cred, out);
	if (!ret) {
		out->mm = l.mm;
		l.mm = NULL;
	}
	load_free(&l);
	return ret;
}
