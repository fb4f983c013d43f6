/* SPDX-License-Identifier: MIT */
#include "lwc_root.h"

#include <string.h>
#include <sys/mman.h>

#include "access.h"
#include "answer.h"
#include "channel.h"
#include "direct.h"
#include "loop.h"
#include "lwc_calls.h"
#include "lwc_door.h"
#include "lwc_exchange.h"
#include "lwc_freeze.h"
#include "lwc_unchanged.h"
#include "report.h"
#include "request.h"
#include "step.h"
#include "sys.h"

enum {
    MAX_HEAD = 1024,   /* what a line for the log begins with: which request */
    MAX_LINES = 10000, /* of log from one request; more are a flood */
    FEW_PAGES = 1024,  /* whatever putting them back takes, it is not for their number */
};

struct root {
    struct keep *k;
    struct inbox *in;
    struct lwc_frozen frozen;
    int worker;
    int lines;         /* of log that the request under way has sent */
    int noted;         /* … and the first call it made that the task does not get over; -1 */
    int replaced;      /* the worker by another one, after the last */
    const char *wrong; /* why the worker is not to be entered again, or NULL */
    const char *found; /* … and the task neither, though no call was noted, or NULL */
    uint64_t made_ns;  /* what it took to make the worker */
    /* The last undo, for the log: */
    uint64_t pages, checked, mappings, reset_ns;
    int reset_err;
    size_t head_len;
    char head[MAX_HEAD]; /* of the line about it */
    struct lwc_unchanged task;
    struct lwc_proc proc;
};

static void __attribute__((noreturn)) leave(struct keep *k)
{
    k->stage = LWC_LEFT;
    sys_exit(CHANNEL_EXIT_LEFT);
}

static void __attribute__((noreturn)) cannot_serve(struct keep *k, const char *what, int err)
{
    report_not_frozen(k, what, err);
    sys_exit(1);
}

/* --- the worker ------------------------------------------------------------------ */

static int make_worker(struct root *r)
{
    uint64_t began = now_ns();

    r->worker = lwc_door_clone(r->frozen.door, r->frozen.snapshot);
    r->made_ns = now_ns() - began;
    r->wrong = NULL;
    return r->worker < 0 ? r->worker : 0;
}

/* Returns 1 where the worker is what the snapshot is, and worth to be kept. */
static int put_back(struct root *r)
{
    struct lwc_reset reset = {.worker = r->worker};
    uint64_t began = now_ns();

    /* What an attacker has handed to another process, such as an open /proc/self/mem, is of this
     * worker's memory; and its pages may be held there. */
    if (r->k->cfg.hostile)
        STEP(RENEW_WORKER)
            return 0;
    if (r->wrong || r->k->cfg.discard)
        return 0;
    STEP(RESET_WORKER)
        r->reset_err = lwc_door_call(r->frozen.door, LWC_IOC_RESET, &reset);
    r->reset_ns = now_ns() - began;
    r->pages = reset.pages_copied;
    r->checked = reset.pages_checked;
    r->mappings = reset.mappings;
    r->k->count.pages += reset.pages_copied;
    /* Pages stay the worker's once it has changed them, and are put back each
     * time. Where that takes longer than making another, that is made. */
    return !r->reset_err && (r->reset_ns <= 2 * r->made_ns || reset.pages_private < FEW_PAGES);
}

/* Makes the worker what the snapshot is. Returns 0 or -errno. */
static int undo(struct root *r)
{
    r->replaced = !put_back(r);
    if (!r->replaced)
        return 0;
    sys_close(r->worker); /* destroys it */
    return make_worker(r);
}

/* --- a request ------------------------------------------------------------------- */

static void log_line(struct root *r, size_t len, uint64_t level)
{
    struct keep *k = r->k;
    struct text t;

    if (++r->lines > MAX_LINES)
        return;
    if (level == 'N') { /* said once per worker, not once per request */
        if (k->noted)
            return;
        k->noted = 1;
        level = 'W';
    }
    if (level != 'D' && level != 'I' && level != 'W')
        level = 'E';
    /* The root may be writing a line about this request just now. */
    direct_acquire(k);
    /* In small letters: whatever it is, it comes from the application. */
    t = report_request(k, (char)(level | 32));
    if (r->lines == MAX_LINES)
        text_str(&t, "its further log lines are dropped; this is the last: ");
    text_escaped(&t, r->frozen.exchange, len);
    report_send(k, &t);
    direct_release(k);
}

/* The variables of the request from `from` on. */
static long more_of_block(const struct root *r, size_t len, uint64_t from)
{
    const struct inbox *in = r->in;

    STEP(CHECK_BLOCK)
        if (from > in->block_len || len > in->block_len - from)
            return -EINVAL;
    memcpy(r->frozen.exchange, in->block + from, len);
    return 0;
}

/* Does what the worker asks for. Returns the answer. */
static long answer(struct root *r, const struct lwc_switch *with)
{
    size_t len = with->args[1];
    struct keep *k = r->k;

    STEP(CHECK_LENGTH)
        if (len > LWC_EXCHANGE) {
            r->wrong = "said more than there is room for";
            return 0;
        }
    switch (with->args[0]) {
    case LWC_WORD_BLOCK:
        return more_of_block(r, len, with->args[2]);
    case LWC_WORD_READ:
        return direct_read(k, r->frozen.exchange, len);
    case LWC_WORD_WRITE:
        return direct_write(k, r->frozen.exchange, len, with->args[2] == 1);
    case LWC_WORD_LOG:
        log_line(r, len, with->args[2]);
        return 0;
    case LWC_WORD_ABORT:
        /* Where nothing was sent the client can still be told. */
        if (k->rq.headers_sent)
            k->rq.poisoned = 1;
        return 0;
    default:
        r->wrong = "said what it cannot mean";
        return 0;
    }
}

/* A call of the worker that is refused to it. */
static void judge(struct root *r, struct lwc_switch *with)
{
    uint8_t refused[LWC_CALLS_BYTES];
    struct lwc_trap trap = {r->worker, LWC_TRAP_SOME, (__u64)refused};
    int number = (int)(uint32_t)with->args[0], hostile = r->k->cfg.hostile;
    int err = lwc_calls_judge(with->args, hostile);

    if (!err && r->noted < 0)
        STEP(NOTE_CALLS)
            r->noted = number;
    if (!err && !hostile) {
        /* The task is given up, so what else it does to itself is its own affair. */
        lwc_calls_denied(refused);
        err = -lwc_door_call(r->frozen.door, LWC_IOC_TRAP, &trap);
    }
    memset(with, 0, sizeof *with);
    with->target = r->worker;
    with->nargs = 1;
    with->args[0] = err ? (__u64)err : LWC_TRAP_ONCE;
}

/* Enters the worker until it is done with its request, or something is wrong. */
static void go_between(struct root *r)
{
    struct inbox *in = r->in;
    struct lwc_switch with = {.target = r->worker, .nargs = LWC_FIRST_COUNT};
    long outcome;

    with.args[LWC_FIRST_LEN] = in->block_len;
    with.args[LWC_FIRST_ROLE] = (__u64)in->role;
    with.args[LWC_FIRST_BODY] = (__u64)in->has_body;
    with.args[LWC_FIRST_NUMBER] = in->number;
    memcpy(r->frozen.exchange, in->block,
           in->block_len < LWC_EXCHANGE ? in->block_len : LWC_EXCHANGE);
    for (;;) {
        if (lwc_door_switch(r->frozen.door, &with)) {
            r->wrong = "could not be entered";
            return;
        }
        /* Nobody else has been granted that. */
        STEP(CHECK_CALLER)
            if (with.caller != r->worker) {
                r->wrong = "made another come in its place";
                return;
            }
        if (with.flags & LWC_BY_TRAP) {
            judge(r, &with);
            continue;
        }
        if (with.args[0] == LWC_WORD_LEAVE)
            return;
        outcome = answer(r, &with);
        if (r->wrong)
            return;
        memset(&with, 0, sizeof with);
        with.target = r->worker;
        with.nargs = 1;
        with.args[0] = (uint64_t)outcome;
    }
}

static void complain(struct root *r)
{
    struct keep *k = r->k;
    struct text t = report_request(k, 'E');

    k->count.crashed++;
    text_str(&t, "its context ");
    text_str(&t, r->wrong);
    report_send(k, &t);
    k->rq.last = 1;
}

static void note_count(struct text *t, uint64_t n, const char *what)
{
    text_str(t, ", ");
    text_num(t, n);
    text_str(t, what);
}

enum way { IN_PLACE, NEW_CONTEXT, NEW_TASK };

/* The request is wiped before it is known how it was undone. */
static void note_request(struct root *r)
{
    struct keep *k = r->k;
    struct text t;

    if (!k->cfg.verbose)
        return;
    t = report_request(k, 'D');
    r->head_len = (size_t)(t.at - k->text);
    if (r->head_len > MAX_HEAD)
        r->head_len = MAX_HEAD;
    memcpy(r->head, k->text, r->head_len);
    memset(k->text, 0, (size_t)(t.at - k->text));
}

static void note_undone(struct root *r, enum way way, uint64_t ns)
{
    static const char *const ways[] = {"in place", "by another context", "with a new task"};
    struct keep *k = r->k;
    struct text t = {k->text + r->head_len, k->text + KEEP_TEXT};

    access_undone(k, way == NEW_TASK ? UNDONE_NEW_TASK : UNDONE_IN_PLACE, r->pages, ns);
    if (!k->cfg.verbose)
        return;
    memcpy(k->text, r->head, r->head_len);
    text_str(&t, "undone ");
    text_str(&t, ways[way]);
    if (r->noted >= 0) {
        text_str(&t, " after call ");
        text_num(&t, (uint64_t)r->noted);
    } else if (r->found) {
        text_str(&t, " because of ");
        text_str(&t, r->found);
    }
    note_count(&t, r->pages, " pages copied");
    note_count(&t, r->checked, " looked at");
    note_count(&t, r->mappings, " mappings");
    if (r->reset_err)
        note_count(&t, (uint64_t)-r->reset_err, " is the errno of the reset");
    note_count(&t, r->reset_ns / 1000, " us for the reset");
    note_count(&t, ns / 1000, " us in all");
    report_send(k, &t);
    memset(r->head, 0, r->head_len);
    r->head_len = 0;
}

/* A worker may make lwCs of its own, which a reset leaves. */
static int has_offspring(const struct root *r)
{
    enum { ROOT_SNAPSHOT_WORKER = 3 };
    struct lwc_info info = {.fd = LWC_FD_SELF};

    return lwc_door_call(r->frozen.door, LWC_IOC_INFO, &info) ||
           info.contexts != ROOT_SNAPSHOT_WORKER;
}

/* Has anything changed that no call was noted for? */
static const char *look(struct root *r)
{
    const char *changed = NULL;
    struct text t;

    STEP(END_OFFSPRING)
        changed = has_offspring(r) ? "contexts" : NULL;
    if (!changed)
        STEP(RESTORE_SHARED)
            changed = lwc_unchanged_files(&r->in->frozen);
    if (!changed)
        STEP(COMPARE_PROC)
            changed = lwc_unchanged_proc(&r->proc);
    if (changed || !r->k->cfg.verify)
        return changed;
    changed = lwc_unchanged_look(&r->task);
    if (!changed)
        return NULL;
    t = report_start(r->k, 'E');
    text_str(&t, "verify: unseen change: ");
    text_str(&t, changed);
    report_send(r->k, &t);
    return changed;
}

/* A page may be held in a pipe that an attacker has passed on (vmsplice(2)): there shall be others.
 */
static int wipe_exchange(const struct root *r)
{
    STEP(WIPE_REQUEST)
        memset(r->frozen.exchange, 0, LWC_EXCHANGE);
    if (r->k->cfg.hostile)
        STEP(RENEW_EXCHANGE)
            return (int)sys_madvise(r->frozen.exchange, LWC_EXCHANGE, MADV_REMOVE);
    return 0;
}

static void serve(struct root *r)
{
    struct keep *k = r->k;
    enum way way = NEW_TASK;
    uint64_t began;

    r->lines = 0;
    r->noted = -1;
    direct_release(k);
    go_between(r);
    direct_acquire(k);
    if (r->wrong)
        complain(r);
    note_request(r);
    k->undo_follows = 1;
    direct_leave(k, r->in);
    k->undo_follows = 0;
    began = now_ns();
    r->pages = r->checked = r->mappings = r->reset_ns = 0;
    r->reset_err = 0;
    r->found = NULL;
    /* Only when threads of the request are gone, with the reset, does a look tell. */
    if (r->noted < 0 && !wipe_exchange(r) && !undo(r)) {
        r->found = look(r);
        if (!r->found)
            way = r->replaced ? NEW_CONTEXT : IN_PLACE;
    }
    note_undone(r, way, now_ns() - began);
    k->count.in_place += way == IN_PLACE;
    k->count.new_workers += way == NEW_CONTEXT;
    k->count.new_tasks += way == NEW_TASK;
    if (way == NEW_TASK)
        leave(k);
}

int lwc_root_run(struct keep *k, struct inbox *in)
{
    struct root r = {.k = k, .in = in, .frozen.door = k->own[OWN_DOOR]};
    const char *what;
    int ret = lwc_freeze(k, in, &r.frozen, &what);

    if (ret == 1)
        return 1;
    if (ret)
        cannot_serve(k, what, ret);
    ret = make_worker(&r);
    if (ret)
        cannot_serve(k, "cloning the snapshot", ret);
    ret = lwc_unchanged_note_proc(&r.proc);
    if (!ret && k->cfg.verify)
        ret = lwc_unchanged_note(&r.task);
    if (ret)
        cannot_serve(k, "noting what its task is, in /proc/self and by system calls", ret);
    k->stage = LWC_SERVES;
    for (;;) {
        ret = loop_next(k, in);
        if (ret == 0)
            leave(k);
        if (ret < 0)
            sys_exit(1);
        serve(&r);
    }
}
