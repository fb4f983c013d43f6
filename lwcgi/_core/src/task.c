/* SPDX-License-Identifier: MIT */
#include "task.h"

#include <fcntl.h>
#include <sys/wait.h>

#include "step.h"
#include "sys.h"

enum { KCMP_VM = 1 }; /* <linux/kcmp.h> */
enum { SWEEP_ROUNDS = 1000, DEATH_MS = 5000 };

int task_crashed(const struct ending *how)
{
    switch (how->status) {
    case SIGSEGV:
    case SIGBUS:
    case SIGILL:
    case SIGFPE:
    case SIGTRAP:
    case SIGSYS:
    case SIGABRT:
        return how->code == CLD_KILLED || how->code == CLD_DUMPED;
    default:
        return 0;
    }
}

int task_reap(int pid, struct ending *how)
{
    siginfo_t info = {0};
    long ret;

    do
        ret = sys_waitid(P_PID, pid, &info, WEXITED | __WALL);
    while (ret == -EINTR);
    how->code = info.si_code;
    how->status = info.si_status;
    return (int)ret;
}

/* Returns 1 where live children remain, 0 where there is none. */
static int reap_dead(void)
{
    for (;;) {
        siginfo_t info = {0};
        long ret = sys_waitid(P_ALL, 0, &info, WEXITED | WNOHANG | __WALL);
        if (ret == -ECHILD)
            return 0;
        if (ret < 0 || info.si_pid == 0)
            return 1;
    }
}

void task_reap_strays(int context)
{
    for (;;) {
        siginfo_t info = {0};
        struct ending how;
        long ret = sys_waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT | __WALL);

        if (ret < 0 || info.si_pid == 0 || info.si_pid == context)
            return;
        task_reap(info.si_pid, &how);
    }
}

/* Kills one child and waits until it is dead, since its own children come to
 * us only then. */
static int kill_child(int pid)
{
    long fd = sys_pidfd_open(pid);
    struct pollfd p = {.fd = (int)fd, .events = POLLIN};
    long ret;

    if (fd < 0)
        return (int)fd;
    ret = sys_pidfd_send_signal((int)fd, SIGKILL);
    if (ret == 0)
        do
            ret = sys_poll(&p, 1, DEATH_MS);
        while (ret == -EINTR);
    sys_close((int)fd);
    return ret == 1 ? 0 : ret == 0 ? -ETIMEDOUT : (int)ret;
}

/* Does it share this process's memory? Where the kernel does not tell, it is
 * taken to. */
static int shares_memory(int pid)
{
    long ret = SYS(SYS_kcmp, sys_getpid(), pid, KCMP_VM, 0, 0, 0);

    return ret != -ESRCH && ret != 1 && ret != 2;
}

static int must_go(const struct keep *k, int pid)
{
    if (pid == k->holder)
        return 0;
    if (sys_getsid(pid) == k->session)
        return 1;
    if (k->cfg.hostile)
        STEP(KILL_DETACHED)
            return 1;
    /* Detached into a session of its own, it may live, but not in our memory. */
    if (k->holder)
        STEP(KILL_SHARING)
            return shares_memory(pid);
    return 0;
}

/* Kills those of the children listed in `list` that must not stay. Returns how
 * many, or -errno. */
static int kill_listed(const struct keep *k, const char *list, long len)
{
    int killed = 0, pid = 0, ret;
    long i;

    for (i = 0; i < len; i++) {
        if (list[i] >= '0' && list[i] <= '9') {
            pid = pid * 10 + (list[i] - '0');
            continue;
        }
        if (pid && must_go(k, pid)) {
            ret = kill_child(pid);
            if (ret)
                return ret;
            killed++;
        }
        pid = 0;
    }
    return killed;
}

/* One look at our children. The kernel lists them in the order of birth; a
 * list longer than the buffer is continued in the next round. */
static int kill_attached(const struct keep *k)
{
    char list[4096];
    long fd = sys_open("/proc/thread-self/children", O_RDONLY | O_CLOEXEC, 0), n;
    int killed = 0;

    if (fd < 0)
        return (int)fd;
    while ((n = sys_read((int)fd, list, sizeof list - 1)) > 0 && killed >= 0) {
        int ret = kill_listed(k, list, n);
        killed = ret < 0 ? ret : killed + ret;
    }
    sys_close((int)fd);
    return n < 0 ? (int)n : killed;
}

int task_sweep(struct keep *k)
{
    int round, killed = 0, ret;

    for (round = 0; round < SWEEP_ROUNDS; round++) {
        if (!reap_dead())
            return killed;
        ret = 0;
        STEP(KILL_LEFTOVERS)
            ret = kill_attached(k);
        if (ret <= 0)
            return ret < 0 ? ret : killed;
        killed += ret;
    }
    return -EBUSY;
}
