# SPDX-License-Identifier: Apache-2.0
MM_SOURCES = \
	mm/types.h mm/mm.h mm/tlb.h mm/tlb.c mm/scope.h mm/sites.h mm/ledger.h mm/ledger.c mm/internal.h \
	mm/pagetable.h mm/pagetable_x86_64.h mm/pagetable_arm64.h mm/pt.h mm/pt.c \
	mm/frame.h mm/frame.c mm/frame_punch.c mm/table_pool.c \
	mm/window.h mm/window.c mm/shm.h mm/shm.c \
	mm/area.h mm/area.c mm/edit.h mm/edit.c mm/gather.c mm/zap.c \
	mm/fault.h mm/fault.c mm/cow.c mm/block.c \
	mm/system.c mm/space.c mm/fork.c mm/map.c mm/place.c mm/protect.c mm/remap.c \
	mm/advise.c mm/sync.c mm/copy.c mm/pin.c mm/info.c mm/check.h mm/check.c mm/map.h \
	mm/guarded_copy.h mm/guarded_copy.c
if DEBUG
MM_SOURCES += mm/check_always.c
else
MM_SOURCES += mm/check_never.c
endif
if ARCH_X86_64
MM_SOURCES += mm/guarded_copy_x86_64.c
endif
if ARCH_ARM64
MM_SOURCES += mm/guarded_copy_arm64.c
endif
libnacre_a_SOURCES += $(MM_SOURCES)
