/* SPDX-License-Identifier: MIT */
/*
 * Log lines built without the C library's formatting, which writes to memory
 * outside the keep.
 */
#ifndef LWCGI_TEXT_H
#define LWCGI_TEXT_H

#include <stddef.h>
#include <stdint.h>

struct text {
    char *at;
    char *end; /* never passed; what does not fit is cut */
};

void text_str(struct text *t, const char *s);
void text_num(struct text *t, uint64_t n);
/* `n` with at least `width` digits. */
void text_pad(struct text *t, uint64_t n, int width);
/* Bytes from outside: control characters, quotes, backslashes and anything
 * above 0x7e are written as \xHH, so that nobody forges a line. */
void text_escaped(struct text *t, const uint8_t *s, size_t len);
/* Wall-clock time now, UTC, as 2026-11-24T06:15:13Z. */
void text_time(struct text *t);

#endif
