/* SPDX-License-Identifier: MIT */
#include "request.h"

#include <string.h>

#include "access.h"
#include "answer.h"
#include "conn.h"
#include "hand.h"
#include "report.h"
#include "step.h"
#include "sys.h"

enum { DRAIN_MS = 2000 };

/* Bytes that the record or header under way still needs; 0 between two. */
static uint32_t record_left(const struct fcgi_parser *p)
{
    if (p->in_record)
        return p->content_left + p->padding_left;
    return p->head_len ? FCGI_HEADER_LEN - p->head_len : 0;
}

static int control(struct keep *k, const uint8_t *data, size_t len)
{
    if (k->control_len + len > KEEP_CONTROL)
        return -ENOBUFS;
    memcpy(k->control + k->control_len, data, len);
    k->control_len += (uint32_t)len;
    return 0;
}

int request_send_control(struct keep *k)
{
    long ret;
    uint32_t len = k->control_len;

    if (len == 0)
        return 0;
    k->control_len = 0;
    ret = sys_send(k->rq.wire, k->control, len, MSG_DONTWAIT | MSG_NOSIGNAL);
    return ret == (long)len ? 0 : ret < 0 ? (int)ret : -EAGAIN;
}

/* Events that mean the same at any time: management records, and a second
 * request on a connection that cannot be multiplexed. Returns 0, or -1 where
 * the connection is lost. */
static int any_time(struct keep *k, const struct fcgi_event *ev)
{
    uint8_t reply[FCGI_VALUES_MAX];
    size_t len = 0;

    switch (ev->kind) {
    case FCGI_EV_GET_VALUES:
        len = fcgi_values(reply, ev->data, ev->len, k->conn_limit * k->cfg.workers, k->cfg.workers);
        if (len == 0)
            return -1;
        break;
    case FCGI_EV_UNKNOWN_TYPE:
        len = fcgi_unknown_type(reply, ev->type);
        break;
    case FCGI_EV_BEGIN:
        if (ev->id == k->rq.id)
            return -1;
        len = fcgi_end_request(reply, ev->id, 0, FCGI_CANT_MPX_CONN);
        break;
    default:
        return 0; /* records of inactive requests are ignored */
    }
    return control(k, reply, len);
}

static int ours(const struct keep *k, const struct fcgi_event *ev)
{
    return k->rq.begun && ev->id == k->rq.id;
}

static void begin(struct keep *k, const struct fcgi_event *ev)
{
    uint8_t reply[16];

    if (ev->role != FCGI_RESPONDER && ev->role != FCGI_AUTHORIZER) {
        fcgi_end_request(reply, ev->id, 0, FCGI_UNKNOWN_ROLE);
        control(k, reply, sizeof reply);
        k->rq.poisoned |= !(ev->flags & FCGI_KEEP_CONN);
        return;
    }
    k->rq.begun = 1;
    k->rq.id = ev->id;
    k->rq.role = ev->role;
    k->rq.keep_conn = ev->flags & FCGI_KEEP_CONN;
    k->rq.started_ns = now_ns();
}

static void params(struct keep *k, const struct fcgi_event *ev)
{
    struct request *rq = &k->rq;

    if (ev->end) {
        rq->params_done = 1;
    } else if (rq->params_len + (uint64_t)ev->len > k->cfg.max_params) {
        rq->params_too_large = 1;
    } else {
        memcpy(k->params + rq->params_len, ev->data, ev->len);
        rq->params_len += ev->len;
    }
}

static void complain(struct keep *k, const char *why)
{
    struct text t = report_start(k, 'W');

    text_str(&t, "a connection was closed: ");
    text_str(&t, why);
    report_send(k, &t);
}

/* Parses until the parameters are complete or rbuf is used up. Returns 0, or
 * -1 where the connection must be closed. */
static int parse_head(struct keep *k)
{
    const uint8_t *at = k->rbuf + k->rpos, *end = k->rbuf + k->rend;
    struct request *rq = &k->rq;
    struct fcgi_event ev;
    int lost = 0;

    while (!rq->params_done && !lost) {
        int kind = fcgi_next(&rq->parser, &at, end, &ev);
        if (kind == FCGI_EV_NEED_MORE)
            break;
        if (kind == FCGI_EV_ERROR) {
            complain(k, ev.error);
            lost = -1;
        } else if (kind == FCGI_EV_BEGIN && !rq->begun) {
            begin(k, &ev);
        } else if (kind == FCGI_EV_PARAMS && ours(k, &ev)) {
            params(k, &ev);
        } else if (kind == FCGI_EV_ABORT && ours(k, &ev)) {
            rq->body = BODY_ABORTED;
            rq->params_done = 1;
        } else if (kind == FCGI_EV_STDIN && ours(k, &ev)) {
            complain(k, "STDIN before the end of PARAMS");
            lost = -1;
        } else if (any_time(k, &ev)) {
            complain(k, "a second BEGIN_REQUEST of the same id, or too many management records");
            lost = -1;
        } else {
            rq->skipped = 1;
        }
    }
    k->rpos = (uint32_t)(at - k->rbuf);
    return lost;
}

/* The parameters are complete: decode them. Returns NULL or the status line of
 * the refusal. */
static const char *decode(struct keep *k, struct inbox *in)
{
    struct request *rq = &k->rq;
    long len;
    int length;

    if (rq->params_too_large)
        return "431 Request Header Fields Too Large";
    len = params_decode(k->params, rq->params_len, in->block, k->pairs, &rq->known);
    if (len == PARAMS_TOO_MANY)
        return "431 Request Header Fields Too Large";
    if (len < 0) {
        in->block_len = rq->params_len; /* all that may have been written */
        return "400 Bad Request";
    }
    in->block_len = (uint32_t)len;
    if (rq->role == FCGI_AUTHORIZER) {
        rq->body = BODY_DONE; /* an Authorizer gets no body (section 6.3) */
        return NULL;
    }
    length = params_content_length(&rq->known.content_length, &rq->content_length);
    if (length < 0)
        return "400 Bad Request";
    rq->has_length = length == 0;
    if (rq->has_length && rq->content_length > k->cfg.max_body)
        return "413 Content Too Large";
    return NULL;
}

static int over(struct keep *k, struct inbox *in)
{
    request_end(k, in);
    return REQUEST_OVER;
}

static int close_over(struct keep *k, struct inbox *in)
{
    k->rq.poisoned = 1;
    return over(k, in);
}

/* Everything that can be known before a context is entered. */
static int start(struct keep *k, struct inbox *in)
{
    struct request *rq = &k->rq;
    const char *refusal = NULL;

    rq->number = ++k->count.requests;
    if (rq->body == BODY_ABORTED) {
        answer_end(k, 0);
        k->count.aborted++;
        return over(k, in);
    }
    refusal = decode(k, in);
    if (!refusal && rq->body == BODY_MORE) {
        request_pump(k);
        if (rq->body == BODY_WRONG_LENGTH)
            refusal = "400 Bad Request";
        else if (rq->body == BODY_TOO_LARGE)
            refusal = "413 Content Too Large";
        else if (rq->body == BODY_BROKEN)
            return close_over(k, in);
        if (request_send_control(k))
            return close_over(k, in);
    }
    if (refusal) {
        answer_refuse(k, refusal);
        return over(k, in);
    }
    in->role = rq->role;
    in->number = rq->number;
    in->has_body = !(rq->body == BODY_DONE && rq->slice_len == 0) &&
                   !(rq->has_length && rq->content_length == 0);
    if (k->cfg.timeout_ms)
        rq->deadline_ns = now_ns() + (uint64_t)k->cfg.timeout_ms * 1000000;
    return REQUEST_READY;
}

static int at_border(const struct request *rq)
{
    return !rq->begun && record_left(&rq->parser) == 0;
}

/* Nothing more to read now. */
static int put_aside(struct keep *k, struct inbox *in)
{
    int fd = k->rq.fd, ret = 0;

    if (at_border(&k->rq)) {
        if (k->rq.poisoned)
            return close_over(k, in);
        conn_drop_stash(k, fd);
        keep_forget_request(k, in);
        conn_wait(k, fd, CONN_IDLE);
        return REQUEST_WAIT;
    }
    ret = conn_stash(k);
    if (ret) {
        complain(k, "its unfinished request could not be put aside");
        return close_over(k, in);
    }
    keep_forget_request(k, in);
    conn_wait(k, fd, CONN_READING);
    return REQUEST_WAIT;
}

/* The rest of an earlier request's body may lie in rbuf: what was read last is
 * parsed up to rpos, what was read before reached further. */
static void wipe_skipped(struct keep *k)
{
    if (!k->rq.skipped)
        return;
    memset(k->rbuf, 0, k->rpos);
    memset(k->rbuf + k->rend, 0, k->rtop - k->rend);
}

int request_read(struct keep *k, struct inbox *in, int fd)
{
    struct conn *c = &k->conns[fd];
    struct request *rq = &k->rq;
    long n;

    if (c->state == CONN_READING && conn_unstash(k, fd)) {
        rq->fd = rq->wire = fd;
        return close_over(k, in);
    }
    rq->fd = rq->wire = fd;
    rq->last = c->last;
    c->state = CONN_BUSY;
    for (;;) {
        n = request_fill(k);
        if (n == -EAGAIN)
            return put_aside(k, in);
        if (n <= 0)
            return close_over(k, in);
        if (parse_head(k) || request_send_control(k))
            return close_over(k, in);
        if (rq->params_done)
            break;
    }
    conn_drop_stash(k, fd);
    STEP(WIPE_SKIPPED)
        wipe_skipped(k);
    return start(k, in);
}

long request_fill(struct keep *k)
{
    uint32_t room = KEEP_READ, left = record_left(&k->rq.parser);
    long n;

    /* After its answer the peer may send the next request: what is read of the
     * present one must end exactly where that one begins. */
    if (k->rq.answered)
        room = !left ? FCGI_HEADER_LEN : left < KEEP_READ ? left : KEEP_READ;
    do
        n = sys_recv(k->rq.wire, k->rbuf, room, MSG_DONTWAIT);
    while (n == -EINTR);
    k->rpos = 0;
    k->rend = n > 0 ? (uint32_t)n : 0;
    if (k->rend > k->rtop)
        k->rtop = k->rend;
    return n;
}

static void body_event(struct keep *k, const struct fcgi_event *ev)
{
    struct request *rq = &k->rq;

    if (ev->end) {
        rq->body =
            rq->has_length && rq->body_seen != rq->content_length ? BODY_WRONG_LENGTH : BODY_DONE;
        return;
    }
    rq->body_seen += ev->len;
    if (rq->has_length && rq->body_seen > rq->content_length)
        rq->body = BODY_WRONG_LENGTH;
    else if (rq->body_seen > k->cfg.max_body)
        rq->body = BODY_TOO_LARGE;
    else {
        rq->slice_at = (uint32_t)(ev->data - k->rbuf);
        rq->slice_len = ev->len;
    }
}

/* Nothing that follows the current request's last record may be found in
 * memory while its context runs. */
static void wipe_rest(struct keep *k, uint32_t from)
{
    memset(k->rbuf + from, 0, k->rend - from);
}

int request_pump(struct keep *k)
{
    const uint8_t *at = k->rbuf + k->rpos, *end = k->rbuf + k->rend;
    struct request *rq = &k->rq;
    uint32_t body_end = k->rpos;
    struct fcgi_event ev;

    if (rq->slice_len)
        return PUMP_SLICE;
    while (rq->slice_len == 0 && rq->body != BODY_BROKEN && rq->body != BODY_ABORTED) {
        int kind = fcgi_next(&rq->parser, &at, end, &ev);
        if (kind == FCGI_EV_NEED_MORE)
            break;
        if (kind == FCGI_EV_ERROR)
            rq->body = BODY_BROKEN;
        else if (kind == FCGI_EV_ABORT && ours(k, &ev))
            rq->body = BODY_ABORTED;
        else if (kind == FCGI_EV_STDIN && ours(k, &ev)) {
            rq->stdin_over |= ev.end;
            if (rq->body == BODY_MORE)
                body_event(k, &ev);
        } else if (any_time(k, &ev))
            rq->body = BODY_BROKEN;
        if (rq->body == BODY_MORE)
            body_end = (uint32_t)(at - k->rbuf);
    }
    k->rpos = (uint32_t)(at - k->rbuf);
    if (rq->slice_len)
        return PUMP_SLICE;
    if (rq->body != BODY_MORE && body_end < k->rend)
        wipe_rest(k, body_end);
    return rq->body == BODY_MORE ? PUMP_NEED : PUMP_STATE;
}

static int is_lost(const struct request *rq)
{
    return rq->body == BODY_BROKEN || rq->body == BODY_ABORTED;
}

/* Nothing of the request is left to come that is not ignored wherever it is
 * read: a kept connection may go on between any two records of a request that
 * was answered (section 3.3). Apache leaves the rest of a body out when it has
 * the answer. */
static int is_read(struct keep *k)
{
    struct request *rq = &k->rq;

    if (rq->stdin_over && !is_lost(rq))
        rq->body = BODY_DONE;
    return (rq->body == BODY_DONE || (rq->keep_conn && !is_lost(rq))) && k->rpos == k->rend &&
           record_left(&rq->parser) == 0;
}

void request_drain(struct keep *k)
{
    struct request *rq = &k->rq;
    uint64_t until = now_ns() + DRAIN_MS * 1000000ull, now;
    struct pollfd p = {.fd = rq->wire, .events = POLLIN};

    while (!is_read(k) && !is_lost(rq)) {
        /* The lengths were already judged: only the end of the stream counts. */
        if (rq->body != BODY_DONE)
            rq->body = BODY_MORE;
        rq->has_length = 0;
        rq->body_seen = 0;
        rq->slice_len = 0;
        if (k->rpos < k->rend) {
            request_pump(k);
            continue;
        }
        now = now_ns();
        if (now >= until || sys_poll(&p, 1, (int)((until - now) / 1000000) + 1) == 0 ||
            request_fill(k) == 0)
            break;
    }
    if (!is_read(k))
        rq->poisoned = 1;
    if (!rq->poisoned && request_send_control(k))
        rq->poisoned = 1;
}

/* May the connection wait for another request? */
static int is_kept(struct keep *k, int fd)
{
    struct request *rq = &k->rq;
    char byte;

    if (!rq->answered || !rq->keep_conn || rq->poisoned || rq->farewell)
        return 0;
    if (!rq->last)
        return 1;
    /* The context failed after its answer was out, so the web server could not
     * be told. Where it has put a request on the connection already, that one
     * is served: it must not be lost. */
    k->conns[fd].last = 1;
    return sys_recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 1;
}

void request_end(struct keep *k, struct inbox *in)
{
    struct request *rq = &k->rq;
    int fd = rq->fd, kept;

    if (rq->answered && !is_read(k))
        request_drain(k);
    if (rq->params_done && rq->known.count)
        access_note(k);
    if (request_send_control(k))
        rq->poisoned = 1;
    k->control_len = 0;
    kept = is_kept(k, fd);
    keep_forget_request(k, in);
    if (!kept) {
        conn_close(k, fd);
        return;
    }
    conn_wait(k, fd, CONN_IDLE);
    /* A worker that stops serves what had come; what comes now is for others. */
    if (k->stopping && k->conns[fd].state == CONN_IDLE)
        hand_over(k, fd);
}
