/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Light-weight contexts and the thread they belong to.
 *
 * Ownership. The memory, the descriptors and the credentials of the lwC that runs are the task's,
 * as everywhere in the kernel; those of the others are held by their struct lwc. A switch moves the
 * references and counts nothing, so that a table of descriptors keeps a single user.
 *
 * Lifetime hangs on the task: a parked table may hold descriptors of the lwC it belongs to, which
 * would keep each other alive. A descriptor therefore holds a struct lwc_name only, in which the
 * lwC is struck out when it is destroyed.
 *
 * Locking. A group is used by its own task alone, so it has no lock. Two things are reached by
 * others: the table of groups (groups_lock), and a worker's log of changed pages, which mmu
 * notifiers write (its own lock). A name's lwC is only looked at by its owner.
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

/* What a descriptor names. */
struct lwc_name {
    refcount_t users;
    const struct task_struct *owner; /* compared, never followed */
    struct lwc *lwc;                 /* NULL once destroyed */
};

/* By which call an lwC left user space, or was made. */
enum lwc_left_by {
    LWC_LEFT_BY_CREATE,
    LWC_LEFT_BY_SWITCH,
    LWC_LEFT_BY_TRAP,
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
    struct lwc_name *name;
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
    struct callback_head end;
    refcount_t users; /* the task, and task work that is queued */
    struct rcu_head rcu;
};

struct lwc_group *lwc_group_find(void);
struct lwc_group *lwc_group_get(void);
void lwc_group_end(struct lwc_group *group);
void lwc_group_put(struct lwc_group *group);

struct lwc *lwc_alloc(struct lwc_group *group);
void lwc_destroy(struct lwc *lwc);

bool lwc_may_enter(const struct lwc *holder, const struct lwc *target);
bool lwc_may_access(const struct lwc *holder, const struct lwc *target);
int lwc_grant(struct lwc *holder, struct lwc *target, u32 rights);
int lwc_copy_rights(struct lwc *to, const struct lwc *from);
int lwc_within_limits(struct lwc_group *group, const struct mm_struct *more);
u64 lwc_group_pages(const struct lwc_group *group);

void lwc_name_put(struct lwc_name *name);

extern atomic_t lwc_live_contexts;
extern atomic_t lwc_live_groups;
extern unsigned int lwc_max_contexts;
extern unsigned long lwc_max_bytes;

#endif
