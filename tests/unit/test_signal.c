/* SPDX-License-Identifier: Apache-2.0 */
/* Queues, discarding, choice of a thread, default actions, job control, frames. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <unistd.h>

#include "runtime/arch/arch.h"
#include "runtime/arch/x86_64/sigframe.h"
#include "runtime/task/signal_internal.h"
#include "tests/unit/sig_stubs.h"

static struct world w;

static guest_siginfo_t user_info(int code, int value)
{
	guest_siginfo_t i;

	memset(&i, 0, sizeof(i));
	i.si_code = code;
	i.si_value.sival_int = value;
	return i;
}

static void handle(int sig, uint64_t flags)
{
	w.task[0].sighand->action[sig] = (struct sigaction_guest){
		.handler = 0x400000, .flags = flags | GUEST_SA_RESTORER, .restorer = 0x401000};
}

static int take(struct task *t, guest_siginfo_t *info)
{
	int sig;

	pthread_mutex_lock(&t->process->sig_lock);
	sig = signal_take_locked(t, ~0ull, info);
	pthread_mutex_unlock(&t->process->sig_lock);
	return sig;
}

static void test_standard_signals_are_one(void **state)
{
	guest_siginfo_t info;

	(void)state;
	world_init(&w, 1);
	handle(SIGUSR1, 0);
	for (int i = 1; i <= 3; i++) {
		info = user_info(SI_QUEUE, i);
		assert_int_equal(signal_send_process(&w.process, SIGUSR1, &info), 0);
	}
	assert_int_equal(take(&w.task[0], &info), SIGUSR1);
	assert_int_equal(info.si_value.sival_int, 1);
	assert_int_equal(take(&w.task[0], &info), 0);
	world_destroy(&w);
}

static void test_realtime_signals_queue_in_order(void **state)
{
	guest_siginfo_t info;

	(void)state;
	world_init(&w, 1);
	handle(40, 0);
	handle(39, 0);
	for (int i = 1; i <= 3; i++) {
		info = user_info(SI_QUEUE, i);
		signal_send_process(&w.process, 40, &info);
	}
	signal_send_process(&w.process, 39, &info);
	assert_int_equal(take(&w.task[0], &info), 39);
	for (int i = 1; i <= 3; i++) {
		assert_int_equal(take(&w.task[0], &info), 40);
		assert_int_equal(info.si_value.sival_int, i);
	}
	assert_int_equal(take(&w.task[0], &info), 0);
	world_destroy(&w);
}

static void test_realtime_queue_is_bounded(void **state)
{
	guest_siginfo_t info = user_info(SI_QUEUE, 0);

	(void)state;
	world_init(&w, 1);
	handle(40, 0);
	w.process.rlimits[RLIMIT_SIGPENDING].rlim_cur = 2;
	assert_int_equal(signal_send_process(&w.process, 40, &info), 0);
	assert_int_equal(signal_send_process(&w.process, 40, &info), 0);
	assert_int_equal(signal_send_process(&w.process, 40, &info), -EAGAIN);
	info.si_code = SI_USER; /* kill(2) never fails: the siginfo is lost instead */
	assert_int_equal(signal_send_process(&w.process, 40, &info), 0);
	world_destroy(&w);
}

static void test_synchronous_signals_first(void **state)
{
	guest_siginfo_t info;

	(void)state;
	world_init(&w, 1);
	w.task[0].sig_blocked = ~0ull;
	signal_send_task(&w.task[0], SIGHUP, NULL);
	signal_send_task(&w.task[0], SIGSEGV, NULL);
	assert_int_equal(take(&w.task[0], &info), SIGSEGV);
	assert_int_equal(take(&w.task[0], &info), SIGHUP);
	world_destroy(&w);
}

static void test_ignored_signals_vanish_unless_blocked(void **state)
{
	guest_siginfo_t info;

	(void)state;
	world_init(&w, 1);
	signal_send_process(&w.process, SIGCHLD, NULL);
	assert_int_equal(take(&w.task[0], &info), 0);
	w.task[0].sig_blocked = SIGBIT(SIGCHLD);
	signal_send_process(&w.process, SIGCHLD, NULL);
	assert_int_equal(take(&w.task[0], &info), SIGCHLD);
	world_destroy(&w);
}

static void test_a_thread_that_does_not_block_is_chosen(void **state)
{
	(void)state;
	world_init(&w, 3);
	handle(SIGUSR1, 0);
	for (int i = 0; i < 3; i++)
		w.task[i].thread = (pthread_t)0;
	w.task[0].sig_blocked = w.task[1].sig_blocked = SIGBIT(SIGUSR1);
	signal_send_process(&w.process, SIGUSR1, NULL);
	assert_false(signal_pending(&w.task[0]));
	assert_false(signal_pending(&w.task[1]));
	assert_true(signal_pending(&w.task[2]));
	world_destroy(&w);
}

static void test_blocking_hands_a_shared_signal_on(void **state)
{
	(void)state;
	world_init(&w, 2);
	handle(SIGUSR1, 0);
	for (int i = 0; i < 2; i++)
		w.task[i].thread = (pthread_t)0;
	signal_send_process(&w.process, SIGUSR1, NULL);
	assert_false(atomic_load(&w.task[1].attention));
	signal_set_mask(&w.task[0], SIGBIT(SIGUSR1));
	assert_true(signal_pending(&w.task[1]));
	world_destroy(&w);
}

static void test_init_is_spared_from_inside_only(void **state)
{
	guest_siginfo_t info;

	(void)state;
	world_init(&w, 1);
	w.process.unkillable = true;
	signal_send_process(&w.process, SIGKILL, NULL);
	signal_send_process(&w.process, SIGSTOP, NULL);
	signal_send_process(&w.process, SIGTERM, NULL);
	signal_send_external(&w.process, SIGTERM);
	assert_int_equal(take(&w.task[0], &info), 0);
	signal_send_external(&w.process, SIGKILL);
	assert_int_equal(take(&w.task[0], &info), SIGKILL);
	handle(SIGTERM, 0);
	signal_send_process(&w.process, SIGTERM, NULL);
	assert_int_equal(take(&w.task[0], &info), SIGTERM);
	world_destroy(&w);
}

static void test_stop_and_continue_cancel_each_other(void **state)
{
	guest_siginfo_t info;

	(void)state;
	world_init(&w, 1);
	w.task[0].sig_blocked = ~SIGSET_KERNEL_ONLY;
	signal_send_process(&w.process, SIGTSTP, NULL);
	signal_send_process(&w.process, SIGCONT, NULL);
	assert_int_equal(take(&w.task[0], &info), SIGCONT);
	assert_int_equal(take(&w.task[0], &info), 0);
	signal_send_process(&w.process, SIGCONT, NULL);
	signal_send_process(&w.process, SIGTTIN, NULL);
	assert_int_equal(take(&w.task[0], &info), SIGTTIN);
	assert_int_equal(take(&w.task[0], &info), 0);
	world_destroy(&w);
}

static void test_default_action_ends_the_process(void **state)
{
	(void)state;
	world_init(&w, 1);
	signal_send_process(&w.process, SIGTERM, NULL);
	assert_false(signal_deliver(&w.task[0], true, 0));
	assert_int_equal(atomic_load(&w.exit_status), SIGTERM);
	world_destroy(&w);
}

static void test_a_forced_fault_cannot_be_ignored(void **state)
{
	(void)state;
	world_init(&w, 1);
	w.process.unkillable = true;
	w.task[0].sighand->action[SIGSEGV].handler = HANDLER_IGN;
	signal_force_fault(&w.task[0], SIGSEGV, SEGV_MAPERR, 0x1234, 14, 4);
	assert_false(signal_deliver(&w.task[0], false, 0));
	assert_int_equal(atomic_load(&w.exit_status), SIGSEGV);
	world_destroy(&w);
}

/* ---- job control ---- */

static void *stopper(void *arg)
{
	struct task *t = arg;

	world_become(t);
	return (void *)(uintptr_t)signal_deliver(t, false, 0);
}

static void test_group_stops_and_continues(void **state)
{
	pthread_t th[2];
	guest_siginfo_t info;
	bool stopped = false;

	(void)state;
	world_init(&w, 2);
	w.parent_task.sig_blocked = ~0ull;
	w.parent_task.thread = (pthread_t)0;
	for (int i = 0; i < 2; i++)
		w.task[i].thread = (pthread_t)0;
	signal_send_process(&w.process, SIGSTOP, NULL);
	pthread_create(&th[0], NULL, stopper, &w.task[0]);
	while (!stopped) {
		pthread_mutex_lock(&w.process.sig_lock);
		stopped = w.process.stop_pending;
		pthread_mutex_unlock(&w.process.sig_lock);
	}
	pthread_mutex_lock(&w.process.sig_lock);
	assert_false(w.process.stopped); /* the other thread still runs */
	pthread_mutex_unlock(&w.process.sig_lock);
	pthread_create(&th[1], NULL, stopper, &w.task[1]);
	while (!take(&w.parent_task, &info))
		;
	assert_int_equal(info.si_signo, SIGCHLD);
	assert_int_equal(info.si_code, CLD_STOPPED);
	assert_int_equal(info.si_status, SIGSTOP);
	signal_send_process(&w.process, SIGCONT, NULL);
	for (int i = 0; i < 2; i++)
		pthread_join(th[i], NULL);
	assert_false(w.process.stopped);
	assert_true(w.process.continued_unreported);
	while (!take(&w.parent_task, &info))
		;
	assert_int_equal(info.si_code, CLD_CONTINUED);
	world_destroy(&w);
}

/* ---- frames and restarts ---- */

struct guest_stack {
	_Alignas(64) uint8_t bytes[16384];
};

static struct arch_regs user_regs(struct guest_stack *s)
{
	return (struct arch_regs){
		.rax = 1, .rbx = 2, .rcx = 3, .rdx = 4, .rsi = 5, .rdi = 6, .rbp = 7, .r8 = 8,
		.r9 = 9, .r10 = 10, .r11 = 11, .r12 = 12, .r13 = 13, .r14 = 14, .r15 = 15,
		.rip = 0x400500, .rsp = (uintptr_t)s->bytes + 12288, .rflags = 0x246, .orig_rax = 0,
	};
}

static void test_frame_round_trip(void **state)
{
	struct guest_stack *s = aligned_alloc(64, sizeof(*s));
	struct task *t = &w.task[0];
	struct arch_regs before;
	uint64_t pretcode;

	(void)state;
	world_init(&w, 1);
	handle(SIGUSR1, SA_SIGINFO);
	w.task[0].sighand->action[SIGUSR1].mask = SIGBIT(SIGUSR2);
	t->sig_blocked = SIGBIT(SIGHUP);
	t->regs = before = user_regs(s);
	signal_send_task(t, SIGUSR1, NULL);
	assert_true(signal_deliver(t, false, 0));
	assert_int_equal(t->regs.rip, 0x400000);
	assert_int_equal(t->regs.rdi, SIGUSR1);
	assert_int_equal(t->regs.rsp % 16, 8);
	assert_true(t->regs.rsp < before.rsp - X86_RED_ZONE);
	assert_int_equal(t->sig_blocked, SIGBIT(SIGHUP) | SIGBIT(SIGUSR1) | SIGBIT(SIGUSR2));
	memcpy(&pretcode, (void *)(uintptr_t)t->regs.rsp, 8);
	assert_int_equal(pretcode, 0x401000);
	t->regs.rsp += 8;
	t->regs.rbx = 99;
	assert_int_equal(arch_sigreturn(t), 0);
	before.orig_rax = ~0ull;
	assert_memory_equal(&t->regs, &before, sizeof(before));
	assert_int_equal(t->sig_blocked, SIGBIT(SIGHUP));
	world_destroy(&w);
	free(s);
}

static void test_frame_has_extended_state(void **state)
{
	struct guest_stack *s = aligned_alloc(64, sizeof(*s));
	struct task *t = &w.task[0];
	struct x86_rt_sigframe f;
	struct x86_fpx_sw_bytes sw;
	uint32_t magic2;

	(void)state;
	world_init(&w, 1);
	handle(SIGUSR1, 0);
	t->regs = user_regs(s);
	signal_send_task(t, SIGUSR1, NULL);
	assert_true(signal_deliver(t, false, 0));
	memcpy(&f, (void *)(uintptr_t)t->regs.rsp, sizeof(f));
	assert_int_equal(f.uc.flags, 7);
	assert_int_equal(f.uc.mcontext.fpstate % 64, 0);
	memcpy(&sw, (uint8_t *)(uintptr_t)f.uc.mcontext.fpstate + X86_FP_SW_OFFSET, sizeof(sw));
	assert_int_equal(sw.magic1, X86_FP_XSTATE_MAGIC1);
	assert_int_equal(sw.xstate_size, 832);
	assert_int_equal(sw.extended_size, 836);
	assert_int_equal(sw.xfeatures, 7);
	memcpy(&magic2, (uint8_t *)(uintptr_t)f.uc.mcontext.fpstate + 832, 4);
	assert_int_equal(magic2, X86_FP_XSTATE_MAGIC2);
	world_destroy(&w);
	free(s);
}

static void test_hostile_frames_are_refused(void **state)
{
	struct x86_sigcontext sc = {.rip = 0xffff800000000000ull};
	struct arch_regs r = {.cs = 0x33, .rflags = 0x202};
	_Alignas(64) uint8_t fpu[832] = {0};

	(void)state;
	assert_int_equal(x86_regs_from_context(&r, &sc), -EFAULT);
	sc.rip = 0x400000;
	sc.rflags = ~0ull;
	sc.cs = 8;
	assert_int_equal(x86_regs_from_context(&r, &sc), 0);
	assert_int_equal(r.cs, 0x33);
	assert_int_equal(r.rflags, 0x202 | 0x50dd5);
	fpu[512 + 8] = 1; /* XCOMP_BV */
	assert_int_equal(x86_fpu_sanitise(fpu, sizeof(fpu), 7, true), -EFAULT);
	fpu[512 + 8] = 0;
	fpu[512] = 0xff;
	assert_int_equal(x86_fpu_sanitise(fpu, sizeof(fpu), 7, true), 0);
	assert_int_equal(fpu[512], 7);
	assert_int_equal(x86_fpu_sanitise(fpu, sizeof(fpu), 7, false), 0);
	assert_int_equal(fpu[512], 3);
}

static void test_altstack_overflow_is_fatal(void **state)
{
	struct guest_stack *s = aligned_alloc(64, sizeof(*s));
	struct task *t = &w.task[0];

	(void)state;
	world_init(&w, 1);
	handle(SIGUSR1, SA_ONSTACK);
	t->regs = user_regs(s);
	t->altstack = (stack_t_guest){.sp = (uintptr_t)s->bytes, .size = 4096};
	signal_send_task(t, SIGUSR1, NULL);
	assert_true(signal_deliver(t, false, 0));
	assert_in_range(t->regs.rsp, (uintptr_t)s->bytes, (uintptr_t)s->bytes + 4096);
	t->regs.rsp = (uintptr_t)s->bytes + 256; /* nearly used up */
	t->sig_blocked = 0;
	signal_send_task(t, SIGUSR1, NULL);
	assert_false(signal_deliver(t, false, 0));
	assert_int_equal(atomic_load(&w.exit_status), SIGSEGV);
	world_destroy(&w);
	free(s);
}

/* What the interrupted call's result and address are after delivery. */
static void check_restart(int64_t result, bool handler, uint64_t flags, bool restarts, uint64_t nr)
{
	struct guest_stack *s = aligned_alloc(64, sizeof(*s));
	struct task *t = &w.task[0];
	struct x86_rt_sigframe f;
	uint64_t rip, rax;

	world_init(&w, 1);
	t->regs = user_regs(s);
	t->regs.orig_rax = 35;
	if (handler) {
		handle(SIGUSR1, flags);
		signal_send_task(t, SIGUSR1, NULL);
	}
	assert_true(signal_deliver(t, true, result));
	rip = t->regs.rip;
	rax = t->regs.rax;
	if (handler) {
		memcpy(&f, (void *)(uintptr_t)t->regs.rsp, sizeof(f));
		rip = f.uc.mcontext.rip;
		rax = f.uc.mcontext.rax;
	}
	assert_int_equal(rip, restarts ? 0x4004fe : 0x400500);
	assert_int_equal(rax, restarts ? nr : (uint64_t)-EINTR);
	world_destroy(&w);
	free(s);
}

static void test_restarts(void **state)
{
	(void)state;
	check_restart(-ERESTARTSYS, false, 0, true, 35);
	check_restart(-ERESTARTSYS, true, 0, false, 0);
	check_restart(-ERESTARTSYS, true, SA_RESTART, true, 35);
	check_restart(-ERESTARTNOHAND, false, 0, true, 35);
	check_restart(-ERESTARTNOHAND, true, SA_RESTART, false, 0);
	check_restart(-ERESTARTNOINTR, true, 0, true, 35);
	check_restart(-ERESTART_RESTARTBLOCK, false, 0, true, 219);
	check_restart(-ERESTART_RESTARTBLOCK, true, SA_RESTART, false, 0);
}

static void test_temporary_mask(void **state)
{
	struct guest_stack *s = aligned_alloc(64, sizeof(*s));
	struct task *t = &w.task[0];
	struct x86_rt_sigframe f;

	(void)state;
	world_init(&w, 1);
	handle(SIGUSR1, 0);
	t->regs = user_regs(s);
	t->sig_blocked = SIGBIT(SIGUSR1);
	signal_send_task(t, SIGUSR1, NULL);
	signal_set_temp_mask(t, 0);
	assert_true(signal_pending(t));
	assert_true(signal_deliver(t, true, -ERESTARTNOHAND));
	memcpy(&f, (void *)(uintptr_t)t->regs.rsp, sizeof(f));
	assert_int_equal(f.uc.sigmask, SIGBIT(SIGUSR1)); /* sigreturn restores the original */
	/* A call that completed goes back to the original mask first: nothing is delivered. */
	t->regs = user_regs(s);
	signal_send_task(t, SIGUSR1, NULL);
	signal_set_temp_mask(t, 0);
	assert_true(signal_deliver(t, true, 3));
	assert_int_equal(t->regs.rax, 3);
	assert_int_equal(t->sig_blocked, SIGBIT(SIGUSR1));
	world_destroy(&w);
	free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_standard_signals_are_one),
		cmocka_unit_test(test_realtime_signals_queue_in_order),
		cmocka_unit_test(test_realtime_queue_is_bounded),
		cmocka_unit_test(test_synchronous_signals_first),
		cmocka_unit_test(test_ignored_signals_vanish_unless_blocked),
		cmocka_unit_test(test_a_thread_that_does_not_block_is_chosen),
		cmocka_unit_test(test_blocking_hands_a_shared_signal_on),
		cmocka_unit_test(test_init_is_spared_from_inside_only),
		cmocka_unit_test(test_stop_and_continue_cancel_each_other),
		cmocka_unit_test(test_default_action_ends_the_process),
		cmocka_unit_test(test_a_forced_fault_cannot_be_ignored),
		cmocka_unit_test(test_group_stops_and_continues),
		cmocka_unit_test(test_frame_round_trip),
		cmocka_unit_test(test_frame_has_extended_state),
		cmocka_unit_test(test_hostile_frames_are_refused),
		cmocka_unit_test(test_altstack_overflow_is_fatal),
		cmocka_unit_test(test_restarts),
		cmocka_unit_test(test_temporary_mask),
	};

	alarm(150);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
