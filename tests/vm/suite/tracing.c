/* SPDX-License-Identifier: MIT */
/* Lookers-on: ptrace and /proc follow the lwC that runs, and disturb none. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#include "neighbours.h"
#include "refused.h"
#include "steps.h"
#include "world.h"

static void read_all(pid_t pid, const char *name)
{
    char path[64], buffer[8192];
    int fd;

    snprintf(path, sizeof(path), "/proc/%d/%s", pid, name);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return;
    while (read(fd, buffer, sizeof(buffer)) > 0)
        ;
    close(fd);
}

static void check_either(long value)
{
    if (value != 1 && value != 2)
        FAIL("from outside it is %ld", value);
}

/* Looks at a process from outside, and stops it, again and again. */
_Noreturn static void watch(pid_t pid, volatile long *word, volatile bool *stop)
{
    static const char *const names[] = {"maps", "smaps", "status", "stat", "environ", "cmdline"};
    char path[64];

    snprintf(path, sizeof(path), "/proc/%d/mem", pid);
    while (!*stop) {
        struct user_regs_struct registers;
        long value;
        int mem;

        for (size_t n = 0; n < sizeof(names) / sizeof(*names); n++)
            read_all(pid, names[n]);
        mem = MUST(open(path, O_RDONLY | O_CLOEXEC));
        if (pread(mem, &value, sizeof(value), (uintptr_t)word) == sizeof(value))
            check_either(value);
        close(mem);
        MUST(ptrace(PTRACE_ATTACH, pid, 0, 0));
        CHECK_EQ(waitpid(pid, NULL, __WALL), pid);
        MUST(ptrace(PTRACE_GETREGS, pid, 0, &registers));
        value = MUST(ptrace(PTRACE_PEEKDATA, pid, word, 0));
        check_either(value);
        MUST(ptrace(PTRACE_DETACH, pid, 0, 0));
    }
    _exit(0);
}

/* A process that is traced and read from outside sees nothing of it, nor does the watcher err. */
TEST(watched_during_switches)
{
    volatile long *word = private_pages(1);
    volatile bool *stop = shared_pages(1);
    struct lwc_create c;
    pid_t parent = getpid(), pid;

    *word = 1;
    pid = fork_process();
    if (pid == 0) {
        while (!*stop && live().contexts < 2)
            short_pause();
        watch(parent, word, stop);
    }
    if (make(&c, LWC_MAY_RETURN)) {
        *word = 2;
        MUST(syscall(SYS_setresuid, 1, 1, 1));
        for (;;) {
            back(&c, 0);
            CHECK_EQ(*word, 2);
        }
    }
    for (int n = 0; n < 2000; n++) {
        enter(c.fd, 0);
        CHECK_EQ(*word, 1);
    }
    *stop = true;
    CHECK_EQ(ending(pid), 0);
}

/* A process that switches for ever between two lwCs, once it is traced. */
static pid_t switching_process(int switches)
{
    cpu_set_t one;
    pid_t pid;

    /* Both on one processor: to stop and to go on is cheaper then. */
    CPU_ZERO(&one);
    CPU_SET(0, &one);
    MUST(sched_setaffinity(0, sizeof(one), &one));
    pid = fork_process();
    if (pid == 0) {
        struct lwc_create c;

        if (make(&c, LWC_MAY_RETURN)) {
            for (;;)
                back(&c, 0);
        }
        MUST(raise(SIGSTOP));
        while (switches--)
            enter(c.fd, 0);
        _exit(0);
    }
    MUST(ptrace(PTRACE_SEIZE, pid, 0, PTRACE_O_TRACESYSGOOD));
    return pid;
}

static int stopped(pid_t pid)
{
    int status;

    CHECK_EQ(waitpid(pid, &status, __WALL), pid);
    if (!WIFSTOPPED(status))
        FAIL("the process ended: %#x", status);
    return WSTOPSIG(status);
}

/* To a tracer every switch is one system call, that begins and ends. */
TEST(traced_system_calls)
{
    pid_t pid = switching_process(1000000);
    int ioctls = 0;

    while (stopped(pid) != SIGSTOP)
        MUST(ptrace(PTRACE_CONT, pid, 0, 0));
    for (int n = 0; n < 800; n++) {
        struct __ptrace_syscall_info call;

        MUST(ptrace(PTRACE_SYSCALL, pid, 0, 0));
        if (stopped(pid) != (SIGTRAP | 0x80))
            continue;
        MUST(ptrace(PTRACE_GET_SYSCALL_INFO, pid, sizeof(call), &call));
        if (call.op == PTRACE_SYSCALL_INFO_ENTRY) {
            CHECK_EQ(call.entry.nr, SYS_ioctl);
            ioctls++;
        } else {
            CHECK_EQ(call.op, PTRACE_SYSCALL_INFO_EXIT);
            CHECK_EQ(call.exit.rval, 0);
        }
    }
    CHECK(ioctls > 350);
    MUST(kill(pid, SIGKILL));
    while (ending(pid) != 128 + SIGKILL)
        ;
}

/* A process that is stepped through switches, and let go in whichever lwC, goes on. */
TEST(stepped_through_switches)
{
    for (int extra = 0; extra < 200; extra += 57) {
        pid_t pid = switching_process(50);

        while (stopped(pid) != SIGSTOP)
            MUST(ptrace(PTRACE_CONT, pid, 0, 0));
        for (int n = 0; n < 300 + extra; n++) {
            MUST(ptrace(PTRACE_SINGLESTEP, pid, 0, 0));
            CHECK_EQ(stopped(pid), SIGTRAP);
        }
        MUST(ptrace(PTRACE_DETACH, pid, 0, 0));
        MUST(kill(pid, SIGCONT)); /* its own SIGSTOP may have come before the tracer */
        CHECK_EQ(ending(pid), 0);
    }
}

/* A tracer that was allowed in one lwC does not come into another with more rights. */
TEST(tracers_do_not_gain_rights)
{
    struct lwc_create c;
    struct lwc_switch s;

    if (make(&c, LWC_MAY_RETURN)) {
        pid_t tracer;

        MUST(setresuid(1000, 1000, 1000));
        MUST(prctl(PR_SET_DUMPABLE, 1));
        tracer = attached_tracer();
        CHECK_ERRNO(lwc_switch(c.fd, 0, NULL, 0, &s), EPERM);
        end_tracer(tracer);
        finish(&c, 1);
    }
    CHECK_EQ(enter(c.fd, 0), 1);
    CHECK_EQ(getuid(), 0);
}

/* To a tracer a refused call is one that is skipped; its result is the answer. */
TEST(traced_refused_calls)
{
    pid_t pid = fork_process();
    bool skipped = false, answered = false;

    if (pid == 0) {
        struct lwc_create c;

        if (make(&c, LWC_TRAP_SYSCALLS)) {
            for (;;)
                CHECK_EQ(raw(SYS_getppid, 0, 0, 0, 0, 0, 0), 77);
        }
        MUST(raise(SIGSTOP));
        for (;;)
            CHECK_EQ(answer(c.fd, 0, 77).args[0], SYS_getppid);
    }
    MUST(ptrace(PTRACE_SEIZE, pid, 0, PTRACE_O_TRACESYSGOOD));
    while (stopped(pid) != SIGSTOP)
        MUST(ptrace(PTRACE_CONT, pid, 0, 0));
    for (int n = 0; n < 200; n++) {
        struct user_regs_struct registers;

        MUST(ptrace(PTRACE_SYSCALL, pid, 0, 0));
        if (stopped(pid) != (SIGTRAP | 0x80))
            continue;
        MUST(ptrace(PTRACE_GETREGS, pid, 0, &registers));
        /* When the call ends the thread has been switched already, or is about to be. */
        skipped |= (long)registers.orig_rax == -1;
        answered |= registers.orig_rax == SYS_ioctl && registers.rax == 0;
    }
    CHECK(skipped);
    CHECK(answered);
    MUST(kill(pid, SIGKILL));
    while (ending(pid) != 128 + SIGKILL)
        ;
}

/* A refused call is no way for a tracer into the creator: it fails where a switch would. */
TEST(tracers_do_not_gain_rights_by_refused_calls)
{
    struct lwc_create c;

    if (make(&c, LWC_TRAP_SYSCALLS)) {
        pid_t tracer;

        MUST(setresuid(1000, 1000, 1000));
        MUST(prctl(PR_SET_DUMPABLE, 1));
        tracer = attached_tracer();
        CHECK_EQ(TELLING(0), -EPERM);
        end_tracer(tracer);
        TELLING(getuid());
    }
    CHECK_OK(lwc_trap(c.fd, LWC_TRAP_NONE, NULL));
    CHECK_EQ(told(c.fd, 0, 0), 1000);
    CHECK_EQ(getuid(), 0);
}
