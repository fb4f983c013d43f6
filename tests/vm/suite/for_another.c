/* SPDX-License-Identifier: MIT */
/* A system call made for another lwC while others look on, interfere, or end it. */
#define _GNU_SOURCE
#include <asm/ldt.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "performed.h"
#include "refused.h"
#include "team.h"
#include "world.h"

/* Where the table is parted from one that others share, the target has the new one afterwards. */
TEST(syscall_unshares_the_table)
{
    struct lwc_create c;

    if (make_with(&c, LWC_MAY_RETURN, SPECS(SHARED_FILES))) {
        CHECK_EQ(fcntl(51, F_GETFD), -1);
        CHECK(fcntl(50, F_GETFD) >= 0);
        MUST(dup2(2, 52));
        finish(&c, 1);
    }
    MUST(dup2(2, 50));
    MUST(dup2(2, 51));
    CHECK_EQ(for_other(c.fd, IN_FILES, SYS_close_range, WORDS(51, 51, CLOSE_RANGE_UNSHARE)), 0);
    CHECK(fcntl(51, F_GETFD) >= 0);
    MUST(close(50));
    CHECK_EQ(fcntl(50, F_GETFD), -1);
    /* It is a table of its own, and as long-lived as the target. */
    CHECK_EQ(for_other(c.fd, IN_FILES, SYS_fcntl, WORDS(50, F_GETFD)), 0);
    CHECK_EQ(enter(c.fd, 0), 1);
    CHECK_EQ(fcntl(52, F_GETFD), -1);
}

/* What is done for a worker is undone by its reset. */
TEST(syscall_in_workers)
{
    char *page = private_pages(1);
    struct lwc_create c;
    int pipe[2], worker;

    MUST(pipe2(pipe, O_NONBLOCK));
    *page = 'a';
    if (make(&c, SNAPSHOT)) {
        char seen = *page;

        CHECK(!is_mapped((void *)c.args[0]));
        CHECK_EQ(fcntl(60, F_GETFD), -1);
        finish(&c, seen);
    }
    worker = clone_of(c.fd);
    for (int round = 0; round < 3; round++) {
        long at;

        MUST(write(pipe[1], "b", 1));
        CHECK_EQ(for_other(worker, IN_MEMORY, SYS_read, WORDS(pipe[0], (uintptr_t)page, 1)), 1);
        CHECK_EQ(for_other(worker, IN_FILES, SYS_dup2, WORDS(2, 60)), 60);
        at = for_other(worker, IN_MEMORY, SYS_mmap,
                       WORDS(0, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
        CHECK(at > 0);
        reset(worker);
        CHECK_EQ(enter(worker, at), 'a');
        reset(worker);
    }
    CHECK_EQ(*page, 'a');
}

/* Address space that is made for an lwC counts. */
TEST(syscall_maps_are_counted)
{
    struct lwc_create c;
    __u64 before;
    long at;

    if (make(&c, 0))
        FAIL("entered");
    before = info(c.fd).bytes;
    at = for_other(c.fd, IN_MEMORY, SYS_mmap,
                   WORDS(0, MIB, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    CHECK_EQ(info(c.fd).bytes, before + MIB);
    CHECK_EQ(for_other(c.fd, IN_MEMORY, SYS_munmap, WORDS(at, MIB)), 0);
    CHECK_EQ(info(c.fd).bytes, before);
}

/* The credentials are one lwC's and the table the other's, as the mask has it. */
TEST(syscall_of_two_kinds)
{
    struct lwc_create c;
    struct stat status;
    int opened;

    MUST(mkdir("/tmp/two", 0777));
    MUST(chmod("/tmp/two", 0777));
    if (make(&c, LWC_MAY_RETURN)) {
        MUST(syscall(SYS_setresuid, 1000, 1000, 1000));
        MUST(fstat(back(&c, 0), &status));
        finish(&c, status.st_uid);
    }
    enter(c.fd, 0);
    opened = for_other(c.fd, IN_CREDENTIALS | IN_FILES, SYS_open,
                       WORDS((uintptr_t)"/tmp/two/file", O_CREAT | O_RDWR, 0600));
    CHECK(opened >= 0);
    CHECK_EQ(fcntl(opened, F_GETFD), -1);
    CHECK_EQ(enter(c.fd, opened), 1000);
}

/* Where the result cannot be told the call is not made. */
TEST(syscall_unwritable)
{
    struct lwc_syscall *call = private_pages(1);
    struct lwc_create c;

    if (make(&c, 0))
        FAIL("entered");
    *call =
        (struct lwc_syscall){.target = c.fd, .mask = IN_MEMORY, .nr = SYS_dup2, .args = {2, 60}};
    MUST(mprotect(call, PAGE, PROT_READ));
    CHECK_ERRNO(lwc_call(LWC_IOC_SYSCALL, call), EFAULT);
    CHECK_EQ(fcntl(60, F_GETFD), -1);
    CHECK_ERRNO(lwc_call(LWC_IOC_SYSCALL, NULL), EFAULT);
}

/* A descriptor of an lwC is a name only for a call that is made for another, in whichever table. */
TEST(syscall_closes_own_names)
{
    struct lwc_create c, d;

    if (make(&c, LWC_MAY_RETURN))
        finish(&c, 5);
    if (make(&d, 0))
        FAIL("entered");
    CHECK_EQ(for_other(c.fd, IN_MEMORY, SYS_dup, WORDS(c.fd)) >= 0, true);
    CHECK_EQ(for_other(c.fd, IN_MEMORY | IN_CREDENTIALS, SYS_close, WORDS(d.fd)), 0);
    CHECK_EQ(for_other(d.fd - 1, IN_MEMORY, SYS_getpid, WORDS(0)), getpid());
    CHECK_EQ(info(LWC_FD_SELF).contexts, 3);
    CHECK_EQ(enter(c.fd, 0), 5);
}

/* For a worker whose reset has failed nothing is performed, and it answers nobody. */
TEST(syscall_for_what_is_broken)
{
    struct user_desc segment = {.entry_number = 3, .limit = 0xfffff, .seg_32bit = 1};
    struct lwc_create c, d;
    struct lwc_switch s;
    struct lwc_reset r;
    int worker, child;
    __s64 result;

    if (SYS(syscall(SYS_modify_ldt, 1, &segment, sizeof(segment))) < 0)
        test_skip("modify_ldt");
    if (make(&c, SNAPSHOT)) {
        segment.entry_number = 5;
        MUST(syscall(SYS_modify_ldt, 1, &segment, sizeof(segment)));
        if (make(&d, LWC_TRAP_SYSCALLS | LWC_SAME_RIGHTS)) {
            __u64 got;

            lwc_switch(LWC_FD_ROOT, 0, NULL, 0, &s);
            got = RAW(SYS_getppid);
            lwc_switch(LWC_FD_ROOT, 0, &got, 1, &s);
        }
        ALLOW(d.fd, SYS_ioctl);
        CHECK_OK(lwc_grant(d.fd, LWC_FD_ROOT, LWC_MAY_ENTER));
        lwc_switch(d.fd, 0, NULL, 0, &s);
        FAIL("asked, though it cannot be entered");
    }
    worker = clone_of(c.fd);
    CHECK_OK(lwc_switch(worker, 0, NULL, 0, &s));
    child = s.caller;
    CHECK(child >= 0 && child != worker);
    CHECK_ERRNO(lwc_reset(worker, &r), ENOTRECOVERABLE);
    CHECK_ERRNO(lwc_syscall(worker, IN_ALL, SYS_getuid, WORDS(0), &result), ENOTRECOVERABLE);
    CHECK_EQ((long)enter(child, 0), -EPERM);
}

/* A call that waits for what never comes, in an lwC that another user may look at. */
static int nothing[2];

static void wait_for_other(int fd, __u32 mask)
{
    static char byte;

    for_other(fd, mask, SYS_read, WORDS(nothing[0], (uintptr_t)&byte, 1));
}

/* Whether a user may attach to a process, or take a descriptor out of it. */
static bool gets_hold(pid_t pid)
{
    int fd = syscall(SYS_pidfd_open, pid, 0);

    return syscall(SYS_pidfd_getfd, fd, DOOR, 0) >= 0 || !ptrace(PTRACE_SEIZE, pid, 0, 0);
}

/* Nobody gets hold of an lwC that hides from him while it works in memory that does not. */
TEST(syscall_keeps_the_caller_hidden)
{
    struct lwc_create c;
    pid_t self, outsider;
    __s64 result;

    MUST(pipe(nothing));
    self = fork_process();
    if (!self) {
        MUST(setresuid(1000, 1000, 1000));
        MUST(prctl(PR_SET_DUMPABLE, 1));
        MUST(prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY)); /* Yama, where it is */
        if (make(&c, 0))
            FAIL("entered");
        MUST(prctl(PR_SET_DUMPABLE, 0));
        if (lwc_syscall(c.fd, IN_MEMORY, SYS_getuid, WORDS(0), &result) != -EPERM)
            wait_for_other(c.fd, IN_MEMORY);
        CHECK_EQ(for_other(c.fd, IN_FILES | IN_CREDENTIALS, SYS_getuid, WORDS(0)), 1000);
        wait_for_other(c.fd, IN_CREDENTIALS);
        FAIL("read");
    }
    usleep(patience(200000));
    outsider = fork_process();
    if (!outsider) {
        MUST(setresuid(1000, 1000, 1000));
        _exit(gets_hold(self));
    }
    CHECK_EQ(ending(outsider), 0);
    MUST(kill(self, SIGKILL));
    CHECK_EQ(ending(self), 128 + SIGKILL);
}

/* From outside the memory and the descriptors that are worked with are seen. */
TEST(syscall_is_seen_with_the_target)
{
    volatile char *page = private_pages(1);
    struct lwc_create c;
    pid_t self;
    char path[64], seen;
    int mem;

    MUST(pipe(nothing));
    *page = 'c';
    self = fork_process();
    if (!self) {
        if (make(&c, LWC_MAY_RETURN)) {
            *page = 't';
            MUST(dup2(2, 70));
            finish(&c, 0);
        }
        enter(c.fd, 0);
        wait_for_other(c.fd, IN_MEMORY | IN_FILES);
    }
    snprintf(path, sizeof(path), "/proc/%d/fd/70", self);
    CHECK(EVENTUALLY(access(path, F_OK) == 0));
    snprintf(path, sizeof(path), "/proc/%d/mem", self);
    mem = MUST(open(path, O_RDONLY));
    CHECK_EQ(pread(mem, &seen, 1, (uintptr_t)page), 1);
    CHECK_EQ(seen, 't');
    MUST(kill(self, SIGKILL));
    CHECK_EQ(ending(self), 128 + SIGKILL);
}

/* How another thread ends a process whose first thread is in a call for another. */
static void *ends_by_exit(void *unused)
{
    usleep(patience(100000));
    _exit(23);
    return unused;
}

static void *ends_by_execve(void *unused)
{
    char *const program[] = {"lwc-suite", "--list", NULL};

    usleep(patience(100000));
    MUST(dup2(open("/dev/null", O_WRONLY), 1));
    MUST(execv("/proc/self/exe", program));
    return unused;
}

static void *ends_by_a_fault(void *unused)
{
    usleep(patience(100000));
    __builtin_trap();
    return unused;
}

/* Another thread may end the process meanwhile: the call ends, and nothing of the lwCs stays. */
TEST(syscall_ended_by_a_thread)
{
    static const struct {
        void *(*thread)(void *unused);
        int code;
    } ends[] = {{ends_by_exit, 23}, {ends_by_execve, 0}, {ends_by_a_fault, 128 + SIGILL}};
    struct live before = live();

    MUST(pipe(nothing));
    for (size_t n = 0; n < 3; n++) {
        pid_t pid = fork_process();

        if (!pid) {
            struct lwc_create c;
            pthread_t thread;

            if (make(&c, LWC_MAY_RETURN))
                FAIL("entered");
            MUST(-pthread_create(&thread, NULL, ends[n].thread, NULL));
            wait_for_other(c.fd, IN_ALL);
        }
        CHECK_EQ(ending(pid), ends[n].code);
        CHECK(dies_down_to(before));
    }
}

static volatile sig_atomic_t broken_pipes;

static void on_broken_pipe(int number)
{
    (void)number;
    broken_pipes++;
}

/* A signal that the call itself gives rise to is taken in the caller. */
TEST(syscall_of_a_broken_pipe)
{
    static int in_caller;
    struct lwc_create c;
    int ends[2];

    MUST(pipe(ends));
    MUST(close(ends[0]));
    MUST(sigaction(SIGPIPE, &(struct sigaction){.sa_handler = on_broken_pipe}, NULL));
    if (make(&c, LWC_MAY_RETURN)) {
        CHECK_EQ(broken_pipes, 0);
        finish(&c, 0);
    }
    in_caller = 1;
    CHECK_EQ(for_other(c.fd, IN_MEMORY, SYS_write, WORDS(ends[1], (uintptr_t)&in_caller, 1)),
             -EPIPE);
    CHECK_EQ(broken_pipes, 1);
    enter(c.fd, 0);
}

static volatile long ticks;

static void on_tick(int number)
{
    (void)number;
    ticks++;
}

/* A monitor that makes each call of an lwC for it, with signals at two kilohertz: no byte is lost,
 * none comes twice. */
TEST(syscall_of_a_monitor_and_signals)
{
    struct itimerval often = {{0, 500}, {0, 500}};
    struct lwc_create c;
    struct lwc_switch s;
    int ends[2];

    MUST(pipe(ends));
    if (make(&c, LWC_TRAP_SYSCALLS)) {
        for (long n = 1;; n++) {
            long got = -n;

            CHECK_EQ(raw(SYS_write, ends[1], (long)&n, sizeof(n), 0, 0, 0), sizeof(n));
            CHECK_EQ(raw(SYS_read, ends[0], (long)&got, sizeof(got), 0, 0, 0), sizeof(got));
            CHECK_EQ(got, n);
            TELLING(n);
        }
    }
    MUST(sigaction(SIGALRM, &(struct sigaction){.sa_handler = on_tick, .sa_flags = SA_RESTART},
                   NULL));
    MUST(setitimer(ITIMER_REAL, &often, NULL));
    s = first_call(c.fd);
    for (long rounds = 0, until = milliseconds() + 1500; milliseconds() < until || rounds < 100;) {
        long value = 0;

        if (s.args[0] == TELL)
            CHECK_EQ(s.args[1], ++rounds);
        else
            value = for_other(c.fd, IN_MEMORY | IN_FILES, s.args[0], s.args + 1);
        s = answer(c.fd, 0, value);
    }
    MUST(setitimer(ITIMER_REAL, &(struct itimerval){0}, NULL));
    CHECK(ticks > 0);
}

static int together[2];

static void call_together(struct member *m)
{
    static char byte;
    int fd = m->fd, err = 0, rounds = 0;
    __s64 result;

    if (m->inside)
        FAIL("entered");
    if (m->number == 0) {
        for (; rounds < 200; rounds++)
            CHECK_EQ(for_other(fd, IN_ALL, SYS_getpid, WORDS(0)), getpid());
        MUST(close(fd));
        m->fd = -1;
        for (int n = 0; n < MOST_MEMBERS; n++)
            MUST(write(together[1], "x", 1));
        return;
    }
    if (m->number % 2) /* still waits when the lwC is destroyed */
        err = lwc_syscall(fd, IN_ALL, SYS_read, WORDS(together[0], (uintptr_t)&byte, 1), &result);
    while (!err)
        err = lwc_syscall(fd, IN_ALL, SYS_fcntl, WORDS(2, F_GETFD), &result);
    CHECK(err == -EBADF || err == -ESTALE);
    CHECK_EQ(byte, 0);
    CHECK_EQ(fcntl(2, F_GETFD), 0);
}

/* Threads call for an lwC of theirs at the same time, and one of them destroys it meanwhile. */
TEST(syscall_by_several_threads)
{
    struct live before = live();

    for (int round = 0; round < 5; round++) {
        MUST(pipe(together));
        team(MOST_MEMBERS, LWC_MAY_RETURN, call_together);
        MUST(close(together[0]));
        MUST(close(together[1]));
    }
    CHECK(EVENTUALLY(live().contexts <= before.contexts + 1));
}
