/* SPDX-License-Identifier: MIT */
#ifndef SUITE_TEAM_H
#define SUITE_TEAM_H
/*
 * Threads that have an lwC together.
 *
 *     static void act(struct member *member)
 *     {
 *         if (member->inside) {
 *             ... in the lwC; it was entered with member->word ...
 *             leave(member, 1);
 *         }
 *         CHECK_EQ(enter(member->fd, 0), 1);
 *     }
 *     team(8, LWC_MAY_RETURN, act);
 */
#include <pthread.h>

#include "steps.h"

enum { MOST_MEMBERS = 8 };

struct member {
    int number;  /* 0: the caller, who makes the lwC */
    bool inside; /* the lwC; else in the one where it was made */
    int fd;      /* not inside: of the lwC */
    int up;      /* inside: of its creator */
    __u64 word;  /* inside: with which it was entered */
};

/* Makes so many threads, the caller among them, with an lwC of theirs; each acts. Ends when all
 * have returned from that, in the creator; then the lwC is destroyed, unless member->fd of the
 * caller is -1. */
void team(int size, __u32 flags, void (*act)(struct member *member));
void team_with(int size, __u32 flags, const struct lwc_spec *specs, __u32 nspecs,
               void (*act)(struct member *member));

/* For threads made in another way: to a safe point, and from there; and the number 0 of them. */
void wait_to_be_taken(struct member *member);
void take_along(struct member *member, int others, __u32 flags, const struct lwc_spec *specs,
                __u32 nspecs);

/* Out of the lwC with a word, to be entered again with another one; or for good. */
__u64 come_back(const struct member *member, __u64 word);
_Noreturn void leave(const struct member *member, __u64 word);

/* Goes on when so many have come here, and not before. */
void meet(volatile int *here, int size);

/* Calls that the C library has no names for. */
pid_t thread_id(void);

/* The letter that /proc has for the state of a thread of this process, 0 where there is none. */
char state_of_thread(pid_t id);

#endif
