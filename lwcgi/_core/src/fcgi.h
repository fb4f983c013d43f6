/* SPDX-License-Identifier: MIT */
/*
 * The FastCGI 1.0 protocol with no I/O in it: bytes in, events out, and
 * builders for what an application sends back.
 *
 * Source: FastCGI Specification 1.0, sections 3 to 5 and 8.
 */
#ifndef LWCGI_FCGI_H
#define LWCGI_FCGI_H

#include <stddef.h>
#include <stdint.h>

enum {
    FCGI_VERSION = 1,
    FCGI_HEADER_LEN = 8,
    FCGI_MAX_CONTENT = 65535,
    /* The largest content that is a multiple of eight: no padding needed. */
    FCGI_CHUNK = 65528,
};

enum fcgi_type {
    FCGI_BEGIN_REQUEST = 1,
    FCGI_ABORT_REQUEST = 2,
    FCGI_END_REQUEST = 3,
    FCGI_PARAMS = 4,
    FCGI_STDIN = 5,
    FCGI_STDOUT = 6,
    FCGI_STDERR = 7,
    FCGI_DATA = 8,
    FCGI_GET_VALUES = 9,
    FCGI_GET_VALUES_RESULT = 10,
    FCGI_UNKNOWN_TYPE = 11,
};

enum fcgi_role { FCGI_RESPONDER = 1, FCGI_AUTHORIZER = 2, FCGI_FILTER = 3 };

enum fcgi_status {
    FCGI_REQUEST_COMPLETE = 0,
    FCGI_CANT_MPX_CONN = 1,
    FCGI_OVERLOADED = 2,
    FCGI_UNKNOWN_ROLE = 3,
};

enum { FCGI_KEEP_CONN = 1 };

/* What the parser found. Streams (PARAMS, STDIN) come in slices as they
 * arrive; a slice of length 0 with `end` set closes the stream. */
enum fcgi_event_kind {
    FCGI_EV_NEED_MORE, /* the input is used up */
    FCGI_EV_BEGIN,
    FCGI_EV_ABORT,
    FCGI_EV_PARAMS,
    FCGI_EV_STDIN,
    FCGI_EV_DATA,
    FCGI_EV_GET_VALUES,   /* data/len: the whole content */
    FCGI_EV_UNKNOWN_TYPE, /* a management record of a type we do not know */
    FCGI_EV_IGNORED,      /* an application record that means nothing to a responder */
    FCGI_EV_ERROR,        /* `error` says what is wrong; the connection is lost */
};

/* A management record is answered whole, so its content is collected; names
 * known to the specification need under a hundred bytes. */
enum { FCGI_SMALL = 512 };

struct fcgi_event {
    int32_t kind;
    uint16_t id;
    uint16_t role;  /* BEGIN */
    uint8_t flags;  /* BEGIN */
    uint8_t type;   /* UNKNOWN_TYPE, IGNORED */
    uint8_t end;    /* PARAMS, STDIN, DATA: the stream is over */
    uint8_t unused; /* keeps the struct free of implicit padding */
    uint32_t len;
    const uint8_t *data;
    const char *error;
};

struct fcgi_parser {
    uint8_t head[FCGI_HEADER_LEN];
    uint32_t head_len;
    uint32_t content_left;
    uint32_t padding_left;
    uint32_t small_len;
    uint8_t in_record;
    uint8_t small[FCGI_SMALL];
};

/* Starts anew, at a record's border. */
void fcgi_reset(struct fcgi_parser *p);

/* Takes bytes from *in up to end and returns the next event's kind, which
 * ev->kind repeats. ev->data points into the input (streams) or into the
 * parser (GET_VALUES). */
int fcgi_next(struct fcgi_parser *p, const uint8_t **in, const uint8_t *end, struct fcgi_event *ev);

/* Builders. Each writes to `to` and returns the number of bytes written. */
size_t fcgi_header(uint8_t *to, int type, unsigned id, unsigned content, unsigned padding);
size_t fcgi_end_request(uint8_t *to, unsigned id, uint32_t app_status, int protocol_status);
size_t fcgi_unknown_type(uint8_t *to, int type);

/* An empty GET_VALUES_RESULT nobody asked for: see answer.h, ANSWER_TAIL. */
size_t fcgi_farewell(uint8_t *to);

/* Answers GET_VALUES: known names of the query get their value. Needs
 * FCGI_VALUES_MAX bytes; returns 0 where the query is malformed. */
enum { FCGI_VALUES_MAX = 128 };
size_t fcgi_values(uint8_t *to, const uint8_t *query, size_t len, unsigned max_conns,
                   unsigned max_reqs);

/* Reads one name-value pair's two lengths at *at (at most end). Returns 0, or
 * -1 where the lengths are cut off or run past the end. */
int fcgi_pair(const uint8_t **at, const uint8_t *end, uint32_t *name_len, uint32_t *value_len);

#endif
