/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Everything an arm64 program can execute that the processor or the kernel refuses. The signals are
 * compared with a native run; what no native run can tell (the shim's addresses, noise) only has to end.
 */
#include <setjmp.h>

#include "guest.h"
#include "guest_arch.h"

struct insn {
	const char *text;
	const uint32_t *code;
};

#define I(text)                                                                              \
	{                                                                                    \
		text, ({                                                                     \
			const uint32_t *code_at;                                             \
			__asm__ volatile("adrp %0, 1f; add %0, %0, :lo12:1f; .pushsection "  \
					 ".text.insn,\"ax\"\n1: " text "\n ret; .popsection" \
					 : "=r"(code_at));                                   \
			code_at;                                                             \
		})                                                                           \
	}

static sigjmp_buf back;
static siginfo_t seen;

static void on_fault(int sig, siginfo_t *info, void *context)
{
	(void)sig, (void)context;
	seen = *info;
	siglongjmp(back, 1);
}

static void catch_faults(void)
{
	static char stack[65536];
	static const int signals[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP, SIGSYS};
	stack_t ss = {.ss_sp = stack, .ss_size = sizeof stack};
	struct sigaction sa = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_ONSTACK};
	sigaltstack(&ss, NULL);
	for (size_t i = 0; i < ARRAY_SIZE(signals); i++)
		sigaction(signals[i], &sa, NULL);
}

static void try(const char *what, const uint32_t *code)
{
	pid_t pid = MUST(fork());
	if (pid == 0) {
		catch_faults();
		alarm(10);
		if (sigsetjmp(back, 1) == 0) {
			/* X9 and X10 are zero, X11 the stack pointer, which is put right afterwards. */
			__asm__ volatile("mov x19, sp; mov x20, x29; mov x11, sp; mov x9, #0; mov "
					 "x10, #0; blr %0;"
					 "mov sp, x19; mov x29, x20" ::"r"(code)
					 : "memory", "cc", "x0", "x1", "x2", "x3", "x4", "x5", "x6",
					   "x7", "x8", "x9", "x10", "x11", "x19", "x20", "x30",
					   "v0");
			say("%s: went on", what);
		} else {
			say("%s: signal %d code %d address %s", what, seen.si_signo, seen.si_code,
			    seen.si_addr == NULL   ? "0"
			    : seen.si_addr == code ? "the instruction"
						   : "elsewhere");
		}
		_exit(0);
	}
	int status;
	waitpid(pid, &status, 0);
	if (status != 0)
		describe_status(what, status);
}

TEST(instructions)
{
	const struct insn list[] = {
		I("udf #0"),
		I("udf #0xffff"),
		I("brk #0"),
		I("brk #0xffff"),
		I("hlt #0"),
		I("svc #1"),
		I("hvc #0"),
		I("hvc #1"),
		I(".inst 0xd4000003"),
		I("eret"),
		I("drps"),
		I("dcps1"),
		I("dcps2"),
		I("dcps3"),
		I("wfe"),
		I("wfi"),
		I("yield"),
		I("sev"),
		I("esb"),
		I("csdb"),
		I(".inst 0xd50330ff"),
		I("msr daifset, #15"),
		I("msr daifclr, #15"),
		I("mrs x9, daif"),
		I("msr spsel, #0"),
		I("mrs x9, spsel"),
		I("mrs x9, currentel"),
		I("mrs x9, sctlr_el1"),
		I("msr sctlr_el1, x9"),
		I("mrs x9, ttbr0_el1"),
		I("msr ttbr0_el1, x9"),
		I("msr ttbr1_el1, x9"),
		I("msr tcr_el1, x9"),
		I("msr mair_el1, x9"),
		I("mrs x9, vbar_el1"),
		I("msr vbar_el1, x9"),
		I("mrs x9, elr_el1"),
		I("msr spsr_el1, x9"),
		I("msr sp_el0, x9"),
		I("mrs x9, esr_el1"),
		I("mrs x9, far_el1"),
		I("mrs x9, par_el1"),
		I("mrs x9, contextidr_el1"),
		I("mrs x9, tpidr_el1"),
		I("msr tpidrro_el0, x9"),
		I("mrs x9, tpidrro_el0; cbz x9, 2f; 2:"),
		I("mrs x9, cpacr_el1"),
		I("msr cpacr_el1, x9"),
		I("mrs x9, hcr_el2"),
		I("mrs x9, sctlr_el2"),
		I("mrs x9, scr_el3"),
		I("msr mdscr_el1, x9"),
		I("msr oslar_el1, x9"),
		I("mrs x9, mdccsr_el0"),
		I("mrs x9, dbgdtr_el0"),
		I("mrs x9, cntkctl_el1"),
		I("mrs x9, cntp_ctl_el0"),
		I("msr cntv_cval_el0, x9"),
		I("mrs x9, pmcr_el0"),
		I("msr pmuserenr_el0, x9"),
		I("mrs x9, ctr_el0"),
		I("mrs x9, dczid_el0"),
		I("mrs x9, cntvct_el0"),
		I("mrs x9, cntfrq_el0"),
		I("mrs x9, icc_iar1_el1"),
		I("msr icc_sgi1r_el1, x9"),
		I("msr icc_pmr_el1, x9"),
		I("tlbi vmalle1is"),
		I("tlbi vae1is, x9"),
		I("tlbi aside1, x9"),
		I("tlbi alle2"),
		I("ic iallu"),
		I("ic ialluis"),
		I("ic ivau, x11"),
		I("ic ivau, x9"),
		I("dc zva, x9"),
		I("dc zva, x11"),
		I("dc cvau, x11"),
		I("dc cvac, x11"),
		I("dc civac, x11"),
		I("dc civac, x9"),
		I("dc ivac, x11"),
		I("dc isw, x9"),
		I("dc csw, x9"),
		I("at s1e1r, x9"),
		I("at s1e0r, x9"),
		I("mov x9, #1; mov sp, x9; ldr x9, [sp]"),
		I("sub sp, x11, #8; ldr x9, [sp]"),
		I("mov sp, x9; str x9, [sp, #-16]!"),
		I("br x9"),
		I("mov x9, #1; br x9"),
		I("mov x9, #0x7ffffffff000; br x9"),
		I("mov x9, #0x800000000000; br x9"),
		I("mov x9, #0xffff000000000000; br x9"),
		I("movn x9, #0; br x9"),
		I("add x9, x30, #2; br x9"),
		I("ldr x9, [x9]"),
		I("str x9, [x9]"),
		I("mov x9, #0x7ffffffff000; ldr x9, [x9]"),
		I("mov x9, #0xffff000000000000; ldr x9, [x9]"),
		I("mov x9, #0xffffffff80000000; ldr x9, [x9]"),
		I("mov x9, #0xffffffff80000000; str x9, [x9]"),
		I("mov x9, #0xffffffff80000000; orr x9, x9, #0x10000; str x9, [x9]"),
		I("mov x9, #0xffffffff80000000; orr x9, x9, #0x100000; ldr x9, [x9]"),
		I("movn x9, #7; ldr x9, [x9]"),
		I("add x9, x11, #1; ldr x10, [x9]"),
		I("add x9, x11, #1; ldar x10, [x9]"),
		I("add x9, x11, #1; ldxr x10, [x9]"),
		I("add x9, x11, #4; ldxp x9, x10, [x9]"),
		I("clrex"),
		I("ldxr x9, [x11]; stxr w10, x9, [x11]"),
		I("sub x12, x11, #64; mov x9, xzr; str x9, [x12]"),
		I("mov x9, #1; udiv x9, x9, xzr"),
		I("mov x9, #0x1f00; msr fpcr, x9; fmov d0, #1.0; movi d1, #0; fdiv d0, d0, d1; msr "
		  "fpcr, xzr"),
		I(".inst 0x04bf5029"),
		I(".inst 0x2518e3e0"),
		I(".inst 0xd503477f"),
		I(".inst 0x1e7e0000"),
		I(".inst 0xffffffff"),
		I(".inst 0x00000001"),
		I(".inst 0xd53bff00"),
		I(".inst 0xd51bff00"),
		I(".inst 0xd50bffff"),
		I(".inst 0xd500419f"),
		I(".inst 0xd500409f"),
		I(".inst 0xd503245f"),
		I(".inst 0xd503201f"),
	};
	set_limit(120);
	for (size_t i = 0; i < ARRAY_SIZE(list); i++)
		try(list[i].text, list[i].code);
}

static uint64_t wanted_state;
static void set_state(int sig, siginfo_t *info, void *context)
{
	ucontext_t *uc = context;
	(void)sig, (void)info;
	uc->uc_mcontext.pstate = wanted_state;
}

/* What sigreturn(2) takes for the state of the processor, bit by bit, and what is left of it. */
static int return_with_state(void *arg)
{
	struct sigaction sa = {.sa_sigaction = set_state, .sa_flags = SA_SIGINFO};
	uint64_t flags;
	catch_faults();
	sigaction(SIGUSR1, &sa, NULL);
	wanted_state = (uint64_t)(uintptr_t)arg;
	if (sigsetjmp(back, 1) != 0) {
		say("state %#lx: signal %d code %d", wanted_state, seen.si_signo, seen.si_code);
		return 0;
	}
	register long x0 __asm__("x0") = getpid();
	register long x1 __asm__("x1") = SIGUSR1;
	register long x8 __asm__("x8") = SYS_kill;
	__asm__ volatile("svc #0; mrs %1, nzcv"
			 : "+r"(x0), "=r"(flags)
			 : "r"(x1), "r"(x8)
			 : "memory", "cc");
	say("state %#lx: flags %#lx", wanted_state, flags);
	return 0;
}

TEST(flags)
{
	/* Not tried: single steps (bit 21), which nothing asks for here, and features' own bits. */
	static const unsigned bits[] = {0, 2, 3, 4, 5, 6, 7, 8, 9, 20, 28, 29, 30, 31, 32, 40, 63};
	for (size_t i = 0; i < ARRAY_SIZE(bits); i++)
		reap("return", spawn(return_with_state, (void *)(uintptr_t)(1ul << bits[i])));
	reap("return", spawn(return_with_state, (void *)(uintptr_t)0xf0000000));
}

/* ---- only to be survived ---- */

/* The addresses of the shim, entered with what a hostile program would like it to use. */
static int enter_shim(void *arg)
{
	uint64_t at = 0xffffffff80000000ull + (uintptr_t)arg;
	static const uint64_t numbers[] = {172, 174, 124, 1000, ~0ull, 511, 512};
	static const uint64_t words[] = {0, 1, 3, 0x800000000000, 0xffffffff80000800, ~0ull};
	catch_faults();
	for (volatile unsigned n = 0; n < ARRAY_SIZE(numbers) * ARRAY_SIZE(words); n++) {
		alarm(5);
		if (sigsetjmp(back, 1) != 0)
			continue;
		__asm__ volatile("mov x8, %1; mov x9, %2; mov x10, %2; mov x11, %2; br %0" ::"r"(
					 at),
				 "r"(numbers[n / ARRAY_SIZE(words)]),
				 "r"(words[n % ARRAY_SIZE(words)])
				 : "x8", "x9", "x10", "x11", "memory");
	}
	return 0;
}

TEST(survive_shim_entries)
{
	static const unsigned offsets[] = {0,	  2,	 4,	 0x80,	  0x200,    0x400,   0x404,
					   0x480, 0x580, 0x600,	 0x800,	  0x804,    0x840,   0x8c0,
					   0x900, 0xa00, 0x1000, 0x10000, 0x100000, 0x101000};
	int status;
	set_limit(240);
	for (size_t i = 0; i < ARRAY_SIZE(offsets); i++) {
		pid_t pid = spawn(enter_shim, (void *)(uintptr_t)offsets[i]);
		waitpid(pid, &status, 0);
	}
	say("went on");
}

static uint64_t state = 1;
static uint64_t random64(void)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state;
}

/* Instructions a random stream would seldom hit: calls, traps, system registers, cache operations. */
static uint32_t spice(void)
{
	static const uint32_t kinds[] = {0xd4000001, 0xd4000002, 0xd4000003, 0xd4200000,
					 0xd4400000, 0xd69f03e0, 0xd503207f};
	uint64_t r = random64();
	switch (r & 3) {
	case 0: /* any system register, read or written */
		return 0xd5000000 | (uint32_t)(r >> 8 & 0x3fffff);
	case 1: /* system instructions */
		return 0xd5080000 | (uint32_t)(r >> 8 & 0x7ffff);
	default:
		return kinds[(r >> 8) % ARRAY_SIZE(kinds)];
	}
}

static int run_noise(void *arg)
{
	uint32_t *p = mmap(NULL, PAGE, PROT_READ | PROT_WRITE | PROT_EXEC,
			   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uint64_t seed = (uintptr_t)arg * 0x9e3779b97f4a7c15ull;
	catch_faults();
	alarm(2);
	for (volatile int round = 0; round < 40; round++) {
		state = seed + (uint64_t)round + 1;
		for (int i = 0; i < PAGE / 4; i++)
			p[i] = random64() & 1 ? spice() : (uint32_t)random64();
		__builtin___clear_cache((char *)p, (char *)p + PAGE);
		if (sigsetjmp(back, 1) == 0)
			__asm__ volatile("mov x8, %1; mov x1, %2; mov x2, %2; blr %0" ::"r"(
						 p + random64() % (PAGE / 4)),
					 "r"(random64() % 500), "r"(p)
					 : "memory", "x0", "x1", "x2", "x3", "x4", "x5", "x6", "x7",
					   "x8", "x9", "x10", "x11", "x12", "x13", "x14", "x15",
					   "x16", "x17", "x30");
	}
	return 0;
}

TEST(survive_noise)
{
	int status;
	set_limit(400);
	for (long i = 1; i <= 150; i++) {
		pid_t pid = spawn(run_noise, (void *)i);
		waitpid(pid, &status, 0);
		while (waitpid(-1, &status, WNOHANG) > 0)
			;
	}
	say("went on");
}
