/* SPDX-License-Identifier: MIT */
/*
 * Memory to try the kernel on: a sample of each kind of mapping an image may
 * hold, and each way in which bytes get into memory.
 *
 * Functions return 0 or a negative errno; -SELFTEST_DIFFERS where the kernel
 * did as it was told, with another outcome.
 */
#ifndef LWCGI_SELFTEST_MEMORY_H
#define LWCGI_SELFTEST_MEMORY_H

#include <stddef.h>
#include <stdint.h>

enum {
    SELFTEST_DIFFERS = 4096, /* no errno is as large */
    SAMPLE_PAGE = 4096,
    SAMPLE_PAGES = 3,
    SAMPLE_LEN = SAMPLE_PAGES * SAMPLE_PAGE,
    SAMPLE_VICTIM = 1, /* the page that is written: one with neighbours */
    SAMPLE_KINDS = 12,
    SAMPLE_WAYS = 6,
};

struct tools {
    int uffd;
    int pagemap;
    int mem;   /* /proc/self/mem, for writing; may be refused */
    int bytes; /* a file that holds each value once: byte n is n */
    int file;  /* what private file mappings are made of */
    int pipe[2];
    int pid;
    uint8_t *stack_top; /* for a task */
    uint8_t leads_to_writable[SAMPLE_WAYS];
    uint8_t leads_to_others[SAMPLE_WAYS];
};

struct sample {
    const struct kind *kind;
    uint8_t *at;
};

/* Opens everything but `uffd`. */
int tools_open(struct tools *t, const char *file);

const char *sample_kind(int kind);

/* Makes a sample, from nothing to write-protected. */
int sample_make(const struct tools *t, int kind, struct sample *s);
void sample_drop(const struct sample *s);
int sample_protect(const struct tools *t, const struct sample *s);
uint8_t *sample_victim(const struct sample *s);

/* The bytes a page of it has when it was dropped by MADV_DONTNEED. */
int sample_ground(const struct tools *t, const struct sample *s, uint8_t *page);

/* Does this way lead into such a sample, on this machine? */
int way_leads(const struct tools *t, const struct sample *s, int way);
/* Writes one byte into the victim. */
int way_write(const struct tools *t, const struct sample *s, int way, uint8_t value);
/* A way that leads into every sample. */
int way_sure(void);

/* The page faults of the calling task so far. */
uint64_t faults(void);

#endif
