/* SPDX-License-Identifier: MIT */
#include "fcgi.h"

#include <string.h>

void fcgi_reset(struct fcgi_parser *p)
{
    p->head_len = 0;
    p->content_left = 0;
    p->padding_left = 0;
    p->small_len = 0;
    p->in_record = 0;
}

static unsigned be16(const uint8_t *b)
{
    return (unsigned)b[0] << 8 | b[1];
}

static int fail(struct fcgi_event *ev, const char *why)
{
    ev->error = why;
    return ev->kind = FCGI_EV_ERROR;
}

/* A header is complete: check what can be checked before its content comes. */
static const char *check_header(const struct fcgi_parser *p)
{
    unsigned type = p->head[1], id = be16(p->head + 2), content = be16(p->head + 4);
    int management = type == FCGI_GET_VALUES || type > FCGI_UNKNOWN_TYPE;

    if (p->head[0] != FCGI_VERSION)
        return "record of a version other than 1";
    if (type == 0)
        return "record of type 0";
    if (id == 0 && !management && type != FCGI_GET_VALUES_RESULT && type != FCGI_UNKNOWN_TYPE)
        return "application record with request id 0";
    if (type == FCGI_GET_VALUES && id != 0)
        return "management record with a request id";
    if (type == FCGI_BEGIN_REQUEST && content != 8)
        return "BEGIN_REQUEST whose content is not 8 bytes long";
    if (type == FCGI_GET_VALUES && content > FCGI_SMALL)
        return "GET_VALUES with more content than any known query";
    return NULL;
}

/* The record's content is complete and lies in p->small. */
static int small_event(struct fcgi_parser *p, struct fcgi_event *ev)
{
    unsigned type = p->head[1];

    if (type == FCGI_BEGIN_REQUEST) {
        ev->role = (uint16_t)be16(p->small);
        ev->flags = p->small[2];
        return ev->kind = FCGI_EV_BEGIN;
    }
    ev->data = p->small;
    ev->len = p->small_len;
    return ev->kind = FCGI_EV_GET_VALUES;
}

static int stream_kind(unsigned type)
{
    switch (type) {
    case FCGI_PARAMS:
        return FCGI_EV_PARAMS;
    case FCGI_STDIN:
        return FCGI_EV_STDIN;
    case FCGI_DATA:
        return FCGI_EV_DATA;
    default:
        return 0;
    }
}

/* The first moment of a record, its content still to come. Returns an event
 * for records whose content is empty or does not matter, 0 otherwise. */
static int open_record(struct fcgi_parser *p, struct fcgi_event *ev)
{
    unsigned type = p->head[1];

    p->in_record = 1;
    p->content_left = be16(p->head + 4);
    p->padding_left = p->head[6];
    p->small_len = 0;
    if (stream_kind(type)) {
        ev->end = p->content_left == 0;
        return ev->end ? (ev->kind = stream_kind(type)) : 0;
    }
    if (type == FCGI_GET_VALUES && p->content_left == 0)
        return small_event(p, ev);
    if (type == FCGI_BEGIN_REQUEST || type == FCGI_GET_VALUES)
        return 0;
    if (type == FCGI_ABORT_REQUEST)
        return ev->kind = FCGI_EV_ABORT;
    if (be16(p->head + 2) == 0)
        return ev->kind = FCGI_EV_UNKNOWN_TYPE;
    return ev->kind = FCGI_EV_IGNORED;
}

static uint32_t least(uint32_t left, const uint8_t *in, const uint8_t *end)
{
    size_t have = (size_t)(end - in);
    return have < left ? (uint32_t)have : left;
}

/* Takes content of the record under way; 0 where it gives no event. */
static int take_content(struct fcgi_parser *p, const uint8_t **in, const uint8_t *end,
                        struct fcgi_event *ev)
{
    unsigned type = p->head[1];
    uint32_t n = least(p->content_left, *in, end);
    const uint8_t *data = *in;

    *in += n;
    p->content_left -= n;
    if (stream_kind(type)) {
        ev->data = data;
        ev->len = n;
        return ev->kind = stream_kind(type);
    }
    if (type == FCGI_BEGIN_REQUEST || type == FCGI_GET_VALUES) {
        memcpy(p->small + p->small_len, data, n);
        p->small_len += n;
        if (p->content_left == 0)
            return small_event(p, ev);
    }
    return 0;
}

int fcgi_next(struct fcgi_parser *p, const uint8_t **in, const uint8_t *end, struct fcgi_event *ev)
{
    memset(ev, 0, sizeof *ev);
    for (;;) {
        uint32_t n;
        int kind;

        if (p->in_record && p->content_left == 0) {
            n = least(p->padding_left, *in, end);
            *in += n;
            p->padding_left -= n;
            if (p->padding_left == 0) {
                p->in_record = 0;
                p->head_len = 0;
            }
        }
        if (*in == end)
            return ev->kind = FCGI_EV_NEED_MORE;
        if (p->in_record) {
            ev->id = (uint16_t)be16(p->head + 2);
            kind = take_content(p, in, end, ev);
            if (kind)
                return kind;
            continue;
        }
        n = least(FCGI_HEADER_LEN - p->head_len, *in, end);
        memcpy(p->head + p->head_len, *in, n);
        p->head_len += n;
        *in += n;
        if (p->head_len == FCGI_HEADER_LEN) {
            const char *wrong = check_header(p);
            if (wrong)
                return fail(ev, wrong);
            ev->id = (uint16_t)be16(p->head + 2);
            ev->type = p->head[1];
            kind = open_record(p, ev);
            if (kind)
                return kind;
        }
    }
}

size_t fcgi_header(uint8_t *to, int type, unsigned id, unsigned content, unsigned padding)
{
    to[0] = FCGI_VERSION;
    to[1] = (uint8_t)type;
    to[2] = (uint8_t)(id >> 8);
    to[3] = (uint8_t)id;
    to[4] = (uint8_t)(content >> 8);
    to[5] = (uint8_t)content;
    to[6] = (uint8_t)padding;
    to[7] = 0; /* reserved: never leave a stale byte there */
    return FCGI_HEADER_LEN;
}

size_t fcgi_end_request(uint8_t *to, unsigned id, uint32_t app_status, int protocol_status)
{
    fcgi_header(to, FCGI_END_REQUEST, id, 8, 0);
    to[8] = (uint8_t)(app_status >> 24);
    to[9] = (uint8_t)(app_status >> 16);
    to[10] = (uint8_t)(app_status >> 8);
    to[11] = (uint8_t)app_status;
    to[12] = (uint8_t)protocol_status;
    memset(to + 13, 0, 3);
    return 16;
}

size_t fcgi_unknown_type(uint8_t *to, int type)
{
    fcgi_header(to, FCGI_UNKNOWN_TYPE, 0, 8, 0);
    to[8] = (uint8_t)type;
    memset(to + 9, 0, 7);
    return 16;
}

size_t fcgi_farewell(uint8_t *to)
{
    return fcgi_header(to, FCGI_GET_VALUES_RESULT, 0, 0, 0);
}

static int pair_length(const uint8_t **at, const uint8_t *end, uint32_t *len)
{
    const uint8_t *b = *at;

    if (b == end)
        return -1;
    if (b[0] < 0x80) {
        *len = b[0];
        *at = b + 1;
        return 0;
    }
    if (end - b < 4)
        return -1;
    *len = ((uint32_t)b[0] & 0x7f) << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
    *at = b + 4;
    return 0;
}

int fcgi_pair(const uint8_t **at, const uint8_t *end, uint32_t *name_len, uint32_t *value_len)
{
    uint64_t have;

    if (pair_length(at, end, name_len) || pair_length(at, end, value_len))
        return -1;
    /* Both lengths may be 2^31-1: the sum needs more than 32 bits. */
    have = (uint64_t)(end - *at);
    return (uint64_t)*name_len + *value_len <= have ? 0 : -1;
}

static size_t decimal(char *to, unsigned n)
{
    char digits[10];
    size_t len = 0, i;

    do {
        digits[len++] = (char)('0' + n % 10);
        n /= 10;
    } while (n);
    for (i = 0; i < len; i++)
        to[i] = digits[len - 1 - i];
    return len;
}

size_t fcgi_values(uint8_t *to, const uint8_t *query, size_t len, unsigned max_conns,
                   unsigned max_reqs)
{
    static const char *const names[] = {"FCGI_MAX_CONNS", "FCGI_MAX_REQS", "FCGI_MPXS_CONNS"};
    const unsigned values[] = {max_conns, max_reqs, 0};
    const uint8_t *at = query, *end = query + len;
    uint8_t *out = to + FCGI_HEADER_LEN;
    unsigned seen = 0, i;
    uint32_t name_len, value_len;

    while (at < end) {
        if (fcgi_pair(&at, end, &name_len, &value_len))
            return 0;
        for (i = 0; i < 3; i++) {
            size_t known = strlen(names[i]), digits;
            if (seen & 1u << i || name_len != known || memcmp(at, names[i], known) != 0)
                continue;
            seen |= 1u << i;
            memcpy(out + 2, names[i], known);
            digits = decimal((char *)out + 2 + known, values[i]);
            out[0] = (uint8_t)known;
            out[1] = (uint8_t)digits;
            out += 2 + known + digits;
        }
        at += name_len + value_len;
    }
    fcgi_header(to, FCGI_GET_VALUES_RESULT, 0, (unsigned)(out - to) - FCGI_HEADER_LEN, 0);
    return (size_t)(out - to);
}
