/* SPDX-License-Identifier: MIT */
/*
 * Calls on the task: signals, processes, credentials.
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/select.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "dispatch_probe.h"

#define FAILS(call, with) ((call) == -1 && errno == (with))

extern char **environ;

static volatile int alarms, pipe_end = -1;

static void on_alarm(int number)
{
    char path[64];

    (void)number;
    alarms++;
    CHECK(getppid() > 0 && getcwd(path, sizeof path)); /* calls while one waits */
    if (pipe_end >= 0)
        CHECK(write(pipe_end, "x", 1) == 1);
}

static void alarm_soon(int flags)
{
    struct sigaction a = {.sa_handler = on_alarm, .sa_flags = flags};
    struct itimerval soon = {.it_value.tv_usec = 20000};

    sigfillset(&a.sa_mask);
    CHECK(sigaction(SIGALRM, &a, NULL) == 0 && setitimer(ITIMER_REAL, &soon, NULL) == 0);
}

static void sleep_is_interrupted(void)
{
    struct timespec t = {.tv_sec = 30};

    alarm_soon(0);
    CHECK(FAILS(nanosleep(&t, &t), EINTR) && alarms == 1 && t.tv_sec >= 28);
}

static void read_is_restarted(void)
{
    int pair[2];
    char c;

    CHECK(pipe(pair) == 0);
    pipe_end = pair[1];
    alarm_soon(SA_RESTART);
    CHECK(read(pair[0], &c, 1) == 1 && c == 'x' && alarms == 1);
}

static void handler_on_alternate_stack(void)
{
    static char room[65536];
    stack_t s = {.ss_sp = room, .ss_size = sizeof room}, was;
    struct timespec t = {.tv_sec = 30};

    CHECK(sigaltstack(NULL, &was) == 0 && was.ss_flags == SS_DISABLE);
    CHECK(sigaltstack(&s, NULL) == 0 && sigaltstack(NULL, &was) == 0 && was.ss_sp == room);
    alarm_soon(SA_ONSTACK);
    CHECK(FAILS(nanosleep(&t, NULL), EINTR) && alarms == 1 && getppid() > 0);
}

static void masks(void)
{
    sigset_t all, was;

    sigfillset(&all);
    CHECK(sigprocmask(SIG_BLOCK, &all, NULL) == 0 && getppid() > 0);
    CHECK(sigprocmask(SIG_SETMASK, NULL, &was) == 0);
    CHECK(sigismember(&was, SIGSYS) == 1 && sigismember(&was, SIGUSR1) == 1);
    CHECK(sigprocmask(SIG_UNBLOCK, &all, &was) == 0 && sigismember(&was, SIGSYS) == 1);
    CHECK(sigprocmask(SIG_SETMASK, NULL, &was) == 0);
    CHECK(sigismember(&was, SIGSYS) == 0 && sigismember(&was, SIGUSR1) == 0);
}

/* How some libraries ask whether memory may be read. */
static void wild_pointers(void)
{
    static uint64_t set;
    void *wild = (void *)8;

    CHECK(FAILS(syscall(SYS_rt_sigprocmask, ~0, &set, NULL, 8), EINVAL));
    CHECK(FAILS(syscall(SYS_rt_sigprocmask, ~0, wild, NULL, 8), EFAULT));
    CHECK(FAILS(syscall(SYS_rt_sigprocmask, SIG_BLOCK, wild, NULL, 8), EFAULT));
    CHECK(FAILS(syscall(SYS_rt_sigprocmask, SIG_BLOCK, NULL, wild, 8), EFAULT));
    CHECK(FAILS(syscall(SYS_rt_sigaction, SIGUSR1, wild, NULL, 8), EFAULT));
    CHECK(FAILS(syscall(SYS_sigaltstack, wild, NULL), EFAULT));
    CHECK(FAILS(syscall(SYS_clone3, NULL, 0L), EINVAL));
    CHECK(FAILS(syscall(SYS_clone3, wild, 88L), EFAULT));
    CHECK(FAILS(syscall(SYS_ppoll, NULL, 0, NULL, wild, 8), EFAULT));
}

static void sigsys_is_not_theirs(void)
{
    struct sigaction a = {.sa_handler = on_alarm}, was;

    CHECK(sigaction(SIGSYS, &a, NULL) == 0 && sigaction(SIGSYS, NULL, &was) == 0);
    CHECK(getppid() > 0);
}

static void sends_itself_sigsys(void)
{
    kill(getpid(), SIGSYS);
    pause();
}

static void waits_with_full_mask(void)
{
    struct timespec soon = {.tv_nsec = 1000000}, late = {.tv_sec = 30};
    struct epoll_event e;
    sigset_t all, most;
    int ep = epoll_create1(0);

    sigfillset(&all);
    most = all;
    sigdelset(&most, SIGALRM);
    CHECK(ppoll(NULL, 0, &soon, &all) == 0 && pselect(0, NULL, NULL, NULL, &soon, &all) == 0);
    CHECK(epoll_pwait(ep, &e, 1, 1, &all) == 0);
    alarm_soon(0);
    CHECK(FAILS(ppoll(NULL, 0, &late, &most), EINTR) && alarms == 1);
    alarm_soon(0);
    CHECK(FAILS(pselect(0, NULL, NULL, NULL, &late, &most), EINTR) && alarms == 2);
    alarm_soon(0);
    CHECK(FAILS(epoll_pwait(ep, &e, 1, 30000, &most), EINTR) && alarms == 3);
    alarm_soon(0);
    CHECK(FAILS(sigsuspend(&most), EINTR) && alarms == 4);
}

/* fork(2) without the C library: nothing but rax may change, nor the red zone. */
static int fork_keeps_all(void)
{
    static const uint64_t pattern[2] = {0x1122334455667788, 0x99aabbccddeeff00};
    uint64_t red, xmm[2], rdi, rsi, rdx, r8, r9, r10, rbx;
    long pid;

    __asm__ volatile(
        "mov %[p], %%rbx\n movups (%%rbx), %%xmm7\n"
        "mov $101, %%rdi\n mov $102, %%rsi\n mov $103, %%rdx\n"
        "mov $104, %%r8\n mov $105, %%r9\n mov $106, %%r10\n"
        "movq $107, -120(%%rsp)\n"
        "mov %[nr], %%eax\n syscall\n"
        "mov -120(%%rsp), %%r11\n mov %%r11, %[red]\n"
        "mov %%rdi, %[rdi]\n mov %%rsi, %[rsi]\n mov %%rdx, %[rdx]\n"
        "mov %%r8, %[r8]\n mov %%r9, %[r9]\n mov %%r10, %[r10]\n mov %%rbx, %[rbx]\n"
        "movups %%xmm7, %[xmm]\n"
        : "=a"(pid), [red] "=m"(red), [rdi] "=m"(rdi), [rsi] "=m"(rsi), [rdx] "=m"(rdx),
          [r8] "=m"(r8), [r9] "=m"(r9), [r10] "=m"(r10), [rbx] "=m"(rbx), [xmm] "=m"(xmm)
        : [p] "r"(pattern), [nr] "i"(SYS_fork)
        : "rbx", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "xmm7", "memory");
    CHECK(pid >= 0);
    return pid != 0 ? (int)pid
           : red == 107 && rdi == 101 && rsi == 102 && rdx == 103 && r8 == 104 && r9 == 105 &&
                   r10 == 106 && rbx == (uint64_t)pattern && memcmp(xmm, pattern, sizeof xmm) == 0
               ? 0
               : -1;
}

static void fork_keeps_registers(void)
{
    int status, pid = fork_keeps_all();

    if (pid <= 0)
        _exit(pid ? 1 : 0);
    CHECK(waitpid(pid, &status, 0) == pid && status == 0);
}

static void spawns(void)
{
    char *argv[] = {"true", NULL};
    pid_t pid;
    int status;

    CHECK(posix_spawnp(&pid, "true", NULL, NULL, argv, environ) == 0);
    CHECK(waitpid(pid, &status, 0) == pid && status == 0);
    pid = vfork();
    if (pid == 0)
        _exit(7);
    CHECK(waitpid(pid, &status, 0) == pid && WEXITSTATUS(status) == 7);
    CHECK(system("exit 3") == 3 << 8);
}

static void *thread(void *arg)
{
    (void)arg;
    return getppid() > 0 ? arg : NULL;
}

static void starts_thread(void)
{
    pthread_t t;
    void *ret, *arg = probe_frozen;

    CHECK(pthread_create(&t, NULL, thread, arg) == 0 && pthread_join(t, &ret) == 0 && ret == arg);
    CHECK(probe_trace()->flags & TRACE_UNSHARED);
}

/* The connection goes with the child's own table, but not into a copy. */
static void forks_beside_thread(void)
{
    pid_t pid;
    int status;

    starts_thread();
    probe_keep()->rq.wire = ROOT_CONN;
    pid = fork();
    if (pid == 0)
        _exit(probe_is_open(ROOT_CONN) ? 1 : probe_is_open(FILE_FD) ? 0 : 2);
    CHECK(waitpid(pid, &status, 0) == pid && status == 0);
}

static void executes(void)
{
    char *argv[] = {"sh", "-c", "exit 5", NULL};

    CHECK(FAILS(execv("/nonexistent", argv), ENOENT) && getppid() > 0);
    execv("/bin/sh", argv);
}

static void changes_itself(void)
{
    CHECK(umask(077) != 077 && chdir("/") == 0);
}

static void death_signal(void)
{
    int is = -1;

    CHECK(prctl(PR_GET_PDEATHSIG, &is) == 0 && is == 0);
    CHECK(prctl(PR_SET_PDEATHSIG, SIGTERM) == 0 && prctl(PR_GET_PDEATHSIG, &is) == 0);
    CHECK(is == SIGTERM && FAILS(prctl(PR_SET_PDEATHSIG, 99), EINVAL));
}

static void only_asks(void)
{
    char buf[1024];

    CHECK(prctl(PR_GET_NAME, buf) == 0 && prctl(PR_GET_DUMPABLE) >= 0);
    CHECK(syscall(SYS_prctl, 0x41555856 /* PR_GET_AUXV */, buf, sizeof buf, 0, 0) >= -1);
    CHECK(prctl(PR_MCE_KILL_GET, 0, 0, 0, 0) >= -1);
    CHECK(kill(getppid(), 0) == 0);
    CHECK(syscall(SYS_personality, 0xffffffff) >= 0);
}

static void turns_dispatch_off(void)
{
    /* To the application it never was on. */
    CHECK(prctl(59, 0, 0, 0, 0) == 0);
    CHECK(probe_trace()->flags == 0);
}

/* As many call sites as a large program has. */
static void many_call_sites(void)
{
    enum { SITES = TRACE_STUBS + 200, LEN = 16 };
    static const unsigned char site[LEN] = {0xb8, SYS_getppid, 0, 0, 0, 0x0f, 0x05, 0xc3};
    char *code = mmap(NULL, SITES * LEN, PROT_READ | PROT_WRITE | PROT_EXEC,
                      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    long parent = getppid();
    int i, round;

    CHECK(code != MAP_FAILED);
    for (i = 0; i < SITES; i++)
        memcpy(code + i * LEN, site, LEN);
    for (round = 0; round < 2; round++)
        for (i = 0; i < SITES; i++)
            CHECK(((long (*)(void))(code + i * LEN))() == parent);
}

enum {
    FORKED = TRACE_TASK | TRACE_SCAN | TRACE_CHILDREN,
    UNSEEN = FORKED | TRACE_BLIND | TRACE_MAPS | TRACE_FILES | TRACE_UNSHARED,
};

const struct probe_case cases_task[] = {
    {"sleep_is_interrupted", sleep_is_interrupted, .flags = TRACE_TASK},
    {"read_is_restarted", read_is_restarted, .flags = TRACE_TASK},
    {"handler_on_alternate_stack", handler_on_alternate_stack, .flags = TRACE_TASK},
    {"masks", masks, .flags = 0},
    {"wild_pointers_task", wild_pointers, .flags = 0, .may = FORKED | TRACE_MAPS},
    {"sigsys_is_not_theirs", sigsys_is_not_theirs, .flags = 0},
    {"sends_itself_sigsys", sends_itself_sigsys, .flags = TRACE_TASK, .how = ENDS,
     .status = (128 + SIGSYS) << 8},
    {"waits_with_full_mask", waits_with_full_mask, .flags = TRACE_TASK},
    {"fork_keeps_registers", fork_keeps_registers, .flags = FORKED},
    {"spawns", spawns, .flags = FORKED | TRACE_MAPS, .how = MAPS_LEFT},
    {"starts_thread", starts_thread, .flags = UNSEEN, .how = NO_UNDO},
    {"forks_beside_thread", forks_beside_thread, .flags = UNSEEN, .how = NO_UNDO},
    {"executes", executes, .flags = 0, .how = ENDS, .status = 5 << 8},
    {"changes_itself", changes_itself, .flags = TRACE_TASK},
    {"death_signal", death_signal, .flags = 0},
    {"only_asks", only_asks, .flags = 0},
    {"turns_dispatch_off", turns_dispatch_off, .flags = 0},
    {"many_call_sites", many_call_sites, .flags = TRACE_TASK},
    {.name = NULL},
};
