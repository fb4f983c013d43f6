/* SPDX-License-Identifier: MIT */
/*
 * Pages that a request gave back to the kernel while nobody saw its calls: they
 * are not there to be found written, so what was there must be remembered.
 */
#ifndef LWCGI_LOST_H
#define LWCGI_LOST_H

#include "image.h"
#include "trace.h"

enum { LOST_REGIONS = 1 << 16, LOST_BATCH = 512 };

struct lost {
    uint32_t count;
    uint32_t unused;
    struct page_region filled[LOST_REGIONS]; /* with bytes of their own when armed; ascending */
    struct page_region batch[LOST_BATCH];
};

/* When armed: remembers which pages hold bytes of their own. Returns 0, -E2BIG
 * where there are too many stretches of them, or another -errno. */
int lost_record(struct lost *l, const struct image *im);

/* Notes as given back what no longer holds any. Returns 0 or -errno. */
int lost_find(struct lost *l, const struct image *im, struct ranges *dropped);

#endif
