/* SPDX-License-Identifier: MIT */
#include "holes.h"

#include <malloc.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

/* Part of CPython's stable ABI. */
extern void *PyObject_Malloc(size_t);
extern void PyObject_Free(void *);
extern int PyGILState_Ensure(void);
extern void PyGILState_Release(int);

enum {
    POOL = 16384,     /* of pymalloc, where it finds arenas by a radix tree */
    POOL_HEADER = 48, /* its first word counts the blocks in use */
    CLASS = 16,
    SMALLEST = 16,
    LARGEST = 512,
};

/* A block that is the first and only one of its pool: the holes are full. */
static int is_of_fresh_pool(const void *block)
{
    uintptr_t at = (uintptr_t)block, pool = at & ~(uintptr_t)(POOL - 1);

    return at - pool == POOL_HEADER && *(const uint32_t *)pool == 1;
}

static size_t fill_classes(size_t most)
{
    size_t size, filled = 0;

    for (size = SMALLEST; size <= LARGEST; size += CLASS) {
        while (filled < most) {
            void *block = PyObject_Malloc(size);
            if (!block)
                return filled;
            if (is_of_fresh_pool(block)) {
                PyObject_Free(block);
                break;
            }
            filled += size; /* kept for ever */
        }
    }
    return filled;
}

size_t lw_fill_pymalloc(size_t most)
{
    int state = PyGILState_Ensure(); /* cffi calls without the lock */
    size_t filled = fill_classes(most);

    PyGILState_Release(state);
    return filled;
}

size_t lw_fill_malloc(size_t most, size_t room)
{
    /* What comes from behind this was no hole. */
    char *top = (char *)sbrk(0) - mallinfo2().keepcost;
    size_t size, filled = 0;
    void *block;

    /* Large blocks too come from the heap, and what is freed stays there: a
     * request would otherwise map and unmap again and again. */
    mallopt(M_MMAP_THRESHOLD, 16 << 20);
    mallopt(M_TRIM_THRESHOLD, 256 << 20);
    mallopt(M_TOP_PAD, 1 << 20);
    for (size = 64 << 10; size >= 24; size = size > 4096 ? size - 4096 : size - 16) {
        while (filled < most) {
            block = malloc(size);
            if (!block)
                return filled;
            if ((char *)block >= top || (char *)block < top - (1l << 46)) {
                free(block);
                break;
            }
            filled += size;
        }
    }
    block = malloc(room);
    free(block);
    return filled;
}
