libnacre_a_SOURCES += \
	runtime/net/net.h \
	runtime/net/scm.c \
	runtime/net/sockaddr.c \
	runtime/net/socket.c \
	runtime/net/socket.h \
	runtime/net/sockmsg.c \
	runtime/net/sockopt.c \
	runtime/net/sockcalls.c
