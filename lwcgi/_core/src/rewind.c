/* SPDX-License-Identifier: MIT */
#include "rewind.h"

#include <fcntl.h>
#include <linux/futex.h>
#include <sched.h>
#include <string.h>
#include <sys/prctl.h>

#include "access.h"
#include "arming.h"
#include "channel.h"
#include "conn.h"
#include "direct.h"
#include "dispatch.h"
#include "files.h"
#include "guard.h"
#include "hand.h"
#include "loop.h"
#include "report.h"
#include "request.h"
#include "restore.h"
#include "step.h"
#include "trace.h"
#include "sys.h"
#include "undo.h"
#include "unshare.h"
#include "verify.h"

enum {
    USED_STACK = 12 * 1024, /* more than the loop uses between two requests */
    HIGH_FD = 1000,         /* where an application that closes everything does not reach */
};

/* After these the next request needs a new task. */
static const uint32_t NOT_IN_PLACE =
    TRACE_TASK | TRACE_WHOLE | TRACE_CHILDREN | TRACE_BLIND | TRACE_UNSHARED;
/* What a child may have done whose end nobody saw. */
static const uint32_t ANYTHING = TRACE_SCAN | TRACE_MAPS | TRACE_FILES | TRACE_CHILDREN;
static const uint64_t ALL_SIGNALS = ~0ull;

static uint64_t faults(void)
{
    struct rusage u;

    SYS(SYS_getrusage, RUSAGE_THREAD, &u, 0, 0, 0, 0);
    return (uint64_t)(u.ru_minflt + u.ru_majflt);
}

/* --- what the log says --------------------------------------------------------- */

/* The request is wiped before it is known how it was undone. */
static void note_request(struct keep *k)
{
    struct rewind *r = k->rewind;
    struct text t;

    /* Where the child has ended the request already, it has noted it too. */
    if (!k->cfg.verbose || k->rq.fd < 0)
        return;
    t = report_request(k, 'D');
    r->line_len = (uint32_t)(t.at - k->text);
    if (r->line_len > REWIND_LINE)
        r->line_len = REWIND_LINE;
    memcpy(r->line, k->text, r->line_len);
    memset(k->text, 0, (size_t)(t.at - k->text));
}

static void note_count(struct text *t, const char *before, uint64_t n, const char *after)
{
    text_str(t, before);
    text_num(t, n);
    text_str(t, after);
}

static void note_undone(struct keep *k, const struct trace *tr, enum undone how)
{
    static const char *const ways[] = {
        [UNDONE_IN_PLACE] = "in place",
        [UNDONE_NEW_TASK] = "with a new task",
        [UNDONE_AFTER_END] = "after its process ended",
        [UNDONE_NEW_WORKER] = "by a new worker",
    };
    struct rewind *r = k->rewind;
    struct text t = {k->text + r->line_len, k->text + KEEP_TEXT};

    access_undone(k, how, r->track.copied, now_ns() - r->undo_ns);
    if (!r->line_len)
        return;
    memcpy(k->text, r->line, r->line_len);
    text_str(&t, "undone ");
    text_str(&t, ways[how]);
    if (tr->why >= 0)
        note_count(&t, " after call ", (uint64_t)tr->why, "");
    note_count(&t, ", ", r->track.copied, " pages copied");
    note_count(&t, ", ", r->track.found, " found by a scan");
    note_count(&t, ", ", tr->traps, " calls seen");
    report_send(k, &t);
    memset(r->line, 0, r->line_len);
    r->line_len = 0;
}

/* --- the serving child --------------------------------------------------------- */

static void wipe_stack(const struct rewind *r)
{
    /* What the loop left below the frame that is about to be left for good. */
    uint8_t *low = r->loop_stack - USED_STACK, *here;

    __asm__ volatile("mov %%rsp, %0" : "=r"(here));
    here -= 512; /* this frame's red zone, and that of memset */
    if (low < here)
        memset(low, 0, (size_t)(here - low));
}

/* An end in order; an application can exit with any code by itself. */
static void __attribute__((noreturn)) leave(struct rewind *r)
{
    r->left = 1;
    sys_exit(CHANNEL_EXIT_LEFT);
}

/* --verify: is everything as it was frozen? */
static void verify(struct keep *k, struct inbox *in)
{
    struct rewind *r = k->rewind;
    struct text t;
    int ret;

    if (!r->recorded) {
        r->recorded = 1;
        ret = verify_record_child(r->verify);
        if (!ret)
            return;
    }
    t = report_start(k, 'E');
    text_str(&t, "verify: ");
    ret = verify_compare(r->verify, &t);
    if (ret == 0) {
        memset(k->text, 0, (size_t)(t.at - k->text));
        return;
    }
    report_send(k, &t);
    in->trace->flags |= TRACE_WHOLE;
    leave(r);
}

static void __attribute__((noreturn)) serve_next(struct keep *k, struct inbox *in)
{
    struct rewind *r = k->rewind;
    int ret;

    if (r->verify)
        verify(k, in);
    ret = loop_next(k, in);
    if (ret == 0)
        leave(r);
    if (ret < 0)
        sys_exit(1);
    if (r->blind) {
        in->trace->flags |= ANYTHING | TRACE_BLIND | TRACE_TASK;
        if (rewind_unshare(k, in))
            sys_exit(1);
    }
    wipe_stack(r);
    r->faults = faults();
    STEP(RESTORE_MASK)
        sys_sigprocmask(SIG_SETMASK, &in->frozen.app_mask, NULL);
    cpu_thaw(&r->cpu, 1);
}

/* On the loop's stack, after a request. */
static void finish(void *arg)
{
    struct inbox *in = arg;
    struct keep *k = in->keep;
    struct rewind *r = k->rewind;
    struct trace *t = in->trace;
    int ret;

    sys_sigprocmask(SIG_SETMASK, &ALL_SIGNALS, NULL);
    r->unhurt = faults() == r->faults;
    if (t->flags & NOT_IN_PLACE)
        leave(r);
    note_request(k);
    k->undo_follows = 1;
    direct_leave(k, in);
    r->undo_ns = now_ns();
    ret = restore_request(k, in);
    if (ret) {
        t->flags |= TRACE_WHOLE;
        leave(r);
    }
    k->count.in_place++;
    note_undone(k, t, UNDONE_IN_PLACE);
    trace_reset(t);
    serve_next(k, in);
}

static void child(void *arg)
{
    struct inbox *in = arg;
    struct keep *k = in->keep;
    struct rewind *r = k->rewind;

    guard_child_enter(k, in);
    sys_prctl(PR_SET_DUMPABLE, (unsigned long)in->frozen.dumpable);
    track_new_task(&r->track, in->pid);
    sys_setrlimit(RLIMIT_STACK, &r->stack_limit);
    SYS(SYS_set_robust_list, r->robust_list, r->robust_len, 0, 0, 0, 0);
    if (!r->blind && dispatch_on(r->altstack, REWIND_ALTSTACK))
        sys_exit(1);
    serve_next(k, in);
}

void rewind_leave(struct keep *k, struct inbox *in)
{
    cpu_leave(k->rewind->loop_stack, finish, in);
}

/* --- the descriptor table ------------------------------------------------------ */

int rewind_unshare(struct keep *k, struct inbox *in)
{
    struct rewind *r = k->rewind;
    struct trace *t = in->trace;
    int opened[TRACE_OPENED], count = (int)t->opened_count, spare[2];
    uint64_t one = 1;
    /* unshare(CLONE_FILES), in a form that profiles of containers let pass. */
    long ret = SYS(SYS_close_range, ~0u, ~0u, CLOSE_RANGE_UNSHARE, 0, 0, 0);

    if (ret)
        return (int)ret;
    memcpy(opened, t->opened, sizeof opened); /* the root forgets them */
    t->flags |= TRACE_UNSHARED;
    if (t->opened_count || t->saved_count) {
        __atomic_store_n(&r->asked, 0, __ATOMIC_RELEASE);
        if (sys_write(r->ask, &one, sizeof one) != (long)sizeof one)
            return -EIO;
        while (!__atomic_load_n(&r->asked, __ATOMIC_ACQUIRE))
            SYS(SYS_futex, &r->asked, FUTEX_WAIT_PRIVATE, 0, 0, 0, 0);
    }
    ret = sys_fcntl(k->rq.fd, F_DUPFD_CLOEXEC, HIGH_FD);
    k->rq.wire = ret < 0 ? k->rq.fd : (int)ret;
    spare[0] = k->rq.wire;
    spare[1] = k->cfg.events_fd;
    /* Where not all that the application opened is known, all may stay. */
    return t->flags & TRACE_FILES && !r->blind
               ? 0
               : files_close_except(&in->frozen, opened, count, spare, 2);
}

/* In the root: the child has a table of its own now. */
static void hand_back(struct guard *g)
{
    struct rewind *r = g->k->rewind;

    undo_opened(g->in);
    __atomic_store_n(&r->asked, 1, __ATOMIC_RELEASE);
    SYS(SYS_futex, &r->asked, FUTEX_WAKE_PRIVATE, 1, 0, 0, 0);
}

/* --- the root ------------------------------------------------------------------ */

/* Ends the worker: its memory is no longer that of the snapshot, so nothing of
 * the interpreter may run in it. A successor is forked from the application. */
static void __attribute__((noreturn)) be_replaced(struct keep *k, const char *why, int err)
{
    struct text t;

    access_undone(k, UNDONE_NEW_WORKER, 0, 0);
    t = report_start(k, 'W');
    text_str(&t, "worker ");
    text_num(&t, (uint64_t)k->cfg.worker);
    text_str(&t, " is replaced: ");
    text_str(&t, why);
    if (err < 0)
        note_count(&t, ", errno ", (uint64_t)-err, "");
    if (k->rewind->why >= 0)
        note_count(&t, ", after system call ", (uint64_t)k->rewind->why, "");
    report_send(k, &t);
    hand_all(k);
    report_counters(k);
    sys_exit(CHANNEL_EXIT_REPLACE);
}

/* What the root believes before it looks at a keep that a child shared, which
 * may have run wild. */
struct belief {
    struct guard *g;
    struct rewind *rewind;
    struct trace *trace;
    int events;
};

static int is_sound(const struct belief *b)
{
    const struct keep *k = b->g->k;
    const struct inbox *in = b->g->in;
    const struct trace *t = b->trace;
    const struct track *tr = &b->rewind->track;

    return in->keep == k && in->trace == t && k->rewind == b->rewind &&
           k->image == &b->rewind->image && k->track == tr && k->rq.fd < KEEP_MAX_FD &&
           k->top_fd >= 0 && k->top_fd < KEEP_MAX_FD && k->last_fd >= 0 &&
           k->last_fd < KEEP_MAX_FD && k->ready_at <= k->ready_count &&
           k->ready_count <= KEEP_BATCH && k->rtop <= KEEP_READ && k->otop <= KEEP_OUT &&
           k->control_len <= KEEP_CONTROL && k->rq.params_len <= k->cfg.max_params &&
           k->rq.known.count <= PARAMS_MAX_PAIRS && in->frozen.file_count <= KEEP_MAX_FILES &&
           b->rewind->image.count <= IMAGE_MAPPINGS && tr->count <= TRACK_PAGES &&
           tr->run_count <= TRACK_PAGES && t->own.count <= TRACE_RANGES &&
           t->dropped.count <= TRACE_RANGES && t->protected.count <= TRACE_RANGES &&
           k->line_len <= KEEP_TEXT - 2 && t->opened_count <= TRACE_OPENED &&
           t->saved_count <= TRACE_SAVED;
}

static void note_blind(struct keep *k)
{
    if (k->count.blind++ == 0 && !k->rewind->blind)
        report(k, 'I',
               "a request started threads, whose system calls cannot be seen: such requests need "
               "a new process each (numpy: OPENBLAS_NUM_THREADS=1)");
}

/* What a child had just accepted, or taken from the queue, when it was killed: the
 * connection, and after it the stash of its unfinished request, whose owner is known
 * no more. Without what was read of it the connection is of no use. */
static int adopt(struct keep *k, int fd)
{
    int ret = conn_add(k, fd);

    if (ret >= 0) {
        k->adopted = fd;
        k->conns[fd].last = 1; /* if it came from the queue it may be so */
    } else if (k->adopted >= 0) {
        conn_close(k, k->adopted);
        k->adopted = -1;
    }
    return ret;
}

/* The child has ended: finishes its request and undoes it. Returns 1 where the
 * worker is to stop. */
static int clear_up(struct guard *g)
{
    struct keep *k = g->k;
    struct inbox *in = g->in;
    struct trace *t = in->trace;
    struct rewind *r = k->rewind;
    struct ending how;
    int ret = task_reap(g->pid, &how), left, served;

    sys_close(g->pidfd);
    if (ret)
        be_replaced(k, "its serving process cannot be waited for", ret);
    k->owner = OWNER_ROOT;
    left = r->left && how.code == CLD_EXITED && how.status == CHANNEL_EXIT_LEFT;
    /* It died in its loop, before anything of the application's could be open:
     * what is not known was just accepted. */
    k->adopted = -1;
    if (!left && k->rq.fd < 0 && !t->flags && !t->traps && !t->opened_count)
        files_with_unknown(k, &in->frozen, adopt);
    if (!left)
        t->flags |= ANYTHING;
    r->why = t->why;
    if (t->flags & TRACE_CHILDREN) {
        ret = task_sweep(k);
        if (ret < 0)
            be_replaced(k, "what a request left running cannot be ended", ret);
    }
    note_request(k);
    served = k->rq.fd >= 0;
    k->rq.wire = k->rq.fd;
    k->undo_follows = 1;
    if (!left)
        guard_settle(g, &how);
    else if (k->rq.fd >= 0)
        direct_leave(k, in);
    r->undo_ns = now_ns();
    /* What cannot be put back is not tried: it may not even be writable. */
    r->track.copied = r->track.found = 0;
    ret = t->flags & TRACE_WHOLE ? 0 : restore_request(k, in);
    STEP(RESTORE_DUMPABLE) {
        sys_prctl(PR_SET_DUMPABLE, (unsigned long)in->frozen.dumpable);
        sys_prctl(PR_SET_THP_DISABLE, (unsigned long)r->thp_disabled);
    }
    if (t->flags & TRACE_BLIND)
        note_blind(k);
    if (t->flags & TRACE_WHOLE || ret) {
        k->count.new_workers++;
        note_undone(k, t, UNDONE_NEW_WORKER);
        be_replaced(k,
                    ret ? "its memory cannot be put back"
                        : "a request changed what only a new process can undo",
                    ret);
    }
    if (!left)
        k->count.ended++;
    else if (served)
        k->count.new_tasks++;
    note_undone(k, t, left ? UNDONE_NEW_TASK : UNDONE_AFTER_END);
    ret = t->flags & TRACE_FILES ? conn_rebuild(k, k->wake, SOURCE_WAKE) : 0;
    if (ret)
        be_replaced(k, "its connections cannot be watched", ret);
    dispatch_spare_stubs(t);
    trace_reset(t);
    return k->stopping || k->quick;
}

static int start_child(struct guard *g, struct keep *k, struct inbox *in)
{
    struct rewind *r = k->rewind;
    long pid;

    r->left = 0;
    /* Its pidfd must be known as the root's before it may look for leaked
     * descriptors. */
    pid = cpu_clone(CLONE_VM | CLONE_FILES | CLONE_PIDFD | CLONE_CHILD_SETTID | SIGCHLD,
                    r->loop_stack, &k->own[OWN_PIDFD], k->tid_address, child, in);
    if (pid < 0)
        return (int)pid;
    guard_start(g, k, in, (int)pid, k->own[OWN_PIDFD]);
    g->needed = r->image.holder_pidfd;
    g->ask = r->ask;
    g->answer = hand_back;
    return 0;
}

/* The holder is dead, and the child was killed: nothing can be put back. */
static void __attribute__((noreturn)) do_without_copy(struct guard *g)
{
    struct keep *k = g->k;
    struct ending how;
    int ret = task_reap(g->pid, &how);

    k->owner = OWNER_ROOT;
    k->rq.wire = k->rq.fd;
    if (!ret && task_sweep(k) >= 0)
        guard_settle(g, &how);
    be_replaced(k, "its frozen copy is gone", ret);
}

/* On the root's stack, once. Returns to Python in the frozen state. */
static int root(void *arg)
{
    struct inbox *in = arg;
    struct keep *k = in->keep;
    struct guard g;
    struct belief belief = {&g, k->rewind, in->trace, k->cfg.events_fd};
    static const char damaged[] = "E a request has damaged the worker's own memory: the worker is "
                                  "replaced, its connections are closed";
    int ret = arming_freeze(k, in);

    if (ret)
        return ret;
    do {
        k->rewind->why = -1;
        ret = start_child(&g, k, in);
        if (ret)
            be_replaced(k, "no serving process can be started", ret);
        ret = guard_watch(&g);
        if (ret == -ECHILD)
            do_without_copy(&g);
        if (ret)
            be_replaced(k, "its serving process cannot be watched", ret);
        /* Connections and answers of a keep that is not to be trusted end here:
         * the web server sees them closed. */
        if (!is_sound(&belief)) {
            sys_send(belief.events, damaged, sizeof damaged - 1, MSG_DONTWAIT | MSG_NOSIGNAL);
            sys_exit(CHANNEL_EXIT_REPLACE);
        }
    } while (!clear_up(&g));
    sys_kill(k->holder, SIGKILL);
    return 0;
}

int rewind_next(struct keep *k, struct inbox *in)
{
    return cpu_freeze(&k->rewind->cpu, k->rewind->root_stack, root, in);
}
