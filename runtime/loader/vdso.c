/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The vDSO's image and its clock page, in one memfd: page 0 is the clock page, the image follows.
 * Guests map both read-only; the sandbox writes the clock page through its own mapping.
 *
 * The page is renewed when it is older than half its span by whoever makes a system call, and never
 * by a timer: a guest that finds it too old makes the call itself.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "runtime/loader/loader.h"
#include "runtime/loader/vdso_data.h"
#include "runtime/task/task.h"

#define NS_PER_SEC     1000000000ull
#define COUNTER_HZ_MIN 1000000u		 /* slower counters are no use for nanoseconds */
#define STEP_NS	       (NS_PER_SEC / 10) /* a settable clock this far ahead was set back: follow it */
#define SAMPLES	       3

extern const uint8_t vdso_image_start[], vdso_image_end[];

struct vdso {
	struct mm_backing backing; /* the last mapping or the kernel frees it */
	struct vdso_data *data;
	size_t image_bytes;		    /* page rounded */
	pthread_mutex_t lock;		    /* writers of *data; a leaf */
	uint64_t hz, nominal;		    /* counter frequency; its mult */
	uint64_t rate;			    /* mult as measured; protected by lock */
	uint64_t anchor_counter, anchor_ns; /* where measuring began (CLOCK_MONOTONIC) */
};

static const clockid_t host_clock[VDSO_CLOCKS] = {
	[VDSO_REALTIME] = CLOCK_REALTIME, [VDSO_MONOTONIC] = CLOCK_MONOTONIC,
	[VDSO_RAW] = CLOCK_MONOTONIC_RAW, [VDSO_BOOTTIME] = CLOCK_BOOTTIME,
	[VDSO_TAI] = CLOCK_TAI,
};

static uint64_t host_ns(clockid_t id)
{
	struct timespec ts;

	clock_gettime(id, &ts);
	return (uint64_t)ts.tv_sec * NS_PER_SEC + (uint64_t)ts.tv_nsec;
}

/* The clock's value and the counter at the same moment: the tightest of a few tries. */
static uint64_t sample(clockid_t id, uint64_t *counter)
{
	uint64_t best = UINT64_MAX, ns = 0;

	for (int i = 0; i < SAMPLES; i++) {
		uint64_t before = cpu_counter(), now = host_ns(id), took = cpu_counter() - before;

		if (took < best) {
			best = took;
			ns = now;
			*counter = before + took / 2;
		}
	}
	return ns;
}

/* Follow the real frequency once the distance from the anchor says more than the nominal one. */
static void measure_rate(struct vdso *v, uint64_t counter, uint64_t ns)
{
	uint64_t ticks = counter - v->anchor_counter, rate;

	if (!v->anchor_counter) {
		v->anchor_counter = counter;
		v->anchor_ns = ns;
		return;
	}
	if (ticks < v->hz / 10 || ns <= v->anchor_ns)
		return;
	rate = (uint64_t)(((unsigned __int128)(ns - v->anchor_ns) << VDSO_SHIFT) / ticks);
	if (rate > v->nominal - v->nominal / 100 && rate < v->nominal + v->nominal / 100)
		v->rate = rate;
}

/*
 * New parameters of one clock at counter `at`. A clock must not run backwards: when what readers may
 * have seen is ahead of the host, go on from there a little slower until the host has caught up.
 */
static struct vdso_clock renew(struct vdso *v, enum vdso_clock_id id, uint64_t at,
			       uint64_t old_ticks)
{
	const struct vdso_clock *old = &v->data->clock[id];
	struct vdso_clock now = {.mult = v->rate};
	uint64_t when = at, ns = sample(host_clock[id], &when), seen, ahead;

	if (id == VDSO_MONOTONIC) {
		measure_rate(v, when, ns);
		now.mult = v->rate;
	}
	ns -= vdso_scale(when - at, now.mult);
	seen = old->base_ns + vdso_scale(old_ticks, old->mult);
	now.base_ns = ns;
	if (seen <= ns)
		return now;
	ahead = seen - ns;
	if (ahead > STEP_NS && (id == VDSO_REALTIME || id == VDSO_TAI))
		return now;
	now.base_ns = seen;
	if (ahead > NS_PER_SEC / 2)
		ahead = NS_PER_SEC / 2;
	now.mult -= (uint64_t)((unsigned __int128)now.mult * ahead / NS_PER_SEC);
	return now;
}

/* Readers that began before seq turned odd retry, so none uses the old values past `at`. */
static void renew_locked(struct vdso *v)
{
	struct vdso_data *d = v->data;
	uint64_t at, old_ticks;

	__atomic_store_n(&d->seq, d->seq + 1, __ATOMIC_RELAXED);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	at = cpu_counter();
	old_ticks = at - d->counter_base;
	if ((int64_t)old_ticks < 0)
		old_ticks = 0;
	if (old_ticks > d->counter_span)
		old_ticks = d->counter_span;
	for (int i = 0; i < VDSO_CLOCKS; i++)
		d->clock[i] = renew(v, (enum vdso_clock_id)i, at, old_ticks);
	__atomic_store_n(&d->counter_base, at, __ATOMIC_RELAXED);
	__atomic_store_n(&d->seq, d->seq + 1, __ATOMIC_RELEASE);
}

static bool is_old(const struct vdso *v)
{
	uint64_t base = __atomic_load_n(&v->data->counter_base, __ATOMIC_RELAXED);

	/* Signed: another CPU's counter may be a few ticks behind. */
	return (int64_t)(cpu_counter() - base) > (int64_t)(v->hz / 2);
}

void vdso_refresh(struct kernel *k)
{
	struct vdso *v = k->vdso;

	if (!v || !v->data->usable || !is_old(v))
		return;
	pthread_mutex_lock(&v->lock);
	if (is_old(v))
		renew_locked(v);
	pthread_mutex_unlock(&v->lock);
}

/* As the guest's code: 0 when the page is being written or too old. */
static uint64_t read_page(const struct vdso_data *d, int index)
{
	uint32_t seq = __atomic_load_n(&d->seq, __ATOMIC_ACQUIRE);
	uint64_t ticks, ns;

	if (seq & 1)
		return 0;
	ticks = cpu_counter() - __atomic_load_n(&d->counter_base, __ATOMIC_RELAXED);
	if ((int64_t)ticks < 0)
		ticks = 0;
	if (ticks > d->counter_span)
		return 0;
	ns = d->clock[index].base_ns + vdso_scale(ticks, d->clock[index].mult);
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	return __atomic_load_n(&d->seq, __ATOMIC_RELAXED) == seq ? ns : 0;
}

int vdso_clock(struct kernel *k, int clock, struct timespec *out)
{
	struct vdso *v = k->vdso;
	int coarse, index = vdso_clock_index(clock, &coarse);
	uint64_t ns = 0;

	if (index < 0)
		return -EINVAL;
	if (!v || !v->data->usable) {
		ns = host_ns(host_clock[index]);
	} else {
		vdso_refresh(k);
		ns = read_page(v->data, index);
		while (!ns) { /* a writer is at work: wait for it rather than spin */
			pthread_mutex_lock(&v->lock);
			if (is_old(v))
				renew_locked(v);
			pthread_mutex_unlock(&v->lock);
			ns = read_page(v->data, index);
		}
	}
	if (coarse)
		ns -= ns % VDSO_COARSE_NS;
	out->tv_sec = (time_t)(ns / NS_PER_SEC);
	out->tv_nsec = (long)(ns % NS_PER_SEC);
	return 0;
}

void vdso_affinity_changed(struct kernel *k)
{
	if (k->vdso)
		__atomic_store_n(&k->vdso->data->any_cpu, 0, __ATOMIC_RELAXED);
}

/* ---- life and mapping ---- */

static void vdso_release(struct mm_backing *b)
{
	struct vdso *v = container_of(b, struct vdso, backing);

	munmap(v->data, PAGE_SIZE);
	close(b->fd);
	pthread_mutex_destroy(&v->lock);
	free(v);
}

static size_t vdso_describe(struct mm_backing *b, char *buf, size_t cap)
{
	int n = snprintf(buf, cap, "[vdso]");

	(void)b;
	return n < (int)cap ? (size_t)n : cap - 1;
}

static const struct mm_backing_ops vdso_backing_ops = {
	.release = vdso_release,
	.describe = vdso_describe,
};

static int write_image(struct vdso *v)
{
	size_t bytes = (size_t)(vdso_image_end - vdso_image_start);
	struct stat st;

	v->image_bytes = page_up(bytes);
	v->backing.fd = memfd_create("nacre-vdso", MFD_CLOEXEC);
	if (v->backing.fd < 0)
		return -errno;
	if (ftruncate(v->backing.fd, (off_t)(PAGE_SIZE + v->image_bytes)) ||
	    pwrite(v->backing.fd, vdso_image_start, bytes, PAGE_SIZE) != (ssize_t)bytes ||
	    fstat(v->backing.fd, &st))
		return -EIO;
	v->backing.dev = st.st_dev;
	v->backing.ino = st.st_ino;
	v->data = mmap(NULL, PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, v->backing.fd, 0);
	return v->data == MAP_FAILED ? -errno : 0;
}

static void start_clocks(struct vdso *v, struct platform *p)
{
	v->hz = platform_counter_hz(p);
	if (v->hz < COUNTER_HZ_MIN)
		return;
	v->nominal = (NS_PER_SEC << VDSO_SHIFT) / v->hz;
	v->rate = v->nominal;
	v->data->counter_span = v->hz;
	renew_locked(v);
	v->data->usable = 1;
}

int vdso_create(struct kernel *k)
{
	struct vdso *v = calloc(1, sizeof(*v));
	int ret;

	if (!v)
		return -ENOMEM;
	v->backing = (struct mm_backing){.ops = &vdso_backing_ops, .refs = 1, .executable = true};
	pthread_mutex_init(&v->lock, NULL);
	ret = write_image(v);
	if (ret) {
		if (v->backing.fd >= 0)
			close(v->backing.fd);
		free(v);
		return ret;
	}
	v->data->any_cpu = 1;
	start_clocks(v, k->platform);
	k->vdso = v;
	return 0;
}

void vdso_destroy(struct kernel *k)
{
	if (k->vdso)
		mm_backing_put(&k->vdso->backing);
	k->vdso = NULL;
}

int vdso_map(struct kernel *k, struct mm *mm, gva_t *base)
{
	struct vdso *v = k->vdso;
	struct mm_map_args hole = {
		.len = PAGE_SIZE + v->image_bytes,
		.prot = PROT_NONE,
		.flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
	};
	int64_t at = mm_map(mm, &hole), ret;
	struct mm_map_args vvar = {
		.addr = GVA(at),
		.len = PAGE_SIZE,
		.prot = PROT_READ,
		.flags = MAP_SHARED | MAP_FIXED,
		.backing = &v->backing,
		.name = "[vvar]",
		.populate = true,
	};
	struct mm_map_args image = {
		.addr = GVA(at + (int64_t)PAGE_SIZE),
		.len = v->image_bytes,
		.prot = PROT_READ | PROT_EXEC,
		.flags = MAP_PRIVATE | MAP_FIXED,
		.backing = &v->backing,
		.offset = PAGE_SIZE,
		.name = "[vdso]",
		.populate = true,
	};

	if (at < 0)
		return (int)at;
	ret = mm_map(mm, &vvar);
	if (ret >= 0)
		ret = mm_map(mm, &image);
	if (ret < 0)
		return (int)ret;
	*base = image.addr;
	return 0;
}
