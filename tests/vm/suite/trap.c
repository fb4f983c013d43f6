/* SPDX-License-Identifier: MIT */
/* System calls that are refused to an lwC: they never run, and its creator answers them. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

#include "refused.h"
#include "steps.h"
#include "world.h"

/* A refused call is a switch to the creator with number and arguments; the answer is its result. */
TEST(trap_is_a_switch)
{
    struct lwc_create c;
    struct lwc_switch s;

    if (make(&c, LWC_TRAP_SYSCALLS)) {
        long answer = raw(SYS_getppid, 11, 12, 13, 14, 15, 16);

        TELLING(answer);
        TELLING(RAW(SYS_getuid));
    }
    s = first_call(c.fd);
    CHECK_EQ(s.args[0], SYS_getppid);
    for (int n = 0; n < 6; n++)
        CHECK_EQ(s.args[1 + n], 11 + n);
    CHECK_EQ(s.args[7], 0);
    CHECK_EQ(told(c.fd, 0, 0x123456789abcdef), 0x123456789abcdef);
    CHECK_EQ(answer(c.fd, 0, 0).args[0], SYS_getuid);
    CHECK_EQ((long)told(c.fd, EACCES, 5), -EACCES);
}

/* What the creator answers is taken as it is, but for errors that are none. */
TEST(trap_answers)
{
    struct lwc_create c;
    static const struct {
        __u64 error, value;
        long result;
    } answers[] = {
        {0, 0, 0},
        {0, -1ull, -1},
        {0, (__u64)-512, -512}, /* what the kernel restarts by when it is its own answer */
        {0, (__u64)-516, -516},
        {0, 1ull << 63, (long)(1ull << 63)},
        {1, 7, -1},
        {4095, 7, -4095},
        {4096, 7, -EINVAL},
        {(__u64)-3, 7, -EINVAL},
    };

    if (make(&c, LWC_TRAP_SYSCALLS)) {
        for (;;)
            TELLING(RAW(SYS_getppid));
    }
    for (size_t n = 0; n < sizeof(answers) / sizeof(*answers); n++) {
        CHECK_EQ(answer(c.fd, 0, 0).args[0], SYS_getppid);
        CHECK_EQ((long)told(c.fd, answers[n].error, answers[n].value), answers[n].result);
    }
}

/* No call runs that is refused: neither what would be seen, nor what would end the process. */
TEST(trap_refused_calls_do_not_run)
{
    int pipe[2], pid = getpid();
    struct lwc_create c;
    char byte;

    MUST(pipe2(pipe, O_NONBLOCK));
    if (make(&c, LWC_TRAP_SYSCALLS)) {
        raw(SYS_write, pipe[1], (long)"x", 1, 0, 0, 0);
        raw(SYS_kill, pid, SIGKILL, 0, 0, 0, 0);
        raw(SYS_exit, 1, 0, 0, 0, 0, 0);
        raw(SYS_exit_group, 1, 0, 0, 0, 0, 0);
        TELLING(raw(SYS_close, pipe[0], 0, 0, 0, 0, 0));
    }
    CHECK_EQ(first_call(c.fd).args[0], SYS_write);
    CHECK_ERRNO(SYS(read(pipe[0], &byte, 1)), EAGAIN);
    CHECK_EQ(answer(c.fd, 0, 1).args[0], SYS_kill);
    CHECK_EQ(answer(c.fd, 0, 0).args[0], SYS_exit);
    CHECK_EQ(answer(c.fd, 0, 0).args[0], SYS_exit_group);
    CHECK_EQ(answer(c.fd, 0, 0).args[0], SYS_close);
    CHECK_EQ(told(c.fd, 0, 0), 0);
}

/* At first all are refused, whatever the number. */
TEST(trap_every_number)
{
    struct lwc_create c;

    if (make(&c, LWC_TRAP_SYSCALLS)) {
        for (long nr = 0;; nr++)
            if (nr != SYS_rt_sigreturn && nr != SYS_restart_syscall)
                TELLING(RAW(nr));
    }
    for (long nr = 0; nr < TELL; nr++) {
        if (nr == SYS_rt_sigreturn || nr == SYS_restart_syscall)
            continue;
        CHECK_EQ(answer(c.fd, 0, 0).args[0], nr);
        CHECK_EQ(told(c.fd, ENOSYS, 0), (__u64)-ENOSYS);
    }
}

/* What the creator allows runs, the rest does not; it may change its mind. */
TEST(trap_allowed_calls_run)
{
    struct lwc_create c;
    int parent = getppid();

    if (make(&c, LWC_TRAP_SYSCALLS)) {
        for (;;) {
            TELLING(RAW(SYS_getppid));
            TELLING(RAW(SYS_getpid));
        }
    }
    ALLOW(c.fd, SYS_getppid);
    CHECK_EQ(told(c.fd, 0, 0), parent);
    CHECK_EQ(answer(c.fd, 0, 0).args[0], SYS_getpid);
    CHECK_EQ(told(c.fd, 0, 7), 7);
    ALLOW(c.fd, SYS_getpid);
    CHECK_EQ(answer(c.fd, 0, 0).args[0], SYS_getppid);
    CHECK_EQ(told(c.fd, 0, 8), 8);
    CHECK_EQ(told(c.fd, 0, 0), getpid());
    CHECK_OK(lwc_trap(c.fd, LWC_TRAP_NONE, NULL));
    CHECK_EQ(told(c.fd, 0, 0), parent);
    CHECK_OK(lwc_trap(c.fd, LWC_TRAP_ALL, NULL));
    CHECK_EQ(answer(c.fd, 0, 0).args[0], SYS_getpid);
}

/* Some calls reach past an lwC: they are refused where nothing else is. */
TEST(trap_always_refused)
{
    static const int always[] = {
        SYS_ptrace,
        SYS_process_vm_readv,
        SYS_process_vm_writev,
        SYS_process_madvise,
        SYS_pidfd_getfd,
        SYS_perf_event_open,
        SYS_io_uring_setup,
        SYS_io_uring_enter,
        SYS_io_uring_register,
        512,
        545,
        SYS_getpid | 0x40000000,
    };
    struct lwc_create c;

    if (make(&c, LWC_TRAP_SYSCALLS)) {
        for (size_t n = 0; n < sizeof(always) / sizeof(*always); n++)
            RAW(always[n]);
    }
    CHECK_OK(lwc_trap(c.fd, LWC_TRAP_NONE, NULL));
    for (size_t n = 0; n < sizeof(always) / sizeof(*always); n++)
        CHECK_EQ(answer(c.fd, EPERM, 0).args[0], always[n]);
}

/* The entry for 32-bit programs is no way round, whatever is allowed. */
TEST(trap_of_the_other_entry)
{
    struct lwc_create c;

    if (!has_32_bits())
        test_skip("a kernel with 32-bit system calls");
    if (make(&c, LWC_TRAP_SYSCALLS)) {
        for (;;)
            TELLING(getpid_by_32_bits());
    }
    CHECK_OK(lwc_trap(c.fd, LWC_TRAP_NONE, NULL));
    CHECK_EQ(first_call(c.fd).args[0], 20 | LWC_TRAP_COMPAT);
    CHECK_EQ(told(c.fd, 0, 9), 9);
}

/* The creator can have a call made after all; where it is still refused it is refused again. */
TEST(trap_made_after_all)
{
    struct lwc_create c;

    if (make(&c, LWC_TRAP_SYSCALLS)) {
        TELLING(raw(SYS_dup3, DOOR, 50, O_CLOEXEC, 0, 0, 0));
    }
    CHECK_EQ(first_call(c.fd).args[0], SYS_dup3);
    CHECK_EQ(answer(c.fd, LWC_TRAP_AGAIN, 0).args[0], SYS_dup3);
    ALLOW(c.fd, SYS_dup3);
    CHECK_EQ(told(c.fd, LWC_TRAP_AGAIN, 0), 50);
}

/* … or have it made although it is refused, this once, as it was. */
TEST(trap_let_through_once)
{
    struct lwc_create c;

    if (make(&c, LWC_TRAP_SYSCALLS)) {
        TELLING(raw(SYS_dup3, DOOR, 50, O_CLOEXEC, 0, 0, 0));
        TELLING(raw(SYS_dup3, DOOR, 50, O_CLOEXEC, 0, 0, 0));
        TELLING(raw(SYS_dup3, DOOR, 51, O_CLOEXEC, 0, 0, 0));
    }
    CHECK_EQ(first_call(c.fd).args[0], SYS_dup3);
    CHECK_EQ(told(c.fd, LWC_TRAP_ONCE, 0), 50);
    CHECK_EQ(answer(c.fd, 0, 0).args[0], SYS_dup3);
    CHECK_EQ(told(c.fd, 0, 7), 7);
    CHECK_EQ(answer(c.fd, 0, 0).args[0], SYS_dup3);
    CHECK_EQ(told(c.fd, LWC_TRAP_ONCE, 0), 51);
    /* What is refused whatever the mode, stays so. */
    CHECK_EQ(answer(c.fd, LWC_TRAP_ONCE, 0).args[0], TELL);
}

/* An lwC made in one that is refused calls is refused them too: by its creator's list, now and
 * later, whatever its creator allows it. */
TEST(trap_nested)
{
    struct lwc_create c, d;
    struct lwc_switch s;

    if (make(&c, LWC_TRAP_SYSCALLS)) {
        if (make(&d, LWC_MAY_RETURN)) {
            for (;;)
                RAW(SYS_getppid);
        }
        CHECK_OK(lwc_trap(d.fd, LWC_TRAP_NONE, NULL));
        for (;;) {
            CHECK_OK(lwc_switch(d.fd, 0, NULL, 0, &s));
            TELLING(s.flags == LWC_BY_TRAP ? (long)s.args[0] : -1l);
        }
    }
    ALLOW(c.fd, SYS_ioctl);
    CHECK_EQ(told(c.fd, 0, 0), SYS_getppid);
    CHECK_EQ(told(c.fd, 0, 0), SYS_getppid);
}

/* What is allowed to the creator later is allowed to those it made, and the other way round. */
TEST(trap_nested_follows)
{
    struct lwc_create c, d;
    struct lwc_switch s;

    if (make(&c, LWC_TRAP_SYSCALLS)) {
        if (make(&d, LWC_MAY_RETURN)) {
            for (;;)
                back(&d, RAW(SYS_getppid));
        }
        CHECK_OK(lwc_trap(d.fd, LWC_TRAP_NONE, NULL));
        for (__u64 word = 0;;) {
            CHECK_OK(lwc_switch(d.fd, 0, &word, 1, &s));
            TELLING(s.flags == LWC_BY_TRAP ? 0 : (long)s.args[0]);
        }
    }
    ALLOW(c.fd, SYS_ioctl, SYS_getppid);
    CHECK_EQ(told(c.fd, 0, 0), getppid());
    ALLOW(c.fd, SYS_ioctl);
    CHECK_EQ(told(c.fd, 0, 0), 0);
}

/* Only the creator says what is refused; an lwC does not say it of itself. */
TEST(trap_is_the_creators)
{
    struct lwc_create c;

    if (make(&c, LWC_TRAP_SYSCALLS)) {
        TELLING(lwc_trap(LWC_FD_SELF, LWC_TRAP_NONE, NULL));
        TELLING(RAW(SYS_getppid));
    }
    ALLOW(c.fd, SYS_ioctl);
    CHECK_EQ((long)told(c.fd, 0, 0), -EACCES);
    CHECK_EQ(answer(c.fd, 0, 0).args[0], SYS_getppid);
}

/* Every error of the call. */
TEST(trap_errors)
{
    struct lwc_create c, plain;
    char refused[64] = {0};
    int stale;

    CHECK_ERRNO(lwc_trap(LWC_FD_SELF, LWC_TRAP_NONE, NULL), EBADF);
    if (make(&c, LWC_TRAP_SYSCALLS) || make(&plain, 0))
        FAIL("entered");
    CHECK_ERRNO(lwc_trap(c.fd, LWC_TRAP_SOME + 1, refused), EINVAL);
    CHECK_ERRNO(lwc_trap(c.fd, LWC_TRAP_SOME, NULL), EFAULT);
    CHECK_ERRNO(lwc_trap(c.fd, LWC_TRAP_SOME, (char *)private_pages(1) + PAGE - 32), EFAULT);
    CHECK_OK(lwc_trap(c.fd, LWC_TRAP_SOME, refused));
    CHECK_ERRNO(lwc_trap(plain.fd, LWC_TRAP_ALL, NULL), EINVAL);
    CHECK_ERRNO(lwc_trap(LWC_FD_SELF, LWC_TRAP_ALL, NULL), EACCES);
    CHECK_ERRNO(lwc_trap(99, LWC_TRAP_ALL, NULL), EBADF);
    CHECK_ERRNO(lwc_trap(DOOR, LWC_TRAP_ALL, NULL), EINVAL);
    stale = MUST(dup(c.fd));
    MUST(close(c.fd));
    CHECK_ERRNO(lwc_trap(stale, LWC_TRAP_ALL, NULL), ESTALE);
}

/* A refused call is not mistaken for a switch that says it is one. */
TEST(trap_cannot_be_forged)
{
    struct lwc_create c;
    struct lwc_switch s;
    __u64 words[7] = {SYS_getppid};

    if (make(&c, LWC_MAY_RETURN)) {
        lwc_switch(c.fd, LWC_BY_TRAP, words, 7, &s);
        FAIL("entered again");
    }
    CHECK_OK(lwc_switch(c.fd, LWC_BY_TRAP, NULL, 0, &s));
    CHECK_EQ(s.flags, 0);
    CHECK_EQ(s.args[0], SYS_getppid);
}

/* What cannot be carried does not come to the creator by a refused call: it fails. */
TEST(trap_of_state_that_cannot_be_carried)
{
    struct lwc_create c;

    if (make(&c, LWC_TRAP_SYSCALLS)) {
        long answer;

        asm volatile("movl %0, %%gs" : : "r"(0x2b));
        answer = RAW(SYS_getppid);
        asm volatile("movl %0, %%gs" : : "r"(0));
        TELLING(answer);
    }
    CHECK_EQ((long)told(c.fd, 0, 0), -EPERM);
    CHECK_EQ(info(c.fd).contexts, 2);
    if (make(&c, 0)) /* asks for the same */
        FAIL("entered");
}

/* Where the creator was destroyed its own creator answers; where there is none the call fails. */
TEST(trap_of_orphans)
{
    struct lwc_create c, d;
    struct lwc_switch s;

    if (make(&c, LWC_MAY_RETURN)) {
        if (make(&d, LWC_TRAP_SYSCALLS)) {
            for (;;)
                TELLING(RAW(SYS_getppid));
        }
        allow(d.fd, (const int[]){SYS_ioctl, SYS_exit_group, SYS_write, SYS_kill, SYS_tgkill}, 5);
        lwc_switch(d.fd, LWC_DISCARD, NULL, 0, &s);
        FAIL("discarded, and back");
    }
    CHECK_OK(lwc_switch(c.fd, 0, NULL, 0, &s));
    CHECK_EQ(s.flags, LWC_BY_TRAP);
    CHECK_EQ(s.args[0], SYS_getppid);
}

TEST(trap_without_creator)
{
    struct lwc_create c;
    struct lwc_switch s;

    if (make(&c, LWC_TRAP_SYSCALLS)) {
        CHECK_EQ(RAW(SYS_getppid), -EPERM);
        CHECK_EQ(RAW(TELL), -EPERM);
        test_pass();
    }
    ALLOW(c.fd, SYS_exit_group, SYS_write);
    lwc_switch(c.fd, LWC_DISCARD, NULL, 0, &s);
    FAIL("discarded, and back");
}

/* Workers begin with what is refused to their snapshot; then each has a list of its own. */
TEST(trap_of_workers)
{
    struct lwc_create c;
    int a, b;

    if (make(&c, LWC_SUSPEND_ONLY | LWC_TRAP_SYSCALLS)) {
        for (;;)
            TELLING(RAW(SYS_getppid));
    }
    ALLOW(c.fd, SYS_getppid);
    a = clone_of(c.fd);
    b = clone_of(c.fd);
    CHECK_OK(lwc_trap(b, LWC_TRAP_ALL, NULL));
    CHECK_EQ(told(a, 0, 0), getppid());
    CHECK_EQ(answer(b, 0, 0).args[0], SYS_getppid);
    reset(b); /* in the middle of a call */
    reset(a);
    CHECK_EQ(told(a, 0, 0), getppid());
    CHECK_EQ(answer(b, 0, 0).args[0], SYS_getppid);
    CHECK_EQ(told(b, 0, 3), 3);
}

/* A worker that was reset is entered anew by a call that an lwC it made before is refused. */
TEST(trap_enters_what_was_reset)
{
    struct lwc_create c, d;
    struct lwc_switch s;
    int worker;

    CHECK_OK(lwc_create(SNAPSHOT, NULL, 0, &c));
    if (c.event == LWC_ENTERED) {
        if (make(&d, LWC_TRAP_SYSCALLS | LWC_SAME_RIGHTS)) {
            lwc_switch(LWC_FD_ROOT, 0, NULL, 0, &s);
            for (;;)
                raw(SYS_getppid, 5, 0, 0, 0, 0, 0);
        }
        ALLOW(d.fd, SYS_ioctl);
        CHECK_OK(lwc_grant(d.fd, LWC_FD_ROOT, LWC_MAY_ENTER));
        lwc_switch(d.fd, 0, NULL, 0, &s);
        FAIL("entered again as if it had not been reset");
    }
    if (c.event == LWC_TRAPPED) {
        CHECK_EQ(c.nargs, 7);
        CHECK_EQ(c.args[0], SYS_getppid);
        CHECK_EQ(c.args[1], 5);
        finish(&c, 9);
    }
    CHECK_EQ(c.event, LWC_CREATED);
    worker = clone_of(c.fd);
    CHECK_OK(lwc_switch(worker, 0, NULL, 0, &s));
    CHECK(s.caller >= 0 && s.caller != worker);
    reset(worker);
    CHECK_EQ(enter(s.caller, 0), 9);
}

static int taken;

static void on_signal(int number)
{
    (void)number;
    taken++;
    RAW(SYS_getuid); /* refused in the lwC */
}

/* Signals at a high rate disturb no call: each has its own answer, those of handlers too. */
TEST(trap_and_signals)
{
    struct itimerval often = {{0, 500}, {0, 500}};
    struct sigaction action = {.sa_handler = on_signal};
    long calls = 0, handlers = 0;
    struct lwc_create c;
    struct lwc_switch s;

    MUST(sigaction(SIGALRM, &action, NULL));
    if (make(&c, LWC_TRAP_SYSCALLS | LWC_SHARE_SIGNALS)) {
        for (long n = 1;; n++)
            CHECK_EQ(raw(SYS_getppid, n, 0, 0, 0, 0, 0), n * 3);
    }
    MUST(setitimer(ITIMER_REAL, &often, NULL));
    s = first_call(c.fd);
    for (long until = milliseconds() + 1500; milliseconds() < until || calls <= 100;) {
        bool handler = s.args[0] == SYS_getuid;

        CHECK(handler || (s.args[0] == SYS_getppid && s.args[1] == (__u64)++calls));
        handlers += handler;
        s = answer(c.fd, 0, handler ? 0 : calls * 3);
    }
    MUST(setitimer(ITIMER_REAL, &(struct itimerval){0}, NULL));
    note("trap_and_signals: %ld calls, %ld handlers in the lwC, %d here", calls, handlers, taken);
    CHECK(taken > 0);
}

/* Whoever is killed in the middle of refused calls leaves nothing behind. */
TEST(trap_and_kill)
{
    struct live before = live();

    for (int round = 0; round < 20; round++) {
        struct lwc_create c;
        pid_t pid = fork_process();

        if (!pid) {
            if (make(&c, LWC_TRAP_SYSCALLS)) {
                for (;;)
                    RAW(SYS_getppid);
            }
            for (;;)
                first_call(c.fd);
        }
        usleep(1000 * (round + 1));
        MUST(kill(pid, SIGKILL));
        CHECK_EQ(ending(pid), 128 + SIGKILL);
    }
    CHECK(dies_down_to(before));
}

static void *asks(void *unused)
{
    (void)unused;
    return (void *)RAW(SYS_getppid);
}

/* Neither other threads nor forked processes of an untrapped lwC are refused anything. */
TEST(trap_concerns_nobody_else)
{
    struct lwc_create c;
    pthread_t thread;
    void *answer_of_thread;
    pid_t pid;

    if (make(&c, LWC_TRAP_SYSCALLS))
        RAW(SYS_getppid);
    CHECK_EQ(first_call(c.fd).args[0], SYS_getppid);
    CHECK_EQ(RAW(SYS_getppid), getppid());
    MUST(-pthread_create(&thread, NULL, asks, NULL));
    MUST(-pthread_join(thread, &answer_of_thread));
    CHECK_EQ(answer_of_thread, getppid());
    pid = fork_process();
    if (!pid)
        _exit(RAW(SYS_getppid) == getppid() ? 0 : 1);
    CHECK_EQ(ending(pid), 0);
}

/* Each of many has answers of its own, and all go when they are closed. */
TEST(trap_many_at_once)
{
    struct live before = live();
    struct lwc_create c[20];

    for (int n = 0; n < 20; n++)
        if (make(&c[n], LWC_TRAP_SYSCALLS)) {
            for (;;)
                TELLING(raw(SYS_getppid, n, 0, 0, 0, 0, 0));
        }
    for (int round = 0; round < 10; round++)
        for (int n = 0; n < 20; n++) {
            CHECK_EQ(answer(c[n].fd, 0, 0).args[1], n);
            CHECK_EQ(told(c[n].fd, 0, n + round), n + round);
        }
    for (int n = 0; n < 20; n++)
        MUST(close(c[n].fd));
    CHECK_EQ(live().contexts, before.contexts + 1);
}
