/* SPDX-License-Identifier: MIT */
/* Names and lifetimes of lwCs, and the limits on their number. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "steps.h"
#include "world.h"

/* A closed descriptor of an lwC ends it, and every other name of it is stale. */
TEST(close_destroys)
{
    struct lwc_create c;
    int other;

    if (make(&c, LWC_MAY_RETURN))
        finish(&c, 0);
    other = MUST(dup(c.fd));
    enter(other, 0);
    CHECK_EQ(info(other).contexts, 2);
    MUST(close(c.fd));
    CHECK_NAME(other, ESTALE);
    CHECK_EQ(info(LWC_FD_SELF).contexts, 1);
}

/* Closing a duplicate, too, is closing by the creator. */
TEST(close_of_a_duplicate_destroys)
{
    struct lwc_create c;

    if (make(&c, LWC_MAY_RETURN))
        finish(&c, 0);
    MUST(close(MUST(dup(c.fd))));
    CHECK_NAME(c.fd, ESTALE);
    MUST(close(c.fd));
    CHECK_EQ(info(LWC_FD_SELF).contexts, 1);
}

/* Snapshots and workers end by close as any lwC does. */
TEST(close_destroys_snapshots_and_workers)
{
    struct lwc_create c;
    int worker, other;

    if (make(&c, SNAPSHOT))
        finish(&c, 0);
    worker = clone_of(c.fd);
    enter(worker, 0);
    other = MUST(dup(worker));
    MUST(close(worker));
    CHECK_NAME(other, ESTALE);
    worker = clone_of(c.fd);
    MUST(dup2(c.fd, other));
    MUST(close(c.fd));
    CHECK_NAME(other, ESTALE);
    enter(worker, 0);
}

/* Another lwC that closes its descriptor of a sibling closes a name. */
TEST(close_by_a_sibling_is_nothing)
{
    struct lwc_create sibling, c;

    if (make(&sibling, LWC_MAY_RETURN))
        finish(&sibling, 0);
    if (make(&c, LWC_MAY_RETURN)) {
        MUST(close(sibling.fd));
        finish(&c, 0);
    }
    enter(c.fd, 0);
    enter(sibling.fd, 0);
}

/* An lwC that closes the descriptors of its creator and of itself goes on. */
TEST(close_of_the_creators_name_is_nothing)
{
    struct lwc_create c;

    if (make_with(&c, LWC_MAY_RETURN, SPECS(SHARED_FILES))) {
        int self = back(&c, 0);
        struct lwc_switch s;

        MUST(close(self));
        MUST(close(c.fd));
        CHECK_OK(lwc_switch(LWC_FD_ROOT, 0, NULL, 0, &s));
        FAIL("entered again");
    }
    enter(c.fd, 0);
    {
        int other = MUST(dup(c.fd));
        __u64 word = c.fd;
        struct lwc_switch s;

        CHECK_OK(lwc_switch(other, 0, &word, 1, &s));
        CHECK_EQ(fcntl(c.fd, F_GETFD), -1);
        CHECK(!(info(other).state & LWC_IS_RUNNING));
    }
}

/* A destroyed lwC is stale in the other lwCs that have a descriptor of it. */
TEST(destroyed_is_stale_everywhere)
{
    struct lwc_create gone, c;
    struct lwc_switch s;

    if (make(&gone, LWC_MAY_RETURN))
        finish(&gone, 0);
    if (make(&c, LWC_MAY_RETURN)) {
        CHECK_NAME(gone.fd, ESTALE);
        CHECK_ERRNO(lwc_grant(LWC_FD_SELF, gone.fd, LWC_MAY_ENTER), ESTALE);
        finish(&c, 0);
    }
    MUST(close(gone.fd));
    enter(c.fd, 0);
    CHECK_ERRNO(lwc_switch(gone.fd, 0, NULL, 0, &s), EBADF);
}

/* The well-known descriptors name the root lwC and the one that runs, in every lwC. */
TEST(root_and_self)
{
    struct lwc_create c;
    struct lwc_switch s;
    __u64 root, child;

    if (make(&c, LWC_MAY_RETURN)) {
        CHECK_EQ(info(LWC_FD_ROOT).id, c.args[0]);
        CHECK_EQ(info(c.fd).id, c.args[0]);
        CHECK(!(info(LWC_FD_ROOT).state & LWC_IS_RUNNING));
        CHECK(!(info(LWC_FD_SELF).state & LWC_IS_ROOT));
        CHECK_ERRNO(lwc_switch(LWC_FD_SELF, 0, NULL, 0, &s), EBUSY);
        CHECK_ERRNO(lwc_switch(LWC_FD_SELF, LWC_DISCARD, NULL, 0, &s), EBUSY);
        CHECK_OK(lwc_switch(LWC_FD_ROOT, 0, (__u64[]){info(LWC_FD_SELF).id}, 1, &s));
    }
    root = info(LWC_FD_SELF).id;
    CHECK_EQ(info(LWC_FD_ROOT).id, root);
    child = enter(c.fd, root);
    CHECK_EQ(info(c.fd).id, child);
    CHECK(child != root);
    CHECK_ERRNO(lwc_switch(LWC_FD_ROOT, 0, NULL, 0, &s), EBUSY);
}

/* What LWC_IOC_INFO tells of each kind of lwC. */
TEST(info_fields)
{
    struct lwc_create c, snapshot;
    struct lwc_info root, i;
    int worker;

    if (make(&c, LWC_MAY_RETURN))
        finish(&c, 0);
    root = info(LWC_FD_SELF);
    CHECK_EQ(root.fd, LWC_FD_SELF);
    CHECK_EQ(root.flags, 0);
    CHECK(root.id != 0);
    CHECK_EQ(root.creator, 0);
    CHECK_EQ(root.snapshot, 0);
    CHECK_EQ(root.state & ~LWC_IS_ENTERED, LWC_IS_RUNNING | LWC_IS_ROOT);
    CHECK_EQ(root.contexts, 2);
    CHECK_EQ(root.pages_private, 0);
    CHECK_EQ(root.switches, 0);

    CHECK_EQ(info(c.fd).creator, root.id);
    CHECK_EQ(info(c.fd).state, 0);
    enter(c.fd, 0);
    i = info(c.fd);
    CHECK_EQ(i.state, LWC_IS_ENTERED);
    CHECK_EQ(i.switches, 2);

    if (make(&snapshot, SNAPSHOT))
        finish(&snapshot, 0);
    i = info(snapshot.fd);
    CHECK_EQ(i.state, LWC_IS_SNAPSHOT);
    CHECK_EQ(i.creator, root.id);
    worker = clone_of(snapshot.fd);
    CHECK_EQ(info(worker).snapshot, i.id);
    CHECK_EQ(info(worker).creator, root.id);
    CHECK_EQ(info(worker).state, LWC_IS_WORKER);
    CHECK_EQ(info(worker).contexts, 4);
    enter(worker, 0);
    CHECK_EQ(info(worker).state, LWC_IS_WORKER | LWC_IS_ENTERED);
    reset(worker);
    CHECK_EQ(info(worker).state, LWC_IS_WORKER);
    CHECK_EQ(info(worker).switches, 4);
}

/* The bytes of a group are the address spaces of those that do not run. */
TEST(info_bytes)
{
    struct lwc_create c, bigger;
    __u64 one, two;

    if (make(&c, 0))
        FAIL("entered");
    one = info(LWC_FD_SELF).bytes;
    CHECK(one > 0);
    private_pages(4096);
    if (make(&bigger, 0))
        FAIL("entered");
    two = info(LWC_FD_SELF).bytes;
    CHECK(two >= 2 * one + 4096 * PAGE);
    MUST(close(bigger.fd));
    CHECK_EQ(info(LWC_FD_SELF).bytes, one);
}

/* No two lwCs have the same id, also where one is gone before the other is made. */
TEST(ids_are_unique)
{
    __u64 ids[40];
    struct lwc_create c;

    for (int n = 0; n < 40; n++) {
        if (make(&c, 0))
            FAIL("entered");
        ids[n] = info(c.fd).id;
        for (int m = 0; m < n; m++)
            CHECK(ids[m] != ids[n]);
        MUST(close(c.fd));
    }
}

/* What a destroyed lwC had created is its creator's, who may enter and end it. */
TEST(orphans_pass_to_the_grandparent)
{
    struct lwc_create c, d;
    struct lwc_switch s;
    int other, d_fd;

    if (make_with(&c, LWC_MAY_RETURN, SPECS(SHARED_FILES))) {
        if (make_with(&d, LWC_MAY_RETURN, SPECS(SHARED_FILES))) {
            CHECK_EQ(info(d.fd).id, info(LWC_FD_ROOT).id);
            CHECK_OK(lwc_switch(LWC_FD_ROOT, 0, NULL, 0, &s));
            FAIL("entered again");
        }
        finish(&c, d.fd);
    }
    d_fd = enter(c.fd, 0);
    CHECK_EQ(info(d_fd).creator, info(c.fd).id);
    MUST(close(c.fd));
    CHECK_EQ(info(d_fd).creator, info(LWC_FD_SELF).id);
    CHECK_OK(lwc_grant(LWC_FD_SELF, d_fd, LWC_MAY_ENTER));
    CHECK_OK(lwc_switch(d_fd, 0, NULL, 0, &s));
    other = MUST(dup(d_fd));
    MUST(close(d_fd));
    CHECK_NAME(other, ESTALE);
    CHECK_EQ(info(LWC_FD_SELF).contexts, 1);
}

/* The way back to a creator is not one to who takes its place. */
TEST(orphans_may_not_return)
{
    struct lwc_create c, d;
    struct lwc_switch s;
    int d_fd;

    if (make_with(&c, LWC_MAY_RETURN, SPECS(SHARED_FILES))) {
        if (make_with(&d, LWC_MAY_RETURN, SPECS(SHARED_FILES))) {
            CHECK_EQ(d.caller, LWC_FD_NONE);
            CHECK_ERRNO(lwc_switch(LWC_FD_ROOT, 0, NULL, 0, &s), EACCES);
            test_pass();
        }
        finish(&c, d.fd);
    }
    d_fd = enter(c.fd, 0);
    MUST(close(c.fd));
    CHECK_OK(lwc_switch(d_fd, 0, NULL, 0, &s));
    FAIL("an orphan entered its creator's creator");
}

/* An lwC left with LWC_DISCARD is no more, and its creator is entered without a caller. */
TEST(discard_of_a_child)
{
    struct lwc_create c;
    struct lwc_switch s;

    if (make(&c, LWC_MAY_RETURN)) {
        lwc_switch(c.fd, LWC_DISCARD, (__u64[]){7, 8}, 2, &s);
        FAIL("a discarded lwC goes on");
    }
    CHECK_OK(lwc_switch(c.fd, 0, NULL, 0, &s));
    CHECK_EQ(s.caller, LWC_FD_NONE);
    CHECK_EQ(s.nargs, 2);
    CHECK_EQ(s.args[1], 8);
    CHECK_NAME(c.fd, ESTALE);
    CHECK_EQ(info(LWC_FD_SELF).contexts, 1);
}

/* The root lwC can be discarded; what it had created then has no creator. */
TEST(discard_of_the_root)
{
    static volatile int value = 1;
    struct lwc_create c, d;
    struct lwc_switch s;

    if (make(&c, LWC_MAY_RETURN)) {
        CHECK_EQ(value, 1);
        CHECK_EQ(c.caller, LWC_FD_NONE);
        CHECK_EQ(c.args[0], 5);
        CHECK_NAME(LWC_FD_ROOT, ESTALE);
        CHECK_EQ(info(LWC_FD_SELF).creator, 0);
        CHECK_EQ(info(LWC_FD_SELF).contexts, 1);
        if (make(&d, LWC_MAY_RETURN))
            finish(&d, 0);
        enter(d.fd, 0);
        test_pass();
    }
    value = 2;
    lwc_switch(c.fd, LWC_DISCARD, (__u64[]){5}, 1, &s);
    FAIL("a discarded root goes on");
}

/* A group has no more lwCs than the module's parameter allows. */
TEST(limit_of_contexts)
{
    struct lwc_create c, snapshot;
    int fd = JUNK_WORD;

    set_number(PARAMETERS "max_contexts", 3);
    if (make(&snapshot, SNAPSHOT))
        FAIL("a snapshot runs");
    if (make(&c, 0))
        FAIL("entered");
    CHECK_ERRNO(lwc_create(0, NULL, 0, &(struct lwc_create){0}), ENOSPC);
    CHECK_ERRNO(lwc_clone(snapshot.fd, &fd), ENOSPC);
    CHECK_EQ(fd, JUNK_WORD);
    CHECK_EQ(info(LWC_FD_SELF).contexts, 3);
    MUST(close(c.fd));
    clone_of(snapshot.fd);
}

/* The address spaces of a group together have no more bytes than the parameter allows. */
TEST(limit_of_bytes)
{
    struct lwc_create c, snapshot;
    int fd;

    if (make(&snapshot, SNAPSHOT))
        FAIL("a snapshot runs");
    set_number(PARAMETERS "max_bytes", info(LWC_FD_SELF).bytes + 4 * PAGE);
    CHECK_ERRNO(lwc_create(0, NULL, 0, &c), EDQUOT);
    CHECK_ERRNO(lwc_clone(snapshot.fd, &fd), EDQUOT);
    CHECK_EQ(info(LWC_FD_SELF).contexts, 2);
    set_number(PARAMETERS "max_bytes", 3 * info(LWC_FD_SELF).bytes);
    clone_of(snapshot.fd);
}

/* Where no descriptor is free, no lwC is made. */
TEST(limit_of_descriptors)
{
    struct lwc_create c, snapshot;
    struct rlimit limit;
    int fd;

    if (make(&snapshot, SNAPSHOT))
        FAIL("a snapshot runs");
    MUST(getrlimit(RLIMIT_NOFILE, &limit));
    MUST(setrlimit(RLIMIT_NOFILE, &(struct rlimit){snapshot.fd + 1, limit.rlim_max}));
    CHECK_ERRNO(lwc_create(0, NULL, 0, &c), EMFILE);
    CHECK_ERRNO(lwc_clone(snapshot.fd, &fd), EMFILE);
    CHECK_EQ(info(LWC_FD_SELF).contexts, 2);
    MUST(setrlimit(RLIMIT_NOFILE, &limit));
    MUST(close(clone_of(snapshot.fd)));
}

/* Where memory is not overcommitted, a copy that there is no room for is refused. */
TEST(limit_of_memory)
{
    long available = line_number("/proc/meminfo", "MemTotal:") * 1024;
    struct lwc_create c;

    private_pages(available / PAGE);
    set_number("/proc/sys/vm/overcommit_memory", 2);
    CHECK_ERRNO(lwc_create(0, NULL, 0, &c), ENOMEM);
    set_number("/proc/sys/vm/overcommit_memory", 1);
    if (make(&c, LWC_MAY_RETURN))
        finish(&c, 0);
    enter(c.fd, 0);
}

/* A thousand lwCs can be, each with its own memory. */
TEST(a_thousand)
{
    enum { MANY = 1000 };
    static volatile int value;
    static struct lwc_create c;
    static int fds[MANY];

    set_number(PARAMETERS "max_contexts", MANY + 1);
    MUST(setrlimit(RLIMIT_NOFILE, &(struct rlimit){MANY + 200, MANY + 200}));
    for (int n = 0; n < MANY; n++) {
        value = n;
        if (make_with(&c, LWC_MAY_RETURN, SPECS(SHARED_FILES))) {
            value += 5000;
            finish(&c, value);
        }
        fds[n] = c.fd;
    }
    CHECK_EQ(info(LWC_FD_SELF).contexts, MANY + 1);
    for (int n = 0; n < MANY; n += 99)
        CHECK_EQ(enter(fds[n], 0), n + 5000);
}

/* Descriptors of lwCs, whichever call made them, are close-on-exec. */
TEST(descriptors_are_close_on_exec)
{
    struct lwc_create c, d, snapshot;
    struct lwc_switch s;

    if (make(&c, LWC_MAY_RETURN)) {
        CHECK_EQ(fcntl(c.fd, F_GETFD), FD_CLOEXEC);
        CHECK_EQ(c.caller, c.fd);
        if (make(&d, LWC_MAY_RETURN | LWC_SAME_RIGHTS)) {
            CHECK_OK(lwc_grant(LWC_FD_SELF, LWC_FD_ROOT, LWC_MAY_ENTER));
            CHECK_OK(lwc_switch(LWC_FD_ROOT, 0, NULL, 0, &s));
        }
        CHECK_OK(lwc_switch(d.fd, 0, NULL, 0, &s));
    }
    CHECK_EQ(fcntl(c.fd, F_GETFD), FD_CLOEXEC);
    CHECK_OK(lwc_switch(c.fd, 0, NULL, 0, &s));
    CHECK(s.caller >= 0 && s.caller != c.fd);
    CHECK_EQ(fcntl(s.caller, F_GETFD), FD_CLOEXEC);
    if (make(&snapshot, SNAPSHOT))
        finish(&snapshot, 0);
    CHECK_EQ(fcntl(snapshot.fd, F_GETFD), FD_CLOEXEC);
    CHECK_EQ(fcntl(clone_of(snapshot.fd), F_GETFD), FD_CLOEXEC);
}
