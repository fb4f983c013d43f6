/* SPDX-License-Identifier: MIT */
#include <unistd.h>

#include "steps.h"

bool make(struct lwc_create *c, __u32 flags)
{
    return make_with(c, flags, NULL, 0);
}

bool make_with(struct lwc_create *c, __u32 flags, const struct lwc_spec *specs, __u32 nspecs)
{
    CHECK_OK(lwc_create(flags, specs, nspecs, c));
    CHECK(c->event == LWC_CREATED || c->event == LWC_ENTERED);
    return c->event == LWC_ENTERED;
}

__u64 enter(int fd, __u64 word)
{
    struct lwc_switch s;

    CHECK_OK(lwc_switch(fd, 0, &word, 1, &s));
    CHECK_EQ(s.nargs, 1);
    return s.args[0];
}

__u64 back(const struct lwc_create *c, __u64 word)
{
    return enter(c->fd, word);
}

void finish(const struct lwc_create *c, __u64 word)
{
    back(c, word);
    FAIL("an lwC was entered again after its end");
}

int clone_of(int snapshot)
{
    int fd;

    CHECK_OK(lwc_clone(snapshot, &fd));
    return fd;
}

void reset(int worker)
{
    struct lwc_reset r;

    CHECK_OK(lwc_reset(worker, &r));
}

void rounds(int snapshot, unsigned int count)
{
    int worker = clone_of(snapshot);
    __u64 first = 0;

    for (unsigned int round = 0; round < count; round++) {
        __u64 word = enter(worker, round);

        if (round == 0)
            first = word;
        if (word != first)
            FAIL("round %u: %#llx, not %#llx as in the first", round, word, first);
        reset(worker);
    }
    MUST(close(worker));
}

struct lwc_info info(int fd)
{
    struct lwc_info i;

    CHECK_OK(lwc_info(fd, &i));
    return i;
}

void check_name(const char *file, int line, int fd, int error)
{
    struct lwc_switch s;
    struct lwc_reset r;
    struct lwc_info i;
    int clone;
    const struct {
        const char *name;
        int answer;
    } calls[] = {
        {"switch", lwc_switch(fd, 0, NULL, 0, &s)},
        {"clone", lwc_clone(fd, &clone)},
        {"reset", lwc_reset(fd, &r)},
        {"grant", lwc_grant(fd, fd, LWC_MAY_ENTER)},
        {"info", lwc_info(fd, &i)},
    };

    for (size_t n = 0; n < sizeof(calls) / sizeof(*calls); n++) {
        if (calls[n].answer != -error)
            test_fail(file, line, "%s of %d answers %s, not %s", calls[n].name, fd,
                      error_name(-calls[n].answer), error_name(error));
    }
}
