/* SPDX-License-Identifier: MIT */
#include "core.h"

#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>

#include "channel.h"
#include "conn.h"
#include "context.h"
#include "direct.h"
#include "files.h"
#include "guard.h"
#include "hand.h"
#include "loop.h"
#include "relay.h"
#include "report.h"
#include "signals.h"
#include "step.h"
#include "sys.h"

/* Part of CPython's stable ABI (3.7 and later). */
extern void PyOS_BeforeFork(void);
extern void PyOS_AfterFork_Parent(void);
extern void PyOS_AfterFork_Child(void);
extern int PyGILState_Ensure(void);
extern void PyGILState_Release(int);

#ifdef LWCGI_MUTATIONS
unsigned char lw_skipped[STEP_COUNT];

void lw_skip(int step)
{
    lw_skipped[step] = 1;
}
#endif

/* The only writable variable of the core. */
static struct inbox *inbox;

int lw_create(const struct lw_settings *cfg)
{
    if (cfg->listener_count > KEEP_LISTENERS)
        return -E2BIG;
    return keep_map(cfg, &inbox);
}

/* Bytes of address space now, the first number of /proc/self/statm. */
static int read_vsize(uint64_t *bytes)
{
    char text[64];
    uint64_t pages = 0;
    long fd = sys_open("/proc/self/statm", O_RDONLY | O_CLOEXEC, 0), n, i;

    if (fd < 0)
        return (int)fd;
    n = sys_read((int)fd, text, sizeof text);
    sys_close((int)fd);
    if (n <= 0)
        return n < 0 ? (int)n : -EIO;
    for (i = 0; i < n && text[i] >= '0' && text[i] <= '9'; i++)
        pages = pages * 10 + (uint64_t)(text[i] - '0');
    *bytes = pages * 4096;
    return 0;
}

static int arm_limits(struct keep *k)
{
    struct rlimit files;
    long ret = SYS(SYS_prlimit64, 0, RLIMIT_NOFILE, 0, &files, 0, 0);

    if (ret)
        return (int)ret;
    k->conn_limit = files.rlim_cur < KEEP_MAX_FD ? (uint32_t)files.rlim_cur : KEEP_MAX_FD;
    /* Some are the application's, some the loop's own. */
    k->conn_limit = k->conn_limit > 128 ? k->conn_limit - 96 : 32;
    return 0;
}

int lw_arm(const int *fds, int count, int *bad)
{
    struct keep *k = inbox->keep;
    struct frozen *f = &inbox->frozen;
    int ret, parent;

    *bad = -1;
    ret = files_record(f, fds, count, bad);
    if (ret)
        return ret;
    *bad = -1;
    parent = sys_getppid();
    /* When the snapshot process dies the worker ends at once, but in order. */
    ret = (int)sys_prctl(PR_SET_PDEATHSIG, SIGINT);
    if (!ret && sys_getppid() != parent)
        ret = -ESRCH;
    if (ret)
        return ret;
    f->root_pid = sys_getpid();
    f->dumpable = (int32_t)sys_prctl(PR_GET_DUMPABLE, 0);
    k->session = sys_getsid(0);
    ret = (int)sys_prctl(PR_SET_CHILD_SUBREAPER, 1);
    if (!ret)
        ret = (int)sys_prctl(PR_GET_TID_ADDRESS, (unsigned long)&k->tid_address);
    if (!ret)
        ret = arm_limits(k);
    if (!ret)
        ret = signals_take_over(k, &f->app_mask);
    if (!ret) {
        k->wake = (int)sys_eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        ret = k->wake < 0 ? k->wake : 0;
    }
    if (!ret)
        ret = k->cfg.engine == ENGINE_FORK ? conn_setup(k, k->signals, SOURCE_SIGNAL)
                                           : conn_setup(k, k->wake, SOURCE_WAKE);
    /* Contexts run as the same user: they must not read the root's memory
     * through /proc or ptrace. */
    if (!ret)
        STEP(HIDE_ROOT)
            ret = (int)sys_prctl(PR_SET_DUMPABLE, 0);
    return ret ? ret : read_vsize(&f->vsize);
}

static int next_forked(struct keep *k)
{
    for (;;) {
        int ret = loop_next(k, inbox);
        if (ret <= 0)
            return ret;
        ret = relay_serve(k, inbox);
        if (ret)
            return ret < 0 ? ret : LW_FRESH;
    }
}

static int next_in_child(struct keep *k)
{
    int fresh = inbox->pid == 0, ret;

    if (fresh) {
        ret = guard_run(k, inbox);
        if (ret <= 0)
            return ret;
    }
    ret = loop_next(k, inbox);
    if (ret <= 0)
        sys_exit(ret == 0 ? CHANNEL_EXIT_LEFT : 1);
    return fresh ? LW_FRESH : LW_REQUEST;
}

int lw_next(void)
{
    struct keep *k = inbox->keep;

    return k->cfg.engine == ENGINE_FORK ? next_forked(k) : next_in_child(k);
}

const uint8_t *lw_block(uint32_t *len)
{
    *len = inbox->block_len;
    return inbox->block;
}

uint64_t lw_number(void)
{
    return inbox->number;
}

int lw_role(void)
{
    return inbox->role;
}

int lw_has_body(void)
{
    return inbox->has_body;
}

int lw_headers_sent(void)
{
    return inbox->keep ? inbox->keep->rq.headers_sent : inbox->headers_sent;
}

int lw_write(const void *data, size_t len, int last)
{
    context_only(inbox);
    return inbox->keep ? direct_write(inbox->keep, data, len, last)
                       : context_write(inbox, data, len, last);
}

long lw_read(void *buf, size_t len)
{
    context_only(inbox);
    return inbox->keep ? direct_read(inbox->keep, buf, len) : context_read(inbox, buf, len);
}

void lw_log(char level, const void *text, size_t len)
{
    struct keep *k = inbox->keep;
    struct text t;
    int held;

    if (!k) {
        context_log(inbox, level, text, len);
        return;
    }
    /* The root may be writing a line about this request just now. */
    held = __atomic_load_n(&k->owner, __ATOMIC_RELAXED) == OWNER_CHILD;
    if (!held)
        direct_acquire(k);
    t = report_request(k, level);
    text_escaped(&t, text, len);
    report_send(k, &t);
    if (!held)
        direct_release(k);
}

void lw_abort(void)
{
    if (!inbox->keep)
        context_abort(inbox);
    inbox->keep->rq.poisoned = 1;
}

void lw_leave(void)
{
    if (!inbox->keep)
        context_leave(inbox);
    direct_leave(inbox->keep, inbox);
}

void lw_app_runs(void)
{
    if (inbox->keep)
        direct_release(inbox->keep);
}

void lw_app_ran(void)
{
    context_only(inbox);
    if (inbox->keep)
        direct_acquire(inbox->keep);
}

void lw_python_before_fork(void)
{
    int state = PyGILState_Ensure();

    PyOS_BeforeFork();
    PyGILState_Release(state);
}

void lw_python_after_fork_parent(void)
{
    int state = PyGILState_Ensure();

    PyOS_AfterFork_Parent();
    PyGILState_Release(state);
}

void lw_python_after_fork_child(void)
{
    int state = PyGILState_Ensure();

    PyOS_AfterFork_Child();
    PyGILState_Release(state);
}

/* What this worker did, for the log. */
static void report_counters(struct keep *k)
{
    const struct counters *c = &k->count;
    const struct {
        const char *what;
        uint64_t n;
    } parts[] = {
        {" requests, ", c->requests},
        {" contexts, ", c->contexts},
        {" crashed, ", c->crashed},
        {" timed out, ", c->timed_out},
        {" aborted, ", c->aborted},
        {" answered by the gateway, ", c->refused},
        {" connections handed on, ", c->handed},
        {" leftover processes killed", c->leftovers_killed},
    };
    struct text t = report_start(k, 'I');
    unsigned i;

    text_str(&t, "worker ");
    text_num(&t, (uint64_t)k->cfg.worker);
    text_str(&t, " ends: ");
    for (i = 0; i < sizeof parts / sizeof *parts; i++) {
        text_num(&t, parts[i].n);
        text_str(&t, parts[i].what);
    }
    report_send(k, &t);
}

void lw_close(void)
{
    hand_all(inbox->keep);
    report_counters(inbox->keep);
    keep_unmap(inbox);
    inbox = NULL;
}
