/* SPDX-License-Identifier: MIT */
/*
 * Tries syscall user dispatch: are system calls from outside one range of code
 * reported, and only those, and only to the task that asked for it?
 */
#ifndef LWCGI_SELFTEST_DISPATCH_H
#define LWCGI_SELFTEST_DISPATCH_H

/* Changes what SIGSYS does: for a process that ends afterwards. Returns 0,
 * -errno, or -SELFTEST_DIFFERS. */
int selftest_dispatch(void);

#endif
