/* SPDX-License-Identifier: MIT */
/*
 * What the `rewind` engine keeps beside the keep, and how it freezes a worker.
 */
#ifndef LWCGI_ARMING_H
#define LWCGI_ARMING_H

#include <sys/resource.h>

#include "cpu.h"
#include "image.h"
#include "keep.h"
#include "lost.h"
#include "track.h"

/* Places in keep.own. */
enum { OWN_ASK, OWN_UFFD, OWN_PAGEMAP, OWN_HOLDER, OWN_PIDFD };

enum {
    REWIND_STACK = 128 * 1024,
    REWIND_ALTSTACK = 256 * 1024,
    REWIND_LINE = 1024,
};

/* What belongs to the memory as a whole, and does not go back. */
struct whole {
    long deny_write_execute;
    long merge;
    long membarrier;
    uint32_t free_keys; /* memory protection keys that nobody has, bit 1 << key */
    char core_filter[16];
    char oom_score[16]; /* of all that share the memory */
};

struct rewind {
    struct cpu cpu;
    struct image image;
    struct track track;
    struct lost lost;
    struct mapping now[IMAGE_MAPPINGS];
    struct verify *verify; /* NULL without --verify */
    uint8_t *root_stack;   /* both: the first byte behind it */
    uint8_t *loop_stack;
    uint8_t *altstack; /* its first byte */
    void *robust_list;
    size_t robust_len;
    struct rlimit stack_limit;
    uint64_t faults;  /* of the serving child when it entered the request */
    uint64_t undo_ns; /* when the last undo began */
    int32_t blind;    /* system calls cannot be seen */
    int32_t unhurt;   /* in the request that ended nothing faulted */
    int32_t ask;      /* eventfd: the child asks the root to tidy its table */
    uint32_t asked;   /* futex: 0 until the root has */
    uint32_t line_len;
    int32_t left; /* the child ended in order */
    int32_t why;  /* number of the system call that made this end costly; -1 */
    int32_t thp_disabled;
    int32_t recorded; /* the attributes a serving child must have */
    int32_t unused;
    struct whole whole;
    char line[REWIND_LINE]; /* what the log will say of the request that ended */
};

/* Maps everything. Returns 0 or -errno. */
int arming_map(struct keep *k, struct inbox *in);

/* Where calls went unseen: has any of it changed? Fills `now` in. */
void arming_look_at_whole(struct whole *now);

/* Freezes the memory of this process: called on the root's stack. Returns 0,
 * or -errno with a line in the log. */
int arming_freeze(struct keep *k, struct inbox *in);

#endif
