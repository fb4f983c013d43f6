/* SPDX-License-Identifier: MIT */
#include "dispatch.h"

#include <fcntl.h>
#include <linux/audit.h>
#include <string.h>
#include <sys/prctl.h>
#include <ucontext.h>

#include "calls.h"
#include "files.h"
#include "stubs.h"

enum {
    PR_DISPATCH = 59, /* PR_SET_SYSCALL_USER_DISPATCH */
    DISPATCH_OFF = 0,
    DISPATCH_ON = 1,
    SI_USER_DISPATCH = 2,
    EXIT_SIGSYS = 128 + SIGSYS,
};

static const uint64_t SIGSYS_BIT = 1ull << (SIGSYS - 1);
static const uint64_t RESTORER = 0x04000000; /* SA_RESTORER */

/* Always "block": our own calls come from the range that is let through. */
static const char selector = 1;

/* The stub for the call site that continues at `from`, or 0 where none is free. */
static uint64_t stub_for(struct trace *t, uint64_t from, int forks)
{
    uint32_t first = forks ? TRACE_STUBS : 0, size = forks ? TRACE_FORK_STUBS : TRACE_STUBS;
    uint32_t at = (uint32_t)((from * 0x9e3779b97f4a7c15u) >> 40) & (size - 1), tried;

    for (tried = 0; tried < size; tried++, at = (at + 1) & (size - 1)) {
        uint64_t *slot = &t->stubs[first + at];
        if (*slot == 0) {
            *slot = from;
            t->stub_count++;
        }
        if (*slot == from)
            return forks ? (uint64_t)lw_fork_stubs + at * FORK_STUB_SIZE
                         : (uint64_t)lw_stubs + at * STUB_SIZE;
    }
    return 0;
}

/* Where nearly all stubs are taken, a search for one gets long. */
void dispatch_spare_stubs(struct trace *t)
{
    if (t->stub_count > TRACE_STUBS / 4 * 3) {
        memset(t->stubs, 0, sizeof t->stubs);
        t->stub_count = 0;
    }
}

static void conclude(struct call *c, enum verdict v, greg_t *reg)
{
    uint64_t stub;

    switch (v) {
    case CALL_SIGRETURN:
        reg[REG_RIP] = (greg_t)(uint64_t)lw_restorer;
        return;
    case CALL_LET:
    case CALL_FORK:
        stub = stub_for(c->t, (uint64_t)reg[REG_RIP], v == CALL_FORK);
        if (stub) {
            reg[REG_RIP] = (greg_t)stub;
            return;
        }
        trace_flag(c->t, TRACE_TASK, c->nr);
        if (v == CALL_FORK)
            c->result = -EAGAIN;
        else
            call_make(c);
        break;
    default:
        break;
    }
    reg[REG_RAX] = c->result;
}

static void on_sigsys(int number, siginfo_t *info, void *context)
{
    ucontext_t *u = context;
    greg_t *reg = u->uc_mcontext.gregs;
    struct call c;

    (void)number;
    /* Sent by somebody, or by a filter of the application's: it would end it. */
    if (info->si_code != SI_USER_DISPATCH || info->si_arch != AUDIT_ARCH_X86_64)
        sys_exit(EXIT_SIGSYS);
    c.nr = info->si_syscall;
    c.arg[0] = (uint64_t)reg[REG_RDI];
    c.arg[1] = (uint64_t)reg[REG_RSI];
    c.arg[2] = (uint64_t)reg[REG_RDX];
    c.arg[3] = (uint64_t)reg[REG_R10];
    c.arg[4] = (uint64_t)reg[REG_R8];
    c.arg[5] = (uint64_t)reg[REG_R9];
    c.result = 0;
    c.mask = (uint64_t *)&u->uc_sigmask;
    c.in = keep_inbox;
    c.k = c.in->keep;
    c.t = c.in->trace;
    c.t->traps++;
    conclude(&c, calls_judge(&c), reg);
}

static int is_handler(const struct kernel_sigaction *a)
{
    return a->handler != (void *)SIG_DFL && a->handler != (void *)SIG_IGN;
}

/* Handlers of the application that block SIGSYS could make no call. */
static int unblock_in_handlers(void)
{
    struct kernel_sigaction a;
    int number;
    long ret;

    for (number = 1; number <= 64; number++) {
        ret = SYS(SYS_rt_sigaction, number, NULL, &a, sizeof a.mask, 0, 0);
        if (ret || !is_handler(&a) || !(a.mask & SIGSYS_BIT))
            continue;
        a.mask &= ~SIGSYS_BIT;
        ret = SYS(SYS_rt_sigaction, number, &a, NULL, sizeof a.mask, 0, 0);
        if (ret)
            return (int)ret;
    }
    return 0;
}

int dispatch_install(struct trace *t)
{
    struct kernel_sigaction a;
    struct stat st;
    long ret = SYS(SYS_prctl, PR_DISPATCH, DISPATCH_OFF, 0, 0, 0, 0);

    if (ret)
        return (int)ret;
    ret = SYS(SYS_rt_sigaction, SIGSYS, NULL, &a, sizeof a.mask, 0, 0);
    if (ret)
        return (int)ret;
    if (is_handler(&a))
        return -EBUSY;
    ret = SYS(SYS_newfstatat, AT_FDCWD, "/proc/", &st, 0, 0, 0);
    if (ret)
        return (int)ret;
    t->proc_dev = st.st_dev;
    memset(&a, 0, sizeof a);
    a.handler = (void *)on_sigsys;
    a.flags = SA_SIGINFO | SA_ONSTACK | RESTORER;
    a.restorer = (void *)lw_restorer;
    a.mask = ~0ull;
    ret = SYS(SYS_rt_sigaction, SIGSYS, &a, NULL, sizeof a.mask, 0, 0);
    return ret ? (int)ret : unblock_in_handlers();
}

int dispatch_on(void *altstack, size_t size)
{
    stack_t s;
    long ret;

    memset(&s, 0, sizeof s);
    s.ss_sp = altstack;
    s.ss_size = size;
    ret = SYS(SYS_sigaltstack, &s, NULL, 0, 0, 0, 0);
    if (ret)
        return (int)ret;
    return (int)SYS(SYS_prctl, PR_DISPATCH, DISPATCH_ON, lw_calls_begin,
                    lw_calls_end - lw_calls_begin, &selector, 0);
}

void dispatch_in_fork(void)
{
    const struct inbox *in = keep_inbox;
    const struct trace *t = in->trace;

    int fd;

    if (!(t->flags & (TRACE_FILES | TRACE_UNSHARED))) {
        files_close_except(&in->frozen, t->opened, (int)t->opened_count, NULL, 0);
        return;
    }
    /* Of what the application opened some is not known, but the root's is. */
    for (fd = 0; fd < TRACE_FDS; fd += 64) {
        uint64_t left = t->roots[fd / 64];
        for (; left; left &= left - 1)
            sys_close(fd + __builtin_ctzll(left));
    }
}
