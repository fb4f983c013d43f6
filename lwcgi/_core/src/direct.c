/* SPDX-License-Identifier: MIT */
#include "direct.h"

#include <string.h>

#include "answer.h"
#include "conn.h"
#include "context.h"
#include "report.h"
#include "request.h"
#include "sys.h"

void direct_release(struct keep *k)
{
    __atomic_store_n(&k->owner, OWNER_NOBODY, __ATOMIC_RELEASE);
}

void direct_acquire(struct keep *k)
{
    uint32_t nobody = OWNER_NOBODY;

    while (!__atomic_compare_exchange_n(&k->owner, &nobody, OWNER_CHILD, 0, __ATOMIC_ACQUIRE,
                                        __ATOMIC_RELAXED)) {
        nobody = OWNER_NOBODY;
        sys_sched_yield(); /* the root holds it for the few calls a hand-over takes */
    }
}

static int lost(struct keep *k, int err)
{
    k->rq.poisoned = 1;
    return err;
}

int direct_write(struct keep *k, const void *data, size_t len, int last)
{
    const uint8_t *at = data;
    int ret, first;

    if (k->rq.answered || k->rq.poisoned)
        return -EPIPE;
    if (k->rehearsal) {
        k->rq.headers_sent = 1;
        k->rq.answered = (uint8_t)last;
        return 0;
    }
    if (!k->rq.headers_sent)
        answer_note_head(k, at, len);
    k->rq.bytes_out += len;
    do {
        size_t n = len < FCGI_CHUNK ? len : FCGI_CHUNK;
        int final = last && n == len;
        unsigned padding = answer_padding(n);
        uint8_t *tail = k->obuf + FCGI_HEADER_LEN;
        struct iovec iov[3] = {{k->obuf, 0}, {(void *)(uintptr_t)at, n}, {tail, padding}};

        if (n)
            iov[0].iov_len = fcgi_header(k->obuf, FCGI_STDOUT, k->rq.id, (unsigned)n, padding);
        else if (!final)
            return 0;
        if (final)
            iov[2].iov_len = answer_tail(k, tail, padding, 0);
        else
            memset(tail, 0, padding);
        /* Before the call: should this process die in it, the root must not
         * add a second answer to half of a first. */
        first = !k->rq.headers_sent;
        k->rq.ending = (uint8_t) final;
        k->rq.headers_sent = 1;
        ret = answer_send(k, iov, 3);
        if (ret)
            k->rq.ending = 0;
        if (first && (ret == -EBADF || ret == -ENOTSOCK)) {
            /* The application closed the connection in a table of its own: the
             * root still has it, and nothing was sent. */
            k->rq.headers_sent = 0;
            k->rq.unsent = 0;
            return ret;
        }
        if (ret)
            return lost(k, ret);
        at += n;
        len -= n;
        if (final)
            k->rq.answered = 1;
    } while (len);
    return 0;
}

long direct_read(struct keep *k, void *buf, size_t len)
{
    struct request *rq = &k->rq;
    struct pollfd p = {.fd = rq->wire, .events = POLLIN};

    if (len == 0 || k->rehearsal)
        return 0;
    for (;;) {
        int what = request_pump(k);
        long n;

        if (what == PUMP_SLICE) {
            if (len > rq->slice_len)
                len = rq->slice_len;
            memcpy(buf, k->rbuf + rq->slice_at, len);
            rq->slice_at += (uint32_t)len;
            rq->slice_len -= (uint32_t)len;
            return (long)len;
        }
        if (what == PUMP_STATE && rq->body == BODY_DONE)
            return 0;
        if (what == PUMP_STATE) {
            if (rq->body == BODY_ABORTED || rq->body == BODY_BROKEN)
                rq->poisoned = 1;
            return body_errno(rq->body);
        }
        if (request_send_control(k))
            return lost(k, -BODY_E_GONE);
        n = request_fill(k);
        if (n == -EAGAIN)
            n = sys_poll(&p, 1, -1);
        if (n == -EINTR)
            return n; /* the application's signal handlers run first */
        if (n <= 0)
            rq->body = BODY_BROKEN;
    }
}

void direct_leave(struct keep *k, struct inbox *in)
{
    if (k->rehearsal) {
        keep_forget_request(k, in);
        return;
    }
    if (!k->rq.answered)
        answer_instead(k);
    request_end(k, in);
}
