/* SPDX-License-Identifier: MIT */
#include "loop.h"

#include "conn.h"
#include "hand.h"
#include "report.h"
#include "request.h"
#include "signals.h"
#include "sys.h"
#include "task.h"

/* One worker is woken for a new connection (EPOLLEXCLUSIVE). Where that is one
 * that is just being killed nobody else would come: so often the others look. */
enum { LOOK_MS = 1000 };

static int wait_ms(const struct keep *k)
{
    uint64_t now, until = k->next_deadline_ns;

    if (k->stopping)
        return 0;
    if (k->listen_again_ns && (!until || k->listen_again_ns < until))
        until = k->listen_again_ns;
    if (!until)
        return LOOK_MS;
    now = now_ns();
    if (until >= now + LOOK_MS * 1000000ull)
        return LOOK_MS;
    return now < until ? (int)((until - now) / 1000000) + 1 : 0;
}

/* Nothing was heard of: has come what nobody was told of? */
static void look_for_new(struct keep *k)
{
    k->more_new = 1;
    k->took_new = 0;
    k->ready[0].data.u64 = (uint64_t)SOURCE_QUEUE << 32 | (uint32_t)k->cfg.queue_recv;
    k->ready_count = 1;
}

/* Fills the batch of events. Returns 0, or -errno. An empty batch while
 * stopping means that no request is left to serve. */
static int next_batch(struct keep *k)
{
    long n = sys_epoll_wait(k->epoll, k->ready, KEEP_BATCH, wait_ms(k));
    uint64_t now = now_ns();

    k->ready_at = 0;
    k->ready_count = n > 0 ? (uint32_t)n : 0;
    conn_expire(k, now);
    if (k->listen_again_ns && now >= k->listen_again_ns) {
        k->listen_again_ns = 0;
        if (!k->stopping)
            conn_listen(k, 1);
    }
    if (n == 0 && k->listening && !k->stopping)
        look_for_new(k);
    return n < 0 && n != -EINTR ? (int)n : 0;
}

/* A listener's event waits behind those of all kept connections, so a busy
 * worker looks for new ones by itself: once in so many turns, and every other
 * turn while there are any. */
enum { LOOK_EVERY = 8 };

static int is_new_ones_turn(const struct keep *k)
{
    if (!k->listening || k->stopping)
        return 0;
    return k->more_new ? !k->took_new : k->turns >= LOOK_EVERY;
}

/* Takes a new connection. Returns 1 where a request is ready on it. */
static int take_new(struct keep *k, struct inbox *in, int listener)
{
    int fd = conn_accept(k, listener);

    k->more_new = fd >= 0;
    return fd >= 0 && request_read(k, in, fd) == REQUEST_READY;
}

static int take_any_new(struct keep *k, struct inbox *in)
{
    int i;

    k->took_new = 1;
    k->turns = 0;
    for (i = 0; i < k->cfg.listener_count && k->listening; i++) {
        int ready = take_new(k, in, k->cfg.listeners[i]);
        if (ready || k->more_new)
            return ready;
    }
    return 0;
}

/* Is there no room for another? Of what the queue passes the kernel would drop the
 * descriptors. What is heard of waits, and is told again. */
static int is_full(const struct keep *k)
{
    return !k->listening && !k->stopping;
}

static int is_ready(int outcome)
{
    return outcome == REQUEST_READY;
}

/* Deals with one event. Returns 1 where a request is ready. */
static int handle(struct keep *k, struct inbox *in, const struct epoll_event *ev)
{
    int fd = fd_of(ev);
    uint64_t count;

    /* Also while stopping: this may be the one worker that was woken for it
     * (EPOLLEXCLUSIVE), and then nobody else would come. */
    switch (source_of(ev)) {
    case SOURCE_LISTENER:
        return is_full(k) ? 0 : take_new(k, in, fd);
    case SOURCE_QUEUE:
        if (is_full(k))
            return 0;
        fd = hand_take(k);
        return fd >= 0 && is_ready(request_read(k, in, fd));
    case SOURCE_SIGNAL:
        signals_read(k);
        task_reap_strays(0);
        if (k->stopping)
            conn_listen(k, 0);
        return 0;
    case SOURCE_WAKE:
        sys_read(fd, &count, sizeof count);
        conn_listen(k, 0);
        return 0;
    default:
        /* The batch may name a connection that was closed since. */
        if (k->conns[fd].state != CONN_IDLE && k->conns[fd].state != CONN_READING)
            return 0;
        k->last_fd = fd;
        return is_ready(request_read(k, in, fd));
    }
}

int loop_next(struct keep *k, struct inbox *in)
{
    for (;;) {
        int ret;

        if (k->quick)
            return 0;
        if (is_new_ones_turn(k)) {
            if (take_any_new(k, in))
                return 1;
            continue;
        }
        k->took_new = 0;
        k->turns++;
        if (k->ready_at < k->ready_count) {
            if (handle(k, in, &k->ready[k->ready_at++]))
                return 1;
            continue;
        }
        ret = next_batch(k);
        if (ret)
            return ret;
        if (k->stopping && k->ready_count == 0)
            return 0;
    }
}
