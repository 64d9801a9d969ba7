/* SPDX-License-Identifier: Apache-2.0 */
/* What /proc/PID says of an address space and of the mounts. */
#include <fcntl.h>
#include <linux/mount.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sysmacros.h>

#include "runtime/fs/proc.h"

#define PAGE_KB (PAGE_SIZE / 1024)

static void area_line(struct proc_text *x, const struct mm_area_info *a)
{
	size_t start = x->len;

	proc_printf(x, "%08llx-%08llx %c%c%c%c %08llx %02x:%02x %llu", (unsigned long long)a->start,
		    (unsigned long long)a->end, a->prot & PROT_READ ? 'r' : '-',
		    a->prot & PROT_WRITE ? 'w' : '-', a->prot & PROT_EXEC ? 'x' : '-',
		    a->shared ? 's' : 'p', (unsigned long long)a->offset, major(a->dev), minor(a->dev),
		    (unsigned long long)a->ino);
	if (a->name[0]) {
		size_t used = x->len - start;

		proc_printf(x, "%*s%s", used < 73 ? (int)(73 - used) : 1, "", a->name);
	}
	proc_printf(x, "\n");
}

static int maps_area(const struct mm_area_info *a, void *arg)
{
	area_line(arg, a);
	return 0;
}

int proc_maps_show(struct proc_ctx *c, struct proc_text *x)
{
	struct mm *mm = c->task ? task_get_mm(c->task) : NULL;

	if (!mm)
		return 0;
	mm_for_each_area(mm, false, maps_area, x);
	mm_put(mm);
	return 0;
}

struct smaps_sum {
	struct proc_text *x;
	uint64_t start, end, size, rss, private_, anon;
};

static void smaps_fields(struct proc_text *x, const struct smaps_sum *s)
{
	uint64_t shared = s->rss - s->private_;
	const struct {
		const char *name;
		uint64_t pages;
	} rows[] = {
		{"Rss", s->rss},	    {"Pss", s->rss},	   {"Pss_Dirty", s->private_},
		{"Shared_Clean", shared},   {"Shared_Dirty", 0},   {"Private_Clean", 0},
		{"Private_Dirty", s->private_}, {"Referenced", s->rss}, {"Anonymous", s->anon},
		{"LazyFree", 0},	    {"AnonHugePages", 0},  {"ShmemPmdMapped", 0},
		{"FilePmdMapped", 0},	    {"Shared_Hugetlb", 0}, {"Private_Hugetlb", 0},
		{"Swap", 0},		    {"SwapPss", 0},	   {"Locked", 0},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		int pad = 16 - (int)strlen(rows[i].name) - 1;

		proc_printf(x, "%s:%*s%8llu kB\n", rows[i].name, pad, "",
			    (unsigned long long)(rows[i].pages * PAGE_KB));
	}
}

static void sum_area(struct smaps_sum *s, const struct mm_area_info *a)
{
	if (!s->end)
		s->start = a->start;
	s->end = a->end;
	s->size += a->end - a->start;
	s->rss += a->rss_pages;
	s->private_ += a->private_pages < a->rss_pages ? a->private_pages : a->rss_pages;
	if (!a->ino)
		s->anon += a->rss_pages;
}

static int smaps_area(const struct mm_area_info *a, void *arg)
{
	struct proc_text *x = arg;
	struct smaps_sum s = {0};

	sum_area(&s, a);
	area_line(x, a);
	proc_printf(x, "Size:           %8llu kB\nKernelPageSize: %8llu kB\nMMUPageSize:    %8llu kB\n",
		    (unsigned long long)(s.size / 1024), (unsigned long long)PAGE_KB,
		    (unsigned long long)PAGE_KB);
	smaps_fields(x, &s);
	proc_printf(x, "THPeligible:           0\nVmFlags: %s%s%smr mw me %s\n",
		    a->prot & PROT_READ ? "rd " : "", a->prot & PROT_WRITE ? "wr " : "",
		    a->prot & PROT_EXEC ? "ex " : "", a->shared ? "sh ms" : "ac");
	return 0;
}

int proc_smaps_show(struct proc_ctx *c, struct proc_text *x)
{
	struct mm *mm = c->task ? task_get_mm(c->task) : NULL;

	if (!mm)
		return 0;
	mm_for_each_area(mm, true, smaps_area, x);
	mm_put(mm);
	return 0;
}

static int rollup_area(const struct mm_area_info *a, void *arg)
{
	sum_area(arg, a);
	return 0;
}

int proc_smaps_rollup_show(struct proc_ctx *c, struct proc_text *x)
{
	struct mm *mm = c->task ? task_get_mm(c->task) : NULL;
	struct smaps_sum s = {0};

	if (!mm)
		return -ESRCH;
	mm_for_each_area(mm, true, rollup_area, &s);
	mm_put(mm);
	proc_printf(x, "%08llx-%08llx ---p 00000000 00:00 0%*s[rollup]\n",
		    (unsigned long long)s.start, (unsigned long long)s.end, 26, "");
	smaps_fields(x, &s);
	return 0;
}

/* ---- mem ---- */

static int64_t mem_read(struct file *f, struct task *t, struct uio *to, int64_t *pos)
{
	struct mm *mm = f->data;
	uint8_t buf[4096];
	int64_t done = 0;

	(void)t;
	while (to->resid) {
		size_t want = to->resid < sizeof(buf) ? to->resid : sizeof(buf);
		size_t got = mm_copy_in_some(mm, buf, GVA(*pos), want);
		int64_t n = got ? uio_write_to_guest(to, buf, got) : -EIO;

		if (n <= 0)
			return done ? done : n;
		*pos += n;
		done += n;
		if ((size_t)n < want)
			break;
	}
	return done;
}

static int64_t mem_write(struct file *f, struct task *t, struct uio *from, int64_t *pos)
{
	struct mm *mm = f->data;
	uint8_t buf[4096];
	int64_t done = 0;

	(void)t;
	while (from->resid) {
		size_t want = from->resid < sizeof(buf) ? from->resid : sizeof(buf);
		int64_t n = uio_read_from_guest(from, buf, want);

		if (n > 0 && mm_poke(mm, GVA(*pos), buf, (size_t)n))
			n = -EIO;
		if (n <= 0)
			return done ? done : n;
		*pos += n;
		done += n;
	}
	return done;
}

/* Any 64-bit address is a position, so a negative one is no error here. */
static int64_t mem_seek(struct file *f, int64_t off, int whence)
{
	if (whence != SEEK_SET && whence != SEEK_CUR)
		return -EINVAL;
	f->pos = whence == SEEK_CUR ? (int64_t)((uint64_t)f->pos + (uint64_t)off) : off;
	return f->pos;
}

static void mem_release(struct file *f)
{
	mm_put(f->data);
}

static const struct file_ops mem_ops = {
	.read = mem_read, .write = mem_write, .seek = mem_seek, .release = mem_release};

int proc_mem_open(struct proc_ctx *c, int flags, struct file **out)
{
	struct mm *mm = c->task ? task_get_mm(c->task) : NULL;

	if (!mm)
		return -ESRCH;
	*out = file_alloc(&mem_ops, (unsigned)flags);
	if (!*out) {
		mm_put(mm);
		return -ENFILE;
	}
	(*out)->data = mm;
	return 0;
}

/* ---- mounts ---- */

static void escaped(struct proc_text *x, const char *s)
{
	for (s = s && *s ? s : "none"; *s; s++) {
		if (*s == ' ' || *s == '\t' || *s == '\n' || *s == '\\')
			proc_printf(x, "\\%03o", (unsigned char)*s);
		else
			proc_write(x, s, 1);
	}
}

static void mount_flags(struct proc_text *x, unsigned long flags)
{
	static const struct {
		unsigned long flag;
		const char *name;
	} names[] = {{MS_NOSUID, ",nosuid"},	 {MS_NODEV, ",nodev"},	   {MS_NOEXEC, ",noexec"},
		     {MS_NOATIME, ",noatime"}, {MS_NODIRATIME, ",nodiratime"}};

	proc_printf(x, "%s", flags & MS_RDONLY ? "ro" : "rw");
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (flags & names[i].flag)
			proc_printf(x, "%s", names[i].name);
	/* What mount(2) does unless it is told otherwise. */
	if (!(flags & (MS_NOATIME | MS_STRICTATIME)))
		proc_printf(x, ",relatime");
}

static int mounts_line(const struct mount_info *m, void *arg)
{
	struct proc_text *x = arg;

	escaped(x, m->source);
	proc_write(x, " ", 1);
	escaped(x, m->target);
	proc_printf(x, " %s ", m->fstype);
	mount_flags(x, m->flags);
	if (m->options && *m->options)
		proc_printf(x, ",%s", m->options);
	proc_printf(x, " 0 0\n");
	return 0;
}

static int mountinfo_line(const struct mount_info *m, void *arg)
{
	struct proc_text *x = arg;

	proc_printf(x, "%d %d %u:%u / ", m->id, m->parent_id, major(m->dev), minor(m->dev));
	escaped(x, m->target);
	proc_write(x, " ", 1);
	mount_flags(x, m->flags);
	proc_printf(x, " - %s ", m->fstype);
	escaped(x, m->source);
	proc_printf(x, " %s%s%s\n", m->flags & MS_RDONLY ? "ro" : "rw",
		    m->options && *m->options ? "," : "", m->options ? m->options : "");
	return 0;
}

static int mountstats_line(const struct mount_info *m, void *arg)
{
	struct proc_text *x = arg;

	proc_printf(x, "device ");
	escaped(x, m->source);
	proc_printf(x, " mounted on ");
	escaped(x, m->target);
	proc_printf(x, " with fstype %s\n", m->fstype);
	return 0;
}

static int show_mounts(struct proc_ctx *c, struct proc_text *x,
		       int (*fn)(const struct mount_info *, void *))
{
	return c->reader ? vfs_for_each_mount(c->reader, fn, x) : 0;
}

int proc_mounts_show(struct proc_ctx *c, struct proc_text *x)
{
	return show_mounts(c, x, mounts_line);
}

int proc_mountinfo_show(struct proc_ctx *c, struct proc_text *x)
{
	return show_mounts(c, x, mountinfo_line);
}

int proc_mountstats_show(struct proc_ctx *c, struct proc_text *x)
{
	return show_mounts(c, x, mountstats_line);
}
