/* SPDX-License-Identifier: MIT */
/*
 * `--verify`: is everything as it was frozen? Compares memory, mappings,
 * descriptors and attributes with the holder and with a record made when the
 * worker was armed, and shares nothing with the code that puts them back.
 *
 * It takes milliseconds. It writes to nothing but its own region, and leaves
 * no descriptor and no mapping behind.
 */
#ifndef LWCGI_VERIFY_H
#define LWCGI_VERIFY_H

#include "verify_files.h"
#include "verify_memory.h"

enum {
    VERIFY_SPANS = 32,
    VERIFY_AREAS = 1 << 20, /* bytes of text */
    VERIFY_FILES = 1 << 18,
    VERIFY_ATTRIBUTES = 1 << 16,
    VERIFY_SCRATCH = 1 << 14,
};

struct verify_setup {
    int32_t holder; /* pid */
    uint32_t without_count;
    uint32_t exempt_count;
    uint32_t unused;
    struct span without[VERIFY_SPANS]; /* not the application's: keep, stacks of the root … */
    struct span exempt[VERIFY_SPANS];  /* whose bytes may differ: the thread id */
    verify_own_fd *is_own_fd;          /* the root's descriptors come and go */
    const void *own_fd_arg;
    uint64_t python_type; /* address of PyType_Type, to name objects; or 0 */
};

/* In a region of the root's own, which is left out by itself. */
struct verify {
    struct verify_setup setup;
    int32_t root; /* pid */
    int32_t session;
    uint64_t root_dev, root_ino; /* of the root directory */
    struct note areas, areas_now;
    struct note files, files_now;
    struct note attributes, attributes_now;
    struct memory memory;
    char areas_room[2][VERIFY_AREAS];
    char files_room[2][VERIFY_FILES];
    char attributes_room[2][VERIFY_ATTRIBUTES];
    char scratch[VERIFY_SCRATCH];
};

/* In the root, when armed: mappings and descriptors. Returns 0 or -errno. */
int verify_record(struct verify *v, const struct verify_setup *setup);

/* In the first serving child, before its first request: the attributes all
 * later ones are to have. Returns 0 or -errno. */
int verify_record_child(struct verify *v);

/* In a serving child between two requests. Returns 0; 1 with the first
 * difference in `why`; -errno where there is no telling. */
int verify_compare(struct verify *v, struct text *why);

#endif
