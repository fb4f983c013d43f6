/* SPDX-License-Identifier: MIT */
#include "calls.h"

#include <sys/mman.h>

#include "call_files.h"
#include "call_memory.h"
#include "call_task.h"

/* Newer than Debian 12's headers. */
enum {
    NR_cachestat = 451,
    NR_fchmodat2 = 452,
    NR_map_shadow_stack = 453,
    NR_futex_wake = 454,
    NR_futex_wait = 455,
    NR_futex_requeue = 456,
    NR_statmount = 457,
    NR_listmount = 458,
    NR_lsm_get_self_attr = 459,
    NR_lsm_set_self_attr = 460,
    NR_lsm_list_modules = 461,
    NR_mseal = 462,
    NR_setxattrat = 463,
    NR_removexattrat = 466,
};

enum kind {
    UNKNOWN = 0,
    PURE,     /* changes nothing of the context but memory */
    USES,     /* … and its first argument is a descriptor */
    USES_AT,  /* … or a directory's, or none (AT_FDCWD), or a file's (AT_EMPTY_PATH) */
    USES_TWO, /* … or its first and third are */
    MOVES,    /* likewise, and its offset may change */
    MOVES_TWO,
    CHANGES,  /* likewise, and its flags, locks or owner may */
    OPENS,    /* returns a new descriptor, without waiting */
    OPENS_OF, /* … made of the descriptor that is its first argument */
    TASK,     /* changes the task */
    TASK_OF,  /* … by means of the descriptor that is its first argument */
    WHOLE,    /* changes memory as a whole, for good */
    NO_SUCH,  /* answered ENOSYS */
    DENIED,   /* answered EPERM */
    SPECIAL,
};

static const uint8_t kinds[512] = {
    [SYS_read] = MOVES,
    [SYS_write] = MOVES,
    [SYS_open] = SPECIAL,
    [SYS_close] = SPECIAL,
    [SYS_stat] = PURE,
    [SYS_fstat] = USES,
    [SYS_lstat] = PURE,
    [SYS_poll] = PURE,
    [SYS_lseek] = MOVES,
    [SYS_mmap] = SPECIAL,
    [SYS_mprotect] = SPECIAL,
    [SYS_munmap] = SPECIAL,
    [SYS_brk] = SPECIAL,
    [SYS_rt_sigaction] = SPECIAL,
    [SYS_rt_sigprocmask] = SPECIAL,
    [SYS_rt_sigreturn] = SPECIAL,
    [SYS_ioctl] = SPECIAL,
    [SYS_pread64] = USES,
    [SYS_pwrite64] = USES,
    [SYS_readv] = MOVES,
    [SYS_writev] = MOVES,
    [SYS_access] = PURE,
    [SYS_pipe] = SPECIAL,
    [SYS_select] = PURE,
    [SYS_sched_yield] = PURE,
    [SYS_mremap] = SPECIAL,
    [SYS_msync] = PURE,
    [SYS_mincore] = PURE,
    [SYS_madvise] = SPECIAL,
    [SYS_shmget] = PURE,
    [SYS_shmat] = SPECIAL,
    [SYS_shmctl] = PURE,
    [SYS_dup] = OPENS_OF,
    [SYS_dup2] = SPECIAL,
    [SYS_pause] = PURE,
    [SYS_nanosleep] = PURE,
    [SYS_getitimer] = PURE,
    [SYS_alarm] = TASK,
    [SYS_setitimer] = TASK,
    [SYS_getpid] = PURE,
    [SYS_sendfile] = MOVES_TWO,
    [SYS_socket] = OPENS,
    [SYS_connect] = USES,
    [SYS_accept] = SPECIAL,
    [SYS_sendto] = USES,
    [SYS_recvfrom] = USES,
    [SYS_sendmsg] = USES,
    [SYS_recvmsg] = SPECIAL,
    [SYS_shutdown] = USES,
    [SYS_bind] = USES,
    [SYS_listen] = USES,
    [SYS_getsockname] = USES,
    [SYS_getpeername] = USES,
    [SYS_socketpair] = SPECIAL,
    [SYS_setsockopt] = USES,
    [SYS_getsockopt] = USES,
    [SYS_clone] = SPECIAL,
    [SYS_fork] = SPECIAL,
    [SYS_vfork] = SPECIAL,
    [SYS_execve] = PURE,
    [SYS_exit] = PURE,
    [SYS_wait4] = PURE,
    [SYS_kill] = SPECIAL,
    [SYS_uname] = PURE,
    [SYS_semget] = PURE,
    [SYS_semop] = TASK, /* SEM_UNDO is of the task */
    [SYS_semctl] = PURE,
    [SYS_shmdt] = SPECIAL,
    [SYS_msgget] = PURE,
    [SYS_msgsnd] = PURE,
    [SYS_msgrcv] = PURE,
    [SYS_msgctl] = PURE,
    [SYS_fcntl] = SPECIAL,
    [SYS_flock] = CHANGES,
    [SYS_fsync] = USES,
    [SYS_fdatasync] = USES,
    [SYS_truncate] = PURE,
    [SYS_ftruncate] = USES,
    [SYS_getdents] = MOVES,
    [SYS_getcwd] = PURE,
    [SYS_chdir] = TASK,
    [SYS_fchdir] = TASK_OF,
    [SYS_rename] = PURE,
    [SYS_mkdir] = PURE,
    [SYS_rmdir] = PURE,
    [SYS_creat] = SPECIAL,
    [SYS_link] = PURE,
    [SYS_unlink] = PURE,
    [SYS_symlink] = PURE,
    [SYS_readlink] = PURE,
    [SYS_chmod] = PURE,
    [SYS_fchmod] = USES,
    [SYS_chown] = PURE,
    [SYS_fchown] = USES,
    [SYS_lchown] = PURE,
    [SYS_umask] = TASK,
    [SYS_gettimeofday] = PURE,
    [SYS_getrlimit] = PURE,
    [SYS_getrusage] = PURE,
    [SYS_sysinfo] = PURE,
    [SYS_times] = PURE,
    [SYS_ptrace] = SPECIAL,
    [SYS_getuid] = PURE,
    [SYS_syslog] = PURE,
    [SYS_getgid] = PURE,
    [SYS_setuid] = SPECIAL,
    [SYS_setgid] = SPECIAL,
    [SYS_geteuid] = PURE,
    [SYS_getegid] = PURE,
    [SYS_setpgid] = TASK,
    [SYS_getppid] = PURE,
    [SYS_getpgrp] = PURE,
    [SYS_setsid] = TASK,
    [SYS_setreuid] = SPECIAL,
    [SYS_setregid] = SPECIAL,
    [SYS_getgroups] = PURE,
    [SYS_setgroups] = SPECIAL,
    [SYS_setresuid] = SPECIAL,
    [SYS_getresuid] = PURE,
    [SYS_setresgid] = SPECIAL,
    [SYS_getresgid] = PURE,
    [SYS_getpgid] = PURE,
    [SYS_setfsuid] = SPECIAL,
    [SYS_setfsgid] = SPECIAL,
    [SYS_getsid] = PURE,
    [SYS_capget] = PURE,
    [SYS_capset] = SPECIAL,
    [SYS_rt_sigpending] = PURE,
    [SYS_rt_sigtimedwait] = PURE,
    [SYS_rt_sigqueueinfo] = SPECIAL,
    [SYS_rt_sigsuspend] = SPECIAL,
    [SYS_sigaltstack] = SPECIAL,
    [SYS_utime] = PURE,
    [SYS_mknod] = PURE,
    [SYS_personality] = SPECIAL,
    [SYS_ustat] = PURE,
    [SYS_statfs] = PURE,
    [SYS_fstatfs] = USES,
    [SYS_sysfs] = PURE,
    [SYS_getpriority] = PURE,
    [SYS_setpriority] = TASK,
    [SYS_sched_setparam] = TASK,
    [SYS_sched_getparam] = PURE,
    [SYS_sched_setscheduler] = TASK,
    [SYS_sched_getscheduler] = PURE,
    [SYS_sched_get_priority_max] = PURE,
    [SYS_sched_get_priority_min] = PURE,
    [SYS_sched_rr_get_interval] = PURE,
    [SYS_mlock] = SPECIAL,
    [SYS_munlock] = SPECIAL,
    [SYS_mlockall] = SPECIAL,
    [SYS_munlockall] = SPECIAL,
    [SYS_vhangup] = PURE,
    [SYS_modify_ldt] = WHOLE,
    [SYS_pivot_root] = TASK,
    [SYS_prctl] = SPECIAL,
    [SYS_arch_prctl] = SPECIAL,
    [SYS_adjtimex] = PURE,
    [SYS_setrlimit] = TASK,
    [SYS_chroot] = TASK,
    [SYS_sync] = PURE,
    [SYS_acct] = PURE,
    [SYS_settimeofday] = PURE,
    [SYS_mount] = PURE,
    [SYS_umount2] = PURE,
    [SYS_swapon] = PURE,
    [SYS_swapoff] = PURE,
    [SYS_reboot] = PURE,
    [SYS_sethostname] = PURE,
    [SYS_setdomainname] = PURE,
    [SYS_ioperm] = TASK,
    [SYS_iopl] = TASK,
    [SYS_init_module] = PURE,
    [SYS_delete_module] = PURE,
    [SYS_quotactl] = PURE,
    [SYS_gettid] = PURE,
    [SYS_readahead] = USES,
    [SYS_setxattr] = PURE,
    [SYS_lsetxattr] = PURE,
    [SYS_fsetxattr] = USES,
    [SYS_getxattr] = PURE,
    [SYS_lgetxattr] = PURE,
    [SYS_fgetxattr] = USES,
    [SYS_listxattr] = PURE,
    [SYS_llistxattr] = PURE,
    [SYS_flistxattr] = USES,
    [SYS_removexattr] = PURE,
    [SYS_lremovexattr] = PURE,
    [SYS_fremovexattr] = USES,
    [SYS_tkill] = SPECIAL,
    [SYS_time] = PURE,
    [SYS_futex] = PURE,
    [SYS_sched_setaffinity] = TASK,
    [SYS_sched_getaffinity] = PURE,
    [SYS_io_setup] = WHOLE,
    [SYS_io_destroy] = WHOLE,
    [SYS_io_getevents] = PURE,
    [SYS_io_submit] = WHOLE,
    [SYS_io_cancel] = PURE,
    [SYS_epoll_create] = OPENS,
    [SYS_remap_file_pages] = WHOLE,
    [SYS_getdents64] = MOVES,
    [SYS_set_tid_address] = SPECIAL,
    [SYS_restart_syscall] = PURE,
    [SYS_semtimedop] = TASK,
    [SYS_fadvise64] = USES,
    [SYS_timer_create] = TASK,
    [SYS_timer_settime] = TASK,
    [SYS_timer_gettime] = PURE,
    [SYS_timer_getoverrun] = PURE,
    [SYS_timer_delete] = TASK,
    [SYS_clock_settime] = PURE,
    [SYS_clock_gettime] = PURE,
    [SYS_clock_getres] = PURE,
    [SYS_clock_nanosleep] = PURE,
    [SYS_exit_group] = PURE,
    [SYS_epoll_wait] = USES,
    [SYS_epoll_ctl] = USES_TWO,
    [SYS_tgkill] = SPECIAL,
    [SYS_utimes] = PURE,
    [SYS_mbind] = SPECIAL,
    [SYS_set_mempolicy] = TASK,
    [SYS_get_mempolicy] = PURE,
    [SYS_mq_open] = OPENS,
    [SYS_mq_unlink] = PURE,
    [SYS_mq_timedsend] = USES,
    [SYS_mq_timedreceive] = USES,
    [SYS_mq_notify] = TASK,
    [SYS_mq_getsetattr] = CHANGES,
    [SYS_kexec_load] = PURE,
    [SYS_waitid] = PURE,
    [SYS_add_key] = TASK,
    [SYS_request_key] = TASK,
    [SYS_keyctl] = TASK,
    [SYS_ioprio_set] = TASK,
    [SYS_ioprio_get] = PURE,
    [SYS_inotify_init] = OPENS,
    [SYS_inotify_add_watch] = USES,
    [SYS_inotify_rm_watch] = USES,
    [SYS_migrate_pages] = PURE,
    [SYS_openat] = SPECIAL,
    [SYS_mkdirat] = PURE,
    [SYS_mknodat] = PURE,
    [SYS_fchownat] = USES_AT,
    [SYS_futimesat] = PURE,
    [SYS_newfstatat] = USES_AT,
    [SYS_unlinkat] = PURE,
    [SYS_renameat] = PURE,
    [SYS_linkat] = USES_AT,
    [SYS_symlinkat] = PURE,
    [SYS_readlinkat] = USES_AT,
    [SYS_fchmodat] = PURE,
    [SYS_faccessat] = PURE,
    [SYS_pselect6] = SPECIAL,
    [SYS_ppoll] = SPECIAL,
    [SYS_unshare] = SPECIAL,
    [SYS_set_robust_list] = TASK,
    [SYS_get_robust_list] = PURE,
    [SYS_splice] = MOVES_TWO,
    [SYS_tee] = USES_TWO,
    [SYS_sync_file_range] = USES,
    [SYS_vmsplice] = USES,
    [SYS_move_pages] = PURE,
    [SYS_utimensat] = USES_AT,
    [SYS_epoll_pwait] = SPECIAL,
    [SYS_signalfd] = SPECIAL,
    [SYS_timerfd_create] = OPENS,
    [SYS_eventfd] = OPENS,
    [SYS_fallocate] = USES,
    [SYS_timerfd_settime] = USES,
    [SYS_timerfd_gettime] = USES,
    [SYS_accept4] = SPECIAL,
    [SYS_signalfd4] = SPECIAL,
    [SYS_eventfd2] = OPENS,
    [SYS_epoll_create1] = OPENS,
    [SYS_dup3] = SPECIAL,
    [SYS_pipe2] = SPECIAL,
    [SYS_inotify_init1] = OPENS,
    [SYS_preadv] = USES,
    [SYS_pwritev] = USES,
    [SYS_rt_tgsigqueueinfo] = SPECIAL,
    [SYS_perf_event_open] = OPENS,
    [SYS_recvmmsg] = SPECIAL,
    [SYS_fanotify_init] = OPENS,
    [SYS_fanotify_mark] = USES,
    [SYS_prlimit64] = SPECIAL,
    [SYS_name_to_handle_at] = USES_AT,
    [SYS_open_by_handle_at] = OPENS,
    [SYS_clock_adjtime] = PURE,
    [SYS_syncfs] = USES,
    [SYS_sendmmsg] = USES,
    [SYS_setns] = TASK_OF,
    [SYS_getcpu] = PURE,
    [SYS_process_vm_readv] = PURE,
    [SYS_process_vm_writev] = PURE,
    [SYS_kcmp] = PURE,
    [SYS_finit_module] = PURE,
    [SYS_sched_setattr] = TASK,
    [SYS_sched_getattr] = PURE,
    [SYS_renameat2] = PURE,
    [SYS_seccomp] = SPECIAL,
    [SYS_getrandom] = PURE,
    [SYS_memfd_create] = OPENS,
    [SYS_kexec_file_load] = PURE,
    [SYS_bpf] = SPECIAL,
    [SYS_execveat] = USES_AT,
    [SYS_userfaultfd] = DENIED,
    [SYS_membarrier] = SPECIAL,
    [SYS_mlock2] = SPECIAL,
    [SYS_copy_file_range] = MOVES_TWO,
    [SYS_preadv2] = MOVES,
    [SYS_pwritev2] = MOVES,
    [SYS_pkey_mprotect] = SPECIAL,
    [SYS_pkey_alloc] = WHOLE,
    [SYS_pkey_free] = WHOLE,
    [SYS_statx] = USES_AT,
    [SYS_io_pgetevents] = PURE,
    [SYS_rseq] = NO_SUCH,
    [SYS_pidfd_send_signal] = TASK_OF,
    [SYS_io_uring_setup] = NO_SUCH,
    [SYS_io_uring_enter] = NO_SUCH,
    [SYS_io_uring_register] = NO_SUCH,
    [SYS_open_tree] = OPENS,
    [SYS_move_mount] = PURE,
    [SYS_fsopen] = OPENS,
    [SYS_fsconfig] = USES,
    [SYS_fsmount] = OPENS,
    [SYS_fspick] = OPENS,
    [SYS_pidfd_open] = OPENS,
    [SYS_clone3] = SPECIAL,
    [SYS_close_range] = SPECIAL,
    [SYS_openat2] = SPECIAL,
    [SYS_pidfd_getfd] = OPENS_OF,
    [SYS_faccessat2] = USES_AT,
    [SYS_process_madvise] = WHOLE,
    [SYS_epoll_pwait2] = SPECIAL,
    [SYS_mount_setattr] = PURE,
    [SYS_quotactl_fd] = USES,
    [SYS_landlock_create_ruleset] = SPECIAL,
    [SYS_landlock_add_rule] = USES,
    [SYS_landlock_restrict_self] = TASK_OF,
    [SYS_memfd_secret] = OPENS,
    [SYS_process_mrelease] = WHOLE,
    [SYS_futex_waitv] = PURE,
    [SYS_set_mempolicy_home_node] = WHOLE,
    [NR_cachestat] = USES,
    [NR_fchmodat2] = PURE,
    [NR_map_shadow_stack] = WHOLE,
    [NR_futex_wake] = PURE,
    [NR_futex_wait] = PURE,
    [NR_futex_requeue] = PURE,
    [NR_statmount] = PURE,
    [NR_listmount] = PURE,
    [NR_lsm_get_self_attr] = PURE,
    [NR_lsm_set_self_attr] = TASK,
    [NR_lsm_list_modules] = PURE,
    [NR_mseal] = WHOLE,
    [NR_setxattrat... NR_removexattrat] = PURE,
};

/* Control messages may bring descriptors along. */
static enum verdict receive(struct call *c)
{
    enum verdict v = call_uses(c, 0);
    struct msghdr m;

    if (v == CALL_LET &&
        (c->nr == SYS_recvmmsg || (call_reads(c, &m, c->arg[1], sizeof m) == 0 && m.msg_control)))
        c->t->flags |= TRACE_FILES;
    return v;
}

static enum verdict accept_one(struct call *c)
{
    enum verdict v = call_uses(c, 0);

    if (v == CALL_LET)
        c->t->flags |= TRACE_FILES; /* it may wait, so its result is not seen */
    return v;
}

static enum verdict special(struct call *c)
{
    switch (c->nr) {
    case SYS_open:
    case SYS_creat:
    case SYS_openat:
    case SYS_openat2:
        return call_opens_path(c);
    case SYS_close:
        return call_closes(c);
    case SYS_close_range:
        return call_closes_range(c);
    case SYS_dup2:
    case SYS_dup3:
        return call_duplicates_to(c);
    case SYS_fcntl:
        return call_fcntl(c);
    case SYS_ioctl:
        return call_ioctl(c);
    case SYS_pipe:
    case SYS_pipe2:
        return call_opens_pair(c, (const int *)c->arg[0]);
    case SYS_socketpair:
        return call_opens_pair(c, (const int *)c->arg[3]);
    case SYS_signalfd:
    case SYS_signalfd4:
        return (int)c->arg[0] == -1 ? call_opens(c) : call_uses(c, 0);
    case SYS_accept:
    case SYS_accept4:
        return accept_one(c);
    case SYS_recvmsg:
    case SYS_recvmmsg:
        return receive(c);
    case SYS_mmap:
        if (!(c->arg[3] & MAP_ANONYMOUS) && !call_knows(c, (int)c->arg[4]))
            return call_answer(c, -EBADF);
        return call_mmap(c);
    case SYS_munmap:
        return call_munmap(c);
    case SYS_mremap:
        return call_mremap(c);
    case SYS_brk:
        return call_brk(c);
    case SYS_mprotect:
    case SYS_pkey_mprotect:
        return call_mprotect(c);
    case SYS_madvise:
        return call_madvise(c);
    case SYS_mlock:
    case SYS_mlock2:
    case SYS_munlock:
    case SYS_mlockall:
    case SYS_munlockall:
        return call_mlock(c);
    case SYS_mbind:
        return call_mbind(c);
    case SYS_shmat:
    case SYS_shmdt:
        return call_make_flag(c, TRACE_MAPS | TRACE_SCAN);
    case SYS_clone:
    case SYS_clone3:
    case SYS_fork:
    case SYS_vfork:
        return call_clone(c);
    case SYS_ptrace:
        return call_let(c, TRACE_TASK | TRACE_SCAN);
    case SYS_unshare:
        return call_unshare(c);
    case SYS_kill:
    case SYS_tkill:
    case SYS_tgkill:
    case SYS_rt_sigqueueinfo:
    case SYS_rt_tgsigqueueinfo:
        return call_kill(c);
    case SYS_rt_sigaction:
        return call_sigaction(c);
    case SYS_rt_sigprocmask:
        return call_sigprocmask(c);
    case SYS_rt_sigreturn:
        return CALL_SIGRETURN;
    case SYS_sigaltstack:
        return call_sigaltstack(c);
    case SYS_epoll_pwait:
    case SYS_epoll_pwait2:
        if (!call_knows(c, (int)c->arg[0]))
            return call_answer(c, -EBADF);
        return call_waits_with_mask(c);
    case SYS_rt_sigsuspend:
    case SYS_ppoll:
    case SYS_pselect6:
        return call_waits_with_mask(c);
    case SYS_landlock_create_ruleset: /* with flags it only asks for a version */
        return c->arg[2] ? CALL_LET : call_opens(c);
    case SYS_bpf:     /* of its many commands some return a descriptor */
    case SYS_seccomp: /* … and so may this, with a listener */
        return call_let(c, TRACE_TASK | TRACE_FILES);
    case SYS_personality: /* this one only asks (personality(2)) */
        return call_let(c, (uint32_t)c->arg[0] == 0xffffffff ? 0 : TRACE_TASK);
    case SYS_set_tid_address:
        return call_answer(c, c->in->pid);
    case SYS_prctl:
        return call_prctl(c);
    case SYS_arch_prctl:
        return call_arch_prctl(c);
    case SYS_prlimit64:
        return call_prlimit(c);
    case SYS_membarrier:
        return call_membarrier(c);
    default: /* setuid(2) and its like */
        return call_credentials(c);
    }
}

static enum verdict both(struct call *c, enum verdict (*judge)(struct call *, int))
{
    enum verdict v = judge(c, 0);

    return v == CALL_LET ? judge(c, c->nr == SYS_sendfile || c->nr == SYS_tee ? 1 : 2) : v;
}

enum verdict calls_judge(struct call *c)
{
    enum verdict v;

    switch (c->nr >= 0 && c->nr < (long)sizeof kinds ? kinds[c->nr] : UNKNOWN) {
    case PURE:
        return CALL_LET;
    case USES:
        return call_uses(c, 0);
    case USES_AT:
        return (int)c->arg[0] < 0 ? CALL_LET : call_uses(c, 0);
    case USES_TWO:
        return both(c, call_uses);
    case MOVES:
        return call_moves(c, 0);
    case MOVES_TWO:
        return both(c, call_moves);
    case CHANGES:
        return call_changes(c, 0);
    case OPENS_OF:
        return call_opens_of(c);
    case OPENS:
        return call_opens(c);
    case TASK:
        return call_let(c, TRACE_TASK);
    case TASK_OF:
        v = call_uses(c, 0);
        return v == CALL_LET ? call_let(c, TRACE_TASK) : v;
    case WHOLE:
        return call_make_flag(c, TRACE_WHOLE);
    case NO_SUCH:
        return call_answer(c, -ENOSYS);
    case DENIED:
        return call_answer(c, -EPERM);
    case SPECIAL:
        return special(c);
    default:
        return call_make_flag(c, TRACE_TASK | TRACE_WHOLE);
    }
}
