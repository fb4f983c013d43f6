/* SPDX-License-Identifier: MIT */
/* Masks of descriptors: what may be reached through one, narrowed and never widened. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "neighbours.h"
#include "steps.h"
#include "world.h"

static char *page_of(volatile long *words, int page)
{
    return (char *)(words + 512 * page);
}

static void fill(volatile long *words, int count, long with)
{
    for (int page = 0; page < count; page++)
        words[512 * page] = with + page;
}

static int parked_child(void)
{
    struct lwc_create c;

    if (make(&c, LWC_MAY_RETURN)) {
        for (;;)
            back(&c, 0);
    }
    enter(c.fd, 0);
    return c.fd;
}

/* Whether memory, descriptors, credentials may be copied or shared through a descriptor. */
static int answer(int fd, struct lwc_spec spec)
{
    return lwc_overlay(fd, &spec, 1);
}

#define COPIED(p, bytes) ((struct lwc_spec)MEMORY(COPY, p, bytes))
#define SHARED(p, bytes) ((struct lwc_spec)MEMORY(SHARE, p, bytes))

/* A creator may do everything through the descriptor it got, and then what it restricts it to. */
TEST(restrict_narrows)
{
    volatile long *words = private_pages(4);
    int fd = parked_child(), restricted;

    fill(words, 4, 1);
    CHECK_OK(lwc_restrict(
        fd, 0, SPECS(MEMORY(COPY, page_of(words, 1), 2 * PAGE), FILES(COPY, 0, 100)), &restricted));
    CHECK_EQ(restricted, LWC_FD_NONE);
    CHECK_ERRNO(answer(fd, COPIED(words, PAGE)), EACCES);
    CHECK_ERRNO(answer(fd, COPIED(words, 4 * PAGE)), EACCES);
    CHECK_ERRNO(answer(fd, COPIED(page_of(words, 2), 2 * PAGE)), EACCES);
    CHECK_ERRNO(answer(fd, SHARED(page_of(words, 1), PAGE)), EACCES);
    CHECK_ERRNO(answer(fd, (struct lwc_spec)FILES(COPY, 99, 101)), EACCES);
    CHECK_ERRNO(answer(fd, (struct lwc_spec)SHARED_FILES), EACCES);
    CHECK_ERRNO(answer(fd, (struct lwc_spec)CREDENTIALS(COPY)), EACCES);
    /* One that is not allowed keeps the others from being done. */
    CHECK_ERRNO(lwc_overlay(fd, SPECS(MEMORY(COPY, page_of(words, 1), PAGE), CREDENTIALS(COPY))),
                EACCES);
    CHECK_EQ(words[512], 2);
    CHECK_OK(answer(fd, COPIED(page_of(words, 1), 2 * PAGE)));
    CHECK_OK(answer(fd, COPIED(page_of(words, 2), PAGE)));
    CHECK_OK(answer(fd, (struct lwc_spec)FILES(COPY, 0, 3)));
    CHECK_EQ(words[0], 1);
    CHECK_EQ(words[512], 0);
    /* It is a mask, and no right to enter or destroy. */
    enter(fd, 0);
    CHECK_OK(lwc_restrict(fd, 0, NULL, 0, &restricted));
    CHECK_ERRNO(answer(fd, COPIED(page_of(words, 1), PAGE)), EACCES);
    CHECK_OK(lwc_overlay(fd, NULL, 0));
    enter(fd, 0);
}

/* What allows sharing allows copying, too; ranges side by side are one. */
TEST(restrict_to_shares)
{
    volatile long *words = private_pages(4);
    int fd = parked_child(), restricted;

    CHECK_OK(lwc_restrict(
        fd, 0,
        SPECS(MEMORY(COPY, page_of(words, 2), PAGE), MEMORY(SHARE, page_of(words, 0), PAGE),
              MEMORY(SHARE, page_of(words, 1), PAGE), SHARED_FILES, SHARED_CREDENTIALS),
        &restricted));
    CHECK_ERRNO(answer(fd, SHARED(words, 3 * PAGE)), EACCES);
    CHECK_ERRNO(answer(fd, COPIED(words, 4 * PAGE)), EACCES);
    CHECK_OK(answer(fd, COPIED(words, 3 * PAGE)));
    CHECK_OK(answer(fd, COPIED(page_of(words, 1), 2 * PAGE)));
    CHECK_OK(answer(fd, SHARED(words, 2 * PAGE)));
    CHECK_OK(answer(fd, (struct lwc_spec)CREDENTIALS(COPY)));
    CHECK_OK(answer(fd, (struct lwc_spec)CREDENTIALS(SHARE)));
    CHECK_OK(answer(fd, (struct lwc_spec)FILES(COPY, 0, 5)));
}

/* No restriction gives back what another took: by kind, by range, or by action. */
TEST(restrict_never_widens)
{
    volatile long *words = private_pages(4);
    int fd = parked_child(), restricted = -7;
    const struct lwc_spec wider[] = {
        MEMORY(COPY, words, PAGE),
        MEMORY(COPY, words, 3 * PAGE),
        MEMORY(COPY, page_of(words, 1), 3 * PAGE),
        MEMORY(SHARE, page_of(words, 1), PAGE),
        {LWC_MEMORY, LWC_COPY, 0, LWC_ALL},
        FILES(COPY, 0, 101),
        FILES(COPY, 0, LWC_ALL),
        SHARED_FILES,
        CREDENTIALS(COPY),
        CREDENTIALS(SHARE),
    };

    CHECK_OK(lwc_restrict(
        fd, 0, SPECS(MEMORY(COPY, page_of(words, 1), 2 * PAGE), FILES(COPY, 0, 100)), &restricted));
    for (size_t n = 0; n < sizeof(wider) / sizeof(*wider); n++) {
        for (__u32 flags = 0; flags <= LWC_RESTRICT_COPY; flags++) {
            CHECK_ERRNO(lwc_restrict(fd, flags, &wider[n], 1, &restricted), EACCES);
            CHECK_EQ(restricted, JUNK_WORD);
        }
        CHECK_ERRNO(lwc_overlay(fd, &wider[n], 1), EACCES);
    }
    CHECK_OK(lwc_restrict(
        fd, 0, SPECS(MEMORY(COPY, page_of(words, 1), 2 * PAGE), FILES(COPY, 0, 100)), &restricted));
    CHECK_OK(answer(fd, COPIED(page_of(words, 1), 2 * PAGE)));
}

/* A new descriptor with a narrow mask; the first one keeps its own. */
TEST(restrict_copies)
{
    volatile long *words = private_pages(2);
    int fd = parked_child(), narrow, narrower, again;

    CHECK_OK(lwc_restrict(fd, LWC_RESTRICT_COPY, SPECS(MEMORY(COPY, words, PAGE)), &narrow));
    CHECK(narrow >= 0 && narrow != fd);
    CHECK_EQ(fcntl(narrow, F_GETFD), FD_CLOEXEC);
    CHECK_EQ(info(narrow).id, info(fd).id);
    CHECK_ERRNO(answer(narrow, COPIED(words, 2 * PAGE)), EACCES);
    CHECK_ERRNO(answer(narrow, SHARED(words, PAGE)), EACCES);
    CHECK_OK(answer(narrow, COPIED(words, PAGE)));
    CHECK_OK(answer(fd, COPIED(words, 2 * PAGE)));
    CHECK_ERRNO(
        lwc_restrict(narrow, LWC_RESTRICT_COPY, SPECS(MEMORY(COPY, words, 2 * PAGE)), &again),
        EACCES);
    CHECK_OK(lwc_restrict(narrow, LWC_RESTRICT_COPY, NULL, 0, &narrower));
    CHECK_ERRNO(answer(narrower, COPIED(words, PAGE)), EACCES);
    CHECK_ERRNO(lwc_restrict(narrower, 0, SPECS(MEMORY(COPY, words, PAGE)), &again), EACCES);
    enter(narrower, 0);
    /* Its close is the creator's, as of any descriptor. */
    MUST(close(narrower));
    CHECK_NAME(fd, ESTALE);
}

/* Copies of a descriptor are one with it: whoever narrows one narrows all. */
TEST(masks_belong_to_the_open_file)
{
    volatile long *words = private_pages(2);
    int fd = parked_child(), copy = MUST(dup(fd)), narrow, restricted;

    CHECK_OK(lwc_restrict(fd, LWC_RESTRICT_COPY, SPECS(MEMORY(COPY, words, PAGE)), &narrow));
    MUST(dup2(narrow, 200));
    CHECK_ERRNO(answer(200, COPIED(words, 2 * PAGE)), EACCES);
    CHECK_OK(answer(200, COPIED(words, PAGE)));
    CHECK_OK(lwc_restrict(200, 0, NULL, 0, &restricted));
    CHECK_ERRNO(answer(narrow, COPIED(words, PAGE)), EACCES);
    CHECK_OK(answer(copy, COPIED(words, 2 * PAGE)));
    CHECK_OK(lwc_restrict(copy, 0, NULL, 0, &restricted));
    CHECK_ERRNO(answer(fd, COPIED(words, PAGE)), EACCES);
}

/* Restrictions that say nothing sensible, or of nothing that can be restricted. */
TEST(restrict_refusals)
{
    volatile long *words = private_pages(2);
    const struct lwc_spec spec = MEMORY(COPY, words, PAGE);
    struct lwc_restrict *unwritable = private_pages(1);
    int file = MUST(open("/dev/null", O_RDONLY)), fd, copy, restricted;
    struct rlimit limit;
    pid_t pid;

    CHECK_ERRNO(lwc_call(LWC_IOC_RESTRICT, NULL), EFAULT);
    CHECK_ERRNO(lwc_restrict(99, 0, NULL, 1, &restricted), EFAULT);
    CHECK_ERRNO(lwc_restrict(99, 0, &spec, 1, &restricted), EBADF);
    fd = parked_child();
    for (int bit = 1; bit < 32; bit++)
        CHECK_ERRNO(lwc_restrict(fd, 1u << bit, &spec, 1, &restricted), EINVAL);
    CHECK_ERRNO(lwc_restrict(fd, 0, &spec, LWC_MAX_SPECS + 1, &restricted), EINVAL);
    CHECK_ERRNO(lwc_restrict(fd, 0, SPECS(MEMORY(UNMAP, words, PAGE)), &restricted), EINVAL);
    CHECK_ERRNO(lwc_restrict(fd, 0, SPECS(FILES(UNMAP, 0, 10)), &restricted), EINVAL);
    CHECK_ERRNO(lwc_restrict(fd, 0, SPECS(MEMORY(COPY, words, 5)), &restricted), EINVAL);
    CHECK_ERRNO(lwc_restrict(fd, 0, SPECS(ACCESS(MEMORY, COPY, 0, LWC_ALL)), &restricted), EINVAL);
    CHECK_ERRNO(lwc_restrict(LWC_FD_SELF, 0, &spec, 1, &restricted), EINVAL);
    CHECK_ERRNO(lwc_restrict(LWC_FD_ROOT, LWC_RESTRICT_COPY, &spec, 1, &restricted), EINVAL);
    CHECK_ERRNO(lwc_restrict(LWC_FD_NONE, 0, &spec, 1, &restricted), EBADF);
    CHECK_ERRNO(lwc_restrict(file, 0, &spec, 1, &restricted), EINVAL);
    CHECK_ERRNO(lwc_restrict(DOOR, 0, &spec, 1, &restricted), EINVAL);
    CHECK_EQ(restricted, JUNK_WORD);

    /* Nothing is narrowed where the result cannot be written. */
    unwritable->fd = fd;
    MUST(mprotect(unwritable, PAGE, PROT_READ));
    CHECK_ERRNO(lwc_call(LWC_IOC_RESTRICT, unwritable), EFAULT);
    CHECK_OK(answer(fd, COPIED(words, PAGE)));

    MUST(getrlimit(RLIMIT_NOFILE, &limit));
    for (copy = fd; fcntl(copy, F_GETFD) >= 0; copy++)
        ;
    MUST(setrlimit(RLIMIT_NOFILE, &(struct rlimit){copy, limit.rlim_max}));
    CHECK_ERRNO(lwc_restrict(fd, LWC_RESTRICT_COPY, &spec, 1, &restricted), EMFILE);
    MUST(setrlimit(RLIMIT_NOFILE, &limit));

    pid = fork_process();
    if (pid == 0) {
        CHECK_ERRNO(lwc_restrict(fd, 0, &spec, 1, &restricted), EPERM);
        _exit(0);
    }
    CHECK_EQ(ending(pid), 0);
    copy = MUST(dup(fd));
    MUST(close(fd));
    CHECK_ERRNO(lwc_restrict(copy, 0, &spec, 1, &restricted), ESTALE);
}

/* Where the system has no file left for who is not root, there is no new descriptor. */
TEST(restrict_without_files)
{
    int fd = parked_child(), restricted;

    /* The kernel counts files in lots, for each processor. */
    for (int n = 0; n < 300; n++)
        MUST(open("/dev/null", O_RDONLY));
    set_number("/proc/sys/fs/file-max", 100);
    MUST(syscall(SYS_setresuid, 1234, 1234, 1234));
    CHECK_ERRNO(lwc_restrict(fd, LWC_RESTRICT_COPY, NULL, 0, &restricted), ENFILE);
    CHECK_EQ(restricted, JUNK_WORD);
    CHECK_OK(lwc_overlay(fd, SPECS(CREDENTIALS(COPY))));
}

/* A child reaches of its creator what it was given, as it was given; without it, nothing. */
TEST(access_is_what_was_said)
{
    volatile long *words = private_pages(6);
    struct lwc_create c;
    uintptr_t p = (uintptr_t)words;

    fill(words, 6, 1);
    MUST(dup2(2, 200));
    MUST(dup2(2, 300));
    if (make_with(&c, LWC_MAY_RETURN,
                  SPECS(ACCESS(MEMORY, COPY, p, p + PAGE),
                        ACCESS(MEMORY, SHARE, p + PAGE, p + 2 * PAGE),
                        ACCESS(MEMORY, UNMAP, p + 2 * PAGE, p + 4 * PAGE),
                        MEMORY(UNMAP, p + 4 * PAGE, PAGE), ACCESS(FILES, UNMAP, 200, 250),
                        FILES(UNMAP, 250, LWC_ALL)))) {
        CHECK_ERRNO(answer(c.fd, COPIED(page_of(words, 4), PAGE)), EACCES);
        CHECK_ERRNO(answer(c.fd, COPIED(page_of(words, 5), PAGE)), EACCES);
        CHECK_ERRNO(answer(c.fd, COPIED(words, 5 * PAGE)), EACCES);
        CHECK_ERRNO(answer(c.fd, SHARED(words, PAGE)), EACCES);
        CHECK_ERRNO(answer(c.fd, SHARED(words, 2 * PAGE)), EACCES);
        CHECK_ERRNO(answer(c.fd, (struct lwc_spec)CREDENTIALS(COPY)), EACCES);
        CHECK_ERRNO(answer(c.fd, (struct lwc_spec)FILES(COPY, 300, 301)), EACCES);
        CHECK_ERRNO(answer(c.fd, (struct lwc_spec)FILES(COPY, 0, LWC_ALL)), EACCES);
        CHECK_ERRNO(answer(c.fd, (struct lwc_spec)SHARED_FILES), EACCES);
        CHECK(!is_mapped(words + 1024));
        CHECK_OK(answer(c.fd, COPIED(words, 3 * PAGE)));
        CHECK_EQ(words[0], 11);
        CHECK_EQ(words[1024], 13);
        words[0] = words[1024] = 21;
        CHECK_OK(answer(c.fd, SHARED(page_of(words, 1), 3 * PAGE)));
        words[1536] = 22;
        CHECK_OK(answer(c.fd, (struct lwc_spec)FILES(COPY, 200, 250)));
        MUST(fcntl(200, F_GETFD));
        finish(&c, 0);
    }
    fill(words, 6, 11);
    enter(c.fd, 0);
    CHECK_EQ(words[0], 11);
    CHECK_EQ(words[1024], 13);
    CHECK_EQ(words[1536], 22);
}

/* Without LWC_MAY_ACCESS there is no reaching up, and LWC_MAY_RETURN does not give it. */
TEST(access_must_be_given)
{
    volatile long *words = private_pages(1);
    struct lwc_create c, d;

    words[0] = 1;
    if (make(&c, LWC_MAY_RETURN)) {
        CHECK_ERRNO(answer(c.fd, COPIED(words, PAGE)), EACCES);
        CHECK_ERRNO(lwc_overlay(c.fd, NULL, 0), EACCES);
        CHECK_ERRNO(answer(LWC_FD_ROOT, COPIED(words, PAGE)), EACCES);
        finish(&c, 0);
    }
    enter(c.fd, 0);
    /* The other way round: to reach into an lwC is not to enter it. */
    if (make_with(&d, 0, SPECS(ACCESS(MEMORY, COPY, 0, LWC_ALL)))) {
        CHECK_ERRNO(lwc_switch(LWC_FD_ROOT, 0, NULL, 0, &(struct lwc_switch){0}), EACCES);
        test_pass();
    }
    CHECK_OK(lwc_switch(d.fd, 0, NULL, 0, &(struct lwc_switch){0}));
    FAIL("entered without the right");
}

/*
 * A child tries everything to reach more of its creator than its mask allows: the well-known name,
 * copies of its descriptor, by dup(2) and by a socket, restricting it, descriptors others made.
 */
TEST(masks_cannot_be_evaded)
{
    volatile long *words = private_pages(2);
    struct lwc_create c;
    int sockets[2];

    fill(words, 2, 1);
    MUST(socketpair(AF_UNIX, SOCK_DGRAM, 0, sockets));
    if (make_with(&c, LWC_MAY_RETURN,
                  SPECS(ACCESS(MEMORY, COPY, (uintptr_t)words, (uintptr_t)words + PAGE)))) {
        int copy = MUST(dup(c.fd)), sent, restricted, caller;
        struct lwc_switch s;

        fill(words, 2, 11);
        CHECK_OK(lwc_switch(c.fd, 0, (__u64[]){0}, 1, &s));
        caller = s.caller;
        send_descriptor(sockets[0], c.fd);
        sent = receive_descriptor(sockets[1]);
        for (int n = 0; n < 5; n++) {
            const int fds[] = {c.fd, copy, sent, caller, LWC_FD_ROOT};

            CHECK_ERRNO(answer(fds[n], COPIED(page_of(words, 1), PAGE)), EACCES);
            CHECK_ERRNO(answer(fds[n], SHARED(words, PAGE)), EACCES);
            CHECK_ERRNO(answer(fds[n], (struct lwc_spec)CREDENTIALS(COPY)), EACCES);
            if (n < 4) {
                CHECK_ERRNO(
                    lwc_restrict(fds[n], 0, SPECS(MEMORY(COPY, words, 2 * PAGE)), &restricted),
                    EACCES);
                CHECK_ERRNO(
                    lwc_restrict(fds[n], LWC_RESTRICT_COPY, SPECS(CREDENTIALS(COPY)), &restricted),
                    EACCES);
            }
        }
        /* A descriptor that was made for it by a switch has no mask at all. */
        MUST(close(c.fd));
        MUST(close(copy));
        MUST(close(sent));
        CHECK_OK(lwc_switch(LWC_FD_ROOT, 0, (__u64[]){0}, 1, &s));
        CHECK_EQ(info(s.caller).id, info(LWC_FD_ROOT).id);
        CHECK_ERRNO(answer(s.caller, COPIED(words, PAGE)), EACCES);
        CHECK_EQ(words[0], 11);
        finish(&(struct lwc_create){.fd = s.caller}, 0);
    }
    enter(c.fd, 0);
    enter(c.fd, 0);
    enter(c.fd, 0);
    CHECK_EQ(words[0], 1);
}

/* A descriptor with everything is nothing without the right: inherited, sent, or left by mistake.
 */
TEST(masks_are_no_rights)
{
    volatile long *words = private_pages(1);
    struct lwc_create sibling, c;
    int sockets[2];

    words[0] = 1;
    MUST(socketpair(AF_UNIX, SOCK_DGRAM, 0, sockets));
    if (make(&sibling, LWC_MAY_RETURN)) {
        for (;;)
            back(&sibling, 0);
    }
    if (make(&c, LWC_MAY_RETURN)) {
        int sent = receive_descriptor(sockets[1]);

        words[0] = 2;
        CHECK_ERRNO(answer(sibling.fd, COPIED(words, PAGE)), EACCES);
        CHECK_ERRNO(answer(sent, COPIED(words, PAGE)), EACCES);
        CHECK_ERRNO(lwc_overlay(sent, NULL, 0), EACCES);
        CHECK_ERRNO(lwc_switch(sibling.fd, 0, NULL, 0, &(struct lwc_switch){0}), EACCES);
        back(&c, 0);
        /* Now it was granted; the mask of what it has is the creator's. */
        CHECK_OK(answer(sent, COPIED(words, PAGE)));
        CHECK_EQ(words[0], 1);
        CHECK_ERRNO(lwc_switch(sibling.fd, 0, NULL, 0, &(struct lwc_switch){0}), EACCES);
        back(&c, 0);
        /* And taken back. */
        CHECK_ERRNO(answer(sent, COPIED(words, PAGE)), EACCES);
        back(&c, 0);
        /* To enter it is not to reach into it. */
        CHECK_ERRNO(answer(sent, COPIED(words, PAGE)), EACCES);
        CHECK_OK(lwc_switch(sibling.fd, 0, (__u64[]){0}, 1, &(struct lwc_switch){0}));
    }
    enter(sibling.fd, 0);
    send_descriptor(sockets[0], sibling.fd);
    enter(c.fd, 0);
    CHECK_OK(lwc_grant(sibling.fd, c.fd, LWC_MAY_ACCESS));
    enter(c.fd, 0);
    CHECK_OK(lwc_grant(sibling.fd, c.fd, 0));
    enter(c.fd, 0);
    CHECK_OK(lwc_grant(sibling.fd, c.fd, LWC_MAY_ENTER));
    enter(c.fd, 0);
}

/* The right by creation is taken back with the grant that takes it back. */
TEST(access_can_be_taken_back)
{
    volatile long *words = private_pages(1);
    struct lwc_create c;

    words[0] = 1;
    if (make_with(&c, LWC_MAY_RETURN, SPECS(ACCESS(MEMORY, COPY, 0, LWC_ALL)))) {
        CHECK_OK(answer(c.fd, COPIED(words, PAGE)));
        back(&c, 0);
        CHECK_ERRNO(answer(c.fd, COPIED(words, PAGE)), EACCES);
        back(&c, 0);
        CHECK_OK(answer(c.fd, COPIED(words, PAGE)));
        finish(&c, 0);
    }
    enter(c.fd, 0);
    CHECK_OK(lwc_grant(LWC_FD_SELF, c.fd, LWC_MAY_ENTER));
    enter(c.fd, 0);
    CHECK_OK(lwc_grant(LWC_FD_SELF, c.fd, LWC_MAY_ENTER | LWC_MAY_ACCESS));
    enter(c.fd, 0);
}

/* What an lwC may reach of its creator its own children may not, be they given all it has. */
TEST(grandchildren_reach_no_further)
{
    volatile long *words = private_pages(2);
    struct lwc_create c, d;

    fill(words, 2, 1);
    if (make_with(&c, LWC_MAY_RETURN, SPECS(ACCESS(MEMORY, COPY, 0, LWC_ALL)))) {
        fill(words, 2, 11);
        if (make_with(&d, LWC_MAY_RETURN | LWC_SAME_RIGHTS,
                      SPECS(ACCESS(MEMORY, COPY, (uintptr_t)words, (uintptr_t)words + PAGE)))) {
            fill(words, 2, 21);
            /* c.fd names the root, with c's mask. */
            CHECK_EQ(info(c.fd).id, info(LWC_FD_ROOT).id);
            CHECK_ERRNO(answer(c.fd, COPIED(words, PAGE)), EACCES);
            CHECK_ERRNO(answer(d.fd, COPIED(words, 2 * PAGE)), EACCES);
            CHECK_OK(answer(d.fd, COPIED(words, PAGE)));
            CHECK_EQ(words[0], 11);
            CHECK_EQ(words[512], 22);
            finish(&d, 0);
        }
        enter(d.fd, 0);
        finish(&c, 0);
    }
    enter(c.fd, 0);
}

/* LWC_SAME_RIGHTS is about entering; a snapshot's workers have all the rights it was granted. */
TEST(same_rights_are_to_enter)
{
    volatile long *words = private_pages(1);
    const __u32 both = LWC_MAY_ENTER | LWC_MAY_ACCESS;
    struct lwc_create sibling, c, d, snapshot;
    int worker;

    words[0] = 1;
    if (make(&sibling, LWC_MAY_RETURN)) {
        for (;;)
            back(&sibling, 0);
    }
    if (make(&c, LWC_MAY_RETURN)) {
        words[0] = 2;
        if (make(&d, LWC_MAY_RETURN | LWC_SAME_RIGHTS)) {
            CHECK_ERRNO(answer(sibling.fd, COPIED(words, PAGE)), EACCES);
            CHECK_EQ(words[0], 2);
            CHECK_OK(lwc_switch(sibling.fd, 0, (__u64[]){0}, 1, &(struct lwc_switch){0}));
            FAIL("entered again");
        }
        CHECK_OK(answer(sibling.fd, COPIED(words, PAGE)));
        words[0] = 2;
        enter(d.fd, 0);
        FAIL("entered again");
    }
    CHECK_OK(lwc_grant(sibling.fd, c.fd, both));
    enter(c.fd, 0);
    if (make(&snapshot, SNAPSHOT)) {
        words[0] = 2;
        CHECK_OK(answer(sibling.fd, COPIED(words, PAGE)));
        CHECK_EQ(words[0], 1);
        finish(&snapshot, 0);
    }
    CHECK_OK(lwc_grant(sibling.fd, snapshot.fd, both));
    worker = clone_of(snapshot.fd);
    enter(worker, 0);
    reset(worker);
    enter(worker, 0);
}

/*
 * Who takes the place of a destroyed creator is not reached by what was given of that one, though a
 * descriptor of the former's with a mask for it is there.
 */
TEST(orphans_reach_nobody)
{
    volatile long *words = private_pages(1);
    struct lwc_create c, d;
    int d_fd;

    words[0] = 1;
    if (make_with(&c, LWC_MAY_RETURN, SPECS(SHARED_FILES, ACCESS(MEMORY, COPY, 0, LWC_ALL)))) {
        words[0] = 2;
        if (make_with(&d, LWC_MAY_RETURN, SPECS(SHARED_FILES, ACCESS(MEMORY, COPY, 0, LWC_ALL)))) {
            words[0] = 3;
            CHECK_OK(answer(d.fd, COPIED(words, PAGE)));
            CHECK_EQ(words[0], 2);
            back(&d, 0);
            CHECK_EQ(info(LWC_FD_SELF).creator, info(LWC_FD_ROOT).id);
            CHECK_EQ(info(c.fd).id, info(LWC_FD_ROOT).id);
            CHECK_ERRNO(answer(c.fd, COPIED(words, PAGE)), EACCES);
            CHECK_ERRNO(lwc_overlay(c.fd, NULL, 0), EACCES);
            CHECK_EQ(words[0], 2);
            test_pass();
        }
        enter(d.fd, 0);
        CHECK_OK(answer(c.fd, COPIED(words, PAGE)));
        CHECK_EQ(words[0], 1);
        words[0] = 2;
        finish(&c, d.fd);
    }
    d_fd = enter(c.fd, 0);
    MUST(close(c.fd));
    CHECK_OK(lwc_switch(d_fd, 0, (__u64[]){0}, 1, &(struct lwc_switch){0}));
    FAIL("entered again");
}
