/* SPDX-License-Identifier: MIT */
/*
 * The keep: the one region that holds everything the root knows. It is never
 * part of a snapshot and (but for the `none` engine, whose serving child is
 * trusted) not present in a context.
 *
 * Beside it lies the inbox, the request as its context sees it: inherited by
 * the context, wiped by the root before the next request.
 */
#ifndef LWCGI_KEEP_H
#define LWCGI_KEEP_H

#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/epoll.h>

#include "fcgi.h"
#include "params.h"

enum {
    KEEP_LISTENERS = 16,
    KEEP_BATCH = 64,     /* epoll events taken at once */
    KEEP_ENTROPY = 1024, /* bytes of the kernel's randomness, in advance */
    KEEP_CONTROL = 1024, /* unsent answers to management records */
    KEEP_READ = 65536,
    KEEP_OUT = 65536 + 1024, /* one record with its header, padding and END_REQUEST */
    KEEP_TEXT = 4096,        /* one log line; a pipe takes as much whole (PIPE_BUF) */
    KEEP_CLIENTS = 64,
    KEEP_MAX_FD = 65536,   /* descriptors a worker may hold */
    KEEP_OWN = 8,          /* more descriptors of the root, an engine's own */
    KEEP_MAX_FILES = 1024, /* the application's own open files at freezing time */
};

enum engine { ENGINE_NONE = 0, ENGINE_FORK = 1, ENGINE_REWIND = 2, ENGINE_LWC = 3 };

struct lw_settings {
    int32_t engine;
    int32_t worker; /* number of this worker, from 1 */
    uint32_t workers;
    int32_t timeout_ms;          /* a request's time; 0 = no limit */
    int32_t after_response_ms;   /* what hooks may take after the answer */
    uint32_t max_params;         /* bytes */
    uint64_t max_body;           /* bytes */
    uint64_t max_request_memory; /* bytes beyond the snapshot; 0 = no limit */
    int32_t verify;              /* compare everything with the snapshot after each request */
    int32_t dispatch;            /* see the application's system calls, where the kernel can */
    int32_t verbose;             /* a line for each request: how it was undone */
    int32_t hostile;             /* requests may be under attack, as native code */
    int32_t discard;             /* `lwc`: a new worker for each request, none is reset */
    int32_t json;                /* the access log consists of JSON objects */
    int32_t events_fd;
    int32_t access_log_fd; /* a pipe that does not block; -1 = off */
    int32_t queue_send;
    int32_t queue_recv;
    int32_t door_fd; /* /dev/lwc, opened by another user; -1: it is opened here */
    int32_t listener_count;
    int32_t listeners[KEEP_LISTENERS];
    int32_t client_count;              /* who may connect over TCP; 0 = anybody */
    uint8_t clients[KEEP_CLIENTS][16]; /* IPv6 addresses, of IPv4 the mapped ones (RFC 4291) */
};

/* What a connection is doing. */
enum conn_state {
    CONN_FREE = 0,
    CONN_IDLE,    /* ours, no request of it under way */
    CONN_READING, /* part of a request was read and put aside (stash) */
    CONN_BUSY,    /* its request is the current one */
};

struct conn {
    uint8_t state;
    uint8_t is_tcp;
    uint8_t polled; /* in the epoll set */
    uint8_t last;   /* its next request is the last it may carry */
    int32_t stash;  /* memfd with what was read of an unfinished request, or -1 */
    uint64_t deadline_ns;
};

enum body_state {
    BODY_MORE = 0,
    BODY_DONE,
    BODY_TOO_LARGE,
    BODY_WRONG_LENGTH, /* not as long as CONTENT_LENGTH said */
    BODY_ABORTED,      /* FCGI_ABORT_REQUEST */
    BODY_BROKEN,       /* protocol error or end of file */
};

/* Goes up with each change of struct request and what is in it: after a change
 * of versions, workers of both share a queue. */
enum { REQUEST_LAYOUT = 1 };

struct request {
    int32_t fd;   /* -1: none under way */
    int32_t wire; /* the same connection, as the serving child's table knows it */
    uint16_t id;
    uint16_t role;
    uint8_t keep_conn;
    uint8_t begun;
    uint8_t params_done;
    uint8_t body; /* enum body_state */
    uint8_t headers_sent;
    uint8_t answered; /* END_REQUEST was sent */
    uint8_t poisoned; /* the connection must not be used again */
    uint8_t has_length;
    uint32_t params_len;
    uint32_t slice_at; /* body bytes in rbuf that nobody has taken yet */
    uint32_t slice_len;
    uint8_t params_too_large;
    uint8_t stdin_over;
    uint8_t ending;   /* the call that sends the last of the answer is being made */
    uint8_t farewell; /* the answer told the web server not to keep the connection */
    uint8_t last;     /* the connection is not to be used for another request */
    uint8_t skipped;  /* records of none, or of an earlier request, were read with this one */
    uint64_t content_length;
    uint64_t body_seen;
    uint64_t started_ns;
    uint64_t deadline_ns; /* 0 = none */
    uint64_t bytes_out;
    uint32_t unsent;   /* of a record that was begun */
    uint32_t head_len; /* bytes of bytes_out that were the answer's header */
    uint64_t number;
    uint16_t status; /* of the answer, for the access log; 0 = unknown */
    uint16_t layout; /* of one that was put aside: REQUEST_LAYOUT of who did so */
    uint16_t unused2[4];
    struct fcgi_parser parser;
    struct params_known known;
};

/* Who may touch the table of connections (engines whose serving loop runs in
 * a child: root and child share the keep). */
enum keep_owner { OWNER_CHILD = 0, OWNER_NOBODY = 1, OWNER_ROOT = 2 };

struct counters {
    uint64_t requests;
    uint64_t contexts;
    uint64_t crashed;
    uint64_t timed_out;
    uint64_t aborted;
    uint64_t refused; /* answered by the root: 400, 413, 431, 500 … */
    uint64_t handed;  /* connections given to another worker */
    uint64_t leftovers_killed;
    /* How `rewind` and `lwc` got rid of a request's effects: */
    uint64_t in_place;
    uint64_t new_tasks;
    uint64_t ended; /* its process had ended */
    uint64_t new_workers;
    uint64_t scans;
    uint64_t blind;
    uint64_t pages;    /* put back in all */
    uint64_t unlogged; /* lines of the access log that nobody took */
};

struct image;
struct track;
struct trace;
struct rewind;

struct keep {
    size_t size;
    struct lw_settings cfg;
    int32_t epoll;
    int32_t signals;
    int32_t wake;
    int32_t quiet;   /* log of a condition that goes on was written */
    int32_t noted;   /* a context's note was logged */
    int32_t refused; /* a client that is not among cfg.clients was logged */
    int *tid_address;
    int32_t session;
    int32_t holder; /* pid of the frozen copy of the worker's memory; 0 = none */
    int32_t listening;
    int32_t stopping;
    int32_t quick;
    int32_t rehearsal; /* answers go nowhere */
    uint32_t owner;    /* enum keep_owner; atomic */
    uint32_t open_conns;
    uint32_t conn_limit;
    int32_t own[KEEP_OWN]; /* descriptors of the engine; -1 where there is none */
    int32_t top_fd;        /* highest descriptor that was ever a connection */
    int32_t stage;         /* `lwc`: how far the serving child came, enum lwc_stage */
    int32_t more_new;      /* there was a new connection at the last look */
    int32_t took_new;      /* the last turn was a new connection's */
    uint32_t turns;        /* since the last look for new connections */
    int32_t last_fd;       /* the kept connection that was dealt with last */
    int32_t adopted;       /* `rewind`: a connection that nobody had noted, or -1 */
    uint32_t ready_at;
    uint32_t ready_count;
    uint32_t rpos;
    uint32_t rend;
    uint32_t rtop; /* how much of rbuf holds bytes of the current request */
    uint32_t control_len;
    uint32_t opos; /* unsent bytes of obuf: */
    uint32_t oend;
    uint32_t otop;
    uint64_t listen_again_ns;  /* the listeners rest until then; 0 = they do not */
    uint64_t next_deadline_ns; /* of the earliest stashed request; 0 = none */
    /* Of the `rewind` engine; NULL under the others. */
    struct image *image;
    struct track *track;
    struct rewind *rewind;
    struct counters count;
    struct request rq;
    struct epoll_event ready[KEEP_BATCH];
    uint32_t entropy_left; /* bytes of entropy[] nobody was given yet */
    uint32_t line_len;     /* bytes of line[]; 0 = no request waits for its undo */
    int32_t undo_follows;  /* the request that ends is undone next */
    int32_t log_stuck;     /* nobody took the last line of the access log */
    uint8_t entropy[KEEP_ENTROPY];
    uint8_t control[KEEP_CONTROL];
    char text[KEEP_TEXT];
    char line[KEEP_TEXT]; /* of the access log */
    struct pair pairs[PARAMS_MAX_PAIRS];
    uint8_t rbuf[KEEP_READ];
    uint8_t obuf[KEEP_OUT];
    struct conn conns[KEEP_MAX_FD]; /* by descriptor */
    uint8_t params[];               /* cfg.max_params bytes */
};

/* One of the application's descriptors at freezing time. What can be opened
 * anew is, by every context, so that offset, flags and locks are its own. */
struct own_file {
    int32_t fd;
    int32_t reopen;
    int32_t flags;
    int32_t fd_flags;
    int64_t offset; /* -1: not seekable */
};

/* What every context starts with, recorded when the worker was armed. */
struct frozen {
    uint64_t app_mask; /* the signal mask the application was loaded with */
    uint64_t vsize;    /* bytes of address space */
    uint64_t max_request_memory;
    int32_t dumpable;
    int32_t root_pid;
    int32_t file_count;
    int32_t ruleset; /* what a context under attack may do (confine.h); -1: is not */
    struct own_file files[KEEP_MAX_FILES]; /* ascending by descriptor */
};

struct inbox {
    size_t size;
    struct keep *keep;   /* NULL in a context that has none */
    struct trace *trace; /* what its request asked of the kernel; `rewind` only */
    int32_t role;
    int32_t has_body;
    int32_t channel; /* the context's end; -1 where it writes for itself */
    int32_t pid;     /* of the context */
    uint32_t block_len;
    uint32_t message_at; /* body bytes received and not yet read: */
    uint32_t message_len;
    int32_t body_error; /* -errno once the body ended badly */
    int32_t body_over;
    int32_t headers_sent;
    int32_t finished;
    int32_t worker;
    int32_t door; /* /dev/lwc, the way to a root in the same process; -1 where it is elsewhere */
    int32_t unused;
    uint8_t *exchange; /* what the two see both; `lwc` only */
    uint64_t number;
    struct frozen frozen;
    uint8_t message[KEEP_READ];
    uint8_t block[];
};

/* obuf now holds `len` unsent bytes. */
static inline void keep_out_used(struct keep *k, uint32_t len)
{
    k->opos = 0;
    k->oend = len;
    if (len > k->otop)
        k->otop = len;
}

/* The only writable variable of the core; set once. */
extern struct inbox *keep_inbox __attribute__((visibility("hidden")));

/* Maps both regions. Returns 0 or -errno. */
int keep_map(const struct lw_settings *cfg);
void keep_unmap(void);

/* A region of the root's own between two guard pages, at an address the kernel
 * picks; `sharing` MAP_PRIVATE or MAP_SHARED. Returns its address or -errno. */
long keep_map_guarded(size_t len, int sharing);
void keep_unmap_guarded(void *region, size_t len);

/* Is this descriptor the root's? */
int keep_owns_fd(const struct keep *k, int fd);

/* Wipes the request from keep and inbox. */
void keep_forget_request(struct keep *k, struct inbox *in);

#endif
