/* SPDX-License-Identifier: Apache-2.0 */
/* Names of the flag words --strace decodes. Values are the guest's ABI, which is asm-generic's. */
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "runtime/arch/regs.h"
#include "runtime/syscall/strace.h"

struct flag_name {
	uint64_t bit;
	const char *name;
};
#define FLAG(f)       \
	{             \
		f, #f \
	}
#define NFLAGS(table) (sizeof(table) / sizeof((table)[0]))

static void add_flags(struct strace_line *l, uint64_t flags, const struct flag_name *names,
		      size_t n, const char *sep)
{
	for (size_t i = 0; i < n; i++)
		if (names[i].bit && (flags & names[i].bit) == names[i].bit) {
			strace_add(l, "%s%s", sep, names[i].name);
			flags &= ~names[i].bit;
			sep = "|";
		}
	if (flags)
		strace_add(l, "%s%#llx", sep, (unsigned long long)flags);
	else if (!*sep)
		strace_add(l, "0");
}

void strace_open_flags(struct strace_line *l, uint64_t flags)
{
	static const char *const modes[] = {"O_RDONLY", "O_WRONLY", "O_RDWR", "O_ACCMODE"};
	/* O_SYNC contains O_DSYNC and O_TMPFILE contains O_DIRECTORY: the wider name comes first. */
	static const struct flag_name names[] = {
		FLAG(O_CREAT),	  FLAG(O_EXCL),
		FLAG(O_NOCTTY),	  FLAG(O_TRUNC),
		FLAG(O_APPEND),	  FLAG(O_NONBLOCK),
		FLAG(O_SYNC),	  FLAG(O_DSYNC),
		FLAG(O_DIRECT),	  {ARCH_O_LARGEFILE, "O_LARGEFILE"},
		FLAG(O_TMPFILE),  FLAG(O_DIRECTORY),
		FLAG(O_NOFOLLOW), FLAG(O_NOATIME),
		FLAG(O_CLOEXEC),  FLAG(O_PATH),
	};

	strace_add(l, "%s", modes[flags & O_ACCMODE]);
	if (flags & ~(uint64_t)O_ACCMODE)
		add_flags(l, flags & ~(uint64_t)O_ACCMODE, names, NFLAGS(names), "|");
}

void strace_prot(struct strace_line *l, uint64_t prot)
{
	static const struct flag_name names[] = {FLAG(PROT_READ), FLAG(PROT_WRITE), FLAG(PROT_EXEC),
						 FLAG(PROT_GROWSDOWN), FLAG(PROT_GROWSUP)};

	if (!prot)
		strace_add(l, "PROT_NONE");
	else
		add_flags(l, prot, names, NFLAGS(names), "");
}

void strace_map_flags(struct strace_line *l, uint64_t flags)
{
	static const char *const kinds[] = {"MAP_FILE", "MAP_SHARED", "MAP_PRIVATE",
					    "MAP_SHARED_VALIDATE"};
	static const struct flag_name names[] = {
		FLAG(MAP_FIXED),	   FLAG(MAP_ANONYMOUS), {ARCH_MAP_32BIT, "MAP_32BIT"},
		FLAG(MAP_GROWSDOWN),	   FLAG(MAP_LOCKED),	FLAG(MAP_NORESERVE),
		FLAG(MAP_POPULATE),	   FLAG(MAP_NONBLOCK),	FLAG(MAP_STACK),
		FLAG(MAP_HUGETLB),	   FLAG(MAP_SYNC),	FLAG(MAP_FIXED_NOREPLACE),
		{0x0800, "MAP_DENYWRITE"},
	};

	strace_add(l, "%s", kinds[flags & 3]);
	if (flags & ~3ull)
		add_flags(l, flags & ~3ull, names, NFLAGS(names), "|");
}

void strace_clone_flags(struct strace_line *l, uint64_t flags)
{
	static const struct flag_name names[] = {
		FLAG(CLONE_VM),
		FLAG(CLONE_FS),
		FLAG(CLONE_FILES),
		FLAG(CLONE_SIGHAND),
		FLAG(CLONE_PIDFD),
		FLAG(CLONE_PTRACE),
		FLAG(CLONE_VFORK),
		FLAG(CLONE_PARENT),
		FLAG(CLONE_THREAD),
		FLAG(CLONE_NEWNS),
		FLAG(CLONE_SYSVSEM),
		FLAG(CLONE_SETTLS),
		FLAG(CLONE_PARENT_SETTID),
		FLAG(CLONE_CHILD_CLEARTID),
		FLAG(CLONE_UNTRACED),
		FLAG(CLONE_CHILD_SETTID),
		FLAG(CLONE_NEWCGROUP),
		FLAG(CLONE_NEWUTS),
		FLAG(CLONE_NEWIPC),
		FLAG(CLONE_NEWUSER),
		FLAG(CLONE_NEWPID),
		FLAG(CLONE_NEWNET),
		FLAG(CLONE_IO),
	};
	char buf[16];
	uint64_t sig = flags & 0xff;

	if (flags & ~0xffull)
		add_flags(l, flags & ~0xffull, names, NFLAGS(names), "");
	if (sig || !(flags & ~0xffull))
		strace_add(l, "%s%s", flags & ~0xffull ? "|" : "",
			   sig ? strace_signame((int)sig, buf) : "0");
}

void strace_stat_mode(struct strace_line *l, uint32_t mode)
{
	static const struct flag_name types[] = {FLAG(S_IFREG), FLAG(S_IFDIR), FLAG(S_IFLNK),
						 FLAG(S_IFCHR), FLAG(S_IFBLK), FLAG(S_IFIFO),
						 FLAG(S_IFSOCK)};

	for (size_t i = 0; i < NFLAGS(types); i++)
		if ((mode & S_IFMT) == types[i].bit)
			strace_add(l, "%s|", types[i].name);
	strace_add(l, "%#o", mode & 07777);
}

const char *strace_signame(int sig, char buf[16])
{
	const char *abbrev = sig > 0 && sig < 32 ? sigabbrev_np(sig) : NULL;

	if (abbrev)
		snprintf(buf, 16, "SIG%s", abbrev);
	else if (sig >= 32 && sig <= GUEST_NSIG)
		snprintf(buf, 16, "SIGRT_%d", sig - 32);
	else
		snprintf(buf, 16, "%d", sig);
	return buf;
}

const char *strace_errname(int err)
{
	return strerrorname_np(err);
}
