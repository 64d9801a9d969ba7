/* SPDX-License-Identifier: Apache-2.0 */
/* The arm64 shim's replies, as the vCPU executes them. */
#include <stdlib.h>
#include <string.h>

#include "tests/unit/fake_platform.h"

const bool fake_fault_drops;
const bool fake_tlb_is_tagged = true;

#define ASID_SHIFT 48
#define TAKEN_ASIDS 224u /* of 255 */

uint64_t fake_tag(uint64_t root)
{
	return root >> ASID_SHIFT;
}

uint64_t fake_table(uint64_t root)
{
	return root & ARM_PTE_ADDR;
}

void fake_arch_boot(struct platform *p)
{
	p->max_vcpus = FAKE_VCPUS;
	if (flush_boot(p))
		abort();
	/* Few ASIDs: roll-overs are many. */
	for (unsigned i = 0; i < TAKEN_ASIDS; i++)
		platform_new_root(p, GPA(0));
}

static void drop(struct nacre_vm *vm, struct nacre_vcpu *hv, uint64_t tag, uint64_t from,
		 uint64_t to)
{
	bool local = hv->shim->reply.flags >> SHIM_REPLY_LOCAL_BIT & 1;

	for (unsigned i = 0; i <= FAKE_VCPUS; i++)
		if (!local || &vm->vcpu[i] == hv)
			fake_drop(&vm->vcpu[i], tag, from, to);
}

/* TLBI RVAE1IS, as the architecture reads its operand. */
static void drop_by_operand(struct nacre_vm *vm, struct nacre_vcpu *hv, uint64_t operand)
{
	unsigned scale = operand >> 44 & 3, num = operand >> 39 & 31;
	uint64_t from = (operand & (((uint64_t)1 << 37) - 1)) << PAGE_SHIFT;
	uint64_t pages = (uint64_t)(num + 1) << (5 * scale + 1);

	if ((operand >> 46 & 3) == 1)
		drop(vm, hv, operand >> ASID_SHIFT, from, from + pages * PAGE_SIZE);
}

static void drop_ranges(struct nacre_vm *vm, struct nacre_vcpu *hv)
{
	const struct shim_cpu *shim = hv->shim;
	uint64_t from = shim->reply.start, pages = shim->reply.pages;

	for (unsigned i = 0; pages; i++) {
		drop(vm, hv, shim->reply.flags >> ASID_SHIFT, from, from + pages * PAGE_SIZE);
		from = shim->more[i].start;
		pages = shim->more[i].pages;
	}
}

static void execute(struct nacre_vm *vm, struct nacre_vcpu *hv)
{
	const struct shim_reply *reply = &hv->shim->reply;

	if (reply->kind != SHIM_REPLY_NONE && vm->flushing)
		vm->flushing();
	switch (reply->kind) {
	case SHIM_REPLY_ALL:
		for (unsigned i = 0; i <= FAKE_VCPUS; i++)
			fake_drop_all(&vm->vcpu[i]);
		break;
	case SHIM_REPLY_RANGE:
		drop_ranges(vm, hv);
		break;
	case SHIM_REPLY_RANGE_OP:
		drop_by_operand(vm, hv, reply->start);
		break;
	case SHIM_REPLY_SPACE:
		drop(vm, hv, reply->flags >> ASID_SHIFT, 0, UINT64_MAX);
		break;
	default:
		break;
	}
}

static int fake_run(struct nacre_vcpu *hv, struct nacre_regs *regs, uint32_t load,
		    struct nacre_exit *exit)
{
	/* The VM is found from its vCPU: they stand in one array. */
	struct nacre_vm *vm =
		(struct nacre_vm *)((char *)(hv - hv->index) - offsetof(struct nacre_vm, vcpu));

	(void)regs;
	(void)load;
	execute(vm, hv);
	exit->reason = NACRE_EXIT_DOORBELL;
	hv->shim->trap = hv->shim->reply.flags >> SHIM_REPLY_RETURN_BIT & 1 ? SHIM_TRAP_FLUSHED
									    : SHIM_TRAP_SYNC;
	return 0;
}

static int fake_create(struct nacre_vm *vm, uint32_t index, const struct nacre_boot *boot,
		       struct nacre_vcpu **out)
{
	(void)boot;
	*out = &vm->vcpu[index];
	return 0;
}

static void fake_destroy(struct nacre_vcpu *hv)
{
	(void)hv;
}

const struct nacre_backend fake_backend = {
	.name = "fake",
	.vcpu_create = fake_create,
	.vcpu_destroy = fake_destroy,
	.vcpu_run = fake_run,
};

void arch_vcpu_boot(struct platform *p, struct vcpu *v, struct nacre_boot *boot)
{
	memset(boot, 0, sizeof *boot);
	v->shim = p->vm->vcpu[v->index].shim;
}

bool fake_arch_enter(struct platform *p, struct vcpu *v, uint64_t root)
{
	bool staged = flush_before_run(p, v, root);
	struct nacre_exit exit;

	fake_run(v->hv, NULL, 0, &exit);
	v->hv->root = v->shim->ttbr0;
	return staged;
}

void fake_arch_leave(struct platform *p, struct vcpu *v, bool staged)
{
	flush_after_run(p, v, staged);
}
