/* SPDX-License-Identifier: MIT */
#include "access.h"

#include <string.h>

#include "report.h"
#include "sys.h"
#include "text.h"

enum {
    /* For the supervisor, which may be busy, to take lines out of a full pipe. */
    PATIENCE_MS = 1000,
    /* What is written of a request's own words, in bytes of the line. */
    MOST_ADDRESS = 100,
    MOST_WORD = 64, /* method, protocol */
    MOST_TARGET = 1800,
    MOST_ID = 200,
    MOST_HEADER = 500,
    /* All else fits the rest of a line. */
    MOST_OURS = 600,
};
_Static_assert(MOST_ADDRESS + 2 * MOST_WORD + MOST_TARGET + MOST_ID + 2 * MOST_HEADER + MOST_OURS <
                   KEEP_TEXT,
               "a line with its longest fields fits");

typedef void writer(struct text *t, const uint8_t *s, size_t len);

static void bounded(struct text *t, const struct pair *p, size_t most, writer *write)
{
    struct text part = {t->at, t->at + most};

    if (part.end > t->end)
        part.end = t->end;
    write(&part, p->value, p->value_len);
    t->at = part.at;
}

static void seconds(struct text *t, uint64_t ns)
{
    uint64_t us = ns / 1000;

    text_num(t, us / 1000000);
    text_str(t, ".");
    text_pad(t, us % 1000000, 6);
}

static const char *engine(const struct keep *k)
{
    static const char *const names[] = {
        [ENGINE_NONE] = "none",
        [ENGINE_FORK] = "fork",
        [ENGINE_REWIND] = "rewind",
        [ENGINE_LWC] = "lwc",
    };

    return names[k->cfg.engine];
}

static const char *label(enum undone how)
{
    static const char *const labels[] = {
        [UNDONE_IN_PLACE] = "in-place",
        [UNDONE_NEW_TASK] = "new-task",
        [UNDONE_AFTER_END] = "process-ended",
        [UNDONE_NEW_WORKER] = "new-worker",
    };

    return labels[how];
}

static void deliver(struct keep *k, struct text *t)
{
    struct pollfd writable = {.fd = k->cfg.access_log_fd, .events = POLLOUT};
    size_t len = (size_t)(t->at - k->line);
    long n = sys_write(k->cfg.access_log_fd, k->line, len);

    /* Waiting once is enough: a supervisor that is stuck must not stop the root. */
    if (n == -EAGAIN && !k->log_stuck && sys_poll(&writable, 1, PATIENCE_MS) == 1)
        n = sys_write(k->cfg.access_log_fd, k->line, len);
    if (n < 0) {
        k->count.unlogged++;
        if (!k->log_stuck)
            report(k, 'W', "the access log takes no lines: they are dropped, and counted");
    }
    k->log_stuck = n < 0;
    memset(k->line, 0, len);
    k->line_len = 0;
}

/* --- text ---------------------------------------------------------------------- */

static void field(struct text *t, const struct pair *p, size_t most)
{
    if (p->value_len == 0)
        text_str(t, "-");
    else
        bounded(t, p, most, text_quoted);
}

static void text_begin(const struct keep *k, struct text *t, uint64_t ns)
{
    const struct request *rq = &k->rq;

    field(t, &rq->known.remote_addr, MOST_ADDRESS);
    text_str(t, " - - [");
    text_time(t);
    text_str(t, "] \"");
    field(t, &rq->known.method, MOST_WORD);
    text_str(t, " ");
    field(t, &rq->known.uri, MOST_TARGET);
    text_str(t, " ");
    field(t, &rq->known.protocol, MOST_WORD);
    text_str(t, "\" ");
    text_pad(t, rq->status, 3);
    text_str(t, " ");
    text_num(t, rq->bytes_out - rq->head_len);
    text_str(t, " ");
    seconds(t, ns);
    text_str(t, " ");
    report_name(k, t);
    text_str(t, " ");
    text_str(t, engine(k));
    text_str(t, " \"");
    field(t, &rq->known.request_id, MOST_ID);
    text_str(t, "\"");
}

static void text_undone(struct text *t, enum undone how, uint64_t pages, uint64_t ns)
{
    text_str(t, " ");
    text_str(t, label(how));
    text_str(t, " ");
    text_num(t, pages);
    text_str(t, " ");
    seconds(t, ns);
}

/* --- JSON ---------------------------------------------------------------------- */

static void member(struct text *t, const char *before, const struct pair *p, size_t most)
{
    if (p->value_len == 0)
        return;
    text_str(t, before);
    bounded(t, p, most, text_json);
    text_str(t, "\"");
}

static void json_begin(const struct keep *k, struct text *t, uint64_t ns)
{
    const struct request *rq = &k->rq;

    text_str(t, "{\"time\":\"");
    text_time_ms(t);
    text_str(t, "\",\"level\":\"info\",\"source\":\"access\",\"pid\":");
    text_num(t, (uint64_t)keep_inbox->frozen.root_pid);
    text_str(t, ",\"request\":\"");
    report_name(k, t);
    text_str(t, "\",\"engine\":\"");
    text_str(t, engine(k));
    text_str(t, "\"");
    member(t, ",\"request_id\":\"", &rq->known.request_id, MOST_ID);
    member(t, ",\"remote_addr\":\"", &rq->known.remote_addr, MOST_ADDRESS);
    member(t, ",\"method\":\"", &rq->known.method, MOST_WORD);
    member(t, ",\"target\":\"", &rq->known.uri, MOST_TARGET);
    member(t, ",\"protocol\":\"", &rq->known.protocol, MOST_WORD);
    text_str(t, ",\"status\":");
    text_num(t, rq->status);
    text_str(t, ",\"bytes\":");
    text_num(t, rq->bytes_out - rq->head_len);
    text_str(t, ",\"seconds\":");
    seconds(t, ns);
    member(t, ",\"referer\":\"", &rq->known.referer, MOST_HEADER);
    member(t, ",\"user_agent\":\"", &rq->known.user_agent, MOST_HEADER);
}

static void json_undone(struct text *t, enum undone how, uint64_t pages, uint64_t ns)
{
    text_str(t, ",\"undone\":\"");
    text_str(t, label(how));
    text_str(t, "\",\"pages\":");
    text_num(t, pages);
    text_str(t, ",\"undo_seconds\":");
    seconds(t, ns);
}

static void end(struct keep *k, struct text *t)
{
    t->end = k->line + KEEP_TEXT;
    text_str(t, k->cfg.json ? "}\n" : "\n");
    deliver(k, t);
}

void access_note(struct keep *k)
{
    struct text t = {k->line, k->line + KEEP_TEXT - 2}; /* room for its end */
    uint64_t ns;

    if (k->cfg.access_log_fd < 0)
        return;
    ns = now_ns() - k->rq.started_ns;
    if (k->cfg.json)
        json_begin(k, &t, ns);
    else
        text_begin(k, &t, ns);
    if (k->undo_follows)
        k->line_len = (uint32_t)(t.at - k->line);
    else
        end(k, &t);
}

void access_undone(struct keep *k, enum undone how, uint64_t pages, uint64_t ns)
{
    struct text t = {k->line + k->line_len, k->line + KEEP_TEXT - 2};

    k->undo_follows = 0;
    if (!k->line_len)
        return;
    if (k->cfg.json)
        json_undone(&t, how, pages, ns);
    else
        text_undone(&t, how, pages, ns);
    end(k, &t);
}
