/* See LICENSE file for copyright and licence details. */
/*
 * The names of attachments in a message passing by. It is read so that nothing is missed that any
 * program might show, rather than as one program would:
 *
 * - A boundary counts from where it was named to the end of the message, whether its multipart has
 *   been closed or not, and with anything behind it (RFC 2046 5.1.1: it is the beginning of the
 *   line that counts). So there is no nesting to follow; only hashes are kept. When they are too
 *   many, or one was named in a doubtful way, every line with "--" counts.
 * - A parameter is looked for in the whole field, within quotes and without a semicolon too. Its
 *   value is told up to each place where some program would take it to end.
 * - A part with a message or multipart in it that is encoded (which RFC 2046 5.2.1 forbids, and
 *   some read) is read both as it is and decoded.
 *
 * What is wrongly taken for a header costs nothing if no name is in it.
 */
#include <string.h>

#include "mime.h"
#include "text.h"

enum { L_START, L_DASH, L_FIELD, L_VALUE, L_BEGIN, L_SKIP };	/* scan.line */
enum { NO_FIELD, TYPE, DISPOSITION, ENCODING, UUENCODED };	/* scan.field */
enum { P_TYPE, P_WORD, P_EQUALS, P_VALUE };			/* scan.at */
enum { NO_PARAM, FILENAME, NAME, BOUNDARY };			/* scan.what */
enum { UNKNOWN, AS_IT_IS, ENCODED };				/* scan.whole */
enum { PLAIN, CODED, PIECE };					/* scan.form */
enum { IN_CHARSET, IN_LANGUAGE, IN_TEXT };			/* scan.part */
enum { AT_TOKEN = 1, AT_SEMICOLON = 2, AT_NUL = 4 };		/* scan.early */
enum { NOT_CODED, BASE64, QUOTED };				/* scan.coding */
enum { PIECE_MAX = MIME_ARENA / 5 };

static int
white(char ch)
{
	return ch == ' ' || ch == '\t';
}

/* For some any control character is space. */
static int
blank(char ch)
{
	return ch > 0 && ch <= ' ';
}

/* ---- names ---- */

/* Some take a part for a message by its name. */
static void
tell(struct mime *m, struct mime_scan *s, const struct keep *k)
{
	char out[MIME_NAME + 1];
	const char *p = k->p;
	size_t i, n = k->n;

	while (n && keep_idle(p[n - 1]))
		n--;
	for (i = n; i && p[i - 1] != '/' && p[i - 1] != '\\'; i--)
		;
	for (; i < n && (white(p[i]) || p[i] == '"'); i++)
		;
	s->message |= n - i > 4 && text_is(p + n - 4, 4, ".eml");
	if (i < n)
		m->name(m->arg, out, words_clean(out, p + i, n - i));
}

/* The name, and what it is for those who join encoded words before they decode them. */
static void
name_tell(struct mime *m, struct mime_scan *s)
{
	tell(m, s, &s->name);
	if (s->joined.torn)
		tell(m, s, &s->joined_name);
}

static void
restart(struct mime_scan *s)
{
	keep_init(&s->name, s->name_text, sizeof(s->name_text));
	words_init(&s->words, &s->name);
	keep_init(&s->joined_name, s->joined_text, sizeof(s->joined_text));
	words_init(&s->joined, &s->joined_name);
	s->joined.join = 1;
	s->hex.n = 0;
}

/* More of the name; for some programs a NUL ends it. */
static void
name_feed(struct mime *m, struct mime_scan *s, const char *p, size_t n)
{
	int nul;

	for (; n; p++, n--) {
		nul = words_feed(&s->words, *p) | words_feed(&s->joined, *p);
		if (nul && !(s->early & AT_NUL)) {
			s->early |= AT_NUL;
			name_tell(m, s);
		}
	}
}

static void
name_end(struct mime *m, struct mime_scan *s)
{
	words_end(&s->words);
	words_end(&s->joined);
	name_tell(m, s);
}

/* The same with %XX, RFC 2231 4. */
static void
coded_feed(struct mime *m, struct mime_scan *s, const char *p, size_t n)
{
	for (; n; p++, n--)
		name_feed(m, s, s->hex.held, hex_feed(&s->hex, '%', *p));
}

/* charset'language' in front of n octets: how many these are. */
static size_t
prefix(struct mime_scan *s, const char *p, size_t n)
{
	const char *a = memchr(p, '\'', n);
	const char *b = a ? memchr(a + 1, '\'', n - (size_t)(a + 1 - p)) : NULL;

	if (!b)
		return 0;
	s->words.base = s->joined.base = words_charset(p, (size_t)(a - p));
	return (size_t)(b + 1 - p);
}

/* ---- parameters in pieces, RFC 2231 3 ---- */

static void
piece_drop(struct mime_scan *s, int victim)
{
	const uint16_t n = s->piece[victim].n;
	size_t at = 0;
	int i;

	for (i = 0; i < victim; i++)
		at += s->piece[i].n;
	s->used = (uint16_t)(s->used - n);
	memmove(s->arena + at, s->arena + at + n, s->used - at);
	s->npieces--;
	memmove(s->piece + victim, s->piece + victim + 1,
	    (size_t)(s->npieces - victim) * sizeof(*s->piece));
}

/* Which one has to go so that there is room for x; -1: none. The first two and the last of all
 * stay; of one that is there more than once, the first and the last. npieces: x is not wanted
 * itself. */
static int
piece_victim(const struct mime_scan *s, const struct mime_piece *x)
{
	const struct mime_piece *q;
	int same = 0, victim = s->npieces, i;

	for (i = 0; i < s->npieces; i++) {
		q = &s->piece[i];
		if (q->index == x->index && ++same == 2)
			return i;
		if (q->index > 1 && (victim == s->npieces || q->index < s->piece[victim].index))
			victim = i;
	}
	if (s->npieces < MIME_PIECES && s->used + x->n <= (int)sizeof(s->arena))
		return -1;
	if (victim < s->npieces && x->index > 1 && x->index < s->piece[victim].index)
		return s->npieces;
	return victim;
}

static void
piece_add(struct mime_scan *s)
{
	const size_t n = s->raw.n < PIECE_MAX ? s->raw.n : PIECE_MAX, half = n / 2;
	const struct mime_piece x = { s->index, (uint16_t)n, s->coded };
	int victim;

	while ((victim = piece_victim(s, &x)) >= 0) {
		if (victim == s->npieces)
			return;
		piece_drop(s, victim);
	}
	s->piece[s->npieces++] = x;
	memcpy(s->arena + s->used, s->raw.p, half);
	memcpy(s->arena + s->used + half, s->raw.p + s->raw.n - (n - half), n - half);
	s->used = (uint16_t)(s->used + n);
}

/* The piece with the least index from `from` on: its number, or -1; *at is where in the arena. */
static int
piece_next(const struct mime_scan *s, unsigned from, int last, size_t *at)
{
	size_t where = 0;
	int i, best = -1;

	for (i = 0; i < s->npieces; where += s->piece[i].n, i++) {
		if (s->piece[i].index < from)
			continue;
		if (best >= 0 && (s->piece[i].index > s->piece[best].index ||
		    (s->piece[i].index == s->piece[best].index && !last)))
			continue;
		best = i;
		*at = where;
	}
	return best;
}

/* Put them together; last: of those with the same index, the last; all: those that are not coded
 * are decoded too. What is before a gap is told by itself. */
static void
pieces_join(struct mime *m, struct mime_scan *s, int last, int all)
{
	const struct mime_piece *x;
	unsigned next = 0, gaps = 0;
	size_t at = 0, j;
	int i;

	restart(s);
	while ((i = piece_next(s, next, last, &at)) >= 0) {
		x = &s->piece[i];
		if (x->index > next && !gaps++)
			name_tell(m, s);
		if (x->coded || all) {
			j = next ? 0 : prefix(s, s->arena + at, x->n);
			coded_feed(m, s, s->arena + at + j, x->n - j);
		} else {
			name_feed(m, s, s->arena + at, x->n);
		}
		next = x->index + 1u;
	}
	name_end(m, s);
}

static void
pieces_tell(struct mime *m, struct mime_scan *s)
{
	int i, k, coded = 0, twice = 0;

	for (i = 0; i < s->npieces; i++) {
		coded += s->piece[i].coded;
		for (k = 0; k < i; k++)
			twice |= s->piece[i].index == s->piece[k].index;
	}
	for (i = 0; s->pieces && i <= twice; i++) {
		pieces_join(m, s, i, 0);
		if (coded && coded < s->npieces)
			pieces_join(m, s, i, 1);
	}
	s->npieces = s->pieces = 0;
	s->used = 0;
}

/* ---- boundaries ---- */

static uint32_t
hash(uint32_t h, char ch)
{
	return (h ^ (unsigned char)ch) * UINT32_C(16777619);
}

enum { HASH = 0x11c9dc5 };

static void
bound_add(struct mime *m, struct mime_scan *s)
{
	const struct keep *k = &s->raw;
	uint32_t h = HASH;
	size_t i, n = k->n;

	while (n && white(k->p[n - 1]))
		n--;
	s->bounded = 1;
	if (!n || k->cut || s->odd || s->form != PLAIN || m->nbounds == MIME_BOUNDS) {
		m->loose = 1;
		return;
	}
	for (i = 0; i < n; i++)
		h = hash(h, k->p[i]);
	for (i = 0; i < m->nbounds; i++) {
		if (m->bound[i].hash == h && m->bound[i].n == n && m->bound[i].inner <= s->inner)
			return;
	}
	m->bound[m->nbounds].hash = h;
	m->bound[m->nbounds].n = (uint16_t)n;
	m->bound[m->nbounds++].inner = s->inner;
}

/* A line that begins with "--" goes on: 1 if it is a boundary now. */
static int
bound_feed(const struct mime *m, struct mime_scan *s, char ch)
{
	int i;

	s->dash = hash(s->dash, ch);
	if (!++s->ndash)
		s->ndash--;
	if (m->loose && !white(ch))
		return 1;
	for (i = 0; i < m->nbounds; i++) {
		if (m->bound[i].n == s->ndash && m->bound[i].hash == s->dash &&
		    m->bound[i].inner <= s->inner)
			return 1;
	}
	return 0;
}

/* ---- a parameter ---- */

/* Which of ours is the word, perhaps with "*", "*N" or "*N*" behind it? */
static int
param_which(const struct mime_scan *s)
{
	static const char *const names[] = { "filename", "name", "boundary" };
	const char *star = memchr(s->word, '*', s->nword);
	size_t n = star ? (size_t)(star - s->word) : s->nword;
	int i;

	for (i = 0; i < 3; i++) {
		if (text_is(s->word, n, names[i]))
			return FILENAME + i;
	}
	return NO_PARAM;
}

static void
param_begin(struct mime_scan *s)
{
	const char *star = memchr(s->word, '*', s->nword);
	size_t rest = star ? (size_t)(s->word + s->nword - star) : 0;
	int usual = s->field == TYPE ? NAME : FILENAME;
	uint64_t index;

	s->what = (unsigned char)param_which(s);
	s->coded = rest && s->word[s->nword - 1] == '*';
	s->form = s->coded ? CODED : PLAIN;
	s->index = 0;
	if (rest > 1 && s->what == BOUNDARY) {
		s->form = CODED;
	} else if (rest > 1 && s->what == usual &&
	    !text_u64(star + 1, rest - 1 - s->coded, &index)) {
		s->form = PIECE;
		s->index = index < 0xffff ? (uint16_t)index : 0xffff;
	}
	s->at = P_EQUALS;
	s->part = IN_CHARSET;
	s->quoted = s->escaped = s->mark = s->watch = s->odd = s->early = 0;
	s->nword = s->gap = 0;
	restart(s);
	keep_init(&s->raw, s->raw_text, sizeof(s->raw_text));
}

static void
param_end(struct mime *m, struct mime_scan *s)
{
	if (s->what == BOUNDARY) {
		bound_add(m, s);
		return;
	}
	if (s->form != PLAIN)
		piece_add(s);		/* for some, name* is name*0* */
	if (s->form == PIECE) {
		s->pieces = 1;
		return;
	}
	if (s->form == CODED && s->part != IN_TEXT) {
		restart(s);
		coded_feed(m, s, s->raw.p, s->raw.n);
	}
	name_end(m, s);
	if (s->odd || s->words.odd)
		tell(m, s, &s->raw);
}

/* Some programs take it to end here. */
static void
early(struct mime *m, struct mime_scan *s, int where)
{
	s->mark = 0;
	if ((s->early & where) || !s->raw.n)
		return;
	s->early |= (unsigned char)where;
	if (s->what == BOUNDARY)
		bound_add(m, s);
	else if (s->form == PIECE)
		piece_add(s);	/* the whole of it will be another with this index */
	else
		name_tell(m, s);
	if (s->what != BOUNDARY && s->words.state != W_TEXT)
		tell(m, s, &s->raw);	/* what may be an encoded word need not be one */
}

/* An octet of the value: to the name, and as it is written. */
static void
value_feed(struct mime *m, struct mime_scan *s, char ch)
{
	if (s->form == CODED && s->part != IN_TEXT) {
		if (ch == '\'' && s->part++ == IN_CHARSET)
			s->words.base = s->joined.base = words_charset(s->raw.p, s->raw.n);
	} else if (s->form == CODED) {
		coded_feed(m, s, &ch, 1);
	} else if (s->form == PLAIN) {
		name_feed(m, s, &ch, 1);
	}
	if (s->fold && white(ch))
		s->odd = 1;		/* some leave it out */
	else
		keep_put(&s->raw, ch);
}

/* A character of a word (RFC 2045 5.1)? */
static int
token(char ch)
{
	return (unsigned char)ch > ' ' && ch != 0x7f && !strchr("()<>@,;:\\\"/[]?=", ch);
}

static void
word_put(struct mime_scan *s, char ch)
{
	if (s->gap && ch != '*')
		s->nword = 0;
	s->gap = 0;
	s->nword -= s->nword == sizeof(s->word);	/* the last one may be a "*" */
	s->word[s->nword++] = ch;
}

/* Behind a semicolon within quotes: does a parameter of ours begin there? */
static int
value_watch(struct mime *m, struct mime_scan *s, char ch)
{
	if (token(ch) && !s->gap) {
		word_put(s, ch);
	} else if (blank(ch)) {
		s->gap = s->nword > 0;
	} else if (ch == '=' && param_which(s)) {
		param_end(m, s);
		param_begin(s);
		return 1;
	} else {
		s->watch = 0;
	}
	return 0;
}

/* Within quotes or an encoded word: 1 if it does not belong to it any more. */
static int
value_within(struct mime *m, struct mime_scan *s, char ch)
{
	if (ch != ';')
		return s->watch && value_watch(m, s, ch);
	early(m, s, AT_SEMICOLON);
	s->watch = 1;
	s->nword = s->gap = 0;
	return 0;
}

static void
value_outside(struct mime *m, struct mime_scan *s, char ch)
{
	int word = s->words.state == W_DATA || s->words.state == W_END;

	if (white(ch))
		s->mark = 1;
	else if (ch != ';' && (s->mark || (s->words.state == W_TEXT &&
	    (s->words.after || !token(ch)))))
		early(m, s, AT_TOKEN);
	if (word && value_within(m, s, ch))
		return;
	if (!word && ch == ';') {
		param_end(m, s);
		s->at = P_WORD;
		s->nword = s->gap = 0;
	} else if (ch == '"') {
		s->quoted = 1;
	} else {
		value_feed(m, s, ch);
	}
}

static void
value_quoted(struct mime *m, struct mime_scan *s, char ch)
{
	if (s->escaped) {
		s->escaped = 0;
	} else if (ch == '\\') {
		s->escaped = s->odd = 1;	/* or it is in a path */
		keep_put(&s->raw, ch);
		return;
	} else if (ch == '"') {
		s->quoted = 0;
		s->mark = 1;
		return;
	} else if (value_within(m, s, ch)) {
		return;
	}
	value_feed(m, s, ch);
}

/* ---- a field ---- */

/* The first word of the value. */
static void
type_end(struct mime *m, struct mime_scan *s, char ch)
{
	const char *w = s->word;
	size_t n = s->nword;

	if (s->field == ENCODING) {
		s->coding = text_is(w, n, "base64") ? BASE64 :
		    text_is(w, n, "quoted-printable") ? QUOTED : s->coding;
	} else {
		s->message |= (unsigned char)text_begins(w, n, "message");
		s->multipart |= (unsigned char)text_begins(w, n, "multipart");
		m->digest |= (unsigned char)text_is(w, n, "multipart/digest");
	}
	s->at = ch == '?' ? P_TYPE : P_WORD;	/* or it begins here */
	s->nword = s->gap = 0;
}

/* A comment: 1 if the octet is in it. For some a semicolon never is. */
static int
comment(struct mime_scan *s, char ch, int begins)
{
	if (s->comment && ch != ';') {
		s->comment = (unsigned char)(s->comment + (ch == '(' && s->comment < 0xff) -
		    (ch == ')'));
		return 1;
	}
	s->comment = ch == '(' && begins;
	return 0;
}

static void
type_feed(struct mime *m, struct mime_scan *s, char ch)
{
	if (comment(s, ch, !s->nword))
		return;
	if (token(ch) || ch == '/')
		word_put(s, ch);
	else if (ch == '=' && param_which(s))
		param_begin(s);
	else if (ch == ')')
		s->nword = 0;
	else if (s->nword && ch != '"')
		type_end(m, s, ch);
}

/* Between the parameters: a word of ours and "=", wherever they are. */
static void
look(struct mime_scan *s, char ch)
{
	if (comment(s, ch, s->nword) || ch == '\\')
		return;
	if (token(ch))
		word_put(s, ch);
	else if (blank(ch) || s->comment)
		s->gap = s->nword > 0;
	else if (ch == '=' && param_which(s))
		param_begin(s);
	else
		s->nword = s->gap = 0;
}

static void
field_one(struct mime *m, struct mime_scan *s, char ch)
{
	if (s->fold && !white(ch))
		s->fold = 0;
	if (s->at == P_EQUALS && !white(ch))
		s->at = P_VALUE;
	if (s->at == P_TYPE)
		type_feed(m, s, ch);
	else if (s->at == P_WORD)
		look(s, ch);
	else if (s->at == P_VALUE && s->quoted)
		value_quoted(m, s, ch);
	else if (s->at == P_VALUE)
		value_outside(m, s, ch);
}

/* Some decode the whole of a field before they look into it: if it begins with an encoded word. */
static void
field_feed(struct mime *m, struct mime_scan *s, char ch)
{
	size_t i;

	if (s->whole == UNKNOWN && !white(ch))
		s->whole = ch == '=' ? ENCODED : AS_IT_IS;
	if (s->whole != ENCODED) {
		field_one(m, s, ch);
		return;
	}
	keep_init(&s->ahead, s->ahead_text, sizeof(s->ahead_text));
	(void)words_feed(&s->field_words, ch);
	for (i = 0; i < s->ahead.n; i++)
		field_one(m, s, s->ahead.p[i]);
}

static void
field_end(struct mime *m, struct mime_scan *s)
{
	if (s->field && s->at == P_TYPE)
		type_end(m, s, '\n');
	else if (s->field && s->at == P_VALUE)
		param_end(m, s);
	if (s->field && s->npieces)
		pieces_tell(m, s);
	s->field = NO_FIELD;
}

/* A line of the header has come to its colon, or (another octet) is no field. */
static void
field_begin(struct mime_scan *s, char ch)
{
	static const char *const names[] = {
		"", "Content-Type", "Content-Disposition", "Content-Transfer-Encoding"
	};
	int i;

	s->line = L_SKIP;
	for (i = TYPE; i <= ENCODING; i++) {
		if (ch == ':' && text_is(s->word, s->nword, names[i])) {
			s->field = (unsigned char)i;
			s->line = L_VALUE;
			s->at = i == DISPOSITION ? P_WORD : P_TYPE;
			s->typed |= i == TYPE;
		}
	}
	s->fold = s->comment = s->nword = s->gap = s->whole = 0;
	words_init(&s->field_words, &s->ahead);
}

/* ---- headers and bodies ---- */

static void
header_begin(struct mime_scan *s)
{
	s->header = 1;
	s->seen = s->message = s->typed = s->multipart = s->bounded = s->coding = 0;
}

static void
scan_init(struct mime_scan *s, int inner)
{
	memset(s, 0, sizeof(*s));
	s->inner = (unsigned char)inner;
	header_begin(s);
}

/* A header ends, with a blank line or without. */
static void
header_end(struct mime *m, struct mime_scan *s)
{
	int message = s->message || (m->digest && !s->typed);

	if (s->multipart && !s->bounded)
		m->loose = 1;
	if (s->coding && (message || s->multipart) && !s->inner) {
		if (m->coding)
			field_end(m, &m->inner);
		m->coding = s->coding;
		m->bits = m->hex.n = m->dashed = 0;
		scan_init(&m->inner, 1);
	}
	s->header = 0;
	if (message)
		header_begin(s);
}

/* A boundary. A header without a blank line ends here, or does not for some. */
static void
part_begin(struct mime *m, struct mime_scan *s)
{
	unsigned char message = s->header & s->message;

	if (s->header)
		header_end(m, s);
	header_begin(s);
	s->message = message;
	s->line = L_SKIP;
	if (m->coding && !s->inner) {
		m->coding = NOT_CODED;
		field_end(m, &m->inner);
	}
}

/* ---- lines ---- */

static void
line_start(struct mime *m, struct mime_scan *s, char ch)
{
	if (s->header && white(ch) && s->field != UUENCODED) {
		s->line = s->field ? L_VALUE : s->nword ? L_FIELD : L_SKIP;
		s->fold = s->seen = 1;
		if (s->field)
			field_feed(m, s, ch);
		else
			s->gap = 1;
		return;
	}
	field_end(m, s);
	s->nword = s->gap = 0;
	if (ch == '\n') {
		/* before the first line of a header it does not count: some leave it out, and in a
		 * multipart/digest it stands for the header of a part */
		if (s->header && s->seen)
			header_end(m, s);
		return;
	}
	s->seen = 1;
	s->dashes = 0;
	/* a header may be missing */
	s->line = ch == '-' ? L_DASH : ch == 'b' ? L_BEGIN : s->header ? L_FIELD : L_SKIP;
	if (s->line == L_FIELD || s->line == L_BEGIN)
		word_put(s, ch);
}

static void
line_dash(struct mime *m, struct mime_scan *s, char ch)
{
	if (s->dashes) {
		if (bound_feed(m, s, ch))
			part_begin(m, s);
		return;
	}
	s->dashes = 1;
	s->line = ch == '-' ? L_DASH : L_SKIP;
	s->dash = HASH;
	s->ndash = 0;
}

static void
line_field(struct mime_scan *s, char ch)
{
	if (token(ch))
		word_put(s, ch);
	else if (blank(ch))
		s->gap = 1;
	else
		field_begin(s, ch);
}

/* "begin 644 name" of uuencode, which many programs show as an attachment. */
static void
line_uu(struct mime *m, struct mime_scan *s, char ch)
{
	static const char begin[] = "begin ";
	const char *p = "filename=\"";
	size_t n = s->nword, k = sizeof(begin) - 1;

	if (n < k ? ch == begin[n] : n < k + 4 && ch >= '0' && ch <= '7') {
		word_put(s, ch);
		return;
	}
	field_begin(s, ch);
	if (n < k + 3 || ch != ' ')
		return;
	s->field = UUENCODED;
	s->line = L_VALUE;
	s->at = P_WORD;
	for (; *p; p++)
		field_feed(m, s, *p);
}

/* Octets of a text; returns how many were read: all, or less if now a part begins that is to be
 * decoded too. */
static size_t
scan_feed(struct mime *m, struct mime_scan *s, const char *p, size_t n)
{
	const char *end = p + n, *q;
	int coding = m->coding, line;

	for (q = p; q < end; q++) {
		line = s->line;
		if (line == L_SKIP && !(q = memchr(q, '\n', (size_t)(end - q))))
			return n;
		if (line == L_DASH)
			line_dash(m, s, *q);	/* a LF, too: for some a boundary may be empty */
		if (*q == '\n' && line != L_START)
			s->line = L_START;
		else if (line == L_START)
			line_start(m, s, *q);
		else if (line == L_FIELD)
			line_field(s, *q);
		else if (line == L_VALUE)
			field_feed(m, s, *q);
		else if (line == L_BEGIN)
			line_uu(m, s, *q);
		if (m->coding && !coding)
			return (size_t)(q + 1 - p);
	}
	return n;
}

/* ---- parts that are decoded ---- */

static size_t
decode_one(struct mime *m, char *out, char ch)
{
	size_t n;
	int v;

	if (m->coding == BASE64) {
		v = b64_feed(&m->bits, &m->acc, ch);
		*out = (char)v;
		return v >= 0;
	}
	if (m->hex.n == 1 && (white(ch) || ch == '\n')) {
		m->hex.n = ch != '\n';	/* RFC 2045 6.7 (5) */
		return 0;
	}
	n = hex_feed(&m->hex, '=', ch);
	memcpy(out, m->hex.held, n);
	return n;
}

static void
decode(struct mime *m, const char *p, size_t n)
{
	char out[128];
	size_t i, k = 0, was;

	for (i = 0; i < n; i++) {
		was = k;
		k += decode_one(m, out + k, p[i]);
		if (k > was && out[was] == '\r')
			k = was;
		if (k > sizeof(out) - 4) {
			(void)scan_feed(m, &m->inner, out, k);
			k = 0;
		}
	}
	(void)scan_feed(m, &m->inner, out, k);
}

/* (A part of) a line within such a part: how much was read. A boundary is never coded, so a line
 * that begins like one is not part of what comes before it; and parts may end and begin within it,
 * so it is read an octet at a time. */
static size_t
coded_line(struct mime *m, const char *p, size_t n)
{
	int start = m->outer.line == L_START;

	if (start)
		m->dashed = *p == '-';
	if (m->dashed || m->outer.line == L_DASH)
		n = 1;
	(void)scan_feed(m, &m->outer, p, n);
	if (!m->coding)
		return n;
	if (start && m->dashed) {
		field_end(m, &m->inner);
		m->inner.line = L_START;
		m->hex.n = 0;
	}
	if (!m->dashed || m->coding == QUOTED)
		decode(m, p, n);
	return n;
}

/* ---- all of it ---- */

void
mime_init(struct mime *m, mime_name_fn *name, void *arg)
{
	memset(m, 0, sizeof(*m));
	m->name = name;
	m->arg = arg;
	scan_init(&m->outer, 0);
}

void
mime_feed(struct mime *m, const char *p, size_t n)
{
	const char *nl;
	size_t k;

	for (; n; p += k, n -= k) {
		if (!m->coding) {
			k = scan_feed(m, &m->outer, p, n);
			continue;
		}
		nl = memchr(p, '\n', n);
		k = coded_line(m, p, nl ? (size_t)(nl + 1 - p) : n);
	}
}

void
mime_finish(struct mime *m)
{
	field_end(m, &m->outer);
	if (m->coding)
		field_end(m, &m->inner);
	m->coding = NOT_CODED;
}
