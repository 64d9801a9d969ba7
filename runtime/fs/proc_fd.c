/* SPDX-License-Identifier: Apache-2.0 */
/* /proc/PID/fd and fdinfo, and the links exe, cwd and root use. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "runtime/fs/fdtable.h"
#include "runtime/fs/pipe.h"
#include "runtime/fs/proc.h"
#include "runtime/fs/vfs_internal.h"

static struct file *ctx_file(struct proc_ctx *c)
{
	struct fdtable *ft = c->task ? task_get_files(c->task) : NULL;
	struct file *f;

	if (!ft)
		return NULL;
	f = fdtable_file(ft, c->fd);
	fdtable_put(ft, c->task);
	return f;
}

int proc_fd_next(struct proc_ctx *c, int fd)
{
	struct fdtable *ft = c->task ? task_get_files(c->task) : NULL;
	int next;

	if (!ft)
		return -1;
	next = fd_next(ft, fd);
	fdtable_put(ft, c->task);
	return next;
}

int64_t proc_fd_link(struct proc_ctx *c, char *buf, size_t cap)
{
	struct file *f = ctx_file(c);
	int64_t n;

	if (!f)
		return -ENOENT;
	if (f->path.node) {
		n = vfs_path_text(c->reader, &f->path, buf, cap);
	} else {
		char text[128];
		const char *name = f->anon_name ? f->anon_name : "anon_inode:[unknown]";

		/* Numbered objects say which: pipe:[N], socket:[N]. */
		if (!strcmp(name, "pipe") || !strcmp(name, "socket"))
			n = snprintf(text, sizeof(text), "%s:[%llu]", name,
				     (unsigned long long)f->anon_ino);
		else
			n = snprintf(text, sizeof(text), "%s", name);
		if (n >= (int64_t)sizeof(text))
			n = sizeof(text) - 1;
		if ((size_t)n > cap)
			n = (int64_t)cap;
		memcpy(buf, text, (size_t)n);
	}
	file_put(f);
	return n;
}

int proc_fd_follow(struct proc_ctx *c, struct vpath *out)
{
	struct file *f = ctx_file(c);
	int ret = -ENXIO;

	if (!f)
		return -ENOENT;
	if (f->path.node) {
		*out = f->path;
		vpath_get(out);
		ret = 0;
	}
	file_put(f);
	return ret;
}

int proc_fd_open(struct proc_ctx *c, int flags, struct file **out)
{
	struct file *f = ctx_file(c);
	unsigned want = (unsigned)flags & O_ACCMODE, have;
	int ret = -ENXIO;

	if (!f)
		return -ENOENT;
	have = f->flags & O_ACCMODE;
	if (flags & O_PATH) {
		*out = file_get(f); /* to be looked at only: stat(2) through the link */
		ret = 0;
	} else if (file_is_pipe(f)) {
		ret = pipe_reopen(c->reader, f, flags, out);
	} else if (!f->path.node && f->anon_name && strcmp(f->anon_name, "socket")) {
		/*
		 * A host stream or terminal, a memfd: there is no place to open it from again, so the
		 * description is shared as far as its mode allows.
		 */
		ret = have == O_RDWR || have == want ? 0 : -EACCES;
		if (!ret)
			*out = file_get(f);
	}
	file_put(f);
	return ret;
}

int proc_fdinfo_show(struct proc_ctx *c, struct proc_text *x)
{
	struct file *f = ctx_file(c);

	if (!f)
		return -ENOENT;
	proc_printf(x, "pos:\t%lld\nflags:\t0%o\nmnt_id:\t%d\n", (long long)(f->pos < 0 ? 0 : f->pos),
		    (unsigned)f->flags, f->path.mount ? f->path.mount->id : 0);
	if (f->anon_ino || !f->path.node)
		proc_printf(x, "ino:\t%llu\n", (unsigned long long)f->anon_ino);
	file_put(f);
	return 0;
}

const struct proc_row proc_fd_row = {.name = "fd#",
				     .mode = S_IFLNK | 0700,
				     .link = proc_fd_link,
				     .follow = proc_fd_follow,
				     .open = proc_fd_open,
				     .magic = true};
const struct proc_row proc_fdinfo_row = {
	.name = "fdinfo#", .mode = S_IFREG | 0444, .show = proc_fdinfo_show, .private_ = true};
