// SPDX-License-Identifier: GPL-2.0
/* The lwCs of one thread: found by it, and ended with it. */
#include <linux/hashtable.h>
#include <linux/module.h>
#include <linux/slab.h>

#include "context.h"
#include "group.h"
#include "mutations.h"

static DEFINE_HASHTABLE(groups, 8);
static DEFINE_SPINLOCK(groups_lock);

atomic_t lwc_live_groups;

/* The group of the calling thread, which alone adds and removes it; NULL where it has none. */
struct lwc_group *lwc_group_find(void)
{
    struct lwc_group *group;

    rcu_read_lock();
    hash_for_each_possible_rcu(groups, group, node,
                               (unsigned long)current) if (group->task == current) break;
    rcu_read_unlock();
    return group;
}

static void end_by_task_work(struct callback_head *work)
{
    lwc_group_end(container_of(work, struct lwc_group, end));
}

/* The group of the calling thread; made where it has none, with the root lwC it is in. */
struct lwc_group *lwc_group_get(void)
{
    struct lwc_group *group = lwc_group_find();

    if (group)
        return group;
    group = kzalloc(sizeof(*group), GFP_KERNEL_ACCOUNT);
    if (!group)
        return ERR_PTR(-ENOMEM);
    group->task = current;
    INIT_LIST_HEAD(&group->lwcs);
    refcount_set(&group->users, 1);
    spin_lock_init(&group->lock);
    init_task_work(&group->end, end_by_task_work);
    lwc_refusal_init_work(&group->refusal);
    init_task_work(&group->reap, lwc_reap_by_task_work);
    group->root = group->running = lwc_alloc(group, 1);
    if (!group->root) {
        kfree(group);
        return ERR_PTR(-ENOMEM);
    }
    /* Code of ours runs when the thread ends. The door is open, so this cannot fail. */
    __module_get(THIS_MODULE);
    atomic_inc(&lwc_live_groups);
    spin_lock(&groups_lock);
    hash_add_rcu(groups, &group->node, (unsigned long)current);
    spin_unlock(&groups_lock);
    return group;
}

/* Dropped from core code, after a grace period: see lwc_group_exit(). */
static void free_group(struct rcu_head *rcu)
{
    kfree(container_of(rcu, struct lwc_group, rcu));
    module_put(THIS_MODULE);
}

void lwc_group_put(struct lwc_group *group)
{
    if (refcount_dec_and_test(&group->users))
        call_rcu(&group->rcu, free_group);
}

/* The thread ends, or has begun another program. What runs is the task's own. */
void lwc_group_end(struct lwc_group *group)
{
    struct lwc *lwc, *next;

    group->quiet = true;
    list_for_each_entry_safe(lwc, next, &group->lwcs, list) lwc_drop(lwc);
    spin_lock(&groups_lock);
    hash_del_rcu(&group->node);
    spin_unlock(&groups_lock);
    atomic_dec(&lwc_live_groups);
    lwc_group_put(group);
}

/* From a tracepoint, where nothing may sleep. */
void lwc_group_end_soon(void)
{
    struct lwc_group *group = lwc_group_find();

    if (!group || group->ending)
        return;
    group->ending = true;
    /* Before the first instruction of a new program, or in the exit: both still run task work. */
    WARN_ON_ONCE(task_work_add(current, &group->end, TWA_RESUME));
}

/* No group is left. Waits until nobody is on the last instructions of the code above either. */
void lwc_group_exit(void)
{
    rcu_barrier();
    synchronize_rcu_tasks();
}
