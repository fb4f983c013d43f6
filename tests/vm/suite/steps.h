/* SPDX-License-Identifier: MIT */
#ifndef SUITE_STEPS_H
#define SUITE_STEPS_H
/*
 * What most tests do with the calls, with its checks.
 *
 *     struct lwc_create c;
 *
 *     if (make(&c, LWC_MAY_RETURN)) {
 *         ... in the new lwC; c.args[0] is the word it was entered with ...
 *         word = back(&c, 1);      to its creator with a word, until it is entered again
 *         finish(&c, 2);           to its creator, for good
 *     }
 *     CHECK_EQ(enter(c.fd, 0), 1);
 *     CHECK_EQ(enter(c.fd, word), 2);
 */
#include "calls.h"
#include "check.h"

/* A snapshot whose workers may come back. */
#define SNAPSHOT (LWC_SUSPEND_ONLY | LWC_MAY_RETURN)

/* Specifications for make_with(): their address and their number. */
#define SPECS(...)                                                                                 \
    (const struct lwc_spec[]){__VA_ARGS__},                                                        \
        sizeof((const struct lwc_spec[]){__VA_ARGS__}) / sizeof(struct lwc_spec)
#define MEMORY(action, address, bytes)                                                             \
    {LWC_MEMORY, LWC_##action, (uintptr_t)(address), (uintptr_t)(address) + (bytes)}
#define FILES(action, first, after) {LWC_FILES, LWC_##action, first, after}
#define SHARED_FILES FILES(SHARE, 0, LWC_ALL)
#define CREDENTIALS(action) {LWC_CREDENTIALS, LWC_##action, 0, LWC_ALL}
#define SHARED_CREDENTIALS CREDENTIALS(SHARE)
/* With LWC_MAY_ACCESS. */
#define ACCESS(kind, action, start, end) {LWC_##kind, LWC_##action | LWC_MAY_ACCESS, start, end}

/* A new lwC; true in the new one. */
bool make(struct lwc_create *c, __u32 flags);
bool make_with(struct lwc_create *c, __u32 flags, const struct lwc_spec *specs, __u32 nspecs);

/* Into an lwC with a word; the word that came back. */
__u64 enter(int fd, __u64 word);

/* In an lwC: to its creator with a word; the word it is entered with again. Or never again. */
__u64 back(const struct lwc_create *c, __u64 word);
_Noreturn void finish(const struct lwc_create *c, __u64 word);

int clone_of(int snapshot);
void reset(int worker);

/* A worker that is entered so often, with the number of the round (from 0), and reset each time;
 * each round must come back with the same word. */
void rounds(int snapshot, unsigned int count);

struct lwc_info info(int fd);

/* Every call that takes the name of an lwC must answer with the error for this one. */
#define CHECK_NAME(fd, error) check_name(__FILE__, __LINE__, fd, error)
void check_name(const char *file, int line, int fd, int error);

#endif
