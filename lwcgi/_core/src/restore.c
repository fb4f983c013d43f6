/* SPDX-License-Identifier: MIT */
#include "restore.h"

#include <string.h>
#include <sys/mman.h>

#include "arming.h"
#include "files.h"
#include "remap.h"
#include "step.h"
#include "sys.h"
#include "trace.h"
#include "undo.h"

/* What the request made inaccessible must be written to before it is protected
 * as it was. */
static int open_protected(const struct image *im, const struct ranges *changed)
{
    uint32_t i;

    for (i = 0; i < changed->count; i++) {
        uint64_t at = changed->at[i].start, end = changed->at[i].end;
        const struct mapping *m;

        for (m = image_from(im, at); m && m->start < end; m = image_from(im, m->end)) {
            uint64_t start = m->start > at ? m->start : at, stop = m->end < end ? m->end : end;
            int exec = m->flags & MAP_EXEC ? PROT_EXEC : 0;
            long ret = sys_mprotect((void *)start, stop - start, PROT_READ | PROT_WRITE | exec);
            if (ret)
                return (int)ret;
        }
    }
    return 0;
}

int restore_request(struct keep *k, struct inbox *in)
{
    struct rewind *r = k->rewind;
    struct trace *t = in->trace;
    int scan = t->flags & TRACE_SCAN || !r->unhurt;
    int ret = undo_descriptors(in), bad;
    struct whole whole;

    if (t->dropped.lost)
        return 1; /* what is gone cannot be found */
    /* Offsets and locks are those of the open file, which a table shares. */
    if (!ret && t->flags & TRACE_BLIND)
        ret = files_reopen(&in->frozen, &bad);
    if (!ret && t->flags & TRACE_FILES)
        ret = files_close_leaked(k, &in->frozen) < 0 ? -EIO : 0;
    if (!ret)
        ret = open_protected(&r->image, &t->protected);
    if (!ret)
        ret = undo_mappings(k, in);
    if (!ret && (t->flags & TRACE_MAPS || t->own.lost || t->protected.lost))
        ret = remap_restore(&r->image, r->now);
    if (ret)
        return ret;
    if (t->flags & TRACE_BLIND) {
        arming_look_at_whole(&whole);
        if (memcmp(&whole, &r->whole, sizeof whole)) {
            t->flags |= TRACE_WHOLE;
            return 0;
        }
        ret = lost_find(&r->lost, &r->image, &t->dropped);
        if (ret || t->dropped.lost)
            return ret ? ret : 1;
    }
    if (scan)
        k->count.scans++;
    ret = track_restore(&r->track, &r->image, t, scan);
    k->count.pages += r->track.copied;
    if (!ret)
        STEP(RESTORE_PROTECTION)
            ret = undo_protection(k, in);
    return ret;
}
