/* SPDX-License-Identifier: Apache-2.0 */
/* A complete but useless plugin; each fixture changes one thing about it. */
#ifndef NACRE_TESTS_PLUGIN_H
#define NACRE_TESTS_PLUGIN_H

#include <errno.h>
#include <stdio.h>

#include "backends/nacre-backend.h"

#ifndef PLUGIN_ABI
#define PLUGIN_ABI NACRE_BACKEND_ABI
#endif
#ifndef PLUGIN_SIZE
#define PLUGIN_SIZE sizeof(struct nacre_backend)
#endif
#ifndef PLUGIN_PROBE
#define PLUGIN_PROBE 0
#endif
#ifndef PLUGIN_RUN
#define PLUGIN_RUN plugin_run
#endif

static int plugin_probe(char *err, size_t errlen)
{
	if (PLUGIN_PROBE)
		snprintf(err, errlen, "the moon is in the wrong phase");
	return PLUGIN_PROBE;
}

static int plugin_vm_create(const struct nacre_host *host, struct nacre_vm **out,
			    struct nacre_caps *caps, char *err, size_t errlen)
{
	(void)host, (void)out, (void)caps;
	snprintf(err, errlen, "this plugin makes no machines");
	return -ENOSYS;
}
static void plugin_vm_destroy(struct nacre_vm *vm) { (void)vm; }
static int plugin_map(struct nacre_vm *vm, uint64_t gpa, void *host, uint64_t len, uint32_t flags)
{
	(void)vm, (void)gpa, (void)host, (void)len, (void)flags;
	return -ENOSYS;
}
static int plugin_unmap(struct nacre_vm *vm, uint64_t gpa, uint64_t len)
{
	(void)vm, (void)gpa, (void)len;
	return -ENOSYS;
}
static int plugin_invalidate(struct nacre_vm *vm, void *host, uint64_t len)
{
	(void)vm, (void)host, (void)len;
	return -ENOSYS;
}
static int plugin_drop(struct nacre_vm *vm) { (void)vm; return -ENOSYS; }
static int plugin_vcpu_create(struct nacre_vm *vm, uint32_t index, const struct nacre_boot *boot,
			      struct nacre_vcpu **out)
{
	(void)vm, (void)index, (void)boot, (void)out;
	return -ENOSYS;
}
static void plugin_vcpu_destroy(struct nacre_vcpu *v) { (void)v; }
static __attribute__((unused)) int plugin_run(struct nacre_vcpu *v, struct nacre_regs *regs,
					      uint32_t load, struct nacre_exit *exit)
{
	(void)v, (void)regs, (void)load, (void)exit;
	return -ENOSYS;
}
static void plugin_kick(struct nacre_vcpu *v) { (void)v; }
static int plugin_get_fpu(struct nacre_vcpu *v, void *buf) { (void)v, (void)buf; return -ENOSYS; }
static int plugin_set_fpu(struct nacre_vcpu *v, const void *buf)
{
	(void)v, (void)buf;
	return -ENOSYS;
}

const struct nacre_backend nacre_backend = {
	.abi = PLUGIN_ABI,
	.size = PLUGIN_SIZE,
	.name = "fixture",
	.summary = "a plugin for the tests",
	.probe = plugin_probe,
	.vm_create = plugin_vm_create,
	.vm_destroy = plugin_vm_destroy,
	.vm_map = plugin_map,
	.vm_unmap = plugin_unmap,
	.vm_invalidate = plugin_invalidate,
	.vm_drop_tables = plugin_drop,
	.vcpu_create = plugin_vcpu_create,
	.vcpu_destroy = plugin_vcpu_destroy,
	.vcpu_run = PLUGIN_RUN,
	.vcpu_kick = plugin_kick,
	.vcpu_get_fpu = plugin_get_fpu,
	.vcpu_set_fpu = plugin_set_fpu,
};

#endif
