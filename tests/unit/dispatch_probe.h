/* SPDX-License-Identifier: MIT */
/*
 * What the cases of the probe of system calls share.
 */
#ifndef DISPATCH_PROBE_H
#define DISPATCH_PROBE_H

#include <stddef.h>
#include <stdint.h>

#include "keep.h"
#include "trace.h"

enum {
    ENDS = 1,      /* the serving child ends otherwise than by returning */
    NO_UNDO = 2,   /* a new worker's business: do not look at what is left */
    MAPS_LEFT = 4, /* mappings are put back by remap.c, which is not here */
};

struct probe_case {
    const char *name;
    void (*run)(void);    /* in the serving child, its calls seen */
    uint32_t flags;       /* the trace has exactly these afterwards */
    int how;              /* ENDS … */
    int status;           /* … as waitpid(2) tells it */
    void (*before)(void); /* in the root, before all is recorded */
    void (*after)(void);  /* in the root, after the child, before the undo */
    uint32_t may;         /* … and perhaps these */
};

extern const struct probe_case cases_files[], cases_memory[], cases_task[];

/* Ends the process with the line that does not hold. */
#define CHECK(what)                                                                                \
    do {                                                                                           \
        if (!(what))                                                                               \
            probe_fail(__FILE__, __LINE__, #what);                                                 \
    } while (0)

void __attribute__((noreturn)) probe_fail(const char *file, int line, const char *what);

enum {
    FILE_FD = 40, /* of the application, there before the request: a regular file … */
    PLAIN_FD,     /* … a socket, close-on-exec … */
    SPARE_FD,     /* … another file … */
    ROOT_FD = 60, /* of the root: a listener, */
    ROOT_CONN,    /* a connection, */
    ROOT_STASH,   /* a memfd with another request's bytes, */
    ROOT_EPOLL,   /* its epoll set, */
    ROOT_PIDFD,   /* a pidfd of a process it needs, */
    ROOT_REST,    /* and six more for what else it has */
    ROOT_END = ROOT_REST + 6,
    MANY_FD = 100, /* cases may open more of the application's from here on */
    TOP_FD = 1100,
    OFFSET = 5, /* of FILE_FD */
    FROZEN_PAGES = 16,
};

/* Pages that belong to the snapshot; each begins with its number plus one. */
extern char *probe_frozen;

struct trace *probe_trace(void);
struct keep *probe_keep(void);
int probe_is_open(int fd);
/* Another descriptor of the application, from before the request. */
void probe_inherit(int fd);
/* The real break, past the handler's own idea of it. */
uint64_t probe_break(void);

#endif
