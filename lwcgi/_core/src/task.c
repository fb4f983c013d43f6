/* SPDX-License-Identifier: MIT */
#include "task.h"

#include <fcntl.h>
#include <sys/wait.h>

#include "step.h"
#include "sys.h"

enum { SWEEP_ROUNDS = 1000, DEATH_MS = 5000 };

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

/* Kills the children listed in `list` that share our session. Returns how
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
        if (pid && sys_getsid(pid) == k->session) {
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
