/* SPDX-License-Identifier: MIT */
/*
 * One system call of the application, caught by the handler, and what is to
 * become of it.
 */
#ifndef LWCGI_CALL_H
#define LWCGI_CALL_H

#include <stdint.h>
#include <sys/uio.h>

#include "keep.h"
#include "sys.h"
#include "trace.h"

enum verdict {
    CALL_ANSWERED, /* the handler made it, or answers in the kernel's place */
    CALL_LET,      /* made by the application itself, through a stub */
    CALL_FORK,     /* likewise, and it returns in a copy of the process as well */
    CALL_SIGRETURN,
};

struct call {
    long nr;
    uint64_t arg[6];
    long result;
    uint64_t *mask; /* the signal mask that the application goes on with */
    struct inbox *in;
    struct keep *k;
    struct trace *t;
};

static inline enum verdict call_answer(struct call *c, long result)
{
    c->result = result;
    return CALL_ANSWERED;
}

/* Makes the call now, with all signals blocked: for calls that do not wait. */
static inline enum verdict call_make(struct call *c)
{
    return call_answer(
        c, SYS(c->nr, c->arg[0], c->arg[1], c->arg[2], c->arg[3], c->arg[4], c->arg[5]));
}

/* What the application points to may not be there: like the kernel, the handler
 * must answer EFAULT then, and not fall over it. Return 0 or -EFAULT. */
static inline int call_reads(const struct call *c, void *to, uint64_t from, size_t len)
{
    struct iovec here = {to, len}, there = {(void *)from, len};

    return SYS(SYS_process_vm_readv, c->in->pid, &here, 1, &there, 1, 0) == (long)len ? 0 : -EFAULT;
}

static inline int call_writes(const struct call *c, uint64_t to, const void *from, size_t len)
{
    struct iovec here = {(void *)from, len}, there = {(void *)to, len};

    return SYS(SYS_process_vm_writev, c->in->pid, &here, 1, &there, 1, 0) == (long)len ? 0
                                                                                       : -EFAULT;
}

static inline enum verdict call_let(struct call *c, uint32_t flags)
{
    if (flags)
        trace_flag(c->t, flags, c->nr);
    return CALL_LET;
}

/* Makes the call; where it succeeds, it has the consequence `flags`. */
static inline enum verdict call_make_flag(struct call *c, uint32_t flags)
{
    enum verdict v = call_make(c);

    if (c->result >= 0)
        trace_flag(c->t, flags, c->nr);
    return v;
}

#endif
