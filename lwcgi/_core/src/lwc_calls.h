/* SPDX-License-Identifier: MIT */
/*
 * Which system calls of a worker do what a reset does not put back. Here alone
 * it is decided whether its task may serve another request.
 *
 * What the kernel keeps with the task or the process, whichever lwC runs, stays
 * as a request left it (kmod/uapi/lwc.h, section 1). So calls that change such
 * things are refused at first: the root is asked, notes that the task is not to
 * serve another request, and lets them be made.
 *
 * Code under attack is asked for each of them anew, and some stay denied: a thread
 * could look at the memory of the process while its root runs, what shares memory
 * with the worker could make it open to others (PR_SET_DUMPABLE).
 */
#ifndef LWCGI_LWC_CALLS_H
#define LWCGI_LWC_CALLS_H

#include <linux/types.h>
#include <stdint.h>

enum { LWC_CALLS_BYTES = 64 }; /* LWC_IOC_TRAP: bit n % 8 of byte n / 8 is call n */

/* The calls that are refused to a worker whose request has made none of them yet. */
void lwc_calls_noted(uint8_t refused[LWC_CALLS_BYTES]);

/* … and once it has: what no worker may do. */
void lwc_calls_denied(uint8_t refused[LWC_CALLS_BYTES]);

/* A refused call: its number and arguments, as they came; `hostile`: code under attack makes it.
 * Returns 0 where it may be made, or the errno it is answered with. */
int lwc_calls_judge(const __u64 *call, int hostile);

#endif
