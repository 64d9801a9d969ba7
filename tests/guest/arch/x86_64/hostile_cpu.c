/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Everything a program can execute that the processor or the kernel refuses. The signals are compared
 * with a native run; what no native run can tell (the shim's addresses, noise) only has to end.
 */
#include <asm/prctl.h>
#include <setjmp.h>
#include <ucontext.h>

#include "guest.h"

struct insn {
	const char *text;
	const uint8_t *code;
};

/*
 * The instruction is run with RAX, RBX, RDX, RSI, RDI zero and RCX the number of an MSR. Not tried:
 * what hypervisors that emulate a refused instruction call undefined (MONITOR, LDMXCSR of reserved
 * bits, INVPCID, XSAVES), and addresses that 5-level paging makes canonical.
 */
#define I(text)                                                                                    \
	{                                                                                          \
		text, ({                                                                           \
			const uint8_t *code_at;                                                    \
			__asm__ volatile("lea 1f(%%rip), %0; .pushsection .text.insn,\"ax\"\n1: " text \
					 "\n ret; .popsection"                                      \
					 : "=r"(code_at));                                         \
			code_at;                                                                   \
		})                                                                                 \
	}

static sigjmp_buf back;
static siginfo_t seen;
static greg_t seen_trap, seen_error, seen_rip;

static void on_fault(int sig, siginfo_t *info, void *context)
{
	ucontext_t *uc = context;
	(void)sig;
	seen = *info;
	seen_trap = uc->uc_mcontext.gregs[REG_TRAPNO];
	seen_error = uc->uc_mcontext.gregs[REG_ERR];
	seen_rip = uc->uc_mcontext.gregs[REG_RIP];
	siglongjmp(back, 1);
}

static void catch_faults(void)
{
	static char stack[65536];
	stack_t ss = {.ss_sp = stack, .ss_size = sizeof stack};
	struct sigaction sa = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_ONSTACK};
	sigaltstack(&ss, NULL);
	for (int sig = 1; sig < 32; sig++)
		if (sig == SIGSEGV || sig == SIGBUS || sig == SIGILL || sig == SIGFPE || sig == SIGTRAP || sig == SIGSYS)
			sigaction(sig, &sa, NULL);
}

static void describe(const char *what, const void *at)
{
	const char *where = seen.si_addr == NULL ? "0" : seen.si_addr == at ? "the instruction" : "elsewhere";
	if (seen.si_signo == SIGSEGV && seen.si_code == SEGV_MAPERR)
		where = "as asked";
	say("%s: signal %d code %d address %s trap %lld error %llx", what, seen.si_signo, seen.si_code, where,
	    seen_trap, seen_error);
}

static void try(const char *what, const uint8_t *code)
{
	pid_t pid = MUST(fork());
	if (pid == 0) {
		catch_faults();
		alarm(3);
		if (sigsetjmp(back, 1) == 0) {
			__asm__ volatile("call *%0" ::"r"(code), "a"(0), "b"(0), "c"(0xc0000082), "d"(0), "S"(0), "D"(0)
					 : "memory", "cc", "r8", "r9", "r10", "r11");
			say("%s: went on", what);
		} else {
			describe(what, code);
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
		I("hlt"), I("cli"), I("sti"), I("wrmsr"), I("rdmsr"), I("mov %%cr0, %%rax"), I("mov %%cr2, %%rax"),
		I("mov %%cr3, %%rax"), I("mov %%rax, %%cr0"), I("mov %%rax, %%cr3"), I("mov %%rax, %%cr4"),
		I("mov %%rax, %%cr8"), I("mov %%dr0, %%rax"), I("mov %%dr6, %%rax"), I("mov %%rax, %%dr7"),
		I("lgdt (%%rsp)"), I("lidt (%%rsp)"), I("ltr %%ax"), I("lldt %%ax"), I("lmsw %%ax"), I("clts"),
		I("invd"), I("wbinvd"), I("invlpg (%%rsp)"), I("swapgs"), I("sysretq"), I("sysretl"), I("sysexitl"),
		I("inb $0x80, %%al"), I("outb %%al, $0x80"), I("inl %%dx, %%eax"), I("insb"), I("rep outsb"),
		I("xor %%ecx, %%ecx; xsetbv"), I("xor %%ecx, %%ecx; xgetbv"), I("int $0x00"), I("int $0x01"),
		I("int $0x02"), I("int3"), I("int $0x04"), I("int $0x05"), I("int $0x06"), I("int $0x07"), I("int $0x08"),
		I("int $0x09"), I("int $0x0a"), I("int $0x0b"), I("int $0x0c"), I("int $0x0d"), I("int $0x0e"),
		I("int $0x0f"), I("int $0x10"), I("int $0x11"), I("int $0x12"), I("int $0x13"), I("int $0x1e"),
		I("int $0x1f"), I("int $0x20"), I("int $0x30"), I("int $0x81"), I("int $0xf0"), I("int $0xff"),
		I(".byte 0xf1"), I("ud2"), I("ud1 %%eax, %%eax"), I(".byte 0x0f, 0xff, 0xc0"), I(".byte 0x06"),
		I(".byte 0x9a, 0, 0, 0, 0, 0x33, 0"), I(".byte 0xea, 0, 0, 0, 0, 0x33, 0"), I(".byte 0xce"),
		I("rdtsc"), I("rdtscp"), I("cpuid"), I("mov $7, %%eax; cpuid"),
		I("lock addl $1, %%ss:(%%rsp)"), I(".byte 0xf0, 0x90"), I(".byte 0xf0, 0x89, 0xc0"),
		I("xor %%ecx, %%ecx; div %%ecx"), I("mov $0x80000000, %%eax; cltd; mov $-1, %%ecx; idiv %%ecx"),
		I("pushq $0x10; pushq $0; lretq"), I("pushq $0x18; pushq $0; lretq"), I("pushq $0x40; pushq $0; lretq"),
		I("pushq $0x2b; pushq $0; lretq"), I("pushq $0xffff; pushq $0; lretq"), I("pushq $0; pushq $0; lretq"),
		I("push %%rax; push %%rax; push %%rax; push %%rax; push %%rax; iretq"),
		I("mov %%rsp, %%rax; push $0x18; push %%rax; pushf; push $0x10; lea 2f(%%rip), %%rax; push %%rax; iretq; 2:"),
		I("mov %%rsp, %%rax; push $0x2b; push %%rax; pushf; push $0x33; lea 2f(%%rip), %%rax; push %%rax; iretq; 2:"),
		I("mov %%rsp, %%rax; push $0x2b; push %%rax; pushf; orl $0x3000, (%%rsp); push $0x33;"
		  "lea 2f(%%rip), %%rax; push %%rax; iretq; 2: pushf; pop %%rax; test $0x3000, %%eax; jz 3f; ud2; 3:"),
		I("movups 8(%%rsp), %%xmm0; movaps 1(%%rsp), %%xmm0"), I("fldz; fld1; fdivp; fnstcw -8(%%rsp)"),
		I("movw $0, -8(%%rsp); fldcw -8(%%rsp); fldz; fld1; fdivp; fwait"),
		I("movl $0, -8(%%rsp); ldmxcsr -8(%%rsp); xorps %%xmm0, %%xmm0; divss %%xmm0, %%xmm0"),
		I("mov $0x1ff80, %%eax; movq %%rax, %%fs:0xffffffff80000000"), I("mov 0xffffffff80000000, %%al"),
		I("movb $0, 0xffffffff80000000"), I("mov 0xffffffff80100000, %%al"), I("mov 0xffffffff80101000, %%al"),
		I("mov 0xffffffff80102000, %%al"), I("movabs $0x8000000000000000, %%rax; mov (%%rax), %%al"),
		I("movabs $0x7ffffffff000, %%rax; mov (%%rax), %%al"), I("movabs $-8, %%rax; mov (%%rax), %%rbx"),
		I("movabs $-1, %%rax; mov (%%rax), %%rbx"),
		I("movabs $0xffff800000000000, %%rax; mov (%%rax), %%al"), I("mov %%rsp, %%rbp; movabs $0x8000000000000000, %%rsp; push %%rax"),
		I("mov %%rsp, %%rbp; mov $0, %%rsp; push %%rax"), I("mov %%rsp, %%rbp; mov $8, %%rsp; call *%%rax"),
		I("movabs $0x8000000000000000, %%rbp; mov (%%rbp), %%al"), I("jmp *%%rax"), I("mov $1, %%eax; jmp *%%rax"),
		I("movabs $0x7ffffffff000, %%rax; jmp *%%rax"), I("movabs $0x800000000000, %%rax; jmp *%%rax"),
		I("movabs $0x7fffffffffff, %%rax; jmp *%%rax"), I("movabs $0xffff800000000000, %%rax; jmp *%%rax"),
		I("movabs $0xffffffffffffffff, %%rax; jmp *%%rax"), I("movabs $0x8000000000000000, %%rax; jmp *%%rax"),
		I("push %%rax; ret"), I("movabs $0x8000000000000000, %%rax; push %%rax; ret"),
		I("movabs $0x4000000000000000, %%rax; wrfsbase %%rax"), I("movabs $0x8000000000000000, %%rax; wrgsbase %%rax"),
		I("movabs $0xffff800000000000, %%rax; rdgsbase %%rbx; wrgsbase %%rax; wrgsbase %%rbx"),
		I("rdpid %%rax"), I("clflush (%%rsp)"), I("prefetchw (%%rax)"), I("xend"), I("vmlaunch"), I("vmresume"),
		I("vmread %%rax, %%rax"), I("vmxoff"), I("vmrun"), I("clgi"), I("stgi"), I("skinit"), I("invlpga"), I("rsm"),
		I("getsec"), I("invept (%%rsp), %%rax"), I("clac"), I("stac"),
	};
	set_limit(120);
	for (size_t i = 0; i < ARRAY_SIZE(list); i++)
		try(list[i].text, list[i].code);
}

/* mov to each segment register with every selector of the tables Linux has, and some past them. */
static int load_selector(int which, uint16_t selector)
{
	if (sigsetjmp(back, 1) != 0)
		return seen.si_signo << 16 | (int)seen_error;
	switch (which) {
	case 0:
		__asm__ volatile("mov %0, %%ds" ::"r"(selector));
		break;
	case 1:
		__asm__ volatile("mov %0, %%es" ::"r"(selector));
		break;
	case 2:
		__asm__ volatile("mov %%gs, %%ecx; mov %0, %%gs; mov %%ecx, %%gs" ::"r"(selector) : "ecx");
		break;
	case 3:
		__asm__ volatile("mov %0, %%ss" ::"r"(selector));
	}
	return 0;
}

static int load_selectors(void *arg)
{
	static const char *const names[] = {"ds", "es", "gs", "ss"};
	(void)arg;
	catch_faults();
	for (int which = 0; which < 4; which++)
		for (int selector = 0; selector < 0x400; selector++) {
			/* Compatibility mode's, the CPU number's and the thread's own: not offered. */
			if ((selector >= 0x20 && selector < 0x28) || (selector >= 0x60 && selector < 0x80))
				continue;
			int got = load_selector(which, (uint16_t)selector);
			if (!got)
				say("%s %#x: went on", names[which], selector);
			else if (got != (SIGSEGV << 16 | (selector & ~3)))
				say("%s %#x: signal %d error %#x", names[which], selector, got >> 16, got & 0xffff);
		}
	return 0;
}

TEST(selectors)
{
	set_limit(60);
	reap("selectors", spawn(load_selectors, NULL));
}

/* The single-step flag, with system calls answered by the kernel and near the program. */
static volatile int steps;
static uint64_t step_offset[64];
extern const uint8_t steps_start[], steps_end[];

static void on_step(int sig, siginfo_t *info, void *context)
{
	ucontext_t *uc = context;
	uint64_t rip = (uint64_t)uc->uc_mcontext.gregs[REG_RIP];
	(void)sig;
	if (steps < 64)
		step_offset[steps] = (rip - (uintptr_t)steps_start) << 8 | (unsigned)(info->si_code & 0xff);
	steps++;
	if (rip >= (uintptr_t)steps_end)
		uc->uc_mcontext.gregs[REG_EFL] &= ~0x100ll;
}

TEST(single_step)
{
	struct sigaction sa = {.sa_sigaction = on_step, .sa_flags = SA_SIGINFO};
	sigaction(SIGTRAP, &sa, NULL);
	__asm__ volatile(".globl steps_start, steps_end\n"
			 "pushf; orl $0x100, (%%rsp); popf\n"
			 "steps_start: nop; mov $39, %%eax; syscall; nop; mov $102, %%eax; syscall; nop; mov $110, %%eax; "
			 "syscall; nop; mov $1000, %%eax; syscall; cpuid; mov $24, %%eax; syscall; syscall; mov $186, %%eax; "
			 "syscall; pushf; pop %%rdx; movl $0, %%ecx; nop\n"
			 "steps_end: nop; nop; nop" ::
				 : "rax", "rbx", "rcx", "rdx", "r11", "memory", "cc");
	say("%d steps", steps);
	for (int i = 0; i < steps && i < 64; i++)
		say("at %lld code %d", (long long)((int64_t)step_offset[i] >> 8), (int)(step_offset[i] & 0xff));
}

static uint64_t swap_flags(uint64_t flags)
{
	uint64_t got;
	__asm__ volatile("pushf; push %1; popf; pushf; pop %0; popf" : "=&r"(got) : "r"(flags) : "memory", "cc");
	return got;
}

static uint64_t flags_after_call(uint64_t flags, long nr, uint64_t *r11)
{
	uint64_t got, kept;
	__asm__ volatile("pushf; push %2; popf; syscall; pushf; pop %0; mov %%r11, %1; popf"
			 : "=&r"(got), "=&r"(kept), "+r"(flags), "+a"(nr)
			 :
			 : "rcx", "r11", "memory", "cc");
	*r11 = kept;
	return got;
}

static greg_t wanted_flags;
static void set_flags(int sig, siginfo_t *info, void *context)
{
	ucontext_t *uc = context;
	(void)sig, (void)info;
	uc->uc_mcontext.gregs[REG_EFL] = wanted_flags;
}

TEST(flags)
{
	struct sigaction sa = {.sa_sigaction = set_flags, .sa_flags = SA_SIGINFO};
	sigaction(SIGUSR1, &sa, NULL);
	for (int bit = 0; bit < 64; bit++) {
		uint64_t flag = 1ull << bit, got, r11;
		if (bit == 8 || bit == 14) /* single steps; NT, which emulated SYSRETs lose */
			continue;
		say("bit %d: popf %#lx", bit, swap_flags(flag | 2));
		got = flags_after_call(flag | 2, 39, &r11);
		/* R11 after a call is anything (syscall(2)); what a forwarded one shows is checked below. */
		say("bit %d: getpid %#lx", bit, got & ~0x8d4ul);
		got = flags_after_call(flag | 2, 102, &r11);
		say("bit %d: getuid %#lx", bit, got & ~0x8d4ul);
		got = flags_after_call(flag | 2, 110, &r11);
		say("bit %d: getppid %#lx r11 %#lx", bit, got & ~0x8d4ul, r11 & ~0x8d4ul);
		wanted_flags = (greg_t)(flag | 2);
		long self = getpid(), result;
		__asm__ volatile("pushf; syscall; pushf; pop %1; popf"
				 : "=a"(result), "=r"(got)
				 : "a"(SYS_kill), "D"(self), "S"(SIGUSR1)
				 : "rcx", "r11", "memory", "cc");
		say("bit %d: sigreturn %#lx", bit, got & ~0x8d4ul);
	}
}

static int misalign(void *arg)
{
	char *page = arg;
	catch_faults();
	if (sigsetjmp(back, 1) == 0) {
		__asm__ volatile("pushf; orl $0x40000, (%%rsp); popf; mov 1(%0), %%rax" ::"r"(page) : "rax", "memory", "cc");
		say("went on");
	} else {
		__asm__ volatile("pushf; andl $~0x40000, (%%rsp); popf" ::: "memory", "cc");
		describe("misaligned", page + 1);
	}
	return 0;
}

TEST(alignment_check)
{
	char *page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	reap("misaligned access", spawn(misalign, page));
}

TEST(bases)
{
	static const uint64_t bases[] = {0, 1, 0x7ffffffff000, 0x7fffffffffff, 0x800000000000, 0xffff800000000000,
					 0xffffffffffffffff, 0x8000000000000000};
	for (size_t i = 0; i < ARRAY_SIZE(bases); i++) {
		uint64_t got = 0;
		say("base %#lx", bases[i]);
		report("set", syscall(SYS_arch_prctl, ARCH_SET_GS, bases[i]));
		report("get", syscall(SYS_arch_prctl, ARCH_GET_GS, &got));
		say("got %#lx", got);
		if (bases[i] >> 47 != 0)
			continue;
		__asm__ volatile("wrgsbase %0" ::"r"(bases[i]));
		sched_yield();
		getppid();
		__asm__ volatile("rdgsbase %0" : "=r"(got));
		say("kept %#lx", got);
	}
	report("get to nowhere", syscall(SYS_arch_prctl, ARCH_GET_GS, 8));
}

/* ---- only to be survived ---- */

/* The addresses of the shim, entered with what a hostile program would like it to use. */
static int enter_shim(void *arg)
{
	uint64_t at = 0xffffffff80000000ull + (uintptr_t)arg;
	static const uint64_t rcx[] = {0, 0x800000000000, 0x8000000000000000, 0xffffffff80000410, 0xffffffff80000300};
	static const uint64_t r11[] = {0, 0x3202, 0x100, 0x4000, 0x40000, 0x20000, ~0ull};
	static const uint64_t rax[] = {39, 102, 24, 1000, ~0ull, 511, 512};
	catch_faults();
	for (volatile unsigned n = 0; n < 5 * 7 * 7; n++) {
		alarm(2);
		if (sigsetjmp(back, 1) != 0)
			continue;
		__asm__ volatile("mov %1, %%r11; jmp *%2" ::"c"(rcx[n % 5]), "r"(r11[n / 5 % 7]), "r"(at), "a"(rax[n / 35]),
				 "d"(0)
				 : "r11", "memory");
	}
	return 0;
}

TEST(survive_shim_entries)
{
	static const unsigned offsets[] = {0, 1, 0x10, 0xd0, 0xe0, 0x200, 0x201, 0x208, 0x300, 0x301, 0x302, 0x306, 0x30b,
					   0x320, 0x400, 0x410, 0x420, 0x421, 0x460, 0x5ff, 0x600, 0x1000, 0x2000, 0x100000,
					   0x101000, 0x102000, 0x104000};
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

/* Opcodes a random stream would seldom hit, strewn among noise. */
static const uint32_t spice[] = {0x050f, 0x340f, 0x350f, 0x070f, 0xf8010f, 0xc1010f, 0xd9010f, 0x0b0f, 0x300f, 0x320f,
				 0xcf48, 0xcb48, 0x80cd, 0xd88e, 0xe08e, 0xe88e, 0xd08e, 0x9d, 0xaef0f3, 0xaed8f3, 0xf4,
				 0xd8220f, 0x380f0f, 0xaf0f, 0x21ae0f, 0x31ae0f, 0xd0010f, 0xf1, 0xcc, 0xfa, 0xca010f};

static int run_noise(void *arg)
{
	unsigned char *p = mmap(NULL, PAGE, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uint64_t seed = (uintptr_t)arg * 0x9e3779b97f4a7c15ull;
	catch_faults();
	alarm(1);
	for (volatile int round = 0; round < 40; round++) {
		state = seed + (uint64_t)round + 1;
		for (int i = 0; i < PAGE; i += 8)
			*(uint64_t *)(p + i) = random64();
		for (int i = 0; i < 200; i++)
			memcpy(p + random64() % (PAGE - 4), &spice[random64() % ARRAY_SIZE(spice)], 3);
		if (sigsetjmp(back, 1) == 0)
			__asm__ volatile("call *%0" ::"r"(p + random64() % PAGE), "a"(random64() % 600), "c"(random64()),
					 "d"(p), "S"(p), "D"(p), "b"(random64())
					 : "memory", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15");
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
