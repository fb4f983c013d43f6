/* SPDX-License-Identifier: MIT */
/* Eight threads make, enter, leave and destroy lwCs at the same time, are signalled and killed. */
#define _GNU_SOURCE
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "team.h"
#include "world.h"

enum { SHELF = 4 };

/* Descriptors of lwCs, which any thread may take or close, whether it has a state in them or not.
 */
static volatile int shelf[SHELF] = {-1, -1, -1, -1};
static volatile int *stop; /* shared by all lwCs */
static volatile long entries;

/* Either in the new lwC, and then in and out; or -1, or its descriptor. */
static void in_and_out(__u32 event, int up)
{
    struct lwc_switch s;

    if (event == LWC_CREATED)
        return;
    for (;;) {
        volatile pid_t mine = thread_id();

        CHECK_OK(lwc_switch(up, 0, NULL, 0, &s));
        CHECK_EQ(mine, thread_id()); /* back on its own stack */
    }
}

static void try_to_enter(int fd)
{
    struct lwc_switch s;
    int err = lwc_switch(fd, 0, NULL, 0, &s);

    if (!err)
        __atomic_add_fetch(&entries, 1, __ATOMIC_RELAXED);
    else if (err != -EPERM && err != -ESTALE && err != -EBADF)
        FAIL("%s", error_name(-err));
}

static void one_step(unsigned int *seed)
{
    int place = rand_r(seed) % SHELF, fd, err;
    struct lwc_safepoint p;
    struct lwc_create c;

    switch (rand_r(seed) % 8) {
    case 0: /* takes along whoever waits */
        err = lwc_create_with_threads(LWC_MAY_RETURN, NULL, 0, rand_r(seed) % 3, &c);
        if (err == -EINTR)
            break;
        CHECK_EQ(err, 0);
        in_and_out(c.event, c.fd);
        fd = __atomic_exchange_n(&shelf[place], c.fd, __ATOMIC_SEQ_CST);
        if (fd >= 0)
            close(fd);
        break;
    case 1:
    case 2:
        err = lwc_safepoint(&p);
        if (err == -EINTR)
            break;
        CHECK_EQ(err, 0);
        in_and_out(p.event, p.fd);
        break;
    default:
        for (int n = 0; n < 10; n++)
            try_to_enter(shelf[rand_r(seed) % SHELF]);
    }
}

static void *goes_about(void *seed)
{
    unsigned int state = (unsigned int)(uintptr_t)seed;

    while (!*stop)
        one_step(&state);
    return NULL;
}

static void nothing(int signal)
{
    (void)signal;
}

/* So many threads go about, and are signalled so that no one waits for ever, for so long. */
static void throng(int size, long duration, unsigned int seed)
{
    struct sigaction action = {.sa_handler = nothing};
    pthread_t threads[MOST_MEMBERS];
    long until = milliseconds() + duration;

    MUST(sigaction(SIGUSR1, &action, NULL));
    for (int n = 0; n < size; n++)
        CHECK_EQ(pthread_create(&threads[n], NULL, goes_about, (void *)(uintptr_t)(seed + n)), 0);
    while (milliseconds() < until) {
        usleep(500);
        CHECK_EQ(pthread_kill(threads[rand_r(&seed) % size], SIGUSR1), 0);
    }
    *stop = 1;
    for (int n = 0; n < size; n++) {
        while (pthread_tryjoin_np(threads[n], NULL)) {
            pthread_kill(threads[n], SIGUSR1);
            usleep(500);
        }
    }
}

/* Two and eight threads go about for a while; entries happen, and nothing goes wrong. */
TEST(threads_go_about)
{
    for (int size = 2; size <= MOST_MEMBERS; size += 6) {
        stop = shared_pages(1);
        throng(size, 1500, size);
        note("%d threads: %ld entries", size, entries);
        CHECK(entries > 0);
        entries = 0;
    }
}

static void kill_throngs(int count, unsigned int seed)
{
    struct live before = live();

    for (int n = 0; n < count; n++) {
        pid_t pid;

        stop = shared_pages(1);
        pid = fork_process();
        if (pid == 0) {
            throng(MOST_MEMBERS, 100000, seed + n);
            _exit(0);
        }
        CHECK(EVENTUALLY(live().groups > before.groups + 1));
        usleep(rand_r(&seed) % 60000);
        MUST(kill(pid, SIGKILL));
        CHECK_EQ(ending(pid), 128 + SIGKILL);
    }
    CHECK(dies_down_to(before));
}

/* Eight threads that go about are killed at any time, and leave nothing. */
TEST(threads_killed_at_random)
{
    kill_throngs(12, 1);
}

/* The same, for long. */
TEST(long_threads_killed)
{
    kill_throngs(300, 100);
}

/* Eight threads go about, for long. */
TEST(long_threads_go_about)
{
    stop = shared_pages(1);
    throng(MOST_MEMBERS, 60000, 3);
    CHECK(entries > 1000);
}
