/* SPDX-License-Identifier: Apache-2.0 */
/* Hostile ELF headers, script lines, and the size rules of argument strings. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

#include "runtime/arch/regs.h"
#include "runtime/errno.h"
#include "runtime/loader/elf.h"
#include "runtime/loader/script.h"
#include "runtime/loader/stack.h"

static Elf64_Ehdr good_header(void)
{
	Elf64_Ehdr eh = {
		.e_ident = {0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, EV_CURRENT},
		.e_type = ET_DYN,
		.e_machine = ARCH_ELF_MACHINE,
		.e_entry = 0x1000,
		.e_phoff = sizeof(Elf64_Ehdr),
		.e_phentsize = sizeof(Elf64_Phdr),
		.e_phnum = 2,
	};

	return eh;
}

static Elf64_Phdr load_segment(uint64_t vaddr, uint64_t offset, uint64_t filesz, uint64_t memsz)
{
	Elf64_Phdr ph = {
		.p_type = PT_LOAD,
		.p_flags = PF_R | PF_X,
		.p_vaddr = vaddr,
		.p_offset = offset,
		.p_filesz = filesz,
		.p_memsz = memsz,
		.p_align = 0x1000,
	};

	return ph;
}

static int parse_header(const Elf64_Ehdr *eh)
{
	Elf64_Ehdr out;

	return elf_parse_header(eh, sizeof(*eh), &out);
}

static int parse(Elf64_Ehdr eh, const Elf64_Phdr *ph, unsigned n)
{
	struct elf_program prog;
	int ret;

	eh.e_phnum = (uint16_t)n;
	ret = elf_parse_program(&eh, ph, &prog);
	if (!ret)
		elf_free(&prog);
	return ret;
}

static void test_header_good(void **state)
{
	Elf64_Ehdr eh = good_header();

	(void)state;
	assert_int_equal(parse_header(&eh), 0);
}

static void test_header_truncated(void **state)
{
	Elf64_Ehdr eh = good_header(), out;

	(void)state;
	for (size_t len = 0; len < sizeof(eh); len++)
		assert_int_equal(elf_parse_header(&eh, len, &out), -ENOEXEC);
}

#define REFUSED(field, value)                                  \
	do {                                                   \
		Elf64_Ehdr eh = good_header();                 \
		eh.field = value;                              \
		assert_int_equal(parse_header(&eh), -ENOEXEC); \
	} while (0)

static void test_header_hostile(void **state)
{
	(void)state;
	REFUSED(e_ident[0], 'x');
	REFUSED(e_ident[EI_CLASS], ELFCLASS32);
	REFUSED(e_ident[EI_DATA], ELFDATA2MSB);
	REFUSED(e_machine, EM_386);
	REFUSED(e_type, ET_REL);
	REFUSED(e_type, ET_CORE);
	REFUSED(e_phentsize, 32);
	REFUSED(e_phnum, 0);
	REFUSED(e_phnum, 0xffff);
	REFUSED(e_phoff, UINT64_MAX);
	REFUSED(e_phoff, INT64_MAX);
	REFUSED(e_entry, UINT64_MAX);
	REFUSED(e_entry, MM_TASK_SIZE);
	REFUSED(e_entry, (uint64_t)1 << 63);
}

static void test_segments_described(void **state)
{
	Elf64_Phdr ph[2] = {load_segment(0, 0, 0x1800, 0x1800),
			    load_segment(0x3e00, 0x1e00, 0x200, 0x5000)};
	Elf64_Ehdr eh = good_header();
	struct elf_program p;

	(void)state;
	ph[1].p_flags = PF_R | PF_W;
	ph[1].p_align = 0x200000;
	assert_int_equal(elf_parse_program(&eh, ph, &p), 0);
	assert_int_equal(p.nseg, 2);
	assert_int_equal(p.lo, 0);
	assert_int_equal(p.hi, 0x9000);
	assert_int_equal(p.align, 0x200000);
	assert_int_equal(p.phdr_vaddr, sizeof(Elf64_Ehdr));
	assert_int_equal(p.seg[0].prot, PROT_READ | PROT_EXEC);
	assert_int_equal(p.seg[1].prot, PROT_READ | PROT_WRITE);
	assert_false(p.exec_stack);
	elf_free(&p);
}

static void test_segments_hostile(void **state)
{
	static const struct {
		uint64_t vaddr, offset, filesz, memsz;
	} bad[] = {
		{0, 0, 0x2000, 0x1000},			     /* larger in the file */
		{0x1001, 0, 0x100, 0x100},		     /* offset not congruent */
		{MM_TASK_SIZE - 0x1000, 0, 0x1000, 0x2000},  /* past user space */
		{UINT64_MAX - 0xfff, 0, 0x1000, 0x1000},     /* wraps */
		{0x1000, 0, 0x1000, UINT64_MAX - 0x1000},    /* wraps */
		{0, UINT64_MAX & PAGE_MASK, 0x1000, 0x1000}, /* offset wraps */
		{0, INT64_MAX & PAGE_MASK, 0x1000, 0x1000},  /* offset past what a file can have */
		{0, 0, 0x1000, 0},			     /* bytes without memory */
		{(uint64_t)1 << 47, 0, 0x1000, 0x1000},	     /* not canonical */
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		Elf64_Phdr ph =
			load_segment(bad[i].vaddr, bad[i].offset, bad[i].filesz, bad[i].memsz);

		assert_int_equal(parse(good_header(), &ph, 1), -ENOEXEC);
	}
}

static void test_segments_overlap_or_descend(void **state)
{
	Elf64_Phdr overlap[2] = {load_segment(0x1000, 0, 0x2000, 0x2000),
				 load_segment(0x2000, 0, 0x1000, 0x1000)};
	Elf64_Phdr descend[2] = {load_segment(0x8000, 0, 0x1000, 0x1000),
				 load_segment(0x1000, 0, 0x1000, 0x1000)};

	(void)state;
	assert_int_equal(parse(good_header(), overlap, 2), -ENOEXEC);
	assert_int_equal(parse(good_header(), descend, 2), -ENOEXEC);
}

static void test_segments_needed(void **state)
{
	Elf64_Phdr note = {.p_type = PT_NOTE};
	Elf64_Phdr low = load_segment(0x1000, 0, 0x1000, 0x1000);
	Elf64_Ehdr fixed = good_header();

	(void)state;
	assert_int_equal(parse(good_header(), &note, 1), -ENOEXEC);
	fixed.e_type = ET_EXEC; /* below vm.mmap_min_addr */
	assert_int_equal(parse(fixed, &low, 1), -EPERM);
}

static void test_alignment(void **state)
{
	Elf64_Phdr ph = load_segment(0, 0, 0x1000, 0x1000);
	Elf64_Ehdr eh = good_header();
	struct elf_program p;

	(void)state;
	eh.e_phnum = 1;
	ph.p_align = 0x12345; /* not a power of two: ignored */
	assert_int_equal(elf_parse_program(&eh, &ph, &p), 0);
	assert_int_equal(p.align, 0x1000);
	elf_free(&p);
	ph.p_align = (uint64_t)1 << 62;
	assert_int_equal(parse(eh, &ph, 1), -ENOEXEC);
}

static void test_interp(void **state)
{
	Elf64_Phdr ph[2] = {{.p_type = PT_INTERP, .p_filesz = 28},
			    load_segment(0, 0, 0x1000, 0x1000)};

	(void)state;
	assert_int_equal(parse(good_header(), ph, 2), 0);
	ph[0].p_filesz = 1;
	assert_int_equal(parse(good_header(), ph, 2), -ENOEXEC);
	ph[0].p_filesz = 4097;
	assert_int_equal(parse(good_header(), ph, 2), -ENOEXEC);
	ph[0].p_filesz = 28;
	ph[0].p_offset = UINT64_MAX - 4;
	assert_int_equal(parse(good_header(), ph, 2), -ENOEXEC);
}

/* Any header at all either parses into something consistent or is refused. */
static void test_random_headers(void **state)
{
	Elf64_Phdr ph[4];
	Elf64_Ehdr eh = good_header();
	struct elf_program p;

	(void)state;
	eh.e_phnum = 4;
	srandom(1);
	for (int round = 0; round < 20000; round++) {
		uint8_t *bytes = (uint8_t *)ph;
		uint64_t end = 0;

		for (size_t i = 0; i < sizeof(ph); i++)
			bytes[i] = (uint8_t)(random() & (round & 1 ? 0xff : 0x0f));
		for (int i = 0; i < 4; i++) {
			ph[i].p_type = PT_LOAD;
			ph[i].p_vaddr &= 0xffffffffffff;
			ph[i].p_offset = (ph[i].p_offset & PAGE_MASK) | (ph[i].p_vaddr & 0xfff);
			ph[i].p_memsz &= 0xffffff;
			ph[i].p_filesz &= 0xffffff;
		}
		if (elf_parse_program(&eh, ph, &p))
			continue;
		for (size_t i = 0; i < p.nseg; i++) {
			assert_true(p.seg[i].vaddr >= end);
			assert_true(p.seg[i].filesz <= p.seg[i].memsz);
			end = p.seg[i].vaddr + p.seg[i].memsz;
			assert_true(end <= MM_TASK_SIZE);
		}
		assert_true(p.hi >= end && p.hi <= MM_TASK_SIZE);
		elf_free(&p);
	}
}

static int script(const char *text, struct script_line *out)
{
	return script_parse(text, strlen(text), out);
}

static void test_script_plain(void **state)
{
	struct script_line l;

	(void)state;
	assert_int_equal(script("#!/bin/sh\necho\n", &l), 1);
	assert_string_equal(l.interp, "/bin/sh");
	assert_null(l.arg);
	assert_int_equal(script("#!/bin/sh", &l), 1); /* no newline at all */
	assert_string_equal(l.interp, "/bin/sh");
	assert_int_equal(script("\x7f"
				"ELF",
				&l),
			 0);
	assert_int_equal(script("#", &l), 0);
	assert_int_equal(script("", &l), 0);
}

static void test_script_argument(void **state)
{
	struct script_line l;

	(void)state;
	assert_int_equal(script("#! \t/usr/bin/env  -S python3 -u \t\nx", &l), 1);
	assert_string_equal(l.interp, "/usr/bin/env");
	assert_string_equal(l.arg, "-S python3 -u"); /* one argument, blanks inside kept */
}

static void test_script_empty(void **state)
{
	struct script_line l;

	(void)state;
	assert_int_equal(script("#!\n/bin/sh", &l), -ENOEXEC);
	assert_int_equal(script("#!  \t \n", &l), -ENOEXEC);
	assert_int_equal(script_parse("#!\0/bin/sh\n", 11, &l), -ENOEXEC);
}

static void test_script_limit(void **state)
{
	char text[600];
	struct script_line l;

	(void)state;
	memset(text, 'a', sizeof(text));
	memcpy(text, "#!/", 3);
	/* The path runs over the limit: what would be executed is not what is written. */
	assert_int_equal(script_parse(text, sizeof(text), &l), -ENOEXEC);
	text[20] = ' ';
	assert_int_equal(script_parse(text, sizeof(text), &l), 1);
	assert_int_equal(strlen(l.interp), 18);
	assert_true(strlen(l.arg) <= SCRIPT_LINE);
	text[SCRIPT_LINE - 1] = '\n'; /* a line of exactly 255 characters is whole */
	assert_int_equal(script_parse(text, sizeof(text), &l), 1);
	assert_int_equal(strlen(l.arg), SCRIPT_LINE - 1 - 21);
}

static void test_string_sizes(void **state)
{
	char *big = malloc(LOADER_STRING_MAX + 1), *argv[2] = {(char *)"sh", big};
	char *envp[1] = {(char *)"A=1"};

	(void)state;
	memset(big, 'x', LOADER_STRING_MAX);
	big[LOADER_STRING_MAX] = '\0';
	assert_int_equal(stack_string_bytes(argv, 2, envp, 1), UINT64_MAX);
	big[LOADER_STRING_MAX - 1] = '\0';
	assert_int_equal(stack_string_bytes(argv, 2, envp, 1), 24 + 3 + LOADER_STRING_MAX + 4);
	free(big);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_header_good),
		cmocka_unit_test(test_header_truncated),
		cmocka_unit_test(test_header_hostile),
		cmocka_unit_test(test_segments_described),
		cmocka_unit_test(test_segments_hostile),
		cmocka_unit_test(test_segments_overlap_or_descend),
		cmocka_unit_test(test_segments_needed),
		cmocka_unit_test(test_alignment),
		cmocka_unit_test(test_interp),
		cmocka_unit_test(test_random_headers),
		cmocka_unit_test(test_script_plain),
		cmocka_unit_test(test_script_argument),
		cmocka_unit_test(test_script_empty),
		cmocka_unit_test(test_script_limit),
		cmocka_unit_test(test_string_sizes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
