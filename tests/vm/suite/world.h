/* SPDX-License-Identifier: MIT */
#ifndef SUITE_WORLD_H
#define SUITE_WORLD_H
/* What tests need of the system around them. */
#include <stddef.h>
#include <sys/types.h>

#include "check.h"

#define PAGE 4096ul
#define MIB (1ul << 20)

#define PARAMETERS "/sys/module/lwc/parameters/"

/* Whether a condition comes true in time. */
#define EVENTUALLY(condition)                                                                      \
    ({                                                                                             \
        bool true_ = (condition);                                                                  \
        for (long until_ = milliseconds() + patience(2000); !true_ && milliseconds() < until_;) {  \
            short_pause();                                                                         \
            true_ = (condition);                                                                   \
        }                                                                                          \
        true_;                                                                                     \
    })

long milliseconds(void);
void short_pause(void);

/* So long on an ordinary kernel; longer on one that looks for faults and is slow. */
long patience(long milliseconds);

/* New pages, zero; private ones in a mapping that nothing is merged with, and without huge pages.
 */
void *private_pages(size_t count);
void *shared_pages(size_t count);

/* A file on a tmpfs, removed, of so many pages whose words are its offset + 1. */
int scratch_file(size_t pages);

/* The number in a file, or the negative errno; and a number into it. */
long number(const char *path);
void set_number(const char *path, long value);

/* The number in the first line of a file of lines that begin so; -1 without one. */
long line_number(const char *path, const char *begin);

/* A child process; it ends itself. */
pid_t fork_process(void);

/* How a child process ended: its exit code, or 128 + the signal. */
int ending(pid_t pid);

/* The signal that reading or writing (once) there gives, in a process of its own; 0 for none. */
int signal_of_read(const volatile void *address);
int signal_of_write(volatile void *address);

/* Whether a page is mapped. */
bool is_mapped(const volatile void *address);

/* A number for all mappings of this memory with their attributes; the same only for the same. */
uint64_t mappings(void);

/* Whether the module has no more lwCs and groups than these. */
struct live {
    long contexts;
    long groups;
};
struct live live(void);
bool dies_down_to(struct live before);

#endif
