/* SPDX-License-Identifier: MIT */
#include "lwc_calls.h"

#include <lwc.h>
#include <sched.h>
#include <string.h>

#include <linux/prctl.h>

#include "step.h"
#include "sys.h"

/* Newer than Debian 12's headers. */
enum { NR_lsm_set_self_attr = 460, NR_mseal = 462, NR_last = 466 };

/* From the next on they may do anything. */
enum { KNOWN = NR_last + 1, CALLS = 8 * LWC_CALLS_BYTES };

/* What is left out changes memory, descriptors, credentials, other files of the
 * lwC, or nothing at all; or something far away, which no engine undoes. */
static const uint16_t NOTED[] = {
    /* processes and threads, whose own calls are not refused */
    SYS_clone,
    SYS_clone3,
    SYS_fork,
    SYS_vfork,
    SYS_execve,
    SYS_execveat,
    SYS_setpgid,
    SYS_setsid,
    SYS_set_tid_address,
    SYS_set_robust_list,
    SYS_rseq,
    /* where it is, and what it sees */
    SYS_chdir,
    SYS_fchdir,
    SYS_chroot,
    SYS_pivot_root,
    SYS_umask,
    SYS_unshare,
    SYS_setns,
    /* what it may; with credentials goes the signal at its parent's death */
    SYS_setuid,
    SYS_setgid,
    SYS_setreuid,
    SYS_setregid,
    SYS_setresuid,
    SYS_setresgid,
    SYS_setfsuid,
    SYS_setfsgid,
    SYS_setgroups,
    SYS_capset,
    SYS_add_key,
    SYS_request_key,
    SYS_keyctl,
    SYS_setrlimit,
    SYS_prlimit64,
    SYS_ioperm,
    SYS_iopl,
    SYS_bpf,
    SYS_landlock_restrict_self,
    NR_lsm_set_self_attr,
    /* how it runs */
    SYS_setpriority,
    SYS_sched_setparam,
    SYS_sched_setscheduler,
    SYS_sched_setaffinity,
    SYS_sched_setattr,
    SYS_ioprio_set,
    SYS_set_mempolicy,
    SYS_set_mempolicy_home_node,
    SYS_personality,
    SYS_prctl,
    SYS_arch_prctl,
    /* signals and timers */
    SYS_rt_sigaction,
    SYS_alarm,
    SYS_setitimer,
    SYS_timer_create,
    SYS_timer_settime,
    SYS_timer_delete,
    SYS_mq_notify,
    /* adjustments at its end */
    SYS_semop,
    SYS_semtimedop,
    /* handles on its memory, and what memory has beside mappings */
    SYS_io_setup,
    SYS_io_destroy,
    SYS_io_submit,
    SYS_userfaultfd,
    SYS_modify_ldt,
    SYS_pkey_alloc,
    SYS_pkey_free,
    NR_mseal,
};

static void refuse(uint8_t *refused, unsigned nr)
{
    refused[nr / 8] |= (uint8_t)(1u << nr % 8);
}

void lwc_calls_denied(uint8_t refused[LWC_CALLS_BYTES])
{
    memset(refused, 0, LWC_CALLS_BYTES);
    /* The root would make its calls under the same filter. */
    STEP(DENY_FILTERS) {
        refuse(refused, SYS_seccomp);
        refuse(refused, SYS_prctl);
    }
}

void lwc_calls_noted(uint8_t refused[LWC_CALLS_BYTES])
{
    unsigned i;

    lwc_calls_denied(refused);
    for (i = 0; i < sizeof NOTED / sizeof *NOTED; i++)
        refuse(refused, NOTED[i]);
    for (i = KNOWN; i < CALLS; i++)
        refuse(refused, i);
}

static int judge_prctl(uint32_t option, __u64 value, int hostile)
{
    enum { USER_DISPATCH = 59, LAST_KNOWN = 79 };

    switch (option) {
    case PR_SET_SECCOMP: /* these two would change what becomes of the root's own calls */
    case USER_DISPATCH:
        STEP(DENY_FILTERS)
            return EPERM;
        return 0;
    case PR_SET_DUMPABLE: /* and these, who may look at it */
        return hostile && value ? EPERM : 0;
    case PR_SET_PTRACER:
    case PR_SET_MM:
        return hostile ? EPERM : 0;
    case PR_SET_VMA:
        return 0;
    default:
        return hostile && option > LAST_KNOWN ? EINVAL : 0;
    }
}

/* A copy of the process is no danger: it is another, and cannot look at this one. */
static int judge_clone(__u64 flags, int hostile)
{
    const __u64 shared = CLONE_VM | CLONE_THREAD | CLONE_SIGHAND | CLONE_FILES | CLONE_FS |
                         CLONE_SYSVSEM | CLONE_PARENT;

    STEP(JUDGE_TASKS)
        return hostile && flags & shared ? EPERM : 0;
    return 0;
}

int lwc_calls_judge(const __u64 *call, int hostile)
{
    if (call[0] >= CALLS) /* also by a 32-bit entry, LWC_TRAP_COMPAT */
        return ENOSYS;
    switch (call[0]) {
    case SYS_io_uring_setup:
    case SYS_io_uring_enter:
    case SYS_io_uring_register:
        return ENOSYS;
    case SYS_seccomp:
    case SYS_ptrace:
    case SYS_process_vm_readv:
    case SYS_process_vm_writev:
    case SYS_process_madvise:
    case SYS_pidfd_getfd:
    case SYS_perf_event_open:
        return EPERM;
    case SYS_prctl:
        return judge_prctl((uint32_t)call[1], call[2], hostile); /* as the kernel takes it */
    case SYS_clone:
        return judge_clone(call[1], hostile);
    case SYS_clone3: /* whose flags lie in memory; the C library takes the other then */
        return hostile ? ENOSYS : 0;
    case SYS_vfork:
    case SYS_userfaultfd:
        return hostile ? EPERM : 0;
    default:
        return 0;
    }
}
