/* SPDX-License-Identifier: MIT */
#include "context.h"

#include <fcntl.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/uio.h>

#include "channel.h"
#include "confine.h"
#include "files.h"
#include "step.h"
#include "sys.h"
#include "text.h"

/* High up, where an application that closes "every descriptor up to 255"
 * does not reach. */
enum { CHANNEL_FD = 1000 };

static int send_message(struct inbox *in, char kind, const void *data, size_t len)
{
    struct iovec iov[2] = {{&kind, 1}, {(void *)(uintptr_t)data, len}};
    struct msghdr msg = {.msg_iov = iov, .msg_iovlen = 2};
    long n;

    do
        n = sys_sendmsg(in->channel, &msg, MSG_NOSIGNAL);
    while (n == -EINTR);
    return n < 0 ? (int)n : 0;
}

static void __attribute__((noreturn)) cannot_start(struct inbox *in, const char *what, int err)
{
    char line[128];
    struct text t = {line, line + sizeof line};

    text_str(&t, "Ea context could not be prepared: ");
    text_str(&t, what);
    text_str(&t, ", errno ");
    text_num(&t, (uint64_t)-err);
    send_message(in, CHANNEL_LOG, line, (size_t)(t.at - line));
    sys_exit(CHANNEL_EXIT_CANNOT_START);
}

static void limit_memory(struct inbox *in)
{
    struct rlimit limit = {in->frozen.vsize + in->frozen.max_request_memory,
                           in->frozen.vsize + in->frozen.max_request_memory};

    if (in->frozen.max_request_memory && sys_setrlimit(RLIMIT_AS, &limit))
        cannot_start(in, "its memory limit", -EPERM);
}

void context_enter(struct inbox *in)
{
    struct rlimit no_core = {0, 0};
    long ret;
    int bad = -1;

    in->keep = NULL;
    in->pid = sys_getpid();
    STEP(DIE_WITH_ROOT)
        sys_prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (sys_getppid() != in->frozen.root_pid)
        sys_exit(0); /* the root died before the line above */
    STEP(OWN_GROUP)
        sys_setpgid(0, 0); /* kill(0, …) must not reach the worker and its siblings */
    ret = sys_fcntl(in->channel, F_DUPFD_CLOEXEC, CHANNEL_FD);
    if (ret < 0)
        ret = in->channel; /* a low limit of descriptors: it stays where it is */
    in->channel = (int)ret;
    if (in->frozen.ruleset >= 0) {
        ret = confine_enter(in->frozen.ruleset);
        if (ret)
            cannot_start(in, "keeping it from other processes", (int)ret);
    }
    STEP(CLOSE_ROOT_FDS) {
        ret = files_close_others(&in->frozen, in->channel);
        if (ret)
            cannot_start(in, "closing the root's descriptors", (int)ret);
    }
    STEP(REOPEN_FILES) {
        ret = files_reopen(&in->frozen, &bad);
        if (ret)
            cannot_start(in, "opening a file of the application anew", (int)ret);
    }
    STEP(RESTORE_DUMPABLE)
        sys_prctl(PR_SET_DUMPABLE, (unsigned long)in->frozen.dumpable);
    sys_setrlimit(RLIMIT_CORE, &no_core);
    STEP(LIMIT_MEMORY)
        limit_memory(in);
    STEP(RESTORE_MASK)
        sys_sigprocmask(SIG_SETMASK, &in->frozen.app_mask, NULL);
}

void context_only(const struct inbox *in)
{
    if (sys_getpid() != in->pid)
        sys_exit(0);
}

int context_in_parts(struct inbox *in, const void *data, size_t len, int last, size_t most,
                     int (*hand_on)(struct inbox *in, const void *part, size_t len, int final))
{
    const char *at = data;
    int ret;

    if (in->finished)
        return -EPIPE;
    do {
        size_t n = len < most ? len : most;
        int final = last && n == len;
        if (n == 0 && !final)
            return 0;
        ret = hand_on(in, at, n, final);
        if (ret)
            return ret;
        in->headers_sent = 1;
        at += n;
        len -= n;
    } while (len);
    in->finished = last;
    return 0;
}

static int send_part(struct inbox *in, const void *part, size_t len, int final)
{
    return send_message(in, final ? CHANNEL_LAST : CHANNEL_OUT, part, len);
}

int context_write(struct inbox *in, const void *data, size_t len, int last)
{
    return context_in_parts(in, data, len, last, FCGI_CHUNK, send_part);
}

long body_errno(int body_state)
{
    switch (body_state) {
    case BODY_TOO_LARGE:
        return -BODY_E_TOO_LARGE;
    case BODY_WRONG_LENGTH:
        return -BODY_E_WRONG_LENGTH;
    default:
        return -BODY_E_GONE;
    }
}

/* Waits for the next message of the body. Returns 0 or -errno. */
static long next_message(struct inbox *in)
{
    char kind = 0;
    struct iovec iov[2] = {{&kind, 1}, {in->message, sizeof in->message}};
    struct msghdr msg = {.msg_iov = iov, .msg_iovlen = 2};
    /* A signal ends the wait so that the application's handlers run. */
    long n = sys_recvmsg(in->channel, &msg, 0);

    if (n == -EINTR)
        return n;
    if (n < 1)
        return -BODY_E_GONE;
    in->message_at = 0;
    in->message_len = 0;
    switch (kind) {
    case CHANNEL_BODY:
        in->message_len = (uint32_t)n - 1;
        return 0;
    case CHANNEL_BODY_END:
        in->body_over = 1;
        return 0;
    default:
        in->body_over = 1;
        in->body_error = (int32_t)body_errno(in->message[0]);
        return 0;
    }
}

long context_read(struct inbox *in, void *buf, size_t len)
{
    long ret;

    while (in->message_len == 0) {
        if (in->body_error)
            return in->body_error;
        if (in->body_over || !in->has_body || len == 0)
            return 0;
        ret = next_message(in);
        if (ret)
            return ret;
    }
    if (len > in->message_len)
        len = in->message_len;
    memcpy(buf, in->message + in->message_at, len);
    in->message_at += (uint32_t)len;
    in->message_len -= (uint32_t)len;
    return (long)len;
}

int context_log(struct inbox *in, char level, const void *text, size_t len)
{
    char line[1024];

    if (sys_getpid() != in->pid)
        return -ESRCH;
    if (len > sizeof line - 1)
        len = sizeof line - 1;
    line[0] = level;
    memcpy(line + 1, text, len);
    return send_message(in, CHANNEL_LOG, line, len + 1);
}

void context_abort(struct inbox *in)
{
    send_message(in, CHANNEL_ABORT, NULL, 0);
    sys_exit(CHANNEL_EXIT_ABORTED);
}

void context_leave(struct inbox *in)
{
    sys_exit(in->finished ? CHANNEL_EXIT_LEFT : CHANNEL_EXIT_ABORTED);
}
