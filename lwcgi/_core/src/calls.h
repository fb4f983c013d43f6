/* SPDX-License-Identifier: MIT */
/*
 * The table of system calls: what each may do to the state of a request's
 * context, and so what is to become of it.
 */
#ifndef LWCGI_CALLS_H
#define LWCGI_CALLS_H

#include "call.h"

enum verdict calls_judge(struct call *c);

#endif
