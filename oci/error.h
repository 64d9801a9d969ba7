/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Errors of the command line: an errno value for programs and one sentence for the user that names
 * the file, key or path at fault. Always the last argument; untouched on success.
 */
#ifndef NACRE_OCI_ERROR_H
#define NACRE_OCI_ERROR_H

#include <stddef.h>

struct oci_error {
	int code; /* errno value, 0: nothing happened or no number fits */
	char msg[1024];
};

/* Fill err with the sentence alone. Returns -code (or -EINVAL when code is 0): never 0. */
int oci_fail(struct oci_error *err, int code, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* The same with ": reason of code" at the end. */
int oci_fail_errno(struct oci_error *err, int code, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* Put words in front of an error on its way up. Returns -err->code like oci_fail(). */
int oci_fail_prefix(struct oci_error *err, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
/* The reason of an errno value, beginning with a small letter. buf is the caller's. */
const char *oci_strerror(int code, char *buf, size_t len);

#endif
