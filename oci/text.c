/* SPDX-License-Identifier: Apache-2.0 */
#include "oci/text.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "oci/cleanup.h"

static void copy(const char *from, size_t n, char *out, size_t len)
{
	if (!len)
		return;
	if (n >= len)
		n = len - 1;
	memcpy(out, from, n);
	out[n] = '\0';
}

bool text_word(const char **p, char *out, size_t len)
{
	size_t n;

	*p += strspn(*p, " \t\n");
	n = strcspn(*p, " \t\n");
	copy(*p, n, out, len);
	*p += n;
	return n > 0;
}

void text_skip(const char **p, unsigned n)
{
	char none[1];

	while (n-- && text_word(p, none, sizeof(none)))
		;
}

const char *text_next_line(const char *p)
{
	p = strchr(p, '\n');
	return p && p[1] ? p + 1 : NULL;
}

bool text_field(const char **p, char *out, size_t len)
{
	size_t n;

	if (!*p)
		return false;
	n = strcspn(*p, ":\n");
	copy(*p, n, out, len);
	*p = (*p)[n] == ':' ? *p + n + 1 : NULL;
	return true;
}

int text_write_proc(pid_t pid, const char *file, const char *text)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, file);
	cleanup_fd int fd = open(path, O_WRONLY | O_CLOEXEC);

	return fd < 0 || write(fd, text, strlen(text)) < 0 ? -errno : 0;
}
