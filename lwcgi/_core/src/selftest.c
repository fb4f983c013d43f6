/* SPDX-License-Identifier: MIT */
#include "selftest.h"

#include <stddef.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "selftest_premises.h"
#include "sys.h"

enum { PATIENCE_MS = 5000 };

#define REPORT "use another kernel, or --engine fork; and please report what this one does"

/* What the helper process has got to; shared with the process that asked. */
struct progress {
    int32_t premise;
    int32_t kind; /* of mapping; NO_KIND */
    int32_t err;
    int32_t lacks; /* an optional premise does not hold */
    int32_t lacks_err;
    int32_t done;
};

static void try_all(struct trial *t, volatile struct progress *p)
{
    int i, ret;

    for (i = 0; i < PREMISE_COUNT && !p->err; i++) {
        p->premise = i;
        ret = premise_holds(t, &PREMISES[i]);
        if (ret && PREMISES[i].optional) {
            p->lacks = 1;
            p->lacks_err = ret;
        } else {
            p->err = ret;
        }
    }
    p->done = 1;
}

static void __attribute__((noreturn)) help(const char *file, struct progress *p, int parent)
{
    struct trial t = {.file = file, .kind = &p->kind};

    sys_prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (sys_getppid() == parent) {
        /* As in a worker, memory consists of small pages. */
        sys_prctl(PR_SET_THP_DISABLE, 1);
        try_all(&t, p);
    }
    sys_exit(0);
}

/* Returns 0, or minus the signal that ended it. */
static int await(int pid)
{
    struct pollfd ends = {.events = POLLIN};
    siginfo_t info = {0};
    long ret;

    ends.fd = (int)sys_pidfd_open(pid);
    if (ends.fd >= 0) {
        do
            ret = sys_poll(&ends, 1, PATIENCE_MS);
        while (ret == -EINTR);
        if (ret == 0)
            sys_kill(pid, SIGKILL); /* not waited for yet: it is still this one */
        sys_close(ends.fd);
    }
    do
        ret = sys_waitid(P_PID, pid, &info, WEXITED | __WALL);
    while (ret == -EINTR);
    return ret ? (int)ret : info.si_code == CLD_EXITED ? 0 : -info.si_status;
}

/* What a premise ended with, as the result has it: errno, 0, or -signal. */
static int told(int ret)
{
    return ret == -SELFTEST_DIFFERS ? 0 : -ret;
}

static int conclude(const struct progress *p, int ended, struct lw_selftest *r)
{
    const struct premise *last = &PREMISES[p->premise];

    if (p->lacks || (!p->done && last->optional)) {
        r->unseen = 1;
        r->unseen_err = p->done ? told(p->lacks_err) : ended;
        return 0;
    }
    if (p->done && !p->err)
        return 0;
    r->premise = last->name;
    r->mapping = p->kind == NO_KIND ? NULL : sample_kind(p->kind);
    r->err = p->done ? told(p->err) : ended;
    r->remedy = r->err > 0 ? last->remedy : REPORT;
    return -1;
}

static int refused(struct lw_selftest *r, long err)
{
    r->premise = "a process can be made to try it";
    r->remedy = "see what limits this user's processes";
    r->err = (int)-err;
    return -1;
}

int lw_selftest(const char *file, struct lw_selftest *result)
{
    long at =
        sys_mmap(NULL, sizeof(struct progress), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS);
    struct progress *p = (struct progress *)at;
    uint64_t all = ~0ull, mask;
    int parent = sys_getpid(), ret;
    long pid;

    *result = (struct lw_selftest){0};
    if (at < 0 && at > -SELFTEST_DIFFERS)
        return refused(result, at);
    /* No handler of this process may run in its copy. And no exit signal: that
     * there was a child is nobody else's business. */
    sys_sigprocmask(SIG_SETMASK, &all, &mask);
    pid = sys_clone(0, NULL);
    if (pid == 0)
        help(file, p, parent);
    sys_sigprocmask(SIG_SETMASK, &mask, NULL);
    ret = pid < 0 ? refused(result, pid) : conclude(p, await((int)pid), result);
    sys_munmap(p, sizeof *p);
    return ret;
}
