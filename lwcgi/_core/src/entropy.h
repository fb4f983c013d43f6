/* SPDX-License-Identifier: MIT */
/*
 * Fresh randomness for the state of generators, at a cost that every request
 * can bear.
 */
#ifndef LWCGI_ENTROPY_H
#define LWCGI_ENTROPY_H

#include <stdint.h>

#include "keep.h"

enum { MT_WORDS = 624 };

/* Fills the state of a Mersenne Twister with words that no other request has:
 * 32 bytes of the kernel's, stretched by xoshiro256** (Blackman and Vigna).
 * `k` holds the kernel's bytes in advance; NULL in a context that has no keep.
 * Returns 0 or -errno. */
int entropy_fill(struct keep *k, uint32_t state[MT_WORDS]);

#endif
