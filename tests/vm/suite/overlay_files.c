/* SPDX-License-Identifier: MIT */
/* Descriptors of another lwC, copied over one's own, or its whole table. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
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

/* Each descriptor of the range becomes what it is in the source; the others stay. */
TEST(overlay_descriptors)
{
    int file = scratch_file(1), other = scratch_file(1);
    ino_t inode = inode_of(file), other_inode = inode_of(other);
    struct lwc_create c;

    for (int fd = 200; fd < 210; fd++)
        MUST(dup2(file, fd));
    if (make(&c, LWC_MAY_RETURN)) {
        for (int fd = 200; fd < 208; fd++)
            MUST(fd % 2 ? dup3(other, fd, O_CLOEXEC) : dup2(other, fd));
        MUST(close(204));
        MUST(dup2(other, 300));
        MUST(dup2(other, 400));
        MUST(lseek(other, 123, SEEK_SET));
        back(&c, 0);
        for (int fd = 200; fd < 208; fd++)
            CHECK_EQ(is_open(fd), fd != 204);
        CHECK_EQ(lseek(other, 0, SEEK_CUR), 124);
        finish(&c, 0);
    }
    enter(c.fd, 0);
    MUST(dup2(file, 500));
    MUST(dup2(file, 600));
    CHECK_OK(lwc_overlay(
        c.fd, SPECS(FILES(COPY, 202, 209), FILES(COPY, 250, 350), FILES(COPY, 600, LWC_ALL))));
    for (int fd = 200; fd < 210; fd++) {
        CHECK_EQ(is_open(fd), fd != 204);
        if (fd != 204)
            CHECK_EQ(inode_of(fd), fd >= 202 && fd < 208 ? other_inode : inode);
        if (fd >= 202 && fd < 208 && fd != 204)
            CHECK_EQ(fcntl(fd, F_GETFD), fd % 2 ? FD_CLOEXEC : 0);
    }
    CHECK_EQ(inode_of(300), other_inode);
    CHECK(!is_open(400));
    CHECK_EQ(inode_of(500), inode);
    CHECK(!is_open(600));
    /* The same open files: their offset is one. */
    CHECK_EQ(lseek(202, 1, SEEK_CUR), 124);
    for (int fd = 200; fd < 210; fd++)
        close(fd);
    enter(c.fd, 0);
}

/* A descriptor that is the same already is not closed: its locks stay, its flag is the source's. */
TEST(overlay_keeps_what_is_the_same)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 1}, found = lock;
    int file = scratch_file(1);
    struct lwc_create c, d;
    pid_t pid;

    MUST(dup2(file, 200));
    if (make(&d, LWC_MAY_RETURN))
        finish(&d, 0);
    if (make(&c, LWC_MAY_RETURN)) {
        MUST(fcntl(200, F_SETFD, FD_CLOEXEC));
        finish(&c, 0);
    }
    enter(c.fd, 0);
    MUST(fcntl(200, F_SETLK, &lock));
    CHECK_OK(lwc_overlay(c.fd, SPECS(FILES(COPY, 0, c.fd), FILES(COPY, c.fd + 1, LWC_ALL))));
    CHECK_EQ(fcntl(200, F_GETFD), FD_CLOEXEC);
    pid = fork_process();
    if (pid == 0) {
        MUST(fcntl(200, F_GETLK, &found));
        _exit(found.l_type == F_WRLCK);
    }
    CHECK_EQ(ending(pid), 1);
    /* The descriptor of d is the same in both; that of c the source does not have. */
    enter(d.fd, 0);
    CHECK_EQ(info(LWC_FD_SELF).contexts, 3);
}

/* Replacing a descriptor closes it: locks on its file are released, the lwC it names destroyed. */
TEST(overlay_closes_what_it_replaces)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 1}, found = lock;
    int file = scratch_file(1);
    struct lwc_create c, later;
    pid_t pid;

    MUST(dup2(file, 200));
    if (make(&c, LWC_MAY_RETURN)) {
        MUST(dup2(2, 200));
        finish(&c, 0);
    }
    enter(c.fd, 0);
    if (make(&later, LWC_MAY_RETURN))
        finish(&later, 0);
    MUST(fcntl(200, F_SETLK, &lock));
    CHECK_EQ(info(LWC_FD_SELF).contexts, 3);
    /* c has nothing where the descriptor of the later one is. */
    CHECK_OK(lwc_overlay(c.fd, SPECS(FILES(COPY, 200, 201), FILES(COPY, later.fd, later.fd + 1))));
    CHECK(!is_open(later.fd));
    CHECK_EQ(info(LWC_FD_SELF).contexts, 2);
    pid = fork_process();
    if (pid == 0) {
        MUST(fcntl(file, F_GETLK, &found));
        _exit(found.l_type == F_WRLCK);
    }
    CHECK_EQ(ending(pid), 0);
}

/* The source's own descriptor in the range is closed, which destroys it; the rest is done. */
TEST(overlay_may_destroy_the_source)
{
    volatile long *words = private_pages(1);
    struct lwc_create c;

    if (make(&c, LWC_MAY_RETURN)) {
        words[0] = 1;
        for (int fd = 0; fd < 300; fd++)
            if (fd != c.fd)
                close(fd);
        MUST(close(c.fd));
        MUST(dup2(MUST(open("/dev/lwc", O_RDWR)), DOOR));
        MUST(dup2(DOOR, 250));
        MUST(dup2(DOOR, 10));
        lwc_switch(LWC_FD_ROOT, 0, NULL, 0, &(struct lwc_switch){0});
    }
    CHECK_OK(lwc_switch(c.fd, 0, NULL, 0, &(struct lwc_switch){0}));
    CHECK_OK(lwc_overlay(
        c.fd, SPECS(MEMORY(COPY, words, PAGE), FILES(COPY, 3, LWC_ALL), CREDENTIALS(COPY))));
    CHECK_EQ(words[0], 1);
    CHECK(!is_open(c.fd));
    CHECK(is_open(10) && is_open(250) && is_open(DOOR));
    CHECK_EQ(info(LWC_FD_SELF).contexts, 1);
}

/* The door and descriptors of lwCs are descriptors: the same open files, without rights by them. */
TEST(overlay_of_doors)
{
    struct lwc_create c, d;
    int fd;

    if (make_with(&c, LWC_MAY_RETURN, SPECS(FILES(UNMAP, 200, LWC_ALL)))) {
        if (make(&d, LWC_MAY_RETURN))
            finish(&d, 0);
        MUST(dup3(d.fd, 210, O_CLOEXEC));
        MUST(dup2(DOOR, 211));
        finish(&c, 0);
    }
    enter(c.fd, 0);
    CHECK_OK(lwc_overlay(c.fd, SPECS(FILES(COPY, 200, 300))));
    CHECK_EQ(info(210).creator, info(c.fd).id);
    CHECK_ERRNO(lwc_switch(210, 0, NULL, 0, &(struct lwc_switch){0}), EACCES);
    CHECK_ERRNO(lwc_overlay(210, SPECS(FILES(COPY, 0, 1))), EACCES);
    CHECK_ERRNO(lwc_clone(210, &fd), EACCES);
    /* Its close here is not by its creator. */
    MUST(dup2(210, 212));
    MUST(close(210));
    CHECK(info(212).id != 0);
    MUST(fcntl(211, F_GETFD));
}

/* A descriptor beyond the caller's limit is refused, before anything is changed. */
TEST(overlay_beyond_rlimit_nofile)
{
    volatile long *words = private_pages(1);
    struct rlimit before;
    struct lwc_create c;

    if (make(&c, LWC_MAY_RETURN)) {
        words[0] = 1;
        MUST(dup2(2, 200));
        MUST(dup2(2, 500));
        finish(&c, 0);
    }
    enter(c.fd, 0);
    MUST(getrlimit(RLIMIT_NOFILE, &before));
    MUST(setrlimit(RLIMIT_NOFILE, &(struct rlimit){400, before.rlim_max}));
    CHECK_ERRNO(lwc_overlay(c.fd, SPECS(MEMORY(COPY, words, PAGE), FILES(COPY, 200, LWC_ALL),
                                        CREDENTIALS(COPY))),
                EMFILE);
    CHECK(!is_open(200));
    CHECK_EQ(words[0], 0);
    CHECK_OK(lwc_overlay(c.fd, SPECS(FILES(COPY, 200, 500))));
    CHECK(is_open(200));
    MUST(setrlimit(RLIMIT_NOFILE, &before));
    CHECK_OK(lwc_overlay(c.fd, SPECS(FILES(COPY, 200, LWC_ALL))));
    CHECK(is_open(500));
}

/* Many descriptors, more than the caller's table has room for. */
TEST(overlay_of_many_descriptors)
{
    struct lwc_create c;

    MUST(setrlimit(RLIMIT_NOFILE, &(struct rlimit){5000, 5000}));
    if (make(&c, LWC_MAY_RETURN)) {
        for (int fd = 1000; fd < 4000; fd += 2)
            MUST(dup2(2, fd));
        finish(&c, 0);
    }
    enter(c.fd, 0);
    CHECK_OK(lwc_overlay(c.fd, SPECS(FILES(COPY, 1000, 4000))));
    for (int fd = 1000; fd < 4000; fd++)
        CHECK_EQ(is_open(fd), fd % 2 == 0);
    CHECK_OK(
        lwc_overlay(LWC_FD_SELF, SPECS(FILES(UNMAP, 1001, 3000), FILES(UNMAP, 3500, LWC_ALL))));
    for (int fd = 1000; fd < 4000; fd++)
        CHECK_EQ(is_open(fd), fd % 2 == 0 && (fd < 1001 || (fd >= 3000 && fd < 3500)));
}

/*
 * The source's table becomes the caller's. What named the source was the caller's alone, and was
 * closed; that has destroyed it.
 */
TEST(overlay_of_a_table)
{
    volatile long *words = private_pages(1);
    struct lwc_create c, d;

    MUST(dup2(2, 200));
    if (make(&d, LWC_MAY_RETURN))
        finish(&d, 0);
    if (make(&c, LWC_MAY_RETURN)) {
        words[0] = 1;
        MUST(close(200));
        MUST(dup2(2, 201));
        finish(&c, 0);
    }
    enter(c.fd, 0);
    MUST(dup2(2, 210));
    CHECK_OK(lwc_overlay(c.fd, SPECS(MEMORY(COPY, words, PAGE), SHARED_FILES, CREDENTIALS(COPY))));
    CHECK(!is_open(200) && is_open(201) && !is_open(210));
    CHECK_EQ(words[0], 1);
    CHECK_EQ(info(LWC_FD_SELF).contexts, 2);
    CHECK_EQ(info(c.fd).id, info(LWC_FD_SELF).id); /* it was the source's name of its creator */
    enter(d.fd, 0);
}

/* The source's table has the same descriptor of it: so the source goes on, with one table for both.
 */
TEST(overlay_of_a_table_that_stays)
{
    struct lwc_create c;

    if (make_with(&c, LWC_MAY_RETURN, SPECS(ACCESS(FILES, COPY, 0, LWC_ALL)))) {
        int self = c.args[0];

        MUST(dup2(c.fd, 220));
        MUST(close(c.fd));
        c.fd = 220;
        CHECK_OK(lwc_overlay(c.fd, SPECS(FILES(COPY, self, self + 1))));
        CHECK_EQ(info(self).id, info(LWC_FD_SELF).id);
        back(&c, 0);
        CHECK(is_open(201));
        CHECK(!is_open(202));
        MUST(dup2(2, 203));
        finish(&c, 0);
    }
    enter(c.fd, c.fd);
    MUST(dup2(2, 202));
    CHECK_OK(lwc_overlay(c.fd, SPECS(SHARED_FILES)));
    CHECK(!is_open(202));
    MUST(dup2(2, 201));
    enter(c.fd, 0);
    CHECK(is_open(203));
    MUST(close(c.fd));
    CHECK_EQ(info(LWC_FD_SELF).contexts, 1);
}

/* A table that others share is left, and not closed. */
TEST(overlay_of_a_shared_table)
{
    struct lwc_create c, d;

    if (make_with(&c, LWC_MAY_RETURN, SPECS(SHARED_FILES)))
        finish(&c, 0);
    if (make(&d, LWC_MAY_RETURN)) {
        CHECK(!is_open(220));
        finish(&d, 0);
    }
    MUST(dup2(d.fd, 230));
    enter(d.fd, 0);
    /* The table of the caller is that of c: joining it is nothing. */
    CHECK_OK(lwc_overlay(c.fd, SPECS(SHARED_FILES)));
    CHECK_OK(lwc_overlay(c.fd, SPECS(FILES(COPY, 0, LWC_ALL))));
    CHECK_EQ(info(LWC_FD_SELF).contexts, 3);
    CHECK_OK(lwc_overlay(d.fd, SPECS(SHARED_FILES)));
    /* What the caller had is not closed: c has it. */
    CHECK_EQ(info(LWC_FD_SELF).contexts, 3);
    CHECK(!is_open(230));
    MUST(dup2(2, 220));
    enter(c.fd, 0);
    CHECK_EQ(info(c.fd).contexts, 3);
}

/* Undone, descriptors are closed, as by close(2): lwCs they name are destroyed. */
TEST(overlay_closes)
{
    struct lwc_create c;

    for (int fd = 200; fd < 210; fd++)
        MUST(dup2(2, fd));
    if (make(&c, LWC_MAY_RETURN))
        finish(&c, 0);
    MUST(dup2(c.fd, 205));
    CHECK_OK(lwc_overlay(LWC_FD_SELF, SPECS(FILES(UNMAP, 203, 205), FILES(UNMAP, 206, 208))));
    for (int fd = 200; fd < 210; fd++)
        CHECK_EQ(is_open(fd), fd != 203 && fd != 204 && fd != 206 && fd != 207);
    CHECK_EQ(info(LWC_FD_SELF).contexts, 2);
    CHECK_OK(lwc_overlay(LWC_FD_SELF, SPECS(FILES(UNMAP, 205, 206))));
    CHECK_EQ(info(LWC_FD_SELF).contexts, 1);
    CHECK_NAME(c.fd, ESTALE);
    /* Also the door itself. */
    CHECK_OK(lwc_overlay(LWC_FD_SELF, SPECS(FILES(UNMAP, 3, LWC_ALL))));
    CHECK(!is_open(DOOR));
    CHECK(is_open(2));
    MUST(dup2(MUST(open("/dev/lwc", O_RDWR)), DOOR));
}

static volatile bool stop;

static void *open_and_close(void *unused)
{
    while (!stop)
        close(dup(2));
    return unused;
}

/* A thread opens and closes in the table meanwhile, the source's or the caller's. */
TEST(overlay_of_a_table_in_use)
{
    struct lwc_create c;
    pthread_t thread;

    MUST(dup2(2, 200));
    if (make(&c, LWC_MAY_RETURN)) {
        CHECK_EQ(pthread_create(&thread, NULL, open_and_close, NULL), 0);
        finish(&c, 0);
    }
    enter(c.fd, 0);
    CHECK_EQ(pthread_create(&thread, NULL, open_and_close, NULL), 0);
    for (int n = 0; n < 2000; n++) {
        int answer = lwc_overlay(c.fd, SPECS(FILES(COPY, 0, 3), FILES(COPY, 150, 400)));

        if (answer != -EBUSY)
            CHECK_OK(answer);
    }
    CHECK(is_open(200));
    stop = true;
    CHECK_EQ(pthread_join(thread, NULL), 0);
}

static volatile int opening;

static void *open_and_wait(void *path)
{
    opening = 1;
    open(path, O_RDONLY); /* until somebody writes */
    return NULL;
}

/* A descriptor that another thread is about to open cannot be replaced. */
TEST(overlay_of_a_descriptor_being_opened)
{
    static char path[] = "/tmp/suite-fifo";
    struct lwc_create c;
    pthread_t thread;
    int fd = MUST(dup(2)), writer;

    unlink(path);
    MUST(mkfifo(path, 0600));
    if (make(&c, LWC_MAY_RETURN))
        finish(&c, 0);
    MUST(close(fd)); /* the lowest that is free */
    CHECK_EQ(pthread_create(&thread, NULL, open_and_wait, path), 0);
    while (!opening)
        short_pause();
    CHECK(EVENTUALLY(lwc_overlay(c.fd, SPECS(FILES(COPY, fd, fd + 1))) == -EBUSY ||
                     (SYS(close(fd)), false)));
    writer = MUST(open(path, O_WRONLY));
    CHECK_EQ(pthread_join(thread, NULL), 0);
    MUST(close(writer));
    CHECK_OK(lwc_overlay(c.fd, SPECS(FILES(COPY, fd, fd + 1))));
    MUST(unlink(path));
}
