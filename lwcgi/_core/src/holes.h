/* SPDX-License-Identifier: MIT */
/*
 * Before freezing: the holes that the loaded application left in its memory are
 * filled, so that what a request allocates lies together in few pages; and
 * there is room behind them, so that a request need not ask the kernel.
 *
 * Ordinary code of an ordinary process: it uses the C library and Python.
 */
#ifndef LWCGI_HOLES_H
#define LWCGI_HOLES_H

#include <stddef.h>

/* Fills holes of pymalloc (Objects/obmalloc.c, CPython 3.10 and later), but no
 * more than `most` bytes. Returns how many; 0 where Python uses another
 * allocator. */
size_t lw_fill_pymalloc(size_t most);

/* … of glibc's malloc, which has `room` bytes at its end. */
size_t lw_fill_malloc(size_t most, size_t room);

/* Has pymalloc and malloc hold so many fresh bytes. */
void lw_make_pymalloc_room(size_t room);
void lw_make_malloc_room(size_t room);

#endif
