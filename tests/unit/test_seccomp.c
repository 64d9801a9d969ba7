/* SPDX-License-Identifier: Apache-2.0 */
/* Filter chains, their shortcut for calls that pass anyway, and profiles compiled from config.json. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>

#include "oci/seccomp.h"
#include "runtime/arch/regs.h"
#include "runtime/task/seccomp.h"

#define LOAD(field)	 BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define WHEN(v, verdict) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, v, 0, 1), BPF_STMT(BPF_RET | BPF_K, verdict)
#define RETURN(v)	 BPF_STMT(BPF_RET | BPF_K, v)
#define COUNT(a)	 (sizeof(a) / sizeof((a)[0]))

static uint32_t judge(const struct seccomp_chain *c, int nr, uint64_t arg)
{
	struct seccomp_data d = {.nr = nr, .arch = ARCH_AUDIT, .args = {arg}};

	return seccomp_chain_run(c, &d);
}

static void the_strictest_of_a_chain_counts(void **state)
{
	const struct sock_filter one[] = {LOAD(nr), WHEN(7, SECCOMP_RET_ERRNO | 5),
					  RETURN(SECCOMP_RET_ALLOW)};
	const struct sock_filter two[] = {LOAD(nr), WHEN(7, SECCOMP_RET_TRACE),
					  WHEN(8, SECCOMP_RET_KILL_PROCESS),
					  WHEN(9, SECCOMP_RET_KILL_THREAD), RETURN(SECCOMP_RET_ALLOW)};
	struct seccomp_chain *a, *b;

	(void)state;
	assert_int_equal(seccomp_chain_push(NULL, one, COUNT(one), &a), 0);
	assert_int_equal(seccomp_chain_push(seccomp_chain_get(a), two, COUNT(two), &b), 0);
	assert_int_equal(seccomp_chain_length(b), 2);
	assert_true(seccomp_chain_extends(b, a));
	assert_true(seccomp_chain_extends(b, NULL));
	assert_false(seccomp_chain_extends(a, b));
	assert_int_equal(judge(b, 7, 0), SECCOMP_RET_ERRNO | 5);
	assert_int_equal(judge(b, 8, 0), SECCOMP_RET_KILL_PROCESS);
	assert_int_equal(judge(b, 9, 0), SECCOMP_RET_KILL_THREAD);
	assert_int_equal(judge(b, 10, 0), SECCOMP_RET_ALLOW);
	assert_int_equal(judge(b, 100000, 0), SECCOMP_RET_ALLOW);
	seccomp_chain_put(b);
	seccomp_chain_put(a);
}

/* What passes whatever its arguments are is remembered; what looks at them is not. */
static void arguments_are_looked_at_every_time(void **state)
{
	const struct sock_filter f[] = {LOAD(nr), BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 3, 0, 2),
					LOAD(args[0]), WHEN(1, SECCOMP_RET_TRAP),
					RETURN(SECCOMP_RET_ALLOW)};
	struct seccomp_chain *c;

	(void)state;
	assert_int_equal(seccomp_chain_push(NULL, f, COUNT(f), &c), 0);
	assert_int_equal(judge(c, 3, 0), SECCOMP_RET_ALLOW);
	assert_int_equal(judge(c, 3, 1), SECCOMP_RET_TRAP);
	seccomp_chain_put(c);
}

static void arithmetic_is_32_bits_and_never_traps(void **state)
{
	const struct sock_filter f[] = {
		BPF_STMT(BPF_LD | BPF_IMM, 6),	       BPF_STMT(BPF_ST, 2),
		BPF_STMT(BPF_LDX | BPF_MEM, 2),	       BPF_STMT(BPF_ALU | BPF_MUL | BPF_X, 0),
		BPF_STMT(BPF_ALU | BPF_SUB | BPF_K, 37), /* -1 */
		BPF_STMT(BPF_ALU | BPF_RSH | BPF_K, 31), BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 1, 0, 3),
		LOAD(args[0]),			       BPF_STMT(BPF_MISC | BPF_TAX, 0),
		BPF_STMT(BPF_ALU | BPF_DIV | BPF_X, 0), RETURN(SECCOMP_RET_ALLOW)};
	struct seccomp_chain *c;

	(void)state;
	assert_int_equal(seccomp_chain_push(NULL, f, COUNT(f), &c), 0);
	assert_int_equal(judge(c, 0, 0), SECCOMP_RET_KILL_THREAD);
	assert_int_equal(judge(c, 0, 4), SECCOMP_RET_ALLOW);
	seccomp_chain_put(c);
}

static void chains_are_bounded(void **state)
{
	static struct sock_filter f[BPF_MAXINSNS];
	struct seccomp_chain *c = NULL, *next;
	unsigned n = 0;
	int r;

	(void)state;
	for (unsigned i = 0; i < BPF_MAXINSNS; i++)
		f[i] = (struct sock_filter)RETURN(SECCOMP_RET_ALLOW);
	while ((r = seccomp_chain_push(c, f, BPF_MAXINSNS, &next)) == 0) {
		c = next;
		n++;
	}
	assert_int_equal(r, -ENOMEM);
	assert_int_equal(n, 7);
	seccomp_chain_put(c);
}

#define CONFIG(seccomp)                                                                          \
	"{\"ociVersion\":\"1.0.2\",\"root\":{\"path\":\"r\"},\"process\":{\"args\":[\"x\"],\"cwd\":" \
	"\"/\"},\"linux\":{\"namespaces\":[{\"type\":\"mount\"}],\"seccomp\":" seccomp "}}"

static int compile(const char *text, struct oci_config *cfg, struct oci_error *err)
{
	int r = oci_config_parse(text, strlen(text), cfg, err);

	return r ? r : oci_seccomp_compile(cfg, err);
}

static void profiles_become_programs(void **state)
{
	struct oci_config cfg = {0};
	struct oci_error err = {0};
	struct seccomp_chain *c;

	(void)state;
	assert_int_equal(
		compile(CONFIG("{\"defaultAction\":\"SCMP_ACT_ERRNO\",\"defaultErrnoRet\":3,\"architectures\":"
			       "[\"SCMP_ARCH_X86_64\",\"SCMP_ARCH_X86\"],\"syscalls\":[{\"names\":[\"read\","
			       "\"getrandom\",\"no_such_call\"],\"action\":\"SCMP_ACT_ALLOW\"},{\"names\":["
			       "\"dup\"],\"action\":\"SCMP_ACT_TRAP\",\"args\":[{\"index\":0,\"value\":5,\"op\":"
			       "\"SCMP_CMP_EQ\"},{\"index\":0,\"value\":6,\"op\":\"SCMP_CMP_EQ\"}]}]}"),
			&cfg, &err),
		0);
	assert_int_equal(seccomp_chain_push(NULL, cfg.seccomp, cfg.nseccomp, &c), 0);
	assert_int_equal(judge(c, SYS_read, 0), SECCOMP_RET_ALLOW);
	assert_int_equal(judge(c, SYS_write, 0), SECCOMP_RET_ERRNO | 3);
	assert_int_equal(judge(c, SYS_dup, 5), SECCOMP_RET_TRAP);
	assert_int_equal(judge(c, SYS_dup, 6), SECCOMP_RET_TRAP);
	assert_int_equal(judge(c, SYS_dup, 7), SECCOMP_RET_ERRNO | 3);
	/* newer than the newest named one */
	assert_int_equal(judge(c, SYS_getrandom + 1, 0), SECCOMP_RET_ERRNO | ENOSYS);
	seccomp_chain_put(c);
	oci_config_free(&cfg);
}

static void bad_profiles_say_where(void **state)
{
	static const struct {
		const char *text, *says;
	} cases[] = {
		{CONFIG("{\"syscalls\":[]}"), "linux.seccomp.defaultAction must be given"},
		{CONFIG("{\"defaultAction\":\"SCMP_ACT_X\"}"), "unknown action \"SCMP_ACT_X\""},
		{CONFIG("{\"defaultAction\":\"SCMP_ACT_NOTIFY\"}"), "SCMP_ACT_NOTIFY is not supported"},
		{CONFIG("{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"architectures\":[\"SCMP_ARCH_Z\"]}"),
		 "linux.seccomp.architectures[0]: unknown architecture"},
		{CONFIG("{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"flags\":[\"Z\"]}"),
		 "linux.seccomp.flags[0]: unknown flag"},
		{CONFIG("{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":[{\"names\":[]}]}"),
		 "linux.seccomp.syscalls[0] needs names and an action"},
		{CONFIG("{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":[{\"names\":[\"dup\"],\"action\":"
			"\"SCMP_ACT_TRAP\",\"args\":[{\"index\":6,\"value\":1,\"op\":\"SCMP_CMP_EQ\"}]}]}"),
		 "linux.seccomp.syscalls[0].args[0] needs an index below 6"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct oci_config cfg = {0};
		struct oci_error err = {0};

		assert_true(compile(cases[i].text, &cfg, &err) < 0);
		if (!strstr(err.msg, cases[i].says))
			fail_msg("\"%s\" does not say \"%s\"", err.msg, cases[i].says);
		oci_config_free(&cfg);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_strictest_of_a_chain_counts),
		cmocka_unit_test(arguments_are_looked_at_every_time),
		cmocka_unit_test(arithmetic_is_32_bits_and_never_traps),
		cmocka_unit_test(chains_are_bounded),
		cmocka_unit_test(profiles_become_programs),
		cmocka_unit_test(bad_profiles_say_where),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
