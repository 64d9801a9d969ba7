/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The hypervisor platform on the real hypervisor: traps, answers given inside, kicks at every
 * moment, vector state with more threads than vCPUs. Skipped where no backend probes.
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "mm/mm.h"
#include "platform/platform.h"

#define SKIPPED 77
#define CODE_VA 0x10000000ull
#define DATA_VA 0x20000000ull
#define VECTOR_DE 0u
#define VECTOR_BP 3u
#define VECTOR_UD 6u
#define VECTOR_GP 13u

/* Guest programs, position independent, copied to CODE_VA. */
#define PROGRAM(name, body)                                                                        \
	extern const uint8_t prog_##name[], prog_##name##_end[];                                   \
	__asm__(".pushsection .rodata.guest,\"a\"\n"                                               \
		".globl prog_" #name ", prog_" #name "_end\n"                                      \
		"prog_" #name ":\n" body "\nprog_" #name "_end:\n.popsection\n")

PROGRAM(syscalls, "1: syscall; movq %rax, %rdi; jmp 1b");
PROGRAM(getpids, "movl $1000, %ebx; 1: movl $39, %eax; syscall; cmpl $4242, %eax; jne 2f;"
		 "decl %ebx; jnz 1b; movl $500, %eax; syscall; 2: ud2");
PROGRAM(forever, "1: jmp 1b");
PROGRAM(pidloop, "1: movl $39, %eax; movq %r12, %rdx; syscall; cmpl $4242, %eax; jne 2f;"
		 "cmpq %r12, %rdx; jne 2f; incq %rbx; jmp 1b; 2: ud2");
PROGRAM(undefined, "ud2");
PROGRAM(breakpoint, "int3");
PROGRAM(divide, "xorl %ecx, %ecx; xorl %edx, %edx; divl %ecx");
PROGRAM(halt, "hlt");
PROGRAM(read_fault, "movq 0x20000010, %rax");
PROGRAM(write_fault, "movb $1, 0x20000020");
PROGRAM(exec_fault, "movl $0x20000030, %eax; jmpq *%rax");
PROGRAM(bad_return, "movabsq $0x8000000000000000, %rcx; movl $0x246, %r11d; movl $39, %eax;"
		    "movq $0xffffffff80000300, %rdx; jmpq *%rdx");
PROGRAM(vector, "movq %r12, %xmm0; movq %r12, %xmm15; 1: movq %xmm0, %rax; cmpq %rax, %r12; jne 2f;"
		"movq %xmm15, %rax; cmpq %rax, %r12; jne 2f; decq %rbx; jnz 1b;"
		"movl $501, %eax; syscall; 2: ud2");

static struct platform *platform;
static struct mm_system *sys;
static struct mm *mm;

static void load(const uint8_t *start, const uint8_t *end)
{
	assert_int_equal(mm_poke(mm, GVA(CODE_VA), start, (size_t)(end - start)), 0);
}

static struct cpu_thread *thread(int32_t pid)
{
	struct cpu_thread *t;
	struct cpu_answers a = {.pid = pid, .tid = pid};

	assert_int_equal(cpu_thread_create(platform, &t), 0);
	cpu_set_answers(t, &a);
	return t;
}

/* Run, resolving faults on mapped memory, until something else happens. */
static void run(struct cpu_thread *t, struct arch_regs *r, struct cpu_trap *trap)
{
	do
		cpu_run(t, mm, r, trap);
	while (trap->kind == CPU_TRAP_PAGE_FAULT && mm_fault(mm, trap->addr, trap->access) == 0);
}

static void run_program(const uint8_t *start, const uint8_t *end, struct cpu_trap *trap,
			struct arch_regs *r)
{
	struct cpu_thread *t = thread(4242);

	load(start, end);
	*r = (struct arch_regs){.rip = CODE_VA, .rflags = 0x202, .rsp = DATA_VA + 0x8000};
	run(t, r, trap);
	cpu_thread_destroy(t);
}
#define RUN(name, trap, r) run_program(prog_##name, prog_##name##_end, trap, r)

static void test_syscall_registers(void **state)
{
	struct cpu_thread *t = thread(1);
	struct arch_regs r = {.rip = CODE_VA, .rflags = 0x202, .rax = 400, .rbx = 7, .r15 = 9};
	struct cpu_trap trap;

	(void)state;
	load(prog_syscalls, prog_syscalls_end);
	for (uint64_t i = 0; i < 10; i++) {
		run(t, &r, &trap);
		assert_int_equal(trap.kind, CPU_TRAP_SYSCALL);
		assert_int_equal(r.rip, CODE_VA + 2);
		assert_int_equal(r.rax, 400 + i);
		assert_int_equal(r.rdi, i ? 400 + i : 0);
		assert_int_equal(r.rbx, 7);
		assert_int_equal(r.r15, 9);
		assert_int_equal(r.rflags & 0x202, 0x202);
		r.rax = 400 + i + 1;
	}
	cpu_thread_destroy(t);
}

static void test_getpid_is_answered_inside(void **state)
{
	struct platform_stats before, after;
	struct arch_regs r;
	struct cpu_trap trap;

	(void)state;
	platform_stats(platform, &before);
	RUN(getpids, &trap, &r);
	platform_stats(platform, &after);
	assert_int_equal(trap.kind, CPU_TRAP_SYSCALL);
	assert_int_equal(r.rax, 500);
	assert_int_equal(after.answered_inside - before.answered_inside, 1000);
	assert_int_equal(after.exits_syscall - before.exits_syscall, 1);
}

static void expect_exception(const uint8_t *start, const uint8_t *end, unsigned vector)
{
	struct arch_regs r;
	struct cpu_trap trap;

	run_program(start, end, &trap, &r);
	assert_int_equal(trap.kind, CPU_TRAP_EXCEPTION);
	assert_int_equal(trap.vector, vector);
}

static void test_exceptions(void **state)
{
	(void)state;
	expect_exception(prog_undefined, prog_undefined_end, VECTOR_UD);
	expect_exception(prog_breakpoint, prog_breakpoint_end, VECTOR_BP);
	expect_exception(prog_divide, prog_divide_end, VECTOR_DE);
	expect_exception(prog_halt, prog_halt_end, VECTOR_GP);
}

static void expect_fault(const uint8_t *start, const uint8_t *end, uint64_t addr, unsigned access)
{
	struct arch_regs r;
	struct cpu_trap trap;

	assert_int_equal(mm_protect(mm, GVA(DATA_VA), 0x1000, PROT_NONE), 0);
	run_program(start, end, &trap, &r);
	assert_int_equal(trap.kind, CPU_TRAP_PAGE_FAULT);
	assert_int_equal(trap.addr.v, addr);
	assert_int_equal(trap.access, access);
	assert_int_equal(mm_protect(mm, GVA(DATA_VA), 0x1000, PROT_READ | PROT_WRITE), 0);
}

static void test_page_faults(void **state)
{
	(void)state;
	expect_fault(prog_read_fault, prog_read_fault_end, DATA_VA + 0x10, MM_ACCESS_READ);
	expect_fault(prog_write_fault, prog_write_fault_end, DATA_VA + 0x20, MM_ACCESS_WRITE);
	expect_fault(prog_exec_fault, prog_exec_fault_end, DATA_VA + 0x30, MM_ACCESS_EXEC);
}

static void test_noncanonical_rip(void **state)
{
	struct cpu_thread *t = thread(1);
	struct arch_regs r = {.rip = 1ull << 63, .rflags = 0x202};
	struct cpu_trap trap;

	(void)state;
	cpu_run(t, mm, &r, &trap);
	assert_int_equal(trap.kind, CPU_TRAP_EXCEPTION);
	assert_int_equal(trap.vector, VECTOR_GP);
	cpu_thread_destroy(t);
}

/* A program that jumps to the system-call entry itself, with a return address no CPU takes. */
static void test_jump_to_entry_point(void **state)
{
	struct arch_regs r;
	struct cpu_trap trap;

	(void)state;
	RUN(bad_return, &trap, &r);
	assert_true(trap.kind == CPU_TRAP_EXCEPTION || trap.kind == CPU_TRAP_PAGE_FAULT);
}

struct kicker {
	struct cpu_thread *target;
	atomic_uint seen;
	unsigned count;
};

static void *kick_many(void *arg)
{
	struct kicker *k = arg;

	for (unsigned i = 0; i < k->count; i++) {
		unsigned before = atomic_load(&k->seen);

		cpu_kick(k->target);
		while (atomic_load(&k->seen) == before)
			nanosleep(&(struct timespec){.tv_nsec = 30000}, NULL);
	}
	return NULL;
}

static void kick_program(const uint8_t *start, const uint8_t *end, unsigned count)
{
	struct kicker k = {.target = thread(4242), .count = count};
	struct arch_regs r = {.rip = CODE_VA, .rflags = 0x202, .r12 = 0x1234};
	struct cpu_trap trap;
	pthread_t th;

	load(start, end);
	pthread_create(&th, NULL, kick_many, &k);
	while (atomic_load(&k.seen) < count) {
		run(k.target, &r, &trap);
		assert_int_equal(trap.kind, CPU_TRAP_KICKED);
		assert_int_equal(r.rflags & 0x100, 0);
		atomic_fetch_add(&k.seen, 1);
	}
	pthread_join(th, NULL);
	cpu_thread_destroy(k.target);
}

static void test_kick_stops_a_spinning_program(void **state)
{
	(void)state;
	kick_program(prog_forever, prog_forever_end, 200);
}

static void test_kick_inside_the_shim_loses_nothing(void **state)
{
	(void)state;
	kick_program(prog_pidloop, prog_pidloop_end, 500);
}

static void *run_vector(void *arg)
{
	struct cpu_thread *t = thread(1);
	struct arch_regs r = {.rip = CODE_VA,
			      .rflags = 0x202,
			      .rbx = 50000000,
			      .r12 = (uintptr_t)arg * 0x0101010101010101u};
	struct cpu_trap trap;

	run(t, &r, &trap);
	cpu_thread_destroy(t);
	return (void *)(uintptr_t)(trap.kind == CPU_TRAP_SYSCALL && r.rax == 501);
}

/* The pool is three vCPUs; each thread's loop outlasts several slices. */
static void test_vector_state_with_more_threads_than_vcpus(void **state)
{
	struct platform_stats stats;
	pthread_t th[8];
	void *ok;

	(void)state;
	load(prog_vector, prog_vector_end);
	for (uintptr_t i = 0; i < 8; i++)
		pthread_create(&th[i], NULL, run_vector, (void *)(i + 1));
	for (unsigned i = 0; i < 8; i++) {
		pthread_join(th[i], &ok);
		assert_non_null(ok);
	}
	platform_stats(platform, &stats);
	assert_true(stats.vcpus <= 3);
	assert_true(stats.vcpu_waits > 0);
}

/* Gives its vCPU up after every round, as a thread that blocks in a system call does. */
static void *run_vector_in_pieces(void *arg)
{
	struct cpu_thread *t = thread(1);
	struct arch_regs r = {
		.rip = CODE_VA, .rflags = 0x202, .r12 = (uintptr_t)arg * 0x0101010101010101u};
	struct cpu_trap trap = {.kind = CPU_TRAP_SYSCALL};
	unsigned rounds;

	for (rounds = 0; rounds < 1000 && trap.kind == CPU_TRAP_SYSCALL; rounds++) {
		r.rip = rounds ? CODE_VA + 10 : CODE_VA; /* past the loads */
		r.rbx = 1000;
		run(t, &r, &trap);
		cpu_release(t);
	}
	cpu_thread_destroy(t);
	return (void *)(uintptr_t)(rounds == 1000 && trap.kind == CPU_TRAP_SYSCALL);
}

static void test_vector_state_of_threads_that_come_and_go(void **state)
{
	pthread_t th[8];
	void *ok;

	(void)state;
	load(prog_vector, prog_vector_end);
	for (uintptr_t i = 0; i < 8; i++)
		pthread_create(&th[i], NULL, run_vector_in_pieces, (void *)(i + 1));
	for (unsigned i = 0; i < 8; i++) {
		pthread_join(th[i], &ok);
		assert_non_null(ok);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_syscall_registers),
		cmocka_unit_test(test_getpid_is_answered_inside),
		cmocka_unit_test(test_exceptions),
		cmocka_unit_test(test_page_faults),
		cmocka_unit_test(test_noncanonical_rip),
		cmocka_unit_test(test_jump_to_entry_point),
		cmocka_unit_test(test_kick_stops_a_spinning_program),
		cmocka_unit_test(test_kick_inside_the_shim_loses_nothing),
		cmocka_unit_test(test_vector_state_with_more_threads_than_vcpus),
		cmocka_unit_test(test_vector_state_of_threads_that_come_and_go),
	};
	const struct platform_options opt = {.max_vcpus = 3};
	const struct mm_limits limits = {.arena_bytes = 256 << 20};
	struct mm_map_args code = {.addr = GVA(CODE_VA),
				   .len = 0x1000,
				   .prot = PROT_READ | PROT_WRITE | PROT_EXEC,
				   .flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED};
	struct mm_map_args data = code;
	char err[1024];

	if (platform_create(&opt, &platform, err, sizeof err)) {
		fprintf(stderr, "skipped: %s\n", err);
		return SKIPPED;
	}
	data.addr = GVA(DATA_VA);
	data.len = 0x10000;
	data.prot = PROT_READ | PROT_WRITE;
	if (mm_system_create(platform, &limits, &sys) || platform_boot(platform, sys, err, sizeof err) ||
	    mm_create(sys, &mm) || mm_map(mm, &code) < 0 || mm_map(mm, &data) < 0) {
		fprintf(stderr, "cannot set up the guest\n");
		return 1;
	}
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	mm_teardown(mm);
	mm_put(mm);
	mm_system_destroy(sys);
	platform_destroy(platform);
	return failed;
}
