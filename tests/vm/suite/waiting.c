/* SPDX-License-Identifier: MIT */
/* Waiting for threads, and at safe points: until when, what ends it, what is refused. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "team.h"
#include "world.h"

/* A thread at a safe point, and what its call answered. */
struct waiting {
    pthread_t thread;
    volatile pid_t id;
    volatile int answer;
    struct lwc_safepoint s;
    __u64 came_with;
};

static void *waits(void *argument)
{
    struct waiting *w = argument;

    w->answer = JUNK_WORD;
    w->id = thread_id();
    w->answer = lwc_safepoint(&w->s);
    if (!w->answer && w->s.event == LWC_ENTERED)
        enter(w->s.fd, 1);
    return NULL;
}

static void begin_to_wait(struct waiting *w)
{
    w->id = 0;
    CHECK_EQ(pthread_create(&w->thread, NULL, waits, w), 0);
    CHECK(EVENTUALLY(w->id && state_of_thread(w->id) == 'S'));
}

static void taken(struct waiting *w, int fd)
{
    CHECK_EQ(pthread_join(w->thread, NULL), 0);
    CHECK_EQ(w->answer, 0);
    CHECK_EQ(w->s.event, LWC_CREATED);
    CHECK_EQ(w->s.fd, fd);
    CHECK_EQ(w->s.caller, LWC_FD_NONE);
}

static void *begins_late(void *w)
{
    for (int pauses = 0; pauses < 20; pauses++)
        short_pause();
    waits(w);
    return NULL;
}

/* A creation waits until as many threads are there as it wants, and takes all that are. */
TEST(creation_waits_for_threads)
{
    static struct waiting early[2], late;
    struct lwc_create c;

    begin_to_wait(&early[0]);
    begin_to_wait(&early[1]);
    CHECK_EQ(pthread_create(&late.thread, NULL, begins_late, &late), 0);
    CHECK_OK(lwc_create_with_threads(LWC_MAY_RETURN, NULL, 0, 3, &c));
    CHECK_EQ(c.event, LWC_CREATED);
    CHECK_EQ(c.nargs, 3);
    taken(&early[0], c.fd);
    taken(&early[1], c.fd);
    taken(&late, c.fd);
    /* More than are wanted are taken, too; and none, if there are none. */
    begin_to_wait(&early[0]);
    begin_to_wait(&early[1]);
    CHECK_OK(lwc_create_with_threads(LWC_MAY_RETURN, NULL, 0, 1, &c));
    CHECK_EQ(c.nargs, 2);
    taken(&early[0], c.fd);
    taken(&early[1], c.fd);
    CHECK_OK(lwc_create_with_threads(LWC_MAY_RETURN, NULL, 0, 0, &c));
    CHECK_EQ(c.nargs, 0);
}

/* Without the flag nobody is taken along, however many wait. */
TEST(creation_without_threads)
{
    static struct waiting w;
    struct lwc_create c;

    begin_to_wait(&w);
    if (make(&c, LWC_MAY_RETURN))
        finish(&c, 0);
    CHECK_EQ(c.nargs, 0);
    enter(c.fd, 0);
    CHECK_EQ(w.answer, JUNK_WORD);
    CHECK_OK(lwc_create_with_threads(0, NULL, 0, 1, &c));
    taken(&w, c.fd);
}

static volatile int signals;

static void on_signal(int signal)
{
    (void)signal;
    signals++;
}

static void handle(int flags)
{
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = flags};

    MUST(sigaction(SIGUSR1, &action, NULL));
}

/* A signal ends the wait at a safe point, or it begins anew (SA_RESTART); both can be taken. */
TEST(signals_at_a_safe_point)
{
    static struct waiting w;
    struct lwc_create c;

    handle(0);
    begin_to_wait(&w);
    CHECK_EQ(pthread_kill(w.thread, SIGUSR1), 0);
    CHECK_EQ(pthread_join(w.thread, NULL), 0);
    CHECK_EQ(w.answer, -EINTR);
    CHECK_EQ((int)w.s.event, JUNK_WORD);
    CHECK_OK(lwc_create_with_threads(0, NULL, 0, 0, &c));
    CHECK_EQ(c.nargs, 0);
    MUST(close(c.fd));

    handle(SA_RESTART);
    begin_to_wait(&w);
    CHECK_EQ(pthread_kill(w.thread, SIGUSR1), 0);
    CHECK(EVENTUALLY(signals == 2 && state_of_thread(w.id) == 'S'));
    CHECK_EQ(w.answer, JUNK_WORD);
    CHECK_OK(lwc_create_with_threads(0, NULL, 0, 1, &c));
    taken(&w, c.fd);
}

static void *interrupts(void *thread)
{
    for (int pauses = 0; pauses < 20; pauses++)
        short_pause();
    CHECK_EQ(pthread_kill(*(pthread_t *)thread, SIGUSR1), 0);
    return NULL;
}

/* A signal ends a creation that waits; the threads that were there already go on waiting. */
TEST(signals_in_a_creation)
{
    pthread_t self = pthread_self(), other;
    static struct waiting w;
    struct lwc_create c;

    handle(0);
    begin_to_wait(&w);
    CHECK_EQ(pthread_create(&other, NULL, interrupts, &self), 0);
    CHECK_ERRNO(lwc_create_with_threads(0, NULL, 0, 2, &c), EINTR);
    CHECK_EQ(signals, 1);
    CHECK_EQ((int)c.event, JUNK_WORD);
    CHECK_EQ(w.answer, JUNK_WORD);
    CHECK_EQ(info(LWC_FD_SELF).contexts, 1);
    CHECK_OK(lwc_create_with_threads(0, NULL, 0, 1, &c));
    taken(&w, c.fd);
    CHECK_EQ(pthread_join(other, NULL), 0);
}

/* The stack of a thread that waits cannot be shared either. */
static void *waits_on_a_stack(void *argument)
{
    return waits(argument);
}

/* After a creation that failed the threads wait on, as if it had not been. */
TEST(failed_creations_give_threads_back)
{
    static char stack[64 * PAGE] __attribute__((aligned(PAGE)));
    struct rlimit limit, none = {0, 0};
    static struct waiting w;
    pthread_attr_t attributes;
    struct lwc_create c;

    CHECK_EQ(pthread_attr_init(&attributes), 0);
    CHECK_EQ(pthread_attr_setstack(&attributes, stack, sizeof(stack)), 0);
    CHECK_EQ(pthread_create(&w.thread, &attributes, waits_on_a_stack, &w), 0);
    CHECK(EVENTUALLY(w.id && state_of_thread(w.id) == 'S'));

    CHECK_ERRNO(lwc_create_with_threads(0, SPECS(MEMORY(SHARE, stack, PAGE)), 1, &c), EINVAL);
    MUST(getrlimit(RLIMIT_NOFILE, &limit));
    none.rlim_max = limit.rlim_max;
    MUST(setrlimit(RLIMIT_NOFILE, &none));
    CHECK_ERRNO(lwc_create_with_threads(
                    LWC_SAME_RIGHTS,
                    SPECS({LWC_MEMORY, LWC_COPY | LWC_MAY_ACCESS, 0, LWC_ALL}, SHARED_CREDENTIALS),
                    1, &c),
                EMFILE);
    MUST(setrlimit(RLIMIT_NOFILE, &limit));
    set_number(PARAMETERS "max_bytes", 1);
    CHECK_ERRNO(lwc_create_with_threads(0, NULL, 0, 1, &c), EDQUOT);
    set_number(PARAMETERS "max_bytes", 1l << 42);
    CHECK_EQ(w.answer, JUNK_WORD);
    CHECK_OK(lwc_create_with_threads(LWC_MAY_RETURN, NULL, 0, 1, &c));
    taken(&w, c.fd);
}

static void *at_the_limits(void *unused)
{
    struct lwc_safepoint s;
    struct lwc_create c;

    (void)unused;
    if (make(&c, 0))
        FAIL("entered");
    set_number(PARAMETERS "max_contexts", 2);
    CHECK_ERRNO(lwc_safepoint(&s), ENOSPC);
    set_number(PARAMETERS "max_contexts", 4096);
    set_number(PARAMETERS "max_bytes", 1);
    CHECK_ERRNO(lwc_safepoint(&s), EDQUOT);
    set_number(PARAMETERS "max_bytes", 1l << 42);
    return NULL;
}

/* What a safe point refuses: flags, structures that cannot be read, a group that is full. */
TEST(safepoint_refusals)
{
    struct lwc_safepoint s = {.flags = 1};
    pthread_t thread;

    CHECK_ERRNO(lwc_call(LWC_IOC_SAFEPOINT, NULL), EFAULT);
    for (int bit = 0; bit < 32; bit++) {
        s.flags = 1u << bit;
        CHECK_ERRNO(lwc_call(LWC_IOC_SAFEPOINT, &s), EINVAL);
    }
    CHECK_EQ(pthread_create(&thread, NULL, at_the_limits, NULL), 0);
    CHECK_EQ(pthread_join(thread, NULL), 0);
}

static void *waits_read_only(void *page)
{
    CHECK_ERRNO(lwc_call(LWC_IOC_SAFEPOINT, page), EFAULT);
    return NULL;
}

/* A result that cannot be written is EFAULT; the creation has happened. */
TEST(safepoint_result_unwritable)
{
    struct lwc_safepoint *page = private_pages(1);
    struct lwc_create c;
    pthread_t thread;

    MUST(mprotect(page, PAGE, PROT_READ));
    CHECK_EQ(pthread_create(&thread, NULL, waits_read_only, page), 0);
    CHECK_OK(lwc_create_with_threads(0, NULL, 0, 1, &c));
    CHECK_EQ(c.nargs, 1);
    CHECK_EQ(pthread_join(thread, NULL), 0);
}

static void *in_another_lwc(void *there)
{
    struct lwc_create c;
    struct lwc_safepoint s;

    if (make(&c, LWC_MAY_RETURN | LWC_SHARE_SIGNALS)) {
        *(volatile int *)there = thread_id();
        CHECK_ERRNO(lwc_safepoint(&s), EINTR);
        finish(&c, 0);
    }
    enter(c.fd, 0);
    return NULL;
}

/* Threads that wait in another lwC, or in another process, are not there. */
TEST(threads_wait_elsewhere)
{
    volatile int *there = shared_pages(1);
    struct lwc_create c;
    pthread_t thread;
    pid_t pid;

    handle(0);
    CHECK_EQ(pthread_create(&thread, NULL, in_another_lwc, (void *)there), 0);
    CHECK(EVENTUALLY(*there && state_of_thread(*there) == 'S'));
    pid = fork_process();
    if (pid == 0) {
        struct lwc_safepoint s;

        there[1] = 1;
        lwc_safepoint(&s);
        FAIL("taken along by another process");
    }
    CHECK(EVENTUALLY(there[1]));
    for (int pauses = 0; pauses < 5; pauses++)
        short_pause();
    CHECK_OK(lwc_create_with_threads(0, NULL, 0, 0, &c));
    CHECK_EQ(c.nargs, 0);
    CHECK_EQ(pthread_kill(thread, SIGUSR1), 0);
    CHECK_EQ(pthread_join(thread, NULL), 0);
    MUST(kill(pid, SIGKILL));
    CHECK_EQ(ending(pid), 128 + SIGKILL);
}

/* A process is killed while one thread waits at a safe point and another for more of them. */
TEST(killed_while_they_wait)
{
    struct live before = live();
    volatile int *there = shared_pages(1);
    pid_t pid = fork_process();

    if (pid == 0) {
        static struct waiting w;
        struct lwc_create c;

        begin_to_wait(&w);
        *there = 1;
        lwc_create_with_threads(0, NULL, 0, 2, &c);
        FAIL("nobody came");
    }
    CHECK(EVENTUALLY(*there));
    CHECK(EVENTUALLY(live().contexts > before.contexts));
    MUST(kill(pid, SIGKILL));
    CHECK_EQ(ending(pid), 128 + SIGKILL);
    CHECK(dies_down_to(before));
}
