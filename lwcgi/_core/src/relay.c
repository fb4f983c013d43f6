/* SPDX-License-Identifier: MIT */
#include "relay.h"

#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "answer.h"
#include "channel.h"
#include "conn.h"
#include "context.h"
#include "hand.h"
#include "report.h"
#include "request.h"
#include "signals.h"
#include "step.h"
#include "sys.h"
#include "task.h"

/* A context told to dump its traceback and end gets this long to do so. */
static const uint64_t MERCY_NS = 1000000000;
/* How often a busy worker looks whether its idle connections have work. */
enum { HAND_MS = 20 };
/* A client that takes nothing of a finished answer for this long is gone. */
static const uint64_t STALL_NS = 10000000000;
/* The most descriptors one message can carry (SCM_MAX_FD of the kernel). */
enum { MAX_PASSED = 253 };
/* More log lines than this from one request are a flood. */
enum { MAX_LINES = 10000 };

enum { POLL_CHANNEL, POLL_CONN, POLL_TASK, POLL_SIGNALS, POLL_COUNT };

struct relay {
    struct keep *k;
    int channel;
    int pid;
    int pidfd;
    int dead;       /* the context has ended */
    int drained;    /* … and everything it said was read */
    int complete;   /* it said its answer was complete */
    int gone;       /* the client went away, or asked to abort */
    int overdue;    /* 1: asked to end, 2: killed */
    int body_told;  /* the end of the body was passed on */
    int input_over; /* the client shut its side down */
    int hung_up;    /* it closed its end of the channel but lives on */
    int lines;      /* of log it sent */
    uint64_t stall_ns;
    uint64_t hand_ns;
    struct ending how;
};

static void stop(struct relay *r, int sig)
{
    if (!r->dead)
        sys_pidfd_send_signal(r->pidfd, sig);
}

static void client_gone(struct relay *r)
{
    if (r->gone || r->k->rq.answered)
        return;
    r->gone = 1;
    r->k->rq.poisoned = 1;
    r->k->opos = r->k->oend = 0;
    r->k->count.aborted++;
    STEP(NOTICE_GONE)
        stop(r, SIGKILL);
}

/* The last byte of the answer is out. */
static void answered(struct relay *r)
{
    struct keep *k = r->k;

    k->rq.answered = 1;
    k->rq.deadline_ns = 0;
    if (k->cfg.after_response_ms)
        k->rq.deadline_ns = now_ns() + (uint64_t)k->cfg.after_response_ms * 1000000;
}

/* Sends what waits in obuf as far as the client takes it. */
static void flush_out(struct relay *r)
{
    struct keep *k = r->k;
    long n = sys_send(k->rq.fd, k->obuf + k->opos, k->oend - k->opos, MSG_DONTWAIT | MSG_NOSIGNAL);

    if (n == -EAGAIN || n == -EINTR)
        return;
    if (n < 0) {
        client_gone(r);
        return;
    }
    k->opos += (uint32_t)n;
    if (k->opos == k->oend && r->complete)
        answered(r);
}

static void log_line(struct relay *r, const uint8_t *message, size_t len)
{
    char level = len ? (char)message[0] : 'E';
    struct text t;

    if (++r->lines > MAX_LINES)
        return;
    if (level == 'N') { /* said once per worker, not once per request */
        if (r->k->noted)
            return;
        r->k->noted = 1;
        level = 'I';
    }
    /* In small letters: whatever it is, it comes from the context. */
    t = report_request(r->k, memchr("DIWE", level, 4) ? (char)(level | 32) : 'e');
    if (r->lines == MAX_LINES)
        text_str(&t, "its further log lines are dropped; this is the last: ");
    if (len)
        text_escaped(&t, message + 1, len - 1);
    report_send(r->k, &t);
}

static void answer_part(struct relay *r, size_t len, int last)
{
    struct keep *k = r->k;
    uint8_t *content = k->obuf + FCGI_HEADER_LEN;
    uint32_t start = 0, end = 0;
    unsigned padding = answer_padding(len);

    if (r->gone)
        return;
    if (!k->rq.headers_sent)
        answer_note_head(k, content, len);
    k->rq.headers_sent = 1;
    k->rq.bytes_out += len;
    r->complete = last;
    if (len) {
        fcgi_header(k->obuf, FCGI_STDOUT, k->rq.id, (unsigned)len, padding);
        end = (uint32_t)(FCGI_HEADER_LEN + len);
        memset(k->obuf + end, 0, padding);
        end += padding;
    } else {
        start = end = FCGI_HEADER_LEN;
    }
    if (last)
        end += (uint32_t)answer_tail(k, k->obuf + end, 0, 0);
    keep_out_used(k, end);
    k->opos = start;
    flush_out(r);
}

/* A context has no reason to send descriptors. The last reference of a socket
 * with SO_LINGER would make the root wait in close(2), so each is disarmed. */
static int drop_descriptors(struct msghdr *msg)
{
    const struct linger off = {0, 0};
    struct cmsghdr *c;
    int dropped = 0;

    for (c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
        size_t at, end = c->cmsg_len - CMSG_LEN(0);
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
            continue;
        for (at = 0; at + sizeof(int) <= end; at += sizeof(int)) {
            int fd;
            memcpy(&fd, CMSG_DATA(c) + at, sizeof fd);
            sys_setsockopt(fd, SOL_SOCKET, SO_LINGER, &off, sizeof off);
            sys_close(fd);
            dropped++;
        }
    }
    return dropped;
}

/* Takes one message. Returns 0 where none waits. */
static int take_message(struct relay *r)
{
    struct keep *k = r->k;
    char kind = 0;
    union {
        struct cmsghdr head;
        char room[CMSG_SPACE(MAX_PASSED * sizeof(int))];
    } control;
    struct iovec iov[2] = {{&kind, 1}, {k->obuf + FCGI_HEADER_LEN, FCGI_CHUNK}};
    struct msghdr msg = {.msg_iov = iov,
                         .msg_iovlen = 2,
                         .msg_control = control.room,
                         .msg_controllen = sizeof control};
    long n = sys_recvmsg(r->channel, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    size_t len;

    /* A context that ends with body bytes unread resets the channel; what it
     * said before is still there. */
    if (n == -ECONNRESET)
        return 1;
    if (n == -EAGAIN || n == -EINTR)
        return 0;
    if (n <= 0) {
        r->hung_up = 1;
        return 0;
    }
    len = (size_t)n - 1;
    if (FCGI_HEADER_LEN + len > k->otop)
        k->otop = (uint32_t)(FCGI_HEADER_LEN + len);
    if (drop_descriptors(&msg) || msg.msg_flags & (MSG_TRUNC | MSG_CTRUNC))
        kind = 0;
    if (kind == CHANNEL_LOG)
        log_line(r, k->obuf + FCGI_HEADER_LEN, len);
    else if ((kind == CHANNEL_OUT || kind == CHANNEL_LAST) && !r->complete)
        answer_part(r, len, kind == CHANNEL_LAST);
    else {
        stop(r, SIGKILL);
    }
    return 1;
}

/* Passes one part of the body on, or its end. Returns -EAGAIN where the channel
 * is full. */
static int pass_part(struct relay *r, int what)
{
    struct request *rq = &r->k->rq;
    uint8_t state = rq->body;
    char kind = what == PUMP_SLICE      ? CHANNEL_BODY
                : rq->body == BODY_DONE ? CHANNEL_BODY_END
                                        : CHANNEL_BODY_BAD;
    struct iovec iov[2] = {{&kind, 1}, {&state, 1}};
    struct msghdr msg = {.msg_iov = iov, .msg_iovlen = 2};
    long n;

    if (what == PUMP_SLICE)
        iov[1] = (struct iovec){r->k->rbuf + rq->slice_at, rq->slice_len};
    n = sys_sendmsg(r->channel, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n == -EAGAIN || n == -EINTR)
        return -EAGAIN;
    if (n < 0) {
        /* The context closed its end; whether it gave an answer shows when it
         * ends. The rest of the body is drained then. */
        r->body_told = 1;
        if (n != -EPIPE && n != -ECONNRESET)
            stop(r, SIGKILL); /* it would wait for a body that never ends */
    } else if (what == PUMP_SLICE)
        rq->slice_len = 0;
    else
        r->body_told = 1;
    return 0;
}

/* Looks at what the client sent: passes the body on, notices an abort, answers
 * management records. Returns 1 where the channel is full. */
static int take_input(struct relay *r)
{
    struct keep *k = r->k;
    struct request *rq = &k->rq;

    while (!r->dead && !r->gone && !rq->answered) {
        int what = request_pump(k);

        if (rq->body == BODY_ABORTED || rq->body == BODY_BROKEN)
            client_gone(r);
        else if (what == PUMP_NEED || r->body_told)
            break;
        else if (pass_part(r, what))
            return 1;
    }
    /* Only between two records of the answer. */
    if (k->control_len && !r->gone && k->opos == k->oend && request_send_control(k))
        client_gone(r);
    return 0;
}

static void conn_readable(struct relay *r)
{
    struct keep *k = r->k;
    long n = request_fill(k);

    if (n == -EAGAIN)
        return;
    if (n == 0 && k->rq.body != BODY_MORE && !k->conns[k->rq.fd].is_tcp) {
        r->input_over = 1; /* it has sent all it wanted, and waits for the answer */
        return;
    }
    if (n <= 0) {
        k->rq.body = BODY_BROKEN;
        client_gone(r);
    }
}

static void time_is_up(struct relay *r, uint64_t now)
{
    struct keep *k = r->k;
    struct text t;

    if (!k->rq.deadline_ns || now < k->rq.deadline_ns || r->dead || r->overdue == 2)
        return;
    if (r->overdue == 0) {
        k->count.timed_out++;
        t = report_request(k, 'E');
        text_str(&t, k->rq.answered ? "hooks after the response took more than "
                                    : "no complete answer within ");
        text_num(&t, (uint64_t)(k->rq.answered ? k->cfg.after_response_ms : k->cfg.timeout_ms));
        text_str(&t, " ms; its context is stopped, where it was stuck is in the log");
        report_send(k, &t);
    }
    /* SIGABRT makes faulthandler write the traceback of the stuck code. */
    STEP(TIME_LIMIT)
        stop(r, r->overdue ? SIGKILL : SIGABRT);
    r->overdue++;
    k->rq.deadline_ns = r->overdue == 2 ? 0 : now + MERCY_NS;
}

static int poll_timeout(const struct keep *k, uint64_t now)
{
    uint64_t ms = 60000;

    if (k->rq.deadline_ns)
        ms = now < k->rq.deadline_ns ? (k->rq.deadline_ns - now) / 1000000 + 1 : 0;
    if (k->open_conns > 1 && ms > HAND_MS)
        ms = HAND_MS;
    return (int)ms;
}

/* What to wait for. */
static void want(struct relay *r, struct pollfd *p)
{
    struct keep *k = r->k;
    int full = take_input(r);

    p[POLL_CHANNEL] = (struct pollfd){.fd = r->dead || r->hung_up ? -1 : r->channel};
    p[POLL_CONN] = (struct pollfd){.fd = r->gone || k->rq.answered ? -1 : k->rq.fd};
    p[POLL_TASK] = (struct pollfd){.fd = r->dead ? -1 : r->pidfd, .events = POLLIN};
    p[POLL_SIGNALS] = (struct pollfd){.fd = k->signals, .events = POLLIN};
    /* No more of the answer is taken from the context than the client takes:
     * that is the back-pressure. */
    if (k->opos < k->oend)
        p[POLL_CONN].events |= POLLOUT;
    else
        p[POLL_CHANNEL].events |= POLLIN;
    if (full)
        p[POLL_CHANNEL].events |= POLLOUT;
    else if (k->rq.slice_len == 0 && !r->input_over && !r->dead)
        p[POLL_CONN].events |= POLLIN;
    if (p[POLL_CHANNEL].events == 0)
        p[POLL_CHANNEL].fd = -1;
}

/* The context may have ended, but what it said last still counts. */
static int wait_ms(const struct relay *r)
{
    if (r->dead)
        return r->k->opos < r->k->oend ? 1000 : 0;
    return poll_timeout(r->k, now_ns());
}

static void clocks(struct relay *r)
{
    struct keep *k = r->k;
    uint64_t now = now_ns();

    time_is_up(r, now);
    if (r->dead && k->opos < k->oend && (now > r->stall_ns || r->overdue || k->quick))
        client_gone(r);
    if (k->open_conns > 1 && now >= r->hand_ns) {
        if (r->hand_ns)
            hand_ready(k);
        r->hand_ns = now + HAND_MS * 1000000ull;
    }
}

/* One wait and what follows from it. Returns 0 or -errno. */
static int turn(struct relay *r)
{
    struct keep *k = r->k;
    struct pollfd p[POLL_COUNT];
    long n;

    want(r, p);
    n = sys_poll(p, POLL_COUNT, wait_ms(r));
    if (n < 0 && n != -EINTR)
        return (int)n;
    if (p[POLL_SIGNALS].revents) {
        signals_read(k);
        if (k->stopping || k->quick)
            conn_listen(k, 0);
    }
    if (p[POLL_TASK].revents) {
        r->dead = 1;
        r->stall_ns = now_ns() + STALL_NS;
        /* What it said stays readable; nobody it left behind can add to it. */
        sys_shutdown(r->channel, SHUT_RD);
        n = task_reap(r->pid, &r->how);
        if (n)
            return (int)n;
    }
    if (p[POLL_CONN].revents & POLLOUT)
        flush_out(r);
    if (p[POLL_CONN].revents & p[POLL_CONN].events & POLLIN)
        conn_readable(r);
    else if (p[POLL_CONN].revents & (POLLHUP | POLLERR))
        client_gone(r);
    if (k->opos == k->oend && (r->dead || p[POLL_CHANNEL].revents & (POLLIN | POLLHUP)) &&
        !take_message(r))
        r->drained = r->dead;
    clocks(r);
    if (k->quick)
        stop(r, SIGKILL);
    return 0;
}

static void describe(struct relay *r, struct text *t)
{
    if (r->how.code == CLD_EXITED) {
        text_str(t, "its context exited with code ");
        text_num(t, (uint64_t)r->how.status);
    } else {
        text_str(t, "its context was killed by signal ");
        text_num(t, (uint64_t)r->how.status);
    }
    text_str(t, r->k->rq.answered       ? " after its answer"
                : r->k->rq.headers_sent ? " in the middle of its answer"
                                        : " before its answer");
}

/* The context has ended: what does the client get? */
static void settle(struct relay *r)
{
    struct keep *k = r->k;
    struct text t;

    if (r->gone) {
        t = report_request(k, 'D');
        text_str(&t, "the client went away");
        report_send(k, &t);
        if (k->rq.body == BODY_ABORTED && !k->rq.headers_sent)
            answer_end(k, 0);
        return;
    }
    if (k->rq.answered && r->how.code == CLD_EXITED && r->how.status == CHANNEL_EXIT_LEFT)
        return;
    k->count.crashed++;
    t = report_request(k, !r->overdue && task_crashed(&r->how) ? 'C' : 'E');
    describe(r, &t);
    report_send(k, &t);
    STEP(CUT_CONNECTION) {
        k->rq.last = 1;
        k->rq.poisoned |= !k->rq.answered;
    }
    STEP(ANSWER_CRASH)
        if (!k->rq.headers_sent)
            answer_refuse(k, "500 Internal Server Error");
    STEP(BREAK_ANSWER)
        if (!k->rq.answered)
            answer_break(k);
}

static int finish(struct relay *r, struct inbox *in)
{
    struct keep *k = r->k;
    int killed;

    sys_close(r->channel);
    sys_close(r->pidfd);
    killed = task_sweep(k);
    if (killed < 0)
        report(k, 'E', "processes left by a request could not be killed: this worker is replaced");
    else if (killed > 0) {
        struct text t = report_request(k, 'W');
        k->count.leftovers_killed += (uint64_t)killed;
        text_str(&t, "left processes behind, killed: ");
        text_num(&t, (uint64_t)killed);
        report_send(k, &t);
    }
    settle(r);
    request_end(k, in);
    return killed < 0 ? killed : 0;
}

static int cannot_fork(struct keep *k, struct inbox *in, const char *why)
{
    struct text t = report_request(k, 'E');

    text_str(&t, why);
    report_send(k, &t);
    answer_refuse(k, "503 Service Unavailable");
    request_end(k, in);
    return 0;
}

int relay_serve(struct keep *k, struct inbox *in)
{
    struct relay r = {.k = k, .body_told = !in->has_body};
    int pair[2], ret;

    if (sys_socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, pair))
        return cannot_fork(k, in, "no channel for a new context: out of descriptors or memory");
    in->channel = pair[1];
    /* The C library's own fork, so that pthread_atfork handlers run. */
    r.pid = fork();
    if (r.pid == 0) {
        context_enter(in);
        return 1;
    }
    in->channel = -1;
    sys_close(pair[1]);
    r.channel = pair[0];
    if (r.pid < 0) {
        sys_close(pair[0]);
        return cannot_fork(k, in, "no new context: fork failed, out of memory or processes");
    }
    k->count.contexts++;
    r.pidfd = (int)sys_pidfd_open(r.pid);
    if (r.pidfd < 0) {
        sys_kill(r.pid, SIGKILL);
        task_reap(r.pid, &r.how);
        sys_close(pair[0]);
        return cannot_fork(k, in, "no new context: out of descriptors");
    }
    while (!r.dead || !r.drained) {
        ret = turn(&r);
        if (ret)
            return ret;
    }
    return finish(&r, in);
}
