/* SPDX-License-Identifier: MIT */
/* A reset ends the threads that live in the worker's memory, and no others. */
#define _GNU_SOURCE
#include <pthread.h>
#include <unistd.h>

#include "steps.h"
#include "world.h"

static long threads(void)
{
    return line_number("/proc/self/status", "Threads:");
}

struct ticking {
    volatile long *ticks; /* shared */
    volatile long count;  /* the worker's */
};

static void *tick(void *argument)
{
    struct ticking *ticking = argument;

    for (;;) {
        ++*ticking->ticks;
        ticking->count++;
    }
    return NULL;
}

/* Threads that a worker started and that still run are ended, and what they wrote is undone. */
TEST(reset_ends_running_threads)
{
    static struct ticking ticking;
    struct lwc_create c;
    int worker;

    ticking.ticks = shared_pages(1);
    if (make(&c, SNAPSHOT)) {
        long seen = *ticking.ticks;
        pthread_t thread;

        CHECK_EQ(ticking.count, 0);
        for (int n = 0; n < 2; n++)
            CHECK_EQ(pthread_create(&thread, NULL, tick, &ticking), 0);
        CHECK(EVENTUALLY(*ticking.ticks > seen));
        finish(&c, 0);
    }
    worker = clone_of(c.fd);
    for (int round = 0; round < 4; round++) {
        long seen;

        enter(worker, 0);
        seen = *ticking.ticks;
        CHECK(EVENTUALLY(*ticking.ticks > seen));
        reset(worker);
        seen = *ticking.ticks;
        CHECK(EVENTUALLY(threads() == 1));
        CHECK_EQ(*ticking.ticks, seen);
    }
}

static int wait_in[2];

static void *wait_for_a_byte(void *there)
{
    char byte;

    *(volatile int *)there += 1;
    if (read(wait_in[0], &byte, 1) < 0)
        return NULL;
    return there;
}

static void *wait_for_a_lock(void *there)
{
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

    *(volatile int *)there += 1;
    pthread_mutex_lock(&lock);
    pthread_mutex_lock(&lock);
    return there;
}

static void *wait_for_ever(void *there)
{
    *(volatile int *)there += 1;
    sleep(1000);
    return NULL;
}

/* Threads that wait, for input, a lock or a time, are ended, too. */
TEST(reset_ends_waiting_threads)
{
    static void *(*const ways[])(void *) = {wait_for_a_byte, wait_for_a_lock, wait_for_ever};
    volatile int *there = shared_pages(1);
    struct lwc_create c;
    int worker;

    MUST(pipe(wait_in));
    if (make(&c, SNAPSHOT)) {
        pthread_t thread;

        *there = 0;
        for (int n = 0; n < 3; n++)
            CHECK_EQ(pthread_create(&thread, NULL, ways[n], (void *)there), 0);
        CHECK(EVENTUALLY(*there == 3));
        finish(&c, 0);
    }
    worker = clone_of(c.fd);
    for (int round = 0; round < 3; round++) {
        enter(worker, 0);
        CHECK_EQ(threads(), 4);
        reset(worker);
        CHECK(EVENTUALLY(threads() == 1));
    }
}

static void *make_and_wait(void *there)
{
    struct lwc_create own;

    if (make(&own, LWC_MAY_RETURN)) {
        *(volatile int *)there += 1;
        for (;;)
            sleep(1000);
    }
    enter(own.fd, 0);
    return NULL;
}

/* A thread of a worker's memory that is in an lwC of its own is ended, or the reset is refused. */
TEST(reset_and_threads_with_lwcs)
{
    static volatile int value = 1;
    volatile int *there = shared_pages(1);
    struct live before = live();
    struct lwc_create c;
    struct lwc_reset r;
    int worker, answer;

    if (make(&c, SNAPSHOT)) {
        pthread_t thread;

        CHECK_EQ(value, 1);
        value = 2;
        *there = 0;
        CHECK_EQ(pthread_create(&thread, NULL, make_and_wait, (void *)there), 0);
        CHECK(EVENTUALLY(*there == 1));
        finish(&c, 0);
    }
    worker = clone_of(c.fd);
    for (int round = 0; round < 3; round++) {
        enter(worker, 0);
        answer = lwc_reset(worker, &r);
        if (answer) {
            CHECK_EQ(answer, -EBUSY);
            return;
        }
        CHECK(EVENTUALLY(threads() == 1));
        CHECK(EVENTUALLY(live().contexts == before.contexts + 3));
    }
}

/* Other threads of the process, which live in the creator's memory, are left alone. */
TEST(reset_leaves_other_threads)
{
    static struct ticking ticking;
    struct lwc_create c;
    pthread_t thread;
    int worker;

    ticking.ticks = shared_pages(1);
    if (make(&c, SNAPSHOT)) {
        ticking.count = 5;
        finish(&c, 0);
    }
    CHECK_EQ(pthread_create(&thread, NULL, tick, &ticking), 0);
    worker = clone_of(c.fd);
    for (int round = 0; round < 3; round++) {
        long seen;

        enter(worker, 0);
        reset(worker);
        seen = ticking.count;
        CHECK(EVENTUALLY(ticking.count > seen));
    }
    CHECK_EQ(threads(), 2);
}
