/* SPDX-License-Identifier: MIT */
#include "report.h"

#include <string.h>

#include "sys.h"

struct text report_start(struct keep *k, char level)
{
    struct text t = {k->text, k->text + KEEP_TEXT};

    *t.at++ = level;
    *t.at++ = ' ';
    return t;
}

void report_name(const struct keep *k, struct text *t)
{
    text_str(t, "w");
    text_num(t, (uint64_t)k->cfg.worker);
    text_str(t, "-");
    text_pad(t, k->rq.number, 6);
}

static void pair_value(struct text *t, const struct pair *p, uint32_t most)
{
    if (p->value_len == 0)
        text_str(t, "-");
    else
        text_quoted(t, p->value, p->value_len < most ? p->value_len : most);
}

struct text report_request(struct keep *k, char level)
{
    struct text t = report_start(k, level);

    report_name(k, &t);
    text_str(&t, " ");
    pair_value(&t, &k->rq.known.method, 32);
    text_str(&t, " ");
    pair_value(&t, &k->rq.known.uri, 512);
    text_str(&t, ": ");
    return t;
}

void report_send(struct keep *k, struct text *t)
{
    size_t len = (size_t)(t->at - k->text);

    sys_send(k->cfg.events_fd, k->text, len, MSG_DONTWAIT | MSG_NOSIGNAL);
    memset(k->text, 0, len);
}

int report_not_frozen(struct keep *k, const char *what, int err)
{
    struct text t = report_start(k, 'E');

    text_str(&t, "the worker cannot be frozen: ");
    text_str(&t, what);
    text_str(&t, ", errno ");
    text_num(&t, (uint64_t)-err);
    text_str(&t, "; see `lwcgi check`, or use --engine fork");
    report_send(k, &t);
    return err;
}

void report(struct keep *k, char level, const char *line)
{
    struct text t = report_start(k, level);

    text_str(&t, line);
    report_send(k, &t);
}

void report_counters(struct keep *k)
{
    const struct counters *c = &k->count;
    const struct {
        const char *what;
        uint64_t n;
    } parts[] = {
        {" requests", c->requests},
        {" contexts", c->contexts},
        {" crashed", c->crashed},
        {" timed out", c->timed_out},
        {" aborted", c->aborted},
        {" answered by the gateway", c->refused},
        {" connections handed on", c->handed},
        {" leftover processes killed", c->leftovers_killed},
        {" lines of the access log lost", c->unlogged},
        /* The rest is known of `rewind` only, and of `lwc` the first four and the last. */
        {" undone in place", c->in_place},
        {" with a new task", c->new_tasks},
        {" after their process ended", c->ended},
        {" with a new worker", c->new_workers},
        {" scans", c->scans},
        {" blind", c->blind},
        {" pages put back", c->pages},
    };
    enum { OTHERS = 9, UNDONE = 4 };
    const unsigned all = sizeof parts / sizeof *parts;
    struct text t = report_start(k, 'I');
    unsigned i;

    text_str(&t, "worker ");
    text_num(&t, (uint64_t)k->cfg.worker);
    text_str(&t, " ends: ");
    for (i = 0; i < all; i++) {
        if (i >= OTHERS && k->cfg.engine != ENGINE_REWIND &&
            (k->cfg.engine != ENGINE_LWC || (i >= OTHERS + UNDONE && i < all - 1)))
            continue;
        text_str(&t, i ? ", " : "");
        text_num(&t, parts[i].n);
        text_str(&t, parts[i].what);
    }
    report_send(k, &t);
}
