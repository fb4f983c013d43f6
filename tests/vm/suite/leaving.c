/* SPDX-License-Identifier: MIT */
/* A thread that calls exit(2) in an lwC ends in its root lwC, for those who wait for it there. */
#define _GNU_SOURCE
#include <errno.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "refused.h"
#include "team.h"
#include "world.h"

static int size;
static volatile int inside;

static void end_inside(struct member *m)
{
    if (m->inside) {
        meet(&inside, size - 1);
        if (m->number % 2)
            pthread_exit(NULL);
        return; /* ends the thread as well */
    }
    if (m->number)
        enter(m->fd, 0);
}

/* Threads that end in an lwC, by pthread_exit(3) or by returning, are joined in the root. */
TEST(threads_that_exit_inside_are_joined)
{
    struct live before = live();

    for (size = 2; size <= MOST_MEMBERS; size += 6)
        team(size, 0, end_inside);
    CHECK_EQ(info(LWC_FD_SELF).contexts, 1);
    CHECK(EVENTUALLY(live().groups == before.groups + 1));
}

static void *ends_in_a_child(void *unused)
{
    struct lwc_create c;

    (void)unused;
    if (make(&c, 0))
        pthread_exit(NULL);
    enter(c.fd, 0);
    FAIL("back from the end");
}

static void *ends_in_a_grandchild(void *unused)
{
    struct lwc_create child, c;

    (void)unused;
    if (make(&child, 0)) {
        if (make(&c, 0))
            pthread_exit(NULL);
        enter(c.fd, 0);
    }
    enter(child.fd, 0);
    FAIL("back from the end");
}

static void *ends_in_a_worker(void *unused)
{
    struct lwc_create c;

    (void)unused;
    if (make(&c, LWC_SUSPEND_ONLY))
        pthread_exit(NULL);
    enter(clone_of(c.fd), 0);
    FAIL("back from the end");
}

static void *ends_as_another_user(void *unused)
{
    struct lwc_create c;

    (void)unused;
    if (make(&c, 0)) {
        MUST(syscall(SYS_setresuid, 1000, 1000, 1000));
        pthread_exit(NULL);
    }
    enter(c.fd, 0);
    FAIL("back from the end");
}

static void *ends_by_a_32_bit_entry(void *unused)
{
    struct lwc_create c;

    (void)unused;
    if (make(&c, 0))
        asm volatile("int $0x80" : : "a"(1), "b"(0) : "memory", "r8", "r9", "r10", "r11");
    enter(c.fd, 0);
    FAIL("back from the end");
}

/* The root is told of an end in a child, in a child of that, and in a worker; by any entry. */
TEST(threads_end_in_their_root)
{
    void *(*const ways[])(void *) = {ends_in_a_child, ends_in_a_grandchild, ends_in_a_worker,
                                     ends_as_another_user, ends_by_a_32_bit_entry};
    struct live before = live();

    for (size_t n = 0; n < sizeof(ways) / sizeof(*ways); n++) {
        pthread_t thread;

        if (ways[n] == ends_by_a_32_bit_entry && !has_32_bits()) {
            note("threads_end_in_their_root: no 32-bit system calls here");
            continue;
        }
        CHECK_EQ(pthread_create(&thread, NULL, ways[n], NULL), 0);
        CHECK_EQ(pthread_join(thread, NULL), 0);
        CHECK(dies_down_to(before));
    }
}

static pthread_mutex_t robust;

static void *ends_with_a_lock(void *unused)
{
    CHECK_EQ(pthread_mutex_lock(&robust), 0);
    return ends_in_a_child(unused);
}

/* A robust lock that it holds in its root is given up. */
TEST(threads_that_exit_inside_give_up_locks)
{
    pthread_mutexattr_t attributes;
    pthread_t thread;

    CHECK_EQ(pthread_mutexattr_init(&attributes), 0);
    CHECK_EQ(pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST), 0);
    CHECK_EQ(pthread_mutex_init(&robust, &attributes), 0);
    CHECK_EQ(pthread_create(&thread, NULL, ends_with_a_lock, NULL), 0);
    CHECK_EQ(pthread_join(thread, NULL), 0);
    CHECK_EQ(pthread_mutex_lock(&robust), EOWNERDEAD);
}

static void *ends_without_a_root(void *done)
{
    struct lwc_create c;
    struct lwc_switch s;

    if (make(&c, 0)) {
        CHECK_NAME(LWC_FD_ROOT, ESTALE);
        *(volatile int *)done = 1;
        syscall(SYS_exit, 0);
    }
    lwc_switch(c.fd, LWC_DISCARD, NULL, 0, &s);
    FAIL("a discarded lwC goes on");
}

/* Where there is no root any more a thread ends where it is. */
TEST(threads_end_without_a_root)
{
    volatile int *done = shared_pages(1);
    struct live before = live();
    pthread_t thread;

    CHECK_EQ(pthread_create(&thread, NULL, ends_without_a_root, (void *)done), 0);
    CHECK(EVENTUALLY(*done));
    CHECK(EVENTUALLY(line_number("/proc/self/status", "Threads:") == 1));
    CHECK(dies_down_to(before));
}

/* The only thread's exit code is the process's, from whichever lwC it exits. */
TEST(exit_code_of_the_last_thread)
{
    pid_t pid = fork_process();

    if (pid == 0) {
        struct lwc_create c;

        if (make(&c, 0))
            syscall(SYS_exit, 7 + 256);
        enter(c.fd, 0);
    }
    CHECK_EQ(ending(pid), 7);
}
