/* SPDX-License-Identifier: MIT */
/*
 * The only code whose system calls are not seen by syscall user dispatch: our
 * own calls (sys6 of sys.h), the way out of signal handlers, and a stub for
 * each call site of the application. The handler lets a call happen by making
 * it return into its stub: so it blocks, is interrupted and is restarted under
 * the application's own signal mask.
 */
#ifndef LWCGI_STUBS_H
#define LWCGI_STUBS_H

enum { STUB_SIZE = 32, FORK_STUB_SIZE = 48 };

extern const char lw_calls_begin[] __attribute__((visibility("hidden")));
extern const char lw_calls_end[] __attribute__((visibility("hidden")));
extern const char lw_stubs[] __attribute__((visibility("hidden")));
/* In the copy that a fork made, these call dispatch_in_fork() first. */
extern const char lw_fork_stubs[] __attribute__((visibility("hidden")));

void __attribute__((visibility("hidden"))) lw_restorer(void);

#endif
