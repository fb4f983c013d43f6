/* SPDX-License-Identifier: MIT */
#ifndef SUITE_CALLS_H
#define SUITE_CALLS_H
/*
 * The calls of uapi/lwc.h, one function each. They answer 0 or the negative error, and fill what
 * the module is to write with junk first: an output that was not written shows.
 */
#include <lwc.h>

#include <stddef.h>

/* Where each test finds /dev/lwc open. */
#define DOOR 100

#define JUNK 0xcc
#define JUNK_WORD ((int)0xcccccccc)

int lwc_call(unsigned long call, void *argument);
int lwc_abi(struct lwc_abi *result);
int lwc_create(__u32 flags, const struct lwc_spec *specs, __u32 nspecs, struct lwc_create *result);
int lwc_create_with_threads(__u32 flags, const struct lwc_spec *specs, __u32 nspecs, __u32 others,
                            struct lwc_create *result);
int lwc_safepoint(struct lwc_safepoint *result);
int lwc_switch(int target, __u32 flags, const __u64 *args, __u32 nargs, struct lwc_switch *result);
int lwc_clone(int snapshot, int *fd);
int lwc_reset(int worker, struct lwc_reset *result);
int lwc_grant(int target, int holder, __u32 rights);
int lwc_info(int fd, struct lwc_info *result);
int lwc_trap(int fd, __u32 mode, const void *calls);
int lwc_syscall(int target, __u32 mask, long nr, const __u64 *args, __s64 *result);
int lwc_overlay(int source, const struct lwc_spec *specs, __u32 nspecs);
int lwc_restrict(int fd, __u32 flags, const struct lwc_spec *specs, __u32 nspecs, int *restricted);

#endif
