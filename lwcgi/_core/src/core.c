/* SPDX-License-Identifier: MIT */
#include "core.h"

#include <string.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>

#include "arming.h"
#include "channel.h"
#include "confine.h"
#include "conn.h"
#include "context.h"
#include "direct.h"
#include "entropy.h"
#include "files.h"
#include "guard.h"
#include "hand.h"
#include "loop.h"
#include "lwc_engine.h"
#include "lwc_inside.h"
#include "maps.h"
#include "relay.h"
#include "report.h"
#include "rewind.h"
#include "signals.h"
#include "step.h"
#include "sys.h"

/* Part of CPython's stable ABI (3.7 and later). */
extern void PyOS_BeforeFork(void);
extern void PyOS_AfterFork_Parent(void);
extern void PyOS_AfterFork_Child(void);
extern int PyGILState_Ensure(void);
extern void PyGILState_Release(int);
extern void *PyObject_CallObject(void *, void *);
extern void PyErr_WriteUnraisable(void *);
extern void Py_DecRef(void *);

#ifdef LWCGI_MUTATIONS
unsigned char lw_skipped[STEP_COUNT];

void lw_skip(int step)
{
    lw_skipped[step] = 1;
}
#endif

int lw_disable_huge_pages(void)
{
    return (int)sys_prctl(PR_SET_THP_DISABLE, 1);
}

int lw_confinement(void)
{
    return confine_try();
}

int lw_create(const struct lw_settings *cfg)
{
    int ret;

    if (cfg->listener_count > KEEP_LISTENERS || cfg->client_count > KEEP_CLIENTS)
        return -E2BIG;
    ret = keep_map(cfg);
    return ret || cfg->engine != ENGINE_REWIND ? ret : arming_map(keep_inbox->keep, keep_inbox);
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
    struct keep *k = keep_inbox->keep;
    struct frozen *f = &keep_inbox->frozen;
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
    /* Where root and worker take turns in one process it must never be open: who is let in while
     * the worker runs may find the root there. */
    if (k->cfg.hostile && k->cfg.engine == ENGINE_LWC)
        STEP(HIDE_WORKER)
            f->dumpable = 0;
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
     * through /proc or ptrace. Under `rewind` it is their own. */
    if (!ret && k->cfg.engine != ENGINE_REWIND)
        STEP(HIDE_ROOT)
            ret = (int)sys_prctl(PR_SET_DUMPABLE, 0);
    if (!ret && k->cfg.hostile)
        ret = confine_prepare(k);
    f->ruleset = k->own[OWN_RULESET];
    if (!ret && k->cfg.engine == ENGINE_LWC)
        ret = lwc_engine_open(k, f);
    return ret ? ret : maps_vsize(&f->vsize);
}

static int next_forked(struct keep *k)
{
    for (;;) {
        int ret = loop_next(k, keep_inbox);
        if (ret <= 0)
            return ret;
        ret = relay_serve(k, keep_inbox);
        if (ret)
            return ret < 0 ? ret : LW_FRESH;
    }
}

static int next_in_child(struct keep *k)
{
    int fresh = keep_inbox->pid == 0, ret;

    if (fresh) {
        ret = guard_run(k, keep_inbox);
        if (ret <= 0)
            return ret;
    }
    ret = loop_next(k, keep_inbox);
    if (ret <= 0)
        sys_exit(ret == 0 ? CHANNEL_EXIT_LEFT : 1);
    return fresh ? LW_FRESH : LW_REQUEST;
}

int lw_next(void)
{
    struct keep *k = keep_inbox->keep;

    switch (k->cfg.engine) {
    case ENGINE_FORK:
        return next_forked(k);
    case ENGINE_REWIND: {
        int ret = rewind_next(k, keep_inbox);
        return ret == 1 ? LW_FRESH : ret;
    }
    case ENGINE_LWC: {
        int ret = lwc_engine_next(k, keep_inbox);
        return ret == 1 ? LW_FRESH : ret;
    }
    default:
        return next_in_child(k);
    }
}

int lw_rehearse(const uint8_t *block, uint32_t len)
{
    struct keep *k = keep_inbox->keep;

    if (len > k->cfg.max_params)
        return -E2BIG;
    k->rehearsal = 1;
    k->owner = OWNER_CHILD;
    keep_inbox->pid = sys_getpid();
    memcpy(keep_inbox->block, block, len);
    keep_inbox->block_len = len;
    keep_inbox->role = FCGI_RESPONDER;
    keep_inbox->number = 0;
    return 0;
}

/* In a worker of `lwc`, or in a copy that one has forked. */
static int is_worker(void)
{
    return !keep_inbox->keep && keep_inbox->door >= 0;
}

const uint8_t *lw_block(uint32_t *len)
{
    *len = keep_inbox->block_len;
    return keep_inbox->block;
}

uint64_t lw_number(void)
{
    return keep_inbox->number;
}

int lw_role(void)
{
    return keep_inbox->role;
}

int lw_has_body(void)
{
    return keep_inbox->has_body;
}

int lw_headers_sent(void)
{
    context_only(keep_inbox);
    return keep_inbox->keep ? keep_inbox->keep->rq.headers_sent : keep_inbox->headers_sent;
}

int lw_write(const void *data, size_t len, int last)
{
    context_only(keep_inbox);
    if (keep_inbox->keep)
        return direct_write(keep_inbox->keep, data, len, last);
    return is_worker() ? lwc_inside_write(keep_inbox, data, len, last)
                       : context_write(keep_inbox, data, len, last);
}

long lw_read(void *buf, size_t len)
{
    context_only(keep_inbox);
    if (keep_inbox->keep)
        return direct_read(keep_inbox->keep, buf, len);
    return is_worker() ? lwc_inside_read(keep_inbox, buf, len) : context_read(keep_inbox, buf, len);
}

int lw_renew_random(uint32_t *state)
{
    return entropy_fill(keep_inbox ? keep_inbox->keep : NULL, state);
}

void lw_log(char level, const void *text, size_t len)
{
    struct keep *k = keep_inbox->keep;
    struct text t;
    int held;

    if (keep_inbox->trace) /* a copy the application forked has no keep */
        context_only(keep_inbox);
    if (!k && is_worker())
        lwc_inside_log(keep_inbox, level, text, len);
    else if (!k)
        context_log(keep_inbox, level, text, len);
    if (!k)
        return;
    if (level == 'N') { /* worth saying once in a worker's life */
        if (k->noted)
            return;
        k->noted = 1;
        level = 'W';
    }
    /* The root may be writing a line about this request just now. */
    held = __atomic_load_n(&k->owner, __ATOMIC_RELAXED) == OWNER_CHILD;
    if (!held)
        direct_acquire(k);
    t = report_request(k, (char)(level | 32));
    text_escaped(&t, text, len);
    report_send(k, &t);
    if (!held)
        direct_release(k);
}

void lw_abort(void)
{
    if (is_worker()) {
        lwc_inside_abort(keep_inbox);
        return;
    }
    if (!keep_inbox->keep)
        context_abort(keep_inbox);
    /* Where nothing was sent the client can still be told. */
    if (!keep_inbox->trace || keep_inbox->keep->rq.headers_sent)
        keep_inbox->keep->rq.poisoned = 1;
}

void lw_leave(void)
{
    if (is_worker())
        lwc_inside_leave(keep_inbox);
    if (!keep_inbox->keep)
        context_leave(keep_inbox);
    if (keep_inbox->trace)
        rewind_leave(keep_inbox->keep, keep_inbox);
    direct_leave(keep_inbox->keep, keep_inbox);
}

void lw_app_runs(void)
{
    if (keep_inbox->keep)
        direct_release(keep_inbox->keep);
}

void lw_app_ran(void)
{
    context_only(keep_inbox);
    if (keep_inbox->keep)
        direct_acquire(keep_inbox->keep);
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

void lw_python_call_hook(size_t hook)
{
    int state = PyGILState_Ensure();
    void *result = PyObject_CallObject((void *)hook, NULL);

    if (!result)
        PyErr_WriteUnraisable((void *)hook);
    Py_DecRef(result);
    PyGILState_Release(state);
}

void lw_close(void)
{
    if (!keep_inbox->keep->rehearsal) {
        hand_all(keep_inbox->keep);
        report_counters(keep_inbox->keep);
    }
    keep_unmap();
}
