/* SPDX-License-Identifier: MIT */
#include "signals.h"

#include <sys/signalfd.h>

#include "sys.h"

int signals_take_over(struct keep *k, uint64_t *mask)
{
    const int heard[] = {SIGTERM, SIGQUIT, SIGINT, SIGCHLD};
    uint64_t all = ~0ull, ours = 0;
    long ret;
    unsigned i;

    for (i = 0; i < sizeof heard / sizeof *heard; i++)
        ours |= 1ull << (heard[i] - 1);
    ret = sys_sigprocmask(SIG_SETMASK, &all, mask);
    if (ret)
        return (int)ret;
    ret = sys_signalfd(&ours, SFD_CLOEXEC | SFD_NONBLOCK);
    if (ret < 0)
        return (int)ret;
    k->signals = (int)ret;
    return 0;
}

void signals_read(struct keep *k)
{
    struct signalfd_siginfo s;

    while (sys_read(k->signals, &s, sizeof s) == (long)sizeof s) {
        if (s.ssi_signo == SIGINT)
            k->quick = 1;
        else if (s.ssi_signo == SIGTERM || s.ssi_signo == SIGQUIT)
            k->stopping = 1;
    }
}
