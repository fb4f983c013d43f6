/* SPDX-License-Identifier: MIT */
/*
 * A domain for contexts under attack (--isolate hostile), its own for each under
 * `fork`; under `lwc` for those of one serving process, of which no two live at a
 * time: who makes a process ends it with the request. The kernel refuses it, and all
 * it starts, whatever a debugger may do to processes outside, of the same user or not
 * (Landlock, landlock(7)): read and write memory, take descriptors, trace. Nothing else
 * of what it may do changes, but that programs it starts gain no rights, and that it
 * sends no signals to processes outside where the kernel can refuse that (Linux 6.12).
 */
#ifndef LWCGI_CONFINE_H
#define LWCGI_CONFINE_H

#include "keep.h"

enum { OWN_RULESET = KEEP_OWN - 1 }; /* the others are the engines' own */

/* In the root, when it is armed: no program this process starts gains rights,
 * and k->own[OWN_RULESET] says what a context may do. Returns 0 or -errno. */
int confine_prepare(struct keep *k);

/* In a context, before it sees its request: makes it a domain of its own, for
 * good. Returns 0 or -errno; -EBUSY where there are threads besides. */
int confine_enter(int ruleset);

/* Tries it in a process made for that. Returns 0, or -errno where the kernel
 * cannot, -EOPNOTSUPP where it did not refuse what it should. */
int confine_try(void);

#endif
