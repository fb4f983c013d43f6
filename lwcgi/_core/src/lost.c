/* SPDX-License-Identifier: MIT */
#include "lost.h"

#include <fcntl.h>
#include <string.h>

#include "sys.h"

/* Is anything of this process swapped out ("VmSwap:", proc(5))? Where it cannot
 * be told, it may be. */
static int has_swapped(void)
{
    char text[4096];
    long fd = sys_open("/proc/self/status", O_RDONLY | O_CLOEXEC, 0), n;
    const char *at;

    if (fd < 0)
        return 1;
    n = sys_read((int)fd, text, sizeof text - 1);
    sys_close((int)fd);
    text[n > 0 ? n : 0] = 0;
    at = strstr(text, "VmSwap:");
    return !at || at[7 + strspn(at + 7, " \t")] != '0';
}

int lost_record(struct lost *l, const struct image *im)
{
    uint64_t at = 0;
    int swapped = has_swapped();
    long n;

    l->count = 0;
    do {
        n = image_filled(im, &at, l->filled + l->count, LOST_REGIONS - l->count, swapped);
        if (n < 0)
            return (int)n;
        l->count += (uint32_t)n;
        if (at && l->count == LOST_REGIONS)
            return -E2BIG;
    } while (at);
    return 0;
}

int lost_find(struct lost *l, const struct image *im, struct ranges *dropped)
{
    uint64_t at = 0, from = l->count ? l->filled[0].start : 0;
    uint32_t i = 0;
    long n, k;

    /* `from` is what of filled[i] has not been found yet. */
    do {
        n = image_filled(im, &at, l->batch, LOST_BATCH, 0);
        if (n < 0)
            return (int)n;
        for (k = 0; k < n; k++) {
            const struct page_region *now = &l->batch[k];
            while (i < l->count && now->end > from) {
                uint64_t end = l->filled[i].end;
                if (now->start > from)
                    ranges_add(dropped, from, now->start < end ? now->start : end);
                if (now->end < end) {
                    from = now->end;
                    break;
                }
                i++;
                from = i < l->count ? l->filled[i].start : 0;
            }
        }
    } while (at);
    for (; i < l->count; i++, from = i < l->count ? l->filled[i].start : 0)
        ranges_add(dropped, from, l->filled[i].end);
    return 0;
}
