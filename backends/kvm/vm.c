/* SPDX-License-Identifier: Apache-2.0 */
/* The KVM plugin: the VM, its memory slots, and what /dev/kvm says when it will not work. */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "backends/kvm/kvm.h"

/* Out of every slot's way, and below the smallest guest-physical width met (36 bits). */
#define DROP_SLOT_GPA 0xf000000000
#define DROP_SLOT KVM_MAX_SLOTS

/* What a user namespace shows for ids it does not map (user_namespaces(7)). */
#define OVERFLOW_GID 65534

/* Whose right it could be: the device's group's, where that has one, or a single user's by an ACL. */
static void say_forbidden(char *err, size_t errlen)
{
	static const char no[] = "no permission to open /dev/kvm",
			  acl[] = "or allow the user alone (setfacl -m u:USER:rw /dev/kvm)";
	struct group entry, *g = NULL;
	char buf[1024];
	struct stat st;

	if (stat("/dev/kvm", &st) || !st.st_gid || (st.st_mode & 060) != 060) {
		snprintf(err, errlen,
			 "%s: its group may not (chgrp kvm /dev/kvm; chmod g+rw /dev/kvm), %s", no,
			 acl);
		return;
	}
	if (st.st_gid != OVERFLOW_GID)
		getgrgid_r(st.st_gid, &entry, buf, sizeof(buf), &g);
	snprintf(err, errlen,
		 "%s: add the user to the group that owns it (usermod -aG %s USER; it counts from the "
		 "next login), %s",
		 no, g ? g->gr_name : "kvm", acl);
}

static int open_kvm(char *err, size_t errlen)
{
	int fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	int e = errno;

	if (fd >= 0)
		return fd;
	if (e == ENOENT)
		snprintf(err, errlen,
			 "/dev/kvm does not exist: load the kvm_intel or kvm_amd module, or enable "
			 "virtualization in the firmware or the outer hypervisor");
	else if (e == EACCES || e == EPERM)
		say_forbidden(err, errlen);
	else
		snprintf(err, errlen, "cannot open /dev/kvm: %s", strerror(e));
	return -e;
}

int kvm_need(int kvm_fd, int cap, const char *name, char *err, size_t errlen)
{
	if (ioctl(kvm_fd, KVM_CHECK_EXTENSION, cap) > 0)
		return 0;
	snprintf(err, errlen, "/dev/kvm lacks %s: a newer host kernel is needed", name);
	return -ENOTSUP;
}

static int check_kvm(int fd, char *err, size_t errlen)
{
	int version = ioctl(fd, KVM_GET_API_VERSION, 0);
	int ret;

	if (version != KVM_API_VERSION) {
		snprintf(err, errlen, "/dev/kvm has API version %d, %d is needed", version,
			 KVM_API_VERSION);
		return -ENOTSUP;
	}
	ret = kvm_need(fd, KVM_CAP_USER_MEMORY, "KVM_CAP_USER_MEMORY", err, errlen);
	if (!ret)
		ret = kvm_need(fd, KVM_CAP_IMMEDIATE_EXIT, "KVM_CAP_IMMEDIATE_EXIT", err, errlen);
	return ret ? ret : kvm_arch_check(fd, err, errlen);
}

static int kvm_probe(char *err, size_t errlen)
{
	int fd = open_kvm(err, errlen);

	if (fd < 0)
		return fd;
	int ret = check_kvm(fd, err, errlen);
	close(fd);
	return ret;
}

static void kvm_vm_destroy(struct nacre_vm *vm)
{
	if (vm->first)
		kvm_vcpu_destroy(vm->first);
	if (vm->vm_fd >= 0)
		close(vm->vm_fd);
	if (vm->kvm_fd >= 0)
		close(vm->kvm_fd);
	if (vm->drop_host)
		munmap(vm->drop_host, 4096);
	pthread_mutex_destroy(&vm->lock);
	free(vm->cpuid);
	free(vm);
}

static int vm_open(struct nacre_vm *vm, char *err, size_t errlen)
{
	vm->kvm_fd = open_kvm(err, errlen);
	if (vm->kvm_fd < 0)
		return vm->kvm_fd;
	int ret = check_kvm(vm->kvm_fd, err, errlen);
	if (ret)
		return ret;
	do
		vm->vm_fd = ioctl(vm->kvm_fd, KVM_CREATE_VM, kvm_arch_vm_type(vm->kvm_fd));
	while (vm->vm_fd < 0 && errno == EINTR);
	vm->run_bytes = ioctl(vm->kvm_fd, KVM_GET_VCPU_MMAP_SIZE, 0);
	/* Without it the guest gets an undefined-opcode exception, which costs more. */
	struct kvm_enable_cap cap = {.cap = KVM_CAP_EXIT_ON_EMULATION_FAILURE, .args = {1}};
	if (vm->vm_fd >= 0)
		ioctl(vm->vm_fd, KVM_ENABLE_CAP, &cap);
	void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (vm->vm_fd < 0 || vm->run_bytes < (int)sizeof(struct kvm_run) || page == MAP_FAILED) {
		ret = -errno;
		snprintf(err, errlen, "KVM cannot create a virtual machine: %s", strerror(-ret));
		return ret;
	}
	vm->drop_host = page;
	return 0;
}

/*
 * Until Linux 6.12 KVM waits for an RCU grace period whenever a vCPU is run by another thread than
 * the last (measured: 20 ms each).
 */
static bool handover_is_slow(void)
{
	struct utsname uts;
	char *end = NULL;

	if (uname(&uts) < 0)
		return true;
	long major = strtol(uts.release, &end, 10);
	long minor = *end == '.' ? strtol(end + 1, NULL, 10) : 0;
	return major < 6 || (major == 6 && minor < 12);
}

static int kvm_vm_create(const struct nacre_host *host, struct nacre_vm **out,
			 struct nacre_caps *caps, char *err, size_t errlen)
{
	struct nacre_vm *vm = calloc(1, sizeof *vm);

	if (!vm) {
		snprintf(err, errlen, "out of memory");
		return -ENOMEM;
	}
	vm->kvm_fd = vm->vm_fd = -1;
	vm->kick_signal = host->kick_signal;
	pthread_mutex_init(&vm->lock, NULL);
	int ret = vm_open(vm, err, errlen);
	if (!ret) {
		int max = ioctl(vm->kvm_fd, KVM_CHECK_EXTENSION, KVM_CAP_MAX_VCPUS);
		vm->caps.max_vcpus = max > 0 ? (uint32_t)max : 4;
		if (handover_is_slow())
			vm->caps.flags |= NACRE_CAP_VCPU_STICKY;
		ret = kvm_arch_vm_init(vm, err, errlen);
	}
	if (ret) {
		kvm_vm_destroy(vm);
		return ret;
	}
	*caps = vm->caps;
	*out = vm;
	return 0;
}

static int set_region(struct nacre_vm *vm, uint32_t slot, uint64_t gpa, void *host, uint64_t len,
		      uint32_t flags)
{
	struct kvm_userspace_memory_region region = {
		.slot = slot,
		.flags = flags & NACRE_MAP_WRITE ? 0 : KVM_MEM_READONLY,
		.guest_phys_addr = gpa,
		.memory_size = len,
		.userspace_addr = (uintptr_t)host,
	};
	return ioctl(vm->vm_fd, KVM_SET_USER_MEMORY_REGION, &region) < 0 ? -errno : 0;
}

int kvm_vm_map(struct nacre_vm *vm, uint64_t gpa, void *host, uint64_t len, uint32_t flags)
{
	int ret = -ENOSPC;
	uint32_t i = 0;

	pthread_mutex_lock(&vm->lock);
	while (i < vm->nslots && vm->slot[i].len)
		i++;
	if (i < KVM_MAX_SLOTS) {
		ret = set_region(vm, i, gpa, host, len, flags);
		if (!ret) {
			vm->slot[i].gpa = gpa, vm->slot[i].len = len;
			vm->nslots = i >= vm->nslots ? i + 1 : vm->nslots;
		}
	}
	pthread_mutex_unlock(&vm->lock);
	return ret;
}

int kvm_vm_unmap(struct nacre_vm *vm, uint64_t gpa, uint64_t len)
{
	int ret = -ENOENT;

	pthread_mutex_lock(&vm->lock);
	for (uint32_t i = 0; i < vm->nslots; i++) {
		if (vm->slot[i].gpa != gpa || vm->slot[i].len != len)
			continue;
		ret = set_region(vm, i, gpa, NULL, 0, NACRE_MAP_WRITE);
		if (!ret)
			vm->slot[i].len = 0;
		break;
	}
	pthread_mutex_unlock(&vm->lock);
	return ret;
}

/*
 * The MMU notifier of a madvise zaps every shadow entry that maps these host pages and flushes the
 * vCPUs that may hold them before madvise returns. The pages are shared (memfd or page cache), so
 * their contents stay.
 */
static int kvm_vm_invalidate(struct nacre_vm *vm, void *host, uint64_t len)
{
	(void)vm;
	return madvise(host, len, MADV_DONTNEED) < 0 ? -errno : 0;
}

/* Deleting any slot makes KVM start over with every shadow page table. */
static int kvm_vm_drop_tables(struct nacre_vm *vm)
{
	pthread_mutex_lock(&vm->lock);
	int ret = set_region(vm, DROP_SLOT, DROP_SLOT_GPA, vm->drop_host, 4096, NACRE_MAP_WRITE);
	if (!ret)
		ret = set_region(vm, DROP_SLOT, DROP_SLOT_GPA, NULL, 0, NACRE_MAP_WRITE);
	pthread_mutex_unlock(&vm->lock);
	return ret;
}

const struct nacre_backend nacre_backend = {
	.abi = NACRE_BACKEND_ABI,
	.size = sizeof(struct nacre_backend),
	.name = "kvm",
	.summary = "Linux KVM (nested or shadow paging)",
	.probe = kvm_probe,
	.vm_create = kvm_vm_create,
	.vm_destroy = kvm_vm_destroy,
	.vm_map = kvm_vm_map,
	.vm_unmap = kvm_vm_unmap,
	.vm_invalidate = kvm_vm_invalidate,
	.vm_drop_tables = kvm_vm_drop_tables,
	.vcpu_create = kvm_vcpu_create,
	.vcpu_destroy = kvm_vcpu_destroy,
	.vcpu_run = kvm_vcpu_run,
	.vcpu_kick = kvm_vcpu_kick,
	.vcpu_get_fpu = kvm_vcpu_get_fpu,
	.vcpu_set_fpu = kvm_vcpu_set_fpu,
};
