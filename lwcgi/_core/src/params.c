/* SPDX-License-Identifier: MIT */
#include "params.h"

#include <string.h>

#include "fcgi.h"

static int is(const struct pair *p, const char *name, size_t len)
{
    return p->name_len == len && memcmp(p->name, name, len) == 0;
}

#define IS(p, literal) is(p, literal, sizeof(literal) - 1)

static int same_name(const struct pair *a, const struct pair *b)
{
    return a->name_len == b->name_len && memcmp(a->name, b->name, a->name_len) == 0;
}

/* A request header that may come in several lines. Host may not: web servers
 * refuse two, so a second value is the web server's own fastcgi_param. */
static int is_header(const struct pair *p)
{
    return p->name_len > 5 && memcmp(p->name, "HTTP_", 5) == 0 && !IS(p, "HTTP_HOST");
}

static int note(struct params_known *known, const struct pair *p)
{
    if (IS(p, "CONTENT_LENGTH")) {
        const struct pair *old = &known->content_length;
        if (old->value_len &&
            (old->value_len != p->value_len || memcmp(old->value, p->value, p->value_len) != 0))
            return PARAMS_CONFLICT;
        known->content_length = *p;
    } else if (IS(p, "REQUEST_METHOD")) {
        known->method = *p;
    } else if (IS(p, "REQUEST_URI")) {
        known->uri = *p;
    } else if (IS(p, "SERVER_PROTOCOL")) {
        known->protocol = *p;
    } else if (IS(p, "REMOTE_ADDR")) {
        known->remote_addr = *p;
    } else if (IS(p, "REQUEST_ID")) {
        known->request_id = *p;
    } else if (IS(p, "HTTP_X_REQUEST_ID")) {
        /* The web server's own word counts more than a header that it passes on. */
        if (!IS(&known->request_id, "REQUEST_ID"))
            known->request_id = *p;
    } else if (IS(p, "HTTP_USER_AGENT")) {
        known->user_agent = *p;
    } else if (IS(p, "HTTP_REFERER")) {
        known->referer = *p;
    }
    return 0;
}

/* One bit of 64 for a name: two names with different bits differ. */
static uint64_t mark(const struct pair *p)
{
    unsigned h = p->name_len * 31u + p->name[p->name_len - 1] * 7u + p->name[p->name_len / 2];
    return (uint64_t)1 << (h & 63);
}

static uint8_t *put(uint8_t *to, const uint8_t *from, size_t len)
{
    memcpy(to, from, len);
    return to + len;
}

/* Writes pairs[i] and what later pairs of the same name add to it or replace
 * it with; those are marked as done by a name of length 0. */
static uint8_t *put_pair(uint8_t *to, struct pair *pairs, size_t i, size_t n, int repeated)
{
    struct pair *p = &pairs[i];
    const char *glue = IS(p, "HTTP_COOKIE") ? "; " : ", ";
    size_t j;

    to = put(to, p->name, p->name_len);
    *to++ = 0;
    if (!repeated) {
        to = put(to, p->value, p->value_len);
        *to++ = 0;
        return to;
    }
    if (is_header(p)) {
        to = put(to, p->value, p->value_len);
        for (j = i + 1; j < n; j++) {
            if (!same_name(p, &pairs[j]))
                continue;
            to = put(to, (const uint8_t *)glue, 2);
            to = put(to, pairs[j].value, pairs[j].value_len);
            pairs[j].name_len = 0;
        }
    } else {
        const struct pair *last = p;
        for (j = i + 1; j < n; j++) {
            if (!same_name(p, &pairs[j]))
                continue;
            last = &pairs[j];
            pairs[j].name_len = 0;
        }
        to = put(to, last->value, last->value_len);
    }
    *to++ = 0;
    return to;
}

long params_decode(const uint8_t *pairs, size_t len, uint8_t *block, struct pair *scratch,
                   struct params_known *known)
{
    const uint8_t *at = pairs, *end = pairs + len;
    uint64_t marks = 0;
    uint8_t *to = block;
    int repeated = 0, wrong;
    size_t n = 0, i;

    memset(known, 0, sizeof *known);
    while (at < end) {
        struct pair *p = &scratch[n];
        if (n == PARAMS_MAX_PAIRS)
            return PARAMS_TOO_MANY;
        if (fcgi_pair(&at, end, &p->name_len, &p->value_len))
            return PARAMS_MALFORMED;
        p->name = at;
        p->value = at + p->name_len;
        at = p->value + p->value_len;
        if (p->name_len == 0)
            return PARAMS_BAD_NAME;
        if (memchr(p->name, 0, p->name_len + (size_t)p->value_len))
            return PARAMS_NUL;
        if (IS(p, "HTTP_PROXY"))
            continue;
        wrong = note(known, p);
        if (wrong)
            return wrong;
        repeated |= (marks & mark(p)) != 0;
        marks |= mark(p);
        n++;
        known->count = (uint32_t)n;
    }
    for (i = 0; i < n; i++)
        if (scratch[i].name_len)
            to = put_pair(to, scratch, i, n, repeated);
    return to - block;
}

int params_content_length(const struct pair *p, uint64_t *value)
{
    uint64_t n = 0;
    uint32_t i;

    if (p->value_len == 0 || (p->value_len == 2 && memcmp(p->value, "-1", 2) == 0))
        return 1;
    if (p->value_len > 18)
        return -1;
    for (i = 0; i < p->value_len; i++) {
        if (p->value[i] < '0' || p->value[i] > '9')
            return -1;
        n = n * 10 + (uint64_t)(p->value[i] - '0');
    }
    *value = n;
    return 0;
}
