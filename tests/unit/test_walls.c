/* SPDX-License-Identifier: Apache-2.0 */
/* The sandbox's seccomp filter, run by a small interpreter of classic BPF. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <linux/audit.h>
#include <linux/seccomp.h>
#include <linux/sockios.h>
#include <sched.h>
#include <seccomp.h>
#include <stdbool.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "oci/walls.h"

#define ARCH 0x1234u
#define DENY (SECCOMP_RET_ERRNO | EPERM)

static uint32_t step(const struct sock_filter *f, const struct seccomp_data *d, uint32_t *a,
		     size_t *pc)
{
	switch (f->code) {
	case BPF_LD | BPF_W | BPF_ABS:
		memcpy(a, (const char *)d + f->k, sizeof(*a));
		break;
	case BPF_ALU | BPF_AND | BPF_K:
		*a &= f->k;
		break;
	case BPF_JMP | BPF_JA:
		*pc += f->k;
		break;
	case BPF_JMP | BPF_JEQ | BPF_K:
		*pc += *a == f->k ? f->jt : f->jf;
		break;
	case BPF_JMP | BPF_JGE | BPF_K:
		*pc += *a >= f->k ? f->jt : f->jf;
		break;
	default:
		fail_msg("instruction %x", f->code);
	}
	return 0;
}

static uint32_t run_arg(const struct sock_filter *f, size_t n, uint32_t arch, uint32_t nr,
			unsigned which, uint64_t arg)
{
	struct seccomp_data d = {.nr = (int)nr, .arch = arch};
	uint32_t a = 0;

	d.args[which] = arg;
	for (size_t pc = 0; pc < n; pc++) {
		if (f[pc].code == (BPF_RET | BPF_K))
			return f[pc].k;
		step(&f[pc], &d, &a, &pc);
	}
	fail_msg("ran off the end");
	return 0;
}

static uint32_t run(const struct sock_filter *f, size_t n, uint32_t arch, uint32_t nr, uint64_t arg)
{
	return run_arg(f, n, arch, nr, 0, arg);
}

static void every_number_gets_its_rule(void **state)
{
	static const struct walls_match values[] = {{0xf, 7, SECCOMP_RET_ALLOW},
						    {~0u, 0x18, SECCOMP_RET_KILL_THREAD},
						    {0xf, 8, SECCOMP_RET_ALLOW}};
	struct walls_rule rules[] = {
		{.nr = 5, .action = SECCOMP_RET_ALLOW},
		{.nr = 0, .action = SECCOMP_RET_ALLOW},
		{.nr = 6, .action = SECCOMP_RET_ALLOW},
		{.nr = 7, .action = SECCOMP_RET_KILL_PROCESS},
		{8, DENY, 0, values, 3},
		{.nr = 99, .action = SECCOMP_RET_ERRNO | ENOSYS},
	};
	struct sock_filter f[64];
	size_t n = walls_compile(rules, 6, ARCH, 100, DENY, f, 64);

	(void)state;
	assert_true(n > 0);
	for (uint32_t nr = 0; nr < 120; nr++) {
		uint32_t want = nr >= 100			? SECCOMP_RET_KILL_PROCESS
				: nr == 0 || nr == 5 || nr == 6 ? SECCOMP_RET_ALLOW
				: nr == 7			? SECCOMP_RET_KILL_PROCESS
				: nr == 99			? SECCOMP_RET_ERRNO | ENOSYS
								: DENY;

		assert_int_equal(run(f, n, ARCH, nr, 0), want);
	}
	assert_int_equal(run(f, n, ARCH, 8, 7), SECCOMP_RET_ALLOW);
	assert_int_equal(run(f, n, ARCH, 8, 0xf7), SECCOMP_RET_ALLOW);
	assert_int_equal(run(f, n, ARCH, 8, 8), SECCOMP_RET_ALLOW);
	assert_int_equal(run(f, n, ARCH, 8, 0x18), SECCOMP_RET_KILL_THREAD);
	assert_int_equal(run(f, n, ARCH, 8, 9), DENY);
	assert_int_equal(run(f, n, ARCH + 1, 5, 0), SECCOMP_RET_KILL_PROCESS);
}

static void what_cannot_be_compiled_is_refused(void **state)
{
	struct walls_rule twice[] = {{.nr = 3, .action = DENY}, {.nr = 3, .action = DENY}};
	struct walls_rule beyond[] = {{.nr = 100, .action = DENY}};
	struct sock_filter f[64];

	(void)state;
	assert_int_equal(walls_compile(twice, 2, ARCH, 100, DENY, f, 64), 0);
	assert_int_equal(walls_compile(beyond, 1, ARCH, 100, DENY, f, 64), 0);
	assert_int_equal(walls_compile(beyond, 1, ARCH, 200, DENY, f, 6), 0);
}

static void the_sandbox_has_threads_files_and_no_more(void **state)
{
	struct sock_filter f[2048];
	size_t n = walls_program(f, 2048);
	uint32_t arch = seccomp_arch_native();

	(void)state;
	assert_true(n > 0);
	assert_int_equal(run(f, n, arch, SYS_read, 0), SECCOMP_RET_ALLOW);
	assert_int_equal(run(f, n, arch, SYS_execve, 0), SECCOMP_RET_KILL_PROCESS);
	assert_int_equal(run(f, n, arch, SYS_mount, 0), SECCOMP_RET_KILL_PROCESS);
	assert_int_equal(run(f, n, arch, SYS_acct, 0), DENY);
	assert_int_equal(run(f, n, arch, 0x40000000u + SYS_read, 0), SECCOMP_RET_KILL_PROCESS);
	assert_int_equal(run(f, n, arch, SYS_socket, AF_INET), SECCOMP_RET_ALLOW);
	assert_int_equal(run(f, n, arch, SYS_socket, AF_VSOCK), DENY);
	assert_int_equal(run(f, n, arch, SYS_clone, CLONE_THREAD | CLONE_VM), SECCOMP_RET_ALLOW);
	assert_int_equal(run(f, n, arch, SYS_clone, CLONE_VM), DENY);
	assert_int_equal(run(f, n, arch, SYS_clone, CLONE_THREAD | CLONE_NEWUSER), DENY);
	assert_int_equal(run(f, n, arch, SYS_clone3, 0), SECCOMP_RET_ERRNO | ENOSYS);
}

static void arguments_are_looked_at(void **state)
{
	static const struct {
		int nr;
		unsigned arg;
		uint64_t value;
		bool allowed;
	} cases[] = {
		{SYS_mmap, 2, PROT_READ | PROT_WRITE, true},
		{SYS_mmap, 2, PROT_READ | PROT_EXEC, false},
		{SYS_mprotect, 2, PROT_READ, true},
		{SYS_mprotect, 2, PROT_READ | PROT_WRITE | PROT_EXEC, false},
		{SYS_ioctl, 1, TCGETS, true},
		{SYS_ioctl, 1, TIOCGWINSZ, true},
		{SYS_ioctl, 1, TIOCSTI, false},
		{SYS_ioctl, 1, TIOCLINUX, false},
		{SYS_ioctl, 1, 0xae80, true},  /* running a vCPU */
		{SYS_ioctl, 1, 0xae01, false}, /* another machine */
		{SYS_ioctl, 1, SIOCGIFADDR, true},
		{SYS_ioctl, 1, SIOCADDRT, false},
		{SYS_ioctl, 1, 0x40049409, false}, /* FICLONE */
		{SYS_prctl, 0, PR_SET_NAME, true},
		{SYS_prctl, 0, PR_SET_DUMPABLE, false},
		{SYS_prctl, 0, PR_SET_SECCOMP, false},
		{SYS_prlimit64, 0, 0, true},
		{SYS_prlimit64, 0, 1, false},
		{SYS_clone, 0, CLONE_VM | CLONE_THREAD | CLONE_SIGHAND, true},
		{SYS_clone, 0, CLONE_VM | CLONE_THREAD | CLONE_NEWNS, false},
		{SYS_socket, 0, AF_NETLINK, true},
		{SYS_socket, 0, AF_ALG, false},
	};
	struct sock_filter f[2048];
	size_t n = walls_program(f, 2048);
	uint32_t arch = seccomp_arch_native();

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint32_t want = cases[i].allowed ? SECCOMP_RET_ALLOW : DENY;

		if (run_arg(f, n, arch, (uint32_t)cases[i].nr, cases[i].arg, cases[i].value) !=
		    want)
			fail_msg("call %d with argument %u = %#llx is %sallowed", cases[i].nr,
				 cases[i].arg, (unsigned long long)cases[i].value,
				 cases[i].allowed ? "not " : "");
	}
	/* What is above the low word does not matter: the kernel looks at 32 bits of these too. */
	assert_int_equal(run_arg(f, n, arch, SYS_ioctl, 1, 0xffffffff00000000u | TIOCSTI), DENY);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_number_gets_its_rule),
		cmocka_unit_test(what_cannot_be_compiled_is_refused),
		cmocka_unit_test(arguments_are_looked_at),
		cmocka_unit_test(the_sandbox_has_threads_files_and_no_more),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
