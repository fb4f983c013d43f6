/* SPDX-License-Identifier: MIT */
/* Signals: which lwC they reach, and that mask and alternate stack are each lwC's own. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

#include "steps.h"
#include "world.h"

static volatile int handled;

static void handle(int signal)
{
    (void)signal;
    handled++;
}

static void on_signal(int signal, void (*handler)(int), int flags)
{
    struct sigaction action = {.sa_handler = handler, .sa_flags = flags};

    MUST(sigaction(signal, &action, NULL));
}

#define BIT(signal) (1ul << ((signal) - 1))
#define SYNCHRONOUS                                                                                \
    (BIT(SIGSEGV) | BIT(SIGBUS) | BIT(SIGILL) | BIT(SIGFPE) | BIT(SIGTRAP) | BIT(SIGSYS))
#define UNBLOCKABLE (BIT(SIGKILL) | BIT(SIGSTOP))

/* The mask as the kernel has it: the C library hides signals of its own. */
static unsigned long mask(void)
{
    unsigned long now;

    MUST(syscall(SYS_rt_sigprocmask, SIG_BLOCK, NULL, &now, sizeof(now)));
    return now;
}

static void set_mask(unsigned long mask)
{
    MUST(syscall(SYS_rt_sigprocmask, SIG_SETMASK, &mask, NULL, sizeof(mask)));
}

/* A new lwC begins with all signals blocked that it does not cause itself. */
TEST(signals_begin_blocked)
{
    struct lwc_create c;

    if (make(&c, LWC_MAY_RETURN)) {
        CHECK_EQ(mask() | SYNCHRONOUS | UNBLOCKABLE, ~0ul);
        CHECK_EQ(mask() & SYNCHRONOUS, 0);
        finish(&c, 0);
    }
    CHECK_EQ(mask(), 0);
    enter(c.fd, 0);
    CHECK_EQ(mask(), 0);
}

/* With LWC_SHARE_SIGNALS it begins with its creator's mask. */
TEST(share_signals)
{
    struct lwc_create c;

    set_mask(BIT(SIGUSR2) | BIT(SIGHUP));
    if (make(&c, LWC_MAY_RETURN | LWC_SHARE_SIGNALS)) {
        CHECK_EQ(mask(), BIT(SIGUSR2) | BIT(SIGHUP));
        finish(&c, 0);
    }
    set_mask(0);
    enter(c.fd, 0);
}

/* The mask is each lwC's own, and there again at each entry. */
TEST(masks_are_kept)
{
    struct lwc_create c;

    set_mask(BIT(SIGUSR2));
    if (make(&c, LWC_MAY_RETURN)) {
        set_mask(BIT(SIGHUP));
        back(&c, 0);
        CHECK_EQ(mask(), BIT(SIGHUP));
        set_mask(0);
        back(&c, 0);
        CHECK_EQ(mask(), 0);
        finish(&c, 0);
    }
    enter(c.fd, 0);
    CHECK_EQ(mask(), BIT(SIGUSR2));
    set_mask(BIT(SIGUSR1));
    enter(c.fd, 0);
    CHECK_EQ(mask(), BIT(SIGUSR1));
    enter(c.fd, 0);
    CHECK_EQ(mask(), BIT(SIGUSR1));
}

/* A signal that the running lwC blocks waits for one that takes it, whose switch is not disturbed.
 */
TEST(blocked_signals_wait)
{
    struct lwc_create c;
    struct lwc_switch s;

    for (int flags = 0; flags <= SA_RESTART; flags += SA_RESTART) {
        handled = 0;
        on_signal(SIGUSR1, handle, flags);
        if (make(&c, LWC_MAY_RETURN)) {
            sigset_t pending;

            MUST(kill(getpid(), SIGUSR1));
            MUST(getppid());
            CHECK_EQ(handled, 0);
            MUST(sigpending(&pending));
            CHECK(sigismember(&pending, SIGUSR1));
            back(&c, 6);
            CHECK_EQ(handled, 0);
            finish(&c, 0);
        }
        CHECK_OK(lwc_switch(c.fd, 0, NULL, 0, &s));
        CHECK_EQ(handled, 1);
        CHECK_EQ(s.nargs, 1);
        CHECK_EQ(s.args[0], 6);
        enter(c.fd, 0);
        CHECK_EQ(handled, 1);
        MUST(close(c.fd));
    }
}

/* An lwC with LWC_SHARE_SIGNALS takes a signal while it runs, by its own copy of the handler. */
TEST(shared_signals_are_taken)
{
    struct lwc_create c;

    on_signal(SIGUSR1, handle, 0);
    if (make(&c, LWC_MAY_RETURN | LWC_SHARE_SIGNALS)) {
        MUST(kill(getpid(), SIGUSR1));
        CHECK_EQ(handled, 1);
        back(&c, 0);
        CHECK_EQ(handled, 1);
        finish(&c, 0);
    }
    enter(c.fd, 0);
    CHECK_EQ(handled, 0);
    MUST(kill(getpid(), SIGUSR1));
    CHECK_EQ(handled, 1);
    enter(c.fd, 0);
}

/* An lwC that unblocks a signal takes it. */
TEST(unblocked_signals_are_taken)
{
    struct lwc_create c;

    on_signal(SIGUSR1, handle, 0);
    if (make(&c, LWC_MAY_RETURN)) {
        MUST(kill(getpid(), SIGUSR1));
        CHECK_EQ(handled, 0);
        set_mask(mask() & ~BIT(SIGUSR1));
        CHECK_EQ(handled, 1);
        finish(&c, 0);
    }
    enter(c.fd, 0);
    CHECK_EQ(handled, 0);
}

/* Handlers are the process's: one that is set in an lwC is set for all. */
TEST(handlers_are_not_per_lwc)
{
    struct lwc_create c;

    if (make(&c, LWC_MAY_RETURN)) {
        on_signal(SIGUSR1, handle, 0);
        finish(&c, 0);
    }
    enter(c.fd, 0);
    MUST(kill(getpid(), SIGUSR1));
    CHECK_EQ(handled, 1);
}

static sigjmp_buf escape;

static void jump(int signal)
{
    siglongjmp(escape, signal);
}

static int signal_of_action(int which)
{
    int signal = sigsetjmp(escape, 1);

    if (signal)
        return signal;
    switch (which) {
    case SIGSEGV:
        ((volatile char *)private_pages(1))[-1] = 1;
        break;
    case SIGFPE:
        asm volatile("idivl %0" ::"r"(0), "a"(1), "d"(0));
        break;
    case SIGILL:
        asm volatile("ud2");
        break;
    case SIGTRAP:
        asm volatile("int3");
        break;
    }
    return 0;
}

/* A signal that an lwC causes itself it gets itself, at once. */
TEST(synchronous_signals)
{
    static const int signals[] = {SIGSEGV, SIGFPE, SIGILL, SIGTRAP};
    struct lwc_create c;

    for (int n = 0; n < 4; n++)
        on_signal(signals[n], jump, 0);
    if (make(&c, LWC_MAY_RETURN)) {
        for (int n = 0; n < 4; n++)
            CHECK_EQ(signal_of_action(signals[n]), signals[n]);
        finish(&c, 3);
    }
    CHECK_EQ(enter(c.fd, 0), 3);
    for (int n = 0; n < 4; n++)
        CHECK_EQ(signal_of_action(signals[n]), signals[n]);
}

static void *altstack(void)
{
    stack_t now;

    MUST(sigaltstack(NULL, &now));
    return now.ss_flags & SS_DISABLE ? NULL : now.ss_sp;
}

static void set_altstack(void *stack)
{
    MUST(sigaltstack(&(stack_t){.ss_sp = stack, .ss_size = 16 * PAGE}, NULL));
}

static void *volatile handler_frame;

static void handle_on_stack(int signal)
{
    (void)signal;
    handler_frame = __builtin_frame_address(0);
}

static bool signal_runs_on(void *stack)
{
    MUST(kill(getpid(), SIGUSR1));
    return (char *)handler_frame >= (char *)stack &&
           (char *)handler_frame < (char *)stack + 16 * PAGE;
}

/* The alternate stack is each lwC's own. */
TEST(alternate_stacks_are_kept)
{
    void *one = private_pages(16), *two = private_pages(16);
    struct lwc_create c;

    on_signal(SIGUSR1, handle_on_stack, SA_ONSTACK);
    set_altstack(one);
    if (make(&c, LWC_MAY_RETURN | LWC_SHARE_SIGNALS)) {
        CHECK_EQ(altstack(), one);
        set_altstack(two);
        back(&c, 0);
        CHECK_EQ(altstack(), two);
        CHECK(signal_runs_on(two));
        finish(&c, 0);
    }
    enter(c.fd, 0);
    CHECK_EQ(altstack(), one);
    CHECK(signal_runs_on(one));
    MUST(sigaltstack(&(stack_t){.ss_flags = SS_DISABLE}, NULL));
    enter(c.fd, 0);
    CHECK_EQ(altstack(), NULL);
}

/* A timer is the process's: set in one lwC, it runs out in another. */
TEST(timers_are_not_per_lwc)
{
    struct lwc_create c;

    on_signal(SIGALRM, handle, 0);
    if (make(&c, LWC_MAY_RETURN)) {
        MUST(setitimer(ITIMER_REAL, &(struct itimerval){.it_value.tv_usec = 5000}, NULL));
        finish(&c, 0);
    }
    enter(c.fd, 0);
    CHECK(EVENTUALLY(handled == 1));
}

/* SIGKILL cannot be blocked: it ends the process in whichever lwC it is. */
TEST(kill_reaches_every_lwc)
{
    struct lwc_create c;
    pid_t pid = fork_process();

    if (pid == 0) {
        if (make(&c, LWC_MAY_RETURN)) {
            for (;;)
                pause();
        }
        enter(c.fd, 0);
    }
    CHECK(EVENTUALLY(live().contexts >= 2));
    MUST(kill(pid, SIGKILL));
    CHECK_EQ(ending(pid), 128 + SIGKILL);
}
