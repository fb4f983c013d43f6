/* SPDX-License-Identifier: MIT */
#include "maps.h"

#include <fcntl.h>
#include <string.h>

#include "sys.h"

enum { LINE = 512, CHUNK = 4096 };

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

static int begins(const char *s, const char *with)
{
    return strncmp(s, with, strlen(with)) == 0;
}

static uint32_t name_flags(const char *name)
{
    if (begins(name, "[heap]"))
        return MAP_HEAP;
    if (begins(name, "[stack"))
        return MAP_STACK_AREA;
    if (begins(name, "[v") || begins(name, "[uprobes]") || begins(name, "/[aio]"))
        return MAP_SPECIAL;
    return 0;
}

/* "start-end perms offset major:minor inode   name" (proc(5)) */
static void parse(const char *s, struct mapping *m)
{
    uint64_t major, minor;

    s = hex(s, &m->start) + 1;
    s = hex(s, &m->end) + 1;
    m->flags = (s[0] == 'r' ? MAP_READ : 0u) | (s[1] == 'w' ? MAP_WRITE : 0u) |
               (s[2] == 'x' ? MAP_EXEC : 0u) | (s[3] == 's' ? MAP_SHARES : 0u);
    s = hex(s + 5, &m->offset) + 1;
    s = hex(s, &major) + 1;
    s = hex(s, &minor) + 1;
    m->dev = (uint32_t)(major << 20 | minor);
    for (m->inode = 0; *s >= '0' && *s <= '9'; s++)
        m->inode = m->inode * 10 + (uint64_t)(*s - '0');
    while (*s == ' ')
        s++;
    m->flags |= name_flags(s);
}

static int is_same_object(const struct mapping *a, const struct mapping *b)
{
    if (a->flags != b->flags || a->inode != b->inode || a->dev != b->dev)
        return 0;
    return a->inode == 0 || a->offset + (a->end - a->start) == b->offset;
}

static long add(struct mapping *to, size_t room, long count, const char *line)
{
    struct mapping m;

    parse(line, &m);
    if (count && to[count - 1].end == m.start && is_same_object(&to[count - 1], &m)) {
        to[count - 1].end = m.end;
        return count;
    }
    if ((size_t)count == room)
        return -E2BIG;
    to[count] = m;
    return count + 1;
}

long maps_read(struct mapping *to, size_t room)
{
    char chunk[CHUNK], line[LINE];
    long fd = sys_open("/proc/self/maps", O_RDONLY | O_CLOEXEC, 0), n, i, count = 0;
    size_t len = 0;

    if (fd < 0)
        return fd;
    while ((n = sys_read((int)fd, chunk, sizeof chunk)) > 0 && count >= 0) {
        for (i = 0; i < n && count >= 0; i++) {
            if (chunk[i] != '\n') {
                if (len < LINE - 1) /* of a long name the beginning is enough */
                    line[len++] = chunk[i];
                continue;
            }
            line[len] = 0;
            len = 0;
            count = add(to, room, count, line);
        }
    }
    sys_close((int)fd);
    return n < 0 ? n : count;
}

long maps_without(struct mapping *m, long count, size_t room, uint64_t start, uint64_t end)
{
    long i, out = 0;

    for (i = 0; i < count; i++) {
        struct mapping piece = m[i];
        if (piece.end <= start || piece.start >= end) {
            m[out++] = piece;
            continue;
        }
        if (piece.start < start && piece.end > end) {
            /* The hole lies inside: one mapping becomes two. */
            if ((size_t)count == room)
                return -E2BIG;
            memmove(&m[i + 1], &m[i], (size_t)(count - i) * sizeof *m);
            count++;
            m[i].end = start;
            m[i + 1].offset += piece.inode ? end - piece.start : 0;
            m[i + 1].start = end;
            m[out++] = m[i];
        } else if (piece.start < start) {
            piece.end = start;
            m[out++] = piece;
        } else if (piece.end > end) {
            piece.offset += piece.inode ? end - piece.start : 0;
            piece.start = end;
            m[out++] = piece;
        }
    }
    return out;
}

/* The first number of /proc/self/statm, in pages (proc(5)). */
int maps_vsize(uint64_t *bytes)
{
    char text[64];
    uint64_t pages = 0;
    long fd = sys_open("/proc/self/statm", O_RDONLY | O_CLOEXEC, 0), n, i;

    if (fd < 0)
        return (int)fd;
    n = sys_read((int)fd, text, sizeof text);
    sys_close((int)fd);
    if (n <= 0)
        return n < 0 ? (int)n : -EIO;
    for (i = 0; i < n && text[i] >= '0' && text[i] <= '9'; i++)
        pages = pages * 10 + (uint64_t)(text[i] - '0');
    *bytes = pages * 4096;
    return 0;
}
