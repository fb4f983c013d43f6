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
/* Bytes from outside, so that nobody forges a line: control characters are
 * written as \xHH. UTF-8 passes; whoever shows the line judges it. */
void text_escaped(struct text *t, const uint8_t *s, size_t len);
/* … for a field between quotes: quotes, backslashes and all that is not ASCII
 * as well. */
void text_quoted(struct text *t, const uint8_t *s, size_t len);
/* … for a string of JSON (RFC 8259), ASCII alone: what is not ASCII or not
 * printable as \uXXXX, bytes that are no UTF-8 as the four characters \xHH. */
void text_json(struct text *t, const uint8_t *s, size_t len);
/* Wall-clock time now, UTC, as 2026-11-24T06:15:13Z, … */
void text_time(struct text *t);
/* … as 2026-11-24T06:15:13.042Z. */
void text_time_ms(struct text *t);

#endif
