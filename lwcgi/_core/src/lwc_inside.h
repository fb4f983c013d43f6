/* SPDX-License-Identifier: MIT */
/*
 * The inside of a worker of the `lwc` engine: what it does on entering, and how
 * it reads its body and hands its answer to the root, as context.h for `fork`.
 */
#ifndef LWCGI_LWC_INSIDE_H
#define LWCGI_LWC_INSIDE_H

#include <linux/types.h>
#include <stddef.h>

#include "keep.h"

/* First thing in a worker, with the words it was entered with: takes the request
 * over. */
void lwc_inside_enter(struct inbox *in, const __u64 *words);

/* As context_write, context_read, context_log. */
int lwc_inside_write(struct inbox *in, const void *data, size_t len, int last);
long lwc_inside_read(struct inbox *in, void *buf, size_t len);
void lwc_inside_log(struct inbox *in, char level, const void *text, size_t len);

/* The answer cannot be completed; where nothing was sent the client can still
 * be told. */
void lwc_inside_abort(struct inbox *in);

void __attribute__((noreturn)) lwc_inside_leave(struct inbox *in);

#endif
