/* SPDX-License-Identifier: MIT */
/* Credentials of another lwC, copied or shared, and given back. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/capability.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "steps.h"
#include "world.h"

#define USER 1234

static unsigned int user(void)
{
    uid_t real, effective, saved;

    MUST(getresuid(&real, &effective, &saved));
    CHECK(real == effective && effective == saved);
    CHECK_EQ(line_number("/proc/thread-self/status", "Uid:"), real);
    return real;
}

/* The capabilities stay, so that one may become another again. */
static void become(unsigned int uid)
{
    MUST(prctl(PR_SET_SECUREBITS, 1 << 2 /* SECBIT_NO_SETUID_FIXUP */));
    MUST(syscall(SYS_setresuid, uid, uid, uid));
}

/* The source's as they are at the time; a later change of one is none of the other. */
TEST(overlay_copies_credentials)
{
    struct lwc_create c;

    if (make(&c, LWC_MAY_RETURN)) {
        become(USER);
        back(&c, 0);
        CHECK_EQ(user(), USER);
        become(USER + 1);
        back(&c, 0);
        CHECK_EQ(user(), USER + 1);
        finish(&c, 0);
    }
    enter(c.fd, 0);
    CHECK_EQ(user(), 0);
    CHECK_OK(lwc_overlay(c.fd, SPECS(CREDENTIALS(COPY))));
    CHECK_EQ(user(), USER);
    enter(c.fd, 0);
    CHECK_EQ(user(), USER);
    become(USER + 2);
    enter(c.fd, 0);
    CHECK_EQ(user(), USER + 2);
    CHECK_OK(lwc_overlay(LWC_FD_SELF, SPECS(CREDENTIALS(COPY))));
    CHECK_EQ(user(), 0);
    CHECK_OK(lwc_overlay(LWC_FD_SELF, SPECS(CREDENTIALS(COPY))));
    CHECK_EQ(user(), 0);
}

/* A change by one is a change for the other, until the caller takes back its own. */
TEST(overlay_shares_credentials)
{
    struct lwc_create c;

    if (make(&c, LWC_MAY_RETURN)) {
        become(USER);
        back(&c, 0);
        CHECK_EQ(user(), USER + 1);
        become(USER + 2);
        back(&c, 0);
        CHECK_EQ(user(), USER + 2);
        become(USER + 3);
        finish(&c, 0);
    }
    enter(c.fd, 0);
    CHECK_OK(lwc_overlay(c.fd, SPECS(CREDENTIALS(SHARE))));
    CHECK_EQ(user(), USER);
    CHECK_OK(lwc_overlay(c.fd, SPECS(CREDENTIALS(SHARE))));
    become(USER + 1);
    enter(c.fd, 0);
    CHECK_EQ(user(), USER + 2);
    CHECK_OK(lwc_overlay(LWC_FD_SELF, SPECS(CREDENTIALS(COPY))));
    CHECK_EQ(user(), 0);
    enter(c.fd, 0);
    CHECK_EQ(user(), 0);
    CHECK_OK(lwc_overlay(c.fd, SPECS(CREDENTIALS(SHARE))));
    CHECK_EQ(user(), USER + 3);
    MUST(close(c.fd));
    CHECK_EQ(user(), USER + 3);
    CHECK_OK(lwc_overlay(LWC_FD_SELF, SPECS(CREDENTIALS(COPY))));
    CHECK_EQ(user(), 0);
}

/* Whatever is overlaid on what was overlaid, one's own are put aside once. */
TEST(overlay_puts_credentials_aside_once)
{
    struct lwc_create one, two, inner;

    if (make(&one, LWC_MAY_RETURN)) {
        become(1);
        back(&one, 0);
        CHECK_EQ(user(), 1);
        finish(&one, 0);
    }
    if (make(&two, LWC_MAY_RETURN)) {
        become(2);
        back(&two, 0);
        CHECK_EQ(user(), 2);
        finish(&two, 0);
    }
    enter(one.fd, 0);
    enter(two.fd, 0);
    become(5);
    for (int n = 0; n < 16; n++) {
        CHECK_OK(n & 1 ? lwc_overlay(one.fd, SPECS(CREDENTIALS(SHARE)))
                       : lwc_overlay(one.fd, SPECS(CREDENTIALS(COPY))));
        CHECK_EQ(user(), 1);
        CHECK_OK(n & 2 ? lwc_overlay(two.fd, SPECS(CREDENTIALS(SHARE)))
                       : lwc_overlay(two.fd, SPECS(CREDENTIALS(COPY))));
        CHECK_EQ(user(), 2);
        if (n & 4) {
            /* What is made meanwhile has what is in force, and nothing that was put aside. */
            if (make(&inner, LWC_MAY_RETURN)) {
                CHECK_EQ(user(), 2);
                CHECK_OK(lwc_overlay(LWC_FD_SELF, SPECS(CREDENTIALS(COPY))));
                CHECK_EQ(user(), 2);
                finish(&inner, 0);
            }
            enter(inner.fd, 0);
            MUST(close(inner.fd));
        }
        CHECK_OK(lwc_overlay(LWC_FD_SELF, SPECS(CREDENTIALS(COPY))));
        CHECK_EQ(user(), 5);
    }
    CHECK_OK(lwc_overlay(two.fd, SPECS(CREDENTIALS(SHARE))));
    enter(one.fd, 0);
    enter(two.fd, 0);
    CHECK_EQ(user(), 2);
}

/* Credentials that were shared at creation, and are put aside by one: the others go on with them.
 */
TEST(overlay_leaves_shared_credentials)
{
    struct lwc_create sharing, other;

    if (make_with(&sharing, LWC_MAY_RETURN, SPECS(SHARED_CREDENTIALS))) {
        for (__u64 next;;) {
            next = back(&sharing, user());
            if (next)
                become(next);
        }
    }
    if (make(&other, LWC_MAY_RETURN)) {
        become(2);
        finish(&other, 0);
    }
    enter(other.fd, 0);
    become(1);
    CHECK_OK(lwc_overlay(other.fd, SPECS(CREDENTIALS(COPY))));
    CHECK_EQ(user(), 2);
    enter(sharing.fd, 0);
    CHECK_EQ(enter(sharing.fd, 3), 3);
    CHECK_EQ(user(), 2);
    /* What was put aside is still one with the other's. */
    CHECK_OK(lwc_overlay(LWC_FD_SELF, SPECS(CREDENTIALS(COPY))));
    CHECK_EQ(user(), 3);
    become(4);
    CHECK_EQ(enter(sharing.fd, 0), 4);
    /* Overlaid with what is one's own already: nothing; a copy of it: apart from then on. */
    CHECK_OK(lwc_overlay(sharing.fd, SPECS(CREDENTIALS(SHARE))));
    CHECK_EQ(enter(sharing.fd, 5), 5);
    CHECK_EQ(user(), 5);
    CHECK_OK(lwc_overlay(sharing.fd, SPECS(CREDENTIALS(COPY))));
    CHECK_EQ(user(), 5);
    CHECK_EQ(enter(sharing.fd, 6), 6);
    CHECK_EQ(user(), 5);
    /* Sharing them again is taking back one's own. */
    CHECK_OK(lwc_overlay(sharing.fd, SPECS(CREDENTIALS(SHARE))));
    CHECK_EQ(user(), 6);
    become(7);
    CHECK_EQ(enter(sharing.fd, 0), 7);
    CHECK_OK(lwc_overlay(LWC_FD_SELF, SPECS(CREDENTIALS(COPY))));
    CHECK_EQ(user(), 7);
}

/* With the credentials come the permissions, and go with them. */
TEST(overlay_changes_permissions)
{
    char path[] = "/tmp/suite-XXXXXX";
    struct lwc_create c;

    MUST(close(MUST(mkstemp(path))));
    if (make_with(&c, LWC_MAY_RETURN, SPECS(ACCESS(CREDENTIALS, COPY, 0, LWC_ALL)))) {
        MUST(syscall(SYS_setresuid, USER, USER, USER));
        CHECK_EQ(SYS(open(path, O_RDONLY)), -EACCES);
        CHECK_ERRNO(lwc_overlay(c.fd, SPECS(CREDENTIALS(SHARE))), EACCES);
        CHECK_OK(lwc_overlay(c.fd, SPECS(CREDENTIALS(COPY))));
        MUST(close(MUST(open(path, O_RDONLY))));
        CHECK_OK(lwc_overlay(LWC_FD_SELF, SPECS(CREDENTIALS(COPY))));
        CHECK_EQ(SYS(open(path, O_RDONLY)), -EACCES);
        finish(&c, 0);
    }
    enter(c.fd, 0);
    MUST(unlink(path));
}

/* As setuid(2) does it, the memory is not dumpable afterwards: it was another user's. */
TEST(overlay_of_credentials_clears_dumpable)
{
    struct lwc_create c;
    int signal = 0;

    if (make(&c, LWC_MAY_RETURN)) {
        become(USER);
        finish(&c, 0);
    }
    enter(c.fd, 0);
    CHECK_EQ(prctl(PR_GET_DUMPABLE), 1);
    MUST(prctl(PR_SET_PDEATHSIG, SIGUSR1));
    CHECK_OK(lwc_overlay(c.fd, SPECS(CREDENTIALS(COPY))));
    CHECK_EQ(prctl(PR_GET_DUMPABLE), number("/proc/sys/fs/suid_dumpable"));
    MUST(prctl(PR_GET_PDEATHSIG, &signal));
    CHECK_EQ(signal, 0);
}

/* A reset takes what was overlaid, and what was put aside for it. */
TEST(reset_overlaid_credentials)
{
    struct lwc_create other, c;
    int worker;

    if (make(&other, LWC_MAY_RETURN)) {
        become(USER);
        finish(&other, 0);
    }
    enter(other.fd, 0);
    if (make(&c, SNAPSHOT)) {
        CHECK_EQ(user(), 0);
        /* Nothing is put aside. */
        CHECK_OK(lwc_overlay(LWC_FD_SELF, SPECS(CREDENTIALS(COPY))));
        CHECK_EQ(user(), 0);
        become(7);
        CHECK_OK(c.args[0] % 2 ? lwc_overlay(other.fd, SPECS(CREDENTIALS(COPY)))
                               : lwc_overlay(other.fd, SPECS(CREDENTIALS(SHARE))));
        CHECK_EQ(user(), USER);
        finish(&c, 0);
    }
    worker = clone_of(c.fd);
    CHECK_OK(lwc_grant(other.fd, worker, LWC_MAY_ACCESS));
    for (int round = 0; round < 6; round++) {
        enter(worker, round);
        reset(worker);
    }
    enter(worker, 0);
    CHECK_OK(lwc_overlay(worker, SPECS(CREDENTIALS(COPY))));
    CHECK_EQ(user(), USER);
}

/* Who traces the thread, and may not trace what it would become, keeps it from becoming that. */
TEST(overlay_gives_tracers_nothing)
{
    volatile int *step = shared_pages(1);
    pid_t pid = fork_process();

    if (pid == 0) {
        struct lwc_create c;

        if (make_with(&c, LWC_MAY_RETURN, SPECS(ACCESS(CREDENTIALS, COPY, 0, LWC_ALL)))) {
            MUST(syscall(SYS_setresuid, USER, USER, USER));
            MUST(prctl(PR_SET_DUMPABLE, 1));
            *step = 1;
            while (*step != 2)
                short_pause();
            CHECK_ERRNO(lwc_overlay(c.fd, SPECS(CREDENTIALS(COPY))), EPERM);
            CHECK_EQ(user(), USER);
            *step = 3;
            while (*step != 4)
                short_pause();
            CHECK_OK(lwc_overlay(c.fd, SPECS(CREDENTIALS(COPY))));
            CHECK_EQ(user(), 0);
            _exit(0);
        }
        enter(c.fd, 0);
        _exit(1);
    }
    CHECK(EVENTUALLY(*step == 1));
    /* A child of ours: it is not traced by who may everything. */
    {
        pid_t tracer = fork_process();

        if (tracer == 0) {
            MUST(syscall(SYS_setresuid, USER, USER, USER));
            MUST(ptrace(PTRACE_SEIZE, pid, 0, 0));
            *step = 2;
            CHECK(EVENTUALLY(*step == 3));
            _exit(0);
        }
        CHECK_EQ(ending(tracer), 0);
    }
    *step = 4;
    CHECK_EQ(ending(pid), 0);
}
