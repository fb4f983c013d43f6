/* SPDX-License-Identifier: MIT */
/*
 * Byte by byte: the memory of this process beside that of the holder.
 */
#ifndef LWCGI_VERIFY_MEMORY_H
#define LWCGI_VERIFY_MEMORY_H

#include <stddef.h>
#include <stdint.h>

#include "verify_areas.h"

enum { VERIFY_PAGE = 4096, VERIFY_WINDOW = 64 /* pages looked at at once */ };

struct memory {
    int32_t holder;
    /* Open during one comparison; -1 where they cannot be. */
    int32_t own_pagemap, holder_pagemap;
    int32_t own_mem, holder_mem;
    int32_t swapped; /* some of our pages are, so an absent one may hold anything */
    uint64_t own_pages[VERIFY_WINDOW];
    uint64_t holder_pages[VERIFY_WINDOW];
    uint8_t expected[VERIFY_WINDOW * VERIFY_PAGE];
    uint8_t found[VERIFY_PAGE];
};

struct difference {
    uint64_t at;
    uint64_t expected_word, found_word; /* of the aligned 8 bytes around it */
    uint8_t expected, found;
    uint8_t expected_readable, found_readable; /* one of them is not: no bytes to compare */
};

void memory_open(struct memory *m);
void memory_close(struct memory *m);

/* Returns 0, or 1 with the first byte of the area that is not in one of the
 * `count` spans `exempt` and differs. */
int memory_compare(struct memory *m, const struct area *a, const struct span *exempt,
                   uint32_t count, struct difference *d);

/* Copies memory of the holder, where there is any. Returns 0 or -errno. */
int memory_fetch(const struct memory *m, uint64_t at, void *to, size_t len);

#endif
