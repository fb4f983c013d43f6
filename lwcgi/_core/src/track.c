/* SPDX-License-Identifier: MIT */
#include "track.h"

#include <string.h>
#include <sys/mman.h>

#include "step.h"
#include "sys.h"

/*
 * What is cheaper? A hot page is copied after every request, 0.1 us. Any other
 * page costs a fault when it is written and a copy, a call to protect it again
 * and its share of a scan afterwards, about 0.8 us. So a page pays for being
 * hot where more than one request in eight writes it.
 */
enum {
    LEARNING = 32,   /* requests at first, whose pages become hot at once */
    SHORTLY = 6,     /* requests between two writes that count as "soon again" */
    WARM = 2,        /* so many of those make a page hot */
    MISSES = 4,      /* so many samples without a write end it */
    SAMPLE_MIN = 64, /* requests between two samples */
    SAMPLE_MAX = 4096,
    COLD = 1024, /* pages remembered that are not hot: 4 MiB of shadow */
};

static uint8_t *slot_of(const struct track *tr, const struct page *p)
{
    return tr->shadow + (uint64_t)(uint32_t)p->slot * IMAGE_PAGE;
}

static uint64_t page_of(const void *at)
{
    return (uint64_t)at & ~(uint64_t)(IMAGE_PAGE - 1);
}

static struct page *find(struct track *tr, uint64_t at)
{
    uint32_t low = 0, high = tr->count;

    while (low < high) {
        uint32_t mid = (low + high) / 2;
        if (tr->pages[mid].at < at)
            low = mid + 1;
        else
            high = mid;
    }
    return low < tr->count && tr->pages[low].at == at ? &tr->pages[low] : NULL;
}

/* Fetches the originals of `count` pages that follow each other in memory and
 * in the shadow. */
static int fetch(struct track *tr, struct image *im, struct page *first, uint32_t count)
{
    return image_original(im, first->at, slot_of(tr, first), (size_t)count * IMAGE_PAGE);
}

static void make_runs(struct track *tr)
{
    uint32_t i;

    tr->run_count = tr->hot_count = 0;
    for (i = 0; i < tr->count; i++) {
        struct page *p = &tr->pages[i];
        struct run *last = tr->run_count ? &tr->runs[tr->run_count - 1] : NULL;
        if (!p->hot)
            continue;
        tr->hot_count++;
        if (last && last->at + last->len == p->at && last->from + last->len == slot_of(tr, p)) {
            last->len += IMAGE_PAGE;
            continue;
        }
        tr->runs[tr->run_count++] = (struct run){p->at, IMAGE_PAGE, slot_of(tr, p)};
    }
    tr->stale = 0;
}

static void copy_hot(struct track *tr)
{
    uint32_t i;

    for (i = 0; i < tr->run_count; i++)
        memcpy((void *)tr->runs[i].at, tr->runs[i].from, tr->runs[i].len);
    tr->copied += tr->hot_count;
}

/* In the snapshot that every request sees, the task's number is its own. */
static void write_tid(struct track *tr)
{
    struct page *p = find(tr, page_of(tr->tid));

    memcpy(slot_of(tr, p) + ((uint64_t)tr->tid - p->at), &tr->tid_value, sizeof tr->tid_value);
}

static int pin(struct track *tr, struct image *im)
{
    struct page *p = &tr->pages[0];
    int ret;

    memset(p, 0, sizeof *p);
    p->at = page_of(tr->tid);
    p->hot = p->pinned = 1;
    tr->count = tr->slots_used = 1;
    ret = fetch(tr, im, p, 1);
    if (!ret)
        write_tid(tr);
    make_runs(tr);
    return ret;
}

int track_start(struct track *tr, struct image *im, int *tid)
{
    tr->tid = tid;
    tr->tid_value = *tid;
    tr->sample_every = SAMPLE_MIN;
    tr->sample_at = LEARNING + SAMPLE_MIN;
    return pin(tr, im);
}

void track_new_task(struct track *tr, int tid)
{
    tr->tid_value = tid;
    *tr->tid = tid;
    write_tid(tr);
}

/* --- a scan ------------------------------------------------------------------ */

/* Forgets pages that are not hot, to make room in table and shadow. */
static int thin_out(struct track *tr, struct image *im)
{
    uint32_t i, out = 0;
    int ret;

    for (i = 0; i < tr->count; i++)
        if (tr->pages[i].hot)
            tr->pages[out++] = tr->pages[i];
    tr->count = out;
    tr->slots_used = 0;
    for (i = 0; i < out; i++) {
        tr->pages[i].slot = (int32_t)tr->slots_used++;
        ret = fetch(tr, im, &tr->pages[i], 1);
        if (ret)
            return ret;
    }
    write_tid(tr);
    make_runs(tr);
    return 0;
}

static void saw(struct track *tr, struct page *p)
{
    if (p->hot) {
        /* Outside of samples it is found every time: putting it back writes it. */
        if (tr->sampling)
            p->misses = 0;
    } else if (tr->now < LEARNING) {
        p->hot = 1;
        tr->stale = 1;
    } else {
        int soon = p->seen && tr->now - p->seen <= SHORTLY;
        p->heat = (uint8_t)(soon ? p->heat + 1 : 0);
        if (p->heat >= WARM) {
            p->hot = 1;
            p->misses = 0;
            tr->stale = 1;
            tr->sample_every = SAMPLE_MIN;
        }
    }
    p->seen = tr->now;
}

/* Adds the pages of fresh[], which are in ascending order, to the table. */
static void merge(struct track *tr, uint32_t count)
{
    uint32_t old = tr->count, total = old + count;
    uint32_t i = old, j = count, out = total;

    while (j) {
        if (i && tr->pages[i - 1].at > tr->fresh[j - 1]) {
            tr->pages[--out] = tr->pages[--i];
        } else {
            struct page *p = &tr->pages[--out];
            memset(p, 0, sizeof *p);
            p->at = tr->fresh[--j];
            p->slot = NO_SLOT;
        }
    }
    tr->count = total;
}

/* Gives slots to the new pages and fills them, neighbours in one call. */
static int shadow_fresh(struct track *tr, struct image *im)
{
    uint32_t i, n;
    int ret;

    for (i = 0; i < tr->count; i += n) {
        struct page *p = &tr->pages[i];
        n = 1;
        if (p->slot != NO_SLOT)
            continue;
        while (i + n < tr->count && p[n].slot == NO_SLOT && p[n].at == p->at + n * IMAGE_PAGE)
            n++;
        for (uint32_t k = 0; k < n; k++)
            p[k].slot = (int32_t)tr->slots_used++;
        ret = fetch(tr, im, p, n);
        if (ret)
            return ret;
    }
    return 0;
}

/* A page for which there is no room: put back from the holder, not remembered. */
static int put_back(struct track *tr, struct image *im, uint64_t start, uint64_t end)
{
    int ret = image_original(im, start, (void *)start, end - start);

    tr->copied += (uint32_t)((end - start) / IMAGE_PAGE);
    return ret ? ret : image_protect(im, start, end);
}

/* … in memory that is not writable. */
static int put_back_constant(struct track *tr, struct image *im, const struct mapping *m,
                             uint64_t start, uint64_t end)
{
    int exec = m->flags & MAP_EXEC ? PROT_EXEC : 0, read = m->flags & MAP_READ ? PROT_READ : 0;
    long ret = sys_mprotect((void *)start, end - start, PROT_READ | PROT_WRITE | exec);
    int put;

    if (ret)
        return (int)ret;
    put = put_back(tr, im, start, end);
    ret = sys_mprotect((void *)start, end - start, read | exec);
    return put ? put : (int)ret;
}

/* The frozen mapping that holds `start`; `*end` is cut to its end. */
static const struct mapping *mapping_of(const struct image *im, uint64_t start, uint64_t *end)
{
    const struct mapping *m = image_mapping(im, start);

    if (m && m->end < *end)
        *end = m->end;
    return m;
}

/* Sorts the pages of one stretch into known ones, new ones, and those that
 * there is no room for. `*next` is where to look in the table. */
static int sort_pages(struct track *tr, struct image *im, uint64_t start, uint64_t end,
                      uint32_t *next, uint32_t *fresh)
{
    uint64_t at;

    for (at = start; at < end; at += IMAGE_PAGE) {
        while (*next < tr->count && tr->pages[*next].at < at)
            ++*next;
        if (*next < tr->count && tr->pages[*next].at == at)
            saw(tr, &tr->pages[*next]);
        else if (tr->count + *fresh < TRACK_PAGES && tr->slots_used + *fresh < SHADOW_PAGES)
            tr->fresh[(*fresh)++] = at;
        else
            return put_back(tr, im, at, end);
    }
    return 0;
}

static int sort_found(struct track *tr, struct image *im, uint32_t *fresh)
{
    const struct mapping *m;
    uint64_t at = 0, from, to;
    uint32_t next = 0;
    long n, i;
    int ret = 0;

    do {
        n = image_written(im, &at, tr->batch, TRACK_BATCH);
        if (n < 0)
            return (int)n;
        for (i = 0; i < n; i++) {
            for (from = tr->batch[i].start; from < tr->batch[i].end && !ret; from = to) {
                to = tr->batch[i].end;
                m = mapping_of(im, from, &to);
                if (!m)
                    return TRACK_UNEXPLAINED;
                /* What is not writable was made so for a time, or written
                 * through /proc/self/mem or by a debugger. */
                ret = m->flags & MAP_WRITE ? sort_pages(tr, im, from, to, &next, fresh)
                                           : put_back_constant(tr, im, m, from, to);
                tr->found += (uint32_t)((to - from) / IMAGE_PAGE);
            }
            if (ret)
                return ret;
        }
    } while (at);
    return 0;
}

/* Puts the pages back that were written and are not to stay writable. */
static int cool_down(struct track *tr, struct image *im)
{
    uint32_t i, n;
    int ret;

    for (i = 0; i < tr->count; i += n) {
        struct page *p = &tr->pages[i];
        n = 1;
        if (p->hot || p->seen != tr->now)
            continue;
        memcpy((void *)p->at, slot_of(tr, p), IMAGE_PAGE);
        while (i + n < tr->count && !p[n].hot && p[n].seen == tr->now &&
               p[n].at == p->at + n * IMAGE_PAGE) {
            memcpy((void *)p[n].at, slot_of(tr, &p[n]), IMAGE_PAGE);
            n++;
        }
        tr->copied += n;
        ret = image_protect(im, p->at, p->at + (uint64_t)n * IMAGE_PAGE);
        if (ret)
            return ret;
    }
    return 0;
}

static int take_in(struct track *tr, struct image *im)
{
    uint32_t fresh = 0, i;
    int ret;

    if (tr->count > tr->hot_count + COLD || tr->slots_used == SHADOW_PAGES) {
        ret = thin_out(tr, im);
        if (ret)
            return ret;
    }
    ret = sort_found(tr, im, &fresh);
    if (ret)
        return ret;
    if (fresh) {
        merge(tr, fresh);
        ret = shadow_fresh(tr, im);
        if (ret)
            return ret;
        for (i = 0; i < fresh; i++)
            saw(tr, find(tr, tr->fresh[i]));
    }
    return cool_down(tr, im);
}

/* --- samples ----------------------------------------------------------------- */

/* Write-protects the hot set: in the next request its writes will be seen. */
static int begin_sample(struct track *tr, struct image *im)
{
    uint32_t i;
    int ret = 0;

    for (i = 0; i < tr->run_count && !ret; i++)
        ret = image_protect(im, tr->runs[i].at, tr->runs[i].at + tr->runs[i].len);
    tr->sampling = 1;
    return ret;
}

/* Hot pages that were not written have a miss; too many end it. They are still
 * protected. */
static void end_sample(struct track *tr)
{
    uint32_t i, missed = 0;

    tr->sampling = 0;
    for (i = 0; i < tr->count; i++) {
        struct page *p = &tr->pages[i];
        if (!p->hot || p->pinned || p->seen == tr->now)
            continue;
        missed++;
        if (++p->misses >= MISSES) {
            p->hot = p->heat = p->misses = 0;
            tr->stale = 1;
        }
    }
    if (missed)
        tr->sample_every = SAMPLE_MIN;
    else if (tr->sample_every < SAMPLE_MAX)
        tr->sample_every *= 2;
    tr->sample_at = tr->now + tr->sample_every;
}

/* --- the whole --------------------------------------------------------------- */

/* The tables are no use: puts back everything that is not write-protected and
 * starts again. */
static int start_again(struct track *tr, struct image *im)
{
    const struct mapping *m;
    uint64_t at = 0, from, to;
    long n, i;
    int ret;

    do {
        n = image_written(im, &at, tr->batch, TRACK_BATCH);
        if (n < 0)
            return (int)n;
        for (i = 0; i < n; i++)
            for (from = tr->batch[i].start; from < tr->batch[i].end; from = to) {
                to = tr->batch[i].end;
                m = mapping_of(im, from, &to);
                if (!m)
                    return TRACK_UNEXPLAINED;
                ret = m->flags & MAP_WRITE ? put_back(tr, im, from, to)
                                           : put_back_constant(tr, im, m, from, to);
                if (ret)
                    return ret;
            }
    } while (at);
    ret = pin(tr, im);
    tr->now = tr->sampling = 0;
    tr->sample_at = LEARNING + SAMPLE_MIN;
    return ret;
}

/* What the request gave back to the kernel is no longer there to be found. */
static int refill(struct track *tr, struct image *im, const struct ranges *dropped)
{
    uint32_t i;

    for (i = 0; i < dropped->count; i++) {
        uint64_t at = dropped->at[i].start, end = dropped->at[i].end;
        while (at < end) {
            const struct mapping *m = image_from(im, at);
            uint64_t stop = end;
            int ret;

            if (!m || m->start >= end)
                break;
            if (m->start > at)
                at = m->start;
            if (m->end < stop)
                stop = m->end;
            if (image_is_tracked(m)) {
                ret = m->flags & MAP_WRITE ? put_back(tr, im, at, stop)
                                           : put_back_constant(tr, im, m, at, stop);
                if (ret)
                    return ret;
            }
            at = stop;
        }
    }
    return 0;
}

int track_restore(struct track *tr, struct image *im, const struct trace *t, int scan)
{
    int ret = 0;

    tr->found = tr->copied = 0;
    STEP(REFILL_DROPPED)
        ret = refill(tr, im, &t->dropped);
    if (ret)
        return ret;
    if (tr->busy)
        ret = start_again(tr, im);
    tr->busy = 1;
    tr->now++;
    if (!ret && (scan || tr->sampling))
        STEP(FIND_NEW)
            ret = take_in(tr, im);
    if (ret)
        return ret;
    if (tr->sampling)
        end_sample(tr);
    if (tr->stale)
        make_runs(tr);
    STEP(COPY_HOT)
        copy_hot(tr);
    if (tr->now >= tr->sample_at)
        ret = begin_sample(tr, im);
    tr->busy = 0;
    return ret;
}
