/* SPDX-License-Identifier: MIT */
#include "call_memory.h"

#include <sys/mman.h>

#include "image.h"

/* Newer than Debian 12's headers. */
enum { ADVICE_GUARD_INSTALL = 102, ADVICE_GUARD_REMOVE = 103 };

static uint64_t page_end(uint64_t start, uint64_t len)
{
    return start + ((len + IMAGE_PAGE - 1) & ~(uint64_t)(IMAGE_PAGE - 1));
}

static int is_page(uint64_t at)
{
    return (at & (IMAGE_PAGE - 1)) == 0;
}

static int failed(long ret)
{
    return ret < 0 && ret > -4096;
}

int call_owns(const struct call *c, uint64_t start, uint64_t len)
{
    return ranges_cover(&c->t->own, start, page_end(start, len));
}

/* For memory that may only be executed the kernel takes a protection key, once (pkeys(7)). */
static void note_key(struct call *c)
{
    if (c->arg[2] == PROT_EXEC)
        trace_flag(c->t, TRACE_WHOLE, c->nr);
}

enum verdict call_mmap(struct call *c)
{
    uint64_t start = c->arg[0], end = page_end(start, c->arg[1]), flags = c->arg[3];
    int fixed = (flags & MAP_FIXED) && (flags & MAP_FIXED_NOREPLACE) != MAP_FIXED_NOREPLACE;
    int frozen = fixed && image_touches(c->k->image, start, end);

    if (fixed && image_is_ours(c->k->image, start, end))
        return call_answer(c, -ENOMEM);
    call_make(c);
    if (failed(c->result))
        return CALL_ANSWERED;
    if (frozen)
        trace_flag(c->t, TRACE_MAPS | TRACE_SCAN, c->nr);
    else if (!(flags & MAP_HUGETLB))
        ranges_add(&c->t->own, (uint64_t)c->result, page_end((uint64_t)c->result, c->arg[1]));
    if (flags & (MAP_GROWSDOWN | MAP_HUGETLB)) /* its size is not the one asked for */
        trace_flag(c->t, TRACE_MAPS, c->nr);
    note_key(c);
    return CALL_ANSWERED;
}

/* Unmaps what the request mapped in start..end. What it did not map stays: it
 * is told that it is gone, and for the rest of the request that is as good. */
static long unmap_own(struct call *c, uint64_t start, uint64_t end)
{
    uint32_t i;

    for (i = c->t->own.count; i-- > 0;) {
        struct range at = c->t->own.at[i];
        uint64_t from = at.start > start ? at.start : start, to = at.end < end ? at.end : end;
        long ret;

        if (from >= to)
            continue;
        ret = sys_munmap((void *)from, to - from);
        if (ret)
            return ret;
        ranges_remove(&c->t->own, from, to);
        i = c->t->own.count; /* the list has changed */
    }
    /* What is neither the snapshot's nor ours can only be its own. */
    if (c->t->own.lost && !image_touches(c->k->image, start, end))
        return sys_munmap((void *)start, end - start);
    return 0;
}

enum verdict call_munmap(struct call *c)
{
    uint64_t start = c->arg[0], len = c->arg[1];

    if (!is_page(start) || len == 0 || page_end(start, len) < start)
        return CALL_LET; /* the kernel says what is wrong */
    return call_answer(c, unmap_own(c, start, page_end(start, len)));
}

enum verdict call_mremap(struct call *c)
{
    uint64_t old = c->arg[0], old_len = c->arg[1], len = c->arg[2], flags = c->arg[3];
    uint64_t to = c->arg[4];
    int frozen = 0;

    if (!is_page(old) || len == 0)
        return CALL_LET;
    if (!call_owns(c, old, old_len ? old_len : 1))
        return call_answer(c, -ENOMEM);
    if (flags & MREMAP_FIXED) {
        if (image_is_ours(c->k->image, to, page_end(to, len)))
            return call_answer(c, -ENOMEM);
        frozen = image_touches(c->k->image, to, page_end(to, len));
    }
    call_make(c);
    if (failed(c->result))
        return CALL_ANSWERED;
    if (!(flags & 4 /* MREMAP_DONTUNMAP */) && old_len)
        ranges_remove(&c->t->own, old, page_end(old, old_len));
    if (frozen)
        trace_flag(c->t, TRACE_MAPS | TRACE_SCAN, c->nr);
    else
        ranges_add(&c->t->own, (uint64_t)c->result, page_end((uint64_t)c->result, len));
    return CALL_ANSWERED;
}

enum verdict call_brk(struct call *c)
{
    /* A break below that of the snapshot is refused the way brk(2) does it. */
    if (c->arg[0] < c->t->frozen_brk)
        return call_answer(c, (long)c->t->brk);
    call_make(c);
    c->t->brk = (uint64_t)c->result;
    return CALL_ANSWERED;
}

/* From now on what is written to inaccessible memory of the snapshot must be
 * seen: it may be about to become accessible. */
static int track_inaccessible(struct call *c, uint64_t start, uint64_t end)
{
    struct image *im = c->k->image;
    const struct mapping *m;
    int ret;

    for (m = image_from(im, start); m && m->start < end; m = image_from(im, m->end)) {
        uint64_t from = m->start > start ? m->start : start, to = m->end < end ? m->end : end;
        if (m->flags & (MAP_READ | MAP_WRITE | MAP_EXEC | MAP_SHARES | MAP_SPECIAL))
            continue;
        ret = image_track(im, from, to);
        if (ret)
            return ret;
    }
    return 0;
}

enum verdict call_mprotect(struct call *c)
{
    uint64_t start = c->arg[0], end = page_end(start, c->arg[1]);
    int ret;

    if (!is_page(start) || end <= start || call_owns(c, start, c->arg[1]))
        return CALL_LET;
    if (c->nr == SYS_pkey_mprotect && (int)c->arg[3] != -1)
        return call_make_flag(c, TRACE_WHOLE);
    if (image_is_ours(c->k->image, start, end))
        return call_answer(c, -ENOMEM);
    if (image_touches(c->k->image, start, end)) {
        ret = track_inaccessible(c, start, end);
        if (ret)
            trace_flag(c->t, TRACE_WHOLE, c->nr);
        ranges_add(&c->t->protected, start, end);
    }
    note_key(c);
    return call_make(c);
}

/* What of start..end belongs to the snapshot is noted as given back. */
static void note_dropped(struct call *c, uint64_t start, uint64_t end)
{
    const struct image *im = c->k->image;
    const struct mapping *m;

    for (m = image_from(im, start); m && m->start < end; m = image_from(im, m->end))
        ranges_add(&c->t->dropped, m->start > start ? m->start : start,
                   m->end < end ? m->end : end);
}

static int maps_a_file(const struct image *im, uint64_t start, uint64_t end)
{
    const struct mapping *m;

    for (m = image_from(im, start); m && m->start < end; m = image_from(im, m->end))
        if (m->inode)
            return 1;
    return 0;
}

enum verdict call_madvise(struct call *c)
{
    uint64_t start = c->arg[0], end = page_end(start, c->arg[1]);

    if (!is_page(start) || end <= start || call_owns(c, start, c->arg[1]) ||
        !image_touches(c->k->image, start, end))
        return CALL_LET;
    if (image_is_ours(c->k->image, start, end))
        return call_answer(c, -ENOMEM);
    switch ((int)c->arg[2]) {
    case MADV_FREE: /* would take effect when nobody looks */
        c->arg[2] = MADV_DONTNEED;
        /* fall through */
    case MADV_DONTNEED:
    case 24: /* MADV_DONTNEED_LOCKED */
        note_dropped(c, start, end);
        return call_make(c);
    case MADV_DONTFORK:
    case MADV_DOFORK:
    case MADV_WIPEONFORK:
    case MADV_KEEPONFORK:
    case MADV_REMOVE:
    case MADV_HWPOISON:
    case ADVICE_GUARD_REMOVE:
        return call_make_flag(c, TRACE_WHOLE);
    case ADVICE_GUARD_INSTALL:
        /* The marks of write-protection left in a file's mapping keep the
         * kernel (6.18) at it for ever; kernels before 6.15 refuse it too. */
        if (maps_a_file(c->k->image, start, end))
            return call_answer(c, -EINVAL);
        return call_make_flag(c, TRACE_WHOLE);
    case 22: /* MADV_POPULATE_READ */
    case 23: /* MADV_POPULATE_WRITE */
        return call_make(c);
    default:
        return call_answer(c, 0); /* a hint; its traces would have to be undone */
    }
}

enum verdict call_mlock(struct call *c)
{
    uint64_t everything = MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT;

    if (c->nr == SYS_mlockall && (!c->arg[0] || c->arg[0] & ~everything))
        return call_answer(c, -EINVAL);
    /* Of the snapshot it is said to be done: that write-protected memory is to be
     * populated can keep the kernel (6.18) busy for ever. */
    if (c->nr == SYS_mlockall || c->nr == SYS_munlockall || !call_owns(c, c->arg[0], c->arg[1]))
        return call_answer(c, 0);
    return CALL_LET;
}

enum verdict call_mbind(struct call *c)
{
    return call_owns(c, c->arg[0], c->arg[1]) ? CALL_LET : call_make_flag(c, TRACE_WHOLE);
}
