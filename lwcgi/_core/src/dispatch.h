/* SPDX-License-Identifier: MIT */
/*
 * Seeing the application's system calls: syscall user dispatch turns each into
 * a SIGSYS (Linux 5.11; Documentation/admin-guide/syscall-user-dispatch.rst),
 * and its handler looks up what is to become of the call.
 */
#ifndef LWCGI_DISPATCH_H
#define LWCGI_DISPATCH_H

#include <stddef.h>
#include <stdint.h>

#include "trace.h"

/* In the root: installs the handler, which serving children inherit. Returns 0;
 * -EBUSY where the application handles SIGSYS itself; -EINVAL where the kernel
 * has no dispatch; another -errno. */
int dispatch_install(struct trace *t);

/* In a serving child: from here on the calls of the application are seen. */
int dispatch_on(void *altstack, size_t size);

/* Between two requests: makes room where most stubs are in use. */
void dispatch_spare_stubs(struct trace *t);

/* Called by the stubs in a copy of the process that the application forked:
 * closes what is the root's. */
void dispatch_in_fork(void) __attribute__((visibility("hidden")));

#endif
