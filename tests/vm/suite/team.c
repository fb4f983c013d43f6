/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "team.h"
#include "world.h"

struct seat {
    pthread_t thread;
    int number;
    void (*act)(struct member *member);
};

void wait_to_be_taken(struct member *member)
{
    struct lwc_safepoint s;

    CHECK_OK(lwc_safepoint(&s));
    CHECK(s.event == LWC_CREATED || s.event == LWC_ENTERED);
    member->inside = s.event == LWC_ENTERED;
    if (member->inside) {
        member->up = s.fd;
        CHECK_EQ(s.nargs, 1);
        member->word = s.args[0];
    } else {
        member->fd = s.fd;
        CHECK_EQ(s.caller, LWC_FD_NONE);
        CHECK_EQ(s.nargs, 0);
    }
}

void take_along(struct member *member, int others, __u32 flags, const struct lwc_spec *specs,
                __u32 nspecs)
{
    struct lwc_create c;

    CHECK_OK(lwc_create_with_threads(flags, specs, nspecs, others, &c));
    CHECK(c.event == LWC_CREATED || c.event == LWC_ENTERED);
    member->inside = c.event == LWC_ENTERED;
    if (member->inside) {
        member->up = c.fd;
        CHECK_EQ(c.nargs, 1);
        member->word = c.args[0];
    } else {
        member->fd = c.fd;
        CHECK_EQ(c.nargs, others);
    }
}

static void *sit(void *argument)
{
    const struct seat *seat = argument;
    struct member member = {.number = seat->number};

    wait_to_be_taken(&member);
    seat->act(&member);
    return NULL;
}

void team_with(int size, __u32 flags, const struct lwc_spec *specs, __u32 nspecs,
               void (*act)(struct member *member))
{
    static struct seat seats[MOST_MEMBERS];
    struct member first = {.number = 0};

    for (int n = 1; n < size; n++) {
        seats[n] = (struct seat){.number = n, .act = act};
        CHECK_EQ(pthread_create(&seats[n].thread, NULL, sit, &seats[n]), 0);
    }
    take_along(&first, size - 1, flags, specs, nspecs);
    act(&first);
    for (int n = 1; n < size; n++)
        CHECK_EQ(pthread_join(seats[n].thread, NULL), 0);
    if (first.fd >= 0)
        MUST(close(first.fd));
}

void team(int size, __u32 flags, void (*act)(struct member *member))
{
    team_with(size, flags, NULL, 0, act);
}

__u64 come_back(const struct member *member, __u64 word)
{
    CHECK(member->inside);
    return enter(member->up, word);
}

void leave(const struct member *member, __u64 word)
{
    come_back(member, word);
    FAIL("thread %d entered an lwC again after its end", member->number);
}

void meet(volatile int *here, int size)
{
    __atomic_add_fetch(here, 1, __ATOMIC_SEQ_CST);
    /* On a busy machine the last one takes its time; the limit of the test ends the wait. */
    while (!EVENTUALLY(*here >= size))
        ;
}

char state_of_thread(pid_t id)
{
    char path[64], text[512] = "", *state;
    int fd;

    sprintf(path, "/proc/self/task/%d/stat", id);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return 0;
    CHECK(read(fd, text, sizeof(text) - 1) > 0);
    MUST(close(fd));
    state = strrchr(text, ')');
    return state ? state[2] : 0;
}

pid_t thread_id(void)
{
    return syscall(SYS_gettid);
}
