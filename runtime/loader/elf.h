/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ELF executables (elf(5)): checked into a plain description first, mapped afterwards. Every field of
 * the file is hostile; after elf_parse_program() no arithmetic on the description can overflow.
 */
#ifndef NACRE_RUNTIME_LOADER_ELF_H
#define NACRE_RUNTIME_LOADER_ELF_H

#include <elf.h>

#include "mm/mm.h"

struct file;

/* A PT_LOAD: ascending, not overlapping, inside user space, file offset congruent to the address. */
struct elf_segment {
	uint64_t vaddr, memsz, offset, filesz;
	unsigned prot;
};

struct elf_program {
	bool dyn;	     /* ET_DYN: addresses are relative to a bias */
	bool exec_stack;     /* PT_GNU_STACK asks for it */
	uint64_t entry;	     /* below MM_TASK_SIZE before the bias */
	uint64_t lo, hi;     /* span of the segments, page rounded */
	uint64_t align;	     /* of the bias; at least a page */
	uint64_t phdr_vaddr; /* where a segment holds the program headers, or 0 */
	unsigned phnum;
	uint64_t interp_offset, interp_len; /* PT_INTERP with its NUL; length 0: none */
	size_t nseg;
	struct elf_segment *seg; /* owned */
};

/* 0 or -ENOEXEC: not an ELF file of this architecture that can be executed. */
int elf_parse_header(const void *head, size_t len, Elf64_Ehdr *out);
/* Checks and copies; ph has eh->e_phnum entries. 0, -ENOEXEC or -ENOMEM. */
int elf_parse_program(const Elf64_Ehdr *eh, const Elf64_Phdr *ph, struct elf_program *out);
void elf_free(struct elf_program *p);

/* Read and check a file's headers. 0 or -errno. */
int elf_read(struct file *f, struct elf_program *out);
/* The interpreter's path, NUL-terminated, into buf of PATH_MAX bytes. */
int elf_read_interp(struct file *f, const struct elf_program *p, char *buf);
/* Map all segments at bias; the range must be free or ours to replace. */
int elf_map(struct mm *mm, struct file *f, const struct elf_program *p, uint64_t bias);

#endif
