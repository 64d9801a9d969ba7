/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Open regular files with a host descriptor behind them (host files, tmpfs data, memfds), and open
 * host directories. The offset is kept here and every transfer is positioned, so descriptors that
 * share a description behave as Linux's without the host knowing.
 */
#include <stdio.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "runtime/fs/vfs_internal.h"

static const struct file_ops hostfile_ops;

struct hostfile *hostfile_of(struct file *f)
{
	return f->ops == &hostfile_ops ? f->data : NULL;
}

static int64_t hostfile_read(struct file *f, struct task *t, struct uio *to, int64_t *pos)
{
	struct hostfile *hf = f->data;
	int64_t ret;

	(void)t;
	if (hf->host_offset && pos == &f->pos)
		return uio_host_read(to, f->host_fd, -1, 0);
	ret = uio_host_read(to, f->host_fd, *pos, 0);
	if (ret > 0)
		*pos += ret;
	return ret;
}

static int64_t write_append(struct file *f, struct uio *from, int64_t *pos)
{
	/*
	 * Offset -1: the host's offset moves to the end of what was appended; nobody else uses it. The
	 * host's description has O_APPEND too: overlayfs of Linux 6.1 forgets RWF_APPEND.
	 */
	int64_t ret = uio_host_write(from, f->host_fd, -1, 0);

	if (ret > 0)
		*pos = lseek(f->host_fd, 0, SEEK_CUR);
	return ret;
}

static int64_t hostfile_write(struct file *f, struct task *t, struct uio *from, int64_t *pos)
{
	struct hostfile *hf = f->data;
	bool append = atomic_load(&f->flags) & O_APPEND;
	int64_t ret;

	if (!from->resid)
		return 0;
	if (hf->reserve) {
		struct kstat st = {0};
		int64_t at = *pos;

		if (append && host_fstat(f->host_fd, &st) == 0)
			at = (int64_t)st.size;
		ret = hf->reserve(f->path.node, at, from->resid);
		if (ret < 0)
			return ret;
		uio_truncate(from, ret);
	}
	if (hf->host_offset && pos == &f->pos) {
		ret = uio_host_write(from, f->host_fd, -1, 0);
	} else if (append) {
		ret = write_append(f, from, pos);
	} else {
		ret = uio_host_write(from, f->host_fd, *pos, 0);
		if (ret > 0)
			*pos += ret;
	}
	if (hf->settle)
		hf->settle(f->path.node);
	if (ret > 0 && f->path.node)
		vfs_kill_suid(t, f->path.node);
	return ret;
}

static int64_t hostfile_seek(struct file *f, int64_t off, int whence)
{
	struct hostfile *hf = f->data;
	struct kstat st;
	int64_t base = 0, ret;

	if (hf->host_offset || whence == SEEK_DATA || whence == SEEK_HOLE) {
		ret = lseek(f->host_fd, off, whence);
		if (ret < 0)
			return -errno;
		f->pos = ret;
		return ret;
	}
	if (whence == SEEK_CUR) {
		base = f->pos;
	} else if (whence == SEEK_END) {
		ret = host_fstat(f->host_fd, &st);
		if (ret)
			return ret;
		base = (int64_t)st.size;
	} else if (whence != SEEK_SET) {
		return -EINVAL;
	}
	if (__builtin_add_overflow(base, off, &ret) || ret < 0)
		return -EINVAL;
	f->pos = ret;
	return ret;
}

static int64_t hostfile_ioctl(struct file *f, struct task *t, unsigned cmd, uint64_t arg)
{
	struct hostfile *hf = f->data;
	struct kstat st;
	int64_t pos;
	int left;

	if (cmd != FIONREAD)
		return -ENOTTY;
	if (host_fstat(f->host_fd, &st) < 0)
		return -EIO;
	pos = hf->host_offset ? lseek(f->host_fd, 0, SEEK_CUR) : f->pos;
	left = (int64_t)st.size > pos ? (int)((int64_t)st.size - pos) : 0;
	return mm_copy_out(t->mm, GVA(arg), &left, sizeof(left));
}

/* ---- mapping ---- */

struct hostbacking {
	struct mm_backing b;
	char path[]; /* what /proc/PID/maps shows */
};

static void backing_release(struct mm_backing *b)
{
	close(b->fd);
	free(container_of(b, struct hostbacking, b));
}

static size_t backing_describe(struct mm_backing *b, char *buf, size_t cap)
{
	struct hostbacking *hb = container_of(b, struct hostbacking, b);
	size_t n = strlen(hb->path);

	if (!cap)
		return 0;
	if (n >= cap)
		n = cap - 1;
	memcpy(buf, hb->path, n);
	buf[n] = 0;
	return n;
}

static const struct mm_backing_ops backing_ops = {
	.release = backing_release,
	.describe = backing_describe,
};

static struct mm_backing *backing_create(struct file *f)
{
	char text[VFS_PATH_MAX] = "";
	struct hostbacking *hb;
	struct kstat st;
	unsigned acc = atomic_load(&f->flags) & O_ACCMODE;

	if (f->path.node && vfs_path_text(NULL, &f->path, text, sizeof(text)) < 0)
		text[0] = 0;
	else if (!f->path.node && f->anon_name)
		snprintf(text, sizeof(text), "%s", f->anon_name);
	hb = calloc(1, sizeof(*hb) + strlen(text) + 1);
	if (!hb || file_stat(f, &st) < 0) {
		free(hb);
		return NULL;
	}
	memcpy(hb->path, text, strlen(text) + 1);
	hb->b.ops = &backing_ops;
	atomic_init(&hb->b.refs, 1);
	hb->b.writable = acc == O_RDWR;
	hb->b.executable = !f->path.mount || !(f->path.mount->flags & MS_NOEXEC);
	hb->b.dev = st.dev;
	hb->b.ino = st.ino;
	hb->b.fd = fcntl(f->host_fd, F_DUPFD_CLOEXEC, 0);
	if (hb->b.fd < 0) {
		free(hb);
		return NULL;
	}
	return &hb->b;
}

static int hostfile_backing(struct file *f, struct mm_backing **out)
{
	struct hostfile *hf = f->data;
	int ret = -ENOMEM;

	if ((atomic_load(&f->flags) & O_ACCMODE) == O_WRONLY)
		return -EACCES;
	pthread_mutex_lock(&f->pos_lock);
	if (!hf->backing)
		hf->backing = backing_create(f);
	if (hf->backing) {
		*out = mm_backing_get(hf->backing);
		ret = 0;
	}
	pthread_mutex_unlock(&f->pos_lock);
	return ret;
}

/* ---- the rest of a regular file ---- */

static int hostfile_fsync(struct file *f, bool data_only)
{
	return (data_only ? fdatasync(f->host_fd) : fsync(f->host_fd)) < 0 ? (int)host_errno() : 0;
}

static int hostfile_truncate(struct file *f, uint64_t size)
{
	struct hostfile *hf = f->data;
	int ret = ftruncate(f->host_fd, size) < 0 ? (int)host_errno() : 0;

	if (hf->settle)
		hf->settle(f->path.node);
	return ret;
}

static int hostfile_fallocate(struct file *f, int mode, uint64_t off, uint64_t len)
{
	struct hostfile *hf = f->data;
	int ret;

	if (hf->reserve && !(mode & FALLOC_FL_PUNCH_HOLE)) {
		int64_t room = hf->reserve(f->path.node, off, len);

		if (room < 0 || (uint64_t)room < len)
			return -ENOSPC;
	}
	ret = fallocate(f->host_fd, mode, off, len) < 0 ? (int)host_errno() : 0;
	if (hf->settle)
		hf->settle(f->path.node);
	return ret;
}

static int hostfile_getattr(struct file *f, struct kstat *out)
{
	struct hostfile *hf = f->data;
	int ret;

	/* tmpfs keeps attributes in its node; a host file's own descriptor is asked directly. */
	if (f->path.node && !vnode_is_host(f->path.node))
		return vpath_getattr(&f->path, out);
	ret = host_fstat(f->host_fd, out);
	if (!ret && hf->memfd) {
		out->uid = hf->uid;
		out->gid = hf->gid;
	}
	return ret;
}

static void hostfile_release(struct file *f)
{
	struct hostfile *hf = f->data;

	mm_backing_put(hf->backing);
	close(f->host_fd);
	free(hf->name);
	free(hf);
}

/* O_APPEND is the host's business; the rest is looked at here. */
static int hostfile_set_flags(struct file *f, unsigned flags)
{
	int now = fcntl(f->host_fd, F_GETFL), want = (now & ~O_APPEND) | (int)(flags & O_APPEND);

	if (now == want)
		return 0;
	return now < 0 || fcntl(f->host_fd, F_SETFL, want) < 0 ? (int)host_errno() : 0;
}

/* No poll op: the host descriptor answers, and refuses epoll as Linux does for these. */
static const struct file_ops hostfile_ops = {
	.read = hostfile_read,
	.write = hostfile_write,
	.seek = hostfile_seek,
	.ioctl = hostfile_ioctl,
	.backing = hostfile_backing,
	.fsync = hostfile_fsync,
	.set_flags = hostfile_set_flags,
	.truncate = hostfile_truncate,
	.fallocate = hostfile_fallocate,
	.getattr = hostfile_getattr,
	.release = hostfile_release,
};

static int host_file_new(struct kernel *k, const struct file_ops *ops, int fd, int flags,
			 struct file **out)
{
	struct file *f = file_alloc(ops, flags & ~(O_CREAT | O_EXCL | O_TRUNC | O_CLOEXEC | O_NOCTTY));
	struct hostfile *hf = calloc(1, sizeof(*hf));

	if (!f || !hf) {
		/* An empty file has no release to run: its ops would expect hf. */
		free(hf);
		if (f) {
			static const struct file_ops none;

			f->ops = &none;
			file_put(f);
		}
		close(fd);
		return -ENOMEM;
	}
	hf->kernel = k;
	f->host_fd = fd;
	f->data = hf;
	*out = f;
	return 0;
}

int hostfile_create(struct kernel *k, int fd, int flags, struct file **out)
{
	return host_file_new(k, &hostfile_ops, fd, flags, out);
}

/* ---- directories ---- */

static int hostdir_readdir(struct file *f, struct task *t, struct dir_emit *d, int64_t *pos)
{
	struct hostfile *hf = f->data;
	char buf[16384] __attribute__((aligned(8)));

	(void)t;
	for (;;) {
		int64_t n;

		if (hf->dir_pos != *pos) {
			if (lseek(f->host_fd, *pos, SEEK_SET) < 0)
				return (int)host_errno();
			hf->dir_pos = *pos;
		}
		n = host_read_dir(f->host_fd, buf, sizeof(buf));
		if (n <= 0)
			return (int)n;
		hf->dir_pos = -1;
		for (int64_t at = 0; at < n;) {
			struct host_dirent *e = (struct host_dirent *)(buf + at);

			if (d->emit(d, e->name, e->ino, e->type, e->off))
				return 0;
			*pos = e->off;
			at += e->reclen;
		}
		hf->dir_pos = *pos;
	}
}

static int64_t hostdir_seek(struct file *f, int64_t off, int whence)
{
	int64_t ret;

	if (whence == SEEK_CUR && !off)
		return f->pos;
	if (whence == SEEK_CUR) {
		if (__builtin_add_overflow(off, f->pos, &off))
			return -EINVAL;
		whence = SEEK_SET;
	}
	ret = lseek(f->host_fd, off, whence);
	if (ret < 0)
		return host_errno();
	((struct hostfile *)f->data)->dir_pos = ret;
	f->pos = ret;
	return ret;
}

static const struct file_ops hostdir_ops = {
	.seek = hostdir_seek,
	.readdir = hostdir_readdir,
	.fsync = hostfile_fsync,
	.release = hostfile_release,
};

int hostdir_create(struct kernel *k, int fd, int flags, struct file **out)
{
	return host_file_new(k, &hostdir_ops, fd, flags, out);
}
