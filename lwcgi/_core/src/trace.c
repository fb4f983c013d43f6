/* SPDX-License-Identifier: MIT */
#include "trace.h"

#include <string.h>

void trace_reset(struct trace *t)
{
    t->flags = 0;
    t->why = -1;
    t->death_signal = 0;
    t->traps = 0;
    t->brk = t->frozen_brk;
    t->altstack_sp = t->altstack_size = 0;
    t->altstack_flags = 2; /* SS_DISABLE */
    t->sigsys_blocked = 0;
    t->own.count = t->dropped.count = t->protected.count = 0;
    t->own.lost = t->dropped.lost = t->protected.lost = 0;
    t->opened_count = t->saved_count = 0;
    if (t->files_touched)
        memset(t->files, 0, sizeof t->files);
    t->files_touched = 0;
}

void trace_flag(struct trace *t, uint32_t flags, long nr)
{
    t->flags |= flags;
    if (t->why < 0)
        t->why = (int32_t)nr;
}

static int index_of(const struct trace *t, int fd)
{
    uint32_t i;

    for (i = 0; i < t->opened_count; i++)
        if (t->opened[i] == fd)
            return (int)i;
    return -1;
}

int trace_has_opened(const struct trace *t, int fd)
{
    return index_of(t, fd) >= 0;
}

int trace_has_saved(const struct trace *t, int fd)
{
    uint32_t i;

    for (i = 0; i < t->saved_count; i++)
        if (t->saved[i].fd == fd)
            return 1;
    return 0;
}

void trace_opened(struct trace *t, int fd)
{
    if (index_of(t, fd) >= 0)
        return;
    if (t->opened_count == TRACE_OPENED)
        t->flags |= TRACE_FILES;
    else
        t->opened[t->opened_count++] = fd;
}

void trace_closed(struct trace *t, int fd)
{
    int i = index_of(t, fd);

    if (i >= 0)
        t->opened[i] = t->opened[--t->opened_count];
}

void ranges_add(struct ranges *r, uint64_t start, uint64_t end)
{
    uint32_t i;

    for (i = 0; i < r->count; i++) {
        struct range *at = &r->at[i];
        if (start <= at->end && end >= at->start) {
            /* What it now touches of the others is joined as well. */
            start = start < at->start ? start : at->start;
            end = end > at->end ? end : at->end;
            *at = r->at[--r->count];
            i = (uint32_t)-1;
        }
    }
    if (r->count == TRACE_RANGES)
        r->lost = 1;
    else
        r->at[r->count++] = (struct range){start, end};
}

void ranges_remove(struct ranges *r, uint64_t start, uint64_t end)
{
    uint32_t i;

    for (i = 0; i < r->count;) {
        struct range at = r->at[i];
        if (end <= at.start || start >= at.end) {
            i++;
            continue;
        }
        r->at[i] = r->at[--r->count];
        /* Neither piece touches start..end, so the loop ends. */
        if (at.start < start)
            ranges_add(r, at.start, start);
        if (at.end > end)
            ranges_add(r, end, at.end);
        i = 0;
    }
}

int ranges_cover(const struct ranges *r, uint64_t start, uint64_t end)
{
    uint32_t i;

    for (i = 0; i < r->count; i++)
        if (start >= r->at[i].start && end <= r->at[i].end)
            return 1;
    return 0;
}
