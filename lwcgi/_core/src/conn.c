/* SPDX-License-Identifier: MIT */
#include "conn.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/mman.h>

#include "report.h"
#include "sys.h"

/* How long a peer may take for a request's parameters once it has begun. */
static const uint64_t READ_NS = 10ull * 1000000000;

/* How long to leave the listeners alone when the kernel has no room. */
static const uint64_t PAUSE_NS = 100000000;

static int watch(int ep, int source, int fd, uint32_t events)
{
    struct epoll_event ev = {.events = events};

    ev.data.u64 = (uint64_t)source << 32 | (uint32_t)fd;
    return (int)sys_epoll_ctl(ep, EPOLL_CTL_ADD, fd, &ev);
}

int conn_listen(struct keep *k, int on)
{
    int i, ret = 0;

    if (k->listening == on)
        return 0;
    k->listening = on;
    for (i = 0; i < k->cfg.listener_count && ret == 0; i++)
        if (on)
            /* Exclusive: one idle worker wakes for a connection, not all. */
            ret = watch(k->epoll, SOURCE_LISTENER, k->cfg.listeners[i], EPOLLIN | EPOLLEXCLUSIVE);
        else
            ret = (int)sys_epoll_ctl(k->epoll, EPOLL_CTL_DEL, k->cfg.listeners[i], NULL);
    if (ret == 0 && on)
        ret = watch(k->epoll, SOURCE_QUEUE, k->cfg.queue_recv, EPOLLIN | EPOLLEXCLUSIVE);
    else if (ret == 0)
        ret = (int)sys_epoll_ctl(k->epoll, EPOLL_CTL_DEL, k->cfg.queue_recv, NULL);
    return ret;
}

int conn_setup(struct keep *k, int extra, int extra_source)
{
    long ep = sys_epoll_create(EPOLL_CLOEXEC);
    int ret;

    if (ep < 0)
        return (int)ep;
    k->epoll = (int)ep;
    k->listening = 0;
    ret = watch(k->epoll, extra_source, extra, EPOLLIN);
    return ret ? ret : conn_listen(k, 1);
}

int conn_rebuild(struct keep *k, int extra, int extra_source)
{
    int ret, i, old = k->epoll;

    ret = conn_setup(k, extra, extra_source);
    if (ret)
        return ret;
    /* Under the number it had: contexts of `rewind` share the table. */
    ret = (int)sys_dup3(k->epoll, old, O_CLOEXEC);
    if (ret < 0)
        return ret;
    sys_close(k->epoll);
    k->epoll = old;
    k->open_conns = 0;
    /* What the process that died has noted may be anything (`none`). */
    if (k->ready_at > k->ready_count || k->ready_count > KEEP_BATCH)
        k->ready_at = k->ready_count = 0;
    if (k->last_fd < 0 || k->last_fd > k->top_fd)
        k->last_fd = 0;
    /* They are told of in the order in which they come in here: after the last that
     * was served, or where each request ends its process the first would be all
     * that is ever served. */
    for (i = 0; i <= k->top_fd; i++) {
        int fd = (k->last_fd + 1 + i) % (k->top_fd + 1);
        struct conn *c = &k->conns[fd];
        if (c->state == CONN_FREE)
            continue;
        k->open_conns++;
        c->polled = 0;
        if (c->state == CONN_BUSY) /* it died before it put this one away */
            conn_close(k, fd);
        else
            conn_wait(k, fd, c->state);
    }
    return k->stopping || k->listen_again_ns || k->open_conns >= k->conn_limit ? conn_listen(k, 0)
                                                                               : 0;
}

int conn_add(struct keep *k, int fd)
{
    return conn_take_over(k, fd, -1, 0);
}

int conn_take_over(struct keep *k, int fd, int stash, int last)
{
    struct stat st;
    int type = 0;
    socklen_t len = sizeof type;
    struct conn *c;

    /* A descriptor from the queue was sent by another worker, which under
     * `none` runs application code: look before using it. */
    if (fd >= KEEP_MAX_FD || sys_fstat(fd, &st) || !S_ISSOCK(st.st_mode) ||
        sys_getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &type, &len)) {
        sys_close(fd);
        if (stash >= 0)
            sys_close(stash);
        return -EBADF;
    }
    if (fd > k->top_fd)
        k->top_fd = fd;
    c = &k->conns[fd];
    memset(c, 0, sizeof *c);
    c->is_tcp = type != AF_UNIX;
    c->stash = stash;
    c->last = (uint8_t)last;
    if (stash >= 0)
        conn_set_deadline(k, fd);
    /* Last: a process may be killed here, and what is noted by halves is not noted. */
    __atomic_store_n(&c->state, stash >= 0 ? CONN_READING : CONN_IDLE, __ATOMIC_RELEASE);
    if (++k->open_conns >= k->conn_limit)
        conn_listen(k, 0);
    return fd;
}

/* May this client connect? Unix sockets have permissions instead. */
static int is_allowed(const struct keep *k, int fd)
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    struct sockaddr_in6 peer = {0};
    socklen_t len = sizeof peer;
    uint8_t ip[16];
    int i;

    if (sys_getpeername(fd, &peer, &len))
        return 0;
    if (peer.sin6_family == AF_INET) {
        struct sockaddr_in *ipv4 = (struct sockaddr_in *)&peer;
        memcpy(ip, mapped, sizeof mapped);
        memcpy(ip + sizeof mapped, &ipv4->sin_addr, 4);
    } else {
        memcpy(ip, &peer.sin6_addr, sizeof ip);
    }
    for (i = 0; i < k->cfg.client_count; i++)
        if (memcmp(ip, k->cfg.clients[i], sizeof ip) == 0)
            return 1;
    return peer.sin6_family != AF_INET && peer.sin6_family != AF_INET6;
}

static int refuse(struct keep *k, int fd)
{
    if (!k->refused)
        report(k, 'W', "refused a client that is not among --allowed-clients; told only once");
    k->refused = 1;
    sys_close(fd);
    return -ECONNABORTED;
}

int conn_accept(struct keep *k, int listener)
{
    long fd = sys_accept4(listener, SOCK_NONBLOCK | SOCK_CLOEXEC);

    if (fd >= 0 && k->cfg.client_count && !is_allowed(k, (int)fd))
        return refuse(k, (int)fd);
    if (fd < 0 && fd != -EAGAIN && fd != -EINTR && fd != -ECONNABORTED) {
        /* The connection stays in the backlog for a worker that has room. */
        if (!k->quiet)
            report(k, 'W',
                   fd == -EMFILE || fd == -ENFILE
                       ? "no descriptors left for new connections: raise ulimit -n"
                       : "the kernel refuses new connections for now");
        k->quiet = 1;
        conn_listen(k, 0);
        k->listen_again_ns = now_ns() + PAUSE_NS;
    }
    return fd < 0 ? (int)fd : conn_add(k, (int)fd);
}

void conn_close(struct keep *k, int fd)
{
    /* Whoever inherited the descriptor would keep the peer waiting for the end. */
    sys_shutdown(fd, SHUT_WR);
    conn_forget(k, fd);
}

void conn_forget(struct keep *k, int fd)
{
    struct conn *c = &k->conns[fd];

    if (c->polled)
        /* A process that inherited the descriptor would keep it in the set. */
        sys_epoll_ctl(k->epoll, EPOLL_CTL_DEL, fd, NULL);
    if (c->stash >= 0)
        sys_close(c->stash);
    sys_close(fd);
    memset(c, 0, sizeof *c);
    c->stash = -1;
    k->open_conns--;
    k->quiet = 0;
    if (!k->listening && !k->stopping && !k->listen_again_ns && k->open_conns < k->conn_limit)
        conn_listen(k, 1);
}

void conn_wait(struct keep *k, int fd, int state)
{
    struct conn *c = &k->conns[fd];

    c->state = (uint8_t)state;
    if (c->polled)
        return;
    if (watch(k->epoll, SOURCE_CONN, fd, EPOLLIN | EPOLLRDHUP)) {
        report(k, 'W', "a connection could not be watched and was closed");
        conn_close(k, fd);
        return;
    }
    c->polled = 1;
}

_Static_assert(sizeof(struct request) == 848, "another layout: raise REQUEST_LAYOUT");

int conn_stash(struct keep *k)
{
    struct conn *c = &k->conns[k->rq.fd];
    long ret;

    if (c->stash < 0) {
        ret = sys_memfd_create("lwcgi-unfinished", MFD_CLOEXEC);
        if (ret < 0)
            return (int)ret;
        c->stash = (int)ret;
    }
    k->rq.layout = REQUEST_LAYOUT;
    ret = sys_pwrite(c->stash, &k->rq, sizeof k->rq, 0);
    if (ret != (long)sizeof k->rq)
        return ret < 0 ? (int)ret : -EIO;
    ret = sys_pwrite(c->stash, k->params, k->rq.params_len, sizeof k->rq);
    if (ret != (long)k->rq.params_len)
        return ret < 0 ? (int)ret : -EIO;
    if (!c->deadline_ns)
        conn_set_deadline(k, k->rq.fd);
    return 0;
}

void conn_set_deadline(struct keep *k, int fd)
{
    struct conn *c = &k->conns[fd];

    c->deadline_ns = now_ns() + READ_NS;
    if (!k->next_deadline_ns || c->deadline_ns < k->next_deadline_ns)
        k->next_deadline_ns = c->deadline_ns;
}

void conn_drop_stash(struct keep *k, int fd)
{
    struct conn *c = &k->conns[fd];

    if (c->stash >= 0)
        sys_close(c->stash);
    c->stash = -1;
    c->deadline_ns = 0;
}

int conn_unstash(struct keep *k, int fd)
{
    struct conn *c = &k->conns[fd];
    struct request *rq = &k->rq;
    long ret = sys_pread(c->stash, rq, sizeof *rq, 0);

    /* Another worker may have written it, which under `none` runs application
     * code: what has no place in an unfinished request is not believed. */
    if (ret != (long)sizeof *rq || rq->layout != REQUEST_LAYOUT ||
        rq->params_len > k->cfg.max_params || rq->parser.head_len > FCGI_HEADER_LEN ||
        rq->parser.small_len > FCGI_SMALL) {
        memset(rq, 0, sizeof *rq);
        return -EIO;
    }
    memset(&rq->known, 0, sizeof rq->known);
    rq->answered = rq->headers_sent = rq->params_done = 0;
    rq->slice_len = rq->unsent = 0;
    ret = sys_pread(c->stash, k->params, rq->params_len, sizeof *rq);
    return ret == (long)rq->params_len ? 0 : -EIO;
}

static int is_readable(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};

    return sys_poll(&p, 1, 0) == 1;
}

void conn_expire(struct keep *k, uint64_t now)
{
    uint64_t next = 0;
    int fd;

    if (!k->next_deadline_ns || now < k->next_deadline_ns)
        return;
    for (fd = 0; fd <= k->top_fd; fd++) {
        struct conn *c = &k->conns[fd];
        if (c->state != CONN_READING)
            continue;
        if (c->deadline_ns <= now && !is_readable(fd)) {
            report(k, 'W', "a connection was closed: its request did not arrive within 10 s");
            conn_close(k, fd);
        } else if (!next || c->deadline_ns < next) {
            next = c->deadline_ns;
        }
    }
    /* A late one whose rest has come is about to be read. */
    if (next && next <= now)
        next = now + PAUSE_NS;
    k->next_deadline_ns = next;
}

int conn_peer_gone(struct keep *k, int fd)
{
    /* On a Unix socket POLLHUP means both directions are closed. TCP cannot
     * tell a closed peer from one that only finished sending; web servers do
     * not half-close, so the end of their stream counts as gone. */
    short asked = k->conns[fd].is_tcp ? POLLRDHUP : 0;
    struct pollfd p = {.fd = fd, .events = asked};

    return sys_poll(&p, 1, 0) == 1 && p.revents & (POLLHUP | POLLERR | POLLRDHUP);
}

int conn_peer_aborts(int fd, unsigned id)
{
    uint8_t head[FCGI_HEADER_LEN], abort[FCGI_HEADER_LEN];

    fcgi_header(abort, FCGI_ABORT_REQUEST, id, 0, 0);
    return sys_recv(fd, head, sizeof head, MSG_PEEK | MSG_DONTWAIT) == (long)sizeof head &&
           memcmp(head, abort, sizeof head) == 0;
}
