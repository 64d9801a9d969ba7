/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The terminal line discipline as a pure state machine: what a terminal does to the bytes typed at
 * it and to those written to it (termios(3)). It takes no locks, sends no signals and wakes nobody:
 * the tty that owns it does.
 */
#ifndef NACRE_RUNTIME_FS_LDISC_H
#define NACRE_RUNTIME_FS_LDISC_H

#include "runtime/fs/ring.h"

/* struct termios2 of the kernel's ABI; struct termios is its first 36 bytes. */
struct tty_termios {
	uint32_t iflag, oflag, cflag, lflag;
	uint8_t line, cc[19];
	uint32_t ispeed, ospeed;
};
#define TTY_TERMIOS_BYTES 36 /* TCGETS; TCGETS2 moves the whole struct */

#define LDISC_INPUT 4096 /* MAX_INPUT and MAX_CANON */
#define LDISC_OUTPUT 8192

struct ldisc {
	struct tty_termios tio;
	uint8_t in[LDISC_INPUT], mark[LDISC_INPUT]; /* ring of typed bytes; LDISC_MARK_* of each */
	unsigned head, used;
	unsigned committed;  /* bytes before the line being edited: readable */
	unsigned lines;	     /* line ends among them */
	unsigned column;     /* of the cursor, as far as output tells */
	unsigned canon_column; /* where the edited line began on the screen */
	bool literal;	     /* VLNEXT seen */
	bool stopped;	     /* VSTOP, TCOOFF: output waits */
	struct ring out; /* towards the screen: what the master reads */
	uint64_t signals; /* SIGBIT of those to send to the foreground group; the owner clears it */
};

void ldisc_init(struct ldisc *ld);
void ldisc_free(struct ldisc *ld);
/* Bytes typed. Returns how many were taken (fewer: the buffer is full of unread input). */
size_t ldisc_input(struct ldisc *ld, const uint8_t *buf, size_t n);
/* A read can return something now (VMIN, or a line). */
bool ldisc_readable(const struct ldisc *ld, unsigned min);
unsigned ldisc_available(const struct ldisc *ld); /* FIONREAD */
/* Take up to n bytes, in canonical mode at most one line. *eof: an end of file was read. */
size_t ldisc_read(struct ldisc *ld, uint8_t *buf, size_t n, bool *eof);
/* Bytes a program writes; returns how many were taken. 0: no room, or stopped. */
size_t ldisc_output(struct ldisc *ld, const uint8_t *buf, size_t n);
void ldisc_set_termios(struct ldisc *ld, const struct tty_termios *tio);
void ldisc_flush_input(struct ldisc *ld);
void ldisc_flush_output(struct ldisc *ld);

#endif
