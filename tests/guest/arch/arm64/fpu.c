/* SPDX-License-Identifier: Apache-2.0 */
/* Registers of arm64: vector state, control words, thread pointers, what system calls keep. */
#include <asm/sigcontext.h>
#include <stdatomic.h>
#include <sys/auxv.h>
#include <ucontext.h>

#include "guest.h"

static atomic_int wrong;

#define ALL_VECTORS                                                                             \
	"v0", "v1", "v2", "v3", "v4", "v5", "v6", "v7", "v8", "v9", "v10", "v11", "v12", "v13", \
		"v14", "v15", "v16", "v17", "v18", "v19", "v20", "v21", "v22", "v23", "v24",    \
		"v25", "v26", "v27", "v28", "v29", "v30", "v31"

/* Hold a pattern in all vector registers while the kernel and other threads run. */
static int hold_vectors(unsigned seed, long rounds, bool enter)
{
	uint64_t in[64], out[64];
	for (int i = 0; i < 64; i++)
		in[i] = seed * 0x9e3779b97f4a7c15ull + (unsigned)i;
	__asm__ volatile("mov x9, %0; ld1 {v0.2d-v3.2d}, [x9], #64; ld1 {v4.2d-v7.2d}, [x9], #64;"
			 "ld1 {v8.2d-v11.2d}, [x9], #64; ld1 {v12.2d-v15.2d}, [x9], #64;"
			 "ld1 {v16.2d-v19.2d}, [x9], #64; ld1 {v20.2d-v23.2d}, [x9], #64;"
			 "ld1 {v24.2d-v27.2d}, [x9], #64; ld1 {v28.2d-v31.2d}, [x9]; mov x10, %2;"
			 "1: cbz %3, 2f; mov x8, #124; svc #0;" /* sched_yield */
			 "2: subs x10, x10, #1; b.ne 1b;"
			 "mov x9, %1; st1 {v0.2d-v3.2d}, [x9], #64; st1 {v4.2d-v7.2d}, [x9], #64;"
			 "st1 {v8.2d-v11.2d}, [x9], #64; st1 {v12.2d-v15.2d}, [x9], #64;"
			 "st1 {v16.2d-v19.2d}, [x9], #64; st1 {v20.2d-v23.2d}, [x9], #64;"
			 "st1 {v24.2d-v27.2d}, [x9], #64; st1 {v28.2d-v31.2d}, [x9]"
			 :
			 : "r"(in), "r"(out), "r"(rounds), "r"((long)enter)
			 : "memory", "cc", "x0", "x8", "x9", "x10", ALL_VECTORS);
	return memcmp(in, out, sizeof(in)) != 0;
}

static void *vector_thread(void *arg)
{
	unsigned seed = (unsigned)(long)arg;
	for (unsigned i = 0; i < 10; i++) {
		wrong += hold_vectors(seed + i, 100, true);
		wrong += hold_vectors(seed + i, 1000000, false);
	}
	return NULL;
}

TEST(vector_state_survives_switches)
{
	pthread_t t[12];
	set_limit(60);
	for (long i = 0; i < 12; i++)
		pthread_create(&t[i], NULL, vector_thread, (void *)(i * 100));
	for (int i = 0; i < 12; i++)
		pthread_join(t[i], NULL);
	say("wrong %d", wrong);
}

static void clobber(int sig)
{
	(void)sig;
	__asm__ volatile(
		"movi v0.2d, #0; movi v7.2d, #0; movi v8.2d, #0; movi v15.2d, #0; movi v16.2d, #0;"
		"movi v31.2d, #0" ::
			: "v0", "v7", "v8", "v15", "v16", "v31");
}

TEST(vector_state_survives_handlers)
{
	struct sigaction sa = {.sa_handler = clobber, .sa_flags = SA_RESTART};
	sigaction(SIGALRM, &sa, NULL);
	ualarm(1000, 1000);
	int bad = 0;
	for (unsigned i = 0; i < 50; i++)
		bad += hold_vectors(i, 1000000, false) + hold_vectors(i, 20, true);
	ualarm(0, 0);
	say("wrong %d", bad);
}

static struct _aarch64_ctx *record_of(ucontext_t *uc, uint32_t magic)
{
	struct _aarch64_ctx *r = (struct _aarch64_ctx *)uc->uc_mcontext.__reserved;
	while (r->magic && r->magic != magic)
		r = (struct _aarch64_ctx *)((char *)r + r->size);
	return r->magic ? r : NULL;
}

static void edit_vector(int sig, siginfo_t *si, void *context)
{
	ucontext_t *uc = context;
	struct fpsimd_context *fp = (struct fpsimd_context *)record_of(uc, FPSIMD_MAGIC);
	(void)sig, (void)si;
	if (fp)
		fp->vregs[2] = 0x11223344;
	uc->uc_mcontext.pc += 4;
}

TEST(handler_may_edit_vector_state)
{
	struct sigaction sa = {.sa_sigaction = edit_vector, .sa_flags = SA_SIGINFO};
	sigaction(SIGILL, &sa, NULL);
	unsigned long v = 5;
	__asm__ volatile("fmov d2, %0; udf #0; fmov %0, d2" : "+r"(v)::"v2");
	say("%#lx", v);
}

static void show_frame(int sig, siginfo_t *si, void *context)
{
	ucontext_t *uc = context;
	struct esr_context *esr = (struct esr_context *)record_of(uc, ESR_MAGIC);
	struct fpsimd_context *fp = (struct fpsimd_context *)record_of(uc, FPSIMD_MAGIC);
	say("signal %d code %d flags %lu pstate %#llx same address %d", sig, si->si_code,
	    uc->uc_flags, uc->uc_mcontext.pstate & ~0xf0001000ull,
	    (void *)uc->uc_mcontext.fault_address == si->si_addr);
	say("fpsimd %d size %u esr %d class %#llx rest %#llx", fp != NULL, fp ? fp->head.size : 0,
	    esr != NULL, esr ? esr->esr >> 26 : 0ull,
	    esr ? esr->esr & 0x3fffffc : 0ull); /* not the level */
	if (si->si_signo != SIGUSR1)
		uc->uc_mcontext.pc += 4;
}

/* The records of a frame: the syndrome is there after faults, and only of those addresses show it. */
TEST(frames_hold_the_records_of_linux)
{
	struct sigaction sa = {.sa_sigaction = show_frame, .sa_flags = SA_SIGINFO};
	static const int signals[] = {SIGSEGV, SIGBUS, SIGILL, SIGTRAP, SIGUSR1};
	char *readable = mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char *none = mmap(NULL, PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	for (size_t i = 0; i < ARRAY_SIZE(signals); i++)
		sigaction(signals[i], &sa, NULL);
	raise(SIGUSR1);
	__asm__ volatile("ldrb w9, [%0]" ::"r"(8ul) : "x9", "memory");
	__asm__ volatile("strb w9, [%0]" ::"r"(8ul) : "memory");
	__asm__ volatile("ldrb w9, [%0]" ::"r"(none) : "x9", "memory");
	(void)*(volatile char *)readable;
	__asm__ volatile("strb w9, [%0]" ::"r"(readable) : "memory");
	__asm__ volatile("ldrb w9, [%0]" ::"r"(0xffff000012345678) : "x9", "memory");
	__asm__ volatile("ldrb w9, [%0]" ::"r"(0x0012345678000000) : "x9", "memory");
	__asm__ volatile("brk #7");
	__asm__ volatile("udf #3");
	raise(SIGUSR1);
}

static uint64_t fpcr(void)
{
	uint64_t v;
	__asm__ volatile("mrs %0, fpcr" : "=r"(v));
	return v;
}

static uint64_t fpsr(void)
{
	uint64_t v;
	__asm__ volatile("mrs %0, fpsr" : "=r"(v));
	return v;
}

TEST(control_words_follow_the_thread)
{
	uint64_t control = 0x1c00000, status = 0x8; /* round to zero, flush to zero; underflow */
	__asm__ volatile("msr fpcr, %0; msr fpsr, %1" ::"r"(control), "r"(status));
	for (int i = 0; i < 5; i++)
		sleep_ms(2);
	pid_t pid = fork();
	uint64_t c = fpcr(), s = fpsr();
	if (pid == 0) {
		say("child fpcr %#lx fpsr %#lx", c, s);
		_exit(0);
	}
	reap("child", pid);
	say("fpcr %#lx fpsr %#lx", c, s);
}

TEST(new_program_has_fresh_state)
{
	uint64_t c = fpcr();
	say("fpcr %#lx", c);
}

static void *tls_thread(void *arg)
{
	unsigned long value = (unsigned long)arg, old, got;
	/* No call of the C library while its thread pointer is gone. */
	__asm__ volatile("mrs %0, tpidr_el0" : "=r"(old));
	for (int i = 0; i < 300; i++) {
		__asm__ volatile("msr tpidr_el0, %1; mov x8, #124; svc #0; mrs %0, tpidr_el0; msr "
				 "tpidr_el0, %2"
				 : "=&r"(got)
				 : "r"(value), "r"(old)
				 : "x0", "x8", "memory");
		wrong += got != value;
	}
	return NULL;
}

TEST(thread_pointers_follow_threads)
{
	pthread_t t[10];
	for (long i = 0; i < 10; i++)
		pthread_create(&t[i], NULL, tls_thread, (void *)(i * 3 + 1));
	for (int i = 0; i < 10; i++)
		pthread_join(t[i], NULL);
	say("wrong %d", wrong);
}

TEST(registers_survive_system_calls)
{
	/* getpid and getuid may be answered nearer than sched_yield, getppid and a call there is not. */
	static const unsigned long calls[] = {172, 174, 124, 173, 9999};
	for (size_t i = 0; i < ARRAY_SIZE(calls); i++) {
		register unsigned long x8 __asm__("x8") = calls[i];
		register unsigned long x0 __asm__("x0") = 1;
		unsigned long bad;
		__asm__ volatile(
			"mov x1, #1; mov x2, #2; mov x3, #3; mov x4, #4; mov x5, #5; mov x6, #6; "
			"mov x7, #7;"
			"mov x9, #9; mov x10, #10; mov x11, #11; mov x12, #12; mov x13, #13; mov "
			"x14, #14;"
			"mov x15, #15; mov x16, #16; mov x17, #17; mov x19, #19; mov x20, #20; mov "
			"x21, #21;"
			"mov x22, #22; mov x23, #23; mov x24, #24; mov x25, #25; mov x26, #26; mov "
			"x27, #27;"
			"mov x28, #28; mov x30, #30; svc #0;"
			"eor x1, x1, #1; sub x2, x2, #2; sub x3, x3, #3; sub x4, x4, #4; sub x5, "
			"x5, #5;"
			"sub x6, x6, #6; sub x7, x7, #7; sub x9, x9, #9; sub x10, x10, #10; sub "
			"x11, x11, #11;"
			"sub x12, x12, #12; sub x13, x13, #13; sub x14, x14, #14; sub x15, x15, "
			"#15;"
			"sub x16, x16, #16; sub x17, x17, #17; sub x19, x19, #19; sub x20, x20, "
			"#20;"
			"sub x21, x21, #21; sub x22, x22, #22; sub x23, x23, #23; sub x24, x24, "
			"#24;"
			"sub x25, x25, #25; sub x26, x26, #26; sub x27, x27, #27; sub x28, x28, "
			"#28;"
			"sub x30, x30, #30; orr x1, x1, x2; orr x3, x3, x4; orr x5, x5, x6; orr "
			"x7, x7, x9;"
			"orr x10, x10, x11; orr x12, x12, x13; orr x14, x14, x15; orr x16, x16, "
			"x17;"
			"orr x19, x19, x20; orr x21, x21, x22; orr x23, x23, x24; orr x25, x25, "
			"x26;"
			"orr x27, x27, x28; orr x1, x1, x3; orr x5, x5, x7; orr x10, x10, x12;"
			"orr x14, x14, x16; orr x19, x19, x21; orr x23, x23, x25; orr x27, x27, "
			"x30;"
			"orr x1, x1, x5; orr x10, x10, x14; orr x19, x19, x23; orr x1, x1, x10;"
			"orr x19, x19, x27; orr %1, x1, x19"
			: "+r"(x0), "=r"(bad), "+r"(x8)
			:
			: "x1", "x2", "x3", "x4", "x5", "x6", "x7", "x9", "x10", "x11", "x12",
			  "x13", "x14", "x15", "x16", "x17", "x19", "x20", "x21", "x22", "x23",
			  "x24", "x25", "x26", "x27", "x28", "x30", "memory", "cc");
		say("bad %lu number kept %d", bad, x8 == calls[i]);
	}
}

TEST(memory_below_the_stack_pointer_may_change_but_not_above)
{
	struct sigaction sa = {.sa_handler = clobber};
	volatile unsigned long above[64];
	long bad = 0;
	sigaction(SIGUSR1, &sa, NULL);
	for (unsigned i = 0; i < 64; i++)
		above[i] = i * 0x5555;
	raise(SIGUSR1);
	for (unsigned i = 0; i < 64; i++)
		bad += above[i] != i * 0x5555;
	say("bad %ld", bad);
}

TEST(counter_and_cache_lines)
{
	uint64_t first, second, ctr, zva;
	__asm__ volatile("isb; mrs %0, cntvct_el0; isb; mrs %1, cntvct_el0"
			 : "=r"(first), "=r"(second));
	say("forward %d", second >= first);
	__asm__ volatile("mrs %0, ctr_el0; mrs %1, dczid_el0" : "=r"(ctr), "=r"(zva));
	say("lines %lu %lu zeroing %#lx", ctr >> 16 & 15, ctr & 15, zva);
	char *p = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	memset(p, 1, PAGE);
	__asm__ volatile("dc zva, %0" ::"r"(p + 1024) : "memory");
	say("before %d in %d", p[1023], p[1024]);
	__asm__ volatile(
		"dc cvau, %0; dc cvac, %0; dc civac, %0; ic ivau, %0; dsb ish; isb" ::"r"(p)
		: "memory");
	say("cache maintenance");
}

/* A feature that is announced can be used; one that is not gives SIGILL: never lost state. */
static int use_vector_length(void *arg)
{
	(void)arg;
	__asm__ volatile(".arch_extension sve; rdvl x9, #1" ::: "x9");
	return 0;
}

TEST(announced_features_work)
{
	bool announced = getauxval(AT_HWCAP) & 1ul << 22; /* HWCAP_SVE */
	int status;
	waitpid(spawn(use_vector_length, NULL), &status, 0);
	say("consistent %d",
	    announced ? status == 0 : WIFSIGNALED(status) && WTERMSIG(status) == SIGILL);
}
