/* SPDX-License-Identifier: Apache-2.0 */
/* read(2), write(2) and their vectored and positioned forms; lseek(2), truncate(2), fsync(2) ... */
#include <errno.h>
#include <fcntl.h>
#include <sys/uio.h>
#include <unistd.h>

#include "runtime/fs/inotify.h"
#include "runtime/fs/vfs_internal.h"

#define RWF_KNOWN (RWF_HIPRI | RWF_DSYNC | RWF_SYNC | RWF_NOWAIT | RWF_APPEND)

int fd_get_io(struct task *t, int fd, struct file **out)
{
	struct file *f = fd_get(t, fd);

	if (!f)
		return -EBADF;
	if (atomic_load_explicit(&f->flags, memory_order_relaxed) & O_PATH) {
		file_put(f);
		return -EBADF;
	}
	*out = f;
	return 0;
}

static bool may_read(const struct file *f)
{
	return (atomic_load_explicit(&f->flags, memory_order_relaxed) & O_ACCMODE) != O_WRONLY;
}

static bool may_write(const struct file *f)
{
	unsigned acc = atomic_load_explicit(&f->flags, memory_order_relaxed) & O_ACCMODE;

	return acc == O_WRONLY || acc == O_RDWR;
}

/* at NULL: the description's own offset. */
int64_t file_read_uio(struct task *t, struct file *f, struct uio *u, int64_t *at)
{
	int64_t ret;

	if (!may_read(f))
		return -EBADF;
	if (f->path.node && f->path.node->type == S_IFDIR)
		return -EISDIR;
	if (!f->ops->read)
		return -EINVAL;
	if (at || !f->ops->seek)
		return f->ops->read(f, t, u, at);
	pthread_mutex_lock(&f->pos_lock);
	ret = f->ops->read(f, t, u, &f->pos);
	pthread_mutex_unlock(&f->pos_lock);
	return ret;
}

/* RLIMIT_FSIZE: cut the write at the limit; beyond it SIGXFSZ and EFBIG. */
static int limit_file_size(struct task *t, struct file *f, struct uio *u, int64_t pos)
{
	uint64_t lim;

	if (!t || !f->path.node || f->path.node->type != S_IFREG)
		return 0;
	lim = process_rlimit(t->process, RLIMIT_FSIZE);
	if (lim > INT64_MAX)
		return 0;
	if ((uint64_t)pos >= lim && u->resid) {
		signal_send_task(t, SIGXFSZ, NULL);
		return -EFBIG;
	}
	uio_truncate(u, lim - (uint64_t)pos);
	return 0;
}

int64_t file_write_uio(struct task *t, struct file *f, struct uio *u, int64_t *at)
{
	int64_t ret;

	if (!may_write(f))
		return -EBADF;
	if (!f->ops->write)
		return -EINVAL;
	if (!f->ops->seek)
		return f->ops->write(f, t, u, at);
	if (at) {
		ret = limit_file_size(t, f, u, *at);
		if (!ret)
			ret = f->ops->write(f, t, u, at);
	} else {
		pthread_mutex_lock(&f->pos_lock);
		ret = limit_file_size(t, f, u, f->pos);
		if (!ret)
			ret = f->ops->write(f, t, u, &f->pos);
		pthread_mutex_unlock(&f->pos_lock);
	}
	if (ret > 0)
		vfs_notify_file(f, IN_MODIFY);
	return ret;
}

static int64_t do_rw(struct task *t, int fd, struct uio *u, int64_t *at, bool read)
{
	struct file *f;
	int64_t ret = fd_get_io(t, fd, &f);

	if (ret)
		return ret;
	if (at && !f->ops->seek)
		ret = -ESPIPE;
	else
		ret = read ? file_read_uio(t, f, u, at) : file_write_uio(t, f, u, at);
	file_put(f);
	return ret;
}

static int64_t rw_single(struct task *t, const uint64_t a[6], int64_t *at, bool read)
{
	struct uio u;

	if ((int64_t)a[2] < 0)
		return -EINVAL;
	if (at && *at < 0)
		return -EINVAL;
	uio_single(&u, t->mm, GVA(a[1]), a[2]);
	return do_rw(t, (int)a[0], &u, at, read);
}

static int64_t rw_vector(struct task *t, const uint64_t a[6], int64_t *at, bool read)
{
	struct uio u;
	int64_t ret;

	if (at && *at < 0)
		return -EINVAL;
	ret = uio_import(&u, t->mm, GVA(a[1]), a[2]);
	if (ret)
		return ret;
	ret = do_rw(t, (int)a[0], &u, at, read);
	uio_free(&u);
	return ret;
}

int64_t sys_read(struct task *t, const uint64_t a[6])
{
	return rw_single(t, a, NULL, true);
}

int64_t sys_write(struct task *t, const uint64_t a[6])
{
	return rw_single(t, a, NULL, false);
}

int64_t sys_pread64(struct task *t, const uint64_t a[6])
{
	int64_t at = (int64_t)a[3];

	return rw_single(t, a, &at, true);
}

int64_t sys_pwrite64(struct task *t, const uint64_t a[6])
{
	int64_t at = (int64_t)a[3];

	return rw_single(t, a, &at, false);
}

int64_t sys_readv(struct task *t, const uint64_t a[6])
{
	return rw_vector(t, a, NULL, true);
}

int64_t sys_writev(struct task *t, const uint64_t a[6])
{
	return rw_vector(t, a, NULL, false);
}

int64_t sys_preadv(struct task *t, const uint64_t a[6])
{
	int64_t at = (int64_t)a[3];

	return rw_vector(t, a, &at, true);
}

int64_t sys_pwritev(struct task *t, const uint64_t a[6])
{
	int64_t at = (int64_t)a[3];

	return rw_vector(t, a, &at, false);
}

/* RWF_NOWAIT and RWF_APPEND: as if the description had the flag for this one transfer. */
static int64_t rw_flagged(struct task *t, const uint64_t a[6], bool read)
{
	int64_t at = (int64_t)a[3], ret;
	unsigned flags = (unsigned)a[5];
	struct file *f;
	struct uio u;

	if (flags & ~(unsigned)RWF_KNOWN)
		return -EOPNOTSUPP;
	if (at < -1)
		return -EINVAL;
	ret = fd_get_io(t, (int)a[0], &f);
	if (ret)
		return ret;
	if (flags & RWF_NOWAIT && !(file_poll(f, NULL) & (read ? POLLIN | POLLHUP | POLLERR
							       : POLLOUT | POLLERR)))
		ret = -EAGAIN;
	else if (!read && flags & RWF_APPEND && at != -1 && f->ops->seek) {
		struct kstat st;

		ret = file_stat(f, &st);
		at = (int64_t)st.size;
	}
	file_put(f);
	if (!ret)
		ret = uio_import(&u, t->mm, GVA(a[1]), a[2]);
	if (ret)
		return ret;
	ret = do_rw(t, (int)a[0], &u, at == -1 ? NULL : &at, read);
	uio_free(&u);
	if (ret > 0 && flags & (RWF_DSYNC | RWF_SYNC) && !read) {
		const uint64_t sync[6] = {a[0]};
		int64_t err = flags & RWF_SYNC ? sys_fsync(t, sync) : sys_fdatasync(t, sync);

		if (err < 0)
			return err;
	}
	return ret;
}

int64_t sys_preadv2(struct task *t, const uint64_t a[6])
{
	return rw_flagged(t, a, true);
}

int64_t sys_pwritev2(struct task *t, const uint64_t a[6])
{
	return rw_flagged(t, a, false);
}

int64_t sys_lseek(struct task *t, const uint64_t a[6])
{
	struct file *f;
	int64_t ret = fd_get_io(t, (int)a[0], &f);

	if (ret)
		return ret;
	if ((unsigned)a[2] > SEEK_HOLE) {
		ret = -EINVAL;
	} else if (!f->ops->seek) {
		ret = -ESPIPE;
	} else {
		pthread_mutex_lock(&f->pos_lock);
		ret = f->ops->seek(f, (int64_t)a[1], (int)a[2]);
		pthread_mutex_unlock(&f->pos_lock);
	}
	file_put(f);
	return ret;
}

/* ---- sizes ---- */

int vfs_truncate(struct task *t, const struct vpath *p, struct file *f, uint64_t size)
{
	const struct kattr attr = {.valid = KATTR_SIZE, .size = size};
	int ret;

	if (size > process_rlimit(t->process, RLIMIT_FSIZE)) {
		signal_send_task(t, SIGXFSZ, NULL);
		return -EFBIG;
	}
	if (f && f->ops->truncate)
		ret = f->ops->truncate(f, size);
	else
		ret = p->node ? vpath_setattr(p, &attr) : -EINVAL;
	if (!ret && p->node) {
		vfs_kill_suid(t, p->node);
		vfs_notify_node(p->node, IN_MODIFY);
	}
	return ret;
}

int64_t sys_truncate(struct task *t, const uint64_t a[6])
{
	struct vpath p;
	int ret;

	if ((int64_t)a[1] < 0)
		return -EINVAL;
	ret = at_lookup(t, AT_FDCWD, a[0], 0, &p);
	if (ret)
		return ret;
	if (p.node->type == S_IFDIR)
		ret = -EISDIR;
	else if (p.node->type != S_IFREG)
		ret = -EINVAL;
	if (!ret)
		ret = perm_node(t, &p, W_OK);
	if (!ret && vfs_text_busy(t->kernel, p.node))
		ret = -ETXTBSY;
	if (!ret)
		ret = vfs_truncate(t, &p, NULL, a[1]);
	vpath_put(&p);
	return ret;
}

int64_t sys_ftruncate(struct task *t, const uint64_t a[6])
{
	struct file *f;
	int64_t ret = fd_get_io(t, (int)a[0], &f);

	if (ret)
		return ret;
	if ((int64_t)a[1] < 0 || !may_write(f) || !f->ops->truncate)
		ret = -EINVAL;
	else
		ret = vfs_truncate(t, &f->path, f, a[1]);
	file_put(f);
	return ret;
}

int64_t sys_fallocate(struct task *t, const uint64_t a[6])
{
	int64_t off = (int64_t)a[2], len = (int64_t)a[3], end;
	struct file *f;
	int64_t ret;

	if (off < 0 || len <= 0)
		return -EINVAL;
	ret = fd_get_io(t, (int)a[0], &f);
	if (ret)
		return ret;
	if (!may_write(f))
		ret = -EBADF;
	else if (!f->ops->seek)
		ret = -ESPIPE;
	else if (f->path.node && f->path.node->type == S_IFDIR)
		ret = -EISDIR;
	else if (__builtin_add_overflow(off, len, &end) ||
		 (uint64_t)end > process_rlimit(t->process, RLIMIT_FSIZE))
		ret = -EFBIG;
	else
		ret = f->ops->fallocate ? f->ops->fallocate(f, (int)a[1], off, len) : -ENODEV;
	if (!ret)
		vfs_notify_file(f, IN_MODIFY);
	file_put(f);
	return ret;
}

/* ---- durability and hints ---- */

static int64_t do_fsync(struct task *t, int fd, bool data_only)
{
	struct file *f;
	int64_t ret = fd_get_io(t, fd, &f);

	if (ret)
		return ret;
	if (f->ops->fsync)
		ret = f->ops->fsync(f, data_only);
	else
		ret = f->path.node && (f->path.node->type == S_IFDIR || f->path.node->type == S_IFREG)
			      ? 0
			      : -EINVAL;
	file_put(f);
	return ret;
}

int64_t sys_fsync(struct task *t, const uint64_t a[6])
{
	return do_fsync(t, (int)a[0], false);
}

int64_t sys_fdatasync(struct task *t, const uint64_t a[6])
{
	return do_fsync(t, (int)a[0], true);
}

/* The container's root, not the host's every disk. */
int64_t sys_sync(struct task *t, const uint64_t a[6])
{
	struct vnode *root = t->kernel->vfs->mounts[0]->root;
	int fd = hostnode_reopen(hostnode_of(root), O_RDONLY | O_DIRECTORY);

	(void)a;
	if (fd >= 0) {
		syncfs(fd);
		close(fd);
	}
	return 0;
}

int64_t sys_syncfs(struct task *t, const uint64_t a[6])
{
	struct file *f;
	int64_t ret = fd_get_io(t, (int)a[0], &f);

	if (ret)
		return ret;
	if (f->host_fd >= 0 && f->path.node && syncfs(f->host_fd) < 0)
		ret = host_errno();
	file_put(f);
	return ret;
}

int64_t sys_sync_file_range(struct task *t, const uint64_t a[6])
{
	struct file *f;
	int64_t ret = fd_get_io(t, (int)a[0], &f);

	if (ret)
		return ret;
	if (!hostfile_of(f))
		ret = f->ops->seek ? 0 : -ESPIPE;
	else if (sync_file_range(f->host_fd, (int64_t)a[1], (int64_t)a[2], (unsigned)a[3]) < 0)
		ret = host_errno();
	file_put(f);
	return ret;
}

int64_t sys_fadvise64(struct task *t, const uint64_t a[6])
{
	struct file *f;
	int64_t ret = fd_get_io(t, (int)a[0], &f);

	if (ret)
		return ret;
	if (!f->ops->seek)
		ret = -ESPIPE;
	else if ((int64_t)a[2] < 0 || (int)a[3] < 0 || (int)a[3] > POSIX_FADV_NOREUSE)
		ret = -EINVAL;
	else if (hostfile_of(f))
		ret = -posix_fadvise(f->host_fd, (int64_t)a[1], (int64_t)a[2], (int)a[3]);
	file_put(f);
	return ret;
}

int64_t sys_readahead(struct task *t, const uint64_t a[6])
{
	struct file *f;
	int64_t ret = fd_get_io(t, (int)a[0], &f);

	if (ret)
		return ret;
	if (!may_read(f))
		ret = -EBADF;
	else if (!hostfile_of(f))
		ret = -EINVAL;
	else if (readahead(f->host_fd, (int64_t)a[1], a[2]) < 0)
		ret = host_errno();
	file_put(f);
	return ret;
}
