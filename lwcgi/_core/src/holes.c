/* SPDX-License-Identifier: MIT */
#include "holes.h"

#include <malloc.h>
#include <stdint.h>
#include <stdlib.h>

/* Part of CPython's stable ABI. */
extern void *PyObject_Malloc(size_t);
extern void PyObject_Free(void *);
extern int PyGILState_Ensure(void);
extern void PyGILState_Release(int);

/* Of pymalloc, where it finds arenas by a radix tree. */
enum {
    POOL = 16384,
    KEPT_POOL = 32, /* of so many: an arena has 63 or 64 */
    CLASS = 16,
    LARGEST = 512,
};

/* The head of a pool of blocks of one class. */
struct pool {
    uint32_t used;
    uint32_t unused;
    void *free, *next, *previous;
    uint32_t arena;
    uint32_t class;
};

static const struct pool *pool_of(const void *block, size_t size)
{
    const struct pool *p = (const struct pool *)((uintptr_t)block & ~(uintptr_t)(POOL - 1));

    /* Another allocator's, or with the debug layer: then its head tells another class. */
    return p->class == (size - 1) / CLASS && p->used && p->used <= POOL / size ? p : NULL;
}

/* Fills the pools of one class until one is begun. Returns the bytes it took,
 * or -1 where blocks are not pymalloc's. */
static long fill_class(size_t size, size_t most)
{
    size_t filled = 0;

    while (filled < most) {
        void *block = PyObject_Malloc(size);
        const struct pool *p = block ? pool_of(block, size) : NULL;
        int fresh = p && p->used == 1;
        if (!p || fresh)
            PyObject_Free(block);
        if (!p)
            return -1;
        if (fresh)
            break;
        filled += size; /* kept for ever */
    }
    return (long)filled;
}

size_t lw_fill_pymalloc(size_t most)
{
    int state = PyGILState_Ensure(); /* cffi calls without the lock */
    size_t size, filled = 0;
    long ret = 0;

    for (size = CLASS; size <= LARGEST && filled < most && ret >= 0; size += CLASS) {
        ret = fill_class(size, most - filled);
        filled += ret > 0 ? (size_t)ret : 0;
    }
    PyGILState_Release(state);
    return filled;
}

size_t lw_fill_malloc(size_t most, size_t room)
{
    char *end = malloc(room), *block; /* what comes from behind it is no hole */
    size_t size, filled = 0;

    for (size = 64 << 10; end && size >= CLASS; size -= size > 4096 ? 4096 : CLASS) {
        while (filled < most) {
            block = malloc(size);
            if (!block || block > end) {
                free(block);
                break;
            }
            filled += size;
        }
    }
    free(end);
    return filled;
}

void lw_make_malloc_room(size_t room)
{
    /* Large blocks too are to come from there, and to stay when they are freed. */
    mallopt(M_MMAP_THRESHOLD, 32 << 20); /* the most it takes */
    mallopt(M_TRIM_THRESHOLD, 256 << 20);
    free(malloc(room));
    mallopt(M_TOP_PAD, 1 << 20);
}

void lw_make_pymalloc_room(size_t room)
{
    int state = PyGILState_Ensure();
    size_t pools = 0;
    void *chain = NULL, *block;

    while (pools < room / POOL) {
        const struct pool *p;
        block = PyObject_Malloc(LARGEST);
        p = block ? pool_of(block, LARGEST) : NULL;
        if (!p) {
            PyObject_Free(block);
            break;
        }
        if (p->used == 1 && ++pools % KEPT_POOL == 0)
            continue; /* stays, and its arena with it */
        *(void **)block = chain;
        chain = block;
    }
    while (chain) {
        block = chain;
        chain = *(void **)block;
        PyObject_Free(block);
    }
    PyGILState_Release(state);
}
