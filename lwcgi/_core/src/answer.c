/* SPDX-License-Identifier: MIT */
#include "answer.h"

#include <string.h>

#include "report.h"
#include "sys.h"

/* A peer that takes nothing for this long gets no more. */
enum { SEND_MS = 10000 };

size_t answer_tail(struct keep *k, uint8_t *to, unsigned padding, uint32_t app_status)
{
    struct request *rq = &k->rq;
    size_t len = padding;

    memset(to, 0, padding);
    len += fcgi_header(to + len, FCGI_STDOUT, rq->id, 0, 0);
    len += fcgi_end_request(to + len, rq->id, app_status, FCGI_REQUEST_COMPLETE);
    if (rq->keep_conn && (rq->poisoned || rq->last)) {
        len += fcgi_farewell(to + len);
        rq->farewell = 1;
    }
    return len;
}

void answer_note_head(struct keep *k, const uint8_t *data, size_t len)
{
    const uint8_t *at;

    /* Our own WSGI layer begins every answer with "Status: ddd ". */
    if (len >= 12 && memcmp(data, "Status: ", 8) == 0) {
        unsigned hundred = data[8] - '0', ten = data[9] - '0', one = data[10] - '0';
        if (hundred < 10 && ten < 10 && one < 10)
            k->rq.status = (uint16_t)(hundred * 100 + ten * 10 + one);
    }
    at = memmem(data, len, "\r\n\r\n", 4);
    k->rq.head_len = at ? (uint32_t)(at + 4 - data) : (uint32_t)len;
}

int answer_send(struct keep *k, const struct iovec *given, int count)
{
    struct iovec iov[4];
    struct msghdr msg = {.msg_iov = iov, .msg_iovlen = (size_t)count};
    struct pollfd p = {.fd = k->rq.wire, .events = POLLOUT};
    long n;

    memcpy(iov, given, (size_t)count * sizeof *iov);
    for (int i = 0; i < count; i++)
        k->rq.unsent += (uint32_t)iov[i].iov_len;
    for (;;) {
        n = sys_sendmsg(k->rq.wire, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n == -EAGAIN) {
            n = sys_poll(&p, 1, SEND_MS);
            if (n == 0)
                return -ETIMEDOUT;
            if (n < 0 && n != -EINTR)
                return (int)n;
            continue;
        }
        if (n == -EINTR)
            continue;
        if (n < 0)
            return (int)n;
        k->rq.unsent -= (uint32_t)n;
        while (msg.msg_iovlen && (size_t)n >= msg.msg_iov->iov_len) {
            n -= (long)msg.msg_iov->iov_len;
            msg.msg_iov++;
            msg.msg_iovlen--;
        }
        if (msg.msg_iovlen == 0)
            return 0;
        msg.msg_iov->iov_base = (char *)msg.msg_iov->iov_base + n;
        msg.msg_iov->iov_len -= (size_t)n;
    }
}

void answer_break(struct keep *k)
{
    size_t len = k->rq.unsent + FCGI_HEADER_LEN;

    if (len > KEEP_OUT)
        len = KEEP_OUT;
    memset(k->obuf, 0, len);
    keep_out_used(k, (uint32_t)len);
    /* A peer that does not even take this has gone, or will see the end. */
    sys_send(k->rq.wire, k->obuf, len, MSG_DONTWAIT | MSG_NOSIGNAL);
    k->opos = k->oend;
    k->rq.poisoned = 1;
}

void answer_end(struct keep *k, uint32_t app_status)
{
    uint8_t end[16];
    struct iovec iov = {end, fcgi_end_request(end, k->rq.id, app_status, FCGI_REQUEST_COMPLETE)};

    if (answer_send(k, &iov, 1))
        k->rq.poisoned = 1;
    k->rq.answered = 1;
}

void answer_refuse(struct keep *k, const char *status)
{
    uint8_t *content = k->obuf + FCGI_HEADER_LEN;
    struct text t = {(char *)content, (char *)k->obuf + KEEP_OUT - ANSWER_TAIL};
    struct text line;
    struct iovec iov;
    size_t len;
    uint32_t app_status = status[0] == '5';

    text_str(&t, "Status: ");
    text_str(&t, status);
    text_str(&t, "\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: ");
    text_num(&t, strlen(status) + 1);
    text_str(&t, "\r\nCache-Control: no-store\r\n\r\n");
    text_str(&t, status);
    text_str(&t, "\n");
    len = (size_t)((uint8_t *)t.at - content);
    answer_note_head(k, content, len);
    fcgi_header(k->obuf, FCGI_STDOUT, k->rq.id, (unsigned)len, answer_padding(len));
    iov.iov_base = k->obuf;
    iov.iov_len = FCGI_HEADER_LEN + len;
    iov.iov_len += answer_tail(k, content + len, answer_padding(len), app_status);
    keep_out_used(k, (uint32_t)iov.iov_len);
    k->rq.headers_sent = 1;
    k->rq.bytes_out += len;
    if (answer_send(k, &iov, 1))
        k->rq.poisoned = 1;
    k->rq.answered = 1;
    k->count.refused++;
    line = report_request(k, 'W');
    text_str(&line, "answered ");
    text_str(&line, status);
    text_str(&line, " by the gateway");
    report_send(k, &line);
}

void answer_instead(struct keep *k)
{
    struct request *rq = &k->rq;
    int usable = rq->begun && !rq->headers_sent && !rq->poisoned;

    rq->poisoned = 1;
    if (usable && rq->body == BODY_ABORTED)
        answer_end(k, 0);
    else if (usable)
        answer_refuse(k, "500 Internal Server Error");
    else if (rq->headers_sent)
        answer_break(k);
}
