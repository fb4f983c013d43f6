/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Light-weight contexts and the thread they belong to.
 *
 * A struct lwc is what one thread has of an lwC. Of one with several threads there is one for each,
 * in that thread's own group: they have the same name and id, a reference each to the same memory
 * and table, and all else for themselves.
 *
 * Ownership. The memory, the descriptors and the credentials of the lwC that runs are the task's,
 * as everywhere in the kernel; those of the others are held by their struct lwc. A switch moves the
 * references and counts nothing, so that a table of descriptors keeps a single user.
 *
 * Lifetime hangs on the task: a parked table may hold descriptors of the lwC it belongs to, which
 * would keep each other alive. A descriptor therefore holds a struct lwc_name only, in which the
 * lwC is struck out when it is destroyed.
 *
 * Locking. A group is used by its own task alone, and needs no lock. These are reached by others:
 * the table of groups (groups_lock); a worker's log of changed pages, which mmu notifiers write
 * (its own lock); the owners in a name (its lock; each reads its own without); and, where another
 * thread destroys an lwC, the memory and the table that are parked in it (the group's lock, unless
 * the group's thread is between lwc_group_begin() and lwc_group_rest(): then they are left to it).
 * The lock of a name is taken before that of a group. And who makes an lwC writes into the groups
 * of the threads that it takes along: they sleep until it is done (safepoint.c).
 */
#ifndef _LWC_CONTEXT_H
#define _LWC_CONTEXT_H

#include <linux/list.h>
#include <linux/refcount.h>
#include <linux/sched.h>
#include <linux/task_work.h>
#include <linux/xarray.h>

#include "cpu.h"
#include "refusal.h"
#include "uapi/lwc.h"

struct lwc_dirty;
struct lwc_specs;
struct lwc_filter;

/* Credentials; shared by lwCs that were told to. While one of them runs, the task has them. */
struct lwc_creds {
    refcount_t users;
    const struct cred *parked;
};

/* A thread that has a state in an lwC. */
struct lwc_owner {
    const struct task_struct *task; /* compared, never followed; NULL once it has ended */
    struct lwc *lwc;                /* NULL once destroyed */
};

/* What a descriptor names. */
struct lwc_name {
    refcount_t users;
    spinlock_t lock;
    bool destroyed; /* one of several owners did it; the others have still to drop theirs */
    unsigned int count;
    struct lwc_owner owners[];
};

/* By which call an lwC left user space, or was made. */
enum lwc_left_by {
    LWC_LEFT_BY_CREATE,
    LWC_LEFT_BY_SWITCH,
    LWC_LEFT_BY_TRAP,
    LWC_LEFT_BY_SAFEPOINT,
};

/* What is written where when it is entered again. */
struct lwc_entry {
    enum lwc_left_by call;
    void __user *result; /* its structure; none of a trap */
    u64 number;          /* of the call that was refused */
};

struct lwc {
    struct list_head list; /* group->lwcs */
    struct lwc_group *group;
    struct lwc_name *name; /* NULL at a safe point, before it is of an lwC */
    u64 id;
    u32 flags; /* of LWC_IOC_CREATE */
    bool entered;
    bool broken;          /* a reset failed half-way */
    struct lwc *creator;  /* NULL: nobody */
    struct lwc *snapshot; /* a worker's; NULL once destroyed */
    u64 snapshot_id;
    struct xarray granted;       /* by id of an lwC: rights beside those by creation */
    struct lwc_specs *access;    /* mask of what it may reach of its creator, or NULL */
    struct lwc_filter *filter;   /* system calls that are refused, or NULL */
    struct lwc_creds *own_creds; /* put aside for as long as it has others, or NULL */
    int last_caller_fd;          /* a guess */

    /* While it does not run. */
    struct mm_struct *mm;
    struct files_struct *files;
    struct lwc_creds *creds;
    struct lwc_cpu cpu;
    struct lwc_entry entry;
    unsigned long pages; /* of address space */

    struct lwc_dirty *dirty; /* a worker's */
};

struct lwc_group {
    struct hlist_node node; /* groups */
    struct task_struct *task;
    struct list_head lwcs;
    struct lwc *root; /* NULL once destroyed */
    struct lwc *running;
    unsigned int count;
    unsigned int grants;
    u64 switches;
    struct lwc_refusal refusal;
    bool quiet; /* descriptors are closed by us, not by the user */
    bool ending;
    bool shared; /* has had lwCs of several threads */
    spinlock_t lock;
    bool busy;    /* what is parked is left to the thread */
    bool doomed;  /* others have destroyed lwCs of it */
    bool reaping; /* `reap` is queued */
    struct callback_head reap;
    struct callback_head end;
    refcount_t users; /* the task, and task work that is queued */
    struct rcu_head rcu;
};

struct lwc_group *lwc_group_find(void);
struct lwc_group *lwc_group_get(void);
void lwc_group_end(struct lwc_group *group);
void lwc_group_put(struct lwc_group *group);

struct lwc *lwc_alloc(struct lwc_group *group, unsigned int owners);
void lwc_drop(struct lwc *lwc);
void lwc_destroy(struct lwc *lwc);
bool lwc_is_doomed(const struct lwc *lwc);
void lwc_group_begin(struct lwc_group *group);
void lwc_group_rest(struct lwc_group *group);
void lwc_reap_by_task_work(struct callback_head *work);

bool lwc_may_enter(const struct lwc *holder, const struct lwc *target);
bool lwc_may_access(const struct lwc *holder, const struct lwc *target);
int lwc_grant(struct lwc *holder, struct lwc *target, u32 rights);
void lwc_forget_rights(struct lwc *lwc);
int lwc_copy_rights(struct lwc *to, const struct lwc *from, u32 which);
int lwc_within_limits(struct lwc_group *group, const struct mm_struct *more);
u64 lwc_group_pages(const struct lwc_group *group);

struct lwc_owner *lwc_name_owner(struct lwc_name *name, const struct task_struct *task);
void lwc_name_put(struct lwc_name *name);

extern atomic_t lwc_live_contexts;
extern atomic_t lwc_live_groups;
extern unsigned int lwc_max_contexts;
extern unsigned long lwc_max_bytes;

#endif
