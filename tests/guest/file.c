/* SPDX-License-Identifier: Apache-2.0 */
#include <dirent.h>
#include <sys/file.h>
#include <sys/sendfile.h>
#include <sys/statfs.h>
#include <sys/uio.h>

#include "guest.h"

TEST(open_flags)
{
	struct stat st;
	CALL(open("missing", O_RDONLY));
	CALL(open("", O_RDONLY));
	int fd = MUST(open("f", O_CREAT | O_EXCL | O_WRONLY, 0640));
	CALL(open("f", O_CREAT | O_EXCL | O_WRONLY, 0640));
	MUST(fstat(fd, &st));
	say("mode %o", st.st_mode);
	CALL(write(fd, "12345", 5));
	char c;
	CALL(read(fd, &c, 1));
	CALL(open("f", O_DIRECTORY));
	CALL(open("f/", O_RDONLY));
	CALL(open("f/x", O_RDONLY));
	CALL(open(".", O_WRONLY));
	CALL(open(".", O_RDWR | O_CREAT, 0600));
	int t = MUST(open("f", O_RDWR | O_TRUNC));
	MUST(fstat(fd, &st));
	say("size %ld", (long)st.st_size);
	CALL(fcntl(t, F_GETFL) & (O_ACCMODE | O_APPEND | O_NONBLOCK));
	CALL(open((char *)8, O_RDONLY));
	int p = MUST(open("f", O_PATH));
	CALL(read(p, &c, 1));
	CALL(fchmod(p, 0600));
	CALL(fstat(p, &st));
	CALL(fcntl(p, F_GETFL) & O_PATH ? 1 : 0);
}

TEST(lowest_descriptor_is_used)
{
	int a = MUST(open("/dev/null", O_RDONLY)), b = MUST(dup(a));
	say("%d %d", a, b);
	close(a);
	CALL(open("/dev/null", O_RDONLY));
	CALL(dup2(b, 17));
	CALL(dup2(b, b));
	CALL(dup3(b, b, 0));
	CALL(dup3(b, 20, O_CLOEXEC));
	CALL(fcntl(20, F_GETFD));
	CALL(fcntl(b, F_DUPFD, 15));
	CALL(fcntl(b, F_DUPFD_CLOEXEC, 15));
	CALL(fcntl(19, F_GETFD));
	CALL(dup2(b, -1));
	CALL(dup2(99, 5));
	CALL(dup2(b, 1 << 30));
	CALL(close(99));
	CALL(close(20));
	CALL(close(20));
	CALL(syscall(SYS_close_range, 15, 30, 0));
	CALL(fcntl(17, F_GETFD));
}

TEST(offsets_and_positional_io)
{
	char buf[16] = "";
	int fd = make_file("f", "0123456789");
	CALL(lseek(fd, 4, SEEK_SET));
	CALL(read(fd, buf, 2));
	CALL(lseek(fd, 0, SEEK_CUR));
	CALL(pread(fd, buf + 2, 2, 8));
	CALL(lseek(fd, 0, SEEK_CUR));
	say("%s", buf);
	CALL(lseek(fd, -1, SEEK_SET));
	CALL(lseek(fd, -3, SEEK_END));
	CALL(lseek(fd, 0, 99));
	CALL(pwrite(fd, "AB", 2, 20));
	struct stat st;
	MUST(fstat(fd, &st));
	say("size %ld", (long)st.st_size);
	memset(buf, 'x', sizeof(buf));
	CALL(pread(fd, buf, 16, 9));
	for (int i = 0; i < 16; i++)
		buf[i] = buf[i] ? buf[i] : '.';
	say("%.13s", buf);
	CALL(pread(fd, buf, 1, -1));
	CALL(pread(fd, buf, 5, 1000));
	CALL(lseek(fd, 100, SEEK_SET));
	CALL(read(fd, buf, 1));
	int d = dup(fd);
	CALL(lseek(d, 3, SEEK_SET));
	CALL(lseek(fd, 0, SEEK_CUR));
}

TEST(append_mode)
{
	char buf[32] = "";
	int fd = make_file("f", "base");
	int a = MUST(open("f", O_WRONLY | O_APPEND));
	CALL(lseek(a, 0, SEEK_SET));
	CALL(write(a, "-one", 4));
	CALL(lseek(a, 0, SEEK_CUR));
	CALL(pwrite(a, "-two", 4, 0));
	CALL(pread(fd, buf, sizeof(buf), 0));
	say("%s", buf);
	CALL(fcntl(a, F_SETFL, 0));
	CALL(pwrite(a, "BASE", 4, 0));
	memset(buf, 0, sizeof(buf));
	CALL(pread(fd, buf, sizeof(buf), 0));
	say("%s", buf);
}

TEST(truncate_and_sparse)
{
	struct stat st;
	char c = 'x';
	int fd = make_file("f", "abcdef");
	CALL(ftruncate(fd, 3));
	CALL(fstat(fd, &st));
	say("size %ld", (long)st.st_size);
	CALL(truncate("f", 1 << 20));
	CALL(fstat(fd, &st));
	say("size %ld", (long)st.st_size);
	CALL(pread(fd, &c, 1, 5000));
	say("byte %d", c);
	CALL(ftruncate(fd, -1));
	CALL(truncate("missing", 0));
	CALL(truncate(".", 0));
	int ro = MUST(open("f", O_RDONLY));
	CALL(ftruncate(ro, 0));
	CALL(fallocate(fd, 0, 0, 2 << 20));
	CALL(fstat(fd, &st));
	say("size %ld", (long)st.st_size);
	CALL(fallocate(fd, 0, -1, 10));
	CALL(fallocate(fd, 0, 0, 0));
	CALL(fallocate(ro, 0, 0, 10));
	CALL(posix_fadvise(fd, 0, 0, POSIX_FADV_WILLNEED));
	CALL(fsync(fd));
	CALL(fdatasync(fd));
}

TEST(links_and_unlink)
{
	struct stat st, st2;
	close(make_file("a", "content"));
	CALL(link("a", "b"));
	MUST(stat("a", &st));
	MUST(stat("b", &st2));
	say("nlink %d same %d", (int)st.st_nlink, st.st_ino == st2.st_ino && st.st_dev == st2.st_dev);
	CALL(link("a", "b"));
	CALL(link("missing", "c"));
	CALL(mkdir("d", 0755));
	CALL(link("d", "e"));
	int fd = MUST(open("a", O_RDONLY));
	CALL(unlink("a"));
	CALL(unlink("a"));
	MUST(fstat(fd, &st));
	say("nlink %d", (int)st.st_nlink);
	CALL(unlink("b"));
	MUST(fstat(fd, &st));
	say("nlink %d", (int)st.st_nlink);
	char buf[16] = "";
	CALL(read(fd, buf, sizeof(buf)));
	say("%s", buf);
	CALL(unlink("d"));
	CALL(rmdir("d"));
	CALL(rmdir("d"));
	close(make_file("g", ""));
	CALL(rmdir("g"));
	CALL(unlink("g/"));
	CALL(rmdir("."));
	CALL(rmdir("/"));
	CALL(unlinkat(AT_FDCWD, "g", AT_REMOVEDIR));
	CALL(unlinkat(AT_FDCWD, "g", 0));
}

TEST(symbolic_links)
{
	char buf[64];
	struct stat st;
	close(make_file("target", "t"));
	CALL(symlink("target", "link"));
	CALL(symlink("x", "link"));
	CALL(symlink("", "empty"));
	long n = CALL(readlink("link", buf, sizeof(buf)));
	say("%.*s", (int)n, buf);
	CALL(readlink("link", buf, 3));
	CALL(readlink("target", buf, 3));
	CALL(lstat("link", &st));
	say("mode %o size %ld", st.st_mode, (long)st.st_size);
	CALL(stat("link", &st));
	say("mode %o", st.st_mode & S_IFMT);
	CALL(open("link", O_RDONLY | O_NOFOLLOW));
	CALL(symlink("loop2", "loop1"));
	CALL(symlink("loop1", "loop2"));
	CALL(open("loop1", O_RDONLY));
	CALL(symlink("nowhere", "dangling"));
	CALL(stat("dangling", &st));
	CALL(lstat("dangling", &st));
	CALL(open("dangling", O_CREAT | O_EXCL | O_RDWR, 0600));
	CALL(open("dangling", O_CREAT | O_RDWR, 0600) >= 0);
	CALL(stat("nowhere", &st));
	CALL(mkdir("dir", 0755));
	CALL(symlink("dir", "dirlink"));
	CALL(stat("dirlink/", &st));
	CALL(stat("link/", &st));
	CALL(unlink("dirlink"));
	CALL(symlink("../../../../../../../../../../etc", "up"));
	CALL(access("up/passwd", R_OK));
	char name[300];
	memset(name, 'n', 256);
	name[256] = 0;
	CALL(open(name, O_CREAT | O_RDWR, 0600));
	name[255] = 0;
	CALL(open(name, O_CREAT | O_RDWR, 0600) >= 0);
	char path[5000];
	memset(path, '/', sizeof(path));
	path[4999] = 0;
	CALL(open(path, O_RDONLY));
	int fd = MUST(open("link", O_PATH | O_NOFOLLOW));
	n = CALL(readlinkat(fd, "", buf, sizeof(buf)));
	say("%.*s", (int)n, buf);
}

TEST(rename_semantics)
{
	char buf[8] = "";
	close(make_file("a", "A"));
	close(make_file("b", "B"));
	CALL(rename("a", "b"));
	int fd = MUST(open("b", O_RDONLY));
	CALL(read(fd, buf, 1));
	say("%s", buf);
	CALL(rename("a", "c"));
	CALL(mkdir("d", 0755));
	CALL(mkdir("d/e", 0755));
	CALL(rename("d", "d/e/f"));
	CALL(rename("b", "d"));
	CALL(rename("d", "b"));
	CALL(mkdir("empty", 0755));
	CALL(rename("empty", "d"));
	CALL(rename("d/e", "empty"));
	CALL(rename("b", "b"));
	close(make_file("x", "X"));
	CALL(renameat2(AT_FDCWD, "b", AT_FDCWD, "x", RENAME_NOREPLACE));
	CALL(renameat2(AT_FDCWD, "b", AT_FDCWD, "x", RENAME_EXCHANGE));
	fd = MUST(open("x", O_RDONLY));
	CALL(read(fd, buf, 1));
	say("%s", buf);
	CALL(renameat2(AT_FDCWD, "b", AT_FDCWD, "new", RENAME_EXCHANGE));
	CALL(renameat2(AT_FDCWD, "b", AT_FDCWD, "x", RENAME_EXCHANGE | RENAME_NOREPLACE));
	CALL(renameat2(AT_FDCWD, "b", AT_FDCWD, "new", RENAME_NOREPLACE));
	CALL(access("b", F_OK));
	CALL(access("new", F_OK));
	CALL(rename("new", "missing/new"));
	CALL(rename(".", "y"));
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

TEST(directory_listing)
{
	char name[32], *names[400];
	int n = 0, types = 0;
	MUST(mkdir("many", 0755));
	for (int i = 0; i < 300; i++) {
		snprintf(name, sizeof(name), "many/file%03d", i);
		close(make_file(name, ""));
	}
	MUST(mkdir("many/sub", 0755));
	MUST(symlink("x", "many/sym"));
	DIR *d = opendir("many");
	struct dirent *e;
	while ((e = readdir(d))) {
		names[n++] = strdup(e->d_name);
		types += e->d_type == DT_REG ? 1 : e->d_type == DT_DIR ? 1000 : e->d_type == DT_LNK ? 100000 : 0;
	}
	qsort(names, n, sizeof(*names), by_name);
	say("%d entries, %s %s %s .. %s %s, types %d", n, names[0], names[1], names[2], names[n - 2], names[n - 1],
	    types);
	rewinddir(d);
	int again = 0;
	while ((e = readdir(d)))
		again++;
	say("again %d", again);
	int fd = dirfd(d);
	char buf[64];
	CALL(lseek(fd, 0, SEEK_SET));
	CALL(syscall(SYS_getdents64, fd, buf, 10));
	CALL(read(fd, buf, 10));
	int f = make_file("plain", "");
	CALL(syscall(SYS_getdents64, f, buf, sizeof(buf)));
	CALL(rmdir("many"));
	/* Deleting while reading leaves nothing behind. */
	rewinddir(d);
	while ((e = readdir(d)))
		if (e->d_name[0] != '.')
			unlinkat(fd, e->d_name, e->d_type == DT_DIR ? AT_REMOVEDIR : 0);
	CALL(rmdir("many"));
	CALL(openat(fd, "new", O_CREAT | O_RDWR, 0600));
	rewinddir(d);
	CALL(readdir(d) == NULL);
}

TEST(working_directory)
{
	char start[PATH_MAX], buf[PATH_MAX];
	MUST((long)getcwd(start, sizeof(start)));
	MUST(mkdir("w", 0755));
	MUST(mkdir("w/x", 0755));
	CALL(chdir("w/x"));
	MUST((long)getcwd(buf, sizeof(buf)));
	say("%s", buf + strlen(start));
	CALL(syscall(SYS_getcwd, buf, 3));
	CALL(chdir("missing"));
	close(make_file("f", ""));
	CALL(chdir("f"));
	int fd = MUST(open("..", O_RDONLY | O_DIRECTORY));
	CALL(fchdir(fd));
	MUST((long)getcwd(buf, sizeof(buf)));
	say("%s", buf + strlen(start));
	CALL(unlink("x/f"));
	CALL(chdir("x"));
	CALL(rmdir("../x"));
	CALL((long)getcwd(buf, sizeof(buf)) ? 1 : -1);
	CALL(open("file", O_CREAT | O_RDWR, 0600));
	CALL(chdir(".."));
	CALL(fchdir(0x7fff));
	CALL(mkdirat(fd, "made", 0700));
	CALL(faccessat(fd, "made", X_OK, 0));
	CALL(mkdirat(fd, "made", 0700));
	CALL(mkdir("a/b/c", 0755));
	CALL(mkdir("slash/", 0755));
	CALL(chdir("/.."));
	MUST((long)getcwd(buf, sizeof(buf)));
	say("%s", buf);
}

TEST(modes_and_times)
{
	struct stat st;
	int fd = make_file("f", "x");
	CALL(chmod("f", 04755));
	MUST(stat("f", &st));
	say("mode %o", st.st_mode);
	CALL(fchmod(fd, 0));
	MUST(stat("f", &st));
	say("mode %o", st.st_mode);
	CALL(access("f", R_OK));
	CALL(access("f", X_OK));
	CALL(chown("f", 1000, 2000));
	MUST(stat("f", &st));
	say("owner %d:%d", st.st_uid, st.st_gid);
	CALL(chmod("f", 06755));
	CALL(chown("f", -1, 3000));
	MUST(stat("f", &st));
	say("owner %d:%d mode %o", st.st_uid, st.st_gid, st.st_mode);
	CALL(umask(077));
	MUST(mkdir("private", 0777));
	MUST(stat("private", &st));
	say("mode %o", st.st_mode);
	CALL(umask(022));
	struct timespec ts[2] = {{1000000000, 123456789}, {1100000000, 987654321}};
	CALL(utimensat(AT_FDCWD, "f", ts, 0));
	MUST(stat("f", &st));
	say("%ld.%09ld %ld.%09ld", (long)st.st_atim.tv_sec, st.st_atim.tv_nsec, (long)st.st_mtim.tv_sec,
	    st.st_mtim.tv_nsec);
	ts[0].tv_nsec = UTIME_OMIT;
	ts[1].tv_nsec = 2000000000;
	CALL(utimensat(AT_FDCWD, "f", ts, 0));
	ts[1].tv_nsec = UTIME_NOW;
	CALL(futimens(fd, ts));
	MUST(stat("f", &st));
	say("recent %d", time(NULL) - st.st_mtim.tv_sec < 60 && st.st_atim.tv_sec == 1000000000);
	MUST(symlink("f", "l"));
	CALL(fchownat(AT_FDCWD, "l", 5, 6, AT_SYMLINK_NOFOLLOW));
	MUST(lstat("l", &st));
	say("owner %d:%d", st.st_uid, st.st_gid);
	struct statx sx;
	CALL(statx(AT_FDCWD, "f", 0, STATX_BASIC_STATS, &sx));
	say("%o %u %d", sx.stx_mode, sx.stx_nlink, (sx.stx_mask & STATX_BASIC_STATS) == STATX_BASIC_STATS);
	CALL(statx(AT_FDCWD, "f", 0x10000000, STATX_ALL, &sx));
	CALL(statx(fd, "", AT_EMPTY_PATH, STATX_SIZE, &sx));
	struct statfs fs;
	CALL(statfs(".", &fs));
	CALL(fstatfs(fd, &fs));
	say("namelen %ld", (long)fs.f_namelen);
}

TEST(permissions_bind_an_ordinary_user)
{
	close(make_file("secret", "x"));
	MUST(chmod("secret", 0600));
	MUST(mkdir("locked", 0700));
	close(make_file("locked/f", "x"));
	MUST(chmod(".", 0755));
	pid_t pid = MUST(fork());
	if (pid == 0) {
		MUST(setgid(1000));
		MUST(setuid(1000));
		CALL(open("secret", O_RDONLY));
		CALL(access("secret", R_OK));
		CALL(open("locked/f", O_RDONLY));
		CALL(chdir("locked"));
		CALL(open("new", O_CREAT | O_RDWR, 0600));
		CALL(unlink("secret"));
		CALL(chmod("secret", 0666));
		CALL(chown("secret", 1000, 1000));
		CALL(mkdir("x", 0700));
		CALL(truncate("secret", 0));
		CALL(rename("secret", "y"));
		CALL(link("locked", "z"));
		struct stat st;
		CALL(stat("secret", &st));
		CALL(stat("locked/f", &st));
		_exit(0);
	}
	reap("user", pid);
}

TEST(sticky_directory)
{
	MUST(mkdir("sticky", 0777));
	MUST(chmod("sticky", 01777));
	close(make_file("sticky/roots", ""));
	pid_t pid = MUST(fork());
	if (pid == 0) {
		MUST(setuid(1000));
		CALL(unlink("sticky/roots"));
		CALL(rename("sticky/roots", "sticky/mine"));
		CALL(open("sticky/own", O_CREAT | O_RDWR, 0600) >= 0);
		CALL(unlink("sticky/own"));
		_exit(0);
	}
	reap("user", pid);
}

TEST(copying_between_descriptors)
{
	char buf[64] = "";
	int in = make_file("in", "The quick brown fox"), out = make_file("out", "");
	off_t off = 4;
	CALL(sendfile(out, in, &off, 5));
	say("offset %ld", (long)off);
	CALL(sendfile(out, in, NULL, 3));
	CALL(lseek(in, 0, SEEK_CUR));
	CALL(pread(out, buf, sizeof(buf), 0));
	say("%s", buf);
	loff_t from = 10, to = 0;
	CALL(copy_file_range(in, &from, out, &to, 5, 0));
	say("offsets %ld %ld", (long)from, (long)to);
	memset(buf, 0, sizeof(buf));
	CALL(pread(out, buf, sizeof(buf), 0));
	say("%s", buf);
	CALL(copy_file_range(in, NULL, out, NULL, 5, 1));
	CALL(sendfile(in, out, &off, -1));
	CALL(sendfile(99, in, NULL, 1));
	int app = MUST(open("out", O_WRONLY | O_APPEND));
	CALL(copy_file_range(in, &from, app, NULL, 5, 0));
}

TEST(vectored_file_io)
{
	char a[4] = "", b[4] = "", c[8] = "";
	int fd = make_file("f", "");
	struct iovec w[] = {{"abc", 3}, {"", 0}, {"defgh", 5}};
	CALL(writev(fd, w, 3));
	CALL(pwritev(fd, w, 1, 8));
	struct iovec r[] = {{a, 3}, {b, 3}, {c, 7}};
	CALL(preadv(fd, r, 3, 0));
	say("%s %s %s", a, b, c);
	CALL(preadv(fd, r, 3, -5));
	CALL(readv(fd, r, 3));
	CALL(preadv2(fd, r, 1, 2, 0));
	say("%s", a);
	CALL(preadv2(fd, r, 1, 2, 0x4000));
	CALL(pwritev2(fd, w, 1, 0, RWF_APPEND));
	CALL(lseek(fd, 0, SEEK_END));
	CALL(read(fd, (void *)8, 0));
	CALL(pread(fd, (void *)8, 4, 0));
	CALL(pwrite(fd, (void *)8, 4, 0));
	CALL(read(-1, a, 1));
}

TEST(temporary_file_without_a_name)
{
	struct stat st;
	int fd = open(".", O_TMPFILE | O_RDWR, 0600);
	if (fd == -1 && errno == EOPNOTSUPP)
		fd = MUST(open("/tmp", O_TMPFILE | O_RDWR, 0600));
	CALL(write(fd, "tmp", 3));
	MUST(fstat(fd, &st));
	say("nlink %d size %ld", (int)st.st_nlink, (long)st.st_size);
	CALL(open(".", O_TMPFILE | O_RDONLY, 0600));
}

TEST(memfd_and_seals)
{
	int fd = MUST(memfd_create("name", MFD_ALLOW_SEALING | MFD_CLOEXEC));
	char link[128], path[64];
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	long n = MUST(readlink(path, link, sizeof(link) - 1));
	link[n] = 0;
	say("%s", link);
	CALL(ftruncate(fd, 8192));
	CALL(write(fd, "abc", 3));
	CALL(fcntl(fd, F_GET_SEALS));
	CALL(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW));
	CALL(ftruncate(fd, 0));
	CALL(ftruncate(fd, 16384));
	CALL(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE));
	CALL(write(fd, "x", 1));
	CALL(fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL));
	CALL(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK));
	int plain = MUST(memfd_create("p", 0));
	CALL(fcntl(plain, F_ADD_SEALS, F_SEAL_WRITE));
	CALL(memfd_create("x", 0x8000));
}

TEST(devices)
{
	char buf[64];
	struct stat st;
	int fd = MUST(open("/dev/null", O_RDWR));
	CALL(read(fd, buf, 10));
	CALL(write(fd, buf, 10));
	fd = MUST(open("/dev/zero", O_RDWR));
	memset(buf, 1, sizeof(buf));
	CALL(read(fd, buf, 64));
	say("%d %d", buf[0], buf[63]);
	fd = MUST(open("/dev/full", O_RDWR));
	CALL(write(fd, buf, 1));
	CALL(read(fd, buf, 5));
	fd = MUST(open("/dev/urandom", O_RDONLY));
	CALL(read(fd, buf, 32));
	static const char *const names[] = {"/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom",
					    "/dev/tty"};
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		MUST(stat(names[i], &st));
		say("%s %o %d:%d", names[i], st.st_mode, (int)(st.st_rdev >> 8), (int)(st.st_rdev & 255));
	}
	CALL(open("/dev/tty", O_RDWR));
	char *p = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, MUST(open("/dev/zero", O_RDWR)), 0);
	CALL(p != MAP_FAILED);
	p[5] = 1;
	CALL(mknod("node", S_IFCHR | 0600, 0x103));
	CALL(mknod("fifo", S_IFIFO | 0600, 0));
	CALL(mknod("plain", S_IFREG | 0644, 0));
	CALL(mknod("plain", S_IFREG | 0644, 0));
	CALL(mknod("dir", S_IFDIR | 0644, 0));
	for (int i = 0; i < 3; i++) {
		static const char *const links[] = {"/dev/fd", "/dev/stdin", "/dev/stdout"};
		long n = CALL(readlink(links[i], buf, sizeof(buf)));
		say("%.*s", (int)n, buf);
	}
}

TEST(parents_of_removed_directories)
{
	struct stat top, st;
	char cwd[PATH_MAX];
	MUST(stat(".", &top));
	MUST(mkdir("a", 0755));
	MUST(mkdir("a/b", 0755));
	MUST(chdir("a/b"));
	MUST(rmdir("../b"));
	CALL(stat("..", &st));
	MUST(rmdir("../../a"));
	CALL(stat(".", &st));
	CALL(stat("..", &st));
	CALL(stat("../..", &st));
	say("the same %d", st.st_ino == top.st_ino && st.st_dev == top.st_dev);
	CALL(mkdir("x", 0755));
	CALL(chdir(".."));
	CALL(syscall(SYS_getcwd, cwd, sizeof(cwd)));
	CALL(chdir(".."));
	CALL(syscall(SYS_getcwd, cwd, sizeof(cwd)) > 0);
}

TEST(directories_deeper_than_a_path_is_long)
{
	char name[101], cwd[PATH_MAX];
	struct stat top, st;
	int down = 0, up = 0;
	memset(name, 'd', 100);
	name[100] = 0;
	MUST(stat(".", &top));
	while (down < 60 && mkdir(name, 0755) == 0 && chdir(name) == 0)
		down++;
	say("down %d", down);
	CALL(syscall(SYS_getcwd, cwd, sizeof(cwd)));
	while (up < down && chdir("..") == 0 && rmdir(name) == 0)
		up++;
	say("up %d", up);
	MUST(stat(".", &st));
	say("the same %d", st.st_ino == top.st_ino);
}

TEST(positions_that_overflow)
{
	static const char *const paths[] = {"/tmp", "/proc/self/status", "/proc", "/dev/pts", "."};
	for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
		int fd = MUST(open(paths[i], O_RDONLY));
		say("%s", paths[i]);
		CALL(lseek(fd, 2, SEEK_SET));
		CALL(lseek(fd, INT64_MAX, SEEK_CUR));
		CALL(lseek(fd, INT64_MIN, SEEK_CUR));
		CALL(lseek(fd, 0, SEEK_CUR));
		close(fd);
	}
}
