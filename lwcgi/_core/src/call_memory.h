/* SPDX-License-Identifier: MIT */
/*
 * Calls on mappings. The application may do what it likes to its own; to those
 * of the snapshot it may do what can be undone by name, and of the rest some is
 * answered as if it had been done.
 */
#ifndef LWCGI_CALL_MEMORY_H
#define LWCGI_CALL_MEMORY_H

#include "call.h"

enum verdict call_mmap(struct call *c);
enum verdict call_munmap(struct call *c);
enum verdict call_mremap(struct call *c);
enum verdict call_brk(struct call *c);
enum verdict call_mprotect(struct call *c);
enum verdict call_madvise(struct call *c);
enum verdict call_mlock(struct call *c);
enum verdict call_mbind(struct call *c);

/* start..start+len is memory that the request mapped itself. */
int call_owns(const struct call *c, uint64_t start, uint64_t len);

#endif
