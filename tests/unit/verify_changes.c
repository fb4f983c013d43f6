/* SPDX-License-Identifier: MIT */
/*
 * The changes verify_probe.c can make, by name. They run in the serving child,
 * so they call the kernel only: the C library would write to the image.
 */
#include "verify_probe.h"

#include <fcntl.h>
#include <linux/filter.h>
#include <linux/prctl.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>

#include "sys.h"

/* --- changes that are one system call -------------------------------------------------- */

static const struct rlimit limit = {100, 100};
static const struct {
    uint64_t handler, flags, restorer, mask;
} ignore = {1, 0, 0, 0}, restart = {1, SA_RESTART, 0, 0}, handle = {0x1000, 0x04000000, 0x1000, 0};
static const uint64_t some_signals = 0xff, one_cpu = 1;
static const struct itimerval later = {{0, 0}, {1000, 0}};
static const struct sched_param no_priority = {0};
static const gid_t groups[] = {1, 2, 3};
static const int one = 1;
static const struct flock whole_file = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
static const struct sock_filter allow = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
static const struct sock_fprog filter = {1, (struct sock_filter *)&allow};
static const stack_t alternate = {(void *)0x10000, 0, 65536};
static int timer_id;

static const struct {
    const char *name;
    long nr, arg[6];
} CALLS[] = {
    {"umask", SYS_umask, {077}},
    {"chdir", SYS_chdir, {(long)"/proc"}},
    {"chroot", SYS_chroot, {(long)"/usr"}},
    {"setgroups", SYS_setgroups, {3, (long)groups}},
    {"setgid", SYS_setgid, {1000}},
    {"setuid", SYS_setuid, {1000}},
    {"no_new_privs", SYS_prctl, {PR_SET_NO_NEW_PRIVS, 1}},
    {"seccomp", SYS_seccomp, {SECCOMP_SET_MODE_FILTER, 0, (long)&filter}},
    {"capbset_drop", SYS_prctl, {PR_CAPBSET_DROP, 0}},
    {"securebits", SYS_prctl, {PR_SET_SECUREBITS, 1}},
    {"keepcaps", SYS_prctl, {PR_SET_KEEPCAPS, 1}},
    {"sigprocmask", SYS_rt_sigprocmask, {SIG_SETMASK, (long)&some_signals, 0, 8}},
    {"sigaction", SYS_rt_sigaction, {SIGUSR1, (long)&handle, 0, 8}},
    {"sigaction_flags", SYS_rt_sigaction, {SIGUSR2, (long)&restart, 0, 8}},
    {"sigignore", SYS_rt_sigaction, {SIGPIPE, (long)&ignore, 0, 8}},
    {"sigaltstack", SYS_sigaltstack, {(long)&alternate, 0}},
    {"setrlimit", SYS_prlimit64, {0, RLIMIT_NOFILE, (long)&limit, 0}},
    {"nice", SYS_setpriority, {PRIO_PROCESS, 0, 5}},
    {"ioprio", SYS_ioprio_set, {1, 0, 3 << 13}},
    {"scheduler", SYS_sched_setscheduler, {0, SCHED_BATCH, (long)&no_priority}},
    {"affinity", SYS_sched_setaffinity, {0, sizeof one_cpu, (long)&one_cpu}},
    {"timerslack", SYS_prctl, {PR_SET_TIMERSLACK, 123456}},
    {"itimer_real", SYS_setitimer, {ITIMER_REAL, (long)&later, 0}},
    {"itimer_virtual", SYS_setitimer, {ITIMER_VIRTUAL, (long)&later, 0}},
    {"itimer_prof", SYS_setitimer, {ITIMER_PROF, (long)&later, 0}},
    {"timer_create", SYS_timer_create, {CLOCK_MONOTONIC, 0, (long)&timer_id}},
    {"comm", SYS_prctl, {PR_SET_NAME, (long)"renamed"}},
    {"personality", SYS_personality, {0x0040000}},
    {"dumpable", SYS_prctl, {PR_SET_DUMPABLE, 0}},
    {"thp_disable", SYS_prctl, {PR_SET_THP_DISABLE, 1}},
    {"mdwe", SYS_prctl, {65, 1}},
    {"memory_merge", SYS_prctl, {67, 1}},
    {"io_flusher", SYS_prctl, {57, 1}},
    {"mce_kill", SYS_prctl, {PR_MCE_KILL, PR_MCE_KILL_SET, PR_MCE_KILL_EARLY}},
    {"tsc", SYS_prctl, {PR_SET_TSC, PR_TSC_SIGSEGV}},
    {"subreaper", SYS_prctl, {PR_SET_CHILD_SUBREAPER, 1}},
    {"pdeathsig", SYS_prctl, {PR_SET_PDEATHSIG, SIGUSR1}},
    {"arg_start", SYS_prctl, {PR_SET_MM, PR_SET_MM_ARG_START, (long)&one}},
    {"membarrier", SYS_membarrier, {1 << 4}},
    {"protection_key", SYS_pkey_alloc, {0, 0}},
    {"mempolicy", SYS_set_mempolicy, {1, 0, 0}},
    {"robust_list", SYS_set_robust_list, {0x1000, 24}},
    {"tid_address", SYS_set_tid_address, {0x1000}},
    {"setpgid", SYS_setpgid, {0, -1}},
    {"unshare_uts", SYS_unshare, {CLONE_NEWUTS}},
    {"unshare_pid", SYS_unshare, {CLONE_NEWPID}},
    {"mlockall_future", SYS_mlockall, {MCL_FUTURE}},
    {"open", SYS_open, {(long)"/dev/null", O_RDWR}},
    {"close", SYS_close, {FILE_A}},
    {"dup2", SYS_dup2, {FILE_B, FILE_A}},
    {"lseek", SYS_lseek, {FILE_A, 33, SEEK_SET}},
    {"append", SYS_fcntl, {FILE_A, F_SETFL, O_APPEND}},
    {"cloexec", SYS_fcntl, {FILE_A, F_SETFD, FD_CLOEXEC}},
    {"owner", SYS_fcntl, {FILE_A, F_SETOWN, 1}},
    {"setsig", SYS_fcntl, {FILE_A, F_SETSIG, SIGUSR1}},
    {"lease", SYS_fcntl, {FILE_A, F_SETLEASE, F_WRLCK}},
    {"flock", SYS_flock, {FILE_A, 2}},
    {"posix_lock", SYS_fcntl, {FILE_A, F_SETLK, (long)&whole_file}},
    {"own_descriptor", SYS_close, {FILE_OWN}},
    {"brk", SYS_brk, {0}}, /* the argument is put in when it runs */
};

static long call(unsigned i)
{
    long arg[6], ret;

    memcpy(arg, CALLS[i].arg, sizeof arg);
    if (CALLS[i].nr == SYS_setpgid)
        arg[1] = SYS(SYS_getpgid, sys_getppid(), 0, 0, 0, 0, 0);
    if (CALLS[i].nr == SYS_timer_create)
        arg[2] = (long)own->why;
    if (CALLS[i].nr == SYS_brk)
        arg[0] = SYS(SYS_brk, 0, 0, 0, 0, 0, 0) + 64 * PAGE;
    ret = SYS(CALLS[i].nr, arg[0], arg[1], arg[2], arg[3], arg[4], arg[5]);
    return ret < 0 ? ret : 0;
}

/* --- changes of memory and mappings ------------------------------------------------------ */

static long change_heap(void)
{
    anon[100] ^= 1;
    return 0;
}

static long change_data(void)
{
    probe_number++;
    return 0;
}

static long change_zeros(void)
{
    probe_zeros[700] = 1;
    return 0;
}

static long change_object(void)
{
    ((uint64_t *)(anon + PAGE))[4]++;
    return 0;
}

static long change_gc_head(void)
{
    ((uint64_t *)(anon + PAGE))[-1]++;
    return 0;
}

static long change_blank(void)
{
    blank[PAGE + 5] = 1;
    return 0;
}

static long change_file_page(void)
{
    from_file[2 * PAGE + 8] = 'x';
    return 0;
}

static long change_exempt(void)
{
    exempt_word = 99;
    return 0;
}

static long through(char *at, int prot)
{
    long ret = sys_mprotect(at, PAGE, PROT_READ | PROT_WRITE);

    if (ret)
        return ret;
    at[16] ^= 3;
    return sys_mprotect(at, PAGE, prot);
}

static long change_readonly(void)
{
    return through(readonly, PROT_READ);
}

static long change_closed(void)
{
    return through(closed, PROT_NONE);
}

static long change_text(void)
{
    long fd = sys_open("/proc/self/mem", O_RDWR, 0), ret;

    if (fd < 0)
        return fd;
    ret = sys_pwrite((int)fd, "\xcc", 1, (off_t)&change_text);
    sys_close((int)fd);
    return ret < 0 ? ret : 0;
}

static long drop_page(void)
{
    return sys_madvise(anon, PAGE, MADV_DONTNEED);
}

/* Reading is no change, and makes a page only here. */
static long read_blank(void)
{
    return *(volatile char *)blank;
}

static long add_mapping(void)
{
    long at = sys_mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS);

    return at < 0 ? at : 0;
}

static long remove_mapping(void)
{
    return sys_munmap(gone, PAGE);
}

static long protect_mapping(void)
{
    return sys_mprotect(anon + PAGE, PAGE, PROT_READ);
}

/* Splits a mapping and makes it whole again: no change. */
static long protect_and_back(void)
{
    long ret = protect_mapping();

    return ret ? ret : sys_mprotect(anon + PAGE, PAGE, PROT_READ | PROT_WRITE);
}

static long lock_page(void)
{
    return SYS(SYS_mlock, anon, PAGE, 0, 0, 0, 0);
}

static long not_inherited(void)
{
    return sys_madvise(anon, PAGE, MADV_DONTFORK);
}

static long wiped_on_fork(void)
{
    return sys_madvise(anon, PAGE, MADV_WIPEONFORK);
}

static long other_file(void)
{
    long ret = SYS(SYS_mmap, from_file, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED,
                   FILE_B, 0);

    return ret < 0 ? ret : 0;
}

static long guard_page(void)
{
    return sys_madvise(anon, PAGE, 102 /* MADV_GUARD_INSTALL */);
}

/* --- changes of processes ----------------------------------------------------------------- */

static long send_signal(void)
{
    const uint64_t all = ~0ull;
    long ret = sys_sigprocmask(SIG_SETMASK, &all, NULL);

    return ret ? ret : sys_kill(sys_getpid(), SIGUSR1);
}

static int sleeper(void *unused)
{
    (void)unused;
    return (int)SYS(SYS_pause, 0, 0, 0, 0, 0, 0);
}

static long leave_thread(void)
{
    int flags = CLONE_VM | CLONE_FILES | CLONE_FS | CLONE_SIGHAND | CLONE_THREAD;

    return clone(sleeper, own->thread_stack + STACK, flags, NULL) < 0 ? -EAGAIN : 0;
}

static long leave_child(void)
{
    int self = sys_getpid();
    long pid = sys_clone(SIGCHLD, NULL);

    if (pid == 0)
        sleep_on(self);
    return pid < 0 ? pid : 0;
}

/* What an orphan becomes: a child of the worker. */
static long leave_stray(void)
{
    int parent = sys_getppid();
    long pid = sys_clone(CLONE_PARENT | SIGCHLD, NULL);

    if (pid == 0)
        sleep_on(parent);
    return pid < 0 ? pid : 0;
}

static long detach(void)
{
    int ready[2] = {-1, -1}, parent = sys_getppid();
    char byte;
    long ret = SYS(SYS_pipe2, ready, 0, 0, 0, 0, 0);

    if (ret)
        return ret;
    ret = sys_clone(CLONE_PARENT | SIGCHLD, NULL);
    if (ret == 0) {
        SYS(SYS_setsid, 0, 0, 0, 0, 0, 0);
        sys_write(ready[1], "", 1);
        sleep_on(parent);
    }
    sys_read(ready[0], &byte, 1);
    sys_close(ready[0]);
    sys_close(ready[1]);
    return ret < 0 ? ret : 0;
}

static long write_to(const char *path, const char *text)
{
    long fd = sys_open(path, O_WRONLY, 0), ret;

    if (fd < 0)
        return fd;
    ret = sys_write((int)fd, text, strlen(text));
    sys_close((int)fd);
    return ret < 0 ? ret : 0;
}

static long set_coredump_filter(void)
{
    return write_to("/proc/self/coredump_filter", "0x7f");
}

static long set_oom_score(void)
{
    return write_to("/proc/self/oom_score_adj", "123");
}

static long drop_capabilities(void)
{
    uint32_t head[2] = {0x20080522, 0}, data[6] = {0};

    if (SYS(SYS_geteuid, 0, 0, 0, 0, 0, 0))
        return -EPERM; /* there are none */
    return SYS(SYS_capset, head, data, 0, 0, 0, 0);
}

/* Which the leader of a group may not. */
static long new_session(void)
{
    long ret = sys_setpgid(0, (int)SYS(SYS_getpgid, sys_getppid(), 0, 0, 0, 0, 0));

    return ret ? ret : SYS(SYS_setsid, 0, 0, 0, 0, 0, 0);
}

static long nothing(void)
{
    return 0;
}

static const struct {
    const char *name;
    long (*change)(void);
} CHANGES[] = {
    {"nothing", nothing},
    {"heap", change_heap},
    {"data", change_data},
    {"zeros", change_zeros},
    {"object", change_object},
    {"gc_head", change_gc_head},
    {"blank", change_blank},
    {"file_page", change_file_page},
    {"exempt", change_exempt},
    {"readonly", change_readonly},
    {"closed", change_closed},
    {"text", change_text},
    {"drop_page", drop_page},
    {"read_blank", read_blank},
    {"add_mapping", add_mapping},
    {"remove_mapping", remove_mapping},
    {"protect_mapping", protect_mapping},
    {"protect_and_back", protect_and_back},
    {"lock_page", lock_page},
    {"not_inherited", not_inherited},
    {"wiped_on_fork", wiped_on_fork},
    {"other_file", other_file},
    {"guard_page", guard_page},
    {"send_signal", send_signal},
    {"leave_thread", leave_thread},
    {"leave_child", leave_child},
    {"leave_stray", leave_stray},
    {"detach", detach},
    {"coredump_filter", set_coredump_filter},
    {"oom_score", set_oom_score},
    {"drop_capabilities", drop_capabilities},
    {"setsid", new_session},
};

enum { CALL_COUNT = sizeof CALLS / sizeof *CALLS, CHANGE_COUNT = sizeof CHANGES / sizeof *CHANGES };

long make_change(const char *name)
{
    unsigned i;

    for (i = 0; i < CHANGE_COUNT; i++)
        if (!strcmp(CHANGES[i].name, name))
            return CHANGES[i].change();
    for (i = 0; i < CALL_COUNT; i++)
        if (!strcmp(CALLS[i].name, name))
            return call(i);
    return -EINVAL;
}

void list_changes(void)
{
    unsigned i;

    for (i = 0; i < CHANGE_COUNT; i++)
        puts(CHANGES[i].name);
    for (i = 0; i < CALL_COUNT; i++)
        puts(CALLS[i].name);
}
