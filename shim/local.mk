# Guest-privileged code: assembled into the program, copied into the guest.
libnacre_a_SOURCES += shim/wire.h shim/x86_64/shim.S
