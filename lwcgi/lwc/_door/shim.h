/* SPDX-License-Identifier: MIT */
#ifndef LWCGI_LWC_SHIM_H
#define LWCGI_LWC_SHIM_H
/*
 * The calls of kmod/uapi/lwc.h as Python makes them. cffi lets go of the GIL before it calls a
 * function of this header, and takes it again afterwards.
 */
#include <lwc.h>

/*
 * Any call but LWC_IOC_CREATE. Returns 0 or a negative errno.
 *
 * The GIL stays free meanwhile, also over LWC_IOC_SWITCH, which may be gone for long: the threads
 * that live in the lwC left behind run on in it, as they do when one of them waits in a system
 * call. It is a word of memory like any other, so each lwC has its own; whoever comes back takes
 * the one of the memory he comes back to.
 */
int door_call(int door, unsigned long request, void *structure);

/*
 * LWC_IOC_CREATE between CPython's hooks, as os.fork() calls fork(2): in the new lwC those of a
 * child run when it is first entered. Returns 0 or a negative errno.
 *
 * The GIL is held over it, so that no other thread is at work on an object when memory is copied,
 * and because the hooks ask for it. So it is this thread that holds the GIL of the copy.
 */
int door_create(int door, struct lwc_create *create);

#endif
