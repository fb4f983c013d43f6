/* SPDX-License-Identifier: MIT */
/*
 * Calls on the task itself: processes, signals, credentials, attributes.
 */
#ifndef LWCGI_CALL_TASK_H
#define LWCGI_CALL_TASK_H

#include "call.h"

enum verdict call_clone(struct call *c);
enum verdict call_unshare(struct call *c);
enum verdict call_kill(struct call *c);
enum verdict call_sigaction(struct call *c);
enum verdict call_sigprocmask(struct call *c);
enum verdict call_sigaltstack(struct call *c);
enum verdict call_waits_with_mask(struct call *c);
enum verdict call_credentials(struct call *c);
enum verdict call_prctl(struct call *c);
enum verdict call_arch_prctl(struct call *c);
enum verdict call_prlimit(struct call *c);
enum verdict call_membarrier(struct call *c);

#endif
