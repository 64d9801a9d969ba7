/* SPDX-License-Identifier: Apache-2.0 */
#include <asm/prctl.h>
#include <immintrin.h>
#include <stdatomic.h>
#include <sys/auxv.h>
#include <ucontext.h>

#include "guest.h"

static atomic_int wrong;

/* Hold a pattern in all vector registers while the kernel and other threads run. */
__attribute__((target("avx"))) static int hold_avx(unsigned seed, long rounds, bool enter)
{
	float in[8][8], out[8][8];
	for (int i = 0; i < 64; i++)
		in[i / 8][i % 8] = (float)(seed * 100 + i);
	__asm__ volatile("vmovups (%0), %%ymm0; vmovups 32(%0), %%ymm3; vmovups 64(%0), %%ymm6; vmovups 96(%0), %%ymm7;"
			 "vmovups 128(%0), %%ymm8; vmovups 160(%0), %%ymm11; vmovups 192(%0), %%ymm14; vmovups 224(%0), %%ymm15;"
			 "mov %2, %%r12;"
			 "1: test %3, %3; jz 2f; mov $24, %%eax; syscall;" /* sched_yield */
			 "2: dec %%r12; jnz 1b;"
			 "vmovups %%ymm0, (%1); vmovups %%ymm3, 32(%1); vmovups %%ymm6, 64(%1); vmovups %%ymm7, 96(%1);"
			 "vmovups %%ymm8, 128(%1); vmovups %%ymm11, 160(%1); vmovups %%ymm14, 192(%1); vmovups %%ymm15, 224(%1);"
			 :
			 : "r"(in), "r"(out), "r"(rounds), "r"((long)enter)
			 : "memory", "rax", "rcx", "r11", "r12", "xmm0", "xmm3", "xmm6", "xmm7", "xmm8", "xmm11", "xmm14", "xmm15");
	return memcmp(in, out, sizeof(in)) != 0;
}

static void *avx_thread(void *arg)
{
	unsigned seed = (unsigned)(long)arg;
	for (int i = 0; i < 10; i++) {
		wrong += hold_avx(seed + i, 100, true);
		wrong += hold_avx(seed + i, 3000000, false);
	}
	return NULL;
}

TEST(vector_state_survives_switches)
{
	pthread_t t[12];
	set_limit(60);
	if (!__builtin_cpu_supports("avx")) {
		say("wrong 0");
		return;
	}
	for (long i = 0; i < 12; i++)
		pthread_create(&t[i], NULL, avx_thread, (void *)(i * 100));
	for (int i = 0; i < 12; i++)
		pthread_join(t[i], NULL);
	say("wrong %d", wrong);
}

static void clobber(int sig)
{
	(void)sig;
	__asm__ volatile("pxor %%xmm0, %%xmm0; pxor %%xmm3, %%xmm3; pxor %%xmm8, %%xmm8; pxor %%xmm15, %%xmm15" ::
				 : "xmm0", "xmm3", "xmm8", "xmm15");
	if (__builtin_cpu_supports("avx"))
		__asm__ volatile("vzeroall" ::: "xmm0", "xmm3", "xmm6", "xmm7", "xmm8", "xmm11", "xmm14", "xmm15");
}

TEST(vector_state_survives_handlers)
{
	struct sigaction sa = {.sa_handler = clobber, .sa_flags = SA_RESTART};
	sigaction(SIGALRM, &sa, NULL);
	ualarm(1000, 1000);
	int bad = 0;
	for (int i = 0; i < 50 && __builtin_cpu_supports("avx"); i++)
		bad += hold_avx(i, 1000000, false) + hold_avx(i, 20, true);
	ualarm(0, 0);
	say("wrong %d", bad);
}

static void edit_vector(int sig, siginfo_t *si, void *ucv)
{
	ucontext_t *uc = ucv;
	(void)sig, (void)si;
	uc->uc_mcontext.fpregs->_xmm[2].element[0] = 0x11223344;
	uc->uc_mcontext.gregs[REG_RIP] += 2;
}

TEST(handler_may_edit_vector_state)
{
	struct sigaction sa = {.sa_sigaction = edit_vector, .sa_flags = SA_SIGINFO};
	sigaction(SIGILL, &sa, NULL);
	unsigned v = 5;
	__asm__ volatile("movd %0, %%xmm2; ud2; movd %%xmm2, %0" : "+r"(v)::"xmm2");
	say("%#x", v);
}

TEST(control_words_follow_the_thread)
{
	unsigned csr = 0x7f80, got;
	unsigned short cw = 0x0c7f, now;
	__asm__ volatile("ldmxcsr %0; fldcw %1" ::"m"(csr), "m"(cw));
	for (int i = 0; i < 5; i++)
		sleep_ms(2);
	pid_t pid = fork();
	__asm__ volatile("stmxcsr %0; fnstcw %1" : "=m"(got), "=m"(now));
	if (pid == 0) {
		say("child mxcsr %#x cw %#x", got & 0xffc0, now);
		_exit(0);
	}
	reap("child", pid);
	say("mxcsr %#x cw %#x", got & 0xffc0, now);
}

TEST(new_program_has_fresh_state)
{
	unsigned csr;
	unsigned short cw;
	__asm__ volatile("stmxcsr %0; fnstcw %1" : "=m"(csr), "=m"(cw));
	say("mxcsr %#x cw %#x", csr & 0xffc0, cw);
}

TEST(x87_state_survives)
{
	long double v = 1.25L, out;
	__asm__ volatile("fldt %1; mov $24, %%eax; syscall; fstpt %0" : "=m"(out) : "m"(v) : "rax", "rcx", "r11");
	say("%Lg", out);
}

TEST(segment_bases)
{
	unsigned long fs, gs, value = 0x1122334455667788;
	CALL(syscall(SYS_arch_prctl, ARCH_GET_FS, &fs));
	say("matches tls %d", fs == *(unsigned long *)__builtin_thread_pointer());
	CALL(syscall(SYS_arch_prctl, ARCH_SET_GS, &value));
	CALL(syscall(SYS_arch_prctl, ARCH_GET_GS, &gs));
	say("gs %d", gs == (unsigned long)&value);
	unsigned long got;
	for (int i = 0; i < 10; i++)
		sched_yield();
	__asm__ volatile("mov %%gs:0, %0" : "=r"(got));
	say("through gs %#lx", got);
	CALL(syscall(SYS_arch_prctl, ARCH_SET_FS, 0x8000000000000000));
	CALL(syscall(SYS_arch_prctl, ARCH_SET_GS, 0x800000000000));
	CALL(syscall(SYS_arch_prctl, 0x9999, 0));
	CALL(syscall(SYS_arch_prctl, ARCH_GET_FS, 8));
	pid_t pid = MUST(fork());
	if (pid == 0) {
		__asm__ volatile("mov %%gs:0, %0" : "=r"(got));
		say("child through gs %#lx", got);
		_exit(0);
	}
	reap("child", pid);
}

TEST(fsgsbase_instructions)
{
	unsigned long value = 77, got = 0, base = 0;
	if (!(getauxval(26) & 2)) { /* AT_HWCAP2: HWCAP2_FSGSBASE */
		say("through gs 77 same 1");
		return;
	}
	__asm__ volatile("wrgsbase %0" ::"r"(&value));
	for (int i = 0; i < 20; i++)
		sleep_ms(1);
	__asm__ volatile("mov %%gs:0, %0; rdgsbase %1" : "=r"(got), "=r"(base));
	say("through gs %lu same %d", got, base == (unsigned long)&value);
}

static void *gs_thread(void *arg)
{
	unsigned long value = (unsigned long)arg, got;
	syscall(SYS_arch_prctl, ARCH_SET_GS, &value);
	for (int i = 0; i < 300; i++) {
		__asm__ volatile("mov %%gs:0, %0" : "=r"(got));
		wrong += got != value;
		if (i % 3 == 0)
			sched_yield();
	}
	return NULL;
}

TEST(segment_bases_follow_threads)
{
	pthread_t t[10];
	for (long i = 0; i < 10; i++)
		pthread_create(&t[i], NULL, gs_thread, (void *)(i * 3 + 1));
	for (int i = 0; i < 10; i++)
		pthread_join(t[i], NULL);
	say("wrong %d", wrong);
}

TEST(registers_survive_system_calls)
{
	long bad;
	__asm__ volatile("mov $1, %%rbx; mov $2, %%r8; mov $3, %%r9; mov $4, %%r10; mov $5, %%r12; mov $6, %%r13;"
			 "mov $7, %%r14; mov $8, %%r15; mov $9, %%rdi; mov $10, %%rsi; mov $11, %%rdx;"
			 "mov $39, %%eax; syscall; mov $102, %%eax; syscall; mov $24, %%eax; syscall; mov $999, %%eax; syscall;"
			 "add $38, %%rax;" /* -ENOSYS */
			 "sub $1, %%rbx; or %%rbx, %%rax; sub $2, %%r8; or %%r8, %%rax; sub $3, %%r9; or %%r9, %%rax;"
			 "sub $4, %%r10; or %%r10, %%rax; sub $5, %%r12; or %%r12, %%rax; sub $6, %%r13; or %%r13, %%rax;"
			 "sub $7, %%r14; or %%r14, %%rax; sub $8, %%r15; or %%r15, %%rax; sub $9, %%rdi; or %%rdi, %%rax;"
			 "sub $10, %%rsi; or %%rsi, %%rax; sub $11, %%rdx; or %%rdx, %%rax"
			 : "=a"(bad)::"rbx", "r8", "r9", "r10", "r11", "rcx", "r12", "r13", "r14", "r15", "rdi", "rsi", "rdx", "memory", "cc");
	say("bad %ld", bad);
}

TEST(stack_below_the_pointer_is_kept)
{
	/* The red zone: 128 bytes below rsp survive exceptions and handlers. */
	struct sigaction sa = {.sa_handler = clobber};
	sigaction(SIGUSR1, &sa, NULL);
	long bad = 0;
	char *fresh = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	__asm__ volatile("movq $0x5555, -8(%%rsp); movq $0x6666, -128(%%rsp); movb $1, (%1);"
			 "mov $39, %%eax; syscall; mov %%eax, %%edi; mov $10, %%esi; mov $62, %%eax; syscall;"
			 "movq -8(%%rsp), %0; subq $0x5555, %0; movq -128(%%rsp), %%rcx; subq $0x6666, %%rcx; or %%rcx, %0"
			 : "=&r"(bad)
			 : "r"(fresh)
			 : "rax", "rcx", "rdi", "rsi", "r11", "memory", "cc");
	say("bad %ld", bad);
}

TEST(cpuid_and_tsc)
{
	unsigned a = 0, b, c = 0, d;
	__asm__ volatile("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
	say("vendor known %d", b != 0);
	uint64_t first = __builtin_ia32_rdtsc(), second = __builtin_ia32_rdtsc();
	say("forward %d", second >= first);
	uint32_t lo, hi;
	__asm__ volatile("xgetbv" : "=a"(lo), "=d"(hi) : "c"(0));
	say("sse state %d", (lo & 3) == 3);
}
