/* SPDX-License-Identifier: Apache-2.0 */
/* proc's text files: text that grows, made when a file is read from its start. */
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "runtime/fs/proc_node.h"

#define PROC_STORE_MAX 4096

/* What a description has read last. The lock, since pread(2) takes none of the description's. */
struct proc_reader {
	pthread_mutex_t lock;
	struct proc_text text;
};

static bool text_room(struct proc_text *x, size_t need)
{
	size_t cap = x->cap ? x->cap : 1024;
	char *buf;

	if (x->failed)
		return false;
	while (cap < x->len + need)
		cap *= 2;
	if (cap == x->cap)
		return true;
	buf = realloc(x->buf, cap);
	if (!buf) {
		x->failed = true;
		return false;
	}
	x->buf = buf;
	x->cap = cap;
	return true;
}

void proc_write(struct proc_text *x, const void *data, size_t len)
{
	if (!text_room(x, len + 1))
		return;
	memcpy(x->buf + x->len, data, len);
	x->len += len;
}

void proc_printf(struct proc_text *x, const char *fmt, ...)
{
	va_list ap;
	int n;

	if (!text_room(x, 256))
		return;
	va_start(ap, fmt);
	n = vsnprintf(x->buf + x->len, x->cap - x->len, fmt, ap);
	va_end(ap);
	if (n < 0)
		return;
	if ((size_t)n >= x->cap - x->len) {
		if (!text_room(x, (size_t)n + 1))
			return;
		va_start(ap, fmt);
		vsnprintf(x->buf + x->len, x->cap - x->len, fmt, ap);
		va_end(ap);
	}
	x->len += (size_t)n;
}

static int text_generate(struct file *f, struct task *t, struct proc_text *x)
{
	struct proc_node *n = proc_node_of(f->path.node);
	struct proc_ctx c;
	int ret;

	if (!n->row->show)
		return -EINVAL;
	ret = proc_ctx_get(n, t, &c);
	if (ret)
		return ret;
	ret = n->row->show(&c, x);
	proc_ctx_put(&c);
	return ret ? ret : x->failed ? -ENOMEM : 0;
}

/* A read from the start makes the text anew; nobody waits for the lock meanwhile. */
static int text_refresh(struct proc_reader *r, struct file *f, struct task *t)
{
	struct proc_text fresh = {0}, old;
	int ret = text_generate(f, t, &fresh);

	if (ret) {
		free(fresh.buf);
		return ret;
	}
	pthread_mutex_lock(&r->lock);
	old = r->text;
	r->text = fresh;
	pthread_mutex_unlock(&r->lock);
	free(old.buf);
	return 0;
}

static int64_t text_read(struct file *f, struct task *t, struct uio *to, int64_t *pos)
{
	struct proc_reader *r = f->data;
	struct proc_text copy = {0};
	int64_t n = 0;
	size_t left;
	bool made;

	if (*pos < 0)
		return -EINVAL;
	pthread_mutex_lock(&r->lock);
	made = r->text.buf != NULL;
	pthread_mutex_unlock(&r->lock);
	if (*pos == 0 || !made) {
		n = text_refresh(r, f, t);
		if (n)
			return n;
	}
	pthread_mutex_lock(&r->lock);
	left = (size_t)*pos < r->text.len ? r->text.len - (size_t)*pos : 0;
	if (left > to->resid)
		left = to->resid;
	if (left)
		proc_write(&copy, r->text.buf + *pos, left);
	pthread_mutex_unlock(&r->lock);
	if (copy.len)
		n = uio_write_to_guest(to, copy.buf, copy.len);
	else if (copy.failed)
		n = -ENOMEM;
	free(copy.buf);
	if (n > 0)
		*pos += n;
	return n;
}

static int64_t text_write(struct file *f, struct task *t, struct uio *from, int64_t *pos)
{
	struct proc_node *n = proc_node_of(f->path.node);
	char buf[PROC_STORE_MAX + 1];
	size_t len = from->resid < PROC_STORE_MAX ? from->resid : PROC_STORE_MAX;
	struct proc_ctx c;
	int64_t got;
	int ret;

	if (!n->row->store)
		return -EINVAL;
	got = uio_read_from_guest(from, buf, len);
	if (got <= 0)
		return got;
	buf[got] = 0;
	ret = proc_ctx_get(n, t, &c);
	if (ret)
		return ret;
	ret = n->row->store(&c, buf, (size_t)got);
	proc_ctx_put(&c);
	if (!ret)
		*pos += got;
	return ret ? ret : got;
}

static void text_release(struct file *f)
{
	struct proc_reader *r = f->data;

	if (!r)
		return;
	pthread_mutex_destroy(&r->lock);
	free(r->text.buf);
	free(r);
}

static const struct file_ops proc_text_ops = {
	.read = text_read, .write = text_write, .seek = file_seek_endless, .release = text_release};

int proc_text_open(int flags, struct file **out)
{
	struct proc_reader *r = calloc(1, sizeof(*r));

	if (!r)
		return -ENOMEM;
	*out = file_alloc(&proc_text_ops, (unsigned)flags);
	if (!*out) {
		free(r);
		return -ENFILE;
	}
	pthread_mutex_init(&r->lock, NULL);
	(*out)->data = r;
	return 0;
}
