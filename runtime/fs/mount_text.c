/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How mounts present themselves in /proc/mounts: source, type and options, written as Linux writes
 * them. Flags (ro, nosuid ...) are not part of these texts.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "runtime/fs/vfs_internal.h"

#define TMPFS_MODE_DEFAULT 01777u

static void set_text(char **text, const char *s)
{
	char *copy = strdup(s);

	if (copy) {
		free(*text);
		*text = copy;
	}
}

/* ---- mounts of the host: its own table has them ---- */

/* \ooo in place. */
static void unescape(char *s)
{
	char *to = s;

	for (; *s; s++) {
		if (s[0] == '\\' && s[1] && s[2] && s[3]) {
			*to++ = (char)((s[1] - '0') << 6 | (s[2] - '0') << 3 | (s[3] - '0'));
			s += 3;
		} else {
			*to++ = *s;
		}
	}
	*to = 0;
}

static struct mount *mount_of_host(struct vfs *v, unsigned long long id)
{
	for (unsigned i = 0; i < v->nmounts; i++)
		if (v->mounts[i]->host_id == id)
			return v->mounts[i];
	return NULL;
}

/* One line of mountinfo (proc(5)). */
static void take_line(struct vfs *v, char *line)
{
	char *save = NULL, *dash = strstr(line, " - "), *type, *source, *options;
	struct mount *m = mount_of_host(v, strtoull(line, NULL, 10));

	if (!dash || !m)
		return;
	type = strtok_r(dash + 3, " \n", &save);
	source = strtok_r(NULL, " \n", &save);
	options = strtok_r(NULL, " \n", &save);
	if (!type || !source || !options)
		return;
	unescape(source);
	/* Behind "rw" or "ro" stands what the file system has to say. */
	options += strcspn(options, ",");
	options += *options == ',';
	set_text(&m->fstype, type);
	set_text(&m->source, source);
	set_text(&m->options, options);
}

void mount_note_host(struct mount *m, int fd)
{
	struct host_stat s;

	if (!host_fstat_mount(fd, &s))
		m->host_id = s.mount;
}

static void read_host_table(struct vfs *v)
{
	int info = openat(v->kernel->host_proc_fd, "self/mountinfo", O_RDONLY | O_CLOEXEC);
	FILE *f = info < 0 ? NULL : fdopen(info, "r");
	char *line = NULL;
	size_t cap = 0;

	if (!f) {
		if (info >= 0)
			close(info);
		return;
	}
	while (getline(&line, &cap, f) > 0)
		take_line(v, line);
	free(line);
	fclose(f);
}

void mount_texts_load(struct vfs *v)
{
	pthread_mutex_lock(&v->text_lock);
	if (!v->texts_loaded)
		read_host_table(v);
	v->texts_loaded = true;
	pthread_mutex_unlock(&v->text_lock);
}

/* ---- nacre's own ---- */

/* The value of key= in a list of options; false: not there. */
static bool option_value(const char *options, const char *key, char *out, size_t cap)
{
	size_t n = strlen(key);

	for (const char *s = options; *s; s += strcspn(s, ","), s += *s == ',')
		if (!strncmp(s, key, n) && s[n] == '=') {
			snprintf(out, cap, "%.*s", (int)strcspn(s + n + 1, ","), s + n + 1);
			return true;
		}
	return false;
}

static void append(char *buf, size_t cap, const char *key, const char *value)
{
	size_t n = strlen(buf);

	snprintf(buf + n, cap - n, "%s%s=%s", n ? "," : "", key, value);
}

static void append_octal(char *buf, size_t cap, const char *key, unsigned v)
{
	char text[16];

	snprintf(text, sizeof(text), "%03o", v);
	append(buf, cap, key, text);
}

/* Owners that are root go without saying. */
static void append_ids(char *buf, size_t cap, const char *options)
{
	char v[32];

	if (option_value(options, "uid", v, sizeof(v)) && strcmp(v, "0") != 0)
		append(buf, cap, "uid", v);
	if (option_value(options, "gid", v, sizeof(v)) && strcmp(v, "0") != 0)
		append(buf, cap, "gid", v);
}

static void tmpfs_text(const char *options, char *buf, size_t cap)
{
	char v[32];
	unsigned mode;

	if (option_value(options, "size", v, sizeof(v)))
		append(buf, cap, "size", v);
	if (option_value(options, "nr_inodes", v, sizeof(v)))
		append(buf, cap, "nr_inodes", v);
	if (option_value(options, "mode", v, sizeof(v))) {
		mode = (unsigned)strtoul(v, NULL, 8);
		if (mode != TMPFS_MODE_DEFAULT)
			append_octal(buf, cap, "mode", mode);
	}
	append_ids(buf, cap, options);
}

static void devpts_text(const char *options, char *buf, size_t cap)
{
	char v[32];

	append_ids(buf, cap, options);
	append_octal(buf, cap, "mode", option_value(options, "mode", v, sizeof(v))
					       ? (unsigned)strtoul(v, NULL, 8)
					       : 0600);
	append_octal(buf, cap, "ptmxmode", option_value(options, "ptmxmode", v, sizeof(v))
						   ? (unsigned)strtoul(v, NULL, 8)
						   : 0);
}

void mount_text_own(struct mount *m)
{
	char buf[256] = "";

	if (m->type == &tmpfs_type)
		tmpfs_text(m->options, buf, sizeof(buf));
	else if (m->type == &devpts_type)
		devpts_text(m->options, buf, sizeof(buf));
	set_text(&m->fstype, m->type->name);
	set_text(&m->options, buf);
}
