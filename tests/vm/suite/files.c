/* SPDX-License-Identifier: MIT */
/* Descriptors: tables of one's own, parts left out, and one table for several lwCs. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "steps.h"
#include "world.h"

static bool is_open(int fd)
{
    return fcntl(fd, F_GETFD) >= 0;
}

static ino_t inode_of(int fd)
{
    struct stat status;

    MUST(fstat(fd, &status));
    return status.st_ino;
}

/* What either side opens, closes or replaces the other does not see. */
TEST(copied_tables_are_separate)
{
    int file = scratch_file(1), other = scratch_file(1), both = scratch_file(1);
    ino_t inode = inode_of(file), other_inode = inode_of(other);
    struct lwc_create c;

    if (make(&c, LWC_MAY_RETURN)) {
        MUST(dup2(other, 200));
        MUST(dup2(other, file));
        MUST(close(other));
        CHECK(is_open(both));
        back(&c, 0);
        CHECK_EQ(inode_of(200), other_inode);
        CHECK_EQ(inode_of(file), other_inode);
        CHECK(!is_open(other));
        CHECK(is_open(both));
        CHECK(!is_open(201));
        finish(&c, 0);
    }
    enter(c.fd, 0);
    CHECK(!is_open(200));
    CHECK_EQ(inode_of(file), inode);
    CHECK_EQ(inode_of(other), other_inode);
    MUST(close(both));
    MUST(dup2(file, 201));
    enter(c.fd, 0);
    CHECK(!is_open(both));
    CHECK_EQ(inode_of(201), inode);
}

/* The close-on-exec flags are copied, and changed for one lwC only. */
TEST(close_on_exec_flags_are_separate)
{
    int plain = MUST(open("/dev/null", O_RDONLY));
    int marked = MUST(open("/dev/null", O_RDONLY | O_CLOEXEC));
    struct lwc_create c;

    if (make(&c, LWC_MAY_RETURN)) {
        CHECK_EQ(fcntl(plain, F_GETFD), 0);
        CHECK_EQ(fcntl(marked, F_GETFD), FD_CLOEXEC);
        MUST(fcntl(plain, F_SETFD, FD_CLOEXEC));
        MUST(fcntl(marked, F_SETFD, 0));
        finish(&c, 0);
    }
    enter(c.fd, 0);
    CHECK_EQ(fcntl(plain, F_GETFD), 0);
    CHECK_EQ(fcntl(marked, F_GETFD), FD_CLOEXEC);
}

/* Offset and status flags belong to the open file, which copied descriptors share. */
TEST(copied_descriptors_share_the_open_file)
{
    int fd = scratch_file(2);
    struct lwc_create c;

    MUST(lseek(fd, 10, SEEK_SET));
    if (make(&c, LWC_MAY_RETURN)) {
        CHECK_EQ(lseek(fd, 0, SEEK_CUR), 10);
        MUST(lseek(fd, 20, SEEK_SET));
        MUST(fcntl(fd, F_SETFL, O_APPEND));
        finish(&c, 0);
    }
    enter(c.fd, 0);
    CHECK_EQ(lseek(fd, 0, SEEK_CUR), 20);
    CHECK(fcntl(fd, F_GETFL) & O_APPEND);
}

/* Descriptors of a range are left out; the others keep their numbers. */
TEST(unmap_descriptors)
{
    struct lwc_create c;

    for (int fd = 200; fd < 400; fd++)
        MUST(dup2(2, fd));
    if (make_with(&c, LWC_MAY_RETURN, SPECS(FILES(UNMAP, 210, 350), FILES(UNMAP, 395, LWC_ALL)))) {
        for (int fd = 200; fd < 400; fd++)
            CHECK_EQ(is_open(fd), fd < 210 || (fd >= 350 && fd < 395));
        MUST(dup2(2, 220));
        finish(&c, 0);
    }
    enter(c.fd, 0);
    for (int fd = 200; fd < 400; fd++)
        CHECK(is_open(fd));
}

/* Without any descriptor an lwC has its creator's, and goes where it likes by another door. */
TEST(unmap_all_descriptors)
{
    struct lwc_create c;

    if (make_with(&c, LWC_MAY_RETURN, SPECS(FILES(UNMAP, 0, LWC_ALL)))) {
        for (int fd = 0; fd < 200; fd++)
            CHECK_EQ(is_open(fd), fd == c.fd);
        MUST(dup2(MUST(open("/dev/lwc", O_RDWR)), DOOR));
        finish(&c, 0);
    }
    enter(c.fd, 0);
    CHECK(is_open(0) && is_open(1) && is_open(2));
}

/* A shared table is one: both open and close in it, also the lwCs made from there. */
TEST(shared_tables_are_one)
{
    struct lwc_create c, d;

    if (make_with(&c, LWC_MAY_RETURN, SPECS(SHARED_FILES))) {
        CHECK(is_open(202));
        MUST(dup2(2, 200));
        MUST(close(202));
        if (make_with(&d, LWC_MAY_RETURN, SPECS(SHARED_FILES))) {
            MUST(dup2(2, 201));
            finish(&d, 0);
        }
        enter(d.fd, 0);
        finish(&c, 0);
    }
    MUST(dup2(2, 202));
    enter(c.fd, 0);
    CHECK(is_open(200));
    CHECK(is_open(201));
    CHECK(!is_open(202));
    MUST(close(c.fd));
    CHECK(is_open(200));
}

/* Of lwCs with one table any may close a descriptor; only its creator's close ends the lwC. */
TEST(shared_tables_and_close)
{
    struct lwc_create c, d;
    int other;

    if (make_with(&c, LWC_MAY_RETURN, SPECS(SHARED_FILES))) {
        MUST(close(back(&c, 0)));
        finish(&c, 0);
    }
    enter(c.fd, 0);
    if (make_with(&d, LWC_MAY_RETURN, SPECS(SHARED_FILES)))
        finish(&d, 0);
    other = MUST(dup(d.fd));
    enter(c.fd, d.fd);
    CHECK(!is_open(d.fd));
    enter(other, 0);
    CHECK_EQ(info(LWC_FD_SELF).contexts, 3);
    MUST(close(other));
    CHECK_EQ(info(LWC_FD_SELF).contexts, 2);
}

/* An lwC that takes leave of a shared table has its own from then on. */
TEST(unshared_tables_are_separate)
{
    struct lwc_create c;

    if (make_with(&c, LWC_MAY_RETURN, SPECS(SHARED_FILES))) {
        MUST(unshare(CLONE_FILES));
        MUST(dup2(2, 200));
        back(&c, 0);
        CHECK(is_open(200));
        CHECK(!is_open(201));
        finish(&c, 0);
    }
    enter(c.fd, 0);
    CHECK(!is_open(200));
    MUST(dup2(2, 201));
    enter(c.fd, 0);
    MUST(close(c.fd));
    CHECK(is_open(201));
}

static int lock(int fd, short type)
{
    struct flock lock = {.l_type = type, .l_whence = SEEK_SET, .l_start = 0, .l_len = 1};

    return SYS(fcntl(fd, F_SETLK, &lock));
}

static void need_locks(int fd)
{
    if (lock(fd, F_WRLCK) == -EACCES)
        test_skip("locks of files (FILE_LOCKING)");
}

/* Whether another process finds the file locked. */
static bool is_locked(int fd)
{
    pid_t pid = fork_process();

    if (pid == 0)
        _exit(lock(fd, F_WRLCK) == -EAGAIN);
    return ending(pid) == 1;
}

/* POSIX locks belong to a table: another table is another owner, and its end ends them. */
TEST(record_locks_belong_to_the_table)
{
    int held = scratch_file(1), taken = scratch_file(1);
    struct lwc_create c;

    need_locks(held);
    if (make(&c, LWC_MAY_RETURN)) {
        CHECK_ERRNO(lock(held, F_RDLCK), EAGAIN);
        CHECK_OK(lock(taken, F_WRLCK));
        MUST(close(held)); /* drops the locks of this table only */
        finish(&c, 0);
    }
    enter(c.fd, 0);
    CHECK(is_locked(held));
    CHECK_ERRNO(lock(taken, F_RDLCK), EAGAIN);
    MUST(close(c.fd));
    CHECK(is_locked(held));
    CHECK_OK(lock(taken, F_WRLCK));
}

/* In a shared table the locks are shared. */
TEST(record_locks_in_a_shared_table)
{
    int held = scratch_file(1);
    struct lwc_create c;

    need_locks(held);
    if (make_with(&c, LWC_MAY_RETURN, SPECS(SHARED_FILES))) {
        CHECK_OK(lock(held, F_RDLCK));
        CHECK_OK(lock(held, F_WRLCK));
        finish(&c, 0);
    }
    enter(c.fd, 0);
    CHECK(is_locked(held));
    MUST(close(c.fd));
    CHECK(is_locked(held));
}

static bool at_end(int fd)
{
    char byte;

    return read(fd, &byte, 1) == 0;
}

/* A pipe comes to its end when the last lwC that held the other side is destroyed. */
TEST(destroyed_descriptors_are_closed)
{
    struct lwc_create c;
    int ends[2];

    MUST(pipe2(ends, O_NONBLOCK | O_CLOEXEC));
    if (make(&c, LWC_MAY_RETURN))
        finish(&c, 0);
    MUST(close(ends[1]));
    CHECK(!at_end(ends[0]));
    enter(c.fd, 0);
    CHECK(!at_end(ends[0]));
    MUST(close(c.fd));
    CHECK(EVENTUALLY(at_end(ends[0])));
}

/* The descriptors of an lwC that discards itself are closed, too. */
TEST(discarded_descriptors_are_closed)
{
    struct lwc_create c;
    struct lwc_switch s;
    int ends[2];

    MUST(pipe2(ends, O_NONBLOCK | O_CLOEXEC));
    if (make(&c, LWC_MAY_RETURN)) {
        lwc_switch(c.fd, LWC_DISCARD, NULL, 0, &s);
        FAIL("a discarded lwC goes on");
    }
    MUST(close(ends[1]));
    CHECK(!at_end(ends[0]));
    CHECK_OK(lwc_switch(c.fd, 0, NULL, 0, &s));
    CHECK(EVENTUALLY(at_end(ends[0])));
}

/* A table of a thousand descriptors is copied whole, and both sides' grow by themselves. */
TEST(a_thousand_descriptors)
{
    enum { FIRST = 200, AFTER = 1200 };
    ino_t inode = inode_of(2);
    struct lwc_create c;

    MUST(setrlimit(RLIMIT_NOFILE, &(struct rlimit){4096, 4096}));
    for (int fd = FIRST; fd < AFTER; fd++)
        MUST(dup2(2, fd));
    if (make(&c, LWC_MAY_RETURN)) {
        for (int fd = FIRST; fd < AFTER; fd++)
            CHECK_EQ(inode_of(fd), inode);
        MUST(dup2(2, 4000));
        for (int fd = FIRST; fd < AFTER; fd++)
            MUST(close(fd));
        finish(&c, 0);
    }
    enter(c.fd, 0);
    CHECK(!is_open(4000));
    for (int fd = FIRST; fd < AFTER; fd++)
        CHECK_EQ(inode_of(fd), inode);
}

/* An lwC whose table is full is entered all the same, without a descriptor of who enters. */
TEST(caller_and_a_full_table)
{
    struct lwc_create c, d;
    struct lwc_switch s;

    if (make(&c, LWC_MAY_RETURN)) {
        if (make(&d, LWC_MAY_RETURN | LWC_SAME_RIGHTS)) {
            CHECK_OK(lwc_grant(LWC_FD_SELF, LWC_FD_ROOT, LWC_MAY_ENTER));
            MUST(setrlimit(RLIMIT_NOFILE, &(struct rlimit){0, 4096}));
            CHECK_OK(lwc_switch(LWC_FD_ROOT, 0, (__u64[]){1}, 1, &s));
            CHECK_OK(lwc_switch(LWC_FD_ROOT, 0, (__u64[]){2}, 1, &s));
            FAIL("entered again");
        }
        CHECK_OK(lwc_switch(d.fd, 0, NULL, 0, &s));
        CHECK_OK(lwc_switch(d.fd, 0, NULL, 0, &s));
        FAIL("entered again");
    }
    CHECK_OK(lwc_switch(c.fd, 0, NULL, 0, &s));
    CHECK_EQ(s.args[0], 1);
    CHECK_EQ(s.caller, LWC_FD_NONE);
    MUST(setrlimit(RLIMIT_NOFILE, &(struct rlimit){1024, 4096}));
    CHECK_OK(lwc_switch(c.fd, 0, NULL, 0, &s));
    CHECK_EQ(s.args[0], 2);
    CHECK(is_open(s.caller) && s.caller != c.fd);
}

/* A new lwC whose table is full is entered all the same, without its creator's descriptor. */
TEST(creator_and_a_full_table)
{
    struct lwc_create c;
    struct lwc_switch s;

    if (make(&c, LWC_MAY_RETURN)) {
        CHECK_EQ(c.fd, LWC_FD_NONE);
        CHECK_EQ(c.caller, LWC_FD_NONE);
        CHECK_OK(lwc_switch(LWC_FD_ROOT, 0, NULL, 0, &s));
        FAIL("entered again");
    }
    MUST(setrlimit(RLIMIT_NOFILE, &(struct rlimit){0, 4096}));
    CHECK_OK(lwc_switch(c.fd, 0, NULL, 0, &s));
    CHECK_EQ(s.caller, c.fd);
}
