/* SPDX-License-Identifier: MIT */
#include "guard.h"

#include <sched.h>
#include <string.h>
#include <sys/prctl.h>

#include "answer.h"
#include "channel.h"
#include "conn.h"
#include "files.h"
#include "hand.h"
#include "report.h"
#include "request.h"
#include "signals.h"
#include "step.h"
#include "sys.h"

/* How often the root looks at its child. */
enum { TICK_MS = 25 };
static const uint64_t MERCY_NS = 1000000000;

void guard_child_enter(struct keep *k, struct inbox *in)
{
    struct rlimit no_core = {0, 0}, memory;

    STEP(DIE_WITH_ROOT)
        sys_prctl(PR_SET_PDEATHSIG, SIGKILL);
    STEP(OWN_GROUP)
        sys_setpgid(0, 0);
    if (sys_getppid() != in->frozen.root_pid)
        sys_exit(0);
    sys_setrlimit(RLIMIT_CORE, &no_core);
    if (in->frozen.max_request_memory) {
        memory.rlim_cur = memory.rlim_max = in->frozen.vsize + in->frozen.max_request_memory;
        sys_setrlimit(RLIMIT_AS, &memory);
    }
    in->pid = sys_getpid();
    k->owner = OWNER_CHILD;
}

/* The child holds the table while it serves; it lets go while the application
 * runs, and only then may the root touch it. */
static int take_table(struct keep *k)
{
    uint32_t nobody = OWNER_NOBODY;

    return __atomic_compare_exchange_n(&k->owner, &nobody, OWNER_ROOT, 0, __ATOMIC_ACQUIRE,
                                       __ATOMIC_RELAXED);
}

static void ask_to_end(struct guard *g, uint64_t now)
{
    struct keep *k = g->k;
    struct text t;

    if (g->overdue == 0) {
        k->count.timed_out++;
        t = report_request(k, 'E');
        text_str(&t, "no complete answer within ");
        text_num(&t, (uint64_t)k->cfg.timeout_ms);
        text_str(&t, " ms; its process is stopped, where it was stuck is in the log");
        report_send(k, &t);
    }
    sys_pidfd_send_signal(g->pidfd, g->overdue ? SIGKILL : SIGABRT);
    g->overdue++;
    g->deadline_ns = now + MERCY_NS;
}

/* The client went away or gave the request up: nobody waits for the answer. */
static int is_unwanted(struct keep *k)
{
    struct request *rq = &k->rq;

    /* A client may have the whole answer, and be gone, before that is noted. */
    if (rq->answered || rq->ending || rq->fd < 0)
        return 0;
    if (conn_peer_gone(k, rq->fd)) {
        rq->poisoned = 1;
        return 1;
    }
    /* Until the body is complete the child reads the connection itself. */
    if (rq->body == BODY_DONE && conn_peer_aborts(rq->fd, rq->id)) {
        rq->body = BODY_ABORTED;
        return 1;
    }
    return 0;
}

/* The application is running: is it overdue, is its client still there, do
 * other connections wait? */
static void look(struct guard *g)
{
    struct keep *k = g->k;
    uint64_t now = now_ns();

    if (!take_table(k))
        return;
    if (g->seen != k->rq.number) {
        g->seen = k->rq.number;
        g->deadline_ns = k->rq.deadline_ns;
        g->overdue = 0;
    } else {
        if (g->deadline_ns && now >= g->deadline_ns && g->overdue < 2) {
            ask_to_end(g, now);
        } else if (is_unwanted(k)) {
            k->count.aborted++;
            g->unwanted = k->rq.number;
            sys_pidfd_send_signal(g->pidfd, SIGKILL);
        }
        hand_ready(k);
    }
    __atomic_store_n(&k->owner, OWNER_NOBODY, __ATOMIC_RELEASE);
}

void guard_settle(struct guard *g, const struct ending *how)
{
    struct keep *k = g->k;
    struct request *rq = &k->rq;
    struct text t;

    if (rq->fd < 0 || rq->fd >= KEEP_MAX_FD || k->conns[rq->fd].state != CONN_BUSY) {
        report(k, 'W', "the serving process ended between two requests");
        keep_forget_request(k, g->in); /* it may have begun to take one up again */
        return;
    }
    if (g->unwanted && g->unwanted == rq->number) {
        t = report_request(k, 'D');
        text_str(&t, "the client went away");
    } else {
        k->count.crashed++;
        t = report_request(k, !g->overdue && task_crashed(how) ? 'C' : 'E');
        text_str(&t, how->code == CLD_EXITED ? "its process exited with code "
                                             : "its process was killed by signal ");
        text_num(&t, (uint64_t)how->status);
    }
    report_send(k, &t);
    rq->last = 1;
    if (!rq->answered)
        answer_instead(k);
    request_end(k, g->in);
}

static int clear_up(struct guard *g)
{
    struct keep *k = g->k;
    struct ending how;
    int ret;

    ret = task_reap(g->pid, &how);
    sys_close(g->pidfd);
    if (ret)
        return ret;
    k->owner = OWNER_ROOT;
    ret = task_sweep(k);
    if (ret < 0)
        return ret;
    if (k->stopping && how.code == CLD_EXITED && how.status == CHANNEL_EXIT_LEFT && k->rq.fd < 0)
        return 0;
    guard_settle(g, &how);
    ret = files_close_leaked(k, &g->in->frozen);
    if (ret < 0)
        return ret;
    return conn_rebuild(k, k->wake, SOURCE_WAKE);
}

void guard_start(struct guard *g, struct keep *k, struct inbox *in, int pid, int pidfd)
{
    g->k = k;
    g->in = in;
    g->pid = pid;
    g->overdue = 0;
    g->seen = g->unwanted = g->deadline_ns = 0;
    g->needed = g->ask = -1;
    g->pidfd = pidfd;
    k->count.contexts++;
}

int guard_watch(struct guard *g)
{
    struct keep *k = g->k;
    struct pollfd p[4] = {{.fd = g->pidfd, .events = POLLIN},
                          {.fd = k->signals, .events = POLLIN},
                          {.fd = g->ask, .events = POLLIN},
                          {.fd = g->needed, .events = POLLIN}};
    uint64_t one = 1, asked;

    for (;;) {
        int was = k->stopping;
        long n = sys_poll(p, 4, TICK_MS);

        if (n < 0 && n != -EINTR)
            return (int)n;
        if (p[0].revents & POLLIN)
            return 0;
        if (p[0].revents) {
            /* The application closed a descriptor of the root's: the table is
             * shared. It is the root's own child, so its pid is still its own. */
            sys_kill(g->pid, SIGKILL);
            return 0;
        }
        if (p[1].revents) {
            signals_read(k);
            task_reap_strays(g->pid);
            if (k->quick)
                sys_pidfd_send_signal(g->pidfd, SIGKILL);
            else if (k->stopping && !was)
                sys_write(k->wake, &one, sizeof one);
        }
        if (p[2].revents & POLLIN && sys_read(g->ask, &asked, sizeof asked) > 0)
            g->answer(g);
        if (p[3].revents) {
            sys_pidfd_send_signal(g->pidfd, SIGKILL);
            return -ECHILD;
        }
        look(g);
    }
}

int guard_run(struct keep *k, struct inbox *in)
{
    for (;;) {
        struct guard g;
        int ret;
        /* The child shares the descriptor table, so that a connection it
         * accepts outlives it. The C library has no fork that can do this;
         * the worker has one thread and holds no lock. */
        long pid = sys_clone(CLONE_FILES | CLONE_CHILD_SETTID | CLONE_CHILD_CLEARTID | SIGCHLD,
                             k->tid_address);

        if (pid == 0) {
            guard_child_enter(k, in);
            sys_prctl(PR_SET_DUMPABLE, (unsigned long)in->frozen.dumpable);
            sys_sigprocmask(SIG_SETMASK, &in->frozen.app_mask, NULL);
            return 1;
        }
        if (pid < 0)
            return (int)pid;
        ret = (int)sys_pidfd_open((int)pid);
        if (ret < 0)
            return ret;
        guard_start(&g, k, in, (int)pid, ret);
        ret = guard_watch(&g);
        if (!ret)
            ret = clear_up(&g);
        if (ret)
            return ret;
        if (k->stopping || k->quick)
            return 0;
    }
}
