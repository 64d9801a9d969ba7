/* SPDX-License-Identifier: Apache-2.0 */
/* Private to the KVM plugin. */
#ifndef NACRE_BACKENDS_KVM_H
#define NACRE_BACKENDS_KVM_H

#include <linux/kvm.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/types.h>

#include "backends/nacre-backend.h"

#define KVM_MAX_SLOTS 4096

struct cpuid_table; /* x86-64 */

struct nacre_vm {
	int kvm_fd, vm_fd;
	int run_bytes; /* KVM_GET_VCPU_MMAP_SIZE */
	int kick_signal;
	struct nacre_caps caps; /* immutable after vm_create */
	struct cpuid_table *cpuid;
	struct nacre_vcpu *first; /* made for vm_create's questions, handed out as index 0 */
	pthread_mutex_t lock;	  /* protects slot[] and drop_host */
	struct {
		uint64_t gpa, len;
	} slot[KVM_MAX_SLOTS]; /* len 0: free */
	uint32_t nslots;       /* high-water mark */
	uint32_t nvcpus;       /* arm64: created so far; protected by lock */
	void *drop_host;       /* the page behind the slot vm_drop_tables() makes and deletes */
};

struct nacre_vcpu {
	struct nacre_vm *vm;
	int fd;
	struct kvm_run *run;
	struct nacre_boot boot;
	uint32_t id;	   /* KVM's number of it */
	atomic_int runner; /* host tid inside vcpu_run(), 0: none */
};

/* vcpu.c: the file descriptor and its shared page. */ int kvm_vcpu_alloc(struct nacre_vm *vm,
									  uint32_t index,
									  struct nacre_vcpu **out);
void kvm_vcpu_destroy(struct nacre_vcpu *vcpu);

/* The architecture's part: vcpu_*.c and, for x86-64, cpuid_*.c and probe_*.c. */

/* What /dev/kvm must offer. 0, or -errno with a sentence for the user. */
int kvm_arch_check(int kvm_fd, char *err, size_t errlen);
/* KVM_CREATE_VM's argument. */
unsigned long kvm_arch_vm_type(int kvm_fd);
/* Fill vm->caps; may make vm->first. */
int kvm_arch_vm_init(struct nacre_vm *vm, char *err, size_t errlen);
int kvm_vcpu_create(struct nacre_vm *vm, uint32_t index, const struct nacre_boot *boot,
		    struct nacre_vcpu **out);
int kvm_vcpu_run(struct nacre_vcpu *v, struct nacre_regs *regs, uint32_t load,
		 struct nacre_exit *exit);
void kvm_vcpu_kick(struct nacre_vcpu *v);
int kvm_vcpu_get_fpu(struct nacre_vcpu *v, void *buf);
int kvm_vcpu_set_fpu(struct nacre_vcpu *v, const void *buf);

/* x86-64 */
int kvm_vcpu_boot(struct nacre_vcpu *v, const struct nacre_boot_x86 *boot);
/* What the guest may know of the CPU: filled from KVM, minus what nacre does not support. */
int kvm_cpuid_filter(struct nacre_vm *vm, char *err, size_t errlen);
bool kvm_cpuid_has(const struct nacre_vm *vm, uint32_t leaf, uint32_t subleaf, int reg, int bit);

/* Edits a live page-table entry under a running vCPU and looks. Sets caps.flags. */
int kvm_paging_probe(struct nacre_vm *vm, char *err, size_t errlen);

/* vm.c */
int kvm_need(int kvm_fd, int cap, const char *name, char *err, size_t errlen);
int kvm_vm_map(struct nacre_vm *vm, uint64_t gpa, void *host, uint64_t len, uint32_t flags);
int kvm_vm_unmap(struct nacre_vm *vm, uint64_t gpa, uint64_t len);

#endif
