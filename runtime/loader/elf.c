/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/loader/elf.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "runtime/arch/regs.h"
#include "runtime/errno.h"
#include "runtime/fs/vfs.h"

#define PHDRS_MAX_BYTES 65536u
#define ALIGN_MAX	((uint64_t)1 << 30) /* a larger p_align cannot be met in any useful way */
#define MMAP_MIN_ADDR	65536u		    /* vm.mmap_min_addr */
/* Mapping a small segment whole costs less than the faults it saves; a big one is faulted in. */
#define POPULATE_TEXT ((uint64_t)1 << 20)
#define POPULATE_DATA ((uint64_t)64 << 10) /* pages of a writable private mapping are copied */

int elf_parse_header(const void *head, size_t len, Elf64_Ehdr *out)
{
	if (len < sizeof(*out))
		return -ENOEXEC;
	memcpy(out, head, sizeof(*out));
	if (memcmp(out->e_ident, ELFMAG, SELFMAG) || out->e_ident[EI_CLASS] != ELFCLASS64 ||
	    out->e_ident[EI_DATA] != ELFDATA2LSB || out->e_machine != ARCH_ELF_MACHINE)
		return -ENOEXEC;
	if (out->e_type != ET_EXEC && out->e_type != ET_DYN)
		return -ENOEXEC;
	if (out->e_phentsize != sizeof(Elf64_Phdr) || !out->e_phnum ||
	    out->e_phnum > PHDRS_MAX_BYTES / sizeof(Elf64_Phdr))
		return -ENOEXEC;
	if (out->e_entry >= MM_TASK_SIZE || out->e_phoff > INT64_MAX - PHDRS_MAX_BYTES)
		return -ENOEXEC;
	return 0;
}

static unsigned segment_prot(uint32_t flags)
{
	return (flags & PF_R ? PROT_READ : 0) | (flags & PF_W ? PROT_WRITE : 0) |
	       (flags & PF_X ? PROT_EXEC : 0);
}

/* Append a PT_LOAD to the description, whose array has room. */
static int add_segment(struct elf_program *p, const Elf64_Ehdr *eh, const Elf64_Phdr *ph)
{
	struct elf_segment *s = &p->seg[p->nseg];
	uint64_t end;

	if (!ph->p_memsz)
		return ph->p_filesz ? -ENOEXEC : 0;
	if (ph->p_filesz > ph->p_memsz || ph->p_memsz > MM_TASK_SIZE ||
	    ph->p_vaddr > MM_TASK_SIZE - ph->p_memsz || ph->p_offset > INT64_MAX - ph->p_filesz)
		return -ENOEXEC;
	if (ph->p_filesz && (ph->p_vaddr ^ ph->p_offset) & ~PAGE_MASK)
		return -ENOEXEC;
	if (p->nseg && ph->p_vaddr < s[-1].vaddr + s[-1].memsz)
		return -ENOEXEC;
	end = page_up(ph->p_vaddr + ph->p_memsz);
	if (end > MM_TASK_SIZE)
		return -ENOEXEC;
	if (!p->nseg)
		p->lo = page_down(ph->p_vaddr);
	p->hi = end;
	/* As Linux: alignments that are not powers of two are ignored. */
	if (ph->p_align > p->align && !(ph->p_align & (ph->p_align - 1))) {
		if (ph->p_align > ALIGN_MAX)
			return -ENOEXEC;
		p->align = ph->p_align;
	}
	if (eh->e_phoff >= ph->p_offset && eh->e_phoff - ph->p_offset < ph->p_filesz)
		p->phdr_vaddr = ph->p_vaddr + (eh->e_phoff - ph->p_offset);
	*s = (struct elf_segment){ph->p_vaddr, ph->p_memsz, ph->p_offset, ph->p_filesz,
				  segment_prot(ph->p_flags)};
	p->nseg++;
	return 0;
}

static int parse_phdr(struct elf_program *p, const Elf64_Ehdr *eh, const Elf64_Phdr *ph)
{
	switch (ph->p_type) {
	case PT_LOAD:
		return add_segment(p, eh, ph);
	case PT_INTERP:
		if (p->interp_len)
			return 0; /* the first counts */
		if (ph->p_filesz < 2 || ph->p_filesz > PATH_MAX ||
		    ph->p_offset > INT64_MAX - PATH_MAX)
			return -ENOEXEC;
		p->interp_offset = ph->p_offset;
		p->interp_len = ph->p_filesz;
		return 0;
	case PT_GNU_STACK:
		p->exec_stack = ph->p_flags & PF_X;
		return 0;
	default:
		return 0;
	}
}

int elf_parse_program(const Elf64_Ehdr *eh, const Elf64_Phdr *ph, struct elf_program *out)
{
	int ret = 0;

	*out = (struct elf_program){
		.dyn = eh->e_type == ET_DYN,
		.entry = eh->e_entry,
		.align = PAGE_SIZE,
		.phnum = eh->e_phnum,
		.seg = calloc(eh->e_phnum, sizeof(struct elf_segment)),
	};
	if (!out->seg)
		return -ENOMEM;
	for (unsigned i = 0; i < eh->e_phnum && !ret; i++)
		ret = parse_phdr(out, eh, &ph[i]);
	if (!ret && !out->nseg)
		ret = -ENOEXEC;
	if (!ret && !out->dyn && out->lo < MMAP_MIN_ADDR)
		ret = -EPERM;
	if (ret)
		elf_free(out);
	return ret;
}

void elf_free(struct elf_program *p)
{
	free(p->seg);
	p->seg = NULL;
	p->nseg = 0;
}

int elf_read(struct file *f, struct elf_program *out)
{
	char head[sizeof(Elf64_Ehdr)];
	Elf64_Ehdr eh;
	Elf64_Phdr *ph;
	int64_t n = file_pread(f, head, sizeof(head), 0);
	size_t bytes;
	int ret;

	if (n < 0)
		return (int)n;
	ret = elf_parse_header(head, (size_t)n, &eh);
	if (ret)
		return ret;
	bytes = eh.e_phnum * sizeof(*ph);
	ph = malloc(bytes);
	if (!ph)
		return -ENOMEM;
	n = file_pread(f, ph, bytes, (int64_t)eh.e_phoff);
	if (n == (int64_t)bytes)
		ret = elf_parse_program(&eh, ph, out);
	else
		ret = n < 0 ? (int)n : -ENOEXEC;
	free(ph);
	return ret;
}

int elf_read_interp(struct file *f, const struct elf_program *p, char *buf)
{
	int64_t n = file_pread(f, buf, p->interp_len, (int64_t)p->interp_offset);

	if (n < 0)
		return (int)n;
	if ((uint64_t)n != p->interp_len || buf[p->interp_len - 1] != '\0')
		return -ENOEXEC;
	return 0;
}

/* The part of a segment that the file holds, and the zeroes that finish its last page. */
static int map_file_part(struct mm *mm, struct mm_backing *backing, const struct elf_segment *s,
			 uint64_t start)
{
	uint64_t in_page = start & ~PAGE_MASK, end = start + s->filesz;
	struct mm_map_args args = {
		.addr = GVA(start - in_page),
		.len = page_up(s->filesz + in_page),
		.prot = s->prot,
		.flags = MAP_PRIVATE | MAP_FIXED,
		.backing = backing,
		.offset = s->offset - in_page,
	};
	int64_t ret;

	args.populate = args.len <= (s->prot & PROT_WRITE ? POPULATE_DATA : POPULATE_TEXT);
	ret = mm_map(mm, &args);
	if (ret < 0)
		return (int)ret;
	if (s->memsz > s->filesz && s->prot & PROT_WRITE && end & ~PAGE_MASK)
		return mm_zero(mm, GVA(end), page_up(end) - end);
	return 0;
}

static int map_zero_part(struct mm *mm, const struct elf_segment *s, uint64_t start)
{
	uint64_t from = s->filesz ? page_up(start + s->filesz) : page_down(start);
	uint64_t to = page_up(start + s->memsz);
	struct mm_map_args args = {
		.addr = GVA(from),
		.len = to - from,
		.prot = s->prot,
		.flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED,
		.populate = to - from <= 4 * PAGE_SIZE,
	};
	int64_t ret;

	if (to <= from)
		return 0;
	ret = mm_map(mm, &args);
	return ret < 0 ? (int)ret : 0;
}

int elf_map(struct mm *mm, struct file *f, const struct elf_program *p, uint64_t bias)
{
	struct mm_backing *backing;
	int ret;

	if (bias > MM_TASK_SIZE || p->hi > MM_TASK_SIZE - bias || p->entry >= MM_TASK_SIZE - bias)
		return -ENOMEM;
	if (!f->ops->backing)
		return -ENODEV;
	ret = f->ops->backing(f, &backing);
	if (ret)
		return ret;
	for (size_t i = 0; i < p->nseg && !ret; i++) {
		const struct elf_segment *s = &p->seg[i];

		if (s->filesz)
			ret = map_file_part(mm, backing, s, bias + s->vaddr);
		if (!ret)
			ret = map_zero_part(mm, s, bias + s->vaddr);
	}
	mm_backing_put(backing);
	return ret;
}
