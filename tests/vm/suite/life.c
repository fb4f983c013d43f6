/* SPDX-License-Identifier: MIT */
/* However a thread or its process ends, in whichever lwC, all its lwCs end with it. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "steps.h"
#include "world.h"

/* What a crew has: the root, a child and a grandchild, a snapshot and its worker. */
enum { CREW = 5 };
enum place { ROOT, CHILD, GRANDCHILD, WORKER };

/* Makes a crew of the calling thread and acts in one of its lwCs. */
static void crew(enum place place, void (*act)(void))
{
    struct lwc_create child, grandchild, snapshot;
    int worker;

    if (make(&snapshot, SNAPSHOT)) {
        if (back(&snapshot, 0) == WORKER)
            act();
        finish(&snapshot, 0);
    }
    worker = clone_of(snapshot.fd);
    enter(worker, 0);
    if (make(&child, LWC_MAY_RETURN)) {
        if (make(&grandchild, LWC_MAY_RETURN)) {
            if (back(&grandchild, 0) == GRANDCHILD)
                act();
            finish(&grandchild, 0);
        }
        enter(grandchild.fd, 0);
        back(&child, 0);
        if (place == CHILD)
            act();
        enter(grandchild.fd, place);
        finish(&child, 0);
    }
    enter(child.fd, 0);
    CHECK_EQ(info(LWC_FD_SELF).contexts, CREW);
    CHECK(live().contexts >= CREW && live().groups >= 1);
    if (place == ROOT)
        act();
    else if (place == WORKER)
        enter(worker, place);
    else
        enter(child.fd, 0);
}

/* A process with a crew, which acts in one of its lwCs, ends so; nothing is left. */
static void ends(enum place place, void (*act)(void), int end)
{
    struct live before = live();
    pid_t pid = fork_process();

    if (pid == 0) {
        MUST(setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0}));
        crew(place, act);
        _exit(0);
    }
    CHECK_EQ(ending(pid), end);
    CHECK(dies_down_to(before));
}

static void ends_everywhere(void (*act)(void), int end)
{
    ends(ROOT, act, end);
    ends(CHILD, act, end);
    ends(GRANDCHILD, act, end);
    ends(WORKER, act, end);
}

static void exits(void)
{
    _exit(3);
}

/* An exit in any lwC is the process's, with that code. */
TEST(exit_in_any_lwc)
{
    ends_everywhere(exits, 3);
}

static void kills_itself(void)
{
    kill(getpid(), SIGKILL);
}

/* SIGKILL ends a process whichever lwC runs. */
TEST(kill_in_any_lwc)
{
    ends_everywhere(kills_itself, 128 + SIGKILL);
}

static void faults(void)
{
    ((volatile char *)private_pages(1))[-1] = 1;
}

/* A fault without a handler ends the process, also where other signals are blocked. */
TEST(fault_in_any_lwc)
{
    ends_everywhere(faults, 128 + SIGSEGV);
}

static void closes_all_and_exits(void)
{
    MUST(close_range(0, ~0u, 0));
    _exit(4);
}

/* With all descriptors closed first, nothing is left either. */
TEST(close_of_all_in_any_lwc)
{
    ends_everywhere(closes_all_and_exits, 4);
}

static void discards_itself(void)
{
    struct lwc_switch s;

    lwc_switch(LWC_FD_ROOT, LWC_DISCARD, (__u64[]){0}, 1, &s);
    FAIL("a discarded lwC goes on");
}

/* A child that discarded itself is gone before its process ends. */
TEST(exit_after_a_discard)
{
    ends(CHILD, discards_itself, 0);
}

static void executes(void)
{
    execl("/bin/busybox", "true", NULL);
    FAIL("/bin/busybox: %s", error_name(errno));
}

/* A new program in any lwC is the process's, and ends as programs do. */
TEST(exec_in_any_lwc)
{
    ends_everywhere(executes, 0);
}

static int input[2];
static volatile int *ready;

static void executes_cat(void)
{
    MUST(dup2(input[0], 0));
    *ready = 1;
    execl("/bin/busybox", "cat", NULL);
    FAIL("/bin/busybox: %s", error_name(errno));
}

/* With the new program the lwCs are gone, not only with its end. */
TEST(exec_ends_the_lwcs)
{
    ready = shared_pages(1);
    for (enum place place = ROOT; place <= WORKER; place++) {
        struct live before = live();
        pid_t pid;

        *ready = 0;
        MUST(pipe2(input, O_CLOEXEC));
        pid = fork_process();
        if (pid == 0)
            crew(place, executes_cat);
        CHECK(EVENTUALLY(*ready));
        CHECK(dies_down_to(before));
        CHECK_EQ(waitpid(pid, NULL, WNOHANG), 0);
        MUST(close(input[0]));
        MUST(close(input[1]));
        CHECK_EQ(ending(pid), 0);
    }
}

static char marker[64];

static void aborts(void)
{
    strcpy(marker, "lwC suite: this is in the ");
    strcat(marker, "lwC that ran");
    MUST(setrlimit(RLIMIT_CORE, &(struct rlimit){RLIM_INFINITY, RLIM_INFINITY}));
    abort();
}

/* A core dump is made in any lwC, and holds the memory of the one that ran. */
TEST(core_dump_in_any_lwc)
{
    int knob = MUST(open("/proc/sys/kernel/core_pattern", O_WRONLY));
    static const char pattern[] = "/tmp/suite-core";

    CHECK(write(knob, pattern, sizeof(pattern) - 1) > 0);
    for (enum place place = ROOT; place <= WORKER; place++) {
        long size;
        char *core;
        int fd;

        ends(place, aborts, 128 + SIGABRT);
        fd = MUST(open(pattern, O_RDONLY | O_CLOEXEC));
        size = MUST(lseek(fd, 0, SEEK_END));
        core = (void *)MUST(mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0));
        CHECK(memmem(core, size, "lwC suite: this is in the lwC that ran", 38));
        MUST(munmap(core, size));
        MUST(close(fd));
        MUST(unlink(pattern));
    }
}

static void waits(void)
{
    *ready = 1;
    for (;;)
        pause();
}

static void *has_a_crew(void *place)
{
    crew((enum place)(uintptr_t)place, waits);
    return NULL;
}

/* A process in which one thread has a crew and waits; another one, of the act's choice, acts. */
static void other_thread_acts(void (*act)(void), int end)
{
    for (int leads = 0; leads < 2; leads++) {
        for (enum place place = ROOT; place <= WORKER; place++) {
            struct live before = live();
            pid_t pid;

            ready = shared_pages(1);
            pid = fork_process();
            if (pid == 0) {
                pthread_t thread;

                MUST(setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0}));
                if (leads) {
                    CHECK_EQ(pthread_create(&thread, NULL, (void *(*)(void *))act, NULL), 0);
                    has_a_crew((void *)(uintptr_t)place);
                }
                CHECK_EQ(pthread_create(&thread, NULL, has_a_crew, (void *)(uintptr_t)place), 0);
                act();
            }
            CHECK_EQ(ending(pid), end);
            CHECK(dies_down_to(before));
        }
    }
}

static void exits_when_ready(void)
{
    CHECK(EVENTUALLY(*ready));
    exit(5);
}

/* An exit by another thread ends a thread in any of its lwCs. */
TEST(exit_by_another_thread)
{
    other_thread_acts(exits_when_ready, 5);
}

static void executes_when_ready(void)
{
    CHECK(EVENTUALLY(*ready));
    executes();
}

/* A new program, started by another thread, ends a thread in any of its lwCs. */
TEST(exec_by_another_thread)
{
    other_thread_acts(executes_when_ready, 0);
}

static void faults_when_ready(void)
{
    CHECK(EVENTUALLY(*ready));
    faults();
}

/* A fault of another thread ends a thread in any of its lwCs. */
TEST(fault_of_another_thread)
{
    other_thread_acts(faults_when_ready, 128 + SIGSEGV);
}

static void ends_the_thread(void)
{
    syscall(SYS_exit, 0);
}

static void *ends_in_its_crew(void *place)
{
    crew((enum place)(uintptr_t)place, ends_the_thread);
    return NULL;
}

/* A thread's lwCs end with the thread, in whichever it is, while the process goes on. */
TEST(thread_ends_in_any_lwc)
{
    struct live before = live();

    for (enum place place = ROOT; place <= WORKER; place++) {
        pthread_t thread;

        CHECK_EQ(pthread_create(&thread, NULL, ends_in_its_crew, (void *)(uintptr_t)place), 0);
        CHECK(EVENTUALLY(live().contexts >= before.contexts + CREW ||
                         line_number("/proc/self/status", "Threads:") == 1));
        CHECK(dies_down_to(before));
        CHECK(EVENTUALLY(line_number("/proc/self/status", "Threads:") == 1));
    }
}

static void *exits_after_the_lwcs(void *contexts)
{
    CHECK(EVENTUALLY(live().contexts <= *(long *)contexts));
    exit(6);
}

/* The lwCs of the first thread end with it, in whichever it is, while others go on. */
TEST(leader_ends_in_any_lwc)
{
    for (enum place place = ROOT; place <= WORKER; place++) {
        struct live before = live();
        pid_t pid = fork_process();

        if (pid == 0) {
            static struct live at_start;
            pthread_t thread;
            struct lwc_create c;

            at_start = before;
            if (make(&c, 0)) /* so that there are some before the other thread looks */
                FAIL("entered");
            CHECK_EQ(pthread_create(&thread, NULL, exits_after_the_lwcs, &at_start.contexts), 0);
            MUST(close(c.fd));
            crew(place, ends_the_thread);
        }
        CHECK_EQ(ending(pid), 6);
        CHECK(dies_down_to(before));
    }
}

/* Makes, enters, resets and ends lwCs without end. */
_Noreturn static void bustle(unsigned int seed)
{
    enum { MANY = 8 };
    struct lwc_create c, snapshot;
    int fds[MANY], worker;

    if (make(&snapshot, SNAPSHOT))
        finish(&snapshot, 0);
    worker = clone_of(snapshot.fd);
    for (int n = 0; n < MANY; n++) {
        if (make(&c, LWC_MAY_RETURN)) {
            for (;;)
                back(&c, 0);
        }
        fds[n] = c.fd;
    }
    for (;;) {
        int n = rand_r(&seed) % MANY;

        enter(fds[n], 0);
        enter(worker, 0);
        reset(worker);
        if (rand_r(&seed) % 4 == 0) {
            MUST(close(fds[n]));
            if (make(&c, LWC_MAY_RETURN)) {
                for (;;)
                    back(&c, 0);
            }
            fds[n] = c.fd;
        }
    }
}

static void kill_at_random(int processes, unsigned int seed)
{
    struct live before = live();
    pid_t *pids = calloc(processes, sizeof(*pids));

    for (int n = 0; n < processes; n++) {
        pids[n] = fork_process();
        if (pids[n] == 0)
            bustle(seed + n);
    }
    CHECK(EVENTUALLY(live().groups >= before.groups + processes / 2));
    for (int n = 0; n < processes; n++) {
        for (int pauses = rand_r(&seed) % 8; pauses > 0; pauses--)
            short_pause();
        MUST(kill(pids[n], SIGKILL));
    }
    for (int n = 0; n < processes; n++)
        CHECK_EQ(ending(pids[n]), 128 + SIGKILL);
    free(pids);
    CHECK(dies_down_to(before));
}

/* Processes that are killed while they make, enter, reset and end lwCs leave nothing. */
TEST(killed_at_random)
{
    kill_at_random(24, 1);
}

/* A thousand such processes leave nothing. */
TEST(long_kill_1000)
{
    for (int n = 0; n < 40; n++)
        kill_at_random(25, 100 * n);
}
