/* SPDX-License-Identifier: MIT */
/* How an lwC of several threads ends: for all of them, whoever ends it, wherever they are. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "team.h"
#include "world.h"

static volatile int inside, outside;
static volatile int *stage; /* shared by all lwCs */
static int size;
static struct live before;

static void two_and_eight(__u32 flags, void (*act)(struct member *member))
{
    for (size = 2; size <= MOST_MEMBERS; size += 6) {
        stage = shared_pages(1);
        inside = outside = 0;
        /* Those of the team before are joined before they are gone. */
        CHECK(EVENTUALLY(line_number("/proc/self/status", "Threads:") == 1));
        before = live();
        team(size, flags, act);
    }
}

static void find_it_stale(struct member *m)
{
    if (m->inside)
        leave(m, 1);
    enter(m->fd, 0);
    meet(&outside, size);
    if (m->number == 1) {
        MUST(dup2(m->fd, 300));
        MUST(close(m->fd));
        *stage = 1;
    }
    CHECK(EVENTUALLY(*stage));
    CHECK_NAME(300, ESTALE);
    CHECK_EQ(info(LWC_FD_SELF).contexts, 1);
    meet(&outside, 2 * size);
    if (m->number == 1)
        MUST(close(300));
    m->fd = -1;
}

/* A close by any of its threads, in the creator, destroys it for all. */
TEST(threads_destroy_for_all)
{
    two_and_eight(LWC_MAY_RETURN, find_it_stale);
}

static int ends[2], alarm_clock[2];

static void count_states(struct member *m)
{
    if (m->inside)
        leave(m, 1);
    meet(&outside, size);
    if (m->number == 0) {
        MUST(close(m->fd));
        m->fd = -1;
        *stage = 1;
    }
    /* They make no more calls of the device: what they had of it goes by itself. */
    CHECK(EVENTUALLY(live().contexts == before.contexts + size - (before.contexts > 0)));
    meet(&outside, 2 * size);
}

/* Nothing is left of it in threads that go on. */
TEST(threads_destroyed_go_at_once)
{
    two_and_eight(LWC_MAY_RETURN, count_states);
}

/* One sleeps in the creator, with an lwC that holds the other end of a pipe. */
static void sleep_with_a_pipe(struct member *m)
{
    char byte;

    if (m->inside)
        leave(m, 0);
    if (m->number) {
        enter(m->fd, 0);
        meet(&outside, size - 1);
        CHECK_EQ(read(alarm_clock[0], &byte, 1), 1);
        return;
    }
    CHECK(EVENTUALLY(outside == size - 1));
    for (int pauses = 0; pauses < 10; pauses++) /* until they are asleep, as a rule */
        short_pause();
    MUST(close(ends[1]));
    MUST(close(m->fd));
    m->fd = -1;
    /* The read does not return before the last other end is closed. */
    CHECK_EQ(read(ends[0], &byte, 1), 0);
    CHECK_EQ(write(alarm_clock[1], "alarm!!", size - 1), size - 1);
}

/* Its descriptors are closed and its memory freed though other threads of it sleep elsewhere. */
TEST(threads_asleep_hold_nothing)
{
    for (size = 2; size <= MOST_MEMBERS; size += 6) {
        stage = shared_pages(1);
        outside = 0;
        MUST(pipe2(ends, O_CLOEXEC));
        MUST(pipe2(alarm_clock, O_CLOEXEC));
        team(size, LWC_MAY_RETURN, sleep_with_a_pipe);
        MUST(close(ends[0]));
    }
}

/* Of all processes. Free pages would not show it: those of a processor's own lists do not count. */
static long anonymous_pages(void)
{
    return line_number("/proc/meminfo", "AnonPages:") / 4;
}

static volatile char *much;

static void sleep_with_memory(struct member *m)
{
    enum { MUCH = 24 };
    long full;

    if (m->inside) {
        memset((char *)much, 1, MUCH * MIB);
        leave(m, 0);
    }
    if (m->number) {
        *stage = thread_id();
        syscall(SYS_pause);
        return;
    }
    CHECK(EVENTUALLY(*stage));
    short_pause();
    enter(m->fd, 0);
    full = anonymous_pages();
    MUST(close(m->fd));
    m->fd = -1;
    CHECK(EVENTUALLY(anonymous_pages() < full - (long)(MUCH - 8) * 256));
    MUST(syscall(SYS_tgkill, getpid(), *stage, SIGRTMIN + 1));
}

static void awake(int signal)
{
    (void)signal;
}

/* As much memory as it held is free again, while another thread of it sleeps. */
TEST(threads_asleep_hold_no_memory)
{
    struct sigaction action = {.sa_handler = awake};

    MUST(sigaction(SIGRTMIN + 1, &action, NULL));
    much = private_pages(24 * MIB / PAGE);
    stage = shared_pages(1);
    team(2, LWC_MAY_RETURN, sleep_with_memory);
}

static void stay_inside(struct member *m)
{
    struct lwc_switch s;

    if (m->inside) {
        struct lwc_create c;

        meet(&inside, size - 1);
        __atomic_add_fetch(stage, 1, __ATOMIC_SEQ_CST);
        CHECK(EVENTUALLY(*stage >= 100));
        /* It goes on, can look at itself, and make others. */
        CHECK_EQ(info(LWC_FD_SELF).state & LWC_IS_RUNNING, LWC_IS_RUNNING);
        if (make(&c, LWC_MAY_RETURN))
            FAIL("entered");
        meet(&inside, 2 * (size - 1));
        leave(m, 0);
    }
    if (m->number == 0) {
        CHECK(EVENTUALLY(*stage == size - 1));
        MUST(dup2(m->fd, 300));
        MUST(close(m->fd));
        *stage = 100;
        m->fd = -1;
    } else {
        /* Gone as soon as it is left: nobody has come from it. */
        CHECK_OK(lwc_switch(m->fd, 0, (__u64[]){0}, 1, &s));
        CHECK_EQ(s.caller, LWC_FD_NONE);
    }
    meet(&outside, size);
    CHECK_NAME(300, ESTALE);
    /* What was made in it stays as an orphan of each thread that did. */
    CHECK_EQ(info(LWC_FD_SELF).contexts, m->number ? 2 : 1);
    meet(&outside, 2 * size);
}

/* Threads that are in it when it is destroyed stay until they leave, and then it is gone. */
TEST(threads_stay_until_they_leave)
{
    two_and_eight(LWC_MAY_RETURN, stay_inside);
}

static void discard(struct member *m)
{
    struct lwc_switch s;

    if (m->inside) {
        meet(&inside, size);
        if (m->number == 1) {
            *stage = 1;
            lwc_switch(m->up, LWC_DISCARD, (__u64[]){0}, 1, &s);
            FAIL("a discarded lwC goes on");
        }
        CHECK(EVENTUALLY(*stage == 2));
        leave(m, 0);
    }
    CHECK_OK(lwc_switch(m->fd, 0, (__u64[]){0}, 1, &s));
    CHECK_EQ(s.caller, LWC_FD_NONE);
    if (m->number == 1)
        *stage = 2;
    CHECK_NAME(m->fd, ESTALE);
    CHECK_EQ(info(LWC_FD_SELF).contexts, 1);
    meet(&outside, size);
}

/* Leaving it with LWC_DISCARD destroys it for all. */
TEST(threads_discard_for_all)
{
    two_and_eight(LWC_MAY_RETURN, discard);
}

static void end_one_by_one(struct member *m)
{
    if (m->inside) {
        volatile __u64 word = m->word;

        for (;;)
            word = come_back(m, word + 1);
    }
    CHECK_EQ(enter(m->fd, 5), 6);
    CHECK_EQ(live().contexts, before.contexts + 2 * size - (before.contexts > 0));
    meet(&outside, size);
    if (m->number)
        return;
    /* The others end; it is still there. */
    CHECK(EVENTUALLY(live().contexts == before.contexts + (before.contexts > 0 ? 1 : 2)));
    CHECK_EQ(enter(m->fd, 7), 8);
}

/* A thread's end is that of its own state; the lwC lives as long as one thread of it does. */
TEST(threads_end_and_others_go_on)
{
    two_and_eight(LWC_MAY_RETURN, end_one_by_one);
}

static void maker_ends(struct member *m)
{
    if (m->inside) {
        volatile __u64 word = m->word;

        for (;;)
            word = come_back(m, word + 1);
    }
    if (m->number == 0) {
        *stage = 1;
        syscall(SYS_exit, 0);
    }
    CHECK(EVENTUALLY(*stage && state_of_thread(getpid()) == 'Z'));
    for (int n = 0; n < 20; n++)
        CHECK_EQ(enter(m->fd, n), n + 1);
    meet(&outside, size - 1);
    if (m->number == 1)
        _exit(9);
    for (;;)
        pause();
}

/* Also if the thread that made it ends first, the leader of the process. */
TEST(threads_outlive_the_maker)
{
    for (size = 2; size <= MOST_MEMBERS; size += 6) {
        pid_t pid;

        stage = shared_pages(1);
        outside = 0;
        before = live();
        pid = fork_process();
        if (pid == 0)
            team(size, LWC_MAY_RETURN, maker_ends);
        CHECK_EQ(ending(pid), 9);
        CHECK(dies_down_to(before));
    }
}

static void parent_of_orphans(struct member *m)
{
    struct lwc_create c;
    struct lwc_switch s;

    if (m->inside) {
        if (make(&c, LWC_MAY_RETURN)) {
            for (;;)
                back(&c, 0);
        }
        enter(c.fd, 0);
        MUST(dup2(c.fd, 310 + m->number));
        leave(m, 0);
    }
    enter(m->fd, 0);
    meet(&outside, size);
    if (m->number == 0) {
        MUST(close(m->fd));
        *stage = 1;
        m->fd = -1;
    }
    CHECK(EVENTUALLY(*stage));
    /* Named by descriptors of the table that is gone: only the number of them shows. */
    CHECK_EQ(info(LWC_FD_SELF).contexts, 2);
    CHECK_ERRNO(lwc_switch(310 + m->number, 0, NULL, 0, &s), EBADF);
}

/* What each thread made in it passes to that thread's own creator. */
TEST(threads_leave_orphans)
{
    size = 2;
    stage = shared_pages(1);
    team(2, LWC_MAY_RETURN, parent_of_orphans);
}

static void reset_of_a_stale_snapshot(struct member *m)
{
    struct lwc_reset r;
    int worker;

    if (m->inside)
        leave(m, 3);
    worker = clone_of(m->fd);
    CHECK_EQ(enter(worker, 0), 3);
    meet(&outside, size);
    if (m->number == 1) {
        MUST(close(m->fd));
        *stage = 1;
    }
    CHECK(EVENTUALLY(*stage));
    CHECK_ERRNO(lwc_reset(worker, &r), ESTALE);
    m->fd = -1;
}

/* A worker whose snapshot another thread has destroyed cannot be reset. */
TEST(threads_lose_a_snapshot)
{
    two_and_eight(SNAPSHOT, reset_of_a_stale_snapshot);
}
