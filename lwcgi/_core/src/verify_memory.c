/* SPDX-License-Identifier: MIT */
#include "verify_memory.h"

#include <fcntl.h>
#include <string.h>
#include <sys/uio.h>

#include "sys.h"
#include "verify_note.h"

/* Of /proc/pid/pagemap (proc(5)). */
static const uint64_t PRESENT = 1ull << 63, SWAPPED = 1ull << 62;

enum way {
    SKIP,    /* neither has a page: both show the same file, or zeros */
    QUICK,   /* it can be read where it lies */
    CAREFUL, /* reading it may fail, or would make a page */
};

/* --- both sides through /proc ----------------------------------------------------- */

static int32_t open_of(int pid, const char *name)
{
    char path[48];

    note_path(path, sizeof path, pid, name);
    return (int32_t)sys_open(path, O_RDONLY | O_CLOEXEC, 0);
}

/* A page that a marker of userfaultfd stands for counts as swapped out, but
 * not in this sum. */
static int has_swapped(void)
{
    char status[4096];
    const char *line;

    if (note_read("/proc/self/status", status, sizeof status) < 0)
        return 1;
    line = strstr(status, "VmSwap:");
    if (!line)
        return 1;
    for (line += 7; *line == ' ' || *line == '\t'; line++)
        ;
    return strncmp(line, "0 kB", 4) != 0;
}

void memory_open(struct memory *m)
{
    int own = sys_getpid();

    m->own_pagemap = open_of(own, "pagemap");
    m->own_mem = open_of(own, "mem");
    m->holder_pagemap = open_of(m->holder, "pagemap");
    m->holder_mem = open_of(m->holder, "mem");
    m->swapped = has_swapped();
}

void memory_close(struct memory *m)
{
    int32_t *fds[] = {&m->own_pagemap, &m->own_mem, &m->holder_pagemap, &m->holder_mem};
    unsigned i;

    for (i = 0; i < sizeof fds / sizeof *fds; i++) {
        if (*fds[i] >= 0)
            sys_close(*fds[i]);
        *fds[i] = -1;
    }
}

static int read_through(int mem, uint64_t at, void *to, size_t len)
{
    long n = mem < 0 ? mem : sys_pread(mem, to, len, (off_t)at);

    return n == (long)len ? 0 : n < 0 ? (int)n : -EFAULT;
}

int memory_fetch(const struct memory *m, uint64_t at, void *to, size_t len)
{
    struct iovec here = {to, len}, there = {(void *)at, len};
    long n = SYS(SYS_process_vm_readv, m->holder, &here, 1, &there, 1, 0);

    /* What has no access rights can be read through /proc only. */
    return n == (long)len ? 0 : read_through(m->holder_mem, at, to, len);
}

static int fetch_own(const struct memory *m, uint64_t at, void *to, size_t len)
{
    struct iovec here = {to, len}, there = {(void *)at, len};
    long n = SYS(SYS_process_vm_readv, sys_getpid(), &here, 1, &there, 1, 0);

    return n == (long)len ? 0 : read_through(m->own_mem, at, to, len);
}

/* --- comparing ---------------------------------------------------------------------- */

static int is_exempt(uint64_t at, const struct span *exempt, uint32_t count, uint64_t *until)
{
    uint32_t i;

    for (i = 0; i < count; i++)
        if (at >= exempt[i].start && at < exempt[i].end) {
            *until = exempt[i].end;
            return 1;
        }
    return 0;
}

static int compare_bytes(uint64_t at, const uint8_t *expected, const uint8_t *found, size_t len,
                         const struct span *exempt, uint32_t count, struct difference *d)
{
    size_t i = 0;
    uint64_t until;

    if (!memcmp(expected, found, len))
        return 0;
    while (i < len) {
        if (expected[i] == found[i]) {
            i++;
        } else if (is_exempt(at + i, exempt, count, &until)) {
            i = until - at < len ? (size_t)(until - at) : len;
        } else {
            size_t word = i & ~(size_t)7;

            d->at = at + i;
            d->expected = expected[i];
            d->found = found[i];
            memcpy(&d->expected_word, expected + word, 8);
            memcpy(&d->found_word, found + word, 8);
            d->expected_readable = d->found_readable = 1;
            return 1;
        }
    }
    return 0;
}

static int compare_carefully(struct memory *m, uint64_t at, size_t pages, const struct span *exempt,
                             uint32_t count, struct difference *d)
{
    for (; pages; pages--, at += VERIFY_PAGE) {
        int expected = !memory_fetch(m, at, m->expected, VERIFY_PAGE);
        int found = !fetch_own(m, at, m->found, VERIFY_PAGE);

        if (!expected && !found)
            continue; /* behind the end of its file */
        if (expected && found) {
            if (compare_bytes(at, m->expected, m->found, VERIFY_PAGE, exempt, count, d))
                return 1;
            continue;
        }
        memset(d, 0, sizeof *d);
        d->at = at;
        d->expected_readable = (uint8_t)expected;
        d->found_readable = (uint8_t)found;
        return 1;
    }
    return 0;
}

static int compare_quickly(struct memory *m, uint64_t at, size_t pages, const struct span *exempt,
                           uint32_t count, struct difference *d)
{
    size_t len = pages * VERIFY_PAGE;

    if (memory_fetch(m, at, m->expected, len))
        return compare_carefully(m, at, pages, exempt, count, d);
    return compare_bytes(at, m->expected, (const uint8_t *)at, len, exempt, count, d);
}

static int knows_pages(int pagemap, uint64_t at, uint64_t *to, size_t pages)
{
    size_t len = pages * sizeof *to;

    return pagemap >= 0 &&
           sys_pread(pagemap, to, len, (off_t)(at / VERIFY_PAGE * sizeof *to)) == (long)len;
}

static enum way way_to(const struct memory *m, const struct area *a, size_t page, int known)
{
    if (!known)
        return CAREFUL;
    if (m->own_pages[page] & PRESENT)
        return a->readable ? QUICK : CAREFUL;
    if (m->own_pages[page] & SWAPPED && m->swapped)
        return CAREFUL;
    return m->holder_pages[page] & (PRESENT | SWAPPED) ? CAREFUL : SKIP;
}

static int compare_window(struct memory *m, const struct area *a, uint64_t at, size_t pages,
                          const struct span *exempt, uint32_t count, struct difference *d)
{
    int known = knows_pages(m->own_pagemap, at, m->own_pages, pages) &&
                knows_pages(m->holder_pagemap, at, m->holder_pages, pages);
    size_t first, last;

    for (first = 0; first < pages; first = last) {
        enum way way = way_to(m, a, first, known);
        uint64_t start = at + first * VERIFY_PAGE;
        int differs = 0;

        for (last = first + 1; last < pages && way_to(m, a, last, known) == way; last++)
            ;
        if (way == QUICK)
            differs = compare_quickly(m, start, last - first, exempt, count, d);
        else if (way == CAREFUL)
            differs = compare_carefully(m, start, last - first, exempt, count, d);
        if (differs)
            return 1;
    }
    return 0;
}

int memory_compare(struct memory *m, const struct area *a, const struct span *exempt,
                   uint32_t count, struct difference *d)
{
    uint64_t at = a->start;

    /* The kernel's own data pages: the clock, and what else changes by itself. */
    if (!a->is_private || !strncmp(a->name, "[vv", 3) || !strncmp(a->name, "[vs", 3))
        return 0;
    while (at < a->end) {
        size_t pages = (size_t)(a->end - at) / VERIFY_PAGE;

        if (pages > VERIFY_WINDOW)
            pages = VERIFY_WINDOW;
        if (compare_window(m, a, at, pages, exempt, count, d))
            return 1;
        at += pages * VERIFY_PAGE;
    }
    return 0;
}
