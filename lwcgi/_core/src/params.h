/* SPDX-License-Identifier: MIT */
/*
 * FastCGI name-value pairs turned into the block a context reads its CGI
 * variables from: "NAME\0VALUE\0NAME\0VALUE\0".
 *
 * Source: FastCGI Specification 1.0, section 3.4; RFC 3875 section 4.1.18 for
 * HTTP_* and the joining of repeated headers.
 */
#ifndef LWCGI_PARAMS_H
#define LWCGI_PARAMS_H

#include <stddef.h>
#include <stdint.h>

/* More pairs than any web server sends; bounds the work repeated names cost. */
enum { PARAMS_MAX_PAIRS = 1000 };

struct pair {
    const uint8_t *name;
    const uint8_t *value;
    uint32_t name_len;
    uint32_t value_len;
};

/* What the root itself needs to know of a request; each points into the pairs
 * given to params_decode, with length 0 where the variable is missing. */
struct params_known {
    struct pair content_length;
    struct pair method;
    struct pair uri;
    struct pair protocol;
    struct pair remote_addr;
    struct pair request_id; /* REQUEST_ID, or else HTTP_X_REQUEST_ID */
    struct pair user_agent;
    struct pair referer;
    uint32_t count; /* pairs used of the scratch array */
    uint32_t unused;
};

enum params_error {
    PARAMS_MALFORMED = -1, /* a length runs past the end */
    PARAMS_NUL = -2,       /* a NUL in a name or a value: it would split the block */
    PARAMS_TOO_MANY = -3,  /* more than PARAMS_MAX_PAIRS */
    PARAMS_BAD_NAME = -4,  /* an empty name */
    PARAMS_CONFLICT = -5,  /* two different CONTENT_LENGTHs: a smuggling attempt */
};

/* Decodes `len` bytes of pairs into `block` (which has room for `len` bytes:
 * the block is never longer than the pairs). `scratch` holds PARAMS_MAX_PAIRS
 * pairs. HTTP_PROXY is dropped (httpoxy); repeated HTTP_* variables are joined
 * with ", " (cookies with "; "), but for HTTP_HOST; of it and any other repeated variable the last
 * one counts, since the web server's own configuration overrides that way. Returns the block's
 * length or a params_error. */
long params_decode(const uint8_t *pairs, size_t len, uint8_t *block, struct pair *scratch,
                   struct params_known *known);

/* Reads a decimal CONTENT_LENGTH. Returns 0, 1 where the length is not known, -1 where it is not
 * a number of at most 18 digits. Not known: the variable is missing, empty, or "-1", which
 * Caddy (2.6) sends with a chunked body, and over HTTP/3 also without any. */
int params_content_length(const struct pair *p, uint64_t *value);

#endif
