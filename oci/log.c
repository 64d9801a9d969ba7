/* SPDX-License-Identifier: Apache-2.0 */
#include "oci/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "oci/buf.h"

static struct {
	int fd;
	bool file, json, debug, mute;
} sink = {.fd = STDERR_FILENO};

int log_open(const char *path, bool json, bool debug)
{
	sink.json = json;
	sink.debug = debug;
	if (!path || !*path || !strcmp(path, "/dev/stderr"))
		return 0;
	int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);

	if (fd < 0)
		return -errno;
	sink.fd = fd;
	sink.file = true;
	return 0;
}

int log_fd(void)
{
	return sink.fd;
}

bool log_is_file(void)
{
	return sink.file;
}

bool log_debugging(void)
{
	return sink.debug;
}

bool log_is_json(void)
{
	return sink.json;
}

void log_mute(bool mute)
{
	sink.mute = mute;
}

void log_set_fd(int fd)
{
	sink.fd = fd;
	sink.file = fd >= 0;
}

/* logrus quotes a text value unless it consists of these characters only. */
static bool plain(const char *s)
{
	for (; *s; s++)
		if (!((*s >= 'a' && *s <= 'z') || (*s >= 'A' && *s <= 'Z') ||
		      (*s >= '0' && *s <= '9') || strchr("-._/@^+", *s)))
			return false;
	return true;
}

static void emit(enum log_level level, const char *msg)
{
	static const char *const names[] = {"debug", "info", "warning", "error"};
	cleanup_buf struct buf b = {0};
	struct timespec now;
	struct tm tm;
	char when[32];

	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &tm);
	strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%SZ", &tm);
	if (sink.json) {
		json_object(&b, NULL);
		json_str(&b, "level", names[level]);
		json_str(&b, "msg", msg);
		json_str(&b, "time", when);
		json_end_object(&b);
	} else {
		buf_printf(&b, "time=\"%s\" level=%s msg=", when, names[level]);
		if (*msg && plain(msg))
			buf_str(&b, msg);
		else
			buf_json_string(&b, msg);
	}
	buf_str(&b, "\n");
	if (buf_ok(&b) && write(sink.fd, b.s, b.len) < 0)
		return; /* nowhere left to complain */
}

void log_write(enum log_level level, const char *fmt, ...)
{
	char msg[2048];
	va_list ap;

	if (sink.fd < 0 || sink.mute || (level == LOG_LEVEL_DEBUG && !sink.debug))
		return;
	va_start(ap, fmt);
	vsnprintf(msg, sizeof(msg), fmt, ap);
	va_end(ap);
	emit(level, msg);
}

void log_fatal(const char *msg)
{
	if (sink.fd >= 0)
		emit(LOG_LEVEL_ERROR, msg);
	if (sink.file)
		dprintf(STDERR_FILENO, "%s\n", msg);
}
