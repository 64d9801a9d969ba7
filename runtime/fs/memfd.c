/* SPDX-License-Identifier: Apache-2.0 */
/* memfd_create(2): a host memfd, seals included. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "runtime/fs/vfs_internal.h"

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 8u
#define MFD_EXEC 16u
#endif
/* NAME_MAX less the "memfd:" that the kernel puts in front. */
#define MEMFD_NAME_MAX 249

static int memfd_file(struct task *t, const char *name, unsigned flags, struct file **out)
{
	struct hostfile *hf;
	char *shown;
	int fd = memfd_create("nacre", MFD_CLOEXEC | (flags & ~MFD_CLOEXEC)), ret;

	if (fd < 0)
		return (int)host_errno();
	if (asprintf(&shown, "/memfd:%s (deleted)", name) < 0)
		shown = NULL;
	ret = hostfile_create(t->kernel, fd, O_RDWR, out);
	if (ret) {
		free(shown);
		return ret;
	}
	hf = (*out)->data;
	hf->memfd = true;
	hf->uid = t->cred->fsuid;
	hf->gid = t->cred->fsgid;
	hf->name = shown;
	(*out)->anon_name = shown ? shown : "/memfd: (deleted)";
	return 0;
}

int64_t sys_memfd_create(struct task *t, const uint64_t a[6])
{
	unsigned flags = (unsigned)a[1];
	char name[MEMFD_NAME_MAX + 1];
	struct file *f;
	int64_t n = mm_copy_in_str(t->mm, name, GVA(a[0]), sizeof(name));

	if (flags & ~(MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL | MFD_EXEC))
		return -EINVAL;
	if (n < 0)
		return n == -ENAMETOOLONG ? -EINVAL : n;
	n = memfd_file(t, name, flags, &f);
	if (n)
		return n;
	n = fd_install(t, f, 0, flags & MFD_CLOEXEC);
	if (n < 0)
		file_put(f);
	return n;
}
