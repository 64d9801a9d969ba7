/* SPDX-License-Identifier: Apache-2.0 */
/* Log lines in the two formats callers of an OCI runtime parse: logfmt-like text and JSON. */
#ifndef NACRE_OCI_LOG_H
#define NACRE_OCI_LOG_H

#include <stdbool.h>

enum log_level { LOG_LEVEL_DEBUG, LOG_LEVEL_INFO, LOG_LEVEL_WARNING, LOG_LEVEL_ERROR };

/*
 * path NULL or "": standard error. Lines go out with one write(2) each, so that processes that share
 * the file do not mix theirs. 0 or -errno.
 */
int log_open(const char *path, bool json, bool debug);
/* The descriptor lines go to; log_is_file() says whether it is a file rather than standard error. */
int log_fd(void);
bool log_is_file(void);
bool log_debugging(void);
bool log_is_json(void);
/* Say nothing for a while: a configuration that is read again was complained about already. */
void log_mute(bool mute);
/* Continue on another descriptor (the sandbox, which gives up standard error); -1: say nothing. */
void log_set_fd(int fd);
void log_write(enum log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* An error that ends the command: the log, and, when that is a file, standard error too. */
void log_fatal(const char *msg);

#define log_debug(...)	 log_write(LOG_LEVEL_DEBUG, __VA_ARGS__)
#define log_info(...)	 log_write(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_warning(...) log_write(LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_error(...)	 log_write(LOG_LEVEL_ERROR, __VA_ARGS__)

#endif
