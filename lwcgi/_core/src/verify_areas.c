/* SPDX-License-Identifier: MIT */
#include "verify_areas.h"

#include <fcntl.h>
#include <string.h>

#include "sys.h"

enum { CHUNK = 4096, LINE = 512, FLAGS = 128 };

/* A mapping, or several neighbours that are alike. */
struct piece {
    uint64_t start, end, offset;
    char rights[5];
    char device[24];
    char inode[24];
    char flags[FLAGS];
    char name[LINE];
};

struct reader {
    struct note *n;
    const struct span *without;
    uint32_t count;
    int in_mapping;
    int has_pending;
    struct piece now;     /* its lines are being read */
    struct piece pending; /* may still grow */
};

/* --- parsing (proc(5)) ----------------------------------------------------------- */

static const char *hex(const char *s, uint64_t *value)
{
    for (*value = 0;; s++) {
        if (*s >= '0' && *s <= '9')
            *value = *value << 4 | (uint64_t)(*s - '0');
        else if (*s >= 'a' && *s <= 'f')
            *value = *value << 4 | (uint64_t)(*s - 'a' + 10);
        else
            return s;
    }
}

/* Copies one word, and returns what follows the blanks behind it. */
static const char *word(const char *s, char *to, size_t room)
{
    size_t len = 0;

    for (; *s && *s != ' '; s++)
        if (len < room - 1)
            to[len++] = *s;
    to[len] = 0;
    while (*s == ' ')
        s++;
    return s;
}

/* "start-end rights offset device inode   name"; no other line begins so. */
static int parse_head(const char *line, struct piece *p)
{
    const char *s = hex(line, &p->start);

    if (s == line || *s != '-')
        return 0;
    s = hex(s + 1, &p->end);
    if (*s != ' ')
        return 0;
    s = word(s + 1, p->rights, sizeof p->rights);
    s = hex(s, &p->offset) + 1;
    s = word(s, p->device, sizeof p->device);
    s = word(s, p->inode, sizeof p->inode);
    strncpy(p->name, s, sizeof p->name - 1);
    p->name[sizeof p->name - 1] = 0;
    p->flags[0] = 0;
    return 1;
}

/* What the kernel's bookkeeping and the engine's own tracking change: soft
 * dirty, charged to the commit limit, and the three of userfaultfd. */
static int is_ignored(const char *flag)
{
    static const char ignored[] = "sd ac um uw ui ";

    return flag[0] && flag[1] && !flag[2] && strstr(ignored, flag) != NULL;
}

/* "VmFlags: rd wr mr …" */
static void parse_flags(const char *s, struct piece *p)
{
    struct text t = {p->flags, p->flags + FLAGS - 1};
    char flag[8];

    while (*s == ' ')
        s++;
    while (*s) {
        s = word(s, flag, sizeof flag);
        if (is_ignored(flag))
            continue;
        text_str(&t, " ");
        text_str(&t, flag);
    }
    *t.at = 0;
}

/* --- noting ---------------------------------------------------------------------- */

static void write_piece(struct note *n, const struct piece *p)
{
    struct text *t = &n->t;

    note_hex(t, p->start);
    text_str(t, "-");
    note_hex(t, p->end);
    text_str(t, ": ");
    text_str(t, p->rights);
    text_str(t, " ");
    note_hex(t, p->offset);
    text_str(t, " ");
    text_str(t, p->device);
    text_str(t, " ");
    text_str(t, p->inode);
    text_str(t, p->flags);
    /* A file may be renamed or removed while it is mapped; names of the
     * kernel's belong to the mapping. */
    if (p->name[0] == '[') {
        text_str(t, " ");
        note_flat(t, p->name, strlen(p->name));
    }
    text_str(t, "\t");
    note_flat(t, p->name, strlen(p->name));
    text_str(t, "\n");
}

static int continues(const struct piece *a, const struct piece *b)
{
    return a->end == b->start && !strcmp(a->rights, b->rights) && !strcmp(a->device, b->device) &&
           !strcmp(a->inode, b->inode) && !strcmp(a->flags, b->flags) &&
           !strcmp(a->name, b->name) &&
           (!strcmp(a->inode, "0") || a->offset + (a->end - a->start) == b->offset);
}

static void add_piece(struct reader *r, uint64_t start, uint64_t end)
{
    struct piece *p = &r->now;
    struct piece whole = *p;

    if (strcmp(p->inode, "0"))
        p->offset += start - p->start;
    p->start = start;
    p->end = end;
    if (r->has_pending && continues(&r->pending, p)) {
        r->pending.end = end;
    } else {
        if (r->has_pending)
            write_piece(r->n, &r->pending);
        r->pending = *p;
        r->has_pending = 1;
    }
    *p = whole;
}

static int excluding(const struct reader *r, uint64_t at, uint64_t *until)
{
    uint32_t i;

    for (i = 0; i < r->count; i++)
        if (at >= r->without[i].start && at < r->without[i].end) {
            *until = r->without[i].end;
            return 1;
        }
    return 0;
}

static uint64_t first_excluded(const struct reader *r, uint64_t at, uint64_t end)
{
    uint32_t i;

    for (i = 0; i < r->count; i++)
        if (r->without[i].start > at && r->without[i].start < end)
            end = r->without[i].start;
    return end;
}

/* All lines of a mapping were read. */
static void end_mapping(struct reader *r)
{
    uint64_t at = r->now.start, until;

    if (!r->in_mapping)
        return;
    r->in_mapping = 0;
    while (at < r->now.end) {
        if (excluding(r, at, &until)) {
            at = until;
            continue;
        }
        until = first_excluded(r, at, r->now.end);
        add_piece(r, at, until);
        at = until;
    }
}

static void line_of(struct reader *r, const char *line)
{
    static const char flags[] = "VmFlags:";

    if (!strncmp(line, flags, sizeof flags - 1)) {
        parse_flags(line + sizeof flags - 1, &r->now);
        end_mapping(r);
        return;
    }
    if (line[0] >= 'A' && line[0] <= 'Z')
        return;
    end_mapping(r); /* of a kernel that tells no flags */
    r->in_mapping = parse_head(line, &r->now);
}

int areas_note(struct note *n, const struct span *without, uint32_t count)
{
    struct reader r = {.n = n, .without = without, .count = count};
    char chunk[CHUNK], line[LINE];
    long fd = sys_open("/proc/self/smaps", O_RDONLY | O_CLOEXEC, 0), got, i;
    size_t len = 0;

    if (fd < 0)
        return (int)fd;
    while ((got = sys_read((int)fd, chunk, sizeof chunk)) > 0) {
        for (i = 0; i < got; i++) {
            if (chunk[i] != '\n') {
                if (len < LINE - 1)
                    line[len++] = chunk[i];
                continue;
            }
            line[len] = 0;
            len = 0;
            line_of(&r, line);
        }
    }
    sys_close((int)fd);
    if (got < 0)
        return (int)got;
    end_mapping(&r);
    if (r.has_pending)
        write_piece(n, &r.pending);
    return note_is_cut(n) ? -E2BIG : 0;
}

int areas_next(const struct note *n, const char **at, struct area *a)
{
    const char *s = *at, *end = n->t.at, *stop;

    if (s >= end)
        return 0;
    stop = memchr(s, '\n', (size_t)(end - s));
    if (!stop)
        return 0;
    *at = stop + 1;
    s = hex(s, &a->start) + 1;
    s = hex(s, &a->end) + 2;
    a->readable = s[0] == 'r';
    a->is_private = s[3] == 'p';
    hex(s + 5, &a->offset);
    a->name = memchr(s, '\t', (size_t)(stop - s)) + 1;
    a->name_len = (size_t)(stop - a->name);
    return 1;
}
