libnacre_a_SOURCES += \
	runtime/fs/vfs.h runtime/fs/vfs_internal.h runtime/fs/fdtable.h runtime/fs/fs_context.h \
	runtime/fs/uio.h runtime/fs/lock.h runtime/fs/path.h runtime/fs/fasync.h runtime/fs/tmpfs.h \
	runtime/fs/uio.c runtime/fs/file.c runtime/fs/fdtable.c runtime/fs/fs_context.c \
	runtime/fs/vnode.c runtime/fs/mount.c runtime/fs/mount_text.c runtime/fs/path.c runtime/fs/perm.c \
	runtime/fs/device_nodes.c runtime/fs/hostfs.c runtime/fs/hostfile.c runtime/fs/hoststream.c \
	runtime/fs/tmpfs.c runtime/fs/tmpfs_file.c \
	runtime/fs/open.c runtime/fs/rw.c runtime/fs/dirops.c runtime/fs/stat.c runtime/fs/attr.c \
	runtime/fs/xattr.c runtime/fs/fcntl.c runtime/fs/lock.c runtime/fs/splice.c \
	runtime/fs/statfs.c runtime/fs/memfd.c runtime/fs/notify.c runtime/fs/cwd.c
EXTRA_DIST += runtime/fs/syscalls.def
