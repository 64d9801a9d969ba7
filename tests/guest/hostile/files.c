/* SPDX-License-Identifier: Apache-2.0 */
/* Paths that move and loop, memory through /proc, programs that are not: none may leave the container. */
#include <elf.h>
#include <stdatomic.h>
#include <stddef.h>
#include <sys/utsname.h>

#include "guest.h"
#include "guest_arch.h"

static unsigned seconds(void)
{
	const char *s = getenv("HOSTILE_SECONDS");
	return s ? (unsigned)atoi(s) : 5;
}

static atomic_bool stop;

/* A directory that is moved up and down while others walk out of it by "..". */
static void *move_about(void *arg)
{
	(void)arg;
	while (!atomic_load(&stop)) {
		rename("a/b/c/d", "d");
		rename("d", "a/b/c/d");
		rename("a/b/c", "x/c");
		rename("x/c", "a/b/c");
	}
	return NULL;
}

static void *swap_link(void *arg)
{
	(void)arg;
	while (!atomic_load(&stop)) {
		symlink("/../../../../..", "swap");
		unlink("swap");
		mkdir("swap", 0700);
		rmdir("swap");
		symlink("../../../../../../../../proc/self/root/..", "swap");
		unlink("swap");
	}
	return NULL;
}

/* What went wrong, each kind once, and how often anything did. */
static long wrong(const char *what, int err)
{
	static const char *told[8];

	for (size_t i = 0; i < ARRAY_SIZE(told) && told[i] != what; i++) {
		if (told[i])
			continue;
		told[i] = what;
		say("%s (errno %s)", what, error_name(err));
		break;
	}
	return 1;
}

static const char up[] = "../../../../../../../../../../../../../../../../../../..";

/* From a descriptor of a directory that is being moved. */
static long walk_out_of(int fd, const struct stat *root)
{
	struct stat st;
	long odd = 0;
	char cwd[4096];

	/* A directory has a parent, wherever it is moved meanwhile. */
	if (fstatat(fd, up, &st, 0) == -1)
		odd += wrong("no way up from a descriptor", errno);
	else if (st.st_ino != root->st_ino || st.st_dev != root->st_dev)
		odd += wrong("out of the root from a descriptor", 0);
	if (fstatat(fd, "../../..", &st, AT_SYMLINK_NOFOLLOW) == -1)
		odd += wrong("no third parent", errno);
	if (fchdir(fd) == -1)
		return odd + wrong("fchdir", errno);
	if (getcwd(cwd, sizeof cwd) == NULL && errno != ENOENT)
		odd += wrong("getcwd", errno);
	int up_fd = open(up, O_RDONLY | O_DIRECTORY);
	if (up_fd == -1)
		odd += wrong("no way up from the working directory", errno);
	else if (fstat(up_fd, &st) == 0 && st.st_ino != root->st_ino)
		odd += wrong("out of the root from the working directory", 0);
	close(up_fd);
	if (chdir("/scratch") == -1)
		odd += wrong("chdir", errno);
	return odd;
}

static long walk_by_name(const char *head, const struct stat *root)
{
	char path[512];
	struct stat st;
	long odd = 0;

	snprintf(path, sizeof path, "%s/%s", head, up);
	if (stat(path, &st) == 0 && (st.st_ino != root->st_ino || st.st_dev != root->st_dev))
		odd += wrong("out of the root by name", 0);
	snprintf(path, sizeof path, "%s/%s/test/files", head, up);
	if (stat(path, &st) == -1 && errno != ENOENT && errno != ENOTDIR && errno != ELOOP)
		odd += wrong("an errno no path walk has", errno);
	return odd;
}

TEST(renames_against_dotdot)
{
	static const char *const heads[] = {"a/b/c/d", "d", "a/b/c", "x/c", "a/b/../b/c/../../b/c/d", "swap",
					    "a/b/c/d/../../../../swap"};
	pthread_t t[2];
	struct stat root;
	long odd = 0, walks = 0;

	set_limit(seconds() + 60);
	MUST(chdir("/scratch"));
	mkdir("a", 0700), mkdir("a/b", 0700), mkdir("a/b/c", 0700), mkdir("a/b/c/d", 0700), mkdir("x", 0700);
	MUST(stat("/", &root));
	pthread_create(&t[0], NULL, move_about, NULL);
	pthread_create(&t[1], NULL, swap_link, NULL);
	for (int64_t end = now_ns() + seconds() * 1000000000ll; now_ns() < end || walks < 200; walks++) {
		const char *head = heads[walks % ARRAY_SIZE(heads)];
		int fd;

		odd += walk_by_name(head, &root);
		fd = open(head, O_RDONLY | O_DIRECTORY);
		if (fd >= 0)
			odd += walk_out_of(fd, &root);
		close(fd);
	}
	atomic_store(&stop, true);
	pthread_join(t[0], NULL);
	pthread_join(t[1], NULL);
	say("wrong: %ld", odd);
}

TEST(links_without_end)
{
	char name[32], target[32], *big = malloc(8192);
	struct stat st;

	for (int i = 0; i < 60; i++) {
		snprintf(name, sizeof name, "l%d", i);
		snprintf(target, sizeof target, "l%d", i + 1);
		unlink(name);
		symlink(i == 59 ? "." : target, name);
	}
	CALL(stat("l20", &st));
	CALL(stat("l19", &st));
	CALL(stat("l0", &st));
	CALL(lstat("l0", &st));
	CALL(open("l0/x", O_RDONLY));
	CALL(open("l10/l40", O_RDONLY | O_NOFOLLOW));
	unlink("self"), symlink("self", "self");
	CALL(stat("self", &st));
	CALL(stat("self/x", &st));
	CALL(open("self", O_RDWR | O_CREAT, 0600));
	CALL(rename("self/x", "y"));
	unlink("dot"), symlink("./dot2/..", "dot"), unlink("dot2"), symlink("dot/.", "dot2");
	CALL(stat("dot", &st));
	memset(big, 'a', 8191), big[8191] = 0;
	CALL(stat(big, &st));
	big[4096] = 0;
	CALL(stat(big, &st));
	big[4095] = 0;
	CALL(stat(big, &st));
	big[256] = 0;
	CALL(stat(big, &st));
	CALL(mkdir(big, 0700));
	big[255] = 0;
	CALL(mkdir(big, 0700));
	CALL(rmdir(big));
	for (int i = 0; i < 4095; i++)
		big[i] = i % 2 ? '/' : '.';
	big[4095] = 0;
	CALL(stat(big, &st));
	CALL(symlink(big, "long"));
	CALL(stat("long", &st));
	CALL(symlink("", "empty"));
	int depth = 0;
	while (depth < 200 && mkdir("deeper-and-deeper", 0700) == 0 && chdir("deeper-and-deeper") == 0)
		depth++;
	say("depth %d", depth);
	CALL(getcwd(big, 4096) == NULL ? -1 : 0);
	while (depth-- > 0 && chdir("..") == 0)
		rmdir("deeper-and-deeper");
	CALL(stat("l59", &st));
}

/* ---- memory through /proc ---- */

static const char constant[64] = "read only";
__attribute__((noinline, section(".text.patch"))) static int patched(void)
{
	__asm__ volatile("nop; nop; nop; nop; nop; nop");
	return 41;
}

TEST(memory_file)
{
	int fd = MUST(open("/proc/self/mem", O_RDWR));
	char *page = mmap(NULL, 2 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), *shared, buf[64] = "";
	int file = make_file("shared", "file");
	uint8_t ret[] = {CODE_RETURN_42};

	CALL(pwrite(fd, "written", 8, (off_t)(uintptr_t)constant));
	say("%s", (const char *)(uintptr_t)constant);
	CALL(pwrite(fd, ret, sizeof ret, (off_t)(uintptr_t)patched));
	say("patched %d", patched());
	munmap(page + PAGE, PAGE);
	mprotect(page, PAGE, PROT_READ);
	CALL(pread(fd, buf, 64, (off_t)(uintptr_t)(page + PAGE - 10)));
	CALL(pread(fd, buf, 8, 0));
	CALL(pwrite(fd, buf, 8, 0));
	CALL(pread(fd, buf, 8, 0x7ffffffff000));
	CALL(pwrite(fd, buf, 8, 0x7ffffffff000));
	shared = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, file, 0);
	CALL(pwrite(fd, "over", 4, (off_t)(uintptr_t)shared));
	munmap(shared, PAGE);
	int ro = open("shared", O_RDONLY);
	shared = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, ro, 0);
	CALL(pwrite(fd, "over", 4, (off_t)(uintptr_t)shared));
	char *private = mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, ro, 0);
	CALL(pwrite(fd, "mine", 4, (off_t)(uintptr_t)private));
	say("%.4s %.4s", private, shared);
	CALL(ftruncate(file, 0));
	CALL(pread(fd, buf, 4, (off_t)(uintptr_t)shared));
	CALL(lseek(fd, -1, SEEK_SET));
	CALL(lseek(fd, 0xffffffff80000000, SEEK_SET) == -1 ? -1 : 0);
	CALL(read(fd, buf, 8));
	CALL(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, fd, 0) == MAP_FAILED ? -1 : 0);
}

TEST(memory_file_of_others)
{
	int gate[2], status;
	static volatile long value = 7;
	char name[64];
	long seen = 0;

	MUST(pipe(gate));
	pid_t pid = MUST(fork());
	if (pid == 0) {
		char c;
		read(gate[0], &c, 1);
		_exit((int)value);
	}
	snprintf(name, sizeof name, "/proc/%d/mem", pid);
	int fd = MUST(open(name, O_RDWR));
	CALL(pread(fd, &seen, 8, (off_t)(uintptr_t)&value));
	say("seen %ld", seen);
	seen = 9;
	CALL(pwrite(fd, &seen, 8, (off_t)(uintptr_t)&value));
	say("own %ld", value);
	write(gate[1], "x", 1);
	waitpid(pid, &status, 0);
	describe_status("child", status);
	pread(fd, &seen, 8, (off_t)(uintptr_t)&value); /* its memory is gone: nothing, or an error */
	pwrite(fd, &seen, 8, (off_t)(uintptr_t)&value);
	say("went on");
}

/* Processes that come, exec and go while others read and write their memory and files of /proc. */
static void *read_proc(void *arg)
{
	static const char *const files[] = {"maps", "smaps", "status", "stat", "cmdline", "environ", "mem", "fd", "task", "exe", "cwd",
					    "root", "mountinfo", "limits", "io", "comm", "wchan", "stack", "auxv", "fdinfo", "ns"};
	char name[128], buf[4096];
	unsigned i = (unsigned)(uintptr_t)arg;

	while (!atomic_load(&stop)) {
		snprintf(name, sizeof name, "/proc/%d/%s", (int)(i * 7 % 400), files[i % ARRAY_SIZE(files)]);
		int fd = open(name, i & 64 ? O_RDWR : O_RDONLY);
		if (fd >= 0) {
			pread(fd, buf, sizeof buf, i & 1 ? 0 : 0x400000 + i % 100000);
			if (i & 64)
				pwrite(fd, buf, 16, 0x400000 + i % 4000000);
			syscall(SYS_getdents64, fd, buf, sizeof buf);
			close(fd);
		}
		readlink(name, buf, sizeof buf);
		snprintf(name, sizeof name, "/proc/%d/fd/%d", (int)(i * 7 % 400), i % 8);
		fd = open(name, O_RDONLY | O_NONBLOCK);
		close(fd);
		i++;
	}
	return NULL;
}

TEST(survive_proc_races)
{
	struct utsname u;
	pthread_t t[4];

	/* What it writes to may be any process: only in a container of one's own. */
	uname(&u);
	if (strcmp(u.nodename, "guest") != 0)
		_exit(93);
	set_limit(seconds() + 30);
	pid_t reader = MUST(fork());
	if (reader == 0) {
		setsid();
		for (uintptr_t i = 0; i < 4; i++)
			pthread_create(&t[i], NULL, read_proc, (void *)(i * 1000));
		pthread_join(t[0], NULL);
	}
	for (int64_t end = now_ns() + seconds() * 1000000000ll; now_ns() < end;) {
		pid_t pids[6];
		for (int i = 0; i < 6; i++) {
			pids[i] = fork();
			if (pids[i] == 0 && i % 2) {
				freopen("/dev/null", "w", stdout);
				execl("/proc/self/exe", "files", "--list", NULL);
				_exit(1);
			}
			if (pids[i] == 0) {
				char *p = mmap(NULL, 64 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
				memset(p, 1, 64 * PAGE);
				_exit(0);
			}
		}
		for (int i = 0; i < 6; i++)
			waitpid(pids[i], NULL, 0);
	}
	kill(reader, SIGKILL);
	waitpid(reader, NULL, 0);
	say("went on");
}

/* ---- programs that are not ---- */

static uint64_t state = 1;
static uint64_t random64(void)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state * 0x2545f4914f6cdd1dull;
}

static void write_program(const char *name, const void *data, size_t len)
{
	unlink(name);
	int fd = MUST(open(name, O_WRONLY | O_CREAT | O_TRUNC, 0755));
	if (write(fd, data, len) != (ssize_t)len)
		_exit(97);
	close(fd);
}

static void run_program(const char *what, const void *data, size_t len)
{
	char *const argv[] = {(char *)"program", NULL}, *const env[] = {NULL};

	write_program("program", data, len);
	pid_t pid = MUST(fork());
	if (pid == 0) {
		alarm(30); /* none of them runs for long */
		execve("program", argv, env);
		_exit(100 + errno);
	}
	reap(what, pid);
}

struct tiny {
	Elf64_Ehdr e;
	Elf64_Phdr p[3];
	uint8_t code[64];
};

static struct tiny tiny_program(void)
{
	static const uint8_t code[] = {CODE_EXIT_7};
	struct tiny t = {
		.e = {.e_ident = {0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, EV_CURRENT},
		      .e_type = ET_EXEC, .e_machine = GUEST_ELF_MACHINE, .e_version = 1,
		      .e_entry = 0x400000 + offsetof(struct tiny, code), .e_phoff = sizeof(Elf64_Ehdr),
		      .e_ehsize = sizeof(Elf64_Ehdr), .e_phentsize = sizeof(Elf64_Phdr), .e_phnum = 2},
		.p = {{.p_type = PT_LOAD, .p_flags = PF_R | PF_X, .p_vaddr = 0x400000, .p_filesz = sizeof t, .p_memsz = sizeof t,
		       .p_align = PAGE},
		      {.p_type = PT_GNU_STACK, .p_flags = PF_R | PF_W}},
	};
	memcpy(t.code, code, sizeof code);
	return t;
}

#define ELF(text, change)                                                                          \
	do {                                                                                       \
		struct tiny t = tiny_program();                                                    \
		change;                                                                            \
		run_program(text, &t, sizeof t);                                                   \
	} while (0)

TEST(survive_crafted_programs)
{
	set_limit(120);
	ELF("as it should be", (void)0);
	ELF("no segments", t.e.e_phnum = 0);
	ELF("more segments than the file", t.e.e_phnum = 1000);
	ELF("65535 segments", t.e.e_phnum = 0xffff);
	ELF("odd entry size", t.e.e_phentsize = 55);
	ELF("headers past the end", t.e.e_phoff = 1 << 20);
	ELF("headers at the end of all", t.e.e_phoff = 0xfffffffffffffff0);
	ELF("wrong class", t.e.e_ident[EI_CLASS] = ELFCLASS32);
	ELF("wrong machine", t.e.e_machine = GUEST_OTHER_MACHINE);
	ELF("wrong type", t.e.e_type = ET_REL);
	ELF("entry nowhere", t.e.e_entry = 0);
	ELF("entry in the kernel", t.e.e_entry = 0xffffffff80000300);
	ELF("entry not canonical", t.e.e_entry = 0x8000000000000000);
	ELF("segment in the kernel", t.p[0].p_vaddr = 0xffffffff80000000);
	ELF("segment at zero", t.p[0].p_vaddr = 0);
	ELF("segment wraps", (t.p[0].p_memsz = 0xffffffffffffff00, t.p[0].p_vaddr = 0x400000));
	ELF("segment too long", t.p[0].p_memsz = 0x7fffffffffff);
	ELF("file longer than memory", (t.p[0].p_filesz = sizeof t, t.p[0].p_memsz = 10));
	ELF("misaligned", t.p[0].p_offset = 1);
	ELF("odd alignment", t.p[0].p_align = 3);
	ELF("huge alignment", (t.e.e_type = ET_DYN, t.p[0].p_vaddr = 0, t.e.e_entry -= 0x400000, t.p[0].p_align = 1ull << 40));
	ELF("overlapping segments", (t.e.e_phnum = 3, t.p[2] = t.p[0]));
	ELF("interpreter without a name", (t.p[1].p_type = PT_INTERP, t.p[1].p_filesz = 0));
	ELF("interpreter name too long", (t.p[1].p_type = PT_INTERP, t.p[1].p_filesz = 5000));
	ELF("interpreter name without an end", (t.p[1].p_type = PT_INTERP, t.p[1].p_filesz = 4));
	ELF("interpreter name past the file", (t.p[1].p_type = PT_INTERP, t.p[1].p_filesz = 10, t.p[1].p_offset = 1 << 20));
	ELF("interpreter is itself", (t.p[1].p_type = PT_INTERP, t.p[1].p_filesz = 8, t.p[1].p_offset = offsetof(struct tiny, code) + 32,
				      memcpy(t.code + 32, "program", 8)));
	ELF("two interpreters", (t.e.e_phnum = 3, t.p[1].p_type = PT_INTERP, t.p[1].p_filesz = 4, t.p[2] = t.p[1]));
	ELF("position independent", (t.e.e_type = ET_DYN, t.p[0].p_vaddr = 0, t.e.e_entry -= 0x400000));
	run_program("nothing", "", 0);
	run_program("one byte", "\177", 1);
	run_program("only the magic", "\177ELF", 4);
	run_program("noise", "\1\2\3\4\5\6\7\10", 8);
	run_program("script of itself", "#!program\n", 10);
	run_program("script without a name", "#!\n", 3);
	run_program("script with blanks", "#!   \t  \n", 9);
	run_program("script of a directory", "#!/\n", 4);
	run_program("script of nothing", "#!/nonexistent\n", 15);
	run_program("script without a newline", "#!/nonexistent", 14);
	char long_name[600];
	memset(long_name, 'a', sizeof long_name);
	memcpy(long_name, "#!/", 3);
	run_program("script with a long name", long_name, sizeof long_name);
	memcpy(long_name, "#!\0\0", 4);
	run_program("script with a zero", long_name, sizeof long_name);
	say("went on");
}

TEST(survive_noisy_programs)
{
	int status;

	set_limit(200);
	for (int i = 0; i < 400; i++) {
		struct tiny t = tiny_program();
		for (int k = 0; k < 1 + i % 4; k++) {
			size_t at = random64() % (sizeof t.e + 2 * sizeof t.p[0]);
			((uint8_t *)&t)[at < 4 ? 4 : at] = (uint8_t)random64();
		}
		write_program("program", &t, sizeof t);
		pid_t pid = MUST(fork());
		if (pid == 0) {
			char *const argv[] = {(char *)"program", NULL};
			alarm(1);
			execve("program", argv, argv + 1);
			_exit(1);
		}
		waitpid(pid, &status, 0);
	}
	say("went on");
}
