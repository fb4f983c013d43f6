/* SPDX-License-Identifier: MIT */
/*
 * Before freezing: the holes that the loaded application left in its memory are
 * filled, so that what a request allocates lies together in few pages.
 *
 * Ordinary code of an ordinary process: it uses the C library and Python.
 */
#ifndef LWCGI_HOLES_H
#define LWCGI_HOLES_H

#include <stddef.h>

/* Fills holes of pymalloc (Objects/obmalloc.c, CPython 3.10 and later), but no
 * more than `most` bytes. Returns how many. */
size_t lw_fill_pymalloc(size_t most);

/* … of glibc's malloc, and puts `room` bytes of fresh memory at its end. */
size_t lw_fill_malloc(size_t most, size_t room);

#endif
