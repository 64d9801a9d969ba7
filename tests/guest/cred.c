/* SPDX-License-Identifier: Apache-2.0 */
#include <grp.h>
#include <linux/capability.h>
#include <linux/securebits.h>
#include <sys/fsuid.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>

#include "guest.h"

static void show_ids(const char *what)
{
	uid_t r, e, s;
	gid_t rg, eg, sg;
	getresuid(&r, &e, &s);
	getresgid(&rg, &eg, &sg);
	say("%s: uid %d %d %d gid %d %d %d", what, r, e, s, rg, eg, sg);
}

static void show_caps(const char *what)
{
	struct __user_cap_header_struct h = {_LINUX_CAPABILITY_VERSION_3, 0};
	struct __user_cap_data_struct d[2];
	MUST(syscall(SYS_capget, &h, d));
	say("%s: effective %#x permitted %#x inheritable %#x", what, d[0].effective, d[0].permitted, d[0].inheritable);
}

static int in_child(void (*fn)(void))
{
	pid_t pid = MUST(fork());
	if (pid == 0) {
		fn();
		_exit(0);
	}
	reap("child", pid);
	return 0;
}

static void drop_all(void)
{
	show_ids("start");
	CALL(setgroups(0, NULL));
	CALL(setresgid(100, 200, 300));
	CALL(setresuid(1000, 2000, 3000));
	show_ids("set");
	show_caps("dropped");
	CALL(setresuid(-1, 1000, -1));
	CALL(setresuid(-1, 4000, -1));
	CALL(seteuid(3000));
	CALL(setuid(1000));
	CALL(setuid(0));
	CALL(setgid(300));
	CALL(setreuid(3000, 1000));
	show_ids("end");
}

static void set_user(void)
{
	CALL(setuid(1000));
	show_ids("setuid");
	CALL(setuid(0));
	CALL(setgid(0));
	CALL(setgroups(0, NULL));
	CALL(chroot("/"));
	CALL(kill(1, 0));
	CALL(sethostname("x", 1));
}

static void set_effective(void)
{
	CALL(seteuid(1000));
	show_caps("effective user");
	CALL(seteuid(0));
	show_caps("root again");
	CALL(prctl(PR_SET_KEEPCAPS, 1));
	CALL(setuid(1000));
	show_caps("kept");
	CALL(prctl(PR_GET_KEEPCAPS));
}

TEST(user_and_group_ids)
{
	in_child(drop_all);
	in_child(set_user);
	in_child(set_effective);
	CALL(setfsuid(1000));
	CALL(setfsuid(-1));
	CALL(setfsgid(-1));
}

TEST(supplementary_groups)
{
	gid_t list[] = {30, 10, 20}, got[8];
	CALL(setgroups(3, list));
	int n = CALL(getgroups(8, got));
	for (int i = 0; i < n; i++)
		say("group %d", got[i]);
	CALL(getgroups(1, got));
	CALL(getgroups(0, NULL));
	CALL(getgroups(-1, got));
	CALL(setgroups(70000, list));
	int fd = make_file("f", "x");
	fchown(fd, 0, 20);
	fchmod(fd, 0040);
	chmod(".", 0755);
	setuid(1000);
	CALL(open("f", O_RDONLY) >= 0);
	CALL(open("f", O_WRONLY));
}

TEST(capabilities)
{
	struct __user_cap_header_struct h = {_LINUX_CAPABILITY_VERSION_3, 0};
	struct __user_cap_data_struct d[2];
	show_caps("start");
	MUST(syscall(SYS_capget, &h, d));
	d[0].effective &= ~(1u << CAP_CHOWN);
	CALL(syscall(SYS_capset, &h, d));
	int fd = make_file("f", "");
	CALL(fchown(fd, 1, 1));
	d[0].effective |= 1u << CAP_CHOWN;
	CALL(syscall(SYS_capset, &h, d));
	CALL(fchown(fd, 1, 1));
	d[0].permitted &= ~(1u << CAP_CHOWN);
	CALL(syscall(SYS_capset, &h, d));
	d[0].effective &= ~(1u << CAP_CHOWN);
	CALL(syscall(SYS_capset, &h, d));
	d[0].permitted |= 1u << CAP_CHOWN;
	CALL(syscall(SYS_capset, &h, d));
	CALL(prctl(PR_CAPBSET_READ, CAP_KILL));
	CALL(prctl(PR_CAPBSET_DROP, CAP_KILL));
	CALL(prctl(PR_CAPBSET_READ, CAP_KILL));
	CALL(prctl(PR_CAPBSET_READ, 63));
	CALL(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, CAP_KILL, 0, 0));
	CALL(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_CHOWN, 0, 0));
	CALL(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0));
	h.version = 1;
	CALL(syscall(SYS_capget, &h, NULL));
	say("version %#x", h.version);
	h.version = _LINUX_CAPABILITY_VERSION_3;
	h.pid = 99999;
	CALL(syscall(SYS_capget, &h, d));
}

TEST(process_control)
{
	char name[20] = "";
	int v = -1;
	CALL(prctl(PR_SET_NAME, "a name that is far too long"));
	CALL(prctl(PR_GET_NAME, name));
	say("%s", name);
	CALL(prctl(PR_GET_DUMPABLE));
	CALL(prctl(PR_SET_DUMPABLE, 0));
	CALL(prctl(PR_GET_DUMPABLE));
	CALL(prctl(PR_SET_DUMPABLE, 7));
	CALL(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0));
	CALL(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
	CALL(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0));
	CALL(prctl(PR_SET_NO_NEW_PRIVS, 0, 0, 0, 0));
	CALL(prctl(PR_SET_PDEATHSIG, 99));
	CALL(prctl(PR_GET_PDEATHSIG, &v));
	say("signal %d", v);
	CALL(prctl(PR_GET_SECUREBITS));
	CALL(prctl(PR_GET_TIMERSLACK));
	CALL(prctl(PR_SET_TIMERSLACK, 1000));
	CALL(prctl(PR_GET_TIMERSLACK));
	CALL(prctl(9999));
	CALL(prctl(PR_GET_NAME, 8));
}

TEST(resource_limits)
{
	static const int limits[] = {RLIMIT_NOFILE, RLIMIT_CORE, RLIMIT_FSIZE, RLIMIT_MSGQUEUE};
	struct rlimit r;
	for (size_t i = 0; i < ARRAY_SIZE(limits); i++) {
		MUST(getrlimit(limits[i], &r));
		say("limit %d: known %d", limits[i], r.rlim_cur <= r.rlim_max);
	}
	CALL(getrlimit(99, &r));
	r = (struct rlimit){20, 10};
	CALL(setrlimit(RLIMIT_NOFILE, &r));
	r = (struct rlimit){10, 10};
	CALL(setrlimit(RLIMIT_NOFILE, &r));
	for (int i = 0; i < 12; i++)
		if (open("/dev/null", O_RDONLY) == -1) {
			say("open %d: %s", i, error_name(errno));
			break;
		}
	CALL(dup2(1, 10));
	CALL(dup2(1, 9));
	CALL(fcntl(1, F_DUPFD, 10));
	int p[2];
	CALL(pipe(p));
	close(9);
	struct rlimit64 old, now = {100, 5000};
	CALL(syscall(SYS_prlimit64, 0, RLIMIT_FSIZE, &now, &old));
	int fd = make_file("f", "");
	static char big[200];
	signal(SIGXFSZ, SIG_IGN);
	CALL(write(fd, big, 200));
	CALL(write(fd, big, 200));
	CALL(ftruncate(fd, 4000));
	signal(SIGXFSZ, SIG_DFL);
	pid_t pid = MUST(fork());
	if (pid == 0) {
		lseek(fd, 200, SEEK_SET);
		write(fd, "x", 1);
		_exit(0);
	}
	reap("writer", pid);
	CALL(syscall(SYS_prlimit64, 99999, RLIMIT_FSIZE, NULL, &old));
	CALL(syscall(SYS_prlimit64, 0, RLIMIT_FSIZE, NULL, (void *)8));
}

static int use_cpu(void *arg)
{
	struct rlimit r = {1, 2};
	(void)arg;
	setrlimit(RLIMIT_CPU, &r);
	for (volatile long n = 0; n >= 0; n++)
		;
	return 1;
}

TEST(cpu_limit_kills)
{
	set_limit(120); /* two seconds of processor time may take long on a busy machine */
	reap("spinner", spawn(use_cpu, NULL));
}

TEST(system_information)
{
	struct utsname u;
	struct sysinfo si;
	CALL(uname(&u));
	say("%s %s", u.sysname, u.machine);
	CALL(uname((void *)8));
	CALL(sysinfo(&si));
	say("memory %d procs %d", si.totalram > 0, si.procs > 0);
	cpu_set_t set;
	CALL(sched_getaffinity(0, sizeof(set), &set));
	say("processors %d", CPU_COUNT(&set) > 0);
	CALL(sched_getaffinity(0, 1, &set));
	CALL(sched_setaffinity(0, sizeof(set), &set));
	CPU_ZERO(&set);
	CALL(sched_setaffinity(0, sizeof(set), &set));
	CALL(sched_getscheduler(0));
	CALL(sched_get_priority_max(SCHED_FIFO));
	CALL(sched_get_priority_min(SCHED_OTHER));
	CALL(sched_get_priority_max(99));
	int base = getpriority(PRIO_PROCESS, 0);
	CALL(setpriority(PRIO_PROCESS, 0, base + 2));
	CALL(getpriority(PRIO_PROCESS, 0) - base);
	CALL(nice(1) - base);
	CALL(setpriority(PRIO_PROCESS, 0, base));
	CALL(setpriority(PRIO_PROCESS, 99999, 5));
	unsigned cpu, node;
	CALL(getcpu(&cpu, &node));
	char buf[16];
	CALL(getrandom(buf, 16, 0));
	CALL(getrandom(buf, 16, 0x99));
	CALL(getrandom((void *)8, 16, 0));
	CALL(syscall(9999));
	CALL(syscall(-1));
	CALL(personality(0xffffffff));
}
