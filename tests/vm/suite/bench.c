/* SPDX-License-Identifier: MIT */
/*
 * What things cost, next to what processes and threads cost for the same, and what the kernel did
 * meanwhile. The times of an emulated processor are good for ratios only.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/futex.h>
#include <pthread.h>
#include <signal.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "bench.h"
#include "counts.h"
#include "refused.h"
#include "steps.h"
#include "world.h"

enum { RUNS = 3 };

static long nanoseconds(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000000000l + now.tv_nsec;
}

static int by_value(const void *a, const void *b)
{
    long x = *(const long *)a, y = *(const long *)b;

    return (x > y) - (x < y);
}

/* What the last reset had to do. */
static struct lwc_reset undone;

/* Prints the median of runs of so many operations each, and the counts of one more. */
static void measure(const char *what, void (*run)(long count), long count)
{
    long times[RUNS], counts[COUNTS];

    memset(&undone, 0, sizeof(undone));
    run(count / 10 + 1);
    for (int n = 0; n < RUNS; n++) {
        long start = nanoseconds();

        run(count);
        times[n] = (nanoseconds() - start) / count;
    }
    qsort(times, RUNS, sizeof(*times), by_value);
    counts_start();
    run(count);
    counts_stop(counts);
    printf("BENCH %s ns=%ld", what, times[RUNS / 2]);
    for (int n = 0; n < COUNTS; n++)
        printf(" %s=%.2f", count_names[n], (double)counts[n] / count);
    printf(" copied=%llu checked=%llu\n", undone.pages_copied, undone.pages_checked);
    fflush(stdout);
}

static void getppid_calls(long count)
{
    for (; count; count--)
        syscall(SYS_getppid);
}

static void empty_ioctls(long count)
{
    struct lwc_abi abi;

    for (; count; count--)
        lwc_call(LWC_IOC_ABI, &abi);
}

static int target;

static void switches(long count)
{
    struct lwc_switch s = {.target = target};

    for (; count > 0; count -= 2) {
        s.nargs = 0;
        CHECK_OK(lwc_call(LWC_IOC_SWITCH, &s));
    }
}

static void measure_switches(void)
{
    struct lwc_create c;

    if (make(&c, LWC_MAY_RETURN)) {
        struct lwc_switch s = {.target = c.fd};

        for (;;) {
            s.nargs = 0;
            CHECK_OK(lwc_call(LWC_IOC_SWITCH, &s));
        }
    }
    target = c.fd;
    measure("lwc-switch", switches, 4000);
    MUST(close(c.fd));
}

static void refused_calls(long count)
{
    for (; count > 0; count--)
        answer(target, 0, 0);
}

/* What an lwC with a list of refused calls costs others, and itself. */
static void measure_traps(void)
{
    struct lwc_create c;
    int ready[2];
    char byte;
    pid_t pid;

    MUST(pipe(ready));
    pid = fork_process();
    if (!pid) {
        if (make(&c, LWC_TRAP_SYSCALLS))
            FAIL("entered");
        MUST(write(ready[1], "", 1));
        pause();
    }
    MUST(read(ready[0], &byte, 1));
    measure("getppid-beside-trap", getppid_calls, 20000);
    MUST(kill(pid, SIGKILL));
    ending(pid);
    MUST(close(ready[0]));
    MUST(close(ready[1]));
    if (make(&c, LWC_TRAP_SYSCALLS)) {
        for (;;)
            RAW(SYS_getppid);
    }
    target = c.fd;
    measure("trap-trip", refused_calls, 4000);
    CHECK_OK(lwc_trap(c.fd, LWC_TRAP_NONE, NULL));
    measure("getppid-with-trap", getppid_calls, 20000);
    MUST(close(c.fd));
    usleep(1500 * 1000); /* the probe goes a second after the last list of calls */
    measure("getppid-after-trap", getppid_calls, 20000);
}

static int there[2], here[2];

static void pipe_trips(long count)
{
    char byte = 0;

    for (; count > 0; count -= 2) {
        CHECK_EQ(write(there[1], &byte, 1), 1);
        CHECK_EQ(read(here[0], &byte, 1), 1);
    }
}

static void *answer_pipe(void *unused)
{
    char byte;

    while (read(there[0], &byte, 1) == 1)
        CHECK_EQ(write(here[1], &byte, 1), 1);
    return unused;
}

static volatile int *turn;

static void wait_turn(int mine)
{
    while (*turn != mine)
        syscall(SYS_futex, turn, FUTEX_WAIT, !mine, NULL, NULL, 0);
}

static void give_turn(int other)
{
    *turn = other;
    syscall(SYS_futex, turn, FUTEX_WAKE, 1, NULL, NULL, 0);
}

static void futex_trips(long count)
{
    for (; count > 0; count -= 2) {
        give_turn(1);
        wait_turn(0);
    }
}

static void *answer_futex(void *unused)
{
    for (;;) {
        wait_turn(1);
        give_turn(0);
    }
    return unused;
}

/* In memory that processes share. */
static struct condition {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    int turn;
} *condition;

static void prepare_condition(void)
{
    pthread_mutexattr_t mutex;
    pthread_condattr_t changed;

    condition = (void *)shared_pages(1);
    CHECK_EQ(pthread_mutexattr_init(&mutex), 0);
    CHECK_EQ(pthread_mutexattr_setpshared(&mutex, PTHREAD_PROCESS_SHARED), 0);
    CHECK_EQ(pthread_mutex_init(&condition->mutex, &mutex), 0);
    CHECK_EQ(pthread_condattr_init(&changed), 0);
    CHECK_EQ(pthread_condattr_setpshared(&changed, PTHREAD_PROCESS_SHARED), 0);
    CHECK_EQ(pthread_cond_init(&condition->changed, &changed), 0);
}

static void condition_step(int mine, int other)
{
    pthread_mutex_lock(&condition->mutex);
    while (condition->turn != mine)
        pthread_cond_wait(&condition->changed, &condition->mutex);
    condition->turn = other;
    pthread_cond_signal(&condition->changed);
    pthread_mutex_unlock(&condition->mutex);
}

static void condition_trips(long count)
{
    for (; count > 0; count -= 2)
        condition_step(0, 1);
}

static void *answer_condition(void *unused)
{
    for (;;)
        condition_step(1, 0);
    return unused;
}

static void with_process(const char *what, void (*trips)(long), void *(*answer)(void *))
{
    prepare_condition();
    pid_t pid = fork_process();

    if (pid == 0) {
        answer(NULL);
        _exit(0);
    }
    measure(what, trips, 4000);
    kill(pid, 9);
    ending(pid);
}

static void with_thread(const char *what, void (*trips)(long), void *(*answer)(void *))
{
    pid_t pid = fork_process();

    if (pid == 0) {
        pthread_t thread;

        prepare_condition();
        CHECK_EQ(pthread_create(&thread, NULL, answer, NULL), 0);
        measure(what, trips, 4000);
        _exit(0);
    }
    ending(pid);
}

static volatile char *image;
static int touched;

static void touch(void)
{
    for (int n = 0; n < touched; n++)
        image[n * PAGE] = 2;
}

static void lwc_cycles(long count)
{
    struct lwc_create c;

    for (; count; count--) {
        if (make(&c, LWC_MAY_RETURN)) {
            touch();
            finish(&c, 0);
        }
        enter(c.fd, 0);
        MUST(close(c.fd));
    }
}

static void fork_cycles(long count)
{
    for (; count; count--) {
        pid_t pid = fork_process();

        if (pid == 0) {
            touch();
            _exit(0);
        }
        ending(pid);
    }
}

static void reset_cycles(long count)
{
    for (; count; count--) {
        enter(target, 0);
        CHECK_OK(lwc_reset(target, &undone));
    }
}

static void measure_cycles(int megabytes)
{
    static const int pages[] = {0, 10, 100, 1000};
    char what[64];

    image = private_pages(megabytes * MIB / PAGE);
    memset((void *)image, 1, megabytes * MIB);
    for (size_t n = 0; n < sizeof(pages) / sizeof(*pages); n++) {
        struct lwc_create c;

        touched = pages[n];
        snprintf(what, sizeof(what), "fork-cycle-%dM-%d-pages", megabytes, touched);
        measure(what, fork_cycles, 20);
        snprintf(what, sizeof(what), "lwc-cycle-%dM-%d-pages", megabytes, touched);
        measure(what, lwc_cycles, 20);
        if (make(&c, SNAPSHOT)) {
            touch();
            finish(&c, 0);
        }
        target = clone_of(c.fd);
        snprintf(what, sizeof(what), "reset-cycle-%dM-%d-pages", megabytes, touched);
        measure(what, reset_cycles, 100);
        MUST(close(target));
        MUST(close(c.fd));
    }
    MUST(munmap((void *)image, megabytes * MIB));
}

/* The kilobytes that are free, once what is being freed has been. */
static long free_memory(void)
{
    long last = -1, now = 0;

    for (int same = 0, tries = 5000; same < 10 && tries; last = now, tries--) {
        short_pause();
        now = line_number("/proc/meminfo", "MemFree:");
        same = now == last ? same + 1 : 0;
    }
    return now;
}

/* The memory that a hundred lwCs cost, each with so many pages of its own. */
static void measure_memory(void)
{
    enum { MANY = 100 };
    static const int pages[] = {0, 10, 30, 100, 300};
    static int fds[MANY];
    struct lwc_create c;

    image = private_pages(8 * MIB / PAGE);
    memset((void *)image, 1, 8 * MIB);
    for (size_t n = 0; n < sizeof(pages) / sizeof(*pages); n++) {
        long before;

        touched = pages[n];
        before = free_memory();
        for (int m = 0; m < MANY; m++) {
            if (make(&c, LWC_MAY_RETURN)) {
                touch();
                finish(&c, 0);
            }
            fds[m] = c.fd;
            enter(c.fd, 0);
        }
        printf("MEMORY pages=%d kilobytes=%.2f\n", touched,
               (double)(before - free_memory()) / MANY);
        for (int m = 0; m < MANY; m++)
            MUST(close(fds[m]));
    }
    MUST(munmap((void *)image, 8 * MIB));
}

static void measure_all(void)
{
    measure("getppid", getppid_calls, 20000);
    measure("empty-ioctl", empty_ioctls, 20000);
    measure_switches();
    measure_traps();
    with_process("process-pipe", pipe_trips, answer_pipe);
    with_process("process-futex", futex_trips, answer_futex);
    with_process("process-condition", condition_trips, answer_condition);
    with_thread("thread-pipe", pipe_trips, answer_pipe);
    with_thread("thread-futex", futex_trips, answer_futex);
    with_thread("thread-condition", condition_trips, answer_condition);
    measure_cycles(8);
    measure_cycles(64);
    measure_memory();
}

/* In the first seconds after boot everything takes twice as many instructions on Linux 6.12: the
 * kernel has other things to do, on what is the only processor where instructions are counted. */
static void wait_until_settled(void)
{
    enum { UPTIME = 30 /* seconds */ };
    struct timespec now;

    MUST(clock_gettime(CLOCK_BOOTTIME, &now));
    if (now.tv_sec < UPTIME)
        sleep((unsigned int)(UPTIME - now.tv_sec));
}

int bench(int rounds)
{
    cpu_set_t one;

    /* On one processor: what is compared is one thing after the other. */
    CPU_ZERO(&one);
    CPU_SET(0, &one);
    MUST(sched_setaffinity(0, sizeof(one), &one));
    MUST(dup3(MUST(open("/dev/lwc", O_RDWR | O_CLOEXEC)), DOOR, O_CLOEXEC));
    MUST(pipe(there));
    MUST(pipe(here));
    turn = shared_pages(1);
    counts_open();
    wait_until_settled();
    for (int n = 1; n <= rounds; n++) {
        printf("ROUND %d\n", n);
        measure_all();
    }
    return 0;
}
