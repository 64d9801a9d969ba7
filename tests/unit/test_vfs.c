/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The virtual file system over a scratch directory: what paths may reach, tmpfs, descriptors,
 * record locks. No guest: one task with credentials of the test's choice.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/openat2.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include <cmocka.h>

#include "runtime/fs/lock.h"
#include "runtime/fs/path.h"
#include "runtime/fs/vfs_internal.h"

static struct kernel kernel;
static struct process process;
static struct task task;
static struct cred cred;
static char scratch[] = "/tmp/nacre-vfs-XXXXXX";
static int root_fd, outside_fd;

#define CAPS_ALL (~(uint64_t)0)

static void become(uid_t uid, gid_t gid, uint64_t caps)
{
	cred.uid = cred.euid = cred.fsuid = uid;
	cred.gid = cred.egid = cred.fsgid = gid;
	cred.cap_effective = cred.cap_permitted = caps;
}

static void put_file(int dirfd, const char *name, const char *text)
{
	int fd = openat(dirfd, name, O_CREAT | O_WRONLY | O_TRUNC, 0644);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
}

static void put_link(const char *target, const char *name)
{
	assert_int_equal(symlinkat(target, root_fd, name), 0);
}

/* root/ is the container's, secret beside it must never be seen. */
static void make_tree(void)
{
	int top;

	assert_non_null(mkdtemp(scratch));
	top = open(scratch, O_RDONLY | O_DIRECTORY);
	outside_fd = top;
	put_file(top, "secret", "secret");
	assert_int_equal(mkdirat(top, "root", 0755), 0);
	root_fd = openat(top, "root", O_RDONLY | O_DIRECTORY);
	assert_int_equal(mkdirat(root_fd, "usr", 0755), 0);
	assert_int_equal(mkdirat(root_fd, "usr/bin", 0755), 0);
	assert_int_equal(mkdirat(root_fd, "usr/private", 0700), 0);
	assert_int_equal(mkdirat(root_fd, "mnt", 0755), 0);
	put_file(root_fd, "usr/bin/tool", "tool");
	put_file(root_fd, "usr/private/key", "key");
	put_file(root_fd, "plain", "plain");
	put_link("usr/bin", "bin");
	put_link("tool", "usr/bin/alias");
	put_link("../private/key", "usr/bin/up");
	put_link("/usr/bin/tool", "absolute");
	put_link("../../../../secret", "escape");
	put_link("/proc/self/root/etc/passwd", "proc-escape");
	put_link("../../../secret", "usr/bin/deep-escape");
	put_link("loop-b", "loop-a");
	put_link("loop-a", "loop-b");
	put_link("nowhere", "dangling");
}

static int setup(void **state)
{
	static const struct kernel_mount mounts[] = {
		{.target = "/mnt/mem", .fstype = "tmpfs", .source = "tmpfs", .options = "size=64k,mode=755"},
	};
	struct kernel_config cfg = {.host_proc_fd = -1, .mounts = mounts, .nmounts = 1};
	char err[256] = "";

	(void)state;
	make_tree();
	cfg.rootfs_fd = root_fd;
	kernel.host_proc_fd = -1;
	pthread_mutex_init(&kernel.tasks_lock, NULL);
	list_init(&kernel.processes);
	assert_int_equal(vfs_create(&kernel, &cfg, err, sizeof(err)), 0);
	pthread_mutex_init(&process.sig_lock, NULL);
	process.kernel = &kernel;
	process.pid = 7;
	for (int i = 0; i < 16; i++)
		process.rlimits[i] = (struct rlimit64){RLIM64_INFINITY, RLIM64_INFINITY};
	process.rlimits[RLIMIT_NOFILE] = (struct rlimit64){64, 64};
	atomic_init(&cred.refs, 1);
	become(0, 0, CAPS_ALL);
	task.kernel = &kernel;
	task.process = &process;
	task.cred = &cred;
	task.tid = 7;
	task.fs = fs_context_create(&kernel);
	task.files = fdtable_create();
	return 0;
}

static int teardown(void **state)
{
	char cmd[128];

	(void)state;
	fdtable_put(task.files, &task);
	fs_context_put(task.fs);
	vfs_destroy(&kernel);
	snprintf(cmd, sizeof(cmd), "rm -rf %s", scratch);
	return system(cmd) != 0;
}

static int lookup(const char *path, unsigned flags, char *text, size_t cap)
{
	struct vpath p;
	int ret = vfs_lookup(&task, AT_FDCWD, path, flags, &p, NULL);

	if (!ret && text)
		assert_true(vfs_path_text(&task, &p, text, cap) > 0);
	if (!ret)
		vpath_put(&p);
	return ret;
}

static void expect_path(const char *path, const char *real)
{
	char text[4096];

	assert_int_equal(lookup(path, LOOKUP_FOLLOW, text, sizeof(text)), 0);
	assert_string_equal(text, real);
}

static int read_path(const char *path, char *buf, size_t cap)
{
	struct file *f;
	int ret = vfs_open(&task, AT_FDCWD, path, O_RDONLY, 0, &f);
	int64_t n;

	if (ret)
		return ret;
	n = file_pread(f, buf, cap - 1, 0);
	file_put(f);
	buf[n > 0 ? n : 0] = 0;
	return n < 0 ? (int)n : 0;
}

static int write_path(const char *path, int flags, const char *text)
{
	struct file *f;
	struct uio u;
	int ret = vfs_open(&task, AT_FDCWD, path, flags, 0644, &f);
	int64_t n;

	if (ret)
		return ret;
	uio_host(&u, (void *)(uintptr_t)text, strlen(text));
	n = file_write_uio(&task, f, &u, NULL);
	file_put(f);
	return (int)n;
}

/* ---- paths ---- */

static void test_plain_paths(void **state)
{
	(void)state;
	expect_path("/", "/");
	expect_path("//usr/./bin//tool", "/usr/bin/tool");
	expect_path("/bin/tool", "/usr/bin/tool");
	expect_path("/bin/alias", "/usr/bin/tool");
	expect_path("/bin/up", "/usr/private/key");
	expect_path("/absolute", "/usr/bin/tool");
	expect_path("/bin/..", "/usr");
	expect_path("/usr/bin/../../plain", "/plain");
	expect_path("/mnt/mem/..", "/mnt");
	expect_path("/mnt/mem", "/mnt/mem");
	expect_path("usr", "/usr");
}

static void test_path_errors(void **state)
{
	char longname[300], longpath[5000];

	(void)state;
	memset(longname, 'a', sizeof(longname) - 1);
	longname[sizeof(longname) - 1] = 0;
	memset(longpath, '/', sizeof(longpath) - 1);
	longpath[sizeof(longpath) - 1] = 0;
	assert_int_equal(lookup("", 0, NULL, 0), -ENOENT);
	assert_int_equal(lookup("/none", 0, NULL, 0), -ENOENT);
	assert_int_equal(lookup("/plain/x", 0, NULL, 0), -ENOTDIR);
	assert_int_equal(lookup("/plain/", 0, NULL, 0), -ENOTDIR);
	assert_int_equal(lookup("/plain/.", 0, NULL, 0), -ENOTDIR);
	assert_int_equal(lookup("/plain/..", 0, NULL, 0), -ENOTDIR);
	assert_int_equal(lookup("/loop-a", LOOKUP_FOLLOW, NULL, 0), -ELOOP);
	assert_int_equal(lookup("/loop-a/x", 0, NULL, 0), -ELOOP);
	assert_int_equal(lookup("/loop-a", 0, NULL, 0), 0);
	assert_int_equal(lookup("/dangling", LOOKUP_FOLLOW, NULL, 0), -ENOENT);
	assert_int_equal(lookup(longname, 0, NULL, 0), -ENAMETOOLONG);
	assert_int_equal(lookup(longpath, 0, NULL, 0), -ENAMETOOLONG);
	assert_int_equal(lookup("/usr", LOOKUP_DIRECTORY, NULL, 0), 0);
	assert_int_equal(lookup("/plain", LOOKUP_DIRECTORY, NULL, 0), -ENOTDIR);
}

static void test_nothing_resolves_outside(void **state)
{
	static const char *const paths[] = {
		"/../secret", "../../../secret", "/usr/../../secret", "/escape", "/usr/bin/deep-escape",
		"/bin/deep-escape", "/proc-escape", "/mnt/mem/../../../secret",
	};
	char buf[64];

	(void)state;
	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++)
		assert_int_equal(read_path(paths[i], buf, sizeof(buf)), -ENOENT);
	expect_path("/..", "/");
	expect_path("/../..", "/");
}

static void test_openat2_resolve(void **state)
{
	struct vpath p, usr;

	(void)state;
	assert_int_equal(vfs_walk(&task, AT_FDCWD, "/absolute", LOOKUP_FOLLOW, RESOLVE_BENEATH, &p), -EXDEV);
	assert_int_equal(vfs_walk(&task, AT_FDCWD, "absolute", LOOKUP_FOLLOW, RESOLVE_BENEATH, &p), -EXDEV);
	assert_int_equal(vfs_walk(&task, AT_FDCWD, "..", 0, RESOLVE_BENEATH, &p), -EXDEV);
	assert_int_equal(vfs_walk(&task, AT_FDCWD, "bin/tool", 0, RESOLVE_NO_SYMLINKS, &p), -ELOOP);
	assert_int_equal(vfs_walk(&task, AT_FDCWD, "mnt/mem", 0, RESOLVE_NO_XDEV, &p), -EXDEV);
	assert_int_equal(vfs_walk(&task, AT_FDCWD, "usr", 0, 0, &usr), 0);
	assert_int_equal(vfs_walk_from(&task, &usr, AT_FDCWD, "../plain", 0, 0, &p), 0);
	vpath_put(&p);
	vpath_put(&usr);
}

static atomic_bool storm_over;

/* Swap a directory and a hostile symlink under the resolver's feet, on the host. */
static void *rename_storm(void *arg)
{
	(void)arg;
	while (!atomic_load(&storm_over)) {
		renameat2(root_fd, "storm/dir", root_fd, "storm/link", RENAME_EXCHANGE);
		renameat(root_fd, "storm/deep/a/b", outside_fd, "moved");
		renameat(outside_fd, "moved", root_fd, "storm/deep/a/b");
	}
	return NULL;
}

static void test_rename_storm_never_escapes(void **state)
{
	static const char *const paths[] = {"/storm/dir/secret", "/storm/dir/../secret",
					    "/storm/deep/a/b/../../../../../secret",
					    "/storm/deep/a/b/../secret"};
	static const char *const dirs[] = {"storm", "storm/dir", "storm/deep", "storm/deep/a",
					   "storm/deep/a/b"};
	pthread_t thread;
	char buf[64];

	(void)state;
	for (size_t i = 0; i < sizeof(dirs) / sizeof(dirs[0]); i++)
		assert_int_equal(mkdirat(root_fd, dirs[i], 0755), 0);
	put_link("../../..", "storm/link");
	atomic_store(&storm_over, false);
	assert_int_equal(pthread_create(&thread, NULL, rename_storm, NULL), 0);
	for (int i = 0; i < 20000; i++)
		assert_true(read_path(paths[i % 4], buf, sizeof(buf)) < 0);
	atomic_store(&storm_over, true);
	pthread_join(thread, NULL);
}

static void test_search_permission(void **state)
{
	char buf[64];

	(void)state;
	become(1000, 1000, 0);
	assert_int_equal(read_path("/usr/private/key", buf, sizeof(buf)), -EACCES);
	assert_int_equal(read_path("/bin/up", buf, sizeof(buf)), -EACCES);
	assert_int_equal(read_path("/bin/alias", buf, sizeof(buf)), 0);
	assert_int_equal(write_path("/plain", O_WRONLY, "x"), -EACCES);
	assert_int_equal(write_path("/new", O_WRONLY | O_CREAT, "x"), -EACCES);
	become(1000, 1000, (uint64_t)1 << CAP_DAC_READ_SEARCH);
	assert_int_equal(read_path("/usr/private/key", buf, sizeof(buf)), 0);
	assert_int_equal(write_path("/plain", O_WRONLY, "x"), -EACCES);
	become(0, 0, CAPS_ALL);
}

static void test_open_flags(void **state)
{
	struct file *f;
	char buf[64];

	(void)state;
	assert_int_equal(write_path("/made", O_WRONLY | O_CREAT | O_EXCL, "abc"), 3);
	assert_int_equal(write_path("/made", O_WRONLY | O_CREAT | O_EXCL, "abc"), -EEXIST);
	assert_int_equal(write_path("/made", O_WRONLY | O_APPEND, "def"), 3);
	assert_int_equal(read_path("/made", buf, sizeof(buf)), 0);
	assert_string_equal(buf, "abcdef");
	assert_int_equal(write_path("/made", O_WRONLY | O_TRUNC, "x"), 1);
	assert_int_equal(read_path("/made", buf, sizeof(buf)), 0);
	assert_string_equal(buf, "x");
	assert_int_equal(write_path("/dangling", O_WRONLY | O_CREAT, "via"), 3);
	assert_int_equal(read_path("/nowhere", buf, sizeof(buf)), 0);
	assert_string_equal(buf, "via");
	assert_int_equal(write_path("/usr", O_WRONLY, "x"), -EISDIR);
	assert_int_equal(write_path("/usr/", O_WRONLY | O_CREAT, "x"), -EISDIR);
	assert_int_equal(write_path("/newslash/", O_WRONLY | O_CREAT, "x"), -EISDIR);
	assert_int_equal(vfs_open(&task, AT_FDCWD, "/bin", O_RDONLY | O_NOFOLLOW, 0, &f), -ELOOP);
	assert_int_equal(vfs_open(&task, AT_FDCWD, "/plain", O_RDONLY | O_DIRECTORY, 0, &f), -ENOTDIR);
	assert_int_equal(vfs_open(&task, AT_FDCWD, "/bin", O_PATH | O_NOFOLLOW, 0, &f), 0);
	assert_int_equal(f->path.node->type, S_IFLNK);
	file_put(f);
	assert_int_equal(vfs_open(&task, AT_FDCWD, "/usr", O_TMPFILE | O_RDWR, 0600, &f), 0);
	file_put(f);
	assert_int_equal(vfs_open_exec(&task, AT_FDCWD, "/plain", 0, &f), -EACCES);
}

/* ---- tmpfs ---- */

static void test_tmpfs_files(void **state)
{
	static char big[128 * 1024];
	struct statfs sf;
	struct vpath p;
	struct file *f;
	struct uio u;
	char buf[64];
	int64_t n;

	(void)state;
	assert_int_equal(write_path("/mnt/mem/f", O_RDWR | O_CREAT, "hello"), 5);
	assert_int_equal(write_path("/mnt/mem/f", O_RDWR | O_APPEND, " you"), 4);
	assert_int_equal(read_path("/mnt/mem/f", buf, sizeof(buf)), 0);
	assert_string_equal(buf, "hello you");
	expect_path("/mnt/mem/f", "/mnt/mem/f");
	/* size=64k */
	assert_int_equal(vfs_open(&task, AT_FDCWD, "/mnt/mem/big", O_RDWR | O_CREAT, 0600, &f), 0);
	uio_host(&u, big, sizeof(big));
	n = file_write_uio(&task, f, &u, NULL);
	assert_true(n > 0 && n <= 64 * 1024);
	uio_host(&u, big, sizeof(big));
	assert_int_equal(file_write_uio(&task, f, &u, NULL), -ENOSPC);
	assert_int_equal(f->ops->truncate(f, 0), 0);
	assert_int_equal(vfs_lookup(&task, AT_FDCWD, "/mnt/mem", 0, &p, NULL), 0);
	assert_int_equal(p.node->ops->statfs(p.node, &sf), 0);
	assert_int_equal(sf.f_blocks, 16);
	assert_int_equal(sf.f_bfree, 15);
	vpath_put(&p);
	file_put(f);
}

static void test_tmpfs_tree(void **state)
{
	const struct kattr dir_attr = {.mode = S_IFDIR | 0755};
	struct vpath p, sub;
	char text[4096];
	struct vnode *d;

	(void)state;
	assert_int_equal(vfs_lookup(&task, AT_FDCWD, "/mnt/mem", 0, &p, NULL), 0);
	d = p.node;
	assert_int_equal(d->ops->mkdir(d, "a", &dir_attr), 0);
	assert_int_equal(d->ops->mkdir(d, "a", &dir_attr), -EEXIST);
	assert_int_equal(vfs_lookup(&task, AT_FDCWD, "/mnt/mem/a", 0, &sub, NULL), 0);
	assert_int_equal(sub.node->ops->mkdir(sub.node, "b", &dir_attr), 0);
	assert_int_equal(d->ops->rmdir(d, "a"), -ENOTEMPTY);
	assert_int_equal(d->ops->unlink(d, "a"), -EISDIR);
	/* a directory cannot move into itself */
	assert_int_equal(d->ops->rename(d, "a", sub.node, "c", 0), -EINVAL);
	assert_int_equal(d->ops->rename(sub.node, "b", d, "b", 0), 0);
	expect_path("/mnt/mem/b/..", "/mnt/mem");
	assert_int_equal(d->ops->rename(d, "b", d, "a", 0), 0);
	assert_int_equal(lookup("/mnt/mem/b", 0, NULL, 0), -ENOENT);
	assert_int_equal(d->ops->symlink(d, "link", "a/../../../plain", &dir_attr), 0);
	assert_int_equal(lookup("/mnt/mem/link", LOOKUP_FOLLOW, text, sizeof(text)), 0);
	assert_string_equal(text, "/plain");
	assert_int_equal(d->ops->setxattr(d, "user.k", "v", 1, 0), 0);
	assert_int_equal(d->ops->getxattr(d, "user.k", text, 10), 1);
	assert_int_equal(d->ops->setxattr(d, "user.k", "v", 1, 1), -EEXIST);
	assert_int_equal(d->ops->removexattr(d, "user.k"), 0);
	assert_int_equal(d->ops->getxattr(d, "user.k", text, 10), -ENODATA);
	vpath_put(&sub);
	vpath_put(&p);
}

struct names {
	struct dir_emit emit;
	char text[4096];
	int room;
};

static int collect(struct dir_emit *e, const char *name, uint64_t ino, unsigned char type, uint64_t next)
{
	struct names *n = container_of(e, struct names, emit);

	(void)ino, (void)type, (void)next;
	if (!n->room)
		return 1;
	n->room--;
	strcat(n->text, name);
	strcat(n->text, " ");
	return 0;
}

static void test_readdir_resumes(void **state)
{
	static const char *const dirs[] = {"/mnt/mem", "/usr"};

	(void)state;
	for (int i = 0; i < 2; i++) {
		struct names all = {.emit.emit = collect, .room = 100};
		struct names parts = {.emit.emit = collect};
		int64_t pos = 0;
		struct file *f;

		assert_int_equal(vfs_open(&task, AT_FDCWD, dirs[i], O_RDONLY | O_DIRECTORY, 0, &f), 0);
		assert_int_equal(f->ops->readdir(f, &task, &all.emit, &pos), 0);
		pos = 0;
		for (int j = 0; j < 30; j++) {
			parts.room = 1;
			assert_int_equal(f->ops->readdir(f, &task, &parts.emit, &pos), 0);
		}
		assert_string_equal(parts.text, all.text);
		file_put(f);
	}
}

/* ---- descriptors ---- */

static void test_descriptors(void **state)
{
	struct file *f;
	int fd;

	(void)state;
	assert_int_equal(vfs_open(&task, AT_FDCWD, "/plain", O_RDONLY, 0, &f), 0);
	assert_int_equal(fd_install(&task, f, 0, false), 0);
	assert_int_equal(fd_install(&task, file_get(f), 0, true), 1);
	assert_int_equal(fd_install(&task, file_get(f), 10, false), 10);
	assert_int_equal(fd_install_at(&task, f, 5, false), 5);
	assert_int_equal(fd_install_at(&task, f, 64, false), -EBADF);
	assert_int_equal(fd_get_cloexec(&task, 1), 1);
	assert_int_equal(fd_close(&task, 0), 0);
	assert_int_equal(fd_close(&task, 0), -EBADF);
	fd = fd_install(&task, file_get(fdtable_file(task.files, 5)), 0, false);
	assert_int_equal(fd, 0);
	file_put(f);
	for (fd = 2; fd < 64; fd++)
		if (fd != 5 && fd != 10)
			assert_int_equal(fd_install(&task, file_get(f), 0, false), fd);
	assert_int_equal(fd_install(&task, f, 0, false), -EMFILE);
	fdtable_close_on_exec(task.files, &task);
	assert_int_equal(fd_get_cloexec(&task, 1), -EBADF);
	assert_int_equal(fd_close_range(&task, 0, ~0u, false), 0);
	assert_int_equal(fd_next(task.files, 0), -1);
}

/* ---- record locks ---- */

static int lock(struct vnode *n, const void *owner, int type, int64_t start, int64_t end)
{
	struct record_lock l = {.start = start, .end = end, .type = type, .owner = owner, .pid = 1};

	return lock_set(&task, n, &l, false);
}

/* What another owner's exclusive lock of one byte meets. */
static int probe(struct vnode *n, int64_t at)
{
	struct record_lock l = {.start = at, .end = at, .type = F_WRLCK, .owner = "probe", .pid = 2};

	assert_int_equal(lock_test(n, &l), 0);
	return l.type;
}

/* Random operations of three owners against a byte map. */
static void test_lock_algebra(void **state)
{
	enum { OWNERS = 3, BYTES = 24 };
	int map[OWNERS][BYTES];
	struct vpath p;

	(void)state;
	for (int o = 0; o < OWNERS; o++)
		for (int i = 0; i < BYTES; i++)
			map[o][i] = F_UNLCK;
	assert_int_equal(vfs_lookup(&task, AT_FDCWD, "/plain", 0, &p, NULL), 0);
	srand(1);
	for (int step = 0; step < 20000; step++) {
		int o = rand() % OWNERS, type = (int[]){F_RDLCK, F_WRLCK, F_UNLCK}[rand() % 3];
		int a = rand() % BYTES, b = a + rand() % (BYTES - a), want = 0, at = rand() % BYTES;
		int held = F_UNLCK;

		for (int x = 0; x < OWNERS; x++)
			for (int i = a; x != o && type != F_UNLCK && i <= b; i++)
				if (map[x][i] == F_WRLCK || (map[x][i] == F_RDLCK && type == F_WRLCK))
					want = -EAGAIN;
		assert_int_equal(lock(p.node, &map[o], type, a, b), want);
		for (int i = a; !want && i <= b; i++)
			map[o][i] = type;
		for (int x = 0; x < OWNERS; x++)
			if (map[x][at] != F_UNLCK)
				held = map[x][at];
		assert_int_equal(probe(p.node, at), held);
	}
	for (int o = 0; o < OWNERS; o++)
		lock_release_owner(p.node, &map[o]);
	assert_int_equal(probe(p.node, 0), F_UNLCK);
	assert_int_equal(lock(p.node, "a", F_WRLCK, 0, INT64_MAX), 0);
	assert_int_equal(lock(p.node, "a", F_UNLCK, 5, 5), 0);
	assert_int_equal(probe(p.node, 5), F_UNLCK);
	assert_int_equal(probe(p.node, 6), F_WRLCK);
	lock_release_owner(p.node, "a");
	vpath_put(&p);
}

static void test_flock(void **state)
{
	struct file *f, *g;

	(void)state;
	assert_int_equal(vfs_open(&task, AT_FDCWD, "/plain", O_RDONLY, 0, &f), 0);
	assert_int_equal(vfs_open(&task, AT_FDCWD, "/plain", O_RDONLY, 0, &g), 0);
	assert_int_equal(lock_flock(&task, f->path.node, f, LOCK_SH, false), 0);
	assert_int_equal(lock_flock(&task, g->path.node, g, LOCK_SH, false), 0);
	assert_int_equal(lock_flock(&task, g->path.node, g, LOCK_EX, false), -EAGAIN);
	file_put(f);
	assert_int_equal(lock_flock(&task, g->path.node, g, LOCK_EX, false), 0);
	file_put(g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_plain_paths),
		cmocka_unit_test(test_path_errors),
		cmocka_unit_test(test_nothing_resolves_outside),
		cmocka_unit_test(test_openat2_resolve),
		cmocka_unit_test(test_search_permission),
		cmocka_unit_test(test_open_flags),
		cmocka_unit_test(test_tmpfs_files),
		cmocka_unit_test(test_tmpfs_tree),
		cmocka_unit_test(test_readdir_resumes),
		cmocka_unit_test(test_descriptors),
		cmocka_unit_test(test_lock_algebra),
		cmocka_unit_test(test_flock),
		cmocka_unit_test(test_rename_storm_never_escapes),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
