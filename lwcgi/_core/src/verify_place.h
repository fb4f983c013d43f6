/* SPDX-License-Identifier: MIT */
/*
 * What lies at an address: the C symbol, the Python object. All is read from
 * the holder, where a wild pointer is an error and no crash.
 */
#ifndef LWCGI_VERIFY_PLACE_H
#define LWCGI_VERIFY_PLACE_H

#include "verify_memory.h"

/* Adds "; C symbol name+0x8" and "; Python object of type name at 0x…+0x8",
 * where they are found. `type` is the address of PyType_Type, or 0. */
void place_name(const struct memory *m, const struct note *areas, uint64_t type, uint64_t at,
                struct text *why);

#endif
