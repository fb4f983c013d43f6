/* SPDX-License-Identifier: MIT */
#include "lwc_engine.h"

#include <sched.h>

#include "access.h"
#include "channel.h"
#include "conn.h"
#include "files.h"
#include "guard.h"
#include "lwc_door.h"
#include "lwc_freeze.h"
#include "lwc_root.h"
#include "report.h"
#include "sys.h"
#include "task.h"

int lwc_engine_open(struct keep *k, const struct frozen *f)
{
    int ret = lwc_freeze_examine(f), fd = lwc_door_open(k->cfg.door_fd);

    if (fd < 0 || ret)
        return ret ? ret : fd;
    k->own[OWN_DOOR] = fd;
    return 0;
}

/* It has ended before it served: it has said why, or could not. Returns -errno. */
static int not_begun(struct keep *k, const struct ending *how)
{
    struct text t;

    if (how->code == CLD_EXITED)
        return -ECANCELED;
    t = report_start(k, 'E');
    text_str(&t, "the serving process was killed by signal ");
    text_num(&t, (uint64_t)how->status);
    text_str(&t, " while it was frozen");
    report_send(k, &t);
    return -EINTR;
}

/* The serving child has ended: finishes its request, clears up after it. Returns
 * 1 where the worker is to stop, or -errno. */
static int clear_up(struct guard *g)
{
    struct keep *k = g->k;
    struct ending how;
    int ret = task_reap(g->pid, &how), left;

    sys_close(g->pidfd);
    if (ret)
        return ret;
    k->owner = OWNER_ROOT;
    left = k->stage == LWC_LEFT && how.code == CLD_EXITED && how.status == CHANNEL_EXIT_LEFT;
    ret = task_sweep(k);
    if (ret < 0)
        return ret;
    k->count.leftovers_killed += (uint64_t)ret;
    if (!left && k->stage == LWC_BEGINS && !k->quick)
        return not_begun(k, &how);
    if (!left) {
        k->undo_follows = 1;
        guard_settle(g, &how);
        access_undone(k, UNDONE_AFTER_END, 0, 0);
        k->undo_follows = 0;
        k->count.ended++;
    }
    ret = files_close_leaked(k, &g->in->frozen);
    if (ret < 0)
        return ret;
    if (k->stopping || k->quick)
        return 1;
    return left ? 0 : conn_rebuild(k, k->wake, SOURCE_WAKE);
}

/* Returns 1 in a worker. */
static int start_child(struct guard *g, struct keep *k, struct inbox *in)
{
    void *robust_list;
    size_t robust_len;
    long pid, ret = SYS(SYS_get_robust_list, 0, &robust_list, &robust_len, 0, 0, 0);

    if (ret)
        return (int)ret;
    k->stage = LWC_BEGINS;
    /* The child shares the descriptor table, so that a connection it accepts
     * outlives it. */
    pid = sys_clone(CLONE_FILES | CLONE_CHILD_SETTID | CLONE_CHILD_CLEARTID | SIGCHLD,
                    k->tid_address);
    if (pid == 0) {
        /* It stays not dumpable: not even its own workers may read its memory. */
        guard_child_enter(k, in);
        SYS(SYS_set_robust_list, robust_list, robust_len, 0, 0, 0, 0);
        return lwc_root_run(k, in);
    }
    if (pid < 0)
        return (int)pid;
    ret = sys_pidfd_open((int)pid);
    if (ret < 0)
        return (int)ret;
    guard_start(g, k, in, (int)pid, (int)ret);
    return 0;
}

int lwc_engine_next(struct keep *k, struct inbox *in)
{
    struct guard g;
    int ret;

    do {
        ret = start_child(&g, k, in);
        if (ret)
            return ret;
        ret = guard_watch(&g);
        if (!ret)
            ret = clear_up(&g);
    } while (!ret);
    return ret < 0 ? ret : 0;
}
