/* SPDX-License-Identifier: MIT */
#include "keep.h"

#include <string.h>
#include <sys/mman.h>

#include "step.h"
#include "sys.h"

enum { PAGE = 4096 };

struct inbox *keep_inbox;

static size_t pages(size_t len)
{
    return (len + PAGE - 1) & ~(size_t)(PAGE - 1);
}

static int failed(long ret)
{
    return ret < 0 && ret > -4096;
}

long keep_map_guarded(size_t len, int sharing)
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

void keep_unmap_guarded(void *region, size_t len)
{
    sys_munmap((char *)region - PAGE, len + 2 * PAGE);
}

int keep_map(const struct lw_settings *cfg)
{
    size_t keep_len = pages(sizeof(struct keep) + cfg->max_params);
    size_t inbox_len = pages(sizeof(struct inbox) + cfg->max_params);
    /* The serving child of `none` or `lwc` and its root are two memories that
     * must see one keep. A context of `fork` must see none, nor what one of
     * `rewind` forks, whose own memory is the root's. */
    int shared = cfg->engine == ENGINE_NONE || cfg->engine == ENGINE_LWC;
    long k = keep_map_guarded(keep_len, shared ? MAP_SHARED : MAP_PRIVATE);
    struct keep *keep;
    long in, ret;

    if (failed(k))
        return (int)k;
    keep = (struct keep *)k;
    in = keep_map_guarded(inbox_len, MAP_PRIVATE);
    if (failed(in)) {
        keep_unmap_guarded(keep, keep_len);
        return (int)in;
    }
    ret = sys_madvise(keep, keep_len, MADV_DONTDUMP);
    if (!ret && !shared)
        STEP(HIDE_KEEP)
            ret = sys_madvise(keep, keep_len, MADV_DONTFORK);
    if (!ret)
        ret = sys_madvise((void *)in, inbox_len, MADV_DONTDUMP);
    if (ret) {
        keep_unmap_guarded(keep, keep_len);
        keep_unmap_guarded((void *)in, inbox_len);
        return (int)ret;
    }
    keep->size = keep_len;
    keep->cfg = *cfg;
    keep->rq.fd = -1;
    memset(keep->own, -1, sizeof keep->own);
    keep_inbox = (struct inbox *)in;
    keep_inbox->size = inbox_len;
    keep_inbox->keep = keep;
    keep_inbox->channel = keep_inbox->door = -1;
    keep_inbox->worker = cfg->worker;
    keep_inbox->frozen.ruleset = -1;
    keep_inbox->frozen.max_request_memory = cfg->max_request_memory;
    return 0;
}

void keep_unmap(void)
{
    struct inbox *inbox = keep_inbox;

    keep_inbox = NULL;
    if (inbox->keep)
        keep_unmap_guarded(inbox->keep, inbox->keep->size);
    keep_unmap_guarded(inbox, inbox->size);
}

static int is_one_of(const int32_t *list, int count, int fd)
{
    int i;

    for (i = 0; i < count; i++)
        if (list[i] == fd)
            return 1;
    return 0;
}

int keep_owns_fd(const struct keep *k, int fd)
{
    const int32_t own[] = {k->epoll,         k->signals,           k->wake,
                           k->cfg.events_fd, k->cfg.access_log_fd, k->cfg.queue_send,
                           k->cfg.queue_recv};
    int i;

    if (fd < KEEP_MAX_FD && k->conns[fd].state != CONN_FREE)
        return 1;
    for (i = 0; i <= k->top_fd; i++)
        if (k->conns[i].state != CONN_FREE && k->conns[i].stash == fd)
            return 1;
    return is_one_of(own, sizeof own / sizeof *own, fd) || is_one_of(k->own, KEEP_OWN, fd) ||
           is_one_of(k->cfg.listeners, k->cfg.listener_count, fd);
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
