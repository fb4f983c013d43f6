/* SPDX-License-Identifier: MIT */
/* Other processes and threads: they have none of a thread's lwCs, and may have their own. */
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "neighbours.h"
#include "steps.h"
#include "world.h"

/* A forked child has the descriptors and none of the rights; it may make lwCs of its own. */
TEST(fork_gives_no_rights)
{
    struct lwc_create c;
    pid_t pid;

    if (make(&c, LWC_MAY_RETURN))
        finish(&c, 0);
    pid = fork_process();
    if (pid == 0) {
        struct lwc_create own;

        CHECK_NAME(c.fd, EPERM);
        CHECK_NAME(LWC_FD_SELF, EBADF);
        CHECK_NAME(LWC_FD_ROOT, EBADF);
        if (make(&own, LWC_MAY_RETURN)) {
            CHECK_NAME(c.fd, EPERM);
            finish(&own, 0);
        }
        enter(own.fd, 0);
        CHECK_NAME(c.fd, EPERM);
        CHECK_ERRNO(lwc_grant(LWC_FD_SELF, c.fd, LWC_MAY_ENTER), EPERM);
        CHECK_EQ(info(LWC_FD_ROOT).contexts, 2);
        MUST(close(c.fd));
        _exit(0);
    }
    CHECK_EQ(ending(pid), 0);
    enter(c.fd, 0);
}

/* A process forked in an lwC has its memory and descriptors, and no lwCs. */
TEST(fork_in_an_lwc)
{
    static volatile int value = 1;
    struct lwc_create c;

    if (make(&c, LWC_MAY_RETURN)) {
        pid_t pid;

        value = 2;
        pid = fork_process();
        if (pid == 0) {
            CHECK_EQ(value, 2);
            CHECK_NAME(c.fd, EPERM);
            CHECK_NAME(LWC_FD_ROOT, EBADF);
            _exit(3);
        }
        CHECK_EQ(ending(pid), 3);
        finish(&c, 0);
    }
    enter(c.fd, 0);
    CHECK_EQ(value, 1);
}

/* A descriptor passed to another process gives it nothing, and its close takes nothing. */
TEST(passed_descriptors_give_no_rights)
{
    struct lwc_create c;
    int ends[2];
    pid_t pid;

    MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, ends));
    pid = fork_process();
    if (pid == 0) {
        int fd = receive_descriptor(ends[1]);

        CHECK_NAME(fd, EPERM);
        MUST(close(fd));
        _exit(0);
    }
    if (make(&c, LWC_MAY_RETURN))
        finish(&c, 0);
    send_descriptor(ends[0], c.fd);
    CHECK_EQ(ending(pid), 0);
    enter(c.fd, 0);
}

static void *as_another_thread(void *argument)
{
    const struct lwc_create *c = argument;
    struct lwc_create own;
    struct lwc_switch s;
    int other = MUST(dup(c->fd));

    CHECK_NAME(c->fd, EPERM);
    CHECK_NAME(LWC_FD_SELF, EBADF);
    if (make(&own, LWC_MAY_RETURN))
        finish(&own, 0);
    enter(own.fd, 0);
    CHECK_NAME(c->fd, EPERM);
    CHECK_EQ(info(own.fd).contexts, 2);
    MUST(close(own.fd));
    MUST(close(other)); /* a name: not by its creator */
    CHECK_ERRNO(lwc_switch(c->fd, 0, NULL, 0, &s), EPERM);
    return NULL;
}

/* Another thread of the process may not use them, nor end them; it may have its own. */
TEST(threads_have_their_own)
{
    struct lwc_create c;
    pthread_t thread;

    if (make(&c, LWC_MAY_RETURN))
        finish(&c, 0);
    CHECK_EQ(pthread_create(&thread, NULL, as_another_thread, &c), 0);
    CHECK_EQ(pthread_join(thread, NULL), 0);
    enter(c.fd, 0);
    CHECK_EQ(info(LWC_FD_SELF).contexts, 2);
}

static void *uses_a_stale_name(void *fd)
{
    CHECK_NAME(*(int *)fd, EPERM);
    return NULL;
}

/* Whose lwC it is comes before whether there still is one: EPERM before ESTALE. */
TEST(owner_before_stale)
{
    struct lwc_create c;
    pthread_t thread;
    int other;

    if (make(&c, 0))
        FAIL("entered");
    other = MUST(dup(c.fd));
    MUST(close(c.fd));
    CHECK_NAME(other, ESTALE);
    CHECK_EQ(pthread_create(&thread, NULL, uses_a_stale_name, &other), 0);
    CHECK_EQ(pthread_join(thread, NULL), 0);
}

/* With vfork in an lwC the child has its memory, and it goes on when the child is gone. */
TEST(vfork_in_an_lwc)
{
    static volatile int value = 1;
    struct lwc_create c;

    if (make(&c, LWC_MAY_RETURN)) {
        pid_t pid = vfork();

        if (pid == 0) {
            value = 2;
            _exit(3);
        }
        CHECK(pid > 0);
        CHECK_EQ(value, 2);
        CHECK_EQ(ending(pid), 3);
        finish(&c, 0);
    }
    enter(c.fd, 0);
    CHECK_EQ(value, 1);
}

static volatile int written;

static int makes_lwcs(void *fd)
{
    struct lwc_create own;

    written = 2;
    CHECK_NAME(*(int *)fd, EPERM);
    if (make(&own, LWC_MAY_RETURN)) {
        written = 3;
        back(&own, 0);
        written = 4;
        finish(&own, 0);
    }
    enter(own.fd, 0);
    CHECK_EQ(written, 2);
    enter(own.fd, 0);
    return 5;
}

/* A process that shares the memory, as after vfork, can have lwCs: copies of that memory. */
TEST(lwcs_of_a_process_with_the_same_memory)
{
    static char stack[64 * 1024];
    struct lwc_create c;
    struct live before;
    pid_t pid;

    if (make(&c, LWC_MAY_RETURN))
        finish(&c, 0);
    before = live();
    for (int flags = CLONE_VM; flags; flags = flags & CLONE_VFORK ? 0 : CLONE_VM | CLONE_VFORK) {
        written = 1;
        pid = MUST(clone(makes_lwcs, stack + sizeof(stack), flags | SIGCHLD, &c.fd));
        CHECK_EQ(ending(pid), 5);
        CHECK_EQ(written, 2);
        CHECK(dies_down_to(before));
    }
    enter(c.fd, 0);
}

/* Who shares the credentials of a worker keeps those it had, and not the snapshot's. */
TEST(reset_leaves_shared_credentials)
{
    volatile __u64 *user = shared_pages(1);
    struct lwc_create c, shared;
    struct lwc_switch s;
    int ends[2], worker, fd;

    MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, ends));
    if (make(&c, SNAPSHOT)) {
        MUST(syscall(SYS_setresuid, 1000, 1000, 1000));
        if (make_with(&shared, 0, SPECS(SHARED_CREDENTIALS))) {
            *user = getuid();
            lwc_switch(LWC_FD_ROOT, LWC_DISCARD, &(__u64){0}, 1, &s);
            _exit(1);
        }
        CHECK_OK(lwc_grant(shared.fd, LWC_FD_ROOT, LWC_MAY_ENTER));
        send_descriptor(ends[1], shared.fd);
        finish(&c, 0);
    }
    worker = clone_of(c.fd);
    enter(worker, 0);
    fd = receive_descriptor(ends[0]);
    CHECK_OK(lwc_grant(LWC_FD_ROOT, fd, LWC_MAY_ENTER));
    reset(worker);
    enter(fd, 0);
    CHECK_EQ(*user, 1000);
    CHECK_EQ(getuid(), 0);
}
