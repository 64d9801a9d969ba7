/* SPDX-License-Identifier: Apache-2.0 */
/* The memory devices, and what an OCI container finds in /dev. */
#include "runtime/fs/dev.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "runtime/fs/dev_priv.h"
#include "runtime/fs/tty.h"
#include "runtime/task/task.h"

#define DEV_CHUNK 4096
#define RANDOM_CHUNK 256 /* bytes the host gives without being interruptible: getrandom(2) */

/* ---- null, zero, full, random ---- */

static int64_t null_read(struct file *f, struct task *t, struct uio *to, int64_t *pos)
{
	(void)f, (void)t, (void)to, (void)pos;
	return 0;
}

/* Takes everything without looking at it. */
static int64_t null_write(struct file *f, struct task *t, struct uio *from, int64_t *pos)
{
	(void)f, (void)t, (void)pos;
	return (int64_t)from->resid;
}

static int64_t zero_read(struct file *f, struct task *t, struct uio *to, int64_t *pos)
{
	static const uint8_t zeros[DEV_CHUNK];
	int64_t done = 0;

	(void)f, (void)pos;
	while (to->resid) {
		size_t want = to->resid < DEV_CHUNK ? to->resid : DEV_CHUNK;
		int64_t n = uio_write_to_guest(to, zeros, want);

		if (n <= 0)
			return done ? done : n;
		done += n;
		if ((size_t)n < want || signal_pending(t))
			break;
	}
	return done;
}

static int64_t full_write(struct file *f, struct task *t, struct uio *from, int64_t *pos)
{
	(void)f, (void)t, (void)pos;
	return from->resid ? -ENOSPC : 0;
}

static int64_t random_read(struct file *f, struct task *t, struct uio *to, int64_t *pos)
{
	uint8_t buf[RANDOM_CHUNK];
	int64_t done = 0;

	(void)f, (void)pos;
	while (to->resid) {
		size_t want = to->resid < sizeof(buf) ? to->resid : sizeof(buf);
		int64_t n;

		if (getrandom(buf, want, 0) != (ssize_t)want)
			return done ? done : -EIO;
		n = uio_write_to_guest(to, buf, want);
		if (n <= 0)
			return done ? done : n;
		done += n;
		if ((size_t)n < want || (done >= DEV_CHUNK && signal_pending(t)))
			break;
	}
	return done;
}

static int64_t random_ioctl(struct file *f, struct task *t, unsigned cmd, uint64_t arg)
{
	int bits = 256;

	(void)f;
	if (cmd == 0x80045200u) /* RNDGETENTCNT */
		return mm_copy_out(t->mm, GVA(arg), &bits, sizeof(bits));
	return -EINVAL;
}

static int64_t mem_seek(struct file *f, int64_t off, int whence)
{
	(void)whence;
	f->pos = 0;
	(void)off;
	return 0;
}

/* ---- mmap of /dev/zero: a fresh shared memory object for each mapping ---- */

static void zero_backing_release(struct mm_backing *b)
{
	close(b->fd);
	free(b);
}

static size_t zero_backing_describe(struct mm_backing *b, char *buf, size_t cap)
{
	(void)b;
	return (size_t)snprintf(buf, cap, "/dev/zero (deleted)");
}

static const struct mm_backing_ops zero_backing_ops = {zero_backing_release,
						       zero_backing_describe};

static int zero_backing(struct file *f, struct mm_backing **out)
{
	static atomic_ullong next_ino = 1;
	struct mm_backing *b = calloc(1, sizeof(*b));

	(void)f;
	if (!b)
		return -ENOMEM;
	b->fd = memfd_create("zero", MFD_CLOEXEC);
	/* Sparse; larger than any mapping the address space has room for beside it. */
	if (b->fd < 0 || ftruncate(b->fd, (off_t)1 << 42)) {
		if (b->fd >= 0)
			close(b->fd);
		free(b);
		return -ENOMEM;
	}
	b->ops = &zero_backing_ops;
	atomic_init(&b->refs, 1);
	b->writable = b->executable = true;
	b->dev = 5;
	b->ino = atomic_fetch_add(&next_ino, 1);
	*out = b;
	return 0;
}

static int no_backing(struct file *f, struct mm_backing **out)
{
	(void)f, (void)out;
	return -ENODEV;
}

static const struct file_ops null_ops = {
	.read = null_read, .write = null_write, .seek = mem_seek, .backing = no_backing};
static const struct file_ops zero_ops = {
	.read = zero_read, .write = null_write, .seek = mem_seek, .backing = zero_backing};
static const struct file_ops full_ops = {
	.read = zero_read, .write = full_write, .seek = mem_seek, .backing = no_backing};
static const struct file_ops random_ops = {.read = random_read,
					   .write = null_write,
					   .seek = mem_seek,
					   .ioctl = random_ioctl,
					   .backing = no_backing};

static const struct file_ops *const mem_devices[] = {
	[3] = &null_ops, [5] = &zero_ops, [7] = &full_ops, [8] = &random_ops, [9] = &random_ops,
};

int chrdev_open(struct task *t, uint64_t rdev, int flags, const struct vpath *path,
		struct file **out)
{
	unsigned ma = major(rdev), mi = minor(rdev);

	(void)path;
	if (ma == 1 && mi < sizeof(mem_devices) / sizeof(mem_devices[0]) && mem_devices[mi]) {
		*out = file_alloc(mem_devices[mi], (unsigned)flags);
		return *out ? 0 : -ENFILE;
	}
	if (ma == 5 && mi == 2)
		return ptmx_open(t, flags, out);
	return tty_open_rdev(t, rdev, flags, out);
}

/* ---- /dev ---- */

static pthread_mutex_t console_lock = PTHREAD_MUTEX_INITIALIZER;
static struct vnode *console_node; /* a reference; protected by console_lock */

int dev_console_stat(struct kstat *out)
{
	struct vnode *n = NULL;
	int ret;

	pthread_mutex_lock(&console_lock);
	if (console_node)
		n = vnode_get(console_node);
	pthread_mutex_unlock(&console_lock);
	if (!n)
		return -ENOENT;
	ret = n->ops->getattr(n, out);
	vnode_put(n);
	return ret;
}

static const struct {
	const char *name;
	unsigned major, minor;
	uint32_t mode;
} dev_nodes[] = {
	{"null", 1, 3, 0666},	{"zero", 1, 5, 0666},	 {"full", 1, 7, 0666},
	{"random", 1, 8, 0666}, {"urandom", 1, 9, 0666}, {"tty", 5, 0, 0666},
};
static const struct {
	const char *name, *target;
} dev_links[] = {
	{"fd", "/proc/self/fd"},	{"stdin", "/proc/self/fd/0"}, {"stdout", "/proc/self/fd/1"},
	{"stderr", "/proc/self/fd/2"}, {"ptmx", "pts/ptmx"},
};
static const char *const dev_dirs[] = {"pts", "shm"};

static struct kattr attr_of(uint32_t mode)
{
	return (struct kattr){.valid = KATTR_MODE | KATTR_UID | KATTR_GID, .mode = mode};
}

static int ignore_exists(int ret)
{
	return ret == -EEXIST ? 0 : ret;
}

static int populate_console(struct vnode *root)
{
	struct kattr a = attr_of(S_IFCHR | 0620);
	struct vnode *n;
	int ret = ignore_exists(root->ops->mknod(root, "console", &a, makedev(5, 1)));

	if (!ret)
		ret = root->ops->lookup(root, NULL, "console", &n);
	if (ret)
		return ret;
	pthread_mutex_lock(&console_lock);
	if (console_node)
		vnode_put(console_node);
	console_node = n;
	pthread_mutex_unlock(&console_lock);
	return 0;
}

int dev_populate(struct kernel *k, struct vnode *root, bool console)
{
	int ret = 0;

	(void)k;
	for (size_t i = 0; !ret && i < sizeof(dev_nodes) / sizeof(dev_nodes[0]); i++) {
		struct kattr a = attr_of(S_IFCHR | dev_nodes[i].mode);

		ret = ignore_exists(root->ops->mknod(root, dev_nodes[i].name, &a,
						     makedev(dev_nodes[i].major, dev_nodes[i].minor)));
	}
	for (size_t i = 0; !ret && i < sizeof(dev_links) / sizeof(dev_links[0]); i++) {
		struct kattr a = attr_of(S_IFLNK | 0777);

		ret = ignore_exists(root->ops->symlink(root, dev_links[i].name, dev_links[i].target, &a));
	}
	for (size_t i = 0; !ret && i < sizeof(dev_dirs) / sizeof(dev_dirs[0]); i++) {
		struct kattr a = attr_of(S_IFDIR | 0755);

		ret = ignore_exists(root->ops->mkdir(root, dev_dirs[i], &a));
	}
	return ret || !console ? ret : populate_console(root);
}

/* ---- mqueue: a directory that stays empty; message queues are not offered ---- */

static int mqueue_mount(struct kernel *k, const char *options, struct vnode **root, char *err,
			size_t errlen)
{
	(void)options;
	return tmpfs_type.mount(k, "mode=1777", root, err, errlen);
}

const struct fs_type mqueue_type = {"mqueue", 0x19800202, mqueue_mount};
