/* SPDX-License-Identifier: MIT */
/*
 * The inside of a `fork` context: what it does on entering, and how it reads
 * its body and hands its answer to the root.
 */
#ifndef LWCGI_CONTEXT_H
#define LWCGI_CONTEXT_H

#include <stddef.h>

#include "keep.h"

/* First thing in the new process: gives up what is the root's, restores what
 * is the application's. Ends the process where a promise cannot be kept. */
void context_enter(struct inbox *in);

/* Ends the process where it is a copy of the context that the application
 * forked: such a copy has no answer to give. */
void context_only(const struct inbox *in);

/* Hands a part of the answer on by calls with at most so many bytes each; `final`: the very last
 * ones. Returns 0, -EPIPE where the answer is complete already, or what a call returned. */
int context_in_parts(struct inbox *in, const void *data, size_t len, int last, size_t most,
                     int (*hand_on)(struct inbox *in, const void *part, size_t len, int final));

/* Each returns 0 (or bytes read) or -errno; ends the process where it is a
 * copy the application forked, which has no answer to give. */
int context_write(struct inbox *in, const void *data, size_t len, int last);
long context_read(struct inbox *in, void *buf, size_t len);
int context_log(struct inbox *in, char level, const void *text, size_t len);
void __attribute__((noreturn)) context_abort(struct inbox *in);
void __attribute__((noreturn)) context_leave(struct inbox *in);

/* Errors of a request's body, beyond errno. */
enum { BODY_E_TOO_LARGE = 1000, BODY_E_WRONG_LENGTH, BODY_E_GONE };
long body_errno(int body_state);

#endif
