/* SPDX-License-Identifier: Apache-2.0 */
/* What a KVM vCPU is on every architecture: a file descriptor and a page shared with the kernel. */
#include <errno.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "backends/kvm/kvm.h"

int kvm_vcpu_alloc(struct nacre_vm *vm, uint32_t index, struct nacre_vcpu **out)
{
	struct nacre_vcpu *v = calloc(1, sizeof *v);

	if (!v)
		return -ENOMEM;
	v->vm = vm;
	v->id = index;
	do
		v->fd = ioctl(vm->vm_fd, KVM_CREATE_VCPU, index);
	while (v->fd < 0 && errno == EINTR);
	if (v->fd < 0) {
		int e = errno;
		free(v);
		return -e;
	}
	v->run = mmap(NULL, (size_t)vm->run_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, v->fd, 0);
	if (v->run == MAP_FAILED) {
		int e = errno;
		v->run = NULL;
		kvm_vcpu_destroy(v);
		return -e;
	}
	*out = v;
	return 0;
}

void kvm_vcpu_destroy(struct nacre_vcpu *v)
{
	if (v->run)
		munmap(v->run, (size_t)v->vm->run_bytes);
	close(v->fd);
	free(v);
}
