/* SPDX-License-Identifier: MIT */
#include "lwc_inside.h"

#include <string.h>

#include "channel.h"
#include "context.h"
#include "files.h"
#include "lwc_door.h"
#include "lwc_exchange.h"
#include "step.h"
#include "sys.h"

/* Goes to the root and comes back. A worker that cannot reach it, because the
 * application closed the door for example, can only end its process: its guard
 * outside answers then. Threads that the application has started cannot (EPERM):
 * they are in this lwC and nowhere else. */
static long ask(struct inbox *in, uint64_t word, size_t len, uint64_t more)
{
    struct lwc_switch with = {.target = LWC_FD_ROOT, .nargs = 3, .args = {word, len, more}};
    int ret = lwc_door_switch(in->door, &with);

    if (ret == -EPERM)
        return ret;
    if (ret)
        sys_exit(CHANNEL_EXIT_ABORTED);
    return (long)with.args[0];
}

static size_t at_most(size_t len)
{
    return len < LWC_EXCHANGE ? len : LWC_EXCHANGE;
}

/* Offset, flags and locks of the snapshot's files all workers share. */
static void open_own_files(struct inbox *in)
{
    static const char failed[] = "a file of the application cannot be opened anew";
    int bad, ret = 0;

    STEP(REOPEN_FILES)
        ret = files_reopen(&in->frozen, &bad);
    if (!ret)
        return;
    lwc_inside_log(in, 'E', failed, sizeof failed - 1);
    sys_exit(CHANNEL_EXIT_CANNOT_START);
}

void lwc_inside_enter(struct inbox *in, const __u64 *words)
{
    size_t have = 0, len = words[LWC_FIRST_LEN];

    in->block_len = (uint32_t)len;
    in->role = (int32_t)words[LWC_FIRST_ROLE];
    in->has_body = (int32_t)words[LWC_FIRST_BODY];
    in->number = words[LWC_FIRST_NUMBER];
    for (;;) {
        size_t part = at_most(len - have);
        memcpy(in->block + have, in->exchange, part);
        have += part;
        if (have == len)
            break;
        ask(in, LWC_WORD_BLOCK, at_most(len - have), have);
    }
    if (in->frozen.ruleset >= 0) /* under attack they can be handed on */
        open_own_files(in);
}

static int write_part(struct inbox *in, const void *part, size_t len, int final)
{
    memcpy(in->exchange, part, len);
    return (int)ask(in, LWC_WORD_WRITE, len, (uint64_t) final);
}

int lwc_inside_write(struct inbox *in, const void *data, size_t len, int last)
{
    return context_in_parts(in, data, len, last, LWC_EXCHANGE, write_part);
}

long lwc_inside_read(struct inbox *in, void *buf, size_t len)
{
    long n;

    if (!in->has_body || len == 0)
        return 0;
    n = ask(in, LWC_WORD_READ, at_most(len), 0);
    if (n > 0)
        memcpy(buf, in->exchange, (size_t)n);
    return n;
}

void lwc_inside_log(struct inbox *in, char level, const void *text, size_t len)
{
    if (sys_getpid() != in->pid)
        return;
    len = len < KEEP_TEXT ? len : KEEP_TEXT;
    memcpy(in->exchange, text, len);
    ask(in, LWC_WORD_LOG, len, (uint8_t)level);
}

void lwc_inside_abort(struct inbox *in)
{
    context_only(in);
    ask(in, LWC_WORD_ABORT, 0, 0);
}

void lwc_inside_leave(struct inbox *in)
{
    context_only(in);
    ask(in, LWC_WORD_LEAVE, 0, 0);
    sys_exit(CHANNEL_EXIT_ABORTED); /* the root does not come back */
}
