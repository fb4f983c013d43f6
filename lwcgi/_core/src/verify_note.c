/* SPDX-License-Identifier: MIT */
#include "verify_note.h"

#include <fcntl.h>
#include <string.h>

#include "sys.h"

void note_start(struct note *n, char *room, size_t len)
{
    n->start = room;
    n->t.at = room;
    n->t.end = room + len;
}

int note_is_cut(const struct note *n)
{
    return n->t.at == n->t.end;
}

void note_hex(struct text *t, uint64_t n)
{
    static const char digits[] = "0123456789abcdef";
    char hex[17];
    int at = 16;

    hex[at] = 0;
    do {
        hex[--at] = digits[n & 15];
        n >>= 4;
    } while (n);
    text_str(t, hex + at);
}

void note_signed(struct text *t, int64_t n)
{
    if (n < 0)
        text_str(t, "-");
    text_num(t, n < 0 ? 0 - (uint64_t)n : (uint64_t)n);
}

void note_flat(struct text *t, const char *s, size_t len)
{
    char one[2] = {0, 0}, last = 0;
    size_t i;

    for (i = 0; i < len; i++) {
        one[0] = s[i] == '\t' || s[i] == '\n' || !s[i] ? ' ' : s[i];
        if (one[0] != ' ' || last != ' ')
            text_str(t, one);
        last = one[0];
    }
}

void note_words(struct text *t, const char *name, const void *words, size_t len)
{
    size_t i;

    text_str(t, name);
    text_str(t, ":");
    for (i = 0; i < len; i += sizeof(uint64_t)) {
        uint64_t word = 0;

        memcpy(&word, (const char *)words + i, len - i < sizeof word ? len - i : sizeof word);
        text_str(t, " 0x");
        note_hex(t, word);
    }
    text_str(t, "\n");
}

/* --- comparing ----------------------------------------------------------------- */

/* One line of a note: its name with ": ", all that is compared, and all. */
struct line {
    const char *at; /* NULL: there is none */
    size_t name, value, whole;
};

static struct line line_at(const struct note *n, const char *at)
{
    struct line l = {NULL, 0, 0, 0};
    const char *end = n->t.at, *stop, *tab;

    if (at >= end)
        return l;
    l.at = at;
    stop = memchr(at, '\n', (size_t)(end - at));
    if (!stop)
        stop = end;
    l.whole = (size_t)(stop - at);
    tab = memchr(at, '\t', l.whole);
    l.value = tab ? (size_t)(tab - at) : l.whole;
    while (l.name < l.value && at[l.name++] != ':')
        ;
    return l;
}

static int is_same(const struct line *a, const struct line *b)
{
    return a->value == b->value && !memcmp(a->at, b->at, a->value);
}

static int has_same_name(const struct line *a, const struct line *b)
{
    return a->at && b->at && a->name == b->name && !memcmp(a->at, b->at, a->name);
}

static int is_named_in(const struct note *n, const char *from, const struct line *name)
{
    struct line l;

    for (; (l = line_at(n, from)).at; from += l.whole + 1)
        if (has_same_name(&l, name))
            return 1;
    return 0;
}

static void put(struct text *why, const char *s, size_t len)
{
    text_escaped(why, (const uint8_t *)s, len);
}

/* What explains the line. */
static void put_remark(struct text *why, const struct line *l)
{
    if (l->value + 1 >= l->whole)
        return;
    text_str(why, " (");
    put(why, l->at + l->value + 1, l->whole - l->value - 1);
    text_str(why, ")");
}

static void put_line(struct text *why, const struct line *l)
{
    put(why, l->at, l->value);
    put_remark(why, l);
}

/* The value of `l`, or of one that is a list, with ", " between its parts, the
 * part in which it leaves that of `other`. */
static void put_value(struct text *why, const struct line *l, const struct line *other)
{
    const char *start = l->at + l->name, *end = l->at + l->value, *stop, *at = start;
    const char *with = other->at + other->name, *with_end = other->at + other->value;

    for (; at < end && with < with_end && *at == *with; at++, with++)
        if (*at == ',')
            start = at + 1;
    if ((at == end || *at == ',') && (with == with_end || *with == ','))
        start = at = at < end ? at + 1 : end; /* there is one part more */
    stop = memchr(at, ',', (size_t)(end - at));
    if (!stop)
        stop = end;
    while (start < stop && *start == ' ')
        start++;
    if (start == stop)
        text_str(why, "nothing");
    put(why, start, (size_t)(stop - start));
}

static void explain(struct text *why, const char *kind, const struct note *found,
                    const struct line *e, const struct line *f)
{
    text_str(why, kind);
    text_str(why, " ");
    if (has_same_name(e, f)) {
        put(why, e->at, e->name);
        text_str(why, " expected ");
        put_value(why, e, f);
        text_str(why, ", found ");
        put_value(why, f, e);
        put_remark(why, f);
        return;
    }
    if (!e->at || (f->at && is_named_in(found, f->at, e))) {
        put_line(why, f);
        text_str(why, ": is new");
        return;
    }
    put_line(why, e);
    text_str(why, ": is gone");
    if (f->at) {
        text_str(why, "; what comes next is ");
        put_line(why, f);
    }
}

int note_compare(const struct note *expected, const struct note *found, const char *kind,
                 struct text *why)
{
    const char *e_at = expected->start, *f_at = found->start;

    for (;;) {
        struct line e = line_at(expected, e_at), f = line_at(found, f_at);

        if (!e.at && !f.at)
            return 0;
        if (!e.at || !f.at || !is_same(&e, &f)) {
            explain(why, kind, found, &e, &f);
            return 1;
        }
        e_at += e.whole + 1;
        f_at += f.whole + 1;
    }
}

/* --- /proc ---------------------------------------------------------------------- */

long note_read(const char *path, char *to, size_t room)
{
    long fd = sys_open(path, O_RDONLY | O_CLOEXEC, 0), n;
    size_t len = 0;

    to[0] = 0;
    if (fd < 0)
        return fd;
    while ((n = sys_read((int)fd, to + len, room - 1 - len)) > 0)
        len += (size_t)n;
    sys_close((int)fd);
    to[len] = 0;
    if (n < 0)
        return n;
    return len == room - 1 ? -E2BIG : (long)len;
}

void note_path(char *to, size_t room, int pid, const char *name)
{
    struct text t = {to, to + room - 1};

    text_str(&t, "/proc/");
    text_num(&t, (uint64_t)pid);
    text_str(&t, "/");
    text_str(&t, name);
    *t.at = 0;
}
