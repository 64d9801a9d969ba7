/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One change to the address space at a time, on command, so that the counters before and after it can
 * be read from outside. A line on standard input prepares some memory:
 *
 *	CHANGE MEMORY PAGES TOUCHED	answered with "ready"
 *
 * and the next line, whatever it says, makes the change; answered with "done". MEMORY is `anon` or
 * `file` (a private mapping of it), the first TOUCHED pages of which are written to.
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define PAGE 4096
#define MOST 1024 /* pages */
#define RW (PROT_READ | PROT_WRITE)
#define ANON (MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED)
#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static char *at;   /* where the memory is; as much again is free behind it */
static size_t len; /* of what the change is made to */

static void must(int bad, const char *what)
{
	if (!bad)
		return;
	perror(what);
	exit(1);
}

static void protect(size_t bytes, int prot)
{
	must(mprotect(at, bytes, prot), "mprotect");
}

static void nothing(void) {}

static void make_readable(void)
{
	protect(len, PROT_READ);
}

static void make_half_readable(void)
{
	protect(len / 2, PROT_READ);
}

static void make_writable(void)
{
	protect(len, RW);
}

static void make_inaccessible(void)
{
	protect(len, PROT_NONE);
}

static void unmap(void)
{
	must(munmap(at, len), "munmap");
}

static void overlay(void)
{
	must(mmap(at, len, PROT_NONE, ANON, -1, 0) != at, "mmap");
}

static void move(void)
{
	must(mremap(at, len, len, MREMAP_MAYMOVE | MREMAP_FIXED, at + MOST * PAGE) == MAP_FAILED,
	     "mremap");
}

static void drop(void)
{
	must(madvise(at, len, MADV_DONTNEED), "madvise");
}

static const struct change {
	const char *name;
	void (*prepare)(void), (*make)(void);
} changes[] = {
	{"nothing", nothing, nothing},
	{"readable", nothing, make_readable},
	{"readable-again", make_readable, make_readable},
	{"second-half-readable", make_half_readable, make_readable},
	{"writable-again", nothing, make_writable},
	{"writable", make_readable, make_writable},
	{"inaccessible", nothing, make_inaccessible},
	{"inaccessible-again", make_inaccessible, make_inaccessible},
	{"unmap", nothing, unmap},
	{"overlay", nothing, overlay},
	{"move", nothing, move},
	{"drop", nothing, drop},
};

/* One line, without a buffer that would take the next one too. False: end of file. */
static int read_line(char *line, size_t cap)
{
	size_t n = 0;

	while (n + 1 < cap && read(0, line + n, 1) == 1 && line[n] != '\n')
		n++;
	line[n] = 0;
	return n > 0;
}

static void answer(const char *text)
{
	must(write(1, text, strlen(text)) < 0, "write");
}

static void prepare(const struct change *c, const char *memory, size_t pages, size_t touched)
{
	int fd = strcmp(memory, "file") ? -1 : open("/data", O_RDONLY);

	len = pages * PAGE;
	must(mmap(at, 2 * MOST * PAGE, PROT_NONE, ANON, -1, 0) != at, "mmap");
	must(munmap(at, 2 * MOST * PAGE), "munmap");
	must(mmap(at, len, RW, MAP_PRIVATE | MAP_FIXED | (fd < 0 ? MAP_ANONYMOUS : 0), fd, 0) != at,
	     "mmap");
	if (fd >= 0)
		close(fd);
	for (size_t i = 0; i < touched; i++)
		*(volatile char *)(at + i * PAGE) = 1;
	c->prepare();
}

int main(void)
{
	char line[128], name[32], memory[8];
	unsigned pages, touched;

	at = mmap(NULL, 2 * MOST * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	must(at == MAP_FAILED, "mmap");
	while (read_line(line, sizeof(line))) {
		const struct change *c = changes;

		must(sscanf(line, "%31s %7s %u %u", name, memory, &pages, &touched) != 4, line);
		while (c < changes + COUNT(changes) && strcmp(c->name, name))
			c++;
		must(c == changes + COUNT(changes) || pages > MOST || touched > pages, line);
		prepare(c, memory, pages, touched);
		answer("ready\n");
		read_line(line, sizeof(line));
		c->make();
		answer("done\n");
	}
	return 0;
}
