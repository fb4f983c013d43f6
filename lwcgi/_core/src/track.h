/* SPDX-License-Identifier: MIT */
/*
 * Putting pages back: which pages of the image requests write, which of them
 * are worth being left writable and copied back every time (the hot set), and
 * the shadow, the snapshot's bytes of those pages.
 */
#ifndef LWCGI_TRACK_H
#define LWCGI_TRACK_H

#include <stdint.h>

#include "image.h"
#include "trace.h"

enum {
    TRACK_PAGES = 16384, /* pages that are remembered */
    SHADOW_PAGES = 8192, /* … of which so many have their bytes in the shadow */
    TRACK_BATCH = 512,
    NO_SLOT = -1,
};

struct page {
    uint64_t at;
    int32_t slot;   /* in the shadow; NO_SLOT */
    uint32_t seen;  /* the request that last was seen to write it */
    uint8_t heat;   /* sightings shortly one after another */
    uint8_t misses; /* samples in which it was not written */
    uint8_t hot;
    uint8_t pinned; /* hot for ever */
};

/* One stretch of memory whose bytes lie together in the shadow as well. */
struct run {
    uint64_t at;
    uint64_t len;
    uint8_t *from;
};

struct track {
    uint8_t *shadow; /* SHADOW_PAGES pages */
    int *tid;        /* the word of the image that differs from task to task */
    int32_t tid_value;
    uint32_t busy; /* the tables are being changed: after a kill they are no use */
    uint32_t count;
    uint32_t hot_count;
    uint32_t run_count;
    uint32_t slots_used;
    uint32_t now;       /* requests since arming */
    uint32_t sample_at; /* when the hot set is looked at again */
    uint32_t sample_every;
    uint32_t sampling;              /* the hot set is write-protected, to see what is written */
    uint32_t found;                 /* pages the last undo found by a scan */
    uint32_t copied;                /* … copied in all */
    uint32_t stale;                 /* the runs are to be made anew */
    struct page pages[TRACK_PAGES]; /* ascending */
    struct run runs[TRACK_PAGES];
    struct page_region batch[TRACK_BATCH];
    uint64_t fresh[TRACK_PAGES]; /* pages found in this scan that were not known */
};

/* Starts with the page of `tid` as its only hot one. Returns 0 or -errno. */
int track_start(struct track *tr, struct image *im, int *tid);

/* A new task serves: to it, its number belongs to the snapshot. */
void track_new_task(struct track *tr, int tid);

enum { TRACK_UNEXPLAINED = 1 }; /* a page was written that cannot be put back */

/* Puts every page back. `scan`: others than the hot set may have been written.
 * Returns 0, TRACK_UNEXPLAINED, or -errno. */
int track_restore(struct track *tr, struct image *im, const struct trace *t, int scan);

#endif
