/* SPDX-License-Identifier: MIT */
#include "entropy.h"

#include <string.h>

#include "sys.h"

enum { SEED = 32 };

static int from_kernel(void *to, size_t len)
{
    long n = SYS(SYS_getrandom, to, len, 0, 0, 0, 0);

    return n == (long)len ? 0 : n < 0 ? (int)n : -EIO;
}

/* Each seed is handed out once and then wiped. */
static int take_seed(struct keep *k, uint64_t seed[4])
{
    uint8_t *at;
    int ret;

    if (!k)
        return from_kernel(seed, SEED);
    if (k->entropy_left < SEED) {
        ret = from_kernel(k->entropy, sizeof k->entropy);
        if (ret)
            return ret;
        k->entropy_left = sizeof k->entropy;
    }
    k->entropy_left -= SEED;
    at = k->entropy + k->entropy_left;
    memcpy(seed, at, SEED);
    memset(at, 0, SEED);
    return 0;
}

static uint64_t rotate(uint64_t x, int by)
{
    return x << by | x >> (64 - by);
}

/* https://prng.di.unimi.it/xoshiro256starstar.c describes it. */
static uint64_t next(uint64_t s[4])
{
    uint64_t result = rotate(s[1] * 5, 7) * 9, t = s[1] << 17;

    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotate(s[3], 45);
    return result;
}

int entropy_fill(struct keep *k, uint32_t state[MT_WORDS])
{
    uint64_t seed[4], word;
    int i, ret = take_seed(k, seed);

    if (ret)
        return ret;
    for (i = 0; i < MT_WORDS; i += 2) {
        word = next(seed);
        memcpy(state + i, &word, sizeof word);
    }
    state[0] |= 1u << 31; /* never all zero */
    memset(seed, 0, sizeof seed);
    __asm__ volatile("" : : "r"(seed) : "memory"); /* … and not optimised away */
    return 0;
}
