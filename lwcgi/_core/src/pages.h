/* SPDX-License-Identifier: MIT */
/*
 * Write-protection that the kernel lifts by itself and remembers as "written":
 * userfaultfd(2) with WP_ASYNC, and PAGEMAP_SCAN (Linux 6.7).
 */
#ifndef LWCGI_PAGES_H
#define LWCGI_PAGES_H

#include <stddef.h>
#include <stdint.h>

struct page_region { /* as struct page_region of <linux/fs.h> (6.7) */
    uint64_t start, end, categories;
};

/* A userfaultfd for faults of user mode only, which needs no privilege, from
 * the system call or from its device. Returns it, or -errno of the call. */
int pages_open(void);

/* Asks it for asynchronous write-protection, of memory never touched as well.
 * Returns 0 or -errno. */
int pages_start(int uffd);

/* Registers start..end, and write-protects it (again). Return 0 or -errno. */
int pages_register(int uffd, uint64_t start, uint64_t end);
int pages_protect(int uffd, uint64_t start, uint64_t end);

/* Lists what was written in the registered memory from *at to `end`, by an open
 * /proc/self/pagemap. Returns how many regions; *at is where to go on, 0 when
 * all was seen. Or -errno. */
long pages_written(int pagemap, uint64_t *at, uint64_t end, struct page_region *to, size_t room);

/* Lists likewise what holds bytes of its own: not of a file, not the page of
 * zeros that is everybody's. `swapped`: also what may have been swapped out, of
 * which the kernel does not tell pages that were never touched but are
 * write-protected. */
long pages_filled(int pagemap, uint64_t *at, uint64_t end, struct page_region *to, size_t room,
                  int swapped);

/* Finds the first stretch of start..end, mapped and once registered, that is
 * another mapping now. Returns 1 with it, 0, or -errno. */
long pages_replaced(int pagemap, uint64_t start, uint64_t end, struct page_region *first);

#endif
