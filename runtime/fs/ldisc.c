/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/fs/ldisc.h"

#include <asm/termbits.h>
#include <signal.h>
#include <string.h>

#define MARK_NONE 0
#define MARK_LINE 1 /* ends a line and is part of it */
#define MARK_EOF 2  /* ends a line and is not delivered */
#define SIGSET_BIT(n) ((uint64_t)1 << ((n)-1))
#define OUT_WORST 8 /* bytes one output byte may become: an expanded tab */

void ldisc_init(struct ldisc *ld)
{
	static const uint8_t cc[19] = {
		[VINTR] = 3,   [VQUIT] = 28,  [VERASE] = 127, [VKILL] = 21,    [VEOF] = 4,
		[VMIN] = 1,    [VSTART] = 17, [VSTOP] = 19,   [VSUSP] = 26,    [VREPRINT] = 18,
		[VDISCARD] = 15, [VWERASE] = 23, [VLNEXT] = 22,
	};

	memset(ld, 0, sizeof(*ld));
	ld->tio.iflag = ICRNL | IXON;
	ld->tio.oflag = OPOST | ONLCR;
	ld->tio.cflag = B38400 | CS8 | CREAD;
	ld->tio.lflag = ISIG | ICANON | ECHO | ECHOE | ECHOK | ECHOCTL | ECHOKE | IEXTEN;
	ld->tio.ispeed = ld->tio.ospeed = 38400;
	memcpy(ld->tio.cc, cc, sizeof(cc));
	ring_init(&ld->out, LDISC_OUTPUT);
}

void ldisc_free(struct ldisc *ld)
{
	ring_free(&ld->out);
}

static bool canonical(const struct ldisc *ld)
{
	return ld->tio.lflag & ICANON;
}

/* Is c the enabled special character `which`? 0 disables one (_POSIX_VDISABLE). */
static bool is_cc(const struct ldisc *ld, uint8_t c, int which)
{
	return c && ld->tio.cc[which] == c;
}

/* ---- output ---- */

static void out_raw(struct ldisc *ld, const void *buf, size_t n)
{
	if (n <= ring_room(&ld->out) && !ring_reserve(&ld->out, n))
		ring_put(&ld->out, buf, n);
}

/* One byte through OPOST; the caller saw to OUT_WORST bytes of room. */
static void out_byte(struct ldisc *ld, uint8_t c)
{
	uint32_t oflag = ld->tio.oflag;

	if (!(oflag & OPOST)) {
		out_raw(ld, &c, 1);
		return;
	}
	switch (c) {
	case '\n':
		if (oflag & ONLRET)
			ld->column = 0;
		if (oflag & ONLCR) {
			ld->column = 0;
			out_raw(ld, "\r\n", 2);
			return;
		}
		break;
	case '\r':
		if ((oflag & ONOCR) && !ld->column)
			return;
		ld->column = 0;
		if (oflag & OCRNL)
			c = '\n';
		break;
	case '\t':
		if ((oflag & TABDLY) == XTABS) {
			unsigned spaces = 8 - (ld->column & 7);

			out_raw(ld, "        ", spaces);
			ld->column += spaces;
			return;
		}
		ld->column += 8 - (ld->column & 7);
		break;
	case '\b':
		ld->column -= ld->column != 0;
		break;
	default:
		if (oflag & OLCUC && c >= 'a' && c <= 'z')
			c = (uint8_t)(c - 'a' + 'A');
		if (c >= ' ' && c != 127 && (c & 0xc0) != 0x80)
			ld->column++;
	}
	out_raw(ld, &c, 1);
}

size_t ldisc_output(struct ldisc *ld, const uint8_t *buf, size_t n)
{
	size_t done = 0;

	if (ld->stopped)
		return 0;
	while (done < n && ring_room(&ld->out) >= OUT_WORST)
		out_byte(ld, buf[done++]);
	return done;
}

/* ---- echo ---- */

static bool echoes_as_ctl(const struct ldisc *ld, uint8_t c)
{
	return (ld->tio.lflag & ECHOCTL) && (c < ' ' || c == 127) && c != '\t' && c != '\n';
}

static void echo_byte(struct ldisc *ld, uint8_t c)
{
	if (echoes_as_ctl(ld, c)) {
		out_byte(ld, '^');
		out_byte(ld, c ^ 0x40);
	} else {
		out_byte(ld, c);
	}
}

static void echo(struct ldisc *ld, uint8_t c)
{
	if ((ld->tio.lflag & ECHO) || (c == '\n' && (ld->tio.lflag & ECHONL) && canonical(ld)))
		echo_byte(ld, c);
}

/* ---- the edited line ---- */

static unsigned slot(unsigned i)
{
	return i % LDISC_INPUT;
}

static uint8_t byte_at(const struct ldisc *ld, unsigned i)
{
	return ld->in[slot(ld->head + i)];
}

static void append(struct ldisc *ld, uint8_t c, uint8_t mark)
{
	ld->in[slot(ld->head + ld->used)] = c;
	ld->mark[slot(ld->head + ld->used)] = mark;
	ld->used++;
	if (mark != MARK_NONE || !canonical(ld)) {
		ld->committed = ld->used;
		ld->lines += mark != MARK_NONE;
	}
}

/* Cursor column after the bytes [committed, end) of the edited line were echoed. */
static unsigned line_column(const struct ldisc *ld, unsigned end)
{
	unsigned col = ld->canon_column;

	for (unsigned i = ld->committed; i < end; i++) {
		uint8_t c = byte_at(ld, i);

		if (c == '\t')
			col += 8 - (col & 7);
		else if (echoes_as_ctl(ld, c))
			col += 2;
		else if (!((ld->tio.iflag & IUTF8) && (c & 0xc0) == 0x80))
			col++;
	}
	return col;
}

/* Forget the last character of the edited line and rub it out on the screen. */
static void erase_one(struct ldisc *ld)
{
	unsigned before = line_column(ld, ld->used), after;

	while (ld->used > ld->committed) {
		uint8_t c = byte_at(ld, --ld->used);

		if (!((ld->tio.iflag & IUTF8) && (c & 0xc0) == 0x80))
			break;
	}
	if (!(ld->tio.lflag & ECHO))
		return;
	if (!(ld->tio.lflag & ECHOE)) {
		echo_byte(ld, ld->tio.cc[VERASE]);
		return;
	}
	after = line_column(ld, ld->used);
	while (before-- > after) {
		if (ld->used < LDISC_INPUT && byte_at(ld, ld->used) == '\t')
			out_byte(ld, '\b');
		else
			out_raw(ld, "\b \b", 3);
	}
	ld->column = after;
}

static void erase_word(struct ldisc *ld)
{
	bool seen = false;

	while (ld->used > ld->committed) {
		uint8_t c = byte_at(ld, ld->used - 1);
		bool word = c != ' ' && c != '\t';

		if (seen && !word)
			break;
		seen = seen || word;
		erase_one(ld);
	}
}

static void kill_line(struct ldisc *ld)
{
	uint32_t l = ld->tio.lflag;

	if ((l & ECHO) && !((l & ECHOK) && (l & ECHOKE) && (l & ECHOE))) {
		ld->used = ld->committed;
		echo_byte(ld, ld->tio.cc[VKILL]);
		if (l & ECHOK)
			out_byte(ld, '\n');
		return;
	}
	while (ld->used > ld->committed)
		erase_one(ld);
}

static void reprint(struct ldisc *ld)
{
	echo_byte(ld, ld->tio.cc[VREPRINT]);
	out_byte(ld, '\n');
	ld->canon_column = ld->column;
	for (unsigned i = ld->committed; i < ld->used; i++)
		echo(ld, byte_at(ld, i));
}

/* ---- input ---- */

static bool input_signal(struct ldisc *ld, uint8_t c)
{
	int sig = is_cc(ld, c, VINTR)	? SIGINT
		  : is_cc(ld, c, VQUIT) ? SIGQUIT
		  : is_cc(ld, c, VSUSP) ? SIGTSTP
					: 0;

	if (!sig || !(ld->tio.lflag & ISIG))
		return false;
	/* What was written is with the master already, as far as a pseudo-terminal goes. */
	if (!(ld->tio.lflag & NOFLSH))
		ldisc_flush_input(ld);
	ld->stopped = false;
	if (ld->tio.lflag & ECHO)
		echo_byte(ld, c);
	ld->signals |= SIGSET_BIT(sig);
	return true;
}

static bool input_flow(struct ldisc *ld, uint8_t c)
{
	if (!(ld->tio.iflag & IXON))
		return false;
	if (is_cc(ld, c, VSTOP)) {
		ld->stopped = !(is_cc(ld, c, VSTART) && ld->stopped);
		return true;
	}
	if (is_cc(ld, c, VSTART)) {
		ld->stopped = false;
		return true;
	}
	if (ld->tio.iflag & IXANY)
		ld->stopped = false;
	return false;
}

/* Editing characters of canonical mode. */
static bool input_edit(struct ldisc *ld, uint8_t c)
{
	bool ext = ld->tio.lflag & IEXTEN;

	if (is_cc(ld, c, VERASE)) {
		if (ld->used > ld->committed)
			erase_one(ld);
	} else if (ext && is_cc(ld, c, VWERASE)) {
		erase_word(ld);
	} else if (is_cc(ld, c, VKILL)) {
		kill_line(ld);
	} else if (ext && is_cc(ld, c, VREPRINT) && (ld->tio.lflag & ECHO)) {
		reprint(ld);
	} else if (ext && is_cc(ld, c, VLNEXT)) {
		ld->literal = true;
		if ((ld->tio.lflag & (ECHO | ECHOCTL)) == (ECHO | ECHOCTL))
			out_raw(ld, "^\b", 2);
	} else if (is_cc(ld, c, VEOF)) {
		append(ld, 0, MARK_EOF);
	} else {
		return false;
	}
	return true;
}

static void input_plain(struct ldisc *ld, uint8_t c, bool literal)
{
	bool ends = canonical(ld) && !literal &&
		    (c == '\n' || is_cc(ld, c, VEOL) ||
		     ((ld->tio.lflag & IEXTEN) && is_cc(ld, c, VEOL2)));

	/* The last place is kept for the end of the line; what is too much is lost, with a bell. */
	if (ld->used >= LDISC_INPUT - 1 && !ends) {
		if (ld->tio.iflag & IMAXBEL)
			out_byte(ld, 7);
		return;
	}
	if (ld->used == ld->committed)
		ld->canon_column = ld->column;
	echo(ld, c);
	append(ld, c, ends ? MARK_LINE : MARK_NONE);
}

static void input_byte(struct ldisc *ld, uint8_t c)
{
	uint32_t iflag = ld->tio.iflag;

	if (iflag & ISTRIP)
		c &= 0x7f;
	if (ld->literal) {
		ld->literal = false;
		input_plain(ld, c, true);
		return;
	}
	if (input_flow(ld, c) || input_signal(ld, c))
		return;
	if (c == '\r') {
		if (iflag & IGNCR)
			return;
		if (iflag & ICRNL)
			c = '\n';
	} else if (c == '\n' && (iflag & INLCR)) {
		c = '\r';
	}
	if ((iflag & IUCLC) && (ld->tio.lflag & IEXTEN) && c >= 'A' && c <= 'Z')
		c = (uint8_t)(c - 'A' + 'a');
	if (canonical(ld) && input_edit(ld, c))
		return;
	input_plain(ld, c, false);
}

/* No more can be taken before somebody reads. An unfinished line never blocks its writer. */
static bool input_full(const struct ldisc *ld)
{
	if (canonical(ld))
		return ld->lines && ld->used >= LDISC_INPUT - 1;
	return ld->used >= LDISC_INPUT - 1;
}

size_t ldisc_input(struct ldisc *ld, const uint8_t *buf, size_t n)
{
	size_t done = 0;

	while (done < n && !input_full(ld))
		input_byte(ld, buf[done++]);
	return done;
}

/* ---- reading ---- */

bool ldisc_readable(const struct ldisc *ld, unsigned min)
{
	return canonical(ld) ? ld->lines > 0 : ld->used >= (min ? min : 1);
}

unsigned ldisc_available(const struct ldisc *ld)
{
	unsigned n = canonical(ld) ? ld->committed : ld->used;

	for (unsigned i = 0; canonical(ld) && i < ld->committed; i++)
		n -= ld->mark[slot(ld->head + i)] == MARK_EOF;
	return n;
}

size_t ldisc_read(struct ldisc *ld, uint8_t *buf, size_t n, bool *eof)
{
	size_t done = 0;
	bool canon = canonical(ld);

	*eof = false;
	while (ld->used && (!canon || ld->lines)) {
		uint8_t mark = ld->mark[ld->head];

		/* An end of file right after the last byte asked for belongs to that read. */
		if (done == n && !(canon && mark == MARK_EOF))
			break;
		if (!(canon && mark == MARK_EOF))
			buf[done++] = ld->in[ld->head];
		ld->head = slot(ld->head + 1);
		ld->used--;
		ld->committed -= ld->committed != 0;
		ld->lines -= mark != MARK_NONE;
		if (canon && mark != MARK_NONE) {
			*eof = mark == MARK_EOF && !done;
			break;
		}
	}
	return done;
}

void ldisc_flush_input(struct ldisc *ld)
{
	ld->head = ld->used = ld->committed = ld->lines = 0;
	ld->literal = false;
}

void ldisc_flush_output(struct ldisc *ld)
{
	ring_drop(&ld->out, ring_used(&ld->out));
}

void ldisc_set_termios(struct ldisc *ld, const struct tty_termios *tio)
{
	bool was = canonical(ld);

	ld->tio = *tio;
	if (!(ld->tio.iflag & IXON))
		ld->stopped = false;
	if (was == canonical(ld))
		return;
	/* What was typed so far becomes readable; entering canonical mode it counts as a line. */
	if (canonical(ld) && ld->used && !ld->lines) {
		unsigned last = slot(ld->head + ld->used - 1);

		ld->mark[last] = MARK_LINE;
		ld->lines = 1;
	}
	ld->committed = ld->used;
	ld->literal = false;
}
