/* SPDX-License-Identifier: MIT */
#include "remap.h"

#include <sys/mman.h>

#include "sys.h"

static const uint64_t MOST_INACCESSIBLE = 64 << 20;
static const uint32_t ACCESS = MAP_READ | MAP_WRITE | MAP_EXEC;

static int protection(const struct mapping *m)
{
    return (m->flags & MAP_READ ? PROT_READ : 0) | (m->flags & MAP_WRITE ? PROT_WRITE : 0) |
           (m->flags & MAP_EXEC ? PROT_EXEC : 0);
}

static int failed(long ret)
{
    return ret < 0 && ret > -4096;
}

/* Unmaps what of `m` was not there when the image was frozen. */
static int drop_strange(const struct image *im, const struct mapping *m)
{
    uint64_t at = m->start;

    while (at < m->end) {
        const struct mapping *f = image_from(im, at);
        uint64_t stop = m->end;
        long ret;

        if (f && f->start <= at) {
            at = f->end;
            continue;
        }
        if (f && f->start < stop)
            stop = f->start;
        if (m->flags & MAP_SPECIAL)
            return REMAP_UNEXPLAINED;
        ret = sys_munmap((void *)at, stop - at);
        if (ret)
            return (int)ret;
        at = stop;
    }
    return 0;
}

static int is_closed(const struct mapping *m)
{
    return !(m->flags & (ACCESS | MAP_SHARES | MAP_SPECIAL));
}

/* Makes a stretch of the frozen mapping `m` anew, with the holder's bytes. */
static int make_anew(struct image *im, const struct mapping *m, uint64_t start, uint64_t end)
{
    long ret;

    if (m->inode || m->flags & (MAP_SHARES | MAP_SPECIAL | MAP_STACK_AREA))
        return REMAP_UNEXPLAINED;
    /* A reservation may be larger than all memory. */
    if (is_closed(m) && end - start > MOST_INACCESSIBLE)
        return REMAP_UNEXPLAINED;
    ret = sys_mmap((void *)start, end - start, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED);
    if (failed(ret))
        return (int)ret;
    ret = image_original(im, start, (void *)start, end - start);
    if (!ret)
        ret = sys_mprotect((void *)start, end - start, protection(m));
    return ret || is_closed(m) ? (int)ret : image_track(im, start, end);
}

static int is_of(const struct mapping *piece, const struct mapping *m, uint64_t at)
{
    if (piece->inode != m->inode || piece->dev != m->dev ||
        (piece->flags ^ m->flags) & (MAP_SHARES | MAP_SPECIAL))
        return 0;
    return !m->inode || piece->offset + (at - piece->start) == m->offset + (at - m->start);
}

/* Compares the frozen mapping `m` with the `count` mappings of now. */
static int restore_one(struct image *im, const struct mapping *m, const struct mapping *now,
                       long count)
{
    uint64_t at = m->start, stop;
    long ret, i = 0;

    while (at < m->end) {
        while (i < count && now[i].end <= at)
            i++;
        stop = m->end;
        if (i == count || now[i].start > at) {
            if (i < count && now[i].start < stop)
                stop = now[i].start;
            ret = make_anew(im, m, at, stop);
        } else {
            if (now[i].end < stop)
                stop = now[i].end;
            /* Writes to what was inaccessible are not tracked. */
            if (!is_of(&now[i], m, at) || (is_closed(m) && now[i].flags & ACCESS))
                ret = make_anew(im, m, at, stop);
            else if ((now[i].flags ^ m->flags) & ACCESS)
                ret = sys_mprotect((void *)at, stop - at, protection(m));
            else
                ret = 0;
        }
        if (ret)
            return (int)ret;
        at = stop;
    }
    return 0;
}

/* Another mapping may stand where one stood and look the same. */
static int restore_replaced(struct image *im, const struct mapping *m)
{
    struct page_region r;
    long n;
    int ret = 0;

    while (!ret && (n = image_replaced(im, m, &r)) != 0)
        ret = n < 0 ? (int)n : make_anew(im, m, r.start, r.end);
    return ret;
}

int remap_restore(struct image *im, struct mapping *now)
{
    long n = image_list(im, now), i;
    uint32_t f;
    int ret = 0;

    if (n < 0)
        return (int)n;
    for (i = 0; i < n && !ret; i++)
        ret = drop_strange(im, &now[i]);
    for (f = 0; f < im->count && !ret; f++)
        ret = restore_one(im, &im->frozen[f], now, n);
    for (f = 0; f < im->count && !ret; f++)
        if (image_is_tracked(&im->frozen[f]))
            ret = restore_replaced(im, &im->frozen[f]);
    return ret;
}
