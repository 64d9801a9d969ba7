/* SPDX-License-Identifier: Apache-2.0 */
#include <dirent.h>
#include <sys/prctl.h>

#include "guest.h"

static char text[65536];

static const char *slurp(const char *path)
{
	int fd = open(path, O_RDONLY);
	text[0] = 0;
	if (fd == -1) {
		snprintf(text, sizeof(text), "%s", error_name(errno));
		return text;
	}
	long n, total = 0;
	while ((n = read(fd, text + total, sizeof(text) - 1 - total)) > 0)
		total += n;
	text[total] = 0;
	close(fd);
	return text;
}

/* The value of a "Key:\tvalue" line of /proc/self/status. */
static void show_key(const char *path, const char *key)
{
	char line[256];
	FILE *f = fopen(path, "r");
	if (!f) {
		say("%s: %s", path, error_name(errno));
		return;
	}
	while (fgets(line, sizeof(line), f))
		if (strncmp(line, key, strlen(key)) == 0 && line[strlen(key)] == ':') {
			line[strcspn(line, "\n")] = 0;
			say("%s", line);
		}
	fclose(f);
}

TEST(self_links)
{
	char a[PATH_MAX], b[PATH_MAX];
	long n = MUST(readlink("/proc/self", a, sizeof(a)));
	a[n] = 0;
	say("self %d", atoi(a) == getpid());
	n = MUST(readlink("/proc/self/cwd", a, sizeof(a)));
	a[n] = 0;
	say("cwd %d", strcmp(getcwd(b, sizeof(b)), a) == 0);
	n = MUST(readlink("/proc/self/exe", a, sizeof(a)));
	a[n] = 0;
	say("%s", a);
	n = MUST(readlink("/proc/self/root", a, sizeof(a)));
	a[n] = 0;
	say("%s", a);
	n = MUST(readlink("/proc/thread-self", a, sizeof(a)));
	a[n] = 0;
	say("thread %d", strstr(a, "/task/") != NULL);
}

TEST(status_file)
{
	static const char *const keys[] = {"Name", "Umask", "State", "Uid",	"Gid",	 "FDSize", "Groups",
					   "Threads", "SigBlk", "SigIgn", "SigCgt", "NoNewPrivs"};
	prctl(PR_SET_NAME, "renamed");
	/* The C library's own signals may come ignored from whoever started the tests. */
	for (int sig = 32; sig < 34; sig++)
		syscall(SYS_rt_sigaction, sig, (const uint64_t[4]){0}, NULL, 8);
	signal(SIGUSR1, SIG_IGN);
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		show_key("/proc/self/status", keys[i]);
	say("comm %s", slurp("/proc/self/comm"));
}

TEST(stat_file)
{
	int pid, ppid, pgrp, sid;
	char comm[32], state;
	prctl(PR_SET_NAME, "a b) c");
	slurp("/proc/self/stat");
	char *close_paren = strrchr(text, ')');
	sscanf(text, "%d (%31[^)]", &pid, comm);
	sscanf(close_paren + 2, "%c %d %d %d", &state, &ppid, &pgrp, &sid);
	say("pid %d ppid %d pgrp %d sid %d state %c comm %s", pid == getpid(), ppid == getppid(), pgrp == getpgrp(),
	    sid == getsid(0), state, comm);
	int fields = 2;
	for (char *c = close_paren; *c; c++)
		fields += *c == ' ';
	say("fields %d", fields);
	long size, rss;
	CALL(sscanf(slurp("/proc/self/statm"), "%ld %ld", &size, &rss));
	say("sizes %d", size > 0 && rss > 0 && rss <= size);
}

TEST(command_line_and_environment)
{
	slurp("/proc/self/cmdline");
	for (size_t at = 0, i = 0; i < 2; i++) {
		say("[%s]", i ? text + at : strrchr(text, '/') + 1);
		at += strlen(text + at) + 1;
	}
	say("environment %d", strchr(slurp("/proc/self/environ"), '=') != NULL);
}

TEST(descriptor_directory)
{
	int fd = make_file("f", "xyz"), n = 0;
	char path[64], link[PATH_MAX];
	dup2(fd, 30);
	DIR *d = opendir("/proc/self/fd");
	for (struct dirent *e; (e = readdir(d));)
		n += e->d_name[0] != '.' && atoi(e->d_name) != dirfd(d);
	say("descriptors %d", n);
	closedir(d);
	snprintf(path, sizeof(path), "/proc/self/fd/30");
	long len = MUST(readlink(path, link, sizeof(link)));
	link[len] = 0;
	say("%s", strrchr(link, '/'));
	struct stat st;
	MUST(lstat(path, &st));
	say("mode %o", st.st_mode);
	unlink("f");
	len = MUST(readlink(path, link, sizeof(link)));
	link[len] = 0;
	say("%s", strrchr(link, '/'));
	int again = MUST(open(path, O_RDONLY));
	char c;
	CALL(read(again, &c, 1));
	show_key("/proc/self/fdinfo/30", "pos");
	CALL(open("/proc/self/fd/99", O_RDONLY));
}

TEST(process_directories_come_and_go)
{
	char path[64];
	pid_t pid = MUST(fork());
	if (pid == 0)
		pause();
	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	CALL(access(path, R_OK));
	kill(pid, SIGKILL);
	siginfo_t si;
	waitid(P_PID, pid, &si, WEXITED | WNOWAIT);
	say("zombie %c", strrchr(slurp(path), ')')[2]);
	snprintf(path, sizeof(path), "/proc/%d/cmdline", pid);
	say("command line length %zu", strlen(slurp(path)));
	waitpid(pid, NULL, 0);
	CALL(access(path, R_OK));
	CALL(access("/proc/99999", F_OK));
	CALL(access("/proc/0", F_OK));
	CALL(mkdir("/proc/x", 0755));
	CALL(open("/proc/self/comm", O_CREAT | O_EXCL | O_RDWR, 0600));
}

static void *wait_here(void *arg)
{
	pthread_barrier_wait(arg);
	pthread_barrier_wait(arg);
	return NULL;
}

TEST(thread_directories)
{
	pthread_t t[3];
	pthread_barrier_t b;
	pthread_barrier_init(&b, NULL, 4);
	for (int i = 0; i < 3; i++)
		pthread_create(&t[i], NULL, wait_here, &b);
	pthread_barrier_wait(&b);
	int n = 0;
	DIR *d = opendir("/proc/self/task");
	for (struct dirent *e; (e = readdir(d));)
		n += e->d_name[0] != '.';
	closedir(d);
	say("tasks %d", n);
	struct stat st;
	MUST(stat("/proc/self/task", &st));
	say("links %lu", (unsigned long)st.st_nlink);
	show_key("/proc/self/status", "Threads");
	pthread_barrier_wait(&b);
	for (int i = 0; i < 3; i++)
		pthread_join(t[i], NULL);
}

TEST(system_files)
{
	long total, value;
	CALL(sscanf(slurp("/proc/meminfo"), "MemTotal: %ld kB", &total));
	say("memory %d", total > 0);
	double up;
	CALL(sscanf(slurp("/proc/uptime"), "%lf", &up));
	CALL(strncmp(slurp("/proc/stat"), "cpu ", 4));
	CALL(strstr(slurp("/proc/cpuinfo"), "processor") != NULL);
	CALL(strncmp(slurp("/proc/version"), "Linux version", 13));
	CALL(strstr(slurp("/proc/filesystems"), "proc") != NULL);
	CALL(strstr(slurp("/proc/mounts"), " /proc proc ") != NULL);
	CALL(strstr(slurp("/proc/self/mountinfo"), " /proc ") != NULL);
	CALL(sscanf(slurp("/proc/loadavg"), "%*f %*f %*f %*d/%ld", &value));
	CALL(strlen(slurp("/proc/sys/kernel/ostype")));
	CALL(sscanf(slurp("/proc/sys/kernel/pid_max"), "%ld", &value));
	CALL(strlen(slurp("/proc/sys/kernel/random/uuid")));
	CALL(strlen(slurp("/proc/sys/kernel/random/boot_id")));
	char host[65] = "";
	gethostname(host, sizeof(host));
	slurp("/proc/sys/kernel/hostname");
	say("hostname %d", strncmp(text, host, strlen(host)) == 0);
	CALL(sscanf(slurp("/proc/sys/fs/file-max"), "%ld", &value));
	CALL(sscanf(slurp("/proc/sys/vm/overcommit_memory"), "%ld", &value));
	CALL(strlen(slurp("/proc/self/limits")) > 100);
	CALL(strlen(slurp("/proc/self/cgroup")) > 0);
	CALL(strlen(slurp("/proc/self/auxv")) > 0);
	CALL(strlen(slurp("/proc/self/smaps")) > 0);
	CALL(sscanf(slurp("/proc/self/oom_score_adj"), "%ld", &value));
}

TEST(memory_file)
{
	static volatile char target[] = "unchanged";
	char buf[16] = "";
	int fd = MUST(open("/proc/self/mem", O_RDWR));
	CALL(pread(fd, buf, sizeof(target), (off_t)(uintptr_t)target));
	say("%s", buf);
	CALL(pwrite(fd, "UN", 2, (off_t)(uintptr_t)target));
	say("%s", (char *)target);
	CALL(pread(fd, buf, 1, 8));
}

TEST(writable_files)
{
	int fd = MUST(open("/proc/self/comm", O_WRONLY));
	CALL(write(fd, "newname", 7));
	char name[16];
	prctl(PR_GET_NAME, name);
	say("%s", name);
	fd = MUST(open("/proc/self/oom_score_adj", O_RDWR));
	CALL(write(fd, "500", 3));
	slurp("/proc/self/oom_score_adj");
	say("%d", atoi(text));
}
