/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Cleanup attributes: a variable gives back what it holds when it leaves scope. Ownership is handed
 * on with steal_fd() or steal_ptr(), which leave the variable empty.
 */
#ifndef NACRE_OCI_CLEANUP_H
#define NACRE_OCI_CLEANUP_H

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static inline void cleanup_close_fd(int *fd)
{
	int saved = errno;

	if (*fd >= 0)
		close(*fd);
	errno = saved;
}

static inline void cleanup_free_ptr(void *p)
{
	free(*(void **)p);
}

static inline void cleanup_close_file(FILE **f)
{
	if (*f)
		fclose(*f);
}

static inline void cleanup_close_dir(DIR **d)
{
	if (*d)
		closedir(*d);
}

#define cleanup_fd   __attribute__((cleanup(cleanup_close_fd)))
#define cleanup_free __attribute__((cleanup(cleanup_free_ptr)))
#define cleanup_file __attribute__((cleanup(cleanup_close_file)))
#define cleanup_dir  __attribute__((cleanup(cleanup_close_dir)))

static inline int steal_fd(int *fd)
{
	int v = *fd;

	*fd = -1;
	return v;
}

#define steal_ptr(p)                             \
	({                                       \
		__auto_type steal_value_ = *(p); \
		*(p) = NULL;                     \
		steal_value_;                    \
	})

#endif
