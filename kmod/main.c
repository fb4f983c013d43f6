// SPDX-License-Identifier: GPL-2.0
/* Loading and unloading, in order. */
#include <linux/init.h>
#include <linux/module.h>

#include "context.h"
#include "device.h"
#include "ending.h"
#include "group.h"
#include "leaving.h"
#include "mutations.h"
#include "refusal.h"
#include "symbols.h"

static int get_atomic(char *buffer, const struct kernel_param *parameter)
{
    return sysfs_emit(buffer, "%d\n", atomic_read(parameter->arg));
}

static const struct kernel_param_ops live = {.get = get_atomic};

module_param_cb(live_contexts, &live, &lwc_live_contexts, 0444);
MODULE_PARM_DESC(live_contexts, "number of lwCs that exist, the root lwCs included");
module_param_cb(live_groups, &live, &lwc_live_groups, 0444);
MODULE_PARM_DESC(live_groups, "number of threads that have lwCs");
module_param_named(max_contexts, lwc_max_contexts, uint, 0644);
MODULE_PARM_DESC(max_contexts, "most lwCs a thread may have, its root lwC included");
module_param_named(max_bytes, lwc_max_bytes, ulong, 0644);
MODULE_PARM_DESC(max_bytes, "most bytes of address space all lwCs of a thread may have together");

#ifdef LWC_MUTATIONS
static char left_out[32];
module_param_string(leave_out, left_out, sizeof(left_out), 0644);
MODULE_PARM_DESC(leave_out, "the step to leave out, to see that a test notices");

bool leave_out(const char *step)
{
    return sysfs_streq(left_out, step);
}
#endif

static int __init lwc_init(void)
{
    int err = lwc_symbols_init();

    if (err)
        return err;
    err = lwc_ending_init();
    if (err)
        return err;
    err = lwc_leaving_init();
    if (err)
        goto end_ending;
    err = lwc_device_init();
    if (!err)
        return 0;
    lwc_leaving_exit();
end_ending:
    lwc_ending_exit();
    return err;
}

static void __exit lwc_exit(void)
{
    lwc_device_exit();
    lwc_refusal_exit();
    lwc_leaving_exit();
    lwc_ending_exit();
    lwc_group_exit();
    pr_info("unloaded, %d live objects\n",
            atomic_read(&lwc_live_contexts) + atomic_read(&lwc_live_groups));
}

module_init(lwc_init);
module_exit(lwc_exit);

MODULE_AUTHOR("The lwcgi authors");
MODULE_DESCRIPTION("Light-weight contexts: several address spaces, descriptor tables and "
                   "credentials in one thread");
MODULE_LICENSE("GPL");
MODULE_VERSION("0.1");
