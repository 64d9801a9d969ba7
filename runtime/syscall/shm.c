/* SPDX-License-Identifier: Apache-2.0 */
/*
 * System V shared memory: a segment is a memfd that mm/ maps shared. Each mapping holds a reference to
 * the segment's backing, so attachments are counted by its references and fork, exit and execve need
 * no bookkeeping; a removed segment goes with its last mapping.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/shm.h>
#include <time.h>
#include <unistd.h>

#include <linux/capability.h>

#include "runtime/syscall/ipc.h"
#include "runtime/syscall/syscall.h"
#include "runtime/task/task.h"

#define SHMLBA_BYTES	 PAGE_SIZE
#define SHM_MAX_BYTES	 ((uint64_t)1 << 40)
#define CMD_SHM_STAT	 13
#define CMD_SHM_INFO	 14
#define CMD_SHM_STAT_ANY 15

struct segment {
	struct ipc_object o;
	struct mm_backing backing; /* one reference is the table's, until IPC_RMID */
	struct ipc *ipc;
	uint64_t size;
	time_t atime, dtime, ctime;
	pid_t cpid, lpid;
};

static struct segment *segment_of(struct ipc_object *o)
{
	return container_of(o, struct segment, o);
}

static void segment_release(struct mm_backing *b)
{
	struct segment *s = container_of(b, struct segment, backing);

	pthread_mutex_lock(&s->ipc->lock);
	ipc_unlink(s->ipc, IPC_SHM, &s->o);
	pthread_mutex_unlock(&s->ipc->lock);
	close(b->fd);
	free(s);
}

static size_t segment_describe(struct mm_backing *b, char *buf, size_t cap)
{
	struct segment *s = container_of(b, struct segment, backing);
	int n = snprintf(buf, cap, "/SYSV%08x (deleted)", (unsigned)s->o.key);

	return n < (int)cap ? (size_t)n : cap - 1;
}

static const struct mm_backing_ops segment_ops = {
	.release = segment_release,
	.describe = segment_describe,
};

/* A reference, unless the last one is just being dropped. */
static bool segment_tryget(struct segment *s)
{
	unsigned refs = atomic_load(&s->backing.refs);

	while (refs)
		if (atomic_compare_exchange_weak(&s->backing.refs, &refs, refs + 1))
			return true;
	return false;
}

static unsigned segment_attached(struct segment *s)
{
	return atomic_load(&s->backing.refs) - (s->o.removed ? 0 : 1);
}

void shm_destroy(struct ipc_object *o)
{
	mm_backing_put(&segment_of(o)->backing);
}

static struct segment *segment_create(struct ipc *ipc, struct task *t, uint64_t size)
{
	struct segment *s = calloc(1, sizeof(*s));
	int fd = s ? memfd_create("nacre-shm", MFD_CLOEXEC) : -1;

	if (fd < 0 || ftruncate(fd, (off_t)page_up(size))) {
		if (fd >= 0)
			close(fd);
		free(s);
		return NULL;
	}
	s->backing = (struct mm_backing){
		.ops = &segment_ops,
		.refs = 1,
		.fd = fd,
		.writable = true,
		.executable = true,
		.dev = ipc->dev,
	};
	s->ipc = ipc;
	s->size = size;
	s->ctime = time(NULL);
	s->cpid = t->process->pid;
	return s;
}

static int64_t segment_get_locked(struct ipc *ipc, struct task *t, key_t key, uint64_t size,
				  int flags)
{
	struct ipc_object *o;
	struct segment *s;
	int err;

	o = ipc_get(ipc, IPC_SHM, t, key, flags, &err);
	if (err)
		return err;
	if (o)
		return size > segment_of(o)->size ? -EINVAL : o->id;
	if (!size || size > SHM_MAX_BYTES)
		return -EINVAL;
	s = segment_create(ipc, t, size);
	if (!s)
		return -ENOMEM;
	ipc_add(ipc, IPC_SHM, &s->o, t, key, flags);
	s->backing.ino = (uint64_t)s->o.id + 1;
	return s->o.id;
}

int64_t sys_shmget(struct task *t, const uint64_t a[6])
{
	struct ipc *ipc = ipc_of(t->kernel);
	int64_t ret;

	if (!ipc)
		return -ENOMEM;
	if (a[2] & SHM_HUGETLB)
		return -ENOMEM; /* no huge pages are reserved */
	pthread_mutex_lock(&ipc->lock);
	ret = segment_get_locked(ipc, t, (key_t)a[0], a[1], (int)a[2]);
	pthread_mutex_unlock(&ipc->lock);
	return ret;
}

/* With a reference to its backing. */
static int segment_attach(struct ipc *ipc, struct task *t, int id, int flags, struct segment **out)
{
	unsigned want = flags & SHM_RDONLY ? 4 : 6;
	struct ipc_object *o;
	int ret = 0;

	if (flags & SHM_EXEC)
		want |= 1;
	pthread_mutex_lock(&ipc->lock);
	o = ipc_find(ipc, IPC_SHM, id);
	if (!o)
		ret = -EINVAL;
	else
		ret = ipc_permit(t, o, want);
	if (!ret && !segment_tryget(segment_of(o)))
		ret = -EIDRM;
	if (!ret) {
		*out = segment_of(o);
		(*out)->atime = time(NULL);
		(*out)->lpid = t->process->pid;
	}
	pthread_mutex_unlock(&ipc->lock);
	return ret;
}

int64_t sys_shmat(struct task *t, const uint64_t a[6])
{
	struct ipc *ipc = ipc_of(t->kernel);
	int flags = (int)a[2];
	struct mm_map_args args = {
		.addr = GVA(a[1]),
		.prot = PROT_READ | (flags & SHM_RDONLY ? 0 : PROT_WRITE) |
			(flags & SHM_EXEC ? PROT_EXEC : 0),
		.flags = MAP_SHARED,
	};
	struct segment *s = NULL;
	int64_t ret;

	if (!ipc)
		return -ENOMEM;
	if (a[1] & (SHMLBA_BYTES - 1)) {
		if (!(flags & SHM_RND))
			return -EINVAL;
		args.addr.v &= ~(SHMLBA_BYTES - 1);
	}
	if (!args.addr.v && flags & SHM_REMAP)
		return -EINVAL;
	if (args.addr.v)
		args.flags |= flags & SHM_REMAP ? MAP_FIXED : MAP_FIXED_NOREPLACE;
	ret = segment_attach(ipc, t, (int)a[0], flags, &s);
	if (ret)
		return ret;
	args.len = page_up(s->size);
	args.backing = &s->backing;
	ret = mm_map(t->mm, &args);
	mm_backing_put(&s->backing);
	return ret == -EEXIST ? -EINVAL : ret;
}

/* ---- shmdt ---- */

#define DETACH_MAX 64

struct detach {
	uint64_t dev, start, ino;
	unsigned n;
	struct {
		uint64_t addr, len;
	} part[DETACH_MAX];
};

/* Areas of the segment attached at `start`: the first tells which segment, splits follow. */
static int find_attached(const struct mm_area_info *info, void *arg)
{
	struct detach *d = arg;

	if (info->dev != d->dev || info->start < d->start ||
	    info->start - d->start != info->offset || (d->ino && info->ino != d->ino))
		return 0;
	if (!d->ino && info->start != d->start)
		return 1;
	if (d->n == DETACH_MAX)
		return 1;
	d->ino = info->ino;
	d->part[d->n].addr = info->start;
	d->part[d->n++].len = info->end - info->start;
	return 0;
}

int64_t sys_shmdt(struct task *t, const uint64_t a[6])
{
	struct ipc *ipc = ipc_of(t->kernel);
	struct detach d = {.start = a[0]};
	struct ipc_object *o;

	if (!ipc)
		return -ENOMEM;
	d.dev = ipc->dev;
	if (a[0] & ~PAGE_MASK)
		return -EINVAL;
	mm_for_each_area(t->mm, false, find_attached, &d);
	if (!d.n)
		return -EINVAL;
	pthread_mutex_lock(&ipc->lock);
	o = ipc_find(ipc, IPC_SHM, (int)(d.ino - 1));
	if (o) {
		segment_of(o)->dtime = time(NULL);
		segment_of(o)->lpid = t->process->pid;
	}
	pthread_mutex_unlock(&ipc->lock);
	for (unsigned i = 0; i < d.n; i++)
		mm_unmap(t->mm, GVA(d.part[i].addr), d.part[i].len);
	return 0;
}

/* ---- shmctl ---- */

static void segment_stat(struct segment *s, struct shmid_ds *out)
{
	memset(out, 0, sizeof(*out));
	ipc_fill_perm(&s->o, &out->shm_perm);
	out->shm_segsz = s->size;
	out->shm_atime = s->atime;
	out->shm_dtime = s->dtime;
	out->shm_ctime = s->ctime;
	out->shm_cpid = s->cpid;
	out->shm_lpid = s->lpid;
	out->shm_nattch = segment_attached(s);
}

/* One segment's commands, lock held; *drop is set when the table's reference is to go. */
static int64_t segment_control(struct task *t, struct segment *s, int cmd, struct shmid_ds *ds,
			       bool *drop)
{
	int ret;

	switch (cmd) {
	case IPC_STAT:
	case CMD_SHM_STAT:
	case CMD_SHM_STAT_ANY:
		ret = cmd == CMD_SHM_STAT_ANY ? 0 : ipc_permit(t, &s->o, 4);
		if (ret)
			return ret;
		segment_stat(s, ds);
		return cmd == IPC_STAT ? 0 : s->o.id;
	case IPC_SET:
	case IPC_RMID:
		if (!ipc_owner(t, &s->o))
			return -EPERM;
		if (cmd == IPC_SET) {
			ipc_set_perm(&s->o, &ds->shm_perm);
			s->ctime = time(NULL);
		} else {
			*drop = !s->o.removed;
			s->o.removed = true;
		}
		return 0;
	case SHM_LOCK:
	case SHM_UNLOCK: /* segments are never paged out by nacre */
		return ipc_owner(t, &s->o) || cred_capable(t->cred, CAP_IPC_LOCK) ? 0 : -EPERM;
	default:
		return -EINVAL;
	}
}

static int64_t shm_info(struct ipc *ipc, struct task *t, int cmd, uint64_t addr)
{
	struct shm_info info = {0};
	struct shminfo limits = {
		.shmmax = SHM_MAX_BYTES,
		.shmmin = 1,
		.shmmni = IPC_OBJECTS_MAX,
		.shmseg = IPC_OBJECTS_MAX,
		.shmall = SHM_MAX_BYTES / PAGE_SIZE,
	};
	int last;

	pthread_mutex_lock(&ipc->lock);
	list_for_each (pos, &ipc->objects[IPC_SHM]) {
		struct segment *s = segment_of(list_entry(pos, struct ipc_object, link));

		info.used_ids++;
		info.shm_tot += page_up(s->size) / PAGE_SIZE;
	}
	last = info.used_ids ? info.used_ids - 1 : 0;
	pthread_mutex_unlock(&ipc->lock);
	info.shm_rss = info.shm_tot;
	if (cmd == IPC_INFO ? mm_copy_out(t->mm, GVA(addr), &limits, sizeof(limits))
			    : mm_copy_out(t->mm, GVA(addr), &info, sizeof(info)))
		return -EFAULT;
	return last;
}

int64_t sys_shmctl(struct task *t, const uint64_t a[6])
{
	struct ipc *ipc = ipc_of(t->kernel);
	int cmd = (int)a[1] & ~IPC_64_FLAG;
	struct ipc_object *o;
	struct shmid_ds ds;
	bool drop = false;
	int64_t ret;

	if (!ipc)
		return -ENOMEM;
	if ((int)a[0] < 0)
		return -EINVAL;
	if (cmd == IPC_INFO || cmd == CMD_SHM_INFO)
		return shm_info(ipc, t, cmd, a[2]);
	if (cmd == IPC_SET && mm_copy_in(t->mm, &ds, GVA(a[2]), sizeof(ds)))
		return -EFAULT;
	pthread_mutex_lock(&ipc->lock);
	o = cmd == CMD_SHM_STAT || cmd == CMD_SHM_STAT_ANY ? ipc_nth(ipc, IPC_SHM, (int)a[0])
							   : ipc_find(ipc, IPC_SHM, (int)a[0]);
	ret = o ? segment_control(t, segment_of(o), cmd, &ds, &drop) : -EINVAL;
	pthread_mutex_unlock(&ipc->lock);
	if (drop)
		shm_destroy(o);
	if (ret >= 0 && (cmd == IPC_STAT || cmd == CMD_SHM_STAT || cmd == CMD_SHM_STAT_ANY) &&
	    mm_copy_out(t->mm, GVA(a[2]), &ds, sizeof(ds)))
		return -EFAULT;
	return ret;
}
