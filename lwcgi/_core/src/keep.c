/* SPDX-License-Identifier: MIT */
#include "keep.h"

#include <string.h>
#include <sys/mman.h>

#include "step.h"
#include "sys.h"

enum { PAGE = 4096 };

static size_t pages(size_t len)
{
    return (len + PAGE - 1) & ~(size_t)(PAGE - 1);
}

static int failed(long ret)
{
    return ret < 0 && ret > -4096;
}

/* A region between two guard pages, at an address the kernel picks. */
static long map_guarded(size_t len, int sharing)
{
    long at = sys_mmap(NULL, len + 2 * PAGE, PROT_NONE, sharing | MAP_ANONYMOUS | MAP_NORESERVE);
    long ret;

    if (failed(at))
        return at;
    ret = sys_mprotect((char *)at + PAGE, len, PROT_READ | PROT_WRITE);
    if (ret) {
        sys_munmap((void *)at, len + 2 * PAGE);
        return ret;
    }
    return at + PAGE;
}

static void unmap_guarded(void *region, size_t len)
{
    sys_munmap((char *)region - PAGE, len + 2 * PAGE);
}

int keep_map(const struct lw_settings *cfg, struct inbox **inbox)
{
    size_t keep_len = pages(sizeof(struct keep) + cfg->max_params);
    size_t inbox_len = pages(sizeof(struct inbox) + cfg->max_params);
    /* The serving child of `none` and its root are two processes that must
     * see one keep; a context of `fork` must see none. */
    int forked = cfg->engine == ENGINE_FORK;
    long k = map_guarded(keep_len, forked ? MAP_PRIVATE : MAP_SHARED);
    struct keep *keep;
    long in, ret;

    if (failed(k))
        return (int)k;
    keep = (struct keep *)k;
    in = map_guarded(inbox_len, MAP_PRIVATE);
    if (failed(in)) {
        unmap_guarded(keep, keep_len);
        return (int)in;
    }
    ret = sys_madvise(keep, keep_len, MADV_DONTDUMP);
    if (!ret && forked)
        STEP(HIDE_KEEP)
            ret = sys_madvise(keep, keep_len, MADV_DONTFORK);
    if (!ret)
        ret = sys_madvise((void *)in, inbox_len, MADV_DONTDUMP);
    if (ret) {
        unmap_guarded(keep, keep_len);
        unmap_guarded((void *)in, inbox_len);
        return (int)ret;
    }
    keep->size = keep_len;
    keep->cfg = *cfg;
    keep->rq.fd = -1;
    *inbox = (struct inbox *)in;
    (*inbox)->size = inbox_len;
    (*inbox)->keep = keep;
    (*inbox)->channel = -1;
    (*inbox)->worker = cfg->worker;
    (*inbox)->frozen.max_request_memory = cfg->max_request_memory;
    return 0;
}

void keep_unmap(struct inbox *inbox)
{
    if (inbox->keep)
        unmap_guarded(inbox->keep, inbox->keep->size);
    unmap_guarded(inbox, inbox->size);
}

void keep_forget_request(struct keep *k, struct inbox *in)
{
    memset(k->params, 0, k->rq.params_len);
    memset(k->rbuf, 0, k->rtop);
    memset(k->obuf, 0, k->otop);
    memset(k->pairs, 0, k->rq.known.count * sizeof k->pairs[0]);
    memset(&k->rq, 0, sizeof k->rq);
    k->rq.fd = -1;
    k->rpos = k->rend = k->rtop = k->opos = k->oend = k->otop = 0;
    STEP(WIPE_REQUEST)
        memset(in->block, 0, in->block_len);
    memset(in->message, 0, in->message_at + in->message_len);
    in->block_len = in->message_at = in->message_len = 0;
    in->body_error = in->body_over = in->headers_sent = in->finished = 0;
}
