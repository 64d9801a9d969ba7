/* SPDX-License-Identifier: Apache-2.0 */
/* Rings, pipes, epoll and the line discipline, with host memory and a task that runs no guest code. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <asm/termbits.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "runtime/fs/epoll.h"
#include "runtime/fs/ldisc.h"
#include "runtime/fs/pipe.h"
#include "runtime/fs/proc.h"
#include "runtime/fs/ring.h"
#include "runtime/fs/tty_priv.h"
#include "runtime/task/pid.h"
#include "runtime/task/task.h"

static const struct cred nobody = {.fsuid = 65534, .fsgid = 65534};

static struct kernel kernel;
static struct process process;
static struct task task;

static void on_kick(int sig)
{
	(void)sig;
}

/* A parked task is roused by this signal when it sleeps on host descriptors. */
static void setup_kick(void)
{
	struct sigaction sa = {.sa_handler = on_kick};
	sigset_t set;

	sigaction(platform_kick_signal(), &sa, NULL);
	sigemptyset(&set);
	sigaddset(&set, platform_kick_signal());
	pthread_sigmask(SIG_BLOCK, &set, NULL);
}

static int setup(void **state)
{
	(void)state;
	setup_kick();
	memset(&kernel, 0, sizeof(kernel));
	memset(&process, 0, sizeof(process));
	memset(&task, 0, sizeof(task));
	pthread_mutex_init(&kernel.tasks_lock, NULL);
	list_init(&kernel.processes);
	pthread_mutex_init(&kernel.uts_lock, NULL);
	strcpy(kernel.hostname, "shell");
	kernel.host_proc_fd = -1;
	kernel.pids = pid_table_create();
	process.kernel = &kernel;
	process.pid = 1;
	atomic_init(&process.refs, 1);
	atomic_init(&task.refs, 1);
	list_init(&process.children);
	list_init(&process.tasks);
	list_add_tail(&kernel.processes, &process.all_link);
	pid_attach(kernel.pids, 1, PID_PROCESS, &process);
	pid_attach(kernel.pids, 1, PID_TASK, &task);
	signal_process_init(&process);
	task.process = &process;
	task.kernel = &kernel;
	task.tid = 1;
	task.thread = pthread_self();
	pthread_mutex_init(&task.lock, NULL);
	list_init(&task.group_link);
	task.cred = calloc(1, sizeof(struct cred));
	atomic_init(&task.cred->refs, 1);
	task.sighand = sighand_create();
	signal_task_init(&task);
	list_add_tail(&process.tasks, &task.group_link);
	process.ntasks = kernel.ntasks = 1;
	strcpy(task.comm, "a task");
	return task.cred && task.sighand ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	free(task.cred);
	pid_table_destroy(kernel.pids);
	sighand_put(task.sighand);
	return 0;
}

static int64_t file_io(struct file *f, bool write, void *buf, size_t len)
{
	struct uio u;

	uio_host(&u, buf, len);
	return write ? f->ops->write(f, &task, &u, NULL) : f->ops->read(f, &task, &u, NULL);
}

/* ---- ring ---- */

static void test_ring_starts_without_storage(void **state)
{
	struct ring r;

	(void)state;
	ring_init(&r, 65536);
	assert_int_equal(r.size, 0);
	assert_int_equal(ring_reserve(&r, 10), 0);
	assert_int_equal(r.size, 4096);
	ring_free(&r);
}

/* A random walk of puts and drops keeps the bytes in order across wraps and growth. */
static void test_ring_keeps_order(void **state)
{
	uint8_t next_in = 0, next_out = 0, buf[3000];
	struct ring r;

	(void)state;
	srandom(7);
	ring_init(&r, 16384);
	for (int i = 0; i < 20000; i++) {
		size_t n = (size_t)random() % sizeof(buf);

		if (random() & 1) {
			n = n < ring_room(&r) ? n : ring_room(&r);
			for (size_t j = 0; j < n; j++)
				buf[j] = next_in++;
			assert_int_equal(ring_reserve(&r, n), 0);
			ring_put(&r, buf, n);
		} else {
			n = n < ring_used(&r) ? n : ring_used(&r);
			if (n)
				ring_peek(&r, buf, n);
			ring_drop(&r, n);
			for (size_t j = 0; j < n; j++)
				assert_int_equal(buf[j], next_out++);
		}
		assert_true(r.size <= 16384);
	}
	ring_free(&r);
}

/* ---- pipe ---- */

static void test_pipe_atomic_write_waits_for_room(void **state)
{
	static char big[65536], small[100];
	struct file *rd, *wr;

	(void)state;
	assert_int_equal(pipe_create(&nobody, O_NONBLOCK, &rd, &wr), 0);
	assert_int_equal(file_io(rd, false, big, 10), -EAGAIN);
	assert_int_equal(file_io(wr, true, big, sizeof(big) - 50), sizeof(big) - 50);
	assert_int_equal(file_io(wr, true, small, sizeof(small)), -EAGAIN);
	assert_int_equal(wr->ops->poll(wr, NULL) & POLLOUT, 0);
	/* More than PIPE_BUF goes in as far as there is room. */
	assert_int_equal(file_io(wr, true, big, 5000), 50);
	assert_int_equal(file_io(rd, false, big, 4096), 4096);
	assert_int_equal(wr->ops->poll(wr, NULL) & POLLOUT, POLLOUT);
	assert_int_equal(pipe_set_size(rd, &task, 4096), -EBUSY);
	assert_int_equal(pipe_set_size(rd, &task, 100000), 131072);
	file_put(wr);
	assert_int_equal(rd->ops->poll(rd, NULL), POLLIN | POLLRDNORM | POLLHUP);
	assert_int_equal(file_io(rd, false, big, sizeof(big)), 65536 - 4096);
	assert_int_equal(file_io(rd, false, big, sizeof(big)), 0);
	file_put(rd);
}

static void test_pipe_packets_keep_their_bounds(void **state)
{
	char buf[64] = "abcdefgh";
	struct file *rd, *wr;

	(void)state;
	assert_int_equal(pipe_create(&nobody, O_NONBLOCK | O_DIRECT, &rd, &wr), 0);
	assert_int_equal(file_io(wr, true, buf, 5), 5);
	assert_int_equal(file_io(wr, true, buf, 3), 3);
	assert_int_equal(file_io(rd, false, buf, 2), 2);
	assert_int_equal(file_io(rd, false, buf, sizeof(buf)), 3);
	file_put(rd);
	file_put(wr);
}

static void *write_later(void *arg)
{
	usleep(20000);
	file_io(arg, true, "x", 1);
	return NULL;
}

static void test_pipe_read_parks(void **state)
{
	struct file *rd, *wr;
	pthread_t th;
	char c;

	(void)state;
	assert_int_equal(pipe_create(&nobody, 0, &rd, &wr), 0);
	assert_int_equal(pthread_create(&th, NULL, write_later, wr), 0);
	assert_int_equal(file_io(rd, false, &c, 1), 1);
	assert_int_equal(c, 'x');
	pthread_join(th, NULL);
	file_put(rd);
	file_put(wr);
}

/* ---- epoll ---- */

static int gather(struct file *ep, struct epoll_event *ev)
{
	return epoll_gather(ep, &task, ev, 8, 0);
}

static void watch(struct file *ep, int op, struct file *f, uint32_t events)
{
	struct epoll_event ev = {.events = events, .data.u64 = (uintptr_t)f};

	assert_int_equal(epoll_control(ep, op, f, 5, &ev), 0);
}

static void test_epoll_level_edge_oneshot(void **state)
{
	struct file *ep, *rd, *wr;
	struct epoll_event ev[8];

	(void)state;
	assert_int_equal(epoll_create_file(&ep), 0);
	assert_int_equal(pipe_create(&nobody, 0, &rd, &wr), 0);
	watch(ep, EPOLL_CTL_ADD, rd, EPOLLIN);
	assert_int_equal(gather(ep, ev), 0);
	file_io(wr, true, "ab", 2);
	assert_int_equal(gather(ep, ev), 1);
	assert_int_equal(ev[0].events, EPOLLIN);
	assert_int_equal(gather(ep, ev), 1);
	watch(ep, EPOLL_CTL_MOD, rd, EPOLLIN | EPOLLET);
	assert_int_equal(gather(ep, ev), 1);
	assert_int_equal(gather(ep, ev), 0);
	file_io(wr, true, "c", 1);
	assert_int_equal(gather(ep, ev), 1);
	watch(ep, EPOLL_CTL_MOD, rd, EPOLLIN | EPOLLONESHOT);
	assert_int_equal(gather(ep, ev), 1);
	file_io(wr, true, "d", 1);
	assert_int_equal(gather(ep, ev), 0);
	watch(ep, EPOLL_CTL_MOD, rd, EPOLLIN | EPOLLONESHOT);
	assert_int_equal(gather(ep, ev), 1);
	file_put(rd); /* the last reference ends the watch */
	assert_int_equal(gather(ep, ev), 0);
	file_put(wr);
	file_put(ep);
}

static void test_epoll_refuses_loops(void **state)
{
	struct epoll_event ev = {.events = EPOLLIN};
	struct file *ep[7];

	(void)state;
	for (int i = 0; i < 7; i++)
		assert_int_equal(epoll_create_file(&ep[i]), 0);
	assert_int_equal(epoll_control(ep[0], EPOLL_CTL_ADD, ep[0], 3, &ev), -EINVAL);
	assert_int_equal(epoll_control(ep[0], EPOLL_CTL_ADD, ep[1], 3, &ev), 0);
	assert_int_equal(epoll_control(ep[1], EPOLL_CTL_ADD, ep[0], 3, &ev), -ELOOP);
	for (int i = 1; i < 4; i++)
		assert_int_equal(epoll_control(ep[i], EPOLL_CTL_ADD, ep[i + 1], 3, &ev), 0);
	assert_int_equal(epoll_control(ep[4], EPOLL_CTL_ADD, ep[5], 3, &ev), -ELOOP);
	assert_int_equal(epoll_control(ep[1], EPOLL_CTL_ADD, ep[0], 3, &ev), -ELOOP);
	for (int i = 0; i < 7; i++)
		file_put(ep[i]);
}

static void test_epoll_nested_sees_inner_events(void **state)
{
	struct file *outer, *inner, *rd, *wr;
	struct epoll_event ev[8];
	pthread_t th;

	(void)state;
	assert_int_equal(epoll_create_file(&outer), 0);
	assert_int_equal(epoll_create_file(&inner), 0);
	assert_int_equal(pipe_create(&nobody, 0, &rd, &wr), 0);
	watch(inner, EPOLL_CTL_ADD, rd, EPOLLIN);
	watch(outer, EPOLL_CTL_ADD, inner, EPOLLIN);
	assert_int_equal(gather(outer, ev), 0);
	assert_int_equal(pthread_create(&th, NULL, write_later, wr), 0);
	assert_int_equal(epoll_gather(outer, &task, ev, 8, monotonic_ns() + 60000000000u), 1);
	assert_int_equal(gather(inner, ev), 1);
	pthread_join(th, NULL);
	file_put(outer);
	file_put(inner);
	file_put(rd);
	file_put(wr);
}

static void test_epoll_host_descriptor(void **state)
{
	static const struct file_ops plain;
	struct epoll_event ev[8], want = {.events = EPOLLIN, .data.u64 = 42};
	struct file *ep, *f = file_alloc(&plain, O_RDONLY);
	int fds[2];

	(void)state;
	assert_int_equal(pipe(fds), 0);
	f->host_fd = fds[0];
	assert_int_equal(epoll_create_file(&ep), 0);
	assert_int_equal(epoll_control(ep, EPOLL_CTL_ADD, f, 3, &want), 0);
	/* The same description under a second number. */
	assert_int_equal(epoll_control(ep, EPOLL_CTL_ADD, f, 4, &want), 0);
	assert_int_equal(epoll_control(ep, EPOLL_CTL_ADD, f, 4, &want), -EEXIST);
	assert_int_equal(gather(ep, ev), 0);
	assert_int_equal(write(fds[1], "x", 1), 1);
	assert_int_equal(gather(ep, ev), 2);
	assert_int_equal(ev[0].data.u64, 42);
	file_put(f);
	assert_int_equal(gather(ep, ev), 0);
	file_put(ep);
	close(fds[1]);
}

/* ---- line discipline ---- */

static struct ldisc ld;

static void type(const char *s)
{
	assert_int_equal(ldisc_input(&ld, (const uint8_t *)s, strlen(s)), strlen(s));
}

static void expect_read(const char *s)
{
	uint8_t buf[256];
	bool eof;
	size_t n = ldisc_read(&ld, buf, sizeof(buf), &eof);

	assert_int_equal(n, strlen(s));
	assert_memory_equal(buf, s, n);
}

static void expect_screen(const char *s)
{
	char buf[512];
	size_t n = ring_used(&ld.out);

	assert_true(n < sizeof(buf));
	if (n)
		ring_peek(&ld.out, buf, n);
	ring_drop(&ld.out, n);
	buf[n] = 0;
	assert_string_equal(buf, s);
}

static void test_ldisc_canonical_editing(void **state)
{
	(void)state;
	ldisc_init(&ld);
	type("abx\177c");
	assert_false(ldisc_readable(&ld, 1));
	type("\r");
	assert_true(ldisc_readable(&ld, 1));
	expect_screen("abx\b \bc\r\n");
	assert_int_equal(ldisc_available(&ld), 4);
	type("one two\027three\n");
	expect_read("abc\n");
	expect_read("one three\n");
	type("gone\025kept\n");
	expect_read("kept\n");
	ldisc_free(&ld);
}

static void test_ldisc_end_of_file(void **state)
{
	uint8_t buf[8];
	bool eof;

	(void)state;
	ldisc_init(&ld);
	type("par\004");
	expect_read("par");
	type("\004");
	assert_true(ldisc_readable(&ld, 1));
	assert_int_equal(ldisc_read(&ld, buf, sizeof(buf), &eof), 0);
	assert_true(eof);
	assert_false(ldisc_readable(&ld, 1));
	/* A read of exactly the bytes before it takes the end of file along. */
	type("ab\004");
	assert_int_equal(ldisc_read(&ld, buf, 2, &eof), 2);
	assert_false(ldisc_readable(&ld, 1));
	ldisc_free(&ld);
}

static void test_ldisc_signals_flush(void **state)
{
	(void)state;
	ldisc_init(&ld);
	type("typed\003");
	assert_int_equal(ld.signals, SIGBIT(SIGINT));
	expect_screen("typed^C");
	type("\n");
	expect_read("\n");
	ldisc_free(&ld);
}

static void test_ldisc_raw(void **state)
{
	struct tty_termios tio;
	uint8_t out[] = "a\n";

	(void)state;
	ldisc_init(&ld);
	tio = ld.tio;
	tio.lflag &= ~(uint32_t)(ICANON | ECHO | ISIG);
	tio.iflag = 0;
	tio.oflag = 0;
	type("early");
	ldisc_set_termios(&ld, &tio);
	expect_screen("early");
	type("\003\r");
	assert_int_equal(ld.signals, 0);
	assert_true(ldisc_readable(&ld, 7));
	assert_false(ldisc_readable(&ld, 8));
	expect_read("early\003\r");
	assert_int_equal(ldisc_output(&ld, out, 2), 2);
	expect_screen("a\n");
	ldisc_free(&ld);
}

static void test_ldisc_flow_control(void **state)
{
	(void)state;
	ldisc_init(&ld);
	type("\023");
	assert_int_equal(ldisc_output(&ld, (const uint8_t *)"x", 1), 0);
	type("\021");
	assert_int_equal(ldisc_output(&ld, (const uint8_t *)"x", 1), 1);
	type("\026\003\n");
	expect_read("\003\n");
	ldisc_free(&ld);
}

/* ---- pseudo-terminals ---- */

static void test_pty_pair(void **state)
{
	struct file *m, *s;
	char buf[64];

	(void)state;
	assert_int_equal(ptmx_open(&task, O_RDWR | O_NONBLOCK, &m), 0);
	struct tty *y = file_tty(m);

	assert_int_equal(pts_open(&task, y, O_RDWR | O_NONBLOCK, &s), -EIO); /* still locked */
	y->pt_locked = false;
	assert_int_equal(pts_open(&task, y, O_RDWR | O_NONBLOCK, &s), 0);
	assert_int_equal(file_io(s, false, buf, 10), -EAGAIN);
	assert_int_equal(file_io(m, true, "hi\r", 3), 3);
	assert_int_equal(m->ops->poll(m, NULL) & POLLIN, POLLIN);
	assert_int_equal(file_io(m, false, buf, sizeof(buf)), 4); /* the echo */
	assert_memory_equal(buf, "hi\r\n", 4);
	assert_int_equal(file_io(s, false, buf, sizeof(buf)), 3);
	assert_memory_equal(buf, "hi\n", 3);
	assert_int_equal(file_io(s, true, "out\n", 4), 4);
	assert_int_equal(file_io(m, false, buf, sizeof(buf)), 5);
	file_put(m);
	assert_int_equal(file_io(s, false, buf, 10), 0);
	assert_int_equal(file_io(s, true, buf, 1), -EIO);
	assert_int_equal(s->ops->poll(s, NULL) & POLLHUP, POLLHUP);
	file_put(s);
}

static void test_pty_master_sees_last_close(void **state)
{
	struct file *m, *s;
	char c;

	(void)state;
	assert_int_equal(ptmx_open(&task, O_RDWR | O_NONBLOCK, &m), 0);
	assert_int_equal(file_io(m, false, &c, 1), -EAGAIN);
	file_tty(m)->pt_locked = false;
	assert_int_equal(pts_open(&task, file_tty(m), O_RDWR | O_NOCTTY, &s), 0);
	file_put(s);
	assert_int_equal(file_io(m, false, &c, 1), -EIO);
	assert_int_equal(m->ops->poll(m, NULL) & POLLHUP, POLLHUP);
	file_put(m);
}

/* ---- proc ---- */

static struct vnode *proc_root;

/* The text of a file below /proc, read in two pieces. */
static void proc_cat(const char *path, char *buf, size_t cap)
{
	struct vnode *n = vnode_get(proc_root), *next;
	char copy[128], *save = NULL;
	struct file *f;
	struct uio u;
	int64_t pos = 0;

	strcpy(copy, path);
	for (char *c = strtok_r(copy, "/", &save); c; c = strtok_r(NULL, "/", &save)) {
		assert_int_equal(n->ops->lookup(n, &task, c, &next), 0);
		vnode_put(n);
		n = next;
	}
	assert_int_equal(n->ops->open(n, &task, O_RDONLY, &f), 0);
	f->path.node = n;
	uio_host(&u, buf, 5);
	assert_int_equal(f->ops->read(f, &task, &u, &pos), 5);
	uio_host(&u, buf + 5, cap - 6);
	assert_true(f->ops->read(f, &task, &u, &pos) >= 0);
	buf[pos] = 0;
	f->path.node = NULL;
	file_put(f);
	vnode_put(n);
}

static int name_emitted(struct dir_emit *d, const char *name, uint64_t ino, unsigned char type,
			uint64_t next)
{
	(void)d, (void)ino, (void)type, (void)next;
	if (!strcmp(name, "1") || !strcmp(name, "self") || !strcmp(name, "meminfo"))
		(*(int *)(d + 1))++;
	return 0;
}

static void test_proc(void **state)
{
	struct {
		struct dir_emit d;
		int found;
	} count = {{name_emitted}, 0};
	static char buf[16384];
	char err[80];
	struct file *f;
	int64_t pos = 0;

	(void)state;
	assert_int_equal(procfs_type.mount(&kernel, NULL, &proc_root, err, sizeof(err)), 0);
	proc_cat("1/status", buf, sizeof(buf));
	assert_non_null(strstr(buf, "Name:\ta task\n"));
	assert_non_null(strstr(buf, "State:\tR (running)\n"));
	assert_non_null(strstr(buf, "\nThreads:\t1\n"));
	proc_cat("1/task/1/stat", buf, sizeof(buf));
	assert_int_equal(strncmp(buf, "1 (a task) R 0 ", 15), 0);
	proc_cat("sys/kernel/hostname", buf, sizeof(buf));
	assert_string_equal(buf, "shell\n");
	proc_cat("1/limits", buf, sizeof(buf));
	assert_non_null(strstr(buf, "Max open files"));
	assert_int_equal(proc_root->ops->open(proc_root, &task, O_RDONLY, &f), 0);
	f->path.node = proc_root;
	assert_int_equal(f->ops->readdir(f, &task, &count.d, &pos), 0);
	assert_int_equal(count.found, 3);
	f->path.node = NULL;
	file_put(f);
	vnode_put(proc_root);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ring_starts_without_storage),
		cmocka_unit_test(test_ring_keeps_order),
		cmocka_unit_test(test_pipe_atomic_write_waits_for_room),
		cmocka_unit_test(test_pipe_packets_keep_their_bounds),
		cmocka_unit_test(test_pipe_read_parks),
		cmocka_unit_test(test_epoll_level_edge_oneshot),
		cmocka_unit_test(test_epoll_refuses_loops),
		cmocka_unit_test(test_epoll_nested_sees_inner_events),
		cmocka_unit_test(test_epoll_host_descriptor),
		cmocka_unit_test(test_ldisc_canonical_editing),
		cmocka_unit_test(test_ldisc_end_of_file),
		cmocka_unit_test(test_ldisc_signals_flush),
		cmocka_unit_test(test_ldisc_raw),
		cmocka_unit_test(test_ldisc_flow_control),
		cmocka_unit_test(test_pty_pair),
		cmocka_unit_test(test_pty_master_sees_last_close),
		cmocka_unit_test(test_proc),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
