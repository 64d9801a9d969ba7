/* SPDX-License-Identifier: Apache-2.0 */
/* The guest's vDSO as bytes; found relative to the build directory. */
	.section .rodata
	.balign 4096
	.globl vdso_image_start
vdso_image_start:
	.incbin "runtime/loader/vdso.so"
	.globl vdso_image_end
vdso_image_end:
	.byte 0
	.section .note.GNU-stack, "", %progbits
