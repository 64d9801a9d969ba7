/* SPDX-License-Identifier: Apache-2.0 */
/*
 * --tlb=paranoid on the real hypervisor: a program touches a page, the page is protected, and one part of
 * the flush is left out. The process must end, and the report must name the page. Skipped where no
 * backend probes.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "mm/mm.h"
#include "mm/sites.h"
#include "platform/platform.h"

#define SKIPPED 77
#define CODE_VA 0x10000000ull
#define DATA_VA 0x20000000ull

unsigned mm_mutated_site;
unsigned long mm_site_hits[SITE_COUNT];

/* MOVB $1, DATA_VA; MOVL $500, %EAX; SYSCALL */
static const uint8_t program[] = {0xc6, 0x04, 0x25, 0x00, 0x00, 0x00, 0x20, 0x01,
				  0xb8, 0xf4, 0x01, 0x00, 0x00, 0x0f, 0x05};

static void report(const char *text, void *arg)
{
	(void)arg;
	if (write(STDOUT_FILENO, text, strlen(text)) < 0)
		_exit(2);
}

static struct mm *make_space(struct platform *p, struct mm_system **sys)
{
	const struct mm_limits limits = {.arena_bytes = 64 << 20,
					 .tlb = MM_TLB_PARANOID,
					 .stale = report};
	struct mm_map_args map = {.addr = GVA(CODE_VA),
				  .len = PAGE_SIZE,
				  .prot = PROT_READ | PROT_WRITE | PROT_EXEC,
				  .flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED};
	struct mm *mm;
	char err[256];

	if (mm_system_create(p, &limits, sys) || platform_boot(p, *sys, err, sizeof err) ||
	    mm_create(*sys, &mm) || mm_map(mm, &map) < 0)
		_exit(2);
	map.addr = GVA(DATA_VA);
	map.prot = PROT_READ | PROT_WRITE;
	if (mm_map(mm, &map) < 0 || mm_copy_out(mm, GVA(CODE_VA), program, sizeof program))
		_exit(2);
	return mm;
}

static void run_program(struct platform *p, struct mm *mm)
{
	struct arch_regs r = {.rip = CODE_VA, .rflags = 0x202, .rsp = DATA_VA + 0x800};
	struct cpu_thread *t;
	struct cpu_trap trap;

	if (cpu_thread_create(p, &t))
		_exit(2);
	do
		cpu_run(t, mm, &r, &trap);
	while (trap.kind == CPU_TRAP_PAGE_FAULT && mm_fault(mm, trap.addr, trap.access) == 0);
	if (trap.kind != CPU_TRAP_SYSCALL)
		_exit(2);
	mm_protect(mm, GVA(DATA_VA), PAGE_SIZE, PROT_READ);
	cpu_thread_destroy(t);
}

/* A process of its own: paging is the hypervisor's kind, `site` what is left out of the protocol. */
static int status_without(enum tlb_site nested, enum tlb_site shadow, char *text, size_t cap)
{
	int fds[2], status;
	ssize_t n;
	pid_t pid;

	assert_int_equal(pipe(fds), 0);
	pid = fork();
	if (!pid) {
		const struct platform_options opt = {.max_vcpus = 2};
		struct platform *p;
		struct mm_system *sys;
		struct mm *mm;
		char err[1024];

		/* cmocka's handlers would make a failed test of the abort. */
		signal(SIGABRT, SIG_DFL);
		dup2(fds[1], STDOUT_FILENO);
		if (platform_create(&opt, &p, err, sizeof err))
			_exit(SKIPPED);
		mm_mutated_site = platform_paging(p) == PLATFORM_PAGING_SHADOW ? shadow : nested;
		mm = make_space(p, &sys);
		run_program(p, mm);
		mm_put(mm);
		mm_system_destroy(sys);
		platform_destroy(p);
		_exit(0);
	}
	close(fds[1]);
	n = read(fds[0], text, cap - 1);
	text[n > 0 ? n : 0] = 0;
	close(fds[0]);
	while (waitpid(pid, &status, 0) < 0)
		;
	return status;
}

static void nothing_is_found_where_nothing_is_left_out(void **state)
{
	char text[1024];
	int status = status_without(SITE_NONE, SITE_NONE, text, sizeof text);

	(void)state;
	if (WIFEXITED(status) && WEXITSTATUS(status) == SKIPPED)
		skip();
	assert_string_equal(text, "");
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

static void expect_caught(enum tlb_site nested, enum tlb_site shadow)
{
	char text[1024];
	int status = status_without(nested, shadow, text, sizeof text);

	if (WIFEXITED(status) && WEXITSTATUS(status) == SKIPPED)
		skip();
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGABRT);
	assert_non_null(strstr(text, "address 0x20000000"));
	assert_non_null(strstr(text, "vCPU"));
	assert_non_null(strstr(text, "entry was 0x"));
}

static void a_flush_that_is_not_recorded_is_caught(void **state)
{
	(void)state;
	expect_caught(SITE_PERM, SITE_PERM);
}

static void a_flush_that_is_not_staged_is_caught(void **state)
{
	(void)state;
	expect_caught(SITE_STAGE_SELF, SITE_INVALIDATE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_is_found_where_nothing_is_left_out),
		cmocka_unit_test(a_flush_that_is_not_recorded_is_caught),
		cmocka_unit_test(a_flush_that_is_not_staged_is_caught),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
