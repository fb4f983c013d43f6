/* SPDX-License-Identifier: MIT */
#include "call_task.h"

#include <linux/prctl.h>
#include <sched.h>
#include <string.h>

#include "call_files.h"
#include "call_memory.h"
#include "unshare.h"

/* MINSIGSTKSZ of the kernel; glibc's is larger, and a call. */
enum { LEAST_STACK = 2048 };

static const uint64_t SIGSYS_BIT = 1ull << (SIGSYS - 1);

/* --- processes ------------------------------------------------------------------ */

/* What must be looked at after another task may have done anything. */
static const uint32_t UNSEEN =
    TRACE_BLIND | TRACE_TASK | TRACE_SCAN | TRACE_MAPS | TRACE_FILES | TRACE_CHILDREN;

/* From here on the table of descriptors is not the root's any more. */
static int own_table(struct call *c)
{
    int ret = c->t->flags & TRACE_UNSHARED ? 0 : rewind_unshare(c->k, c->in);

    if (!ret)
        trace_flag(c->t, TRACE_TASK | TRACE_FILES, c->nr);
    return ret;
}

enum verdict call_unshare(struct call *c)
{
    int ret = c->arg[0] & CLONE_FILES ? own_table(c) : 0;

    return ret ? call_answer(c, ret) : call_let(c, TRACE_TASK);
}

enum verdict call_clone(struct call *c)
{
    enum { CLONE_ARGS = 64 }; /* the shortest struct clone_args */
    uint64_t flags = c->nr == SYS_clone   ? c->arg[0]
                     : c->nr == SYS_vfork ? CLONE_VM | CLONE_VFORK
                                          : 0;
    int thread;

    if (c->nr == SYS_clone3 &&
        (c->arg[1] < CLONE_ARGS || call_reads(c, &flags, c->arg[0], sizeof flags)))
        return CALL_LET; /* the kernel says what is wrong */
    thread = (flags & CLONE_VM) && !(flags & CLONE_VFORK);
    /* Its calls will not be seen: let it have a descriptor table that is no
     * longer the root's. */
    if (thread || flags & CLONE_FILES) {
        int ret = own_table(c);
        if (ret)
            return call_answer(c, ret);
    }
    if (thread)
        return call_let(c, UNSEEN);
    trace_flag(c->t, TRACE_TASK | TRACE_SCAN | TRACE_CHILDREN, c->nr);
    if (flags & CLONE_PIDFD)
        trace_flag(c->t, TRACE_FILES, c->nr);
    if (flags & CLONE_VM) /* it borrows our memory and may map something */
        return call_let(c, TRACE_MAPS);
    if (c->t->flags & (TRACE_FILES | TRACE_UNSHARED))
        call_note_roots(c);
    return CALL_FORK;
}

enum verdict call_kill(struct call *c)
{
    int pid = (int)c->arg[0], own = c->in->pid;

    return call_let(c, pid == own || pid == -own || pid == 0 || pid == -1 ? TRACE_TASK : 0);
}

/* --- signals -------------------------------------------------------------------- */

enum verdict call_sigaction(struct call *c)
{
    struct kernel_sigaction copy;

    if ((int)c->arg[0] == SIGSYS) {
        /* Ours. The application may believe what it likes of it. */
        memset(&copy, 0, sizeof copy);
        return call_answer(c, c->arg[2] ? call_writes(c, c->arg[2], &copy, sizeof copy) : 0);
    }
    if (!c->arg[1])
        return CALL_LET;
    if (call_reads(c, &copy, c->arg[1], sizeof copy))
        return call_answer(c, -EFAULT);
    /* A handler that blocked SIGSYS could make no call. */
    copy.mask &= ~SIGSYS_BIT;
    trace_flag(c->t, TRACE_TASK, c->nr);
    return call_answer(c, SYS(SYS_rt_sigaction, c->arg[0], &copy, c->arg[2], c->arg[3], 0, 0));
}

enum verdict call_sigprocmask(struct call *c)
{
    const uint64_t *set = (const void *)c->arg[1];
    uint64_t *old = (void *)c->arg[2];
    uint64_t now = (*c->mask & ~SIGSYS_BIT) | (c->t->sigsys_blocked ? SIGSYS_BIT : 0), next = now;

    if (c->arg[3] != sizeof *set)
        return call_answer(c, -EINVAL);
    /* With no such `how` the kernel only looks if the set can be read, which is
     * also how some libraries ask whether memory can be. */
    if (set && SYS(SYS_rt_sigprocmask, -1, set, NULL, sizeof *set, 0, 0) == -EFAULT)
        return call_answer(c, -EFAULT);
    if (old && SYS(SYS_rt_sigprocmask, SIG_BLOCK, NULL, old, sizeof *old, 0, 0))
        return call_answer(c, -EFAULT);
    if (set) {
        switch ((int)c->arg[0]) {
        case SIG_BLOCK:
            next = now | *set;
            break;
        case SIG_UNBLOCK:
            next = now & ~*set;
            break;
        case SIG_SETMASK:
            next = *set;
            break;
        default:
            return call_answer(c, -EINVAL);
        }
    }
    if (old)
        *old = now;
    c->t->sigsys_blocked = (next & SIGSYS_BIT) != 0;
    *c->mask = next & ~SIGSYS_BIT;
    return call_answer(c, 0);
}

enum verdict call_sigaltstack(struct call *c)
{
    stack_t set, was;

    /* The handler of system calls needs its own; it is large enough for all. */
    memset(&was, 0, sizeof was);
    was.ss_sp = (void *)c->t->altstack_sp;
    was.ss_size = c->t->altstack_size;
    was.ss_flags = c->t->altstack_flags;
    if (c->arg[0]) {
        if (call_reads(c, &set, c->arg[0], sizeof set))
            return call_answer(c, -EFAULT);
        if (set.ss_flags & ~(SS_ONSTACK | SS_DISABLE | (int)(1u << 31)))
            return call_answer(c, -EINVAL);
        if (!(set.ss_flags & SS_DISABLE) && set.ss_size < LEAST_STACK)
            return call_answer(c, -ENOMEM);
        c->t->altstack_sp = (uint64_t)set.ss_sp;
        c->t->altstack_size = set.ss_size;
        c->t->altstack_flags = set.ss_flags & ~SS_ONSTACK;
    }
    return call_answer(c, c->arg[1] ? call_writes(c, c->arg[1], &was, sizeof was) : 0);
}

/* Calls that wait under another mask. Where it holds SIGSYS, handlers that run
 * meanwhile could make no call. */
enum verdict call_waits_with_mask(struct call *c)
{
    struct {
        const uint64_t *set;
        size_t len;
    } six;
    int at = c->nr == SYS_rt_sigsuspend ? 0
             : c->nr == SYS_ppoll       ? 3
             : c->nr == SYS_pselect6    ? 5
                                        : 4;
    uint64_t set = c->arg[at], copy;

    if (set && c->nr == SYS_pselect6) {
        if (call_reads(c, &six, set, sizeof six))
            return CALL_LET;
        set = (uint64_t)six.set;
    }
    if (!set || call_reads(c, &copy, set, sizeof copy) || !(copy & SIGSYS_BIT))
        return CALL_LET;
    copy &= ~SIGSYS_BIT;
    if (c->nr == SYS_pselect6) {
        six.set = &copy;
        c->arg[at] = (uint64_t)&six;
    } else {
        c->arg[at] = (uint64_t)&copy;
    }
    /* The call brings its own mask, so it may be made here. */
    return call_make(c);
}

/* --- credentials and attributes --------------------------------------------------- */

enum verdict call_credentials(struct call *c)
{
    enum verdict v = call_make_flag(c, TRACE_TASK);

    /* Which a change of credentials cleared. */
    sys_prctl(PR_SET_PDEATHSIG, SIGKILL);
    return v;
}

enum verdict call_prctl(struct call *c)
{
    switch ((int)c->arg[0]) {
    case PR_SET_PDEATHSIG:
        if (c->arg[1] > 64)
            return call_answer(c, -EINVAL);
        c->t->death_signal = (int32_t)c->arg[1];
        return call_answer(c, 0);
    case PR_GET_PDEATHSIG:
        return call_answer(
            c, call_writes(c, c->arg[1], &c->t->death_signal, sizeof c->t->death_signal));
    case PR_GET_DUMPABLE:
    case PR_GET_UNALIGN:
    case PR_GET_KEEPCAPS:
    case PR_GET_FPEMU:
    case PR_GET_FPEXC:
    case PR_GET_TIMING:
    case PR_GET_NAME:
    case PR_GET_ENDIAN:
    case PR_GET_SECCOMP:
    case PR_CAPBSET_READ:
    case PR_GET_TSC:
    case PR_GET_SECUREBITS:
    case PR_GET_TIMERSLACK:
    case PR_GET_CHILD_SUBREAPER:
    case PR_GET_NO_NEW_PRIVS:
    case PR_GET_TID_ADDRESS:
    case PR_GET_THP_DISABLE:
    case PR_GET_SPECULATION_CTRL:
    case PR_GET_IO_FLUSHER:
    case PR_MCE_KILL_GET:
    case 0x41555856: /* PR_GET_AUXV */
    case 66:         /* PR_GET_MDWE */
    case 68:         /* PR_GET_MEMORY_MERGE */
        return CALL_LET;
    case PR_SET_DUMPABLE:
    case PR_SET_THP_DISABLE: /* both are of the memory, and set back by the root */
    case PR_SET_KEEPCAPS:
    case PR_SET_NAME:
    case PR_SET_SECCOMP:
    case PR_CAPBSET_DROP:
    case PR_SET_TSC:
    case PR_SET_SECUREBITS:
    case PR_SET_TIMERSLACK:
    case PR_SET_CHILD_SUBREAPER:
    case PR_SET_NO_NEW_PRIVS:
    case PR_SET_SPECULATION_CTRL:
    case PR_CAP_AMBIENT:
    case PR_SET_IO_FLUSHER:
    case PR_SET_PTRACER:
    case PR_MCE_KILL:
    case PR_TASK_PERF_EVENTS_DISABLE:
    case PR_TASK_PERF_EVENTS_ENABLE:
        return call_let(c, TRACE_TASK);
    case 59:                /* PR_SET_SYSCALL_USER_DISPATCH */
        if (c->arg[1] == 0) /* off: in its eyes it is */
            return call_answer(c, 0);
        return own_table(c) ? call_answer(c, -EPERM) : call_let(c, UNSEEN);
    case 0x53564d41: /* PR_SET_VMA: names a mapping */
        return call_owns(c, c->arg[2], c->arg[3]) ? CALL_LET : call_answer(c, 0);
    default:
        return call_make_flag(c, TRACE_WHOLE);
    }
}

enum verdict call_arch_prctl(struct call *c)
{
    enum { SET_GS = 0x1001, SET_FS, GET_FS, GET_GS, GET_CPUID = 0x1011, SET_CPUID = 0x1012 };

    switch (c->arg[0]) {
    case GET_FS:
    case GET_GS:
    case GET_CPUID:
    case 0x1021: /* ARCH_GET_XCOMP_SUPP */
    case 0x1022: /* ARCH_GET_XCOMP_PERM */
    case 0x1024:
    case 0x5005: /* ARCH_SHSTK_STATUS */
        return CALL_LET;
    case SET_GS:
    case SET_FS:
        return CALL_LET; /* both are set anew for each request */
    case SET_CPUID:
    case 0x1023: /* ARCH_REQ_XCOMP_PERM */
    case 0x1025:
        return call_let(c, TRACE_TASK);
    default:
        return call_make_flag(c, TRACE_WHOLE);
    }
}

enum verdict call_prlimit(struct call *c)
{
    int pid = (int)c->arg[0];

    return call_let(c, c->arg[2] && (pid == 0 || pid == c->in->pid) ? TRACE_TASK : 0);
}

enum verdict call_membarrier(struct call *c)
{
    enum { REGISTERS = 1 << 2 | 1 << 4 | 1 << 6 | 1 << 8 };

    if (c->arg[0] & REGISTERS)
        return call_make_flag(c, TRACE_WHOLE);
    return CALL_LET;
}
