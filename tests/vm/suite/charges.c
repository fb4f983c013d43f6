/* SPDX-License-Identifier: MIT */
/* What the threads of an lwC use is charged to their cgroup, also when its maker has ended. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "team.h"
#include "world.h"

#define GROUPS "/tmp/suite-charges"
#define OWN GROUPS "/own"

enum { MUCH = 24 };

static volatile int *stage; /* shared by all lwCs */
static volatile char *much;
static volatile int wait_outside;

static bool write_text(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    bool done = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);

    if (fd >= 0)
        close(fd);
    return done;
}

static void act(struct member *m)
{
    if (m->inside) {
        long before;

        *stage = 1;
        CHECK(EVENTUALLY(*stage == 2));
        before = number(OWN "/memory.current");
        memset((char *)much, 1, MUCH * MIB);
        CHECK(number(OWN "/memory.current") - before > (MUCH - 4) * (long)MIB);
        leave(m, 0);
    }
    if (m->number == 0) {
        /* The leader, who made it, ends before or while the other is in it. */
        if (!wait_outside)
            CHECK(EVENTUALLY(*stage == 1));
        *stage = 10;
        syscall(SYS_exit, 0);
    }
    if (m->number == 1) { /* is just there: the first thread that the kernel comes to */
        CHECK(EVENTUALLY(*stage == 3));
        return;
    }
    if (wait_outside) {
        CHECK(EVENTUALLY(*stage == 10));
        for (int pauses = 0; pauses < 20; pauses++)
            short_pause();
    }
    enter(m->fd, 0);
    _exit(0);
}

/* Tells the thread inside to go on when the leader has ended. */
static void watch(pid_t pid, struct live before)
{
    CHECK(EVENTUALLY(*stage == 1 || *stage == 10));
    /* Of three threads with two lwCs each the leader's are gone. */
    CHECK(EVENTUALLY(live().contexts == before.contexts + 4));
    if (wait_outside)
        CHECK(EVENTUALLY(*stage == 1));
    *stage = 2;
    CHECK_EQ(ending(pid), 0);
}

static void charges(bool outside)
{
    struct live before = live();
    pid_t pid;

    SYS(mkdir(GROUPS, 0700));
    if (SYS(mount("none", GROUPS, "cgroup2", 0, NULL)) < 0 && errno != EBUSY)
        test_skip("cgroup2: %s", error_name(errno));
    if (!write_text(GROUPS "/cgroup.subtree_control", "+memory"))
        test_skip("the memory controller of cgroup2");
    SYS(mkdir(OWN, 0700));
    wait_outside = outside;
    stage = shared_pages(1);
    much = private_pages(MUCH * MIB / PAGE);
    pid = fork_process();
    if (pid == 0) {
        CHECK(write_text(OWN "/cgroup.procs", "0"));
        team(3, LWC_MAY_RETURN, act);
    }
    watch(pid, before);
    CHECK_EQ(SYS(umount2(GROUPS, MNT_DETACH)), 0);
}

/* The maker of an lwC ends while another thread is in it. */
TEST(charges_while_the_maker_ends)
{
    charges(false);
}

/* The maker ends while nobody is in it; then another thread enters. */
TEST(charges_after_the_maker)
{
    charges(true);
}
