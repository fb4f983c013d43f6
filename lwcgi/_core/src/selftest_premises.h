/* SPDX-License-Identifier: MIT */
/*
 * The premises, each a function that tries it. They leave things behind: for a
 * process that ends afterwards.
 */
#ifndef LWCGI_SELFTEST_PREMISES_H
#define LWCGI_SELFTEST_PREMISES_H

#include <stdint.h>

#include "selftest_memory.h"

enum { NO_KIND = -1 };

struct trial {
    struct tools tools;
    const char *file;
    volatile int32_t *kind; /* of mapping that is being tried; NO_KIND */
};

struct premise {
    const char *name;   /* the claim */
    const char *remedy; /* where a call is refused */
    int (*once)(struct trial *);
    int (*each)(const struct tools *, const struct sample *); /* for each kind of mapping */
    int optional;
};

/* In the order in which they are to be tried: some open what later ones use. */
extern const struct premise PREMISES[];
extern const int PREMISE_COUNT;

/* Returns 0, -errno, or -SELFTEST_DIFFERS. */
int premise_holds(struct trial *t, const struct premise *p);

#endif
