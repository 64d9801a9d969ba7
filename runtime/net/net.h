/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sockets: host sockets of the sandbox's network namespace behind guest descriptors.
 *
 * A host socket is always non-blocking; a guest that blocks parks on it (runtime/task/wait.h) and
 * retries, with SO_RCVTIMEO and SO_SNDTIMEO kept here. AF_UNIX path names go through the guest's
 * own VFS.
 */
#ifndef NACRE_RUNTIME_NET_NET_H
#define NACRE_RUNTIME_NET_NET_H

#include <stdbool.h>
#include <stdint.h>

struct kernel;
struct task;
struct file;

/* Wrap a host socket descriptor as a guest file; takes ownership of fd, also on failure. */
int net_file_from_host_fd(struct kernel *k, int fd, struct file **out);
/* Whether f is a socket made by this module. */
bool net_is_socket(const struct file *f);

#endif
