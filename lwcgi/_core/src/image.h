/* SPDX-License-Identifier: MIT */
/*
 * The image: the private memory of the worker as it was frozen. Says what was
 * written since (userfaultfd write-protection, PAGEMAP_SCAN) and what stood
 * there before (the holder, a copy-on-write child that never runs).
 */
#ifndef LWCGI_IMAGE_H
#define LWCGI_IMAGE_H

#include <stddef.h>
#include <stdint.h>

#include "maps.h"
#include "pages.h"

enum { IMAGE_MAPPINGS = 8192, IMAGE_PAGE = 4096, IMAGE_SKIPPED = 16 };

struct image {
    int32_t uffd;
    int32_t pagemap;
    int32_t holder; /* pid */
    int32_t holder_pidfd;
    uint32_t count;
    uint32_t skipped_count;
    /* Regions that are not the application's: keep, shadow, stacks of the root. */
    struct {
        uint64_t start, end;
    } skipped[IMAGE_SKIPPED];
    struct mapping frozen[IMAGE_MAPPINGS]; /* every mapping when armed, ascending, but skipped */
};

/* Registers and write-protects the image and forks the holder. Fills in all of
 * `im` but skipped[]. Returns 0 or -errno, with *what naming the step. */
int image_arm(struct image *im, const char **what);

/* The present mappings without the regions of ours, into IMAGE_MAPPINGS places.
 * Returns how many, or -errno. */
long image_list(const struct image *im, struct mapping *to);

/* Is what is written to such a mapping seen? */
int image_is_tracked(const struct mapping *m);

/* The frozen mapping that holds `at`, or NULL; the first that ends behind it. */
const struct mapping *image_mapping(const struct image *im, uint64_t at);
const struct mapping *image_from(const struct image *im, uint64_t at);
/* Some of start..end belongs to a frozen mapping, or to a region of ours. */
int image_touches(const struct image *im, uint64_t start, uint64_t end);
int image_is_ours(const struct image *im, uint64_t start, uint64_t end);

/* A mapping that was inaccessible is about to be opened: from now on it is
 * tracked like the rest. Returns 0 or -errno. */
int image_track(struct image *im, uint64_t start, uint64_t end);

/* Write-protects start..end again. Returns 0 or -errno. */
int image_protect(struct image *im, uint64_t start, uint64_t end);

/* Copies the original bytes of start..start+len to `to`. Returns 0 or -errno. */
int image_original(const struct image *im, uint64_t start, void *to, size_t len);

/* Lists what is not write-protected from *at on. Returns how many regions;
 * *at is where to go on, 0 when all was seen. Or -errno. */
long image_written(struct image *im, uint64_t *at, struct page_region *to, size_t room);

/* Lists likewise what holds bytes of its own: see pages_filled. */
long image_filled(const struct image *im, uint64_t *at, struct page_region *to, size_t room,
                  int swapped);

/* Finds a stretch of the frozen mapping `m` that is another mapping now, if it
 * looks the same or not. Returns 1 with the first such, 0, or -errno. */
long image_replaced(struct image *im, const struct mapping *m, struct page_region *first);

#endif
