/* SPDX-License-Identifier: MIT */
/*
 * The table of this process's mappings, read from /proc/self/maps.
 */
#ifndef LWCGI_MAPS_H
#define LWCGI_MAPS_H

#include <stddef.h>
#include <stdint.h>

enum {
    MAP_READ = 1,
    MAP_WRITE = 2,
    MAP_EXEC = 4,
    MAP_SHARES = 8,   /* MAP_SHARED */
    MAP_SPECIAL = 16, /* vdso, vvar, vsyscall and the like: the kernel's own */
    MAP_STACK_AREA = 32,
    MAP_HEAP = 64,
};

struct mapping {
    uint64_t start;
    uint64_t end;
    uint64_t offset;
    uint64_t inode;
    uint32_t dev; /* major << 20 | minor */
    uint32_t flags;
};

/* Reads the table in ascending order, neighbours that differ in nothing
 * joined. Returns how many, -E2BIG where there are more than `room`, or
 * another -errno. */
long maps_read(struct mapping *to, size_t room);

/* Bytes of address space now. Returns 0 or -errno. */
int maps_vsize(uint64_t *bytes);

/* Takes start..end out of the table. Returns how many are left, or -E2BIG. */
long maps_without(struct mapping *m, long count, size_t room, uint64_t start, uint64_t end);

#endif
