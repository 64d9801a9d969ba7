/* SPDX-License-Identifier: Apache-2.0 */
#include "oci/error.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

const char *oci_strerror(int code, char *buf, size_t len)
{
	const char *s = strerrordesc_np(code);

	if (!s)
		snprintf(buf, len, "error %d", code);
	else
		snprintf(buf, len, "%s", s);
	if (len && isupper((unsigned char)buf[0]) && !isupper((unsigned char)buf[1]))
		buf[0] = (char)tolower((unsigned char)buf[0]);
	return buf;
}

static int result(const struct oci_error *err)
{
	return err->code > 0 ? -err->code : -EINVAL;
}

int oci_fail(struct oci_error *err, int code, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	err->code = code;
	vsnprintf(err->msg, sizeof(err->msg), fmt, ap);
	va_end(ap);
	return result(err);
}

int oci_fail_errno(struct oci_error *err, int code, const char *fmt, ...)
{
	char reason[128];
	size_t n;
	va_list ap;

	va_start(ap, fmt);
	err->code = code;
	vsnprintf(err->msg, sizeof(err->msg), fmt, ap);
	va_end(ap);
	n = strlen(err->msg);
	snprintf(err->msg + n, sizeof(err->msg) - n, ": %s",
		 oci_strerror(code, reason, sizeof(reason)));
	return result(err);
}

int oci_fail_prefix(struct oci_error *err, const char *fmt, ...)
{
	char old[sizeof(err->msg)];
	size_t n;
	va_list ap;

	memcpy(old, err->msg, sizeof(old));
	va_start(ap, fmt);
	vsnprintf(err->msg, sizeof(err->msg), fmt, ap);
	va_end(ap);
	n = strlen(err->msg);
	if (n < sizeof(err->msg) - 1)
		snprintf(err->msg + n, sizeof(err->msg) - n, "%s", old);
	return result(err);
}
