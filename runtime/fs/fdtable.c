/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/fs/fdtable.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/fs/lock.h"
#include "runtime/fs/vfs_internal.h"

/* Never more than this, whatever RLIMIT_NOFILE says (fs.nr_open). */
#define FD_MAX (1u << 20)

struct fd_slot {
	struct file *file; /* a reference; NULL: free */
	bool cloexec;
};

struct fdtable {
	atomic_uint refs;
	pthread_mutex_t lock; /* protects the rest */
	struct fd_slot *slots;
	unsigned size;
	unsigned low; /* no free descriptor below this */
};

struct fdtable *fdtable_create(void)
{
	struct fdtable *ft = calloc(1, sizeof(*ft));

	if (!ft)
		return NULL;
	atomic_init(&ft->refs, 1);
	pthread_mutex_init(&ft->lock, NULL);
	return ft;
}

struct fdtable *fdtable_copy(struct fdtable *src)
{
	struct fdtable *ft = fdtable_create();
	unsigned used;

	if (!ft)
		return NULL;
	pthread_mutex_lock(&src->lock);
	used = src->size;
	while (used && !src->slots[used - 1].file)
		used--;
	if (used) {
		ft->slots = malloc(used * sizeof(*ft->slots));
		if (!ft->slots) {
			pthread_mutex_unlock(&src->lock);
			free(ft);
			return NULL;
		}
		memcpy(ft->slots, src->slots, used * sizeof(*ft->slots));
	}
	for (unsigned i = 0; i < used; i++)
		if (ft->slots[i].file)
			file_get(ft->slots[i].file);
	ft->size = used;
	ft->low = src->low < used ? src->low : used;
	pthread_mutex_unlock(&src->lock);
	return ft;
}

struct fdtable *fdtable_get(struct fdtable *ft)
{
	atomic_fetch_add_explicit(&ft->refs, 1, memory_order_relaxed);
	return ft;
}

bool fdtable_shared(const struct fdtable *ft)
{
	return atomic_load(&ft->refs) > 1;
}

/* What each close(2) does besides dropping the reference. */
static void close_file(struct fdtable *ft, struct task *t, struct file *f)
{
	if (f->ops->flush)
		f->ops->flush(f, t);
	if (f->path.node && !(atomic_load(&f->flags) & O_PATH))
		lock_release_owner(f->path.node, ft);
	file_put(f);
}

void fdtable_put(struct fdtable *ft, struct task *t)
{
	if (!ft || atomic_fetch_sub_explicit(&ft->refs, 1, memory_order_acq_rel) != 1)
		return;
	for (unsigned i = 0; i < ft->size; i++)
		if (ft->slots[i].file)
			close_file(ft, t, ft->slots[i].file);
	pthread_mutex_destroy(&ft->lock);
	free(ft->slots);
	free(ft);
}

void fdtable_close_on_exec(struct fdtable *ft, struct task *t)
{
	pthread_mutex_lock(&ft->lock);
	for (unsigned i = 0; i < ft->size; i++) {
		struct file *f = ft->slots[i].file;

		if (!f || !ft->slots[i].cloexec)
			continue;
		ft->slots[i] = (struct fd_slot){0};
		if (i < ft->low)
			ft->low = i;
		pthread_mutex_unlock(&ft->lock);
		close_file(ft, t, f);
		pthread_mutex_lock(&ft->lock);
	}
	pthread_mutex_unlock(&ft->lock);
}

struct file *fdtable_file(struct fdtable *ft, int fd)
{
	struct file *f = NULL;

	pthread_mutex_lock(&ft->lock);
	if (fd >= 0 && (unsigned)fd < ft->size && ft->slots[fd].file)
		f = file_get(ft->slots[fd].file);
	pthread_mutex_unlock(&ft->lock);
	return f;
}

struct file *fd_get(struct task *t, int fd)
{
	return fdtable_file(t->files, fd);
}

static unsigned fd_limit(struct task *t)
{
	uint64_t lim = process_rlimit(t->process, RLIMIT_NOFILE);

	return lim < FD_MAX ? (unsigned)lim : FD_MAX;
}

/* lock held. Make slot fd exist. */
static int fdtable_grow(struct fdtable *ft, unsigned fd)
{
	unsigned size = ft->size ? ft->size : 64;
	struct fd_slot *slots;

	if (fd < ft->size)
		return 0;
	while (size <= fd)
		size *= 2;
	slots = realloc(ft->slots, size * sizeof(*slots));
	if (!slots)
		return -ENOMEM;
	memset(slots + ft->size, 0, (size - ft->size) * sizeof(*slots));
	ft->slots = slots;
	ft->size = size;
	return 0;
}

int fd_install(struct task *t, struct file *f, int min, bool cloexec)
{
	struct fdtable *ft = t->files;
	unsigned limit = fd_limit(t), fd;
	int ret;

	if (min < 0 || (unsigned)min >= limit)
		return min <= 0 ? -EMFILE : -EINVAL;
	pthread_mutex_lock(&ft->lock);
	fd = (unsigned)min > ft->low ? (unsigned)min : ft->low;
	while (fd < ft->size && ft->slots[fd].file)
		fd++;
	if ((unsigned)min <= ft->low)
		ft->low = fd;
	ret = fd >= limit ? -EMFILE : fdtable_grow(ft, fd);
	if (!ret) {
		ft->slots[fd] = (struct fd_slot){.file = f, .cloexec = cloexec};
		if (ft->low == fd)
			ft->low = fd + 1;
		ret = (int)fd;
	}
	pthread_mutex_unlock(&ft->lock);
	return ret;
}

int fd_install_at(struct task *t, struct file *f, int newfd, bool cloexec)
{
	struct fdtable *ft = t->files;
	struct file *old = NULL;
	int ret;

	if (newfd < 0 || (unsigned)newfd >= fd_limit(t))
		return -EBADF;
	pthread_mutex_lock(&ft->lock);
	ret = fdtable_grow(ft, newfd);
	if (!ret) {
		old = ft->slots[newfd].file;
		ft->slots[newfd] = (struct fd_slot){.file = file_get(f), .cloexec = cloexec};
		ret = newfd;
	}
	pthread_mutex_unlock(&ft->lock);
	if (old)
		close_file(ft, t, old);
	return ret;
}

int fd_close(struct task *t, int fd)
{
	struct fdtable *ft = t->files;
	struct file *f = NULL;

	pthread_mutex_lock(&ft->lock);
	if (fd >= 0 && (unsigned)fd < ft->size)
		f = ft->slots[fd].file;
	if (f) {
		ft->slots[fd] = (struct fd_slot){0};
		if ((unsigned)fd < ft->low)
			ft->low = fd;
	}
	pthread_mutex_unlock(&ft->lock);
	if (!f)
		return -EBADF;
	close_file(ft, t, f);
	return 0;
}

int fd_get_cloexec(struct task *t, int fd)
{
	struct fdtable *ft = t->files;
	int ret = -EBADF;

	pthread_mutex_lock(&ft->lock);
	if (fd >= 0 && (unsigned)fd < ft->size && ft->slots[fd].file)
		ret = ft->slots[fd].cloexec;
	pthread_mutex_unlock(&ft->lock);
	return ret;
}

int fd_set_cloexec(struct task *t, int fd, bool on)
{
	struct fdtable *ft = t->files;
	int ret = -EBADF;

	pthread_mutex_lock(&ft->lock);
	if (fd >= 0 && (unsigned)fd < ft->size && ft->slots[fd].file) {
		ft->slots[fd].cloexec = on;
		ret = 0;
	}
	pthread_mutex_unlock(&ft->lock);
	return ret;
}

int fd_close_range(struct task *t, unsigned first, unsigned last, bool cloexec_only)
{
	struct fdtable *ft = t->files;

	if (first > last)
		return -EINVAL;
	for (unsigned fd = first;; fd++) {
		struct file *f;

		pthread_mutex_lock(&ft->lock);
		if (fd > last || fd >= ft->size) {
			pthread_mutex_unlock(&ft->lock);
			return 0;
		}
		f = ft->slots[fd].file;
		if (f && cloexec_only) {
			ft->slots[fd].cloexec = true;
			f = NULL;
		} else if (f) {
			ft->slots[fd] = (struct fd_slot){0};
			if (fd < ft->low)
				ft->low = fd;
		}
		pthread_mutex_unlock(&ft->lock);
		if (f)
			close_file(ft, t, f);
	}
}

int fd_next(struct fdtable *ft, int fd)
{
	int ret = -1;

	pthread_mutex_lock(&ft->lock);
	for (unsigned i = fd < 0 ? 0 : (unsigned)fd; i < ft->size; i++) {
		if (ft->slots[i].file) {
			ret = (int)i;
			break;
		}
	}
	pthread_mutex_unlock(&ft->lock);
	return ret;
}
