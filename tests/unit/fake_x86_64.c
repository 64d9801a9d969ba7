/* SPDX-License-Identifier: Apache-2.0 */
/* The x86-64 shim's flushes, as the vCPU executes them; how a kick and the wait for it meet. */
#include <stdarg.h>
#include <sys/syscall.h>

#include "tests/unit/fake_platform.h"

const bool fake_fault_drops = true;
const bool fake_tlb_is_tagged;

const struct nacre_backend fake_backend = {.name = "fake"};
static struct platform *the_platform;

uint64_t fake_tag(uint64_t root)
{
	return root;
}

uint64_t fake_table(uint64_t root)
{
	return root;
}

void fake_arch_boot(struct platform *p)
{
	the_platform = p;
}

static void execute(struct nacre_vcpu *hv)
{
	const struct shim_cpu *shim = hv->shim;

	/* A CR3 load drops everything, since nothing is global and there are no PCIDs. */
	if (shim->flush_kind != SHIM_FLUSH_RANGE) {
		fake_drop_all(hv);
		return;
	}
	for (unsigned i = 0; i < shim->flush_count; i++) {
		const struct shim_flush_range *r = &shim->flush_range[i];

		fake_drop(hv, hv->root, r->start, r->start + r->pages * PAGE_SIZE);
	}
}

bool fake_arch_enter(struct platform *p, struct vcpu *v, uint64_t root)
{
	struct tlb_request req;
	bool staged = tlb_take(&req) != TLB_NONE;

	flush_enter(v);
	v->hv->kicked = false;
	v->hv->root = root;
	if (p->vm->paging == PLATFORM_PAGING_NESTED && flush_prepare(p, v, root, &req))
		execute(v->hv);
	return staged;
}

void fake_arch_leave(struct platform *p, struct vcpu *v, bool staged)
{
	flush_leave(p, v);
	if (staged)
		mm_flush_executed();
}

/*
 * The flush protocol's futex calls (the linker's --wrap=syscall). Nobody else runs meanwhile, so a
 * vCPU that is waited for leaves the guest here, and only if it was kicked.
 */
long __wrap_syscall(long nr, ...);
long __wrap_syscall(long nr, ...)
{
	struct platform *p = the_platform;
	const void *word;
	va_list ap;

	va_start(ap, nr);
	word = va_arg(ap, const void *);
	va_end(ap);
	for (unsigned i = 0; nr == SYS_futex && i < p->nvcpus; i++) {
		struct vcpu *v = p->vcpus[i];

		if (word != &v->in_guest || !v->hv->in_guest)
			continue;
		if (!v->hv->kicked)
			p->vm->wrong("the exit of a vCPU is awaited that nobody kicked");
		v->hv->in_guest = false;
		flush_leave(p, v);
	}
	return 0;
}
